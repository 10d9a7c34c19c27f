package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"justright/internal/gateway"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
	"justright/report"
)

// drive runs the saga of a task in this process until its run ends.
func (s *server) drive(t target, p *planner, task string, clock func() time.Time) {
	d := &driven{signal: make(chan bool, 1), done: make(chan struct{})}
	s.mu.Lock()
	if s.drives[task] != nil {
		s.mu.Unlock()
		return
	}
	s.drives[task] = d
	if s.stopping {
		d.signal <- true
	}
	s.mu.Unlock()
	cfg := s.w.runConfig(s.journal, t, p, s.sink(p.wish.Model.ID, task), clock)
	cfg.Signal = d.signal
	go func() {
		st, err := runner.Run(context.Background(), cfg, task, false)
		if err != nil && !errors.Is(err, store.ErrLost) && !errors.Is(err, store.ErrMoved) && !errors.Is(err, store.ErrHeld) {
			s.say("%s: %s", p.wish.Model.ID, s.clean(err.Error()))
		}
		if pr := runner.Problem(st); err == nil && pr != nil {
			s.say("%s: %s", st.Name, s.clean(problem.From(pr).Error()))
		}
		s.mu.Lock()
		d.err = err
		delete(s.drives, task)
		s.mu.Unlock()
		close(d.done)
		nudge(s.poke)
	}()
}

func (s *server) driving(task string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drives[task] != nil
}

// lookAround asks the engines, and removes what has been idle as long as it may, or whose engine is dead: its machine would bill until
// its own hold ends, and refuse every request.
func (s *server) lookAround(ctx context.Context) {
	s.gw.Look(ctx)
	for _, r := range s.fleet.Dead() {
		if err := s.journal.WantGone(ctx, r.Task, gateway.CauseDead); err != nil {
			s.log.Error("a launch whose engine is dead cannot be removed", "launch", r.Launch, "err", s.clean(err.Error()))
			continue
		}
		s.say("%s: its engine is dead; removing the machine", r.Launch)
		nudge(s.doubt)
		nudge(s.poke)
	}
	for _, r := range s.fleet.Idle() {
		if !s.fleet.Leave(r.ID) { // a request came in
			continue
		}
		if err := s.journal.WantGone(ctx, r.Task, gateway.CauseIdle); err != nil {
			s.fleet.Stay(r.ID)
			s.log.Error("an idle launch cannot be removed", "launch", r.Launch, "err", s.clean(err.Error()))
			continue
		}
		s.say("%s: no request for %s; removing it", r.Launch, r.Idle)
		nudge(s.doubt)
		nudge(s.poke)
	}
}

// superviseOnce lets the saga look at every launch that nobody drives and that needs it: one list for each place.
func (s *server) superviseOnce(ctx context.Context) {
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return
	}
	asked := map[string]bool{}
	for _, t := range tasks {
		if t.State.Over() || len(t.State.Attempts) == 0 {
			continue
		}
		tg, err := s.w.targetOf(ctx, t.State)
		if err != nil {
			s.log.Warn("a launch cannot be looked after", "launch", t.State.Name, "err", s.clean(problem.From(err).Summary))
			continue
		}
		tg = s.door(tg)
		key := tg.word + " " + tg.address
		if asked[key] {
			continue
		}
		asked[key] = true
		clock := runner.ServerClock(ctx, tg.provider, s.w.Now)
		cfg := s.w.runConfig(undriven{s.journal, s}, tg, s.w.plannerFor(tg, s.journal, wish{}, ""), nil, clock)
		cfg.Planner, cfg.Watcher, cfg.Prover = noPlans{}, byTask{s, tg}, byTask{s, tg}
		if err := (runner.Supervisor{Config: cfg}).Once(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("a place cannot be looked after", "target", tg.word, "err", s.clean(err.Error()))
		}
	}
	nudge(s.poke)
}

// undriven is the journal as the supervisor sees it: without what this process drives or is about to.
type undriven struct {
	*store.Journal
	s *server
}

// Tasks lists the others.
func (u undriven) Tasks(ctx context.Context) ([]store.Task, error) {
	all, err := u.Journal.Tasks(ctx)
	out := all[:0]
	for _, t := range all {
		if !u.s.driving(t.State.ID) && !u.s.ours(t) {
			out = append(out, t)
		}
	}
	return out, err
}

// Acquire leaves to this process what it drives: the journal takes two hands of one process for one.
func (u undriven) Acquire(ctx context.Context, task string, h store.Holder, until, now time.Time, dead func(store.Holder) bool) (store.Lease, error) {
	if u.s.driving(task) {
		return store.Lease{}, &store.HeldError{Holder: h, Until: until}
	}
	return u.Journal.Acquire(ctx, task, h, until, now, dead)
}

// byTask watches and proves for many tasks: each by its own wish and key.
type byTask struct {
	s *server
	t target
}

// wishOf finds the task of an attempt.
func (b byTask) wishOf(ctx context.Context, a launch.Attempt) (wish, string, error) {
	tasks, err := b.s.journal.Tasks(ctx)
	if err != nil {
		return wish{}, "", err
	}
	for _, t := range tasks {
		for _, o := range t.State.Attempts {
			if o.ID != a.ID {
				continue
			}
			x, err := readWish(ctx, b.s.journal, t.State.ID)
			if err != nil {
				return wish{}, "", err
			}
			key, err := b.s.w.readTaskKey(t.State.ID)
			return x, key, err
		}
	}
	return wish{}, "", fmt.Errorf("attempt %s stands in no task", a.ID)
}

