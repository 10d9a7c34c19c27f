package cli

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"justright/catalog"
	"justright/internal/httpclient"
	"justright/internal/provider/runpod"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/internal/worlds"
	"justright/launch"
	"justright/model"
	"justright/money"
	"justright/problem"
	"justright/report"
	"justright/sim/runpodsim"
	"justright/solve"
	"justright/version"
)

var (
	exhaustive  = flag.Bool("worlds-exhaustive", false, "the oracle tries every plan, not the first few of each kind")
	worldsTable = flag.Bool("worlds-table", false, "print the table of worlds, with three simpler strategies beside")
	updateWorld = flag.Bool("update-worlds", false, "rewrite docs/worlds.md; implies -worlds-table")
)

// trial is one world that launches are made in: a planner's view of it, and a fresh simulator for each launch.
type trial struct {
	t     *testing.T
	base  World
	world worlds.World
	wish  wish
}

// outcome is how one launch went.
type outcome struct {
	attempts int
	cost     money.USD
	took     time.Duration
	ready    bool
	end      launch.Stop
	causes   []string
	lessons  []catalog.Lesson
	state    launch.State
}

func newTrial(t *testing.T, base World, w worlds.World) *trial {
	t.Helper()
	record, ok := w.ModelRecord()
	if !ok {
		t.Fatalf("no model is called %s", w.Model)
	}
	m, err := model.FromRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	m.Gated = w.Gated
	if w.Gated {
		base.Env = func(name string) string {
			if name == "HF_TOKEN" {
				return "hf_ofTheUser"
			}
			return ""
		}
	}
	return &trial{t: t, base: base, world: w, wish: wish{Model: m, Pins: solve.Pins{Flags: w.Flags}}}
}

// strategy chooses plans.
type strategy struct {
	name    string
	planner func(x *trial, p *planner) runner.Planner
	naive   bool // it learns nothing from a failure but that it failed
	open    bool // plans without a guard too
}

// provider is the trial's world, new, and a target in it.
func (x *trial) provider() (*runpodsim.Server, World, target) {
	x.t.Helper()
	sim := runpodsim.New(x.world.Options(7))
	w := x.base
	w.Transport, w.Now = sim.Transport(), time.Now
	t, err := w.runpodAt(runpod.Config{Key: httpclient.NewSecret("rpa_TESTKEY"), BaseURL: "http://sim.invalid"})
	if err != nil {
		x.t.Fatal(err)
	}
	t.word = onRunPod
	return sim, w, t
}

// launch runs one strategy to its end in a simulator of its own, and takes down what came of it.
func (x *trial) launch(s strategy, journal store.Store) outcome {
	x.t.Helper()
	sim, w, t := x.provider()
	ctx := x.t.Context()
	owner, _ := journal.Owner(ctx)
	p := w.plannerFor(t, journal, x.wish, "key-of-the-endpoint")
	p.wish.AllowUnguarded = s.open
	state := launch.State{
		ID: newSecret()[:16], Name: "w", Model: x.wish.Model.ID, Target: onRunPod, Owner: owner, Budget: defaultBudget, Idle: defaultIdle,
		Wanted: launch.WantRunning, Timing: launch.DefaultTiming(), Started: time.Now(), AllowUnguarded: s.open,
	}
	if !s.naive {
		if res, err := p.result(ctx, nil); err == nil {
			state.MaxPrice = priceCeiling(distinctPlans(usablePlans(res.Plans, t, s.open), 3), p, 0)
		}
	}
	if err := journal.Begin(ctx, state); err != nil {
		x.t.Fatal(err)
	}
	cfg := w.runConfig(journal, t, p, silent{}, time.Now)
	cfg.Planner = s.planner(x, p)
	if s.naive {
		cfg.Watcher = deaf{cfg.Watcher}
	}
	began := time.Now()
	end, err := runner.Run(ctx, cfg, state.ID, false)
	if err != nil {
		x.t.Fatal(err)
	}
	out := outcome{took: time.Since(began), end: *end.End, ready: end.End.Outcome == "ready", state: end, lessons: end.Lessons}
	for _, a := range end.Attempts {
		if a.PodID != "" {
			out.attempts++
			out.causes = append(out.causes, a.Cause)
		}
	}
	_ = journal.WantGone(ctx, state.ID, launch.CauseDown)
	cfg.Planner = noPlans{}
	if _, err := runner.Run(ctx, cfg, state.ID, true); err != nil {
		x.t.Fatal(err)
	}
	l := sim.Ledger()
	if l.Billing != 0 {
		x.t.Errorf("%s, %s: %d pods bill after down", x.world.Name, s.name, l.Billing)
	}
	out.cost = l.Total
	sim.Close()
	time.Sleep(time.Hour) // what is left of timers runs out
	return out
}

