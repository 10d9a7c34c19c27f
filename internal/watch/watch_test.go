package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"justright/diagnose"
	"justright/launch"
)

var start = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// tape plays a machine: "12 text" is a container line after 12 s, "12 ! text" a system line, "12 ." only the time, "12
// up 3" an instance with 3 s of uptime.
func tape(w *Watch, script string) (out []Event) {
	for l := range strings.Lines(script) {
		l = strings.TrimSpace(l)
		if l == "" {
			continue
		}
		var sec int
		if _, err := fmt.Sscanf(l, "%d", &sec); err != nil {
			panic(l)
		}
		_, text, _ := strings.Cut(l, " ")
		at := start.Add(time.Duration(sec) * time.Second)
		var up int
		switch {
		case text == ".":
			out = append(out, w.Tick(at)...)
		case strings.HasPrefix(text, "up "):
			_, _ = fmt.Sscanf(text, "up %d", &up)
			out = append(out, w.Instance(launch.Instance{Status: launch.Running, Uptime: time.Duration(up) * time.Second}, at)...)
		case strings.HasPrefix(text, "! "):
			out = append(out, w.Observe(launch.LogLine{At: at, Source: "system", Text: text[2:]})...)
		default:
			out = append(out, w.Observe(launch.LogLine{At: at, Source: "container", Text: text})...)
		}
	}
	return out
}

func last[T Event](events []Event) (v T, n int) {
	for _, e := range events {
		if t, ok := e.(T); ok {
			v = t
			n++
		}
	}
	return v, n
}

func TestBootScriptToReady(t *testing.T) {
	events := tape(New(Options{Started: start, GPU: "L4"}), `
5 ! create container runpod/pytorch
20 ! start container for runpod/pytorch: begin
21 justright phase=preflight status=start t=0.1
22 justright guard status=armed
22 justright phase=preflight status=ok t=0.9
22 justright phase=weights status=start t=1
23 justright progress phase=weights done=1000000000 total=4000000000 unit=bytes
28 justright progress phase=weights done=2000000000 total=4000000000 unit=bytes
38 justright phase=weights status=ok t=16
39 (APIServer pid=1) INFO 11-25 10:00:05 [api_server.py:1896] vLLM API server version 0.11.0
60 Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:02<00:00,  1.17it/s]
80 (APIServer pid=1) INFO:     Application startup complete.
81 justright phase=ready status=ok t=60
`)
	if _, n := last[Ready](events); n != 1 {
		t.Errorf("ready said %d times", n)
	}
	if g, n := last[Guard](events); n != 1 || g.Status != "armed" {
		t.Errorf("guard %v", g)
	}
	if _, n := last[Failed](events); n != 0 {
		t.Error("failed")
	}
	var rate float64
	for _, e := range events {
		if p, ok := e.(Progress); ok && p.Unit == "bytes" {
			rate = max(rate, p.Rate)
		}
	}
	if rate != 2e8 {
		t.Errorf("rate %v", rate)
	}
	if x, n := last[Expect](events); n == 0 || x.Ready.Before(start) {
		t.Errorf("no expected end")
	}
	if _, n := last[Heard](events); n != 1 {
		t.Errorf("heard %d times", n)
	}
}

func TestFailureWaitsForItsCause(t *testing.T) {
	w := New(Options{Started: start})
	events := tape(w, `
1 (APIServer pid=1) INFO 11-25 10:00:05 [api_server.py:1896] vLLM API server version 0.11.0
20 (EngineCore pid=2) ERROR 11-25 10:00:22 [core.py:708] EngineCore failed to start.
20 (EngineCore pid=2) ERROR 11-25 10:00:22 [core.py:708] ValueError: Free memory on device (5.31/79.18 GiB) on startup is less than desired GPU memory utilization (0.9, 71.26 GiB).
21 .
`)
	if _, n := last[Failed](events); n != 0 {
		t.Fatal("said too early")
	}
	events = tape(w, "24 .")
	f, n := last[Failed](events)
	if n != 1 || f.Result.Cause != diagnose.FreeMemoryBelowUtilization || f.Fatal {
		t.Fatalf("%v", events)
	}
	if len(tape(w, "99 .")) != 0 {
		t.Fatal("said again")
	}
}

