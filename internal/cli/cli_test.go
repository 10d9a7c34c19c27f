package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// runIn drives Main in-process in w, without a terminal and with an environment of its own.
func runIn(w World, env map[string]string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	w.Stdin, w.Stdout, w.Stderr = strings.NewReader(""), &out, &errs
	w.Env, w.Environ = func(k string) string { return env[k] }, func() []string { return nil }
	if w.Now == nil {
		w.Now = time.Now
	}
	code = Main(context.Background(), w)
	return code, out.String(), errs.String()
}

// runMain runs one command line in an empty directory.
func runMain(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runIn(World{Args: args, Dir: t.TempDir()}, env)
}

func TestUsageErrorsExit2(t *testing.T) {
	t.Parallel()
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

// An empty value is a script's unset variable: it must not mean any card, any image, any price.
func TestEmptyFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"plan", "gpt-oss-20b", "--gpu", ""}, {"check", "gpt-oss-20b", "--image="}, {"up", "gpt-oss-20b", "--on", " "}, {"plan", "gpt-oss-20b", "--max-price", ""},
	} {
		code, _, stderr := runMain(t, map[string]string{"JUSTRIGHT_STATE_DIR": t.TempDir()}, args...)
		if code != 2 || !strings.Contains(stderr, "is empty") {
			t.Errorf("%q: exit %d, want 2: %s", args, code, stderr)
		}
	}
	if _, _, stderr := runMain(t, nil, "extendd", "x", "--ttl", "1h"); !strings.Contains(stderr, `no command "extendd"`) {
		t.Errorf("an unknown command with flags: %s", stderr)
	}
}

func TestBadPinsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"plan", "gpt-oss-20b", "--image", "::::"}, {"check", "gpt-oss-20b", "--date", "2025-13-01"}, {"plan", "gpt-oss-20b", "--on", "ssh://"},
		{"check", "gpt-oss-20b", "--context", "-1"}, {"plan", "gpt-oss-20b", "--engine-version", "banana"},
	} {
		if code, stdout, stderr := runMain(t, nil, args...); code != 2 {
			t.Errorf("%q: exit %d, want 2: %s%s", args, code, stdout, stderr)
		}
	}
}
