package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// registered says whether the release in use registers a class.
func (s *subject) registered(class string) catalog.Presence {
	v := s.version
	if v.Compare(catalog.FirstCurrentVLLM) < 0 {
		t, _, ok := s.j.s.EarlyArchitecture(class)
		if !ok {
			return catalog.Absent
		}
		return t.At(v.Public())
	}
	a, ok := s.j.class(class)
	if !ok {
		return catalog.Uncertain
	}
	return a.Registered.At(v.Public())
}

// registration states which releases register a class, as the table of the release in use has it.
func (s *subject) registration(class string) catalog.Fact {
	if s.version.Compare(catalog.FirstCurrentVLLM) < 0 {
		if _, f, ok := s.j.s.EarlyArchitecture(class); ok {
			return f
		}
	}
	return s.j.classFact(class)
}

// ruleArchitecture: the class in the release's registry, and the model type in its transformers.
func ruleArchitecture(s *subject) []finding {
	if s.imageForModel() {
		return nil
	}
	var out []finding
	if f, ok := s.typeUnknown(); ok {
		out = append(out, f)
	} else if f, ok := s.unheardType(); ok {
		out = append(out, f)
	}
	a, known := s.j.class(s.architecture)
	if !known && !s.heardOf() {
		if f, ok := s.unheardClass(); ok {
			out = append(out, f)
		}
		return out
	}
	if f, ok := s.tooNewAGeneration(); ok {
		return append(out, f)
	}
	if s.release == nil || s.architecture == "" || s.fork {
		return out
	}
	if s.engine == catalog.SGLang {
		return append(out, s.sglangArchitecture()...)
	}
	if !s.isVLLM() || !known {
		return out
	}
	has := s.registered(s.architecture)
	next := s.j.next(s.release)
	near := 14
	if strings.Contains(strings.ToLower(s.c.Engine.Text), "after") {
		near = 45 // after a change that is named: what went within a release of it went with it
	}
	if s.dev && has == catalog.Present && next != nil && a.Registered.At(next.Version) == catalog.Absent && daysBetween(s.day, next.Released) <= near {
		last := s.release.Version
		return append(out, finding{code: CodeRemoved, facts: []catalog.Fact{s.registration(s.architecture)}, at: s.atEngine(),
			reason: fmt.Sprintf("%s went after %s, and the branch of that day is all but %s", s.architecture, last, next.Version),
			hints:  []problem.Hint{{Text: "take " + s.engine + "==" + last.String()}}})
	}
	if has != catalog.Absent || s.transformersBackend(a) || s.newerTransformers(a) || s.dev && next != nil && a.Registered.At(next.Version) == catalog.Present {
		return out
	}
	first, last := a.Registered.First(), a.Registered.Last()
	facts := []catalog.Fact{s.registration(s.architecture)}
	if !last.IsZero() && s.version.Public().Compare(last) > 0 {
		if s.atMost {
			return out // an older one than the newest possible may still have it
		}
		return append(out, finding{code: CodeRemoved, facts: facts, at: s.atEngine(),
			reason: fmt.Sprintf("%s no longer knows %s; the last release that does is %s", s.label(), s.architecture, last),
			hints:  []problem.Hint{{Text: "take " + s.engine + "==" + last.String()}}})
	}
	if s.dev && first.Compare(s.version.Base()) == 0 {
		return out
	}
	if r := s.j.find(s.engine, first); s.c.Engine.Moving && s.c.GPU != "" && r != nil && daysBetween(s.day, r.Released) <= 14 {
		s.miss = append(s.miss, fmt.Sprintf("whether the build of that day has %s already", s.architecture))
		return out // "latest" so shortly before, on a named card: a preview that has it
	}
	since := first
	if a.Registered[0].OrEarlier && s.version.Compare(catalog.FirstCurrentVLLM) < 0 {
		since = version.PEP440{}
	}
	reason := fmt.Sprintf("%s does not know %s", s.label(), s.architecture)
	if !since.IsZero() {
		reason += fmt.Sprintf("; vLLM learned it in %s", since)
	}
	f := finding{code: CodeEngineUnknown, facts: facts, reason: reason, at: s.atEngine()}
	if usable, ok := s.firstUsable(a); ok {
		f.hints = append(f.hints, problem.Hint{Text: "take vllm==" + usable.String() + " or newer"})
	} else if !since.IsZero() {
		f.hints = append(f.hints, problem.Hint{Text: "take vllm==" + since.String() + " or newer"})
	}
	return append(out, f)
}

