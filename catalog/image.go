package catalog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"justright/version"
)

// Image is what is known of a container image by its reference. Zero fields are unknown.
type Image struct {
	Ref           string // as asked for
	Repository    string // "vllm/vllm-openai"
	Tag           string
	Engine        string         // engine inside; "" for a base image
	EngineVersion version.PEP440 // zero when the tag does not fix it
	CUDA          version.CUDA   // toolkit inside
	Torch         version.PEP440
	Python        version.PEP440
	OS            string // "ubuntu 22.04"
	Glibc         version.Glibc
	Platforms     []string
	Entrypoint    []string // the image's own; nil when it has none or one that only runs its arguments
	Cmd           []string
	RunsArgs      Presence // whether a start command given as arguments is run as it is
	Devel         bool     // has nvcc
	Require       string   // NVIDIA_REQUIRE_CUDA; "" when it has none (see RequireKnown)
	RequireKnown  bool
	Digest        string // of the manifest that was read; "" when none was
	Confirmed     bool   // the tag itself is listed; else only its form was understood
	Moving        bool   // the tag is moved with releases: EngineVersion is as of the day asked
	source, date  string
	gate          *gate // Require as it was read; nil when it was not
}

type imageSection struct {
	read    string
	listed  map[string]imageJSON // repository:tag
	order   []string
	workers []workerJSON // by day
}

type imagesJSON struct {
	Read    string       `json:"read"`
	Images  []imageJSON  `json:"images"`
	Workers []workerJSON `json:"workers"`
}

type imageJSON struct {
	Ref        string   `json:"ref"`
	CUDA       string   `json:"cuda,omitempty"`
	Torch      string   `json:"torch,omitempty"`
	Python     string   `json:"python,omitempty"`
	OS         string   `json:"os,omitempty"`
	Require    *string  `json:"require,omitempty"`
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	RunsArgs   *bool    `json:"runs_args,omitempty"`
	Devel      bool     `json:"devel,omitempty"`
	Digest     string   `json:"digest,omitempty"`
	Base       bool     `json:"base,omitempty"` // fit to install an engine into
	Source     string   `json:"source"`
}

func parseImages(data []byte) (imageSection, error) {
	var in imagesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return imageSection{}, err
	}
	out := imageSection{read: in.Read, listed: make(map[string]imageJSON, len(in.Images)), workers: in.Workers}
	for _, w := range in.Workers {
		if _, err := version.ParsePEP440(w.VLLM); err != nil {
			return out, fmt.Errorf("worker %s: %w", w.Tag, err)
		}
	}
	for _, j := range in.Images {
		if j.Require != nil {
			if _, err := ParseRequire(*j.Require); err != nil {
				return out, fmt.Errorf("image %s: %w", j.Ref, err)
			}
		}
		for _, v := range []string{j.Torch, j.Python} {
			if _, err := version.ParsePEP440(v); v != "" && err != nil {
				return out, fmt.Errorf("image %s: %w", j.Ref, err)
			}
		}
		out.listed[j.Ref] = j
		out.order = append(out.order, j.Ref)
	}
	return out, nil
}

// SplitImage splits a reference into repository, tag and digest. A missing tag is "latest" unless there is a
// digest; Docker Hub's host and "library/" are dropped.
func SplitImage(ref string) (repository, tag, digest string) {
	ref = strings.TrimSpace(ref)
	ref, digest, _ = strings.Cut(ref, "@")
	repository = ref
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		repository, tag = ref[:i], ref[i+1:]
	}
	for _, host := range []string{"docker.io/", "index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/"} {
		repository = strings.TrimPrefix(repository, host)
	}
	repository = strings.TrimPrefix(repository, "library/")
	if tag == "" && digest == "" {
		tag = "latest"
	}
	return repository, tag, digest
}

// Image tells what is known of a reference. day (YYYY-MM-DD, "" for today) decides what a moving tag such as "latest"
// meant. ok is false when nothing is known of the repository or the tag's form.
func (s *Snapshot) Image(ref, day string) (img Image, ok bool) {
	repo, tag, digest := SplitImage(ref)
	img = Image{Ref: ref, Repository: repo, Tag: tag, date: s.images().read}
	if tag == "" && digest != "" {
		return img, false
	}
	j, listed := s.images().listed[repo+":"+tag]
	switch repo {
	case "vllm/vllm-openai", "vllm/vllm-openai-cpu":
		ok = s.vllmImage(&img, day)
	case "lmsysorg/sglang":
		ok = s.sglangImage(&img, day)
	default:
		ok = baseImageByName(&img)
	}
	if listed {
		img.apply(j)
		ok = true
	}
	if !ok {
		return img, false
	}
	s.complete(&img)
	return img, true
}

