package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/model"
	"justright/version"
)

// subject is a case with everything that follows from it filled in.
type subject struct {
	j    *Judger
	c    Case
	day  string
	miss []string // what is stated but could not be placed

	engine  string
	release *catalog.Release
	exact   bool // the stack is this very release
	atMost  bool // the stack is this release or an older one
	dev     bool // built from a branch near this release
	fork    bool
	version version.PEP440 // as stated or resolved; zero unknown. A pre-release counts as what it leads to.
	stated  version.PEP440 // exactly as stated

	image    ImageRef
	hasImage bool
	held     catalog.Worker // the image is this release of RunPod's worker; zero for all others
	official bool           // vllm/vllm-openai
	wheels   bool           // installed from wheels, as stated
	onIndex  bool           // plain pip: torch comes from the package index

	variant     *catalog.Variant // the build in use; nil when several are possible or none is known
	variantText string           // as stated
	torch       PackageRef
	torchCUDA   version.CUDA // of torch in use; zero unknown
	buildCUDA   version.CUDA // of the engine in use; zero unknown

	transformers PackageRef
	installed    version.PEP440 // transformers that comes with an image or a plain install of the release day

	python version.PEP440
	glibc  version.Glibc
	arm    bool

	gpu      gpu
	hostCUDA version.CUDA
	driver   version.Driver

	profile      *model.Profile
	named        catalog.NamedModel
	hasNamed     bool
	architecture string
	modelType    string
	typeOnly     bool // the case speaks of the model type, not of the class
	flags        Flags
}

func (j *Judger) resolve(c Case) *subject {
	s := &subject{j: j, c: c, day: c.Date}
	s.flags = ParseFlags(c.Flags)
	for k, v := range c.Env {
		s.flags.Env[k] = v
	}
	if c.FlagsAs != nil {
		s.flags = *c.FlagsAs
	}
	s.resolveImage()
	s.resolveEngine()
	s.resolveBuild()
	s.resolveHost()
	s.resolveTransformers()
	s.resolveModel()
	return s
}

func (s *subject) resolveImage() {
	s.image = s.c.ImageAs
	if s.image.Text == "" && s.c.Image != "" {
		s.image = ParseImageRef(s.c.Image)
	}
	s.hasImage = s.image.Text != ""
	s.official = s.image.Repository == "vllm/vllm-openai"
	s.wheels = s.c.Install == "wheels" || s.c.Install == "pip" || s.c.Install == "uv"
	s.onIndex = s.c.Install == "pip"
	if s.hasImage && s.image.AsOf == "" && s.image.Moving {
		s.image.AsOf = s.day
	}
}

