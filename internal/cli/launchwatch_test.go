package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/launch"
	"justright/model"
	"justright/problem"
	"justright/solve"
)

// TestWhatOneMachineLacks: a full disk, a missing Python or an index out of reach ends a launch on this machine, teaches
// nothing about others, and says so in our script's own words; where machines are rented it leads to another.
func TestWhatOneMachineLacks(t *testing.T) {
	stack := &solve.Stack{Install: "wheels", Engine: solve.Engine{Name: "vllm", Version: "0.32.0"}, DiskBytes: 50 << 30}
	now := time.Unix(1_800_000_000, 0)
	failed := func(oneHost bool, cause string) *launch.Failed {
		w := watcher{model: model.Profile{ID: "m/m"}, oneHost: oneHost}.Watch(launch.Attempt{ID: "a", Stack: stack, Created: now}, now)
		all := w.Line(launch.LogLine{At: now, Source: "container", Text: "justright phase=preflight status=fail t=3.33 cause=" + cause + ` detail="6 MiB free, 6500 MiB needed"`})
		for i := range 10 {
			all = append(all, w.Tick(now.Add(time.Duration(i)*time.Second))...)
		}
		for _, s := range all {
			if f, ok := s.Event.(launch.Failed); ok {
				return &f
			}
		}
		return nil
	}
	for word, cause := range map[string]string{"disk_full": "disk_full", "exec_not_found": "exec_not_found", "index_unreachable": "pip_download_timeout",
		"hf_unreachable": "hf_unreachable", "download_stalled": "hf_unreachable", "port_in_use": "port_in_use"} {
		f := failed(true, word)
		if f == nil || !f.Fatal || f.Lesson != nil || f.Cause != cause {
			t.Errorf("%s here: %+v", word, f)
		}
	}
	if f := failed(false, "disk_full"); f == nil || f.Fatal || f.Lesson == nil || f.Detail != "6 MiB free, 6500 MiB needed" {
		t.Errorf("a rented machine's disk: %+v", f)
	}
}

// A PATH without a shell is told before anything starts, by name.
func TestToolsAreLookedForBeforeAStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	dir := filepath.Join(p.dir, "model")
	config := `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":100}`
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	w := World{Args: []string{"up", dir, "--on", "local", "--yes"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Env: func(k string) string { return p.env[k] }, Environ: func() []string { return []string{"PATH=/nonexistent"} }, Now: time.Now, Dir: "/"}
	if code := Main(t.Context(), w); code != int(problem.ExitCapacity) || !strings.Contains(errs.String(), "sh, mkdir") {
		t.Errorf("exits %d:\n%s", code, errs.String())
	}
}
