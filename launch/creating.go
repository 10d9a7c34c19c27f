package launch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/diagnose"
	"justright/money"
	"justright/problem"
)

// planned turns a candidate into an intent: its cap is reserved in the very step that asks for the create.
func (m *saga) planned(e Planned) {
	s := m.s
	s.Planning = false
	if s.Wanted == WantGone || s.NoNext || s.Current() != nil || m.attempt(e.AttemptID) != nil {
		return
	}
	key := CandidateKey(e.Stack)
	if slices.Contains(s.Tried, key) {
		m.stopPlanning(m.lastFailure("the only plan left was tried before"))
		return
	}
	if s.MaxPrice > 0 && e.Price+e.Disk > s.MaxPrice {
		s.Tried = append(s.Tried, key)
		return
	}
	left := s.Budget - s.Committed(m.now)
	reserve, capBy := money.USD(0), time.Time{}
	if hourly := e.Price + e.Disk; hourly > 0 {
		need := hourly.For(max(time.Minute, time.Duration(e.Stack.Ready.Seconds[1])*time.Second))
		if left < need {
			m.stopPlanning(Stop{"failed", problem.ExitLimit, "budget", fmt.Sprintf(
				"$%s of the budget is left or not reserved; the next plan needs about $%s until it is ready",
				max(left, 0).Cents(), need.Cents())})
			return
		}
		reserve = left // all of it, also with a lifetime: extend may move that, and the dollar cap never moves
		capBy = m.now.Add(lasts(reserve, hourly))
	}
	a := Attempt{
		ID: e.AttemptID, N: m.count() + 1, PodName: e.PodName, Candidate: key, Hardware: HardwareKey(e.Stack),
		Summary: e.Summary, Stack: slim(e.Stack), Address: e.Address, Account: e.Account,
		Confirmed: e.Price, Price: e.Price, Disk: e.Disk, Reserved: reserve, Guarded: e.Stack.Guarded,
		Phase: Intended, Intended: m.now, BootBy: m.now.Add(e.Boot), CapBy: capBy, Busy: "create",
	}
	if s.TTL > 0 {
		a.EndBy = m.now.Add(s.TTL)
	}
	s.Attempts = append(s.Attempts, a)
	card, _, _ := strings.Cut(a.Summary, " · ") // the whole stands in the plan's own line
	m.tell(&a, "creating", card)
	m.do(Create{a.ID})
}

func (m *saga) count() int {
	n := 0
	for _, a := range m.s.Attempts {
		if !a.Duplicate {
			n++
		}
	}
	return n
}

// noPlan ends the search. What was met on the way says more than that nothing is left.
func (m *saga) noPlan(e NoPlan) {
	v := Stop{"failed", e.Exit, e.Code, e.Reason}
	if m.count() > 0 {
		v = m.lastFailure(e.Reason)
	} else if e.Exit == problem.ExitNoStack {
		v.Outcome = "refused"
	}
	m.stopPlanning(v)
}

// lastFailure is the verdict of a task whose attempts all failed.
func (m *saga) lastFailure(reason string) Stop {
	v := Stop{Outcome: "failed", Exit: problem.ExitNotProven, Code: "not_proven", Reason: reason}
	capacity, rejected := true, true
	for _, a := range m.s.Attempts {
		if a.Phase == Refused {
			if v.Code == "not_proven" {
				v.Code = a.Cause
			}
			if rejected = rejected && a.Cause == string(FailRejected); rejected {
				v.Reason = a.Detail + "; " + reason
			}
			continue
		}
		// Room that was promised and then was not there ends like room that was denied.
		capacity = capacity && (a.Duplicate || a.Cause == string(diagnose.ProviderNoCapacity))
		rejected = false
		if a.Cause != "" && !a.Duplicate {
			v.Code = a.Cause
			v.Reason = a.Cause
			if a.Detail != "" {
				v.Reason += ": " + a.Detail
			}
			v.Reason += "; " + reason
		}
	}
	switch {
	case capacity && rejected:
		v.Exit = problem.ExitNoStack
	case capacity:
		v.Exit = problem.ExitCapacity
	}
	return v
}

