package solve

import (
	"fmt"
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
		if l.GPU != "" && (p == nil || p.gpu == nil || !s.sameGPU(l.GPU, p.gpu.ID)) {
			continue
		}
		if c.release != nil && !lessonEngine(l, c) {
			continue
		}
		if c.release == nil && (l.Engine != "" || l.Image != "") {
			continue
		}
		out = append(out, l)
	}
	return out
}

func (s *search) sameGPU(a, b string) bool {
	g, ok := s.j.s.FindGPU(a)
	return ok && g.ID == b || strings.EqualFold(a, b)
}

func lessonEngine(l catalog.Lesson, c engineChoice) bool {
	if l.Image != "" && l.Image != c.ref() {
		return false
	}
	if l.Engine == "" {
		return true
	}
	e := ParseEngineRef("", l.Engine)
	return (e.Name == "" || e.Name == c.engine) && admits(e, c.release.Version)
}

// byLesson refuses what a failed launch taught.
func (s *search) byLesson(c engineChoice, p *place) (finding, bool) {
	for _, l := range s.lessons(c, p) {
		why := ""
		if v, err := version.ParsePEP440(l.MinEngine); err == nil && c.release.Version.Compare(v) < 0 {
			why = "the engine must be " + l.MinEngine + " or newer"
		}
		if v, err := version.ParsePEP440(l.MaxEngine); err == nil && c.release.Version.Compare(v) > 0 {
			why = "the engine must be " + l.MaxEngine + " or older"
		}
		if v, err := version.ParsePEP440(l.MinTransformers); err == nil && !s.someTransformers(c, v) {
			why = "transformers must be " + l.MinTransformers + " or newer, which this release does not admit"
		}
		if p != nil && !l.MinHostCUDA.IsZero() && !p.host.IsZero() && p.host.Compare(l.MinHostCUDA) < 0 {
			why = "the host must offer CUDA " + l.MinHostCUDA.String()
		}
		if l.Forbid && (l.GPU == "" || p != nil) && (l.Engine != "" || l.Image != "" || l.GPU != "") {
			why = "it failed in a way that the same stack repeats"
		}
		if l.MoreMemoryBytes > 0 && p != nil && p.gpu != nil && l.GPU != "" {
			why = fmt.Sprintf("it lacked %.1f GiB on this card", gib(l.MoreMemoryBytes))
		}
		if why == "" {
			continue
		}
		return finding{code: CodeLesson, reason: fmt.Sprintf("a launch failed (%s): %s", l.Cause, why),
			facts: []catalog.Fact{{ID: catalog.FactID("lesson/" + l.ID), Statement: l.Cause + ": " + strings.Join(l.Evidence, " | "), Source: l.Source, Date: l.Created, Standing: catalog.Learned}}}, true
	}
	return finding{}, false
}

func (s *search) someTransformers(c engineChoice, floor version.PEP440) bool {
	n := s.j.s.NewestTransformers(c.release.Transformers, "")
	return c.install == "wheels" && !n.IsZero() && n.Compare(floor) >= 0 || c.release.TransformersOnReleaseDay.Compare(floor) >= 0
}