// generations are models whose class a release registers while its code turns that generation away.
var generations = []struct{ name, first, statement, source string }{
	{"minicpm-v-4.5", "0.10.2", "vLLM's MiniCPMV takes version 4.5 from 0.10.2 on, and says which it takes", "https://github.com/OpenSQZ/MiniCPM-V-CookBook/issues/36, https://github.com/vllm-project/vllm/pull/23586"},
	{"minicpm-v-4", "0.10.1", "vLLM's MiniCPMV takes version 4.0 from 0.10.1 on, and says which it takes", "https://github.com/OpenSQZ/MiniCPM-V-CookBook/issues/11, https://github.com/vllm-project/vllm/pull/22166"},
	{"minicpm-v-2.6", "0.5.4", "vLLM's MiniCPMV takes version 2.6 from 0.5.4 on", "https://github.com/vllm-project/vllm/releases/tag/v0.5.4"},
}

// tooNewAGeneration: the class is known, this generation of it is not.
func (s *subject) tooNewAGeneration() (finding, bool) {
	name := strings.ToLower(strings.ReplaceAll(s.c.ModelName, "_", "."))
	for _, g := range generations {
		if !strings.Contains(name, g.name) {
			continue
		}
		if !s.isVLLM() || s.release == nil || s.fork || s.dev || !s.before(g.first) {
			return finding{}, false
		}
		return finding{code: CodeEngineUnknown, at: s.atEngine(), reason: fmt.Sprintf("%s turns %s away; %s is the first that takes it", s.label(), s.c.ModelName, g.first),
			facts: []catalog.Fact{reported("vllm/generation/"+g.name, g.statement, g.source, "2025-09-09")}, hints: []problem.Hint{{Text: "take vllm==" + g.first + " or newer"}}}, true
	}
	return finding{}, false
}

// sglangArchitecture: the class among SGLang's own. From 0.4.6 on it falls back to transformers' code for plain text
// models.
func (s *subject) sglangArchitecture() []finding {
	t, fact, ok := s.j.s.SGLangArchitecture(s.architecture)
	v := s.version.Public()
	if t.At(v) != catalog.Absent || (s.dev || s.c.Engine.Moving) && !s.longAfter(t.First()) {
		return nil
	}
	plain := strings.HasSuffix(s.architecture, "ForCausalLM") && !strings.Contains(s.architecture, "Moe")
	if !s.before("0.4.6") && plain || s.architecture == "Qwen3ForSequenceClassification" {
		return nil
	}
	f := finding{code: CodeEngineUnknown, facts: []catalog.Fact{fact}, at: s.atEngine(), reason: fmt.Sprintf("%s does not know %s", s.label(), s.architecture)}
	if !ok {
		if _, vllmKnows := s.j.class(s.architecture); !vllmKnows {
			return nil
		}
		return []finding{f}
	}
	if last := t.Last(); !last.IsZero() && v.Compare(last) > 0 {
		if s.atMost {
			return nil
		}
		f.code = CodeRemoved
		return []finding{f}
	}
	f.reason += fmt.Sprintf("; SGLang learned it in %s", t.First())
	f.hints = []problem.Hint{{Text: "take sglang==" + t.First().String() + " or newer"}}
	return []finding{f}
}

// imageForModel reports whether an image of somebody else's carries the name of the model's family: who built it put in
// what the family needs, and its day says nothing.
func (s *subject) imageForModel() bool {
	if !s.hasImage || s.official || s.modelType == "" || s.exact {
		return false
	}
	bare := strings.NewReplacer("_", "", "-", "", ".", "")
	return strings.Contains(bare.Replace(strings.ToLower(s.image.Text)), bare.Replace(s.modelType))
}

