package solve

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/money"
	"justright/version"
)

// bestFew is how many plans an answer has unless all are asked for.
const bestFew = 8

// Solve ranks the stacks that work, says why well-known candidates do not, and without any plan why there is none. It
// is deterministic: equal input gives equal output.
func Solve(s *catalog.Snapshot, r Request) Result { return NewJudger(s).Solve(r) }

// search is one run of Solve.
type search struct {
	j       *Judger
	r       Request
	plans   []made
	found   map[string]bool // place and install that already have a plan
	refused []Refusal
	machine []Refusal       // those that a machine decides
	seen    map[string]bool // refusals by candidate
	weights map[string]bool // cards on which the weights alone are too many
	scratch subject         // of onMachine, which is asked a thousand times and keeps nothing
}

// made is a plan and what it was made from.
type made struct {
	Stack
	place  place
	choice engineChoice
}

// Solve is Solve over this Judger's snapshot.
func (j *Judger) Solve(r Request) Result {
	s := &search{j: j, r: r, found: map[string]bool{}, seen: map[string]bool{}, weights: map[string]bool{}}
	places := j.places(r)
	cpu := len(places) > 0 && !slices.ContainsFunc(places, func(p place) bool { return p.gpu != nil })
	choices := s.softwareFits(j.choices(r, cpu))
	for _, p := range places {
		if s.shunned(&p) {
			continue
		}
		s.plansFor(p, choices)
	}
	s.rank()
	var out Result
	if len(s.plans) == 0 {
		c := s.conflict(places)
		out.Conflict = &c
	}
	s.telling()
	out.Refused = s.refused
	if !r.All && len(s.plans) > bestFew {
		s.plans = s.plans[:bestFew]
	}
	for i, m := range s.plans {
		m.Rank = i + 1
		s.finish(&m)
		out.Plans = append(out.Plans, m.Stack)
	}
	return out
}

// softwareFits keeps the choices that the model, the pins and the lessons allow on some machine.
func (s *search) softwareFits(all []engineChoice) []engineChoice {
	var out []engineChoice
	host := pinnedHost(s.r)
	hopeless := map[string]bool{} // releases that do not know the model: their images need no look
	for _, c := range all {
		if c.lookup != "" {
			if hopeless[c.release.Version.String()] {
				continue
			}
			if !c.fillImage(s.j) {
				continue
			}
		}
		if f, bad := s.byLesson(c, nil, 0); bad {
			s.refuse(c, "", f)
			continue
		}
		c.base = s.j.resolve(s.caseFor(c, nil, 0, host))
		if v, refused := c.base.refusal(); refused {
			s.refuse(c, "", finding{code: v.Code, reason: v.Reason, facts: v.Facts, also: v.Also})
			if c.image == nil && (v.Code == CodeEngineUnknown || v.Code == CodeRemoved) {
				hopeless[c.release.Version.String()] = true
			}
			continue
		}
		c.unknown = append(c.unknown, c.base.miss...)
		out = append(out, c)
	}
	return s.prefer(out, host)
}

// prefer orders the choices: those whose floor the hosts meet for certain, newer releases, wheels before images.
func (s *search) prefer(choices []engineChoice, host version.CUDA) []engineChoice {
	known := !host.IsZero()
	slices.SortStableFunc(choices, func(a, b engineChoice) int {
		if d := boolInt(!a.hardFloorMet(host)) - boolInt(!b.hardFloorMet(host)); d != 0 && known {
			return d
		}
		if !known { // not known: a build that runs on every current driver first
			if d := boolInt(a.variant.CUDA.Major > 12) - boolInt(b.variant.CUDA.Major > 12); d != 0 {
				return d
			}
		}
		if d := b.release.Version.Compare(a.release.Version); d != 0 {
			return d
		}
		return a.order - b.order
	})
	return choices
}

