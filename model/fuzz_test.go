package model

import (
	"math"
	"testing"

	"justright/catalog"
)

// Whatever a config says, reading it ends, and what it gives is finite and not negative.
func FuzzFromConfig(f *testing.F) {
	for i, m := range catalog.Models() {
		if i%7 == 0 {
			f.Add([]byte(m.Config), []byte(m.HFQuantConfig))
		}
	}
	f.Add([]byte(`{"text_config":{"text_config":{"text_config":{"num_hidden_layers":2000}}},"layer_types":["x"]}`), []byte(`{"quantization":{}}`))
	f.Fuzz(func(t *testing.T, config, quant []byte) {
		p, err := FromConfig(config, Sizes{QuantConfig: quant})
		if err != nil {
			return
		}
		parts, _ := p.Parts()
		for _, part := range parts {
			per, _ := p.Quant.StoredBytes(part.Role, part.Layers, 2)
			if math.IsNaN(part.Weights) || math.IsInf(part.Weights, 0) || part.Weights < 0 || math.IsNaN(per) || per < 0 || per > 8 {
				t.Errorf("%s: %g weights of %g bytes", part.Role, part.Weights, per)
			}
		}
		if p.Parameters < 0 || p.Layers < 0 || p.Layers > maxLayers || len(p.LayerKinds) != 0 && len(p.LayerKinds) != p.Layers {
			t.Errorf("parameters %d, layers %d, kinds %d", p.Parameters, p.Layers, len(p.LayerKinds))
		}
	})
}

// Whatever a header says, its tensors stay inside the file.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"x":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}`), int64(200))
	f.Add([]byte(`{"__metadata__":{}}`), int64(0))
	f.Fuzz(func(t *testing.T, header []byte, size int64) {
		tensors, err := ParseHeader(header, size)
		if err != nil {
			return
		}
		sum := int64(0)
		for _, x := range tensors {
			if x.Bytes < 0 || x.Elements < 0 {
				t.Fatalf("%+v", x)
			}
			sum += x.Bytes
		}
		if size > 0 && sum > size {
			t.Errorf("%d bytes of tensors in a file of %d", sum, size)
		}
	})
}
