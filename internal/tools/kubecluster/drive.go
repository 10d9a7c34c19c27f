//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// ran is what one call of the program came to.
type ran struct {
	status         int
	stdout, stderr string
	took           time.Duration
}

func tail(s string) string { return s[max(0, len(s)-900):] }

func (b *bench) call(ctx context.Context, env []string, args ...string) (ran, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, b.program, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(slices.Clone(b.env), env...), &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Run()
	r := ran{cmd.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(began)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return r, fmt.Errorf("justright %s: %w %s", args[0], errors.Join(err, ctx.Err()), tail(r.stdout+r.stderr))
	}
	return r, nil
}

// event is one line of `up --json`, as far as it is looked at.
type event struct {
	Event, Outcome, Cause, Summary, Name, Detail string

	Evidence []string
	Passed   bool
	BaseURL  string `json:"base_url"`
	KeyFile  string `json:"key_file"`
	Model    string
}

// launched is a stream of up.
type launched struct {
	ran
	events []event
}

func (b *bench) up(ctx context.Context, env []string, args ...string) (launched, error) {
	r, err := b.call(ctx, env, append([]string{"up", "--yes", "--json"}, args...)...)
	l := launched{ran: r}
	if err != nil {
		return l, err
	}
	for line := range strings.Lines(r.stdout) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return l, fmt.Errorf("up --json printed %.200q: %w", line, err)
		}
		l.events = append(l.events, e)
	}
	return l, nil
}

func (l launched) end() event {
	if n := len(l.events); n > 0 && l.events[n-1].Event == "end" {
		return l.events[n-1]
	}
	return event{}
}

// cause is the first that was found.
func (l launched) cause() string {
	for _, e := range l.events {
		if e.Event == "finding" {
			return e.Cause
		}
	}
	return ""
}

// why gathers what a launch said about its failure.
func (l launched) why() string {
	var out []string
	for _, e := range l.events {
		switch {
		case e.Event == "finding":
			out = append(out, e.Cause+": "+strings.Join(e.Evidence, " | "))
		case e.Event == "problem":
			out = append(out, e.Summary+" "+e.Cause)
		case e.Event == "check" && !e.Passed:
			out = append(out, e.Name+": "+e.Detail)
		}
	}
	return strings.Join(out, "; ") + tail(l.stderr)
}

// ask puts one question to an endpoint at temperature 0.
func ask(ctx context.Context, e event, question string) (string, error) {
	key, err := os.ReadFile(e.KeyFile)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{"model": e.Model, "temperature": 0, "max_tokens": 40, "messages": []any{map[string]string{"role": "user", "content": question}}})
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
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || res.StatusCode != http.StatusOK || len(doc.Choices) == 0 {
		return "", fmt.Errorf("chat: HTTP %d, %w", res.StatusCode, err)
	}
	return doc.Choices[0].Message.Content, nil
}

// down takes a launch down and asks that it says so.
func (b *bench) down(ctx context.Context, name string) error {
	r, err := b.call(ctx, nil, "down", name)
	if err == nil && r.status != 0 {
		err = fmt.Errorf("down ended with status %d: %s", r.status, tail(r.stderr))
	}
	return err
}

// logged is the first stored line of a launch that holds text.
func (b *bench) logged(ctx context.Context, name, text string) (string, error) {
	r, err := b.call(ctx, nil, "logs", name)
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(r.stdout) {
		if i := strings.Index(l, text); i >= 0 {
			return strings.TrimSpace(l[i:]), nil
		}
	}
	return "", fmt.Errorf("no line with %q in the log of %s", text, name)
}
