package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
)

// maxFailedBoots is how many machines in a row may fail to become an endpoint before a model is no longer woken.
const maxFailedBoots = 3

// minWake is the least that a wake is begun with.
const minWake = money.Dollar / 100

// forgivenKey is where the journal remembers since when failures count.
const forgivenKey = "serve/forgiven/"

// outlook is what a wake is at.
type outlook struct {
	began  time.Time
	doing  string
	expect time.Duration
	spent  money.USD
	limit  money.USD
}

// Outlook is what those who wait are told.
func (s *server) Outlook(model string) gateway.Outlook {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlooks[model]
	return gateway.Outlook{Doing: o.doing, Expect: o.expect}
}

// Wake brings a model up by the same steps as up, or goes along with a launch of it that is under way.
func (s *server) Wake(ctx context.Context, model string) error {
	m := s.model(model)
	if m == nil {
		return &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "model_not_running", Message: model + " is not among the models that are woken"}
	}
	s.mu.Lock()
	s.outlooks[model] = outlook{began: s.w.Now()}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.outlooks, model)
		s.mu.Unlock()
	}()
	task := ""
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		running, err := s.w.running(ctx, s.journal, m.req)
		if err != nil {
			return s.refusal(err)
		}
		switch {
		case running == nil && task != "": // what was begun or followed has ended
			return s.failure(ctx, task)
		case running == nil:
			if task, err = s.start(ctx, m); err != nil {
				return s.refusal(err)
			}
		default:
			task = running.State.ID
		}
		if err := s.accompanyTask(ctx, task); err != nil {
			return s.refusal(err)
		}
		if s.serving(task) {
			return nil
		}
	}
}

// serving reports whether a task is among the replicas.
func (s *server) serving(task string) bool {
	return slices.ContainsFunc(s.fleet.Status(), func(r gateway.Status) bool { return r.Task == task && !r.Leaving })
}

// accompanyTask returns when a task is ready, over, or driven by nobody any more.
func (s *server) accompanyTask(ctx context.Context, task string) error {
	for {
		s.adopt(ctx)
		t, err := s.journal.Task(ctx, task)
		if err != nil {
			return err
		}
		if s.serving(task) || t.State.Over() || t.Wanted == launch.WantGone {
			return nil
		}
		if !s.driving(task) {
			h, _, err := s.journal.Leaseholder(ctx, task)
			if err != nil || s.w.dead(h) || h == s.w.holder() {
				if err := s.take(ctx, t); err != nil {
					return err
				}
			}
		}
		wait := time.NewTimer(300 * time.Millisecond)
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
	}
}

// start begins a launch of a model, if that is allowed.
func (s *server) start(ctx context.Context, m *servedModel) (task string, err error) {
	r, err := s.allowed(ctx, m)
	if err != nil {
		return "", err
	}
	t, err := s.target(ctx, m)
	if err != nil {
		return "", err
	}
	clock, err := s.w.clockOf(ctx, t)
	if err != nil {
		return "", err
	}
	p := s.w.plannerFor(t, s.journal, r.wish, newSecret())
	task, first, err := s.w.startTask(ctx, s.journal, t, p, r, s.sink(m.id, ""), clock)
	switch {
	case err != nil:
		return "", err
	case first != nil:
		return first.State.ID, nil
	}
	if r.ttl != m.req.ttl {
		if err := s.journal.SetSetting(ctx, leaseKey+task, "1"); err != nil {
			return "", err
		}
	}
	s.say("waking %s: $%s of today's $%s at most", m.id, r.budget.Cents(), m.daily.Cents())
	s.drive(t, p, task, clock)
	return task, nil
}

// allowed says what a wake may spend now, or why there is none.
func (s *server) allowed(ctx context.Context, m *servedModel) (upRequest, error) {
	r := m.req
	s.mu.Lock()
	why, stopping := s.paused[m.id], s.stopping
	s.mu.Unlock()
	if stopping {
		return r, &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "draining", Message: "the gateway is about to stop", RetryAfter: 5 * time.Second}
	}
	if why != "" {
		return r, &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "taken_down", Final: true,
			Message: why + ", and nothing wakes it until told otherwise: by the dashboard, or by justright up " + m.id}
	}
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return r, err
	}
	states, now := statesOf(tasks), s.w.Now()
	n, cause, detail := gateway.FailedBoots(states, m.id, s.forgiven(ctx, m.id), func(st launch.State) bool { return s.proven(ctx, st.ID) })
	if n >= maxFailedBoots {
		if detail != "" {
			cause += ": " + detail
		}
		return r, &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "wake_stopped", Final: true,
			Message: fmt.Sprintf("%d machines in a row failed to serve %s, the last by %s; nothing wakes it until told otherwise: by the dashboard, by justright serve --reset, or by an up that succeeds",
				n, m.id, s.clean(cause))}
	}
	if r.attempts == 0 || r.attempts > maxFailedBoots-n {
		r.attempts = maxFailedBoots - n
	}
	_, committed := gateway.SpentOn(states, m.id, now)
	left := m.daily - committed
	if left < minWake {
		return r, &gateway.Refusal{Status: http.StatusTooManyRequests, Type: "insufficient_quota", Code: "daily_budget_reached", Final: true,
			RetryAfter: now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now),
			Message:    fmt.Sprintf("today's $%s for %s are spent or reserved ($%s); it may be woken again after midnight UTC", m.daily.Cents(), m.id, committed.Cents())}
	}
	r.budget = min(r.budget, left)
	if s.f.lease > 0 && r.ttl == 0 {
		r.ttl = s.f.lease + leaseBoot
	}
	return r, nil
}

