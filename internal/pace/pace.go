// Package pace knows how long launches took, phase by phase, and predicts the next one from those like it.
package pace

import (
	"fmt"
	"math"
	"slices"
	"time"

	"justright/boot"
	"justright/diagnose"
	"justright/launch"
	"justright/report"
	"justright/solve"
)

// Run is one launch that came to a proven endpoint. Durations are in seconds.
type Run struct {
	Key
	Predicted [2]int             // what its plan said
	Total     float64            // from the create call to the proof
	Phases    map[string]float64 // our script's and the engine's, by name
	Cached    map[string]bool    // phases whose product was there already
}

// Key is what a launch's pace hangs on.
type Key struct {
	Target, Model, GPU string
	Install            string // "image" or "wheels"
	Engine             string // with version and build
	Weights            int64  // bytes; 0 when not known
	Keeps              bool   // environment and weights outlive the machine: here, or on a volume
}

// KeyOf names the pace of a plan.
func KeyOf(target, model string, keeps bool, st solve.Stack) Key {
	return Key{Target: target, Model: model, GPU: gpuOf(st), Install: st.Install, Engine: st.Engine.Name + " " + st.Engine.Version + " " + st.Engine.WheelCUDA,
		Weights: st.WeightsBytes, Keeps: keeps}
}

func gpuOf(st solve.Stack) string {
	return fmt.Sprintf("%d %s", st.GPU.Count, st.GPU.ID)
}

// Read finds the launches in a task's stream that came to a proven endpoint.
func Read(s launch.State, keeps bool, events []report.Event) []Run {
	var out []Run
	var now *Run
	for _, e := range events {
		switch {
		case e.Plan != nil:
			now = nil
			for _, a := range s.Attempts {
				if a.N == e.Plan.Attempt && !a.Duplicate && a.Stack != nil {
					now = &Run{Key: KeyOf(s.Target, s.Model, keeps, *a.Stack), Predicted: e.Plan.ReadySeconds, Phases: map[string]float64{}, Cached: map[string]bool{}}
				}
			}
		case now == nil:
		case e.Phase != nil && e.Phase.Status == boot.StatusOK:
			now.Phases[e.Phase.Name] = e.Phase.Seconds
			if e.Phase.Cached {
				now.Cached[e.Phase.Name] = true
			}
		case e.State != nil && e.State.State == string(launch.Ready):
			now.Total = e.State.Seconds
			if now.whole() {
				out = append(out, *now)
			}
			now = nil
		}
	}
	return out
}

// whole reports whether a run was watched from its begin to its end: one that another process took up lacks phases.
func (r Run) whole() bool {
	_, weights := r.Phases[boot.PhaseWeights]
	return weights && r.start() > 0 && r.Total >= r.start()
}

// start is how long the engine took to come up.
func (r Run) start() float64 {
	if t, ok := r.Phases[boot.PhaseEngine]; ok {
		return t
	}
	sum := 0.0 // its own words are read before our script has seen it answer
	for p := diagnose.PhaseImport; p < diagnose.PhaseReady; p++ {
		if p != diagnose.PhaseDownload {
			sum += r.Phases[p.String()]
		}
	}
	return sum
}

// fetch is how long environment and weights took, side by side.
func (r Run) fetch() float64 {
	return max(r.Phases[boot.PhaseEnv], r.Phases[boot.PhaseWeights])
}

// span is an interval of seconds.
type span struct{ lo, hi float64 }

// newest is how many launches count: what a place was like long ago says little.
const newest = 8

// Predict is how long the next launch will take until it is proven, and from how many launches that comes; paper and 0 when
// none was like it. A launch is like it on the same target by the same way of installing; what differs otherwise is scaled
// by the bytes, and widens the answer.
func Predict(past []Run, next Key, paper [2]int) (seconds [2]int, from int) {
	var like []Run
	for _, r := range past {
		if r.Target == next.Target && r.Install == next.Install && r.Keeps == next.Keeps {
			like = append(like, r)
		}
	}
	like = like[max(0, len(like)-newest):]
	env, okE := envOf(like, next)
	weights, okW := weightsOf(like, next)
	start, okS := startOf(like, next)
	if len(like) == 0 || !okE || !okW || !okS {
		return paper, 0
	}
	rest := spread(like, func(r Run) (float64, bool) { return max(0, r.Total-r.fetch()-r.start()), true })
	lo := rest.lo + max(env.lo, weights.lo) + start.lo
	hi := rest.hi + max(env.hi, weights.hi) + start.hi
	return [2]int{int(math.Floor(lo)), max(int(math.Ceil(hi)), int(math.Floor(lo))+1)}, len(like)
}

