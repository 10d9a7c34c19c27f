package cli

import (
	"slices"
	"strings"
	"testing"

	"justright/problem"
	"justright/solve"
)

// What people paste comes down to the words of a line that can be read.
func TestPastedLines(t *testing.T) {
	const docker = "docker run --gpus all vllm/vllm-openai:v0.9.0 --model a/b"
	const serve = "vllm serve a/b --max-model-len 4096"
	one := func(text string) []string { return []string{text} }
	tests := []struct {
		name  string
		words []string
		want  string // joined by blanks
		gpu   string
	}{
		{"as it is", strings.Fields(docker), docker, ""},
		{"only flags", strings.Fields("--max-model-len 8192 --enforce-eager"), "--max-model-len 8192 --enforce-eager", ""},
		{"continued", one("docker run --gpus all \\\n  vllm/vllm-openai:v0.9.0 \\\n  --model a/b\n"), docker + " ;", ""},
		{"from Windows", one("docker run --gpus all \\\r\n  vllm/vllm-openai:v0.9.0 \\\r\n  --model a/b"), docker + " ;", ""},
		{"PowerShell", one("PS C:\\Users\\me> docker run --gpus all `\n vllm/vllm-openai:v0.9.0 `\n --model a/b"), docker + " ;", ""},
		{"cmd", one("docker run --gpus all ^\n vllm/vllm-openai:v0.9.0 ^\n --model a/b"), docker + " ;", ""},
		{"a prompt and a comment", one("# first\n$ " + serve + " # long\n"), "; " + serve + " ;", ""},
		{"a prompt of root", one("root@gpu1:~# " + serve), serve + " ;", ""},
		{"half a CRLF", append(strings.Fields(serve), "\r"), serve, ""},
		{"dashes of a text processor", strings.Fields("vllm serve a/b —max-model-len 4096"), serve, ""},
		{"its quotes", one("vllm serve “a/b” –max-model-len 4096"), serve + " ;", ""},
		{"a quoted value over lines", one("vllm serve a/b --hf-overrides '{\"a\":\n1}'"), "vllm serve a/b --hf-overrides {\"a\":\n1} ;", ""},
		{"an empty value", []string{"vllm", "serve", "a/b", "--chat-template", ""}, "vllm serve a/b --chat-template ", ""},
		{"output to a file", one("nohup " + serve + " > log 2>&1 &"), serve + " & ;", ""},
		{"a variable", one("M=a/b\nvllm serve $M --max-model-len ${LEN:-4096}"), "M=a/b ; " + serve + " ;", ""},
		{"uv run", strings.Fields("uv run --with vllm==0.9.0 --python 3.12 " + serve), "uv pip install vllm==0.9.0 && " + serve, ""},
		{"uvx", strings.Fields("uvx vllm@0.9.0 serve a/b --max-model-len 4096"), "uv pip install vllm==0.9.0 && " + serve, ""},
		{"conda run", strings.Fields("conda run -n x --no-capture-output " + serve), serve, ""},
		{"sudo with flags", strings.Fields("sudo -E -u me " + docker), docker, ""},
		{"behind cd", strings.Fields("cd /w && poetry run " + serve), "cd /w && " + serve, ""},
		{"srun", strings.Fields("srun --gres=gpu:1 numactl -N 0 " + serve), serve, ""},
		{"tmux", []string{"tmux", "new", "-d", serve}, serve, ""},
		{"bash -c", []string{"bash", "-lc", "pip install 'vllm==0.9.0' && " + serve}, "pip install vllm==0.9.0 && " + serve + " ;", ""},
		{"docker exec", strings.Fields("docker exec -it box " + serve), serve, ""},
		{"devices", strings.Fields(`docker run --gpus "device=0,1" x --model a/b`), "docker run --gpus 2 x --model a/b", ""},
		{"one device", strings.Fields(`docker run --gpus='"device=3"' x`), "docker run --gpus=1 x", ""},
		{"kubectl run", strings.Fields("kubectl run v --image=x:1 --env=A=b --restart Never -- --model a/b"), "docker run -e A=b x:1 --model a/b", ""},
		{"kubectl run --command", strings.Fields("kubectl run v --image x:1 --command -- " + serve), "docker run --entrypoint vllm x:1 serve a/b --max-model-len 4096", ""},
		{"runpodctl", []string{"runpodctl", "create", "pod", "--gpuType", "NVIDIA L4", "--gpuCount=2", "--imageName", "x:1", "--startSSH", "--args", "--model a/b"}, "docker run --gpus 2 x:1 --model a/b", "NVIDIA L4"},
		{"runpodctl 2", []string{"runpodctl", "pod", "create", "--image=x:1", "--gpu-id=NVIDIA L4", "--docker-args=--model a/b"}, "docker run x:1 --model a/b", "NVIDIA L4"},
		{"a list", one(`["vllm","serve","a/b","--max-model-len",4096]`), serve, ""},
		{"compose", one("services:\n  db: {image: postgres}\n  llm:\n    image: vllm/vllm-openai:v0.9.0\n    command: --model a/b\n    environment: {A: 1}\n"), "docker run -e A=1 vllm/vllm-openai:v0.9.0 --model a/b", ""},
		{"a manifest", one("kind: Service\n---\nkind: Deployment\nspec: {template: {spec: {containers: [{name: a, image: vllm/vllm-openai:v0.9.0, args: [\"--model\", \"a/b\"], env: [{name: A, value: b}]}]}}}\n"),
			"docker run -e A=b vllm/vllm-openai:v0.9.0 --model a/b", ""},
		{"its shell", one("containers:\n- image: x:1\n  command: [\"sh\", \"-c\"]\n  args: [\"vllm serve a/b\"]\n"), "docker run --entrypoint sh x:1 -c vllm serve a/b", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := readPasted(tt.words)
			if got := strings.Join(p.words, " "); err != nil || got != tt.want || p.gpu != tt.gpu {
				t.Errorf("%v\n got %q %q\nwant %q %q", err, got, p.gpu, tt.want, tt.gpu)
			}
		})
	}
}

// What cannot be read is wrong usage that says so, and never a crash.
func TestPastedLinesThatAreNone(t *testing.T) {
	for _, text := range []string{"", " ", "vllm serve 'a/b", "services:\n  db: {image: [}\n", "services:\n  db: {build: .}\n", "ls -la", "docker ps"} {
		out, errs, status := resolverLine(t, t.TempDir(), nil, "check", "--json", "--", text)
		if problem.Exit(status) != problem.ExitUsage || !strings.Contains(out, `"justright/problem/1"`) || strings.Contains(out, `"internal"`) {
			t.Errorf("%q: exit %d: %s%s", text, status, out, errs)
		}
	}
}

func FuzzPastedLines(f *testing.F) {
	for _, seed := range []string{"docker run x", "uv run --with a b", "kubectl run a -- b", "runpodctl create pod --args '", "services: {a: {image: x, command: []}}", "a \\\n", "$ `", "[1, [2]]", "bash -c 'bash -c \"\"'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, words := range [][]string{{text}, strings.Fields(text)} {
			p, err := readPasted(words)
			if err != nil {
				continue
			}
			if slices.Contains(p.words, "\r") {
				t.Errorf("%q: %q", words, p.words)
			}
			_, _, _ = solve.ParsePasted(p.words)
		}
	})
}
