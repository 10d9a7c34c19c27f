package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// quantMethod is how the weights are stored: as the flag, the config or the name says; "" when they are not quantised
// or it is not known.
func (s *subject) quantMethod() string {
	if q, ok := s.flags.Get("quantization"); ok && q != "" && q != "none" {
		m := strings.ToLower(strings.ReplaceAll(q, "-", "_"))
		if m != "compressed_tensors" && m != "modelopt" {
			return m
		}
		if stored := s.storedAs(); strings.HasPrefix(stored, m) || strings.HasSuffix(stored, "nvfp4") {
			return stored // the flag names the container, the checkpoint what is in it
		}
		switch {
		case m == "compressed_tensors" && (s.named.Quant == "awq" || s.named.Quant == "gptq" || s.named.Quant == "int4"):
			return "compressed_tensors_int4"
		case m == "compressed_tensors" && s.named.Quant == "fp8":
			return "compressed_tensors_fp8"
		case m == "modelopt" && s.named.Quant == "fp8":
			return "modelopt_fp8"
		}
		return m
	}
	return s.storedAs()
}

// storedAs is how the checkpoint stores its weights, as its config or its name says.
func (s *subject) storedAs() string {
	if s.profile != nil {
		if s.profile.Quant == nil {
			return ""
		}
		m, f := s.profile.Quant.Method, s.profile.Quant.Format
		switch {
		case m == "compressed-tensors" && strings.Contains(f, "nvfp4"):
			return "compressed_tensors_nvfp4"
		case strings.Contains(f, "nvfp4"), m == "modelopt" && s.profile.Quant.Bits == 4, m == "modelopt_fp4":
			return "nvfp4"
		case m == "compressed-tensors" && (strings.Contains(f, "float") && s.profile.Quant.Bits == 8):
			return "compressed_tensors_fp8"
		case m == "compressed-tensors" && strings.Contains(f, "pack"):
			return "compressed_tensors_int4"
		}
		return strings.ReplaceAll(m, "-", "_")
	}
	switch q := s.named.Quant; q {
	case "compressed-tensors-fp8":
		return "compressed_tensors_fp8"
	case "compressed-tensors-int8":
		return "compressed_tensors_int8"
	case "compressed-tensors":
		return "compressed_tensors_int4"
	case "int4", "int8": // the method is not in the name, but for the first Qwen, which came as GPTQ
		if s.modelType == "qwen" {
			return "gptq"
		}
		return ""
	case "nvfp4":
		if n := strings.ToLower(s.named.Name); strings.HasPrefix(n, "redhatai/") || strings.HasPrefix(n, "nm-testing/") || strings.Contains(n, "nvfp4a16") {
			return "compressed_tensors_nvfp4" // written by llm-compressor
		}
		return q
	default:
		return strings.ReplaceAll(q, "-", "_")
	}
}

// quantSpan says in which vLLM releases a method works without a plugin.
type quantSpan struct {
	first, last string
	statement   string
	source      string
}

