package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"justright/internal/store"
	"justright/launch"
)

// A process that has ended drives nothing, though its parent has not asked for its status, and neither does one that lets its
// lease run out: the next up goes on where it was.
func TestWhoDrives(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of processes that have ended and wait")
	}
	p := newPlace(t)
	up := p.start("up", tryModel, "--yes")
	p.until("it creates", p.asked("createPod", 1))
	_ = up.Process.Kill() // and not waited for
	p.until("it has ended", func() bool { return processEnded(up.Process.Pid) })
	var ps psDocument
	if err := json.Unmarshal([]byte(p.answers(0, "ps", "--json")), &ps); err != nil || len(ps.Launches) != 1 || ps.Launches[0].Driven {
		t.Errorf("ps of a launch whose up was killed: %+v, %v", ps, err)
	}
	began := time.Now()
	p.answers(0, "up", tryModel, "--yes")
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("the next up waited %s", d)
	}
	_ = up.Wait()
	p.answers(0, "down", "--all")
}

func TestDriven(t *testing.T) {
	t.Parallel()
	sleeper := exec.CommandContext(t.Context(), "sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Skip("no sleep(1)")
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	w := &World{}
	me := w.holder()
	other := store.Holder{Host: me.Host, PID: sleeper.Process.Pid, Start: processStart(sleeper.Process.Pid)}
	journal := store.NewMemory()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	if err := journal.Begin(t.Context(), launch.State{ID: "t", Name: "t", Wanted: launch.WantRunning}); err != nil {
		t.Fatal(err)
	}
	if w.driven(t.Context(), journal, "t", now) {
		t.Error("nobody drives")
	}
	if _, err := journal.Steal(t.Context(), "t", other, now.Add(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{0: true, 29 * time.Second: true, 40 * time.Second: true, 46 * time.Second: false} {
		if w.driven(t.Context(), journal, "t", now.Add(after)) != want {
			t.Errorf("%s after the last renewal: driven is %v", after, !want)
		}
	}
}

func TestProcessFields(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc")
	}
	if f := processFields(os.Getpid()); len(f) < 20 || !strings.Contains("RSD", f[0]) || processEnded(os.Getpid()) {
		t.Errorf("of this process: %v", f)
	}
}
