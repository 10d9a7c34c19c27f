package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"justright/internal/store"
	"justright/problem"
)

// simHello is the first line of `justright sim`, and its state file.
type simHello struct {
	URL   string `json:"url"`
	PID   int    `json:"pid"`
	Ended bool   `json:"ended"`
}

// rehearsal is the address of the rehearsal's simulator. It is a process of its own, so that it outlives `up` as a pod
// outlives it, and it ends itself a while after its last pod.
func (w *World) rehearsal(ctx context.Context, start bool) (string, error) {
	dir, err := w.stateDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "rehearsal")
	state := filepath.Join(dir, "sim.json")
	if h, ok := readHello(state); ok && !h.Ended && processAlive(h.PID) && answers(ctx, h.URL) {
		return h.URL, nil
	}
	if !start {
		return "", problem.New(problem.ExitCapacity, "no_rehearsal", "no rehearsal runs")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", problem.New(problem.ExitUsage, "journal", "the rehearsal has no place in %s", dir).Wrap(err)
	}
	// Two launches at one instant share one simulator: the second waits here and finds the first's.
	unlock, err := store.LockFile(filepath.Join(dir, "start.lock"))
	if err != nil {
		return "", problem.New(problem.ExitCapacity, "no_rehearsal", "the rehearsal's simulator cannot be started").Wrap(err)
	}
	defer unlock()
	if h, ok := readHello(state); ok && !h.Ended && processAlive(h.PID) && answers(ctx, h.URL) {
		return h.URL, nil
	}
	return w.startSim(ctx, dir, state)
}

func readHello(path string) (h simHello, ok bool) {
	b, err := os.ReadFile(path)
	return h, err == nil && json.Unmarshal(b, &h) == nil && h.URL != ""
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_sim/clock", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// startSim starts the simulator and waits for its first line.
func (w *World) startSim(ctx context.Context, dir, state string) (string, error) {
	fail := func(err error) (string, error) {
		return "", problem.New(problem.ExitCapacity, "no_rehearsal", "the rehearsal's simulator does not start").Wrap(err).
			Try("see what it says", "justright sim --exec scripted")
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "sim.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = log.Close() }()
	c := exec.CommandContext(context.WithoutCancel(ctx), self, "sim", "--exec", "scripted", "--known-images", "--exit-when-idle", "60s", "--state", state)
	c.Dir, c.Env, c.Stderr = dir, w.Environ(), log
	detach(c)
	out, err := c.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := c.Start(); err != nil {
		return fail(err)
	}
	type said struct {
		h   simHello
		err error
	}
	first := make(chan said, 1)
	go func() {
		var s said
		line, err := bufio.NewReader(out).ReadBytes('\n')
		if s.err = err; err == nil {
			s.err = json.Unmarshal(line, &s.h)
		}
		first <- s
	}()
	select {
	case s := <-first:
		if s.err != nil {
			_ = c.Process.Kill()
			return fail(s.err)
		}
		go func() { _ = c.Wait() }() // no zombie while this process lives
		return s.h.URL, nil
	case <-time.After(10 * time.Second):
		_ = c.Process.Kill()
		return fail(fmt.Errorf("no word from it in 10 s"))
	}
}
