package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// run drives Main in-process, without a terminal and with an environment of its own.
func runMain(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), World{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Env: func(k string) string { return env[k] }, Environ: func() []string { return nil },
		Now: time.Now, Dir: t.TempDir(),
	})
	return code, out.String(), errs.String()
}

func TestUsageErrorsExit2(t *testing.T) {
	for _, args := range [][]string{
		{"plam"}, {"plan"}, {"plan", "a", "b"}, {"plan", "--no-such-flag"}, {"show"}, {"extend"}, {"export"}, {"why-not", "x"},
		{"exit-codes", "x"}, {"fit"}, {"matrix"}, {"bundle"}, {"logs"},
	} {
		code, _, stderr := runMain(t, map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}, args...)
		if code != 2 || !strings.Contains(stderr, "hint:") {
			t.Errorf("%v: exit %d, want 2 with a hint: %s", args, code, stderr)
		}
		code, stdout, _ := runMain(t, map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}, append(args, "--json")...)
		var doc struct{ Schema, Code string }
		if err := json.Unmarshal([]byte(stdout), &doc); err != nil || doc.Schema != "justright/problem/1" || code != 2 {
			t.Errorf("%v --json: exit %d, %v, %q", args, code, err, stdout)
		}
	}
	if _, _, stderr := runMain(t, nil, "plam"); !strings.Contains(stderr, "justright plan") {
		t.Errorf("no suggestion: %s", stderr)
	}
}