// quantSpans holds methods that came late or went; from the quantisation registries inside the wheels.
var quantSpans = map[string]quantSpan{
	"mxfp4":              {first: "0.10.1", statement: "vLLM loads MXFP4 weights from 0.10.1 on", source: "vllm wheels: model_executor/layers/quantization/__init__.py"},
	"nvfp4":              {first: "0.8.0", statement: "vLLM loads NVFP4 weights from 0.8.0 on", source: "vllm wheels: model_executor/layers/quantization/__init__.py"},
	"gguf":               {first: "0.5.5", last: "0.23.0", statement: "vLLM loads GGUF itself up to 0.23.0; from 0.24.0 on with vllm-gguf-plugin", source: "vllm 0.24.0 wheel: quantization/__init__.py"},
	"bitsandbytes":       {first: "0.5.0", last: "0.27.1", statement: "vLLM loads bitsandbytes itself up to 0.27.1; from 0.28.0 on with vllm-bnb-plugin", source: "vllm 0.28.0 wheel: quantization/__init__.py"},
	"awq":                {first: "0.2.0", statement: "vLLM loads AWQ from 0.2.0 on", source: "https://github.com/vllm-project/vllm/releases/tag/v0.2.0"},
	"gptq":               {first: "0.2.6", statement: "vLLM loads GPTQ from 0.2.6 on", source: "PyPI wheel vllm 0.2.6: quantization/__init__.py"},
	"fp8":                {first: "0.4.1", statement: "vLLM loads FP8 from 0.4.1 on", source: "PyPI wheel vllm 0.4.1: quantization/__init__.py"},
	"compressed_tensors": {first: "0.5.0", statement: "vLLM loads compressed-tensors from 0.5.0 on", source: "PyPI wheel vllm 0.5.0: quantization/__init__.py"},
	"auto_round":         {first: "0.9.0", statement: "vLLM loads AutoRound's own format from 0.9.0 on", source: "vllm wheels: quantization/__init__.py"},
	"exl2":               {first: "99", statement: "vLLM loads no EXL2 weights", source: "vllm wheels: quantization/__init__.py"},
}

// ruleQuantEngine: the release knows the quantisation method.
func ruleQuantEngine(s *subject) []finding {
	if s.release == nil || !s.isVLLM() || s.fork {
		return nil
	}
	m := s.quantMethod()
	if m == "" {
		return nil
	}
	if f, ok := s.bitsAndRanks(m); ok {
		return []finding{f}
	}
	key := m
	switch {
	case m == "compressed_tensors_nvfp4":
		key = "nvfp4"
	case strings.HasPrefix(m, "compressed_tensors"):
		key = "compressed_tensors"
	case m == "modelopt_fp8":
		key = "modelopt"
	}
	if s.before("0.6.0") { // read from the early wheels
		t, fact := s.j.s.EarlyQuantization(strings.ReplaceAll(key, "_", "-"))
		if len(t) == 0 {
			t, fact = s.j.s.EarlyQuantization(key)
		}
		if len(t) > 0 && t.First().Compare(version.MustParsePEP440("0.2.2")) > 0 && s.version.Public().Compare(t.First()) < 0 {
			return []finding{s.quantFinding(m, fact, t.First().String(), lastOf(t))}
		}
	}
	if t, fact, ok := s.j.quantTimeline(key); ok && !s.atMost {
		switch {
		case t.At(s.version.Public()) == catalog.Absent && s.exact:
			return []finding{s.quantFinding(m, fact, t.First().String(), lastOf(t))}
		case t.At(s.version.Public()) != catalog.Absent:
			return nil
		}
	}
	span, ok := quantSpans[key]
	if !ok {
		return nil
	}
	fact := reported("vllm/quantization/"+key, span.statement, span.source, "2026-11-25")
	if s.before(span.first) && !(s.dev && version.MustParsePEP440(span.first).Compare(s.version.Base()) == 0) || span.last != "" && s.exact && s.version.Public().Compare(version.MustParsePEP440(span.last)) > 0 {
		return []finding{s.quantFinding(m, fact, span.first, span.last)}
	}
	return nil
}

// bitsAndRanks: bitsandbytes over several ranks, which came late, and for checkpoints that are stored quantised not at all.
func (s *subject) bitsAndRanks(m string) (finding, bool) {
	tp, pp := s.ranks()
	if m != "bitsandbytes" || !s.exact || tp*pp < 2 || s.before("0.5.0") {
		return finding{}, false
	}
	f := finding{code: CodeQuantEngine, hints: []problem.Hint{{Text: "--tensor-parallel-size 1, or a checkpoint quantised in another way"}}}
	switch stored := s.named.Quant == "bitsandbytes" || s.profile != nil && s.profile.Quant != nil; {
	case s.before("0.6.2"):
		f.reason = fmt.Sprintf("%s does not split bitsandbytes weights over %d ranks", s.label(), tp*pp)
		f.facts = []catalog.Fact{reported("vllm/bitsandbytes/ranks", "vLLM 0.5.0 to 0.6.1.post2 refuse bitsandbytes with more than one rank", "vllm wheels: vllm/config.py", "2026-11-25")}
	case stored && tp > 1 && s.before("0.28.0"):
		f.reason = fmt.Sprintf("%s does not split weights that are stored in bitsandbytes' form over %d ranks", s.label(), tp)
		f.facts = []catalog.Fact{reported("vllm/bitsandbytes/stored", "vLLM from 0.6.2 on refuses checkpoints stored by bitsandbytes with tensor parallelism; pipeline parallelism does", "vllm wheels: model_loader/bitsandbytes_loader.py, 0.6.2 to 0.27.1", "2026-11-25")}
	default:
		return finding{}, false
	}
	return f, true
}

