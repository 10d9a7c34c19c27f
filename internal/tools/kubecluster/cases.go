//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"justright/internal/tools/drive"
)

func cases() []drive.Case[*bench] {
	return []drive.Case[*bench]{
		{Name: "suite", Run: suite},
		{Name: "chat", Run: chat},
		{Name: "guard", Run: guard},
		{Name: "killed", Run: killed},
		{Name: "drained", Run: drained},
		{Name: "replicas", Run: replicas},
		{Name: "nodes", Run: nodes},
		{Name: "no-image", Run: noImage},
		{Name: "no-card", Run: noCard},
		{Name: "cards", Run: cards},
		{Name: "quota", Run: quota},
		{Name: "quota-race", Run: quotaRace},
		{Name: "limit-range", Run: limitRange},
		{Name: "pod-security", Run: podSecurity},
		{Name: "no-namespace", Run: noNamespace},
		{Name: "no-right", Run: noRight},
		{Name: "manifests", Run: manifests},
	}
}

const chatModel = "justright/smollm2-135m-instruct"

// suite is the conformance suite of providers against this cluster: what the simulator is held against.
func suite(ctx context.Context, b *bench) (string, error) {
	c := exec.CommandContext(ctx, "go", "test", "./internal/provider/kubernetes", "-count=1", "-run", "TestLive", "-timeout", "20m", "-v")
	c.Env = append(slices.Clone(b.Env), "JUSTRIGHT_LIVE_KUBERNETES_IMAGE="+baseRef)
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, drive.Tail(string(out)))
	}
	n := strings.Count(string(out), "    --- PASS: TestLive/")
	if n < 10 {
		return "", fmt.Errorf("only %d parts ran: %s", n, drive.Tail(string(out)))
	}
	return fmt.Sprintf("%d parts of the provider suite on Kubernetes %s with containerd and runc", n, release), nil
}

// hub serves the chat model to pods: on the gateway of their network, which the first pod brings up.
func (b *bench) hub(ctx context.Context) (env []string, err error) {
	return drive.Hub(ctx, nodeAddr, chatModel, b.chat) // the node's bridge: pods reach it through their gateway
}

// chatArgs are the image that the cluster has, and its Python.
func chatArgs(more ...string) []string {
	return append([]string{chatModel, "--on", "kubernetes", "--image", baseRef, "--python", "3.11"}, more...)
}

// chat is the whole road with a real engine in a real pod: up, its proof through the port-forward, a question after up has ended,
// verify by name, down.
func chat(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.Up(ctx, env, chatArgs("--name", "chat")...)
	if err != nil {
		return "", err
	}
	e := l.End()
	if l.Status != 0 || e.Outcome != "ready" {
		return "", fmt.Errorf("up ended with status %d, outcome %q: %s", l.Status, e.Outcome, l.Why())
	}
	said, err := drive.Ask(ctx, e, "What is the capital of France?")
	if err != nil {
		return "", err
	}
	if !strings.Contains(said, "Paris") {
		return "", fmt.Errorf("it said %q", said)
	}
	armed, err := b.Logged(ctx, "chat", "justright guard status=armed")
	if err != nil {
		return "", err
	}
	v, err := b.Call(ctx, env, "verify", "chat", "--json")
	if err != nil || v.Status != 0 {
		return "", fmt.Errorf("verify: %w, status %d: %s", err, v.Status, v.Said())
	}
	raw, err := b.cluster.call(ctx, http.MethodGet, "/apis/batch/v1/namespaces/models/jobs", nil)
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(e.KeyFile)
	if err != nil {
		return "", err
	}
	if bytes.Contains(raw, bytes.TrimSpace(key)) {
		return "", errors.New("the job holds the endpoint's key")
	}
	if err := b.Down(ctx, "chat"); err != nil {
		return "", err
	}
	logs, err := b.Call(ctx, nil, "logs", "chat")
	if err != nil || !strings.Contains(logs.Stdout, "justright phase=ready") {
		return "", fmt.Errorf("the log is not kept after down: %w, %s", err, drive.Tail(logs.Stdout))
	}
	return fmt.Sprintf("up %.0f s through 127.0.0.1, %q, %s, verify, down, log kept", l.Took.Seconds(), said, armed), nil
}

