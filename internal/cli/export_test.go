package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"justright/internal/export"
)

func TestExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, f := range export.Formats() {
		status, stdout, stderr := runCLI(t, dir, nil, "export", "openai/gpt-oss-20b", "--as", f[0], "--gpu", "RTX A5000")
		if status != 0 || !strings.Contains(stdout, "vllm") && !strings.Contains(stdout, "B=H4s") || strings.Contains(stdout+stderr, dir) {
			t.Errorf("%s: status %d\n%.400s\n%s", f[0], status, stdout, stderr)
		}
	}
	status, stdout, _ := runCLI(t, dir, nil, "export", "openai/gpt-oss-20b", "--as", "compose", "--json", "--out", "c.yaml", "--name", "mine", "--", "--max-num-seqs", "7")
	var doc export.Document
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || status != 0 || doc.Schema != "justright/export/1" || doc.Name != "mine" || !strings.Contains(doc.Text, "--max-num-seqs") {
		t.Errorf("status %d, %v\n%.300s", status, err, stdout)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "c.yaml")); err != nil || string(b) != doc.Text {
		t.Errorf("the file differs from the document: %v", err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"openai/gpt-oss-20b"}, 2, "one model and a format"},
		{[]string{"openai/gpt-oss-20b", "--as", "terraform"}, 2, "there are runpod-json, runpodctl"},
		{[]string{"openai/gpt-oss-20b", "--as", "compose", "--rank", "100000"}, 2, "there are"},
		{[]string{"openai/gpt-oss-20b", "--as", "compose", "--engine", "vllm==0.6.3.post1"}, 3, "nothing can serve"},
		{[]string{"openai/gpt-oss-20b", "--as", "compose", "--", "--api-key", "x"}, 2, "--api-key would put a key"},
	} {
		status, stdout, stderr := runCLI(t, dir, nil, append([]string{"export"}, tt.args...)...)
		if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
			t.Errorf("%v: status %d, want %d with %q\n%.300s%s", tt.args, status, tt.status, tt.want, stdout, stderr)
		}
	}
}

func TestExportName(t *testing.T) {
	for in, want := range map[string]string{"openai/gpt-oss-20b": "jr-gpt-oss-20b", "Qwen/Qwen2.5-0.5B": "jr-qwen2-5-0-5b", "x/__": "jr",
		"a/" + strings.Repeat("b", 80): "jr-" + strings.Repeat("b", 47)} {
		if got := exportName(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
