package runner_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

// judge compares the journal with the simulator's ledger.
func (s *schedule) judge(ctx context.Context, task string, foreign []string, counts *tally) error {
	counts.add("schedules")
	t, err := s.journal.Task(ctx, task)
	if err != nil {
		return err
	}
	intents := map[string]launch.Attempt{}
	for _, a := range t.State.Attempts {
		intents[a.ID] = a
		switch {
		case a.Duplicate:
			counts.add("duplicates")
		case a.Cause == launch.CauseGuard:
			counts.add("guard-ended")
		}
		if a.Lookups > 0 {
			counts.add("unanswered")
		}
	}
	isForeign := func(id string) bool {
		for _, f := range foreign {
			if f == id {
				return true
			}
		}
		return false
	}
	known := map[string]bool{}
	for _, a := range t.State.Attempts {
		known[a.PodID] = true
	}
	var total, unseen money.USD
	for _, p := range s.sim.Ledger().Pods {
		if isForeign(p.ID) {
			counts.add("foreign")
			if p.Status != "RUNNING" || !p.Billing {
				return fmt.Errorf("foreign pod %s was touched: %s", p.ID, p.Status)
			}
			continue
		}
		counts.add("pods")
		if _, ok := intents[p.Env]; !ok {
			return fmt.Errorf("pod %s of attempt %s is in no journal (status %s, $%s)", p.ID, p.Env, p.Status, p.Cost)
		}
		if p.Billing {
			return fmt.Errorf("pod %s bills after down: attempt %+v", p.ID, intents[p.Env])
		}
		total += p.Cost
		if !known[p.ID] { // a create sent twice, and the second machine's guard was faster than any list
			counts.add("unseen")
			unseen += p.Cost
		}
	}
	for id, n := range s.calls.creates {
		if n > 1 {
			return fmt.Errorf("%d create calls for intent %s", n, id)
		}
	}
	for _, a := range t.State.Unsettled() {
		if a.Phase != launch.Open {
			return fmt.Errorf("attempt %s is %s after down", a.ID, a.Phase)
		}
	}
	// One tick: the outer watchdog's poll, the guard's own ten seconds, and a delete that is repeated a few times.
	blind := s.maxRate.For(time.Duration(s.blind.Load()))
	tick := s.maxRate.For(90*time.Second) + s.maxRate.For(s.dead) + blind
	if total > t.State.Budget+tick {
		return fmt.Errorf("the ledger says $%s of a budget of $%s (+ $%s)", total, t.State.Budget, tick)
	}
	// An estimate is never too low, and too high only by what nobody was awake to see, or could.
	spent := t.State.Spent(time.Now())
	if spent < total-unseen-money.Dollar/100 || spent > total+money.Dollar/100+s.maxRate.For(s.asleep)+blind {
		return fmt.Errorf("the receipt says $%s, the ledger $%s\n%s", spent, total, s.story(t.State))
	}
	return nil
}

// judgeBill waits until the provider has billed and compares to the cent.
func (s *schedule) judgeBill(ctx context.Context, task string, counts *tally) error {
	time.Sleep(15 * time.Minute)
	cfg := s.config(0)
	cfg.Dead = func(store.Holder) bool { return true }
	left, err := runner.Reconcile(ctx, cfg, task)
	if err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	t, err := s.journal.Task(ctx, task)
	if err != nil {
		return err
	}
	ledger := map[string]money.USD{}
	for _, p := range s.sim.Ledger().Pods {
		ledger[p.ID] = p.Cost
	}
	var spent, total money.USD
	for _, a := range t.State.Attempts {
		if a.PodID == "" || !a.Billed {
			continue // a pod that lived for no whole second stands on no bill; its estimate stays one
		}
		spent, total = spent+a.Cost, total+ledger[a.PodID]
	}
	if d := (spent - total).Float(); d > 0.005 || d < -0.005 {
		return fmt.Errorf("reconciled (%d left), the receipt says $%s, the ledger $%s\n%s", left, spent, total, s.story(t.State))
	}
	if left > 0 {
		counts.add("estimates")
	}
	counts.add("reconciled")
	return nil
}

// story tells a task and its pods, for whoever looks into a seed.
func (s *schedule) story(st launch.State) string {
	var b strings.Builder
	for _, a := range st.Attempts {
		fmt.Fprintf(&b, "attempt %s pod %s %s armed=%v cause=%s cost=$%s created %s stopped %s cap %s end %s\n", a.ID[:4], a.PodID, a.Phase, a.Armed,
			a.Cause, a.Cost, a.Created.Format(time.TimeOnly), a.Stopped.Format(time.TimeOnly), a.CapBy.Format(time.TimeOnly), a.EndBy.Format(time.TimeOnly))
	}
	effects, _ := s.journal.Effects(context.Background(), st.ID)
	for _, e := range effects {
		if e.Kind != "tell" {
			fmt.Fprintf(&b, "%s %-10s %.4s done %s %s\n", e.At.Format(time.TimeOnly), e.Kind, e.Attempt, e.DoneAt.Format(time.TimeOnly), e.Outcome)
		}
	}
	for _, p := range s.sim.Ledger().Pods {
		fmt.Fprintf(&b, "pod %s of %.4s %s $%s\n", p.ID, p.Env, p.Status, p.Cost)
	}
	return b.String()
}
