package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/problem"
	"justright/version"
)

// Rules about SGLang alone: its parser's names, its wheels and kernels, its attention backends. What is said of a release was read out of
// its wheel (catalog/data/sglang.json).

// ruleSGLangNames: flags, parsers, quantisation methods and attention backends against what the release's parser takes.
func ruleSGLangNames(s *subject) []finding {
	if s.engine != catalog.SGLang || s.release == nil || s.atMost || s.fork || s.dev {
		return nil
	}
	var out []finding
	v := s.version.Public()
	for _, f := range s.flags.List {
		if strings.HasPrefix(f.Given, "--") && !strings.Contains(f.Given, "_") {
			if g, ok := s.sglangFlag(f, v); ok {
				out = append(out, g)
			}
		}
	}
	for _, q := range []struct {
		flag string
		kind catalog.NameKind
		code string
	}{
		{"tool-call-parser", catalog.ToolParsers, CodeFlagUnknown}, {"reasoning-parser", catalog.ReasoningParsers, CodeFlagUnknown},
		{"attention-backend", catalog.AttentionBackends, CodeFlagUnknown}, {"quantization", catalog.QuantMethods, CodeQuantEngine},
	} {
		value, ok := s.flags.Get(q.flag)
		have := s.j.s.SGLangNames(q.kind, v)
		if !ok || value == "" || len(have) == 0 || slices.Contains(have, value) {
			continue
		}
		n, known := s.j.s.SGLangNamed(q.kind, value)
		g := finding{code: q.code, at: "--" + q.flag + " " + value, reason: fmt.Sprintf("%s has no %q for --%s", s.label(), value, q.flag),
			hints: []problem.Hint{{Text: "there are: " + strings.Join(have, ", ")}}}
		switch {
		case !known:
			g.facts = []catalog.Fact{{ID: catalog.FactID("sglang/" + string(q.kind) + "/" + value), Standing: catalog.Derived, Date: s.release.Released, Source: "PyPI wheels of sglang: server_args.py and the parsers beside it",
				Statement: fmt.Sprintf("SGLang %s takes for --%s: %s", v, q.flag, strings.Join(have, ", "))}}
		case n.Releases.First().Compare(v) > 0:
			g.facts = []catalog.Fact{n.Fact()}
			g.reason += fmt.Sprintf("; it came in %s", n.Releases.First())
		default:
			g.facts = []catalog.Fact{n.Fact()}
			if q.code == CodeFlagUnknown {
				g.code = CodeFlagRemoved
			}
		}
		out = append(out, g)
	}
	return out
}

// lastWholeParser is the last release whose flags all stand in its parser by name; later ones make them from the fields of a class, with
// old names kept beside.
const lastWholeParser = "0.5.13.post1"

