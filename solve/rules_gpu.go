package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

func capOf(major, minor int) version.Capability {
	return version.Capability{Major: major, Minor: minor}
}

// cardFact states what is known of the card.
func (s *subject) cardFact() catalog.Fact {
	switch {
	case s.gpu.full != nil && s.gpu.full.Capability == s.gpu.capability:
		return s.gpu.full.Fact()
	case s.gpu.known && s.gpu.card.Capability == s.gpu.capability:
		return reported("gpu/"+strings.ReplaceAll(s.gpu.card.Name, " ", "-"), fmt.Sprintf("%s has compute capability %s", s.gpu.name, s.gpu.capability), catalog.CardSource, "2026-11-25")
	}
	return s.says("capability", "the card has compute capability %s", s.gpu.capability)
}

func (s *subject) cardName() string {
	if s.gpu.name != "" {
		return fmt.Sprintf("%s (compute capability %s)", s.gpu.name, s.gpu.capability)
	}
	return "compute capability " + s.gpu.capability.String()
}

func (s *subject) capabilityFinding(reason string, facts ...catalog.Fact) finding {
	return finding{code: CodeCapability, reason: reason, facts: append(facts, s.cardFact())}
}

// basic marks findings about the build as a whole.
func basic(rule rule) rule {
	return func(s *subject) []finding {
		out := rule(s)
		for i := range out {
			out[i].early = true
		}
		return out
	}
}

// ownBuild reports whether the engine was compiled for this very machine, so that upstream's list of architectures
// says nothing.
func (s *subject) ownBuild() bool {
	t := strings.ToLower(s.c.Engine.Text + " " + s.c.Image + " " + s.image.Text)
	return s.fork || s.c.Install == "source" || s.arm && s.hasImage && !s.official || strings.Contains(t, "source") || strings.Contains(t, "arch list") || strings.Contains(t, "self-built") || localBuild(s.version.Local()) || localBuild(s.stated.Local())
}

// localBuild reports whether a version's local part names a commit or a vendor ("g1a2b3c", "faa43dbf.nv26.01") rather
// than one of upstream's CUDA builds.
func localBuild(local string) bool {
	return local != "" && !strings.HasPrefix(local, "cu") && !strings.HasPrefix(local, "cpu") && !strings.HasPrefix(local, "precompiled")
}

