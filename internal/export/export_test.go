package export

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/shlex"

	"justright/boot"
	"justright/catalog"
	"justright/model"
	"justright/solve"
	"justright/version"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// samplePlan is a plan of the wheel road, with text in it that every quoting gets wrong once.
func samplePlan(t *testing.T, change func(*solve.Stack, *boot.Options)) Plan {
	t.Helper()
	facts, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	gpu, ok := facts.FindGPU("RTX A5000")
	if !ok {
		t.Fatal("the catalog lost the RTX A5000")
	}
	stack := solve.Stack{
		Engine:  solve.Engine{Name: "vllm", Version: "0.19.1", WheelCUDA: "12.9", Torch: "2.9.1", Transformers: "4.57.1", Python: "3.12"},
		Install: "wheels", Image: "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", Guarded: true,
		GPU: solve.GPU{ID: gpu.ID, Count: 1, MemoryBytes: gpu.MemoryBytes}, Host: solve.Host{MinCUDA: version.CUDA{Major: 12, Minor: 1}},
		Context: 8192, Env: map[string]string{"VLLM_LOGGING_PREFIX": `a $HOME "b" 'c' $(date) 100%`},
		Argv:         []string{"vllm", "serve", "openai/gpt-oss-20b", "--max-model-len", "8192", "--override-generation-config", `{"temperature": 0.5, "note": "it's $5"}`},
		Requirements: []string{"vllm==0.19.1", "transformers==4.57.1"}, Ready: solve.Ready{Seconds: [2]int{240, 420}}, DiskBytes: 60e9,
	}
	opt := boot.Options{Model: model.Profile{ID: "openai/gpt-oss-20b", Revision: "abc123"}}
	if change != nil {
		change(&stack, &opt)
	}
	spec, err := boot.SpecFrom(stack, opt)
	if err != nil {
		t.Fatal(err)
	}
	script, err := boot.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Name: "jr-gpt-oss-20b", Model: "openai/gpt-oss-20b", Stack: stack, Script: script, Port: spec.Port, DiskGB: 60,
		Command: "justright export openai/gpt-oss-20b --as X"}
	if stack.GPU.ID != "" {
		p.GPU = gpu
	}
	return p
}

// packedForm is the packed start script however a format quotes it.
var packedForm = regexp.MustCompile(`B=H4sI[^\n]*?eval \\*"\$S\\*"`)

// short replaces the start script, which is package boot's affair and its goldens', by a word.
func short(p Plan, text string) string {
	text = packedForm.ReplaceAllString(text, "PACKED")
	for _, body := range []string{p.Script.Text, strings.ReplaceAll(p.Script.Text, "$", "$$")} {
		for _, n := range []int{4, 6} {
			text = strings.ReplaceAll(text, strings.TrimPrefix(literal(body, n), "|\n"), strings.Repeat(" ", n)+"SCRIPT")
		}
	}
	return text
}

func TestGoldens(t *testing.T) {
	p := samplePlan(t, nil)
	for _, f := range Formats() {
		d, err := Write(f[0], p)
		if err != nil {
			t.Fatal(err)
		}
		got := short(p, d.Text)
		if f[0] == "script" {
			got, _, _ = strings.Cut(d.Text, "# justright boot script")
		}
		path := filepath.Join("testdata", f[0]+".golden")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || got != string(want) {
			t.Errorf("%s differs from %s (%v); look at the diff after: go test ./internal/export -update\n%s", f[0], path, err, got)
		}
		again, err := Write(f[0], p)
		if err != nil || again.Text != d.Text {
			t.Errorf("%s: equal input gave other bytes", f[0])
		}
		if len(d.Notes) == 0 || d.Schema != "justright/export/1" {
			t.Errorf("%s: %+v", f[0], d.Notes)
		}
	}
}

