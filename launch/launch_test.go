package launch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"justright/catalog"
	"justright/money"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

var t0 = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func at(seconds float64) At { return At(t0.Add(time.Duration(seconds * float64(time.Second)))) }

func task() State {
	return State{ID: "t", Name: "x", Model: "m", Target: "runpod", Owner: "own", Budget: 2 * money.Dollar, Wanted: WantRunning,
		Timing: DefaultTiming(), Started: t0}
}

func stack(gpu string) solve.Stack {
	return solve.Stack{Engine: solve.Engine{Name: "vllm", Version: "0.19.1"}, Guarded: true, GPU: solve.GPU{ID: gpu, Count: 1},
		Host: solve.Host{MinCUDA: version.CUDA{Major: 12, Minor: 4}}, Ready: solve.Ready{Seconds: [2]int{60, 120}}, Facts: []catalog.Fact{{ID: "f"}}}
}

func planned(sec float64, id, gpu string) Planned {
	return Planned{At: at(sec), AttemptID: id, PodName: "jr-x-" + id, Stack: stack(gpu), Summary: gpu, Price: money.Dollar / 4, Boot: 10 * time.Minute,
		Address: "addr", Account: "acct"}
}

func instance(id, attempt string) Instance {
	p := money.Dollar / 4
	return Instance{ID: id, AttemptID: attempt, OwnerID: "own", Status: Running, PricePerHour: &p, Created: t0, BaseURL: "http://" + id}
}

// run feeds events and returns the state with the effects of the last one.
func run(s State, events ...Event) (State, []Effect) {
	var out []Effect
	for _, e := range events {
		s, out = Next(s, e)
	}
	return s, out
}

func kinds(es []Effect) []string {
	var out []string
	for _, e := range es {
		if e.Kind() != "tell" {
			out = append(out, e.Kind())
		}
	}
	return out
}

func expectKinds(t *testing.T, es []Effect, want ...string) {
	t.Helper()
	if got := kinds(es); !slices.Equal(got, want) {
		t.Errorf("effects %q, want %q", got, want)
	}
}

func booting() State {
	s, _ := run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"), Created{at(2), "a", instance("p", "a")})
	return s
}

func TestTheRoadToReady(t *testing.T) {
	s, es := run(task(), Resume{At: at(0)})
	expectKinds(t, es, "find-plan")
	s, es = run(s, planned(1, "a", "gpu1"))
	expectKinds(t, es, "create")
	a := s.Attempts[0]
	if a.Phase != Intended || a.Reserved != 2*money.Dollar || !a.CapBy.Equal(t0.Add(time.Second+8*time.Hour)) || a.Stack.Facts != nil {
		t.Errorf("intent %+v", a)
	}
	s, es = run(s, Created{at(2), "a", instance("p", "a")})
	expectKinds(t, es, "follow", "poll")
	s, es = run(s, Listed{at(3), []Instance{instance("p", "a")}}, GuardSaid{at(4), "a", "armed", ""}, EngineReady{at(60), "a"})
	expectKinds(t, es, "prove", "poll")
	s, es = run(s, Proved{At: at(61), Attempt: "a", Passed: true})
	expectKinds(t, es, "stop")
	if s.End == nil || s.End.Outcome != "ready" || s.Word() != "ready" {
		t.Errorf("ended %+v, %s", s.End, s.Word())
	}
}

func TestBudgetIsReservedAtTheCommit(t *testing.T) {
	s := task()
	s.Budget = money.Dollar / 200 // half a cent: less than two minutes of the machine
	s, es := run(s, Resume{At: at(0)}, planned(1, "a", "gpu1"))
	expectKinds(t, es, "stop")
	if len(s.Attempts) != 0 || s.End.Exit != problem.ExitLimit {
		t.Errorf("intended %d, ended %+v", len(s.Attempts), s.End)
	}

	// An open create keeps its cap: the next plan has nothing left.
	s = task()
	s, _ = run(s, Resume{At: at(0)}, planned(1, "a", "gpu1"), CreateFailed{At: at(2), Attempt: "a", Kind: FailTemporary})
	for sec := 3.0; sec < 140; sec += 10 {
		s, _ = run(s, Listed{At: at(sec)})
	}
	if s.Attempts[0].Phase != Open {
		t.Fatalf("phase %s after two minutes of looking", s.Attempts[0].Phase)
	}
	s, es = run(s, planned(141, "b", "gpu2"))
	if len(s.Attempts) != 1 || s.End == nil || s.End.Code != "budget" {
		t.Errorf("%d attempts, ended %+v: the open create's cap was spent twice", len(s.Attempts), s.End)
	}
	expectKinds(t, es, "stop")

	// A lifetime does not lower the cap: extend may move the one, nothing moves the other.
	s = task()
	s.TTL = time.Hour
	s, _ = run(s, Resume{At: at(0)}, planned(1, "a", "gpu1"))
	if a := s.Attempts[0]; a.Reserved != s.Budget || !a.EndBy.Equal(t0.Add(time.Hour+time.Second)) {
		t.Errorf("reserved $%s, ends by %s", a.Reserved, a.EndBy)
	}
}

