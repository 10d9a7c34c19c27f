package launch

import (
	"fmt"
	"slices"
	"time"

	"justright/catalog"
	"justright/problem"
)

// advance asks for everything that is due.
func (m *saga) advance() {
	if m.s.End != nil {
		return
	}
	for i := range m.s.Attempts {
		m.advanceAttempt(&m.s.Attempts[i])
	}
	m.poll()
	m.plan()
	m.finish()
}

func (m *saga) due(t time.Time) bool { return !m.now.Before(t) }

func (m *saga) advanceAttempt(a *Attempt) {
	switch a.Phase {
	case Booting, Proving, Ready:
		if m.s.Wanted == WantGone {
			m.fail(a, m.s.WantedWhy, "", false)
			break
		}
		m.limits(a)
	case Unanswered:
		m.unansweredLong(a)
	case Open:
		if m.due(a.Intended.Add(m.s.Timing.OpenFor)) {
			m.settle(a, Never)
		}
	case Intended, Saving, Deleting, Removed, Refused, Never:
	}
	if a.Busy != "" {
		return
	}
	switch a.Phase {
	case Proving:
		if m.due(a.NextAt) {
			a.Busy = "prove"
			m.do(Prove{a.ID, a.BaseURL})
		}
	case Saving:
		a.Busy = "save-logs"
		m.do(SaveLogs{a.ID, a.PodID})
	case Deleting:
		m.remove(a)
	case Intended, Unanswered, Open, Booting, Ready, Removed, Refused, Never:
	}
	if (a.Phase == Booting || a.Phase == Proving || a.Phase == Ready) && !a.Following && m.due(a.FollowAt) {
		a.Following = true
		m.do(Follow{a.ID, a.PodID})
	}
}

// limits ends a machine that has reached one of its limits. The guard inside does the same; this is the second layer.
func (m *saga) limits(a *Attempt) {
	if m.s.LastPoll.IsZero() { // just taken up: whether it still lives comes first
		return
	}
	switch {
	case !a.CapBy.IsZero() && m.due(a.CapBy):
		m.fail(a, CauseBudget, fmt.Sprintf("its cap of $%s is reached", a.Reserved.Cents()), true)
	case !a.EndBy.IsZero() && m.due(a.EndBy):
		m.fail(a, CauseTTL, "its lifetime has ended", true)
	case a.Phase != Ready && !a.LearnBy.IsZero() && m.due(a.LearnBy):
		m.fail(a, CauseUnguarded, "its guard could not learn in time whether it may end the machine", true)
	case a.Phase != Ready && m.due(a.BootBy):
		m.late(a)
	case a.Phase == Booting && !a.Container && m.due(a.Created.Add(m.s.Timing.NoContainer)):
		m.fail(a, CauseNoContainer, "no sign of a container", false)
	}
}

// late ends a boot that took too long. One place may be slow, and the next is told to avoid it; what is too slow in two places
// is so everywhere, and the next plan has more time instead.
func (m *saga) late(a *Attempt) {
	before := slices.ContainsFunc(m.s.Attempts, func(o Attempt) bool { return o.ID != a.ID && !o.Duplicate && o.Cause == CauseBootTime })
	if l := hostLesson(*a, catalog.Lesson{Cause: CauseBootTime}, ""); l != nil && !before {
		m.learn(a, *Dated(*l, At(m.now)))
		m.s.Tried = slices.DeleteFunc(m.s.Tried, func(t string) bool { return t == a.Candidate })
	}
	m.fail(a, CauseBootTime, "not ready in the time that was allowed", m.shared(a, CauseBootTime))
}

// poll lists the account's machines when something is to be learned from it: one call for all attempts.
func (m *saga) poll() {
	if m.s.Polling {
		return
	}
	for i := range m.s.Attempts {
		a := &m.s.Attempts[i]
		if a.Phase == Unanswered && m.due(a.NextAt) {
			m.s.Polling = true
			m.do(LookUp{a.ID})
			return
		}
	}
	if m.s.sweeping() && m.due(m.s.sweptBy()) && m.due(m.s.LastPoll.Add(m.s.Timing.ConfirmGap)) {
		m.s.Polling = true
		m.do(Poll{})
		return
	}
	if m.pollWanted() && m.due(m.s.LastPoll.Add(m.s.Timing.Poll)) {
		m.s.Polling = true
		m.do(Poll{})
	}
}

func (m *saga) pollWanted() bool {
	return slices.ContainsFunc(m.s.Attempts, func(a Attempt) bool {
		// Also on its way out: a second machine of the same create is seen in lists alone.
		return a.Phase.Billing() || a.Phase == Open && m.s.Current() != nil
	})
}

