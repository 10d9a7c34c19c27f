package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"justright/problem"
)

// runFitLine runs fit in dir without an environment.
func runFitLine(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	status, stdout, stderr = runIn(World{Args: append([]string{"fit"}, args...), Dir: dir, Transport: offline{}}, nil)
	return stdout, stderr, status
}

func TestFitAnswersOffline(t *testing.T) {
	tests := []struct {
		args []string
		want problem.Exit
		says string
	}{
		{[]string{"gpt-oss-20b", "--gpu", "L4"}, problem.ExitOK, "fits:"},
		{[]string{"openai/gpt-oss-120b", "--gpu", "RTX 4090", "--gpus", "1"}, problem.ExitNoStack, "does not fit"},
		{[]string{"Qwen/Qwen3-32B", "--gpu", "H100", "--gpus", "1", "--context", "22528", "--engine", "0.15.0"}, problem.ExitUndecided, "not sure"},
		{[]string{"Qwen/Qwen3-32B"}, problem.ExitOK, "chosen"},
		{[]string{"Qwen/Qwen3-32B", "--gpu", "H100", "--gpus", "3"}, problem.ExitNoStack, "do not divide by 3"},
		{[]string{"gpt-oss-20b", "--gpu", "toaster"}, problem.ExitUsage, "toaster"},
		{[]string{"gpt-oss-20b", "--gpu", "L4", "--", "--max-num-seqs", "lots"}, problem.ExitUsage, "lots"},
		{[]string{"no-such-model"}, problem.ExitUsage, "no-such-model"},
		{[]string{"./nowhere"}, problem.ExitUsage, "nowhere"},
		{[]string{}, problem.ExitUsage, "one model"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			out, errs, status := runFitLine(t, t.TempDir(), tt.args...)
			if problem.Exit(status) != tt.want || !strings.Contains(out+errs, tt.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s%s", status, tt.want, tt.says, out, errs)
			}
		})
	}
}

func TestFitDocumentHasItsFields(t *testing.T) {
	out, _, status := runFitLine(t, t.TempDir(), "gpt-oss-20b", "--gpu", "L4", "--json")
	var doc map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil || status != 0 {
		t.Fatalf("exit %d, %v", status, err)
	}
	for _, k := range []string{"schema", "fits", "weights_bytes", "kv_bytes_per_token", "kv_budget_bytes", "kv_tokens", "max_context", "concurrency", "terms"} {
		if doc[k] == nil {
			t.Errorf("no %s", k)
		}
	}
}

// A file of cases: what the labels say must not change the answer, order is kept, and what is no case is told apart.
func TestFitEval(t *testing.T) {
	labelled := `{"id":"a","model":"Qwen/Qwen3-4B","tp":1,"gpu":null,"vllm_version":"0.10.2","gpu_memory_utilization":0.9,"gpu_total_gib":79.18,"max_model_len":40960,"weights_gib":7.5552,"kv_tokens":422672,"kv_bytes_per_token":147468,"fits":true}`
	bare := `{"id":"a","model":"Qwen/Qwen3-4B","tp":1,"gpu":null,"vllm_version":"0.10.2","gpu_memory_utilization":0.9,"gpu_total_gib":79.18,"max_model_len":40960}`
	dir := t.TempDir()
	file := func(name, text string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	out, _, status := runFitLine(t, dir, "--json", "--eval", file("cases.jsonl", labelled+"\n"+bare+"\n\nnot json\n"+`{"model":"nobody/knows"}`+"\n"+`{"model":"Qwen/Qwen3-4B","tp":"two"}`+"\n"))
	if status != 0 {
		t.Fatalf("exit %d: %s", status, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 5 || lines[0] != lines[1] {
		t.Fatalf("want five lines, the first two alike:\n%s", out)
	}
	var first, unknown, bad map[string]any
	for i, to := range map[int]*map[string]any{0: &first, 3: &unknown, 2: &bad} {
		if err := json.Unmarshal([]byte(lines[i]), to); err != nil {
			t.Fatal(err)
		}
	}
	if first["id"] != "a" || first["fits"] != true || first["line"] != nil {
		t.Errorf("first: %v", first)
	}
	if bad["line"] != 4.0 || bad["problem"] == nil {
		t.Errorf("bad: %v", bad)
	}
	if v, there := unknown["fits"]; !there || v != nil || unknown["line"] != 5.0 {
		t.Errorf("unknown: %v", unknown)
	}
	if !strings.Contains(lines[4], `"problem"`) {
		t.Errorf("a tp that is text: %s", lines[4])
	}
	table, _, _ := runFitLine(t, dir, "--eval", file("one.jsonl", labelled+"\n"))
	if !strings.Contains(table, "1 of ±3%") || !strings.Contains(table, "1 of ±10%") {
		t.Errorf("score table:\n%s", table)
	}
}

// TestFitScoreOfFile scores another file of cases: JUSTRIGHT_FIT_CASES=FILE go test -run FitScoreOfFile -v.
func TestFitScoreOfFile(t *testing.T) {
	path := os.Getenv("JUSTRIGHT_FIT_CASES")
	if path == "" {
		t.Skip("JUSTRIGHT_FIT_CASES names no file")
	}
	out, _, _ := runFitLine(t, "/", "--eval", path)
	t.Log("\n" + out)
}

// TestFitSaysWhereItWould: a card that is too small is answered with one that is not, which then holds.
func TestFitSaysWhereItWould(t *testing.T) {
	t.Parallel()
	out, errs, status := runFitLine(t, t.TempDir(), "meta-llama/Llama-3.3-70B-Instruct", "--gpu", "L4", "--gpus", "4", "--context", "8192", "--json")
	var d fitDocument
	if err := json.Unmarshal([]byte(out), &d); err != nil || problem.Exit(status) != problem.ExitNoStack || d.FitsOn == nil || d.FitsOn.Count == nil {
		t.Fatalf("exit %d, %v\n%s%s", status, err, out, errs)
	}
	out, errs, status = runFitLine(t, t.TempDir(), "meta-llama/Llama-3.3-70B-Instruct", "--gpu", d.FitsOn.GPU, "--gpus", strconv.Itoa(*d.FitsOn.Count), "--context", "8192", "--json")
	if err := json.Unmarshal([]byte(out), &d); err != nil || status != 0 || len(d.ByContext) != 2 {
		t.Fatalf("%s: exit %d, %v\n%s%s", d.FitsOn.GPU, status, err, out, errs)
	}
	if a, b := d.ByContext[0], d.ByContext[1]; a.Context != 4096 || b.Context != 8192 || a.Requests < 1.9*b.Requests {
		t.Errorf("requests by length: %+v", d.ByContext)
	}
}

func TestRequestsRoundDown(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{0: "0.0", 0.99: "0.9", 1.96: "1.9", 9.99: "9.9", 10.9: "10", 250.2: "250"} {
		if got := requests(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
