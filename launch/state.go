package launch

import (
	"slices"
	"strings"
	"time"

	"justright/catalog"
	"justright/money"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

// Phase is where one attempt stands. The order of the constants is the order of a life.
type Phase string

// The phases of an attempt.
const (
	Intended   Phase = "intended"   // committed; the create call is on its way
	Unanswered Phase = "unanswered" // the create's answer was lost: the machine may exist
	Open       Phase = "open"       // still unanswered after looking; its cap stays reserved for a day
	Booting    Phase = "booting"    // the machine exists and bills
	Proving    Phase = "proving"    // the engine says it is ready
	Ready      Phase = "ready"      // proven
	Saving     Phase = "saving"     // on its way out: its logs are fetched before it is deleted
	Deleting   Phase = "deleting"   // delete asked for, or the machine is missing; proof is awaited
	Removed    Phase = "gone"       // denied twice
	Refused    Phase = "refused"    // the provider said no: there never was a machine
	Never      Phase = "never"      // unanswered and not seen for a day
)

// Settled reports whether nothing of an attempt can bill any more.
func (p Phase) Settled() bool { return p == Removed || p == Refused || p == Never }

// Billing reports whether a machine is known to exist in this phase.
func (p Phase) Billing() bool {
	switch p {
	case Booting, Proving, Ready, Saving, Deleting:
		return true
	default:
		return false
	}
}

// Wanted is what the user wants of a task.
type Wanted string

// The two wants. WantGone wins: it is never taken back.
const (
	WantRunning Wanted = "running"
	WantGone    Wanted = "gone"
)

// Timing holds the durations of the saga, so that a test or a rehearsal can say its own.
type Timing struct {
	Lookup       time.Duration `json:"lookup"`        // how long an unanswered create is looked for before the next candidate
	OpenFor      time.Duration `json:"open_for"`      // how long it stays open, with its cap reserved
	ConfirmAfter time.Duration `json:"confirm_after"` // no denial counts sooner after the create
	ConfirmGap   time.Duration `json:"confirm_gap"`   // between two denials
	Poll         time.Duration `json:"poll"`          // between two lists
	DetachWait   time.Duration `json:"detach_wait"`   // a second Ctrl-C within this tears down
	NoContainer  time.Duration `json:"no_container"`  // longest wait for the first sign of a container
	Backoff      time.Duration `json:"backoff"`       // first wait after a failed call
	MaxBackoff   time.Duration `json:"max_backoff"`
	MaxAttempts  int           `json:"max_attempts"`
}

// DefaultTiming is what up uses. 120 s of looking covers the list lag seen on RunPod; a day covers a create
// that hangs in somebody's queue; 30 s covers a 404 for a pod that was just created.
func DefaultTiming() Timing {
	return Timing{
		Lookup: 2 * time.Minute, OpenFor: 24 * time.Hour,
		ConfirmAfter: 30 * time.Second, ConfirmGap: 3 * time.Second,
		Poll: 5 * time.Second, DetachWait: 3 * time.Second, NoContainer: 20 * time.Minute,
		Backoff: time.Second, MaxBackoff: 30 * time.Second, MaxAttempts: 8,
	}
}

// State is one task: what one `up` was asked for and every attempt at it. It is a plain value that is stored as
// JSON with each step; Next never changes the one it is given.
type State struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Model  string `json:"model"`
	Target string `json:"target"`
	Owner  string `json:"owner"`

	Budget         money.USD     `json:"budget"`
	MaxPrice       money.USD     `json:"max_price"` // the dearest hour that was agreed to, disks included; 0 = each plan's own
	TTL            time.Duration `json:"ttl"`       // 0 = until the budget ends
	Idle           time.Duration `json:"idle"`
	AllowUnguarded bool          `json:"allow_unguarded"`
	Timing         Timing        `json:"timing"`

	Wanted    Wanted    `json:"wanted"`
	WantedWhy string    `json:"wanted_why,omitempty"` // down, interrupt, hangup, …
	Attempts  []Attempt `json:"attempts"`

	Tried  []string   `json:"tried,omitempty"`  // candidates that are not to be tried again
	Barren []Shortage `json:"barren,omitempty"` // hardware without capacity
	// Unusable are images that the provider does not take.
	Unusable []string         `json:"unusable,omitempty"`
	Lessons  []catalog.Lesson `json:"lessons,omitempty"`
	Retries  int              `json:"retries"` // creates that provably never arrived, in a row

	// Skew is how far the provider's clock, which all times here are of, was ahead of this machine's when the task was last taken up.
	Skew time.Duration `json:"skew,omitempty"`

	Started   time.Time `json:"started"`
	PlanAfter time.Time `json:"plan_after,omitzero"`
	DetachAt  time.Time `json:"detach_at,omitzero"`
	LastPoll  time.Time `json:"last_poll,omitzero"`
	LastList  time.Time `json:"last_list,omitzero"` // the last poll that was answered
	PollFails int       `json:"poll_fails"`
	// ListUnsure says why nothing can be learned from lists: the provider does not let us ask.
	ListUnsure string `json:"list_unsure,omitempty"`

	// What is in flight in the process that holds the lease; forgotten by Resume.
	Presses  int  `json:"presses,omitempty"` // of Ctrl-C
	Planning bool `json:"planning"`
	Polling  bool `json:"polling"`

	NoNext  bool  `json:"no_next"`           // no further plan is to be tried
	Verdict *Stop `json:"verdict,omitempty"` // how it will end once nothing bills any more
	End     *Stop `json:"end,omitempty"`     // how the last run ended
}

