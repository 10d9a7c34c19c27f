package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"justright/version"
)

// TransformersReading is what was read of one transformers release.
type TransformersReading struct {
	Version  version.PEP440
	Released string
	Read     string
	Python   string
	Yanked   bool
	Types    []string          // every model type; nil when the wheel was not read
	Classes  map[string]string // model class → model type
}

// ForgetTypes drops the model types, to be read anew from the first release on.
func (e *Editor) ForgetTypes() {
	for name, row := range e.types.Types {
		if len(row) > 0 && row[0] == nil || row[0] == "" {
			continue // known to no release: stays said so until one knows it
		}
		delete(e.types.Types, name)
	}
}

// AddTransformers adds a release; releases with types must come in ascending order. prev is the release with types before
// it, zero for the first.
func (e *Editor) AddTransformers(r TransformersReading, prev version.PEP440) error {
	e.touched[SectionTransformers] = true
	e.types.Read = max(e.types.Read, r.Read)
	row := []string{r.Version.String(), r.Released, r.Python}
	if r.Yanked {
		row = append(row, "yanked")
	}
	i := slices.IndexFunc(e.types.Releases, func(x []string) bool { return len(x) > 0 && x[0] == row[0] })
	if i < 0 {
		e.types.Releases = append(e.types.Releases, row)
	} else {
		e.types.Releases[i] = row
	}
	slices.SortStableFunc(e.types.Releases, func(a, b []string) int {
		x, _ := version.ParsePEP440(a[0])
		y, _ := version.ParsePEP440(b[0])
		return x.Compare(y)
	})
	if r.Types == nil {
		return nil
	}
	return e.addTypes(r, prev)
}

func (e *Editor) addTypes(r TransformersReading, prev version.PEP440) error {
	source := "PyPI wheel transformers-{first}-py3-none-any.whl, read " + r.Read + ": CONFIG_MAPPING_NAMES"
	src := slices.Index(e.types.Sources, source)
	if src < 0 {
		e.types.Sources = append(e.types.Sources, source)
		src = len(e.types.Sources) - 1
	}
	classOf := map[string]string{}
	for _, class := range sortedKeys(r.Classes) {
		if t := r.Classes[class]; classOf[t] == "" {
			classOf[t] = class
		}
	}
	present := map[string]bool{}
	for _, t := range r.Types {
		present[t] = true
		row := e.types.Types[t]
		first, _ := text(row, 0)
		if first == "" {
			first = r.Version.String()
			if prev.IsZero() {
				first = "<=" + first
			}
			class, _ := text(row, 1)
			e.types.Types[t] = []any{first, cmpOr(class, classOf[t]), src}
			continue
		}
		if last, ok := text(row, 3); ok && last != "" {
			row = row[:3] // it came back; the gap is not kept
		}
		if class, _ := text(row, 1); class == "" && classOf[t] != "" {
			row[1] = classOf[t]
		}
		e.types.Types[t] = row
	}
	for t, row := range e.types.Types {
		first, _ := text(row, 0)
		if last, _ := text(row, 3); present[t] || first == "" || last != "" || prev.IsZero() {
			continue
		}
		if len(row) < 3 {
			return fmt.Errorf("model type %s lacks fields", t)
		}
		e.types.Types[t] = append(row[:3:3], prev.String())
	}
	return nil
}

