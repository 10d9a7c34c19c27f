package runner_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

var (
	schedules = flag.Int("chaos", 100, "how many seeded schedules TestChaos runs")
	firstSeed = flag.Uint64("chaos-seed", 1, "the first seed")
	mutation  = flag.String("chaos-mutation", "", "break the saga on purpose, by a word of mutations; TestChaos must fail")
)

// schedule is one life of a task among failures, decided by its seed alone.
type schedule struct {
	*world
	seed     uint64
	mutation string
	asleep   time.Duration // nobody was awake
	blind    atomic.Int64  // nanoseconds that a process with another account's key was the one at work
	dead     time.Duration // nobody was awake and a machine of ours, not armed, was billing
	maxRate  money.USD
	self     string   // the pod that the processes run in; empty: none
	theirs   sync.Map // pods made with another account's key
	key      string   // of the next process; empty: ours
	broken   error    // the first rule that was broken while they ran
}

const chaosBudget = money.Dollar / 20

// TestChaos kills processes at every effect, cuts every call, loses and doubles replies, races processes, presses Ctrl-C, uses another
// account's key, ends machines at the console, skews clocks, keeps containers from ever starting and switches guards off, by seed; then
// it asks the simulator's ledger what really happened.
func TestChaos(t *testing.T) {
	if err := runChaos(t, *firstSeed, *schedules, *mutation); err != nil {
		t.Error(err)
	}
}

// mutations each remove one of the rules that the saga's safety hangs on.
var mutations = []string{"act-first", "no-lookup", "no-confirm", "any-key", "any-pod", "any-guard", "no-end"}

// A chaos run that does not notice a rule's absence proves nothing of it.
func TestChaosNoticesMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(m, func(t *testing.T) {
			if err := runChaos(t, 1, 200, m); err == nil {
				t.Error("200 schedules without this rule, and nothing was noticed")
			} else {
				t.Logf("noticed: %v", err)
			}
		})
	}
}

// runChaos spreads the schedules over the processors and returns the first violation by seed.
func runChaos(t *testing.T, first uint64, n int, mutation string) error {
	workers := runtime.GOMAXPROCS(0)
	var mu sync.Mutex
	worst, firstBad := error(nil), first+uint64(n)
	var counts tally
	t.Run("schedules", func(t *testing.T) {
		for k := range workers {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				t.Parallel()
				for seed := first + uint64(k); seed < first+uint64(n); seed += uint64(workers) {
					var err error
					journal, done := chaosJournal(t, seed)
					synctest.Test(t, func(t *testing.T) { err = oneSchedule(t.Context(), seed, mutation, journal, &counts) })
					done()
					mu.Lock()
					if err != nil && seed < firstBad {
						worst, firstBad = fmt.Errorf("seed %d: %w", seed, err), seed
					}
					stop := worst != nil && seed > firstBad
					mu.Unlock()
					if stop {
						return
					}
				}
			})
		}
	})
	t.Logf("chaos: %s", counts.String())
	return worst
}

// tally counts what a chaos run met, so that a run that met nothing is seen.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, k := range []string{"schedules", "kills", "pods", "unanswered", "duplicates", "guard-ended", "steals", "held", "lost", "ready", "foreign", "reconciled", "estimates", "unseen", "detached", "cancelled", "console", "never"} {
		fmt.Fprintf(&b, "%s %d  ", k, c.n[k])
	}
	return b.String()
}

