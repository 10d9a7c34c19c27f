package gateway

import (
	"slices"
	"time"

	"justright/launch"
	"justright/money"
)

// Why the gateway removes a launch: nobody asks it anything, or its engine died after it was ready.
const (
	CauseIdle = "idle"
	CauseDead = "engine_gone"
)

// youth is how soon after its create a proven machine's engine must die for that to count as a failed boot: what kills it will, most
// likely, kill the next.
const youth = time.Hour

// diedYoung is the last machine of a launch, when its engine died soon after it was proven; nil otherwise.
func diedYoung(s launch.State) []launch.Attempt {
	if n := len(s.Attempts); n > 0 {
		if a := s.Attempts[n-1]; a.Cause == CauseDead && !a.Stopped.IsZero() && a.Stopped.Sub(a.Created) < youth {
			return s.Attempts[n-1:]
		}
	}
	return nil
}

// SpentOn is what a model has cost and costs, by the journal. committed is the most that today can come to without a further
// launch: a machine that is not proven gone counts with what is left of its cap. A day is one of UTC.
func SpentOn(tasks []launch.State, model string, now time.Time) (d Dollars, committed money.USD) {
	d.Model = model
	midnight := now.UTC().Truncate(24 * time.Hour)
	for _, s := range tasks {
		if s.Model != model {
			continue
		}
		var task, earlier money.USD
		for _, a := range s.Attempts {
			cost := a.CostAt(now)
			before := costBefore(a, midnight, now)
			d.Spent += cost
			d.Today += cost - before
			today := cost - before
			if !a.Phase.Settled() {
				today = max(today, a.Reserved-before)
				if a.PodID != "" {
					d.PerHour += a.Hourly()
				}
			}
			earlier += before
			task += today
		}
		if goesOn(s) {
			task = max(task, s.Budget-earlier)
		}
		committed += task
	}
	return d, committed
}

// goesOn reports whether a launch may rent a further machine: from one that failed to the next plan it is between two reservations,
// and all of its budget is still to come.
func goesOn(s launch.State) bool {
	c := s.Current()
	return !s.Over() && !s.NoNext && s.Wanted != launch.WantGone && (c == nil || c.Phase != launch.Ready)
}

// costBefore is what an attempt had cost by a moment: its cost, by the share of its time.
func costBefore(a launch.Attempt, t, now time.Time) money.USD {
	if a.Created.IsZero() || !a.Created.Before(t) {
		return 0
	}
	all := a.SecondsAt(now)
	if all <= 0 {
		return 0
	}
	share := min(1, t.Sub(a.Created).Seconds()/all)
	return money.USD(float64(a.CostAt(now)) * share)
}

// FailedBoots counts the machines in a row, newest first, that were rented for a model and never became an endpoint, and tells the
// newest one's cause. One that was proven and whose engine died young is one of them. Machines from before since do not count: somebody has told the gateway to try again. ready says whether a
// launch was ever proven, which ends the row.
func FailedBoots(tasks []launch.State, model string, since time.Time, ready func(launch.State) bool) (n int, cause, detail string) {
	for i := len(tasks) - 1; i >= 0; i-- {
		s := tasks[i]
		if s.Model != model {
			continue
		}
		failed := s.Attempts
		if ready(s) {
			if failed = diedYoung(s); failed == nil {
				return n, cause, detail
			}
		}
		for _, a := range slices.Backward(failed) {
			if !bootFailed(a) || a.Intended.Before(since) {
				continue
			}
			if n++; n == 1 {
				cause, detail = a.Cause, a.Detail
			}
		}
	}
	return n, cause, detail
}

// bootFailed reports whether an attempt was a machine that failed by itself, and not one that somebody ended or that was never
// rented.
func bootFailed(a launch.Attempt) bool {
	if a.PodID == "" || a.Duplicate || a.Cause == "" {
		return false
	}
	switch a.Cause {
	case launch.CauseDown, launch.CauseInterrupt, CauseIdle, launch.CauseElsewhere, launch.CausePrice, launch.CauseUnanswered, launch.CauseDuplicate:
		return false
	}
	return true
}
