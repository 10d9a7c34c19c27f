package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"justright/internal/store"
	"justright/launch"
	"justright/problem"
	"justright/report"
)

// waiting is an up as long as it drives no machine: it reads, plans, asks, or looks on while another process drives. A signal
// ends that; once it drives, the saga is told of signals instead.
type waiting struct {
	parent  context.Context
	driving atomic.Bool
}

type waitingKey struct{}

// interruptible returns a context that a signal ends, and the end of listening.
func interruptible(ctx context.Context) (context.Context, *waiting, context.CancelFunc) {
	u := &waiting{parent: ctx}
	ctx, stop := signal.NotifyContext(context.WithValue(ctx, waitingKey{}, u), os.Interrupt, syscall.SIGHUP, syscall.SIGTERM)
	return ctx, u, stop
}

// takeWheel is the context to drive in. The signals must be heard by the driver already: one that came before ends here.
func takeWheel(ctx context.Context) (context.Context, error) {
	u, ok := ctx.Value(waitingKey{}).(*waiting)
	switch {
	case !ok:
		return ctx, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	u.driving.Store(true)
	return u.parent, nil
}

// giveWheel is the end of driving where another process drives on: a signal ends the looking on again. ctx is what takeWheel was given.
func giveWheel(ctx context.Context) {
	if u, ok := ctx.Value(waitingKey{}).(*waiting); ok {
		u.driving.Store(false)
	}
}

// ended reports whether a signal came while nothing was driven.
func (u *waiting) ended(ctx context.Context) bool {
	return ctx.Err() != nil && u.parent.Err() == nil && !u.driving.Load()
}

// interruptedWaiting is the end of an up that a signal reached before it drove a machine.
func interruptedWaiting() *problem.Problem {
	return problem.New(problem.ExitInterrupted, "interrupted", "interrupted").Because("this command had rented nothing")
}

// waitedOn ends the stream of an up that a signal reached while it waited with a launch.
func (w *World) waitedOn(ctx context.Context, journal store.Store, task string, sink sinks) error {
	t, err := journal.Task(context.WithoutCancel(ctx), task)
	if err != nil {
		return interruptedWaiting()
	}
	s := t.State
	s.End = &launch.Stop{Outcome: "detached"}
	pr := interruptedWaiting()
	if len(s.Unsettled()) > 0 {
		pr = problem.New(problem.ExitInterrupted, "detached", "detached from %s", s.Name).
			Because("another process drives it, and goes on").Try("end it", "justright down "+s.Name)
	}
	return w.failUp(s, pr, sink)
}

// beganAndStopped ends the stream of an up that was to start a launch, if it has one; nil when it goes on or has none.
func (w *World) beganAndStopped(ctx context.Context, begin *report.Begin, err error, sink sinks) error {
	var pr *problem.Problem
	switch {
	case err == nil || begin == nil || sink.text != nil:
		return nil
	case ctx.Err() != nil:
		pr = interruptedWaiting()
	case !errors.As(err, &pr):
		return nil
	}
	return w.failUp(launch.State{Name: begin.Name, Model: begin.Model}, pr, sink)
}