func TestGateLoop(t *testing.T) {
	loop := ""
	for i := range 4 {
		loop += fmt.Sprintf("%d ! start container for vllm/vllm-openai:latest: begin\n", 10+17*i)
		loop += fmt.Sprintf("%d ! error starting container: Error response from daemon: nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver\n", 12+17*i)
	}
	f, n := last[Failed](tape(New(Options{Started: start, Image: "vllm/vllm-openai:latest"}), loop))
	if n != 1 || f.Result.Cause != diagnose.ContainerCUDARequirement || f.Result.Lesson == nil || f.Result.Lesson.MinHostCUDA.String() != "13.0" {
		t.Fatalf("%d %+v", n, f.Result)
	}
	if f.At.After(start.Add(40 * time.Second)) {
		t.Fatalf("only at %s", f.At)
	}
}

func TestSilenceAndStall(t *testing.T) {
	w := New(Options{Started: start})
	events := tape(w, `
1 vLLM API server version 0.11.0
10 Fetching 10 files:  40%|####      | 4/10 [00:10<00:15,  2.5s/it]
100 .
140 .
150 .
200 .
`)
	if s, n := last[Silent](events); n != 1 || s.Phase != "download" {
		t.Fatalf("silent %d times: %v", n, events)
	}
	f, n := last[Failed](tape(w, "380 ."))
	if n != 1 || f.Result.Cause != diagnose.Stalled || f.Result.Next != diagnose.NextHost {
		t.Fatalf("%v", f)
	}
}

// TestSilenceByThePhasesOwnExpectation: what a phase took before says how long it may be silent, and a silence that lasts to the
// deadline is the cause that the attempt ends with.
func TestSilenceByThePhasesOwnExpectation(t *testing.T) {
	const compiling = "1 vLLM API server version 0.11.0\n5 Dynamo bytecode transform time: 7.5 s\n"
	for _, c := range []struct {
		name   string
		o      Options
		script string
		silent int // s after the begin; 0: not
		failed int
	}{
		{"as it may be anywhere", Options{}, "500 .\n606 .\n1700 .\n1806 .", 606, 1806},
		{"it took 12 s before", Options{Typical: map[diagnose.Phase]time.Duration{diagnose.PhaseCompile: 12 * time.Second}}, "90 .\n126 .\n300 .\n366 .", 126, 366},
		{"it took a second before", Options{Typical: map[diagnose.Phase]time.Duration{diagnose.PhaseCompile: time.Second}}, "90 .\n96 .\n270 .\n276 .", 96, 276},
		{"it took half an hour before", Options{Typical: map[diagnose.Phase]time.Duration{diagnose.PhaseCompile: 30 * time.Minute}}, "500 .\n606 .\n1700 .\n1806 .", 606, 1806},
		{"the deadline is near", Options{Deadline: start.Add(800 * time.Second)}, "606 .\n760 .\n771 .", 606, 771},
		{"the deadline is near, and something moves", Options{Deadline: start.Add(800 * time.Second)}, "700 Dynamo bytecode transform time: 9 s\n771 .\n799 .", 0, 0},
	} {
		c.o.Started = start
		events := tape(New(c.o), compiling+c.script)
		s, n := last[Silent](events)
		if at := int(s.At.Sub(start).Seconds()); n != min(c.silent, 1) || n == 1 && at != c.silent {
			t.Errorf("%s: silent %d times, at %d s", c.name, n, at)
		}
		f, n := last[Failed](events)
		if at := int(f.At.Sub(start).Seconds()); n != min(c.failed, 1) || n == 1 && (at != c.failed || f.Result.Cause != diagnose.Stalled || f.Result.Next != diagnose.NextHost) {
			t.Errorf("%s: failed %d times, at %d s: %s", c.name, n, at, f.Result.Cause)
		}
	}
}

