package launch

import (
	"time"

	"justright/catalog"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

// Event is something that happened to a task: the answer to an effect, a word from a machine's log, the clock, or
// the person. It is a sealed sum: the types of this file.
type Event interface {
	event()
	when() time.Time
}

// At is when an event happened, in the provider's time (the laptop's clock corrected by the Date header).
type At time.Time

func (At) event()            {}
func (a At) when() time.Time { return time.Time(a) }

// The events. Attempt is the attempt id they belong to.
type (
	// Resume says that a process took the task up, for the first time or again: nothing is in flight. Gone says that
	// the journal wants it gone, and why. Skew is how far the provider's clock is ahead of this machine's.
	Resume struct {
		At
		Gone bool
		Why  string
		Skew time.Duration
	}
	// Tick says that time has passed.
	Tick struct{ At }

	// Planned answers FindPlan: the next candidate, with a fresh attempt id.
	Planned struct {
		At
		AttemptID string
		PodName   string
		Stack     solve.Stack
		Summary   string
		Price     money.USD     // per hour; 0 is a price too (local)
		Disk      money.USD     // per hour, beside Price
		Boot      time.Duration // how long until it must be ready
		Address   string
		Account   string
	}
	// NoPlan answers FindPlan when nothing is left to try.
	NoPlan struct {
		At
		Exit   problem.Exit
		Code   string
		Reason string
	}

	// Created answers Create.
	Created struct {
		At
		Attempt  string
		Instance Instance
	}
	// CreateFailed answers Create. Definite says that there is certainly no machine: the provider refused, or the
	// request never left.
	CreateFailed struct {
		At
		Attempt    string
		Kind       FailureKind
		Definite   bool
		Detail     string
		RetryAfter time.Duration
	}

	// Listed answers Poll and LookUp: every machine of the account.
	Listed struct {
		At
		Instances []Instance
	}
	// ListFailed answers Poll and LookUp.
	ListFailed struct {
		At
		Kind   FailureKind
		Detail string
	}

	// Heard says that the container spoke for the first time.
	Heard struct {
		At
		Attempt string
	}
	// GuardSaid is the guard's own line: armed, unguarded or ending.
	GuardSaid struct {
		At
		Attempt, Status, Reason string
	}
	// EngineReady says that the machine's script saw the engine answer.
	EngineReady struct {
		At
		Attempt string
	}
	// Failed is a diagnosed failure of an attempt.
	Failed struct {
		At
		Attempt string
		Cause   string
		Detail  string
		Fatal   bool // no plan can cure it
		Lesson  *catalog.Lesson
	}
	// Unfollowed says that following an attempt's logs has ended, though the machine may live.
	Unfollowed struct {
		At
		Attempt string
	}

	// Proved answers Prove.
	Proved struct {
		At
		Attempt string
		Passed  bool
		Detail  string
		Retry   bool // the endpoint could not be reached: ask again
		// Cause and Lesson are set where the proof tells what is wrong, so that the next plan can heed it.
		Cause  string
		Lesson *catalog.Lesson
	}

	// LogsSaved answers SaveLogs.
	LogsSaved struct {
		At
		Attempt string
	}
	// DeleteAnswered answers Delete. Kind is empty on success.
	DeleteAnswered struct {
		At
		Attempt string
		Kind    FailureKind
		Detail  string
	}
	// Denied answers Confirm: the provider says, through the right door, that there is no such machine.
	Denied struct {
		At
		Attempt string
	}
	// Present answers Confirm: it is still there.
	Present struct {
		At
		Attempt  string
		Instance Instance
	}
	// Unsure answers Confirm: whether it is there cannot be told.
	Unsure struct {
		At
		Attempt string
		Kind    FailureKind
		Detail  string
	}
	// Billed is the provider's own figure for a settled attempt.
	Billed struct {
		At
		Attempt string
		Cost    money.USD
	}

	// Interrupted is a signal: Ctrl-C, or a hang-up or termination, which never ask twice.
	Interrupted struct {
		At
		Hard bool // SIGHUP or SIGTERM
	}
	// DownWanted says that the task is to be gone, whoever asked.
	DownWanted struct {
		At
		Why string
	}
)

// Noticed is what a log told, as an event of the time it was noticed: a log that is read late tells of the past, and the
// saga's time does not go back.
func Noticed(e Event, now At) Event {
	switch e := e.(type) {
	case Heard:
		e.At = now
		return e
	case GuardSaid:
		e.At = now
		return e
	case EngineReady:
		e.At = now
		return e
	case Failed:
		e.At = now
		return e
	default:
		return e
	}
}
