package launch

import (
	"slices"
	"strings"
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
		m.s.Skew = e.Skew
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
				m.learn(a, *e.Lesson)
			}
			if e.Cause == string(diagnose.ProviderNoCapacity) {
				m.short(a)
			}
			m.onceMore(a, e)
			m.fail(a, e.Cause, e.Detail, e.Fatal || m.shared(a, e.Cause) || m.lastAfterUnproven(a, e.Cause))
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
	net := outOfReach(cause) // what three places cannot reach is down, though each taught to go elsewhere
	if a.Taught && !net {
		return false
	}
	n := 1
	for _, o := range m.s.Attempts {
		if o.ID != a.ID && o.Cause == cause && (!o.Taught || net) && !o.Duplicate {
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
			a.Armed, a.LearnBy = true, time.Time{}
			m.tell(a, "armed", e.Reason)
		}
	case "unguarded":
		a.Armed = false
		switch {
		case !a.Guarded || m.s.AllowUnguarded || a.Price <= 0 || a.Phase == Ready:
		case !unlearned(e.Reason):
			m.fail(a, CauseUnguarded, "the guard has no right to end its machine: "+e.Reason, true)
		case a.LearnBy.IsZero():
			a.LearnBy = m.now.Add(learnFor)
			m.tell(a, "unguarded", "its guard could not learn whether it may end the machine ("+e.Reason+"), and asks again")
		}
	case "ending":
		a.Ending = e.Reason
		m.tell(a, "ending", "the guard ends the machine: "+e.Reason)
	}
}

// learnFor is how long a guard may go without an answer to whether it may end its machine. Until then this program is its only one.
const learnFor = 10 * time.Minute

// unlearned reports whether a guard found no answer, which says nothing of its right: it asks again every minute.
func unlearned(reason string) bool {
	return reason == "unreachable" || reason == "pod_denied" || strings.HasPrefix(reason, "http_")
}

func (m *saga) resume() {
	s := m.s
	s.Planning, s.Polling, s.End, s.DetachAt = false, false, nil, time.Time{}
	s.ListUnsure, s.PollFails, s.Presses = "", 0, 0
	if s.Wanted == WantGone { // a command that only waits for the proof
		s.Presses = 2
	}
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
	s.LastPoll, s.LastList = time.Time{}, time.Time{} // whoever takes a task up looks once more before it is over
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
	if !e.Hard {
		m.s.Presses++
	}
	switch {
	case m.s.Wanted == WantGone && !e.Hard && m.s.WantedWhy == CauseInterrupt && m.s.Presses <= 2:
		// Two presses tear down and wait for the proof, also before a guard is armed, where one would have done.
	case m.s.Wanted == WantGone && !e.Hard: // whoever asks for the end may stop waiting for the proof of it
		m.stop(Stop{"cancelled", problem.ExitInterrupted, CodeNotGone, "interrupted before the provider agreed that everything is gone"})
	case m.s.Wanted == WantGone: // a terminal that goes away stops no removal
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
