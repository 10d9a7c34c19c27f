package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"justright/internal/provider"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
	"justright/report"
)

// perform does one effect that is committed. What takes time runs beside the loop.
func (d *driver) perform(id int64, e launch.Effect) {
	switch e := e.(type) {
	case launch.FindPlan:
		s := d.state
		d.call(id, e, func() (launch.Event, string) { return d.findPlan(s) })
	case launch.Create:
		s, a := d.state, d.attempt(e.Attempt)
		d.call(id, e, func() (launch.Event, string) { return d.create(s, a) })
	case launch.LookUp, launch.Poll:
		s := d.state
		d.call(id, e, func() (launch.Event, string) { return d.list(s) })
	case launch.Follow:
		d.follow(id, e)
	case launch.Prove:
		a := d.attempt(e.Attempt)
		d.call(id, e, func() (launch.Event, string) { return d.prove(a, e) })
	case launch.SaveLogs:
		d.saveLogs(id, e)
	case launch.Delete:
		a := d.attempt(e.Attempt)
		d.call(id, e, func() (launch.Event, string) { return d.delete(a, e) })
	case launch.Confirm:
		a, other := d.attempt(e.Attempt), ""
		if !d.trusted(a) {
			other = d.otherDoor(a)
		}
		d.call(id, e, func() (launch.Event, string) { return d.confirm(a, e, other) })
	case launch.Settle:
		d.settle(id, e)
	case launch.Learn:
		d.finish(id, e, d.cfg.Journal.Teach(d.ctx, e.Lesson))
	case launch.Tell:
		d.tell(e)
		d.finish(id, e, nil)
	case launch.Stop:
		d.finish(id, e, nil)
	}
}

// finish notes an effect that is done at once.
func (d *driver) finish(id int64, e launch.Effect, err error) {
	outcome := "ok"
	if err != nil {
		outcome = err.Error()
	}
	d.answered(done{effect: id, kind: e, outcome: outcome})
}

func (d *driver) findPlan(s launch.State) (launch.Event, string) {
	p, err := d.cfg.Planner.Next(d.ctx, s)
	if err != nil {
		pr := problem.From(err)
		reason := pr.Summary
		if pr.Cause != "" {
			reason += ": " + pr.Cause
		}
		return launch.NoPlan{At: d.now(), Exit: pr.Exit, Code: string(pr.Code), Reason: reason}, reason
	}
	id := d.cfg.NewID()
	return launch.Planned{
		At: d.now(), AttemptID: id, PodName: "jr-" + s.Name + "-" + id[:4], Stack: p.Stack, Summary: p.Summary, Price: p.Price,
		Disk: p.Disk, Boot: p.Boot, Address: d.cfg.Address, Account: d.cfg.Account,
	}, p.Summary
}

func (d *driver) create(s launch.State, a launch.Attempt) (launch.Event, string) {
	spec, err := d.cfg.Planner.Spec(d.ctx, s, a)
	if err != nil {
		return launch.CreateFailed{At: d.now(), Attempt: a.ID, Kind: launch.FailRejected, Definite: true, Detail: err.Error()}, err.Error()
	}
	ctx, cancel := context.WithTimeout(d.ctx, createFor)
	defer cancel()
	in, err := d.cfg.Provider.Create(ctx, spec)
	if err != nil {
		f := launch.CreateFailed{At: d.now(), Attempt: a.ID, Kind: provider.KindOf(err), Definite: definite(err), Detail: err.Error()}
		return f, err.Error()
	}
	if d.cfg.Trap != nil && d.cfg.Trap(AfterCall, launch.Create{Attempt: a.ID}) {
		return nil, killedWord
	}
	// The answer is a fact, whoever drives the task by now.
	_ = d.cfg.Journal.Answered(context.WithoutCancel(d.ctx), a.ID, in, d.cfg.Now())
	return launch.Created{At: d.now(), Attempt: a.ID, Instance: in}, in.ID
}

// definite reports whether a failed create certainly made nothing: the provider answered with a refusal, or the request
// never left this machine. Everything else may have been carried out.
func definite(err error) bool {
	var e *provider.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case launch.FailAuth, launch.FailQuota, launch.FailNoCapacity, launch.FailRejected, launch.FailNotFound, launch.FailConflict,
		launch.FailRoom, launch.FailPolicy, launch.FailNoNamespace:
		return true
	case launch.FailTemporary:
		var op *net.OpError
		return e.Status == http.StatusTooManyRequests || e.Status == 0 && errors.As(err, &op) && op.Op == "dial"
	default:
		return false
	}
}

