package runner_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"justright/boot"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/internal/watch"
	"justright/launch"
	"justright/model"
	"justright/money"
	"justright/sim/runpodsim"
)

var updateLoss = flag.Bool("update-loss", false, "rewrite docs/loss.md")

// loss is one line of docs/loss.md: what may be lost at most, and a run on the simulator that is held to it.
type loss struct {
	scenario string
	awake    string // who is awake to end it
	bill     money.USD
	seconds  int // from the accident to the end of billing
	run      func(t *testing.T, l *lossWorld) (accident time.Time)
	faults   []runpodsim.Fault
	play     runpodsim.Play
	guarded  bool
	idle     time.Duration
}

// lossWorld is a world with the real start script played, and the real watch.
type lossWorld struct {
	*world
	task launch.State
}

const cent = money.Dollar / 100

func lossTable() []loss {
	stuck := runpodsim.Play{Fail: func(*runpodsim.Container) (string, string, string) {
		return "engine", "cuda_oom_load", "torch.OutOfMemoryError: CUDA out of memory."
	}}
	return []loss{
		{scenario: "`down` of an endpoint that runs", awake: "you", bill: 29 * cent, seconds: 5, guarded: true, idle: 2 * time.Hour,
			run: func(t *testing.T, l *lossWorld) time.Time {
				l.upReady(t)
				time.Sleep(time.Hour)
				now := time.Now()
				l.downAll(t)
				return now
			}},
		{scenario: "laptop dies while the engine boots, guard armed; the engine comes up and nobody asks it", awake: "guard (idle 30 min)",
			bill: 16 * cent, seconds: 2100, guarded: true, idle: 30 * time.Minute, run: killedAfter("armed")},
		{scenario: "laptop dies while the engine boots, guard armed; the engine fails", awake: "guard (hold 5 min)",
			bill: 5 * cent, seconds: 600, guarded: true, idle: 30 * time.Minute, play: stuck, run: killedAfter("armed")},
		{scenario: "laptop dies, guard armed, requests never stop (or --idle 0)", awake: "guard (the dollar cap, here $0.50)",
			bill: 50*cent + cent/2, seconds: 6700, guarded: true, run: killedAfter("armed")},
		{scenario: "laptop dies, guard armed, --ttl 30m", awake: "guard (ttl)", bill: 14 * cent, seconds: 1850, guarded: true,
			run: func(t *testing.T, l *lossWorld) time.Time {
				l.task.TTL = 30 * time.Minute
				return killedAfter("armed")(t, l)
			}},
		{scenario: "laptop dies before the guard is armed, on a host that never starts a container; you run `down --all` an hour later",
			awake: "nobody, then you", bill: 29 * cent, seconds: 3660, guarded: true, faults: []runpodsim.Fault{{Kind: runpodsim.DeadHost}},
			run: func(t *testing.T, l *lossWorld) time.Time {
				at := killedAfter("created")(t, l)
				time.Sleep(time.Hour)
				l.downAll(t)
				return at
			}},
		{scenario: "kill -9 between the create and its answer; `down --all` a minute later", awake: "you", bill: 2 * cent, seconds: 125, guarded: true,
			run: func(t *testing.T, l *lossWorld) time.Time {
				at := l.upKilledAt(t, runner.AfterCall, "create")
				time.Sleep(time.Minute)
				l.downAll(t)
				return at
			}},
		{scenario: "the answer to a create is lost; up is awake", awake: "up", bill: 2 * cent, seconds: 180, guarded: true,
			faults: []runpodsim.Fault{{Kind: runpodsim.LostReply, Op: "createPod", Count: 1}, {Kind: runpodsim.ListLag, Delay: 25 * time.Second}},
			run:    upThenDown},
		{scenario: "a host that never starts a container; up is awake", awake: "up (10 min without a sign; another host is tried once)", bill: 10 * cent, seconds: 1300, guarded: true,
			faults: []runpodsim.Fault{{Kind: runpodsim.DeadHost}}, run: upThenDown},
		{scenario: "an image pull that never ends; up is awake", awake: "up (boot deadline, here 20 min; another host is tried once)", bill: 19 * cent, seconds: 2450, guarded: true,
			faults: []runpodsim.Fault{{Kind: runpodsim.StuckPull}}, run: upThenDown},
		{scenario: "a container that exits and is started again for ever; up is awake", awake: "up (restarts seen)", bill: cent, seconds: 60, guarded: true,
			faults: []runpodsim.Fault{{Kind: runpodsim.CrashLoop, Delay: 2 * time.Second, Status: 1}}, run: upThenDown},
		{scenario: "the engine fails; up is awake and tries two more plans that fail too", awake: "up", bill: 10 * cent, seconds: 900, guarded: true, play: stuck,
			run: upThenDown},
		{scenario: "the guard has no right to end its pod; --allow-unguarded was not given", awake: "up", bill: 2 * cent, seconds: 120, guarded: true,
			play: runpodsim.Play{}, run: func(t *testing.T, l *lossWorld) time.Time { return upThenDown(t, l) }},
		{scenario: "the provider asks more than was agreed", awake: "up", bill: 2 * cent, seconds: 120, guarded: true,
			faults: []runpodsim.Fault{{Kind: runpodsim.WrongPrice, Factor: 3}}, run: upThenDown},
		{scenario: "DELETE answers 500 twenty times", awake: "down", bill: 3 * cent, seconds: 200, guarded: true, idle: 2 * time.Hour,
			faults: []runpodsim.Fault{{Kind: runpodsim.ErrorBefore, Op: "deletePod", Count: 20, Status: 500}}, run: readyThenDown},
		{scenario: "DELETE answers 204 three times and does nothing", awake: "down", bill: 3 * cent, seconds: 60, guarded: true, idle: 2 * time.Hour,
			faults: []runpodsim.Fault{{Kind: runpodsim.Ignored, Op: "deletePod", Count: 3}}, run: readyThenDown},
	}
}