// sglangFlag: one flag against the release's. The parser takes any beginning of a flag that is no other's.
func (s *subject) sglangFlag(f Flag, v version.PEP440) (finding, bool) {
	given := strings.TrimLeft(f.Given, "-")
	have := s.j.s.SGLangNames(catalog.FlagNames, v)
	if len(have) < 80 || foreignFlag(given) || strings.Contains(given, ".") || given == "help" || slices.ContainsFunc(have, func(n string) bool { return strings.HasPrefix(n, given) }) {
		return finding{}, false
	}
	at := strings.TrimSpace(f.Given + " " + f.Value)
	n, known := s.j.s.SGLangNamed(catalog.FlagNames, given)
	switch {
	case !known:
		return finding{code: CodeFlagUnknown, at: at, reason: fmt.Sprintf("%s has no flag %s", s.label(), f.Given),
			facts: []catalog.Fact{{ID: catalog.FactID("sglang/flags/" + given), Standing: catalog.Derived, Date: s.release.Released, Source: "PyPI wheel of sglang: server_args.py",
				Statement: fmt.Sprintf("none of the %d flags of SGLang %s begins with --%s", len(have), v, given)}}}, true
	case n.Releases.First().Compare(v) > 0:
		return finding{code: CodeFlagUnknown, at: at, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s does not know %s yet; it came in %s", s.label(), f.Given, n.Releases.First())}, true
	case v.Compare(version.MustParsePEP440(lastWholeParser)) <= 0:
		return finding{code: CodeFlagRemoved, at: at, facts: []catalog.Fact{n.Fact()}, reason: fmt.Sprintf("%s no longer takes %s", s.label(), f.Given)}, true
	}
	return finding{}, false
}

// ruleSGLangWheel: the interpreter and the C library that the wheel is built for, and what a plain install takes beside it.
func ruleSGLangWheel(s *subject) []finding {
	if s.engine != catalog.SGLang || s.release == nil || s.fork || s.dev || s.atMost || s.hasImage && !s.wheels {
		return nil
	}
	w, ok := s.j.s.SGLangWheel(s.release.Version)
	if !ok {
		return nil
	}
	var out []finding
	if !s.python.IsZero() && !w.Has(s.python) && (s.release.Python.IsZero() || s.release.Python.Contains(s.python)) {
		out = append(out, finding{code: CodeVariantMissing, at: s.c.Python, facts: []catalog.Fact{w.Fact(), s.says("python", "Python is %s", s.c.Python)},
			reason: fmt.Sprintf("%s has no wheel for Python %s: pip goes back to 0.5.10.post1, whose kernels are built for another CUDA", s.label(), s.python),
			hints:  []problem.Hint{{Text: "take Python 3.12"}}})
	}
	if !w.Glibc.IsZero() && !s.glibc.IsZero() && s.glibc.Compare(w.Glibc) < 0 {
		out = append(out, finding{code: CodeGlibc, facts: []catalog.Fact{w.Fact(), s.says("glibc", "the host has glibc %s", s.glibc)},
			reason: fmt.Sprintf("the wheel of %s needs glibc %s, the host has %s", s.label(), w.Glibc, s.glibc), hints: []problem.Hint{{Text: "use a container image: it brings its own C library"}}})
	}
	if w.Unbound && s.wheels && s.day >= "2026-05-29" && (!s.c.Engine.Moving || s.transformers.Stated()) {
		out = append(out, finding{code: CodeTransformersBound, at: s.atEngine(), facts: []catalog.Fact{s.release.Fact(catalog.AspectTransformers),
			reported("sglang/kernels-0.15", "SGLang 0.5.11 to 0.5.12.post1 pin transformers 5.6.0 and leave the package kernels open, whose 0.15 of 2026-05-29 that transformers does not import with; 0.5.13 asks for kernels<0.15", "https://github.com/sgl-project/sglang/issues/27654", "2026-06-09")},
			reason: fmt.Sprintf("a plain install of %s takes kernels 0.15 or newer, which transformers 5.6.0 does not work with", s.label()), hints: []problem.Hint{{Text: `take "kernels<0.15" beside it, or sglang>=0.5.13`}}})
	}
	k, ok := s.j.s.SGLangKernel(w.Kernel)
	if ok && s.wheels && k.CUDA > 0 && !s.torch.CUDA.IsZero() && s.torch.CUDA.Major != k.CUDA {
		out = append(out, finding{code: CodeVariantMissing, at: s.c.Torch, facts: []catalog.Fact{k.Fact(s.arm), s.says("torch", "torch is %s", s.torch.Text)},
			reason: fmt.Sprintf("the kernels of %s from the package index need libcudart.so.%d, and torch is a CUDA %s build", s.label(), k.CUDA, s.torch.CUDA)})
	}
	return out
}

// ruleSGLangCapability: the machine code inside SGLang's kernels, and the floors of its quantisation methods.
func ruleSGLangCapability(s *subject) []finding {
	c := s.gpu.capability
	if s.engine != catalog.SGLang || s.release == nil || c.IsZero() || s.ownBuild() {
		return nil
	}
	if c.Compare(capOf(7, 5)) == 0 && s.before("0.3.0") {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s does not run on %s: neither FlashInfer's kernels of that time nor its own in Triton do", s.label(), s.cardName()),
			reported("sglang/turing/0.3.0", "SGLang 0.2 fails on Turing cards with FlashInfer (built for compute capability 8.0 and newer up to 0.1.4) as with --disable-flashinfer (Triton: map::at)", "https://github.com/sgl-project/sglang/issues/931, https://github.com/sgl-project/sglang/issues/1058, https://github.com/flashinfer-ai/flashinfer/issues/421", "2024-08-12"))}
	}
	w, ok := s.j.s.SGLangWheel(s.release.Version)
	if !ok || s.atMost && c.Major >= 8 {
		return nil
	}
	k, ok := s.j.s.SGLangKernel(w.Kernel)
	if !ok || k.Runs(c, s.arm) != catalog.Absent {
		return nil
	}
	switch {
	case c.Major < 8: // nor do the images' own builds of the kernels hold it
	case s.arm && c.Major == 8 && !s.hasImage && !s.dev:
	default:
		return nil // builds for newer cards came from elsewhere before the package index had them
	}
	return []finding{s.capabilityFinding(fmt.Sprintf("the kernels of %s (%s) hold no code that %s runs", s.label(), k.Version, s.cardName()), k.Fact(s.arm), w.Fact())}
}

