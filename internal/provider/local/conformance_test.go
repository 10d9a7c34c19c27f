package local_test

import (
	"testing"

	"justright/internal/provider/providertest"
	"justright/launch"
	"justright/solve"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		return providertest.Subject{
			Provider: newProvider(t, nil),
			Spec: launch.Spec{Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"},
				Cmd: []string{"trap 'exit 0' TERM; echo one; echo 'two  words'; echo three; while :; do sleep 0.05; done"}}},
			Lines: []string{"one", "two  words", "three"},
		}
	})
}