func lastOf(t catalog.Timeline) string {
	if l := t.Last(); !l.IsZero() {
		return l.String()
	}
	return ""
}

func (s *subject) quantFinding(m string, fact catalog.Fact, first, last string) finding {
	f := finding{code: CodeQuantEngine, facts: []catalog.Fact{fact}, reason: fmt.Sprintf("%s does not load %s weights", s.label(), strings.ReplaceAll(m, "_", "-"))}
	if s.before(first) && first != "99" {
		f.hints = []problem.Hint{{Text: "take vllm==" + first + " or newer"}}
	} else if last != "" {
		f.hints = []problem.Hint{{Text: "take vllm==" + last + " or older, or the plugin"}}
	}
	return f
}

// quantFloor is the lowest compute capability a method runs on in a range of releases.
type quantFloor struct {
	method      string
	modelType   string // instead of a method: what one family needs however it is stored
	below       string // releases before this one; "" all
	from        string
	moeOnly     bool
	min         version.Capability
	statement   string
	source      string
	unlessFlags []string // values of --moe-backend that lift it
}

var quantFloors = []quantFloor{
	{method: "mxfp4", min: version.Capability{Major: 8}, statement: "MXFP4 weights need compute capability 8.0: there is no Marlin kernel for them on Turing", source: "https://github.com/vllm-project/vllm/issues/22288"},
	{modelType: "qwen4_exp", min: version.Capability{Major: 8, Minor: 9}, statement: "Qwen3.8-Flash-Next falls to a Triton kernel that needs fp8e4nv: its experts are too narrow for Marlin's unless --moe-backend marlin and its fixes are taken", source: "https://github.com/vllm-project/vllm/issues/54318, https://github.com/vllm-project/vllm/issues/54219", unlessFlags: []string{"marlin"}},
	{method: "fp8", below: "0.5.1", min: version.Capability{Major: 8, Minor: 9}, statement: "FP8 weights needed compute capability 8.9 before the Marlin kernel came in 0.5.1", source: "https://github.com/vllm-project/vllm/pull/5975"},
	{method: "fp8", below: "0.9.0", moeOnly: true, min: version.Capability{Major: 8, Minor: 9}, statement: "experts in FP8 needed compute capability 8.9 before 0.9.0: the Triton kernel has no fp8e4nv below it", source: "https://github.com/vllm-project/vllm/issues/18182", unlessFlags: []string{"marlin"}},
	{method: "fp8", below: "0.14.0", min: version.Capability{Major: 8}, statement: "FP8 weights run weight-only through Marlin from compute capability 8.0 (7.5 from 0.14.0)", source: "vllm wheels: quantization/fp8.py get_min_capability"},
	{method: "fp8", min: version.Capability{Major: 7, Minor: 5}, statement: "FP8 weights need compute capability 7.5", source: "vllm wheels: quantization/fp8.py get_min_capability"},
	{method: "fbgemm_fp8", below: "0.6.0", min: version.Capability{Major: 8, Minor: 9}, statement: "FBGEMM FP8 needed compute capability 8.9 at first", source: "https://github.com/vllm-project/vllm/issues/6815"},
	{method: "compressed_tensors_fp8", below: "0.6.0", min: version.Capability{Major: 8, Minor: 9}, statement: "compressed-tensors FP8 needed compute capability 8.9 before its weight-only path", source: "https://github.com/vllm-project/vllm/issues/6815"},
	{method: "compressed_tensors_fp8", below: "0.9.0", moeOnly: true, min: version.Capability{Major: 8, Minor: 9}, statement: "experts in FP8 needed compute capability 8.9 before 0.9.0", source: "https://github.com/vllm-project/vllm/issues/18182"},
	{method: "compressed_tensors_fp8", below: "0.16.0", min: version.Capability{Major: 8}, statement: "compressed-tensors FP8 runs weight-only from compute capability 8.0 (7.5 from 0.16.0)", source: "vllm wheels: compressed_tensors get_min_capability"},
	{method: "compressed_tensors_fp8", min: version.Capability{Major: 7, Minor: 5}, statement: "compressed-tensors FP8 needs compute capability 7.5", source: "vllm wheels: compressed_tensors get_min_capability"},
	{method: "compressed_tensors_int4", min: version.Capability{Major: 7, Minor: 5}, statement: "compressed-tensors W4A16 needs compute capability 7.5", source: "vllm wheels: compressed_tensors wNa16 get_min_capability"},
	{method: "compressed_tensors_int4", below: "0.12.0", min: version.Capability{Major: 8}, statement: "compressed-tensors W4A16 needed compute capability 8.0 before 0.12.0", source: "vllm wheels: compressed_tensors wNa16 get_min_capability"},
	{method: "compressed_tensors_int8", min: version.Capability{Major: 7, Minor: 5}, statement: "compressed-tensors W8A8 needs compute capability 7.5", source: "vllm wheels: compressed_tensors get_min_capability"},
	{method: "compressed_tensors_int8", from: "0.6.3", below: "0.6.4", min: version.Capability{Major: 8}, statement: "the INT8 W8A8 kernel of 0.6.3 is not compiled for Turing", source: "https://github.com/vllm-project/vllm/issues/9419"},
	{method: "nvfp4", below: "0.9.0", min: version.Capability{Major: 10}, statement: "NVFP4 ran on Blackwell only before the Marlin fallback of 0.9.0", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "nvfp4", below: "0.14.0", min: version.Capability{Major: 8}, statement: "NVFP4 runs weight-only through Marlin from compute capability 8.0 (7.5 from 0.14.0)", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "nvfp4", min: version.Capability{Major: 7, Minor: 5}, statement: "NVFP4 runs weight-only through Marlin from compute capability 7.5", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "compressed_tensors_nvfp4", below: "0.9.0", min: version.Capability{Major: 10}, statement: "NVFP4 ran on Blackwell only before the Marlin fallback of 0.9.0", source: "vllm wheels: compressed_tensors get_min_capability"},
	{method: "compressed_tensors_nvfp4", below: "0.16.0", min: version.Capability{Major: 8}, statement: "compressed-tensors NVFP4 runs weight-only from compute capability 8.0 (7.5 from 0.16.0)", source: "https://github.com/vllm-project/vllm/pull/33076"},
	{method: "compressed_tensors_nvfp4", min: version.Capability{Major: 7, Minor: 5}, statement: "compressed-tensors NVFP4 runs weight-only from compute capability 7.5", source: "vllm wheels: compressed_tensors get_min_capability"},
	{method: "modelopt", below: "0.14.0", min: version.Capability{Major: 8}, statement: "ModelOpt weights need compute capability 8.0 (8.9 for FP8)", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "modelopt_fp8", below: "0.27.0", min: version.Capability{Major: 8, Minor: 9}, statement: "ModelOpt's FP8 needed compute capability 8.9 before 0.27.0", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "modelopt_fp4", below: "0.14.0", min: version.Capability{Major: 8}, statement: "NVFP4 runs weight-only through Marlin from compute capability 8.0 (7.5 from 0.14.0)", source: "vllm wheels: quantization/modelopt.py get_min_capability"},
	{method: "awq", below: "0.2.1", min: version.Capability{Major: 8}, statement: "the first AWQ kernels, of 0.2.0, need compute capability 8.0", source: "https://github.com/vllm-project/vllm/issues/1282"},
	{method: "awq", min: version.Capability{Major: 7, Minor: 5}, statement: "AWQ needs compute capability 7.5", source: "vllm wheels: quantization/awq.py get_min_capability"},
	{method: "awq_marlin", below: "0.14.0", min: version.Capability{Major: 8}, statement: "Marlin kernels need compute capability 8.0 (7.5 from 0.14.0)", source: "vllm wheels: quantization/awq_marlin.py get_min_capability"},
	{method: "gptq_marlin", below: "0.14.0", min: version.Capability{Major: 8}, statement: "Marlin kernels need compute capability 8.0 (7.5 from 0.14.0)", source: "vllm wheels: quantization/gptq_marlin.py get_min_capability"},
	{method: "marlin", min: version.Capability{Major: 8}, statement: "Marlin kernels need compute capability 8.0", source: "vllm wheels: quantization/marlin.py get_min_capability"},
	{method: "bitsandbytes", min: version.Capability{Major: 7}, statement: "bitsandbytes needs compute capability 7.0", source: "vllm wheels: quantization/bitsandbytes.py get_min_capability"},
	{method: "fp_quant", min: version.Capability{Major: 10}, statement: "FP-Quant needs compute capability 10.0", source: "vllm wheels: quantization/fp_quant.py get_min_capability"},
}