// ruleSGLangQuant: the least capability that the release demands for the quantisation method.
func ruleSGLangQuant(s *subject) []finding {
	c, m := s.gpu.capability, s.quantMethod()
	if s.engine != catalog.SGLang || s.release == nil || c.IsZero() || m == "" || s.fork {
		return nil
	}
	if m == "nvfp4" {
		m = "modelopt_fp4"
	}
	min, fact, ok := s.j.s.SGLangMinCapability(m, s.version.Public())
	if !ok || c.Compare(min) >= 0 {
		return nil
	}
	return []finding{{code: CodeQuantGPU, facts: []catalog.Fact{fact, s.cardFact()}, reason: fmt.Sprintf("%s serves %s weights from compute capability %s on, %s has less", s.label(), strings.ReplaceAll(m, "_", "-"), min, s.cardName())}}
}

// sglangBackend says on which cards an attention backend of SGLang runs.
type sglangBackend struct {
	name, below       string // below: the release from which on this no longer holds; "" for all
	runs              func(version.Capability) bool
	statement, source string
}

var sglangBackends = []sglangBackend{
	{"fa3", "", func(c version.Capability) bool { return c.Major == 8 || c.Major == 9 }, "SGLang's fa3 backend demands compute capability 8.x or 9.x", "sglang wheels: srt/layers/attention/attention_registry.py"},
	{"flashmla", "", func(c version.Capability) bool { return c.Major == 9 || c.Major == 10 }, "SGLang's flashmla backend has code for compute capability 9.0 and 10.x", "sgl-kernel wheels: flashmla_ops"},
	{"cutlass_mla", "", func(c version.Capability) bool { return c.Major == 10 }, "SGLang's cutlass_mla backend is for compute capability 10.x", "https://docs.sglang.ai/advanced_features/attention_backend.html"},
	{"trtllm_mha", "0.5.14", func(c version.Capability) bool { return c.Major == 10 }, "SGLang's trtllm_mha backend is for compute capability 10.x alone up to 0.5.13", "sglang wheels: srt/server_args.py"},
	{"trtllm_mha", "", func(c version.Capability) bool { return c.Major >= 9 }, "SGLang's trtllm_mha backend demands compute capability 9.0 or newer", "sglang wheels: srt/server_args.py"},
	{"trtllm_mla", "0.5.13", func(c version.Capability) bool { return c.Major == 10 }, "SGLang's trtllm_mla backend is for compute capability 10.x; releases from 0.5.5 on admit 12.x, where FlashInfer's kernel for the prompt refuses it", "sglang wheels: srt/server_args.py; https://github.com/sgl-project/sglang/issues/24633"},
	{"trtllm_mla", "", func(c version.Capability) bool { return c.Major >= 10 }, "SGLang's trtllm_mla backend demands Blackwell", "sglang wheels: srt/server_args.py"},
}

