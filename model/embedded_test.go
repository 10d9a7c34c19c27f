package model

import (
	"testing"

	"justright/catalog"
)

// Every embedded record is read, and where a parameter count is published, counting the parts agrees with it.
func TestEmbeddedModels(t *testing.T) {
	for _, m := range catalog.Models() {
		p, err := FromRecord(m)
		if err != nil {
			t.Errorf("%s: %v", m.ID, err)
			continue
		}
		if p.Architecture == "" || p.Layers == 0 || len(p.Sources) == 0 {
			t.Errorf("%s: architecture %q, %d layers, %d sources", m.ID, p.Architecture, p.Layers, len(p.Sources))
		}
		counted, err := FromConfig(m.Config, Sizes{QuantConfig: m.HFQuantConfig})
		if err != nil {
			t.Fatal(err)
		}
		if _, complete := counted.Parts(); complete && m.Parameters > 0 {
			if d := float64(counted.Parameters-m.Parameters) / float64(m.Parameters); d > 0.0001 || d < -0.0001 {
				t.Errorf("%s: counted %d parameters, published %d", m.ID, counted.Parameters, m.Parameters)
			}
		}
	}
}