// apply takes what the list says of the very tag.
func (img *Image) apply(j imageJSON) {
	img.Confirmed, img.source, img.Digest = true, j.Source, j.Digest
	// The texts were parsed when the section was read.
	_ = readText([]textPair{{&img.Torch, cmpOr(j.Torch, img.Torch.String())}, {&img.Python, cmpOr(j.Python, img.Python.String())}})
	if j.CUDA != "" {
		img.CUDA, _ = version.ParseCUDA(j.CUDA)
	}
	img.OS = cmpOr(j.OS, img.OS)
	img.Devel = img.Devel || j.Devel
	if j.Require != nil {
		img.Require, img.RequireKnown = *j.Require, true
	}
	if j.Entrypoint != nil {
		img.Entrypoint = j.Entrypoint
	}
	if j.Cmd != nil {
		img.Cmd = j.Cmd
	}
	if j.RunsArgs != nil {
		img.RunsArgs = presence(*j.RunsArgs)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// complete fills what follows from the rest: glibc from the OS, the gate from the CUDA toolkit.
func (s *Snapshot) complete(img *Image) {
	if o, ok := s.derived.os(s, img.OS); ok {
		img.Glibc = o.Glibc
	}
	if !img.RequireKnown && !img.CUDA.IsZero() {
		img.Require, img.RequireKnown = s.derived.gateOf(s, img.CUDA)
	}
	if img.RequireKnown && img.Require != "" {
		img.gate = s.derived.gate(img.Require)
	}
	if len(img.Platforms) == 0 {
		img.Platforms = []string{"x86_64"}
	}
}

// GateOf is the NVIDIA_REQUIRE_CUDA that NVIDIA's base images of a CUDA version carry. exact is false when only the
// floor is certain, because no image of that version was read.
func (s *Snapshot) GateOf(c version.CUDA) (expr string, exact, ok bool) {
	if c.IsZero() {
		return "", false, false
	}
	for _, g := range s.hardware().gates {
		if g.CUDA != c.String() {
			continue
		}
		parts := []string{"cuda>=" + g.CUDA}
		for _, branch := range g.Branches {
			for _, brand := range g.Brands {
				parts = append(parts, fmt.Sprintf("brand=%s,driver>=%d,driver<%d", brand, branch, branch+1))
			}
		}
		return strings.Join(parts, " "), true, true
	}
	return "cuda>=" + c.String(), false, true
}

var vllmTag = regexp.MustCompile(`^v?(\d+(?:\.\d+)+(?:(?:rc|\.?post|\.?dev)\d+)*)((?:-[a-z0-9_]+)*)$`)

// vllmImage understands the tags of the official repository: vX, vX-cu129, vX-x86_64, latest, latest-cu130, …
func (s *Snapshot) vllmImage(img *Image, day string) bool {
	img.Engine = VLLM
	tag, suffix := img.Tag, ""
	var r Release
	var ok bool
	if rest, found := strings.CutPrefix(tag, "latest"); found {
		r, ok = s.Newest(VLLM, day)
		suffix, img.Moving = rest, true
		for ok && strings.Contains(suffix, "cu") && !s.tagExists(r, suffix) {
			// latest-cu129 stayed where the last build of it left it
			r, ok = s.before(r)
		}
	} else if m := vllmTag.FindStringSubmatch(tag); m != nil {
		v, err := version.ParsePEP440(m[1])
		if err != nil {
			return false
		}
		img.EngineVersion, suffix = v, m[2]
		r, ok = s.Release(VLLM, v)
	} else {
		return strings.HasPrefix(tag, "nightly") || strings.HasPrefix(tag, "gptoss")
	}
	if !ok {
		return !img.EngineVersion.IsZero()
	}
	img.fromVLLMRelease(&r, suffix)
	return true
}

// tagExists reports whether a release published a tag with a CUDA suffix ("-cu129").
func (s *Snapshot) tagExists(r Release, suffix string) bool {
	return slices.Contains(r.ImageTags, "v"+r.Version.String()+suffix)
}

func (s *Snapshot) before(r Release) (Release, bool) {
	all := s.releasesOf(r.Engine)
	for i := len(all) - 1; i > 0; i-- {
		if all[i].Version.Compare(r.Version) == 0 {
			return all[i-1], true
		}
	}
	return Release{}, false
}

var cudaSuffix = regexp.MustCompile(`cu(\d{2})(\d)\b`)

func (img *Image) fromVLLMRelease(r *Release, suffix string) {
	at := func(s string) bool { return r.Version.Compare(version.MustParsePEP440(s)) >= 0 }
	img.EngineVersion, img.Torch, img.CUDA = r.Version, r.Torch, r.ImageCUDA
	if m := cudaSuffix.FindStringSubmatch(suffix); m != nil {
		img.CUDA, _ = version.ParseCUDA(m[1] + "." + m[2])
	}
	img.Confirmed = img.Moving || slices.Contains(r.ImageTags, "v"+r.Version.String()+suffix)
	img.Python = version.MustParsePEP440("3.12")
	if !at("0.6.1") {
		img.Python = version.MustParsePEP440("3.10")
	}
	switch {
	case at("0.28.0") || strings.Contains(suffix, "ubuntu2404"):
		img.OS = "ubuntu 24.04"
	case at("0.6.3"):
		img.OS = "ubuntu 22.04"
	default:
		img.OS = "ubuntu 20.04"
	}
	img.Devel = at("0.7.1") && !at("0.12.0")
	img.Entrypoint = []string{"python3", "-m", "vllm.entrypoints.openai.api_server"}
	if at("0.11.1") {
		img.Entrypoint = []string{"vllm", "serve"}
	}
	img.RunsArgs = Absent
	img.Platforms = []string{"x86_64"}
	if at("0.10.2") && !strings.Contains(suffix, "x86_64") {
		img.Platforms = append(img.Platforms, "aarch64")
	}
	img.source, img.date = r.source("image")
	if strings.HasSuffix(img.Repository, "-cpu") {
		img.CUDA, img.RequireKnown = version.CUDA{}, true
	}
}

// sglangImage understands lmsysorg/sglang tags: vX-cu129, latest, …
func (s *Snapshot) sglangImage(img *Image, day string) bool {
	img.Engine, img.RunsArgs = SGLang, Present
	img.source = "lmsysorg/sglang image tags; https://github.com/mitulgarg/env-doctor inference_engines.json"
	var r Release
	var ok bool
	suffix := ""
	if rest, found := strings.CutPrefix(img.Tag, "latest"); found {
		r, ok = s.Newest(SGLang, day)
		suffix, img.Moving = rest, true
	} else if m := vllmTag.FindStringSubmatch(img.Tag); m != nil {
		v, err := version.ParsePEP440(m[1])
		if err != nil {
			return false
		}
		img.EngineVersion, suffix = v, m[2]
		r, ok = s.Release(SGLang, v)
	}
	if m := cudaSuffix.FindStringSubmatch(suffix); m != nil {
		img.CUDA, _ = version.ParseCUDA(m[1] + "." + m[2])
	} else if ok {
		img.CUDA = r.ImageCUDA
	}
	if ok {
		img.EngineVersion, img.Torch = r.Version, r.Torch
	}
	return ok || !img.EngineVersion.IsZero()
}

// BaseImages lists images fit to install an engine into, in the catalog's order of preference.
func (s *Snapshot) BaseImages() []Image {
	var out []Image
	for _, ref := range s.images().order {
		if s.images().listed[ref].Base {
			if img, ok := s.Image(ref, ""); ok {
				out = append(out, img)
			}
		}
	}
	return out
}

// GateFact states the condition the image puts on its host.
func (img *Image) GateFact() Fact {
	f := Fact{ID: FactID("image/" + img.Repository + ":" + img.Tag + "/require"), Source: img.source, Date: img.date, Standing: Derived}
	g := img.gate
	if g == nil || g.expr != img.Require {
		g = readGate(img.Require)
	}
	switch {
	case !img.RequireKnown || g.err != nil:
		f.Statement = img.Ref + ": what it asks of its host is not known"
	case img.Require == "":
		f.Statement = img.Ref + " asks nothing of its host"
	default:
		f.Statement = fmt.Sprintf("%s is built on NVIDIA's CUDA %s image and asks its host for cuda>=%s, or for a listed data-centre driver branch", img.Ref, img.CUDA, g.floor)
	}
	return f
}

// Fact states what is inside the image.
func (img *Image) Fact() Fact {
	var has []string
	add := func(name, v string) {
		if v != "" {
			has = append(has, name+" "+v)
		}
	}
	if img.Engine != "" {
		add(img.Engine, img.EngineVersion.String())
	}
	if !img.CUDA.IsZero() {
		add("CUDA", img.CUDA.String())
	}
	add("torch", img.Torch.String())
	add("Python", img.Python.String())
	add("on", img.OS)
	return Fact{ID: FactID("image/" + img.Repository + ":" + img.Tag), Statement: img.Ref + " has " + strings.Join(has, ", "),
		Source: img.source, Date: img.date, Standing: Derived}
}
