package solve

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// telling adds the refusals people ask about first: the first image everybody tries, and "latest".
func (s *search) telling() {
	if s.r.ownHost() && !slices.ContainsFunc(s.plans, func(p made) bool { return p.GPU.ID != "" }) {
		return
	}
	if e := engineOf(s.r); e.Name != "" && e.Name != catalog.VLLM {
		return
	}
	refs := []string{"vllm/vllm-openai:v0.6.3.post1", "vllm/vllm-openai:latest"}
	if s.r.Pins.Image != "" {
		refs = append([]string{s.r.Pins.Image}, refs...)
	}
	var first []Refusal
	for _, ref := range refs {
		c := Case{Pins: Pins{Image: ref, HostCUDA: pinnedHost(s.r), Driver: s.r.Pins.Driver, GPU: s.r.Pins.GPU, Install: "image"}, Profile: &s.r.Model, ModelName: s.r.Model.ID}
		v := s.j.Judge(c)
		if v.Outcome != Refused && c.HostCUDA.IsZero() && c.Driver.IsZero() && len(s.plans) > 0 {
			// Some host may do; the hosts of the best plan may not.
			if best := s.plans[0].place; !best.host.IsZero() && len(s.r.Offers) > 0 {
				c.HostCUDA, c.GPU = best.host, best.name()
				v = s.j.Judge(c)
			}
		}
		if v.Outcome != Refused {
			continue
		}
		sub := s.j.resolve(c)
		cand := Candidate{Image: ref, GPU: c.GPU}
		if sub.release != nil {
			cand.Engine = sub.engine + "==" + sub.release.Version.String()
		}
		if x := sub.imageCUDA(); !x.IsZero() {
			cand.WheelCUDA = x.String()
		}
		r := Refusal{Candidate: cand, Code: v.Code, Reason: v.Reason, Facts: v.Facts}
		for _, a := range v.Also {
			r.Also = append(r.Also, a.Code)
		}
		first = append(first, r)
	}
	rest := s.refused
	sort.SliceStable(rest, func(a, b int) bool { return refusalLess(rest[a], rest[b]) })
	for _, f := range first {
		rest = slices.DeleteFunc(rest, func(r Refusal) bool {
			return r.Candidate.Image == f.Candidate.Image && r.Candidate.GPU == f.Candidate.GPU
		})
	}
	s.refused = append(first, rest...)
}

// refusalLess puts cards first, then newer engines.
func refusalLess(a, b Refusal) bool {
	if (a.Candidate.GPU == "") != (b.Candidate.GPU == "") {
		return a.Candidate.GPU != ""
	}
	va, vb := ParseEngineRef("", a.Candidate.Engine).Exact, ParseEngineRef("", b.Candidate.Engine).Exact
	if c := va.Compare(vb); c != 0 {
		return c > 0
	}
	return a.Candidate.Image+a.Candidate.WheelCUDA+a.Candidate.GPU < b.Candidate.Image+b.Candidate.WheelCUDA+b.Candidate.GPU
}

// conflict says why there is no plan: a minimal set of what was asked and of facts. A set is minimal when leaving out
// any of its members leaves a plan, or leaves no reason.
func (s *search) conflict(places []place) Conflict {
	c := Conflict{Code: "no_stack", Facts: []catalog.Fact{}, Hints: []problem.Hint{}}
	pins := s.labels()
	kept := s.minimise(pins)
	if len(places) == 0 && len(kept) > 0 {
		c.Code, c.Reason = "no_offer", "no card that is offered is the one that is asked for"
	}
	if len(places) == 0 && len(kept) == 0 {
		c.Code, c.Reason = "no_offer", "nothing is offered that could be rented"
		c.Facts = append(c.Facts, catalog.Fact{ID: "offers", Statement: fmt.Sprintf("%s offers no NVIDIA card now", s.r.Target), Source: s.r.Target, Standing: catalog.Stated})
		return c
	}
	if e, newest := s.j.unreadRelease(s.r); newest != nil {
		asked := strings.TrimLeft(strings.TrimPrefix(e.Text, e.Name), "= ")
		c.Reason = fmt.Sprintf("no release of %s that was read is %s; the newest is %s, of %s", newest.Engine, asked, newest.Version, newest.Released)
		c.Facts = append(c.Facts, newest.Fact(catalog.AspectReleased))
		c.Hints = append(c.Hints, problem.Hint{Text: "a newer release may be out; read the newest facts", Command: "justright catalog refresh"})
	}
	worst, ok := s.mainRefusal()
	if ok && c.Reason == "" {
		c.Code, c.Reason = worst.Code, worst.Reason
		for _, f := range worst.Facts {
			if f.Standing != catalog.Stated {
				c.Facts = append(c.Facts, f)
			}
		}
	}
	for _, l := range kept {
		c.Facts = append(c.Facts, l.fact)
		if l.hint.Text != "" {
			c.Hints = append(c.Hints, l.hint)
		}
	}
	if c.Code == CodeEngineUnknown && len(kept) == 0 {
		if _, known := s.j.class(s.r.Model.Architecture); !known {
			c.Reason = fmt.Sprintf("no release that was read knows %s", s.r.Model.Architecture)
			c.Hints = append(c.Hints, unheardHints()...)
		}
	}
	if c.Reason == "" {
		c.Reason = "what is asked for cannot be had together"
	}
	c.Hints = append(c.Hints, s.wayOut()...)
	return c
}