// ruleCapability: the machine code inside the build.
func ruleCapability(s *subject) []finding {
	c := s.gpu.capability
	if c.IsZero() || s.engine == catalog.VLLMCPU || s.variantText == "cpu" {
		return nil
	}
	if c.Compare(capOf(7, 0)) < 0 && s.madeForPascal() {
		return nil
	}
	if c.Compare(capOf(7, 0)) < 0 && (s.release != nil || s.fork || s.c.Engine.Text != "") {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s is below 7.0, the lowest capability Triton and the engine's kernels are made for", s.cardName()),
			reported("triton/7.0", "Triton, which torch.compile and the engine's kernels use, needs compute capability 7.0", "https://github.com/triton-lang/triton#compatibility", "2026-11-25"))}
	}
	if s.engine == catalog.SGLang && c.Compare(capOf(7, 5)) < 0 && (s.release != nil || s.c.Engine.Text != "") {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s: SGLang needs 7.5", s.cardName()),
			reported("sglang/sm75", "SGLang's kernels need compute capability 7.5", "https://docs.sglang.ai/get_started/install.html", "2026-11-25"))}
	}
	if s.release == nil || s.engine != catalog.VLLM || s.ownBuild() {
		return nil
	}
	if !s.release.MinCapability.IsZero() && !s.atMost && c.Compare(s.release.MinCapability) < 0 {
		f := s.capabilityFinding(fmt.Sprintf("%s is below %s, the lowest that %s is built for", s.cardName(), s.release.MinCapability, s.label()), s.release.Fact(catalog.AspectCapability))
		if c.Compare(capOf(7, 0)) >= 0 {
			f.hints = []problem.Hint{{Text: "vLLM 0.19.1 is the last release built for 7.0"}}
		}
		return []finding{f}
	}
	if c.Major == 12 && s.before("0.9.2") {
		f := s.capabilityFinding(fmt.Sprintf("%s holds no code for %s; 0.9.2 is the first that does", s.label(), s.cardName()), s.release.Fact(catalog.AspectCode))
		f.hints = []problem.Hint{{Text: "take vllm==0.9.2 or newer"}}
		return []finding{f}
	}
	if f, ok := s.oldAssembler(); ok {
		return []finding{f}
	}
	if c == capOf(8, 7) && s.before("0.16.0") && (!s.hasImage || s.official) {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s holds no code for %s, and code for desktop cards does not run on Tegra", s.label(), s.cardName()),
			reported("vllm/8.7", "vLLM's builds of 2025 hold no code for compute capability 8.7 (Jetson Orin); machine code of desktop cards does not run on Tegra", "https://github.com/vllm-project/vllm/pull/19328, https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility", "2025-06-08"))}
	}
	if s.arm && c.Major == 11 && s.since("0.25.0") {
		return nil // the aarch64 builds have a list of their own, with 11.0 in CUDA 13
	}
	if s.c.Closed && c == capOf(12, 1) && s.variant != nil && s.variant.CUDA == (version.CUDA{Major: 12, Minor: 9}) {
		s.miss = append(s.miss, "whether a kernel it needs was built for 12.0 alone") // most of a CUDA 12.9 build runs on 12.1: vllm 43367
		return nil
	}
	variants := s.possibleVariants()
	if len(variants) == 0 || slices.ContainsFunc(variants, func(v catalog.Variant) bool { return v.Covers(c) != catalog.Absent }) {
		return nil
	}
	f := s.capabilityFinding(fmt.Sprintf("the CUDA %s build of %s holds no code that %s runs", variants[0].CUDA, s.label(), s.cardName()), s.release.Fact(catalog.AspectCode))
	for _, v := range s.release.Variants {
		if v.Covers(c) == catalog.Present {
			f.hints = []problem.Hint{{Text: "the CUDA " + v.CUDA.String() + " build does"}}
			break
		}
	}
	return []finding{f}
}

// oldAssembler: Triton brings its own ptxas, which must know the card.
func (s *subject) oldAssembler() (finding, bool) {
	c, torch := s.gpu.capability, s.torch.Exact
	if torch.IsZero() {
		torch = s.release.Torch
	}
	if c != capOf(12, 1) && c != capOf(11, 0) || torch.IsZero() || torch.Compare(version.MustParsePEP440("2.10.0")) >= 0 || s.atMost || s.hasImage && !s.official ||
		s.flags.Env["TRITON_PTXAS_PATH"] != "" || s.flags.Has("enforce-eager") {
		return finding{}, false
	}
	f := s.capabilityFinding(fmt.Sprintf("the ptxas inside Triton, as torch %s brings it, does not know %s", torch.Public(), s.cardName()),
		reported("triton/ptxas/12.8", "Triton up to 3.5 (torch up to 2.9) assembles with CUDA 12.8's ptxas, which knows neither sm_110a nor sm_121a; TRITON_PTXAS_PATH names a newer one", "https://github.com/vllm-project/vllm/pull/32704, https://github.com/vllm-project/vllm/issues/29469", "2026-01-20"))
	f.hints = []problem.Hint{{Text: "TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas of CUDA 13, or a release with torch 2.10"}}
	return f, true
}

// madeForPascal: somebody's build for old cards, of the days when the V0 engine ran without Triton's kernels.
func (s *subject) madeForPascal() bool {
	t := strings.ToLower(s.image.Text + " " + s.c.Engine.Text)
	return (strings.Contains(t, "pascal") || strings.HasPrefix(s.image.Repository, "ghcr.io/sasha0552/")) && !s.stated.IsZero() && s.before("0.9.0")
}

// possibleVariants are the builds that may be in use.
func (s *subject) possibleVariants() []catalog.Variant {
	if s.variant != nil {
		return []catalog.Variant{*s.variant}
	}
	if s.release == nil || s.variantText != "" {
		return nil
	}
	if c := s.buildCUDA; !c.IsZero() && !s.wheels {
		v, ok := s.release.Variant(version.CUDA{})
		if !ok {
			return nil
		}
		v.CUDA, v.TorchCUDA = c, c // an image built with a toolkit that no wheel has
		return []catalog.Variant{v}
	}
	return s.release.Variants
}

