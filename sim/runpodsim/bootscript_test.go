package runpodsim_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"justright/boot"
	"justright/sim/runpodsim"
	"justright/version"
)

// bootSpec is a small stack: gpt-oss-20b by wheels on a generic image.
func bootSpec() boot.Spec {
	return boot.Spec{
		Engine: "vllm==0.19.1", Install: "wheels",
		Env:   boot.Environment{Pythons: []string{"3.12"}, Requirements: []string{"vllm==0.19.1", "transformers==4.57.6"}},
		Model: boot.Model{ID: "openai/gpt-oss-20b"},
		Preflight: boot.Preflight{GPUs: 1, MinCUDA: version.CUDA{Major: 12, Minor: 1}, GPUMiB: 20000, GPUPercent: 90, EnvMiB: 14000,
			WeightsMiB: 13380},
		Argv: []boot.Word{{Text: "vllm"}, {Text: "serve"}, {Var: boot.VarModel}, {Text: "--served-model-name"}, {Text: "openai/gpt-oss-20b"},
			{Text: "--max-model-len"}, {Text: "8192"}, {Text: "--port"}, {Var: boot.VarPort}},
		Door: true, Port: 8000, Hold: time.Minute,
	}
}

// TestBootScript runs justright's own start script, as it is, in a pod: both ways a start command can be sent, to a
// served model behind the proxy, and the guard's hand on its own pod.
func TestBootScript(t *testing.T) {
	t.Parallel()
	script, err := boot.Render(bootSpec())
	if err != nil {
		t.Fatal(err)
	}
	start := script.Start()
	for _, way := range []struct {
		name string
		set  map[string]any
	}{
		{"exec form", map[string]any{"entrypoint": start.Entrypoint, "cmd": start.Cmd}},
		{"args string", map[string]any{"args": start.Args}},
	} {
		t.Run(way.name, func(t *testing.T) {
			w := scripted(t, runpodsim.Options{Seed: 1})
			body := map[string]any{
				"name": "boot", "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "disk": 60, "ports": []string{"8000/http"},
				"gpu": map[string]any{"id": "NVIDIA RTX A5000", "count": 1, "minCudaVersion": "12.8"},
				"env": map[string]string{"VLLM_API_KEY": "secret-key", "RUNPOD_API_BASE_URL": w.url, "JUSTRIGHT_ATTEMPT": "a1", "JUSTRIGHT_GUARD_TICK": "1",
					"JUSTRIGHT_END_BY": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)},
			}
			for k, v := range way.set {
				body[k] = v
			}
			id := w.create(body)
			log := w.await(id, "guard status=armed", "phase=preflight status=ok", "phase=env status=ok", "phase=weights status=ok",
				"Resolved architecture: GptOssForCausalLM", "phase=ready status=ok")
			for _, l := range log {
				if strings.Contains(l, "secret-key") {
					t.Errorf("the key is in the log: %s", l)
				}
			}
			account := w.key
			w.key = "secret-key"
			if status, doc := w.call("GET", "/proxy/"+id+"/8000/v1/models", ""); status != http.StatusOK || !strings.Contains(pretty(doc), "openai/gpt-oss-20b") {
				t.Errorf("models: %d %v", status, doc)
			}
			w.key = "wrong"
			for _, p := range []string{"/v1/models", "/metrics", "/tokenize"} {
				if status, _, _ := w.raw("GET", "/proxy/"+id+"/8000"+p, ""); status != http.StatusUnauthorized {
					t.Errorf("%s without the key: %d", p, status)
				}
			}
			// The lifetime moves through the door, and the guard follows it: here into the past.
			now := strconv.FormatInt(time.Now().Unix(), 10)
			if status, _, _ := w.raw("POST", "/proxy/"+id+"/8000/justright/extend", now); status != http.StatusUnauthorized {
				t.Errorf("extend without the key: %d", status)
			}
			w.key = "secret-key"
			if status, _, body := w.raw("POST", "/proxy/"+id+"/8000/justright/extend", now); status != http.StatusOK || string(body) != now {
				t.Errorf("extend: %d %s", status, body)
			}
			w.key = account
			there := http.StatusOK
			for until := time.Now().Add(20 * time.Second); there != http.StatusNotFound && time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
				there, _, _ = w.raw("GET", "/v2/pods/"+id, "")
			}
			if there != http.StatusNotFound {
				t.Errorf("the guard did not follow the moved end: the pod answers %d", there)
			}
		})
	}
}
