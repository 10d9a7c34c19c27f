package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// Event is one line of `up --json`, as far as it is looked at.
type Event struct {
	Event, Name, Outcome, Cause, Summary, Detail, Model string

	Evidence []string
	Passed   bool
	BaseURL  string `json:"base_url"`
	KeyFile  string `json:"key_file"`
}

// Launch is what one up came to, with its events.
type Launch struct {
	Ran
	Events []Event
}

// Up runs `up --yes --json` with more arguments and reads its stream.
func (p Program) Up(ctx context.Context, env []string, args ...string) (Launch, error) {
	r, err := p.Call(ctx, env, append([]string{"up", "--yes", "--json"}, args...)...)
	l := Launch{Ran: r}
	if err != nil {
		return l, err
	}
	for line := range strings.Lines(r.Stdout) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return l, fmt.Errorf("up --json printed %.200q: %w", line, err)
		}
		l.Events = append(l.Events, e)
	}
	return l, nil
}

// End is the event that closes the stream, or none.
func (l Launch) End() Event {
	if n := len(l.Events); n > 0 && l.Events[n-1].Event == "end" {
		return l.Events[n-1]
	}
	return Event{}
}

// Ready asks that the launch ended in a proven endpoint whose proof passed the named checks.
func (l Launch) Ready(checks ...string) (Event, error) {
	e := l.End()
	if l.Status != 0 || e.Outcome != "ready" {
		return e, fmt.Errorf("up ended with status %d, outcome %q: %s", l.Status, e.Outcome, l.Why())
	}
	for _, want := range checks {
		found := false
		for _, c := range l.Events {
			if c.Event == "check" && c.Name == want {
				found = c.Passed && !strings.HasPrefix(c.Detail, "does not apply")
			}
		}
		if !found {
			return e, fmt.Errorf("the proof lacks %s", want)
		}
	}
	return e, nil
}

// Cause is the first that was found, or none.
func (l Launch) Cause() string {
	for _, e := range l.Events {
		if e.Event == "finding" {
			return e.Cause
		}
	}
	return ""
}

// Why gathers what a failed launch said about itself.
func (l Launch) Why() string {
	var out []string
	for _, e := range l.Events {
		switch {
		case e.Event == "finding":
			out = append(out, e.Cause+": "+strings.Join(e.Evidence, " | "))
		case e.Event == "problem":
			out = append(out, e.Summary+" "+e.Cause)
		case e.Event == "check" && !e.Passed:
			out = append(out, e.Name+": "+e.Detail)
		}
	}
	return strings.Join(out, "; ") + Tail(l.Stderr)
}

// Ask puts one question to the endpoint that an up ended with, at temperature 0, and returns the answer's text.
func Ask(ctx context.Context, e Event, question string) (string, error) {
	key, err := os.ReadFile(e.KeyFile)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{"model": e.Model, "temperature": 0, "max_tokens": 60,
		"messages": []any{map[string]string{"role": "user", "content": question}}})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var doc struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		return "", fmt.Errorf("chat: HTTP %d, %w", res.StatusCode, err)
	}
	if res.StatusCode != http.StatusOK || len(doc.Choices) == 0 {
		return "", fmt.Errorf("chat: HTTP %d with %d choices", res.StatusCode, len(doc.Choices))
	}
	return doc.Choices[0].Message.Content, nil
}
