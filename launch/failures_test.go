package launch

import (
	"strings"
	"testing"

	"justright/catalog"
	"justright/problem"
)

// TestASecondUnprovenPlanIsTheLast: a failed proof is worth one further plan and no more.
func TestASecondUnprovenPlanIsTheLast(t *testing.T) {
	s := task()
	settle := func(from float64, id, pod string) []Effect {
		s, _ = run(s, planned(from, id, id), Created{at(from + 1), id, instance(pod, id)}, GuardSaid{at(from + 2), id, "armed", ""},
			EngineReady{at(from + 3), id}, Proved{At: at(from + 4), Attempt: id, Detail: "chat: nonsense"})
		if a := s.Attempts[len(s.Attempts)-1]; a.Cause != CauseNotProven {
			t.Fatalf("attempt %s: %+v", id, a)
		}
		var es []Effect
		s, es = run(s, LogsSaved{at(from + 5), id}, DeleteAnswered{At: at(from + 6), Attempt: id}, Denied{at(from + 100), id}, Denied{at(from + 200), id})
		return es
	}
	expectKinds(t, settle(1, "a", "p"), "settle", "find-plan")
	settle(300, "b", "q")
	if s.Verdict == nil || s.Verdict.Code != CauseNotProven || s.Verdict.Exit != problem.ExitNotProven || !s.NoNext {
		t.Errorf("verdict %+v, planning goes on: %v", s.Verdict, !s.NoNext)
	}
}

// TestTooSlowInOnePlace: a boot that takes too long sends the same plan elsewhere once; the second time, nothing more is taken
// to hang on the place.
func TestTooSlowInOnePlace(t *testing.T) {
	s := task()
	settle := func(from float64, id, gpu string) []Effect {
		in := instance("p"+id, id)
		in.DataCenter = "EU-RO-1"
		s, _ = run(s, planned(from, id, gpu), Created{at(from + 1), id, in}, Heard{At: at(from + 2), Attempt: id}, Listed{At: at(from + 3), Instances: []Instance{in}}, Tick{at(from + 603)})
		if a := s.Attempts[len(s.Attempts)-1]; a.Cause != CauseBootTime {
			t.Fatalf("attempt %s: %+v", id, a)
		}
		var es []Effect
		s, es = run(s, LogsSaved{at(from + 604), id}, DeleteAnswered{At: at(from + 605), Attempt: id}, Denied{at(from + 700), id}, Denied{at(from + 800), id})
		return es
	}
	expectKinds(t, settle(1, "a", "l4"), "settle", "find-plan")
	if len(s.Lessons) != 1 || s.Lessons[0].ExcludeHost != "EU-RO-1" || s.Lessons[0].ID == "" || !s.Worth(stack("l4")) {
		t.Errorf("lessons %+v, tried %v", s.Lessons, s.Tried)
	}
	settle(1000, "b", "l4")
	if len(s.Lessons) != 1 || s.Worth(stack("l4")) {
		t.Errorf("lessons %+v, tried %v", s.Lessons, s.Tried)
	}
}

// TestAProofThatTeaches: a proof that tells what is wrong leaves a lesson, and the next plan heeds it, as often as that is.
func TestAProofThatTeaches(t *testing.T) {
	s := task()
	for i, id := range []string{"a", "b"} {
		from := float64(1 + 300*i)
		var es []Effect
		s, es = run(s, planned(from, id, id), Created{at(from + 1), id, instance("p"+id, id)}, GuardSaid{at(from + 2), id, "armed", ""}, EngineReady{at(from + 3), id},
			Proved{At: at(from + 4), Attempt: id, Detail: "tool-call: words", Cause: CauseToolParser, Lesson: &catalog.Lesson{ID: id, Model: "m/m"}})
		if a := s.Attempts[i]; a.Cause != CauseToolParser || !a.Taught || a.Fatal || len(s.Lessons) != i+1 {
			t.Fatalf("attempt %+v, lessons %v", a, s.Lessons)
		}
		expectKinds(t, es, "learn", "save-logs")
		s, es = run(s, LogsSaved{at(from + 5), id}, DeleteAnswered{At: at(from + 6), Attempt: id}, Denied{at(from + 100), id}, Denied{at(from + 200), id})
		expectKinds(t, es, "settle", "find-plan")
	}
}