// Attempt is one intent to rent, and the machine that came of it.
type Attempt struct {
	ID        string       `json:"id"` // 128 bit, hex: the identity of the machine
	N         int          `json:"n"`  // 1, 2, … within the task
	PodName   string       `json:"pod_name"`
	Candidate string       `json:"candidate"`
	Hardware  string       `json:"hardware"`
	Summary   string       `json:"summary"`
	Stack     *solve.Stack `json:"stack,omitempty"`
	Duplicate bool         `json:"duplicate,omitempty"` // a second machine of the same intent: only ever deleted

	// Address and Account say through which door and which key it was made; only they can deny it.
	Address string `json:"address"`
	Account string `json:"account"`

	Confirmed money.USD `json:"confirmed"` // hourly price that was agreed to
	Price     money.USD `json:"price"`     // hourly price as answered; Confirmed until then
	Disk      money.USD `json:"disk"`      // what its disks cost an hour beside it, by list price
	Reserved  money.USD `json:"reserved"`  // the most this machine may cost: its dollar cap
	Cost      money.USD `json:"cost"`      // final, once settled
	Billed    bool      `json:"billed"`    // Cost is the provider's own figure, not our estimate

	Guarded bool  `json:"guarded"` // the plan has a guard
	Armed   bool  `json:"armed"`   // and its proof line was read
	Phase   Phase `json:"phase"`
	Was     Phase `json:"was,omitempty"` // to go back to when a missing machine turns up again

	PodID   string `json:"pod_id,omitempty"`
	Status  Status `json:"status,omitempty"`
	BaseURL string `json:"base_url,omitempty"`
	// Where it is, as the provider says; empty and zero when not told.
	DataCenter string       `json:"data_center,omitempty"`
	HostCUDA   version.CUDA `json:"host_cuda,omitzero"`
	Container  bool         `json:"container"` // a container has spoken

	Intended  time.Time `json:"intended"`
	Created   time.Time `json:"created,omitzero"` // as the provider says, else when it answered
	BootBy    time.Time `json:"boot_by"`
	EndBy     time.Time `json:"end_by,omitzero"`
	LearnBy   time.Time `json:"learn_by,omitzero"` // its guard, which had no answer, has to have learned its right by then
	CapBy     time.Time `json:"cap_by"`
	SeenAlive time.Time `json:"seen_alive,omitzero"`
	Stopped   time.Time `json:"stopped,omitzero"` // when it stopped billing, as far as known
	StopSeen  bool      `json:"stop_seen"`        // and a denial agreed

	Asked     bool      `json:"asked"` // a delete was answered with success, or none is needed
	Denials   int       `json:"denials"`
	Tries     int       `json:"tries"`   // failed calls in a row
	Lookups   int       `json:"lookups"` // lists answered since the create without a trace
	NextAt    time.Time `json:"next_at"` // when the next look-up, proof, delete or confirm is due
	FollowAt  time.Time `json:"follow_at"`
	Unsure    string    `json:"unsure"`   // why a denial cannot be had: the provider does not let us ask
	Busy      string    `json:"busy"`     // the call in flight; forgotten by Resume
	Following bool      `json:"follow"`   // its logs are followed; forgotten by Resume
	Cause     string    `json:"cause"`    // why it ended; a cause of package diagnose or a word of this package
	Detail    string    `json:"detail"`   // the same in words
	Fatal     bool      `json:"fatal"`    // no other plan can cure it
	Taught    bool      `json:"taught"`   // its failure left a lesson, so the next plan differs in what failed
	Foreign   bool      `json:"foreign"`  // ended by somebody else: guard or console
	Ending    string    `json:"ending"`   // what the guard said when it ended the machine
	Ended     time.Time `json:"ended_at"` // when it settled
}