func TestAnUnansweredCreateIsLookedForBeforeTheNext(t *testing.T) {
	s, es := run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"), CreateFailed{At: at(2), Attempt: "a", Kind: FailTemporary})
	expectKinds(t, es, "look-up")
	// Somebody else's machine of that name, and another journal's of that attempt id, are not it.
	name, foreign := instance("n", ""), instance("f", "a")
	name.Name, foreign.OwnerID = "jr-x-a", "other"
	s, es = run(s, Listed{at(3), []Instance{name, foreign}})
	expectKinds(t, es)
	if s.Attempts[0].Phase != Unanswered {
		t.Fatalf("took a foreign machine: %+v", s.Attempts[0])
	}
	s, es = run(s, Tick{at(20)}, Listed{at(21), []Instance{instance("p", "a")}})
	expectKinds(t, es, "follow")
	if s.Attempts[0].PodID != "p" || s.Attempts[0].Phase != Booting {
		t.Errorf("not adopted: %+v", s.Attempts[0])
	}
}

func TestAResumedIntentIsLookedForNotRepeated(t *testing.T) {
	s, _ := run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"))
	s, es := run(s, Resume{At: at(100)})
	expectKinds(t, es, "look-up")
	if s.Attempts[0].Phase != Unanswered {
		t.Errorf("phase %s", s.Attempts[0].Phase)
	}
}

func TestASecondMachineOfOneIntentIsDeleted(t *testing.T) {
	s, es := run(booting(), Listed{at(5), []Instance{instance("p", "a"), instance("q", "a")}})
	expectKinds(t, es, "delete")
	d := es[slices.IndexFunc(es, func(e Effect) bool { return e.Kind() == "delete" })].(Delete)
	if d.PodID != "q" {
		t.Errorf("deletes %s", d.PodID)
	}
	if len(s.Attempts) != 2 || !s.Attempts[1].Duplicate || s.Current().ID != "a" {
		t.Errorf("attempts %+v", s.Attempts)
	}
	s, _ = run(s, DeleteAnswered{At: at(6), Attempt: s.Attempts[1].ID}, Listed{at(7), []Instance{instance("p", "a"), instance("q", "a")}})
	if len(s.Attempts) != 2 {
		t.Errorf("the same duplicate was noted twice")
	}
}

// A second machine may come later than any list that was read. Whoever takes the task up, as down does, looks again.
func TestASecondMachineOfAnEndedTaskIsSeenByDown(t *testing.T) {
	s, _ := run(booting(), DownWanted{at(40), "down"}, LogsSaved{at(41), "a"}, DeleteAnswered{At: at(42), Attempt: "a"},
		Denied{at(43), "a"}, Denied{at(48), "a"}, Listed{at(49), nil})
	if s.End == nil {
		t.Fatalf("not ended: %+v", s.Attempts)
	}
	s, es := run(s, Resume{At: at(100), Gone: true, Why: "down"})
	expectKinds(t, es, "poll")
	s, es = run(s, Listed{at(101), []Instance{instance("q", "a")}})
	if s.End != nil || len(es) == 0 {
		t.Errorf("ended %+v though a machine stands", s.End)
	}
}

func TestDenialCountsTwiceAndNotTooSoon(t *testing.T) {
	s, es := run(booting(), Failed{At: at(3), Attempt: "a", Cause: "cuda_oom_load"})
	expectKinds(t, es, "save-logs")
	s, es = run(s, LogsSaved{at(4), "a"})
	expectKinds(t, es, "delete")
	s, es = run(s, DeleteAnswered{At: at(5), Attempt: "a"})
	expectKinds(t, es, "confirm")
	s, _ = run(s, Denied{at(6), "a"})
	if s.Attempts[0].Denials != 0 {
		t.Error("a 404 four seconds after the create counted as proof")
	}
	s, es = run(s, Tick{at(30)})
	expectKinds(t, es)
	s, es = run(s, Tick{at(32)})
	expectKinds(t, es, "confirm")
	s, _ = run(s, Denied{at(33), "a"}, Tick{at(37)})
	if s.Attempts[0].Phase != Deleting {
		t.Errorf("one denial was enough: %s", s.Attempts[0].Phase)
	}
	s, es = run(s, Denied{at(37), "a"})
	if s.Attempts[0].Phase != Removed || s.Attempts[0].Cost != (money.Dollar/4).For(5*time.Second) {
		t.Errorf("after two denials: %+v", s.Attempts[0])
	}
	expectKinds(t, es, "settle", "find-plan")
}