func (c engineChoice) hardFloorMet(host version.CUDA) bool {
	return host.IsZero() || catalog.RunsOn(c.variant.CUDA, host)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// plansFor finds the plans on one kind of machine: the best with wheels and the best with a ready image, or all.
func (s *search) plansFor(p place, choices []engineChoice) {
	have := map[string]bool{}
	var lastRefusal *finding
	var lastChoice engineChoice
	for _, c := range choices {
		if have[c.install] && !s.r.All || s.r.All && have[c.install+c.release.Version.String()+c.variant.Tag()+c.ref()] {
			continue
		}
		if s.weights[p.key()] {
			break
		}
		plan, bad := s.tryCounts(p, c)
		if bad != nil {
			if lastRefusal == nil {
				lastRefusal, lastChoice = bad, c
			}
			if bad.code == CodeWeights {
				s.weights[p.key()] = true
			}
			continue
		}
		have[c.install], have[c.install+c.release.Version.String()+c.variant.Tag()+c.ref()] = true, true
		s.plans = append(s.plans, made{plan, p, c})
	}
	if !have["wheels"] && !have["image"] && lastRefusal != nil {
		before := len(s.refused)
		if s.refuse(lastChoice, p.name(), *lastRefusal); len(s.refused) > before {
			s.machine = append(s.machine, s.refused[before])
		}
	}
}

func (p place) name() string {
	if p.gpu != nil {
		return p.gpu.ID
	}
	return ""
}

func (p place) key() string { return p.offer.ProviderID + "/" + p.offer.Cloud }

// tryCounts takes the fewest cards on which the choice works.
func (s *search) tryCounts(p place, c engineChoice) (Stack, *finding) {
	counts := []int{1, 2, 4, 8}
	if s.r.Pins.GPUs > 0 {
		counts = []int{s.r.Pins.GPUs}
	}
	if tp := ParseFlags(s.r.Pins.Flags); p.gpu != nil {
		if n, ok := tp.Int("tensor-parallel-size"); ok && n > 0 && s.r.Pins.GPUs == 0 {
			counts = []int{n}
		}
	}
	if p.gpu == nil {
		counts = []int{0}
	}
	if f, bad := s.hostTooSmall(p); bad {
		return Stack{}, &f
	}
	var first *finding
	for _, n := range counts {
		if p.offer.MaxCount > 0 && n > p.offer.MaxCount {
			if first == nil {
				f := finding{code: "too_many_gpus", reason: fmt.Sprintf("a machine of this offer has at most %d cards", p.offer.MaxCount), facts: []catalog.Fact{s.offerFact(p)}}
				first = &f
			}
			break
		}
		if f, over := s.tooDear(p, n); over {
			if first == nil {
				first = &f
			}
			break
		}
		taught, learned := s.byLesson(c, &p, n)
		bad := &taught
		if !learned {
			bad = s.onMachine(c, p, n)
		}
		if bad == nil {
			bad = s.nothingToStartFrom(p, c)
		}
		if bad == nil {
			return s.plan(p, c, n), nil
		}
		if first == nil || bad.code == CodeWeights && n == counts[len(counts)-1] {
			first = bad
		}
		if !moreCardsHelp(bad.code) {
			break
		}
	}
	return Stack{}, first
}

// onMachine judges a choice that passed without a machine on n cards of one.
func (s *search) onMachine(c engineChoice, p place, n int) *finding {
	x := &s.scratch
	*x = *c.base
	x.c = s.caseFor(c, &p, n, p.host)
	x.flags = ParseFlags(x.c.Flags)
	for k, v := range s.r.Pins.Env {
		x.flags.Env[k] = v
	}
	x.gpu, x.miss = gpu{name: x.c.GPU, count: x.c.GPUs}, nil
	if p.gpu != nil {
		x.gpu.putCard(*p.gpu)
		card, known := catalog.FindCard(x.c.GPU)
		x.arm = x.arm || x.gpu.full.Family == "grace" || known && card.ARM
	}
	x.hostCUDA, x.driver = x.c.HostCUDA, x.c.Driver
	if x.driver.IsZero() {
		x.driver = p.offer.Driver
	}
	return x.onMachine()
}

// enginePSS is what a CPU engine's own processes take: 3.1 to 3.7 GB were measured (facts/real-engine.md 2).
const enginePSS = 4 << 30

// hostTooSmall compares the weights with the machine's own memory, where the engine runs on its CPU.
func (s *search) hostTooSmall(p place) (finding, bool) {
	need := s.r.Model.WeightsBytes + enginePSS
	if p.gpu != nil || s.r.HostMemory == 0 || s.r.Model.WeightsBytes == 0 || need <= s.r.HostMemory {
		return finding{}, false
	}
	return finding{code: CodeWeights, reason: fmt.Sprintf("%.1f GiB of weights and %d GiB for the engine are more than the %.1f GiB of memory of %s", gib(s.r.Model.WeightsBytes), enginePSS>>30, gib(s.r.HostMemory), s.r.hostWords()),
		facts: []catalog.Fact{{ID: "machine/memory", Statement: fmt.Sprintf("%s has %.1f GiB of memory", s.r.hostWords(), gib(s.r.HostMemory)), Source: s.r.hostWords(), Standing: catalog.Stated},
			{ID: "memory/weights", Statement: fmt.Sprintf("the weights of %s take %.1f GiB", s.r.Model.ID, gib(s.r.Model.WeightsBytes)), Source: "the model's files", Standing: catalog.Derived}}}, true
}

func moreCardsHelp(code string) bool {
	return code == CodeWeights || code == CodeKV || code == CodeLesson
}

// tooDear compares the price of n cards with the user's limit.
func (s *search) tooDear(p place, n int) (finding, bool) {
	if s.r.MaxPrice == nil || p.offer.PricePerHour == nil || n < 1 {
		return finding{}, false
	}
	price := *p.offer.PricePerHour * money.USD(n)
	if price <= *s.r.MaxPrice {
		return finding{}, false
	}
	return finding{code: "price_above_limit", reason: fmt.Sprintf("an hour of %s costs $%s, more than the limit of $%s", counted(n, "card"), price.Cents(), s.r.MaxPrice.Cents()),
		facts: []catalog.Fact{s.offerFact(p), {ID: "stated/max-price", Statement: "at most $" + s.r.MaxPrice.String() + " an hour", Source: "stated", Standing: catalog.Stated}}}, true
}

func (s *search) offerFact(p place) catalog.Fact {
	st := p.offer.ProviderID
	if p.offer.PricePerHour != nil {
		st += " costs $" + p.offer.PricePerHour.String() + " an hour"
	}
	if p.offer.MaxCount > 0 {
		st += fmt.Sprintf(", at most %d in a machine", p.offer.MaxCount)
	}
	return catalog.Fact{ID: catalog.FactID("offer/" + p.key()), Statement: st, Source: p.offer.Source, Date: p.offer.Date, Standing: catalog.Stated}
}

// caseFor is the stack of a choice on a machine, as Judge wants it. Without a place it is the software alone.
func (s *search) caseFor(c engineChoice, p *place, n int, host version.CUDA) Case {
	k := Case{Pins: s.r.Pins, Profile: &s.r.Model, ModelName: s.r.Model.ID, Concurrency: s.r.Concurrency, AMX: s.r.HostAMX}
	k.Pins.Engine = ""
	k.Engine = EngineRef{Name: c.engine, Text: c.release.Version.String(), Exact: c.release.Version}
	k.HostCUDA = host
	k.GPU, k.GPUs = "", 0
	k.Transformers = s.r.Pins.Transformers
	if c.install == "image" {
		k.Image, k.Install, k.WheelCUDA = c.ref(), "image", ""
	} else {
		k.Install, k.WheelCUDA = "wheels", c.variant.Tag() // a pinned image is what it is installed into
	}
	if c.variant.CUDA.IsZero() {
		k.HostCUDA, k.Driver = version.CUDA{}, version.Driver{}
	}
	k.DiskBytes = s.r.Pins.DiskBytes
	k.Flags = s.withoutDropped(s.r.Pins.Flags, c, p)
	if p == nil {
		if _, given := ParseFlags(k.Flags).Get("max-model-len"); !given && s.r.Context > 0 {
			k.Flags = append(slices.Clone(k.Flags), "--max-model-len", fmt.Sprint(s.r.Context))
		}
		k.Pins.Capability, k.Pins.VRAMBytes = s.r.Pins.Capability, 0
		return k
	}
	if p.gpu != nil {
		k.GPU, k.GPUs = p.gpu.ID, n
		k.Flags = append(k.Flags, s.sizing(n)...)
	}
	return k
}

// sizing are the flags that decide memory: as many ranks as cards, and at least the context that is wanted.
func (s *search) sizing(n int) []string {
	have := ParseFlags(s.r.Pins.Flags)
	var out []string
	if _, ok := have.Get("tensor-parallel-size"); !ok && n > 1 {
		if pp, _ := have.Int("pipeline-parallel-size"); pp < 2 {
			out = append(out, "--tensor-parallel-size", fmt.Sprint(n))
		}
	}
	if _, ok := have.Get("max-model-len"); !ok && s.wantedContext() > 0 {
		out = append(out, "--max-model-len", fmt.Sprint(s.wantedContext()))
	}
	return out
}

// usefulContext is the least a plan offers when nobody asked for more: enough for a chat.
const usefulContext = 8192

func (s *search) wantedContext() int {
	if s.r.Context > 0 {
		return s.r.Context
	}
	if s.r.Model.EncoderOnly {
		return 0
	}
	if m := s.r.Model.MaxPosition; m > 0 && m < usefulContext {
		return m
	}
	return usefulContext
}

// refuse notes a candidate once.
func (s *search) refuse(c engineChoice, gpu string, f finding) {
	cand := Candidate{Image: c.ref(), Engine: c.engine + "==" + c.release.Version.String(), GPU: gpu}
	if !c.variant.CUDA.IsZero() {
		cand.WheelCUDA = c.variant.CUDA.String()
	}
	key := cand.Image + "\x00" + cand.Engine + "\x00" + cand.WheelCUDA + "\x00" + cand.GPU + "\x00" + f.code
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	r := Refusal{Candidate: cand, Code: f.code, Reason: f.reason, Facts: f.facts}
	for _, a := range f.also {
		r.Also = append(r.Also, a.Code)
	}
	s.refused = append(s.refused, r)
}

// rank orders the plans: guarded first, then fewer unknowns, then expected dollars to ready, then minutes.
func (s *search) rank() {
	sort.SliceStable(s.plans, func(a, b int) bool { return planLess(&s.plans[a].Stack, &s.plans[b].Stack, s.r.AllowUnguarded) })
}

func planLess(a, b *Stack, unguarded bool) bool {
	if a.Guarded != b.Guarded && !unguarded {
		return a.Guarded
	}
	if d := riskClass(a) - riskClass(b); d != 0 {
		return d < 0
	}
	if (a.PricePerHour == nil) != (b.PricePerHour == nil) {
		return a.PricePerHour != nil
	}
	if a.PricePerHour != nil && *a.PricePerHour != *b.PricePerHour {
		return *a.PricePerHour < *b.PricePerHour
	}
	if x, y := int64(a.GPU.Count)*a.GPU.MemoryBytes, int64(b.GPU.Count)*b.GPU.MemoryBytes; x != y {
		return x < y
	}
	if a.GPU.Count != b.GPU.Count {
		return a.GPU.Count < b.GPU.Count
	}
	return a.Ready.Seconds[1] < b.Ready.Seconds[1]
}

// riskClass puts plans that may not fit behind those that do.
func riskClass(p *Stack) int {
	risk := 0
	for _, u := range p.Unknowns {
		switch {
		case strings.HasPrefix(u, "memory:"):
			return 2
		case !strings.Contains(u, "is known to be built"): // of every CUDA variant, so it tells nothing apart
			risk = 1
		}
	}
	return risk
}

// use is the account of memory of a choice on n cards.
func (s *search) use(c engineChoice, p place, n, context int) memory.Use {
	u := memory.Use{Version: c.release.Version}
	if p.gpu != nil {
		u.GPU = memory.GPU{Name: p.gpu.Name, TotalBytes: p.gpu.MemoryBytes, Capability: p.gpu.Capability, Unified: p.gpu.Unified}
	}
	u.ApplyFlags(s.withoutDropped(s.r.Pins.Flags, c, &p))
	if u.TensorParallel == 0 && u.PipelineParallel < 2 {
		u.TensorParallel = max(n, 1)
	}
	if context > 0 {
		u.Context = context
	}
	u.Concurrency = s.r.Concurrency
	u.FromImage = c.install == "image"
	return u
}
