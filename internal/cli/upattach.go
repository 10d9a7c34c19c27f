package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/internal/store"
	"justright/launch"
	"justright/problem"
	"justright/report"
	"justright/solve"
)

// attach is a second up of a model: it goes along with what runs, or takes up what broke off. open is the stream that was
// begun already; nil: none.
func (w *World) attach(ctx context.Context, journal *store.Journal, t store.Task, r upRequest, open *sinks) error {
	x, err := readWish(ctx, journal, t.State.ID)
	if err != nil {
		return err
	}
	if err := w.sameWish(ctx, journal, t, x, r); err != nil {
		return err
	}
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return err
	}
	tg, err := w.targetOf(ctx, t.State)
	if err != nil {
		return err
	}
	clock, err := w.clockOf(ctx, tg)
	if err != nil {
		return err
	}
	if open == nil {
		sink := w.newSinks(r.asJSON, r.verbose)
		defer sink.close()
		open = &sink
		_ = sink.Emit(report.Event{At: clock(), Begin: &report.Begin{Protocol: 1, Command: "up", Model: t.State.Model, Target: t.State.Target, Name: t.State.Name,
			Budget: t.State.Budget, Why: "attaching: it is " + t.State.Word()}})
	} else {
		_ = open.Emit(report.Event{At: clock(), Note: &report.Note{Level: "info", Text: "another up began " + t.State.Name + " just now; attaching to it"}})
	}
	return w.accompany(ctx, journal, tg, w.plannerFor(tg, journal, x, key), t.State.ID, *open, clock)
}

// accompany stays with a task until its run ends: it drives it, or shows what the process that does so stores.
func (w *World) accompany(ctx context.Context, journal store.Store, t target, p *planner, task string, sink sinks, clock func() time.Time) error {
	for {
		if w.driven(ctx, journal, task, clock()) {
			end, ferr := w.followEvents(ctx, journal, task, sink, clock)
			if ferr != nil && ctx.Err() != nil {
				return w.waitedOn(ctx, journal, task, sink)
			}
			if ferr != nil || end {
				return w.attached(ctx, journal, task, p, sink, ferr)
			}
			continue
		}
		if err := w.drive(ctx, journal, t, p, task, sink, clock); !errors.Is(err, store.ErrHeld) {
			return err
		}
	}
}

// sameWish refuses to attach to a launch that is not what was asked for; at a terminal it asks instead.
func (w *World) sameWish(ctx context.Context, journal store.Store, t store.Task, x wish, r upRequest) error {
	diffs := w.differences(t.State, x, r)
	if len(diffs) == 0 {
		return nil
	}
	if w.StdinTTY && !r.asJSON {
		yes, err := w.ask(fmt.Sprintf("%s runs already, and differs from what is asked for: %s. Attach to it as it is? [y/N] ", t.State.Name, strings.Join(diffs, "; ")))
		if err != nil || yes {
			return err
		}
	}
	other := t.State.Name
	if all, err := journal.Tasks(ctx); err == nil {
		other = freeName(all, other)
	}
	return problem.New(problem.ExitUsage, "differs", "%s runs already, and differs from what is asked for", t.State.Name).
		Because("%s", strings.Join(diffs, "; ")).
		Try("start a second beside it", w.again("--name", other)).
		Try("or take the running one down first", "justright down "+t.State.Name)
}

