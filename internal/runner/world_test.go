package runner_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"justright/boot"
	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/internal/provider/runpod"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
	"justright/sim/runpodsim"
	"justright/solve"
)

// world is one simulated RunPod with one journal: processes come and go, the world stays.
type world struct {
	rng     *rand.Rand
	sim     *runpodsim.Server
	pods    *podModel
	journal store.Store
	owner   string
	ids     *idSource
	calls   *callCounter
	plans   []runner.Proposal
	passes  bool // the proof passes
	script  bool // machines get the real start script
	pid     int
}

// newWorld starts at the bubble's time. Everything in it is decided by the seed.
func newWorld(seed uint64, journal store.Store, faults ...runpodsim.Fault) *world {
	return newGatedWorld(seed, journal, nil, faults...)
}

// newGatedWorld is newWorld where images ask their host for a CUDA of their own.
func newGatedWorld(seed uint64, journal store.Store, gates map[string]string, faults ...runpodsim.Fault) *world {
	// A bubble begins in the year 2000; RunPod's logs are asked for from 2020 on.
	time.Sleep(time.Until(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)))
	rng := rand.New(rand.NewPCG(seed, 1))
	pods := &podModel{guarded: true, boot: 40 * time.Second}
	sim := runpodsim.New(runpodsim.Options{
		Gates: gates, Runner: pods, Seed: seed | 1, RateLimit: &runpodsim.Unlimited, BaseURL: "http://sim.invalid", Faults: faults,
		DelayScale: 0.2,
	})
	owner, _ := journal.Owner(context.Background())
	w := &world{rng: rng, sim: sim, pods: pods, journal: journal, owner: owner, ids: &idSource{}, passes: true,
		calls: &callCounter{creates: map[string]int{}}}
	for i, gpu := range []string{"NVIDIA RTX A5000", "NVIDIA L4", "NVIDIA GeForce RTX 4090"} {
		w.plans = append(w.plans, proposal(i+1, gpu))
	}
	return w
}

// machineImage is what the plans of a world start on.
const machineImage = "runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04"

func proposal(rank int, gpu string) runner.Proposal {
	price := map[string]money.USD{}
	for _, g := range runpodsim.DefaultFleet().GPUs {
		price[g.ID] = money.FromFloat(g.Secure)
	}
	return runner.Proposal{
		Stack: solve.Stack{Rank: rank, Engine: solve.Engine{Name: "vllm", Version: "0.19.1"}, Install: "wheels",
			Image: machineImage, Guarded: true,
			GPU: solve.GPU{ID: gpu, Count: 1}, Ready: solve.Ready{Seconds: [2]int{60, 120}}},
		Summary: gpu, Price: price[gpu], Disk: 20 * money.Dollar / 10 / 730, Boot: 5 * time.Minute,
	}
}

// idSource makes attempt ids that are fresh and the same for the same seed.
type idSource struct {
	mu sync.Mutex
	n  int
}

func (s *idSource) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	sum := sha256.Sum256(fmt.Append(nil, "attempt", s.n))
	return hex.EncodeToString(sum[:16])
}

// callCounter counts the create calls of each intent at our side of the wire.
type callCounter struct {
	mu      sync.Mutex
	creates map[string]int
}

type counting struct {
	*runpod.Provider
	c *callCounter
}

func (p counting) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	p.c.mu.Lock()
	p.c.creates[s.AttemptID]++
	p.c.mu.Unlock()
	return p.Provider.Create(ctx, s)
}

// BilledFor is what internal/cli's wiring does for runpod.
func (p counting) BilledFor(ctx context.Context, pod string, since time.Time) (money.USD, bool, error) {
	bills, err := p.Billed(ctx, pod, since)
	for _, b := range bills {
		if b.PodID == pod {
			return b.Total, true, err
		}
	}
	return 0, false, err
}

// config is one process: its own provider, its own laptop clock.
func (w *world) config(skew time.Duration) runner.Config {
	local := func() time.Time { return time.Now().Add(skew) }
	p, err := runpod.New(runpod.Config{
		Key: httpclient.NewSecret("rpa_TESTKEY"), BaseURL: "http://sim.invalid", Transport: w.sim.Transport(), Now: local,
	})
	if err != nil {
		panic(err)
	}
	w.pid++
	return runner.Config{
		Journal: w.journal, Provider: counting{p, w.calls}, Address: "http://sim.invalid", Account: "acct",
		Planner: w, Watcher: phaseWatcher{}, Prover: w, Now: runner.ServerClock(context.Background(), p, local), NewID: w.ids.next,
		Holder: store.Holder{Host: "laptop", PID: w.pid, Start: "x"}, Sink: nullSink{},
	}
}

type nullSink struct{}

func (nullSink) Emit(report.Event) error { return nil }

// Next and Spec make the world its own planner: a fixed list, best first.
func (w *world) Next(_ context.Context, s launch.State) (runner.Proposal, error) {
	for _, p := range w.plans {
		if s.Worth(p.Stack) {
			return p, nil
		}
	}
	return runner.Proposal{}, problem.New(problem.ExitCapacity, "no_plan_left", "no plan is left")
}

