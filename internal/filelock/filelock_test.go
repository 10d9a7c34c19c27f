package filelock_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"justright/internal/filelock"
)

func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a second holder: %v, want ErrHeld", err)
	}
	waited := make(chan error, 1)
	go func() {
		r, err := filelock.Wait(path)
		if err == nil {
			r()
		}
		waited <- err
	}()
	select {
	case err := <-waited:
		t.Fatalf("waiting ended while the lock was held: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
