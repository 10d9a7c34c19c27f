package runner_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
)

var ups = flag.Int("ups", 20, "how many whole ups TestUpsAMinute runs; with 1000 or more the rate is held to 1,000 a minute")

// TestUpsAMinute runs whole ups on the simulator, from the plan to the proven endpoint, with the journal on a disk, and
// prints how many a minute this machine does: what the program itself costs, since the waiting is virtual.
func TestUpsAMinute(t *testing.T) {
	began := time.Now()
	var done atomic.Int64
	t.Run("ups", func(t *testing.T) {
		workers := runtime.GOMAXPROCS(0)
		for k := range workers {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				t.Parallel()
				journal, err := store.OpenSQLite(t.Context(), t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = journal.Close() }()
				for i := k; i < *ups; i += workers {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(uint64(i+1), journal)
						task := launch.State{ID: fmt.Sprint("t", i), Name: fmt.Sprint("n", i), Model: "m/m", Target: "runpod", Owner: w.owner, Budget: money.Dollar,
							Wanted: launch.WantRunning, Timing: launch.DefaultTiming(), Started: time.Now()}
						w.ids.n = i * 1000
						if err := journal.Begin(t.Context(), task); err != nil {
							t.Fatal(err)
						}
						s, err := runner.Run(t.Context(), w.config(0), task.ID, false)
						if err != nil || s.End.Outcome != "ready" {
							t.Fatalf("up %d ended %+v, %v", i, s.End, err)
						}
						done.Add(1)
						w.sim.Close()
						time.Sleep(10 * time.Minute)
					})
				}
			})
		}
	})
	rate := float64(done.Load()) / time.Since(began).Minutes()
	t.Logf("%d ups, %.0f a minute on %d processors", done.Load(), rate, runtime.GOMAXPROCS(0))
	if *ups >= 1000 && rate < 1000 {
		t.Errorf("%.0f ups a minute", rate)
	}
}
