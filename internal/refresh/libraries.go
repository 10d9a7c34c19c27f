package refresh

import (
	"context"
	"errors"

	"justright/catalog"
	"justright/internal/artefact"
	"justright/internal/pyindex"
	"justright/version"
)

// firstTransformers is the first transformers release whose wheel is read: the releases before vLLM 0.6.0's floor that people still
// pin.
var firstTransformers = version.MustParsePEP440("4.30.0")

func (r *run) transformers(ctx context.Context) error {
	all, err := r.releases(ctx, "transformers")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, t := range r.snap.TransformersReleases() {
		known[t.Version.String()] = true
	}
	prev := r.edit.TypesTo()
	if r.o.All {
		r.edit.ForgetTypes()
		prev = version.PEP440{}
	}
	var cs []candidate
	for _, c := range all {
		if c.version.Compare(firstTransformers) >= 0 && (r.o.All || !known[c.version.String()]) {
			cs = append(cs, c)
		}
	}
	return each(ctx, r.o.Workers, cs, r.readTransformers, func(c candidate, t artefact.Transformers, err error) error {
		if err != nil {
			r.skip("transformers", c, err)
			return nil
		}
		reading := catalog.TransformersReading{Version: c.version, Released: c.released, Read: r.o.Day, Python: c.python, Yanked: c.yanked,
			Types: t.Types, Classes: t.Classes}
		if c.version.Compare(prev) < 0 {
			reading.Types = nil // a late patch of an old line says nothing of newer ones
		}
		if err := r.edit.AddTransformers(reading, prev); err != nil {
			return err
		}
		if reading.Types != nil {
			prev, r.classes = c.version, t.Classes
		}
		r.added("transformers", c)
		return nil
	})
}

func (r *run) readTransformers(ctx context.Context, c candidate) (artefact.Transformers, error) {
	if c.released == "" {
		return artefact.Transformers{}, errNoDay
	}
	w, err := r.o.Index.OpenWheel(ctx, c.wheel)
	if err != nil {
		return artefact.Transformers{}, err
	}
	t, err := artefact.ReadTransformers(ctx, w)
	r.count(w.Fetched())
	return t, err
}

// engine reads the requirements of the releases of another engine. An index need not carry it.
func (r *run) engine(ctx context.Context, name string) error {
	all, err := r.releases(ctx, name)
	if errors.Is(err, pyindex.ErrNotFound) {
		r.o.Note(name + " is not on this index")
		return nil
	}
	if err != nil {
		return err
	}
	var cs []candidate
	for _, c := range all {
		if r.o.All || !r.edit.HasEngine(name, c.version) {
			cs = append(cs, c)
		}
	}
	read := func(ctx context.Context, c candidate) (pyindex.Metadata, error) {
		return r.o.Index.Metadata(ctx, c.wheel)
	}
	return each(ctx, r.o.Workers, cs, read, func(c candidate, m pyindex.Metadata, err error) error {
		if err != nil {
			r.skip(name, c, err)
			return nil
		}
		e := catalog.EngineReading{Engine: name, Version: c.version, Released: c.released, Read: r.o.Day, Python: m.RequiresPython,
			Torch: pin(m, "torch"), Glibc: c.glibc, Yanked: c.yanked, Wheels: c.files}
		none := "" // engines that do not name it bound it nowhere
		e.Transformers = &none
		if t, ok := m.Requirement("transformers"); ok {
			s := t.Specifier.String()
			e.Transformers = &s
		}
		if name == catalog.SGLang {
			e.Torch, e.Transformers = sglangPins(m)
		}
		if err := r.edit.AddEngine(e); err != nil {
			return err
		}
		r.added(name, c)
		return nil
	})
}

// sglangPins finds torch and transformers, which SGLang named in extras (srt, all) up to 0.5.2.
func sglangPins(m pyindex.Metadata) (torch string, transformers *string) {
	for _, q := range m.Requires {
		switch q.Name {
		case "torch":
			if torch == "" {
				torch = pin(pyindex.Metadata{Requires: []pyindex.Requirement{{Name: "torch", Specifier: q.Specifier}}}, "torch")
			}
		case "transformers":
			if s := q.Specifier.String(); transformers == nil || *transformers == "" {
				transformers = &s
			}
		}
	}
	if transformers == nil {
		none := ""
		transformers = &none
	}
	return torch, transformers
}