type silent struct{}

func (silent) Emit(report.Event) error { return nil }

// deaf watches as well as we do, and takes nothing from a failure: no lesson, no verdict that all plans share it.
type deaf struct{ runner.Watcher }

func (d deaf) Watch(a launch.Attempt, now time.Time) runner.Watch {
	return deafWatch{d.Watcher.Watch(a, now), a}
}

type deafWatch struct {
	runner.Watch
	a launch.Attempt
}

func (d deafWatch) deafen(ss []runner.Sign) []runner.Sign {
	for i := range ss {
		if f, ok := ss[i].Event.(launch.Failed); ok {
			f.Lesson, f.Fatal, f.Cause = nil, false, fmt.Sprintf("failed-%d", d.a.N)
			ss[i].Event = f
		}
	}
	return ss
}

func (d deafWatch) Line(l launch.LogLine) []runner.Sign { return d.deafen(d.Watch.Line(l)) }

func (d deafWatch) Seen(in launch.Instance, now time.Time) []runner.Sign {
	return d.deafen(d.Watch.Seen(in, now))
}

func (d deafWatch) Tick(now time.Time) []runner.Sign { return d.deafen(d.Watch.Tick(now)) }

// listed is a planner that takes plans from a list.
type listed struct {
	*planner
	plans []solve.Stack
	again bool // the first plan, for ever
}

func (l listed) Next(_ context.Context, s launch.State) (runner.Proposal, error) {
	if l.again && len(l.plans) > 0 {
		st := l.plans[0]
		st.DiskBytes += int64(len(s.Attempts)) << 30 // what tells one try from the last
		return l.proposal(st), nil
	}
	for _, st := range l.plans {
		if s.Worth(st) {
			return l.proposal(st), nil
		}
	}
	return runner.Proposal{}, problem.New(problem.ExitCapacity, "no_plan_left", "the list is at its end")
}

// plans are what the resolver offers in this world, given some lessons.
func plansOf(p *planner, lessons ...catalog.Lesson) []solve.Stack {
	res, err := p.result(context.Background(), lessons)
	if err != nil {
		return nil
	}
	return usablePlans(res.Plans, p.t, p.wish.AllowUnguarded)
}

func ours() strategy {
	return strategy{name: "justright", planner: func(_ *trial, p *planner) runner.Planner { return p }}
}

func retrySame() strategy {
	return strategy{name: "retry same", naive: true, planner: func(_ *trial, p *planner) runner.Planner {
		return listed{planner: p, plans: plansOf(p)[:1], again: true}
	}}
}

// nextGPU is the same software on the next dearer card.
func nextGPU() strategy {
	return strategy{name: "retry next GPU", naive: true, planner: func(_ *trial, p *planner) runner.Planner {
		return listed{planner: p, plans: distinctPlans(plansOf(p), 99)}
	}}
}

