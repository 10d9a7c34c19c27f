// Package refresh brings a catalog up to date with the package index: it reads each new release of vLLM,
// transformers and the other engines out of the wheels themselves and writes the sections that changed. A new release
// needs no code and no hand-written fact. An artefact never changes, so what the catalog has is not read again.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"justright/catalog"
	"justright/internal/artefact"
	"justright/internal/pyindex"
	"justright/version"
)

// Options of a refresh.
type Options struct {
	Index *pyindex.Client
	Day   string // today, YYYY-MM-DD
	All   bool   // read every release anew, not only those the catalog lacks
	// Note is told what happens, one line a release; nil: nobody is.
	Note func(string)
	// Workers is how many releases are read at once; 0: 4.
	Workers int
}

// Result is what a refresh found.
type Result struct {
	Sections map[string][]byte // the sections that changed
	Added    []string          // "vllm 0.34.0", in order
	Skipped  []string          // releases that could not be read, each with the reason
	Bytes    int64             // read inside wheels
}

type run struct {
	o    Options
	edit *catalog.Editor
	snap *catalog.Snapshot
	mu   sync.Mutex
	res  Result

	classes map[string]string // of the newest transformers that was read
}

// Run refreshes a snapshot. A release that cannot be read is skipped and named; an index that cannot be reached is an error.
func Run(ctx context.Context, snap *catalog.Snapshot, o Options) (Result, error) {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	edit, err := catalog.Edit(snap)
	if err != nil {
		return Result{}, err
	}
	r := &run{o: o, edit: edit, snap: snap}
	if err := r.transformers(ctx); err != nil {
		return Result{}, err
	}
	if err := r.vllm(ctx); err != nil {
		return Result{}, err
	}
	for _, engine := range []string{catalog.VLLMCPU, catalog.SGLang} {
		if err := r.engine(ctx, engine); err != nil {
			return Result{}, err
		}
	}
	edit.NameTypes(r.classes)
	r.res.Sections, err = edit.Sections()
	return r.res, err
}

// candidate is a release on the index and the file of it that is read.
type candidate struct {
	version  version.PEP440
	wheel    pyindex.File
	dist     pyindex.Dist
	sdist    pyindex.File
	files    []catalog.WheelFile
	python   string
	released string
	yanked   bool
	glibc    version.Glibc
}

// releases lists the releases of a project with a wheel for x86_64 Linux, ascending.
func (r *run) releases(ctx context.Context, project string) ([]candidate, error) {
	p, err := r.o.Index.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	byVersion := map[string]*candidate{}
	for _, f := range p.Files {
		d, err := pyindex.ParseName(project, f.Name)
		if err != nil || d.Version.IsPrerelease() || d.Version.Local() != "" {
			continue
		}
		c := byVersion[d.Version.String()]
		if c == nil {
			c = &candidate{version: d.Version, yanked: true}
			byVersion[d.Version.String()] = c
		}
		c.take(f, d)
	}
	var out []candidate
	for _, c := range byVersion {
		if c.wheel.URL != "" {
			slices.SortFunc(c.files, func(a, b catalog.WheelFile) int { return strings.Compare(a.Name, b.Name) })
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b candidate) int { return a.version.Compare(b.version) })
	return out, nil
}

// take notes a file of a release. Of several wheels the one an installer prefers is read: the highest build number, and of wheels per
// Python that for 3.12.
func (c *candidate) take(f pyindex.File, d pyindex.Dist) {
	c.yanked = c.yanked && f.Yanked
	if day := f.Uploaded.Format("2006-01-02"); !f.Uploaded.IsZero() && (c.released == "" || day < c.released) {
		c.released = day
	}
	if d.Sdist {
		if strings.HasSuffix(f.Name, ".tar.gz") {
			c.sdist = f
		}
		return
	}
	glibc, x86 := d.Linux("x86_64")
	_, arm := d.Linux("aarch64")
	if !x86 && !arm || !d.ForPython(12) && c.wheel.URL != "" {
		return
	}
	c.files = append(c.files, catalog.WheelFile{Name: f.Name, Bytes: f.Size})
	if x86 && (c.wheel.URL == "" || better(d, c.dist)) {
		c.wheel, c.dist, c.python, c.glibc = f, d, f.RequiresPython, glibc
	}
}

func better(a, b pyindex.Dist) bool {
	if a.ForPython(12) != b.ForPython(12) {
		return a.ForPython(12)
	}
	return len(a.Build) > len(b.Build) || len(a.Build) == len(b.Build) && a.Build > b.Build
}

// each reads candidates at once and hands the results on in order.
func each[T any](ctx context.Context, workers int, cs []candidate, read func(context.Context, candidate) (T, error), use func(candidate, T, error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		v   T
		err error
	}
	answers := make([]chan answer, len(cs))
	for i := range answers {
		answers[i] = make(chan answer, 1)
	}
	gate := make(chan struct{}, workers)
	for i, c := range cs {
		go func() {
			select {
			case gate <- struct{}{}:
				defer func() { <-gate }()
			case <-ctx.Done():
				answers[i] <- answer{err: ctx.Err()}
				return
			}
			v, err := read(ctx, c)
			answers[i] <- answer{v, err}
		}()
	}
	for i, c := range cs {
		a := <-answers[i]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := use(c, a.v, a.err); err != nil {
			return err
		}
	}
	return nil
}

// skip notes a release that could not be read.
func (r *run) skip(project string, c candidate, err error) {
	line := fmt.Sprintf("%s %s: %v", project, c.version, err)
	r.res.Skipped = append(r.res.Skipped, line)
	r.o.Note("skipped " + line)
}

