// Package drive runs the built program as a person's script would: one call at a time, its streams kept, its documents
// read. What the end-to-end commands ask of a real engine and of a real cluster stands on it.
package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Program is a justright to drive, and the world that it is given.
type Program struct {
	Path string
	Env  []string // all of it, as NAME=VALUE
}

// Build is the program at path; with no path it is built into dir from the tree this process stands in.
func Build(ctx context.Context, path, dir string) (string, error) {
	if path != "" {
		return path, nil
	}
	path = filepath.Join(dir, "justright")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/justright")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("go build ./cmd/justright: %w", err)
	}
	return path, nil
}

// World is the environment of this process without a key, a hub and a state of its owner's, and with the entries given.
func World(with ...string) []string {
	not := []string{"RUNPOD_API_KEY", "HF_ENDPOINT", "XDG_STATE_HOME"}
	for _, kv := range with {
		name, _, _ := strings.Cut(kv, "=")
		not = append(not, name)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(not, name)
	})
	return append(env, with...)
}

// Ran is what one call of the program came to.
type Ran struct {
	Status         int
	Stdout, Stderr string
	Took           time.Duration
}

// Said is the end of what the call printed, for an error.
func (r Ran) Said() string { return Tail(r.Stdout + r.Stderr) }

// Tail is the end of a long text, at most 900 bytes.
func Tail(s string) string { return s[max(0, len(s)-900):] }

// Call runs the program until it has ended, with env added to its world. The error tells of a call that could not be made or
// was cut off with ctx (the program is interrupted then, as by Ctrl-C); a status other than 0 is no error.
func (p Program) Call(ctx context.Context, env []string, args ...string) (Ran, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, p.Path, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(slices.Clone(p.Env), env...), &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Run()
	r := Ran{cmd.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(began)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return r, fmt.Errorf("justright %s: %w %s", args[0], errors.Join(err, ctx.Err()), r.Said())
	}
	return r, nil
}

// Down takes a launch down and asks that the program says so.
func (p Program) Down(ctx context.Context, name string) error {
	r, err := p.Call(ctx, nil, "down", name)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("down ended with status %d: %s", r.Status, Tail(r.Stderr))
	}
	return err
}

// Sweep takes down whatever a failed case left, so that the next one begins clean; what it cannot is told on the standard error.
func (p Program) Sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if r, err := p.Call(ctx, nil, "down", "--all"); err != nil || r.Status != 0 {
		fmt.Fprintln(os.Stderr, "down --all:", err, Tail(r.Stderr))
	}
}

// NoLaunch asks the program itself: it is an error that ps shows one.
func (p Program) NoLaunch(ctx context.Context) error {
	r, err := p.Call(ctx, nil, "ps", "--json")
	if err != nil {
		return err
	}
	var doc struct {
		Launches []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil {
		return fmt.Errorf("ps --json: %w", err)
	}
	if len(doc.Launches) > 0 {
		return fmt.Errorf("left behind: ps shows %v", doc.Launches)
	}
	return nil
}

// Logged is the first stored line of a launch that holds text, from there on.
func (p Program) Logged(ctx context.Context, name, text string) (string, error) {
	r, err := p.Call(ctx, nil, "logs", name)
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(r.Stdout) {
		if i := strings.Index(l, text); i >= 0 {
			return strings.TrimSpace(l[i:]), nil
		}
	}
	return "", fmt.Errorf("no line with %q in the log of %s", text, name)
}
