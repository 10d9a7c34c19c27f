package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// rulePython: the interpreter against what the release's wheels admit.
func rulePython(s *subject) []finding {
	if s.python.IsZero() || s.release == nil || s.inOwnImage() || s.dev {
		return nil
	}
	p := s.python
	refuse := func(reason string, fact catalog.Fact) []finding {
		return []finding{{code: CodePython, reason: reason, facts: []catalog.Fact{fact, s.says("python", "Python is %s", s.c.Python)}, at: s.c.Python,
			hints: []problem.Hint{{Text: "take Python 3.12, which every release from 0.6.0 on supports"}}}}
	}
	if !s.release.Python.IsZero() && !s.release.Python.Contains(p) {
		if s.atMost && p.Compare(version.MustParsePEP440("3.9")) < 0 {
			return nil // an older release may still admit an old interpreter
		}
		return refuse(fmt.Sprintf("%s needs Python %s, not %s", s.label(), s.release.Python, p), s.release.Fact(catalog.AspectPython))
	}
	if s.isVLLM() && s.before("0.10.2") && p.Compare(version.MustParsePEP440("3.13")) >= 0 && !s.before("0.6.0") {
		return refuse(fmt.Sprintf("%s has no dependencies built for Python %s; 3.13 works from 0.10.2 on", s.label(), p),
			reported("vllm/python-3.13", "vLLM admits Python 3.13 from 0.10.2 on; before that torch, xformers and numba as pinned had no wheels for it", "vllm wheels' METADATA on the package index", "2026-11-25"))
	}
	return nil
}

// inOwnImage reports whether the interpreter and C library are the image's, which were chosen to fit.
func (s *subject) inOwnImage() bool { return s.hasImage && !s.wheels && s.engineImage() }

func reported(id, statement, source, date string) catalog.Fact {
	return catalog.Fact{ID: catalog.FactID(id), Statement: statement, Source: source, Date: date, Standing: catalog.Reported}
}

// ruleVariant: is there a build for what is asked?
func ruleVariant(s *subject) []finding {
	if s.release == nil || s.c.Install == "source" {
		return nil
	}
	if f, ok := s.armVariant(); ok {
		return []finding{f}
	}
	if f, ok := s.mixedMajor(); ok {
		return []finding{f}
	}
	if e := s.stated; e.IsPrerelease() && strings.HasPrefix(e.Local(), "cu") && s.wheels && !s.exact {
		return []finding{{code: CodeVariantMissing, facts: []catalog.Fact{s.release.Fact(catalog.AspectVariants)}, at: s.c.WheelCUDA,
			reason: fmt.Sprintf("%s %s is a pre-release: no index keeps its CUDA builds, nor the development builds it pins", s.engine, e)}}
	}
	if s.variantText == "" || s.variantText == "cpu" || s.variant != nil || s.engine != catalog.VLLM || s.hasImage && !s.wheels {
		return nil
	}
	c, err := version.ParseCUDA(s.variantText)
	if err != nil {
		return nil
	}
	switch {
	case s.arm && !slices.ContainsFunc(s.release.Variants, func(v catalog.Variant) bool { return slices.Contains(v.Platforms, "aarch64") }):
		return nil // another index than upstream's: not known
	case s.exact:
	default:
		return nil
	}
	hint := problem.Hint{Text: "the builds there are: " + strings.Join(tags(s.release.Variants), ", ")}
	return []finding{{code: CodeVariantMissing, facts: []catalog.Fact{s.release.Fact(catalog.AspectVariants)}, at: s.c.WheelCUDA, hints: []problem.Hint{hint},
		reason: fmt.Sprintf("there is no CUDA %s build of %s", c, s.label())}}
}

func tags(vs []catalog.Variant) []string {
	out := make([]string, 0, len(vs))
	for _, v := range vs {
		out = append(out, v.Tag())
	}
	return out
}