func (r *run) added(project string, c candidate) {
	r.res.Added = append(r.res.Added, project+" "+c.version.String())
	r.o.Note("read " + project + " " + c.version.String())
}

func (r *run) count(n int64) {
	r.mu.Lock()
	r.res.Bytes += n
	r.mu.Unlock()
}

// vllmReading is everything read of one vLLM release.
type vllmReading struct {
	wheel    artefact.VLLM
	pipeline *catalog.PipelineReading
}

func (r *run) vllm(ctx context.Context) error {
	all, err := r.releases(ctx, catalog.VLLM)
	if err != nil {
		return err
	}
	if r.o.All {
		r.edit.ForgetNames()
	}
	to := r.edit.NamesTo()
	var cs []candidate
	for _, c := range all {
		_, have := r.snap.Release(catalog.VLLM, c.version)
		if c.version.Compare(catalog.FirstRead) >= 0 && (!have || r.o.All || c.version.Compare(to) > 0) {
			cs = append(cs, c)
		}
	}
	return each(ctx, r.o.Workers, cs, r.readVLLM, func(c candidate, v vllmReading, err error) error {
		if err != nil {
			r.skip(catalog.VLLM, c, err)
			return nil
		}
		if err := r.edit.AddVLLM(v.reading(c, r.o.Day)); err != nil {
			return err
		}
		r.added(catalog.VLLM, c)
		return nil
	})
}

// errNoDay skips a release of an index that says no upload dates (PEP 503 pages do not): without the day nothing can be said of
// what was current then.
var errNoDay = errors.New("the index does not say when it was uploaded")

func (r *run) readVLLM(ctx context.Context, c candidate) (vllmReading, error) {
	if c.released == "" {
		return vllmReading{}, errNoDay
	}
	w, err := r.o.Index.OpenWheel(ctx, c.wheel)
	if err != nil {
		return vllmReading{}, err
	}
	v, err := artefact.ReadVLLM(ctx, w)
	r.count(w.Fetched())
	if err != nil {
		return vllmReading{}, err
	}
	if len(v.Architectures) == 0 || len(v.Flags) == 0 {
		return vllmReading{}, errors.New("no registry or no flags found: the files have a new form")
	}
	out := vllmReading{wheel: v}
	if known, have := r.snap.Release(catalog.VLLM, c.version); c.sdist.URL != "" && (!have || known.ImageCUDA.IsZero()) {
		p, ok, err := artefact.ReadPipeline(ctx, r.o.Index, c.sdist)
		if err != nil {
			return vllmReading{}, err
		}
		if ok {
			out.pipeline = pipelineReading(c.version, v.CUDA, p)
		}
	}
	return out, nil
}

func (v vllmReading) reading(c candidate, day string) catalog.Reading {
	r := catalog.Reading{Version: c.version, Released: c.released, Read: day, Yanked: c.yanked, Python: v.wheel.Metadata.RequiresPython,
		CUDA: v.wheel.CUDA, Glibc: c.glibc, Commit: v.wheel.Commit, Wheels: c.files, Architectures: v.wheel.Architectures,
		OnBackend: v.wheel.OnBackend, Removed: v.wheel.Removed, MinCapability: v.wheel.MinCapability, Pipeline: v.pipeline,
		Names: map[catalog.NameKind][]string{catalog.FlagNames: v.wheel.Flags, catalog.ToolParsers: v.wheel.ToolParsers,
			catalog.ReasoningParsers: v.wheel.ReasoningParsers, catalog.KVCacheDTypes: v.wheel.KVCacheDTypes,
			catalog.QuantMethods: v.wheel.QuantMethods, catalog.ConfigTypes: v.wheel.ConfigTypes, catalog.EnvVars: v.wheel.EnvVars}}
	r.Torch, r.FlashInfer = pin(v.wheel.Metadata, "torch"), pin(v.wheel.Metadata, "flashinfer-python")
	if t, ok := v.wheel.Metadata.Requirement("transformers"); ok {
		s := t.Specifier.String()
		r.Transformers = &s
	}
	return r
}

// pin is the version a requirement fixes, "" when it fixes none.
func pin(m pyindex.Metadata, name string) string {
	q, ok := m.Requirement(name)
	if !ok {
		return ""
	}
	v, exact := strings.CutPrefix(q.Specifier.String(), "==")
	if !exact || strings.ContainsAny(v, ",*") {
		return ""
	}
	return v
}

// pipelineReading names the tags that the publish script makes of the images: vX, vX-x86_64, vX-aarch64, and with a suffix
// per further CUDA version.
func pipelineReading(v version.PEP440, wheel version.CUDA, p artefact.Pipeline) *catalog.PipelineReading {
	out := &catalog.PipelineReading{Archs: p.ArchsX86}
	for _, b := range p.Wheels {
		out.Builds = append(out.Builds, catalog.Variant{CUDA: b.CUDA, Platforms: b.Platforms})
	}
	for _, b := range p.Images {
		if b.CUDA.Major == wheel.Major && out.ImageCUDA.IsZero() {
			out.ImageCUDA = b.CUDA
		}
	}
	if out.ImageCUDA.IsZero() {
		return out
	}
	tag := "v" + v.String()
	out.Tags = []string{tag, tag + "-x86_64", tag + "-aarch64"}
	for _, b := range p.Images {
		if b.CUDA != out.ImageCUDA {
			out.Tags = append(out.Tags, tag+"-"+b.CUDA.Tag())
		}
	}
	if p.Ubuntu {
		out.Tags = append(out.Tags, tag+"-ubuntu2404")
	}
	return out
}
