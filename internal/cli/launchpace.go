package cli

import (
	"context"

	"justright/internal/pace"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/report"
	"justright/solve"
)

// pacedTasks is how many launches are read for what they tell about the next: more are too old to matter.
const pacedTasks = 30

// pastRuns are the launches of a journal that came to a proven endpoint on a target, oldest first.
func pastRuns(ctx context.Context, journal store.Store, target string) []pace.Run {
	all, err := journal.Tasks(ctx)
	if err != nil {
		return nil
	}
	var on []launch.State
	for _, t := range all {
		if t.State.Target == target && len(t.State.Attempts) > 0 {
			on = append(on, t.State)
		}
	}
	var out []pace.Run
	for _, s := range on[max(0, len(on)-pacedTasks):] {
		out = append(out, runsOf(ctx, journal, s)...)
	}
	return out
}

// runsOf are those of one task.
func runsOf(ctx context.Context, journal store.Store, s launch.State) []pace.Run {
	lines, err := journal.Events(ctx, s.ID, 0, 5000)
	if err != nil {
		return nil
	}
	var events []report.Event
	for _, l := range lines {
		if e, err := report.Parse(l.JSON); err == nil && (e.Plan != nil || e.Phase != nil || e.State != nil) {
			events = append(events, e)
		}
	}
	x, err := readWish(ctx, journal, s.ID)
	if err != nil {
		return nil
	}
	return pace.Read(s, keeps(s.Target, x), events)
}

// runs are the past launches on the planner's target, read once.
func (p *planner) runs(ctx context.Context) []pace.Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.past == nil && p.journal != nil {
		p.past = append([]pace.Run{}, pastRuns(ctx, p.journal, p.t.word)...)
	}
	return p.past
}

func (p *planner) paceOf(st solve.Stack) pace.Key {
	return pace.KeyOf(p.t.word, p.wish.Model.ID, keeps(p.t.word, p.wish), st)
}

// foreseen puts what this person's launches on a target needed into plans for it, for commands that only read. Without a
// journal there is nothing, and none is made.
func (w *World) foreseen(ctx context.Context, target, model string, plans []solve.Stack) {
	if target == "" || len(plans) == 0 || !w.hasJournal() {
		return
	}
	journal, err := w.openJournal(ctx)
	if err != nil {
		return
	}
	defer func() { _ = journal.Close() }()
	foresee(plans, pastRuns(ctx, journal, target), func(st solve.Stack) pace.Key { return pace.KeyOf(target, model, keeps(target, wish{}), st) })
}

// foresee puts what was measured in place of what the facts predict, where launches like a plan were seen.
func foresee(plans []solve.Stack, runs []pace.Run, key func(solve.Stack) pace.Key) {
	for i := range plans {
		st := &plans[i]
		seconds, from := pace.Predict(runs, key(*st), st.Ready.Seconds)
		if from == 0 {
			continue
		}
		st.Ready = solve.Ready{Seconds: seconds, Measured: from}
		if st.PricePerHour != nil {
			st.Ready.Dollars = &[2]money.USD{*st.PricePerHour * money.USD(seconds[0]) / 3600, *st.PricePerHour * money.USD(seconds[1]) / 3600}
		}
	}
}

// keeps reports whether environment and weights outlive a machine.
func keeps(target string, x wish) bool { return target == onLocal || x.VolumeID != "" }