// ruleSGLangAttention: attention backends and expert kernels that do not exist for the card.
func ruleSGLangAttention(s *subject) []finding {
	c := s.gpu.capability
	if s.engine != catalog.SGLang || s.release == nil || c.IsZero() || s.fork {
		return nil
	}
	for _, flag := range []string{"attention-backend", "prefill-attention-backend", "decode-attention-backend"} {
		value, _ := s.flags.Get(flag)
		for _, b := range sglangBackends {
			if b.name != value || b.below != "" && !s.before(b.below) || b.runs(c) || flag == "decode-attention-backend" && value == "trtllm_mha" {
				continue
			}
			f := s.capabilityFinding(fmt.Sprintf("SGLang's %s backend does not run on %s", value, s.cardName()), reported("sglang/attention/"+value, b.statement, b.source, "2026-11-25"))
			f.at = "--" + flag + " " + value
			return []finding{f}
		}
		if c.Major == 10 && s.gatedDelta() && slices.Contains([]string{"flashinfer", "fa3"}, value) && !s.before("0.5.4") {
			f := s.capabilityFinding(fmt.Sprintf("on %s SGLang serves models with gated delta layers with the backends triton, trtllm_mha and fa4 alone", s.cardName()),
				reported("sglang/attention/gdn", "for hybrid GDN models SGLang takes triton, trtllm_mha and fa4 on compute capability 10.x (flashinfer in place of fa4 on 12.x)", "sglang wheels: srt/layers/attention/attention_registry.py; https://github.com/sgl-project/sglang/issues/35080", "2026-08-17"))
			f.at = "--" + flag + " " + value
			return []finding{f}
		}
	}
	if runner, _ := s.flags.Get("moe-runner-backend"); s.modelType == "gpt_oss" && c.Major == 12 && runner == "" && s.before("0.5.10") {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s has no kernel for MXFP4 experts on %s", s.label(), s.cardName()),
			reported("sglang/gpt-oss/12", "SGLang up to 0.5.4 runs gpt-oss on Triton's persistent kernels, which do not compile for compute capability 12.x; 0.5.5 to 0.5.9 take FlashInfer's there, which do not run; 0.5.10 has a setting of Triton's for it", "https://github.com/sgl-project/sglang/issues/9707, https://github.com/sgl-project/sglang/issues/13061, https://github.com/sgl-project/sglang/pull/16975; sglang wheels: srt/server_args.py", "2026-01-12"))}
	}
	return nil
}

// gatedDelta reports whether the model has layers of gated delta attention.
func (s *subject) gatedDelta() bool {
	return s.modelType == "qwen3_next" || strings.HasPrefix(s.modelType, "qwen3_5") || strings.HasPrefix(s.modelType, "qwen4")
}

// sglangMemory: weights against the part of a card that SGLang gives to weights and cache together.
func (s *subject) sglangMemory(p model.Profile, b memory.Breakdown, total int64, ranks int) []finding {
	share, stated := s.flags.Float("gpu-memory-utilization") // --mem-fraction-static
	if !stated || share <= 0 || share > 1 {
		share = 0.9 // what it chooses is less, on every card
	}
	w := float64(b.WeightsBytes)
	if w <= share*float64(total) {
		return nil
	}
	code := CodeKV
	if w > 0.98*float64(total) { // the context and the libraries take the rest
		code = CodeWeights
	}
	return []finding{{code: code, facts: []catalog.Fact{s.weightsFact(p, b.WeightsBytes, ranks), s.memoryFact(),
		reported("sglang/mem-fraction-static", "SGLang gives weights and cache together --mem-fraction-static of a card, by default at most 0.9, and stops when the weights leave nothing of it", "sglang wheels: srt/server_args.py; https://github.com/sgl-project/sglang/issues/4330", "2026-11-25")},
		reason: fmt.Sprintf("on %s with %s the weights take %.1f GiB of the %.1f GiB that SGLang gives to weights and cache", s.cardLabel(), counted(ranks, "rank"), w/(1<<30), share*gib(total))}}
}
