package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"justright/version"
)

// NameKind is a kind of name that vLLM releases gain and lose.
type NameKind string

// The kinds of names.
const (
	FlagNames        NameKind = "flags"             // "--max-model-len"
	ToolParsers      NameKind = "tool_parsers"      // "hermes"
	ReasoningParsers NameKind = "reasoning_parsers" // "deepseek_r1"
	KVCacheDTypes    NameKind = "kv_cache_dtypes"   // "fp8"
	QuantMethods     NameKind = "quantization"      // "mxfp4"
	ConfigTypes      NameKind = "config_types"      // model types with a configuration class in vLLM
	EnvVars          NameKind = "env"               // "VLLM_USE_V1"
)

type flagSection struct {
	read     string
	from, to version.PEP440
	kinds    map[NameKind]func() map[string]Timeline // each kind is parsed when first asked for; nil when unreadable
	minimum  func() map[string][][2]string
	renamed  map[string]string
	sources  map[NameKind]string
}

func (f *flagSection) of(kind NameKind) map[string]Timeline {
	if kinds := f.kinds[kind]; kinds != nil {
		return kinds()
	}
	return nil
}

func parseFlags(data []byte) (flagSection, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return flagSection{}, err
	}
	out := flagSection{kinds: map[NameKind]func() map[string]Timeline{}}
	var from, to string
	for key, into := range map[string]any{"read": &out.read, "from": &from, "to": &to, "renamed": &out.renamed, "sources": &out.sources} {
		if err := json.Unmarshal(raw[key], into); err != nil {
			return flagSection{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	for _, k := range NameKinds() {
		out.kinds[k] = sync.OnceValue(func() map[string]Timeline {
			var m map[string]Timeline
			if len(raw[string(k)]) == 0 || json.Unmarshal(raw[string(k)], &m) != nil {
				return nil
			}
			return m
		})
	}
	out.minimum = sync.OnceValue(func() map[string][][2]string {
		var m map[string][][2]string
		if json.Unmarshal(raw["min_capability"], &m) != nil {
			return nil
		}
		return m
	})
	err := readText([]textPair{{&out.from, from}, {&out.to, to}})
	if err == nil && (out.from.IsZero() || out.to.IsZero()) {
		err = fmt.Errorf("the range of releases is missing")
	}
	return out, err
}

// Named is a name that releases of vLLM know, and when.
type Named struct {
	Kind         NameKind
	Name         string
	Releases     Timeline
	RenamedTo    string // the flag that took over; "" when none is known
	engine       string // "" is vLLM
	source, read string
}

func (s *Snapshot) flagsOf(kind NameKind) map[string]Timeline {
	sec := s.flags()
	return sec.of(kind)
}

// Names lists every known name of a kind, sorted.
func (s *Snapshot) Names(kind NameKind) []string {
	m := s.flagsOf(kind)
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Named finds a name. A flag may be given in any form argparse takes ("--no-enable-x", "--max_model_len",
// "--kernel-config.field", "--flag=value"). ok is false when no release that was read knows it.
func (s *Snapshot) Named(kind NameKind, name string) (Named, bool) {
	sec := s.flags()
	if kind == FlagNames {
		name = FlagName(name)
	}
	t, ok := sec.of(kind)[name]
	if positive, no := strings.CutPrefix(name, "--no-"); !ok && no && kind == FlagNames {
		name = "--" + positive
		t, ok = sec.of(kind)[name]
	}
	return Named{Kind: kind, Name: name, Releases: t, RenamedTo: sec.renamed[name], source: sec.sources[kind], read: sec.read}, ok
}

// NamesIn lists the names of a kind that a release has, sorted; ok is false when the release was not read.
func (s *Snapshot) NamesIn(kind NameKind, v version.PEP440) (names []string, ok bool) {
	sec := s.flags()
	if v.Compare(sec.from) < 0 || v.Public().Compare(sec.to) > 0 {
		return nil, false
	}
	for n, t := range sec.of(kind) {
		if t.At(v) == Present {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names, true
}

// NameIn tells whether a release has a name. It is Uncertain outside the releases that were read.
func (s *Snapshot) NameIn(kind NameKind, name string, v version.PEP440) Presence {
	sec := s.flags()
	if v.Compare(sec.from) < 0 || v.Public().Compare(sec.to) > 0 || sec.of(kind) == nil {
		return Uncertain
	}
	n, ok := s.Named(kind, name)
	if !ok {
		return Absent
	}
	return n.Releases.At(v)
}

// FlagName reduces what a user typed to the flag's name: "--max_model_len=4096" becomes "--max-model-len", and
// "--compilation-config.level" becomes "--compilation-config".
func FlagName(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	body, ok := strings.CutPrefix(name, "--")
	if !ok {
		return name
	}
	body, _, _ = strings.Cut(body, ".")
	return "--" + strings.ReplaceAll(body, "_", "-")
}

// Fact states which releases know the name.
func (n *Named) Fact() Fact {
	what := map[NameKind]string{FlagNames: "flag", ToolParsers: "tool parser", ReasoningParsers: "reasoning parser",
		KVCacheDTypes: "KV cache dtype", QuantMethods: "quantisation method", ConfigTypes: "configuration class for",
		EnvVars: "environment variable", AttentionBackends: "attention backend"}[n.Kind]
	engine, id := "vLLM", VLLM
	if n.engine == SGLang {
		engine, id = "SGLang", SGLang
	}
	st := fmt.Sprintf("%s has the %s %s in %s", engine, what, n.Name, n.Releases)
	if len(n.Releases) == 0 {
		st = fmt.Sprintf("no %s release that was read has the %s %s", engine, what, n.Name)
	}
	if n.RenamedTo != "" {
		st += "; " + n.RenamedTo + " took over"
	}
	return Fact{ID: FactID(fmt.Sprintf("%s/%s/%s", id, n.Kind, strings.TrimPrefix(n.Name, "--"))), Statement: st,
		Source: n.source, Date: n.read, Standing: Derived}
}
