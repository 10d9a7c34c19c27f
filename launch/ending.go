package launch

import (
	"slices"
	"time"

	"justright/catalog"
	"justright/diagnose"
	"justright/problem"
)

func (m *saga) proved(e Proved) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Proving {
		return
	}
	a.Busy = ""
	switch {
	case e.Passed:
		a.Phase = Ready
		m.tell(a, "ready", e.Detail)
		if !a.Armed && a.Hourly() > 0 {
			m.tell(a, "holding", "no guard is armed inside it: this program is its only one")
		}
	case e.Retry:
		a.NextAt = m.now.Add(2 * m.s.Timing.Backoff)
	case e.Lesson != nil:
		m.learn(a, *e.Lesson)
		m.fail(a, e.Cause, e.Detail, false)
	default:
		m.fail(a, CauseNotProven, e.Detail, m.unprovenBefore(a))
	}
}

// learn keeps what a failure teaches, for this task and for the next.
func (m *saga) learn(a *Attempt, l catalog.Lesson) {
	m.s.Lessons = append(m.s.Lessons, l)
	a.Taught = true
	m.do(Learn{l})
}

// unprovenBefore reports whether another plan of this task came up and was not proven either. One such engine may have a
// fault that the next plan lacks; two that answer wrongly share it, and a third would be paid for nothing.
func (m *saga) unprovenBefore(a *Attempt) bool {
	return slices.ContainsFunc(m.s.Attempts, func(o Attempt) bool { return o.ID != a.ID && !o.Duplicate && o.Cause == CauseNotProven })
}

// lastAfterUnproven reports whether the one plan that a failed proof is worth has failed too, by more than its host or the
// moment: what followed would be a walk through releases.
func (m *saga) lastAfterUnproven(a *Attempt, cause string) bool {
	step := diagnose.NextStep(diagnose.Code(cause))
	return m.unprovenBefore(a) && step != diagnose.RetrySame && step != diagnose.NextHost
}

// remove asks for the removal of a machine and then for the proof of it. A delete that keeps failing may have
// worked, so every third call asks instead.
func (m *saga) remove(a *Attempt) {
	if !m.due(a.NextAt) {
		return
	}
	if a.Asked || a.Tries%3 == 2 {
		a.Busy = "confirm"
		m.do(Confirm{a.ID, a.PodID})
		return
	}
	a.Busy = "delete"
	m.do(Delete{a.ID, a.PodID})
}

func (m *saga) deleteAnswered(e DeleteAnswered) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Deleting {
		return
	}
	a.Busy = ""
	if e.Kind == "" {
		a.Asked, a.Tries, a.Unsure = true, 0, ""
		if a.Stopped.IsZero() {
			a.Stopped = m.now
		}
		a.NextAt = m.confirmAt(a)
		return
	}
	m.retryRemoval(a, e.Kind, e.Detail)
}

// confirmAt is when the next denial can count: a 404 right after the create proves nothing.
func (m *saga) confirmAt(a *Attempt) time.Time {
	t := m.now.Add(m.s.Timing.ConfirmGap)
	if a.Denials == 0 && !a.StopSeen {
		return m.now // the first answer tells when it stopped billing
	}
	if first := a.born().Add(m.s.Timing.ConfirmAfter); t.Before(first) {
		return first
	}
	return t
}

// born is when the machine was created, at the latest.
func (a *Attempt) born() time.Time {
	if a.Created.After(a.Intended) {
		return a.Created
	}
	return a.Intended
}

func (m *saga) retryRemoval(a *Attempt, kind FailureKind, detail string) {
	a.Tries++
	a.NextAt = m.now.Add(m.backoff(a.Tries))
	if kind == FailAuth {
		a.Unsure = detail
	}
}

func (m *saga) denied(e Denied) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Deleting {
		return
	}
	a.Busy, a.Asked, a.Unsure, a.Tries = "", true, "", 0
	if m.due(a.born().Add(m.s.Timing.ConfirmAfter)) {
		a.Denials++
	}
	if !a.StopSeen {
		// A promise that is confirmed at once dates the end; after a long silence only the denial does.
		if a.Stopped.IsZero() || m.now.Sub(a.Stopped) > 15*time.Second || a.Armed && m.pastLimit(a) {
			a.Stopped = m.lastAlive(a)
		}
		a.StopSeen = true
	}
	if a.Denials >= 2 {
		if a.Was != "" {
			a.Foreign, a.Cause = true, m.endedBy(a)
			a.Detail = a.Ending
		}
		m.settle(a, Removed)
		return
	}
	a.NextAt = m.confirmAt(a)
}

// lastAlive is the latest moment at which a machine that somebody else ended can have billed.
func (m *saga) lastAlive(a *Attempt) time.Time {
	t := m.now
	if !a.Armed {
		return t
	}
	for _, limit := range []time.Time{a.CapBy, a.EndBy} {
		if !limit.IsZero() && limit.Before(t) && limit.After(a.SeenAlive) {
			t = limit
		}
	}
	return t
}

// pastLimit reports whether the guard had to end the machine by now.
func (m *saga) pastLimit(a *Attempt) bool {
	return !a.CapBy.IsZero() && m.due(a.CapBy) || !a.EndBy.IsZero() && m.due(a.EndBy)
}

func (m *saga) present(e Present) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Deleting {
		return
	}
	a.Busy, a.Denials, a.Unsure = "", 0, ""
	a.Stopped, a.StopSeen = time.Time{}, false
	if a.Was != "" {
		// The list had lost it; the provider has not.
		a.Phase, a.Was, a.Asked, a.Foreign = a.Was, "", false, false
		m.see(a, e.Instance)
		return
	}
	a.Asked = false
	a.Tries++
	if a.Tries%3 == 2 {
		a.Tries++ // it was asked just now: ask for the removal next
	}
	a.NextAt = m.now.Add(m.backoff(a.Tries))
}

func (m *saga) unsure(e Unsure) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Deleting {
		return
	}
	a.Busy = ""
	m.retryRemoval(a, e.Kind, e.Detail)
}

// settle closes an attempt with its cost.
func (m *saga) settle(a *Attempt, p Phase) {
	cost := a.CostAt(m.now)
	a.Phase, a.Cost, a.Ended, a.Busy, a.Was = p, cost, m.now, "", ""
	m.do(Settle{a.ID})
	m.tell(a, string(p), a.Cause)
	if a.Duplicate || p == Never {
		return
	}
	switch {
	case m.s.Wanted == WantGone:
	case a.Cause == CauseBudget || a.Cause == CauseTTL:
		m.stopPlanning(Stop{"failed", problem.ExitLimit, a.Cause, a.Detail})
	case a.Foreign && a.Cause == CauseGuard && m.pastLimit(a):
		m.stopPlanning(Stop{"failed", problem.ExitLimit, a.Cause, "its guard ended the machine at its limit"})
	case a.Foreign:
		m.stopPlanning(Stop{"failed", problem.ExitNotProven, a.Cause,
			"the machine was ended by somebody else; no further plan is started"})
	case a.Cause == CauseUnguarded:
		m.stopPlanning(Stop{"failed", problem.ExitLimit, a.Cause, a.Detail})
	case a.Fatal:
		m.stopPlanning(Stop{"failed", exitOf(a.Cause), a.Cause, a.Detail})
	}
}
