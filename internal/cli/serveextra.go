package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"justright/internal/gateway"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// replicas are how many machines a model may have at a time.
type replicas struct {
	least int // that stand while any of them is in use
	most  int
	load  int // requests at once that one machine takes before a further one is woken
}

// How extra machines come: after a load that has lasted, one at a time, and not again soon after one that could not be had.
const (
	extraEvery    = 5 * time.Second
	extraPressure = 30 * time.Second
	extraPause    = 5 * time.Minute
	extraMost     = 64 // of --replicas: more is Kubernetes' work
)

// readReplicas reads --replicas, MOST or LEAST..MOST, and --load.
func readReplicas(text string, load int) (r replicas, err error) {
	least, most, both := strings.Cut(text, "..")
	if !both {
		least, most = "1", text
	}
	var e1, e2 error
	r.load = load
	r.least, e1 = strconv.Atoi(least)
	r.most, e2 = strconv.Atoi(most)
	if errors.Join(e1, e2) != nil || r.least < 1 || r.most < r.least || r.most > extraMost {
		return r, problem.New(problem.ExitUsage, "usage", "--replicas %q is no number of machines like 3 or 2..4, at most %d", text, extraMost).
			Because("nothing runs before the first request, whatever is written there")
	}
	if load < 1 {
		return r, problem.New(problem.ExitUsage, "usage", "--load is at least 1")
	}
	return r, nil
}

// fill is how many requests the elder machines of a model take before the younger ones get any: half of what wakes another, so
// that a new one takes its part and goes again when it is not needed.
func (r replicas) fill() int {
	if r.most < 2 {
		return 0
	}
	return (r.load + 1) / 2
}

// scale begins a further launch of each model that has had more to do, for a while, than its machines take.
func (s *server) scale(ctx context.Context) {
	for _, m := range s.models {
		if m.replicas.most < 2 || !s.wantsMore(m, s.fleet.Load(m.id), s.w.Now()) {
			continue
		}
		if err := s.startExtra(ctx, m); err != nil {
			s.mu.Lock()
			s.extraAt[m.id] = s.w.Now().Add(extraPause)
			s.mu.Unlock()
			s.say("no further machine for %s: %s", m.id, s.clean(reasonOf(err)))
		}
	}
}

// reasonOf is why something was not begun, in one sentence.
func reasonOf(err error) string {
	var r *gateway.Refusal
	if errors.As(err, &r) {
		return r.Message
	}
	return problem.From(err).Summary
}

// wantsMore reports whether a further machine is to be begun for a model now. What the journal says of its launches counts, whoever
// began them; while one is on its way no other is begun.
func (s *server) wantsMore(m *servedModel, l gateway.Load, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, coming := 0, 0
	for _, t := range liveTasks(s.tasks) {
		if t.State.Model != m.id || t.Wanted == launch.WantGone {
			continue
		}
		live++
		if c := t.State.Current(); c == nil || c.Phase != launch.Ready {
			coming++
		}
	}
	want := (l.Requests + m.replicas.load - 1) / m.replicas.load
	if l.Replicas > 0 && l.Queued == l.Replicas {
		want = max(want, l.Replicas+1)
	}
	want = min(want, m.replicas.most)
	pressed := want > live && l.Replicas > 0
	if !pressed {
		delete(s.pressed, m.id)
	} else if s.pressed[m.id].IsZero() {
		s.pressed[m.id] = now
	}
	lasted := pressed && now.Sub(s.pressed[m.id]) >= extraPressure
	few := l.Replicas > 0 && live < m.replicas.least
	return (lasted || few) && coming == 0 && !s.stopping && !now.Before(s.extraAt[m.id])
}

// startExtra begins a further launch of a model, if that is allowed, under the next name: two gateways on one journal that see the same
// load take the same name, and the journal lets one of them have it.
func (s *server) startExtra(ctx context.Context, m *servedModel) error {
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return err
	}
	_, err = s.startNamed(ctx, m, freeName(tasks, launchName(m.req.wish.Model)))
	return err
}

// withdraw takes back a launch that was begun although another process had begun one with the same money in the same moment: nothing was
// rented for it yet.
func (s *server) withdraw(ctx context.Context, m *servedModel, task string) error {
	tasks, err := s.journal.Tasks(ctx)
	if err != nil {
		return err
	}
	_, committed := gateway.SpentOn(statesOf(tasks), m.id, s.w.Now())
	if committed <= m.daily {
		return nil
	}
	if err := s.journal.WantGone(ctx, task, launch.CauseBudget); err != nil {
		return err
	}
	return overDaily(m, committed, s.w.Now())
}

// overDaily refuses what the day's money does not allow any more.
func overDaily(m *servedModel, committed money.USD, now time.Time) *gateway.Refusal {
	return &gateway.Refusal{Status: http.StatusTooManyRequests, Type: "insufficient_quota", Code: "daily_budget_reached", Final: true,
		RetryAfter: now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now),
		Message:    fmt.Sprintf("today's $%s for %s are spent or reserved ($%s); it may be woken again after midnight UTC", m.daily.Cents(), m.id, committed.Cents())}
}