// spread is the interval that samples of one quantity leave for the next: what was seen, and room that shrinks with their
// number.
func spread(runs []Run, of func(Run) (float64, bool)) span {
	var seen []float64
	for _, r := range runs {
		if v, ok := of(r); ok {
			seen = append(seen, v)
		}
	}
	if len(seen) == 0 {
		return span{}
	}
	down, up := 0.7, 1.4
	switch {
	case len(seen) >= 4:
		down, up = 0.97, 1.05
	case len(seen) >= 2:
		down, up = 0.87, 1.18
	}
	return span{slices.Min(seen) * down, slices.Max(seen) * up}
}

// envOf is the time that the environment takes.
func envOf(like []Run, next Key) (span, bool) {
	if next.Install == "image" {
		return span{}, true
	}
	kept := next.Keeps && slices.ContainsFunc(like, func(r Run) bool { return r.Engine == next.Engine })
	return part(like, boot.PhaseEnv, kept, func(r Run) bool { return r.Engine == next.Engine }, func(r Run) float64 { return r.Phases[boot.PhaseEnv] })
}

// weightsOf is the time that the weights take: by their bytes where they have to be fetched.
func weightsOf(like []Run, next Key) (span, bool) {
	kept := next.Keeps && slices.ContainsFunc(like, func(r Run) bool { return r.Model == next.Model })
	return part(like, boot.PhaseWeights, kept, func(r Run) bool { return r.Model == next.Model }, func(r Run) float64 {
		t := r.Phases[boot.PhaseWeights]
		if !kept && r.Model != next.Model && r.Weights > 0 && next.Weights > 0 {
			t *= float64(next.Weights) / float64(r.Weights)
		}
		return t
	})
}

// keptFor is how long a phase takes at most whose product is there: its key is looked up, its files are checked.
const keptFor = 5

// part is one of the two phases whose product may be kept: from launches that made it as the next will, those of the same
// thing first.
func part(like []Run, phase string, kept bool, same func(Run) bool, of func(Run) float64) (span, bool) {
	var as, alike []Run
	for _, r := range like {
		if r.Cached[phase] == kept {
			as = append(as, r)
			if same(r) {
				alike = append(alike, r)
			}
		}
	}
	switch {
	case len(alike) > 0:
		return spread(alike, func(r Run) (float64, bool) { return of(r), true }), true
	case len(as) > 0:
		return wider(spread(as, func(r Run) (float64, bool) { return of(r), true })), true
	case kept:
		return span{0, keptFor}, true
	}
	return span{}, false
}

func wider(s span) span { return span{s.lo * 0.85, s.hi * 1.2} }

// startOf is the time from the engine's first word to its answer: that of the same model on the same card, else with the
// loading of weights by their bytes.
func startOf(like []Run, next Key) (span, bool) {
	var same []Run
	for _, r := range like {
		if r.Model == next.Model && r.GPU == next.GPU {
			same = append(same, r)
		}
	}
	if len(same) > 0 {
		return spread(same, func(r Run) (float64, bool) { return r.start(), true }), true
	}
	return wider(spread(like, func(r Run) (float64, bool) {
		t := r.start()
		if load := r.Phases[diagnose.PhaseLoad.String()]; load > 0 && r.Weights > 0 && next.Weights > 0 {
			t += load * (float64(next.Weights)/float64(r.Weights) - 1)
		}
		return t, true
	})), len(like) > 0
}

// Typical is how long the engine's and the script's phases took in launches like the next, those that hang on the model in
// launches of the same; for a watch that expects their end. Empty when none was like it.
func Typical(past []Run, next Key) map[diagnose.Phase]time.Duration {
	out := map[diagnose.Phase]time.Duration{}
	for p := diagnose.PhasePull; p < diagnose.PhaseReady; p++ {
		name := p.String()
		switch p {
		case diagnose.PhaseInstall:
			name = boot.PhaseEnv
		case diagnose.PhaseDownload:
			name = boot.PhaseWeights
		default: // the engine's own
		}
		var seen []float64
		for _, r := range past {
			if r.Target != next.Target || r.Install != next.Install || r.Keeps != next.Keeps || r.Model != next.Model && p > diagnose.PhaseInstall {
				continue
			}
			if t, ok := r.Phases[name]; ok {
				seen = append(seen, t)
			}
		}
		seen = seen[max(0, len(seen)-newest):]
		if len(seen) == 0 {
			continue
		}
		slices.Sort(seen)
		out[p] = time.Duration(seen[len(seen)/2] * float64(time.Second))
	}
	return out
}
