package diagnose

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sample is a failing log of the usual shape: start, cause in a worker, empty wrapper at the end.
const sample = `INFO 11-25 10:00:00 [__init__.py:244] Automatically detected platform cuda.
(APIServer pid=10) INFO 11-25 10:00:05 [api_server.py:1896] vLLM API server version 0.11.0
(APIServer pid=10) INFO 11-25 10:00:06 [model.py:547] Resolved architecture: Qwen3ForCausalLM
(EngineCore_DP0 pid=20) INFO 11-25 10:00:20 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='Qwen/Qwen3-8B'
(EngineCore_DP0 pid=20) WARNING 11-25 10:00:21 [topk_topp_sampler.py:69] FlashInfer is not available. Falling back to the PyTorch-native implementation.
(EngineCore_DP0 pid=20) ERROR 11-25 10:00:22 [core.py:708] EngineCore failed to start.
(EngineCore_DP0 pid=20) ERROR 11-25 10:00:22 [core.py:708] Traceback (most recent call last):
(EngineCore_DP0 pid=20) ERROR 11-25 10:00:22 [core.py:708]     raise ValueError(
(EngineCore_DP0 pid=20) ERROR 11-25 10:00:22 [core.py:708] ValueError: Free memory on device (59.32/79.15 GiB) on startup is less than desired GPU memory utilization (0.9, 71.24 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.
(EngineCore_DP0 pid=20) Process EngineCore_DP0:
(APIServer pid=10) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
`

// healthy is a start that succeeds, with the warnings every start prints.
const healthy = `INFO 11-25 10:00:00 [__init__.py:244] Automatically detected platform cuda.
WARNING 11-25 10:00:01 [_custom_ops.py:20] Failed to import from vllm._C with ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')
(APIServer pid=10) INFO 11-25 10:00:05 [api_server.py:1896] vLLM API server version 0.11.0
(EngineCore_DP0 pid=20) INFO 11-25 10:00:20 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='Qwen/Qwen3-8B'
[W1125 10:00:20.123 ProcessGroupNCCL.cpp:1538] Warning: WARNING: destroy_process_group() was not called before program exit
(EngineCore_DP0 pid=20) WARNING 11-25 10:00:21 [topk_topp_sampler.py:69] FlashInfer is not available. Falling back to the PyTorch-native implementation.
Loading safetensors checkpoint shards: 100% Completed | 4/4 [00:02<00:00,  1.17it/s]
(EngineCore_DP0 pid=20) INFO 11-25 10:00:30 [gpu_model_runner.py:2653] Model loading took 15.27 GiB and 3.1 seconds
(EngineCore_DP0 pid=20) INFO 11-25 10:01:30 [shm_broadcast.py:466] No available shared memory broadcast block found in 60 seconds. This typically happens when some processes are hanging
(EngineCore_DP0 pid=20) INFO 11-25 10:01:40 [gpu_worker.py:298] Available KV cache memory: 50.1 GiB
Capturing CUDA graphs (mixed prefill-decode, PIECEWISE): 100%|##########| 67/67 [00:04<00:00, 14.1it/s]
(APIServer pid=10) INFO 11-25 10:02:00 [api_server.py:1912] Starting vLLM API server 0 on http://0.0.0.0:8000
(APIServer pid=10) INFO:     Started server process [10]
(APIServer pid=10) INFO:     Waiting for application startup.
(APIServer pid=10) INFO:     Application startup complete.
`

const ofSample = FreeMemoryBelowUtilization

