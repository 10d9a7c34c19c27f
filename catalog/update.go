package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"justright/version"
)

// Reading is what was read of one vLLM release. Empty fields were not found; they become unknown, or keep what an
// earlier reading established.
type Reading struct {
	Version       version.PEP440
	Released      string // YYYY-MM-DD
	Read          string // the day of reading
	Yanked        bool
	Python        string
	Torch         string // exact pin
	Transformers  *string
	FlashInfer    string
	CUDA          version.CUDA
	Glibc         version.Glibc
	Commit        string
	Wheels        []WheelFile // of the package index, the one that was read last
	Architectures []string
	OnBackend     []string
	Removed       map[string]string // class → the last release that served it
	Names         map[NameKind][]string
	MinCapability map[string]version.Capability // quantisation method or scheme → least compute capability

	// Of the release pipeline; nil when there was none to read.
	Pipeline *PipelineReading
}

// WheelFile is a wheel on the package index.
type WheelFile struct {
	Name  string
	Bytes int64
}

// PipelineReading is what a release's pipeline builds.
type PipelineReading struct {
	Builds    []Variant // CUDA and Platforms alone; the default one among them
	ImageCUDA version.CUDA
	Tags      []string
	Archs     string // TORCH_CUDA_ARCH_LIST
}

// Editor adds readings to the sections of a catalog and writes them anew.
type Editor struct {
	vllm    enginesJSON
	others  enginesJSON
	archs   archsJSON
	flags   flagsJSON
	types   transformersJSON
	images  imagesJSON
	touched map[string]bool
}

type archsJSON struct {
	Read          string              `json:"read"`
	Sources       []string            `json:"sources"`
	Architectures map[string]archJSON `json:"architectures"`
}

type flagsJSON struct {
	Read    string              `json:"read"`
	From    string              `json:"from"`
	To      string              `json:"to"`
	Renamed map[string]string   `json:"renamed"`
	Sources map[NameKind]string `json:"sources"`
	Flags   map[string]Timeline `json:"flags"`
	Tool    map[string]Timeline `json:"tool_parsers"`
	Reason  map[string]Timeline `json:"reasoning_parsers"`
	KV      map[string]Timeline `json:"kv_cache_dtypes"`
	Quant   map[string]Timeline `json:"quantization"`
	Config  map[string]Timeline `json:"config_types"`
	Env     map[string]Timeline `json:"env"`

	// MinCapability holds, for a quantisation method or scheme, the releases that changed its minimum: [["0.6.0","8.0"],["0.14.0","7.5"]].
	MinCapability map[string][][2]string `json:"min_capability"`
}

func (f *flagsJSON) of(kind NameKind) *map[string]Timeline {
	return map[NameKind]*map[string]Timeline{FlagNames: &f.Flags, ToolParsers: &f.Tool, ReasoningParsers: &f.Reason,
		KVCacheDTypes: &f.KV, QuantMethods: &f.Quant, ConfigTypes: &f.Config, EnvVars: &f.Env}[kind]
}

// NameKinds lists every kind of name, in the order of the section.
func NameKinds() []NameKind {
	return []NameKind{FlagNames, ToolParsers, ReasoningParsers, KVCacheDTypes, QuantMethods, ConfigTypes, EnvVars}
}

type transformersJSON struct {
	Read     string           `json:"read"`
	Sources  []string         `json:"sources"`
	Releases [][]string       `json:"releases"`
	Types    map[string][]any `json:"types"`
}

// Edit begins with the sections of a snapshot.
func Edit(s *Snapshot) (*Editor, error) {
	e := &Editor{touched: map[string]bool{}}
	for section, into := range map[string]any{SectionVLLM: &e.vllm, SectionEngines: &e.others, SectionArchitectures: &e.archs,
		SectionFlags: &e.flags, SectionTransformers: &e.types, SectionImages: &e.images} {
		raw, err := s.Raw(section)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, fmt.Errorf("catalog section %s: %w", section, err)
		}
	}
	return e, nil
}

// NamesTo is the newest release whose names were read; zero when none was.
func (e *Editor) NamesTo() version.PEP440 {
	v, _ := version.ParsePEP440(e.flags.To) // "" is zero
	return v
}

// ForgetNames drops every timeline of names and of the registry, to be read anew from the first release on.
func (e *Editor) ForgetNames() {
	e.flags = flagsJSON{Read: e.flags.Read, Renamed: e.flags.Renamed, Sources: map[NameKind]string{}}
	for _, k := range NameKinds() {
		*e.flags.of(k) = map[string]Timeline{}
	}
	for name, a := range e.archs.Architectures {
		a.In, a.Backend = keepBefore(a.In, FirstRead), nil
		if a.Type != "" {
			a.Config = nil // by model type, in the section of names
		}
		e.archs.Architectures[name] = a
	}
}

// FirstRead is the first vLLM release whose wheel is read for names: the registry file has its present form from here on.
var FirstRead = version.MustParsePEP440("0.6.0")