// guard lets the pod end itself: nobody asks for its end, and its card would be free.
func guard(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.Up(ctx, env, chatArgs("--name", "idle", "--idle", "15s")...)
	if err != nil {
		return "", err
	}
	if l.Status != 0 {
		return "", fmt.Errorf("up ended with status %d: %s", l.Status, l.Why())
	}
	took, err := b.endsItself(ctx)
	if err != nil {
		return "", err
	}
	if g, err := b.Call(ctx, nil, "gc"); err != nil || g.Status != 0 {
		return "", fmt.Errorf("gc: %w, status %d: %s", err, g.Status, g.Said())
	}
	line, err := b.Logged(ctx, "idle", "justright guard status=ending")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("nobody left: the job completed %.0f s after up had ended (%s); gc settled it", took.Seconds(), line), nil
}

// endsItself waits until the one job has ended in order, which the cluster's own limit would call a failure.
func (b *bench) endsItself(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for {
		raw, err := b.cluster.call(ctx, http.MethodGet, "/apis/batch/v1/namespaces/models/jobs", nil)
		if err != nil {
			return 0, err
		}
		if bytes.Contains(raw, []byte(`"type":"Complete"`)) {
			return time.Since(began), nil
		}
		if time.Since(began) > 3*time.Minute || bytes.Contains(raw, []byte("DeadlineExceeded")) {
			return 0, fmt.Errorf("the job did not end itself: %.600s", raw[max(0, len(raw)-600):])
		}
		if err := pauseFor(ctx, time.Second); err != nil {
			return 0, err
		}
	}
}

// killed kills up as soon as the guard has reported, in the middle of the install: the pod ends itself at its lifetime, and gc finds out.
func killed(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	up := exec.CommandContext(ctx, b.Path, append([]string{"up", "--yes"}, chatArgs("--name", "killed", "--ttl", "30s")...)...)
	up.Env = append(slices.Clone(b.Env), env...)
	if err := up.Start(); err != nil {
		return "", err
	}
	defer func() { _ = up.Process.Kill(); _ = up.Wait() }()
	for {
		if _, err := b.Logged(ctx, "killed", "justright guard status=armed"); err == nil {
			break
		}
		if err := pauseFor(ctx, 200*time.Millisecond); err != nil {
			return "", err
		}
	}
	if err := up.Process.Kill(); err != nil {
		return "", err
	}
	_ = up.Wait() // killed, and gone: a process that nobody waits for still holds its launch
	took, err := b.endsItself(ctx)
	if err != nil {
		return "", err
	}
	g, err := b.Call(ctx, nil, "gc")
	if err != nil || g.Status != 0 || !strings.Contains(g.Stdout, "settled") {
		return "", fmt.Errorf("gc: %w: %s", err, g.Said())
	}
	line, err := b.Logged(ctx, "killed", "justright guard status=ending")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("kill -9 of up once armed: the pod ended itself in order %.0f s later (%s); gc settled it", took.Seconds(), line), nil
}

// noImage is an image that no registry has: the kubelet's own words, a named cause, nothing left.
func noImage(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.Up(ctx, env, chatModel, "--on", "kubernetes", "--image", "localhost/no-such-image:1", "--python", "3.11", "--name", "none", "--attempts", "1")
	if err != nil {
		return "", err
	}
	cause := l.Cause()
	if l.Status == 0 || cause != "image_manifest_unknown" && cause != "image_registry_unreachable" {
		return "", fmt.Errorf("status %d, cause %q: %s", l.Status, cause, l.Why())
	}
	return fmt.Sprintf("up %.0f s, exit %d, %s", l.Took.Seconds(), l.Status, cause), nil
}

