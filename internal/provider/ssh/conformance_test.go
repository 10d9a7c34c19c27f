package ssh_test

import (
	"testing"

	"justright/internal/provider/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		t.Parallel()
		return providertest.Subject{
			Provider: newBox(t).provider(nil),
			Spec:     spec("trap 'exit 0' TERM; echo one; echo 'two  words'; echo three; while :; do sleep 0.05; done", nil),
			Lines:    []string{"one", "two  words", "three"},
		}
	})
}
