package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"justright/problem"
)

const contractFile = "../../docs/documents.schema.json"

// contract is docs/documents.schema.json, which says what every --json answer holds.
type contract struct{ *jsonschema.Compiler }

func readContract(t *testing.T) contract {
	t.Helper()
	raw, err := os.Open(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	doc, err := jsonschema.UnmarshalJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("contract.json", doc); err != nil {
		t.Fatal(err)
	}
	return contract{c}
}

// holds judges one value by a definition.
func (c contract) holds(t *testing.T, what, definition, text string) {
	t.Helper()
	s, err := c.Compile("contract.json#/$defs/" + definition)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s is not one JSON value: %v\n%.400s", what, err, text)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %#v\n%.400s", what, err, text)
	}
}

// document judges one document by the definition that its schema field names, and returns that name.
func (c contract) document(t *testing.T, what, text string) string {
	t.Helper()
	var d struct{ Schema string }
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Errorf("%s is not one document: %v\n%.400s", what, err, text)
		return ""
	}
	name := strings.TrimSuffix(strings.TrimPrefix(d.Schema, "justright/"), "/1")
	c.holds(t, what, name, text)
	return name
}

// lines judges every line of an answer by a definition.
func (c contract) lines(t *testing.T, what, definition, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s says nothing", what)
	}
	for l := range strings.Lines(text) {
		c.holds(t, what, definition, l)
	}
}