// node puts a node into the cluster that no kubelet stands behind: it is scheduled to and runs nothing.
func (b *bench) node(ctx context.Context, name string, labels map[string]string, cards string) error {
	labels["kubernetes.io/hostname"] = name
	_, err := b.cluster.call(ctx, http.MethodPost, "/api/v1/nodes", map[string]any{"metadata": map[string]any{"name": name, "labels": labels}})
	if err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	all := map[string]string{"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "500G", "nvidia.com/gpu": cards}
	_, err = b.cluster.call(ctx, http.MethodPatch, "/api/v1/nodes/"+name+"/status", map[string]any{"status": map[string]any{"capacity": all, "allocatable": all,
		"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "Played", "lastHeartbeatTime": now, "lastTransitionTime": now}}}})
	if err != nil {
		return err
	}
	_, err = b.cluster.call(ctx, http.MethodPatch, "/api/v1/nodes/"+name, map[string]any{"spec": map[string]any{"taints": nil}})
	return err
}

func (b *bench) dropNode(name string) {
	_, _ = b.cluster.call(context.Background(), http.MethodDelete, "/api/v1/nodes/"+name, nil)
}

func l4(driver, cuda string) map[string]string {
	return map[string]string{"nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034", "nvidia.com/gpu.count": "2",
		"nvidia.com/cuda.driver-version.full": driver, "nvidia.com/cuda.runtime-version.full": cuda}
}

// cards plans for nodes with cards, as their labels tell them, and what others hold is not offered.
func cards(ctx context.Context, b *bench) (string, error) {
	defer b.dropNode("gpu-1")
	if err := b.node(ctx, "gpu-1", l4("570.86.10", "12.8"), "2"); err != nil {
		return "", err
	}
	p, err := b.Call(ctx, nil, "plan", "openai/gpt-oss-20b", "--on", "kubernetes", "--json", "--starts", "1")
	if err != nil {
		return "", err
	}
	var doc struct {
		Plans []struct {
			GPU  struct{ ID string } `json:"gpu"`
			Host struct {
				MinCUDA string `json:"min_cuda"`
			} `json:"host"`
			PricePerHour *string `json:"price_per_hour"`
		} `json:"plans"`
	}
	if err := json.Unmarshal([]byte(p.Stdout), &doc); err != nil || len(doc.Plans) == 0 {
		return "", fmt.Errorf("plan: %w, %d plans: %s", err, len(doc.Plans), p.Said())
	}
	for _, x := range doc.Plans {
		if !strings.Contains(strings.ToLower(x.GPU.ID), "l4") || x.PricePerHour != nil {
			return "", fmt.Errorf("a plan for %+v", x)
		}
	}
	// Both cards are taken by somebody else's pod: the scheduler binds it, and nothing is offered.
	_, err = b.cluster.call(ctx, http.MethodPost, "/api/v1/namespaces/default/pods", map[string]any{"metadata": map[string]any{"name": "holder"}, "spec": map[string]any{
		"terminationGracePeriodSeconds": 0, "tolerations": []any{map[string]any{"operator": "Exists"}},
		"containers": []any{map[string]any{"name": "x", "image": "x", "resources": map[string]any{"limits": map[string]any{"nvidia.com/gpu": 2}}}}}})
	if err != nil {
		return "", err
	}
	defer func() {
		_, _ = b.cluster.call(context.Background(), http.MethodDelete, "/api/v1/namespaces/default/pods/holder?gracePeriodSeconds=0", nil)
	}()
	for range 60 {
		raw, err := b.cluster.call(ctx, http.MethodGet, "/api/v1/namespaces/default/pods/holder", nil)
		if err != nil {
			return "", err
		}
		if bytes.Contains(raw, []byte(`"nodeName":"gpu-1"`)) {
			break
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	full, err := b.Call(ctx, nil, "plan", "openai/gpt-oss-20b", "--on", "kubernetes")
	if err != nil {
		return "", err
	}
	if full.Status != 5 || !strings.Contains(full.Stdout+full.Stderr, "all 2 cards are taken") {
		return "", fmt.Errorf("a full cluster: status %d, %s", full.Status, full.Said())
	}
	return fmt.Sprintf("%d plans for the L4 of a node by its labels, none once the real scheduler had given its cards away (exit 5)", len(doc.Plans)), nil
}

// NothingLeft asks the cluster and this machine what a case has left.
func (b *bench) NothingLeft(ctx context.Context) error {
	for _, path := range []string{"/apis/batch/v1/namespaces/models/jobs", "/api/v1/namespaces/models/pods", "/api/v1/namespaces/models/services", "/api/v1/namespaces/models/secrets"} {
		raw, err := b.cluster.call(ctx, http.MethodGet, path+"?labelSelector=justright/attempt", nil)
		if err != nil {
			return err
		}
		var l struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		if len(l.Items) > 0 {
			return fmt.Errorf("left behind: %s of %s", l.Items[0].Metadata.Name, filepath.Base(path))
		}
	}
	for range 40 { // the port-forward sees within seconds that its machine is gone
		left := b.forwards()
		if left == "" {
			return nil
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("left behind: process %s", b.forwards())
}

// forwards is a port-forward of this run that still lives.
func (b *bench) forwards() string {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return ""
	}
	for _, f := range all {
		if raw, err := os.ReadFile(f); err == nil && bytes.Contains(raw, []byte("kubernetes-forward\x00"+b.cluster.server)) {
			return filepath.Base(filepath.Dir(f))
		}
	}
	return ""
}
