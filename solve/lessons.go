package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/version"
)

// lessons lists those that are about a choice, and with a place about its card. The caller passes only lessons that
// have not expired.
func (s *search) lessons(c engineChoice, p *place) []catalog.Lesson {
	var out []catalog.Lesson
	for _, l := range s.r.Lessons {
		if l.Model != "" && !strings.EqualFold(l.Model, s.r.Model.ID) {
			continue
		}
		if l.GPU != "" && (p == nil || p.gpu == nil || !s.concerns(l, p.gpu)) {
			continue
		}
		if c.release != nil && !lessonEngine(l, c) || !l.WheelCUDA.IsZero() && c.variant.CUDA.Compare(l.WheelCUDA) < 0 {
			continue
		}
		if c.release == nil && (l.Engine != "" || l.Image != "") {
			continue
		}
		out = append(out, l)
	}
	return out
}

// concerns reports whether what one card taught holds for another: the same card always; where memory decided, any card
// that has no more; where the chip decided, any card of its compute capability.
func (s *search) concerns(l catalog.Lesson, g *catalog.GPU) bool {
	if strings.EqualFold(l.GPU, g.ID) {
		return true
	}
	taught, ok := s.j.s.FindGPU(l.GPU)
	if !ok {
		return false
	}
	switch {
	case taught.ID == g.ID:
		return true
	case l.MoreMemoryBytes > 0:
		return g.MemoryBytes < taught.MemoryBytes+l.MoreMemoryBytes
	case l.Remedy == "other_gpu_capability":
		return g.Capability.Compare(taught.Capability) == 0
	case taughtContext(l) > 0 || l.Remedy == "change_flag" && strings.HasPrefix(l.Cause, "cuda_oom"):
		return g.MemoryBytes <= taught.MemoryBytes
	}
	return false
}

// taughtContext is the longest context that a lesson leaves; 0 when it is about something else.
func taughtContext(l catalog.Lesson) int {
	n, _ := ParseFlags(l.AddFlags).Int("max-model-len")
	return max(n, 0)
}

// lessonEngine reports whether a lesson is about a choice's engine. An image in a lesson is the engine's own, or the one
// that wheels were installed into: in the latter case the wheels decide, and without an engine the image alone was at
// fault, which baseImage heeds.
func lessonEngine(l catalog.Lesson, c engineChoice) bool {
	if l.Image != "" && l.Image != c.ref() {
		if c.image != nil || l.Engine == "" || ParseImageRef(l.Image).Engine.Name != "" {
			return false
		}
	}
	if l.Engine == "" {
		return true
	}
	e := ParseEngineRef("", l.Engine)
	return (e.Name == "" || e.Name == c.engine) && admits(e, c.release.Version)
}

// byLesson refuses what a failed launch taught. n is the number of cards, 0 when it is not decided yet.
func (s *search) byLesson(c engineChoice, p *place, n int) (finding, bool) {
	for _, l := range s.lessons(c, p) {
		why := s.forbidden(l, c, p, n)
		if why == "" {
			continue
		}
		return finding{code: CodeLesson, reason: fmt.Sprintf("a launch failed (%s): %s", l.Cause, why),
			facts: []catalog.Fact{{ID: catalog.FactID("lesson/" + l.ID), Statement: l.Cause + ": " + strings.Join(l.Evidence, " | "), Source: l.Source, Date: l.Created, Standing: catalog.Learned}}}, true
	}
	return finding{}, false
}

// forbidden says why a lesson that is about a choice excludes it; empty when it only shapes the plan.
func (s *search) forbidden(l catalog.Lesson, c engineChoice, p *place, n int) string {
	if v, err := version.ParsePEP440(l.MinEngine); err == nil && c.release.Version.Compare(v) < 0 {
		return "the engine must be " + l.MinEngine + " or newer"
	}
	if v, err := version.ParsePEP440(l.MaxEngine); err == nil && c.release.Version.Compare(v) > 0 {
		return "the engine must be " + l.MaxEngine + " or older"
	}
	if v, err := version.ParsePEP440(l.MinTransformers); err == nil && !s.someTransformers(c, v) {
		return "transformers must be " + l.MinTransformers + " or newer, which this release does not admit"
	}
	if p != nil && !l.MinHostCUDA.IsZero() && !p.host.IsZero() && p.host.Compare(l.MinHostCUDA) < 0 {
		return "the host must offer CUDA " + l.MinHostCUDA.String()
	}
	if l.Forbid && (l.GPU == "" || p != nil) && (l.Engine != "" || l.Image != "" || l.GPU != "") {
		return "it failed in a way that the same stack repeats"
	}
	if l.MoreMemoryBytes > 0 && p != nil && p.gpu != nil && l.GPU != "" && n <= max(1, l.GPUs) {
		return fmt.Sprintf("%.1f GiB were lacking on %s", gib(l.MoreMemoryBytes), l.GPU)
	}
	if fits := taughtContext(l); fits > 0 && p != nil && s.r.Context > fits && n <= max(1, l.GPUs) {
		return fmt.Sprintf("%s holds %d tokens of context, not %d", l.GPU, fits, s.r.Context)
	}
	return ""
}

