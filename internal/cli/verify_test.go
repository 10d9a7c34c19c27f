package cli

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/internal/probe"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/sim/vllmsim"
	"justright/solve"
)

// runCLI runs one command line in a world of its own and returns its status and streams.
func runCLI(t *testing.T, dir string, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	if env["JUSTRIGHT_STATE_DIR"] == "" {
		e := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}
		for k, v := range env {
			e[k] = v
		}
		env = e
	}
	return runIn(World{Args: args, Dir: dir}, env)
}

// serveEngine puts a stand-in engine on a loopback port.
func serveEngine(t *testing.T, o vllmsim.Options) string {
	t.Helper()
	o.Model, o.Served, o.MaxModelLen = "org/tiny", []string{"tiny"}, 4096
	s := httptest.NewServer(vllmsim.New(o))
	t.Cleanup(s.Close)
	return s.URL
}

func TestVerify(t *testing.T) {
	open := serveEngine(t, vllmsim.Options{Key: "sk-right"})
	shut := serveEngine(t, vllmsim.Options{Key: "sk-right", KeyEverywhere: true, ToolParser: "hermes", AutoTools: true})
	base := serveEngine(t, vllmsim.Options{NoChat: true})
	embeds := serveEngine(t, vllmsim.Options{Embeds: true})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("sk-right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.json"), []byte(`{"schema":"something else"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	key := map[string]string{"VLLM_API_KEY": "sk-right"}
	tests := []struct {
		name   string
		env    map[string]string
		args   []string
		status int
		want   string // in either stream
	}{
		{"key from a file", nil, []string{open + "/v1", "--key-file", "key"}, 0, "PROVEN: tiny"},
		{"key from the environment", key, []string{open}, 0, "note   other-doors"},
		{"doors must be shut, and are not", key, []string{open, "--doors-shut"}, 6, "FAILED other-doors"},
		{"doors are shut, tools work", key, []string{shut, "--doors-shut", "--tools"}, 0, "ok     tool-call"},
		{"base model", nil, []string{base}, 0, "asked by /v1/completions"},
		{"embedding model", nil, []string{embeds}, 0, "asked by /v1/embeddings"},
		{"another name", nil, []string{base, "--model", "other"}, 6, `"other" is not among the models served: tiny`},
		{"more context than there is", nil, []string{base, "--context", "8192"}, 6, "allows 4096 tokens, the plan promised 8192"},
		{"wrong key", nil, []string{open, "--key", "sk-wrong"}, 4, "refuses the key"},
		{"no key", nil, []string{open}, 4, "refuses the key"},
		{"nobody there", nil, []string{"127.0.0.1:1"}, 5, "does not answer"},
		{"no such launch", nil, []string{"nosuch"}, 2, `no launch is called "nosuch"`},
		{"no such key file", nil, []string{open, "--key-file", "nosuch"}, 2, "cannot read the key file"},
		{"no proof", nil, []string{"notes.json"}, 2, "is no proof that justright verify --report has written"},
		{"offline without a report", nil, []string{open, "--offline"}, 2, "--offline shows a kept report"},
		{"no address", nil, []string{"ftp://x"}, 2, "no address like"},
		{"no argument", nil, nil, 2, "takes one argument, URL, NAME or REPORT; 0 were given"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := runCLI(t, dir, tt.env, append([]string{"verify"}, tt.args...)...)
			if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
				t.Errorf("status %d, want %d with %q:\n%s%s", status, tt.status, tt.want, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "sk-right") || strings.Contains(stdout+stderr, "sk-wrong") {
				t.Errorf("a key was printed:\n%s%s", stdout, stderr)
			}
		})
	}
}

func TestVerifyDocumentAndReport(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"VLLM_API_KEY": "sk-right"}
	url := serveEngine(t, vllmsim.Options{Key: "sk-right"})
	status, stdout, stderr := runCLI(t, dir, env, "verify", url, "--json", "--report", "proof.json")
	var p probe.Proof
	if err := json.Unmarshal([]byte(stdout), &p); err != nil || status != 0 || p.Schema != "justright/proof/1" || !p.Passed || len(p.Checks) < 15 || len(p.OpenDoors) == 0 {
		t.Fatalf("status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "proof.json"))
	if err != nil || strings.Contains(string(raw), "sk-right") {
		t.Fatalf("report: %v\n%s", err, raw)
	}
	if status, stdout, _ = runCLI(t, dir, nil, "verify", "proof.json", "--offline"); status != 0 || !strings.Contains(stdout, "PROVEN: tiny at "+url) {
		t.Errorf("offline: status %d\n%s", status, stdout)
	}
	if status, stdout, _ = runCLI(t, dir, env, "verify", "proof.json"); status != 0 || !strings.Contains(stdout, "nothing changed since") {
		t.Errorf("again: status %d\n%s", status, stdout)
	}
	// The same report against an engine that has lost its chat template.
	now := serveEngine(t, vllmsim.Options{Key: "sk-right", NoChat: true})
	if err := os.WriteFile(filepath.Join(dir, "proof.json"), []byte(strings.ReplaceAll(string(raw), url, now)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ = runCLI(t, dir, env, "verify", "proof.json", "--json")
	var doc verifyDocument
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || !strings.Contains(strings.Join(doc.Changed, "\n"), "chat: passed, now did not apply") {
		t.Errorf("%v\n%s", err, stdout)
	}
}

func TestIsAddress(t *testing.T) {
	for arg, want := range map[string]bool{
		"https://h": true, "http://127.0.0.1:8000/v1": true, "127.0.0.1:8000": true, "localhost": true, "localhost:80/v1": true, "10.0.0.1": true,
		"h.example:8000": true, "[::1]:8000": true, "qwen2.5-0.5b": false, "Qwen/Qwen2.5-0.5B": false, "gpt-oss-20b": false, "a/b:c": false,
	} {
		if isAddress(arg) != want {
			t.Errorf("%q: %v", arg, !want)
		}
	}
}

// TestVerifyLaunch proves a launch by its name: address, key, promises and the engine's own word come from the journal.
func TestVerifyLaunch(t *testing.T) {
	url := serveEngine(t, vllmsim.Options{Key: "sk-launch"})
	dir := t.TempDir()
	env := map[string]string{"JUSTRIGHT_STATE_DIR": dir, "HOME": dir, "HF_HUB_OFFLINE": "1"}
	s, err := store.OpenSQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := s.Owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st := launch.State{ID: "task1", Name: "tiny-1", Model: "openai/gpt-oss-20b", Owner: owner, Wanted: launch.WantRunning, Attempts: []launch.Attempt{
		{ID: "dead", Phase: launch.Removed, BaseURL: "http://127.0.0.1:1"},
		{ID: "alive", Phase: launch.Ready, PodID: "p1", BaseURL: url + "/", Price: money.Dollar / 2, Stack: &solve.Stack{Context: 4096,
			Engine: solve.Engine{Name: "vllm"}, Argv: []string{"vllm", "serve", "openai/gpt-oss-20b", "--served-model-name", "tiny"}}},
	}}
	if err := s.Begin(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendLog(t.Context(), "alive", []launch.LogLine{{ID: "1", Source: "container", Text: "INFO 11-25 [model.py:547] Resolved architecture: WrongForCausalLM"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w := World{Dir: dir, Env: func(k string) string { return env[k] }, Now: time.Now}
	if err := w.makeTaskKey("task1", "sk-launch"); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := runCLI(t, dir, env, "verify", "tiny-1", "--json")
	var p probe.Proof
	if err := json.Unmarshal([]byte(stdout), &p); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	failed := map[string]bool{}
	for _, c := range p.Checks {
		if !c.Passed {
			failed[c.Name] = true
		}
	}
	if status != 6 || p.BaseURL != url || !failed["architecture"] || len(failed) != 2 || !failed["other-doors"] || p.Measured.HourlyPrice == nil {
		t.Errorf("status %d, failed %v\n%s", status, failed, stdout)
	}
	j, err := w.openJournal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := j.Proof(t.Context(), "task1"); err != nil || !strings.Contains(string(raw), `"justright/proof/1"`) || strings.Contains(string(raw), "sk-launch") {
		t.Errorf("the journal's proof: %v %s", err, raw)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if status, stdout, _ = runCLI(t, dir, env, "bench", "tiny-1", "--json", "--requests", "2", "--concurrency", "1", "--max-tokens", "4"); status != 0 ||
		!strings.Contains(stdout, `"price_per_hour": "0.50"`) {
		t.Errorf("bench: status %d\n%s", status, stdout)
	}
	if status, _, stderr = runCLI(t, dir, env, "verify", "other"); status != 2 || !strings.Contains(stderr, "running: tiny-1") {
		t.Errorf("unknown name: status %d\n%s", status, stderr)
	}
}

func TestVerifyProblemsAreOneDocument(t *testing.T) {
	for _, args := range [][]string{{"verify", "127.0.0.1:1", "--json"}, {"verify", "nosuch", "--json"}, {"bench", "127.0.0.1:1", "--json"}, {"bench", "--json"}} {
		_, stdout, _ := runCLI(t, t.TempDir(), nil, args...)
		var p struct{ Schema, Code string }
		if err := json.Unmarshal([]byte(stdout), &p); err != nil || p.Schema != "justright/problem/1" || p.Code == "" || p.Code == "internal" {
			t.Errorf("%v: %v\n%s", args, err, stdout)
		}
	}
}

func TestBenchCommand(t *testing.T) {
	url := serveEngine(t, vllmsim.Options{})
	status, stdout, stderr := runCLI(t, t.TempDir(), nil, "bench", url, "--json", "--price", "0.27", "--concurrency", "1,2", "--requests", "4", "--max-tokens", "8")
	var b probe.Bench
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || status != 0 || b.Schema != "justright/bench/1" || len(b.Levels) != 2 ||
		b.Levels[1].Requests != 4 || b.Levels[1].DollarsPerMillionTokens == nil || b.PricePerHour.String() != "0.27" {
		t.Fatalf("status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{url, "--concurrency", "1", "--requests", "2", "--max-tokens", "4"}, 0, "price not known"},
		{[]string{url, "--concurrency", "none"}, 2, "no list of numbers"},
		{[]string{url, "--price", "cheap"}, 2, "no amount of dollars"},
		{[]string{url, "--max-tokens", "0"}, 2, "must be positive"},
		{[]string{serveEngine(t, vllmsim.Options{Embeds: true})}, 3, "generates no text"},
		{[]string{serveEngine(t, vllmsim.Options{Key: "k"})}, 4, "refuses the key"},
		{[]string{"127.0.0.1:1"}, 5, "does not answer"},
	} {
		status, stdout, stderr := runCLI(t, t.TempDir(), nil, append([]string{"bench"}, tt.args...)...)
		if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
			t.Errorf("%v: status %d, want %d with %q\n%s%s", tt.args, status, tt.status, tt.want, stdout, stderr)
		}
	}
}