// ruleQuantGPU: the card runs the quantisation method.
func ruleQuantGPU(s *subject) []finding {
	c, m := s.gpu.capability, s.quantMethod()
	if c.IsZero() {
		return nil
	}
	if f, ok := s.cacheNVFP4(); ok && !s.fork {
		return []finding{f}
	}
	if f, ok := s.cacheFP8(); ok && !s.fork {
		return []finding{f}
	}
	if m == "" && s.modelType == "" {
		return nil
	}
	if s.engine == catalog.SGLang && m == "fp8" && s.isMoE() && c.Compare(capOf(8, 9)) < 0 && s.release != nil {
		return []finding{{code: CodeQuantGPU, reason: fmt.Sprintf("SGLang computes experts in FP8 with a Triton kernel that needs compute capability 8.9, %s has less", s.cardName()),
			facts: []catalog.Fact{reported("sglang/fp8-moe/8.9", "SGLang's kernel for experts in FP8 is Triton's, which has no fp8e4nv below compute capability 8.9; a Marlin path was still a proposal in July 2026", "https://github.com/sgl-project/sglang/issues/5871, https://github.com/sgl-project/sglang/pull/30681", "2026-07-09"), s.cardFact()}}}
	}
	if s.engine == catalog.SGLang && m != "mxfp4" || s.engine == catalog.VLLMCPU {
		return nil
	}
	for _, q := range quantFloors {
		if q.modelType == "" && q.method != m || q.modelType != "" && q.modelType != s.modelType || c.Compare(q.min) >= 0 || q.moeOnly && !s.isMoE() {
			continue
		}
		if s.fork && (q.below != "" || q.from != "" || familyInImage(s.image) == "") {
			continue // somebody's own build may have kernels of its own; one for a model has what every release has
		}
		if q.below != "" && (s.release == nil || !s.before(q.below)) || q.from != "" && (s.release == nil || s.before(q.from)) {
			continue
		}
		if v, _ := s.flags.Get("moe-backend"); len(q.unlessFlags) > 0 && strings.EqualFold(v, q.unlessFlags[0]) {
			continue
		}
		what := m
		if q.modelType != "" {
			what = q.modelType
		}
		return []finding{{code: CodeQuantGPU, reason: fmt.Sprintf("%s weights need compute capability %s here, %s has less", strings.ReplaceAll(what, "_", "-"), q.min, s.cardName()),
			facts: []catalog.Fact{reported("vllm/quantization/"+what+"/"+q.min.String(), q.statement, q.source, "2026-11-25"), s.cardFact()}}}
	}
	if f, ok := s.belowMinimum(c); ok {
		return []finding{f}
	}
	if f, ok := s.nvfp4Experts(m); ok {
		return []finding{f}
	}
	if s.engine == catalog.VLLM && !s.fork && s.release != nil && s.isMoE() && strings.HasPrefix(m, "compressed_tensors_fp8") && c == capOf(9, 0) && s.exact && !s.before("0.9.0") && s.before("0.9.2") {
		return []finding{s.capabilityFinding(fmt.Sprintf("%s has no kernel for experts in compressed-tensors FP8 on %s", s.label(), s.cardName()),
			reported("vllm/0.9.0/fp8-moe", "in 0.9.0 and 0.9.1 10.0+PTX took the place of 9.0+PTX in the list of architectures, and the grouped FP8 kernel has no code for 9.0", "https://github.com/vllm-project/vllm/issues/18841", "2025-06-04"))}
	}
	return nil
}

