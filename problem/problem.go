// Package problem is the shape of every error a person is meant to read: what happened, why, and the
// command that helps. Whoever knows the remedy makes a Problem; internal/cli prints it once and turns its
// Code into the exit status.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Code is a stable snake_case word that names the kind of problem, for programs. Refusal codes are the
// reasons of package solve, launch failures the causes of package diagnose.
type Code string

// Exit is a process exit status with the meaning of DESIGN 5 ("Errors").
type Exit int

// The exit statuses. One table, here; help and docs print it.
const (
	ExitOK          Exit = 0   // done, works, fits
	ExitBug         Exit = 1   // a bug of ours
	ExitUsage       Exit = 2   // usage, unknown model, unreadable file
	ExitNoStack     Exit = 3   // no stack, refused, does not fit
	ExitCredentials Exit = 4   // credentials, gated model
	ExitCapacity    Exit = 5   // no capacity, quota or balance; hub, index or provider out of reach; disk, port, Python
	ExitNotProven   Exit = 6   // launched but not proven
	ExitLimit       Exit = 7   // budget, ttl or not confirmed
	ExitUndecided   Exit = 8   // the facts do not decide
	ExitInterrupted Exit = 130 // interrupted
)

// Meaning says in a few words what an exit status means.
func (e Exit) Meaning() string {
	switch e {
	case ExitOK:
		return "done, works, fits"
	case ExitUsage:
		return "usage, unknown model, unreadable file"
	case ExitNoStack:
		return "no stack, refused, does not fit"
	case ExitCredentials:
		return "credentials missing or refused, gated model"
	case ExitCapacity:
		return "no capacity, quota or balance; hub, index or provider out of reach; this machine lacks disk, port or Python"
	case ExitNotProven:
		return "launched but not proven"
	case ExitLimit:
		return "stopped by budget or ttl, or not confirmed"
	case ExitUndecided:
		return "the facts do not decide"
	case ExitInterrupted:
		return "interrupted"
	default:
		return "a bug of ours"
	}
}

// Hint is one way on: a command that can be pasted, or a sentence when no command helps.
type Hint struct {
	Text    string `json:"text"`
	Command string `json:"command,omitempty"`
}

// Problem is an error with everything a person needs to go on.
type Problem struct {
	Code    Code
	Exit    Exit
	Summary string // what happened, to what; one line, no stop
	Cause   string // why; may be empty
	Hints   []Hint
	Err     error // the private cause, never printed as it is
}

// New makes a problem; fill Cause and Hints with the chainable methods below.
func New(exit Exit, code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Exit: exit, Summary: fmt.Sprintf(format, args...)}
}

// Because states the cause and returns p.
func (p *Problem) Because(format string, args ...any) *Problem {
	p.Cause = fmt.Sprintf(format, args...)
	return p
}

// Wrap records the underlying error, and states it as the cause when none is stated yet.
func (p *Problem) Wrap(err error) *Problem {
	p.Err = err
	if p.Cause == "" && err != nil {
		p.Cause = err.Error()
	}
	return p
}

// Try adds a hint: a sentence and, when there is one, the command to paste.
func (p *Problem) Try(text, command string) *Problem {
	p.Hints = append(p.Hints, Hint{Text: text, Command: command})
	return p
}

func (p *Problem) Error() string {
	if p.Cause != "" {
		return p.Summary + ": " + p.Cause
	}
	return p.Summary
}

func (p *Problem) Unwrap() error { return p.Err }

// MarshalJSON renders the justright/problem/1 document. A cause that the summary does not leave open is null.
func (p *Problem) MarshalJSON() ([]byte, error) {
	hints := p.Hints
	if hints == nil {
		hints = []Hint{}
	}
	var cause *string
	if p.Cause != "" {
		cause = &p.Cause
	}
	return json.Marshal(struct {
		Schema  string  `json:"schema"`
		Code    Code    `json:"code"`
		Summary string  `json:"summary"`
		Cause   *string `json:"cause"`
		Hints   []Hint  `json:"hints"`
	}{"justright/problem/1", p.Code, p.Summary, cause, hints})
}

// From returns the Problem inside err, or wraps err as a bug of ours.
func From(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return New(ExitBug, "internal", "unexpected error").Wrap(err)
}