func text(row []any, i int) (string, bool) {
	if i >= len(row) {
		return "", false
	}
	s, ok := row[i].(string)
	return s, ok
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TypesTo is the newest transformers release of the catalog; zero when there is none.
func (e *Editor) TypesTo() version.PEP440 {
	var newest version.PEP440
	for _, row := range e.types.Releases {
		if len(row) > 0 {
			if v, err := version.ParsePEP440(row[0]); err == nil && v.Compare(newest) > 0 {
				newest = v
			}
		}
	}
	return newest
}

// NameTypes fills the model type of classes that have none: from a transformers reading's classes, else from the class that a known
// model type maps to.
func (e *Editor) NameTypes(classes map[string]string) {
	byClass := maps.Clone(classes)
	if byClass == nil {
		byClass = map[string]string{}
	}
	for _, t := range sortedKeys(e.types.Types) {
		if class, _ := text(e.types.Types[t], 1); class != "" && byClass[class] == "" {
			byClass[class] = t
		}
	}
	for class, t := range byClass {
		if a, ok := e.archs.Architectures[class]; ok && a.Type == "" {
			a.Type = t
			e.archs.Architectures[class] = a
			e.touched[SectionArchitectures] = true
		}
	}
}

// EngineReading is what was read of a release of an engine other than vLLM.
type EngineReading struct {
	Engine       string
	Version      version.PEP440
	Released     string
	Read         string
	Python       string
	Torch        string
	Transformers *string
	Glibc        version.Glibc
	Yanked       bool
	Wheels       []WheelFile
}

// HasEngine reports whether a release of another engine is in the catalog with its requirements.
func (e *Editor) HasEngine(engine string, v version.PEP440) bool {
	return slices.ContainsFunc(e.others.Releases, func(j releaseJSON) bool {
		return j.Engine == engine && j.V == v.String() && j.Transformers != nil
	})
}

// AddEngine adds a release of another engine, or completes it.
func (e *Editor) AddEngine(r EngineReading) error {
	e.touched[SectionEngines] = true
	e.others.Read = max(e.others.Read, r.Read)
	i := slices.IndexFunc(e.others.Releases, func(j releaseJSON) bool { return j.Engine == r.Engine && j.V == r.Version.String() })
	if i < 0 {
		e.others.Releases = append(e.others.Releases, releaseJSON{Engine: r.Engine, V: r.Version.String(), Src: map[string]int{}})
		i = len(e.others.Releases) - 1
	}
	j := &e.others.Releases[i]
	j.Date, j.Python, j.Yanked = r.Released, r.Python, r.Yanked
	if r.Torch != "" {
		j.Torch = r.Torch
	}
	if r.Transformers != nil {
		j.Transformers = r.Transformers
	}
	if !r.Glibc.IsZero() {
		j.Glibc = r.Glibc.String()
	}
	j.Wheels = nil
	for _, w := range r.Wheels {
		j.Wheels = append(j.Wheels, [2]any{w.Name, w.Bytes})
	}
	project := strings.ReplaceAll(r.Engine, "_", "-")
	where := e.source(&e.others, "https://pypi.org/simple/"+project+"/ and METADATA of the wheels, read "+r.Read)
	if j.Src == nil {
		j.Src = map[string]int{}
	}
	j.Src["*"] = where
	if torch, err := version.ParsePEP440(r.Torch); r.Engine == SGLang && j.CUDA == "" && err == nil {
		// The wheel itself is pure Python: its kernels come with torch's CUDA.
		if c := torchOnIndexCUDA(torch); !c.IsZero() {
			j.CUDA = c.String()
		}
	}
	return sortReleases(e.others.Releases)
}

// ImageReading is what an image's config says, read from its registry.
type ImageReading struct {
	Ref        string // repository and tag, as SplitImage writes them
	Read       string
	Digest     string
	CUDA       version.CUDA
	Python     string
	Require    string // NVIDIA_REQUIRE_CUDA; "" when it asks nothing
	Entrypoint []string
	Cmd        []string
}

// AddImage adds an image, or replaces what was known of its tag.
func (e *Editor) AddImage(r ImageReading) error {
	if _, err := ParseRequire(r.Require); err != nil {
		return fmt.Errorf("image %s: %w", r.Ref, err)
	}
	repo, tag, _ := SplitImage(r.Ref)
	j := imageJSON{Ref: repo + ":" + tag}
	i := slices.IndexFunc(e.images.Images, func(x imageJSON) bool { return x.Ref == j.Ref })
	if i >= 0 {
		j = e.images.Images[i]
	}
	if !r.CUDA.IsZero() {
		j.CUDA = r.CUDA.String()
	}
	j.Python = cmpOr(r.Python, j.Python)
	j.Require, j.Entrypoint, j.Cmd, j.Digest = &r.Require, r.Entrypoint, r.Cmd, r.Digest
	j.Source = "image config of " + j.Ref + " (" + r.Digest + "), read " + r.Read
	if i >= 0 {
		e.images.Images[i] = j
	} else {
		e.images.Images = append(e.images.Images, j)
	}
	e.images.Read = max(e.images.Read, r.Read)
	e.touched[SectionImages] = true
	return nil
}