func (w *world) Spec(ctx context.Context, s launch.State, a launch.Attempt) (launch.Spec, error) {
	if w.script {
		return scriptSpec(ctx, s, a)
	}
	return launch.Spec{
		Name: a.PodName, AttemptID: a.ID, OwnerID: s.Owner, Image: a.Stack.Image, Start: solve.Start{Cmd: []string{"sh"}, Args: "sh"},
		Env: a.LimitsEnv(s.Owner, s.Name, s.Idle), Ports: []string{"8000/http"}, DiskGB: 20, GPU: a.Stack.GPU.ID, GPUCount: 1,
		MaxPricePerHour: a.Confirmed,
	}, nil
}

// Prove asks the endpoint through the simulator's proxy.
func (w *world) Prove(ctx context.Context, _ launch.Attempt, base string, _ func(report.Event)) (runner.Proof, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
	if err != nil {
		return runner.Proof{}, err
	}
	resp, err := (&http.Client{Transport: w.sim.Transport()}).Do(r)
	if err != nil {
		return runner.Proof{}, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return runner.Proof{}, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return runner.Proof{Passed: w.passes, Detail: "health", Document: []byte(`{"passed":true}`)}, nil
}

// begin records a task.
func (w *world) begin(name string, budget money.USD) launch.State {
	s := launch.State{
		ID: "task-" + name, Name: name, Model: "m/m", Target: "runpod", Owner: w.owner, Budget: budget, Wanted: launch.WantRunning,
		Timing: launch.DefaultTiming(), Started: time.Now(),
	}
	if err := w.journal.Begin(context.Background(), s); err != nil {
		panic(err)
	}
	return s
}

// podModel plays containers: a guard that keeps the limits of its environment, an engine that comes up or fails.
type podModel struct {
	mu      sync.Mutex
	guarded bool
	boot    time.Duration
	fails   map[int]string // of the n-th container: the cause it prints
	started int
	armed   map[string]bool
}

func (m *podModel) Close() {}

func (m *podModel) Start(c *runpodsim.Container) func() {
	m.mu.Lock()
	m.started++
	fail, guarded, bootIn := m.fails[m.started], m.guarded, m.boot
	m.mu.Unlock()
	c.Log("justright phase=preflight status=start t=0")
	if guarded {
		c.After(time.Second, func() {
			if m.armed != nil {
				m.mu.Lock()
				m.armed[c.PodID] = true
				m.mu.Unlock()
			}
			c.Log("justright guard status=armed by=runpod")
			m.watch(c)
		})
	} else {
		c.Log("justright guard status=unguarded reason=key_refused")
	}
	if fail != "" {
		c.After(bootIn/2, func() { c.Log("justright phase=engine status=fail t=9 cause=" + fail) })
		return nil
	}
	c.After(bootIn, func() {
		c.Serve(8000, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
		c.Log("justright phase=ready status=ok t=40")
	})
	return nil
}

// watch is the guard's loop: every ten seconds, for ever.
func (m *podModel) watch(c *runpodsim.Container) {
	c.After(10*time.Second, func() {
		now := c.Now().Unix()
		for _, limit := range []string{"JUSTRIGHT_CAP_BY", "JUSTRIGHT_END_BY"} {
			if at, err := strconv.ParseInt(c.Env[limit], 10, 64); err == nil && now >= at {
				c.Log("justright guard status=ending reason=" + limit)
				c.Call(http.MethodDelete, "/v2/pods/"+c.PodID)
				break
			}
		}
		m.watch(c)
	})
}

// phaseWatcher reads our own lines and nothing else.
type phaseWatcher struct{}

func (phaseWatcher) Watch(a launch.Attempt, _ time.Time) runner.Watch { return phaseWatch{a.ID} }

type phaseWatch struct{ attempt string }

func (w phaseWatch) Tick(time.Time) []runner.Sign { return nil }

func (w phaseWatch) Seen(launch.Instance, time.Time) []runner.Sign { return nil }

func (w phaseWatch) Line(l launch.LogLine) []runner.Sign {
	line, ok := boot.ParseLine(l.Text)
	if !ok {
		return nil
	}
	at := launch.At(time.Now())
	switch {
	case line.Kind == boot.KindGuard:
		return []runner.Sign{{Event: launch.GuardSaid{At: at, Attempt: w.attempt, Status: line.Status, Reason: line.Reason}}}
	case line.Kind == boot.KindPhase && line.Phase == boot.PhaseReady && line.Status == boot.StatusOK:
		return []runner.Sign{{Event: launch.EngineReady{At: at, Attempt: w.attempt}}}
	case line.Kind == boot.KindPhase && line.Status == boot.StatusFail:
		return []runner.Sign{{Event: launch.Failed{At: at, Attempt: w.attempt, Cause: line.Cause, Detail: "phase " + line.Phase}}}
	}
	return nil
}

var _ provider.Provider = counting{}