func (s *subject) resolveEngine() {
	e := s.c.Engine
	if e.Text == "" && e.Name == "" {
		e = ParseEngineRef("", s.c.Pins.Engine)
	}
	if !e.Stated() && s.image.Engine.Stated() && !s.wheels {
		name := e.Name
		e = s.image.Engine
		if name != "" && e.Name == "" {
			e.Name = name
		}
	} else if e.Stated() && s.image.Engine.Stated() && !s.image.Engine.Exact.IsZero() && !s.image.Moving && e.Exact.IsZero() {
		e = s.image.Engine
	}
	if w, ok := s.worker(); ok && !e.Stated() {
		s.held = w
		e = EngineRef{Name: catalog.VLLM, Text: "vllm " + w.Engine.String(), Exact: w.Engine}
	}
	s.engine = e.Name
	if s.engine == "" {
		s.engine = s.image.Engine.Name
	}
	if s.engine == "" {
		s.engine = catalog.VLLM
	}
	s.dev, s.fork = e.Dev, e.Fork
	day := e.AsOf
	if day == "" {
		day = s.day
	}
	switch {
	case !e.Exact.IsZero():
		s.exactRelease(e.Exact)
	case e.Bounded:
		s.release = s.j.newest(s.engine, day, e.Bound.Contains)
		s.atMost = s.release != nil && !boundedBelow(e.Bound)
		if s.release == nil { // ">=0.20.0" asked about before it was out
			s.release = s.j.newest(s.engine, "", e.Bound.Contains)
		}
		if s.release != nil {
			s.version = s.release.Version
		}
	case e.Moving:
		s.release = s.j.newest(s.engine, day, nil)
		s.releaseOfTorch(&e, day)
		s.exact = s.release != nil && !e.Dev && !e.Fork && (s.official || !s.hasImage || s.image.Engine.Name == "")
		if s.release != nil {
			s.version = s.release.Version
		}
	case s.hasImage && (s.image.AsOf != "" || s.day != "") && s.engineImage():
		if s.image.AsOf != "" {
			day = s.image.AsOf
		}
		s.release = s.j.newest(s.engine, day, nil) // whoever built it had nothing newer
		s.atMost = s.release != nil
		if s.release != nil {
			s.version = s.release.Version
		}
	case e.Text != "" && !strings.EqualFold(e.Text, e.Name):
		s.miss = append(s.miss, fmt.Sprintf("which release %q is", e.Text))
	}
	if s.c.Install == "image" && !s.hasImage && s.exact && s.engine == catalog.VLLM && s.c.WheelCUDA == "" {
		s.hasImage, s.official = true, true // "the image of that release", whatever its name
	}
	if s.hasImage && familyInImage(s.image) != "" && (s.image.Tag == "" || !s.exact) {
		s.fork, s.exact = true, false // an image made for one model: its engine is a branch
	}
	if s.hasImage && s.image.Engine.Moving && !s.official && s.release != nil {
		s.exact, s.atMost = false, true
	}
	if s.release != nil && s.release.Version.Compare(s.version.Public()) > 0 {
		s.version = s.release.Version
	}
}

// worker is the release of RunPod's worker that the image is.
func (s *subject) worker() (catalog.Worker, bool) {
	if !s.hasImage || s.wheels || !catalog.IsWorker(s.image.Text) {
		return catalog.Worker{}, false
	}
	day := s.image.AsOf
	if day == "" {
		day = s.day
	}
	return s.j.s.Worker(s.image.Tag, day)
}

// releaseOfTorch: who says "latest" and which torch there was had the newest release that pins that torch; with a newer
// torch than any release of the day pins, it was built from the branch.
func (s *subject) releaseOfTorch(e *EngineRef, day string) {
	t := ParsePackageRef(s.c.Torch).Exact
	if t.IsZero() || s.release == nil || s.release.Torch.IsZero() || sameMinor(t, s.release.Torch) || s.engine != catalog.VLLM || e.Dev || e.Fork {
		return
	}
	if t.Compare(s.release.Torch) > 0 {
		e.Dev, s.dev = true, true
		return
	}
	older := s.j.newest(s.engine, day, func(v version.PEP440) bool {
		r := s.j.find(s.engine, v)
		return r != nil && !r.Torch.IsZero() && sameMinor(t, r.Torch)
	})
	if older != nil {
		s.release = older
	}
}

// exactRelease finds a stated version: itself, the release that a pre-release leads to, or the newest before a
// post-release that nobody recorded.
func (s *subject) exactRelease(v version.PEP440) {
	s.version, s.stated = v, v
	s.release = s.j.find(s.engine, v)
	s.exact = s.release != nil && !s.dev
	if s.release == nil { // a pre-release or a post-release nobody recorded: judge by the release it leads to
		base := v.Base()
		s.release = s.j.find(s.engine, base)
		if last := s.j.newest(s.engine, "", nil); s.release == nil && last != nil && base.Compare(last.Version) < 0 {
			s.release = s.j.newest(s.engine, "", func(r version.PEP440) bool { return r.Compare(v) <= 0 })
			s.atMost = s.release != nil
		}
		if v.IsPrerelease() {
			s.dev = true
		}
	}
	if s.release == nil {
		s.miss = append(s.miss, fmt.Sprintf("%s %s is not among the releases that were read", s.engine, v))
	}
}

// engineImage reports whether an image of unknown contents is one that carries an engine: not a bare base image.
func (s *subject) engineImage() bool {
	r := s.image.Repository
	return !strings.HasPrefix(r, "nvidia/") && !strings.HasSuffix(r, "pytorch") && !strings.HasPrefix(r, "runpod/base") &&
		!strings.HasPrefix(r, "ubuntu") && !strings.HasPrefix(r, "python") && !strings.HasPrefix(strings.ToLower(s.image.Text), "self-built")
}