// unreadRelease is the engine that is asked for, and its newest release where no release is what is asked for.
func (j *Judger) unreadRelease(r Request) (EngineRef, *catalog.Release) {
	e := engineOf(r)
	name := e.Name
	if name == "" {
		name = catalog.VLLM
	}
	all := j.Releases(name)
	if e.Exact.IsZero() && !e.Bounded || slices.ContainsFunc(all, func(rel catalog.Release) bool { return admits(e, rel.Version) }) {
		return e, nil
	}
	return e, j.newest(name, "", nil)
}

// mainRefusal is the refusal that most candidates share, the most useful first.
func (s *search) mainRefusal() (Refusal, bool) {
	among := s.machine // a machine that refuses what software allows is nearer to a plan
	if len(among) == 0 {
		among = s.refused
	}
	count := map[string]int{}
	for _, r := range among {
		count[r.Code]++
	}
	best := -1
	for i, r := range among {
		if best < 0 || count[r.Code] > count[among[best].Code] {
			best = i
		}
	}
	if best < 0 {
		return Refusal{}, false
	}
	return among[best], true
}

// label is one thing the user fixed, with how to leave it out.
type label struct {
	fact catalog.Fact
	drop func(*Request)
	hint problem.Hint
}

func (s *search) labels() []label {
	var out []label
	p := s.r.Pins
	add := func(set bool, id, statement string, drop func(*Request), hint string) {
		if set {
			out = append(out, label{catalog.Fact{ID: catalog.FactID("stated/" + id), Statement: statement, Source: "stated", Standing: catalog.Stated}, drop, problem.Hint{Text: hint}})
		}
	}
	add(p.Engine != "", "engine", "the engine is "+p.Engine, func(r *Request) { r.Pins.Engine = "" }, "leave the engine's version open")
	add(p.Image != "", "image", "the image is "+p.Image, func(r *Request) { r.Pins.Image = "" }, "leave the image open")
	add(p.Install != "", "install", "it is installed as "+p.Install, func(r *Request) { r.Pins.Install = "" }, "leave the way of installing open")
	add(p.WheelCUDA != "", "wheel-cuda", "the build is for CUDA "+p.WheelCUDA, func(r *Request) { r.Pins.WheelCUDA = "" }, "leave the build open")
	add(p.Torch != "", "torch", "torch is "+p.Torch, func(r *Request) { r.Pins.Torch = "" }, "leave torch open")
	add(p.Transformers != "", "transformers", "transformers is "+p.Transformers, func(r *Request) { r.Pins.Transformers = "" }, "leave transformers open")
	add(p.Python != "", "python", "Python is "+p.Python, func(r *Request) { r.Pins.Python = "" }, "take another Python")
	add(p.GPU != "", "gpu", "the card is "+p.GPU, func(r *Request) { r.Pins.GPU = "" }, "take another card")
	add(!p.Capability.IsZero(), "capability", "the card has compute capability "+p.Capability.String(), func(r *Request) { r.Pins.Capability = version.Capability{} }, "take another card")
	add(p.VRAMBytes != 0, "vram", fmt.Sprintf("a card has %.1f GiB", gib(p.VRAMBytes)), func(r *Request) { r.Pins.VRAMBytes = 0 }, "leave the card's memory open")
	add(p.OS != "", "os", "the system is "+p.OS, func(r *Request) { r.Pins.OS = "" }, "leave the system open: an image brings its own C library")
	add(!p.Glibc.IsZero(), "glibc", "the C library is "+p.Glibc.String(), func(r *Request) { r.Pins.Glibc = version.Glibc{} }, "leave the C library open: an image brings its own")
	add(p.GPUs != 0, "gpus", fmt.Sprintf("there are %d cards", p.GPUs), func(r *Request) { r.Pins.GPUs = 0 }, "leave the number of cards open")
	add(!p.HostCUDA.IsZero(), "host-cuda", "the host's driver offers CUDA "+p.HostCUDA.String(), func(r *Request) { r.Pins.HostCUDA = version.CUDA{} }, "take hosts with a newer driver")
	add(!p.Driver.IsZero(), "driver", "the driver is "+p.Driver.String(), func(r *Request) { r.Pins.Driver = version.Driver{} }, "take hosts with a newer driver")
	add(len(p.Flags) > 0, "flags", "the engine's flags are "+joinArgs(p.Flags), func(r *Request) { r.Pins.Flags = nil }, "drop engine flags")
	add(p.DiskBytes != 0, "disk", fmt.Sprintf("the disk holds %.0f GiB", gib(p.DiskBytes)), func(r *Request) { r.Pins.DiskBytes = 0 }, "take a larger disk")
	add(s.r.Context != 0, "context", fmt.Sprintf("a context of %d tokens", s.r.Context), func(r *Request) { r.Context = 0 }, "ask for a shorter context")
	add(s.r.Concurrency > 1, "concurrency", fmt.Sprintf("%d requests at once", s.r.Concurrency), func(r *Request) { r.Concurrency = 0 }, "ask for fewer requests at once")
	if s.r.MaxPrice != nil {
		add(true, "max-price", "at most $"+s.r.MaxPrice.String()+" an hour", func(r *Request) { r.MaxPrice = nil }, "")
	}
	for i, l := range s.r.Lessons {
		id := l.ID
		out = append(out, label{catalog.Fact{ID: catalog.FactID("lesson/" + id), Statement: "a launch failed: " + l.Cause, Source: l.Source, Date: l.Created, Standing: catalog.Learned},
			func(r *Request) {
				r.Lessons = slices.DeleteFunc(slices.Clone(r.Lessons), func(x catalog.Lesson) bool { return x.ID == id })
			}, problem.Hint{Text: fmt.Sprintf("forget lesson %d", i+1)}})
	}
	return out
}

