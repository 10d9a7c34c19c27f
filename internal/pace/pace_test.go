package pace

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"justright/boot"
	"justright/diagnose"
	"justright/launch"
	"justright/report"
	"justright/solve"
)

var key = Key{Target: "runpod", Model: "m", GPU: "1 l4", Install: "wheels", Engine: "vllm 0.32.0 12.9", Weights: 10e9}

// run is a launch of a key whose parts took so long.
func run(k Key, rest, env, weights, load, others float64) Run {
	return Run{Key: k, Total: rest + max(env, weights) + load + others, Cached: map[string]bool{},
		Phases: map[string]float64{boot.PhaseEnv: env, boot.PhaseWeights: weights, boot.PhaseEngine: load + others, "load": load}}
}

// TestPredictTightens: over many launches with noise of their own, what was predicted holds as often as an interval should,
// and it becomes narrower than what the facts alone say.
func TestPredictTightens(t *testing.T) {
	for _, noise := range []float64{0.1, 0.25} {
		tightens(t, noise)
	}
}

func tightens(t *testing.T, noise float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	noisy := func(v float64) float64 { return v * math.Exp(rng.NormFloat64()*noise) }
	paper := [2]int{160, 390}
	width, held := map[int]float64{}, map[int]int{}
	const worlds = 200
	for range worlds {
		place := 0.7 + rng.Float64() // how fast this account's hosts are
		var past []Run
		for n := range 8 {
			next := run(key, noisy(70*place), noisy(50*place), noisy(60*place), noisy(20*place), noisy(60*place))
			got, from := Predict(past, key, paper)
			if from != n {
				t.Fatalf("from %d launches, of %d", from, n)
			}
			width[n] += float64(got[1]-got[0]) / worlds
			if next.Total >= float64(got[0]) && next.Total <= float64(got[1]) {
				held[n]++
			}
			past = append(past, next)
		}
	}
	for n := 1; n < 8; n++ {
		if held[n] < worlds*85/100 {
			t.Errorf("after %d launches the prediction held %d times of %d", n, held[n], worlds)
		}
	}
	if noise == 0.1 && (width[1] > 0.85*width[0] || width[2] > 0.55*width[0] || width[5] > 0.4*width[0]) {
		t.Errorf("widths by launches seen: %v", width)
	}
	t.Logf("noise %.2f: widths by launches seen: %v; held of %d: %v", noise, width, worlds, held)
}

// TestPredictByTheParts: what differs is scaled, and what is kept is not fetched again.
func TestPredictByTheParts(t *testing.T) {
	big := key
	big.Model, big.Weights = "big", 40e9
	kept := func(k Key) Key { k.Keeps = true; return k }
	warm := run(kept(key), 10, 1, 1, 20, 40)
	warm.Cached[boot.PhaseEnv], warm.Cached[boot.PhaseWeights] = true, true
	other := key
	other.Target = "local"
	image := key
	image.Install = "image"
	for _, c := range []struct {
		name   string
		past   []Run
		next   Key
		lo, hi float64 // what must lie within
		within [2]int  // and what it must lie within
		from   int
	}{
		{"nothing like it", []Run{run(other, 1, 1, 1, 1, 1), run(image, 1, 1, 1, 1, 1)}, key, 100, 200, [2]int{100, 200}, 0},
		{"four times the bytes", []Run{run(key, 60, 50, 60, 20, 40)}, big, 420, 420, [2]int{150, 900}, 1},
		{"a first launch, kept for the second", []Run{run(kept(key), 10, 300, 60, 20, 40)}, kept(key), 72, 72, [2]int{30, 150}, 1},
		{"a second launch for the third", []Run{run(kept(key), 10, 300, 60, 20, 40), warm}, kept(key), 71, 71, [2]int{50, 110}, 2},
		{"another model into a kept environment", []Run{run(kept(key), 10, 300, 60, 20, 40), warm}, kept(big), 10 + 240 + 80 + 40, 10 + 240 + 80 + 40, [2]int{120, 800}, 2},
	} {
		got, from := Predict(c.past, c.next, [2]int{100, 200})
		if from != c.from || float64(got[0]) > c.lo || float64(got[1]) < c.hi || got[0] < c.within[0] || got[1] > c.within[1] {
			t.Errorf("%s: %v from %d, want %v..%v within %v from %d", c.name, got, from, c.lo, c.hi, c.within, c.from)
		}
	}
}

// TestRead: a stream gives the launches that were watched from begin to proof, each attempt by itself.
func TestRead(t *testing.T) {
	st := &solve.Stack{Install: "wheels", Engine: solve.Engine{Name: "vllm", Version: "0.32.0", WheelCUDA: "12.9"}, GPU: solve.GPU{ID: "l4", Count: 1}, WeightsBytes: 10e9}
	s := launch.State{Target: "runpod", Model: "m", Attempts: []launch.Attempt{{N: 1, Stack: st}, {N: 2, Stack: st}}}
	phase := func(name string, sec float64, cached bool) report.Event {
		return report.Event{Phase: &report.Phase{Name: name, Status: boot.StatusOK, Seconds: sec, Cached: cached}}
	}
	ready := report.Event{State: &report.State{State: "ready", Seconds: 200}}
	plan := func(n int) report.Event {
		return report.Event{Plan: &report.Plan{Attempt: n, ReadySeconds: [2]int{160, 390}}}
	}
	runs := Read(s, false, []report.Event{
		plan(1), phase("weights", 50, false), phase("import", 5, false), // failed
		plan(2), phase("env", 40, true), phase("weights", 60, false), phase("import", 10, false), phase("load", 20, false), phase("serve", 30, false), ready,
	})
	if len(runs) != 1 || runs[0].Key != key || runs[0].Total != 200 || runs[0].start() != 60 || runs[0].fetch() != 60 || !runs[0].Cached["env"] || runs[0].Predicted != [2]int{160, 390} {
		t.Fatalf("%+v", runs)
	}
	if runs := Read(s, false, []report.Event{plan(2), ready}); len(runs) != 0 { // taken up by a process that saw its end alone
		t.Errorf("%+v", runs)
	}
	elsewhere := runs[0]
	elsewhere.Target, elsewhere.Phases = "local", map[string]float64{"env": 1, "weights": 1, "load": 1}
	runs = []Run{elsewhere, runs[0], elsewhere} // what others took comes between
	if got := Typical(runs, key); got[diagnose.PhaseInstall] != 40*time.Second || got[diagnose.PhaseDownload] != 60*time.Second || got[diagnose.PhaseLoad] != 20*time.Second {
		t.Errorf("typical %v", got)
	}
	other := key
	other.Target = "ssh://box"
	if got := Typical(runs, other); len(got) != 0 {
		t.Errorf("typical of elsewhere %v", got)
	}
}
