// Package store keeps the journal: every launch with its state, every effect written before it is done, what the
// machines said, what they cost, what was proven and what was learned. One interface, and a suite that each backend passes
// (storetest): SQLite for one machine, PostgreSQL for several controllers, memory for tests.
package store

import (
	"context"
	"errors"
	"time"

	"justright/catalog"
	"justright/launch"
	"justright/money"
)

// Store is the journal. All methods are safe for concurrent use, also by several processes. Facts (what a machine
// said, that a create was answered, what it cost) may be written by anybody at any time; a decision, which is a
// Step, only by the holder of the task's lease.
type Store interface {
	// Owner is this journal's 128-bit id in hex. It travels with every machine made from it.
	Owner(ctx context.Context) (string, error)

	// Begin records a new task. ErrExists when a task of that name is not over.
	Begin(ctx context.Context, s launch.State) error
	// BeginAlone is Begin unless a task of the same model on the same target is not over and not wanted gone: then it
	// records nothing and fails with a *RunningError that names it. One transaction: of two at one instant, one begins.
	BeginAlone(ctx context.Context, s launch.State) error
	// Task returns one task by id. ErrNotFound.
	Task(ctx context.Context, id string) (Task, error)
	// Tasks lists all tasks, oldest first.
	Tasks(ctx context.Context) ([]Task, error)
	// Commit stores one step of the saga with the effects it asks for, in one transaction, before any of them is
	// performed, and returns the effects' numbers. ErrLost when the lease is somebody else's now; ErrMoved when the
	// task is not at the version the step started from; ErrGone when the step creates a machine although the task
	// is wanted gone.
	Commit(ctx context.Context, st Step) ([]int64, error)
	// Note stores what is for the reader alone (events, and how effects ended) in one transaction; a Step can carry it along.
	// No decision rests on it, so that a crash may lose the last of it.
	Note(ctx context.Context, task string, n Notes) error
	// Done records how an effect ended.
	Done(ctx context.Context, effect int64, outcome string, at time.Time) error
	// Effects lists the effects of a task in the order of their commit.
	Effects(ctx context.Context, task string) ([]Effect, error)
	// WantGone commits that a task is to be gone. It is never taken back.
	WantGone(ctx context.Context, task, why string) error

	// Acquire takes the lease of a task. A lease that has run out, or whose holder is known to be dead (dead says
	// so), is taken over. ErrHeld, as *HeldError, else.
	Acquire(ctx context.Context, task string, h Holder, until, now time.Time, dead func(Holder) bool) (Lease, error)
	// Steal takes the lease whoever holds it: for down, which wins.
	Steal(ctx context.Context, task string, h Holder, until time.Time) (Lease, error)
	// Renew moves the end of a lease. ErrLost when it is somebody else's now.
	Renew(ctx context.Context, l Lease, until time.Time) error
	// Release gives a lease back; one that was lost is no error.
	Release(ctx context.Context, l Lease) error
	// Leaseholder tells who holds a task, if anybody does.
	Leaseholder(ctx context.Context, task string) (Holder, time.Time, error)

	// Answered notes which machine came of an intent, as a fact.
	Answered(ctx context.Context, attempt string, in launch.Instance, at time.Time) error
	// Answers lists the machines noted for an intent, oldest first. Environments are never stored.
	Answers(ctx context.Context, attempt string) ([]launch.Instance, error)

	// AppendLog adds lines of an attempt's machine. Lines whose mark is stored already are dropped, so that a
	// resumed stream neither repeats nor loses.
	AppendLog(ctx context.Context, attempt string, lines []launch.LogLine) error
	// LogMark is the provider's mark of the last stored line; empty when there is none.
	LogMark(ctx context.Context, attempt string) (string, error)
	// Log returns up to max lines after the given number, in order.
	Log(ctx context.Context, attempt string, after int64, max int) ([]LogLine, error)

	// AppendEvent adds one event of the stream that a person or program watched, as JSON.
	AppendEvent(ctx context.Context, task string, at time.Time, event []byte) error
	// Events returns up to max events after the given number, in order.
	Events(ctx context.Context, task string, after int64, max int) ([]EventLine, error)

	// RecordCost records what an attempt cost, replacing an earlier figure.
	RecordCost(ctx context.Context, c Cost) error
	// Costs lists the costs of a task in order of attempt.
	Costs(ctx context.Context, task string) ([]Cost, error)
	// SaveProof keeps the newest proof document of a task.
	SaveProof(ctx context.Context, task string, at time.Time, doc []byte) error
	// Proof returns it; ErrNotFound.
	Proof(ctx context.Context, task string) ([]byte, error)

	// Teach records a lesson, replacing one with the same id.
	Teach(ctx context.Context, l catalog.Lesson) error
	// Lessons lists the lessons that have not expired at now, oldest first.
	Lessons(ctx context.Context, now time.Time) ([]catalog.Lesson, error)
	// Forget removes a lesson. ErrNotFound.
	Forget(ctx context.Context, id string) error

	// Setting reads a remembered word, "" when there is none; SetSetting remembers one.
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error

	Close() error
}

