package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// ruleStatedValues: a value that no release of vLLM has for a flag whose values are a list. Parsers may be registered by
// plugins and under names that were not read, so that one nobody knows is only not known to work.
func ruleStatedValues(s *subject) []finding {
	if s.c.Closed || s.engine != catalog.VLLM || s.fork || s.dev {
		return nil
	}
	var out []finding
	for _, q := range []struct {
		flag string
		kind catalog.NameKind
		sure bool
	}{{"kv-cache-dtype", catalog.KVCacheDTypes, true}, {"quantization", catalog.QuantMethods, true},
		{"tool-call-parser", catalog.ToolParsers, false}, {"reasoning-parser", catalog.ReasoningParsers, false}} {
		value, _ := s.flags.Get(q.flag)
		names := s.j.s.Names(q.kind)
		if value == "" || strings.EqualFold(value, "none") || len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return plainName(n) == plainName(value) }) {
			continue
		}
		if _, known := quantSpans[plainName(value)]; known && q.kind == catalog.QuantMethods {
			continue
		}
		if !q.sure {
			_, tool := toolParserSpans[value]
			_, reasoning := reasoningParserSpans[value]
			if !tool && !reasoning && !s.flags.Has("tool-parser-plugin") && !s.flags.Has("reasoning-parser-plugin") {
				s.miss = append(s.miss, fmt.Sprintf("whether any release has %q for --%s", value, q.flag))
			}
			continue
		}
		f := finding{code: CodeFlagUnknown, at: "--" + q.flag + " " + value, reason: fmt.Sprintf("no release of vLLM that was read has %q for --%s", value, q.flag),
			facts: []catalog.Fact{{ID: catalog.FactID("vllm/values/" + q.flag), Standing: catalog.Derived, Date: s.j.s.NewestEngineRead(catalog.VLLM), Source: "vLLM's wheels and tags",
				Statement: fmt.Sprintf("the values of --%s in all releases that were read are %s", q.flag, strings.Join(names, ", "))}}}
		if near := nearestName(value, names); near != "" {
			f.hints = []problem.Hint{{Text: "did you mean " + near}}
		} else {
			f.hints = []problem.Hint{{Text: "the values there are: " + strings.Join(names, ", ")}}
		}
		out = append(out, f)
	}
	return out
}

// plainName is a value without regard to case and to which dash is written.
func plainName(v string) string { return strings.ToLower(strings.ReplaceAll(v, "-", "_")) }
