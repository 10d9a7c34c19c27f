package runner

import (
	"context"
	"errors"
	"time"

	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

// billLag is how long after a machine's end its bill is taken to be complete: RunPod deducts every five minutes
// (https://docs.runpod.io/accounts-billing/billing).
const billLag = 10 * time.Minute

// settledBill reports whether a provider's figure is the last word: late enough, or what we expect within two per cent.
func settledBill(a launch.Attempt, cost money.USD, now time.Time) bool {
	d := cost - a.Cost
	return now.Sub(a.Stopped) >= billLag || d <= a.Cost/50 && d >= -a.Cost/50
}

// Reconcile replaces the estimates of a task's settled attempts by the provider's own figures, as far as it has them.
// It returns how many estimates are left.
func Reconcile(ctx context.Context, cfg Config, task string) (left int, err error) {
	b, ok := cfg.Provider.(Biller)
	now := cfg.Now()
	lease, err := cfg.Journal.Acquire(ctx, task, cfg.Holder, now.Add(leaseFor), now, cfg.Dead)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cfg.Journal.Release(context.WithoutCancel(ctx), lease)) }()
	t, err := cfg.Journal.Task(ctx, task)
	if err != nil {
		return 0, err
	}
	if t.State.End == nil { // its run broke off: whoever takes it up settles it
		return len(t.State.Attempts), nil
	}
	for _, a := range t.State.Attempts {
		if a.PodID == "" || a.Hourly() == 0 || a.Billed || !a.Phase.Settled() {
			continue
		}
		if !ok || a.Address != cfg.Address || a.Account != cfg.Account {
			left++
			continue
		}
		cost, known, berr := b.BilledFor(ctx, a.PodID, a.Created)
		if berr != nil || !known || !settledBill(a, cost, now) {
			left++
			continue
		}
		next, effects := launch.Next(t.State, launch.Billed{At: launch.At(cfg.Now()), Attempt: a.ID, Cost: cost})
		if _, err := cfg.Journal.Commit(ctx, store.Step{Lease: lease, Version: t.Version, State: next, Effects: effects, At: cfg.Now()}); err != nil {
			return left, err
		}
		t.State, t.Version = next, t.Version+1
		if err := cfg.Journal.RecordCost(ctx, store.Cost{Task: task, Attempt: a.ID, N: a.N, PodID: a.PodID, Seconds: a.SecondsAt(now),
			Cost: cost, Cause: a.Cause}); err != nil {
			return left, err
		}
	}
	return left, nil
}

// Extend moves the end of a task's lifetime in the journal, for the watchdogs outside the machine.
func Extend(ctx context.Context, cfg Config, task string, end time.Time) (err error) {
	now := cfg.Now()
	lease, err := cfg.Journal.Acquire(ctx, task, cfg.Holder, now.Add(leaseFor), now, cfg.Dead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cfg.Journal.Release(context.WithoutCancel(ctx), lease)) }()
	t, err := cfg.Journal.Task(ctx, task)
	if err != nil {
		return err
	}
	s := launch.Extend(t.State, end)
	_, err = cfg.Journal.Commit(ctx, store.Step{Lease: lease, Version: t.Version, State: s, At: now})
	return err
}