// keepBefore keeps what a timeline says of releases before v; a run that goes on is left open.
func keepBefore(t Timeline, v version.PEP440) Timeline {
	var out Timeline
	for _, s := range t {
		if s.First.Compare(v) >= 0 {
			break
		}
		if !s.Last.IsZero() && s.Last.Compare(v) >= 0 {
			s.Last = version.PEP440{}
		}
		out = append(out, s)
	}
	return out
}

// extend adds one release to the timelines of a set of names: has is what it has, prev the release before it (zero
// for the first one read).
func extend(all map[string]Timeline, has []string, v, prev version.PEP440) {
	present := make(map[string]bool, len(has))
	for _, n := range has {
		present[n] = true
		t := all[n]
		if len(t) == 0 || !t[len(t)-1].Last.IsZero() {
			all[n] = append(t, Span{First: v, OrEarlier: prev.IsZero()})
		}
	}
	for n, t := range all {
		if !present[n] && len(t) > 0 && t[len(t)-1].Last.IsZero() && !prev.IsZero() {
			t = slices.Clone(t)
			t[len(t)-1].Last = prev
			all[n] = t
		}
	}
}

// AddVLLM adds a release. Names must be added in ascending order of releases; a release older than the newest one
// read gets its own entry, but its names are known already.
func (e *Editor) AddVLLM(r Reading) error {
	prev := e.NamesTo()
	if r.Names != nil && (prev.IsZero() || r.Version.Compare(prev) > 0) {
		e.addNames(r, prev)
	}
	e.touched[SectionVLLM] = true
	e.vllm.Read = max(e.vllm.Read, r.Read)
	for i := range e.vllm.Releases {
		if e.vllm.Releases[i].V == r.Version.String() {
			return e.confirm(&e.vllm.Releases[i], r)
		}
	}
	j := releaseJSON{V: r.Version.String(), Src: map[string]int{}}
	if err := e.confirm(&j, r); err != nil {
		return err
	}
	e.vllm.Releases = append(e.vllm.Releases, j)
	return sortReleases(e.vllm.Releases)
}

func sortReleases(rs []releaseJSON) error {
	var bad error
	slices.SortStableFunc(rs, func(a, b releaseJSON) int {
		x, err1 := version.ParsePEP440(a.V)
		y, err2 := version.ParsePEP440(b.V)
		if err1 != nil || err2 != nil {
			bad = fmt.Errorf("release %q or %q: no version", a.V, b.V)
		}
		if c := strings.Compare(a.Engine, b.Engine); c != 0 {
			return c
		}
		return x.Compare(y)
	})
	return bad
}

func (e *Editor) addNames(r Reading, prev version.PEP440) {
	e.touched[SectionFlags], e.touched[SectionArchitectures] = true, true
	e.flags.Read, e.archs.Read = r.Read, r.Read
	if prev.IsZero() {
		e.flags.From = r.Version.String()
	}
	e.flags.To = r.Version.String()
	for _, k := range NameKinds() {
		m := e.flags.of(k)
		if *m == nil {
			*m = map[string]Timeline{}
		}
		extend(*m, r.Names[k], r.Version, prev)
		e.flags.Sources[k] = nameSource(k)
	}
	if e.flags.MinCapability == nil {
		e.flags.MinCapability = map[string][][2]string{}
	}
	for name, c := range r.MinCapability {
		steps := e.flags.MinCapability[name]
		if n := len(steps); n == 0 || steps[n-1][1] != c.String() {
			e.flags.MinCapability[name] = append(steps, [2]string{r.Version.String(), c.String()})
		}
	}
	registered, backend := map[string]Timeline{}, map[string]Timeline{}
	for n, a := range e.archs.Architectures {
		registered[n], backend[n] = a.In, backendOf(a.Backend)
	}
	extend(registered, r.Architectures, r.Version, prev)
	extend(backend, r.OnBackend, r.Version, prev)
	first := e.archSource("PyPI wheels of vllm, read " + r.Read + ": vllm/model_executor/models/registry.py (first release that lists it is {first})")
	for n, last := range r.Removed {
		before := registered[n]
		registered[n] = capAt(before, last)
		if a, ok := e.archs.Architectures[n]; ok && registered[n].Last().Compare(before.Last()) != 0 {
			a.Listed = before.Last().String()
			e.archs.Architectures[n] = a
		}
	}
	for n, t := range registered {
		if len(t) == 0 {
			continue
		}
		a, known := e.archs.Architectures[n]
		if !known {
			a.Source = first
		}
		for i := range t {
			if t[i].First.Compare(r.Version) == 0 {
				t[i].OrEarlier = false // names of releases before FirstRead are known from the repository's tags
			}
		}
		a.In = t
		a.Backend = nil
		if b := backend[n]; len(b) > 0 {
			a.Backend = b
		}
		e.archs.Architectures[n] = a
	}
}

