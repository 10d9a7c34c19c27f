package diagnose

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"testing"
)

// naive finds what scan should find, one literal at a time.
func naive(lits []string, text []byte) []match {
	var out []match
	low := lowerInto(nil, text)
	for i, l := range lits {
		for from := 0; ; {
			j := bytes.Index(low[from:], []byte(l))
			if j < 0 {
				break
			}
			out = append(out, match{int32(i), from + j, from + j + len(l)})
			from += j + 1
		}
	}
	return out
}

func same(a, b []match) bool {
	order := func(m []match) {
		sort.Slice(m, func(i, j int) bool { return m[i].start < m[j].start || m[i].start == m[j].start && m[i].lit < m[j].lit })
	}
	order(a)
	order(b)
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func FuzzScan(f *testing.F) {
	lits := Literals()
	f.Add([]byte(sample))
	f.Add([]byte("NO KERNEL IMAGE IS AVAILABLEno kernel image is availableno kernel"))
	f.Add([]byte(strings.Join(lits, " ")))
	f.Add([]byte(strings.Join(lits, "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := compiled().index.scan(text, 0, nil), naive(lits, text); !same(got, want) {
			t.Fatalf("got %d matches, want %d", len(got), len(want))
		}
	})
}

func TestRulesAreSound(t *testing.T) {
	tables := [][]rule{
		provisionRules, imageRules, containerRules, installRules, importRules, modelRules, downloadRules, weightRules,
		memoryRules, kernelRules, distributedRules, serveRules, wrapperRules,
	}
	reached := map[Code]bool{NoContainer: true, Stalled: true, CrashLoop: true, CauseReady: true, CauseInProgress: true}
	for _, table := range tables {
		for _, u := range table {
			if _, ok := Of(u.code); !ok {
				t.Errorf("rule names %q, which is no cause", u.code)
			}
			if u.tier == 0 {
				t.Errorf("%s: rule without a tier: %s", u.code, u.lits)
			}
			reached[u.code] = true
			for _, text := range []string{u.lits, u.and, u.and2, u.not, u.before} {
				if text != strings.ToLower(text) {
					t.Errorf("%s: not in lower case: %s", u.code, text)
				}
			}
			if u.source != "" && !strings.HasPrefix(u.source, "https://") {
				t.Errorf("%s: source %q", u.code, u.source)
			}
		}
	}
	for _, c := range []Code{GPUTooOld, CUDAOOMCudagraph, BuildToolMissing, TokenizerClassMissing} {
		reached[c] = true // by refinement of another rule
	}
	seen := map[Code]bool{}
	for _, i := range Causes() {
		if !reached[i.Code] {
			t.Errorf("no rule for %s", i.Code)
		}
		if seen[i.Code] {
			t.Errorf("%s stands twice", i.Code)
		}
		seen[i.Code] = true
		if i.Stage == "" || i.Remedy == "" || i.Next == "" || !strings.HasSuffix(i.Text, ".") {
			t.Errorf("%s is incomplete: %+v", i.Code, i)
		}
	}
	for c, explained := range masks {
		for _, e := range append(explained, c) {
			if !seen[e] {
				t.Errorf("masks name %q", e)
			}
		}
	}
	if NextStep("nonsense") != NextPlan || NextStep(GatedRepo) != StopLaunch || NextStep(GPUHardwareError) != NextHost {
		t.Error("next steps")
	}
}

func TestLessons(t *testing.T) {
	for _, c := range []struct{ log, want string }{
		{"nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update", "min CUDA 12.9"},
		{"RuntimeError: The NVIDIA driver on your system is too old (found version 12040).", "min CUDA 12.5"},
		{"ValueError: Based on the available memory, the estimated maximum model length is 2288. KV cache", "add [--max-model-len 2288]"},
		{"ValueError: Free memory on device (59.32/79.15 GiB) on startup is less than desired GPU memory utilization (0.9, 71.24 GiB)", "add [--gpu-memory-utilization 0.74]"},
		{"ValueError: Free memory on device (5.31/79.18 GiB) on startup is less than desired GPU memory utilization (0.9, 71.26 GiB)", "none"},
		{"  in create_weights\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0", "memory 2147483648"},
		{"vllm: error: unrecognized arguments: --task embedding --foo=1", "drop [--task --foo]"},
		{"RuntimeError: uncorrectable ECC error", "none"},
		{"ValueError: Model architectures ['X'] are not supported for now.", "forbid"},
	} {
		l := says(c.log).Lesson
		got := "none"
		if l != nil {
			switch {
			case !l.MinHostCUDA.IsZero():
				got = "min CUDA " + l.MinHostCUDA.String()
			case len(l.AddFlags) > 0:
				got = fmt.Sprintf("add %v", l.AddFlags)
			case len(l.DropFlags) > 0:
				got = fmt.Sprintf("drop %v", l.DropFlags)
			case l.MoreMemoryBytes > 0:
				got = fmt.Sprintf("memory %d", l.MoreMemoryBytes)
			case l.Forbid:
				got = "forbid"
			}
		}
		if got != c.want {
			t.Errorf("want %s, got %s (%+v) for %s", c.want, got, l, c.log)
		}
	}
}

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		log, phase, unit string
		done, total      int64
	}{
		{"Resolved 148 packages in 0.3s", "install", "", 0, 0},
		{"model-00001-of-00002.safetensors:  24%|##4       | 1.20G/4.97G [00:03<00:09, 411MB/s]", "download", "bytes", 1200000000, 4970000000},
		{"Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:01<00:01,  1.44it/s]", "load", "shards", 2, 4},
		{"Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  29%|##| 15/51 [00:04<00:09,  3.62it/s]", "capture", "graphs", 15, 51},
		{"justright progress phase=weights done=12 total=400 unit=bytes", "download", "bytes", 12, 400},
		{"INFO 05-01 [backends.py] Dynamo bytecode transform time: 7.50 s", "compile", "", 0, 0},
		{"d0a1f: Pull complete", "pull", "", 0, 0},
	} {
		r := NewReader(Options{})
		r.Feed(c.log)
		p := r.Progress()
		if p.Phase.String() != c.phase || p.Unit != c.unit || p.Done != c.done || p.Total != c.total {
			t.Errorf("%s: got %+v (%s)", c.log, p, p.Phase)
		}
	}
}
