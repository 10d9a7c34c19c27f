package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"justright/problem"
	"justright/sim/runpodsim"
)

// started is a command as a process of its own, with what it says.
type started struct {
	*exec.Cmd
	out, errs *spoken
}

// spoken is what a process says, read while it goes on.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (p place) start(args ...string) started {
	p.t.Helper()
	c := exec.CommandContext(p.t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), killVariable+"=never:0")
	for k, v := range p.env {
		c.Env = append(c.Env, k+"="+v)
	}
	s := started{c, new(spoken), new(spoken)}
	c.Stdout, c.Stderr = s.out, s.errs
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// ends waits for the process and holds its status, and with --json its one document, against what is wanted.
func (s started) ends(t *testing.T, want problem.Exit) string {
	t.Helper()
	_ = s.Wait()
	if got := s.ProcessState.ExitCode(); got != int(want) {
		t.Errorf("%v exits %d, want %d\n%s%s", s.Args[1:], got, want, s.out, s.errs)
	}
	if slices.Contains(s.Args, "--json") && !json.Valid([]byte(s.out.String())) {
		t.Errorf("%v prints more than one document:\n%s", s.Args[1:], s.out)
	}
	return s.out.String() + s.errs.String()
}

func (p place) until(what string, f func() bool) {
	p.t.Helper()
	for range 200 {
		if f() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Errorf("not within 10 s: %s", what)
}

func (p place) asked(op string, times int) func() bool {
	return func() bool { return p.sim.Counts()[op] >= times }
}

// Two downs of one launch: the one that lost it to the other waits for what comes of that.
func TestTwoDownsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Status: 500, Count: 12})
	first := p.start("down", "--all", "--json")
	p.until("the first asks", p.asked("deletePod", 1))
	second := p.start("down", "--all", "--json")
	for _, d := range []started{first, second} {
		if doc := d.ends(t, 0); !strings.Contains(doc, `"state": "gone"`) {
			t.Errorf("a receipt that does not say gone:\n%s", doc)
		}
	}
}

// Ctrl-C ends the waiting of a down, with what is left and the way on; the next one finishes.
func TestDownIsInterrupted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Status: 500})
	d := p.start("down", "--all", "--json")
	p.until("it asks", p.asked("deletePod", 1))
	_ = d.Process.Signal(os.Interrupt)
	if doc := d.ends(t, problem.ExitInterrupted); !strings.Contains(doc, "justright down gpt-oss-20b") || !strings.Contains(doc, "machine ") {
		t.Errorf("an interrupted down says\n%s", doc)
	}
	d = p.start("down", "--all", "--json")
	asked := p.sim.Counts()["deletePod"]
	p.until("it asks again", p.asked("deletePod", asked+1))
	_ = d.Process.Signal(syscall.SIGHUP) // a terminal that goes away stops nothing
	p.sim.ClearFaults()
	d.ends(t, 0)
	if p.sim.Ledger().Billing != 0 {
		t.Error("it bills on")
	}
}

// That its up was interrupted, long ago, does not make a down one that was.
func TestDownAfterAnInterruptedUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.DeadHost})
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Status: 500})
	up := p.start("up", tryModel, "--yes")
	p.until("it creates", func() bool { return p.sim.Ledger().Billing == 1 })
	p.until("it knows", p.asked("getPodLogs", 1))
	_ = up.Process.Signal(os.Interrupt)
	p.until("it asks", p.asked("deletePod", 1))
	_ = up.Process.Kill()
	_ = up.Wait()
	p.sim.ClearFaults()
	p.answers(0, "down", "--all", "--json")
	if p.sim.Ledger().Billing != 0 {
		t.Error("it bills on")
	}
}

// One machine that will not go keeps no other one running.
func TestOneThatStaysKeepsNoOther(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	stays := p.sim.Ledger().Pods[0].ID
	p.answers(0, "up", tryModel, "--yes", "--name", "other")
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Match: stays, Status: 500})
	d := p.start("down", "--all", "--json")
	p.until("the other is gone", func() bool { return p.sim.Ledger().Billing == 1 })
	p.sim.ClearFaults()
	d.ends(t, 0)
}

// What another account's key cannot tell is neither settled nor gone, and the answer is about the removal that was asked for.
func TestAnotherAccountSettlesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *runpodsim.Options) {
		o.Keys = []runpodsim.Key{{Token: "rpa_PLANTED0KEY0OF0THE0ACCOUNT", Account: "ours"}, {Token: "rpa_PLANTED0KEY0OF0OTHERS000000", Account: "others"}}
	})
	p.answers(0, "up", tryModel, "--yes")
	ours := p.env["RUNPOD_API_KEY"]
	p.env["RUNPOD_API_KEY"] = "rpa_PLANTED0KEY0OF0OTHERS000000"
	for _, args := range [][]string{{"down", "--all", "--json"}, {"gc", "--json"}} {
		if out := p.answers(problem.ExitCredentials, args...); !strings.Contains(out, "gpt-oss-20b is not proven gone") {
			t.Errorf("%v with another account's key:\n%s", args, out)
		}
	}
	if out := p.answers(problem.ExitCredentials, "gc"); strings.Contains(out, "settled") {
		t.Errorf("gc with another account's key:\n%s", out)
	}
	if p.sim.Ledger().Billing != 1 {
		t.Error("another account's key ended it")
	}
	p.env["RUNPOD_API_KEY"] = ours
	p.answers(0, "down", "--all")
}

