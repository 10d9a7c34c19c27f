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
	"path/filepath"
	"strings"
	"time"
)

// ran is what one call of the program came to.
type ran struct {
	status         int
	stdout, stderr string
	took           time.Duration
}

func (b *bench) call(ctx context.Context, env []string, args ...string) (ran, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, b.program, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(append([]string{}, b.env...), env...), &out, &errs
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

func tail(s string) string { return s[max(0, len(s)-600):] }

// event is one line of `up --json`, as far as it is looked at.
type event struct {
	Event, Name, Status, Detail, Outcome, Cause, State, Line, Text, Summary string

	Evidence  []string
	Passed    bool
	BaseURL   string `json:"base_url"`
	KeyFile   string `json:"key_file"`
	Model     string
	ReadyTime float64 `json:"seconds"`
}

// launched is a stream of up.
type launched struct {
	ran
	events []event
}

func (b *bench) up(ctx context.Context, env []string, args ...string) (launched, error) {
	return b.upOn(ctx, env, "local", args...)
}

func (b *bench) upOn(ctx context.Context, env []string, on string, args ...string) (launched, error) {
	r, err := b.call(ctx, env, append([]string{"up", "--on", on, "--yes", "--json"}, args...)...)
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

// end is the event that closes the stream.
func (l launched) end() event {
	if n := len(l.events); n > 0 && l.events[n-1].Event == "end" {
		return l.events[n-1]
	}
	return event{}
}

// ready asks that the launch ended in a proven endpoint whose proof includes the named checks.
func (l launched) ready(checks ...string) (event, error) {
	e := l.end()
	if l.status != 0 || e.Outcome != "ready" {
		return e, fmt.Errorf("up ended with status %d, outcome %q: %s", l.status, e.Outcome, l.why())
	}
	for _, want := range checks {
		found := false
		for _, c := range l.events {
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

// why gathers what a failed launch said about itself.
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
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || res.StatusCode != http.StatusOK || len(doc.Choices) == 0 {
		return "", fmt.Errorf("chat: HTTP %d, %w", res.StatusCode, err)
	}
	return doc.Choices[0].Message.Content, nil
}

// down takes a launch down and asks that it says so.
func (b *bench) down(ctx context.Context, name string) error {
	r, err := b.call(ctx, nil, "down", name)
	if err != nil {
		return err
	}
	if r.status != 0 {
		return fmt.Errorf("down ended with status %d: %s", r.status, tail(r.stderr))
	}
	return nil
}

// nothingLeft asks the program, and this machine itself: no launch runs, no directory of one, no process.
func (b *bench) nothingLeft() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := b.call(ctx, nil, "ps", "--json")
	if err != nil {
		return err
	}
	var doc struct {
		Launches []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		return fmt.Errorf("ps --json: %w", err)
	}
	if len(doc.Launches) > 0 {
		return fmt.Errorf("left behind: ps shows %v", doc.Launches)
	}
	dirs, err := os.ReadDir(filepath.Join(b.dir, "state", "justright", "local"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(dirs) > 0 {
		return fmt.Errorf("left behind: the directory of %s", dirs[0].Name())
	}
	// The engine's processes inherit where their state is.
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, f := range environs {
		if raw, err := os.ReadFile(f); err == nil && bytes.Contains(raw, []byte("XDG_STATE_HOME="+filepath.Join(b.dir, "state"))) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
			return fmt.Errorf("left behind: process %s, %.120q", filepath.Base(filepath.Dir(f)), name)
		}
	}
	return nil
}

// sweep ends whatever a failed case left, so that the next one begins clean.
func (b *bench) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if r, err := b.call(ctx, nil, "down", "--all"); err != nil || r.status != 0 {
		fmt.Fprintln(os.Stderr, "e2e: down --all:", err, tail(r.stderr))
	}
}
