package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// diagnoseWith runs one command in a world of its own.
func diagnoseWith(t *testing.T, stdin string, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = Main(context.Background(), World{
		Args: append([]string{"diagnose"}, args...), Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e, Dir: t.TempDir(),
		Env: func(string) string { return "" },
	})
	return status, o.String(), e.String()
}

func TestDiagnoseDocument(t *testing.T) {
	status, out, errs := diagnoseWith(t, "sh: 1: vllm: not found\n", "-", "--json")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, %q", status, errs)
	}
	var d map[string]any
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"schema", "outcome", "cause", "stage", "evidence", "remedy", "lesson"} {
		if _, ok := d[k]; !ok {
			t.Errorf("no field %q in %s", k, out)
		}
	}
	if d["schema"] != "justright/diagnosis/1" || d["outcome"] != "failure" || d["cause"] != "exec_not_found" {
		t.Errorf("got %s", out)
	}
	if e := d["evidence"].([]any); len(e) != 1 || e[0].(map[string]any)["line"] != 1.0 {
		t.Errorf("evidence %v", d["evidence"])
	}
	if _, out, _ := diagnoseWith(t, "nothing to see\n", "--json"); !strings.Contains(out, `"outcome": "unknown"`) || !strings.Contains(out, `"evidence": []`) {
		t.Errorf("got %s", out)
	}
}

func TestDiagnoseForAPerson(t *testing.T) {
	_, out, _ := diagnoseWith(t, "docker: Error response from daemon: could not select device driver\n")
	for _, want := range []string{"docker_no_gpu_runtime", "line 1:", "remedy", "another host"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestDiagnosePacked reads what log rotation has packed, whole and cut off, and refuses what only looks like it.
func TestDiagnosePacked(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("docker: Error response from daemon: could not select device driver\n" + strings.Repeat("noise of a log that is longer than its packing\n", 9)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"whole": packed.String(), "cut off": packed.String()[:packed.Len()-6]} {
		if status, out, errs := diagnoseWith(t, in, "-"); status != 0 || !strings.Contains(out, "docker_no_gpu_runtime") {
			t.Errorf("%s: status %d\n%s%s", name, status, out, errs)
		}
	}
	if status, _, errs := diagnoseWith(t, "\x1f\x8bno gzip after all", "-"); status != 2 || errs == "" {
		t.Errorf("no gzip: status %d, %q", status, errs)
	}
	if _, out, _ := diagnoseWith(t, "", "-"); !strings.Contains(out, "empty") {
		t.Errorf("an empty log:\n%s", out)
	}
}

func TestDiagnoseCauses(t *testing.T) {
	_, out, _ := diagnoseWith(t, "", "--causes", "--json")
	var doc struct {
		Schema string
		Causes []struct{ Cause, Stage, Remedy, Next string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Schema != "justright/causes/1" || len(doc.Causes) < 120 {
		t.Fatalf("%v: %d causes", err, len(doc.Causes))
	}
	if _, out, _ = diagnoseWith(t, "", "--causes"); !strings.Contains(out, "container_cuda_requirement") {
		t.Error(out)
	}
}

func TestDiagnoseUnreadable(t *testing.T) {
	status, _, errs := diagnoseWith(t, "", "no-such-file")
	if status != 2 || !strings.Contains(errs, "no-such-file") {
		t.Errorf("status %d, %q", status, errs)
	}
	if status, _, _ = diagnoseWith(t, "", "a", "b"); status != 2 {
		t.Errorf("two files: status %d", status)
	}
	if status, _, _ = diagnoseWith(t, "", "a", "--eval", "b"); status != 2 {
		t.Errorf("file and --eval: status %d", status)
	}
}

func TestDiagnoseEval(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cases.jsonl")
	cases := `{"id":"a","log":"RuntimeError: No CUDA GPUs are available","cause":"no_gpu_visible","outcome":"failure","stage":"container_start","remedy_kind":"other_host_cuda"}
{"id":"b","log":"RuntimeError: UVA is not available","cause":"ready","outcome":"ready"}
not json

{"log":"hello"}
{"id":"c"}
`
	if err := os.WriteFile(name, []byte(cases), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, _ := diagnoseWith(t, "", "--eval", name, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 5 {
		t.Fatalf("status %d, %d lines:\n%s", status, len(lines), out)
	}
	for i, want := range []string{`"id":"a"`, `"id":"b"`, `{"line":3,"problem":"it is not a JSON object: `, `"line":5`, `{"line":6,"problem":"it has no \"log\""}`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d: no %s in %s", i+1, want, lines[i])
		}
	}
	status, out, _ = diagnoseWith(t, "", "--eval", name)
	for _, want := range []string{"cases      3, and 2 lines that are none", "right      1 (50.0 %)   wrong 1 (50.0 %)", "false alarms 1", "cuda_feature_unavailable", "precision"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
