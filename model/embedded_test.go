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

// What a record publishes of its size stands in where the shape does not tell all, and experts of a latent width are counted so.
func TestSizesOfRecords(t *testing.T) {
	want := map[string][2]int64{"MiniMaxAI/MiniMax-M3": {427e9, 854e9}, "stepfun-ai/Step-3.7-Flash": {198e9, 396e9}, "moonshotai/Kimi-K3": {2772e9, 0}}
	for _, m := range catalog.Models() {
		w, ok := want[m.ID]
		if !ok {
			continue
		}
		delete(want, m.ID)
		p, err := FromRecord(m)
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Parameters - w[0]; d > 1e9 || d < -1e9 || w[1] > 0 && p.WeightsBytes != w[1] {
			t.Errorf("%s: %d parameters, %d bytes; want about %d and %d", m.ID, p.Parameters, p.WeightsBytes, w[0], w[1])
		}
	}
	if len(want) > 0 {
		t.Errorf("no record of %v", want)
	}
}