// TestExpectedEnd: by what a plan predicts, by what was measured, and by what moves.
func TestExpectedEnd(t *testing.T) {
	const boot = "40 justright phase=preflight status=start t=0\n41 justright phase=env status=start t=1\n41 justright phase=weights status=start t=1\n"
	plan := [2]time.Duration{100 * time.Second, 300 * time.Second}
	measured := map[diagnose.Phase]time.Duration{diagnose.PhasePull: 30 * time.Second, diagnose.PhaseContainer: 10 * time.Second, diagnose.PhaseInstall: 50 * time.Second,
		diagnose.PhaseDownload: 90 * time.Second, diagnose.PhaseImport: 10 * time.Second, diagnose.PhaseResolve: 5 * time.Second, diagnose.PhaseLoad: 20 * time.Second,
		diagnose.PhaseCompile: 30 * time.Second, diagnose.PhaseCache: 5 * time.Second, diagnose.PhaseCapture: 5 * time.Second, diagnose.PhaseServe: time.Second}
	for _, c := range []struct {
		name   string
		o      Options
		script string
		lo, hi int // seconds after the begin
	}{
		{"at first, by the plan", Options{Ready: plan}, "0 .", 190, 210},
		{"at first, by what was measured", Options{Ready: plan, Typical: measured}, "0 .", 200, 210},
		{"downloads and installs run side by side", Options{Ready: plan, Typical: measured}, boot, 200, 220},
		{"a download tells its rate", Options{Ready: plan, Typical: measured}, boot + "50 justright progress phase=weights done=1000000000 total=10000000000 unit=bytes\n" +
			"60 justright progress phase=weights done=1100000000 total=10000000000 unit=bytes", 900, 1100},
		{"the installing outlasts it", Options{Ready: plan, Typical: measured}, boot + "60 justright phase=weights status=ok t=20", 160, 175},
		{"both are there", Options{Ready: plan, Typical: measured}, boot + "60 justright phase=weights status=ok t=20\n61 justright phase=env status=ok t=21\n62 vLLM API server version 0.11.0", 130, 145},
	} {
		c.o.Started = start
		x, n := last[Expect](tape(New(c.o), c.script))
		if at := int(x.Ready.Sub(start).Seconds()); n == 0 || at < c.lo || at > c.hi {
			t.Errorf("%s: %d s (said %d times), want %d to %d", c.name, at, n, c.lo, c.hi)
		}
	}
}

// TestPhasesSideBySide: each has its own length.
func TestPhasesSideBySide(t *testing.T) {
	events := tape(New(Options{Started: start}), "10 justright phase=env status=start t=0\n20 justright phase=weights status=start t=10\n70 justright phase=env status=ok t=60 cached=1\n80 justright phase=weights status=ok t=70")
	got := map[string]float64{}
	for _, e := range events {
		if p, ok := e.(Phase); ok && p.Status == "ok" {
			got[p.Name] = p.Seconds
			if p.Cached != (p.Name == "env") {
				t.Errorf("%s cached: %v", p.Name, p.Cached)
			}
		}
	}
	if got["env"] != 60 || got["weights"] != 60 {
		t.Errorf("took %v", got)
	}
}

// A bar that is drawn again and again at the same place is a stall too.
func TestStalledBar(t *testing.T) {
	script := "1 vLLM API server version 0.11.0\n"
	for i := range 60 {
		script += fmt.Sprintf("%d model.safetensors:  40%%|####      | 4.00G/10.0G [00:10<00:15, 400MB/s]\n%d .\n", 10+i*10, 11+i*10)
	}
	f, n := last[Failed](tape(New(Options{Started: start}), script))
	if n != 1 || f.Result.Cause != diagnose.Stalled {
		t.Fatalf("%d %v", n, f)
	}
}

// Packages that arrive one after the other are movement, though the phase is the same.
func TestInstallingMoves(t *testing.T) {
	script := "1 Collecting torch\n"
	for i := range 30 {
		script += fmt.Sprintf("%d Collecting package-%d\n%d .\n", 60+i*60, i, 61+i*60)
	}
	if events := tape(New(Options{Started: start}), script); len(events) == 0 {
		t.Fatal("nothing noticed")
	} else if _, n := last[Silent](events); n != 0 {
		t.Fatal("a moving install was called silent")
	}
}

func TestCompilingIsNoStall(t *testing.T) {
	script := "1 vLLM API server version 0.11.0\n5 Dynamo bytecode transform time: 7.5 s\n"
	for i := range 30 {
		script += fmt.Sprintf("%d No available shared memory broadcast block found in 60 seconds.\n%d .\n", 60+i*60, 61+i*60)
	}
	if _, n := last[Failed](tape(New(Options{Started: start}), script)); n != 0 {
		t.Fatal("a long compilation was taken for a stall")
	}
}

func TestNoContainer(t *testing.T) {
	f, n := last[Failed](tape(New(Options{Started: start}), "60 .\n300 .\n599 .\n601 ."))
	if n != 1 || f.Result.Cause != diagnose.NoContainer || f.At != start.Add(601*time.Second) {
		t.Fatalf("%d %v", n, f)
	}
}