// capAt ends a timeline at the release that the registry itself calls the last good one: some names outlived their
// class by a release.
func capAt(t Timeline, last string) Timeline {
	v, err := version.ParsePEP440(last)
	if err != nil || len(t) == 0 {
		return t
	}
	s := t[len(t)-1]
	if s.Last.IsZero() || s.Last.Compare(v) <= 0 || s.First.Compare(v) > 0 || slices.Equal(minor(s.Last), minor(v)) {
		return t // the list names 0.25.0 where 0.25.1 still had it
	}
	t = slices.Clone(t)
	t[len(t)-1].Last = v
	return t
}

func minor(v version.PEP440) []int { r := v.Release(); return r[:min(2, len(r))] }

func nameSource(k NameKind) string {
	file := map[NameKind]string{
		FlagNames:        "vllm/engine/arg_utils.py and vllm/entrypoints/**/cli_args.py (names given to add_argument, fields of FrontendArgs)",
		ToolParsers:      "vllm/tool_parsers (before 0.14: vllm/entrypoints/openai/tool_parsers)",
		ReasoningParsers: "vllm/reasoning", KVCacheDTypes: "CacheDType of vllm/config",
		QuantMethods: "vllm/model_executor/layers/quantization/__init__.py",
		ConfigTypes:  "_CONFIG_REGISTRY of vllm/transformers_utils/config.py", EnvVars: "vllm/envs.py",
	}[k]
	return "PyPI wheels of vllm: " + file
}

func (e *Editor) archSource(s string) int {
	if i := slices.Index(e.archs.Sources, s); i >= 0 {
		return i
	}
	e.archs.Sources = append(e.archs.Sources, s)
	return len(e.archs.Sources) - 1
}

// confirm fills a release's entry with what was read; what was not found keeps its old value.
func (e *Editor) confirm(j *releaseJSON, r Reading) error {
	if j.Src == nil {
		j.Src = map[string]int{}
	}
	set := func(field string, into *string, value, where string) {
		if value == "" || *into == value {
			return
		}
		*into = value
		j.Src[field] = e.source(&e.vllm, where)
	}
	wheel := func(what string) string { return "PyPI wheel {wheel}, read " + r.Read + what }
	set("date", &j.Date, r.Released, wheel(" (PyPI upload date)"))
	set("python", &j.Python, r.Python, wheel(": METADATA Requires-Python"))
	set("torch", &j.Torch, r.Torch, wheel(": METADATA Requires-Dist"))
	set("flashinfer", &j.FlashInfer, r.FlashInfer, wheel(": METADATA Requires-Dist"))
	set("commit", &j.Commit, r.Commit, wheel(": vllm/_version.py"))
	if j.Glibc == "" && !r.Glibc.IsZero() {
		set("glibc", &j.Glibc, r.Glibc.String(), wheel(": wheel tag"))
	}
	if !r.CUDA.IsZero() {
		set("cuda", &j.CUDA, r.CUDA.String(), wheel(": vllm/envs.py VLLM_MAIN_CUDA_VERSION"))
	}
	if r.Transformers != nil && (j.Transformers == nil || !sameSpecifier(*j.Transformers, *r.Transformers)) {
		j.Transformers = r.Transformers
		j.Src["transformers"] = e.source(&e.vllm, wheel(": METADATA Requires-Dist"))
	}
	j.Yanked = r.Yanked
	if len(r.Wheels) > 0 {
		j.Wheels = nil
		for _, w := range r.Wheels {
			j.Wheels = append(j.Wheels, [2]any{w.Name, w.Bytes})
		}
	}
	if p := r.Pipeline; p != nil && j.Image == "" {
		e.confirmPipeline(j, r, p)
	}
	return nil
}

func sameSpecifier(a, b string) bool {
	x, err1 := version.ParseSpecifier(a)
	y, err2 := version.ParseSpecifier(b)
	return err1 == nil && err2 == nil && x.Set().Equal(y.Set())
}

func (e *Editor) confirmPipeline(j *releaseJSON, r Reading, p *PipelineReading) {
	from := e.source(&e.vllm, "PyPI sdist vllm-{v}.tar.gz, read "+r.Read+": .buildkite/release-pipeline.yaml (what it builds; whether it is online was not read)")
	j.Variants = nil
	for _, b := range p.Builds {
		if b.CUDA.String() != j.CUDA {
			j.Variants = append(j.Variants, variantJSON{CUDA: b.CUDA.String(), Arch: b.Platforms,
				Index: "https://wheels.vllm.ai/" + j.V + "/" + b.CUDA.Tag()})
		}
	}
	j.Src["variants"] = from
	if !p.ImageCUDA.IsZero() {
		j.Image, j.Tags = p.ImageCUDA.String(), p.Tags
		j.Src["image"], j.Src["tags"] = from, from
	}
	if caps, _, err := parseArchs(p.Archs); err == nil && len(caps) > 0 {
		slices.SortFunc(caps, version.Capability.Compare)
		j.Archs, j.Cap = p.Archs, caps[0].String()
		j.Src["archs"], j.Src["cap"] = from, from
	}
}

func (e *Editor) source(in *enginesJSON, s string) int {
	if i := slices.Index(in.Sources, s); i >= 0 {
		return i
	}
	in.Sources = append(in.Sources, s)
	return len(in.Sources) - 1
}
