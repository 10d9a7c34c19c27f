package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"justright/version"
)

// Architecture is what is known of a model class by its name in config.json ("GptOssForCausalLM").
type Architecture struct {
	Name       string
	ModelType  string   // "" when not known
	Registered Timeline // vLLM releases whose registry names it
	RemoteCode bool     // checkpoints of it usually bring their own code
	Example    string   // a model that uses it

	// Transformers that vLLM itself needs for serving it, beyond the release's own bounds; zero when none is known.
	// MaxTransformers is a prefix ("5.3" admits 5.3.x) and holds up to release MaxUntil (zero: still).
	MinTransformers version.PEP440
	MaxTransformers version.PEP440
	MaxUntil        version.PEP440

	// ConfigInVLLM says which vLLM releases carry a configuration class for its model type, so that transformers need not
	// know the type.
	ConfigInVLLM Timeline

	// OnBackend says which releases serve it through the Transformers modeling backend.
	OnBackend Timeline

	// StillListed is the last release whose registry names the class although a later one says that it served it no more; zero
	// when there is no such release.
	StillListed version.PEP440

	registeredSource, removedSource string
	read                            string
}

type archSection struct {
	read string
	m    map[string]archJSON
	src  []string
}

type archJSON struct {
	Type    string   `json:"type,omitempty"`
	In      Timeline `json:"in"`
	Remote  bool     `json:"remote,omitempty"`
	Min     string   `json:"min,omitempty"`
	Max     string   `json:"max,omitempty"`
	Scope   string   `json:"scope,omitempty"` // "vllm" when the upper bound stops vLLM itself
	Until   string   `json:"until,omitempty"`
	Config  Timeline `json:"config,omitempty"`
	Example string   `json:"example,omitempty"`
	Listed  string   `json:"listed,omitempty"`  // the name outlived its class up to this release
	Backend any      `json:"backend,omitempty"` // a Timeline, or one span as a pair
	Source  int      `json:"s"`
	Removed *int     `json:"r,omitempty"`
}

// parseArchitectures keeps the entries undecoded where it can: a question asks for one of several hundred.
func parseArchitectures(data []byte) (archSection, error) {
	var in archsJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return archSection{}, err
	}
	for name, a := range in.Architectures {
		if a.Source < 0 || a.Source >= len(in.Sources) || a.Removed != nil && (*a.Removed < 0 || *a.Removed >= len(in.Sources)) {
			return archSection{}, fmt.Errorf("architecture %s: source is not in the table", name)
		}
		if len(a.In) == 0 {
			return archSection{}, fmt.Errorf("architecture %s: registered in no release", name)
		}
		for _, v := range []string{a.Min, a.Max, a.Until, a.Listed} {
			if v == "" {
				continue
			}
			if _, err := version.ParsePEP440(v); err != nil {
				return archSection{}, fmt.Errorf("architecture %s: %w", name, err)
			}
		}
	}
	return archSection{in.Read, in.Architectures, in.Sources}, nil
}

// Architecture finds a model class by its exact name.
func (s *Snapshot) Architecture(name string) (Architecture, bool) {
	sec := s.archs()
	j, ok := sec.m[name]
	if !ok {
		return Architecture{}, false
	}
	a := Architecture{Name: name, ModelType: j.Type, Registered: j.In, RemoteCode: j.Remote, Example: j.Example,
		ConfigInVLLM: j.Config, read: sec.read, registeredSource: sec.src[j.Source]}
	a.MinTransformers.UnmarshalText([]byte(j.Min)) //nolint:errcheck // parsed when the section was read
	if j.Scope == "vllm" || j.Scope == "unstated" && j.Max != "" {
		a.MaxTransformers.UnmarshalText([]byte(j.Max)) //nolint:errcheck // as above
		a.MaxUntil.UnmarshalText([]byte(j.Until))      //nolint:errcheck // as above
	}
	a.OnBackend = backendOf(j.Backend)
	a.StillListed.UnmarshalText([]byte(j.Listed)) //nolint:errcheck // parsed when the section was read
	if j.Removed != nil {
		a.removedSource = sec.src[*j.Removed]
	}
	if t := s.flagsOf(ConfigTypes)[a.ModelType]; a.ModelType != "" && len(t) > 0 {
		a.ConfigInVLLM = t
	}
	return a, true
}