// The errors of a Store that callers decide by.
var (
	ErrNotFound = errors.New("not in the journal")
	ErrExists   = errors.New("a task of that name is not over yet")
	ErrHeld     = errors.New("another process drives this task")
	ErrLost     = errors.New("another process has taken this task over")
	ErrMoved    = errors.New("the task has moved on")
	ErrGone     = errors.New("the task is wanted gone")
)

// RunningError names the task that runs a model already.
type RunningError struct{ Task string }

func (e *RunningError) Error() string { return "this model runs already, as task " + e.Task }

// HeldError says who holds a lease.
type HeldError struct {
	Holder Holder
	Until  time.Time
}

func (e *HeldError) Error() string { return ErrHeld.Error() }

// Is makes errors.Is(err, ErrHeld) true.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Task is one launch as the journal has it.
type Task struct {
	State   launch.State
	Version int64
	// Wanted is what was last asked for, also by a process without the lease.
	Wanted    launch.Wanted
	WantedWhy string
	Updated   time.Time
}

// Step is one transition to commit.
type Step struct {
	Lease   Lease
	Version int64 // the version it started from
	State   launch.State
	Effects []launch.Effect
	At      time.Time
	Notes   Notes // stored along with it, and not when it is refused
}

// Notes are events in their order, without numbers, and ends of effects.
type Notes struct {
	Events []EventLine
	Done   []Ended
}

// Ended is how an effect ended.
type Ended struct {
	Effect  int64
	Outcome string
	At      time.Time
}

// Empty reports whether there is nothing to store.
func (n Notes) Empty() bool { return len(n.Events) == 0 && len(n.Done) == 0 }

// Effect is one effect as it was committed.
type Effect struct {
	ID      int64
	Task    string
	Attempt string
	Kind    string
	At      time.Time
	DoneAt  time.Time // zero: asked for, and not known to be done
	Outcome string
}

// Holder is a process that may hold a lease.
type Holder struct {
	Host  string `json:"host"`
	PID   int    `json:"pid"`
	Start string `json:"start"` // tells two processes of one number apart
}

// Lease is the right to decide for a task. Token grows with each change of hands.
type Lease struct {
	Task  string
	Token int64
}

// LogLine is a stored line.
type LogLine struct {
	N int64
	launch.LogLine
}

// EventLine is a stored event.
type EventLine struct {
	N    int64
	At   time.Time
	JSON []byte
}

// Cost is what one attempt cost.
type Cost struct {
	Task     string
	Attempt  string
	N        int
	PodID    string
	Seconds  float64
	Cost     money.USD
	Cause    string
	Estimate bool // our figure; false: the provider's billing agreed
}

// creates reports whether a step rents something.
func (s Step) creates() bool {
	for _, e := range s.Effects {
		if _, ok := e.(launch.Create); ok {
			return true
		}
	}
	return false
}
