package solve

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"justright/catalog"
	"justright/version"
)

var facts = sync.OnceValue(func() *catalog.Snapshot {
	s, err := catalog.Embedded()
	if err != nil {
		panic(err)
	}
	return s
})

var judger = sync.OnceValue(func() *Judger { return NewJudger(facts()) })

func TestJudge(t *testing.T) {
	cuda := func(major, minor int) version.CUDA { return version.CUDA{Major: major, Minor: minor} }
	tests := []struct {
		name string
		c    Case
		want string // code; "works" or "unknown" without one
	}{
		{"the seed's first try", Case{ModelName: "openai/gpt-oss-20b", Pins: Pins{Image: "vllm/vllm-openai:v0.6.3.post1"}}, CodeEngineUnknown},
		{"the seed's second try", Case{ModelName: "openai/gpt-oss-20b", Pins: Pins{Image: "vllm/vllm-openai:latest", HostCUDA: cuda(12, 8)}}, CodeImageGate},
		{"gate met", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.9.0", HostCUDA: cuda(12, 8)}}, "works"},
		{"gate lowered by hand", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.9.0", HostCUDA: cuda(12, 4), Env: map[string]string{"NVIDIA_DISABLE_REQUIRE": "1"}}}, "works"},
		{"data-centre branch admitted", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.9.0", Driver: version.Driver{Branch: 550, Minor: 54}, GPU: "H100 SXM"}}, "works"},
		{"gate of an unknown image by its tag", Case{Pins: Pins{Image: "example/worker:cuda12.9-x", HostCUDA: cuda(12, 4)}}, CodeImageGate},
		{"stated transformers without the type", Case{ModelType: "glm4_moe", Pins: Pins{Engine: "vllm==0.10.0", Transformers: "4.53.2"}}, CodeTransformersUnknown},
		{"stated transformers with the type", Case{ModelType: "glm4_moe", Pins: Pins{Engine: "vllm==0.10.0", Transformers: "4.54.0"}}, "works"},
		{"transformers 5 too early", Case{Pins: Pins{Engine: "vllm==0.11.0", Transformers: "5.0.0"}}, CodeTransformersBound},
		{"class gone", Case{Architecture: "MllamaForConditionalGeneration", Pins: Pins{Engine: "vllm==0.11.0"}}, CodeRemoved},
		{"class in a hole", Case{Architecture: "Llama4ForCausalLM", Pins: Pins{Engine: "vllm==0.9.0"}}, CodeEngineUnknown},
		{"before 0.6", Case{Architecture: "Gemma2ForCausalLM", Pins: Pins{Engine: "vllm==0.4.3"}}, CodeEngineUnknown},
		{"no such build", Case{Pins: Pins{Engine: "vllm==0.21.0", WheelCUDA: "cu128", Install: "wheels"}}, CodeVariantMissing},
		{"torch of another major", Case{Pins: Pins{Engine: "vllm==0.22.0", WheelCUDA: "cu130", Install: "uv", Torch: "2.11.0+cu129"}}, CodeVariantMissing},
		{"torch of another release", Case{Pins: Pins{Engine: "vllm==0.8.5", Torch: "2.5.1"}}, CodeTorchABI},
		{"latest with an older torch is the release of that torch", Case{Closed: true, Date: "2024-09-20", Architecture: "Qwen2VLForConditionalGeneration", Engine: ParseEngineRef("vllm", "latest as of 2024-09-20"), Pins: Pins{Torch: "2.3.1+cu121"}}, CodeEngineUnknown},
		{"early extensions are of torch 2.1", Case{Pins: Pins{Engine: "vllm==0.2.4", Torch: "2.2.0+cu118"}}, CodeTorchABI},
		{"early extensions run with torch 2.1", Case{Pins: Pins{Engine: "vllm==0.2.4", Torch: "2.1.2"}}, "works"},
		{"a generation of a known class", Case{ModelName: "openbmb/MiniCPM-V-4_5", Pins: Pins{Engine: "vllm==0.10.1"}}, CodeEngineUnknown},
		{"a generation that is taken", Case{ModelName: "openbmb/MiniCPM-V-4_5", Pins: Pins{Engine: "vllm==0.10.2"}}, "works"},
		{"quantisation is checked before the first kernel", Case{Pins: Pins{Engine: "vllm==0.7.3", Capability: version.Capability{Major: 5, Minor: 2}, Flags: []string{"--quantization", "bitsandbytes"}}}, CodeQuantGPU},
		{"a kernel is missed before the ranks are", Case{ModelName: "Qwen/Qwen3-32B", Pins: Pins{Engine: "vllm==0.8.5", GPU: "RTX 5090", GPUs: 3, Flags: []string{"--tensor-parallel-size", "3"}}}, CodeCapability},
		{"Python too new", Case{Pins: Pins{Engine: "vllm==0.10.0", Python: "3.13"}}, CodePython},
		{"Python too old", Case{Pins: Pins{Engine: "vllm==0.32.0", Python: "3.10"}}, CodePython},
		{"glibc by the system's name", Case{Pins: Pins{Engine: "vllm==0.20.0", Install: "wheels", OS: "Ubuntu 20.04"}}, CodeGlibc},
		{"an image brings its own glibc", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.20.0", OS: "Ubuntu 20.04"}}, "works"},
		{"driver of the major before", Case{Pins: Pins{Engine: "vllm==0.20.0", Install: "wheels", Driver: version.Driver{Branch: 550}}}, CodeDriverMajor},
		{"GeForce takes no forward compatibility", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.5.0", Driver: version.Driver{Branch: 535, Minor: 171}, GPU: "RTX 4090"}}, CodeForwardCompat},
		{"an image no newer than the driver", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.4.2", Driver: version.Driver{Branch: 535, Minor: 171}, GPU: "RTX 4090"}}, "works"},
		{"a data-centre card takes it", Case{Pins: Pins{Image: "vllm/vllm-openai:v0.5.0", Driver: version.Driver{Branch: 535, Minor: 171}, GPU: "L40S"}}, "works"},
		{"any build may be taken", Case{Pins: Pins{Engine: "vllm==0.20.0", Driver: version.Driver{Branch: 550}}}, "works"},
		{"PTX on Blackwell", Case{Pins: Pins{Engine: "vllm==0.19.1", Install: "wheels", GPU: "RTX 5090", HostCUDA: cuda(12, 8)}}, CodeDriverTooOld},
		{"no code for Blackwell", Case{Pins: Pins{Engine: "vllm==0.8.5", GPU: "RTX 5090"}}, CodeCapability},
		{"no code for Volta", Case{Pins: Pins{Engine: "vllm==0.20.0", Capability: version.Capability{Major: 7}}}, CodeCapability},
		{"Pascal", Case{Pins: Pins{Engine: "vllm==0.6.0", GPU: "GTX 1080 Ti"}}, CodeCapability},
		{"sparse attention on Ampere", Case{Architecture: "DeepseekV32ForCausalLM", Pins: Pins{Engine: "vllm==0.13.0", GPU: "A100"}}, CodeCapability},
		{"MXFP4 on Turing", Case{ModelName: "openai/gpt-oss-20b", Pins: Pins{Engine: "vllm==0.12.0", GPU: "T4", GPUs: 1}}, CodeQuantGPU},
		{"GGUF needs its plugin", Case{Pins: Pins{Engine: "vllm==0.24.0", Flags: []string{"--quantization", "gguf"}}}, CodeQuantEngine},
		{"bfloat16 on Turing", Case{Pins: Pins{Engine: "vllm==0.10.2", GPU: "T4", Flags: []string{"--dtype", "bfloat16"}}}, CodeDType},
		{"heads", Case{ModelName: "Qwen2-57B-A14B-Instruct", Pins: Pins{Engine: "vllm==0.6.0", Flags: []string{"--tensor-parallel-size", "8"}}}, CodeTP},
		{"FP8 blocks", Case{ModelName: "Qwen/Qwen3-235B-A22B-FP8", Pins: Pins{Engine: "vllm==0.9.2", Flags: []string{"-tp", "8"}}}, CodeTP},
		{"weights", Case{ModelName: "meta-llama/Llama-3.3-70B-Instruct", Pins: Pins{Engine: "vllm==0.11.0", GPU: "L40S", GPUs: 1}}, CodeWeights},
		{"flag gone", Case{Pins: Pins{Engine: "vllm==0.13.0", Flags: []string{"--task", "embed"}}}, CodeFlagRemoved},
		{"flag not yet", Case{Pins: Pins{Engine: "vllm==0.12.0", Flags: []string{"--attention-backend", "FLASHINFER"}}}, CodeFlagUnknown},
		{"flag never", Case{Pins: Pins{Engine: "vllm==0.19.1", Flags: []string{"--max-model-length", "9"}}}, CodeFlagUnknown},
		{"parser not yet", Case{Pins: Pins{Engine: "vllm==0.10.0", Flags: []string{"--tool-call-parser", "glm45"}}}, CodeFlagUnknown},
		{"SGLang's wheels are per Python from 0.5.11 on", Case{Pins: Pins{Engine: "sglang==0.5.22", Install: "pip", Python: "3.10"}}, CodePython},
		{"SGLang was pure Python before", Case{Pins: Pins{Engine: "sglang==0.5.9", Install: "pip", Python: "3.13"}}, "works"},
		{"SGLang's wheels need glibc 2.34", Case{Pins: Pins{Engine: "sglang==0.5.12", Install: "pip", OS: "Ubuntu 20.04"}}, CodeGlibc},
		{"SGLang's kernels left Turing", Case{Pins: Pins{Engine: "sglang==0.5.3", GPU: "T4"}}, CodeCapability},
		{"SGLang learns a class later", Case{Closed: true, Date: "2025-04-16", Architecture: "Glm4ForCausalLM", Engine: ParseEngineRef("sglang", "latest as of 2025-04-16")}, CodeEngineUnknown},
		{"SGLang learns a class within weeks", Case{Closed: true, Date: "2025-06-16", Architecture: "Glm4ForCausalLM", Engine: ParseEngineRef("sglang", "latest as of 2025-06-16")}, "unknown"},
		{"SGLang's tool parser is none", Case{Pins: Pins{Engine: "sglang==0.4.6", Flags: []string{"--tool-call-parser", "glm45"}}}, CodeFlagUnknown},
		{"SGLang's attention backend on Ampere", Case{Pins: Pins{Engine: "sglang==0.5.5", GPU: "A100", Flags: []string{"--attention-backend", "fa3"}}}, "works"},
		{"SGLang's attention backend on the RTX 50", Case{Pins: Pins{Engine: "sglang==0.5.5", GPU: "RTX 5090", Flags: []string{"--attention-backend", "fa3"}}}, CodeCapability},
		{"an adapter's kernels on Volta", Case{Pins: Pins{Engine: "vllm==0.4.2", GPU: "V100", Flags: []string{"--enable-lora"}}}, CodeCapability},
		{"an adapter's kernels in Triton", Case{Pins: Pins{Engine: "vllm==0.5.4", GPU: "V100", Flags: []string{"--enable-lora"}}}, "works"},
		{"cached prefixes on Volta", Case{Pins: Pins{Engine: "vllm==0.5.5", GPU: "V100", Flags: []string{"--enable-prefix-caching"}}}, CodeCapability},
		{"transformers 5 before any release takes it", Case{Closed: true, Date: "2026-01-30", Pins: Pins{Image: "example/vllm-worker", Transformers: "5.0.0"}}, CodeTransformersBound},
		{"somebody's image for the model", Case{Closed: true, Date: "2025-09-20", ModelName: "Qwen/Qwen3-VL-8B-Instruct", Engine: ParseEngineRef("vllm", ""), Pins: Pins{Image: "qwenllm/qwenvl:qwen3vl-cu128"}}, "unknown"},
		{"early objects need the CUDA 11 runtime", Case{Pins: Pins{Engine: "vllm==0.2.0", Torch: "2.1.0"}}, CodeVariantMissing},
		{"objects newer than the wheel's tag", Case{Pins: Pins{Engine: "vllm==0.7.3", Install: "pip", OS: "CentOS 7"}}, CodeGlibc},
		{"heads of a model without a config", Case{ModelName: "gpt2-xl", Pins: Pins{Engine: "vllm==0.2.2", Flags: []string{"--tensor-parallel-size", "2"}}}, CodeTP},
		{"a size that many models divide by", Case{Closed: true, Pins: Pins{Engine: "vllm==0.6.0", Flags: []string{"--tensor-parallel-size", "8"}}}, "unknown"},
		{"a size that hardly any model divides by", Case{Closed: true, Pins: Pins{Engine: "vllm==0.6.0", Flags: []string{"--tensor-parallel-size", "6"}}}, CodeTP},
		{"weights in 32 bits", Case{ModelName: "Qwen/Qwen2-7B-Instruct", Pins: Pins{Engine: "vllm==0.4.3", GPU: "RTX 3090", GPUs: 1, Flags: []string{"--dtype", "float", "--max-model-len", "512"}}}, CodeWeights},
		{"a class of another engine's, with its own code", Case{Closed: true, Architecture: "LlavaQwenForCausalLM", Engine: ParseEngineRef("vllm", "0.13.0"), Pins: Pins{Flags: []string{"--trust-remote-code"}}}, CodeEngineUnknown},
		{"the libc of CentOS 7 under a torch that wants 2.28", Case{Closed: true, Date: "2025-03-27", Engine: ParseEngineRef("vllm", "latest as of 2025-03-27"), Pins: Pins{OS: "CentOS 7"}}, CodeGlibc},
		{"transformers' own code for a class to come", Case{ModelName: "HuggingFaceTB/SmolLM3-3B", Pins: Pins{Image: "vllm/vllm-openai:v0.10.0"}}, "works"},
		{"12.0 of CUDA 12.9 on 12.1", Case{Closed: true, Engine: ParseEngineRef("vllm", "0.21.0"), Pins: Pins{WheelCUDA: "cu129", GPU: "GB10"}}, "unknown"},
		{"a plan keeps CUDA 12.9 off 12.1", Case{Pins: Pins{Engine: "vllm==0.21.0", WheelCUDA: "cu129", GPU: "GB10"}}, CodeCapability},
		{"an image for one model, from the branch of CUDA 13's images", Case{Closed: true, Date: "2026-07-28", Pins: Pins{Image: "vllm/vllm-openai:cosmos3", HostCUDA: cuda(12, 6)}}, CodeImageGate},
		{"sparse attention of GLM-5.3-Flash on Ada", Case{Closed: true, Date: "2026-08-27", ModelType: "glm5_next", Architecture: "Glm5NextForConditionalGeneration", Pins: Pins{Image: "vllm/vllm-openai:glm53-flash-cu129", GPU: "RTX 4090"}}, CodeCapability},
		{"bitsandbytes over ranks", Case{Pins: Pins{Engine: "vllm==0.6.1.post2", GPUs: 8, Flags: []string{"--quantization", "bitsandbytes", "--tensor-parallel-size", "8"}}}, CodeQuantEngine},
		{"bitsandbytes over ranks, later", Case{Pins: Pins{Engine: "vllm==0.7.3", GPUs: 8, Flags: []string{"--quantization", "bitsandbytes", "--tensor-parallel-size", "8"}}}, "works"},
		{"stored by bitsandbytes, over ranks", Case{ModelName: "unsloth/DeepSeek-R1-Distill-Llama-70B-bnb-4bit", Pins: Pins{Engine: "vllm==0.7.3", GPUs: 8, Flags: []string{"--tensor-parallel-size", "8"}}}, CodeQuantEngine},
		{"transformers 5's candidate too early", Case{Pins: Pins{Engine: "vllm==0.13.0", Transformers: "5.0.0rc0"}}, CodeTransformersBound},
		{"a hybrid in FP8 keeps a quarter of the cache", Case{Closed: true, ModelName: "Qwen/Qwen3-Next-80B-A3B-Instruct-FP8", Engine: ParseEngineRef("vllm", "0.17.0"), Pins: Pins{GPU: "GB10", GPUs: 1, Flags: []string{"--max-model-len", "131072", "--gpu-memory-utilization", "0.7"}}}, "unknown"},
		{"groups of AWQ", Case{ModelName: "Qwen/Qwen2.5-VL-72B-Instruct-AWQ", Pins: Pins{Engine: "vllm==0.7.2", GPU: "A800", GPUs: 2, Flags: []string{"--tensor-parallel-size", "2"}}}, CodeTP},
		{"groups of GPTQ, widened, from a record", Case{ModelName: "Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", Pins: Pins{Engine: "vllm==0.7.2", GPU: "A800", GPUs: 2, Flags: []string{"--tensor-parallel-size", "2"}}}, "works"},
		{"groups of GPTQ, widened", Case{ModelName: "Qwen/Qwen2-72B-Instruct-GPTQ-Int4", Pins: Pins{Engine: "vllm==0.7.2", GPU: "A800", GPUs: 2, Flags: []string{"--tensor-parallel-size", "2"}}}, "works"},
		{"another project than SGLang", Case{Closed: true, Date: "2026-05-30", Engine: ParseEngineRef("sglang", "sglang-omni as of 2026-05-30"), Pins: Pins{Install: "uv", Python: "3.12"}}, "unknown"},
		{"the first releases did not fall back", Case{Closed: true, Date: "2023-08-10", ModelName: "baichuan-inc/Baichuan-13B-Chat", Engine: ParseEngineRef("vllm", "latest as of 2023-08-10"), Pins: Pins{GPU: "V100"}}, CodeDType},
		{"transformers 5.15 and Gemma 4", Case{Architecture: "Gemma4ForConditionalGeneration", Pins: Pins{Engine: "vllm==0.27.0", Transformers: "5.15.0"}}, CodeTransformersBound},
		{"an image that holds transformers 5.15, and Gemma 4", Case{Architecture: "Gemma4ForConditionalGeneration", Pins: Pins{Image: "vllm/vllm-openai:v0.27.1"}}, CodeTransformersBound},
		{"Gemma 4 from 0.28.0 on", Case{Architecture: "Gemma4ForConditionalGeneration", Pins: Pins{Engine: "vllm==0.28.0", Transformers: "5.15.1"}}, "works"},
		{"an FP8 cache on Ampere before FlashInfer", Case{Pins: Pins{Engine: "vllm==0.11.0", GPU: "RTX 3090", Flags: []string{"--kv-cache-dtype", "fp8"}}}, CodeQuantGPU},
		{"an FP8 cache on Ampere by FlashInfer", Case{Pins: Pins{Engine: "vllm==0.12.0", GPU: "RTX 3090", Flags: []string{"--kv-cache-dtype", "fp8"}}}, "works"},
		{"an FP8 cache on Turing by FlashInfer", Case{Pins: Pins{Engine: "vllm==0.23.0", GPU: "RTX 8000", Flags: []string{"--kv-cache-dtype", "fp8"}}}, "works"},
		{"no FP8 cache on Turing any more", Case{Pins: Pins{Engine: "vllm==0.24.0", GPU: "RTX 8000", Flags: []string{"--kv-cache-dtype", "fp8"}}}, CodeQuantGPU},
		{"no FP8 cache for sinks on Ampere", Case{ModelName: "openai/gpt-oss-20b", Pins: Pins{Engine: "vllm==0.20.0", GPU: "A100 PCIe", Flags: []string{"--kv-cache-dtype", "fp8"}}}, CodeQuantGPU},
		{"an NVFP4 cache on a GeForce", Case{Pins: Pins{Engine: "vllm==0.29.0", GPU: "RTX 5090", Flags: []string{"--kv-cache-dtype", "nvfp4"}}}, CodeQuantGPU},
		{"a flag that the first releases lack", Case{Pins: Pins{Engine: "vllm==0.5.0.post1", Flags: []string{"--enable-auto-tool-choice"}}}, CodeFlagUnknown},
		{"attention is chosen before the layers are cut", Case{ModelName: "zai-org/GLM-5.1-FP8", Closed: true, Engine: ParseEngineRef("vllm", "0.20.0"), Pins: Pins{GPU: "RTX 5090", GPUs: 32, Flags: []string{"--tensor-parallel-size", "32"}}}, CodeCapability},
		{"a context in the name", Case{Closed: true, ModelName: "NousResearch/Yarn-Mistral-7b-128k", Engine: ParseEngineRef("vllm", "0.4.0.post1"), Pins: Pins{GPU: "RTX 4090", GPUs: 1}}, CodeKV},
		{"unknown release", Case{Pins: Pins{Engine: "sglang==9.9.9", GPU: "made-up card"}}, "unknown"},
		{"nothing stated", Case{}, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.c.ModelName != "" {
				tt.c.Profile = FindProfile(tt.c.ModelName)
			}
			v := judger().Judge(tt.c)
			got := v.Code
			if v.Outcome != Refused {
				got = string(v.Outcome)
			}
			if got != tt.want {
				t.Fatalf("got %s (%s: %s), want %s", got, v.Outcome, v.Reason, tt.want)
			}
			if v.Outcome == Refused && len(v.Facts) == 0 {
				t.Error("a refusal without a fact")
			}
		})
	}
}

// A stated transformers that lacks the type speaks first, and the other reasons stand beside it.
func TestPrecedence(t *testing.T) {
	v := judger().Judge(Case{ModelName: "openai/gpt-oss-20b", Profile: FindProfile("openai/gpt-oss-20b"),
		Pins: Pins{Engine: "vllm==0.9.0", Transformers: "4.53.0", Flags: []string{"--max-model-length", "1"}}})
	if v.Code != CodeTransformersUnknown {
		t.Fatalf("code %s", v.Code)
	}
	var also []string
	for _, a := range v.Also {
		also = append(also, a.Code)
	}
	if !slices.Contains(also, CodeEngineUnknown) || !slices.Contains(also, CodeFlagUnknown) {
		t.Errorf("also %v", also)
	}
}

func TestParseEngineRef(t *testing.T) {
	for text, want := range map[string]string{
		"0.4.1+cu118": "0.4.1+cu118", "latest as of 2024-04-03": "moving 2024-04-03", "main as of 2025-10-09": "moving dev 2025-10-09", "<0.5.3": "bound",
		"nightly 2026-04-12": "moving dev 2026-04-12", "source build of 2025-04": "moving dev 2025-04-31", "0.13 / nightly of 2026-01-11": "moving dev 2026-01-11",
		"somebody's vLLM as of 2025-06-17 (<0.9.2)": "bound", "latest (v0.8.5)": "0.8.5", "before 0.7.1": "bound", "0.6.3+": "bound", "0.10.1–0.11.0": "0.11.0", "between 0.8.5 and 0.9.1": "0.9.1", "release 0.7.3": "0.7.3", "0.8.x": "bound", "a fork after commit c819": "",
	} {
		e := ParseEngineRef("vllm", text)
		got := ""
		switch {
		case !e.Exact.IsZero():
			got = e.Exact.String()
		case e.Bounded:
			got = "bound"
		case e.Moving:
			got = "moving"
			if e.Dev {
				got += " dev"
			}
			got += " " + e.AsOf
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParsePasted(t *testing.T) {
	tests := []struct{ line, model, engine, image, flags string }{
		{"docker run --rm --gpus all -p 8000:8000 -e HF_TOKEN=x --ipc=host vllm/vllm-openai:v0.6.3.post1 --model openai/gpt-oss-20b --max-model-len 8192", "openai/gpt-oss-20b", "", "vllm/vllm-openai:v0.6.3.post1", "--max-model-len 8192"},
		{"VLLM_USE_V1=0 vllm serve Qwen/Qwen3-8B --task embed", "Qwen/Qwen3-8B", "vllm", "", "--task embed"},
		{"python3 -m vllm.entrypoints.openai.api_server --model=a/b --dtype half", "a/b", "vllm", "", "--dtype half"},
		{"pip install vllm==0.9.0 transformers==4.54.1 && vllm serve a/b", "a/b", "vllm==0.9.0", "", ""},
		{"python -m sglang.launch_server --model-path a/b --tp 4", "a/b", "sglang", "", "--tp 4"},
		{"docker run lmsysorg/sglang:v0.5.9 python3 -m sglang.launch_server --model-path a/b --tp 2", "a/b", "", "lmsysorg/sglang:v0.5.9", "--tp 2"},
	}
	for _, tt := range tests {
		p, ok, err := ParsePasted(strings.Fields(tt.line))
		if err != nil || !ok {
			t.Errorf("%s: ok %v, %v", tt.line, ok, err)
			continue
		}
		if p.Model != tt.model || p.Case.Image != tt.image || strings.Join(p.Case.Flags, " ") != tt.flags || !strings.HasPrefix(p.Case.Pins.Engine, tt.engine) {
			t.Errorf("%s: model %q engine %q image %q flags %q", tt.line, p.Model, p.Case.Pins.Engine, p.Case.Image, p.Case.Flags)
		}
	}
	if _, ok, _ := ParsePasted([]string{"--max-model-len", "1"}); ok {
		t.Error("plain flags are no pasted line")
	}
}

// The overlay of a winning stack: flags are not inherited, a change of nothing stated is not judged, another engine
// version is another image.
func TestWinningCase(t *testing.T) {
	i, err := ParseIncident([]byte(`{"id":"x","date":"2026-01-01","engine":"vllm","losing":{"engine_version":"0.9.0","image":"vllm/vllm-openai:v0.9.0","flags":"--task embed"},"host":{"gpu":"T4"},"winning":{"change":"words"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := i.WinningCase(nil); ok {
		t.Error("a change of words alone was judged")
	}
	i.Winning = map[string]any{"engine_version": "0.9.2"}
	c, ok := i.WinningCase(nil)
	if !ok || c.Engine.Exact.String() != "0.9.2" || c.Image != "" || len(c.FlagsAs.List) != 0 || c.GPU != "T4" {
		t.Errorf("%v %+v", ok, c)
	}
	for _, bad := range []string{"", "{", `{"date":"2026-01-01"}`, "[]"} {
		if _, err := ParseIncident([]byte(bad)); err == nil {
			t.Errorf("%q is an incident", bad)
		}
	}
}

func TestFindProfileBySibling(t *testing.T) {
	for _, n := range []string{"google/gemma-3-27b-it", "LLM-Research/gemma-3-27b-it (ModelScope)", "DeepSeek-Coder-V2-Lite-Instruct", "deepseek-ai/DeepSeek-R1-0528"} {
		if FindProfile(n) == nil {
			t.Errorf("%s has no profile", n)
		}
	}
	if FindProfile("nobody/nothing") != nil || FindProfile("") != nil {
		t.Error("a profile of nothing")
	}
}

func TestParseFlagText(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"tensor parallel size 4, max context length of 131072":       {"tensor-parallel-size": "4", "max-model-len": "131072"},
		"tensor_parallel 8, quantization modelopt":                   {"tensor-parallel-size": "8", "quantization": "modelopt"},
		"fp8 KV cache; GPU memory utilisation 0.92, enforce eager":   {"kv-cache-dtype": "fp8", "gpu-memory-utilization": "0.92", "enforce-eager": "True"},
		"tensor_parallel_size: 2\nmax-model-len: 8192":               {"tensor-parallel-size": "2", "max-model-len": "8192"},
		"--max-model-len 29000 (utilization 0.90)":                   {"max-model-len": "29000", "gpu-memory-utilization": "0.90"},
		"--context-length 65536 --kv-cache-dtype fp8 --model a/b:v1": {"max-model-len": "65536", "kv-cache-dtype": "fp8", "model": "a/b:v1"},
	} {
		f := ParseFlagText(text)
		if len(f.List) != len(want) {
			t.Errorf("%q: %+v", text, f.List)
		}
		for name, value := range want {
			if got, _ := f.Get(name); got != value {
				t.Errorf("%q: %s is %q, want %q", text, name, got, value)
			}
		}
	}
}