// noise makes lines as healthy engines and their neighbours print them.
func noise(rng *rand.Rand, n int) []string {
	out := make([]string, 0, n)
	for i := range n {
		switch rng.IntN(6) {
		case 0:
			out = append(out, fmt.Sprintf("(Worker_TP%d pid=%d) INFO 11-25 10:00:%02d [weight_utils.py:392] loaded model.layers.%d.mlp.gate_up_proj.weight torch.Size([%d, 4096])", rng.IntN(8), 100+rng.IntN(900), i%60, rng.IntN(80), rng.IntN(30000)))
		case 1:
			out = append(out, fmt.Sprintf(`INFO:     10.0.%d.%d:%d - "GET /metrics HTTP/1.1" 200 OK`, rng.IntN(255), rng.IntN(255), 30000+rng.IntN(30000)))
		case 2:
			out = append(out, fmt.Sprintf("DEBUG 11-25 10:00:%02d [cache.py:88] block table slot %d refcount %d hash %016x", i%60, rng.IntN(9999), rng.IntN(9), rng.Uint64()))
		case 3:
			out = append(out, fmt.Sprintf("WARNING 11-25 10:00:%02d [logger.py:12] the field guided_choice is deprecated and will be removed in a future release (%d)", i%60, rng.IntN(99)))
		case 4:
			out = append(out, fmt.Sprintf("%x %x %x | %d of %d tokens accepted", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.IntN(99), rng.IntN(999)))
		default:
			out = append(out, fmt.Sprintf("2026-11-25T10:00:%02d.%09dZ stdout F heartbeat node=%d load=%d.%02d mem=%dMi", i%60, rng.IntN(1e9), rng.IntN(64), rng.IntN(9), rng.IntN(99), rng.IntN(64000)))
		}
	}
	return out
}

func TestHealthyIsReady(t *testing.T) {
	if r := says(healthy); r.Outcome != Ready || r.Cause != CauseReady {
		t.Fatalf("got %s %s %v", r.Outcome, r.Cause, r.Evidence)
	}
}

// TestTruncatedAnywhere cuts logs after every line: a healthy start is never a failure, and a failing one never
// another failure than its own.
func TestTruncatedAnywhere(t *testing.T) {
	lines := strings.SplitAfter(healthy, "\n")
	for n := range lines {
		if r := says(strings.Join(lines[:n], "")); r.Outcome == Failure || r.Outcome == Stopped {
			t.Errorf("%d lines of a healthy log: %s %s", n, r.Outcome, r.Cause)
		}
		if r := says(strings.Join(lines[n:], "")); r.Outcome == Failure || r.Outcome == Stopped {
			t.Errorf("healthy log without its first %d lines: %s %s", n, r.Outcome, r.Cause)
		}
	}
	lines = strings.SplitAfter(sample, "\n")
	for n := range lines {
		for _, log := range []string{strings.Join(lines[:n], ""), strings.Join(lines[n:], "")} {
			if r := says(log); r.Outcome == Failure && r.Cause != ofSample && r.Cause != GenericWrapperOnly {
				t.Errorf("cut at %d: %s for\n%s", n, r.Cause, log)
			}
		}
	}
}

// disguises are the forms in which the same log arrives.
var disguises = map[string]func([]string) string{
	"plain": func(l []string) string { return strings.Join(l, "\n") + "\n" },
	"crlf":  func(l []string) string { return strings.Join(l, "\r\n") + "\r\n" },
	"colour": func(l []string) string {
		return "\x1b[0;36m" + strings.Join(l, "\x1b[0;0m\n\x1b[1;31m") + "\x1b[0;0m\n"
	},
	"coloured words": func(l []string) string {
		s := strings.Join(l, "\n")
		return strings.NewReplacer("Error", "\x1b[31mError\x1b[0m", "memory", "\x1b[1mmemory\x1b[m", "startup", "start\x1b[4mup\x1b[24m").Replace(s)
	},
	"docker json": func(l []string) string {
		var b strings.Builder
		for _, s := range l {
			fmt.Fprintf(&b, "{\"log\":%q,\"stream\":\"stderr\",\"time\":\"2026-11-25T10:00:00.1Z\"}\n", s+"\n")
		}
		return b.String()
	},
	"kubernetes": func(l []string) string {
		return "2026-11-25T10:00:00.123456789Z stderr F " + strings.Join(l, "\n2026-11-25T10:00:00.123456789Z stderr F ")
	},
	"compose": func(l []string) string { return "vllm-1  | " + strings.Join(l, "\nvllm-1  | ") },
	"mirror":  func(l []string) string { return strings.Join(l, " ") },
	"structured": func(l []string) string {
		var b strings.Builder
		for _, s := range l {
			fmt.Fprintf(&b, "{\"ts\": 1, \"level\": \"error\", \"msg\": %q}\n", s)
		}
		return b.String()
	},
}

