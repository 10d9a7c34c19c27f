package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
)

// noRelease asks every release what a rule that wants one could not, where none is stated: what each part admits alone
// need not go together. The reason is that of the newest release that knows the model, or else of the newest. Where no
// release works and some cannot be judged, what they miss is added.
func (s *subject) noRelease() (Verdict, bool) {
	stated := s.c.Engine.Text
	if stated == "" {
		stated = s.c.Pins.Engine
	}
	if s.c.Closed || s.release != nil || s.hasImage || stated != "" && !strings.EqualFold(stated, s.engine) {
		return Verdict{}, false
	}
	var newest, speaks *Verdict
	var missing string
	all := s.j.Releases(s.engine)
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		if r.Yanked || r.Version.IsPrerelease() || s.day != "" && r.Released > s.day {
			continue
		}
		v := s.withRelease(r)
		switch v.Outcome {
		case Works:
			return Verdict{}, false
		case Unknown:
			if missing == "" {
				missing = strings.TrimPrefix(v.Reason, "not known: ")
			}
		case Refused:
			if newest == nil {
				newest = &v
			}
			if speaks == nil && !lacksModel(v) {
				speaks = &v
			}
		}
	}
	if speaks == nil {
		speaks = newest
	}
	switch {
	case speaks == nil:
		return Verdict{}, false
	case missing != "":
		if !slices.Contains(s.miss, missing) {
			s.miss = append(s.miss, missing)
		}
		return Verdict{}, false
	}
	speaks.Reason = fmt.Sprintf("no release that was read takes all that is stated; the nearest: %s", speaks.Reason)
	return *speaks, true
}

// withRelease judges the case as if it named r.
func (s *subject) withRelease(r *catalog.Release) Verdict {
	c := s.c
	c.Pins.Engine, c.Engine = "", EngineRef{Name: s.engine, Text: r.Version.String(), Exact: r.Version}
	return s.j.Judge(c)
}

// lacksModel reports whether a release is refused, among other reasons, since it does not know the model.
func lacksModel(v Verdict) bool {
	model := []string{CodeEngineUnknown, CodeRemoved}
	return slices.Contains(model, v.Code) || slices.ContainsFunc(v.Also, func(a Reason) bool { return slices.Contains(model, a.Code) })
}
