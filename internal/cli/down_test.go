package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"justright/problem"
	"justright/sim/runpodsim"
)

// started is a command as a process of its own, with what it says.
type started struct {
	*exec.Cmd
	out, errs *bytes.Buffer
}

func (p place) start(args ...string) started {
	p.t.Helper()
	c := exec.CommandContext(p.t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), killVariable+"=never:0")
	for k, v := range p.env {
		c.Env = append(c.Env, k+"="+v)
	}
	s := started{c, new(bytes.Buffer), new(bytes.Buffer)}
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
	if s.Args[len(s.Args)-1] == "--json" && !json.Valid(s.out.Bytes()) {
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
