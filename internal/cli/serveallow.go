package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"justright/internal/gateway"
	"justright/launch"
	"justright/money"
)

// maxFailedBoots is how many machines in a row may fail to become an endpoint before a model is no longer woken.
const maxFailedBoots = 3

// minWake is the least that a wake is begun with.
const minWake = money.Dollar / 100

// forgivenKey is where the journal remembers since when failures count.
const forgivenKey = "serve/forgiven/"

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
		return r, overDaily(m, committed, now)
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
