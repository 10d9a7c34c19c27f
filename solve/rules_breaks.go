package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// ruleTransformersBound: the transformers stated against what the release admits, and combinations known to break.
func ruleTransformersBound(s *subject) []finding {
	if s.release == nil || !s.isVLLM() {
		return nil
	}
	var out []finding
	stated := s.transformers
	bound := func(reason string, facts ...catalog.Fact) {
		f := finding{code: CodeTransformersBound, reason: reason, at: s.c.Transformers, facts: facts}
		if stated.Stated() {
			f.facts = append(f.facts, s.says("transformers", "transformers is %s", stated.Text))
		}
		pin := s.j.unbroken(s.release, s.architecture, s.release.TransformersOnReleaseDay)
		switch {
		case pin.IsZero():
		case pin.Compare(s.release.TransformersOnReleaseDay) == 0:
			f.hints = []problem.Hint{{Text: fmt.Sprintf("take transformers==%s, the newest on the day %s came out", pin, s.label())}}
		default:
			f.hints = []problem.Hint{{Text: fmt.Sprintf("take transformers==%s, the newest that %s runs with", pin, s.label())}}
		}
		out = append(out, f)
	}
	if stated.Stated() && s.release.HasBounds && (s.exact || s.dev) && !s.inOwnImage() {
		if !stated.Exact.IsZero() && !s.release.Transformers.Contains(stated.Exact.Public()) && !stated.Exact.IsPrerelease() && worthSaying(s, stated.Exact) {
			bound(fmt.Sprintf("%s needs transformers %s, not %s", s.label(), s.release.Transformers, stated.Exact), s.release.Fact(catalog.AspectTransformers))
		}
		if stated.Range && s.release.Transformers.Set().Intersect(stated.Bound.Set()).IsEmpty() {
			bound(fmt.Sprintf("%s needs transformers %s, which excludes %s", s.label(), s.release.Transformers, stated.Text), s.release.Fact(catalog.AspectTransformers))
		}
	}
	for _, b := range breaks {
		if b.holds(s) && len(out) == 0 {
			bound(b.reason(s), catalog.Fact{ID: catalog.FactID("reported/" + b.id), Statement: b.statement, Source: b.source, Date: b.date, Standing: catalog.Reported})
		}
	}
	if len(out) == 0 && s.architecture != "" {
		if f, ok := s.unsolvable(); ok {
			out = append(out, f)
		}
	}
	return out
}

// worthSaying leaves a transformers a little below the floor alone: people run it, and it is the cap that breaks. One of
// another major is never enough.
func worthSaying(s *subject, v version.PEP440) bool {
	pin := s.release.TransformersOnReleaseDay
	return pin.IsZero() || v.Compare(pin) > 0 || len(v.Release()) > 0 && v.Release()[0] != pin.Release()[0]
}

// known breaks of a release line with a newer transformers that its metadata admits.
type transformersBreak struct {
	id, statement, source, date string
	engineFrom, engineBelow     string // releases
	from, below                 string // transformers
	architectures               []string
}

