package report

import (
	"encoding/json"
	"fmt"
	"time"

	"justright/problem"
)

// Parse reads the flat JSON form of an event back, as it was stored or printed. An event of a kind that this program does
// not know is an error; fields it does not know are ignored.
func Parse(doc []byte) (Event, error) {
	var head struct {
		Event string     `json:"event"`
		At    *time.Time `json:"at"`
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	var e Event
	if head.At != nil {
		e.At = *head.At
	}
	var body any
	switch head.Event {
	case "begin":
		e.Begin = new(Begin)
		body = e.Begin
	case "plan":
		e.Plan = new(Plan)
		body = e.Plan
	case "state":
		e.State = new(State)
		body = e.State
	case "phase":
		e.Phase = new(Phase)
		body = e.Phase
	case "progress":
		e.Progress = new(Progress)
		body = e.Progress
	case "expect":
		e.Expect = new(Expect)
		body = e.Expect
	case "log":
		e.Log = new(Log)
		body = e.Log
	case "finding":
		e.Finding = new(Finding)
		body = e.Finding
	case "attempt":
		e.Attempt = new(Attempt)
		body = e.Attempt
	case "check":
		e.Check = new(Check)
		body = e.Check
	case "note":
		e.Note = new(Note)
		body = e.Note
	case "problem":
		e.Problem = new(problem.Problem)
		body = e.Problem
	case "end":
		e.End = new(End)
		body = e.End
	default:
		return Event{}, fmt.Errorf("event %q is none", head.Event)
	}
	if err := json.Unmarshal(doc, body); err != nil {
		return Event{}, fmt.Errorf("event %s: %w", head.Event, err)
	}
	return e, nil
}