// ruleTorchCapability: the machine code inside torch, which does most of the work.
func ruleTorchCapability(s *subject) []finding {
	c := s.gpu.capability
	if c.IsZero() || s.release == nil || s.ownBuild() || s.engine == catalog.VLLMCPU {
		return nil
	}
	best := s.torchCUDA
	if best.IsZero() {
		for _, v := range s.possibleVariants() {
			t := v.CUDA
			if v.Default && s.onIndex {
				t = v.TorchCUDA
			}
			if c.Major >= 10 && t.Compare(best) > 0 || c.Major < 10 && (best.IsZero() || t.Compare(best) < 0) {
				best = t
			}
		}
		if s.engine == catalog.SGLang && s.variant == nil && len(s.release.Variants) == 0 {
			return nil
		}
	}
	if best.IsZero() {
		return nil
	}
	const source = "https://github.com/pytorch/pytorch/issues/157517"
	if c.Major >= 10 && s.official && s.exact && s.torch.CUDA.IsZero() && s.version.Public().Compare(version.MustParsePEP440("0.10.0")) == 0 {
		return []finding{s.capabilityFinding(fmt.Sprintf("the torch inside the image of 0.10.0 holds no code for %s", s.cardName()),
			reported("vllm/0.10.0/image-torch", "torch in the image v0.10.0 lists sm_50 to sm_90 only; v0.9.2 and 0.10.1 hold code for Blackwell", "https://github.com/vllm-project/vllm/issues/21633, https://github.com/vllm-project/vllm/issues/14452", "2025-07-28"))}
	}
	switch {
	case c.Major >= 10 && best.Compare(version.CUDA{Major: 12, Minor: 8}) < 0:
		f := s.capabilityFinding(fmt.Sprintf("torch built with CUDA %s, as %s has it, holds no code for %s; Blackwell needs CUDA 12.8", best, s.label(), s.cardName()),
			reported("torch/archs/blackwell", "torch holds code for compute capabilities 10.0 and 12.0 only in builds with CUDA 12.8 or newer", source, "2025-07-03"))
		return []finding{f}
	case c == capOf(7, 0) && best.Compare(version.CUDA{Major: 12, Minor: 8}) == 0 && s.torchMinor() == "2.7" && !s.atMost:
		return []finding{s.capabilityFinding(fmt.Sprintf("torch 2.7 built with CUDA 12.8, as %s has it, holds no code for %s", s.label(), s.cardName()),
			reported("torch/2.7/archs/12.8", "torch 2.7 with CUDA 12.8 holds code for 7.5, 8.0, 8.6, 9.0, 10.0 and 12.0", source, "2025-07-03"))}
	case c.Compare(capOf(7, 5)) < 0 && best.Major >= 13 && !s.atMost:
		return []finding{s.capabilityFinding(fmt.Sprintf("CUDA %d, which %s is built with, no longer supports %s", best.Major, s.label(), s.cardName()),
			reported("cuda/13/archs", "CUDA 13 dropped compute capabilities below 7.5", "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/", "2026-11-23"))}
	}
	return nil
}

func (s *subject) torchMinor() string {
	v := s.torch.Exact
	if v.IsZero() {
		v = s.release.Torch
	}
	if r := v.Release(); len(r) > 1 {
		return fmt.Sprintf("%d.%d", r[0], r[1])
	}
	return ""
}

// headDim is the widest attention head; 0 unknown.
func (s *subject) headDim() int {
	d := 0
	if s.profile != nil {
		d = max(s.profile.HeadDim, s.profile.FullHeadDim)
	}
	if s.named.Shape != nil {
		d = max(d, s.named.Shape.HeadDim)
	}
	if s.modelType == "gemma4" || s.modelType == "gemma4_unified" {
		d = max(d, 512)
	}
	return d
}

// sparseMLA reports whether the class uses DeepSeek's sparse attention.
func (s *subject) sparseMLA() bool {
	switch s.architecture {
	case "DeepseekV32ForCausalLM", "DeepseekV4ForCausalLM", "DeepseekV4ForConditionalGeneration", "DeepseekV41ForCausalLM", "GlmMoeDsaForCausalLM", "Glm5NextForConditionalGeneration":
		return true
	}
	return false
}

