//go:build linux

package local_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"justright/internal/provider/local"
)

// TestEnvironmentsAreTidied: the newest four stay, and what is in use, and what was used within a day; the others go
// with their links, and the log says so.
func TestEnvironmentsAreTidied(t *testing.T) {
	cache := t.TempDir()
	root := filepath.Join(cache, "envs")
	make1 := func(key string, days float64, whole bool) string {
		dir := filepath.Join(root, key+".attempt")
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		stamped := dir
		if whole {
			stamped = filepath.Join(dir, ".justright-complete")
			if err := os.WriteFile(stamped, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dir, filepath.Join(root, key)); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Now().Add(-time.Duration(days * 24 * float64(time.Hour)))
		if err := os.Chtimes(stamped, then, then); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for i, key := range []string{"n1", "n2", "n3", "n4"} {
		make1(key, 10+float64(i), true)
	}
	make1("old", 20, true)
	busy := make1("busy", 30, true)
	make1("cut-off", 2, false)
	make1("installing", 0.1, false)

	user := exec.CommandContext(t.Context(), "/bin/sleep", "60")
	user.Env = []string{"VIRTUAL_ENV=" + busy + "/"}
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = user.Process.Kill(); _ = user.Wait() }()

	p := newProvider(t, func(c *local.Config) { c.CacheDir = cache; c.Find = func(string) string { return "" } })
	in := create(t, p, "echo up; sleep 5", nil)
	var left []string
	all, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		left = append(left, e.Name())
	}
	want := []string{"busy", "busy.attempt", "installing.attempt", "n1", "n1.attempt", "n2", "n2.attempt", "n3", "n3.attempt", "n4", "n4.attempt"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	raw, err := os.ReadFile(filepath.Join(local.DirOf(p, in.ID), "log"))
	if first, _, _ := strings.Cut(string(raw), "\n"); err != nil || !strings.Contains(first, "old.attempt") || !strings.Contains(first, "cut-off.attempt") {
		t.Errorf("the log begins with %q, %v", first, err)
	}
}
