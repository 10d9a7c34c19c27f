package store

import "justright/internal/filelock"

// LockFile takes an exclusive lock among processes by a file, and waits for it. The kernel gives it back when the process
// dies.
func LockFile(path string) (unlock func(), err error) { return filelock.Wait(path) }
