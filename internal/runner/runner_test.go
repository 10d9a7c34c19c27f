package runner_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/sim/runpodsim"
)

// inWorld runs f in a bubble with virtual time.
func inWorld(t *testing.T, f func(t *testing.T, w *world), faults ...runpodsim.Fault) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(7, store.NewMemory(), faults...)
		f(t, w)
		w.sim.Close()
		time.Sleep(10 * time.Minute) // let what is left run out
	})
}

func (w *world) up(t *testing.T, task string) launch.State {
	t.Helper()
	s, err := runner.Run(t.Context(), w.config(0), task, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) down(t *testing.T, task string) launch.State {
	t.Helper()
	if err := w.journal.WantGone(t.Context(), task, launch.CauseDown); err != nil {
		t.Fatal(err)
	}
	s, err := runner.Run(t.Context(), w.config(0), task, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func expect(t *testing.T, s launch.State, outcome string, exit problem.Exit, code string) {
	t.Helper()
	if s.End == nil || s.End.Outcome != outcome || s.End.Exit != exit || s.End.Code != code {
		t.Errorf("ended %+v, want %s, exit %d, code %s", s.End, outcome, exit, code)
		for _, a := range s.Attempts {
			t.Logf("attempt %d %s pod %s: %s %s", a.N, a.Phase, a.PodID, a.Cause, a.Detail)
		}
	}
}

func nothingBills(t *testing.T, w *world) {
	t.Helper()
	if l := w.sim.Ledger(); l.Billing != 0 {
		t.Errorf("%d machines bill: %+v", l.Billing, l.Pods)
	}
}

func TestUpIsReadyAndDownLeavesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		expect(t, s, "ready", problem.ExitOK, "ready")
		c := s.Current()
		if c == nil || !c.Armed || c.BaseURL == "" || c.Phase != launch.Ready {
			t.Fatalf("current attempt %+v", c)
		}
		time.Sleep(time.Hour)
		s = w.down(t, st.ID)
		expect(t, s, "cancelled", problem.ExitOK, launch.CauseDown)
		nothingBills(t, w)
		l := w.sim.Ledger()
		if got := s.Spent(time.Now()); (got-l.Total).Float() > 0.005 || (l.Total-got).Float() > 0.005 {
			t.Errorf("receipt $%s, ledger $%s", got, l.Total)
		}
		if lines, err := w.journal.Log(t.Context(), c.ID, 0, 1000); err != nil || len(lines) == 0 {
			t.Errorf("no logs outlived the machine: %v", err)
		}
	})
}

func TestFailedAttemptIsRemovedBeforeTheNext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pods.fails = map[int]string{1: "cuda_oom_load"}
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		expect(t, s, "ready", problem.ExitOK, "ready")
		if len(s.Attempts) != 2 || s.Attempts[0].Phase != launch.Removed || s.Attempts[0].Cause != "cuda_oom_load" {
			t.Errorf("attempts %+v", s.Attempts)
		}
		if l := w.sim.Ledger(); l.Billing != 1 {
			t.Errorf("%d machines bill, want the ready one alone", l.Billing)
		}
		w.down(t, st.ID)
		nothingBills(t, w)
	})
}

func TestNoCapacityFallsBackInPlanOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sim.SetStock("NVIDIA RTX A5000", "", "", 0)
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		expect(t, s, "ready", problem.ExitOK, "ready")
		if c := s.Current(); c.Stack.GPU.ID != "NVIDIA L4" {
			t.Errorf("runs on %s", c.Stack.GPU.ID)
		}
		w.down(t, st.ID)
		for _, p := range w.plans {
			w.sim.SetStock(p.Stack.GPU.ID, "", "", 0)
		}
		s = w.up(t, w.begin("y", 2*money.Dollar).ID)
		if s.End == nil || s.End.Exit != problem.ExitCapacity {
			t.Errorf("nothing in stock ended %+v", s.End)
		}
	})
}

func TestLostReplyIsFoundByAttemptID(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		expect(t, s, "ready", problem.ExitOK, "ready")
		if len(s.Attempts) != 1 || len(w.sim.Ledger().Pods) != 1 {
			t.Errorf("%d attempts, %d pods; want the lost one found", len(s.Attempts), len(w.sim.Ledger().Pods))
		}
		w.down(t, st.ID)
		nothingBills(t, w)
	}, runpodsim.Fault{Kind: runpodsim.LostReply, Op: "createPod", Count: 1}, runpodsim.Fault{Kind: runpodsim.ListLag, Delay: 20 * time.Second})
}

func TestLostRequestStaysOpenWithItsCap(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		expect(t, s, "failed", problem.ExitLimit, "budget")
		if s.Attempts[0].Phase != launch.Open || s.Committed(time.Now()) != 2*money.Dollar {
			t.Errorf("attempt %+v, committed $%s", s.Attempts[0], s.Committed(time.Now()))
		}
		s = w.down(t, st.ID)
		expect(t, s, "cancelled", problem.ExitOK, launch.CauseDown)
		time.Sleep(25 * time.Hour)
		s = w.down(t, st.ID)
		if !s.Over() || s.Attempts[0].Phase != launch.Never {
			t.Errorf("after a day: %+v", s.Attempts[0])
		}
	}, runpodsim.Fault{Kind: runpodsim.LostRequest, Op: "createPod", Count: 1})
}

func TestPriceAboveTheConfirmedIsDeleted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		s := w.up(t, st.ID)
		for _, a := range s.Attempts {
			if a.Cause != launch.CausePrice {
				t.Errorf("attempt ended by %q", a.Cause)
			}
		}
		nothingBills(t, w)
	}, runpodsim.Fault{Kind: runpodsim.WrongPrice, Factor: 2})
}

