package diagnose

import (
	"sync"

	"justright/catalog"
)

// knowledge is the catalog of releases, read on the first need. It is nil when the embedded one cannot be read: then
// remedies stay general.
var knowledge = sync.OnceValue(func() *catalog.Snapshot {
	s, err := catalog.Embedded()
	if err != nil {
		return nil
	}
	return s
})

// typeRemedy is what helps with a model type Transformers did not know: a later Transformers if one knows it, a later
// engine if that brings the configuration itself, and another checkpoint if neither does.
func typeRemedy(name string) RemedyKind {
	s := knowledge()
	if s == nil {
		return NewerTransformers
	}
	if m, ok := s.ModelType(name); ok && !m.Never {
		return NewerTransformers
	}
	if n, ok := s.Named(catalog.ConfigTypes, name); ok && n.Releases.Last().IsZero() {
		return NewerEngine
	}
	return ModelBug
}

// flagRemedy is what helps with flags a release did not know: the release that has them when they came later, else to
// leave them out. since is the first release with all of them, or what took over from one that is gone.
func flagRemedy(flags []string) (kind RemedyKind, since, renamed string) {
	s := knowledge()
	if s == nil {
		return ChangeFlag, "", ""
	}
	for _, f := range flags {
		n, ok := s.Named(catalog.FlagNames, f)
		if !ok {
			continue
		}
		switch {
		case n.RenamedTo != "":
			renamed = n.RenamedTo
		case n.Releases.Last().IsZero() && !n.Releases[0].OrEarlier:
			kind, since = NewerEngine, n.Releases[len(n.Releases)-1].First.String()
		}
	}
	if kind == "" {
		kind = ChangeFlag
	}
	return kind, since, renamed
}