// minimise leaves out every label whose absence still leaves no plan: what is kept is needed for the conflict.
func (s *search) minimise(labels []label) []label {
	without := func(drop []label) bool {
		r := s.r
		for _, l := range drop {
			l.drop(&r)
		}
		return s.j.feasible(r)
	}
	if len(labels) == 0 || !without(labels) {
		return nil // even with nothing fixed there is no plan: the facts alone conflict
	}
	kept := slices.Clone(labels)
	dropped := []label{}
	for i := 0; i < len(kept); {
		try := append(slices.Clone(dropped), kept[i])
		if without(try) {
			i++ // leaving it out would give a plan: it is part of the conflict
			continue
		}
		dropped = try
		kept = slices.Delete(kept, i, i+1)
	}
	return kept
}

// feasible reports whether a request has any plan, without ranking.
func (j *Judger) feasible(r Request) bool {
	s := &search{j: j, r: r, found: map[string]bool{}, seen: map[string]bool{}, weights: map[string]bool{}}
	places := j.places(r)
	cpu := len(places) > 0 && !slices.ContainsFunc(places, func(p place) bool { return p.gpu != nil })
	choices := s.softwareFits(j.choices(r, cpu))
	for _, p := range places {
		if s.shunned(&p) {
			continue
		}
		if s.plansFor(p, choices); len(s.plans) > 0 {
			return true
		}
	}
	return false
}

// wayOut adds hints that need a look at the alternatives: the least price that would do.
func (s *search) wayOut() []problem.Hint {
	var out []problem.Hint
	if s.r.MaxPrice != nil {
		r := s.r
		r.MaxPrice = nil
		t := &search{j: s.j, r: r, found: map[string]bool{}, seen: map[string]bool{}, weights: map[string]bool{}}
		places := s.j.places(r)
		choices := t.softwareFits(s.j.choices(r, false))
		for _, p := range places {
			t.plansFor(p, choices)
		}
		t.rank()
		for _, p := range t.plans {
			if p.PricePerHour != nil {
				out = append(out, problem.Hint{Text: "the cheapest that works costs $" + p.PricePerHour.Cents() + " an hour: --max-price " + p.PricePerHour.String()})
				break
			}
		}
	}
	return out
}
