// Package runner performs the effects of package launch: it stores each step before it acts, acts, and feeds the
// answers back. One goroutine owns the state; calls run beside it and report as events.
package runner

import (
	"context"
	"time"

	"justright/catalog"
	"justright/internal/provider"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/report"
	"justright/solve"
)

// Journal is what the runner needs of a store.Store.
type Journal interface {
	Task(ctx context.Context, id string) (store.Task, error)
	Commit(ctx context.Context, st store.Step) ([]int64, error)
	Note(ctx context.Context, task string, n store.Notes) error
	Acquire(ctx context.Context, task string, h store.Holder, until, now time.Time, dead func(store.Holder) bool) (store.Lease, error)
	Steal(ctx context.Context, task string, h store.Holder, until time.Time) (store.Lease, error)
	Renew(ctx context.Context, l store.Lease, until time.Time) error
	Release(ctx context.Context, l store.Lease) error
	Answered(ctx context.Context, attempt string, in launch.Instance, at time.Time) error
	Answers(ctx context.Context, attempt string) ([]launch.Instance, error)
	AppendLog(ctx context.Context, attempt string, lines []launch.LogLine) error
	LogMark(ctx context.Context, attempt string) (string, error)
	Log(ctx context.Context, attempt string, after int64, max int) ([]store.LogLine, error)
	RecordCost(ctx context.Context, c store.Cost) error
	SaveProof(ctx context.Context, task string, at time.Time, doc []byte) error
	Teach(ctx context.Context, l catalog.Lesson) error
}

// Planner finds plans and says what a machine is asked for.
type Planner interface {
	// Next is the best plan that the task has not tried. An error, usually a *problem.Problem, when there is none.
	Next(ctx context.Context, s launch.State) (Proposal, error)
	// Spec is what the provider is sent for an attempt; it holds secrets and is never stored.
	Spec(ctx context.Context, s launch.State, a launch.Attempt) (launch.Spec, error)
}

// Proposal is one plan, ready to be intended.
type Proposal struct {
	Stack   solve.Stack
	Summary string
	Price   money.USD     // per hour
	Disk    money.USD     // per hour, beside it
	Boot    time.Duration // how long until it must be ready
}

// Hourly is what an hour costs in all.
func (p Proposal) Hourly() money.USD { return p.Price + p.Disk }

// Watcher makes a Watch for each attempt.
type Watcher interface {
	Watch(a launch.Attempt, now time.Time) Watch
}

// Watch reads what one machine says. It is used by one goroutine.
type Watch interface {
	// Line takes one line.
	Line(l launch.LogLine) []Sign
	// Seen takes the provider's word about the machine.
	Seen(in launch.Instance, now time.Time) []Sign
	// Tick says that time has passed without a line.
	Tick(now time.Time) []Sign
}

// Sign is what a line means: for the saga, for the person, or both. The Attempt of Event is filled in by the runner's
// Watcher.
type Sign struct {
	Event  launch.Event
	Report *report.Event
}

// Prover proves an endpoint.
type Prover interface {
	Prove(ctx context.Context, a launch.Attempt, baseURL string, tell func(report.Event)) (Proof, error)
}

// Proof is the outcome of a proof. An error instead of it means that the endpoint could not be asked.
type Proof struct {
	Passed   bool
	Detail   string
	Document []byte // justright/proof/1
	// Cause and Lesson are set where a proof that failed tells what is wrong.
	Cause  string
	Lesson *catalog.Lesson
}

// Biller is a provider that can say what a machine has cost. ok is false while it does not know yet.
type Biller interface {
	BilledFor(ctx context.Context, podID string, since time.Time) (cost money.USD, ok bool, err error)
}

// Config is everything a run needs.
type Config struct {
	Journal  Journal
	Provider provider.Provider
	Address  string // the provider's base address: only it can deny what was made through it
	Account  string // fingerprint of the key, for the same reason

	Planner Planner
	Watcher Watcher
	Prover  Prover
	Sink    report.Sink

	Now    func() time.Time                     // the provider's time as well as we know it
	Skew   time.Duration                        // how far it is ahead of this machine's
	NewID  func() string                        // 128 bit, hex
	Signal <-chan bool                          // true: hang-up or termination; false: Ctrl-C
	Holder store.Holder                         // this process
	Dead   func(store.Holder) bool              // knows whether a process is certainly gone
	Self   string                               // id of the pod this process runs in: never touched
	Trap   func(at Point, e launch.Effect) bool // for tests: true kills the run there
	Clean  func(line string) string             // takes secrets out of what a machine says; nil: left as it is
}

// Point is a moment at which a test may kill a run.
type Point string

// The points of one effect.
const (
	BeforeCommit Point = "before-commit"
	AfterCommit  Point = "after-commit"
	AfterCall    Point = "after-call" // of a create: answered, and not yet noted
	AfterAct     Point = "after-act"
)

// Lease timing: a holder that is not renewed for leaseFor is taken to be gone on other machines; on this one its
// process is asked after.
const (
	leaseFor   = 30 * time.Second
	leaseRenew = 5 * time.Second
)

// noteAfter is how long what is for the reader alone may wait for a step to go along with: each transaction is a write that the disk
// has to confirm, and a step makes one anyway.
const noteAfter = 100 * time.Millisecond

// How long calls may take.
const (
	createFor = 120 * time.Second
	callFor   = 30 * time.Second
	drainFor  = 6 * time.Second
	quietFor  = 700 * time.Millisecond
	tickEvery = 2 * time.Second
)
