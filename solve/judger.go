package solve

import (
	"sync"
	"time"

	"justright/catalog"
	"justright/version"
)

// Judger judges stacks against one snapshot and keeps what it looked up. It is safe for concurrent use.
type Judger struct {
	s  *catalog.Snapshot
	mu sync.Mutex

	releases map[string][]catalog.Release
	images   map[[2]string]knownImage
	named    map[string]namedModel
	bases    []catalog.Image
	classes  map[string]*catalog.Architecture
	stated   map[string]catalog.Fact // of a class, by its name
	types    map[string]*catalog.ModelType
}

// knownImage is what the catalog says of an image, with its gate parsed.
type knownImage struct {
	img   catalog.Image
	ok    bool
	gate  catalog.Require
	gated bool
	floor version.CUDA
}

type namedModel struct {
	model catalog.NamedModel
	ok    bool
}

// image looks an image up once.
func (j *Judger) image(ref, day string) knownImage {
	key := [2]string{ref, day}
	j.mu.Lock()
	k, seen := j.images[key]
	j.mu.Unlock()
	if seen {
		return k
	}
	k.img, k.ok = j.s.Image(ref, day)
	j.mu.Lock()
	defer j.mu.Unlock()
	k.gate, k.floor, k.gated = k.img.Gate()
	j.images[key] = k
	return k
}

// class finds a model class once.
func (j *Judger) class(name string) (catalog.Architecture, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	a, seen := j.classes[name]
	if !seen {
		if x, ok := j.s.Architecture(name); ok {
			a = &x
		}
		j.classes[name] = a
	}
	if a == nil {
		return catalog.Architecture{}, false
	}
	return *a, true
}

// classFact states which releases register a class, once; the zero fact when the class is not known.
func (j *Judger) classFact(name string) catalog.Fact {
	a, known := j.class(name)
	if !known {
		return catalog.Fact{}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	f, seen := j.stated[name]
	if !seen {
		f = a.Fact()
		j.stated[name] = f
	}
	return f
}

// modelType finds a model type once.
func (j *Judger) modelType(name string) (catalog.ModelType, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t, seen := j.types[name]
	if !seen {
		if x, ok := j.s.ModelType(name); ok {
			t = &x
		}
		j.types[name] = t
	}
	if t == nil {
		return catalog.ModelType{}, false
	}
	return *t, true
}

// baseImages lists the images to install into, once.
func (j *Judger) baseImages() []catalog.Image {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bases == nil {
		j.bases = j.s.BaseImages()
	}
	return j.bases
}

// nameSays reads a model's name once.
func (j *Judger) nameSays(name string) (catalog.NamedModel, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, seen := j.named[name]
	if !seen {
		n.model, n.ok = catalog.FindNamed(name)
		j.named[name] = n
	}
	return n.model, n.ok
}

// NewJudger makes a Judger over a snapshot.
func NewJudger(s *catalog.Snapshot) *Judger {
	return &Judger{s: s, releases: map[string][]catalog.Release{}, images: map[[2]string]knownImage{}, named: map[string]namedModel{},
		classes: map[string]*catalog.Architecture{}, stated: map[string]catalog.Fact{}, types: map[string]*catalog.ModelType{}}
}

// Judge judges one stack. For many stacks over one snapshot, make a Judger once.
func Judge(s *catalog.Snapshot, c Case) Verdict { return NewJudger(s).Judge(c) }

// Releases lists an engine's releases in ascending order, from the first that is known.
func (j *Judger) Releases(engine string) []catalog.Release {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r, ok := j.releases[engine]; ok {
		return r
	}
	r := j.s.Releases(engine)
	switch engine {
	case catalog.VLLM:
		r = append(j.s.EarlyVLLM(), r...)
	case catalog.SGLang:
		r = j.s.SGLangReleases()
	}
	j.releases[engine] = r
	return r
}

// newest finds the newest proper release out on a day ("" today) that satisfies keep.
func (j *Judger) newest(engine, day string, keep func(version.PEP440) bool) *catalog.Release {
	all := j.Releases(engine)
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		if !r.Yanked && !r.Version.IsPrerelease() && (day == "" || r.Released <= day) && (keep == nil || keep(r.Version)) {
			return r
		}
	}
	return nil
}

func (j *Judger) find(engine string, v version.PEP440) *catalog.Release {
	all := j.Releases(engine)
	for i := range all {
		if all[i].Version.Compare(v.Public()) == 0 {
			return &all[i]
		}
	}
	return nil
}

// next is the release after r; nil when r is the newest.
func (j *Judger) next(r *catalog.Release) *catalog.Release {
	all := j.Releases(r.Engine)
	for i := range all {
		if all[i].Version.Compare(r.Version) > 0 {
			return &all[i]
		}
	}
	return nil
}

// daysBetween counts days from a to b (YYYY-MM-DD); a large number when either is no day.
func daysBetween(a, b string) int {
	x, err1 := time.Parse(time.DateOnly, a)
	y, err2 := time.Parse(time.DateOnly, b)
	if err1 != nil || err2 != nil {
		return 1 << 20
	}
	return int(y.Sub(x).Hours() / 24)
}
