package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"justright/problem"
)

// A file that somebody asked for is whole or as it was, and nothing else is left beside it.
func TestFilesAreWholeOrNot(t *testing.T) {
	t.Parallel()
	const m = "openai/gpt-oss-20b"
	for _, args := range []string{"export " + m + " --as script -o FILE", "matrix " + m + " --html FILE"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "out")
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, status := resolverLine(t, dir, nil, strings.Fields(strings.Replace(args, "FILE", "out", 1))...); status != 0 {
			t.Fatalf("%s: exit %d: %s", args, status, errs)
		}
		raw, err := os.ReadFile(file)
		info, serr := os.Stat(file)
		if err != nil || serr != nil || len(raw) < 1000 || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %d bytes, %v, %v", args, len(raw), info.Mode(), err)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("%s leaves %v, %v", args, all, err)
		}
		for _, bad := range []string{"no/such/dir/out", "."} {
			_, errs, status := resolverLine(t, dir, nil, strings.Fields(strings.Replace(args, "FILE", bad, 1))...)
			if problem.Exit(status) != problem.ExitUsage || !strings.Contains(errs, "cannot write") {
				t.Errorf("%s to %s: exit %d: %s", args, bad, status, errs)
			}
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("%s leaves %v, %v", args, all, err)
		}
	}
	// What is no regular file is written, not replaced.
	r, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	w := World{Dir: t.TempDir()}
	path := "/proc/self/fd/" + strconv.Itoa(int(to.Fd()))
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc here")
	}
	if _, err := w.keepFile(path, []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	_ = to.Close()
	if raw, err := io.ReadAll(r); err != nil || string(raw) != "x" {
		t.Errorf("%q, %v", raw, err)
	}
	// A lock has its place before a network is asked for what it holds.
	if _, errs, status := resolverLine(t, t.TempDir(), nil, "plan", m, "--lock", "no/such/dir/l.json"); problem.Exit(status) != problem.ExitUsage || !strings.Contains(errs, "there is no directory") {
		t.Errorf("exit %d: %s", status, errs)
	}
}
