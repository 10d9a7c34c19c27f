package export

import (
	"strings"
	"testing"

	k8syaml "sigs.k8s.io/yaml"

	"justright/boot"
	"justright/solve"
)

// objects reads a document back, by kind.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, doc := range strings.Split(text, "\n---\n") {
		var o map[string]any
		if err := k8syaml.UnmarshalStrict([]byte(doc), &o); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		kind, _ := o["kind"].(string)
		out[kind] = o
	}
	return out
}

// at follows keys and, by their index, list items.
func at(o any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := o.(map[string]any)
			o = m[p]
		case int:
			l, _ := o.([]any)
			if p >= len(l) {
				return nil
			}
			o = l[p]
		}
	}
	return o
}

func TestScaledCopies(t *testing.T) {
	p := samplePlan(t, func(s *solve.Stack, _ *boot.Options) { s.Concurrency = 8 })
	p.Cluster = Cluster{Replicas: 2, MaxCopies: 5}
	d, err := Write("kubernetes", p)
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, d.Text)
	for _, c := range []struct {
		got, want any
	}{
		{at(all["Deployment"], "spec", "replicas"), float64(2)},
		{at(all["Deployment"], "spec", "strategy", "type"), "RollingUpdate"},
		{at(all["ScaledObject"], "spec", "minReplicaCount"), float64(2)},
		{at(all["ScaledObject"], "spec", "maxReplicaCount"), float64(5)},
		{at(all["ScaledObject"], "spec", "scaleTargetRef", "name"), p.Name},
		{at(all["ScaledObject"], "spec", "triggers", 0, "metadata", "threshold"), "8"}, // what the plan's memory was counted for
		{at(all["ScaledObject"], "spec", "triggers", 0, "metadata", "query"), `sum(vllm:num_requests_running{service="` + p.Name + `"} + vllm:num_requests_waiting{service="` + p.Name + `"})`},
		// The door guards the metrics too: without the key Prometheus reads nothing, and nothing scales.
		{at(all["ServiceMonitor"], "spec", "endpoints", 0, "authorization", "credentials", "name"), p.Name + "-keys"},
		{at(all["ServiceMonitor"], "spec", "selector", "matchLabels", "app.kubernetes.io/name"), at(all["Service"], "metadata", "labels", "app.kubernetes.io/name")},
		{at(all["ServiceMonitor"], "spec", "endpoints", 0, "port"), at(all["Service"], "spec", "ports", 0, "name")},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

func TestOverNodes(t *testing.T) {
	p := samplePlan(t, func(s *solve.Stack, _ *boot.Options) {
		s.GPU.Count = 4
		s.Argv = append(s.Argv, "--tensor-parallel-size", "4")
	})
	spec, err := boot.OverNodes(p.Script.Spec(), 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	if p.Script, err = boot.Render(spec); err != nil {
		t.Fatal(err)
	}
	p.Cluster = Cluster{Nodes: 2}
	d, err := Write("kubernetes", p)
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, d.Text)
	lws := at(all["LeaderWorkerSet"], "spec", "leaderWorkerTemplate")
	for _, c := range []struct {
		got, want any
	}{
		{at(lws, "size"), float64(2)}, {at(lws, "restartPolicy"), "RecreateGroupOnPodRestart"},
		{at(lws, "leaderTemplate", "spec", "containers", 0, "resources", "limits", "nvidia.com/gpu"), "2"},
		{at(lws, "leaderTemplate", "spec", "containers", 0, "readinessProbe", "httpGet", "path"), "/health"},
		{at(lws, "workerTemplate", "spec", "containers", 0, "readinessProbe"), nil}, // a rank without a server answers nobody
		{at(lws, "workerTemplate", "spec", "containers", 0, "command", 1), "/justright/start.sh"},
		{at(all["Service"], "spec", "selector", "justright/role"), at(lws, "leaderTemplate", "metadata", "labels", "justright/role")},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	if text, _ := at(all["ConfigMap"], "data", "start.sh").(string); !strings.Contains(text, `--node-rank "$JR_RANK"`) {
		t.Error("the script starts no rank")
	}
}