// ruleAttention: attention kernels that do not exist for the card.
func ruleAttention(s *subject) []finding {
	c := s.gpu.capability
	if c.IsZero() || s.fork && familyInImage(s.image) == "" || s.release == nil && familyInImage(s.image) == "" {
		return nil
	}
	var out []finding
	add := func(reason string, f catalog.Fact) { out = append(out, s.capabilityFinding(reason, f)) }
	if s.engine == catalog.VLLM {
		old := c.Compare(capOf(8, 0)) < 0
		v1 := s.flags.Env["VLLM_USE_V1"]
		switch {
		case old && v1 == "1" && s.before("0.11.0"):
			add(fmt.Sprintf("the V1 engine of %s needs compute capability 8.0, %s has less", s.label(), s.cardName()),
				reported("vllm/v1/8.0", "the V1 engine ran on FlashAttention 2, which needs compute capability 8.0; lower ones fell back to V0 while there was one", "https://github.com/vllm-project/vllm/issues/13398", "2025-02-17"))
		case s.loraKernel():
			add(fmt.Sprintf("the LoRA kernels of %s need compute capability 8.0, %s has less", s.label(), s.cardName()),
				reported("vllm/punica/8.0", "the LoRA kernels (Punica) of vLLM 0.3.0 to 0.5.3.post1 say that they require compute capability 8.0; from 0.5.4 on they are Triton's", "package index: wheels of vllm 0.3.0 to 0.6.0, vllm/lora/punica.py", "2026-11-25"))
		case s.prefixKernel():
			add(fmt.Sprintf("the Triton kernel for cached prefixes and chunked prompts of %s does not compile for %s", s.label(), s.cardName()),
				reported("vllm/prefix-kernel/7.x", "the V0 engine's Triton kernel for prefix caching and chunked prefill fails on Volta (mma -> mma layout conversion is only supported on Ampere), with Triton 2 on Turing too", "https://github.com/vllm-project/vllm/issues/4059, https://github.com/vllm-project/vllm/issues/8024, https://github.com/vllm-project/vllm/issues/13738", "2025-02-24"))
		case old && s.backendIs("FLASH_ATTN"):
			add("FlashAttention needs compute capability 8.0", reported("vllm/fa2/8.0", "FlashAttention 2 needs compute capability 8.0", "https://github.com/Dao-AILab/flash-attention#nvidia-cuda-support", "2026-11-25"))
		case old && s.backendIs("FLASHINFER") && !s.before("0.4.3") && s.before("0.11.0"):
			add("the FlashInfer backend of these releases calls FlashAttention for the prompt, which needs compute capability 8.0",
				reported("vllm/flashinfer/8.0", "with VLLM_ATTENTION_BACKEND=FLASHINFER cards below compute capability 8.0 fail with FlashAttention's demand for Ampere, reported from 0.5.5 to 0.10.0", "https://github.com/vllm-project/vllm/issues/8189, https://github.com/vllm-project/vllm/issues/8091", "2025-08-16"))
		case s.backendIs("FLASHINFER") && s.headDim() > 256:
			add(fmt.Sprintf("FlashInfer has no kernel for attention heads of %d", s.headDim()),
				reported("vllm/flashinfer/heads", "vLLM's FlashInfer backend takes attention heads of 64, 128 and 256", "https://github.com/vllm-project/vllm/issues/40677", "2026-04-23"))
		case old && s.exact && !s.before("0.10.0") && s.before("0.10.2") && v1 != "0":
			add(fmt.Sprintf("%s does not serve cards below compute capability 8.0: its V1 engine calls FlashAttention 2", s.label()),
				reported("vllm/0.10/turing", "vLLM 0.10.0 fails on T4 and RTX 2080 Ti with FlashAttention's demand for Ampere; 0.9.2 runs", "https://github.com/vllm-project/vllm/issues/8189, https://github.com/OpenPipe/ART/issues/322", "2025-08-16"))
		case old && s.headDim() >= 256 && s.since("0.11.0"):
			add(fmt.Sprintf("attention heads of %d need more shared memory than the 64 KiB of %s", s.headDim(), s.cardName()),
				reported("vllm/triton-attention/64k", "the Triton attention kernel asks for 80 KiB of shared memory at head size 256 and 96 KiB at 512; compute capability 7.x has 64 KiB", "https://github.com/vllm-project/vllm/issues/36802, https://github.com/vllm-project/vllm/issues/57712", "2026-09-19"))
			out[len(out)-1].runs = s.c.Closed // who reports it met what the account of memory tells before; who plans is told first what no flag mends
		}
		if s.modelType == "gpt_oss" && s.sinksMissing() {
			add("gpt-oss needs attention sinks, which this image has in FlashAttention 3 (9.0) and the TRT-LLM kernels (10.0) unless Triton is chosen",
				reported("vllm/sinks/image", "the first gpt-oss image chooses FlashAttention on cards below 9.0 and on 12.x, whose version 2 has no sinks; VLLM_ATTENTION_BACKEND=TRITON_ATTN_VLLM_V1 avoids it", "https://github.com/vllm-project/vllm/issues/22331", "2025-08-06"))
		} else if s.modelType == "gpt_oss" && (s.backendIs("FLASHINFER") && c.Major != 10 || s.backendIs("XFORMERS") || s.backendIs("FLASH_ATTN") && c.Major != 9) {
			add("gpt-oss needs attention sinks, which the forced backend does not have on this card",
				reported("vllm/sinks", "attention sinks run on FlashAttention 3 (9.0), TRT-LLM kernels (10.0) and Triton; FlashAttention 2 and xformers have none", "https://github.com/vllm-project/vllm/issues/28589", "2025-11-12"))
		}
	}
	if s.sparseMLA() && s.isVLLM() {
		const source = "https://github.com/vllm-project/vllm/issues/31936, https://github.com/vllm-project/vllm/issues/57144, https://github.com/vllm-project/vllm/issues/54059"
		switch {
		case c.Major < 9:
			add(fmt.Sprintf("%s needs DeepSeek's sparse attention, whose kernels exist for compute capability 9.0 and newer, not for %s", s.architecture, s.cardName()),
				reported("vllm/dsa/9.0", "DeepSeek sparse attention (FlashMLA, DeepGEMM indexer) has no kernels below compute capability 9.0", source, "2026-09-16"))
		case c.Major == 12 && s.before("0.25.0"):
			add(fmt.Sprintf("%s needs DeepSeek's sparse attention, which %s has for 9.0 and 10.x only, not for %s", s.architecture, s.label(), s.cardName()),
				reported("vllm/dsa/12", "the sparse attention indexer needs DeepGEMM, which had no kernels for compute capability 12.x before ports of mid-2026", source, "2026-07-10"))
		}
	}
	return out
}

