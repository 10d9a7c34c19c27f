package memory

import (
	"math"
	"testing"

	"justright/catalog"
	"justright/model"
	"justright/version"
)

// Whatever a config and the flags say, the account ends, its terms are ordered, and an answer has a reason.
func FuzzEstimate(f *testing.F) {
	for i, m := range catalog.Models() {
		if i%9 == 0 {
			f.Add([]byte(m.Config), "0.25.1", int64(24)<<30, 2, "--kv-cache-dtype=fp8")
		}
	}
	f.Add([]byte(`{"num_hidden_layers":2,"hidden_size":64,"num_attention_heads":4,"layer_types":["mamba","full_attention"],"mamba_n_heads":1}`), "0.9.0", int64(1), 1000000, "--max-model-len=1000000000")
	f.Fuzz(func(t *testing.T, config []byte, v string, total int64, tp int, flag string) {
		p, err := model.FromConfig(config, model.Sizes{})
		if err != nil {
			return
		}
		u := Use{GPU: GPU{TotalBytes: total}, TensorParallel: tp}
		if parsed, err := version.ParsePEP440(v); err == nil {
			u.Version = parsed
		}
		u.ApplyFlags([]string{flag})
		b := Estimate(p, u)
		for _, x := range b.Terms {
			if x.Low > x.Bytes || x.Bytes > x.High {
				t.Errorf("%+v", x)
			}
		}
		if b.Fits != nil && b.Reason == "" || b.KVTokens < 0 || b.WeightsBytes < 0 || b.KVBytesPerToken < 0 || b.MaxContext < 0 || math.IsNaN(b.Concurrency) {
			t.Errorf("%+v", b)
		}
	})
}
