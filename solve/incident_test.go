package solve

import (
	"bufio"
	"os"
	"testing"
)

// Reports of public issue threads, written down before the rules were tried on them: the losing stack is refused for
// the reason the report names, and the stack that won is not refused.
func TestReportedIncidents(t *testing.T) {
	f, err := os.Open("testdata/incidents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, winners := 0, 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		i, err := ParseIncident(sc.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		n++
		v := judger().Judge(i.LosingCase(FindProfile))
		if v.Outcome != Refused || v.Code != i.Reason {
			t.Errorf("%s: %s (%s), reported %s", i.ID, v.Code, v.Reason, i.Reason)
		}
		if len(v.Facts) == 0 {
			t.Errorf("%s: refused without a fact", i.ID)
		}
		if c, ok := i.WinningCase(FindProfile); ok {
			winners++
			if v := judger().Judge(c); v.Outcome == Refused {
				t.Errorf("%s: the stack that won is refused: %s (%s)", i.ID, v.Code, v.Reason)
			}
		}
	}
	if n < 50 || winners < 10 {
		t.Errorf("%d reports and %d winners were read", n, winners)
	}
}

// What the rules must leave alone: neighbours of refused stacks that work.
func TestNotRefused(t *testing.T) {
	stack := func(engine string) incidentStack { return incidentStack{EngineVersion: engine} }
	with := func(s incidentStack, flags string) incidentStack { s.Flags = flags; return s }
	image := func(ref string) incidentStack { return incidentStack{Image: ref, Install: "image"} }
	host := func(gpu string, n int) incidentHost { return incidentHost{GPU: gpu, GPUCount: n} }
	for _, c := range []struct {
		name string
		i    Incident
	}{
		{"FP8 on Turing from 0.14", Incident{Model: "RedHatAI/Qwen3-8B-FP8", Losing: stack("0.14.0"), Host: host("RTX 2080 Ti", 2)}},
		{"W4A16 on Turing from 0.12", Incident{Model: "RedHatAI/Qwen3-8B-quantized.w4a16", Losing: stack("0.12.0"), Host: host("T4", 1)}},
		{"NVFP4 on Ampere", Incident{Model: "nvidia/Qwen3-30B-A3B-NVFP4", Losing: with(stack("0.13.0"), "--max-model-len 4096"), Host: host("A100", 1)}},
		{"NVFP4 experts on 12.0", Incident{Model: "nvidia/Qwen3-30B-A3B-NVFP4", Losing: with(stack("0.13.0"), "--max-model-len 4096"), Host: host("RTX 5090", 1)}},
		{"gpt-oss with Triton chosen", Incident{Date: "2025-08-06", Model: "openai/gpt-oss-20b", Losing: with(image("vllm/vllm-openai:gptoss"), "VLLM_ATTENTION_BACKEND=TRITON_ATTN_VLLM_V1 --max-model-len 4096"), Host: host("RTX 4090", 1)}},
		{"gpt-oss on Ampere from its release on", Incident{Model: "openai/gpt-oss-120b", Losing: with(stack("0.10.1.1"), "--tensor-parallel-size 4 --max-model-len 16384"), Host: host("A100 80GB", 4)}},
		{"a vendor's build on GB10", Incident{Model: "openai/gpt-oss-20b", Losing: with(stack("0.13.0+faa43dbf.nv26.01"), "--max-model-len 8192"), Host: host("GB10", 1)}},
		{"gpt-oss on Hopper", Incident{Date: "2025-08-20", Model: "openai/gpt-oss-20b", Losing: stack("0.10.1"), Host: host("H100", 1)}},
		{"ptxas named", Incident{Losing: with(stack("0.13.0"), "TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas"), Host: host("GB10", 1)}},
		{"ptxas new enough", Incident{Losing: stack("0.24.0"), Host: host("GB10", 1)}},
		{"library path set by hand", Incident{Losing: incidentStack{Image: "vllm/vllm-openai:v0.15.0", Install: "image", Flags: "LD_LIBRARY_PATH=/usr/local/nvidia/lib64"}, Host: incidentHost{Driver: "580.95.05"}}},
		{"V100 of 32 GB", Incident{Model: "meta-llama/Meta-Llama-3-8B-Instruct", Losing: with(stack("0.6.3"), "--dtype half --max-model-len 4096"), Host: incidentHost{GPU: "V100", GPUCount: 1, VRAMGB: 32}}},
		{"V100 of an unsaid size", Incident{Model: "meta-llama/Meta-Llama-3-8B-Instruct", Losing: with(stack("0.6.3"), "--dtype half --max-model-len 4096"), Host: host("V100", 1)}},
		{"shared expert that divides", Incident{Model: "Qwen/Qwen3.6-35B-A3B-FP8", Losing: with(stack("0.25.0"), "--tensor-parallel-size 4 --max-model-len 4096"), Host: host("H100", 4)}},
		{"GLM's FP8 is not stored in blocks", Incident{Model: "zai-org/GLM-4.5-FP8", Losing: with(stack("0.10.1"), "--tensor-parallel-size 8 --max-model-len 4096"), Host: host("H200", 8)}},
		{"Kimi K2 Thinking is INT4", Incident{Model: "moonshotai/Kimi-K2-Thinking", Losing: with(stack("0.12.0"), "--tensor-parallel-size 8 --max-model-len 4096"), Host: host("H200", 8)}},
		{"MiniMax M2 is FP8", Incident{Model: "MiniMaxAI/MiniMax-M2", Losing: with(stack("0.19.0"), "--tensor-parallel-size 4 --max-model-len 4096"), Host: host("H100", 4)}},
		{"gate met by an early image", Incident{Losing: image("vllm/vllm-openai:v0.5.0"), Host: incidentHost{GPU: "V100", Driver: "550.54.15"}}},
		{"latest, a day before its class", Incident{Date: "2026-08-28", Model: "Qwen/Qwen3.8-Flash-Next-FP8", Losing: stack("latest as of 2026-08-28"), Host: host("H200", 1)}},
		{"a build from the branch of transformers", Incident{Model: "Qwen/Qwen3-8B", Losing: incidentStack{EngineVersion: "0.14.0", Transformers: "5.0.0.dev0"}}},
		{"SGLang's FP8 experts on Hopper", Incident{Engine: "sglang", Model: "Qwen/Qwen3-30B-A3B-FP8", Losing: with(stack("0.4.6.post1"), "--tp 2"), Host: host("H100", 2)}},
		{"a fork for Pascal", Incident{Losing: with(incidentStack{EngineVersion: "0.8.1", Image: "ghcr.io/sasha0552/vllm:v0.8.1", Install: "image"}, "--dtype=half"), Host: host("Tesla P40", 1)}},
	} {
		if c.i.Engine == "" {
			c.i.Engine = "vllm"
		}
		if v := judger().Judge(c.i.LosingCase(FindProfile)); v.Outcome == Refused {
			t.Errorf("%s: refused: %s (%s)", c.name, v.Code, v.Reason)
		}
	}
}