// An account that did not answer when down began is asked again when it is through: what was lost is found, and all is well.
func TestDownAsksAgainForWhatDidNotAnswer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	p.loseJournal()
	p.answers(0, "up", tryModel, "--yes", "--name", "known")
	p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "listPods", Status: 503, Count: 4})
	if out := p.answers(0, "down", "--all", "--json"); !strings.Contains(out, `"launch": "known"`) || !strings.Contains(out, `"launch": "orphan-`) {
		t.Errorf("down says\n%s", out)
	}
	if p.sim.Ledger().Billing != 0 {
		t.Error("it bills on")
	}
}

// loseJournal removes it, as a person may.
func (p place) loseJournal() {
	p.t.Helper()
	for _, f := range []string{"journal.db", "journal.db-wal", "journal.db-shm"} {
		if err := os.Remove(filepath.Join(p.env["JUSTRIGHT_STATE_DIR"], f)); err != nil && !os.IsNotExist(err) {
			p.t.Fatal(err)
		}
	}
}

// A signal to an up that drives nothing, since it looks on or has only begun, ends it as one that was interrupted, with --json
// as a stream that has an end; the one that drives goes on.
func TestASignalToAnUpThatWaits(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		p := newPlace(t)
		p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.DeadHost})
		driver := p.start("up", tryModel, "--yes")
		p.until("it drives", p.asked("getPodLogs", 1))
		second := p.start("up", tryModel, "--yes", "--json")
		p.until("it looks on", func() bool { return strings.Contains(second.out.String(), `"begin"`) })
		_ = second.Process.Signal(sig)
		second.endsStream(t, "detached")
		_ = driver.Process.Signal(os.Interrupt)
		driver.ends(t, problem.ExitInterrupted)

		p.sim.ClearFaults()
		p.sim.AddFault(runpodsim.Fault{Kind: runpodsim.SlowAnswer, Op: "listGpuTypes", Delay: 20 * time.Second})
		asked := p.sim.Counts()["listGpuTypes"]
		early := p.start("up", tryModel, "--yes", "--json", "--name", "early")
		p.until("it asks for offers", p.asked("listGpuTypes", asked+1))
		_ = early.Process.Signal(sig)
		if out := early.ends(t, problem.ExitInterrupted); !strings.Contains(out, "had rented nothing") {
			t.Errorf("interrupted early:\n%s", out)
		}
		if n := p.sim.Counts()["createPod"]; n != 1 || p.sim.Ledger().Billing != 0 {
			t.Errorf("%d creates, %d bill", n, p.sim.Ledger().Billing)
		}
	}
}

// endsStream waits for a process that was interrupted, whose stream has to end as every other.
func (s started) endsStream(t *testing.T, outcome string) {
	t.Helper()
	_ = s.Wait()
	lines := strings.Split(strings.TrimSpace(s.out.String()), "\n")
	if code := s.ProcessState.ExitCode(); code != int(problem.ExitInterrupted) || !strings.Contains(lines[len(lines)-1], `"event":"end"`) ||
		!strings.Contains(lines[len(lines)-1], `"outcome":"`+outcome+`"`) {
		t.Errorf("%v exits %d with\n%s\n%s", s.Args[1:], code, s.out.String(), s.errs)
	}
}

// A pod that somebody stopped is not ready, and gc settles it: what it keeps bills on.
func TestGCSettlesWhatWasStopped(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes")
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.env["RUNPOD_API_BASE_URL"]+"/v2/pods/"+p.sim.Ledger().Pods[0].ID+"/action",
		strings.NewReader(`{"action":"stop"}`))
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Authorization", "Bearer "+p.env["RUNPOD_API_KEY"])
	res, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if out := p.answers(0, "ps", "--json"); !strings.Contains(out, `"state": "stopped"`) {
		t.Errorf("ps of a stopped pod:\n%s", out)
	}
	out := p.answers(0, "gc", "--json")
	if strings.Count(out, `"kind": "stopped"`) != 1 || !strings.Contains(out, `"did": "settled"`) {
		t.Errorf("gc of a stopped pod:\n%s", out)
	}
	if l := p.sim.Ledger(); l.Pods[0].Status != "TERMINATED" {
		t.Errorf("it is %s after gc", l.Pods[0].Status)
	}
}
