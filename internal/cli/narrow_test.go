package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"justright/catalog"
	"justright/problem"
)

const foobarConfig = `{"architectures":["FooBarForCausalLM"],"model_type":"foobar","hidden_size":1024,"num_hidden_layers":8,"num_attention_heads":16,"num_key_value_heads":4,
"vocab_size":32000,"intermediate_size":2048,"max_position_embeddings":4096,"torch_dtype":"bfloat16"}`

// What a person pins is honoured, refused or noted; words that mean nothing are wrong usage.
func TestPinsAreHeard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(foobarConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	remote := filepath.Join(dir, "remote")
	if err := os.MkdirAll(remote, 0o755); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(foobarConfig, "{", `{"auto_map":{"AutoModelForCausalLM":"modeling_foobar.FooBarForCausalLM"},`, 1)
	if err := os.WriteFile(filepath.Join(remote, "config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	const gptoss = "openai/gpt-oss-20b"
	tests := []struct {
		args string
		want problem.Exit
		says string
	}{
		{"check " + dir, problem.ExitNoStack, "architecture_unknown_to_engine"},
		{"check " + remote, problem.ExitUndecided, "brings its own code"},
		{"plan " + dir, problem.ExitNoStack, "justright catalog refresh"},
		{"plan " + remote, problem.ExitOK, "brings its own code"},
		{"matrix " + dir, problem.ExitNoStack, "architecture_unknown_to_engine"},
		{"matrix " + remote, problem.ExitUndecided, "brings its own code"},
		{"check " + gptoss + " --image nosuch/image:1", problem.ExitUndecided, "nosuch/image:1"},
		{"check " + gptoss + " -- --max-model-len banana", problem.ExitUsage, "banana"},
		{"plan " + gptoss + " -- --max-model-len banana", problem.ExitUsage, "banana"},
		{"check " + gptoss + " -- --max-model-len $LEN", problem.ExitOK, "works"},
		{"plan " + gptoss + " --image nosuch/image:1", problem.ExitOK, "whether the image nosuch/image:1 exists"},
		{"plan " + gptoss + " --vram 3GiB", problem.ExitNoStack, "a card has 3.0 GiB"},
		{"plan " + gptoss + " --capability 7.5", problem.ExitNoStack, "compute capability 7.5"},
		{"plan " + gptoss + " --max-price 0.5", problem.ExitOK, "limit of $0.50"},
		{"plan " + gptoss + " --data-center eu-ro-1", problem.ExitOK, "offered in EU-RO-1"},
		{"plan " + gptoss + " --data-center nowhere", problem.ExitUsage, "nowhere"},
		{"plan " + gptoss + " --cloud moon", problem.ExitUsage, "MOON"},
		{"plan " + gptoss + " --os CP/M", problem.ExitUsage, "CP/M"},
		{"export " + gptoss + " --as compose --rank -1", problem.ExitUsage, "-1"},
		{"export " + gptoss + " --as compose --rank 999", problem.ExitUsage, "999"},
		{"fit " + gptoss + " --gpu T4", problem.ExitOK, "it does not run there (quantization_unsupported_on_gpu)"},
		{"--version", problem.ExitOK, "facts of 20"},
		{"version", problem.ExitOK, "facts of 20"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.args, dir, "DIR"), func(t *testing.T) {
			out, errs, status := resolverLine(t, dir, nil, strings.Fields(tt.args)...)
			if problem.Exit(status) != tt.want || !strings.Contains(out+errs, tt.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s%s", status, tt.want, tt.says, out, errs)
			}
		})
	}
	out, _, status := resolverLine(t, dir, map[string]string{"HF_ENDPOINT": "notaurl"}, "plan", gptoss, "--json")
	if problem.Exit(status) != problem.ExitUsage || !strings.Contains(out, "notaurl") {
		t.Errorf("HF_ENDPOINT: exit %d: %s", status, out)
	}
}

// Every plan that a pin of the card leaves is on such a card.
func TestPinnedCards(t *testing.T) {
	t.Parallel()
	out, errs, status := resolverLine(t, t.TempDir(), nil, "plan", "openai/gpt-oss-20b", "--vram", "24GiB", "--capability", "8.9", "--all", "--json")
	var d struct {
		Plans []struct {
			GPU struct {
				ID    string
				Bytes int64 `json:"memory_bytes"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || status != 0 || len(d.Plans) == 0 {
		t.Fatalf("exit %d, %v: %s", status, err, errs)
	}
	for _, p := range d.Plans {
		if p.GPU.ID != "l4" && p.GPU.ID != "rtx-4090" {
			t.Errorf("%s with %d bytes", p.GPU.ID, p.GPU.Bytes)
		}
	}
}

// A plan fits any terminal of forty columns or more, but for words that are longer.
func TestPlanFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 50, 66, 67, 80, 100, 132} {
		for _, args := range []string{"plan openai/gpt-oss-20b --host-cuda 12.4", "plan openai/gpt-oss-20b --gpu T4", "plan openai/gpt-oss-20b --gpu L4 --all --engine-version >=0.33"} {
			w := World{Args: strings.Fields(args), Dir: t.TempDir(), Width: width, StdoutTTY: true, Transport: offline{}}
			_, out, _ := runIn(w, nil)
			for line := range strings.Lines(out) {
				if line = strings.TrimRight(line, "\n"); len([]rune(line)) > width && len(strings.Fields(line)) > 1 && !strings.Contains(line, "://") {
					t.Errorf("%s is wider than %d: %q", args, width, line)
				}
			}
			if !strings.Contains(out, "refused") || strings.Contains(args, "12.4") && !strings.Contains(out, "rtx-4000-ada") {
				t.Errorf("%s at %d:\n%s", args, width, out)
			}
		}
	}
}

// Answers and errors fit as well; what is to be pasted stays whole.
func TestAnswersFitTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 50, 66, 80} {
		for _, args := range []string{"matrix openai/gpt-oss-20b", "fit openai/gpt-oss-20b --gpu L4", "exit-codes", "diagnose --causes", "catalog show mxfp4", "lessons", "version", "doctor", "plan no/such", "plan openai/gpt-oss-20b --gpu banana"} {
			w := World{Args: strings.Fields(args), Dir: t.TempDir(), Width: width, ErrWidth: width, StdoutTTY: true, StderrTTY: true, Transport: offline{}}
			_, out, errs := runIn(w, map[string]string{"HOME": t.TempDir()})
			for line := range strings.Lines(out + errs) {
				if line = strings.TrimRight(line, "\n"); len([]rune(line)) > width && len(strings.Fields(line)) > 1 && !strings.Contains(line, "://") && !strings.HasPrefix(strings.TrimSpace(line), "justright ") {
					t.Errorf("%s is wider than %d: %q", args, width, line)
				}
			}
			if out+errs == "" {
				t.Errorf("%s says nothing", args)
			}
		}
	}
}

// A launch stands in one line where there is room, in two where there is less, and in one for each cell in the narrowest.
func TestLaunchTable(t *testing.T) {
	rows := [][]string{{"NAME", "STATE", "ON", "MACHINE", "GUARD", "$/H", "SPENT", "AGE", "ENDS IN", "MODEL"},
		{"gpt-oss-20b", "ready", "rehearsal", "hmeun2ev3pbfjq", "armed", "0.26", "0.04", "10m", "7h35m", "openai/gpt-oss-20b"}}
	for width, lines := range map[int]int{0: 2, 120: 2, 80: 3, 50: 10} {
		w := World{Width: width, StdoutTTY: true}
		got := w.launchTable(rows)
		if strings.Count(got, "\n") != lines || !w.fits(got) || !strings.Contains(got, "hmeun2ev3pbfjq") || !strings.Contains(got, "openai/gpt-oss-20b") {
			t.Errorf("at %d:\n%s", width, got)
		}
	}
}

// What is not known is null in every document, never an empty string.
func TestUnknownIsNull(t *testing.T) {
	for _, args := range []string{"plan openai/gpt-oss-20b", "plan openai/gpt-oss-20b --host-cuda 11.0 --gpu T4", "matrix openai/gpt-oss-20b --gpu L4", "check openai/gpt-oss-20b --gpu T4 --engine vllm==0.19.1",
		"fit tiiuae/falcon-7b", "fit openai/gpt-oss-20b --gpu T4", "version"} {
		out, errs, _ := resolverLine(t, t.TempDir(), nil, append(strings.Fields(args), "--json")...)
		var d any
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%s: %v: %s", args, err, errs)
		}
		emptyStrings(t, args, d)
	}
	var out bytes.Buffer
	w := World{Args: []string{"diagnose", "--json"}, Stdin: strings.NewReader("INFO: hello\n"), Stdout: &out, Stderr: &out, Env: func(string) string { return "" }}
	if Main(context.Background(), w); !strings.Contains(out.String(), `"stage": null`) {
		t.Errorf("diagnose: %s", out.String())
	}
}

func emptyStrings(t *testing.T, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			emptyStrings(t, at+"."+k, x)
		}
	case []any:
		for _, x := range v {
			emptyStrings(t, at+"[]", x)
		}
	case string:
		if v == "" && !strings.HasSuffix(at, ".args") { // the whole command line, which may be none
			t.Errorf("%s is an empty string", at)
		}
	}
}

// Where the weights are not known, fit does not say how many cards would do, and every command counts with the
// catalog's memory of a card.
func TestFitSaysWhatItKnows(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["LlamaForCausalLM"],"model_type":"llama","max_position_embeddings":4096}`), 0o644); err != nil {
		t.Fatal(err)
	}
	fit := func(args ...string) (d fitDocument) {
		out, errs, _ := resolverLine(t, dir, nil, append([]string{"fit", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%v: %v: %s", args, err, errs)
		}
		return d
	}
	for _, args := range [][]string{{dir}, {dir, "--gpu", "L4"}} {
		d := fit(args...)
		if d.Fits != nil || d.GPU.Count != nil {
			t.Errorf("%v: fits %v on %v cards", args, d.Fits, d.GPU.Count)
		}
		for _, o := range d.Options {
			if o.Count != nil {
				t.Errorf("%v: %d x %s", args, *o.Count, o.GPU)
			}
		}
	}
	if d := fit(dir, "--gpu", "L4", "--gpus", "4"); d.GPU.many() != 4 {
		t.Errorf("4 cards asked, %d answered", d.GPU.many())
	}
	g, _ := judgerFacts(t).FindGPU("T4")
	if d := fit("openai/gpt-oss-20b", "--gpu", "T4"); d.GPU.MemoryBytes == nil || *d.GPU.MemoryBytes != g.MemoryBytes || d.Refused == nil || len(d.Refused.Facts) == 0 {
		t.Errorf("T4 %+v, refused %+v", d.GPU, d.Refused)
	}
}

func judgerFacts(t *testing.T) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The weights of a model whose files were not read are those of its shape, and the plan says so.
func TestWeightsOfTheShape(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"tiiuae/falcon-7b", "mistralai/Mamba-Codestral-7B-v0.1", "meta-llama/Llama-4-Scout-17B-16E-Instruct"} {
		out, errs, _ := resolverLine(t, t.TempDir(), nil, "plan", id, "--json")
		var d planDocument
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%s: %v: %s", id, err, errs)
		}
		if m := d.Model; m.WeightsBytes == nil || *m.WeightsBytes < 2*(*m.Parameters)*9/10 || *m.WeightsBytes > 2*(*m.Parameters)*11/10 || len(m.Unknowns) == 0 {
			t.Errorf("%s: %+v", id, m)
		}
	}
}

// On a terminal of 80 columns no line is broken by the terminal.
func TestNarrow(t *testing.T) {
	for _, args := range []string{"plan openai/gpt-oss-20b", "plan openai/gpt-oss-20b --install image", "plan openai/gpt-oss-20b --gpu T4", "check openai/gpt-oss-20b --gpu T4 --engine vllm==0.19.1", "matrix openai/gpt-oss-20b --gpu L4",
		"fit openai/gpt-oss-20b --gpu T4", "fit tiiuae/falcon-7b"} {
		var out, errs bytes.Buffer
		w := World{Args: strings.Fields(args), Stdout: &out, Stderr: &errs, Env: func(string) string { return "" }, Dir: t.TempDir(), Transport: offline{}, Width: 80, StdoutTTY: true}
		Main(context.Background(), w)
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if len([]rune(line)) > 80 && strings.Contains(strings.TrimSpace(line), " ") { // an address may be longer: it is not broken
				t.Errorf("%s: %d columns: %s", args, len([]rune(line)), line)
			}
			if strings.Contains(line, "(s)") || strings.Contains(line, "stated, stated") || strings.HasSuffix(line, ", ") {
				t.Errorf("%s: %s", args, line)
			}
		}
	}
}