// belowMinimum: the least capability that the release's own code demands for the method of the checkpoint's config, or for
// the one that is asked for, as it was read from the wheels.
func (s *subject) belowMinimum(c version.Capability) (finding, bool) {
	if s.engine != catalog.VLLM || s.fork || s.release == nil || !s.exact && !s.dev || s.before("0.6.0") {
		return finding{}, false
	}
	method, _ := s.flags.Get("quantization")
	format := ""
	if q := s.profile; q != nil && q.Quant != nil && (method == "" || plainName(method) == plainName(q.Quant.Method)) {
		method, format = q.Quant.Method, q.Quant.Format
	}
	if method == "" || plainName(method) == "compressed_tensors" && format == "" {
		return finding{}, false
	}
	n, ok := s.j.s.Quantization(method, format, s.version.Public())
	if !ok || n.Min.IsZero() || c.Compare(n.Min) >= 0 {
		return finding{}, false
	}
	if r := s.j.next(s.release); s.dev && r != nil { // the branch may have what the next release has
		if later, ok := s.j.s.Quantization(method, format, r.Version); !ok || c.Compare(later.Min) >= 0 {
			return finding{}, false
		}
	}
	return finding{code: CodeQuantGPU, facts: []catalog.Fact{n.Fact(), s.cardFact()},
		reason: fmt.Sprintf("%s weights need compute capability %s in %s, %s has less", strings.ReplaceAll(n.Method, "_", "-"), n.Min, s.label(), s.cardName())}, true
}

