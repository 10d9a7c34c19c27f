package memory_test

import (
	"testing"
	"time"

	"justright/internal/provider/memory"
	"justright/internal/provider/providertest"
	"justright/launch"
	"justright/money"
)

func TestConformance(t *testing.T) {
	lines := []string{"one", "two", "two", "three"}
	providertest.Run(t, func(*testing.T) providertest.Subject {
		return providertest.Subject{
			Provider: memory.New(time.Now, money.Dollar/4, lines...),
			Spec:     launch.Spec{GPU: "l4", Ports: []string{"8000/http"}}, Lines: lines,
		}
	})
}