func (b byTask) Watch(a launch.Attempt, now time.Time) runner.Watch {
	x, _, err := b.wishOf(context.Background(), a)
	if err != nil {
		b.s.log.Warn("a machine is watched without its plan", "err", b.s.clean(err.Error()))
	}
	return b.s.w.runConfig(b.s.journal, b.t, b.s.w.plannerFor(b.t, b.s.journal, x, ""), nil, b.s.w.Now).Watcher.Watch(a, now)
}

func (b byTask) Prove(ctx context.Context, a launch.Attempt, base string, tell func(report.Event)) (runner.Proof, error) {
	x, key, err := b.wishOf(ctx, a)
	if err != nil {
		return runner.Proof{}, err
	}
	return b.s.w.runConfig(b.s.journal, b.t, b.s.w.plannerFor(b.t, b.s.journal, x, key), nil, b.s.w.Now).Prover.Prove(ctx, a, base, tell)
}

// A lease is a lifetime that only a living gateway moves on: the guard inside ends the machine at --lease after the last renewal. The
// first one covers the boot as well, during which nothing listens that could be told.
const (
	leaseParts = 3 // renewals in the length of a lease
	leaseLeast = 5 * time.Minute
	leaseBoot  = time.Hour // the longest boot that a plan is given
	leaseKey   = "serve/lease/"
)

// renewLeases moves the ends of the machines that were woken with a lease, as `justright extend` does, never beyond their dollar
// caps.
func (s *server) renewLeases(ctx context.Context) {
	for _, r := range s.fleet.Status() {
		if v, err := s.journal.Setting(ctx, leaseKey+r.Task); err != nil || v == "" || r.Leaving {
			continue
		}
		t, err := s.journal.Task(ctx, r.Task)
		if err != nil {
			continue
		}
		c := t.State.Current()
		if c == nil || !c.Armed || c.EndBy.IsZero() || t.Wanted == launch.WantGone {
			continue
		}
		length := s.f.lease
		if left := c.CapBy.Sub(s.w.Now()) - time.Minute; !c.CapBy.IsZero() && left < length {
			length = left
		}
		if length <= 0 {
			continue
		}
		if _, err := s.w.extendTask(ctx, s.journal, t, length); err != nil {
			s.log.Warn("a lease could not be renewed", "launch", r.Launch, "err", s.clean(problem.From(err).Summary))
		}
	}
}

// settleBills replaces estimates by the provider's own figures.
func (s *server) settleBills(ctx context.Context) {
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return
	}
	var doc gcDocument
	s.w.gcBills(ctx, s.journal, tasks, &doc)
}

// agree says what may be woken at what price, and asks unless that was agreed beforehand.
func (s *server) agree(ctx context.Context, yes bool) error {
	rents := false
	for _, m := range s.models {
		text, costs, err := s.offer(ctx, m)
		if err != nil {
			p := problem.From(err)
			if p.Exit == problem.ExitNoStack || p.Exit == problem.ExitUsage || p.Exit == problem.ExitCredentials {
				return err
			}
			text, costs = "no plan now: "+p.Summary+"; it is looked for again when somebody asks", true
		}
		rents = rents || costs
		fmt.Fprintf(s.w.Stderr, "%s: %s\n", m.id, s.clean(text)) // also with --json, whose first line says where the gateway is
	}
	if !rents || yes {
		return nil
	}
	ok, err := s.w.ask("May requests wake these models at these prices? [y/N] ")
	if err == nil && !ok {
		err = problem.New(problem.ExitLimit, "not_confirmed", "nothing was started")
	}
	return err
}

// offer is the plan that a wake of a model would begin with, and its price. It fixes the dearest hour that is agreed to.
func (s *server) offer(ctx context.Context, m *servedModel) (text string, costs bool, err error) {
	t, err := s.target(ctx, m)
	if err != nil {
		return "", false, err
	}
	p := s.w.plannerFor(t, s.journal, m.req.wish, "")
	res, err := p.result(ctx, nil)
	if err != nil {
		return "", t.rents(), err
	}
	if res.Conflict != nil {
		return "", false, s.w.refusal(ctx, p, *res.Conflict, m.req)
	}
	usable := usablePlans(res.Plans, t, m.req.unguarded)
	if len(usable) == 0 {
		return "", false, problem.New(problem.ExitNoStack, "unguarded", "only machines without a guard could serve %s", m.id).Try("allow that", s.w.again("--allow-unguarded"))
	}
	if !t.rents() {
		return planSummary(usable[0], t.hostName()) + ", on this machine", false, nil
	}
	if usable, err = s.w.affordable(usable, p, m.req.maxPrice); err != nil {
		return "", false, err
	}
	first := p.proposal(usable[0])
	if m.req.maxPrice == 0 {
		m.req.maxPrice = priceCeiling(distinctPlans(usable, 3), p, 0)
	}
	many := ""
	if n := m.replicas.most; n > 1 {
		many = fmt.Sprintf(", %d machines at a time", n)
	}
	return fmt.Sprintf("%s at $%s/h, %s; at most $%s/h%s, $%s a wake and $%s a day", first.Summary, first.Hourly().Cents(), t.word, m.req.maxPrice.Cents(),
		many, m.req.budget.Cents(), m.daily.Cents()), true, nil
}
