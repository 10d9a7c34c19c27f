package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"justright/money"
	"justright/problem"
	"justright/report"
)

// What is printed can be read back, each kind of event: replay depends on it.
func TestParseReadsWhatIsPrinted(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	price := money.Dollar / 4
	for _, e := range []report.Event{
		{Begin: &report.Begin{Protocol: 1, Command: "up", Model: "m", Target: "t", Name: "n", Budget: 2 * money.Dollar, Why: "w"}},
		{Plan: &report.Plan{Attempt: 1, Rank: 2, Summary: "s", PricePerHour: &price, ReadySeconds: [2]int{1, 2}, Guarded: true}},
		{State: &report.State{Attempt: 1, State: "created", ID: "p", Seconds: 1.5, Spent: 5, Cap: 7}},
		{Phase: &report.Phase{Name: "env", Status: "ok", Detail: "d", Seconds: 2}},
		{Progress: &report.Progress{Phase: "env", Done: 1, Total: 2, Unit: "bytes"}},
		{Log: &report.Log{Source: "container", Line: "<x>"}},
		{Finding: &report.Finding{Cause: "c", Stage: "s", Evidence: []string{"e"}, Remedy: "r", Next: "n"}},
		{Attempt: &report.Attempt{ID: "a", Seconds: 1, Cost: 3, Cause: "c"}},
		{Check: &report.Check{Name: "n", Passed: true, Detail: "d"}},
		{Note: &report.Note{Text: "t", Level: "info"}},
		{Problem: problem.New(problem.ExitCapacity, "c", "s").Because("b").Try("t", "x")},
		{End: &report.End{Outcome: "ready", Name: "n", BaseURL: "u", Model: "m", KeyFile: "k", Spent: 9}},
	} {
		e.At = at
		doc, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := report.Parse(doc)
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(doc, again) {
			t.Errorf("%s: %s became %s, %v", e.Name(), doc, again, err)
		}
	}
	if doc, err := json.Marshal(report.Event{At: at, End: &report.End{Outcome: "failed", Name: "n", Model: "m"}}); err != nil ||
		!bytes.Contains(doc, []byte(`"base_url":null,"model":"m","key_file":null`)) {
		t.Errorf("an end without an endpoint: %s, %v", doc, err)
	}
	for _, doc := range []string{"", "{}", `{"event":"strange"}`, `{"event":"end","spent":[]}`} {
		if _, err := report.Parse([]byte(doc)); err == nil {
			t.Errorf("%q was read as an event", doc)
		}
	}
}
