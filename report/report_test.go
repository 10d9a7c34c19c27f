package report

import (
	"encoding/json"
	"testing"
	"time"

	"justright/problem"
)

func TestFlatForm(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for want, e := range map[string]Event{
		`{"event":"end","at":"2026-11-25T12:00:00Z","outcome":"ready","name":"n","base_url":"u","model":"m","key_file":"k","spent":"0.01"}`: {At: at, End: &End{Outcome: "ready", Name: "n", BaseURL: "u", Model: "m", KeyFile: "k", Spent: 10_000_000}},
		`{"event":"check","name":"chat","passed":true,"detail":"Paris","applies":true}`:                                                     {Check: &Check{Name: "chat", Passed: true, Detail: "Paris", Applies: true}},
		`{"event":"problem","schema":"justright/problem/1","code":"c","summary":"s","cause":null,"hints":[]}`:                               {Problem: problem.New(1, "c", "s")},
		`{"event":"none"}`: {},
	} {
		b, err := json.Marshal(e)
		if err != nil || string(b) != want {
			t.Errorf("got  %s, %v\nwant %s", b, err, want)
		}
	}
}