// nvfp4Experts: experts in NVFP4 on compute capability 12.x, whose kernels came late and were lost once.
func (s *subject) nvfp4Experts(m string) (finding, bool) {
	c := s.gpu.capability
	fp4 := m == "nvfp4" || m == "compressed_tensors_nvfp4" || m == "modelopt_fp4"
	if s.engine != catalog.VLLM || !fp4 || c.Major != 12 || !s.isMoE() || s.release == nil || s.ownBuild() {
		return finding{}, false
	}
	if v, ok := s.flags.Get("moe-backend"); ok && strings.EqualFold(v, "marlin") {
		return finding{}, false
	}
	at015 := s.exact && s.version.Public().Compare(version.MustParsePEP440("0.15.0")) == 0
	switch {
	case s.before("0.12.0"), c.Minor > 0 && s.before("0.13.0"), at015:
	default:
		return finding{}, false
	}
	return s.capabilityFinding(fmt.Sprintf("%s has no working kernel for experts in NVFP4 on %s", s.label(), s.cardName()),
		reported("vllm/nvfp4-moe/12", "the CUTLASS kernels for experts in NVFP4 are built for compute capability 12.0 from 0.12.0 on and work on 12.1 from 0.13.0 on; 0.15.0 left 12.x out when it chooses the backend",
			"https://github.com/vllm-project/vllm/pull/29242, https://github.com/vllm-project/vllm/issues/30855, https://github.com/vllm-project/vllm/issues/33416", "2026-01-30")), true
}

