package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/internal/web"
	"justright/launch"
	"justright/problem"
	"justright/report"
)

// view is what the dashboard sees of a server.
type view struct {
	s            *server
	url, keyFile string

	mu     sync.Mutex
	tracks map[string]*track // by task
	heard  map[string]*track // by attempt
}

// track is how far a stream of the journal was read, and what it said last.
type track struct {
	after   int64
	lines   []string
	phase   string
	percent int
}

// How much of the past a page shows.
const (
	logLines  = 8
	pastShown = 12
	readMost  = 2000
)

var _ web.Source = (*view)(nil)

// Page is how things stand.
func (v *view) Page(ctx context.Context) (web.Page, error) {
	s := v.s
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return web.Page{}, err
	}
	now, states := s.w.Now(), statesOf(tasks)
	p := web.Page{BaseURL: v.url + "/v1", KeyFile: v.keyFile}
	for _, id := range s.modelsOf(states) {
		d, _ := gateway.SpentOn(states, id, now)
		p.PerHour += d.PerHour
		p.Today += d.Today
	}
	at := map[string]gateway.Status{}
	for _, r := range s.fleet.Status() {
		at[r.Task] = r
	}
	for _, m := range s.models {
		p.Models = append(p.Models, v.model(ctx, m, states, now))
	}
	for _, t := range tasks {
		if !t.State.Over() {
			p.Launches = append(p.Launches, v.launch(ctx, t, at[t.State.ID], now))
		}
	}
	for _, t := range slices.Backward(tasks) {
		if t.State.Over() && len(t.State.Attempts) > 0 && len(p.Past) < pastShown {
			p.Past = append(p.Past, v.past(t, now))
		}
	}
	lessons, err := s.journal.Lessons(ctx, now)
	if err != nil {
		return web.Page{}, err
	}
	for _, l := range slices.Backward(lessons) {
		p.Lessons = append(p.Lessons, web.Lesson{Text: s.clean(l.Words()), Cause: l.Cause, Expires: day(l.Expires)})
	}
	return p, nil
}

// model is one that may be woken.
func (v *view) model(ctx context.Context, m *servedModel, states []launch.State, now time.Time) web.Model {
	s := v.s
	d, committed := gateway.SpentOn(states, m.id, now)
	out := web.Model{ID: m.id, Aliases: m.aliases, State: "asleep", Today: d.Today, Daily: m.daily, Budget: m.req.budget, Idle: m.req.idle, Most: m.replicas.most}
	for _, r := range s.fleet.Status() {
		if r.Model == m.id {
			out.State = "ready"
			out.Machines++
			out.Requests += r.InFlight
		}
	}
	if out.State == "ready" {
		return out
	}
	if s.gw.Waking(m.id) {
		out.State, out.Doing = "waking", s.Outlook(m.id).Doing
		return out
	}
	s.mu.Lock()
	why := s.paused[m.id]
	s.mu.Unlock()
	n, cause, _ := gateway.FailedBoots(states, m.id, s.forgiven(ctx, m.id), func(st launch.State) bool { return s.proven(ctx, st.ID) })
	switch {
	case why != "":
		out.Stopped = why + "; nothing wakes it until told otherwise"
	case n >= maxFailedBoots:
		out.Stopped = fmt.Sprintf("%d machines in a row failed, the last by %s; nothing wakes it until told otherwise", n, cause)
	case m.daily-committed < minWake:
		out.State, out.Doing = "stopped", "today's budget is spent or reserved; it may be woken again after midnight UTC"
		return out
	default:
		return out
	}
	out.State = "stopped"
	return out
}

// launch is one that is not over.
func (v *view) launch(ctx context.Context, t store.Task, r gateway.Status, now time.Time) web.Launch {
	st := t.State
	out := web.Launch{
		Name: st.Name, Model: st.Model, Target: st.Target, State: st.Word(), Spent: st.Spent(now), Cap: st.Budget, Since: st.Started, Idle: st.Idle,
		InFlight: r.InFlight, Served: r.Served, Ejected: r.Ejected, Receipt: receiptLines(st, now),
	}
	if t.Wanted == launch.WantGone && out.State != "open" {
		out.State = "ending"
	}
	for _, a := range st.Unsettled() {
		if a.PodID != "" {
			out.PerHour += a.Hourly()
		}
	}
	if c := st.Current(); c != nil {
		out.Machine, out.Where, out.Plan, out.Guarded = c.PodID, c.Place(), c.Summary, c.Armed
		out.Seconds, out.HasTTL = c.SecondsAt(now), !c.EndBy.IsZero()
		if e := endsBy(*c); e != nil {
			out.EndsBy = *e
		}
		if c.Phase == launch.Ready && c.BaseURL != "" {
			out.BaseURL = c.BaseURL + "/v1"
		}
		out.Log = v.log(ctx, c.ID)
	}
	if out.State != "ready" && out.State != "ending" {
		out.Phase, out.Percent = v.phase(ctx, st.ID)
	}
	out.Proof = v.proof(ctx, st.ID)
	return out
}

