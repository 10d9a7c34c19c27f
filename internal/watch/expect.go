package watch

import (
	"time"

	"justright/boot"
	"justright/diagnose"
)

// typical is how long phases take on a rented GPU with a model of some GB, in proportion to each other: what a plan predicts
// stretches or shrinks them together, and what was measured before replaces them.
var typical = map[diagnose.Phase]time.Duration{
	diagnose.PhaseProvision: 10 * time.Second, diagnose.PhasePull: 60 * time.Second, diagnose.PhaseContainer: 5 * time.Second,
	diagnose.PhaseInstall: 45 * time.Second, diagnose.PhaseImport: 15 * time.Second, diagnose.PhaseResolve: 15 * time.Second,
	diagnose.PhaseDownload: 60 * time.Second, diagnose.PhaseLoad: 20 * time.Second, diagnose.PhaseCompile: 40 * time.Second,
	diagnose.PhaseCache: 5 * time.Second, diagnose.PhaseCapture: 15 * time.Second, diagnose.PhaseServe: 5 * time.Second,
}

// usual is how long a phase should take here.
func (w *Watch) usual(p diagnose.Phase) time.Duration {
	if t, ok := w.o.Typical[p]; ok {
		return t
	}
	t := typical[p]
	if mid := (w.o.Ready[0] + w.o.Ready[1]) / 2; mid > 0 {
		t = time.Duration(float64(t) * float64(mid-w.knownTypical()) / float64(w.restTypical()))
	}
	return max(t, 0)
}

// knownTypical and restTypical are the sums of what was measured and of what is only typical, installing and downloading
// counted once, since they run side by side.
func (w *Watch) knownTypical() (sum time.Duration) {
	for p := diagnose.PhaseProvision; p < diagnose.PhaseReady; p++ {
		if t, ok := w.o.Typical[p]; ok && p != diagnose.PhaseInstall {
			sum += t
		}
	}
	return min(sum, (w.o.Ready[0]+w.o.Ready[1])/2)
}

func (w *Watch) restTypical() (sum time.Duration) {
	for p := diagnose.PhaseProvision; p < diagnose.PhaseReady; p++ {
		if _, ok := w.o.Typical[p]; !ok && p != diagnose.PhaseInstall {
			sum += typical[p]
		}
	}
	return max(sum, time.Second)
}

// beside is what is left of one of our script's phases that run side by side.
func (w *Watch) beside(name string, p diagnose.Phase, at time.Time) time.Duration {
	if w.ended[name] {
		return 0
	}
	if b := w.bars[name]; b.left() >= 0 {
		return b.left()
	}
	t := w.usual(p)
	if since, ok := w.began[name]; ok {
		t -= at.Sub(since)
	}
	return max(t, 0)
}

// rest is how long it still takes until the engine is ready, by what is known now.
func (w *Watch) rest(at time.Time) (rest time.Duration) {
	now := max(w.phase, diagnose.PhaseProvision)
	_, fetching := w.began[boot.PhaseWeights]
	if _, started := w.began[boot.PhaseEngine]; fetching && !started && w.phase < diagnose.PhaseLoad {
		now = diagnose.PhaseInstall // our script fetches weights before the engine is there, which the engine does after
	}
	for p := now; p < diagnose.PhaseReady; p++ {
		switch {
		case p == diagnose.PhaseInstall: // counted with the download
		case p == diagnose.PhaseDownload && now < diagnose.PhaseImport:
			rest += max(w.beside(boot.PhaseEnv, diagnose.PhaseInstall, at), w.beside(boot.PhaseWeights, diagnose.PhaseDownload, at))
		case p == diagnose.PhaseDownload && w.ended[boot.PhaseWeights]:
		case p == now:
			if left := w.bars[p.String()].left(); left >= 0 {
				rest += left
			} else {
				rest += max(0, w.usual(p)-at.Sub(w.since))
			}
		default:
			rest += w.usual(p)
		}
	}
	return rest
}

// expect tells when the engine should be ready, when that has changed by more than a tenth, or by a twentieth of the way.
func (w *Watch) expect(at time.Time) []Event {
	if w.ready || w.own == boot.PhaseHold {
		return nil
	}
	rest := w.rest(at)
	ready := at.Add(rest)
	if d := ready.Sub(w.expected).Abs(); !w.expected.IsZero() && d < max(5*time.Second, rest/10, at.Sub(w.o.Started)/20) {
		return nil
	}
	w.expected = ready
	return []Event{Expect{at, ready}}
}

// late tells a new expected end when the last has passed without anything said.
func (w *Watch) late(now time.Time) []Event {
	if !w.expected.IsZero() && now.Before(w.expected) {
		return nil
	}
	return w.expect(now)
}
