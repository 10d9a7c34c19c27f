package catalog

import (
	"fmt"
	"slices"
	"strings"

	"justright/version"
)

// AttentionBackends is the kind of names that SGLang takes for --attention-backend.
const AttentionBackends NameKind = "attention_backends"

// SGLangNamed finds a flag, a parser, a quantisation method or an attention backend of SGLang. ok is false when no release has it.
func (s *Snapshot) SGLangNamed(kind NameKind, name string) (Named, bool) {
	sec := sglangWheels()
	if kind == FlagNames {
		name = strings.TrimLeft(name, "-")
	}
	t, ok := sec.Names[string(kind)][name]
	if !ok {
		return Named{}, false
	}
	return Named{Kind: kind, Name: name, Releases: t, engine: SGLang, source: sec.Source, read: sec.Read}, true
}

// SGLangNames lists what a release has of a kind, sorted; empty when that was not read of it.
func (s *Snapshot) SGLangNames(kind NameKind, v version.PEP440) []string {
	var out []string
	for n, t := range sglangWheels().Names[string(kind)] {
		if t.At(v) == Present {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// SGLangWheel is what a release's own wheel asks of the machine it is installed on.
type SGLangWheel struct {
	Release version.PEP440
	Glibc   version.Glibc    // zero: pure Python
	Pythons []version.PEP440 // interpreters there are wheels for; empty: any
	Kernel  string           // exact pin of sgl-kernel, later sglang-kernel
	Unbound bool             // it depends on the package "kernels" without an upper bound
	read    string
}

// SGLangWheel finds a release's wheel; ok is false when it was not read.
func (s *Snapshot) SGLangWheel(v version.PEP440) (SGLangWheel, bool) {
	sec := sglangWheels()
	for _, w := range sec.Wheels {
		if w[0] != v.String() {
			continue
		}
		out := SGLangWheel{Release: v, Kernel: w[3], Unbound: w[4] == "*", read: sec.Read}
		out.Glibc, _ = version.ParseGlibc(w[1]) // "" is none
		for _, p := range strings.Fields(w[2]) {
			out.Pythons = append(out.Pythons, version.MustParsePEP440(p))
		}
		return out, true
	}
	return SGLangWheel{}, false
}

// Has reports whether there is a wheel for an interpreter.
func (w SGLangWheel) Has(python version.PEP440) bool {
	r := python.Release()
	return len(w.Pythons) == 0 || len(r) < 2 || slices.ContainsFunc(w.Pythons, func(p version.PEP440) bool { return slices.Equal(p.Release()[:2], r[:2]) })
}

// Fact states what the wheel asks for.
func (w SGLangWheel) Fact() Fact {
	st := fmt.Sprintf("the wheel of SGLang %s is pure Python", w.Release)
	if len(w.Pythons) > 0 {
		var p []string
		for _, v := range w.Pythons {
			p = append(p, v.String())
		}
		st = fmt.Sprintf("SGLang %s has wheels for Python %s, for glibc %s and newer; those up to 0.5.10.post1 were pure Python", w.Release, strings.Join(p, ", "), w.Glibc)
	}
	if w.Kernel != "" {
		st += "; it pins its kernels' package to " + w.Kernel
	}
	return Fact{ID: FactID("sglang/" + w.Release.String() + "/wheel"), Standing: Derived, Date: w.read, Source: "https://pypi.org/simple/sglang/ and METADATA of the wheel", Statement: st}
}

// SGLangKernel is what the objects inside a wheel of sgl-kernel, later sglang-kernel, are built for.
type SGLangKernel struct {
	Version  string
	CUDA     int                  // major of the libcudart they need; 0 unknown
	X86, ARM []version.Capability // machine code inside; empty: no such wheel on the package index
	read     string
}

// SGLangKernel finds a release of the kernels' package on the package index; ok is false when it was not read.
func (s *Snapshot) SGLangKernel(v string) (SGLangKernel, bool) {
	sec := sglangWheels()
	for _, k := range sec.Kernels {
		if k[0] != v {
			continue
		}
		out := SGLangKernel{Version: v, read: sec.Read}
		fmt.Sscan(k[1], &out.CUDA) //nolint:errcheck // "" leaves zero: unknown
		for i, into := range []*[]version.Capability{&out.X86, &out.ARM} {
			for _, c := range strings.Fields(k[2+i]) {
				if p, err := version.ParseCapability(c); err == nil {
					*into = append(*into, p)
				}
			}
		}
		return out, true
	}
	return SGLangKernel{}, false
}

// Runs tells whether some machine code inside runs on a capability: that of the same major and no greater minor.
func (k SGLangKernel) Runs(c version.Capability, arm bool) Presence {
	have := k.X86
	if arm {
		have = k.ARM
	}
	if len(have) == 0 {
		return Uncertain
	}
	if slices.ContainsFunc(have, func(h version.Capability) bool { return h.Major == c.Major && h.Minor <= c.Minor }) {
		return Present
	}
	return Absent
}

// Fact states what the package is built for.
func (k SGLangKernel) Fact(arm bool) Fact {
	have, machine := k.X86, "x86_64"
	if arm {
		have, machine = k.ARM, "aarch64"
	}
	var caps []string
	for _, c := range have {
		caps = append(caps, c.String())
	}
	return Fact{ID: FactID("sglang/kernels/" + k.Version + "/" + machine), Standing: Derived, Date: k.read,
		Source:    "PyPI wheel of sgl-kernel (sglang-kernel from 0.4.0 on) " + k.Version + ": machine code and libraries of the objects inside",
		Statement: fmt.Sprintf("SGLang's kernels %s for %s hold code for %s and need libcudart.so.%d", k.Version, machine, strings.Join(caps, ", "), k.CUDA)}
}

// SGLangMinCapability tells the least capability a release demands for a quantisation method; ok is false when it demands none that is
// known.
func (s *Snapshot) SGLangMinCapability(method string, v version.PEP440) (version.Capability, Fact, bool) {
	sec := sglangWheels()
	var min, since string
	for _, step := range sec.MinCapability[method] {
		if from, err := version.ParsePEP440(step[0]); err == nil && from.Compare(v) <= 0 {
			since, min = step[0], step[1]
		}
	}
	c, err := version.ParseCapability(min)
	if err != nil || min == "" {
		return version.Capability{}, Fact{}, false
	}
	return c, Fact{ID: FactID("sglang/quantization/" + method + "/min_capability"), Standing: Derived, Date: sec.Read,
		Source:    "PyPI wheels of sglang: get_min_capability in sglang/srt/layers/quantization",
		Statement: fmt.Sprintf("SGLang serves %s on compute capability %s or higher since %s", method, c, since)}, true
}