func (d *driver) list(s launch.State) (launch.Event, string) {
	ctx, cancel := context.WithTimeout(d.ctx, callFor)
	defer cancel()
	ins, err := d.cfg.Provider.List(ctx)
	if err != nil {
		return launch.ListFailed{At: d.now(), Kind: provider.KindOf(err), Detail: err.Error()}, err.Error()
	}
	known := map[string]bool{}
	for _, in := range ins {
		known[in.ID] = true
	}
	for _, a := range s.Attempts {
		if a.Phase.Settled() || a.PodID != "" || a.Duplicate || a.Address != d.cfg.Address || a.Account != d.cfg.Account {
			continue // what another key was answered, ours has not shown
		}
		// Somebody else may have had the answer while the list lags.
		more, err := d.cfg.Journal.Answers(ctx, a.ID)
		if err != nil {
			continue
		}
		for _, in := range more {
			if !known[in.ID] {
				in.AttemptID, in.OwnerID = a.ID, s.Owner
				ins = append(ins, in)
			}
		}
	}
	return launch.Listed{At: d.now(), Instances: slices.DeleteFunc(ins, func(in launch.Instance) bool {
		return in.ID == d.cfg.Self && d.cfg.Self != ""
	})}, fmt.Sprintf("%d machines", len(ins))
}

func (d *driver) delete(a launch.Attempt, e launch.Delete) (launch.Event, string) {
	if e.PodID == d.cfg.Self && e.PodID != "" {
		return launch.DeleteAnswered{At: d.now(), Attempt: a.ID, Kind: launch.FailConflict, Detail: "this process runs in that pod"}, "self"
	}
	ctx, cancel := context.WithTimeout(d.ctx, callFor)
	defer cancel()
	if err := d.cfg.Provider.Delete(ctx, e.PodID); err != nil {
		return launch.DeleteAnswered{At: d.now(), Attempt: a.ID, Kind: provider.KindOf(err), Detail: err.Error()}, err.Error()
	}
	return launch.DeleteAnswered{At: d.now(), Attempt: a.ID}, "ok"
}

func (d *driver) confirm(a launch.Attempt, e launch.Confirm, other string) (launch.Event, string) {
	if other != "" {
		return launch.Unsure{At: d.now(), Attempt: a.ID, Kind: launch.FailAuth, Detail: other}, other
	}
	ctx, cancel := context.WithTimeout(d.ctx, callFor)
	defer cancel()
	in, err := d.cfg.Provider.Get(ctx, e.PodID)
	switch {
	case err != nil:
		return launch.Unsure{At: d.now(), Attempt: a.ID, Kind: provider.KindOf(err), Detail: err.Error()}, err.Error()
	case in.Status == launch.Gone:
		return launch.Denied{At: d.now(), Attempt: a.ID}, "denied"
	default:
		return launch.Present{At: d.now(), Attempt: a.ID, Instance: in}, string(in.Status)
	}
}

func (d *driver) prove(a launch.Attempt, e launch.Prove) (launch.Event, string) {
	p, err := d.cfg.Prover.Prove(d.ctx, a, e.BaseURL, func(ev report.Event) {
		select {
		case d.events <- done{report: &ev}:
		case <-d.ctx.Done():
		}
	})
	if err != nil {
		return launch.Proved{At: d.now(), Attempt: a.ID, Retry: true, Detail: err.Error()}, err.Error()
	}
	if p.Document != nil {
		_ = d.cfg.Journal.SaveProof(d.ctx, d.lease.Task, d.cfg.Now(), p.Document)
	}
	return launch.Proved{At: d.now(), Attempt: a.ID, Passed: p.Passed, Detail: p.Detail, Cause: p.Cause, Lesson: p.Lesson}, p.Detail
}

// settle writes the bill of an attempt: by the provider's own figure when it has one already, else as an estimate.
func (d *driver) settle(effect int64, e launch.Settle) {
	a := d.attempt(e.Attempt)
	c := store.Cost{
		Task: d.lease.Task, Attempt: a.ID, N: a.N, PodID: a.PodID, Seconds: a.SecondsAt(d.cfg.Now()), Cost: a.Cost, Cause: a.Cause,
		Estimate: a.PodID != "" && a.Hourly() > 0,
	}
	id := a.PodID
	if id == "" {
		id = a.ID[:min(8, len(a.ID))]
	}
	d.emit(report.Event{Attempt: &report.Attempt{ID: id, Seconds: c.Seconds, Cost: c.Cost, Cause: a.Cause}})
	d.finish(effect, e, d.cfg.Journal.RecordCost(d.ctx, c))
}

func (d *driver) tell(e launch.Tell) {
	a, now := d.attempt(e.Attempt), d.cfg.Now()
	ev := report.State{
		Attempt: a.N, State: e.State, ID: a.PodID, Detail: e.Detail, Spent: d.state.Spent(now), Cap: d.state.Budget,
	}
	if !a.Intended.IsZero() {
		ev.Seconds = max(0, now.Sub(a.Intended).Seconds())
	}
	d.emit(report.Event{State: &ev})
	if a.Phase == launch.Booting && e.State == "created" && a.Hourly() > 0 {
		d.emit(report.Event{Note: &report.Note{Level: "info", Text: "unguarded until its guard reports; Ctrl-C tears it down"}})
	}
}
