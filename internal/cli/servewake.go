package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
)

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
	task, began := "", false
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		running, name, err := s.running(ctx, m)
		if err != nil {
			return s.refusal(err)
		}
		switch {
		case running != "":
			task = running
		case began: // and has ended
			return s.failure(ctx, task)
		default: // what was followed and has ended was another's: this one may be luckier
			if task, err = s.startNamed(ctx, m, name); err != nil {
				return s.refusal(err)
			}
			began = true
		}
		if err := s.accompanyTask(ctx, task); err != nil {
			return s.refusal(err)
		}
		if s.serving(task) {
			return nil
		}
	}
}

// running is the launch of a model that serves it, or that may come to. One from which nothing more can come is not: a create whose answer never
// came is open for a day, with its money reserved, and must not keep the model from being woken. The name is empty, or one under which another
// launch may begin beside such a one.
func (s *server) running(ctx context.Context, m *servedModel) (task, name string, err error) {
	all, err := s.journal.Tasks(ctx)
	if err != nil {
		return "", "", err
	}
	for _, t := range liveTasks(all) {
		if t.Wanted == launch.WantGone || t.State.Model != m.id || m.req.on != "" && t.State.Target != m.req.on {
			continue
		}
		if t.State.NoNext && t.State.Current() == nil {
			name = freeName(all, launchName(m.req.wish.Model))
			continue
		}
		return t.State.ID, "", nil
	}
	return "", name, nil
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
		if s.serving(task) || t.State.Over() || t.Wanted == launch.WantGone || t.State.NoNext && t.State.Current() == nil {
			return nil
		}
		if c := t.State.Current(); c != nil && c.Phase == launch.Ready {
			if _, ok := s.knownTask(ctx, task, t.State.Model); !ok {
				return &gateway.Refusal{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "key_elsewhere", Final: true,
					Message: t.State.Name + " serves the model, and its key is not here but with the controller that began it: ask that one's gateway"}
			}
		}
		if !s.driving(task) && s.undriven(ctx, task) {
			if err := s.take(ctx, t); err != nil {
				return err
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

// startNamed begins a launch of a model, if that is allowed: under a name, whatever else runs, or under the model's name when nothing does.
func (s *server) startNamed(ctx context.Context, m *servedModel, name string) (task string, err error) {
	r, err := s.allowed(ctx, m)
	if err != nil {
		return "", err
	}
	r.name = name
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
	refused := s.withdraw(ctx, m, task)
	if r.ttl != m.req.ttl {
		if err := s.journal.SetSetting(ctx, leaseKey+task, "1"); err != nil {
			return "", err
		}
	}
	most := "on this machine"
	if t.rents() {
		most = fmt.Sprintf("$%s of today's $%s at most", r.budget.Cents(), m.daily.Cents())
	}
	if name == "" {
		s.say("waking %s: %s", m.id, most)
	} else {
		s.say("a further machine for %s, %s: %s", m.id, name, most)
	}
	s.drive(t, p, task, clock) // also what is to be gone again: that ends it
	return task, refused
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
	if m.req.wish.Model.Local && t.local == nil {
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
		old.why = t.why
		return old
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
		if !s.undriven(ctx, t.State.ID) {
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

// undriven reports whether no other process holds a task: nobody, one that is dead, or one that has not renewed its lease.
func (s *server) undriven(ctx context.Context, task string) bool {
	h, until, err := s.journal.Leaseholder(ctx, task)
	return err != nil || s.w.dead(h) || h == s.w.holder() || !until.After(s.w.Now())
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
