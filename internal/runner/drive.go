package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"justright/diagnose"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
	"justright/report"
)

// errKilled is how a trap of a test ends a run.
var errKilled = errors.New("killed")

const killedWord = "killed by a trap"

// driver is one run of one task. Its loop goroutine owns everything in it; calls only send to events.
type driver struct {
	cfg     Config
	ctx     context.Context
	lease   store.Lease
	state   launch.State
	version int64
	events  chan done
	follows map[string]*follower
	seen    map[string]bool // attempts that our key has shown, though another made them
	nap     time.Duration   // least wait before the next tick
	notes   store.Notes     // not stored yet
	noted   <-chan time.Time
	err     error
	unsaved launch.Event // that the journal did not take
}

// done is the answer to an effect.
type done struct {
	effect  int64
	kind    launch.Effect
	outcome string
	event   launch.Event
	report  *report.Event // for the person, through the loop: one goroutine speaks to the sink
	killed  bool          // a test's trap struck in the call
}

// Run takes a task up and drives it until its run ends: ready, failed, detached, cancelled. steal takes it from whoever
// holds it; that is for down, which wins.
func Run(ctx context.Context, cfg Config, task string, steal bool) (launch.State, error) {
	now := cfg.Now()
	var lease store.Lease
	var err error
	if steal {
		lease, err = cfg.Journal.Steal(ctx, task, cfg.Holder, now.Add(leaseFor))
	} else {
		lease, err = cfg.Journal.Acquire(ctx, task, cfg.Holder, now.Add(leaseFor), now, cfg.Dead)
	}
	if err != nil {
		return launch.State{}, err
	}
	t, err := cfg.Journal.Task(ctx, task)
	if err != nil {
		return launch.State{}, err
	}
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &driver{
		cfg: cfg, ctx: run, lease: lease, state: t.State, version: t.Version,
		events: make(chan done, 64), follows: map[string]*follower{}, seen: map[string]bool{},
	}
	d.apply(launch.Resume{At: d.now(), Gone: t.Wanted == launch.WantGone, Why: t.WantedWhy, Skew: cfg.Skew})
	d.loop()
	if d.unwritable() {
		d.abandon()
	}
	if !errors.Is(d.err, errKilled) {
		d.write()
		cancel()
		for _, f := range d.follows {
			f.wait()
		}
		_ = cfg.Journal.Release(context.WithoutCancel(ctx), lease)
	}
	return d.state, d.err
}

// Killed reports whether a run was ended by a test's trap.
func Killed(err error) bool { return errors.Is(err, errKilled) }

func (d *driver) now() launch.At { return launch.At(d.cfg.Now()) }

func (d *driver) loop() {
	renew := time.NewTicker(leaseRenew)
	defer renew.Stop()
	for d.err == nil && d.state.End == nil {
		var timer <-chan time.Time
		if due := d.state.Due(); !due.IsZero() {
			timer = time.After(max(d.nap, due.Sub(d.cfg.Now())) + time.Millisecond)
		}
		select {
		case <-d.ctx.Done():
			d.err = d.ctx.Err()
		case a := <-d.events:
			d.answered(a)
		case hard := <-d.cfg.Signal:
			d.apply(launch.Interrupted{At: d.now(), Hard: hard})
		case <-renew.C:
			d.renew()
		case <-d.noted:
			d.write()
			continue
		case <-timer:
			d.tick()
			continue
		}
		d.nap = 0
	}
}

// tick lets time have its say. A tick that leads to nothing is not stored, and the next one waits a little longer: what
// is due then hangs on an answer that is still on its way.
func (d *driver) tick() {
	e := launch.Tick{At: d.now()}
	if _, effects := launch.Next(d.state, e); len(effects) == 0 {
		d.nap = min(d.nap+100*time.Millisecond, time.Second)
		return
	}
	d.nap = 0
	d.apply(e)
}

// answered takes in what came of an effect.
func (d *driver) answered(a done) {
	if a.effect != 0 && !a.killed {
		d.notes.Done = append(d.notes.Done, store.Ended{Effect: a.effect, Outcome: a.outcome, At: d.cfg.Now()})
		d.note()
	}
	if a.killed {
		d.err = errKilled
	}
	if d.err != nil || a.kind != nil && d.trap(AfterAct, a.kind) {
		return
	}
	if a.report != nil {
		d.emit(*a.report)
	}
	if l, ok := a.event.(launch.Listed); ok {
		d.show(l)
		a.event = d.vouch(l)
	}
	if a.event != nil {
		d.apply(a.event)
	}
}

