package solve

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// converted are the endings that vLLM's registry turns into ForCausalLM of the same family: Qwen3ForSequenceClassification
// is served by Qwen3ForCausalLM's code (vllm/model_executor/models/registry.py, _normalize_arch).
var converted = []string{
	"ForSequenceClassification", "ForTokenClassification", "ForRewardModeling", "RewardModel", "ClassificationModel", "ForTextEncoding", "EmbeddingModel",
	"ForImageClassification", "ForAudioClassification", "ForVideoClassification", "ForConditionalGeneration", "ForCausalLM", "LMHeadModel", "ChatModel", "Model",
}

var className = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// stem is a class name without what says for which task it is.
func stem(class string) string {
	for _, end := range converted {
		if s, ok := strings.CutSuffix(class, end); ok && s != "" {
			return s
		}
	}
	return class
}

// unheardClass: a class, or a type without any class, that no release of the engine names. Its registry was read at every
// release, so that is an answer. Whether transformers' own code, or code that the model brings, may serve it all the
// same is not known and makes the case undecided.
func (s *subject) unheardClass() (finding, bool) {
	what, registers := s.architecture, s.architecture
	if what == "" {
		what, registers = "model type "+s.modelType, "a class of model type "+s.modelType
	}
	switch {
	case s.architecture == "" && (s.modelType == "" || s.c.Closed), !s.readEngine(), s.architecture != "" && !className.MatchString(s.architecture):
		return finding{}, false
	case s.architecture != "" && strings.HasPrefix(s.architecture, "Transformers"): // the backend's own names
		return finding{}, false
	}
	if why := s.otherCode(); why != "" && !(s.c.Closed && s.c.Architecture != "" && s.flags.Has("trust-remote-code") && !s.stemKnown()) {
		if !s.c.Closed {
			s.miss = append(s.miss, fmt.Sprintf("whether %s serves %s, which its registry does not name: %s", s.label(), what, why))
		}
		return finding{}, false
	}
	fact := catalog.Fact{ID: catalog.FactID("vllm/architectures/" + strings.TrimPrefix(what, "model type ")), Standing: catalog.Derived, Date: s.j.s.NewestEngineRead(catalog.VLLM),
		Source: "vllm-project/vllm and its wheels: vllm/model_executor/models/registry.py of every release", Statement: fmt.Sprintf("no vLLM release up to %s registers %s", s.j.newestText(catalog.VLLM), registers)}
	if s.engine == catalog.SGLang {
		_, fact, _ = s.j.s.SGLangArchitecture(s.architecture)
	}
	f := finding{code: CodeEngineUnknown, facts: []catalog.Fact{fact}, at: s.atEngine(), reason: fmt.Sprintf("%s does not know %s, and no other release of it that was read does", s.label(), what)}
	if s.release == nil {
		f.reason = fmt.Sprintf("no release of %s that was read knows %s", s.label(), what)
	}
	if s.modelType != "" {
		f.facts = append(f.facts, catalog.Fact{ID: catalog.FactID("transformers/types/" + s.modelType), Standing: catalog.Derived, Date: s.j.s.NewestEngineRead(catalog.VLLM),
			Source: "transformers on the package index: models/auto/configuration_auto.py of every release", Statement: fmt.Sprintf("no transformers release up to %s knows the model type %s", s.j.s.NewestTransformers(version.Specifier{}, ""), s.modelType)})
	}
	f.hints = unheardHints()
	return f, true
}

func unheardHints() []problem.Hint {
	return []problem.Hint{{Text: "a newer release may know it; read the newest facts", Command: "justright catalog refresh"},
		{Text: "where the model brings its own code (auto_map in config.json), the engine may run that with -- --trust-remote-code"}}
}

// readEngine reports whether the release in use, or without one every release that could be taken, was read.
func (s *subject) readEngine() bool {
	if s.fork || s.dev && s.release != nil {
		return false
	}
	if s.release != nil {
		return s.isVLLM() || s.engine == catalog.SGLang
	}
	named := s.c.Pins.Engine == "" && s.c.Engine.Text == "" || strings.EqualFold(s.c.Pins.Engine, s.engine) // without a version
	return named && !s.hasImage && (s.isVLLM() || s.engine == catalog.SGLang)
}

