package runpodsim_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"justright/sim/runpodsim"
)

// ours starts a simulator whose pods have this machine's own tools.
func ours(t *testing.T, o runpodsim.Options) *world {
	t.Helper()
	o.Runner = &runpodsim.Shell{Dir: t.TempDir(), Path: os.Getenv("PATH")}
	if o.DelayScale == 0 {
		o.DelayScale = runpodsim.NoDelay
	}
	return serve(t, o)
}

func plainPod(extra map[string]any) map[string]any {
	body := map[string]any{"name": "s", "image": "runpod/base:1.0.2-ubuntu2404", "gpu": gpu("NVIDIA L4")}
	for k, v := range extra {
		body[k] = v
	}
	return body
}

// TestArgsReachTheProcess: what a string becomes on the way to the process, by a real shell, in every form that the API
// takes. No shell runs unless one is named.
func TestArgsReachTheProcess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  map[string]any
		want string
	}{
		{"words", map[string]any{"args": `printf <%s> a 'b c' "d e" f\ g`}, "<a><b c><d e><f g>"},
		{"nothing is expanded", map[string]any{"args": `printf <%s> $HOME a&&b ~`}, "<$HOME><a&&b><~>"},
		{"a shell that is named", map[string]any{"args": `sh -c 'echo one && echo "two  three"'`}, "two  three"},
		{"JSON object", map[string]any{"args": `{"cmd":["printf '<%s>' \"x  y\""],"entrypoint":["/bin/sh","-c"]}`}, "<x  y>"},
		{"unbalanced quote: white space", map[string]any{"args": `printf <%s> don't stop`}, "<don't><stop>"},
		{"exec form", map[string]any{"entrypoint": []string{"/bin/sh", "-c"}, "cmd": []string{`printf '<%s>' "$1" "a'b"`, "x"}}, "<><a'b>"},
		{"cmd alone", map[string]any{"cmd": []string{"printf", "<%s>", "q u"}}, "<q u>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := ours(t, runpodsim.Options{})
			w.await(w.create(plainPod(c.set)), "container: "+c.want)
		})
	}
}

// TestImageEntrypoint: args are appended to the image's entrypoint, so a command there becomes arguments.
func TestImageEntrypoint(t *testing.T) {
	t.Parallel()
	w := scripted(t, runpodsim.Options{})
	id := w.create(map[string]any{"name": "e", "image": "vllm/vllm-openai:v0.19.1", "gpu": map[string]any{"id": "NVIDIA L4", "count": 1, "minCudaVersion": "12.9"},
		"args": "vllm serve Qwen/Qwen3-0.6B"})
	w.await(id, "vllm: error: unrecognized arguments: serve Qwen/Qwen3-0.6B")
}

// TestStory is the tale of the three attempts, in one world: too old for the model, too new for the host, just right.
func TestStory(t *testing.T) {
	t.Parallel()
	w := scripted(t, runpodsim.Options{})
	card := map[string]any{"id": "NVIDIA GeForce RTX 4090", "count": 1, "allowedCudaVersions": []string{"12.8"}}
	old := w.create(map[string]any{"name": "one", "image": "vllm/vllm-openai:v0.6.3.post1", "args": "--model openai/gpt-oss-20b", "gpu": card})
	latest := w.create(map[string]any{"name": "two", "image": "vllm/vllm-openai:latest", "args": "openai/gpt-oss-20b", "gpu": card})
	naive := w.create(map[string]any{"name": "three", "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "gpu": card, "ports": []string{"8000/http"},
		"args": `bash -c "pip install vllm==0.19.1 transformers==4.57.6; python3 -m vllm.entrypoints.openai.api_server --model openai/gpt-oss-20b --max-model-len 8192 || sleep infinity"`})
	w.await(old, "model type `gpt_oss` but Transformers does not recognize this architecture")
	w.await(latest, "unsatisfied condition: cuda>=13.0")
	w.await(naive, "Resolved architecture: GptOssForCausalLM", "Application startup complete")
	if status, _, _ := w.raw("POST", "/proxy/"+naive+"/8000/invocations", `{"messages":[{"role":"user","content":"hi"}]}`); status != http.StatusOK {
		t.Errorf("the open door of a plain engine: %d", status)
	}
	cu13 := w.create(map[string]any{"name": "four", "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "gpu": card,
		"args": `bash -c "pip install vllm==0.30.0; python3 -m vllm.entrypoints.openai.api_server --model openai/gpt-oss-20b --max-model-len 8192; sleep 60"`})
	w.await(cu13, "The NVIDIA driver on your system is too old (found version 12080)")
}

// TestPodEndTakesAllProcesses: stop and delete end the first process, its children, and what left the process group.
func TestPodEndTakesAllProcesses(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("no setsid here")
	}
	w := ours(t, runpodsim.Options{})
	mark := fmt.Sprintf("%d.%d", os.Getpid(), time.Now().UnixNano()%1000000)
	for _, end := range []struct{ method, path, body string }{{"POST", "/action", `{"action":"stop"}`}, {"DELETE", "", ""}} {
		id := w.create(plainPod(map[string]any{"cmd": []string{"sh", "-c", "sleep 3" + mark + " & setsid sleep 4" + mark + " & echo up; wait"}}))
		w.await(id, "container: up")
		if n := sleepers(t, mark); n != 2 {
			t.Fatalf("%d sleepers in the pod, want 2", n)
		}
		w.raw(end.method, "/v2/pods/"+id+end.path, end.body)
		left := 2
		for range 50 {
			if left = sleepers(t, mark); left == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if left != 0 {
			t.Errorf("%s%s: %d processes survive their pod", end.method, end.path, left)
		}
	}
}