func TestDisguises(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(sample, "\n"), "\n")
	for name, f := range disguises {
		if r := says(f(lines)); r.Cause != ofSample {
			t.Errorf("%s: %s %s", name, r.Outcome, r.Cause)
		}
	}
}

// TestInterleaved mixes the lines of a failing log with those of busy neighbours.
func TestInterleaved(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var b strings.Builder
		for l := range strings.Lines(sample) {
			for _, n := range noise(rng, rng.IntN(20)) {
				b.WriteString(n + "\n")
			}
			b.WriteString(l)
		}
		if r := says(b.String()); r.Cause != ofSample {
			t.Fatalf("%s %s", r.Outcome, r.Cause)
		}
	}
}

// TestNeedle hides the failing log in 10 MB of noise before and after.
func TestNeedle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var pad bytes.Buffer
	for pad.Len() < 5<<20 {
		for _, l := range noise(rng, 1000) {
			pad.WriteString(l + "\n")
		}
	}
	r := NewReader(Options{})
	_, _ = r.Write(pad.Bytes())
	_, _ = r.Write([]byte(sample))
	_, _ = r.Write(pad.Bytes())
	res := r.Result()
	if res.Cause != ofSample {
		t.Fatalf("%s %s", res.Outcome, res.Cause)
	}
	want := bytes.Count(pad.Bytes(), []byte{'\n'}) + 9
	if !slices.ContainsFunc(res.Evidence, func(e Evidence) bool { return e.Line == want && strings.Contains(e.Text, "Free memory on device") }) {
		t.Fatalf("line %d expected in %v", want, res.Evidence)
	}
	if n := cap(r.buf) + cap(r.partial) + cap(r.lower); n > 1<<20 {
		t.Fatalf("keeps %d bytes", n)
	}
}