func boundedBelow(sp version.Specifier) bool {
	return !sp.Contains(version.MustParsePEP440("0.0.1"))
}

// imageOf reports the image's CUDA, zero when unknown.
func (s *subject) imageCUDA() version.CUDA {
	if !s.image.CUDA.IsZero() {
		return s.image.CUDA
	}
	if s.official && s.release != nil && s.exact {
		return s.release.ImageCUDA
	}
	return version.CUDA{}
}

func (s *subject) resolveBuild() {
	s.torch = ParsePackageRef(s.c.Torch)
	if !s.torch.Stated() && !s.image.Torch.IsZero() && s.release == nil {
		s.torch = PackageRef{Text: s.image.Torch.String(), Exact: s.image.Torch}
	}
	s.variantText = strings.ToLower(strings.TrimSpace(s.c.WheelCUDA))
	if s.variantText == "" && s.wheels {
		if l := s.version.Local(); strings.HasPrefix(l, "cu") || l == "cpu" {
			s.variantText = l
		}
	}
	if s.release != nil {
		s.pickVariant()
	}
	if s.variant != nil {
		s.buildCUDA = s.variant.CUDA
		s.torchCUDA = s.variant.TorchCUDA
		if !s.onIndex && s.variant.Default && s.variant.TorchCUDA.Major == s.variant.CUDA.Major {
			s.torchCUDA = s.variant.CUDA // uv takes torch of the driver's CUDA, so that of the wheel is the best case
		}
	}
	if c := s.imageCUDA(); !c.IsZero() && s.engineImage() && !s.wheels {
		s.buildCUDA, s.torchCUDA = c, c
	}
	if !s.torch.CUDA.IsZero() {
		s.torchCUDA = s.torch.CUDA
	}
}

// pickVariant finds the build in use: the stated one, the image's, or what a plain install takes.
func (s *subject) pickVariant() {
	want := s.variantText
	switch {
	case want != "" && want != "cpu":
		if c, err := version.ParseCUDA(want); err == nil && len(strings.TrimPrefix(want, "cu")) > 2 {
			if v, ok := s.release.Variant(c); ok {
				s.variant = &v
			}
			return
		}
		major := strings.TrimPrefix(want, "cu") // "cu12": any build of that major
		for i := range s.release.Variants {
			if v := s.release.Variants[i]; fmt.Sprint(v.CUDA.Major) == major {
				s.variant = &v
				return
			}
		}
	case want == "cpu":
	case s.hasImage && !s.wheels && !s.imageCUDA().IsZero():
		if v, ok := s.release.Variant(s.imageCUDA()); ok {
			s.variant = &v
		}
	case s.wheels, len(s.release.Variants) == 1:
		if v, ok := s.release.Variant(version.CUDA{}); ok {
			s.variant = &v
		}
	}
}

func (s *subject) resolveModel() {
	s.profile = s.c.Profile
	s.architecture, s.modelType = s.c.Architecture, s.c.ModelType
	s.typeOnly = s.modelType != "" && s.architecture == ""
	name := s.c.ModelName
	if s.profile != nil {
		if name == "" {
			name = s.profile.ID
		}
		if s.architecture == "" && (s.c.ModelType == "" || s.c.ModelType == s.profile.ModelType) {
			s.architecture = s.profile.Architecture
		}
		if s.modelType == "" {
			s.modelType = s.profile.ModelType
		}
	}
	if name == "" {
		name = familyInImage(s.image)
	}
	if name != "" {
		s.named, s.hasNamed = s.j.nameSays(name)
	}
	if s.hasNamed && s.profile == nil {
		if s.architecture == "" && (s.c.ModelType == "" || s.c.ModelType == s.named.ModelType) {
			s.architecture = s.named.Architecture
		}
		if s.modelType == "" && (s.c.Architecture == "" || s.c.Architecture == s.named.Architecture) {
			s.modelType = s.named.ModelType
		}
	}
	if s.architecture == "" && s.modelType != "" {
		if a := s.mainClass(s.modelType); a != "" {
			s.architecture = a
		}
	}
	if s.modelType == "" && s.architecture != "" {
		if a, ok := s.j.class(s.architecture); ok {
			s.modelType = a.ModelType
		}
	}
}