// longAfter reports whether a release came more than three weeks after the day of the case, or never: neither a branch nor an
// image of that day held what it brought.
func (s *subject) longAfter(first version.PEP440) bool {
	if first.IsZero() {
		return true
	}
	r := s.j.find(s.engine, first)
	return r != nil && s.day != "" && daysBetween(s.day, r.Released) > 21
}

// firstUsable is the first release that registers the class and whose own transformers bounds admit one that knows
// the type.
func (s *subject) firstUsable(a catalog.Architecture) (version.PEP440, bool) {
	mt, hasType := s.j.modelType(a.ModelType)
	for _, r := range s.j.Releases(catalog.VLLM) {
		if a.Registered.At(r.Version) != catalog.Present {
			continue
		}
		if a.ConfigInVLLM.At(r.Version) == catalog.Present || !hasType {
			return r.Version, true
		}
		if n := s.j.s.NewestTransformers(r.Transformers, ""); !n.IsZero() && mt.KnownTo(n) == catalog.Present {
			return r.Version, true
		}
	}
	return version.PEP440{}, false
}

// transformersBackend reports whether a release that lacks the class serves it through transformers' own modeling code.
func (s *subject) transformersBackend(a catalog.Architecture) bool {
	return a.OnBackend.At(s.version.Public()) == catalog.Present
}

// newerTransformers: the transformers that is stated, or that the release came with, knows the class, and the release hands
// classes it lacks to transformers' own code: plain text models from 0.8.0 on.
func (s *subject) newerTransformers(a catalog.Architecture) bool {
	mt, ok := s.j.modelType(a.ModelType)
	if !ok || mt.First.IsZero() || s.before("0.8.0") || !strings.HasSuffix(a.Name, "ForCausalLM") {
		return false
	}
	if !s.transformers.Stated() {
		return !s.before("0.9.0") && a.Registered.First().Compare(s.version.Public()) > 0 && !s.installed.IsZero() && !strings.Contains(a.Name, "Moe") && mt.KnownTo(s.installed) == catalog.Present
	}
	if v := s.transformers.Exact; !v.IsZero() {
		return mt.KnownTo(v.Public()) != catalog.Absent && v.Public().Compare(s.release.TransformersOnReleaseDay) > 0
	}
	return s.transformers.Bound.Set().SubsetOf(version.AtLeast(mt.First))
}

// typeUnknown: the transformers in use does not know the model type. A stated transformers speaks first; where only the
// type is stated, the transformers that came with the release does.
func (s *subject) typeUnknown() (finding, bool) {
	if s.modelType == "" {
		return finding{}, false
	}
	mt, ok := s.j.modelType(s.modelType)
	if !ok {
		return finding{}, false
	}
	if s.ownConfig() {
		return finding{}, false
	}
	stated := s.transformers.Stated()
	if !stated && s.c.Transformers != "" {
		return finding{}, false // "from git", "main": another one than came with the release, and not known
	}
	var lacks bool
	var with, id string
	switch {
	case !s.transformers.Exact.IsZero():
		lacks = mt.KnownTo(s.transformers.Exact.Public()) == catalog.Absent && mt.KnownTo(s.transformers.Exact.Base()) == catalog.Absent
		with, id = "transformers "+s.transformers.Exact.String(), "transformers"
	case s.transformers.Range:
		lacks = s.transformers.Bound.Set().Intersect(version.AtLeast(mt.First)).IsEmpty()
		with, id = "transformers "+s.transformers.Text, "transformers"
	case s.engine == catalog.SGLang && s.typeOnly && s.release != nil && !s.installed.IsZero() && !s.dev && (s.exact || s.atMost):
		lacks = mt.KnownTo(s.installed) == catalog.Absent
		with, id = fmt.Sprintf("transformers %s, which %s pins,", s.installed, s.label()), "installed"
	case s.typeOnly && s.release != nil && s.isVLLM() && (s.hasImage || s.before("0.6.0") || s.exact || s.atMost) && !s.wheels && !s.installed.IsZero():
		pin := s.installed
		if s.registered(s.architecture) == catalog.Absent && !s.release.TransformersOnReleaseDay.IsZero() {
			pin = s.release.TransformersOnReleaseDay // the engine lacks the class as well: say what is met first
		}
		lacks = mt.KnownTo(pin) == catalog.Absent
		with, id = fmt.Sprintf("transformers %s, the newest when %s came out,", pin, s.label()), "installed"
	case s.typeOnly && s.hasImage && s.imageDay() != "" && s.release == nil:
		newest := s.j.s.NewestTransformers(version.Specifier{}, s.imageDay())
		lacks = !newest.IsZero() && mt.KnownTo(newest) == catalog.Absent
		with, id = fmt.Sprintf("transformers %s, the newest when the image was made,", newest), "installed"
	}
	if !lacks {
		return finding{}, false
	}
	f := finding{code: CodeTransformersUnknown, facts: []catalog.Fact{mt.Fact()}, at: s.c.Transformers,
		reason: fmt.Sprintf("%s does not know model type %s; transformers learned it in %s", with, s.modelType, mt.First)}
	if stated {
		f.facts = append(f.facts, s.says(id, "transformers is %s", s.transformers.Text))
	} else if s.release != nil {
		f.facts = append(f.facts, s.release.Fact(catalog.AspectTransformers))
	}
	f.hints = append(f.hints, problem.Hint{Text: "take transformers>=" + mt.First.String()})
	return f, true
}