func TestStillThereIsDeletedAgain(t *testing.T) {
	s, _ := run(booting(), DownWanted{at(60), "down"}, LogsSaved{at(61), "a"}, DeleteAnswered{At: at(62), Attempt: "a"})
	s, _ = run(s, Present{at(62), "a", instance("p", "a")})
	s, es := run(s, Tick{at(70)})
	expectKinds(t, es, "delete")
	if !s.Attempts[0].Stopped.IsZero() {
		t.Error("it is believed to have stopped billing")
	}
}

func TestDownWins(t *testing.T) {
	// During the search: the plan that comes is not intended.
	s, es := run(task(), Resume{At: at(0)}, DownWanted{at(1), "down"}, planned(2, "a", "gpu1"))
	if len(s.Attempts) != 0 {
		t.Errorf("intended after down: %+v", s.Attempts)
	}
	expectKinds(t, es)
	if s.End == nil || s.End.Exit != problem.ExitOK {
		t.Errorf("ended %+v", s.End)
	}
	// During the create: the answer is torn down, and no next plan starts.
	s, _ = run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"), DownWanted{at(2), "down"})
	s, es = run(s, Created{at(3), "a", instance("p", "a")})
	expectKinds(t, es, "save-logs", "poll")
	s, _ = run(s, LogsSaved{at(4), "a"}, DeleteAnswered{At: at(5), Attempt: "a"}, Denied{at(5), "a"}, Tick{at(40)}, Denied{at(40), "a"}, Tick{at(44)},
		Denied{at(44), "a"})
	s, es = run(s, Tick{at(45)})
	_ = es
	if s.Attempts[0].Phase != Removed || s.Planning {
		t.Errorf("after down: %+v", s)
	}
}

func TestLimitsOfTheOuterWatchdog(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(*State)
		sec   float64
		cause string
	}{
		{"boot deadline", func(*State) {}, 602, CauseBootTime},
		{"cap", func(s *State) { s.Attempts[0].BootBy = t0.Add(100 * time.Hour); s.Attempts[0].Container = true }, 8*3600 + 2, CauseBudget},
		{"ttl", func(s *State) { s.Attempts[0].EndBy = t0.Add(300 * time.Second) }, 301, CauseTTL},
		{"no container", func(s *State) { s.Attempts[0].BootBy = t0.Add(100 * time.Hour) }, 1201, CauseNoContainer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := run(booting(), Listed{at(3), []Instance{instance("p", "a")}})
			c.alter(&s)
			s, _ = run(s, Tick{at(c.sec - 5)})
			if s.Attempts[0].Phase != Booting {
				t.Fatalf("ended too soon: %s", s.Attempts[0].Cause)
			}
			s, es := run(s, Tick{at(c.sec + 1)})
			if s.Attempts[0].Cause != c.cause {
				t.Errorf("cause %q, want %q", s.Attempts[0].Cause, c.cause)
			}
			if !slices.Contains(kinds(es), "save-logs") {
				t.Errorf("effects %v", kinds(es))
			}
		})
	}
}

func TestPriceAboveTheAgreedIsDeleted(t *testing.T) {
	in := instance("p", "a")
	*in.PricePerHour += 1
	s, es := run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"), Created{at(2), "a", in})
	if s.Attempts[0].Cause != CausePrice || !slices.Contains(kinds(es), "save-logs") {
		t.Errorf("%+v, %v", s.Attempts[0], kinds(es))
	}
	// A plan dearer than what was agreed to is not even intended.
	s = task()
	s.MaxPrice = money.Dollar / 10
	s, es = run(s, Resume{At: at(0)}, planned(1, "a", "gpu1"))
	if len(s.Attempts) != 0 {
		t.Error("intended a plan above the agreed price")
	}
	expectKinds(t, es, "find-plan")
}