// Causes this package itself gives to the end of an attempt; package diagnose has the others.
const (
	CausePrice       = "price_above_confirmed"
	CauseBudget      = "budget"
	CauseTTL         = "ttl"
	CauseBootTime    = "boot_deadline"
	CauseNoContainer = "no_container"
	CauseUnguarded   = "unguarded"
	CauseUnanswered  = "unanswered"
	CauseDuplicate   = "duplicate"
	CauseElsewhere   = "ended_elsewhere"
	CauseGuard       = "guard"
	CauseStopped     = "stopped_by_provider"
	CauseNotProven   = "not_proven"
	CauseStranger    = "another_process"   // the proof: something else answers under the address
	CauseToolParser  = "tool_parser_wrong" // the proof: calls of tools do not come as calls
	CauseDown        = "down"
	CauseInterrupt   = "interrupted"
)

// CodeNotGone is how a run ends that was interrupted before its removal was proven.
const CodeNotGone = "not_gone"

// Place is where the machine is, in words: "EU-RO-1 · CUDA 12.8".
func (a Attempt) Place() string {
	var parts []string
	if a.DataCenter != "" {
		parts = append(parts, a.DataCenter)
	}
	if !a.HostCUDA.IsZero() {
		parts = append(parts, "CUDA "+a.HostCUDA.String())
	}
	return strings.Join(parts, " · ")
}

// Hourly is what the machine burns an hour, disks included.
func (a Attempt) Hourly() money.USD { return a.Price + a.Disk }

// CostAt is what the attempt has cost by now: final once settled, else price × time since its creation.
func (a Attempt) CostAt(now time.Time) money.USD {
	if a.Phase.Settled() || a.Billed {
		return a.Cost
	}
	if a.PodID == "" || a.Created.IsZero() {
		return 0
	}
	end := now
	if !a.Stopped.IsZero() && a.Stopped.Before(end) {
		end = a.Stopped
	}
	return a.Hourly().For(end.Sub(a.Created))
}

// SecondsAt is how long the attempt's machine has existed.
func (a Attempt) SecondsAt(now time.Time) float64 {
	if a.Created.IsZero() {
		return 0
	}
	end := now
	if !a.Stopped.IsZero() && a.Stopped.Before(end) {
		end = a.Stopped
	}
	if end.Before(a.Created) {
		return 0
	}
	return end.Sub(a.Created).Seconds()
}

