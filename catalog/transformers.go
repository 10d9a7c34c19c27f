package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"justright/version"
)

// TransformersRelease is one release of the transformers library.
type TransformersRelease struct {
	Version  version.PEP440
	Released string
	Python   version.Specifier
	Yanked   bool
}

// ModelType is a model_type of config.json and the first transformers release that knows it.
type ModelType struct {
	Name         string
	First        version.PEP440
	Never        bool           // no release that was read knows it: it needs remote code or vLLM's own configuration class
	OrEarlier    bool           // First is only the oldest release that was read
	Last         version.PEP440 // zero: still known
	Architecture string         // the class transformers maps it to; "" when not known
	source, read string
}

type transformersSection struct {
	read     string
	releases []TransformersRelease // ascending
	types    map[string]json.RawMessage
	sources  []string
}

func parseTransformers(data []byte) (transformersSection, error) {
	var in struct {
		Read     string                     `json:"read"`
		Sources  []string                   `json:"sources"`
		Releases [][]string                 `json:"releases"`
		Types    map[string]json.RawMessage `json:"types"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return transformersSection{}, err
	}
	out := transformersSection{read: in.Read, types: in.Types, sources: in.Sources}
	for _, row := range in.Releases {
		if len(row) < 3 {
			return out, fmt.Errorf("transformers release %q lacks fields", row)
		}
		r := TransformersRelease{Released: row[1], Yanked: slices.Contains(row[3:], "yanked")}
		if err := readText([]textPair{{&r.Version, row[0]}, {&r.Python, row[2]}}); err != nil {
			return out, err
		}
		if !validDay(r.Released) {
			return out, fmt.Errorf("transformers %s: %q is no day", r.Version, r.Released)
		}
		out.releases = append(out.releases, r)
	}
	slices.SortFunc(out.releases, func(a, b TransformersRelease) int { return a.Version.Compare(b.Version) })
	return out, nil
}

// modelType reads a row [first, architecture, source, last]; source is text or a number of the table.
func (t transformersSection) modelType(name string) (ModelType, error) {
	var row []any
	if err := json.Unmarshal(t.types[name], &row); err != nil {
		return ModelType{}, fmt.Errorf("model type %s: %w", name, err)
	}
	if len(row) < 3 {
		return ModelType{}, fmt.Errorf("model type %s lacks fields", name)
	}
	first, _ := row[0].(string)
	m := ModelType{Name: name, read: t.read}
	m.Architecture, _ = row[1].(string)
	first, m.OrEarlier = strings.CutPrefix(first, "<=")
	if err := m.First.UnmarshalText([]byte(first)); err != nil {
		return m, fmt.Errorf("model type %s: %w", name, err)
	}
	m.Never = m.First.IsZero()
	switch s := row[2].(type) {
	case string:
		m.source = s
	case float64:
		if int(s) < 0 || int(s) >= len(t.sources) {
			return m, fmt.Errorf("model type %s: source %v is not in the table", name, s)
		}
		m.source = strings.ReplaceAll(t.sources[int(s)], "{first}", m.First.String())
	}
	if len(row) > 3 {
		last, _ := row[3].(string)
		if err := m.Last.UnmarshalText([]byte(last)); err != nil {
			return m, fmt.Errorf("model type %s: %w", name, err)
		}
	}
	return m, nil
}

// TransformersReleases lists the releases of transformers in ascending order, yanked ones included. The slice is
// shared: do not change it.
func (s *Snapshot) TransformersReleases() []TransformersRelease { return s.transforms().releases }

// NewestTransformers finds the newest release within spec that was out on a day ("" for today) and is not yanked;
// zero when none is.
func (s *Snapshot) NewestTransformers(spec version.Specifier, day string) version.PEP440 {
	all := s.transforms().releases
	for i := len(all) - 1; i >= 0; i-- {
		if r := all[i]; !r.Yanked && (day == "" || r.Released <= day) && spec.Contains(r.Version) {
			return r.Version
		}
	}
	return version.PEP440{}
}

// TransformersYanked reports whether a release was withdrawn, and ok whether it is known at all.
func (s *Snapshot) TransformersYanked(v version.PEP440) (yanked, ok bool) {
	for _, r := range s.transforms().releases {
		if r.Version.Compare(v) == 0 {
			return r.Yanked, true
		}
	}
	return false, false
}

// ModelType finds the first transformers release that knows a type. Rows are parsed when asked for; one that cannot be read is
// not known.
func (s *Snapshot) ModelType(name string) (ModelType, bool) {
	sec := s.transforms()
	if _, ok := sec.types[name]; !ok {
		return ModelType{}, false
	}
	m, err := sec.modelType(name)
	return m, err == nil
}

// ModelTypes lists every known model type, sorted.
func (s *Snapshot) ModelTypes() []string {
	sec := s.transforms()
	names := make([]string, 0, len(sec.types))
	for n := range sec.types {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// KnownTo reports whether a transformers release knows the type.
func (m *ModelType) KnownTo(v version.PEP440) Presence {
	if m.Never {
		return Absent
	}
	return Timeline{{First: m.First, Last: m.Last, OrEarlier: m.OrEarlier}}.At(v)
}

// Fact states which transformers releases know the type.
func (m *ModelType) Fact() Fact {
	since := "knows model type " + m.Name + " since " + m.First.String()
	if m.OrEarlier {
		since += " or earlier"
	}
	if !m.Last.IsZero() {
		since += ", until " + m.Last.String()
	}
	if m.Never {
		since = "has no model type " + m.Name + " in any release that was read"
	}
	f := Fact{ID: FactID("transformers/types/" + m.Name), Standing: Derived, Statement: "transformers " + since,
		Source: m.source, Date: m.read}
	if day, ok := readOn(m.source); ok {
		f.Date = day
	}
	return f
}

// Fact states when the release came out, and whether it was withdrawn.
func (r TransformersRelease) Fact() Fact {
	st := fmt.Sprintf("transformers %s was released on %s and needs Python %s", r.Version, r.Released, orAny(r.Python.String()))
	if r.Yanked {
		st += "; it was yanked"
	}
	return Fact{ID: FactID("transformers/" + r.Version.String()), Statement: st, Standing: Derived,
		Source: "https://pypi.org/simple/transformers/", Date: r.Released}
}