// prefixKernel: the V0 engine's kernel for prompts that begin with cached tokens, on cards that its Triton does not compile it for.
func (s *subject) prefixKernel() bool {
	if !s.flags.Has("enable-prefix-caching") && !s.flags.Has("enable-chunked-prefill") || s.release == nil || s.before("0.3.1") || s.atMost {
		return false
	}
	switch s.gpu.capability {
	case capOf(7, 0):
		return s.before("0.9.0")
	case capOf(7, 5):
		return s.before("0.5.0") // whose Triton is 2.x
	}
	return false
}

// loraKernel: the kernels of a LoRA adapter before they were Triton's, which were built for 8.0 and newer only.
func (s *subject) loraKernel() bool {
	c := s.gpu.capability
	return s.flags.Has("enable-lora") && s.isVLLM() && s.release != nil && !s.before("0.3.0") && s.before("0.5.4") && !s.atMost && !c.IsZero() && c.Compare(capOf(8, 0)) < 0
}

// sinksMissing: the first image with gpt-oss, on a card for which they choose an attention without sinks.
func (s *subject) sinksMissing() bool {
	c := s.gpu.capability
	if c.Major == 9 || c.Major == 10 || c.Compare(capOf(8, 0)) < 0 {
		return false
	}
	if v := s.flags.Env["VLLM_ATTENTION_BACKEND"]; v != "" && !s.backendIs("FLASH_ATTN") && !s.backendIs("FLASH_ATTN_VLLM_V1") {
		return false
	}
	return familyInImage(s.image) != "" && s.day < "2025-08-18" // the day of 0.10.1, which chooses Triton itself
}