// backendOf reads a Timeline or the one span of the first catalogs.
func backendOf(raw any) Timeline {
	if t, ok := raw.(Timeline); ok {
		return t
	}
	rows, ok := raw.([]any)
	if !ok || len(rows) == 0 {
		return nil
	}
	if _, one := rows[0].(string); one {
		rows = []any{rows}
	}
	b, err := json.Marshal(rows)
	if err != nil {
		return nil
	}
	var t Timeline
	if json.Unmarshal(b, &t) != nil {
		return nil
	}
	return t
}

// Architectures lists the names of every known model class, sorted.
func (s *Snapshot) Architectures() []string {
	sec := s.archs()
	names := make([]string, 0, len(sec.m))
	for n := range sec.m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// ArchitecturesOfType lists the classes whose model type is t, sorted.
func (s *Snapshot) ArchitecturesOfType(t string) []string {
	sec := s.archs()
	var names []string
	for n, a := range sec.m {
		if a.Type == t && t != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// AdmitsTransformers reports whether a transformers release lies within what serving the class needs in vLLM
// release engine.
func (a *Architecture) AdmitsTransformers(engine, transformers version.PEP440) bool {
	if !a.MinTransformers.IsZero() && transformers.Compare(a.MinTransformers) < 0 {
		return false
	}
	if a.MaxTransformers.IsZero() || !a.MaxUntil.IsZero() && engine.Compare(a.MaxUntil) > 0 {
		return true
	}
	return transformers.Compare(a.MaxTransformers) <= 0 ||
		version.MustParseSpecifier("=="+a.MaxTransformers.String()+".*").Admits(transformers)
}

// Fact states which vLLM releases know the class.
func (a *Architecture) Fact() Fact {
	first, last := a.Registered.First(), a.Registered.Last()
	f := Fact{ID: FactID("vllm/architectures/" + a.Name), Standing: Derived, Date: a.read,
		Statement: fmt.Sprintf("vLLM registers %s in %s", a.Name, a.Registered)}
	if !a.StillListed.IsZero() {
		f.Statement += fmt.Sprintf("; the name is still listed up to %s, and later releases call %s the last that served it", a.StillListed, last)
	}
	f.Source = strings.ReplaceAll(strings.ReplaceAll(a.registeredSource, "{first}", first.String()), "{last}", last.String())
	if !last.IsZero() && a.removedSource != "" {
		f.Source += "; " + strings.ReplaceAll(a.removedSource, "{last}", last.String())
	}
	return f
}

// TransformersFact states what transformers serving the class needs; ok is false when nothing is known.
func (a *Architecture) TransformersFact() (f Fact, ok bool) {
	var parts []string
	if !a.MinTransformers.IsZero() {
		parts = append(parts, ">="+a.MinTransformers.String())
	}
	if !a.MaxTransformers.IsZero() {
		until := ""
		if !a.MaxUntil.IsZero() {
			until = " up to vLLM " + a.MaxUntil.String()
		}
		parts = append(parts, "<="+a.MaxTransformers.String()+".x"+until)
	}
	if len(parts) == 0 {
		return Fact{}, false
	}
	return Fact{ID: FactID("vllm/architectures/" + a.Name + "/transformers"), Standing: Derived, Date: a.read,
		Statement: fmt.Sprintf("serving %s needs transformers %s", a.Name, strings.Join(parts, ", ")),
		Source:    "vllm-project/vllm tests/models/registry.py and the model's own registration"}, true
}

// ConfigFact states which vLLM releases bring the configuration class themselves; ok is false when none does.
func (a *Architecture) ConfigFact() (f Fact, ok bool) {
	if len(a.ConfigInVLLM) == 0 {
		return Fact{}, false
	}
	return Fact{ID: FactID("vllm/config/" + a.ModelType), Standing: Derived, Date: a.read,
		Statement: fmt.Sprintf("vLLM brings its own configuration class for %s in %s", a.ModelType, a.ConfigInVLLM),
		Source:    "vllm wheels on the package index: vllm/transformers_utils/config.py"}, true
}