var breaks = []transformersBreak{
	{id: "transformers-5", statement: "vLLM admits transformers 5 from 0.19.1 on; earlier releases were written for 4.x and use what 5.0 removed",
		source: "https://github.com/vllm-project/vllm/issues/40146", date: "2026-04-17", engineBelow: "0.19.0", from: "5.0.0"},
	{id: "aimv2", statement: "transformers 4.54 registers aimv2 itself, and the Ovis configuration of vLLM 0.9 registers it again, which is an error at import",
		source: "https://github.com/vllm-project/vllm/issues/17630", date: "2025-06-08", engineFrom: "0.9.0", engineBelow: "0.10.0", from: "4.54.0"},
	{id: "llama4-4.57.2", statement: "transformers 4.57.2 reads model_type off a dict while it makes Llama 4's tokenizer; 4.57.1 and 4.57.3 do not",
		source: "https://github.com/vllm-project/vllm/issues/29368", date: "2025-11-25", engineBelow: "0.19.0", from: "4.57.2", below: "4.57.3",
		architectures: []string{"Llama4ForConditionalGeneration"}},
	{id: "qwen2.5-vl-4.49", statement: "transformers 4.49 renamed the image processor of Qwen2.5-VL, which vLLM 0.7.2 imports by its name from before; 0.7.3 does not",
		source: "https://github.com/huggingface/transformers/issues/36246", date: "2025-02-18", engineFrom: "0.7.2", engineBelow: "0.7.3", from: "4.49.0",
		architectures: []string{"Qwen2_5_VLForConditionalGeneration"}},
	{id: "gemma4-5.15", statement: "transformers 5.15 (2026-08-10) raises an error where a configuration with layers of several kinds is asked for one head_dim, which vLLM asks of Gemma 4 up to 0.27.1; 0.28.0 does not",
		source: "https://github.com/vllm-project/vllm/issues/51744, https://github.com/vllm-project/vllm/pull/49797, https://github.com/vllm-project/vllm/issues/52768", date: "2026-08-18", engineBelow: "0.28.0", from: "5.15.0",
		architectures: []string{"Gemma4ForCausalLM", "Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration"}},
	{id: "mistral-image-processor", statement: "transformers 5.10 changed the Mistral image processor that vLLM 0.22 calls",
		source: "https://github.com/vllm-project/vllm/issues/44911", date: "2026-06-08", engineFrom: "0.20.0", engineBelow: "0.23.0", from: "5.10.0",
		architectures: []string{"PixtralForConditionalGeneration", "Mistral3ForConditionalGeneration"}},
}

// touches reports whether the break is one of the release's and the class's, whatever transformers is.
func (b transformersBreak) touches(engine version.PEP440, architecture string) bool {
	if b.engineFrom != "" && engine.Compare(version.MustParsePEP440(b.engineFrom)) < 0 || engine.Compare(version.MustParsePEP440(b.engineBelow)) >= 0 {
		return false
	}
	return len(b.architectures) == 0 || slices.Contains(b.architectures, architecture)
}

// hits reports whether a transformers is one that breaks.
func (b transformersBreak) hits(transformers version.PEP440) bool {
	return transformers.Base().Compare(version.MustParsePEP440(b.from)) >= 0 && (b.below == "" || transformers.Compare(version.MustParsePEP440(b.below)) < 0)
}

func (b transformersBreak) holds(s *subject) bool {
	if b.engineFrom != "" && s.atMost || !b.touches(s.version.Public(), s.architecture) {
		return false
	}
	switch {
	case !s.transformers.Exact.IsZero():
		return b.hits(s.transformers.Exact) && !strings.Contains(s.transformers.Exact.String(), "dev") // a build from the branch is what its day was
	case s.transformers.Range:
		return b.below == "" && s.transformers.Bound.Set().SubsetOf(version.AtLeast(version.MustParsePEP440(b.from)))
	}
	// the release's own image holds what was the newest on its day
	return s.hasImage && !s.wheels && s.exact && !s.installed.IsZero() && b.hits(s.installed)
}

// unbroken is the transformers to take with a release: pin, or where a known break forbids it the newest older one that the
// release admits; zero when there is none.
func (j *Judger) unbroken(r *catalog.Release, architecture string, pin version.PEP440) version.PEP440 {
	for _, b := range breaks {
		if pin.IsZero() || !b.touches(r.Version.Public(), architecture) || !b.hits(pin) {
			continue
		}
		var older version.PEP440
		for _, t := range j.s.TransformersReleases() {
			if !t.Yanked && !b.hits(t.Version) && t.Version.Compare(pin) < 0 && t.Version.Compare(older) > 0 && r.Transformers.Contains(t.Version) && !t.Version.IsPrerelease() {
				older = t.Version
			}
		}
		pin = older
	}
	return pin
}

func (b transformersBreak) reason(s *subject) string {
	with := s.transformers.Text
	if with == "" {
		with = s.installed.String() + ", which its image holds"
	}
	return fmt.Sprintf("%s does not run with transformers %s: %s", s.label(), with, b.statement)
}