func (v *view) past(t store.Task, now time.Time) web.Launch {
	st := t.State
	out := web.Launch{Name: st.Name, Model: st.Model, Target: st.Target, State: "ended", Spent: st.Spent(now), Receipt: receiptLines(st, now),
		Estimate: receiptOf([]launch.State{st}, now).Estimate, Outcome: "ended"}
	switch {
	case t.Wanted == launch.WantGone && t.WantedWhy == gateway.CauseIdle:
		out.Outcome = "removed when idle"
	case t.Wanted == launch.WantGone && t.WantedWhy == gateway.CauseDead:
		out.Outcome = "removed when its engine was dead"
	case t.Wanted == launch.WantGone:
		out.Outcome = "taken down"
	case st.End != nil && st.End.Outcome != "ready":
		out.Outcome = st.End.Outcome
	}
	return out
}

func receiptLines(st launch.State, now time.Time) []web.Attempt {
	var out []web.Attempt
	for _, a := range st.Attempts {
		id := a.PodID
		if id == "" {
			id = a.ID
		}
		out = append(out, web.Attempt{Machine: id, Plan: a.Summary, State: string(a.Phase), Seconds: a.SecondsAt(now), Cost: a.CostAt(now), Cause: a.Cause, Detail: a.Detail})
	}
	return out
}

// log is what a machine said last. The journal is read on from where the last page stopped.
func (v *view) log(ctx context.Context, attempt string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := trackOf(v.heard, attempt)
	for {
		ls, err := v.s.journal.Log(ctx, attempt, k.after, readMost)
		if err != nil || len(ls) == 0 {
			return slices.Clone(k.lines)
		}
		for _, l := range ls {
			k.after = l.N
			k.lines = append(k.lines, v.s.clean(l.Text))
		}
		if n := len(k.lines); n > logLines {
			k.lines = slices.Clone(k.lines[n-logLines:])
		}
	}
}

func trackOf(all map[string]*track, id string) *track {
	k := all[id]
	if k == nil {
		k = &track{}
		all[id] = k
	}
	return k
}

// phase is what a launch is at, by the events that whoever drives it stores.
func (v *view) phase(ctx context.Context, task string) (string, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := trackOf(v.tracks, task)
	for {
		evs, err := v.s.journal.Events(ctx, task, k.after, readMost)
		if err != nil || len(evs) == 0 {
			return k.phase, k.percent
		}
		for _, e := range evs {
			k.after = e.N
			if ev, err := report.Parse(e.JSON); err == nil {
				k.note(ev)
			}
		}
	}
}

func (k *track) note(e report.Event) {
	switch {
	case e.Plan != nil:
		k.phase, k.percent = "attempt "+fmt.Sprint(e.Plan.Attempt)+": "+e.Plan.Summary, 0
	case e.Phase != nil && e.Phase.Status == "start":
		k.phase, k.percent = e.Phase.Name, 0
	case e.Progress != nil && e.Progress.Total > 0:
		k.phase, k.percent = e.Progress.Phase, int(min(100, e.Progress.Done*100/e.Progress.Total))
	case e.Finding != nil:
		k.phase, k.percent = "failed by "+e.Finding.Cause+"; "+e.Finding.Next, 0
	case e.State != nil:
		k.phase, k.percent = strings.TrimSpace(e.State.State+" "+e.State.Detail), 0
	}
}

// proof words a launch's newest proof.
func (v *view) proof(ctx context.Context, task string) string {
	doc, err := v.s.journal.Proof(ctx, task)
	if err != nil {
		return ""
	}
	var p struct {
		Passed bool `json:"passed"`
		Checks []struct {
			Passed bool `json:"passed"`
		} `json:"checks"`
	}
	if json.Unmarshal(doc, &p) != nil {
		return ""
	}
	n := 0
	for _, c := range p.Checks {
		if c.Passed {
			n++
		}
	}
	if p.Passed {
		return fmt.Sprintf("%d checks passed", n)
	}
	return fmt.Sprintf("%d of %d checks passed", n, len(p.Checks))
}

// live finds a launch that is not over.
func (v *view) live(ctx context.Context, name string) (store.Task, error) {
	tasks, err := v.s.journal.Tasks(ctx)
	if err != nil {
		return store.Task{}, err
	}
	return findTask(liveTasks(tasks), name)
}

// Down commits that a launch is to be gone; whoever drives it, or the supervisor, does the rest.
func (v *view) Down(ctx context.Context, name string) error {
	t, err := v.live(ctx, name)
	if err != nil {
		return err
	}
	if err := v.s.journal.WantGone(ctx, t.State.ID, launch.CauseDown); err != nil {
		return err
	}
	v.s.say("%s: taken down from the dashboard", t.State.Name)
	nudge(v.s.poke)
	nudge(v.s.doubt)
	return nil
}

// Extend moves the end of a launch as `justright extend` does.
func (v *view) Extend(ctx context.Context, name string, ttl time.Duration) error {
	t, err := v.live(ctx, name)
	if err != nil {
		return err
	}
	end, err := v.s.w.extendTask(ctx, v.s.journal, t, ttl)
	if err != nil {
		v.s.say("%s: its end was not moved: %s", t.State.Name, v.s.clean(problem.From(err).Error()))
		return err
	}
	v.s.say("%s ends by %s", t.State.Name, end.Format(time.RFC3339))
	return nil
}

// Forgive lets a model be woken again.
func (v *view) Forgive(ctx context.Context, model string) error {
	if v.s.model(model) == nil {
		return problem.New(problem.ExitUsage, "unknown_launch", "%q is not among the models that are woken", model)
	}
	v.s.say("%s may be woken again", model)
	return v.s.forgive(ctx, model)
}
