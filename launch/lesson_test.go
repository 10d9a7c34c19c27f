package launch

import (
	"strings"
	"testing"

	"justright/catalog"
	"justright/diagnose"
	"justright/solve"
	"justright/version"
)

// TestLessonOf: what a failure teaches depends on the host and on the stack, not on the log alone.
func TestLessonOf(t *testing.T) {
	st := solve.Stack{Install: "wheels", Engine: solve.Engine{Name: "vllm", Version: "0.32.0", WheelCUDA: "12.9", Transformers: "5.19.0"}, DiskBytes: 50 << 30,
		GPU: solve.GPU{ID: "rtx-a4500", Count: 1}, Argv: []string{"vllm", "serve", "m/m", "--max-num-batched-tokens", "2048", "--max-num-seqs", "64"}}
	plain := st
	plain.Argv = []string{"vllm", "serve", "m/m"}
	two := st
	two.GPU.Count = 2
	at := func(s solve.Stack) Attempt { return Attempt{PodName: "p", DataCenter: "EU-SE-1", Stack: &s} }
	logged := func(l catalog.Lesson) *catalog.Lesson { return &l }
	for _, c := range []struct {
		name string
		a    Attempt
		r    diagnose.Result
		want string
	}{
		{"a dead host", at(st), diagnose.Result{Cause: diagnose.NoContainer, Next: diagnose.NextHost}, "on rtx-a4500: not in EU-SE-1"},
		{"a limited address", at(st), diagnose.Result{Cause: diagnose.ImagePullRateLimited, Next: diagnose.NextHost}, "not in EU-SE-1"},
		{"a host nobody can name", Attempt{Stack: &st}, diagnose.Result{Cause: diagnose.NoContainer, Next: diagnose.NextHost}, ""},
		{"a full disk, by our script's word alone", at(st), diagnose.Result{Cause: diagnose.DiskFull, Next: diagnose.NextPlan}, "m/m: 50 GiB more disk"},
		{"a type that is too new", at(st), diagnose.Result{Cause: diagnose.UnknownModelType, Next: diagnose.NextPlan,
			Lesson: logged(catalog.Lesson{Model: "m/m", Engine: "vllm<=0.32.0", Forbid: true})}, "m/m vllm<=0.32.0: transformers 5.19.1 or newer"},
		{"a driver that is too old", at(st), diagnose.Result{Cause: diagnose.DriverTooOld, Next: diagnose.NextPlan,
			Lesson: logged(catalog.Lesson{Engine: "vllm==0.32.0", Image: "i", MinHostCUDA: version.CUDA{Major: 12, Minor: 5}})}, "vllm built for CUDA 12.9 or newer: a host with CUDA 12.5 or newer"},
		{"flags that may help", at(plain), diagnose.Result{Cause: diagnose.CUDAOOMProfile, Next: diagnose.NextPlan,
			Lesson: logged(catalog.Lesson{Model: "m/m", GPU: "rtx-a4500", AddFlags: []string{"--max-num-seqs", "64"}})}, "m/m on rtx-a4500: with --max-num-seqs 64"},
		{"flags that did not help", at(st), diagnose.Result{Cause: diagnose.CUDAOOMProfile, Next: diagnose.NextPlan,
			Lesson: logged(catalog.Lesson{Model: "m/m", GPU: "rtx-a4500", AddFlags: []string{"--max-num-seqs", "64"}})}, "m/m on rtx-a4500: at least 1.0 GiB more memory"},
		{"a cause that teaches nothing", at(st), diagnose.Result{Cause: diagnose.CauseUnknown, Next: diagnose.NextPlan}, ""},
	} {
		got := ""
		if l := LessonOf(c.a, c.r); l != nil {
			got = l.Words()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	l := LessonOf(at(two), diagnose.Result{Cause: diagnose.CUDAOOMLoad, Next: diagnose.NextPlan, Lesson: logged(catalog.Lesson{GPU: "rtx-a4500", MoreMemoryBytes: 1})})
	if l.GPUs != 2 {
		t.Errorf("what two cards lacked is said of %d", l.GPUs)
	}
	if w := NextWords(diagnose.StopLaunch, true, nil); !strings.HasPrefix(w, "stop") {
		t.Errorf("fatal: %q", w)
	}
}
