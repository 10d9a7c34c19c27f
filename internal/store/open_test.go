package store_test

import (
	"os"
	"os/exec"
	"sync"
	"testing"

	"justright/internal/store"
)

// openVariable names the directory that a process of this test opens a journal in.
const openVariable = "JUSTRIGHT_TEST_OPEN"

// Processes that open a new journal at the same instant all get it.
func TestOpenANewJournalAtOnce(t *testing.T) {
	if dir := os.Getenv(openVariable); dir != "" {
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the pipe is closed
		j, err := store.OpenSQLite(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		return
	}
	for range 3 {
		dir := t.TempDir()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 8 {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenANewJournalAtOnce$")
			c.Env = append(os.Environ(), openVariable+"="+dir, "GORACE=atexit_sleep_ms=0")
			c.Stdin = r
			all.Go(func() {
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		_ = w.Close() // those that are up open at once, the others as they come
		all.Wait()
		_ = r.Close()
	}
}