// fixedChain is what the seed of this project did by hand: the newest image, an older one, then a generic image with the
// newest wheel, as a script would that does not look at hosts.
func fixedChain() strategy {
	return strategy{name: "fixed chain", naive: true, open: true, planner: func(_ *trial, p *planner) runner.Planner {
		var plans []solve.Stack
		offers, err := p.offersNow(context.Background())
		if err != nil {
			return listed{planner: p}
		}
		blind := slices.Clone(offers)
		for i := range blind {
			blind[i].HostCUDA = nil
		}
		for _, pins := range []solve.Pins{
			{Image: "vllm/vllm-openai:latest", Install: "image"}, {Image: "vllm/vllm-openai:v0.30.0", Install: "image"}, {Install: "wheels", WheelCUDA: "cu130"}, {Install: "wheels"},
		} {
			pins.Flags = p.wish.Pins.Flags
			res, err := p.w.solve(solve.Request{Model: p.wish.Model, Target: p.t.word, Offers: blind, Pins: pins, AllowUnguarded: true, All: true})
			if err != nil || len(res.Plans) == 0 {
				continue
			}
			for _, st := range distinctPlans(res.Plans, 2) {
				st.Host.MinCUDA = version.CUDA{}
				plans = append(plans, st)
			}
		}
		return listed{planner: p, plans: plans}
	}}
}

// oracle finds the fewest paid attempts: one if the plan that is best on paper works; else two if any plan does, found by
// trying them one by one, those that a lesson could lead to included; where none does, the one that shows it. A quick run takes
// ours for its answer as far as it goes: the first plan of ours is the best on paper.
func (x *trial) oracle(o outcome) (fewest, tried int) {
	one := func(st solve.Stack) bool {
		tried++
		o := x.launch(strategy{name: "oracle", naive: true, planner: func(_ *trial, p *planner) runner.Planner { return listed{planner: p, plans: []solve.Stack{st}} }}, store.NewMemory())
		return o.ready
	}
	sim, w, t := x.provider()
	defer sim.Close()
	p := w.plannerFor(t, store.NewMemory(), x.wish, "key")
	first := plansOf(p)
	if len(first) == 0 {
		return 0, 0
	}
	if !*exhaustive && o.ready && o.attempts <= 2 && launch.CandidateKey(*o.state.Attempts[0].Stack) == launch.CandidateKey(first[0]) {
		return o.attempts, tried
	}
	if one(first[0]) {
		return 1, tried
	}
	seen := map[string]bool{launch.CandidateKey(first[0]): true}
	for st := range x.reachable(p, first) {
		key := launch.CandidateKey(st)
		if seen[key] {
			continue
		}
		if !*exhaustive && tried >= fewTries {
			if !x.world.Hopeless {
				x.t.Errorf("no plan worked among %d", tried)
			}
			break
		}
		seen[key] = true
		if one(st) {
			return 2, tried
		}
	}
	return 1, tried
}

// fewTries is how many plans the oracle tries in a quick run.
const fewTries = 6

// reachable are the plans as they are and as each kind of lesson would change them: the best on each card first, then the
// best after each lesson, then all the rest.
func (x *trial) reachable(p *planner, first []solve.Stack) iter.Seq[solve.Stack] {
	return func(yield func(solve.Stack) bool) {
		for _, st := range distinctPlans(first, 99) {
			if !yield(st) {
				return
			}
		}
		rest := [][]solve.Stack{first}
		for _, l := range x.lessons(first[0]) {
			plans := plansOf(p, l)
			if rest = append(rest, plans); len(plans) > 0 && !yield(plans[0]) {
				return
			}
		}
		for _, st := range slices.Concat(rest...) {
			if !yield(st) {
				return
			}
		}
	}
}

// lessons are one of each kind that could change a plan.
func (x *trial) lessons(base solve.Stack) []catalog.Lesson {
	e := base.Engine.Name + "<=" + base.Engine.Version
	lessons := []catalog.Lesson{
		{MoreDiskBytes: 100 << 30}, {Engine: e, MinTransformers: base.Engine.Transformers + ".1"},
		{GPU: base.GPU.ID, AddFlags: []string{"--max-num-batched-tokens", "2048"}}, {GPU: base.GPU.ID, AddFlags: []string{"--enforce-eager"}},
		{DropFlags: []string{"--tool-call-parser", "--enable-auto-tool-choice"}}, {DropFlags: []string{"--reasoning-parser"}}, {DropFlags: x.world.Flags},
		{Image: base.Image, Forbid: true},
	}
	for _, dc := range base.Offer.DataCenters {
		lessons = append(lessons, catalog.Lesson{ExcludeHost: dc})
	}
	for i := range lessons {
		lessons[i].ID, lessons[i].Cause = "counterfactual", "counterfactual"
	}
	return lessons
}