// armVariant: aarch64 hosts, which had no builds before 0.10.2 and a CPU torch on the package index up to 2.10.
func (s *subject) armVariant() (finding, bool) {
	if !s.arm || s.hasImage && !s.wheels || s.engine != catalog.VLLM || s.dev || s.variantText != "" && s.variantText != "cpu" {
		return finding{}, false
	}
	def, ok := s.release.Variant(version.CUDA{})
	if !ok || !s.wheels {
		return finding{}, false
	}
	if len(def.Platforms) > 0 && !slices.Contains(def.Platforms, "aarch64") {
		return finding{code: CodeVariantMissing, facts: []catalog.Fact{s.release.Fact(catalog.AspectWheelCUDA),
			reported("vllm/aarch64", "the package index carries aarch64 wheels of vLLM from 0.10.2 on", "package index: files of vllm", "2026-11-25")},
			reason: s.label() + " has no wheel for aarch64 on the package index: only its source is there"}, true
	}
	if s.gpu.name != "" && s.onIndex && !s.torch.Stated() && !s.release.Torch.IsZero() && s.release.Torch.Compare(version.MustParsePEP440("2.11.0")) < 0 {
		return finding{code: CodeVariantMissing, facts: []catalog.Fact{s.release.Fact(catalog.AspectTorch),
			reported("torch/aarch64", "torch on the package index is a CPU build for aarch64 up to 2.10.0", "package index: files of torch", "2026-11-25")},
			reason: fmt.Sprintf("%s pins torch %s, which the package index has for aarch64 only without CUDA", s.label(), s.release.Torch)}, true
	}
	if s.c.OS != "" && s.gpu.name == "" && def.Glibc.Compare(version.Glibc{Major: 2, Minor: 31}) >= 0 && s.exact && !s.release.Torch.IsZero() &&
		s.release.Torch.Compare(version.MustParsePEP440("2.11.0")) < 0 && s.since("0.12.0") && strings.Contains(strings.ToLower(s.c.OS), "rhel") {
		return finding{code: CodeVariantMissing, facts: []catalog.Fact{
			reported("vllm/aarch64-rhel", "pip on RHEL 9 aarch64 finds no wheel of vLLM 0.12.0 and stops at 0.11.0", "https://github.com/vllm-project/vllm/issues/30065", "2025-12-04")},
			reason: s.label() + " has no wheel that pip takes on this aarch64 system"}, true
	}
	return finding{}, false
}

// mixedMajor: an engine build of one CUDA major with a torch of another, which uv's --torch-backend makes.
func (s *subject) mixedMajor() (finding, bool) {
	if s.engine != catalog.VLLM || s.torch.CUDA.IsZero() || s.buildCUDA.IsZero() || s.torch.CUDA.Major == s.buildCUDA.Major || s.hasImage && !s.wheels {
		return finding{}, false
	}
	if s.variant == nil || !s.wheels && s.variantText == "" {
		return finding{}, false
	}
	f := finding{code: CodeVariantMissing, at: s.c.Torch, weak: s.c.Closed && s.c.Engine.Moving, facts: []catalog.Fact{s.release.Fact(catalog.AspectVariants), s.says("torch", "torch is %s", s.torch.Text),
		reported("vllm/torch-backend", "uv's --torch-backend chooses torch's build, not vLLM's", "https://github.com/vllm-project/vllm/issues/44335", "2026-08-03")},
		reason: fmt.Sprintf("this is the CUDA %s build of %s with a CUDA %s torch: it looks for libcudart.so.%d", s.buildCUDA, s.label(), s.torch.CUDA, s.buildCUDA.Major)}
	for _, v := range s.release.Variants {
		if v.CUDA.Major == s.torch.CUDA.Major {
			f.hints = append(f.hints, problem.Hint{Text: "install " + v.Requirement + " instead"})
			break
		}
	}
	return f, true
}

// ruleGlibc: the C library of the host against what the wheel and its torch need. An image brings its own.
func ruleGlibc(s *subject) []finding {
	if s.glibc.IsZero() || s.release == nil || s.hasImage && !s.wheels {
		return nil
	}
	refuse := func(need version.Glibc, what string, fact catalog.Fact) []finding {
		return []finding{{code: CodeGlibc, facts: []catalog.Fact{fact, s.says("glibc", "the host has glibc %s", s.glibc)},
			reason: fmt.Sprintf("%s needs glibc %s, the host has %s", what, need, s.glibc),
			hints:  []problem.Hint{{Text: "use a container image: it brings its own C library"}}}}
	}
	if s.variantText == "cpu" && s.engine == catalog.VLLM {
		need := version.Glibc{Major: 2, Minor: 39}
		if s.since("0.30.0") && s.glibc.Compare(need) < 0 {
			return refuse(need, "the CPU wheel of "+s.label(), reported("vllm/cpu-wheel/glibc", "the CPU wheel among vLLM's release assets is tagged manylinux_2_39 from 0.30.0 on, manylinux_2_34 at 0.29.0",
				"https://github.com/vllm-project/vllm/issues/58270", "2026-09-23"))
		}
		return nil
	}
	v := s.variant
	if v == nil {
		d, ok := s.release.Variant(version.CUDA{})
		if !ok || s.variantText != "" {
			return nil
		}
		v = &d
	}
	if !s.dev && !v.Glibc.IsZero() && s.glibc.Compare(v.Glibc) < 0 && (!s.atMost || s.c.Engine.Bounded) {
		return refuse(v.Glibc, "the wheel of "+s.label(), s.release.Fact(catalog.AspectGlibc))
	}
	for _, g := range glibcFloors {
		if floor := (version.Glibc{Major: 2, Minor: g.minor}); s.isVLLM() && !s.atMost && !s.dev && !s.before(g.from) && s.before(g.below) && s.glibc.Compare(floor) < 0 {
			return refuse(floor, s.label(), reported("vllm/"+g.from+"/glibc", g.statement, g.source, "2026-11-25"))
		}
	}
	need := version.Glibc{Major: 2, Minor: 28}
	if !s.atMost && !s.release.Torch.IsZero() && s.release.Torch.Compare(version.MustParsePEP440("2.6.0")) >= 0 && s.glibc.Compare(need) < 0 && (s.wheels || s.c.Closed && !s.hasImage && !s.dev) {
		return refuse(need, fmt.Sprintf("torch %s, which %s pins,", s.release.Torch, s.label()),
			reported("torch/glibc", "wheels of torch are tagged manylinux_2_28 from 2.6.0 on", "package index: files of torch", "2026-11-25"))
	}
	return nil
}

