package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"justright/internal/runner"
	"justright/launch"
	"justright/problem"
	"justright/sim/runpodsim"
)

var everyKill = flag.Bool("kill-everywhere", false, "kill -9 up at each point of each effect, not only around the creates")

// killVariable makes this test binary be `justright` with a trap: "POINT:N" kills it -9 at the N-th effect's POINT, "POINT:create"
// and "POINT:delete" at the first such effect's.
const killVariable = "JUSTRIGHT_TEST_KILL"

// swiftRounds is how many times sooner than shipped serve looks around here.
const swiftRounds = 5

// swiftEnd has a process of the race detector's end without the second it would sleep.
const swiftEnd = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if at := os.Getenv(killVariable); at != "" {
		os.Exit(Main(context.Background(), killedWorld(at)))
	}
	// These tests wait for launches, clocks and processes: more of them than there are cores may run beside each other, but not under
	// the race detector, where they compute more than they wait. -parallel overrides.
	if !raced {
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// quickTiming is a saga that waits half a second where the shipped one waits half a minute.
func quickTiming() *launch.Timing {
	t := launch.DefaultTiming()
	t.ConfirmAfter, t.ConfirmGap, t.Poll, t.Lookup, t.Backoff = 500*time.Millisecond, 50*time.Millisecond, 150*time.Millisecond, 2*time.Second, 50*time.Millisecond
	return &t
}

func realWorld(args []string, stdout, stderr *bytes.Buffer, env map[string]string) World {
	get := func(k string) string {
		if v, ok := env[k]; ok {
			return v
		}
		return ""
	}
	return World{
		Args: args, Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr, Env: get, Environ: os.Environ, Now: time.Now, Dir: "/",
		timing: quickTiming(), swift: swiftRounds,
	}
}

func killedWorld(at string) World {
	w := World{
		Args: os.Args[1:], Stdin: strings.NewReader(""), Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Getenv, Environ: os.Environ, Now: time.Now,
		Dir: "/", timing: quickTiming(), swift: swiftRounds,
	}
	point, which, _ := strings.Cut(at, ":")
	n := 0
	var mu sync.Mutex
	w.trap = func(p runner.Point, e launch.Effect) bool {
		mu.Lock()
		defer mu.Unlock()
		if string(p) != point {
			return false
		}
		n++
		_, create := e.(launch.Create)
		_, remove := e.(launch.Delete)
		if which == "create" && create || which == "delete" && remove || which == fmt.Sprint(n) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
		return false
	}
	return w
}

// simulated serves a RunPod whose engines are ready after a moment, on a socket of its own.
func simulated(t *testing.T, set ...func(*runpodsim.Options)) (*runpodsim.Server, string) {
	t.Helper()
	play := runpodsim.Play{Preflight: time.Millisecond, Env: 50 * time.Millisecond, Weights: 50 * time.Millisecond, Engine: 200 * time.Millisecond, Tick: time.Second}
	o := runpodsim.Options{Runner: play.Model(), DelayScale: runpodsim.NoDelay, RateLimit: &runpodsim.Unlimited, Seed: 5}
	for _, f := range set {
		f(&o)
	}
	s := runpodsim.New(o)
	srv := httptest.NewServer(s)
	s.SetBaseURL(srv.URL)
	t.Cleanup(func() { s.Close(); srv.CloseClientConnections(); srv.Close() })
	return s, srv.URL
}

// TestKilledUpLeavesNothingBilling kills up -9 with a real signal in a real process, then asks ps and down --all of the same
// journal what is left: nothing may bill.
func TestKilledUpLeavesNothingBilling(t *testing.T) {
	t.Parallel()
	points := []string{
		"after-commit:create", "after-call:create", "after-act:create", "after-commit:14",
	}
	if *everyKill {
		points = nil
		for _, p := range []runner.Point{runner.BeforeCommit, runner.AfterCommit, runner.AfterAct} {
			for n := 1; n <= 24; n++ {
				points = append(points, fmt.Sprintf("%s:%d", p, n))
			}
		}
		points = append(points, "after-call:create")
	}
	for _, at := range points {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			killAndClean(t, at)
		})
	}
}

func killAndClean(t *testing.T, at string) {
	sim, url := simulated(t)
	dir := t.TempDir()
	env := map[string]string{
		"RUNPOD_API_KEY": "rpa_TEST", "RUNPOD_API_BASE_URL": url, "JUSTRIGHT_STATE_DIR": filepath.Join(dir, "state"), "HOME": dir,
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, self, "up", "openai/gpt-oss-20b", "--on", "runpod", "--yes", "--json")
	c.Env = append(os.Environ(), killVariable+"="+at, swiftEnd)
	for k, v := range env {
		c.Env = append(c.Env, k+"="+v)
	}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled(); !killed {
		t.Logf("up was not killed at %s: %v\n%s", at, err, out)
	}

	run := func(args ...string) (int, []byte, []byte) {
		var stdout, stderr bytes.Buffer
		code := Main(ctx, realWorld(args, &stdout, &stderr, env))
		return code, stdout.Bytes(), stderr.Bytes()
	}
	code, doc, _ := run("ps", "--json")
	var ps psDocument
	if err := json.Unmarshal(doc, &ps); code != 0 || err != nil {
		t.Fatalf("ps exits %d: %v\n%s", code, err, doc)
	}
	billing := 0
	for _, p := range sim.Ledger().Pods {
		if !p.Billing {
			continue
		}
		billing++
		shown := false
		for _, l := range ps.Launches {
			shown = shown || string(l.ID) == p.ID && l.PricePerHour != nil && *l.PricePerHour > 0
		}
		if !shown {
			t.Errorf("pod %s bills and ps does not tell its price:\n%s", p.ID, doc)
		}
	}
	code, doc, stderr := run("down", "--all", "--json")
	if code != int(problem.ExitOK) {
		t.Errorf("down --all exits %d:\n%s%s", code, doc, stderr)
	}
	if l := sim.Ledger(); l.Billing != 0 {
		t.Errorf("%d pods bill after down --all: %+v", l.Billing, l.Pods)
	}
	var receipt receiptDocument
	if err := json.Unmarshal(doc, &receipt); err != nil || receipt.Schema != "justright/receipt/1" {
		t.Errorf("receipt: %v\n%s", err, doc)
	}
	if d := (receipt.Total - sim.Ledger().Total).Float(); d > 0.01 || d < -0.01 {
		t.Errorf("the receipt says $%s, the ledger $%s", receipt.Total, sim.Ledger().Total)
	}
	t.Logf("killed at %s: %d pods billing; after down: %d attempts, $%s", at, billing, len(receipt.Attempts), receipt.Total)
}
