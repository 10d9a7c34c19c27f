package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// storedMethods are the methods that only load what is stored quantised, by the family whose checkpoints they take. All
// others quantise plain weights while loading, or nobody read what they do. vllm/model_executor/model_loader/
// weight_utils.py get_quant_config asks the method for the names of its config file (get_config_filenames) and fails
// without one; compressed-tensors has none and cannot be made from nothing.
var storedMethods = map[string]string{
	"awq": "awq", "awq_marlin": "awq", "auto_awq": "awq", "gptq": "gptq", "gptq_marlin": "gptq", "auto_gptq": "gptq",
	"marlin": "", "moe_wna16": "", "squeezellm": "squeezellm", "modelopt": "", "modelopt_fp4": "", "compressed_tensors": "compressed_tensors",
}

// ruleStoredMethod: --quantization names a method that the checkpoint was not stored by, which the engine refuses when it
// reads the config.
func ruleStoredMethod(s *subject) []finding {
	if s.c.Closed || !s.isVLLM() || s.profile == nil || s.fork {
		return nil
	}
	asked, _ := s.flags.Get("quantization")
	method := strings.ToLower(strings.ReplaceAll(asked, "-", "_"))
	family, needs := storedMethods[method]
	if !needs || slices.ContainsFunc([]string{"hf-overrides", "hf-config-path", "load-format", "quantization-config"}, s.flags.Has) {
		return nil
	}
	stored := ""
	if q := s.profile.Quant; q != nil {
		stored = strings.ReplaceAll(q.Method, "-", "_")
	}
	others := []string{"awq", "gptq", "compressed_tensors", "mxfp4", "fp8", "bitsandbytes"}
	var reason string
	var fact catalog.Fact
	switch {
	case stored == "" && s.profile.DType != "" && s.named.Quant == "" && s.plainWeights():
		reason = fmt.Sprintf("--quantization %s loads weights that were stored by it, and %s is stored plain in %s: vLLM cannot find the config file for %s", asked, s.profile.ID, s.profile.DType, asked)
		fact = reported("vllm/quantization/stored", "vLLM makes these methods from the checkpoint's quantization config and fails without one: awq, gptq, their Marlin kernels, moe_wna16, squeezellm, modelopt, compressed-tensors",
			"vllm wheels: model_executor/model_loader/weight_utils.py get_quant_config", "2026-11-25")
	case family != "" && family != stored && family != "squeezellm" && slices.Contains(others, stored):
		reason = fmt.Sprintf("--quantization %s does not match the checkpoint of %s, which is stored by %s", asked, s.profile.ID, s.profile.Quant.Method)
		fact = reported("vllm/quantization/match", "vLLM refuses a --quantization that does not match the method in the model's config", "vllm wheels: ModelConfig._verify_quantization", "2026-11-25")
	default:
		return nil
	}
	says := fmt.Sprintf("the config of %s names no quantization", s.profile.ID)
	if stored != "" {
		says = fmt.Sprintf("the config of %s names the quantization %s", s.profile.ID, s.profile.Quant.Method)
	}
	return []finding{{code: CodeQuantEngine, at: "--quantization " + asked, reason: reason, facts: []catalog.Fact{fact, s.configFact("quantization", says)},
		hints: []problem.Hint{{Text: "leave --quantization out: the engine takes what the config says"}, {Text: "or name a checkpoint that is stored by " + asked}}}}
}

// plainWeights reports whether the files are as large as weights of 16 bits, as far as both sizes are known: an old
// checkpoint may keep its quantisation's config in a file of its own.
func (s *subject) plainWeights() bool {
	p := s.profile
	return p.WeightsBytes == 0 || p.Parameters == 0 || float64(p.WeightsBytes) > 1.5*float64(p.Parameters)
}