// differences lists what an up asks for by its flags that a launch was not started with. What it leaves open agrees with
// anything.
func (w *World) differences(s launch.State, x wish, r upRequest) []string {
	var out []string
	differ := func(flag, asked, has string) {
		if asked == has {
			return
		}
		if has == "" {
			has = "none"
		}
		out = append(out, fmt.Sprintf("--%s %s is asked for, it was started with %s", flag, asked, has))
	}
	have := pinTexts(x.Pins, w.cardID)
	for i, pin := range pinTexts(r.wish.Pins, w.cardID) {
		if pin[1] != "" {
			differ(pin[0], pin[1], have[i][1])
		}
	}
	if f := r.wish.Pins.Flags; len(f) > 0 && !slices.Equal(f, x.Pins.Flags) {
		differ("", strings.Join(f, " "), strings.Join(x.Pins.Flags, " "))
	}
	given := func(flag string, asked, has any) {
		if r.given[flag] {
			differ(flag, fmt.Sprint(asked), fmt.Sprint(has))
		}
	}
	given("context", r.wish.Context, x.Context)
	given("concurrency", r.wish.Concurrency, x.Concurrency)
	given("allow-unguarded", r.wish.AllowUnguarded, x.AllowUnguarded)
	given("anyway", r.wish.Anyway, x.Anyway)
	given("expose", r.wish.Expose, x.Expose)
	given("replicas", r.wish.Spread.Copies, x.Spread.Copies)
	given("nodes", r.wish.Spread.Nodes, x.Spread.Nodes)
	given("cloud", r.wish.Cloud, x.Cloud)
	given("volume", r.wish.VolumeID, x.VolumeID)
	given("data-center", strings.Join(r.wish.DataCenters, ","), strings.Join(x.DataCenters, ","))
	given("budget", "$"+r.budget.Cents(), "$"+s.Budget.Cents())
	given("ttl", r.ttl, s.TTL)
	given("idle", r.idle, s.Idle)
	if r.wish.MaxPrice != nil {
		has := ""
		if x.MaxPrice != nil {
			has = "$" + x.MaxPrice.Cents()
		}
		differ("max-price", "$"+r.wish.MaxPrice.Cents(), has)
	}
	if r.given["attempts"] {
		differ("attempts", fmt.Sprint(r.attempts), fmt.Sprint(s.Timing.MaxAttempts))
	}
	if r.wish.Locked != nil && (x.Locked == nil || launch.CandidateKey(*r.wish.Locked) != launch.CandidateKey(*x.Locked)) {
		out = append(out, "it was not started from this lock file's plan")
	}
	return out
}

// cardID is one name for a card of many.
func (w *World) cardID(name string) string {
	if facts, err := w.facts(); err == nil {
		if g, ok := facts.FindGPU(name); ok {
			return g.ID
		}
	}
	return name
}

// pinTexts are the pins by the flags that set them, always in the same order; empty when left open.
func pinTexts(p solve.Pins, card func(string) string) [][2]string {
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	gpu := p.GPU
	if gpu != "" {
		gpu = card(gpu)
	}
	text := func(zero bool, v fmt.Stringer) string {
		if zero {
			return ""
		}
		return v.String()
	}
	return [][2]string{
		{"engine", p.Engine}, {"image", p.Image}, {"install", p.Install}, {"wheel-cuda", p.WheelCUDA}, {"torch", p.Torch}, {"transformers", p.Transformers},
		{"python", p.Python}, {"gpu", gpu}, {"gpus", number(int64(p.GPUs))}, {"host-cuda", text(p.HostCUDA.IsZero(), p.HostCUDA)},
		{"driver", text(p.Driver.IsZero(), p.Driver)}, {"capability", text(p.Capability.IsZero(), p.Capability)}, {"vram", number(p.VRAMBytes)},
		{"glibc", text(p.Glibc.IsZero(), p.Glibc)}, {"disk", number(p.DiskBytes)}, {"os", p.OS},
	}
}

// followEvents shows what another process stores, until its run ends (true) or it has gone away (false).
func (w *World) followEvents(ctx context.Context, journal store.Store, task string, sink sinks, clock func() time.Time) (ended bool, err error) {
	last := int64(0)
	if old, err := journal.Events(ctx, task, 0, 1<<20); err == nil && len(old) > 0 {
		last = old[len(old)-1].N
	}
	for {
		evs, err := journal.Events(ctx, task, last, 1000)
		if err != nil {
			return false, err
		}
		for _, e := range evs {
			last = e.N
			ev, err := report.Parse(e.JSON)
			if err != nil {
				continue
			}
			if ev.End != nil {
				return true, nil
			}
			_ = sink.Emit(ev)
		}
		if !w.driven(ctx, journal, task, clock()) {
			t, err := journal.Task(ctx, task)
			return err == nil && t.State.End != nil, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// attached is the end of an attached stream.
func (w *World) attached(ctx context.Context, journal store.Store, task string, p *planner, sink sinks, err error) error {
	if err != nil {
		return err
	}
	t, err := journal.Task(ctx, task)
	if err != nil {
		return err
	}
	if t.State.End == nil {
		return w.takenOver(ctx, journal, task, sink)
	}
	return w.finishUp(ctx, journal, t.State, p, sink, t.State.Clock(w.Now()))
}