func (m *saga) created(e Created) {
	a := m.attempt(e.Attempt)
	if a == nil {
		return
	}
	if a.PodID != "" {
		// A doubled answer, or one that came after the look-up had found the machine.
		if e.Instance.ID != "" && e.Instance.ID != a.PodID {
			m.duplicate(a, e.Instance)
		}
		return
	}
	m.s.Retries = 0
	m.adopt(a, e.Instance)
}

// adopt ties a machine to its intent.
func (m *saga) adopt(a *Attempt, in Instance) {
	a.Busy, a.PodID, a.Phase = "", in.ID, Booting
	a.Created, a.SeenAlive, a.FollowAt, a.NextAt = in.Created, m.now, m.now, m.now
	if a.Created.IsZero() {
		a.Created = m.now
	}
	m.see(a, in)
	m.tell(a, "created", a.Place())
	if !slices.Contains(m.s.Tried, a.Candidate) {
		m.s.Tried = append(m.s.Tried, a.Candidate)
	}
	if in.PricePerHour != nil && *in.PricePerHour > a.Confirmed {
		m.fail(a, CausePrice, fmt.Sprintf("the provider asks $%s/h, agreed were $%s/h", *in.PricePerHour, a.Confirmed), false)
	}
}

// see takes in what the provider says of a machine.
func (m *saga) see(a *Attempt, in Instance) {
	a.Status = in.Status
	if in.BaseURL != "" {
		a.BaseURL = in.BaseURL
	}
	if in.DataCenter != "" {
		a.DataCenter = in.DataCenter
	}
	if !in.HostCUDA.IsZero() {
		a.HostCUDA = in.HostCUDA
	}
	if in.PricePerHour != nil && *in.PricePerHour > 0 {
		a.Price = *in.PricePerHour
	}
	if in.Status == Provisioning || in.Status == Running {
		a.SeenAlive = m.now
	}
}

func (m *saga) createFailed(e CreateFailed) {
	a := m.attempt(e.Attempt)
	if a == nil || a.Phase != Intended {
		return
	}
	s := m.s
	a.Busy, a.Cause, a.Detail = "", string(e.Kind), e.Detail
	if !e.Definite {
		a.Phase, a.NextAt, a.Cause = Unanswered, m.now, CauseUnanswered
		m.tell(a, "unanswered", e.Detail)
		return
	}
	a.Phase, a.Ended = Refused, m.now
	m.tell(a, "refused", e.Detail)
	m.do(Settle{a.ID})
	switch e.Kind {
	case FailAuth:
		m.stopPlanning(Stop{"failed", problem.ExitCredentials, "credentials", e.Detail})
	case FailQuota:
		m.stopPlanning(Stop{"failed", problem.ExitCapacity, "balance", e.Detail})
	case FailRoom:
		m.stopPlanning(Stop{"failed", problem.ExitCapacity, string(e.Kind), e.Detail})
	case FailPolicy:
		m.stopPlanning(Stop{"failed", problem.ExitCredentials, string(e.Kind), e.Detail})
	case FailNoNamespace:
		m.stopPlanning(Stop{"failed", problem.ExitUsage, string(e.Kind), e.Detail})
	case FailTemporary:
		// It never arrived, so the same candidate may be asked for again, under a new intent.
		s.Retries++
		if s.Retries > 5 {
			m.stopPlanning(Stop{"failed", problem.ExitCapacity, "unreachable", e.Detail})
			return
		}
		s.PlanAfter = m.now.Add(max(e.RetryAfter, m.backoff(s.Retries)))
	case FailNoCapacity:
		m.short(a)
		s.Tried = append(s.Tried, a.Candidate)
	default:
		s.Tried = append(s.Tried, a.Candidate)
		m.rejected(a)
	}
}

// short notes that the provider is out of an attempt's hardware.
func (m *saga) short(a *Attempt) {
	short := Shortage{Hardware: a.Hardware}
	if a.Stack != nil {
		short.MinCUDA = a.Stack.Host.MinCUDA
	}
	m.s.Barren = append(m.s.Barren, short)
}