// otherCode says which code might serve a class that the registry does not name; "" when there is none.
func (s *subject) otherCode() string {
	switch {
	case s.profile != nil && s.profile.RemoteCode, s.flags.Has("trust-remote-code"):
		return "the model brings its own code, which the Transformers backend runs when it was written for it"
	case s.transformers.Stated() && s.transformersLacks():
		return ""
	}
	if _, ok := s.j.modelType(s.modelType); ok {
		return fmt.Sprintf("transformers knows %s, and its backend serves what was written for it", s.modelType)
	}
	if s.modelType == "" && s.stemKnown() {
		return "transformers knows the family, and its backend serves what was written for it"
	}
	return ""
}

func (s *subject) transformersLacks() bool {
	mt, ok := s.j.modelType(s.modelType)
	return s.modelType != "" && (!ok || !s.transformers.Exact.IsZero() && mt.KnownTo(s.transformers.Exact.Public()) == catalog.Absent)
}

// stemKnown reports whether transformers has a family that the class is named after.
func (s *subject) stemKnown() bool {
	want := strings.ToLower(stem(s.architecture))
	return slices.ContainsFunc(s.j.s.ModelTypes(), func(t string) bool {
		return want == strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(t))
	})
}

// heardOf reports whether some release of some engine names the class, or the type where no class is stated.
func (s *subject) heardOf() bool {
	if s.architecture == "" {
		return len(s.j.s.ArchitecturesOfType(s.modelType)) > 0 || len(s.j.s.EarlyConfig(s.modelType)) > 0 || s.engine == catalog.SGLang && len(s.j.s.SGLangConfig(s.modelType)) > 0
	}
	_, _, early := s.j.s.EarlyArchitecture(s.architecture)
	_, _, other := s.j.s.SGLangArchitecture(s.architecture)
	return early || other && s.engine == catalog.SGLang || s.servedAs()
}

// servedAs reports whether the engine serves the class by the code of its family's generating one.
func (s *subject) servedAs() bool {
	base := stem(s.architecture)
	for _, end := range []string{"ForCausalLM", "ForConditionalGeneration", "Model"} {
		if _, ok := s.j.class(base + end); ok {
			return true
		}
	}
	return false
}

// unheardType: a stated transformers does not know the type since none does.
func (s *subject) unheardType() (finding, bool) {
	if s.modelType == "" || s.c.Closed || !s.transformers.Stated() || s.ownConfig() || s.profile != nil && s.profile.RemoteCode || s.flags.Has("trust-remote-code") {
		return finding{}, false
	}
	if _, ok := s.j.modelType(s.modelType); ok || len(s.j.s.ArchitecturesOfType(s.modelType)) > 0 {
		return finding{}, false
	}
	newest := s.j.s.NewestTransformers(version.Specifier{}, "")
	if !s.transformers.Exact.IsZero() && s.transformers.Exact.Public().Compare(newest) > 0 {
		return finding{}, false // newer than what was read
	}
	return finding{code: CodeTransformersUnknown, at: s.c.Transformers, reason: fmt.Sprintf("transformers %s does not know model type %s, nor does any release up to %s", s.transformers.Text, s.modelType, newest),
		facts: []catalog.Fact{{ID: catalog.FactID("transformers/types/" + s.modelType), Standing: catalog.Derived, Date: s.j.s.NewestEngineRead(catalog.VLLM),
			Source: "transformers on the package index: models/auto/configuration_auto.py of every release", Statement: fmt.Sprintf("no transformers release up to %s knows the model type %s", newest, s.modelType)},
			s.says("transformers", "transformers is %s", s.transformers.Text)}}, true
}

func (j *Judger) newestText(engine string) string {
	if r := j.newest(engine, "", nil); r != nil {
		return r.Version.String()
	}
	return "none"
}
