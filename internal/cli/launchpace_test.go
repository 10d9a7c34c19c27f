package cli

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"justright/internal/store"
	"justright/internal/worlds"
	"justright/money"
	"justright/report"
)

// TestPredictionsComeFromLaunches: the second launch on a target expects what the first one needed, more narrowly than the
// facts alone tell, and says so; the stream of each carries the expected end, the dollars and the cap.
func TestPredictionsComeFromLaunches(t *testing.T) {
	t.Parallel()
	base := worldsBase(t)
	synctest.Test(t, func(t *testing.T) {
		in2026()
		x := newTrial(t, base, worlds.World{Name: "usual", Model: "openai/gpt-oss-20b"})
		journal := store.NewMemory()
		width := 1 << 30
		for n := range 3 {
			o := x.launch(ours(), journal)
			a := o.state.Attempts[0]
			runs := runsOf(t.Context(), journal, o.state)
			if !o.ready || len(runs) != 1 || a.Stack.Ready.Measured != n {
				t.Fatalf("launch %d: %+v, measured %d, runs %+v", n, o.end, a.Stack.Ready.Measured, runs)
			}
			said, took := a.Stack.Ready.Seconds, runs[0].Total
			if took < float64(said[0]) || took > float64(said[1]) {
				t.Errorf("launch %d took %.0f s, predicted were %v", n, took, said)
			}
			if w := said[1] - said[0]; w >= width {
				t.Errorf("launch %d: the prediction %v is no narrower than %d", n, said, width)
			} else {
				width = w
			}
			if first := heardAt(t, journal, o.state.ID); n == 2 && (first < 0.8*took || first > 1.2*took) {
				t.Errorf("expected from the container's first word: %.0f s, it took %.0f", first, took)
			}
			time.Sleep(time.Minute)
		}
	})
}

// heardAt is the first expected end of a task's stream, in seconds since the create; it holds every event on the way to the cap.
func heardAt(t *testing.T, journal store.Store, task string) float64 {
	t.Helper()
	lines, err := journal.Events(t.Context(), task, 0, 5000)
	if err != nil {
		t.Fatal(err)
	}
	var created time.Time
	first, spent, phases := 0.0, money.USD(0), 0
	for _, l := range lines {
		e, err := report.Parse(l.JSON)
		if err != nil {
			t.Fatal(err)
		}
		cost, limit := money.USD(0), defaultBudget
		switch {
		case e.State != nil && e.State.State == "creating":
			created = e.At
		case e.Expect != nil:
			cost, limit = e.Expect.Spent, e.Expect.Cap
			if first == 0 {
				first = e.Expect.Ready.Sub(created).Seconds()
			}
		case e.Phase != nil:
			phases++
			cost, limit = e.Phase.Spent, e.Phase.Cap
		case e.Progress != nil:
			cost, limit = e.Progress.Spent, e.Progress.Cap
		}
		if limit != defaultBudget || cost > 0 && cost < spent {
			raw, _ := json.Marshal(e)
			t.Errorf("spent or cap of %s", raw)
		}
		spent = max(spent, cost)
	}
	if phases == 0 || first == 0 || spent == 0 {
		t.Errorf("%d phases, expected end %.0f, spent %s", phases, first, spent)
	}
	return first
}