// plan asks for the next candidate when nothing stands and nothing forbids.
func (m *saga) plan() {
	s := m.s
	if s.Planning || s.NoNext || s.Wanted == WantGone || !m.due(s.PlanAfter) {
		return
	}
	made := 0
	for _, a := range s.Attempts {
		if !a.Phase.Settled() && a.Phase != Open {
			return
		}
		if a.Phase != Refused {
			made++
		}
	}
	if made >= s.Timing.MaxAttempts {
		m.stopPlanning(m.lastFailure(fmt.Sprintf("%d attempts failed", made)))
		return
	}
	s.Planning = true
	m.do(FindPlan{})
}

// finish ends the run when there is nothing left to do for it.
func (m *saga) finish() {
	s := m.s
	if s.End != nil {
		return
	}
	if !s.DetachAt.IsZero() && m.due(s.DetachAt) {
		m.stop(Stop{"detached", problem.ExitInterrupted, "detached", "the machine goes on; its guard is armed"})
		return
	}
	unsure := s.ListUnsure
	for _, a := range s.Attempts {
		if !a.Phase.Settled() && a.Phase != Open && a.Unsure != "" && a.Tries >= 3 {
			unsure = a.Unsure
		}
	}
	switch {
	case unsure != "" && s.NoNext:
		m.stop(Stop{"failed", problem.ExitCredentials, "removal_unknown",
			"whether the machine is gone cannot be told: " + unsure})
	case !s.parked():
		if c := s.Current(); c != nil && c.Phase == Ready && (c.Armed || c.Price == 0) && s.DetachAt.IsZero() && !s.LastPoll.IsZero() {
			m.stop(Stop{"ready", problem.ExitOK, "ready", ""})
		}
	case s.sweeping():
	case s.Wanted == WantGone && s.WantedWhy == CauseInterrupt:
		m.stop(Stop{"cancelled", problem.ExitInterrupted, "interrupted", "torn down"})
	case s.Wanted == WantGone:
		m.stop(Stop{"cancelled", problem.ExitOK, s.WantedWhy, "torn down"})
	case s.NoNext && s.Verdict != nil:
		m.stop(*s.Verdict)
	}
}

func (m *saga) stop(v Stop) {
	m.s.End = &v
	m.do(v)
}

// Extend moves the end of the standing machine's lifetime. It starts nothing, so a task whose run has ended takes it too.
func Extend(s State, endBy time.Time) State {
	n := s.clone()
	for i := range n.Attempts {
		if c := s.Current(); c != nil && n.Attempts[i].ID == c.ID && !n.Attempts[i].EndBy.IsZero() {
			n.Attempts[i].EndBy = endBy
		}
	}
	return n
}

// Due is the next time at which something may be due though nothing happens; zero when never.
func (s State) Due() time.Time {
	var due time.Time
	add := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if s.End != nil {
		return due
	}
	polls := false
	for _, a := range s.Attempts {
		switch a.Phase {
		case Unanswered:
			if !s.Polling {
				add(a.NextAt)
			}
		case Open:
			add(a.Intended.Add(s.Timing.OpenFor))
			polls = polls || s.Current() != nil
		case Booting, Proving, Ready:
			polls = true
			add(a.CapBy)
			add(a.EndBy)
			if a.Phase != Ready {
				add(a.BootBy)
				add(a.LearnBy)
			}
			if a.Phase == Booting && !a.Container {
				add(a.Created.Add(s.Timing.NoContainer))
			}
			if !a.Following {
				add(a.FollowAt)
			}
			if a.Phase == Proving && a.Busy == "" {
				add(a.NextAt)
			}
		case Saving, Deleting:
			polls = true
			if a.Busy == "" {
				add(a.NextAt)
			}
		case Intended, Removed, Refused, Never:
		}
	}
	if s.sweeping() && !s.Polling {
		add(maxTime(s.sweptBy(), s.LastPoll.Add(s.Timing.ConfirmGap)))
	}
	if polls && !s.Polling {
		add(s.LastPoll.Add(s.Timing.Poll))
	}
	if !s.Planning && !s.NoNext && s.Current() == nil {
		add(s.PlanAfter)
	}
	add(s.DetachAt)
	return due
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (m *saga) backoff(tries int) time.Duration {
	d := m.s.Timing.Backoff
	for i := 1; i < tries && d < m.s.Timing.MaxBackoff; i++ {
		d *= 2
	}
	return min(d, m.s.Timing.MaxBackoff)
}
