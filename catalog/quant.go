package catalog

import (
	"fmt"
	"strings"

	"justright/version"
)

// QuantNeed is what serving a quantised checkpoint asks of the device.
type QuantNeed struct {
	Method string             // as vLLM names it
	Min    version.Capability // below it the engine refuses
	Native version.Capability // from it on the format is computed as it is; below, weights are unpacked first
	Plugin string             // package that must be installed beside this release; "" when built in
	Note   string
	since  string // the release that set Min
	scheme string // the class or method whose minimum it is
	read   string
}

const quantSource = "PyPI wheels of vllm: get_min_capability in vllm/model_executor/layers/quantization"

func chip(major, minor int) version.Capability { return version.Capability{Major: major, Minor: minor} }

// quantScheme names whose minimum decides for a checkpoint: the method itself, or for compressed-tensors the scheme that the format
// ends in on a device that cannot compute it natively.
func quantScheme(method, format string) (scheme string, native version.Capability, note string) {
	const weightOnly = "below that weight-only"
	if method == "compressed_tensors" {
		switch {
		case strings.Contains(format, "nvfp4"):
			return "CompressedTensorsW4A16Fp4", chip(10, 0), weightOnly // where W4A4Fp4 cannot run, get_scheme takes this one
		case strings.Contains(format, "mxfp4"):
			return "CompressedTensorsW4A16Mxfp4", chip(10, 0), weightOnly
		case strings.Contains(format, "w4a8"):
			return "CompressedTensorsW4A8Fp8", version.Capability{}, ""
		case strings.Contains(format, "float"):
			return "CompressedTensorsW8A16Fp8", chip(8, 9), weightOnly
		case strings.Contains(format, "int"):
			return "CompressedTensorsW8A8Int8", version.Capability{}, ""
		case strings.Contains(format, "pack"):
			return "CompressedTensorsWNA16", version.Capability{}, ""
		}
		return method, version.Capability{}, ""
	}
	switch method {
	case "fp8", "fbgemm_fp8", "modelopt":
		return method, chip(8, 9), weightOnly
	case "nvfp4":
		return "modelopt_fp4", chip(10, 0), weightOnly
	case "modelopt_fp4", "modelopt_mixed":
		return method, chip(10, 0), weightOnly
	case "gpt_oss_mxfp4":
		return "mxfp4", chip(9, 0), "Marlin kernels below that"
	case "mxfp4":
		return method, chip(9, 0), "Marlin kernels below that"
	}
	return method, version.Capability{}, ""
}

// Quantization tells what a checkpoint's method (and, for compressed-tensors, its format) needs in a vLLM release. ok is false
// when the minimum is not known. Whether the release knows the method at all is NameIn(QuantMethods, …).
func (s *Snapshot) Quantization(method, format string, engine version.PEP440) (QuantNeed, bool) {
	method = strings.ReplaceAll(strings.ToLower(method), "-", "_")
	scheme, native, note := quantScheme(method, strings.ToLower(format))
	sec := s.flags()
	all := sec.minimum()
	steps := all[scheme]
	for _, other := range []string{strings.ReplaceAll(scheme, "_", "-"), method} {
		if len(steps) == 0 {
			steps = all[other]
		}
	}
	n := QuantNeed{Method: method, Native: native, Note: note, scheme: scheme, read: sec.read}
	for _, st := range steps {
		v, err := version.ParsePEP440(st[0])
		if err != nil {
			return QuantNeed{}, false
		}
		// Before its first release a method is unknown to the engine; the first minimum stands for it.
		if n.since != "" && !engine.IsZero() && engine.Public().Compare(v) < 0 {
			break
		}
		if n.Min, err = version.ParseCapability(st[1]); err != nil {
			return QuantNeed{}, false
		}
		n.since = st[0]
	}
	if n.since == "" {
		return QuantNeed{}, false
	}
	n.Plugin = quantPlugin(method, engine)
	return n, true
}

// quantPlugin is the package that serves a method which left the engine.
func quantPlugin(method string, engine version.PEP440) string {
	left := func(v string) bool { return !engine.IsZero() && engine.Compare(version.MustParsePEP440(v)) >= 0 }
	switch {
	case method == "gguf" && left("0.24.0"):
		return "vllm-gguf-plugin"
	case method == "bitsandbytes" && left("0.28.0"):
		return "vllm-bnb-plugin"
	}
	return ""
}

// Fact states what the method needs.
func (n *QuantNeed) Fact() Fact {
	st := fmt.Sprintf("vLLM serves %s on compute capability %s or higher since %s", n.Method, n.Min, n.since)
	if !n.Native.IsZero() {
		st += fmt.Sprintf("; computed natively from %s, %s", n.Native, n.Note)
	}
	if n.Plugin != "" {
		st += "; it needs the package " + n.Plugin
	}
	return Fact{ID: FactID("vllm/quantization/" + n.Method + "/min_capability"), Statement: st, Source: quantSource + " (" + n.scheme + ")",
		Date: n.read, Standing: Derived}
}

// BF16Capability is the lowest compute capability that computes bfloat16; vLLM refuses `--dtype bfloat16` below it and turns
// "auto" into float16.
func BF16Capability() (version.Capability, Fact) {
	return chip(8, 0), Fact{ID: "vllm/dtype/bfloat16", Standing: Derived, Date: "2026-11-25",
		Statement: "bfloat16 needs compute capability 8.0 or higher",
		Source:    "https://github.com/vllm-project/vllm/blob/main/vllm/platforms/cuda.py (check_if_supports_dtype)"}
}
