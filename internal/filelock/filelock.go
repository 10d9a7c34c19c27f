// Package filelock takes exclusive locks among processes by files. The kernel gives a lock back when its process dies.
package filelock

import (
	"errors"
	"os"
)

// ErrHeld says that another process, or another holder in this one, has the lock.
var ErrHeld = errors.New("the lock is held")

// Wait takes the lock and waits for it.
func Wait(path string) (release func(), err error) { return take(path, true) }

// Try takes the lock or fails with ErrHeld at once.
func Try(path string) (release func(), err error) { return take(path, false) }

func take(path string, wait bool) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f, wait); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