func TestRefusals(t *testing.T) {
	refuse := func(kind FailureKind, definite bool) (State, []Effect) {
		return run(task(), Resume{At: at(0)}, planned(1, "a", "gpu1"), CreateFailed{At: at(2), Attempt: "a", Kind: kind, Definite: definite, Detail: "d"})
	}
	s, es := refuse(FailNoCapacity, true)
	expectKinds(t, es, "settle", "find-plan")
	if s.Worth(stack("gpu1")) || !s.Worth(stack("gpu2")) {
		t.Error("a shortage of gpu1 must forbid gpu1 alone")
	}
	higher := stack("gpu1")
	higher.Host.MinCUDA, higher.Engine.Version = version.CUDA{Major: 13}, "0.30.0"
	lower := higher
	lower.Host.MinCUDA = version.CUDA{Major: 12, Minor: 1}
	if s.Worth(higher) || !s.Worth(lower) {
		t.Error("a shortage at CUDA 12.4 is one at 13.0, and none at 12.1")
	}
	s, es = refuse(FailAuth, true)
	expectKinds(t, es, "settle", "stop")
	if s.End.Exit != problem.ExitCredentials {
		t.Errorf("ended %+v", s.End)
	}
	s, es = refuse(FailQuota, true)
	expectKinds(t, es, "settle", "stop")
	if s.End.Exit != problem.ExitCapacity {
		t.Errorf("ended %+v", s.End)
	}
	for kind, want := range map[FailureKind]problem.Exit{FailRoom: problem.ExitCapacity, FailPolicy: problem.ExitCredentials, FailNoNamespace: problem.ExitUsage} {
		s, es = refuse(kind, true)
		expectKinds(t, es, "settle", "stop")
		if s.End.Exit != want || s.End.Code != string(kind) {
			t.Errorf("%s ended %+v", kind, s.End)
		}
	}
	s, es = refuse(FailTemporary, true) // it never left: the same plan may be asked for again, a little later
	expectKinds(t, es, "settle")
	if !s.Worth(stack("gpu1")) {
		t.Error("a request that never left used the candidate up")
	}
	if _, es = run(s, Tick{at(4)}); !slices.Contains(kinds(es), "find-plan") {
		t.Errorf("effects %v", kinds(es))
	}
	s, es = refuse(FailUnknown, false)
	expectKinds(t, es, "look-up")
	_ = s
}

func TestInterrupts(t *testing.T) {
	s, es := run(booting(), Interrupted{At: at(5)})
	if s.Wanted != WantGone || !slices.Contains(kinds(es), "save-logs") {
		t.Errorf("before arming Ctrl-C must tear down: %s %v", s.Wanted, kinds(es))
	}
	if s, _ = run(s, Interrupted{At: at(6)}); s.End != nil {
		t.Errorf("twice, before arming, must wait for the proof: %+v", s.End)
	}
	if s, _ = run(s, Interrupted{At: at(7)}); s.End == nil || s.End.Code != CodeNotGone {
		t.Errorf("three times, before arming: %+v", s.End)
	}
	armed, _ := run(booting(), Listed{at(3), []Instance{instance("p", "a")}}, GuardSaid{at(4), "a", "armed", ""})
	s, es = run(armed, Interrupted{At: at(5)})
	expectKinds(t, es)
	if s.Wanted != WantRunning || s.DetachAt.IsZero() {
		t.Errorf("once, armed: %+v", s)
	}
	d, es := run(s, Tick{at(9)})
	if d.End == nil || d.End.Outcome != "detached" {
		t.Errorf("ended %+v, %v", d.End, kinds(es))
	}
	s, es = run(s, Interrupted{At: at(6)})
	if s.Wanted != WantGone || !slices.Contains(kinds(es), "save-logs") {
		t.Errorf("twice, armed: %s %v", s.Wanted, kinds(es))
	}
	s, _ = run(armed, Interrupted{At: at(5), Hard: true})
	if s.End == nil || s.End.Outcome != "detached" {
		t.Errorf("hang-up, armed: %+v", s.End)
	}
	down, _ := run(armed, DownWanted{At: at(5), Why: CauseDown})
	if s, _ = run(down, Interrupted{At: at(6), Hard: true}); s.End != nil {
		t.Errorf("hang-up, going: %+v", s.End)
	}
	if s, _ = run(down, Interrupted{At: at(6)}); s.End == nil || s.End.Code != CodeNotGone || s.End.Exit != problem.ExitInterrupted {
		t.Errorf("Ctrl-C, going: %+v", s.End)
	}
}