// mainClass finds the generating class of a model type, when there is exactly one that speaks for it.
func (s *subject) mainClass(t string) string {
	if m, ok := s.j.modelType(t); ok && m.Architecture != "" {
		if _, known := s.j.class(m.Architecture); known {
			return m.Architecture
		}
	}
	names := s.j.s.ArchitecturesOfType(t)
	for _, suffix := range []string{"ForConditionalGeneration", "ForCausalLM"} {
		hits := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, suffix) })
		if len(hits) == 1 {
			return hits[0]
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return ""
}

// familyInImage reads a model family out of an image made for one model: "vllm/vllm-openai:qwen38-flash-next".
func familyInImage(r ImageRef) string {
	text := strings.ToLower(r.Text)
	for _, w := range []string{"gpt-oss", "gptoss"} {
		if strings.Contains(text, w) {
			return "gpt-oss"
		}
	}
	if r.Engine.Name == "" || r.Tag == "" || r.Moving || r.Engine.Stated() {
		return ""
	}
	if n, ok := catalog.FindNamed(strings.ReplaceAll(r.Tag, "qwen38", "qwen3.8")); ok {
		return n.Name
	}
	if r.Repository == "vllm/vllm-openai" {
		return catalog.FamilyInTag(r.Tag)
	}
	return ""
}

func (s *subject) resolveTransformers() {
	s.transformers = ParsePackageRef(s.c.Transformers)
	if v := s.transformers.Exact; s.engine == catalog.SGLang && !v.IsZero() && s.release != nil && s.release.HasBounds && !s.release.Transformers.Contains(v) {
		s.dev = true // SGLang pins its transformers exactly: with another one it was built from a branch
	}
	if s.release == nil {
		return
	}
	s.installed = s.release.TransformersOnReleaseDay
	if n := s.j.s.NewestTransformers(s.release.Transformers, s.held.Date); s.held.Date != "" && !n.IsZero() {
		s.installed = n // the worker's Dockerfile takes the newest
	}
	if (s.dev || s.atMost) && s.engine != catalog.SGLang {
		day := s.day
		if s.image.AsOf != "" {
			day = s.image.AsOf
		}
		if n := s.j.s.NewestTransformers(s.release.Transformers, day); !n.IsZero() && day != "" {
			s.installed = n // whoever built it had nothing newer
		}
	}
}

// says makes a fact of something the case states.
func (s *subject) says(id, format string, args ...any) catalog.Fact {
	src := s.c.Source
	if src == "" {
		src = "stated"
	}
	return catalog.Fact{ID: catalog.FactID("stated/" + id), Statement: fmt.Sprintf(format, args...), Source: src, Date: s.c.Date, Standing: catalog.Stated}
}

// name is the engine and its version, for sentences.
func (s *subject) label() string {
	n := map[string]string{catalog.VLLM: "vLLM", catalog.SGLang: "SGLang", catalog.VLLMCPU: "vLLM (CPU build)"}[s.engine]
	if n == "" {
		n = s.engine
	}
	switch {
	case s.release == nil:
		return n
	case s.atMost:
		return n + " up to " + s.release.Version.String()
	case s.dev && !s.version.IsZero():
		return n + " " + s.version.String() + " (a development build)"
	}
	return n + " " + s.release.Version.String()
}

// before reports whether the engine is certainly older than v; after that it is certainly v or newer.
func (s *subject) before(v string) bool {
	return s.release != nil && s.version.Public().Compare(version.MustParsePEP440(v)) < 0
}

func (s *subject) since(v string) bool {
	return s.release != nil && !s.atMost && s.version.Public().Compare(version.MustParsePEP440(v)) >= 0
}

func (s *subject) isVLLM() bool { return s.engine == catalog.VLLM || s.engine == catalog.VLLMCPU }