// cacheFP8: an FP8 cache on cards whose Triton has no e4m3. FlashInfer keeps one on older cards; from 0.11.1 on vLLM depends on
// it and chooses it by itself where FlashAttention cannot hold the cache.
func (s *subject) cacheFP8() (finding, bool) {
	kv, _ := s.flags.Get("kv-cache-dtype")
	c := s.gpu.capability
	if s.engine != catalog.VLLM || kv != "fp8" && kv != "fp8_e4m3" || c.Compare(capOf(8, 9)) >= 0 || s.release == nil || s.before("0.9.0") || s.sparseMLA() {
		return finding{}, false
	}
	facts := []catalog.Fact{reported("vllm/kv-fp8/8.9", "the V1 engine keeps an FP8 (e4m3) cache from compute capability 8.9 on: Triton has no fp8e4nv below it", "https://docs.vllm.ai/en/latest/features/quantization/quantized_kvcache.html", "2026-11-25")}
	floor := capOf(7, 5)
	if !s.before("0.24.0") {
		floor = capOf(8, 0)
	}
	switch chosen := s.backendChosen(); {
	case strings.EqualFold(chosen, "FLASHINFER") && (s.before("0.24.0") || c.Compare(floor) >= 0):
		return finding{}, false
	case chosen == "" && !s.before("0.11.1") && c.Compare(floor) >= 0 && s.flashInferHolds():
		return finding{}, false
	case c.Major == 7 && c.Compare(floor) < 0 && !s.before("0.24.0"):
		facts = append(facts, reported("vllm/flashinfer/sm80", "FlashInfer, which keeps an FP8 cache on older cards, is not offered below compute capability 8.0 from 0.24.0 on (7.5 before)",
			"https://github.com/vllm-project/vllm/pull/45375, https://github.com/vllm-project/vllm/issues/47549", "2026-07-08"))
	}
	return finding{code: CodeQuantGPU, at: "--kv-cache-dtype " + kv, reason: fmt.Sprintf("an e4m3 cache needs compute capability 8.9, %s has less", s.cardName()),
		facts: append(facts, s.cardFact()), hints: []problem.Hint{{Text: "--kv-cache-dtype fp8_e5m2, or none"}}}, true
}

// cacheNVFP4: a cache in NVFP4 is kept by TensorRT-LLM's kernels, which are built for data-centre Blackwell only.
func (s *subject) cacheNVFP4() (finding, bool) {
	kv, _ := s.flags.Get("kv-cache-dtype")
	if c := s.gpu.capability; s.engine != catalog.VLLM || !strings.HasPrefix(kv, "nvfp4") || c.IsZero() || c.Major == 10 || s.release == nil || !s.before("0.30.0") {
		return finding{}, false
	}
	return finding{code: CodeQuantGPU, at: "--kv-cache-dtype " + kv, reason: fmt.Sprintf("a cache in NVFP4 needs a card of compute capability 10.x, %s is another", s.cardName()),
		facts: []catalog.Fact{reported("vllm/kv-nvfp4/10", "up to 0.29.0 vLLM's FlashInfer backend takes a cache in NVFP4 on cards of the family 10.x only: 12.0 and 8.9 are turned away though kernels for 12.0 are there",
			"https://github.com/vllm-project/vllm/issues/47790, https://github.com/vllm-project/vllm/issues/49011, https://github.com/vllm-project/vllm/issues/47684", "2026-09-20"), s.cardFact()},
		hints: []problem.Hint{{Text: "--kv-cache-dtype fp8, or none"}}}, true
}

// flashInferHolds reports whether FlashInfer may serve the model's attention below compute capability 10.0: no latent attention,
// no sinks, and heads it is built for. A model nobody described may.
func (s *subject) flashInferHolds() bool {
	if s.modelType == "gpt_oss" || s.architecture == "GptOssForCausalLM" || s.profile != nil && s.profile.MLA != nil {
		return false
	}
	switch d := s.headDim(); d {
	case 0, 64, 128, 256:
		return true
	case 512:
		return !s.before("0.24.0")
	}
	return false
}

