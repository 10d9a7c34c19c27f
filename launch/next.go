package launch

import (
	"fmt"
	"slices"
	"time"

	"justright/diagnose"
	"justright/problem"
)

// Next is the saga: what a task becomes when e happens, and what is to be done about it. It is total (any event in
// any state is allowed: a late or doubled answer changes nothing that is settled) and level-triggered: after the
// event is taken in, whatever is due is asked for, so that Resume after a crash needs no list of what was lost.
//
// Whoever performs the effects stores the new state and the effects first; an effect whose answer was lost is found
// out about by asking the provider, never by doing it again.
func Next(s State, e Event) (State, []Effect) {
	n := s.clone()
	m := &saga{s: &n, now: e.when()}
	m.take(e)
	m.advance()
	return n, m.out
}

// saga is one step of Next.
type saga struct {
	s   *State
	now time.Time
	out []Effect
}

func (m *saga) do(e Effect) { m.out = append(m.out, e) }

func (m *saga) tell(a *Attempt, state, detail string) {
	id := ""
	if a != nil {
		id = a.ID
	}
	m.do(Tell{id, state, detail})
}

func (m *saga) attempt(id string) *Attempt {
	for i := range m.s.Attempts {
		if m.s.Attempts[i].ID == id {
			return &m.s.Attempts[i]
		}
	}
	return nil
}

// current is State.Current, to write to.
func (m *saga) current() *Attempt {
	if c := m.s.Current(); c != nil {
		return m.attempt(c.ID)
	}
	return nil
}

func (m *saga) take(e Event) {
	switch e := e.(type) {
	case Resume:
		if e.Gone {
			m.wantGone(e.Why)
		}
		m.resume()
	case Planned:
		m.planned(e)
	case NoPlan:
		m.s.Planning = false
		m.noPlan(e)
	case Created:
		m.created(e)
	case CreateFailed:
		m.createFailed(e)
	case Listed:
		m.listed(e)
	case ListFailed:
		m.listFailed(e)
	case Proved:
		m.proved(e)
	case LogsSaved:
		if a := m.attempt(e.Attempt); a != nil && a.Phase == Saving {
			a.Busy, a.Phase, a.NextAt = "", Deleting, m.now
		}
	case DeleteAnswered:
		m.deleteAnswered(e)
	case Denied:
		m.denied(e)
	case Present:
		m.present(e)
	case Unsure:
		m.unsure(e)
	case Billed:
		if a := m.attempt(e.Attempt); a != nil && a.Phase.Settled() {
			a.Cost, a.Billed = e.Cost, true
		}
	case Interrupted:
		m.interrupted(e)
	case DownWanted:
		m.wantGone(e.Why)
	default:
		m.said(e)
	}
}

// said takes in what a machine's log told.
func (m *saga) said(e Event) {
	alive := func(id string) *Attempt {
		a := m.attempt(id)
		if a == nil || a.Phase != Booting && a.Phase != Proving && a.Phase != Ready {
			return nil
		}
		return a
	}
	switch e := e.(type) {
	case Heard:
		if a := alive(e.Attempt); a != nil {
			a.Container = true
		}
	case GuardSaid:
		if a := alive(e.Attempt); a != nil {
			m.guardSaid(a, e)
		}
	case EngineReady:
		if a := alive(e.Attempt); a != nil && a.Phase == Booting {
			a.Container, a.Phase, a.NextAt = true, Proving, m.now
			m.tell(a, "proving", "")
		}
	case Failed:
		if a := alive(e.Attempt); a != nil && a.Phase != Ready {
			if e.Lesson != nil {
				m.s.Lessons = append(m.s.Lessons, *e.Lesson)
				m.do(Learn{*e.Lesson})
			}
			a.Taught = e.Lesson != nil
			m.onceMore(a, e)
			m.fail(a, e.Cause, e.Detail, e.Fatal || m.shared(a, e.Cause))
		}
	case Unfollowed:
		if a := m.attempt(e.Attempt); a != nil {
			a.Following, a.FollowAt = false, m.now.Add(m.s.Timing.Poll)
		}
	}
}

// onceMore lets the same plan be tried a second time where the failure was of the moment, or of a host that cannot be
// named: another one is likely then.
func (m *saga) onceMore(a *Attempt, e Failed) {
	step := diagnose.NextStep(diagnose.Code(e.Cause))
	if step != diagnose.RetrySame && (step != diagnose.NextHost || e.Lesson != nil) {
		return
	}
	for _, o := range m.s.Attempts {
		if o.ID != a.ID && o.Candidate == a.Candidate && o.PodID != "" && !o.Duplicate {
			return
		}
	}
	m.s.Tried = slices.DeleteFunc(m.s.Tried, func(t string) bool { return t == a.Candidate })
}

