package cli

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"justright/problem"
)

// Two ups of one model at one instant, each a process of its own: one machine, and both end with its address.
func TestTwoUpsAtOneInstantMakeOneMachine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const n = 3
	outs, errs, fails := make([]bytes.Buffer, n), make([]bytes.Buffer, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		c := exec.CommandContext(t.Context(), os.Args[0], "up", tryModel, "--yes")
		c.Env = append(os.Environ(), killVariable+"=never:0", swiftEnd)
		for k, v := range p.env {
			c.Env = append(c.Env, k+"="+v)
		}
		c.Stdout, c.Stderr = &outs[i], &errs[i]
		all.Go(func() { fails[i] = c.Run() })
	}
	all.Wait()
	for i := range n {
		if fails[i] != nil || outs[i].String() != outs[0].String() {
			t.Errorf("up %d: %v, %q\n%s", i, fails[i], outs[i].String(), errs[i].String())
		}
	}
	if made := p.sim.Counts()["createPod"]; made != 1 {
		t.Errorf("%d machines for one model", made)
	}
	p.answers(0, "up", tryModel, "--yes", "--name", "second")
	if made := p.sim.Counts()["createPod"]; made != 2 {
		t.Errorf("%d machines after a second was asked for by name", made)
	}
	p.answers(0, "down", "--all")
}

// A second up that asks for something else is refused with what differs and the two ways on; what it leaves open agrees.
func TestASecondUpMustMeanTheSame(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.answers(0, "up", tryModel, "--yes", "--budget", "3", "--context", "4096", "--gpu", "RTX A4500", "--", "--max-num-seqs", "8")
	for _, args := range [][]string{nil, {"--budget", "3"}, {"--budget", "$3.00", "--context", "4096"}, {"--gpu", "rtx-a4500", "--", "--max-num-seqs", "8"}} {
		p.answers(0, append([]string{"up", tryModel, "--yes"}, args...)...)
	}
	for want, args := range map[string][]string{
		"--budget $5.00":       {"--budget", "5"},
		"--context 8192":       {"--context", "8192"},
		"--gpu rtx-4090":       {"--gpu", "RTX 4090"},
		"--engine vllm==0.9.0": {"--engine", "vllm==0.9.0"},
		"--max-num-seqs 9":     {"--", "--max-num-seqs", "9"},
		"--ttl 1h0m0s":         {"--ttl", "1h"},
		"--idle 1h0m0s":        {"--idle", "1h"},
		"--max-price $0.50":    {"--max-price", "0.5"},
		"--cloud SECURE":       {"--cloud", "secure"},
	} {
		out := p.answers(problem.ExitUsage, append([]string{"up", tryModel, "--yes"}, args...)...)
		if !strings.Contains(out, want+" is asked for") || !strings.Contains(out, "--name gpt-oss-20b-2") || !strings.Contains(out, "justright down gpt-oss-20b") {
			t.Errorf("%v is refused with\n%s", args, out)
		}
	}
	if code, _, errs := p.run("n\n", "up", tryModel, "--budget", "5"); code != int(problem.ExitUsage) || !strings.Contains(errs, "Attach to it as it is?") {
		t.Errorf("no at the terminal exits %d:\n%s", code, errs)
	}
	if code, _, errs := p.run("y\n", "up", tryModel, "--budget", "5"); code != 0 {
		t.Errorf("yes at the terminal exits %d:\n%s", code, errs)
	}
	if made := p.sim.Counts()["createPod"]; made != 1 {
		t.Errorf("%d creates", made)
	}
	p.answers(0, "down", "--all")
}

func TestNamesOfLaunches(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, name := range []string{"../../etc", "a/b", "-x", ".x", "a b", strings.Repeat("a", 61), "ä", "a\n"} {
		if out := p.answers(problem.ExitUsage, "up", tryModel, "--yes", "--name="+name); !strings.Contains(out, "at most 60") {
			t.Errorf("--name %q: %s", name, out)
		}
	}
	p.nothingCreated()
}

func TestAgainIsTheSameCommand(t *testing.T) {
	w := &World{Args: []string{"up", "m/m", "--name=x", "--name", "y", "--", "--hf-overrides", `{"a": 1}`}}
	if got, want := w.again("--name", "z"), `justright up m/m --name z -- --hf-overrides '{"a": 1}'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