// TestChunksDoNotMatter cuts the same bytes anywhere.
func TestChunksDoNotMatter(t *testing.T) {
	want := fmt.Sprint(says(sample))
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		r := NewReader(Options{})
		for rest := []byte(sample); len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 200))
			_, _ = r.Write(rest[:n])
			rest = rest[n:]
			if rng.IntN(8) == 0 {
				r.Progress()
			}
		}
		got := r.Result()
		if got.Cause != ofSample || got.Lines != says(sample).Lines {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// TestReadyWithdrawn: the port is bound after uvicorn says that startup is complete.
func TestReadyWithdrawn(t *testing.T) {
	r := says(healthy + "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use\nINFO:     Waiting for application shutdown.\nINFO:     Application shutdown complete.\n")
	if r.Outcome != Failure || r.Cause != PortInUse {
		t.Fatalf("%s %s", r.Outcome, r.Cause)
	}
}

// TestUpButNotReady: SGLang's server answers before its engine does, and says so with 503.
func TestUpButNotReady(t *testing.T) {
	for _, log := range []string{
		"[2026-04-06 01:34:38] INFO:     Application startup complete.\n",
		"INFO:     Application startup complete.\nINFO:     127.0.0.1:45648 - \"GET /health HTTP/1.1\" 503 Service Unavailable\n",
	} {
		if r := says(log); r.Outcome != InProgress {
			t.Errorf("%s %s for %s", r.Outcome, r.Cause, log)
		}
		if r := says(log + "[2026-04-06 01:34:51] The server is fired up and ready to roll!\n"); r.Outcome != Ready {
			t.Errorf("%s %s for the whole of %s", r.Outcome, r.Cause, log)
		}
	}
}

// TestPromptsAreNoErrors: what users write to a served model says nothing about the server.
func TestPromptsAreNoErrors(t *testing.T) {
	r := says(healthy + "INFO 11-25 10:03:00 [logger.py:39] Received request cmpl-1: prompt: 'Why do I get CUDA out of memory, no kernel image is available, Segmentation fault and [Errno 98] address already in use?', params: SamplingParams(n=1)\n")
	if r.Outcome != Ready {
		t.Fatalf("%s %s %v", r.Outcome, r.Cause, r.Evidence)
	}
}

// TestStopped: an orderly shutdown ends with an error that is none.
func TestStopped(t *testing.T) {
	r := says(healthy + `(EngineCore pid=20) INFO 11-25 10:05:00 [core.py:1214] [shutdown] EngineCore: trigger received signal=SIGTERM
(APIServer pid=10) ERROR 11-25 10:05:00 [async_llm.py:704] vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.
`)
	if r.Outcome != Stopped || r.Cause != StoppedFromOutside {
		t.Fatalf("%s %s", r.Outcome, r.Cause)
	}
}

// TestUsage: argparse prints hundreds of lines of usage before the one that matters.
func TestUsage(t *testing.T) {
	var b strings.Builder
	b.WriteString("usage: api_server.py [-h] [--headless] [--api-server-count API_SERVER_COUNT]\n")
	for i := range 300 {
		fmt.Fprintf(&b, "                     [--option-%d {auto,fp8,fp8_e4m3} | --no-option-%d] [--enable-lora | --no-enable-lora]\n", i, i)
	}
	b.WriteString("api_server.py: error: unrecognized arguments: --max-context 1024\n")
	r := says(b.String())
	if r.Cause != UnrecognizedArguments || r.Lesson == nil || len(r.Lesson.DropFlags) != 1 || r.Lesson.DropFlags[0] != "--max-context" {
		t.Fatalf("%s %v", r.Cause, r.Lesson)
	}
}

// TestCrashLoop: the same failure in every start, and then one that goes further.
func TestCrashLoop(t *testing.T) {
	starting := strings.Join(strings.SplitAfter(sample, "\n")[:3], "")
	if r := says(sample + sample + starting); r.Cause != ofSample || r.Restarts != 2 {
		t.Fatalf("%s after %d restarts", r.Cause, r.Restarts)
	}
	if r := says(sample + healthy); r.Outcome != Ready {
		t.Fatalf("a later start succeeded: %s %s", r.Outcome, r.Cause)
	}
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(healthy))
	f.Add([]byte("{\"log\":\"\\u001b[31m\\u00\"}\r\n\x1b[\x1b]x\x1b"))
	f.Add([]byte("\nKilled\n\x00\xff KeyError: '"))
	f.Fuzz(func(t *testing.T, p []byte) {
		a, b := NewReader(Options{}), NewReader(Options{})
		_, _ = a.Write(p)
		for i := 0; i < len(p); i += 7 {
			_, _ = b.Write(p[i:min(len(p), i+7)])
		}
		ra, rb := a.Result(), b.Result()
		if ra.Cause != rb.Cause || ra.Outcome != rb.Outcome {
			t.Fatalf("whole: %s %s, in pieces: %s %s", ra.Outcome, ra.Cause, rb.Outcome, rb.Cause)
		}
		if len(ra.Evidence) > 3 {
			t.Fatal("more than three lines of evidence")
		}
		a.Progress()
		if n := cap(a.buf) + cap(a.partial); n > 1<<20 {
			t.Fatalf("keeps %d bytes of %d", n, len(p))
		}
	})
}

func BenchmarkNoisyLog(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	var log bytes.Buffer
	for log.Len() < 16<<20 {
		for _, l := range noise(rng, 2000) {
			log.WriteString(l + "\n")
		}
		log.WriteString(sample)
	}
	b.SetBytes(int64(log.Len()))
	for b.Loop() {
		r := NewReader(Options{})
		_, _ = r.Write(log.Bytes())
		if r.Result().Cause != ofSample {
			b.Fatal("lost the cause")
		}
	}
}

// BenchmarkAngryLog is the worst that is likely: nothing but failing engines.
func BenchmarkAngryLog(b *testing.B) {
	log := []byte(strings.Repeat(sample, 4<<20/len(sample)))
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		r := NewReader(Options{})
		_, _ = r.Write(log)
		if r.Result().Cause != ofSample {
			b.Fatal("lost the cause")
		}
	}
}