// rejected heeds what the provider does not take: an image that it names is asked for no more, and the same words again and
// again are about what all plans share.
func (m *saga) rejected(a *Attempt) {
	if a.Stack != nil && a.Stack.Image != "" && strings.Contains(a.Detail, a.Stack.Image) {
		m.s.Unusable = append(m.s.Unusable, a.Stack.Image)
		return
	}
	same, all := 0, 0
	for _, o := range m.s.Attempts {
		if o.Phase == Refused && o.Cause == a.Cause {
			all++
			if o.Detail == a.Detail {
				same++
			}
		}
	}
	if same >= sharedAfter || all >= m.s.Timing.MaxAttempts {
		m.stopPlanning(Stop{"failed", problem.ExitNoStack, a.Cause, a.Detail})
	}
}

// unansweredLong lets the next candidate come when looking has gone on long enough. The intent stays open.
func (m *saga) unansweredLong(a *Attempt) {
	long := m.due(a.Intended.Add(m.s.Timing.Lookup)) || m.s.Wanted == WantGone
	if a.Denials >= 2 && long {
		a.Phase, a.Cause = Open, CauseUnanswered
		a.Detail = fmt.Sprintf("never answered and not seen; $%s stay reserved until %s", a.Reserved.Cents(),
			a.Intended.Add(m.s.Timing.OpenFor).UTC().Format(time.RFC3339))
		if !slices.Contains(m.s.Tried, a.Candidate) {
			m.s.Tried = append(m.s.Tried, a.Candidate)
		}
		m.tell(a, "open", a.Detail)
	}
}

