//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"justright/internal/tools/drive"
)

// What a cluster refuses, each for real: by its scheduler, its admission and its authorizer.

// big is a model that wants a card.
const big = "openai/gpt-oss-20b"

// refused launches on a played card and asks for one end: its exit status, its code, and words of it and of the way on. tries is how
// many machines may have been asked for.
func (b *bench) refused(ctx context.Context, name, on string, status int, code string, tries int, env []string, words ...string) (string, error) {
	node := "gpu-" + name
	defer b.dropNode(node)
	if err := b.node(ctx, node, l4("570.86.10", "12.8"), "1"); err != nil {
		return "", err
	}
	return b.ends(ctx, name, on, status, code, tries, env, words...)
}

func (b *bench) ends(ctx context.Context, name, on string, status int, code string, tries int, env []string, words ...string) (string, error) {
	l, err := b.Up(ctx, env, big, "--on", on, "--name", name)
	if err != nil {
		return "", err
	}
	var last struct {
		Code, Summary, Cause string
		Hints                []struct{ Text, Command string }
	}
	asked := strings.Count(l.Stdout, `"state":"creating"`)
	for line := range strings.Lines(l.Stdout) {
		if strings.Contains(line, `"event":"problem"`) || strings.Contains(line, `"schema":"justright/problem/1"`) {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				return "", err
			}
		}
	}
	if l.Status != status || last.Code != code || len(last.Hints) == 0 || asked > tries {
		return "", fmt.Errorf("status %d, code %q, %d hints, %d machines asked for; wanted %d, %q: %s", l.Status, last.Code, len(last.Hints), asked, status, code, l.Said())
	}
	said := last.Summary + ": " + last.Cause
	for _, h := range last.Hints {
		said += " | " + h.Text + ": " + h.Command
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			return "", fmt.Errorf("%q is not said: %s", w, said)
		}
	}
	return fmt.Sprintf("up %.0f s, exit %d %s, %.220s", l.Took.Seconds(), l.Status, last.Code, said), nil
}

// made puts an object into the cluster; undo takes it away.
func (b *bench) made(ctx context.Context, path string, o map[string]any) (undo func(), err error) {
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	if _, err := b.cluster.call(ctx, http.MethodPost, path, o); err != nil {
		return nil, err
	}
	return func() { _, _ = b.cluster.call(context.Background(), http.MethodDelete, path+"/"+name, nil) }, nil
}

// noCard is a card that goes between the plan and the create: the scheduler's own words, a named cause, and no second try of it.
func noCard(ctx context.Context, b *bench) (string, error) {
	const node = "gpu-full"
	defer b.dropNode(node)
	if err := b.node(ctx, node, l4("570.86.10", "12.8"), "1"); err != nil {
		return "", err
	}
	// Room for the card, none for the disk: what a plan does not know, the scheduler tells.
	if _, err := b.cluster.call(ctx, http.MethodPatch, "/api/v1/nodes/"+node+"/status", map[string]any{"status": map[string]any{
		"allocatable": map[string]any{"ephemeral-storage": "1G"}, "capacity": map[string]any{"ephemeral-storage": "1G"}}}); err != nil {
		return "", err
	}
	seen, err := b.ends(ctx, "disk", "kubernetes", 5, "provider_no_capacity", 1, nil, "Insufficient ephemeral-storage", "justright plan")
	if err != nil {
		return "", err
	}
	_, err = b.Logged(ctx, "disk", "nodes are available")
	return seen, err
}

// quota is a namespace that may hold no card: told before anything is made.
func quota(ctx context.Context, b *bench) (string, error) {
	undo, err := b.noCards(ctx, "models")
	if err != nil {
		return "", err
	}
	defer undo()
	return b.refused(ctx, "quota", "kubernetes", 5, "quota_exceeded", 1, nil, "exceeded quota", "kubectl -n models describe resourcequota")
}

// noCards is a quota that the controller has counted.
func (b *bench) noCards(ctx context.Context, namespace string) (undo func(), err error) {
	path := "/api/v1/namespaces/" + namespace + "/resourcequotas"
	if undo, err = b.made(ctx, path, map[string]any{"metadata": map[string]any{"name": "cards"}, "spec": map[string]any{"hard": map[string]any{"requests.nvidia.com/gpu": "0"}}}); err != nil {
		return nil, err
	}
	for range 60 {
		raw, err := b.cluster.call(ctx, http.MethodGet, path+"/cards", nil)
		if err != nil {
			return undo, err
		}
		if bytes.Contains(raw, []byte(`"used"`)) {
			return undo, nil
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return undo, err
		}
	}
	return undo, fmt.Errorf("the quota of %s was not counted", namespace)
}