// TestAFailedProofIsNoWalk: the one plan after a failed proof is the last also when it does not even come up.
func TestAFailedProofIsNoWalk(t *testing.T) {
	s, _ := run(task(), planned(1, "a", "a"), Created{at(2), "a", instance("p", "a")}, GuardSaid{at(3), "a", "armed", ""}, EngineReady{at(4), "a"},
		Proved{At: at(5), Attempt: "a", Detail: "chat: nonsense"}, LogsSaved{at(6), "a"}, DeleteAnswered{At: at(7), Attempt: "a"}, Denied{at(100), "a"}, Denied{at(200), "a"},
		planned(201, "b", "b"), Created{at(202), "b", instance("q", "b")}, Failed{At: at(203), Attempt: "b", Cause: "arch_not_supported"})
	if b := s.Attempts[1]; !b.Fatal {
		t.Errorf("a third plan would follow %+v", b)
	}
}

// TestExitOfACause: what a person has to mend on the machine or on the net is no unproven engine.
func TestExitOfACause(t *testing.T) {
	for cause, want := range map[string]problem.Exit{"disk_full": 5, "exec_not_found": 5, "pip_download_timeout": 5, "hf_unreachable": 5, "host_oom_killed": 5,
		"port_in_use": 5, "gated_repo": 4, "arch_not_supported": 6, "cuda_oom_load": 6, "not_proven": 6} {
		if got := exitOf(cause); got != want {
			t.Errorf("%s: exit %d, want %d", cause, got, want)
		}
		if same := want == problem.ExitCapacity; SameHere(cause) != same {
			t.Errorf("%s: met again on the same machine: %v", cause, !same)
		}
	}
}

// TestRoomThatWasNotThere: a machine that was made and found no room ends as capacity does, and its hardware is not asked for again.
func TestRoomThatWasNotThere(t *testing.T) {
	s, _ := run(task(), planned(1, "a", "a"), Created{at(2), "a", instance("p", "a")}, Failed{At: at(50), Attempt: "a", Cause: "provider_no_capacity"},
		LogsSaved{at(51), "a"}, DeleteAnswered{At: at(52), Attempt: "a"}, Denied{at(100), "a"}, Denied{at(200), "a"})
	if s.Worth(*s.Attempts[0].Stack) {
		t.Error("the hardware that was not there is asked for again")
	}
	s, _ = run(s, NoPlan{At: at(201), Exit: problem.ExitCapacity, Code: "no_plan_left", Reason: "none left"}, Listed{At: at(300)})
	if s.End == nil || s.End.Exit != problem.ExitCapacity || s.End.Code != "provider_no_capacity" {
		t.Errorf("ended %+v", s.End)
	}
}

// TestAnImageTheProviderRefuses: it is asked for once, whatever stack would run in it, and the end says what was refused.
func TestAnImageTheProviderRefuses(t *testing.T) {
	refused := func(n int, id, key string) []Event {
		return []Event{planned(float64(n), id, key), CreateFailed{At: at(float64(n) + 0.5), Attempt: id, Kind: FailRejected, Definite: true, Detail: `image "no/such:1" was not found`}}
	}
	first := planned(1, "a", "a")
	first.Stack.Image = "no/such:1"
	s, _ := run(task(), append([]Event{first}, refused(1, "a", "a")[1:]...)...)
	other := first.Stack
	other.Engine.Version = "another"
	if s.Worth(other) {
		t.Error("the refused image is worth another try")
	}
	s, _ = run(s, NoPlan{At: at(3), Exit: problem.ExitCapacity, Code: "no_plan_left", Reason: "no further plan"})
	if v := s.Verdict; v == nil || v.Exit != problem.ExitNoStack || v.Code != "rejected" || !strings.Contains(v.Reason, "no/such:1") {
		t.Errorf("verdict %+v", v)
	}
	// The same refusal of what names no image: three times, and it is about what all share.
	s = task()
	for i, id := range []string{"a", "b", "c"} {
		s, _ = run(s, refused(1+i, id, id)...)
	}
	if !s.NoNext || s.Verdict.Exit != problem.ExitNoStack {
		t.Errorf("a fourth create would follow: %+v", s.Verdict)
	}
}

// TestWhatNobodyReaches: one place that cannot reach the hub is left for another; three are enough.
func TestWhatNobodyReaches(t *testing.T) {
	s := task()
	for i, id := range []string{"a", "b", "c"} {
		from := float64(1 + 300*i)
		s, _ = run(s, planned(from, id, id), Created{at(from + 1), id, instance("p"+id, id)}, Failed{At: at(from + 2), Attempt: id, Cause: "hf_unreachable",
			Lesson: &catalog.Lesson{ExcludeHost: id}}, LogsSaved{at(from + 3), id}, DeleteAnswered{At: at(from + 4), Attempt: id}, Denied{at(from + 100), id}, Denied{at(from + 200), id})
		if last := i == 2; s.NoNext != last {
			t.Errorf("after place %d planning goes on: %v", i+1, !s.NoNext)
		}
	}
	if s.Verdict == nil || s.Verdict.Exit != problem.ExitCapacity {
		t.Errorf("verdict %+v", s.Verdict)
	}
}