// TestLossTable holds each line of docs/loss.md on the simulator, with the real start script played and the real watch.
func TestLossTable(t *testing.T) {
	table := lossTable()
	for _, l := range table {
		t.Run(l.scenario, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { l.hold(t) })
		})
	}
	const path = "../../docs/loss.md"
	want := lossPage(table)
	if *updateLoss {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/loss.md is not what this test holds (%v): go test ./internal/runner -run TestLossTable -update-loss", err)
	}
}

func lossPage(table []loss) string {
	var b strings.Builder
	b.WriteString(`# What can be lost at most

Each line is an accident, who is awake to end it, the most it can cost in all, and the seconds from the accident until nothing
bills. The figures are bounds that ` + "`TestLossTable`" + ` (internal/runner) holds on the RunPod simulator in virtual time, with an RTX A5000
at $0.27 an hour and a budget of $0.50, the real start script played and the real watch. Another price scales the bill; the seconds stay.

One line has no bound in time: a machine whose guard never armed, with nobody awake. It costs its hourly price until
somebody runs justright again (or RunPod ends it at balance zero). That is why up says ` + "`unguarded`" + ` until the guard's line was read, why
Ctrl-C tears down before that and detaches after it, and why the question that asks for the price says what a day would cost.

| Accident | Ended by | Worst bill | Seconds to removal |
|---|---|---|---|
`)
	for _, l := range table {
		fmt.Fprintf(&b, "| %s | %s | $%s | %d |\n", l.scenario, l.awake, l.bill.String(), l.seconds)
	}
	b.WriteString("\nHow the saga behaves under 10,000 random schedules of such accidents: `make chaos`.\n")
	return b.String()
}

func (l loss) hold(t *testing.T) {
	w := newWorld(3, store.NewMemory())
	play := l.play
	o := runpodsim.Options{Runner: play.Model(), Seed: 3, RateLimit: &runpodsim.Unlimited, BaseURL: "http://sim.invalid", DelayScale: 0.2}
	if strings.HasPrefix(l.scenario, "the guard has no right") {
		o.PodKey = runpodsim.NoPod
	}
	w.sim = runpodsim.New(o)
	w.script = true
	for i := range w.plans {
		w.plans[i].Price, w.plans[i].Boot = min(w.plans[i].Price, 27*cent), 20*time.Minute
		w.plans[i].Stack.GPU.ID = w.plans[0].Stack.GPU.ID
		w.plans[i].Stack.Engine.Version = fmt.Sprintf("0.19.%d", i)
		w.plans[i].Stack.Argv = []string{"vllm", "serve", "m/m"}
		w.plans[i].Stack.Guarded = l.guarded
	}
	for _, f := range l.faults {
		w.sim.AddFault(f)
	}
	lw := &lossWorld{world: w, task: launch.State{
		ID: "task", Name: "x", Model: "m/m", Target: "runpod", Owner: w.owner, Budget: 50 * cent, Wanted: launch.WantRunning, Idle: l.idle,
		Timing: launch.DefaultTiming(), Started: time.Now(),
	}}
	if strings.Contains(l.scenario, "never starts a container") || strings.Contains(l.scenario, "never ends") || strings.Contains(l.scenario, "for ever") {
		w.plans = w.plans[:1]
	}
	accident := l.run(t, lw)
	removed := time.Time{}
	for range 6 * 60 * 24 { // a day, ten seconds at a time
		if w.sim.Ledger().Billing == 0 {
			removed = time.Now()
			break
		}
		time.Sleep(10 * time.Second)
	}
	total := w.sim.Ledger().Total
	took := removed.Sub(accident)
	switch {
	case removed.IsZero():
		t.Errorf("still billing a day later: $%s", total)
	case total > l.bill || took > time.Duration(l.seconds)*time.Second:
		t.Errorf("cost $%s in %.0f s; the page says at most $%s in %d s", total, took.Seconds(), l.bill, l.seconds)
	case total*4 < l.bill && took.Seconds()*4 < float64(l.seconds):
		t.Errorf("cost $%s in %.0f s: the page's $%s in %d s is no bound, it is a guess", total, took.Seconds(), l.bill, l.seconds)
	}
	t.Logf("cost $%s, %.0f s", total, took.Seconds())
	w.sim.Close()
	time.Sleep(time.Hour)
}