// Clock is the time of this task's provider when this machine's clock shows local.
func (s State) Clock(local time.Time) time.Time { return local.Add(s.Skew) }

// Spent is what the task has cost by now, failed attempts included.
func (s State) Spent(now time.Time) money.USD {
	var sum money.USD
	for _, a := range s.Attempts {
		sum += a.CostAt(now)
	}
	return sum
}

// Committed is the most the task can have cost when everything that is not proven gone runs into its cap.
func (s State) Committed(now time.Time) money.USD {
	var sum money.USD
	for _, a := range s.Attempts {
		c := a.CostAt(now)
		if !a.Phase.Settled() {
			c = max(c, a.Reserved)
		}
		sum += c
	}
	return sum
}

// Current is the attempt that the task stands on: the last that is no duplicate, not settled and not open; nil when
// there is none.
func (s State) Current() *Attempt {
	for i := len(s.Attempts) - 1; i >= 0; i-- {
		a := s.Attempts[i]
		if !a.Duplicate && !a.Phase.Settled() && a.Phase != Open {
			return &a
		}
	}
	return nil
}

// Unsettled lists the attempts of which something may still bill, in order.
func (s State) Unsettled() []Attempt {
	var out []Attempt
	for _, a := range s.Attempts {
		if !a.Phase.Settled() {
			out = append(out, a)
		}
	}
	return out
}

// sweptBy is when a list shows whatever the task's creates made twice; zero when none was sent.
func (s State) sweptBy() time.Time {
	var t time.Time
	for _, a := range s.Attempts {
		if due := a.Intended.Add(s.Timing.ConfirmAfter); a.Phase != Refused && due.After(t) {
			t = due
		}
	}
	return t
}

// swept reports whether a list was read late enough to show a second machine of one intent.
func (s State) swept() bool {
	t := s.sweptBy()
	return t.IsZero() || !s.LastList.Before(t)
}

// parked reports whether nothing is left to do for any attempt: settled, or open and looked for.
func (s State) parked() bool {
	return !slices.ContainsFunc(s.Attempts, func(a Attempt) bool { return !a.Phase.Settled() && a.Phase != Open })
}

// sweeping reports whether only that list is missing.
func (s State) sweeping() bool {
	return s.NoNext && s.parked() && !s.swept()
}

// Over reports whether nothing of the task can bill any more and nothing more is to be tried.
func (s State) Over() bool {
	return len(s.Unsettled()) == 0 && (s.Wanted == WantGone || s.NoNext || s.End != nil)
}

// Word is the task's state in one word for ps: planning, booting, proving, ready, ending, open, ended.
func (s State) Word() string {
	if c := s.Current(); c != nil {
		switch c.Phase {
		case Intended, Unanswered:
			return string(c.Phase)
		case Saving, Deleting:
			return "ending"
		default:
			return string(c.Phase)
		}
	}
	for _, a := range s.Attempts {
		if a.Duplicate && !a.Phase.Settled() {
			return "ending"
		}
	}
	if s.Over() {
		return "ended"
	}
	for _, a := range s.Attempts {
		if a.Phase == Open && (s.Wanted == WantGone || s.NoNext) {
			return "open"
		}
	}
	return "planning"
}

func (s State) clone() State {
	s.Attempts = slices.Clone(s.Attempts)
	s.Tried = slices.Clone(s.Tried)
	s.Barren = slices.Clone(s.Barren)
	s.Unusable = slices.Clone(s.Unusable)
	s.Lessons = slices.Clone(s.Lessons)
	return s
}

// Stop is the effect that ends a run, and the record of how it ended.
type Stop struct {
	Outcome string       `json:"outcome"` // ready, failed, detached, cancelled, refused
	Exit    problem.Exit `json:"exit"`
	Code    string       `json:"code"`
	Reason  string       `json:"reason"`
}