func worldsBase(t *testing.T) World {
	t.Helper()
	base := World{Env: func(string) string { return "" }, Environ: os.Environ, Now: time.Now, once: new(sync.Once)}
	if _, err := base.facts(); err != nil {
		t.Fatal(err)
	}
	return base
}

// in2026 moves a bubble's clock, which begins in the year 2000, to where logs are asked for.
func in2026() {
	time.Sleep(time.Until(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)))
}

// TestWorlds: in each world the real road ends in a proven endpoint, or stops where no plan can, in the fewest paid attempts.
func TestWorlds(t *testing.T) {
	t.Parallel()
	base := worldsBase(t)
	table := *worldsTable || *updateWorld
	all := worlds.All()
	rows := make([]string, len(all))
	t.Run("world", func(t *testing.T) {
		for i, w := range all {
			t.Run(w.Name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					in2026()
					x := newTrial(t, base, w)
					x.setGate()
					journal := store.NewMemory()
					o := x.launch(ours(), journal)
					fewest, tried := o.attempts, 0
					if *exhaustive || !testing.Short() && !raced {
						fewest, tried = x.oracle(o)
					}
					t.Logf("%d attempts (oracle %d of %d plans tried), $%s, %s, ended %s %s; causes %v", o.attempts, fewest, tried, o.cost, o.took.Truncate(time.Second), o.end.Outcome, o.end.Code, o.causes)
					for _, a := range o.state.Attempts {
						t.Logf("  %d %s: %s %s", a.N, a.Summary, a.Cause, a.Detail)
					}
					for _, l := range o.lessons {
						t.Logf("  learned: %s", l.Words())
					}
					if o.ready == w.Hopeless {
						t.Errorf("ended %+v", o.end)
					}
					if o.attempts != fewest {
						t.Errorf("%d paid attempts; %d would do", o.attempts, fewest)
					}
					if again := x.launch(ours(), journal); !w.Hopeless && (again.attempts != 1 || !again.ready) {
						t.Errorf("the next launch made %d attempts (%v): it did not learn", again.attempts, again.causes)
					}
					if table {
						rows[i] = x.row(o, fewest, retrySame(), nextGPU(), fixedChain())
					}
				})
			})
		}
	})
	if !table || t.Failed() {
		return
	}
	page := worldsPage(all, rows)
	fmt.Print(page)
	if *updateWorld {
		if err := os.WriteFile("../../docs/worlds.md", []byte(page), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// worldsPage is docs/worlds.md.
func worldsPage(all []worlds.World, rows []string) string {
	var b strings.Builder
	b.WriteString(`# Worlds that differ from what is known on paper

Each world is a simulated RunPod with one trap that no fact of the catalog tells: twelve of one model, four whose trap no line of a log
names, and eight of models with another shape (gated, on several cards, quantised, of vectors, with thoughts, with tools). ` + "`make worlds`" + ` walks the real road in each
(resolver, saga, runner, REST client, start script, watch, diagnosis, lesson, resolver again, proof) on a virtual clock and
prints this table. A cell says whether it ended in a proven endpoint, after how many paid attempts, for how many dollars.

*Oracle* is the fewest paid attempts found by search: one if the plan that is best on paper works; else two if any plan does,
tried one by one, those that a lesson could lead to included; where none does, the one that shows it. The other strategies stop at
eight attempts or $2.00. They are flattered: they plan by the same facts at first, watch as well and fail as fast as justright; they only
take nothing from a failure. *Retry same* asks for the first plan again; *next GPU* takes the same software to the next dearer card;
*fixed chain* is the seed's: the newest engine image, an older one, the newest wheel, an older build, each on two cards, chosen without a
look at the hosts. Where the trap is in one data centre, the provider's draw decides whether asking again meets it again.

| World | Trap | Attempts | Oracle | justright | retry same | next GPU | fixed chain |
|---|---|---|---|---|---|---|---|
`)
	for i, w := range all {
		fmt.Fprintf(&b, "| %s | %s | %s\n", w.Name, w.Trap, rows[i])
	}
	b.WriteString("\nA launch that is made again in the same world, with the lessons of the first, makes one attempt. `justright lessons` lists them.\n")
	return b.String()
}

// TestStory is what this project began with, on hosts as they were: two images that fail in the words that somebody read
// then, paid for by who does not look; refused on paper by who does, and the third booted and proven at once.
func TestStory(t *testing.T) {
	t.Parallel()
	base := worldsBase(t)
	synctest.Test(t, func(t *testing.T) {
		in2026()
		x := newTrial(t, base, worlds.All()[0])
		var refused []solve.Refusal
		o := x.launch(strategy{name: "justright", planner: func(_ *trial, p *planner) runner.Planner {
			res, err := p.result(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			refused = res.Refused[:min(2, len(res.Refused))]
			return p
		}}, store.NewMemory())
		if !o.ready || o.attempts != 1 {
			t.Errorf("%d attempts, ended %+v", o.attempts, o.end)
		}
		for i, image := range []string{"vllm/vllm-openai:v0.6.3.post1", "vllm/vllm-openai:latest"} {
			if i >= len(refused) || refused[i].Candidate.Image != image {
				t.Errorf("refused first are %+v", refused)
			}
		}
		seed := x.launch(seedsHand(), store.NewMemory())
		if want := []string{"unknown_model_type", "container_cuda_requirement", ""}; !seed.ready || !slices.Equal(seed.causes, want) {
			t.Errorf("by hand: %v, ended %+v", seed.causes, seed.end)
		}
		t.Logf("on paper and one attempt: $%s; by hand three: $%s", o.cost, seed.cost)
	})
}

// seedsHand is the seed's own chain: the image at hand, the newest image, a generic image with wheels.
func seedsHand() strategy {
	return strategy{name: "the seed", open: true, planner: func(x *trial, p *planner) runner.Planner {
		generic := plansOf(p)[0]
		image := generic
		image.Guarded, image.Install, image.Host = false, "image", solve.Host{}
		image.Argv = []string{"python3", "-m", "vllm.entrypoints.openai.api_server", "--model", x.world.Model}
		image.Start = solve.Start{Cmd: []string{"--model", x.world.Model}, Args: "--model " + x.world.Model}
		old, latest := image, image
		old.Image, old.Engine = "vllm/vllm-openai:v0.6.3.post1", solve.Engine{Name: "vllm", Version: "0.6.3.post1"}
		latest.Image, latest.Engine = "vllm/vllm-openai:latest", solve.Engine{Name: "vllm", Version: "0.33.0"}
		return listed{planner: p, plans: []solve.Stack{old, latest, generic}}
	}}
}

// setGate gives the trap of an image to the one that the first plan takes.
func (x *trial) setGate() {
	if x.world.Gates == nil && x.world.Intruder == "" {
		return
	}
	sim, w, t := x.provider()
	defer sim.Close()
	if plans := plansOf(w.plannerFor(t, store.NewMemory(), x.wish, "key")); len(plans) > 0 {
		if x.world.Gates != nil {
			x.world.Gates = map[string]string{plans[0].Image: "13.0"}
		} else {
			x.world.Intruder = plans[0].Image
		}
	}
}

func (x *trial) row(o outcome, fewest int, others ...strategy) string {
	cell := func(o outcome) string {
		end := "ready"
		if !o.ready {
			end = "no"
		}
		return fmt.Sprintf("%s, %d, $%.3f", end, o.attempts, o.cost.Float())
	}
	cols := []string{fmt.Sprint(o.attempts), fmt.Sprint(fewest), cell(o)}
	for _, s := range others {
		cols = append(cols, cell(x.launch(s, store.NewMemory())))
	}
	return strings.Join(cols, " | ") + " |"
}