func (s *search) someTransformers(c engineChoice, floor version.PEP440) bool {
	n := s.j.s.NewestTransformers(c.release.Transformers, "")
	return c.install == "wheels" && !n.IsZero() && n.Compare(floor) >= 0 || c.release.TransformersOnReleaseDay.Compare(floor) >= 0
}

// imageLesson is what lessons say of an image to install into: that it is not to be used, or the least host CUDA that
// it was seen to ask for.
func (s *search) imageLesson(ref string) (floor version.CUDA, forbidden bool) {
	for _, l := range s.r.Lessons {
		if l.Image != ref || l.Engine != "" {
			continue
		}
		forbidden = forbidden || l.Forbid
		if l.MinHostCUDA.Compare(floor) > 0 {
			floor = l.MinHostCUDA
		}
	}
	return floor, forbidden
}

// shunned takes the data centres out of a place in which a host failed by itself, and reports whether none is left.
func (s *search) shunned(p *place) bool {
	var bad []catalog.Lesson
	for _, l := range s.r.Lessons {
		if l.ExcludeHost != "" && (l.GPU == "" || s.sameGPU(l.GPU, p.offer.GPU)) && (l.Model == "" || strings.EqualFold(l.Model, s.r.Model.ID)) {
			bad = append(bad, l)
		}
	}
	if len(bad) == 0 || len(p.offer.DataCenters) == 0 {
		return false
	}
	p.offer.DataCenters = slices.DeleteFunc(slices.Clone(p.offer.DataCenters), func(d string) bool {
		return slices.ContainsFunc(bad, func(l catalog.Lesson) bool { return l.ExcludeHost == d })
	})
	p.offer.Shunned = true
	if len(p.offer.DataCenters) > 0 {
		return false
	}
	l := bad[len(bad)-1]
	r := Refusal{Candidate: Candidate{GPU: p.name()}, Code: CodeLesson, Reason: fmt.Sprintf("a launch failed (%s) on a host in %s, the only place that has this card now", l.Cause, l.ExcludeHost),
		Facts: []catalog.Fact{{ID: catalog.FactID("lesson/" + l.ID), Statement: l.Cause + ": " + strings.Join(l.Evidence, " | "), Source: l.Source, Date: l.Created, Standing: catalog.Learned}}}
	s.refused, s.machine = append(s.refused, r), append(s.machine, r)
	return true
}

func (s *search) sameGPU(a, b string) bool {
	g, ok := s.j.s.FindGPU(a)
	h, both := s.j.s.FindGPU(b)
	return ok && both && g.ID == h.ID || strings.EqualFold(a, b)
}

// taughtDisk is the disk that failed launches lacked.
func (s *search) taughtDisk(c engineChoice, p *place) int64 {
	more := int64(0)
	for _, l := range s.lessons(c, p) {
		more = max(more, l.MoreDiskBytes)
	}
	return more
}

// taughtFlags are the flags that lessons add, without those of the context, which the plan sets itself, and without what
// the user or an earlier lesson has set.
func (s *search) taughtFlags(c engineChoice, p *place, have Flags) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range s.lessons(c, p) {
		if len(l.AddFlags) == 0 || taughtContext(l) > 0 {
			continue
		}
		name := canonicalFlag(l.AddFlags[0])
		if _, set := have.Get(name); set || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, l.AddFlags...)
	}
	return out
}

// taughtLimit is the longest context that lessons leave on a card; 0 when none is known.
func (s *search) taughtLimit(c engineChoice, p place, n int) int {
	limit := 0
	for _, l := range s.lessons(c, &p) {
		if fits := taughtContext(l); fits > 0 && n <= max(1, l.GPUs) && (limit == 0 || fits < limit) {
			limit = fits
		}
	}
	return limit
}

// droppedFlags are flags that launches failed by, by canonical name: whatever their value (nil), or these values alone.
type droppedFlags map[string][]string

// has reports whether a flag with this value is to be left out.
func (d droppedFlags) has(name, value string) bool {
	values, ok := d[canonicalFlag(name)]
	return ok && (values == nil || slices.Contains(values, value))
}

// dropped are the flags that a choice's launches failed by. A lesson names a flag, or with "=" one value of it.
func (s *search) dropped(c engineChoice, p *place) droppedFlags {
	out := droppedFlags{}
	for _, l := range s.lessons(c, p) {
		for _, f := range l.DropFlags {
			name, value, one := strings.Cut(f, "=")
			name = canonicalFlag(name)
			values, known := out[name]
			switch {
			case !one:
				out[name] = nil
			case !known || values != nil:
				out[name] = append(values, value)
			}
		}
	}
	return out
}

// withoutDropped is a command line without those flags and their values.
func (s *search) withoutDropped(flags []string, c engineChoice, p *place) []string {
	drop := s.dropped(c, p)
	if len(drop) == 0 {
		return slices.Clone(flags)
	}
	var out []string
	for i := 0; i < len(flags); i++ {
		name, value, joined := strings.Cut(flags[i], "=")
		words := 1
		if !joined && i+1 < len(flags) && isValueWord(flags[i+1]) && !switches[canonicalFlag(name)] {
			value, words = flags[i+1], 2
		}
		if strings.HasPrefix(name, "-") && drop.has(name, value) {
			i += words - 1
			continue
		}
		out = append(out, flags[i])
	}
	return out
}
