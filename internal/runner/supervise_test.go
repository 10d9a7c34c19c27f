package runner_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"justright/catalog"
	"justright/internal/provider"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// herd is a provider with very many machines that counts what it is asked.
type herd struct {
	mu    sync.Mutex
	pods  map[string]launch.Instance
	calls atomic.Int64
}

func (h *herd) Name() string                                    { return "herd" }
func (h *herd) Offers(context.Context) ([]catalog.Offer, error) { return nil, nil }
func (h *herd) Create(context.Context, launch.Spec) (launch.Instance, error) {
	return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Err: errors.New("no")}
}

func (h *herd) Get(_ context.Context, id string) (launch.Instance, error) {
	h.calls.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if in, ok := h.pods[id]; ok {
		return in, nil
	}
	return launch.Instance{ID: id, Status: launch.Gone}, nil
}

func (h *herd) List(context.Context) ([]launch.Instance, error) {
	h.calls.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]launch.Instance, 0, len(h.pods))
	for _, in := range h.pods {
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b launch.Instance) int { return a.Created.Compare(b.Created) })
	return out, nil
}

func (h *herd) Delete(_ context.Context, id string) error {
	h.calls.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pods, id)
	return nil
}

func (h *herd) Logs(ctx context.Context, _, _ string, _ func(launch.LogLine) error) error {
	<-ctx.Done()
	return ctx.Err()
}

type noPlanner struct{}

func (noPlanner) Next(context.Context, launch.State) (runner.Proposal, error) {
	return runner.Proposal{}, problem.New(problem.ExitCapacity, "none", "none")
}

func (noPlanner) Spec(context.Context, launch.State, launch.Attempt) (launch.Spec, error) {
	return launch.Spec{}, errors.New("none")
}

// readyTask is a launch that became ready, as its journal has it.
func readyTask(i int, now time.Time) (launch.State, launch.Instance) {
	id, pod := fmt.Sprintf("%032x", i), fmt.Sprintf("pod%d", i)
	price := money.Dollar / 4
	in := launch.Instance{ID: pod, AttemptID: id, OwnerID: "own", Status: launch.Running, PricePerHour: &price, Created: now.Add(-time.Hour)}
	return launch.State{
		ID: fmt.Sprint("t", i), Name: fmt.Sprint("n", i), Owner: "own", Budget: 20 * money.Dollar, Wanted: launch.WantRunning, Timing: launch.DefaultTiming(),
		Started: now, End: &launch.Stop{Outcome: "ready"}, Attempts: []launch.Attempt{{
			ID: id, N: 1, PodID: pod, Address: "a", Account: "k", Price: price, Confirmed: price, Reserved: 20 * money.Dollar, Phase: launch.Ready,
			Guarded: true, Armed: true, Intended: in.Created, Created: in.Created, CapBy: now.Add(79 * time.Hour), Status: launch.Running,
		}},
	}, in
}

// Ten thousand machines are supervised by one process with as many calls as one: a list a round.
func TestTenThousandMachinesCostOneListARound(t *testing.T) {
	for _, n := range []int{100, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h, j := &herd{pods: map[string]launch.Instance{}}, store.NewMemory()
			for i := range n {
				s, in := readyTask(i, time.Now())
				h.pods[in.ID] = in
				if err := j.Begin(ctx, s); err != nil {
					t.Fatal(err)
				}
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			rounds := 0
			sup := runner.Supervisor{Every: 30 * time.Second, Config: runner.Config{
				Journal: j, Provider: h, Address: "a", Account: "k", Planner: noPlanner{}, Watcher: phaseWatcher{}, Now: time.Now, NewID: func() string { return "x" },
				Holder: store.Holder{Host: "h", PID: 1},
			}, Round: func(_, _, attention int) {
				if rounds++; attention != 0 {
					t.Errorf("%d machines need attention in round %d", attention, rounds)
				}
			}}
			done := make(chan error)
			go func() { done <- sup.Supervise(ctx) }()
			time.Sleep(time.Minute + time.Second)
			runtime.ReadMemStats(&after)
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("ended by %v", err)
			}
			calls := h.calls.Load()
			t.Logf("%d machines: %d rounds, %d API calls in a minute, %d MB live for journal and machines", n, rounds, calls, before.HeapAlloc>>20)
			if int(calls) != rounds {
				t.Errorf("%d calls in %d rounds", calls, rounds)
			}
		})
	}
}

// What has ended is settled, what is past its cap is ended, what is wanted gone goes, and nothing else is touched.
func TestSupervisorAttends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)))
		h, j := &herd{pods: map[string]launch.Instance{}}, store.NewMemory()
		for i := range 5 {
			s, in := readyTask(i, time.Now())
			switch i {
			case 1: // ended by its guard: not there
			case 2:
				s.Attempts[0].CapBy = time.Now()
				h.pods[in.ID] = in
			default:
				h.pods[in.ID] = in
			}
			if err := j.Begin(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		_ = j.WantGone(t.Context(), "t3", launch.CauseDown)
		twin := h.pods["pod4"]
		twin.ID, twin.Created = "twin4", twin.Created.Add(time.Second)
		h.pods["twin4"] = twin
		h.pods["foreign"] = launch.Instance{ID: "foreign", AttemptID: "f", OwnerID: "other", Status: launch.Running}
		sup := runner.Supervisor{Config: runner.Config{
			Journal: j, Provider: h, Address: "a", Account: "k", Planner: noPlanner{}, Watcher: phaseWatcher{}, Now: time.Now, NewID: func() string { return "x" },
			Holder: store.Holder{Host: "h", PID: 1},
		}}
		for range 3 {
			if err := sup.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		var left []string
		for id := range h.pods {
			left = append(left, id)
		}
		slices.Sort(left)
		if want := []string{"foreign", "pod0", "pod4"}; !slices.Equal(left, want) {
			t.Errorf("machines left %q, want %q", left, want)
		}
		tasks, _ := j.Tasks(t.Context())
		for i, over := range []bool{false, true, true, true, false} {
			if tasks[i].State.Over() != over {
				t.Errorf("task %d over: %v, want %v: %s", i, tasks[i].State.Over(), over, tasks[i].State.Word())
			}
		}
	})
}
