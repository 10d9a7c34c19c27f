// Package report is the one stream of events every output is made from: text, JSON lines and dashboard are
// sinks of it.
package report

import (
	"encoding/json"
	"time"

	"justright/money"
	"justright/problem"
)

// Event is one thing that happened. Exactly one of the pointer fields is set. The JSON form is flat: the name of
// the set field as "event", its own fields beside it, plus "at".
type Event struct {
	At       time.Time // when, RFC 3339 in JSON
	Begin    *Begin
	Plan     *Plan
	State    *State
	Phase    *Phase
	Progress *Progress
	Expect   *Expect
	Log      *Log
	Finding  *Finding
	Attempt  *Attempt
	Check    *Check
	Note     *Note
	Problem  *problem.Problem
	End      *End
}

// Begin opens a stream.
type Begin struct {
	Protocol int       `json:"protocol"` // 1
	Command  string    `json:"command"`
	Model    string    `json:"model"`
	Target   string    `json:"target"`
	Name     string    `json:"name"`
	Budget   money.USD `json:"budget"`
	Why      string    `json:"why,omitempty"` // why this target
}

// Plan says which stack is about to be tried.
type Plan struct {
	Attempt      int        `json:"attempt"`
	Rank         int        `json:"rank"`
	Summary      string     `json:"summary"`        // "RTX A5000 24 GB · vLLM 0.19.1 (cu129) · wheels"
	PricePerHour *money.USD `json:"price_per_hour"` // its disk included
	ReadySeconds [2]int     `json:"ready_seconds"`
	Measured     int        `json:"measured,omitempty"` // how many launches that interval comes from; 0: from the facts
	Guarded      bool       `json:"guarded"`
}

// State is a change of the launch's state.
type State struct {
	Attempt int       `json:"attempt"`
	State   string    `json:"state"`
	ID      string    `json:"id,omitempty"` // the provider's id
	Detail  string    `json:"detail,omitempty"`
	Seconds float64   `json:"seconds"`
	Spent   money.USD `json:"spent"`
	Cap     money.USD `json:"cap"`
}

// Phase is the start or end of a boot phase.
type Phase struct {
	Name    string    `json:"name"`   // preflight, env, weights, engine, ready, hold
	Status  string    `json:"status"` // start, ok, fail
	Detail  string    `json:"detail,omitempty"`
	Cached  bool      `json:"cached,omitempty"` // what it makes was there already
	Seconds float64   `json:"seconds"`          // of the phase, when it ended
	Spent   money.USD `json:"spent"`
	Cap     money.USD `json:"cap"`
}

// Progress is how far a phase has come.
type Progress struct {
	Phase   string    `json:"phase"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`          // 0 when not known
	Unit    string    `json:"unit"`           // "bytes", "packages", "percent"
	Rate    float64   `json:"rate,omitempty"` // units a second, smoothed; 0 when not known
	Seconds float64   `json:"seconds"`        // since the attempt began
	Spent   money.USD `json:"spent"`
	Cap     money.USD `json:"cap"`
}

// Expect is when the engine should be ready, by what is known now. It is said anew when it moves.
type Expect struct {
	Ready   time.Time `json:"ready"`
	Seconds float64   `json:"seconds"` // until then
	Spent   money.USD `json:"spent"`
	Cap     money.USD `json:"cap"`
}

// Log is one line the machine said.
type Log struct {
	Source string `json:"source"` // container, system
	Line   string `json:"line"`
}

// Finding is a diagnosed failure.
type Finding struct {
	Cause    string   `json:"cause"`
	Stage    string   `json:"stage"`
	Evidence []string `json:"evidence"`
	Remedy   string   `json:"remedy"`
	Next     string   `json:"next"` // what happens now
}

// Attempt closes one attempt with its bill.
type Attempt struct {
	ID      string    `json:"id"`
	Seconds float64   `json:"seconds"`
	Cost    money.USD `json:"cost"`
	Cause   string    `json:"cause"`
}

// Check is one check of the proof.
type Check struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Detail  string `json:"detail"`
	Applies bool   `json:"applies"` // false: it proves nothing about this endpoint, and counts as passed
}

// Note is a sentence for the person who waits.
type Note struct {
	Text  string `json:"text"`
	Level string `json:"level"` // info, warning
}

// End closes a stream of `up`.
type End struct {
	Outcome string    `json:"outcome"` // ready, failed, detached, cancelled, refused
	Name    string    `json:"name"`
	BaseURL string    `json:"base_url"` // null without an endpoint, as is key_file
	Model   string    `json:"model"`
	KeyFile string    `json:"key_file"`
	Spent   money.USD `json:"spent"`
	// What was learned: how long it took against what was predicted, and the lessons that failures left.
	ReadySeconds     float64  `json:"ready_seconds,omitempty"` // from the create to the proof
	PredictedSeconds [2]int   `json:"predicted_seconds,omitzero"`
	Learned          []string `json:"learned,omitempty"`
}

// MarshalJSON writes null for an address and a key file that there are not.
func (e End) MarshalJSON() ([]byte, error) {
	or := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return json.Marshal(struct {
		Outcome string    `json:"outcome"`
		Name    string    `json:"name"`
		BaseURL *string   `json:"base_url"`
		Model   string    `json:"model"`
		KeyFile *string   `json:"key_file"`
		Spent   money.USD `json:"spent"`

		ReadySeconds     float64  `json:"ready_seconds,omitempty"`
		PredictedSeconds [2]int   `json:"predicted_seconds,omitzero"`
		Learned          []string `json:"learned,omitempty"`
	}{e.Outcome, e.Name, or(e.BaseURL), e.Model, or(e.KeyFile), e.Spent, e.ReadySeconds, e.PredictedSeconds, e.Learned})
}

// Sink takes events in order. Emit must not block for long and must not keep e's pointers.
type Sink interface{ Emit(e Event) error }

// MarshalJSON writes the flat form: {"event":"phase","at":…,"name":…}.
func (e Event) MarshalJSON() ([]byte, error) {
	name, body := e.body()
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	head := struct {
		Event string     `json:"event"`
		At    *time.Time `json:"at,omitempty"`
	}{Event: name}
	if !e.At.IsZero() {
		at := e.At.UTC()
		head.At = &at
	}
	h, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if string(raw) == "{}" || string(raw) == "null" {
		return h, nil
	}
	return append(append(h[:len(h)-1], ','), raw[1:]...), nil
}

// Name is the word of the field that is set.
func (e Event) Name() string { n, _ := e.body(); return n }

func (e Event) body() (string, any) {
	switch {
	case e.Begin != nil:
		return "begin", e.Begin
	case e.Plan != nil:
		return "plan", e.Plan
	case e.State != nil:
		return "state", e.State
	case e.Phase != nil:
		return "phase", e.Phase
	case e.Progress != nil:
		return "progress", e.Progress
	case e.Expect != nil:
		return "expect", e.Expect
	case e.Log != nil:
		return "log", e.Log
	case e.Finding != nil:
		return "finding", e.Finding
	case e.Attempt != nil:
		return "attempt", e.Attempt
	case e.Check != nil:
		return "check", e.Check
	case e.Note != nil:
		return "note", e.Note
	case e.Problem != nil:
		return "problem", e.Problem
	case e.End != nil:
		return "end", e.End
	default:
		return "none", struct{}{}
	}
}