// chaosJournal is the memory journal, and for each hundredth seed the real one on a disk.
func chaosJournal(t *testing.T, seed uint64) (store.Store, func()) {
	if seed%100 != 0 {
		return store.NewMemory(), func() {}
	}
	s, err := store.OpenSQLite(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s, func() { _ = s.Close() }
}

func oneSchedule(ctx context.Context, seed uint64, mutation string, journal store.Store, counts *tally) error {
	rng := rand.New(rand.NewPCG(seed, 99))
	gates := map[string]string{}
	if rng.IntN(17) == 0 {
		gates[machineImage] = "99.0" // no host's driver offers that: the container is tried again for ever
	}
	s := &schedule{world: newGatedWorld(seed, journal, gates), seed: seed, mutation: mutation}
	s.rng = rng
	s.pods.armed = map[string]bool{}
	s.pods.guarded = rng.IntN(5) > 0
	s.pods.boot = time.Duration(10+rng.IntN(120)) * time.Second
	s.passes = rng.IntN(8) > 0
	s.pods.fails = map[int]string{}
	for i := range rng.IntN(3) {
		s.pods.fails[i+1] = "cuda_oom_load"
	}
	for _, p := range s.plans {
		s.maxRate = max(s.maxRate, p.Price+p.Disk)
	}
	foreign := s.plantForeign(ctx)
	if rng.IntN(6) == 0 {
		s.plantSelf(ctx)
		foreign = append(foreign, s.self)
	}
	for _, f := range randomFaults(rng) {
		s.sim.AddFault(f)
	}
	task := launch.State{
		ID: "task", Name: "x", Model: "m/m", Target: "runpod", Owner: s.owner, Budget: chaosBudget * money.USD(1+rng.IntN(6)),
		Wanted: launch.WantRunning, Timing: launch.DefaultTiming(), Started: time.Now(), AllowUnguarded: rng.IntN(2) == 0,
	}
	if rng.IntN(3) == 0 {
		task.TTL = time.Duration(2+rng.IntN(20)) * time.Minute
	}
	if err := s.journal.Begin(ctx, task); err != nil {
		return err
	}
	for range 1 + rng.IntN(4) {
		s.life(ctx, task.ID, rng.IntN(3) == 0, counts)
		s.sleep(time.Duration(rng.IntN(180)) * time.Second)
	}
	s.sim.ClearFaults()
	if err := s.lastDown(ctx, task.ID); err != nil {
		return err
	}
	// A create that was never answered may still be carried out; whoever looks again, as gc does, finds it.
	s.sleep(2 * time.Minute)
	if err := s.lastDown(ctx, task.ID); err != nil {
		return err
	}
	bad := s.broken
	if bad == nil {
		bad = s.judge(ctx, task.ID, foreign, counts)
	}
	if bad == nil && rng.IntN(8) == 0 {
		bad = s.aDayLater(ctx, task.ID, counts)
	}
	if bad == nil && mutation == "" {
		bad = s.judgeBill(ctx, task.ID, counts)
	}
	s.sim.Close()
	time.Sleep(time.Hour) // what is left of processes and timers runs out inside the bubble
	return bad
}

// aDayLater: what was open for a day is settled, and gives back what was kept for it.
func (s *schedule) aDayLater(ctx context.Context, task string, counts *tally) error {
	time.Sleep(25 * time.Hour)
	if err := s.lastDown(ctx, task); err != nil {
		return err
	}
	t, err := s.journal.Task(ctx, task)
	if err != nil {
		return err
	}
	for _, a := range t.State.Attempts {
		if !a.Phase.Settled() {
			return fmt.Errorf("attempt %s is %s a day later", a.ID, a.Phase)
		}
		if a.Phase == launch.Never {
			counts.add("never")
		}
	}
	return nil
}

// run runs a process, and notes for how long one with another account's key could neither see nor end what runs.
func (s *schedule) run(ctx context.Context, cfg runner.Config, task string, steal bool) (launch.State, error) {
	began := time.Now()
	defer func() {
		if cfg.Account == "other" {
			s.blind.Add(int64(time.Since(began)))
		}
	}()
	return runner.Run(ctx, cfg, task, steal)
}

// lastDown is what a person types in the end.
func (s *schedule) lastDown(ctx context.Context, task string) (err error) {
	_ = s.journal.WantGone(ctx, task, launch.CauseDown)
	for range 5 {
		cfg := s.process(0)
		var st launch.State
		if st, err = s.run(ctx, cfg, task, true); err != nil {
			continue
		}
		other := slices.IndexFunc(st.Unsettled(), func(a launch.Attempt) bool { return a.Phase != launch.Open && a.Account != cfg.Account })
		if other < 0 {
			return nil
		}
		err = fmt.Errorf("attempt %s was made with key %s", st.Unsettled()[other].ID, st.Unsettled()[other].Account)
		s.key = st.Unsettled()[other].Account // what only its own key can deny is asked for with that
	}
	return fmt.Errorf("the last down: %w", err)
}

// process is a new process of this schedule, with whatever mutation is asked for.
func (s *schedule) process(skew time.Duration) runner.Config {
	cfg := s.config(skew)
	// A process on this host that was killed is known to be dead; a process that still runs is not.
	cfg.Dead = func(h store.Holder) bool { return h.Start == "killed" }
	p := cfg.Provider
	switch s.rng.IntN(24) {
	case 0, 1:
		p = doubling{p}
	case 2: // another account's key, which sees none of our machines
		s.key = "other"
	}
	if s.key == "other" {
		p, cfg.Account = stranger{p, &s.theirs}, "other"
	}
	s.key = ""
	cfg.Self = s.self
	switch s.mutation {
	case "any-key":
		cfg.Account = "acct"
	case "any-pod":
		cfg.Self = ""
	case "any-guard":
		cfg.Watcher = credulous{}
	case "no-end":
		cfg.Journal = &forgetful{s.journal}
	case "act-first":
		cfg.Journal = &lateJournal{Store: s.journal}
	case "no-lookup":
		p = blind{p}
	case "no-confirm":
		p = gullible{p}
	}
	cfg.Provider = p
	return cfg
}

// life is one or two processes at the task, killed at some effect or left to their end.
func (s *schedule) life(ctx context.Context, task string, race bool, counts *tally) {
	skew := time.Duration(s.rng.IntN(7)-3) * time.Hour
	var wg sync.WaitGroup
	n := 1
	if race {
		n = 2
	}
	for i := range n {
		cfg := s.process(skew)
		steal := i == 1 && s.rng.IntN(2) == 0
		if steal {
			counts.add("steals")
		}
		killAt, seen := 1+s.rng.IntN(60), 0
		pointAt := []runner.Point{runner.BeforeCommit, runner.AfterCommit, runner.AfterAct, runner.AfterCall}[s.rng.IntN(4)]
		if s.rng.IntN(3) == 0 {
			killAt = 1 << 30
		}
		onlyCreates := s.rng.IntN(3) == 0
		var mu sync.Mutex
		cfg.Trap = func(p runner.Point, e launch.Effect) bool {
			mu.Lock()
			defer mu.Unlock()
			if _, create := e.(launch.Create); onlyCreates && !create {
				return false
			}
			if p != pointAt {
				return false
			}
			seen++
			return seen == killAt || onlyCreates && killAt < 1<<30
		}
		cut := time.Duration(5+s.rng.IntN(900)) * time.Second
		cfg.Signal = s.signals(cut)
		s.console(cut, counts)
		start := time.Duration(s.rng.IntN(20)) * time.Second * time.Duration(i)
		down := steal && s.rng.IntN(2) == 0
		wg.Go(func() {
			time.Sleep(start)
			if down {
				_ = s.journal.WantGone(ctx, task, launch.CauseDown)
			}
			life, cancel := context.WithTimeout(ctx, cut)
			defer cancel()
			st, err := s.run(life, cfg, task, steal)
			if bad := s.duringLife(st, err); bad != nil && s.broken == nil {
				mu.Lock()
				s.broken = bad
				mu.Unlock()
			}
			switch {
			case err == nil && st.End != nil && st.End.Outcome == "detached":
				counts.add("detached")
			case err == nil && st.End != nil && st.End.Outcome == "cancelled":
				counts.add("cancelled")
			case runner.Killed(err), errors.Is(err, context.DeadlineExceeded):
				counts.add("kills")
			case errors.Is(err, store.ErrHeld):
				counts.add("held")
			case errors.Is(err, store.ErrLost), errors.Is(err, store.ErrMoved):
				counts.add("lost")
			case err == nil && st.End != nil && st.End.Outcome == "ready":
				counts.add("ready")
			}
		})
	}
	wg.Wait()
	// A killed process leaves its lease; on one machine the next process sees that it is dead. Waiting it out is the
	// other way; both happen.
	if s.rng.IntN(2) == 0 {
		s.sleep(40 * time.Second)
	}
}

// duringLife holds what must be true at the end of each process.
func (s *schedule) duringLife(st launch.State, err error) error {
	billing := map[string]bool{}
	for _, p := range s.sim.Ledger().Pods {
		billing[p.ID] = p.Billing
	}
	ended := time.Time{}
	for _, a := range st.Attempts {
		if a.Phase == launch.Removed && billing[a.PodID] {
			return fmt.Errorf("attempt %s is said to be gone, and pod %s bills\n%s", a.ID, a.PodID, s.story(st))
		}
		if !ended.IsZero() && a.Intended.After(ended) {
			return fmt.Errorf("attempt %s was made after somebody else had ended the one before", a.ID)
		}
		if a.Phase == launch.Removed && (a.Cause == launch.CauseElsewhere || a.Cause == launch.CauseGuard) {
			ended = a.Ended
		}
	}
	if c := st.Current(); err == nil && st.End != nil && st.End.Outcome == "detached" && c != nil {
		s.pods.mu.Lock()
		defer s.pods.mu.Unlock()
		if !s.pods.armed[c.PodID] && billing[c.PodID] {
			return fmt.Errorf("detached from pod %s, whose guard is not armed", c.PodID)
		}
	}
	return nil
}

// sleep lets time pass with nobody awake, and notes what a machine without a guard can cost meanwhile.
func (s *schedule) sleep(d time.Duration) {
	s.asleep += d
	for ; d > 0; d -= 5 * time.Second {
		time.Sleep(min(d, 5*time.Second))
		for _, p := range s.sim.Ledger().Pods {
			s.pods.mu.Lock()
			armed := s.pods.armed[p.ID]
			s.pods.mu.Unlock()
			if p.Billing && p.ID != s.self && p.Env != "" && !strings.HasPrefix(p.Env, "000000") && !armed {
				s.dead += min(d, 5*time.Second)
			}
		}
	}
}