// sleepers counts the processes whose command line carries the mark.
func sleepers(t *testing.T, mark string) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	if len(files) == 0 {
		t.Skip("no /proc here")
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(b), "sleep\x00") && strings.Contains(string(b), mark) {
			n++
		}
	}
	return n
}

// TestDisks: an exit keeps the container disk, a stop wipes it, a volume stays as long as the pod.
func TestDisks(t *testing.T) {
	t.Parallel()
	w := ours(t, runpodsim.Options{})
	script := `echo "disk $(cat disk 2>/dev/null) volume $(cat "$V/kept" 2>/dev/null | tr -d '\n')."; echo x >>disk; mkdir -p "$V"; echo y >>"$V/kept"; [ $(wc -l <disk) -ge 2 ] && sleep 100; exit 3`
	id := w.create(plainPod(map[string]any{
		"cmd": []string{"sh", "-c", script}, "env": map[string]string{"V": "/workspace/data"},
		"mounts": map[string]any{"persistent": map[string]any{"size": 10, "path": "/workspace"}},
	}))
	w.await(id, "container: disk  volume .", "container: disk x volume y.")
	w.call("POST", "/v2/pods/"+id+"/action", `{"action":"stop"}`)
	w.call("POST", "/v2/pods/"+id+"/action", `{"action":"start"}`)
	w.await(id, "container: disk  volume yy.")
}

// TestEnvironment: what a pod finds, and that its ports lead to it.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	w := ours(t, runpodsim.Options{})
	w.call("PUT", "/v2/account/ssh-keys", `{"keys":["ssh-ed25519 AAAA me"]}`)
	id := w.create(plainPod(map[string]any{
		"ports": []string{"8000/http", "22/tcp"}, "startSsh": true, "env": map[string]string{"MINE": "a b"},
		"cmd": []string{"sh", "-c", `echo "$RUNPOD_POD_ID $RUNPOD_GPU_COUNT $RUNPOD_DC_ID [$MINE] $PUBLIC_KEY ${RUNPOD_API_KEY:+key} ${RUNPOD_TCP_PORT_22:+tcp} ${JUSTRIGHT_PORT:+port}"; sleep 100`},
	}))
	w.await(id, "container: "+id+" 1 EU-RO-1 [a b] ssh-ed25519 AAAA me key tcp port")
	_, doc := w.call("GET", "/v2/pods/"+id, "")
	if _, leaked := doc["env"].(map[string]any)["RUNPOD_API_KEY"]; leaked {
		t.Error("the pod's key is shown by the API")
	}
	ports := doc["runtime"].(map[string]any)["ports"].([]any)
	if len(ports) != 2 || doc["ssh"].(map[string]any)["direct"] == nil {
		t.Errorf("ports %v, ssh %v", ports, doc["ssh"])
	}
}

// TestMissingProgram: a start command that no image has fails as the runtime fails, for ever.
func TestMissingProgram(t *testing.T) {
	t.Parallel()
	w := ours(t, runpodsim.Options{})
	id := w.create(plainPod(map[string]any{"cmd": []string{"no-such-program"}}))
	w.await(id, `exec: "no-such-program": executable file not found in $PATH`)
	if _, doc := w.call("GET", "/v2/pods/"+id, ""); doc["status"] != "RUNNING" {
		t.Errorf("status %v", doc["status"])
	}
}

// TestDeclaredPort: a process that listens on the declared number itself is reached there; a stranger's port of this
// machine is not, though the pod declares its number.
func TestDeclaredPort(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 here")
	}
	stranger := serve(t, runpodsim.Options{})
	taken := stranger.url[strings.LastIndex(stranger.url, ":")+1:]
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	w := ours(t, runpodsim.Options{})
	id := w.create(plainPod(map[string]any{
		"ports": []string{free + "/http", taken + "/http"},
		"cmd":   []string{"sh", "-c", "echo hello >page; exec python3 -u -m http.server --bind 127.0.0.1 " + free},
	}))
	w.await(id, "Serving HTTP on")
	if status, _, body := w.raw("GET", "/proxy/"+id+"/"+free+"/page", ""); status != http.StatusOK || string(body) != "hello\n" {
		t.Errorf("the pod's own server: %d %q", status, body)
	}
	if status, _, _ := w.raw("GET", "/proxy/"+id+"/"+taken+"/", ""); status != http.StatusBadGateway {
		t.Errorf("a stranger's server: %d, want 502", status)
	}
}

// TestEqualIDs: two simulators of one machine may give the same id; the end of one's pod leaves the other's alone.
func TestEqualIDs(t *testing.T) {
	t.Parallel()
	a, b := ours(t, runpodsim.Options{Seed: 9}), ours(t, runpodsim.Options{Seed: 9})
	body := plainPod(map[string]any{"cmd": []string{"sh", "-c", "echo up; sleep 100; echo never"}})
	one, two := a.create(body), b.create(body)
	if one != two {
		t.Fatalf("ids %s and %s: the test proves nothing", one, two)
	}
	a.await(one, "container: up")
	b.await(two, "container: up")
	a.raw("DELETE", "/v2/pods/"+one, "")
	time.Sleep(700 * time.Millisecond) // a killed container would be started again by then
	n := 0
	for _, l := range b.logs(two) {
		if l == "container: up" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the other pod started %d times", n)
	}
}
