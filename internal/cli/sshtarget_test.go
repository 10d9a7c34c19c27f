package cli

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"justright/sim/hubsim"
)

// sshSays is an ssh client that gives up with those words.
func sshSays(t *testing.T, words string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != -G ] || exit 0\nprintf '%%s\\n' '%s' >&2\nexit 255\n", words)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each way in which a machine cannot be had has its status and its next command, and leaves nothing in the journal.
func TestSSHRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words, on string
		exit      int
		code      string
	}{
		{"ssh: connect to host gpu port 22: Connection refused", "ssh://me@gpu", 5, "unreachable"},
		{"ssh: Could not resolve hostname gpu: Name or service not known", "ssh://gpu:2222/data", 5, "unreachable"},
		{"me@gpu: Permission denied (publickey).", "ssh://me@gpu", 4, "ssh_refused"},
		{"Host key verification failed.", "ssh://me@gpu", 4, "host_key"},
		{"", "ssh://-oProxyCommand=x", 2, "unknown_target"},
		{"", "ssh://me:secretword@gpu", 2, "secret_flag"},
	} {
		for _, line := range [][]string{{"up", "Qwen/Qwen3-0.6B", "--yes", "--json", "--on", c.on}, {"plan", "Qwen/Qwen3-0.6B", "--json", "--on", c.on}} {
			state := t.TempDir()
			env := map[string]string{"JUSTRIGHT_STATE_DIR": state, "JUSTRIGHT_SSH": sshSays(t, c.words), "XDG_RUNTIME_DIR": t.TempDir(), "HOME": t.TempDir()}
			code, stdout, stderr := runMain(t, env, line...)
			var doc struct {
				Schema, Code string
				Hints        []struct{ Command string }
			}
			if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != c.exit || doc.Code != c.code || len(doc.Hints) == 0 || doc.Hints[0].Command == "" {
				t.Errorf("%s with %q: exit %d, %v: %s%s", strings.Join(line, " "), c.words, code, err, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "secretword") {
				t.Errorf("%v shows the password: %s%s", line, stdout, stderr)
			}
			if code, stdout, _ := runMain(t, env, "ps", "--all", "--json", "--offline"); code != 0 || !strings.Contains(stdout, `"launches": []`) {
				t.Errorf("%v left a launch: %s", line, stdout)
			}
		}
	}
}

// On paper, for a card that is named, a machine need not be asked; the plan says that it was not.
func TestPlanForAMachineOutOfReach(t *testing.T) {
	t.Parallel()
	env := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir(), "JUSTRIGHT_SSH": sshSays(t, "ssh: connect to host gpu port 22: No route to host"), "HOME": t.TempDir()}
	code, stdout, stderr := runMain(t, env, "plan", "openai/gpt-oss-20b", "--on", "ssh://me@gpu", "--gpu", "L4", "--json")
	var doc struct {
		Target string
		Plans  []struct {
			Install, Image string
			Guarded        bool
			Price          *string `json:"price_per_hour"`
			Unknowns       []string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != 0 || len(doc.Plans) == 0 || doc.Target != "ssh://me@gpu" {
		t.Fatalf("exit %d, %v: %.400s%s", code, err, stdout, stderr)
	}
	for _, p := range doc.Plans {
		if p.Install != "wheels" || p.Image != "" || !p.Guarded || p.Price != nil || !strings.Contains(strings.Join(p.Unknowns, "\n"), "No route to host") {
			t.Errorf("plan %+v", p)
		}
	}
}

func TestExposeIsForSSH(t *testing.T) {
	if code, _, stderr := runMain(t, map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}, "up", "Qwen/Qwen3-0.6B", "--on", "local", "--expose", "gpu"); code != 2 || !strings.Contains(stderr, "--expose") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// The road as far as it goes without an engine: up makes the launch over there, reads its log, names what stops it, keeps the log, and
// leaves nothing on the host. Its address is exposed, so that no tunnel is begun from a test.
func TestUpOverSSH(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not here, and a start needs one")
	}
	home, state, model := t.TempDir(), t.TempDir(), t.TempDir()
	const header = `{"model.embed_tokens.weight":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`
	weights := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+"\x00\x00\x00\x00"...)
	const config = `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,
"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":1000,"max_position_embeddings":2048,"torch_dtype":"float16"}`
	if err := errors.Join(os.WriteFile(filepath.Join(model, "config.json"), []byte(config), 0o600), os.WriteFile(filepath.Join(model, "model.safetensors"), weights, 0o600)); err != nil {
		t.Fatal(err)
	}
	hub := &hubsim.Hub{}
	if err := hub.Add("acme/tiny", hubsim.Repo{Dir: model}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(hub)
	defer server.Close()
	client := filepath.Join(t.TempDir(), "ssh")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = -G ]; then echo hostname 127.0.0.1; exit; fi\nfor last; do :; done\necho 'Welcome to the box'\nHOME='%s' exec /bin/sh -c \"$last\"\n", home)
	if err := os.WriteFile(client, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"JUSTRIGHT_STATE_DIR": state, "JUSTRIGHT_SSH": client, "HOME": t.TempDir(), "HF_ENDPOINT": server.URL, "PIP_INDEX_URL": "http://127.0.0.1:1/simple"}
	code, stdout, stderr := runMain(t, env, "up", "acme/tiny", "--on", "ssh://me@box", "--expose", "127.0.0.1", "--name", "far", "--yes", "--json")
	if code != 5 || !strings.Contains(stdout, "index_unreachable") || !strings.Contains(stdout, `"outcome":"failed"`) {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, logs, stderr := runMain(t, env, "logs", "far"); code != 0 || !strings.Contains(logs, "guard status=armed by=local") || strings.Contains(logs, "Welcome") {
		t.Errorf("logs: exit %d: %s%s", code, logs, stderr)
	}
	if code, ps, stderr := runMain(t, env, "ps", "--json"); code != 0 || !strings.Contains(ps, `"launches": []`) {
		t.Errorf("ps: exit %d: %s%s", code, ps, stderr)
	}
	if left, err := filepath.Glob(filepath.Join(home, ".local/state/justright/ssh/s*")); err != nil || len(left) > 0 {
		t.Errorf("left on the host: %v, %v", left, err)
	}
}