// listed compares the account's machines with the attempts. Identity is the attempt id in the machine's environment,
// beside the owner id; names mean nothing.
func (m *saga) listed(e Listed) {
	m.s.Polling, m.s.LastPoll, m.s.LastList, m.s.PollFails, m.s.ListUnsure = false, m.now, m.now, 0, ""
	byAttempt := map[string][]Instance{}
	present := map[string]bool{}
	for _, in := range e.Instances {
		if in.OwnerID != m.s.Owner || in.AttemptID == "" || in.Status == Gone {
			continue
		}
		byAttempt[in.AttemptID] = append(byAttempt[in.AttemptID], in)
		present[in.ID] = true
	}
	for i, count := 0, len(m.s.Attempts); i < count; i++ {
		a := &m.s.Attempts[i]
		if a.Duplicate {
			continue
		}
		found := byAttempt[a.ID]
		slices.SortFunc(found, func(x, y Instance) int {
			if c := x.Created.Compare(y.Created); c != 0 {
				return c
			}
			return compareStrings(x.ID, y.ID)
		})
		if a.PodID == "" && len(found) > 0 && a.Busy != "create" {
			m.turnedUp(a, found[0])
			a = &m.s.Attempts[i]
		}
		for _, in := range found {
			switch {
			case a.PodID == "": // its create is in flight: the answer will tell
			case in.ID == a.PodID:
				m.stillThere(a, in)
			default:
				m.duplicate(a, in)
				a = &m.s.Attempts[i]
			}
		}
		m.missing(a, present)
	}
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// turnedUp is a machine whose create was never answered, or answered with a refusal.
func (m *saga) turnedUp(a *Attempt, in Instance) {
	other := m.s.Current()
	standing := other != nil && other.ID != a.ID
	late := a.Phase != Unanswered
	a.Phase = Booting
	m.adopt(a, in)
	if a.Phase != Booting {
		return
	}
	if standing || late && m.s.NoNext || m.s.Wanted == WantGone {
		why := m.s.WantedWhy
		if why == "" {
			why = CauseUnanswered
		}
		m.fail(a, why, "its create was answered too late", false)
	}
}

// stillThere is a known machine in a list.
func (m *saga) stillThere(a *Attempt, in Instance) {
	switch a.Phase {
	case Booting, Proving, Ready:
		before := a.Status
		m.see(a, in)
		switch {
		case in.PricePerHour != nil && *in.PricePerHour > a.Confirmed:
			m.fail(a, CausePrice, fmt.Sprintf("the provider asks $%s/h, agreed were $%s/h", *in.PricePerHour, a.Confirmed), false)
		case in.Status == Stopped && !a.Container:
			a.Stopped = m.now
			m.fail(a, CauseStopped, "the provider stopped it before its container spoke", false)
		case in.Status == Stopped:
			a.Stopped = m.now
			m.fail(a, m.endedBy(a), "stopped by somebody else", false)
			a.Foreign = true
		case before != in.Status:
			m.tell(a, string(in.Status), "")
		}
	case Removed, Never, Refused:
		// Denied before, and here it is: what bills counts, not what was said.
		a.PodID, a.Phase, a.Asked, a.Denials, a.Tries, a.NextAt = in.ID, Deleting, false, 0, 0, m.now
		a.Stopped, a.StopSeen = time.Time{}, false
		if a.Created.IsZero() {
			a.Created = in.Created
		}
	case Deleting:
		// Denied, and in a list alive: a denial is not always the truth. It bills until the next one.
		if a.StopSeen && (in.Status == Provisioning || in.Status == Running) {
			a.Stopped, a.StopSeen, a.Denials, a.NextAt = m.now, false, 0, m.now
		}
	case Intended, Unanswered, Open, Saving:
	}
}

func (m *saga) endedBy(a *Attempt) string {
	if a.Ending != "" || a.Armed && m.pastLimit(a) {
		return CauseGuard
	}
	return CauseElsewhere
}

// missing notes an attempt that the list does not show.
func (m *saga) missing(a *Attempt, present map[string]bool) {
	if present[a.PodID] && a.PodID != "" {
		return
	}
	switch a.Phase {
	case Unanswered:
		a.Lookups++
		if m.due(a.Intended.Add(m.s.Timing.ConfirmAfter)) {
			a.Denials++
		}
		wait := min(m.backoff(a.Lookups), m.s.Timing.MaxBackoff/2)
		if m.s.Wanted == WantGone {
			wait = min(wait, m.s.Timing.ConfirmGap)
		}
		a.NextAt = m.now.Add(wait)
	case Booting, Proving, Ready:
		if m.due(a.Created.Add(m.s.Timing.ConfirmAfter)) {
			a.Was, a.Phase, a.Asked, a.Denials, a.Tries, a.NextAt = a.Phase, Deleting, true, 0, 0, m.now
			a.Busy = ""
		}
	case Intended, Open, Saving, Deleting, Removed, Refused, Never:
	}
}

func (m *saga) listFailed(e ListFailed) {
	m.s.Polling, m.s.LastPoll = false, m.now
	m.s.PollFails++
	if e.Kind == FailAuth && m.s.PollFails >= 3 && m.s.sweeping() {
		m.s.ListUnsure = e.Detail
	}
	for i := range m.s.Attempts {
		a := &m.s.Attempts[i]
		if a.Phase != Unanswered {
			continue
		}
		a.Tries++
		a.NextAt = m.now.Add(m.backoff(a.Tries))
		if e.Kind == FailAuth {
			a.Unsure = e.Detail
		}
	}
}

// duplicate records a second machine of one intent, which is only ever deleted.
func (m *saga) duplicate(of *Attempt, in Instance) {
	n := 0
	for i := range m.s.Attempts {
		d := &m.s.Attempts[i]
		if d.PodID == in.ID {
			if d.Phase.Settled() {
				d.Phase, d.Asked, d.Denials, d.NextAt = Deleting, false, 0, m.now
			}
			return
		}
		if d.Duplicate {
			n++
		}
	}
	d := Attempt{
		ID: fmt.Sprintf("%s/%d", of.ID, n+2), N: of.N, PodName: of.PodName, Candidate: of.Candidate, Hardware: of.Hardware,
		Summary: of.Summary, Duplicate: true, Address: of.Address, Account: of.Account, Confirmed: of.Confirmed,
		Price: of.Price, Disk: of.Disk, Reserved: of.Reserved, Guarded: of.Guarded, Phase: Deleting, PodID: in.ID, Intended: of.Intended,
		Created: in.Created, BootBy: of.BootBy, EndBy: of.EndBy, CapBy: of.CapBy, NextAt: m.now, Cause: CauseDuplicate,
	}
	if d.Created.IsZero() {
		d.Created = m.now
	}
	m.see(&d, in)
	m.s.Attempts = append(m.s.Attempts, d)
	m.tell(&d, "duplicate", in.ID)
}