func (s *subject) imageDay() string {
	if s.image.AsOf != "" {
		return s.image.AsOf
	}
	if !s.hasImage || s.image.Engine.Stated() {
		return ""
	}
	return s.day
}

// ownConfig reports whether the engine brings the configuration class of the model type itself.
func (s *subject) ownConfig() bool {
	if s.release == nil {
		return false
	}
	v := s.version.Public()
	if s.engine == catalog.SGLang {
		return s.j.s.SGLangConfig(s.modelType).At(v) == catalog.Present
	}
	if v.Compare(catalog.FirstCurrentVLLM) < 0 {
		return s.j.s.EarlyConfig(s.modelType).At(v) == catalog.Present
	}
	a, ok := s.j.class(s.architecture)
	return ok && a.ModelType == s.modelType && a.ConfigInVLLM.At(v) == catalog.Present
}

// unsolvable: no transformers within the release's bounds knows the model's type, so that a plain install cannot load
// it although the class is registered.
func (s *subject) unsolvable() (finding, bool) {
	if s.c.Transformers != "" || s.profile == nil && !s.hasNamed || !s.exact || s.ownConfig() || s.modelType == "" {
		return finding{}, false
	}
	a, ok := s.j.class(s.architecture)
	if !ok || a.RemoteCode || a.Registered.At(s.version.Public()) != catalog.Present {
		return finding{}, false
	}
	if s.profile != nil && s.profile.RemoteCode {
		return finding{}, false
	}
	mt, ok := s.j.modelType(s.modelType)
	if !ok || mt.First.IsZero() { // no transformers has it: the model or the engine brings it
		return finding{}, false
	}
	newest := s.j.s.NewestTransformers(s.release.Transformers, "")
	if newest.IsZero() || mt.KnownTo(newest) != catalog.Absent {
		return finding{}, false
	}
	f := finding{code: CodeTransformersBound, at: s.atEngine(), facts: []catalog.Fact{s.release.Fact(catalog.AspectTransformers), mt.Fact()},
		reason: fmt.Sprintf("%s registers %s, but admits no transformers that knows %s (%s and newer)", s.label(), s.architecture, s.modelType, mt.First)}
	if usable, ok := s.firstUsable(a); ok {
		f.hints = append(f.hints, problem.Hint{Text: "take vllm==" + usable.String() + " or newer"})
	}
	return f, true
}

// atEngine is the text that names the engine, for pointing at a pasted line.
func (s *subject) atEngine() string {
	if s.hasImage && (s.c.Engine.Text == "" && s.c.Pins.Engine == "") {
		return strings.TrimSpace(s.image.Text)
	}
	if s.c.Engine.Text != "" {
		return s.c.Engine.Text
	}
	return s.c.Pins.Engine
}