func (s *subject) isMoE() bool {
	return s.profile != nil && s.profile.MoE != nil || s.named.MoE || strings.Contains(s.architecture, "Moe") || strings.Contains(s.architecture, "Llama4") || strings.Contains(s.architecture, "DeepseekV")
}

// ruleDType: bfloat16 needs compute capability 8.0.
func ruleDType(s *subject) []finding {
	c := s.gpu.capability
	if c.IsZero() || c.Compare(capOf(8, 0)) >= 0 || s.engine == catalog.VLLMCPU {
		return nil
	}
	d, stated := s.flags.Get("dtype")
	d = strings.ToLower(d)
	at := ""
	for _, f := range s.flags.List {
		if f.Name == "dtype" {
			at = strings.TrimSpace(f.Given + " " + f.Value)
		}
	}
	fact := reported("vllm/bfloat16", "bfloat16 needs compute capability 8.0", "vllm/worker: check of the data type; https://github.com/vllm-project/vllm/issues/946", "2026-11-25")
	if d == "bfloat16" || d == "bf16" {
		return []finding{{code: CodeDType, at: at, facts: []catalog.Fact{fact, s.cardFact()}, reason: fmt.Sprintf("bfloat16 needs compute capability 8.0, %s has less", s.cardName()),
			hints: []problem.Hint{{Text: "--dtype half"}}}}
	}
	if (d == "half" || d == "float16") && s.isVLLM() && s.since("0.9.1") {
		switch s.modelType {
		case "gemma2", "gemma3", "gemma3_text", "plamo2", "glm4":
			return []finding{{code: CodeDType, at: at, facts: []catalog.Fact{reported("vllm/float16/"+s.modelType, "vLLM refuses float16 for "+s.modelType+": its activations overflow", "vllm/config: _FLOAT16_NOT_SUPPORTED_MODELS", "2026-11-25"), s.cardFact()},
				reason: fmt.Sprintf("%s does not run in float16, and %s has no bfloat16", s.modelType, s.cardName()), hints: []problem.Hint{{Text: "--dtype float32"}}}}
		}
	}
	if (!stated || d == "auto" || d == "") && s.isVLLM() && (s.before("0.9.0") || s.release == nil && s.c.Engine.Moving && s.day != "" && s.day < "2023-09-11") && s.checkpointBF16() {
		return []finding{{code: CodeDType, assumed: true, facts: []catalog.Fact{fact, s.cardFact(),
			reported("vllm/dtype-fallback", "vLLM takes float16 by itself on such cards only from 0.9.0 on", "https://github.com/vllm-project/vllm/pull/17265", "2025-05-09")},
			reason: fmt.Sprintf("the checkpoint is bfloat16, %s has no bfloat16, and %s does not fall back by itself", s.cardName(), s.label()),
			hints:  []problem.Hint{{Text: "--dtype half"}}}}
	}
	return nil
}

// checkpointBF16 reports whether the model's own data type is bfloat16, from its config or its family.
func (s *subject) checkpointBF16() bool {
	if s.profile != nil && s.profile.DType != "" {
		return s.profile.DType == "bfloat16"
	}
	if s.quantMethod() != "" || s.named.Bits < 16 {
		return false
	}
	name := strings.ToLower(s.named.Name)
	switch s.modelType {
	case "llama":
		return strings.Contains(name, "llama-3") || strings.Contains(name, "llama3") || strings.Contains(name, "yi-")
	case "qwen", "qwen2", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3", "mistral", "mixtral", "phi3", "chatglm", "internlm2", "cohere", "baichuan", "deepseek_v2":
		return s.named.Architecture != "" && (s.modelType != "chatglm" || strings.Contains(name, "glm-4")) // ChatGLM up to 3 is float16
	}
	return false
}
