package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"justright/internal/store"
	"justright/internal/store/storetest"
	"justright/launch"
)

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory() })
}

func TestSQLiteConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, t.TempDir()) })
}

func openAt(t *testing.T, dir string) *store.Journal {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJournalOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state?with&odd #name")
	s := openAt(t, dir)
	owner, err := s.Owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), launch.State{ID: "1", Name: "x", Wanted: launch.WantRunning}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir)
	if got, err := s.Owner(t.Context()); err != nil || got != owner {
		t.Errorf("owner %q, %v; was %q", got, err, owner)
	}
	if _, err := s.Task(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	_ = s.Close()
	for _, name := range []string{"journal.db", "owner"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable by others: %v", name, info.Mode())
		}
	}
}

// A lost journal must not lose the machines: the owner id stands in a file of its own, and the other way round.
func TestOwnerOutlivesTheJournal(t *testing.T) {
	for _, lost := range []string{"journal.db", "owner"} {
		dir := t.TempDir()
		s := openAt(t, dir)
		owner, err := s.Owner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		if err := os.Remove(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, dir)
		if got, err := s.Owner(t.Context()); err != nil || got != owner {
			t.Errorf("without %s the owner is %q, %v; was %q", lost, got, err, owner)
		}
		_ = s.Close()
	}
}

func TestTwoProcessesOpenANewJournal(t *testing.T) {
	dir := t.TempDir()
	owners := make([]string, 6)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			s, err := store.OpenSQLite(context.WithoutCancel(t.Context()), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			owners[i], err = s.Owner(t.Context())
			if err != nil {
				t.Error(err)
			}
			if err := s.AppendEvent(t.Context(), "x", time.Unix(1, 0), []byte("{}")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, o := range owners {
		if o != owners[0] {
			t.Errorf("owners differ: %q", owners)
			break
		}
	}
}