func (l *lossWorld) process() runner.Config {
	cfg := l.config(0)
	cfg.Watcher = realWatcher{}
	cfg.Dead = func(store.Holder) bool { return true }
	return cfg
}

func (l *lossWorld) start(t *testing.T) {
	t.Helper()
	if err := l.journal.Begin(t.Context(), l.task); err != nil {
		t.Fatal(err)
	}
}

func (l *lossWorld) upReady(t *testing.T) {
	t.Helper()
	l.start(t)
	s, err := runner.Run(t.Context(), l.process(), l.task.ID, false)
	if err != nil || s.End == nil || s.End.Outcome != "ready" {
		t.Fatalf("up ended %+v, %v", s.End, err)
	}
}

func (l *lossWorld) downAll(t *testing.T) {
	t.Helper()
	_ = l.journal.WantGone(t.Context(), l.task.ID, launch.CauseDown)
	if s, err := runner.Run(t.Context(), l.process(), l.task.ID, true); err != nil || s.End.Exit != 0 {
		t.Fatalf("down ended %+v, %v", s.End, err)
	}
}

// upKilledAt kills up at a point of the first effect of a kind.
func (l *lossWorld) upKilledAt(t *testing.T, at runner.Point, kind string) time.Time {
	t.Helper()
	l.start(t)
	cfg := l.process()
	cfg.Trap = func(p runner.Point, e launch.Effect) bool { return p == at && e.Kind() == kind }
	if _, err := runner.Run(t.Context(), cfg, l.task.ID, false); !runner.Killed(err) {
		t.Fatalf("up was not killed: %v", err)
	}
	return time.Now()
}

// killedAfter kills up once it has told a state.
func killedAfter(state string) func(*testing.T, *lossWorld) time.Time {
	return func(t *testing.T, l *lossWorld) time.Time {
		t.Helper()
		l.start(t)
		cfg := l.process()
		cfg.Trap = func(p runner.Point, e launch.Effect) bool {
			tell, ok := e.(launch.Tell)
			return ok && p == runner.AfterAct && tell.State == state
		}
		if s, err := runner.Run(t.Context(), cfg, l.task.ID, false); !runner.Killed(err) {
			t.Fatalf("up was not killed: %v, %+v", err, s.End)
		}
		return time.Now()
	}
}

// upThenDown is an up that ends by itself, and a down if it ended well.
func upThenDown(t *testing.T, l *lossWorld) time.Time {
	t.Helper()
	began := time.Now()
	l.start(t)
	if _, err := runner.Run(t.Context(), l.process(), l.task.ID, false); err != nil {
		t.Fatal(err)
	}
	l.downAll(t)
	return began
}

func readyThenDown(t *testing.T, l *lossWorld) time.Time {
	t.Helper()
	l.upReady(t)
	now := time.Now()
	l.downAll(t)
	return now
}

// realWatcher is internal/cli's wiring of internal/watch.
type realWatcher struct{}

func (realWatcher) Watch(a launch.Attempt, _ time.Time) runner.Watch {
	return realWatch{watch.New(watch.Options{Started: a.Created, Model: "m/m", Engine: "vllm", GPU: a.Stack.GPU.ID, Source: a.ID}), a}
}

type realWatch struct {
	w *watch.Watch
	a launch.Attempt
}

func (r realWatch) signs(es []watch.Event) (out []runner.Sign) {
	for _, e := range es {
		ev, rep := watch.Signs(e, r.a.ID)
		if f, ok := e.(watch.Failed); ok {
			failed := ev.(launch.Failed)
			failed.Lesson = launch.LessonOf(r.a, f.Result)
			ev = failed
		}
		out = append(out, runner.Sign{Event: ev, Report: rep})
	}
	return out
}

func (r realWatch) Line(l launch.LogLine) []runner.Sign { return r.signs(r.w.Observe(l)) }

func (r realWatch) Seen(in launch.Instance, now time.Time) []runner.Sign {
	return r.signs(r.w.Instance(in, now))
}

func (r realWatch) Tick(now time.Time) []runner.Sign { return r.signs(r.w.Tick(now)) }

// scriptSpec is a spec with the real start script.
func scriptSpec(_ context.Context, s launch.State, a launch.Attempt) (launch.Spec, error) {
	bs, err := boot.SpecFrom(*a.Stack, boot.Options{Model: model.Profile{ID: "m/m"}})
	if err != nil {
		return launch.Spec{}, err
	}
	script, err := boot.Render(bs)
	if err != nil {
		return launch.Spec{}, err
	}
	env := a.LimitsEnv(s.Owner, s.Name, s.Idle)
	env["VLLM_API_KEY"] = "k"
	return launch.Spec{
		Name: a.PodName, AttemptID: a.ID, OwnerID: s.Owner, Image: a.Stack.Image, Start: script.Start(), Env: env, Ports: []string{"8000/http"},
		DiskGB: 20, GPU: a.Stack.GPU.ID, GPUCount: 1, MaxPricePerHour: a.Confirmed,
	}, nil
}
