package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