// sharedAfter is how many attempts may fail by one cause, without a lesson that changes the next plan, before it is
// taken to be shared by all plans.
const sharedAfter = 3

// shared reports whether a cause has now come so often, on plans that did not heed it, that another plan would meet it too.
func (m *saga) shared(a *Attempt, cause string) bool {
	if a.Taught {
		return false
	}
	n := 1
	for _, o := range m.s.Attempts {
		if o.ID != a.ID && o.Cause == cause && !o.Taught && !o.Duplicate {
			n++
		}
	}
	return n >= sharedAfter
}

func (m *saga) guardSaid(a *Attempt, e GuardSaid) {
	a.Container = true
	switch e.Status {
	case "armed":
		if !a.Armed {
			a.Armed = true
			m.tell(a, "armed", e.Reason)
		}
	case "unguarded":
		a.Armed = false
		if a.Guarded && !m.s.AllowUnguarded && a.Price > 0 && a.Phase != Ready {
			m.fail(a, CauseUnguarded, "the guard has no right to end its machine: "+e.Reason, true)
		}
	case "ending":
		a.Ending = e.Reason
		m.tell(a, "ending", "the guard ends the machine: "+e.Reason)
	}
}

func (m *saga) resume() {
	s := m.s
	s.Planning, s.Polling, s.End, s.DetachAt = false, false, nil, time.Time{}
	s.ListUnsure, s.PollFails = "", 0
	for i := range s.Attempts {
		a := &s.Attempts[i]
		a.Busy, a.Following, a.Unsure = "", false, ""
		if a.Phase == Intended || a.Phase == Open && m.now.Before(a.Intended.Add(s.Timing.OpenFor)) {
			// The create was committed and its answer is not known: it may have been sent. Whoever takes the
			// task up looks again.
			a.Phase, a.Cause, a.Denials = Unanswered, CauseUnanswered, 0
		}
		if !a.Phase.Settled() {
			a.NextAt, a.FollowAt, a.Tries = m.now, m.now, 0
		}
	}
	s.LastPoll = time.Time{}
}

// wantGone commits to the end of the task. It is never taken back.
func (m *saga) wantGone(why string) {
	if m.s.Wanted == WantGone {
		return
	}
	m.s.Wanted, m.s.WantedWhy, m.s.NoNext = WantGone, why, true
	m.s.DetachAt = time.Time{}
}

// stopPlanning records that no further plan is tried, and why. The first reason stays.
func (m *saga) stopPlanning(v Stop) {
	m.s.NoNext = true
	if m.s.Verdict == nil {
		m.s.Verdict = &v
	}
}

// fail sends a machine on its way out.
func (m *saga) fail(a *Attempt, cause, detail string, fatal bool) {
	a.Cause, a.Detail, a.Fatal = cause, detail, fatal
	a.Busy, a.Was = "", ""
	if a.PodID == "" {
		return
	}
	a.Phase, a.NextAt, a.Asked, a.Denials, a.Tries = Saving, m.now, false, 0, 0
	switch {
	case m.s.Wanted == WantGone:
		m.tell(a, "ending", cause)
	case detail == "":
		m.tell(a, "failed", cause)
	default:
		m.tell(a, "failed", cause+": "+detail)
	}
}

func (m *saga) interrupted(e Interrupted) {
	a := m.current()
	switch {
	case m.s.Wanted == WantGone && m.s.WantedWhy == CauseInterrupt && !e.Hard:
		m.stop(Stop{"cancelled", problem.ExitInterrupted, "interrupted", "interrupted before the provider agreed that everything is gone"})
	case m.s.Wanted == WantGone:
	case a != nil && a.Armed && (a.Phase == Booting || a.Phase == Proving || a.Phase == Ready):
		switch {
		case e.Hard:
			m.stop(Stop{"detached", problem.ExitInterrupted, "detached", "the machine goes on; its guard is armed"})
		case m.s.DetachAt.IsZero():
			m.s.DetachAt = m.now.Add(m.s.Timing.DetachWait)
			m.tell(a, "detaching", "the guard is armed and the machine goes on; Ctrl-C again tears it down")
		default:
			m.wantGone(CauseInterrupt)
		}
	default:
		m.wantGone(CauseInterrupt)
		m.tell(a, "cancelling", "tearing down")
	}
}

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
	}
	if a.Busy != "" {
		return
	}
	switch a.Phase {
	case Booting, Ready:
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
	case a.Phase != Ready && m.due(a.BootBy):
		m.fail(a, CauseBootTime, "not ready in the time that was allowed", false)
	case a.Phase == Booting && !a.Container && m.due(a.Created.Add(m.s.Timing.NoContainer)):
		m.fail(a, CauseNoContainer, "no sign of a container", false)
	}
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
