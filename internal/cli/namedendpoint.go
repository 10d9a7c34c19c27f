package cli

import (
	"context"

	"justright/problem"
)

// launchEndpoint finds a launch of the journal by its name.
func (w *World) launchEndpoint(_ context.Context, name string) (knownEndpoint, error) {
	return knownEndpoint{}, problem.New(problem.ExitUsage, "unknown_launch", "no launch is called %q", name).
		Try("see what runs", "justright ps").
		Try("an endpoint that is no launch is given by its address", "justright verify http://HOST:PORT --key-file FILE")
}