// glibcFloors are what a release's objects or its dependencies need beyond the wheel's tag.
var glibcFloors = []struct {
	from, below       string
	minor             int
	statement, source string
}{
	{"0.6.5", "0.8.0", 27, "xgrammar, which vLLM needs from 0.6.5 on, has wheels for glibc 2.27 and newer and no source archive before 0.1.17", "package index: files of xgrammar, read 2026-11-25"},
	{"0.20.0", "0.21.0", 34, "the objects inside the wheels of vLLM 0.20 need GLIBC_2.34, also in the CUDA 12.9 build that is tagged manylinux_2_31", "PyPI wheels of vllm 0.20, read 2026-11-25; https://github.com/vllm-project/vllm/issues/41103"},
}

// ruleTorch: torch as stated against the exact pin that the engine's extension was built with.
func ruleTorch(s *subject) []finding {
	if s.release == nil || !s.torch.Stated() && s.torch.CUDA.IsZero() || s.fork {
		return nil
	}
	refuse := func(reason string) []finding {
		f := finding{code: CodeTorchABI, at: s.c.Torch, reason: reason, weak: s.c.Engine.Moving && s.c.Closed,
			facts: []catalog.Fact{s.release.Fact(catalog.AspectTorch), s.says("torch", "torch is %s", s.torch.Text)}}
		if !s.release.Torch.IsZero() {
			f.hints = []problem.Hint{{Text: "take torch==" + s.release.Torch.String()}}
		}
		return []finding{f}
	}
	if !s.torch.Stated() { // only the CUDA of its build is stated: an unusual build
		if !s.buildCUDA.IsZero() && s.torch.CUDA != s.buildCUDA || s.buildCUDA.IsZero() && s.defaultCUDA() != s.torch.CUDA && !s.defaultCUDA().IsZero() {
			return refuse(fmt.Sprintf("%s is built with CUDA %s and torch is a CUDA %s build", s.label(), orDefault(s.buildCUDA, s.defaultCUDA()), s.torch.CUDA))
		}
		return nil
	}
	if s.dev || s.atMost && !s.c.Engine.Bounded || s.hasImage && !s.official || s.arm {
		return nil // what others build, and what is built on aarch64, goes with a torch of its own
	}
	pin := s.release.Torch
	switch {
	case !pin.IsZero() && !s.torch.Admits(pin) && !(s.torch.Exact.IsZero() && s.torch.Range) && !sameMinor(s.torch.Exact, pin):
		return refuse(fmt.Sprintf("%s is built for torch %s; with %s its extension does not load", s.label(), pin, s.torch.Text))
	case pin.IsZero() && s.isVLLM() && s.before("0.2.2") && s.torch.CUDA.IsZero() && !s.torch.Exact.IsZero() && s.torch.Exact.Compare(version.MustParsePEP440("2.1.0")) >= 0:
		f := refuse(fmt.Sprintf("%s looks for libcudart.so.11.0, and torch %s comes with CUDA 12.1", s.label(), s.torch.Text))
		f[0].code = CodeVariantMissing
		f[0].facts = append(f[0].facts, reported("vllm/0.2.1/cudart", "the objects inside vLLM's wheels need libcudart.so.11.0 up to 0.2.1.post1 and libcudart.so.12 from 0.2.2 on; torch on the package index is a CUDA 12.1 build from 2.1.0 on", "PyPI wheels of vllm, read 2026-11-25: libraries of the objects inside; https://github.com/vllm-project/vllm/issues/1369", "2026-11-25"))
		return f
	case pin.IsZero() && s.isVLLM() && s.before("0.2.6") && s.since("0.2.2") && !s.torch.Exact.IsZero() && !sameMinor(s.torch.Exact, version.MustParsePEP440("2.1.0")):
		return refuse(fmt.Sprintf("%s is built for torch 2.1; with %s its extension does not load", s.label(), s.torch.Text))
	}
	return nil
}

// sameMinor: 2.10.0 and 2.10.1 share their ABI; a text that states only 2.6 is 2.6.0.
func sameMinor(a, b version.PEP440) bool {
	x, y := a.Release(), b.Release()
	return len(x) > 1 && len(y) > 1 && x[0] == y[0] && x[1] == y[1]
}

func (s *subject) defaultCUDA() version.CUDA {
	if s.release == nil {
		return version.CUDA{}
	}
	v, _ := s.release.Variant(version.CUDA{})
	return v.CUDA
}

func orDefault(a, b version.CUDA) version.CUDA {
	if a.IsZero() {
		return b
	}
	return a
}
