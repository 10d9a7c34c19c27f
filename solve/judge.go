package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// The codes of refusals, as the collected incidents name them.
const (
	CodeTransformersUnknown = "architecture_unknown_to_transformers"
	CodeEngineUnknown       = "architecture_unknown_to_engine"
	CodeRemoved             = "architecture_removed"
	CodeTransformersBound   = "transformers_bound_conflict"
	CodeFlagRemoved         = "flag_removed"
	CodeFlagUnknown         = "flag_unknown"
	CodePython              = "python_unsupported"
	CodeVariantMissing      = "wheel_variant_missing"
	CodeGlibc               = "glibc_too_old"
	CodeTorchABI            = "torch_abi_mismatch"
	CodeImageGate           = "image_cuda_gate"
	CodeDriverMajor         = "driver_cuda_major"
	CodeDriverTooOld        = "driver_too_old_for_wheel"
	CodeForwardCompat       = "forward_compat_unsupported_gpu"
	CodeCompatShadow        = "compat_libs_shadow_newer_driver"
	CodeCapability          = "compute_capability_unsupported"
	CodeQuantEngine         = "quantization_unsupported_by_engine"
	CodeQuantGPU            = "quantization_unsupported_on_gpu"
	CodeDType               = "dtype_unsupported_on_gpu"
	CodeContext             = "context_exceeds_model"
	CodeCardDriver          = "driver_too_old_for_gpu"
	CodeTP                  = "tp_not_divisible"
	CodeWeights             = "weights_do_not_fit"
	CodeKV                  = "kv_cache_does_not_fit"
	CodeDisk                = "disk_too_small"
	CodeLesson              = "lesson" // a failed launch taught it
	CodeOther               = "other"
)

// finding is one reason why a stack cannot work. Every finding names at least one fact.
type finding struct {
	code    string
	early   bool // before what depends on the model: the card runs nothing of the build
	assumed bool // it rests on a default that a flag may have changed: after what the build lacks
	weak    bool // it rests on a guess of the release, so that anything certain comes first
	built   bool // met when the layers are built, after the attention was chosen
	runs    bool // met when the cache is there and the first kernels run
	reason  string
	facts   []catalog.Fact
	hints   []problem.Hint
	at      string // the part of a pasted line that says it
	also    []Reason
}

// order of codes: what no other host can mend comes first, then what stops the start earliest.
var order = []string{
	CodeRemoved, CodeTransformersUnknown, CodeEngineUnknown, CodeTransformersBound, CodeLesson, CodeVariantMissing, CodePython, CodeGlibc,
	CodeTorchABI, CodeFlagRemoved, CodeFlagUnknown, CodeContext, CodeCardDriver, CodeImageGate, CodeCompatShadow, CodeForwardCompat, CodeDriverMajor, CodeDriverTooOld,
	CodeQuantEngine, CodeDType, CodeQuantGPU, CodeTooFewGPUs, CodeTP, CodeCapability, CodeWeights, CodeKV, CodeDisk, CodeOther,
}

type rule func(*subject) []finding

// rules, cheapest first.
var rules = []rule{
	ruleArchitecture, ruleTransformersBound, rulePython, ruleVariant, ruleGlibc, ruleTorch, ruleEntrypoint, ruleFlags, ruleParsers, ruleStatedParts, ruleStatedValues, rulePlainImage,
	ruleContext, ruleCardDriver, ruleImageGate, ruleCompat, ruleDriver, basic(ruleVendor), basic(ruleCapability), basic(ruleTorchCapability), ruleAttention, ruleQuantEngine, ruleStoredMethod, ruleQuantGPU,
	ruleDType, ruleProcessor, ruleRanks, ruleDivisible, ruleMemory, ruleDisk, ruleEmbedding,
	ruleSGLangNames, ruleSGLangWheel, basic(ruleSGLangCapability), ruleSGLangAttention, ruleSGLangQuant,
}

// machineRules are those that a card, its number or its host decide; the others do not change with the machine.
var machineRules = []rule{
	ruleCardDriver, ruleImageGate, ruleCompat, ruleDriver, basic(ruleVendor), basic(ruleCapability), basic(ruleTorchCapability), ruleAttention, ruleQuantGPU,
	ruleDType, ruleProcessor, ruleRanks, ruleDivisible, ruleMemory, ruleDisk,
}

// onMachine judges a software choice that is already judged on one machine: the first reason, or nil.
func (s *subject) onMachine() *finding {
	for _, r := range machineRules {
		if found := r(s); len(found) > 0 {
			return &found[0]
		}
	}
	return nil
}

// Judge judges one stack. A refusal names at least one fact; what is stated but cannot be placed makes the answer
// unknown; all else works as far as it is stated.
func (j *Judger) Judge(c Case) Verdict {
	s := j.resolve(c)
	return s.verdict()
}

