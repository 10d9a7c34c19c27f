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
	source string
}

const quantSource = "get_min_capability of vllm/model_executor/layers/quantization in the wheels; https://docs.vllm.ai/en/latest/features/quantization/"

// quantStep is a minimum that holds from a release on.
type quantStep struct {
	from string
	min  version.Capability
}

type quantRule struct {
	steps  []quantStep // ascending
	native version.Capability
	note   string
}

func chip(major, minor int) version.Capability { return version.Capability{Major: major, Minor: minor} }

// quantRules holds the minimums by method. The dates of the steps to 7.5 are those of the Marlin kernels for Turing.
func quantRules(method string) (quantRule, bool) {
	marlin := []quantStep{{"0", chip(8, 0)}, {"0.16.0", chip(7, 5)}}
	switch method {
	case "awq", "awq_marlin":
		return quantRule{steps: []quantStep{{"0", chip(7, 5)}}}, true
	case "gptq":
		return quantRule{steps: []quantStep{{"0", chip(6, 0)}}, note: "float16 only with the exllama kernels"}, true
	case "gptq_marlin", "marlin":
		return quantRule{steps: marlin}, true
	case "fp8", "fbgemm_fp8":
		return quantRule{steps: marlin, native: chip(8, 9), note: "below compute capability 8.9 weight-only"}, true
	case "bitsandbytes":
		return quantRule{steps: []quantStep{{"0", chip(7, 0)}}}, true
	case "compressed-tensors", "compressed_tensors":
		return quantRule{steps: []quantStep{{"0", chip(7, 0)}}}, true
	case "modelopt":
		return quantRule{steps: []quantStep{{"0", chip(8, 9)}}, native: chip(8, 9)}, true
	case "modelopt_fp4", "nvfp4", "modelopt_mixed":
		return quantRule{steps: []quantStep{{"0", chip(10, 0)}, {"0.9.1", chip(8, 0)}, {"0.16.0", chip(7, 5)}}, native: chip(10, 0),
			note: "elsewhere than Blackwell weight-only through Marlin"}, true
	case "mxfp4", "gpt_oss_mxfp4":
		return quantRule{steps: []quantStep{{"0", chip(8, 0)}}, native: chip(9, 0), note: "Marlin on Ampere and Ada"}, true
	case "fp_quant":
		return quantRule{steps: []quantStep{{"0", chip(10, 0)}}}, true
	case "gguf", "aqlm", "deepspeedfp":
		return quantRule{steps: []quantStep{{"0", chip(6, 0)}}}, true
	case "squeezellm":
		return quantRule{steps: []quantStep{{"0", chip(7, 0)}}}, true
	case "experts_int8", "moe_wna16", "auto-round", "inc":
		return quantRule{steps: []quantStep{{"0", chip(7, 5)}}}, true
	case "quark":
		return quantRule{steps: []quantStep{{"0", chip(7, 0)}}}, true
	case "torchao":
		return quantRule{steps: []quantStep{{"0", chip(7, 5)}}}, true
	}
	return quantRule{}, false
}

// compressedRules holds the minimums of compressed-tensors by the checkpoint's format word.
func compressedRules(format string) (quantRule, bool) {
	switch {
	case strings.Contains(format, "nvfp4"):
		return quantRule{steps: []quantStep{{"0", chip(10, 0)}, {"0.9.1", chip(8, 0)}, {"0.16.0", chip(7, 5)}}, native: chip(10, 0)}, true
	case strings.Contains(format, "mxfp4"):
		return quantRule{steps: []quantStep{{"0", chip(8, 0)}}, native: chip(10, 0)}, true
	case strings.Contains(format, "w4a8"):
		return quantRule{steps: []quantStep{{"0", chip(9, 0)}}}, true
	case strings.Contains(format, "float"):
		return quantRule{steps: []quantStep{{"0", chip(8, 0)}, {"0.16.0", chip(7, 5)}}, native: chip(8, 9),
			note: "below compute capability 8.9 weight-only"}, true
	case strings.Contains(format, "int"):
		return quantRule{steps: []quantStep{{"0", chip(7, 5)}}}, true
	case strings.Contains(format, "pack"), strings.Contains(format, "marlin"):
		return quantRule{steps: []quantStep{{"0", chip(8, 0)}, {"0.16.0", chip(7, 5)}}}, true
	}
	return quantRule{}, false
}

// Quantization tells what a checkpoint's method (and, for compressed-tensors, its format) needs in a vLLM release. ok is false
// when the minimum is not known. Whether the release knows the method at all is NameIn(QuantMethods, …).
func (s *Snapshot) Quantization(method, format string, engine version.PEP440) (QuantNeed, bool) {
	method = strings.ToLower(method)
	rule, ok := quantRules(method)
	if method == "compressed-tensors" || method == "compressed_tensors" {
		if finer, found := compressedRules(strings.ToLower(format)); found {
			rule = finer
		}
	}
	if !ok {
		return QuantNeed{}, false
	}
	n := QuantNeed{Method: method, Native: rule.native, Note: rule.note, source: quantSource}
	for _, st := range rule.steps {
		if engine.IsZero() || engine.Compare(version.MustParsePEP440(st.from)) >= 0 {
			n.Min = st.min
		}
	}
	switch {
	case method == "gguf" && !engine.IsZero() && engine.Compare(version.MustParsePEP440("0.24.0")) >= 0:
		n.Plugin = "vllm-gguf-plugin"
	case method == "bitsandbytes" && !engine.IsZero() && engine.Compare(version.MustParsePEP440("0.28.0")) >= 0:
		n.Plugin = "vllm-bnb-plugin"
	}
	return n, true
}

// Fact states what the method needs.
func (n *QuantNeed) Fact() Fact {
	st := fmt.Sprintf("vLLM serves %s on compute capability %s or higher", n.Method, n.Min)
	if n.Note != "" {
		st += "; " + n.Note
	}
	if n.Plugin != "" {
		st += "; it needs the package " + n.Plugin
	}
	return Fact{ID: FactID("vllm/quantization/" + n.Method + "/min_capability"), Statement: st, Source: n.source,
		Date: "2026-11-25", Standing: Derived}
}

// BF16Capability is the lowest compute capability that computes bfloat16; vLLM refuses `--dtype bfloat16` below it and turns
// "auto" into float16.
func BF16Capability() (version.Capability, Fact) {
	return chip(8, 0), Fact{ID: "vllm/dtype/bfloat16", Standing: Derived, Date: "2026-11-25",
		Statement: "bfloat16 needs compute capability 8.0 or higher",
		Source:    "https://github.com/vllm-project/vllm/blob/main/vllm/platforms/cuda.py (check_if_supports_dtype)"}
}
