package cli

import (
	"net/http"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
)

// A further machine comes after a load that has lasted, one at a time, never beyond the most, and not soon after one that could not
// be had.
func TestWantsMore(t *testing.T) {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	task := func(phase launch.Phase, wanted launch.Wanted) store.Task {
		return store.Task{State: launch.State{Model: "m", Attempts: []launch.Attempt{{ID: "a", PodID: "p", Phase: phase}}}, Wanted: wanted}
	}
	up, boots, goes := task(launch.Ready, launch.WantRunning), task(launch.Booting, launch.WantRunning), task(launch.Ready, launch.WantGone)
	for _, c := range []struct {
		name  string
		tasks []store.Task
		load  gateway.Load
		n     replicas
		after time.Duration
		pause time.Duration
		want  bool
	}{
		{"little to do", []store.Task{up}, gateway.Load{Replicas: 1, Requests: 8}, replicas{1, 3, 8}, time.Minute, 0, false},
		{"more than one takes, just now", []store.Task{up}, gateway.Load{Replicas: 1, Requests: 9}, replicas{1, 3, 8}, 10 * time.Second, 0, false},
		{"more than one takes, for a while", []store.Task{up}, gateway.Load{Replicas: 1, Requests: 9}, replicas{1, 3, 8}, time.Minute, 0, true},
		{"its engine lets requests wait", []store.Task{up}, gateway.Load{Replicas: 1, Requests: 3, Queued: 1}, replicas{1, 3, 8}, time.Minute, 0, true},
		{"one of two engines does", []store.Task{up, up}, gateway.Load{Replicas: 2, Requests: 3, Queued: 1}, replicas{1, 3, 8}, time.Minute, 0, false},
		{"one is on its way", []store.Task{up, boots}, gateway.Load{Replicas: 1, Requests: 99}, replicas{1, 3, 8}, time.Minute, 0, false},
		{"one goes", []store.Task{up, goes}, gateway.Load{Replicas: 1, Requests: 9}, replicas{1, 3, 8}, time.Minute, 0, true},
		{"as many as there may be", []store.Task{up, up, up}, gateway.Load{Replicas: 3, Requests: 99, Queued: 3}, replicas{1, 3, 8}, time.Minute, 0, false},
		{"the last could not be had", []store.Task{up}, gateway.Load{Replicas: 1, Requests: 9}, replicas{1, 3, 8}, time.Minute, 2 * time.Minute, false},
		{"nothing runs: that is a wake's matter", nil, gateway.Load{}, replicas{2, 3, 8}, time.Minute, 0, false},
		{"fewer than are to stand", []store.Task{up}, gateway.Load{Replicas: 1}, replicas{2, 3, 8}, 0, 0, true},
		{"as many as are to stand", []store.Task{up, up}, gateway.Load{Replicas: 2}, replicas{2, 3, 8}, time.Minute, 0, false},
	} {
		s := &server{tasks: c.tasks, pressed: map[string]time.Time{}, extraAt: map[string]time.Time{"m": began.Add(c.pause)}}
		m := &servedModel{id: "m", replicas: c.n}
		first := s.wantsMore(m, c.load, began)
		if c.after == 0 {
			if first != c.want {
				t.Errorf("%s: %v at once", c.name, first)
			}
			continue
		}
		if got := s.wantsMore(m, c.load, began.Add(c.after)); first && c.n.least == 1 || got != c.want {
			t.Errorf("%s: %v, then %v", c.name, first, got)
		}
	}
	// A load that went away meanwhile has not lasted.
	s := &server{tasks: []store.Task{up}, pressed: map[string]time.Time{}, extraAt: map[string]time.Time{}}
	m := &servedModel{id: "m", replicas: replicas{1, 3, 8}}
	much := gateway.Load{Replicas: 1, Requests: 20}
	for i, l := range []gateway.Load{much, {Replicas: 1}, much} {
		if s.wantsMore(m, l, began.Add(time.Duration(i)*20*time.Second)) {
			t.Errorf("look %d: a machine for a load that came and went", i)
		}
	}
}

func TestReadReplicas(t *testing.T) {
	for text, want := range map[string]replicas{"1": {1, 1, 32}, "4": {1, 4, 32}, "2..4": {2, 4, 32}, "3..3": {3, 3, 32}} {
		if got, err := readReplicas(text, 32); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "0", "0..2", "3..2", "a", "1..", "..2", "1...2", "65", "-1", "2 .. 3"} {
		if r, err := readReplicas(bad, 32); err == nil || problem.From(err).Exit != problem.ExitUsage {
			t.Errorf("%q: %+v, %v", bad, r, err)
		}
	}
	if _, err := readReplicas("2", 0); err == nil {
		t.Error("a load of nothing")
	}
}

// As many machines as are to stand are begun by one request, the second with what is left of the day; no third is, and requests reach
// both.
func TestServeKeepsSeveralMachines(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	g := p.serve(tryModel, "--yes", "--replicas", "2..3", "--budget", "1.00", "--daily-budget", "1.60", "--idle", "45m")
	if code, body := g.ask(tryModel); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	eventually(t, "two machines are ready", func() bool {
		n := 0
		for _, x := range p.tasks() {
			if c := x.State.Current(); c != nil && c.Phase == launch.Ready {
				n++
			}
		}
		return n == 2
	})
	all := p.tasks()
	if b := all[1].State.Budget.Cents(); len(all) != 2 || all[1].State.Name != "gpt-oss-20b-2" || b != "0.60" {
		t.Errorf("%d launches, the second %s with $%s", len(all), all[1].State.Name, b)
	}
	if code, body := g.ask("gpt-oss-20b-2"); code != http.StatusOK {
		t.Errorf("the second alone: %d %s", code, body)
	}
	p.answers(problem.ExitOK, "down", "gpt-oss-20b-2")
	time.Sleep(2 * extraEvery / swiftRounds)
	if p.creates() != 2 {
		t.Errorf("down did not win: %d creates", p.creates())
	}
	if code, body := g.ask(tryModel); code != http.StatusOK {
		t.Errorf("the one that is left: %d %s", code, body)
	}
}