// Every command that answers from what it knows keeps the contract, and so does every error.
func TestAnswersKeepTheContract(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"foobar/config.json": foobarConfig, "empty": "", "shape/config.json": `{"architectures":["LlamaForCausalLM"],"model_type":"llama"}`,
		"oom.log":     "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.56 GiB of which 1.00 GiB is free.\n",
		"start.log":   "INFO 11-25 10:00:00 [api_server.py:1] vLLM API server version 0.19.1\n",
		"cases.jsonl": `{"id":"a","title":"x","engine":"vllm","engine_version":"0.6.3.post1","model":"openai/gpt-oss-20b","architecture":"GptOssForCausalLM"}` + "\nno case\n",
		"fit.jsonl":   `{"id":1,"model":"openai/gpt-oss-20b","gpu":"L4","gpu_total_gib":22.05,"tp":1}` + "\n" + `{"id":2,"model":"no/such"}` + "\nno case\n",
		"logs.jsonl":  `{"id":"a","log":"RuntimeError: Engine core initialization failed."}` + "\nno case\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const m = "openai/gpt-oss-20b"
	tests := []struct {
		args string
		want string // definition
		exit problem.Exit
	}{
		{"plan " + m, "plan", 0}, {"plan " + m + " --all --host-cuda 12.4", "plan", 0}, {"plan " + m + " --gpu T4", "plan", 3}, {"plan ./foobar", "plan", 3}, {"plan ./shape", "plan", 0},
		{"plan " + m + " --engine sglang --gpu L4", "plan", 0}, {"plan " + m + " --engine-version 99", "plan", 3}, {"plan " + m + " --context 99999999", "plan", 3},
		{"plan " + m + " --on rehearsal --image vllm/vllm-openai:v0.19.1", "plan", 0},
		{"check " + m, "check", 0}, {"check " + m + " --gpu T4", "check", 3}, {"check", "check", 8}, {"check " + m + " --image nosuch/image:1", "check", 8},
		{"check -- docker run --gpus all vllm/vllm-openai:v0.6.3.post1 --model " + m, "check", 3}, {"check -- vllm serve " + m, "check", 0}, {"check ./foobar", "check", 3},
		{"why-not " + m + " T4", "check", 3}, {"why-not " + m + " cuda 12.4", "check", 0}, {"why-not " + m + " vllm==99", "check", 8}, {"why-not " + m + " vllm/vllm-openai:latest", "check", 0},
		{"fit " + m, "fit", 0}, {"fit " + m + " --gpu L4", "fit", 0}, {"fit " + m + " --gpu T4", "fit", 0}, {"fit openai/gpt-oss-120b --gpu L4 --gpus 1", "fit", 3}, {"fit ./shape", "fit", 8},
		{"fit ./shape --gpu L4", "fit", 8}, {"matrix " + m, "matrix", 0}, {"matrix " + m + " --gpu T4 --all", "matrix", 3}, {"matrix ./foobar", "matrix", 3},
		{"diagnose oom.log", "diagnosis", 0}, {"diagnose start.log", "diagnosis", 0}, {"diagnose empty", "diagnosis", 0}, {"diagnose", "diagnosis", 0}, {"diagnose --causes", "causes", 0},
		{"catalog show mxfp4", "catalog", 0}, {"catalog show", "catalog", 0}, {"catalog", "catalog", 0}, {"", "problem", 2}, {"catalog sow", "problem", 2}, {"config show", "config", 0}, {"config", "config", 0}, {"config sow", "problem", 2}, {"exit-codes", "exit-codes", 0}, {"version", "version", 0}, {"--version", "version", 0},
		{"ps", "ps", 0}, {"ps --all --offline", "ps", 0}, {"lessons", "lessons", 0}, {"gc", "gc", 0}, {"down --all", "receipt", 0}, {"doctor", "doctor", 5},
		{"export " + m + " --as compose", "export", 0}, {"export " + m + " --as runpod-json", "export", 0}, {"export " + m + " --as script --rank 2", "export", 0},
		{"plam", "problem", 2}, {"plan", "problem", 2}, {"plan no/such/model", "problem", 2}, {"plan no/such", "problem", 5}, {"plan " + m + " --no-such-flag", "problem", 2},
		{"plan " + m + " --context 32k", "problem", 2}, {"check ./empty", "problem", 2}, {"check -- ls -la", "problem", 2}, {"why-not " + m + " banana", "problem", 2}, {"fit " + m + " --gpu banana", "problem", 2},
		{"diagnose no-such-file", "problem", 2}, {"catalog show banana", "problem", 2}, {"export " + m + " --as banana", "problem", 2}, {"show nothing", "problem", 2}, {"logs nothing", "problem", 2},
		{"events nothing", "problem", 2}, {"down nothing", "problem", 2}, {"extend nothing --ttl 1h", "problem", 2}, {"bundle nothing", "problem", 2}, {"replay empty", "problem", 2}, {"lessons forget x", "problem", 2},
		{"verify http://127.0.0.1:1", "problem", 5}, {"bench http://127.0.0.1:1", "problem", 5}, {"verify nothing", "problem", 2}, {"sim --exec banana", "problem", 2}, {"up empty", "problem", 2},
		{"plan " + m + " --lock l.json", "problem", 5}, {"matrix no/such", "problem", 5}, {"catalog refresh", "problem", 5},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir(), "HOME": t.TempDir()}
			args := strings.Fields(tt.args)
			i := slices.Index(args, "--")
			if i < 0 {
				i = len(args)
			}
			out, errs, status := resolverLine(t, dir, env, slices.Insert(args, i, "--json")...)
			if problem.Exit(status) != tt.exit {
				t.Errorf("exit %d, want %d: %s%.600s", status, tt.exit, errs, out)
			}
			if got := c.document(t, tt.args, out); got != tt.want {
				t.Errorf("answers with %s, want %s", got, tt.want)
			}
		})
	}
	for _, tt := range []struct{ args, inside, definition string }{
		{"check --eval cases.jsonl", "losing", "check"}, {"fit --eval fit.jsonl", "", "fit"}, {"diagnose --eval logs.jsonl", "", "diagnosis"},
	} {
		out, errs, status := resolverLine(t, dir, nil, append(strings.Fields(tt.args), "--json")...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if status != 0 || len(lines) < 2 {
			t.Fatalf("%s: exit %d, %d lines: %s", tt.args, status, len(lines), errs)
		}
		for i, l := range lines {
			var d map[string]json.RawMessage
			if err := json.Unmarshal([]byte(l), &d); err != nil {
				t.Fatalf("%s line %d: %v", tt.args, i+1, err)
			}
			if d["problem"] != nil {
				if i != len(lines)-1 || d["line"] == nil {
					t.Errorf("%s: line %d is %s", tt.args, i+1, l)
				}
				continue
			}
			if tt.inside != "" {
				l = string(d[tt.inside])
			}
			c.holds(t, tt.args, tt.definition, l)
		}
	}
}

