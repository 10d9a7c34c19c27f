package cli

import (
	"context"

	"justright/problem"
	"justright/solve"
)

// writeLock saves a plan with everything that settles it. It needs the package index for the hashes.
func (w *World) writeLock(context.Context, string, solve.Request, solve.Stack) error {
	return problem.New(problem.ExitCapacity, "lock_incomplete", "the lock cannot be written").Because("%s", "the hashes of the wheels are not known offline")
}