func TestUptimeResets(t *testing.T) {
	events := tape(New(Options{Started: start}), "30 up 10\n40 up 20\n50 up 3\n60 up 13\n70 up 2\n80 up 1")
	if r, n := last[Restarted](events); n != 3 || r.Times != 3 {
		t.Fatalf("%v", events)
	}
	if f, n := last[Failed](events); n != 1 || f.Result.Cause != diagnose.CrashLoop {
		t.Fatalf("%v", events)
	}
}

func TestPreflightNamesTheCause(t *testing.T) {
	f, n := last[Failed](tape(New(Options{Started: start}), `
1 justright phase=preflight status=start t=0
2 justright phase=preflight status=fail t=1 cause=gated_repo detail="the hub answers 403"
`))
	if n != 1 || f.Result.Cause != diagnose.GatedRepo || !f.Fatal {
		t.Fatalf("%d %+v", n, f)
	}
	ev, rep := Signs(f, "a1")
	if lf, ok := ev.(launch.Failed); !ok || !lf.Fatal || lf.Attempt != "a1" || !strings.Contains(lf.Detail, "403") || rep.Finding == nil {
		t.Fatalf("%+v %+v", ev, rep)
	}
}

// When our script only knows that the engine died, the engine's own words are better.
func TestEngineNamesTheCause(t *testing.T) {
	f, n := last[Failed](tape(New(Options{Started: start}), `
1 justright phase=engine status=start t=0
9 ValueError: No available memory for the cache blocks. Try increasing gpu_memory_utilization when initializing the engine.
10 justright phase=engine status=fail t=9 cause=generic_wrapper_only detail="the engine ended with status 1"
`))
	if n != 1 || f.Result.Cause != diagnose.NoKVCacheBlocks {
		t.Fatalf("%d %+v", n, f)
	}
}

func TestProcessorInsteadOfGPU(t *testing.T) {
	f, n := last[Failed](tape(New(Options{Started: start, GPU: "L4"}), "1 INFO 11-25 10:00:00 [__init__.py:244] Automatically detected platform cpu."))
	if n != 1 || f.Result.Cause != diagnose.NoGPUVisible {
		t.Fatalf("%d %+v", n, f)
	}
	if _, n := last[Failed](tape(New(Options{Started: start}), "1 INFO 11-25 10:00:00 [__init__.py:244] Automatically detected platform cpu.")); n != 0 {
		t.Fatal("a machine without GPU was asked for")
	}
}

// TestTheMomentCountsFromTheDeath: a warning that is a cause only when nothing else is stands for ten seconds; then the
// engine dies, and names its cause a line later. The log is vLLM 0.9.1's (CPU build) on Debian 12, shortened.
func TestTheMomentCountsFromTheDeath(t *testing.T) {
	w := New(Options{Started: start})
	events := tape(w, "1 justright phase=engine status=start t=1\n"+
		"12 WARNING 11-25 19:20:12 [_logger.py:72] Failed to import from vllm._C with ImportError(\"/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /e/vllm/_C.abi3.so)\")\n"+
		"22 INFO 11-25 19:20:22 [api_server.py:1287] vLLM API server version 0.9.1\n"+
		"22 Traceback (most recent call last):\n"+
		"22   File \"/e/vllm/engine/arg_utils.py\", line 910, in create_model_config\n"+
		"22 pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"+
		"23   Value error, The checkpoint you are trying to load has model type `gpt_oss` but Transformers does not recognize this architecture. This could be because of an issue with the checkpoint, or because your version of Transformers is out of date.\n"+
		"27 .\n")
	f, n := last[Failed](events)
	if n != 1 || f.Result.Cause != diagnose.UnknownModelType {
		t.Errorf("failed %d times, %s", n, f.Result.Cause)
	}
}

// Lines of a log arrive in bursts: what came between two of one burst is no rate.
func TestRateOfABurst(t *testing.T) {
	w := New(Options{Started: start})
	tape(w, "1 justright phase=env status=start t=1")
	at := start.Add(2 * time.Second)
	for done := int64(1); done <= 100; done++ {
		at = at.Add(20 * time.Microsecond)
		if done%25 == 0 { // 25 MB every second
			at = at.Truncate(time.Second).Add(time.Second)
		}
		for _, e := range w.Observe(launch.LogLine{At: at, Source: "container", Text: fmt.Sprintf("justright progress phase=env done=%d000000 total=400000000 unit=bytes", done)}) {
			if p, ok := e.(Progress); ok && p.Rate > 50e6 {
				t.Fatalf("%d MB after %s: %.0f MB/s", done, at.Sub(start), p.Rate/1e6)
			}
		}
	}
}