// refusal is the verdict on a stack that cannot work; ok is false for every other.
func (s *subject) refusal() (v Verdict, ok bool) {
	var found []finding
	for _, r := range rules {
		found = append(found, r(s)...)
	}
	if len(found) == 0 {
		return Verdict{}, false
	}
	for i, f := range found { // who reports a failure met the parser of the arguments before anything of the model
		found[i].early = f.early || s.c.Closed && (f.code == CodeFlagUnknown || f.code == CodeFlagRemoved)
	}
	slices.SortStableFunc(found, func(a, b finding) int { return codeRank(a) - codeRank(b) })
	v = Verdict{Outcome: Refused, Code: found[0].code, Reason: found[0].reason, Facts: found[0].facts, Hints: found[0].hints, At: found[0].at}
	for _, f := range found[1:] {
		v.Also = append(v.Also, Reason{Code: f.code, Reason: f.reason, Facts: f.facts})
	}
	return v.whole(), true
}

func (s *subject) verdict() Verdict {
	if v, refused := s.refusal(); refused {
		return v
	}
	if v, refused := s.noRelease(); refused {
		return v
	}
	if s.c.Closed {
		s.miss = append(s.miss, s.notStated()...)
	}
	if m := s.unreadImage(); m != "" {
		s.miss = append(s.miss, m)
	}
	if len(s.miss) > 0 {
		return Verdict{Outcome: Unknown, Code: "facts_missing", Reason: "not known: " + strings.Join(s.miss, "; ")}.whole()
	}
	if s.release == nil && s.profile == nil && s.architecture == "" && s.gpu.name == "" {
		return Verdict{Outcome: Unknown, Code: "nothing_stated", Reason: "neither a model nor an engine nor a GPU is known from what is stated"}.whole()
	}
	return s.works().whole()
}

// notStated lists what a stack that exists has and the case does not tell, of what decides.
func (s *subject) notStated() []string {
	var out []string
	if s.architecture == "" && s.modelType == "" {
		out = append(out, "which model it is")
	} else if s.profile == nil {
		out = append(out, "the model's configuration") // a name may refuse; it is too little to promise that a machine works
	}
	if s.release == nil || !s.exact {
		out = append(out, "which engine release it is exactly")
	}
	if s.gpu.capability.IsZero() && s.engine != catalog.VLLMCPU {
		out = append(out, "which card it runs on")
	}
	if s.hostCUDA.IsZero() && s.engine != catalog.VLLMCPU {
		out = append(out, "the host's driver")
	}
	if s.engine == catalog.SGLang {
		out = append(out, "what SGLang's kernels and its memory need")
	}
	return out
}

// whole fills what the document must have.
func (v Verdict) whole() Verdict {
	if v.Facts == nil {
		v.Facts = []catalog.Fact{}
	}
	if v.Hints == nil {
		v.Hints = []problem.Hint{}
	}
	return v
}

func codeRank(f finding) int {
	i := slices.Index(order, f.code)
	if i < 0 {
		i = len(order)
	}
	switch {
	case f.weak:
		return len(order)*2 + 1 + i
	case f.runs:
		return slices.Index(order, CodeKV)*2 + 1
	case f.assumed, f.built:
		return slices.Index(order, CodeCapability)*2 + 1
	case f.early && f.code != CodeCapability:
		return -1
	case f.early: // a start reads the config and its quantisation before it runs the first kernel
		return slices.Index(order, CodeTP)*2 - 1
	}
	return i * 2
}

// works says what the stack rests on and what the host must bring.
func (s *subject) works() Verdict {
	v := Verdict{Outcome: Works, Code: "works"}
	var needs []string
	if s.held.Tag != "" {
		v.Facts = append(v.Facts, s.held.Fact())
	}
	if s.release != nil {
		if s.architecture != "" {
			if _, f, ok := s.j.s.SGLangArchitecture(s.architecture); ok && s.engine == catalog.SGLang {
				v.Facts = append(v.Facts, f)
			} else if a, ok := s.j.class(s.architecture); ok && s.isVLLM() {
				v.Facts = append(v.Facts, a.Fact())
			}
		}
		if c := s.imageCUDA(); s.official && !c.IsZero() && s.hostCUDA.IsZero() {
			needs = append(needs, fmt.Sprintf("a host whose driver offers CUDA %s", c))
			v.Facts = append(v.Facts, s.release.Fact(catalog.AspectImage))
		} else if !s.buildCUDA.IsZero() && s.hostCUDA.IsZero() {
			if d, ok := catalog.MinDriver(s.buildCUDA); ok {
				needs = append(needs, fmt.Sprintf("driver %s or newer", d))
				v.Facts = append(v.Facts, catalog.MinDriverFact(s.buildCUDA))
			}
		}
	}
	subjectOf := s.label()
	if s.architecture != "" {
		subjectOf += " with " + s.architecture
	}
	v.Reason = "nothing that is stated speaks against " + subjectOf
	if len(needs) > 0 {
		v.Reason += "; it needs " + strings.Join(needs, " and ")
	}
	v.Reason += " (" + s.judged() + ")"
	return v
}