// A guard that got no answer asks again: nothing is known of its right yet, and this program looks after the machine so long.
func TestAGuardWithoutAnAnswerAsksAgain(t *testing.T) {
	for _, reason := range []string{"http_500", "http_429", "unreachable", "pod_denied"} {
		s, es := run(booting(), Listed{at(3), []Instance{instance("p", "a")}}, GuardSaid{at(4), "a", "unguarded", reason})
		if a := s.Attempts[0]; a.Phase != Booting || a.Armed || slices.Contains(kinds(es), "save-logs") {
			t.Errorf("%s: %s %s, %v", reason, a.Phase, a.Cause, kinds(es))
		}
		if c, _ := run(s, Interrupted{At: at(5)}); c.Wanted != WantGone {
			t.Errorf("%s: Ctrl-C leaves it running unguarded", reason)
		}
		later, _ := run(s, GuardSaid{at(70), "a", "armed", "runpod"}, Listed{at(900), []Instance{instance("p", "a")}})
		if a := later.Attempts[0]; a.Cause == CauseUnguarded || !a.Armed {
			t.Errorf("%s, armed later: %s %s", reason, a.Phase, a.Cause)
		}
		late, _ := run(s, Listed{at(604), []Instance{instance("p", "a")}}, Tick{at(605)})
		if a := late.Attempts[0]; a.Cause != CauseUnguarded {
			t.Errorf("%s, never learned: %s %q", reason, a.Phase, a.Cause)
		}
	}
	s, _ := run(booting(), GuardSaid{at(4), "a", "unguarded", "key_refused"})
	if s.Attempts[0].Cause != CauseUnguarded {
		t.Errorf("refused: %s %q", s.Attempts[0].Phase, s.Attempts[0].Cause)
	}
}

func TestEndedByOthersStartsNoNextPlan(t *testing.T) {
	s, es := run(booting(), Listed{At: at(40)})
	expectKinds(t, es, "confirm")
	back, _ := run(s, Present{at(41), "a", instance("p", "a")})
	if back.Attempts[0].Phase != Booting {
		t.Errorf("a list that lost it is no proof: %s", back.Attempts[0].Phase)
	}
	s, _ = run(s, Denied{at(41), "a"}, Tick{at(45)})
	s, es = run(s, Denied{at(45), "a"})
	if s.Attempts[0].Phase != Removed || s.Attempts[0].Cause != CauseElsewhere {
		t.Fatalf("%+v", s.Attempts[0])
	}
	if slices.Contains(kinds(es), "find-plan") || !s.NoNext {
		t.Errorf("a next plan after somebody else ended the machine: %v", kinds(es))
	}
}

func TestAnotherKeyLeavesItUnknown(t *testing.T) {
	s, _ := run(booting(), DownWanted{at(60), "down"}, LogsSaved{at(61), "a"}, DeleteAnswered{At: at(62), Attempt: "a"})
	for sec := 63.0; s.End == nil && sec < 200; sec += 20 {
		s, _ = run(s, Unsure{at(sec), "a", FailAuth, "another key"}, Tick{at(sec + 10)})
	}
	if s.End == nil || s.End.Exit != problem.ExitCredentials || s.Attempts[0].Phase == Removed {
		t.Errorf("ended %+v, %s", s.End, s.Attempts[0].Phase)
	}
}

func TestNextDoesNotTouchItsInput(t *testing.T) {
	s := booting()
	before, _ := json.Marshal(s)
	_, _ = Next(s, Failed{At: at(5), Attempt: "a", Cause: "c", Lesson: &catalog.Lesson{ID: "l"}})
	_, _ = Next(s, Listed{at(6), []Instance{instance("p", "a"), instance("q", "a")}})
	after, _ := json.Marshal(s)
	if string(before) != string(after) {
		t.Errorf("the state that was given has changed:\n%s\n%s", before, after)
	}
}

func TestStateSurvivesJSON(t *testing.T) {
	s, _ := run(booting(), GuardSaid{at(4), "a", "armed", ""}, Failed{At: at(5), Attempt: "a", Cause: "c", Lesson: &catalog.Lesson{ID: "l"}}, Interrupted{At: at(6)})
	doc, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	a, ae := Next(s, Resume{At: at(10)})
	b, be := Next(back, Resume{At: at(10)})
	if x, y := fmt.Sprintf("%+v", ae), fmt.Sprintf("%+v", be); x != y {
		t.Errorf("effects %s, after JSON %s", x, y)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !reflect.DeepEqual(x, y) {
		t.Errorf("state %s\nafter JSON %s", x, y)
	}
}