// show tells the watches what the provider says of their machines. A watch that is busy misses a look; the next comes.
func (d *driver) show(l launch.Listed) {
	for _, in := range l.Instances {
		if f := d.follows[in.AttemptID]; f != nil && in.OwnerID == d.state.Owner {
			select {
			case f.seen <- in:
			default:
			}
		}
	}
}

// vouch decides whether a list may say that a machine is missing: only one read through the door and with the key that
// made it, or with a key that has shown it.
func (d *driver) vouch(l launch.Listed) launch.Event {
	shown := map[string]bool{}
	for _, in := range l.Instances {
		if in.OwnerID == d.state.Owner {
			shown[in.AttemptID] = true
		}
	}
	for _, a := range d.state.Unsettled() {
		if shown[a.ID] && a.Address == d.cfg.Address {
			d.seen[a.ID] = true
		}
		if !d.trusted(a) {
			return launch.ListFailed{At: l.At, Kind: launch.FailAuth, Detail: d.otherDoor(a)}
		}
	}
	return l
}

func (d *driver) otherDoor(a launch.Attempt) string {
	return fmt.Sprintf("it was made through %s with key %s; here is %s with key %s", a.Address, a.Account, d.cfg.Address, d.cfg.Account)
}

// trusted reports whether our address and key can deny an attempt's machine.
func (d *driver) trusted(a launch.Attempt) bool {
	id, _, _ := strings.Cut(a.ID, "/") // a duplicate goes with its original
	return a.Address == d.cfg.Address && (a.Account == d.cfg.Account || d.seen[id])
}

func (d *driver) trap(p Point, e launch.Effect) bool {
	if d.err == nil && d.cfg.Trap != nil && d.cfg.Trap(p, e) {
		d.err = errKilled
	}
	return errors.Is(d.err, errKilled)
}

// renew keeps the lease and looks whether the task is still wanted.
func (d *driver) renew() {
	if err := d.cfg.Journal.Renew(d.ctx, d.lease, d.cfg.Now().Add(leaseFor)); err != nil {
		d.err = err
		return
	}
	t, err := d.cfg.Journal.Task(d.ctx, d.lease.Task)
	if err != nil {
		d.err = err
		return
	}
	if t.Wanted == launch.WantGone && d.state.Wanted != launch.WantGone {
		d.apply(launch.DownWanted{At: d.now(), Why: t.WantedWhy})
	}
}

// apply makes one step: next state, committed with its effects, and only then the effects.
func (d *driver) apply(e launch.Event) {
	if d.err != nil {
		return
	}
	next, effects := launch.Next(d.state, e)
	for _, f := range effects {
		if d.trap(BeforeCommit, f) {
			return
		}
	}
	ids, err := d.cfg.Journal.Commit(d.ctx, store.Step{Lease: d.lease, Version: d.version, State: next, Effects: effects, At: d.cfg.Now(), Notes: d.notes})
	if err == nil {
		d.notes, d.noted = store.Notes{}, nil
	}
	switch {
	case errors.Is(err, store.ErrGone):
		// down was there first: the create must not happen, and the state that wanted it is dropped.
		t, terr := d.cfg.Journal.Task(d.ctx, d.lease.Task)
		if terr != nil {
			d.err = terr
			return
		}
		d.apply(launch.DownWanted{At: d.now(), Why: t.WantedWhy})
		return
	case err != nil:
		d.err, d.unsaved = err, e
		return
	}
	if p, ok := e.(launch.Planned); ok {
		d.reportPlan(next, p)
	}
	d.state, d.version = next, d.version+1
	for i, f := range effects {
		if d.trap(AfterCommit, f) {
			return
		}
		d.perform(ids[i], f)
	}
}

// attempt is a copy of an attempt of the present state.
func (d *driver) attempt(id string) launch.Attempt {
	for _, a := range d.state.Attempts {
		if a.ID == id {
			return a
		}
	}
	return launch.Attempt{ID: id}
}

