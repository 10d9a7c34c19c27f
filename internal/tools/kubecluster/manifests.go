//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
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

// schemas are the resources of projects outside Kubernetes that exports write, as those projects publish them, in the modules that
// Go's proxy serves. They are read, not built.
func schemas() []schema {
	return []schema{
		{"keda.sh", "github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"},
		{"monitoring.coreos.com", "github.com/prometheus-operator/prometheus-operator@v0.94.1", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
		{"leaderworkerset.x-k8s.io", "sigs.k8s.io/lws@v0.8.0", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"},
	}
}

type schema struct{ group, module, file string }

// install gives a cluster the resource of a schema.
func (s schema) install(ctx context.Context, b *bench) error {
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.module)
	c.Dir = b.dir // no module: nothing of ours is changed
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("go mod download %s: %w", s.module, err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(s.file)))
	if err != nil {
		return err
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	if err := b.send(ctx, path, string(raw)); err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(s.file), ".yaml")
	group, plural, _ := strings.Cut(name, "_")
	for range 60 {
		raw, err := b.cluster.call(ctx, http.MethodGet, path+"/"+plural+"."+group, nil)
		if err == nil && bytes.Contains(raw, []byte(`"type":"Established"`)) && bytes.Contains(raw, []byte(`"storedVersions"`)) {
			return nil
		}
		if err := pauseFor(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is not served", plural)
}

// manifests are judged by the real schema and admission, without being kept. Where a schema cannot be had, its objects are not, and
// the line says so.
func manifests(ctx context.Context, b *bench) (string, error) {
	var without []string
	for _, s := range schemas() {
		if err := s.install(ctx, b); err != nil {
			fmt.Fprintln(os.Stderr, "kubernetes manifests:", err)
			without = append(without, s.group)
		}
	}
	kinds := map[string]int{}
	for _, args := range [][]string{
		{"--gpu", "L4"}, {"--gpu", "L4", "--replicas", "3"}, {"--gpu", "L4", "--autoscale", "1-4"}, {"--gpu", "L4", "--gpus", "4", "--nodes", "2"},
		{"--gpu", "L4", "--gpus", "4", "--nodes", "2", "--replicas", "2"}, {"--engine", "sglang", "--gpu", "L4", "--autoscale", "2-3"}, {"--engine", "vllm-cpu"},
		{"--gpu", "L4", "--name", strings.Repeat("a", 50)},
	} {
		r, err := b.Call(ctx, nil, append([]string{"export", big, "--as", "kubernetes"}, args...)...)
		if err != nil || r.Status != 0 {
			return "", fmt.Errorf("export %v: %w, status %d: %s", args, err, r.Status, drive.Tail(r.Stderr))
		}
		for _, doc := range strings.Split(r.Stdout, "\n---\n") {
			kind, err := b.judge(ctx, doc, without)
			if err != nil {
				return "", fmt.Errorf("export %v: %w", args, err)
			}
			kinds[kind]++
		}
	}
	var seen []string
	for k, n := range kinds {
		if k != "" {
			seen = append(seen, fmt.Sprintf("%d %s", n, k))
		}
	}
	slices.Sort(seen)
	said := strings.Join(seen, ", ") + " of exports taken by the API server (dry run, strict fields)"
	if len(without) > 0 {
		said += "; not judged, since the schema could not be had: " + strings.Join(without, ", ")
	}
	return said, nil
}

// judge sends one object for a dry run, and says its kind.
func (b *bench) judge(ctx context.Context, doc string, without []string) (string, error) {
	field := func(name string) string {
		for line := range strings.Lines(doc) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+": "); ok && !strings.HasPrefix(line, " ") {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	version, kind := field("apiVersion"), field("kind")
	path := "/apis/" + version
	group, _, grouped := strings.Cut(version, "/")
	if !grouped {
		path = "/api/" + version
	}
	if slices.Contains(without, group) {
		return "", nil
	}
	return kind, b.send(ctx, path+"/namespaces/models/"+strings.ToLower(kind)+"s?dryRun=All&fieldValidation=Strict", doc)
}

// send makes an object of YAML.
func (b *bench) send(ctx context.Context, path, doc string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.cluster.server+path, strings.NewReader(doc))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+b.cluster.token)
	r.Header.Set("Content-Type", "application/yaml")
	res, err := b.cluster.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		var said bytes.Buffer
		_, _ = said.ReadFrom(res.Body)
		return fmt.Errorf("%s: %d %.600s", path, res.StatusCode, said.String())
	}
	return nil
}