// TestStartArrives takes the start command out of each document the way its tool does, and compares.
func TestStartArrives(t *testing.T) {
	p := samplePlan(t, nil)
	start := p.Script.Start()
	want := append(slices.Clone(start.Entrypoint), start.Cmd...)
	same := func(format string, got []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: what arrives is not the start command", format)
		}
	}
	text := func(format string) string {
		d, err := Write(format, p)
		if err != nil {
			t.Fatal(err)
		}
		return d.Text
	}

	var body podRequest
	if err := json.Unmarshal([]byte(text("runpod-json")), &body); err != nil {
		t.Fatal(err)
	}
	same("runpod-json", append(body.Entrypoint, body.Cmd...))
	if body.Env["VLLM_API_KEY"] != "{{ RUNPOD_SECRET_VLLM_API_KEY }}" || body.GPU.ID != "NVIDIA RTX A5000" || body.GPU.MinCUDA != "12.1" ||
		body.Env["VLLM_LOGGING_PREFIX"] != p.Stack.Env["VLLM_LOGGING_PREFIX"] {
		t.Errorf("%+v", body)
	}

	// A stand-in for runpodctl prints its arguments, each ended by a NUL.
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "runpodctl"), []byte("#!/bin/sh\nprintf '%s\\0' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"sh", "dash", "bash", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		file := filepath.Join(bin, "create.sh")
		if err := os.WriteFile(file, []byte(text("runpodctl")), 0o755); err != nil {
			t.Fatal(err)
		}
		args := []string{path, file}
		if shell == "busybox" {
			args = []string{path, "sh", file}
		}
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		argv := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		flags := map[string]string{}
		for i := 2; i+1 < len(argv); i += 2 {
			flags[argv[i]] = argv[i+1]
		}
		var args2 struct{ Entrypoint, Cmd []string }
		var env map[string]string
		if json.Unmarshal([]byte(flags["--docker-args"]), &args2) != nil || json.Unmarshal([]byte(flags["--env"]), &env) != nil {
			t.Fatalf("%s: %q", shell, argv)
		}
		same("runpodctl in "+shell, append(args2.Entrypoint, args2.Cmd...))
		if env["VLLM_LOGGING_PREFIX"] != p.Stack.Env["VLLM_LOGGING_PREFIX"] || flags["--gpu-id"] != "NVIDIA RTX A5000" || argv[0] != "pod" || argv[1] != "create" {
			t.Errorf("%s: %q", shell, argv[:12])
		}
	}

	words, err := shlex.Split(packed(p))
	if err != nil {
		t.Fatal(err)
	}
	same("one shell command (skypilot, dstack)", words)
	for _, f := range []string{"skypilot", "dstack"} {
		if !strings.Contains(text(f), packed(p)) {
			t.Errorf("%s does not carry the packed command whole", f)
		}
	}
	for f, sh := range map[string]string{"compose": strings.ReplaceAll(p.Script.Text, "$", "$$"), "kubernetes": p.Script.Text} {
		block := blockOf(t, text(f), map[string]string{"compose": "    content: |", "kubernetes": "  start.sh: |"}[f])
		if block != sh {
			t.Errorf("%s: the block read back is not the script", f)
		}
	}
}

// blockOf reads a YAML literal block behind its key, as the specification says: the first line's indentation is taken
// off each.
func blockOf(t *testing.T, text, key string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, key+"\n")
	if !ok {
		t.Fatalf("no %q", key)
	}
	indent := rest[:len(rest)-len(strings.TrimLeft(rest, " "))]
	var b strings.Builder
	for _, l := range strings.SplitAfter(rest, "\n") {
		line, ok := strings.CutPrefix(l, indent)
		if !ok && strings.TrimSpace(l) != "" {
			break
		}
		if !ok {
			line = "\n"
		}
		b.WriteString(line)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func TestSecretsAreReferences(t *testing.T) {
	p := samplePlan(t, func(_ *solve.Stack, o *boot.Options) { o.Model.Gated = true })
	for _, f := range Formats() {
		d, err := Write(f[0], p)
		if err != nil {
			t.Fatal(err)
		}
		all := d.Text + strings.Join(d.Notes, "\n")
		if !strings.Contains(all, "HF_TOKEN") {
			t.Errorf("%s does not say that the model is gated", f[0])
		}
		if strings.Contains(d.Text, "--api-key ") {
			t.Errorf("%s puts a key into a command line", f[0])
		}
	}
}

func TestRefusals(t *testing.T) {
	cpu := samplePlan(t, func(s *solve.Stack, _ *boot.Options) { s.GPU = solve.GPU{} })
	for _, tt := range []struct {
		format string
		change func(*Plan)
		want   string
	}{
		{"terraform", func(*Plan) {}, "there are runpod-json, runpodctl, script"},
		{"kubernetes", func(p *Plan) { p.Name = "Not A Label" }, "not made of lower-case letters"},
		{"compose", func(p *Plan) { p.Stack.Image = "" }, "names no image"},
		{"runpodctl", func(p *Plan) { *p = cpu }, "RunPod rents no card"},
	} {
		p := samplePlan(t, nil)
		tt.change(&p)
		if _, err := Write(tt.format, p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.format, err, tt.want)
		}
	}
	if d, err := Write("kubernetes", cpu); err != nil || strings.Contains(d.Text, "nvidia.com/gpu") {
		t.Errorf("a CPU plan asks for a GPU: %v", err)
	}
	local := samplePlan(t, func(_ *solve.Stack, o *boot.Options) { o.Model = model.Profile{ID: "/models/tiny", Local: true} })
	if _, err := Write("dstack", local); err == nil || !strings.Contains(err.Error(), "directory of this machine") {
		t.Errorf("a local directory went to another machine: %v", err)
	}
	if _, err := Write("script", local); err != nil {
		t.Errorf("script of a local directory: %v", err)
	}
}

func TestLiteral(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\n": "|\n  a\n  b", "a": "|-\n  a", "a\n\nb\n": "|\n  a\n\n  b", " a\n": `" a\n"`, "a\x1b\n": `"a\u001b\n"`, "": `""`,
	} {
		if got := literal(text, 2); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestGPUNames(t *testing.T) {
	facts, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"RTX A5000": {"RTXA5000", "A5000"}, "A100 SXM": {"A100-80GB", "A100"}, "RTX 4090": {"RTX4090", "RTX4090"}, "L40S": {"L40S", "L40S"},
		"RTX 6000 Ada": {"RTX6000-Ada", "RTX6000Ada"}, "H100 NVL": {"H100NVL", "H100NVL"}, "H200": {"H200", "H200"}, "RTX PRO 6000": {"RTXPRO6000", "RTXPRO6000"},
	} {
		g, ok := facts.FindGPU(name)
		if !ok {
			t.Errorf("no %s", name)
		} else if got := [2]string{skyName(g, g.ID), dstackName(g, g.ID)}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
