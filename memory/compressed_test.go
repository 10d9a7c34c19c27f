package memory

import (
	"math"
	"testing"

	"justright/model"
)

// TestCompressedCache holds DeepSeek V4's layout to published starts: 1.34 GiB "needed" for 131072 tokens at the
// default batch, and 18.63 GiB for 1.3049 requests of 500000 tokens with 16384 tokens a step, two steps in flight.
func TestCompressedCache(t *testing.T) {
	p := profile(t, "deepseek-ai/DeepSeek-V4-Flash")
	u := on("0.23.0", "", "--block-size", "256", "--max-num-batched-tokens", "2048", "--kv-cache-dtype", "fp8_ds_mla")
	r := rulesFor(u.Version)
	if got := arrange(&p, u, r).need(131072, 2048, u, r) / GiB; math.Abs(got-1.342) > 0.001 {
		t.Errorf("131072 tokens need %.3f GiB, the engine said 1.34", got)
	}
	u = on("0.31.0", "", "--max-num-batched-tokens", "16384")
	r = rulesFor(u.Version)
	l := arrange(&p, u, r)
	if got := math.Floor(18.63*GiB/l.blockBytes) / l.shared(500000, 16384, u, r); math.Abs(got-652465.0/500000) > 0.002 {
		t.Errorf("%.4f requests of 500000 tokens, the engine said 1.3049", got)
	}
	if len(l.groups) != 4 {
		t.Errorf("%d groups", len(l.groups))
	}
	u.Speculative = Speculative{On: true, Method: "mtp"}
	if more := arrange(&p, u, r); more.need(500000, 16384, u, r) < l.need(500000, 16384, u, r) {
		t.Error("the prediction layer's window costs nothing")
	}
}

// TestBatchDecides: without the batch, what a token costs is not said, and a verdict comes from the bounds.
func TestBatchDecides(t *testing.T) {
	p := profile(t, "deepseek-ai/DeepSeek-V4-Flash")
	b := Estimate(p, on("0.31.0", "B300", "--max-model-len", "65536"))
	if b.KVBytesPerToken != 0 || len(b.Unknowns) == 0 || b.Fits == nil || !*b.Fits {
		t.Errorf("fits %v, %d bytes a token, unknown %v: %s", b.Fits, b.KVBytesPerToken, b.Unknowns, b.Reason)
	}
	if b := Estimate(p, on("0.31.0", "H200", "--max-model-len", "65536")); b.Fits == nil || *b.Fits {
		t.Errorf("on one H200: fits %v: %s", b.Fits, b.Reason)
	}
}

func TestGroupLength(t *testing.T) {
	for _, tt := range []struct {
		counts []int
		least  int
		want   int
	}{{[]int{21, 43, 21, 20}, 21, 22}, {[]int{31, 61, 30, 31}, 31, 31}, {[]int{10}, 10, 10}, {nil, 0, 1}} {
		if got := groupLength(tt.counts, tt.least); got != tt.want {
			t.Errorf("%v from %d: %d, want %d", tt.counts, tt.least, got, tt.want)
		}
	}
}

// TestWeightsOfOneRank holds divisions and storage to "Model loading took" lines of published logs.
func TestWeightsOfOneRank(t *testing.T) {
	llama := `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":8192}`
	nemo := `{"architectures":["MistralForCausalLM"],"model_type":"mistral","hidden_size":5120,"intermediate_size":14336,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,"vocab_size":131072,"max_position_embeddings":128000}`
	for _, tt := range []struct {
		name, config string
		use          Use
		gib, within  float64
	}{
		{"bitsandbytes with nested scales, 0.5.0.post1", llama, on("0.5.0.post1", "", "--quantization", "bitsandbytes"), 5.3128, 0.01},
		{"fp8 over two stages, 0.5.5", nemo, on("0.5.5", "", "--quantization", "fp8", "--pipeline-parallel-size", "2"), 6.5727, 0.04},
		{"16 bit over two ranks, 0.5.0.post1", llama, on("0.5.0.post1", "", "--tensor-parallel-size", "2"), 7.4829, 0.005},
	} {
		p, err := model.FromConfig([]byte(tt.config), model.Sizes{})
		if err != nil {
			t.Fatal(err)
		}
		got := float64(Estimate(p, tt.use).WeightsBytes) / GiB
		if math.Abs(got/tt.gib-1) > tt.within {
			t.Errorf("%s: %.4f GiB, the log says %.4f", tt.name, got, tt.gib)
		}
	}
	gemma := profile(t, "google/gemma-3-27b-it")
	for tp, gib := range map[int]float64{4: 13.1664, 8: 6.7403} {
		u := on("0.8.2", "")
		u.TensorParallel = tp
		if got := float64(Estimate(gemma, u).WeightsBytes) / GiB; math.Abs(got/gib-1) > 0.02 {
			t.Errorf("gemma 3 27B over %d ranks: %.4f GiB, the log says %.4f", tp, got, gib)
		}
	}
}
