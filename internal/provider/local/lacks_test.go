package local_test

import (
	"slices"
	"testing"

	"justright/internal/provider/local"
)

func TestLacks(t *testing.T) {
	all := newProvider(t, nil)
	if got := all.Lacks(t.Context()); len(got) != 0 {
		t.Errorf("this machine, which runs the other tests, lacks %v", got)
	}
	bare := newProvider(t, func(c *local.Config) { c.Environ = []string{"PATH=/nonexistent"} })
	if got := bare.Lacks(t.Context()); !slices.Contains(got, "sh") || !slices.Contains(got, "df") {
		t.Errorf("an empty PATH lacks %v", got)
	}
}