func TestInterrupt(t *testing.T) {
	signal := func(w *world, hard bool, after ...time.Duration) runner.Config {
		cfg := w.config(0)
		ch := make(chan bool)
		cfg.Signal = ch
		go func() {
			for _, d := range after {
				time.Sleep(d)
				select {
				case ch <- hard:
				case <-time.After(time.Hour):
				}
			}
		}()
		return cfg
	}
	run := func(t *testing.T, cfg runner.Config, task string) launch.State {
		s, err := runner.Run(context.WithoutCancel(t.Context()), cfg, task, false)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("before the guard is armed it tears down", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.pods.guarded = false
			st := w.begin("x", 2*money.Dollar)
			st.AllowUnguarded = true
			s := run(t, signal(w, false, 2*time.Second), st.ID)
			expect(t, s, "cancelled", problem.ExitInterrupted, "interrupted")
			nothingBills(t, w)
		})
	})
	t.Run("once, armed: detaches", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.pods.boot = 5 * time.Minute
			w.plans[0].Boot = 20 * time.Minute
			st := w.begin("x", 2*money.Dollar)
			s := run(t, signal(w, false, 2*time.Minute), st.ID)
			expect(t, s, "detached", problem.ExitInterrupted, "detached")
			if w.sim.Ledger().Billing != 1 {
				t.Error("the machine did not go on")
			}
			s = w.up(t, st.ID) // attach again
			expect(t, s, "ready", problem.ExitOK, "ready")
			if len(s.Attempts) != 1 {
				t.Errorf("%d attempts after attaching", len(s.Attempts))
			}
			w.down(t, st.ID)
			nothingBills(t, w)
		})
	})
	t.Run("twice, armed: tears down", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.pods.boot = 5 * time.Minute
			w.plans[0].Boot = 20 * time.Minute
			st := w.begin("x", 2*money.Dollar)
			s := run(t, signal(w, false, 2*time.Minute, time.Second), st.ID)
			expect(t, s, "cancelled", problem.ExitInterrupted, "interrupted")
			nothingBills(t, w)
		})
	})
	t.Run("a hang-up detaches at once", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.pods.boot = 5 * time.Minute
			w.plans[0].Boot = 20 * time.Minute
			st := w.begin("x", 2*money.Dollar)
			s := run(t, signal(w, true, 2*time.Minute), st.ID)
			expect(t, s, "detached", problem.ExitInterrupted, "detached")
			w.down(t, st.ID)
		})
	})
}

func TestUnguardedMachineNeedsPermission(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pods.guarded = false
		s := w.up(t, w.begin("x", 2*money.Dollar).ID)
		expect(t, s, "failed", problem.ExitLimit, launch.CauseUnguarded)
		nothingBills(t, w)
	})
}

func TestGuardEndsTheMachineWithNobodyAwake(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", money.Dollar/10)
		s := w.up(t, st.ID)
		expect(t, s, "ready", problem.ExitOK, "ready")
		time.Sleep(24 * time.Hour)
		nothingBills(t, w)
		l := w.sim.Ledger()
		if l.Total > money.Dollar/10+s.Attempts[0].Hourly().For(15*time.Second) {
			t.Errorf("cost $%s of $0.10", l.Total)
		}
		s = w.up(t, st.ID)
		if s.End.Exit != problem.ExitNotProven && s.End.Exit != problem.ExitLimit || len(s.Attempts) != 1 {
			t.Errorf("a pod its guard ended started a next plan: %+v, %d attempts", s.End, len(s.Attempts))
		}
		if d := (s.Spent(time.Now()) - l.Total).Float(); d > 0.005 || d < -0.005 {
			t.Errorf("receipt $%s, ledger $%s", s.Spent(time.Now()), l.Total)
		}
	})
}

func TestAnotherKeyCannotDeny(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		w.up(t, st.ID)
		cfg := w.config(0)
		cfg.Account = "other"
		cfg.Address = "http://elsewhere.invalid"
		_ = w.journal.WantGone(t.Context(), st.ID, launch.CauseDown)
		s, err := runner.Run(t.Context(), cfg, st.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, "failed", problem.ExitCredentials, "removal_unknown")
		w.down(t, st.ID)
		nothingBills(t, w)
	})
}

// TestAnotherKeyCannotVouch: what the journal was told by the key that made a machine is no sight of it with another.
func TestAnotherKeyCannotVouch(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		cfg := w.config(0)
		cfg.Trap = func(p runner.Point, e launch.Effect) bool { // the answer is noted, the step that adopts it is not
			_, create := e.(launch.Create)
			return p == runner.AfterAct && create
		}
		if _, err := runner.Run(t.Context(), cfg, st.ID, false); !runner.Killed(err) {
			t.Fatal(err)
		}
		_ = w.journal.WantGone(t.Context(), st.ID, launch.CauseDown)
		other := w.config(0)
		other.Account, other.Provider = "other", stranger{other.Provider, new(sync.Map)}
		s, err := runner.Run(t.Context(), other, st.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		if l := w.sim.Ledger(); l.Billing != 1 || len(s.Unsettled()) != 1 {
			t.Errorf("%d pods bill, and the journal says %+v", l.Billing, s.Attempts)
		}
		w.down(t, st.ID)
		nothingBills(t, w)
	})
}

func TestDeleteThatFailsIsRepeated(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		st := w.begin("x", 2*money.Dollar)
		w.up(t, st.ID)
		s := w.down(t, st.ID)
		expect(t, s, "cancelled", problem.ExitOK, launch.CauseDown)
		nothingBills(t, w)
	}, runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Count: 7, Status: 500},
		runpodsim.Fault{Kind: runpodsim.Ignored, Op: "deletePod", Count: 3})
}
