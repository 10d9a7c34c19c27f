package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"justright/catalog"
	"justright/problem"
)

// doctor asks the target that is named, and says what stands in the way of it.
func TestDoctorOfATarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(broken, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		on, says string
		env      map[string]string
		exit     problem.Exit
	}{
		{"kubernetes", "FAILED cluster", map[string]string{"KUBECONFIG": filepath.Join(dir, "none")}, problem.ExitCredentials},
		{"kubernetes", "FAILED cluster", map[string]string{"KUBECONFIG": broken}, problem.ExitCredentials},
		{"ssh://user@machine.invalid", "FAILED machine", map[string]string{"JUSTRIGHT_SSH": "false"}, problem.ExitCapacity},
		{"moon", "the targets are", nil, problem.ExitUsage},
	} {
		env := map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir(), "HOME": t.TempDir(), "PATH": os.Getenv("PATH")}
		for k, v := range tt.env {
			env[k] = v
		}
		out, errs, status := resolverLine(t, dir, env, "doctor", "--on", tt.on)
		if problem.Exit(status) != tt.exit || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: exit %d, want %d, and %q in\n%s%s", tt.on, status, tt.exit, tt.says, out, errs)
		}
	}
	at := target{why: "context c, namespace n"}
	if f := clusterFinding(at, []catalog.Offer{{GPU: "l4", MaxCount: 1}, {GPU: "h100-sxm", MaxCount: 8}, {}}); f.Status != "ok" || !strings.Contains(f.Detail, "2 kinds of card, up to 8") {
		t.Errorf("%+v", f)
	}
	if f := clusterFinding(at, []catalog.Offer{{}}); f.Status != "note" {
		t.Errorf("%+v", f)
	}
}