// proven reports whether a task was ever an endpoint.
func (s *server) proven(ctx context.Context, task string) bool {
	doc, err := s.journal.Proof(ctx, task)
	if err != nil {
		return false
	}
	var p struct {
		Passed bool `json:"passed"`
	}
	return json.Unmarshal(doc, &p) == nil && p.Passed
}

// forgiven is since when failures of a model count.
func (s *server) forgiven(ctx context.Context, model string) time.Time {
	text, err := s.journal.Setting(ctx, forgivenKey+model)
	if err != nil || text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// forgive lets a model be woken again.
func (s *server) forgive(ctx context.Context, model string) error {
	if err := s.journal.SetSetting(ctx, forgivenKey+model, s.w.Now().UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.paused, model)
	s.mu.Unlock()
	if s.gw != nil {
		s.gw.Forgive(model)
	}
	return nil
}

func (s *server) forgiveAll(ctx context.Context) error {
	for _, m := range s.models {
		if err := s.forgive(ctx, m.id); err != nil {
			return err
		}
	}
	return nil
}

// failure words how a wake ended that led to nothing.
func (s *server) failure(ctx context.Context, task string) error {
	t, err := s.journal.Task(ctx, task)
	if err != nil {
		return s.refusal(err)
	}
	if t.Wanted == launch.WantGone {
		return &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "taken_down", RetryAfter: 5 * time.Second,
			Message: t.State.Name + " was taken down while it was being woken"}
	}
	why := "it ended before it was ready"
	if e := t.State.End; e != nil {
		why = e.Code
		if e.Reason != "" {
			why += ": " + e.Reason
		}
	}
	return &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "wake_failed", RetryAfter: 15 * time.Second,
		Message: s.clean(fmt.Sprintf("%s could not be woken: %s", t.State.Model, why))}
}

// refusal words an error of the road for clients: what asking again may cure, and what it will not.
func (s *server) refusal(err error) error {
	var r *gateway.Refusal
	if errors.As(err, &r) || errors.Is(err, context.Canceled) {
		return err
	}
	p := problem.From(err)
	r = &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: string(p.Code), RetryAfter: time.Minute,
		Message: s.clean(strings.TrimSuffix(p.Summary+"; "+p.Cause, "; "))}
	if p.Exit == problem.ExitNoStack || p.Exit == problem.ExitCredentials || p.Exit == problem.ExitUsage {
		r.Final = true
	}
	if p.Exit == problem.ExitBug {
		s.log.Error("wake", "err", s.clean(fmt.Sprint(err)))
	}
	s.say("not woken: %s", r.Message)
	return r
}

// target is where a model is launched; each place is reached through one client, whose limits of calls are shared.
func (s *server) target(ctx context.Context, m *servedModel) (target, error) {
	t, err := s.w.chooseTarget(ctx, m.req.on, func(t target) error {
		p := s.w.plannerFor(t, s.journal, m.req.wish, "")
		_, err := p.Next(ctx, launch.State{AllowUnguarded: true})
		return err
	})
	if err != nil {
		return target{}, err
	}
	if m.req.wish.Model.Local && t.rents() {
		return target{}, problem.New(problem.ExitUsage, "local_model", "%s is a directory of this machine, and %s cannot reach it", m.id, t.word)
	}
	return s.door(t), nil
}

// door is the one client for a place.
func (s *server) door(t target) target {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := t.word + " " + t.address + " " + t.account
	if old, ok := s.doors[key]; ok {
		t.provider, t.local = old.provider, old.local
		return t
	}
	if _, dead := t.provider.(vanished); !dead {
		s.doors[key] = t
	}
	return t
}

// resume takes up launches of our models that broke off, so that they go on to their next plan if need be.
func (s *server) resume(ctx context.Context, tasks []store.Task) {
	for _, t := range liveTasks(tasks) {
		m := s.model(t.State.Model)
		if m == nil || !s.ours(t) || s.driving(t.State.ID) {
			continue
		}
		h, _, err := s.journal.Leaseholder(ctx, t.State.ID)
		if err == nil && !s.w.dead(h) && h != s.w.holder() {
			continue
		}
		s.mu.Lock()
		wait := s.stopping || s.w.Now().Before(s.retryAt[t.State.ID])
		s.retryAt[t.State.ID] = s.w.Now().Add(30 * time.Second)
		s.mu.Unlock()
		if wait {
			continue
		}
		s.say("taking up %s, which broke off", t.State.Name)
		if err := s.take(ctx, t); err != nil {
			s.say("%s cannot be taken up: %s", t.State.Name, s.clean(problem.From(err).Summary))
		}
	}
}