// What is said about a launch keeps the contract from its first event to its receipt.
func TestALaunchKeepsTheContract(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	p := newPlace(t)
	answer := func(args ...string) string {
		t.Helper()
		code, out, errs := p.run("", append(args, "--json")...)
		if code != 0 {
			t.Fatalf("%v exits %d\n%s%s", args, code, out, errs)
		}
		return out
	}
	stream := answer("up", tryModel, "--yes", "--ttl", "1h")
	c.lines(t, "up", "event", stream)
	for _, e := range []string{"begin", "plan", "state", "phase", "check", "end"} {
		if !strings.Contains(stream, `"event":"`+e+`"`) {
			t.Errorf("up has no event %s", e)
		}
	}
	bundle := filepath.Join(p.dir, "b.json")
	for _, a := range []struct {
		line, want string
	}{
		{"ps", "ps"}, {"show gpt-oss-20b --effects", "show"}, {"show gpt-oss-20b --env", "env"}, {"verify gpt-oss-20b", "proof"}, {"bench gpt-oss-20b --concurrency 1 --requests 2", "bench"},
		{"bundle gpt-oss-20b -o " + bundle, "written"}, {"bundle gpt-oss-20b -o -", "bundle"}, {"plan " + tryModel, "plan"}, {"doctor --on runpod", "doctor"}, {"gc", "gc"},
	} {
		code, out, errs := p.run("", append(strings.Fields(a.line), "--json")...)
		if got := c.document(t, a.line, out); got != a.want {
			t.Errorf("%s exits %d and answers with %s, want %s: %s", a.line, code, got, a.want, errs)
		}
	}
	c.lines(t, "logs", "line", answer("logs", "gpt-oss-20b"))
	c.lines(t, "events", "event", answer("events", "gpt-oss-20b"))
	c.lines(t, "replay", "event", answer("replay", bundle))
	c.document(t, "extend", answer("extend", "gpt-oss-20b", "--ttl", "30m"))
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.env["RUNPOD_API_BASE_URL"]+"/_sim/ledger", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := io.ReadAll(r.Body)
	if err != nil || r.Body.Close() != nil {
		t.Fatal(err)
	}
	c.holds(t, "ledger", "ledger", string(ledger))
	c.document(t, "down", answer("down", "--all"))
	c.document(t, "ps", answer("ps", "--all"))
	c.document(t, "show", answer("show", "gpt-oss-20b"))
	c.document(t, "lessons", answer("lessons"))
	code, out, _ := p.run("", "sim", "--exit-when-idle", "1ms", "--quiet")
	first, _, _ := strings.Cut(out, "\n")
	if got := c.document(t, "sim", first); code != 0 || got != "sim" {
		t.Errorf("sim exits %d and begins with %s", code, got)
	}
}

// serve says where it is before anything else.
func TestServeKeepsTheContract(t *testing.T) {
	t.Parallel()
	newPlace(t).serve().end() // which judges every line
}

// Every document that the program can write has its definition, and every definition of a document a program that writes it.
func TestTheContractNamesEveryDocument(t *testing.T) {
	t.Parallel()
	named := func(text string) []string {
		var out []string
		for _, m := range regexp.MustCompile(`"justright/([a-z-]+)/1"`).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		return out
	}
	contract, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	var written []string
	err = filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		written = append(written, named(string(raw))...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(written)
	promised := named(string(contract))
	slices.Sort(promised)
	if written = slices.Compact(written); !slices.Equal(written, slices.Compact(promised)) {
		t.Errorf("the program writes\n%v, the contract names\n%v", written, promised)
	}
}