// quotaRace is a quota that comes between the dry run and the pod: the job's controller is refused.
func quotaRace(ctx context.Context, b *bench) (string, error) {
	const path = "/api/v1/namespaces/models"
	// The job is held back until the quota is there: a scheduling gate would be the pod's own, a suspended job is the controller's.
	policies := "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
	undo, err := b.made(ctx, policies, map[string]any{"metadata": map[string]any{"name": "suspend"}, "spec": map[string]any{
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{"apiGroups": []string{"batch"}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE"}, "resources": []string{"jobs"}}}},
		"failurePolicy":    "Fail", "reinvocationPolicy": "Never",
		"mutations": []any{map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": "Object{spec: Object.spec{suspend: true}}"}}}}})
	if err != nil {
		return "", err
	}
	defer undo()
	bound, err := b.made(ctx, policies[:len(policies)-len("policies")]+"policybindings", map[string]any{"metadata": map[string]any{"name": "suspend"}, "spec": map[string]any{"policyName": "suspend"}})
	if err != nil {
		return "", err
	}
	defer bound()
	if err := pauseFor(ctx, 3*time.Second); err != nil { // until the API server has taken the policy up
		return "", err
	}
	go func() {
		for ctx.Err() == nil {
			raw, err := b.cluster.call(ctx, http.MethodGet, "/apis/batch/v1"+strings.TrimPrefix(path, "/api/v1")+"/jobs", nil)
			var l struct {
				Items []struct{ Metadata struct{ Name string } }
			}
			if err == nil && json.Unmarshal(raw, &l) == nil && len(l.Items) > 0 {
				if _, err := b.noCards(ctx, "models"); err == nil {
					_, _ = b.cluster.call(ctx, http.MethodPatch, "/apis/batch/v1/namespaces/models/jobs/"+l.Items[0].Metadata.Name, map[string]any{"spec": map[string]any{"suspend": false}})
				}
				return
			}
			_ = pauseFor(ctx, 200*time.Millisecond)
		}
	}()
	defer func() {
		_, _ = b.cluster.call(context.Background(), http.MethodDelete, path+"/resourcequotas/cards", nil)
	}()
	return b.refused(ctx, "race", "kubernetes", 5, "provider_no_capacity", 1, nil, "exceeded quota", "no room for the pod")
}

// limitRange is a namespace whose containers may have less memory than an engine asks for.
func limitRange(ctx context.Context, b *bench) (string, error) {
	undo, err := b.made(ctx, "/api/v1/namespaces/models/limitranges", map[string]any{"metadata": map[string]any{"name": "small"},
		"spec": map[string]any{"limits": []any{map[string]any{"type": "Container", "max": map[string]any{"memory": "1Gi"}}}}})
	if err != nil {
		return "", err
	}
	defer undo()
	return b.refused(ctx, "limits", "kubernetes", 5, "quota_exceeded", 1, nil, "memory limit of 1Gi", "kubectl -n models describe resourcequota,limitrange")
}

// podSecurity is a namespace that takes no process of root.
func podSecurity(ctx context.Context, b *bench) (string, error) {
	undo, err := b.made(ctx, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": "strict", "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}}})
	if err != nil {
		return "", err
	}
	defer undo()
	return b.refused(ctx, "strict", "kubernetes:///strict", 4, "policy", 1, nil, "violates PodSecurity", "kubectl get namespace strict")
}

func noNamespace(ctx context.Context, b *bench) (string, error) {
	return b.refused(ctx, "nowhere", "kubernetes:///nowhere", 2, "no_namespace", 1, nil, "kubectl create namespace nowhere")
}

// noRight is a user who may look and not make: everything that is missing is said at once, before anything is planned.
func noRight(ctx context.Context, b *bench) (string, error) {
	const accounts = "/api/v1/namespaces/models/serviceaccounts"
	undo, err := b.made(ctx, accounts, map[string]any{"metadata": map[string]any{"name": "looker"}})
	if err != nil {
		return "", err
	}
	defer undo()
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	for kind, o := range map[string]map[string]any{
		"clusterroles": {"rules": []any{map[string]any{"apiGroups": []string{""}, "resources": []string{"nodes", "pods"}, "verbs": []string{"get", "list"}}}},
		"clusterrolebindings": {"roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "looker"},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "looker", "namespace": "models"}}},
	} {
		o["metadata"] = map[string]any{"name": "looker"}
		undo, err := b.made(ctx, rbac+kind, o)
		if err != nil {
			return "", err
		}
		defer undo()
	}
	raw, err := b.cluster.call(ctx, http.MethodPost, accounts+"/looker/token", map[string]any{"spec": map[string]any{"expirationSeconds": 3600}})
	if err != nil {
		return "", err
	}
	var token struct{ Status struct{ Token string } }
	if err := json.Unmarshal(raw, &token); err != nil {
		return "", err
	}
	admins, err := os.ReadFile(b.cluster.kubeconfig())
	if err != nil {
		return "", err
	}
	file := b.cluster.file("looker")
	if err := os.WriteFile(file, bytes.ReplaceAll(admins, []byte(b.cluster.token), []byte(token.Status.Token)), 0o600); err != nil {
		return "", err
	}
	env := []string{"KUBECONFIG=" + file}
	if d, err := b.Call(ctx, env, "doctor", "--on", "kubernetes"); err != nil || d.Status == 0 || !strings.Contains(d.Stdout, "create secrets") {
		return "", fmt.Errorf("doctor: %w, status %d: %s", err, d.Status, drive.Tail(d.Stdout))
	}
	return b.refused(ctx, "rights", "kubernetes", 4, "rights_missing", 0, env, "create jobs.batch", "create pods/portforward", "kubectl -n models create role")
}
