package solve

import (
	"slices"
	"strings"
	"testing"

	"justright/catalog"
	"justright/model"
	"justright/version"
)

func foobar(remote bool) *model.Profile {
	return &model.Profile{ID: "somebody/foobar", Architecture: "FooBarForCausalLM", Architectures: []string{"FooBarForCausalLM"}, ModelType: "foobar", RemoteCode: remote,
		Parameters: 1e9, WeightsBytes: 2e9, DType: "bfloat16", Layers: 8, Hidden: 1024, Intermediate: 2048, Heads: 16, KVHeads: 4, HeadDim: 64, Vocab: 32000, MaxPosition: 4096}
}

// What people state and no release has, or nobody read, is not taken for working.
func TestStated(t *testing.T) {
	gptoss := FindProfile("openai/gpt-oss-20b")
	plain, awq := FindProfile("Qwen/Qwen3-8B"), FindProfile("Qwen/Qwen2.5-14B-Instruct-AWQ")
	if plain == nil || plain.Quant != nil || awq == nil || awq.Quant == nil || awq.Quant.Method != "awq" {
		t.Fatalf("profiles %+v, %+v", plain, awq)
	}
	card := func(name string, cuda version.CUDA) Case {
		return Case{Profile: gptoss, Pins: Pins{GPU: name, GPUs: 1, HostCUDA: cuda}}
	}
	tests := []struct {
		name string
		c    Case
		want string // code; "works" or "unknown" without one
	}{
		{"class of no release", Case{Profile: foobar(false)}, "architecture_unknown_to_engine"},
		{"class of no release, engine pinned", Case{Profile: foobar(false), Pins: Pins{Engine: "vllm==0.19.1"}}, "architecture_unknown_to_engine"},
		{"class of no release, image pinned", Case{Profile: foobar(false), Pins: Pins{Image: "vllm/vllm-openai:latest"}}, "architecture_unknown_to_engine"},
		{"class of no release, SGLang", Case{Profile: foobar(false), Pins: Pins{Engine: "sglang==0.5.9"}}, "architecture_unknown_to_engine"},
		{"class alone", Case{Architecture: "FooBarForCausalLM"}, "architecture_unknown_to_engine"},
		{"class of no release, any SGLang", Case{Architecture: "FooBarForCausalLM", Pins: Pins{Engine: "sglang"}}, "architecture_unknown_to_engine"},
		{"type without a class", Case{ModelType: "t5"}, "unknown"},
		{"moving tag of somebody's image", Case{Profile: gptoss, Pins: Pins{Image: "ghcr.io/somebody/vllm:latest"}}, "unknown"},
		{"moving tag of the engine's image", Case{Profile: gptoss, Pins: Pins{Image: "vllm/vllm-openai:nightly"}}, "works"},
		{"release in the tag of somebody's image", Case{Profile: gptoss, Pins: Pins{Image: "ghcr.io/somebody/vllm:v0.19.1"}}, "works"},
		{"type alone", Case{ModelType: "foobar"}, "architecture_unknown_to_engine"},
		{"a stated transformers speaks first", Case{Profile: foobar(false), Pins: Pins{Transformers: "4.57.1"}}, "architecture_unknown_to_transformers"},
		{"its own code may serve it", Case{Profile: foobar(true)}, "unknown"},
		{"its own code may serve it on a release", Case{Profile: foobar(true), Pins: Pins{Engine: "vllm==0.19.1"}}, "unknown"},
		{"the backend may serve it", Case{Architecture: "T5ForConditionalGeneration", ModelType: "t5", Pins: Pins{Engine: "vllm==0.10.0"}}, "unknown"},
		{"served by its family's code", Case{Architecture: "Qwen3ForTokenClassification", ModelType: "qwen3", Pins: Pins{Engine: "vllm==0.12.0"}}, "works"},
		{"a release nobody read", Case{Profile: foobar(false), Pins: Pins{Engine: "vllm==99.0.0"}}, "unknown"},
		{"image nobody read", Case{Profile: gptoss, Pins: Pins{Image: "nosuch/image:1"}}, "unknown"},
		{"tag nobody read", Case{Profile: gptoss, Pins: Pins{Image: "vllm/vllm-openai:v99"}}, "unknown"},
		{"image of the catalog", Case{Profile: gptoss, Pins: Pins{Image: "vllm/vllm-openai:v0.19.1"}}, "works"},
		{"build of no release", Case{Profile: gptoss, Pins: Pins{WheelCUDA: "cu999"}}, "wheel_variant_missing"},
		{"build of some release", Case{Profile: gptoss, Pins: Pins{WheelCUDA: "cu129"}}, "works"},
		{"Python of no release", Case{Profile: gptoss, Pins: Pins{Python: "2.7"}}, "python_unsupported"},
		{"Python of no image", Case{Profile: gptoss, Pins: Pins{Python: "2.7", Image: "vllm/vllm-openai:latest"}}, "python_unsupported"},
		{"flag of no release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--nonsense-flag"}}}, "flag_unknown"},
		{"flag of some release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--task", "embed"}}}, "works"},
		{"abbreviated flag", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--max-model-l", "4096"}}}, "works"},
		{"torch that no release with the class takes", Case{Profile: gptoss, Pins: Pins{Torch: "2.1"}}, "torch_abi_mismatch"},
		{"torch that some release with the class takes", Case{Profile: gptoss, Pins: Pins{Torch: "2.9.0"}}, "works"},
		{"torch that no release with the class takes, SGLang", Case{Profile: gptoss, Pins: Pins{Engine: "sglang", Torch: "2.1"}}, "torch_abi_mismatch"},
		{"transformers from before the class", Case{Profile: gptoss, Pins: Pins{Transformers: "4.40.0"}}, "architecture_unknown_to_transformers"},
		{"Python from before the class", Case{Profile: gptoss, Pins: Pins{Python: "3.8"}}, "python_unsupported"},
		{"build from before the class", Case{Profile: gptoss, Pins: Pins{WheelCUDA: "cu121"}}, "wheel_variant_missing"},
		{"flag from before the class", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--worker-use-ray"}}}, "flag_removed"},
		{"three cards", Case{Profile: gptoss, Pins: Pins{GPU: "L4", GPUs: 3}}, "tp_not_divisible"},
		{"three cards in a row", Case{Profile: gptoss, Pins: Pins{GPU: "L4", GPUs: 3, Flags: []string{"--pipeline-parallel-size", "3"}}}, "works"},
		{"more context than the model has", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--max-model-len", "131073"}}}, "context_exceeds_model"},
		{"all the context it has", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--max-model-len", "131072"}}}, "works"},
		{"more context, overridden", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--max-model-len", "131073"}, Env: map[string]string{"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}}}, "works"},
		{"a driver from before the card", card("L4", version.CUDA{Major: 11, Minor: 4}), "driver_too_old_for_gpu"},
		{"a driver that does not offer the CUDA stated", Case{Profile: gptoss, Pins: Pins{Driver: version.Driver{Branch: 550}, HostCUDA: version.CUDA{Major: 13}}}, "unknown"},
		{"the same of a whole stack", Case{Profile: gptoss, Pins: Pins{Engine: "vllm==0.19.1", GPU: "L4", GPUs: 1, Driver: version.Driver{Branch: 550}, HostCUDA: version.CUDA{Major: 13}}}, "unknown"},
		{"a driver newer than those read", Case{Profile: gptoss, Pins: Pins{Driver: version.Driver{Branch: 610}, HostCUDA: version.CUDA{Major: 13, Minor: 3}}}, "works"},
		{"a method of stored weights on plain ones", Case{Profile: plain, Pins: Pins{Flags: []string{"--quantization", "awq"}}}, "quantization_unsupported_by_engine"},
		{"a method of stored weights on plain ones, a release", Case{Profile: plain, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"-q", "gptq_marlin"}}}, "quantization_unsupported_by_engine"},
		{"compressed-tensors of plain weights", Case{Profile: plain, Pins: Pins{Flags: []string{"--quantization=compressed-tensors"}}}, "quantization_unsupported_by_engine"},
		{"a method that quantises while loading", Case{Profile: plain, Pins: Pins{Flags: []string{"--quantization", "fp8"}}}, "works"},
		{"bitsandbytes quantises while loading", Case{Profile: plain, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--quantization", "bitsandbytes"}}}, "works"},
		{"the method of the checkpoint", Case{Profile: awq, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--quantization", "awq"}}}, "works"},
		{"the method's kernels named", Case{Profile: awq, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--quantization", "awq_marlin"}}}, "works"},
		{"another method than the checkpoint's", Case{Profile: awq, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--quantization", "gptq"}}}, "quantization_unsupported_by_engine"},
		{"another config, which may say so", Case{Profile: plain, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--quantization", "awq", "--hf-overrides", "{}"}}}, "works"},
		{"a cache type of no release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--kv-cache-dtype", "banana"}}}, "flag_unknown"},
		{"a cache type of no release, a release", Case{Profile: gptoss, Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--kv-cache-dtype=banana"}}}, "flag_unknown"},
		{"a cache type of some release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--kv-cache-dtype", "fp8_e4m3"}}}, "works"},
		{"a method of no release", Case{Profile: plain, Pins: Pins{Flags: []string{"--quantization", "banana"}}}, "flag_unknown"},
		{"a method with another dash", Case{Profile: awq, Pins: Pins{Flags: []string{"--quantization", "AWQ-marlin"}}}, "works"},
		{"a parser of no release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--tool-call-parser", "banana"}}}, "unknown"},
		{"a parser of some release", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--tool-call-parser", "openai"}}}, "works"},
		{"plain weights' method on MXFP4", Case{Profile: gptoss, Pins: Pins{Flags: []string{"--quantization", "awq"}}}, "quantization_unsupported_by_engine"},
		{"the first driver of the card", card("RTX 4090", version.CUDA{Major: 11, Minor: 8}), "works"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := judger().Judge(tt.c)
			got := v.Code
			if v.Outcome != Refused {
				got = string(v.Outcome)
			}
			if got != tt.want {
				t.Fatalf("got %s (%s: %s), want %s", got, v.Outcome, v.Reason, tt.want)
			}
			if v.Outcome == Refused && (len(v.Facts) == 0 || slices.ContainsFunc(v.Facts, func(f catalog.Fact) bool { return f.Statement == "" || f.Source == "" })) {
				t.Errorf("facts %+v", v.Facts)
			}
			if v.Outcome == Works && !strings.Contains(v.Reason, "judged: ") {
				t.Errorf("it does not say what was judged: %s", v.Reason)
			}
		})
	}
}

// A model of no release gives no plan and no green cell; one that may bring what it needs gives plans that say so.
func TestStatedPlans(t *testing.T) {
	res := judger().Solve(Request{Model: *foobar(false), Target: "runpod"})
	if len(res.Plans) > 0 || res.Conflict == nil || res.Conflict.Code != "architecture_unknown_to_engine" || len(res.Conflict.Hints) == 0 || len(res.Conflict.Facts) == 0 {
		t.Errorf("%d plans, conflict %+v", len(res.Plans), res.Conflict)
	}
	for _, remote := range []bool{false, true} {
		want := map[bool]Outcome{false: Refused, true: Unknown}[remote]
		for _, row := range judger().Matrix(Request{Model: *foobar(remote), Target: "runpod"}, []version.CUDA{{Major: 13, Minor: 0}}) {
			if v := row.Cells[0].Verdict; v != want && v != Refused {
				t.Errorf("%s: %s, want %s", row.Version, v, want)
			}
		}
	}
	res = judger().Solve(Request{Model: *foobar(true), Target: "runpod"})
	if len(res.Plans) == 0 || !slices.ContainsFunc(res.Plans[0].Unknowns, func(u string) bool { return strings.Contains(u, "FooBarForCausalLM") }) {
		t.Errorf("plans %+v", res.Plans)
	}
}

// No driver of the asked age runs a card that is offered for it, and every rented plan has an image to start.
func TestOldDriverPlans(t *testing.T) {
	for _, host := range []version.CUDA{{Major: 11, Minor: 0}, {Major: 11, Minor: 4}, {Major: 11, Minor: 8}, {Major: 12, Minor: 1}} {
		res := judger().Solve(Request{Model: *FindProfile("openai/gpt-oss-20b"), Target: "runpod", Pins: Pins{HostCUDA: host}, All: true})
		for _, p := range res.Plans {
			g, _ := facts().FindGPU(p.GPU.ID)
			if floor, _, ok := catalog.CardDriver(g.Capability); !ok || host.Compare(floor) < 0 {
				t.Errorf("CUDA %s: %s (%s) is offered", host, p.GPU.ID, g.Capability)
			}
			if p.Image == "" {
				t.Errorf("CUDA %s: a plan on %s has no image", host, p.GPU.ID)
			}
		}
	}
}

// A plain image holds no Python, which the start script needs: nothing is installed into one.
func TestPlanWithoutPython(t *testing.T) {
	for ref, plain := range map[string]bool{"ubuntu:22.04": true, "debian:12": true, "nvidia/cuda:12.8.1-base-ubuntu22.04": true, "python:3.12-slim": false,
		"runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04": false, "example.org/our-own:1": false} {
		res := judger().Solve(Request{Model: *FindProfile("openai/gpt-oss-20b"), Target: "runpod", Pins: Pins{Image: ref}})
		if (len(res.Plans) == 0) != plain || (res.Conflict != nil) != plain {
			t.Errorf("%s: %d plans, conflict %v", ref, len(res.Plans), res.Conflict)
		}
		if plain && res.Conflict != nil && (res.Conflict.Code != CodePython || len(res.Conflict.Facts) == 0) {
			t.Errorf("%s: conflict %s, %s, %d facts", ref, res.Conflict.Code, res.Conflict.Reason, len(res.Conflict.Facts))
		}
		for _, install := range []string{"wheels", ""} {
			v := Judge(facts(), Case{ModelName: "openai/gpt-oss-20b", Pins: Pins{Image: ref, Install: install}})
			if (v.Outcome == Refused) != plain || plain && v.Code != CodePython {
				t.Errorf("%s: check says %s %s", ref, v.Outcome, v.Code)
			}
		}
	}
}

// How many cards would do is said for the context that is asked, and where none is, for a shorter one on fewer cards.
func TestCardsThatWouldDo(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  []string
	}{
		{nil, []string{"2 such cards would do with --max-model-len 8192", "4 such cards would do at the model's 131072 tokens"}},
		{[]string{"--max-model-len", "8192"}, []string{"2 such cards would do"}},
	} {
		v := judger().Judge(Case{ModelName: "meta-llama/Llama-3.1-8B-Instruct", Pins: Pins{GPU: "T4", GPUs: 1, Flags: tt.flags}})
		var got []string
		for _, h := range v.Hints {
			got = append(got, h.Text)
		}
		if v.Code != CodeWeights || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %s, hints %q, want %q", tt.flags, v.Code, got, tt.want)
		}
	}
}