// call runs f beside the loop and sends what comes of it.
func (d *driver) call(id int64, e launch.Effect, f func() (launch.Event, string)) {
	go func() {
		ev, outcome := f()
		select {
		case d.events <- done{effect: id, kind: e, outcome: outcome, event: ev, killed: outcome == killedWord}:
		case <-d.ctx.Done():
		}
	}()
}

// note sees to it that notes are stored soon, whether or not a step comes.
func (d *driver) note() {
	if d.noted == nil {
		d.noted = time.After(noteAfter)
	}
}

// write stores the notes that no step took along.
func (d *driver) write() {
	_ = d.cfg.Journal.Note(context.WithoutCancel(d.ctx), d.lease.Task, d.notes)
	d.notes, d.noted = store.Notes{}, nil
}

func (d *driver) emit(e report.Event) {
	if e.At.IsZero() {
		e.At = d.cfg.Now()
	}
	d.account(&e)
	if e.Log == nil { // lines are stored as logs
		if doc, err := json.Marshal(e); err == nil {
			d.notes.Events = append(d.notes.Events, store.EventLine{At: e.At, JSON: doc})
			d.note()
		}
	}
	if d.cfg.Sink != nil {
		_ = d.cfg.Sink.Emit(e)
	}
}

// account fills in what the task has cost by then, and where it has to end, in what tells of its way.
func (d *driver) account(e *report.Event) {
	spent, limit := d.state.Spent(d.cfg.Now()), d.state.Budget
	switch {
	case e.Phase != nil:
		e.Phase.Spent, e.Phase.Cap = spent, limit
	case e.Progress != nil:
		e.Progress.Spent, e.Progress.Cap = spent, limit
		if a := d.state.Current(); a != nil {
			e.Progress.Seconds = max(0, e.At.Sub(a.Intended).Seconds())
		}
	case e.Expect != nil:
		e.Expect.Spent, e.Expect.Cap = spent, limit
	}
}

func (d *driver) reportPlan(next launch.State, p launch.Planned) {
	for _, a := range next.Attempts {
		if a.ID == p.AttemptID {
			price := p.Price + p.Disk
			d.emit(report.Event{Plan: &report.Plan{
				Attempt: a.N, Rank: p.Stack.Rank, Summary: p.Summary, PricePerHour: &price,
				ReadySeconds: p.Stack.Ready.Seconds, Measured: p.Stack.Ready.Measured, Guarded: p.Stack.Guarded,
			}})
		}
	}
}

// Problem words the end of a run as an error with the exit status; nil for an endpoint that is ready or a task that
// was taken down as asked.
func Problem(s launch.State) *problem.Problem {
	if s.End == nil || s.End.Exit == problem.ExitOK {
		return nil
	}
	what := map[string]string{
		"failed":    "no proven endpoint for " + s.Model,
		"refused":   "nothing can serve " + s.Model,
		"cancelled": "interrupted: " + s.Name + " is torn down",
		"detached":  "detached from " + s.Name,
	}[s.End.Outcome]
	if s.End.Code == launch.CodeNotGone {
		what = "interrupted: " + s.Name + " is not proven gone"
	}
	p := problem.New(s.End.Exit, problem.Code(s.End.Code), "%s", what)
	if s.End.Reason != "" {
		p = p.Because("%s", s.End.Reason)
	}
	switch diagnose.Code(s.End.Code) {
	case diagnose.DiskFull:
		p = p.Try("make room, or keep environments and weights elsewhere", "export JUSTRIGHT_CACHE_DIR=DIR")
	case diagnose.ExecNotFound, diagnose.PythonVersionUnsupported, diagnose.PythonVenvMissing, diagnose.PortInUse, diagnose.HostOOMKilled:
		p = p.Try("see what is lacking", "justright doctor --on "+s.Target)
	default:
		p = namespaceHint(p, s)
	}
	for _, a := range s.Unsettled() {
		switch {
		case a.Phase == launch.Open:
			p = p.Try("a create was never answered; look again for what came of it", "justright gc")
		case a.Phase.Billing():
			words := fmt.Sprintf("machine %s may bill $%s/h", a.PodID, a.Hourly().Cents())
			if a.Hourly() == 0 { // a machine of one's own, or of a cluster that tells no price
				words = "machine " + a.PodID + " goes on"
			}
			p = p.Try(words, "justright down "+s.Name)
		}
	}
	return p
}
