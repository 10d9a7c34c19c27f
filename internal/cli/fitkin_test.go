package cli

import "testing"

// TestKin: a derivative is known by its name, another model is not, however alike.
func TestKin(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"unsloth/Qwen3-30B-A3B-Instruct-2507-FP8":             {"Qwen/Qwen3-30B-A3B-Instruct-2507", "fp8"},
		"RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16": {"meta-llama/Meta-Llama-3.1-8B", "gptq"},
		"unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit":         {"meta-llama/Meta-Llama-3.1-8B", "bitsandbytes"},
		"Llama-3_3-Nemotron-Super-49B-v1 4-bit GPTQ (local)":  {"nvidia/Llama-3_3-Nemotron-Super-49B-v1", "gptq"},
		"bartowski/Qwen3-8B-GGUF":                             {"Qwen/Qwen3-8B", "gguf"},
		"nobody/Qwen3-9B":                                     {},
		"nobody/Qwen3-8B-Vision":                              {},
		"Qwen3-8B-FP8-speculator":                             {},
		"":                                                    {},
		"FP8":                                                 {},
		"owner/":                                              {},
	} {
		p, quant, ok := kin(name)
		if p.ID != want[0] || quant != want[1] || ok != (want[0] != "") {
			t.Errorf("%s: %q stored as %q, want %q", name, p.ID, quant, want)
		}
	}
}

func TestKinOfUnknownStorageHasNoWeights(t *testing.T) {
	t.Parallel()
	name := "bartowski/Qwen3-8B-GGUF"
	c := memoryCase{Model: &name}
	p := kinProfile(&c)
	if p == nil {
		t.Fatal("not known")
	}
	if d := evalCase(p, &c); d.WeightsBytes != nil || d.KVBytesPerToken == nil || d.Fits != nil || d.Model != name {
		t.Errorf("weights %v, cache %v, fits %v, model %s", d.WeightsBytes, d.KVBytesPerToken, d.Fits, d.Model)
	}
}