// ours reports whether a task is one that a wake drives: of a model that may be woken, on its way up.
func (s *server) ours(t store.Task) bool {
	if s.model(t.State.Model) == nil || t.Wanted == launch.WantGone || t.State.NoNext {
		return false
	}
	c := t.State.Current()
	return c == nil || c.Phase != launch.Ready
}

// take drives a task that nobody drives.
func (s *server) take(ctx context.Context, t store.Task) error {
	tg, err := s.w.targetOf(ctx, t.State)
	if err != nil {
		return err
	}
	tg = s.door(tg)
	x, err := readWish(ctx, s.journal, t.State.ID)
	if err != nil {
		return err
	}
	key, err := s.w.readTaskKey(t.State.ID)
	if err != nil {
		return err
	}
	clock, err := s.w.clockOf(ctx, tg)
	if err != nil {
		return err
	}
	s.drive(tg, s.w.plannerFor(tg, s.journal, x, key), t.State.ID, clock)
	return nil
}

// sink shows what a launch does, and keeps what those who wait are told.
func (s *server) sink(model, task string) report.Sink { return serveSink{s, model, task} }

type serveSink struct {
	s           *server
	model, task string
}

// Emit takes one event of a launch.
func (k serveSink) Emit(e report.Event) error {
	s := k.s
	s.mu.Lock()
	if o, ok := s.outlooks[k.model]; ok {
		o.note(e)
		s.outlooks[k.model] = o
	}
	s.mu.Unlock()
	if e.State != nil {
		nudge(s.poke)
	}
	if s.asJSON {
		return s.jsonEvent(k.model, e)
	}
	if line := eventLine(e); line != "" {
		s.say("%s: %s", k.model, s.clean(line))
	}
	return nil
}

// note keeps what an event says about how a wake stands.
func (o *outlook) note(e report.Event) {
	switch {
	case e.Plan != nil:
		o.doing, o.expect = e.Plan.Summary, time.Duration(e.Plan.ReadySeconds[1])*time.Second
	case e.State != nil:
		o.doing, o.spent, o.limit = e.State.State, e.State.Spent, e.State.Cap
	case e.Phase != nil && e.Phase.Status == "start":
		o.doing = e.Phase.Name
	case e.Progress != nil && e.Progress.Total > 0:
		o.doing = fmt.Sprintf("%s %d%%", e.Progress.Phase, e.Progress.Done*100/e.Progress.Total)
	case e.Finding != nil:
		o.doing = "failed by " + e.Finding.Cause + ", " + e.Finding.Next
	}
}

// eventLine is an event in words; empty for what only clutters a gateway's log.
func eventLine(e report.Event) string {
	switch {
	case e.Plan != nil:
		price := "?"
		if e.Plan.PricePerHour != nil {
			price = e.Plan.PricePerHour.Cents()
		}
		return fmt.Sprintf("attempt %d: %s at $%s/h, ready in %d-%d min", e.Plan.Attempt, e.Plan.Summary, price, (e.Plan.ReadySeconds[0]+30)/60, (e.Plan.ReadySeconds[1]+59)/60)
	case e.State != nil:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s ($%s)", e.State.State, e.State.ID, e.State.Detail, e.State.Spent.Cents()))
	case e.Phase != nil && e.Phase.Status != "start":
		return fmt.Sprintf("%s %s after %.0f s", e.Phase.Name, e.Phase.Status, e.Phase.Seconds)
	case e.Finding != nil:
		return fmt.Sprintf("failed by %s; %s", e.Finding.Cause, e.Finding.Next)
	case e.Attempt != nil:
		return fmt.Sprintf("machine %s: %s, %.0f s, $%s", e.Attempt.ID, e.Attempt.Cause, e.Attempt.Seconds, e.Attempt.Cost.Cents())
	case e.Note != nil && e.Note.Level == "warning":
		return e.Note.Text
	}
	return ""
}

// jsonEvent prints an event of a launch with its model beside it.
func (s *server) jsonEvent(model string, e report.Event) error {
	if e.Log != nil || e.Progress != nil {
		return nil
	}
	if e.At.IsZero() {
		e.At = s.w.Now()
	}
	doc, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var flat map[string]json.RawMessage
	if err := json.Unmarshal(doc, &flat); err != nil {
		return err
	}
	if flat["model"], err = json.Marshal(model); err != nil {
		return err
	}
	return s.line(flat)
}
