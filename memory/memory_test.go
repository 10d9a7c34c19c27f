package memory

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"justright/catalog"
	"justright/model"
	"justright/version"
)

func profile(t testing.TB, id string) model.Profile {
	t.Helper()
	m := catalog.FindModels(id)
	if len(m) != 1 {
		t.Fatalf("%d models called %s", len(m), id)
	}
	p, err := model.FromRecord(m[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func on(v string, gpu string, flags ...string) Use {
	u := Use{}
	if v != "" {
		u.Version = version.MustParsePEP440(v)
	}
	if gpu != "" {
		u.GPU, _ = CardOf(gpu)
	}
	u.ApplyFlags(flags)
	return u
}

// Published log lines: what vLLM printed for weights ("Model loading took"), and cache bytes over tokens. Zero is
// not published. Sources stand beside each.
func TestMeasured(t *testing.T) {
	tests := []struct {
		model   string
		use     Use
		weights float64 // GiB
		token   int64
		source  string
	}{
		{"openai/gpt-oss-120b", on("0.10.1.1", "A100 80GB", "--tensor-parallel-size", "4", "--max-model-len", "16384"), 17.2217, 18432, "dennislee22/vLLM-benchmarking"},
		{"huihui-ai/Huihui-gpt-oss-20b-mxfp4-abliterated-v2", on("0.13.0", "GB10", "--max-model-len", "8192"), 13.7193, 49161, "TW-10519/VLLM-ROUTER"},
		{"Qwen/Qwen3-4B", on("0.10.2", ""), 7.5552, 147468, "benyucong/neo4j-graphrag-python"},
		{"Qwen/Qwen3-235B-A22B-FP8", on("0.10.0", "H100", "-tp", "8", "--kv-cache-dtype", "fp8", "--enable-expert-parallel"), 27.6656, 24061, "DaisukeTakai/eval_dataset"},
		{"google/gemma-4-26B-A4B-it", on("0.20.0", "GB10", "--max-model-len", "8192", "--max-num-batched-tokens", "4096"), 48.5, 245743, "jethac/dgx-spark-hijinks"},
		{"cyankiwi/gemma-4-26B-A4B-it-qat-AWQ-INT4", on("0.25.1", "GB10", "--max-num-seqs", "32"), 0, 23243, "sostrowsk/dgx-spark-local-llm"},
		{"RedHatAI/Qwen3.6-35B-A3B-NVFP4", on("0.25.1", "GB10", "--speculative-config", `{"method":"mtp","num_speculative_tokens":2}`), 23.45, 23676, "sostrowsk/dgx-spark-local-llm"},
		{"Qwen3.6-35B-A3B NVFP4 (local copy)", on("0.24.0", "RTX 5090", "--kv-cache-dtype", "fp8", "--max-model-len", "131072"), 0, 11305, "noonghunna/club-3090 issue 612"},
		{"google/gemma-4-31B-it", on("0.25.1", "H200"), 0, 110774, "redhat-performance/configiq issue 112"},
		{"Qwen/Qwen3-VL-Embedding-2B", on("0.11.0", "T4", "--enforce-eager", "--limit-mm-per-prompt", `{"image":0,"video":0}`), 3.4554, 114688, "zjpzhao/vllm-qwen3vl-cu118-t4"},
		{"Qwen/Qwen3-VL-2B-Instruct", on("0.32.0", "", "--max-model-len", "8192"), 4.0317, 114688, "vLLM 0.32's own classes"},
		{"Qwen/Qwen2.5-14B-Instruct-AWQ", on("0.13.0", ""), 9.3795, 196633, "kumaxxp/duo-talk"},
		{"meta-llama/Meta-Llama-3-8B-Instruct", on("0.13.0", "", "-tp=4"), 3.7418, 32767, "emocat17/GraphRAG"},
	}
	for _, tt := range tests {
		b := Estimate(profile(t, tt.model), tt.use)
		if got := float64(b.WeightsBytes) / GiB; tt.weights > 0 && math.Abs(got/tt.weights-1) > 0.03 {
			t.Errorf("%s: weights %.2f GiB, measured %.2f (%s)", tt.model, got, tt.weights, tt.source)
		}
		if math.Abs(float64(b.KVBytesPerToken)/float64(tt.token)-1) > 0.01 {
			t.Errorf("%s: %d bytes a token, measured %d (%s)", tt.model, b.KVBytesPerToken, tt.token, tt.source)
		}
	}
}

// What is left for the cache, against published starts whose card and batch are stated; the profile run is the
// part that is fitted.
func TestMeasuredBudget(t *testing.T) {
	tests := []struct {
		model string
		use   Use
		cache float64 // GiB
	}{
		{"Qwen/Qwen3-4B", on("0.10.2", "H100", "--gpu-memory-utilization", "0.9"), 58.05},
		{"Qwen/Qwen3-30B-A3B-Instruct-2507", on("0.22.1", "H100 80GB", "--quantization", "fp8", "--max-num-seqs", "64", "--max-num-batched-tokens", "8192"), 42.54},
		{"meta-llama/Meta-Llama-3-8B-Instruct", on("0.11.2", "H200"), 105.97},
		{"qwen25-3b-distill-merged", on("0.17.1", "A100"), 64.9},
		{"google/gemma-4-31B-it", on("0.25.1", "H200"), 64.68},
	}
	for _, tt := range tests {
		b := Estimate(profile(t, tt.model), tt.use)
		if got := float64(b.KVBudgetBytes) / GiB; math.Abs(got-tt.cache) > 1.5 {
			t.Errorf("%s: %.2f GiB for the cache, measured %.2f", tt.model, got, tt.cache)
		}
	}
}

// More of what the engine is given never takes away, whatever the model and card.
func TestMonotonic(t *testing.T) {
	for i, m := range catalog.Models() {
		p, err := model.FromRecord(m)
		if err != nil {
			t.Fatal(err)
		}
		gpu := offered[i%len(offered)]
		base := on("0.25.1", gpu)
		b := Estimate(p, base)
		more := base
		more.Utilization = 0.95
		if c := Estimate(p, more); c.KVBudgetBytes < b.KVBudgetBytes || c.MaxContext < b.MaxContext {
			t.Errorf("%s on %s: a larger share leaves less", m.ID, gpu)
		}
		small := base
		small.MaxSeqs = 8
		if c := Estimate(p, small); c.KVBudgetBytes < b.KVBudgetBytes {
			t.Errorf("%s on %s: fewer sequences leave less cache", m.ID, gpu)
		}
		two := base
		two.TensorParallel = 2
		if c := Estimate(p, two); c.WeightsBytes > b.WeightsBytes {
			t.Errorf("%s: two ranks hold %d each, one holds %d", m.ID, c.WeightsBytes, b.WeightsBytes)
		}
		half := base
		half.CacheDType = "fp8"
		if c := Estimate(p, half); c.KVBytesPerToken > b.KVBytesPerToken {
			t.Errorf("%s: an 8-bit cache costs %d a token, 16 bit %d", m.ID, c.KVBytesPerToken, b.KVBytesPerToken)
		}
		for _, x := range b.Terms {
			if x.Low > x.Bytes || x.High < x.Bytes || x.Formula == "" {
				t.Errorf("%s: term %+v", m.ID, x)
			}
		}
		if b.Fits != nil && *b.Fits && b.Context > 0 && b.KVBytesPerToken > 0 && b.MaxContext < b.Context {
			t.Errorf("%s: fits %d tokens, longest is %d", m.ID, b.Context, b.MaxContext)
		}
	}
}

var offered = []string{"L4", "RTX 4090", "L40S", "A100 80GB", "H100 80GB", "H200"}

// Runs that are known to have failed are never said to fit; runs that are known to have worked are never refused.
func TestJudgements(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name  string
		model string
		use   Use
		not   *bool
	}{
		{"weights above the share", "Qwen/Qwen2.5-Coder-7B-Instruct", on("0.13.0", "RTX 5080 16GB", "--gpu-memory-utilization", "0.7"), &yes},
		{"profile run eats the rest", "openai/gpt-oss-120b", on("0.14.1", "H100 80GB"), &yes},
		{"graphs beside a full share", "Qwen/Qwen3-30B-A3B", on("0.8.5", "A10 24GB", "-tp", "4", "--max-num-seqs", "1", "--max-model-len", "1024"), &yes},
		{"the same, eager", "Qwen/Qwen3-30B-A3B", on("0.8.5", "A10 24GB", "-tp", "4", "--max-num-seqs", "1", "--max-model-len", "1024", "--enforce-eager"), &no},
		{"long prompt of the first engine", "TheBloke/Phind-CodeLlama-34B-v2-AWQ", on("", "24 GB GPU", "--gpu-memory-utilization", "0.95"), &yes},
		{"bf16 on two cards", "meta-llama/Llama-4-Scout-17B-16E-Instruct", on("", "H100 NVL 96GB", "-tp", "2", "--max-model-len", "1000"), &yes},
		{"comfortable", "Qwen/Qwen3-30B-A3B-Instruct-2507", on("0.15.0", "H200", "--gpu-memory-utilization", "0.5", "--max-model-len", "16000"), &no},
	}
	for _, tt := range tests {
		b := Estimate(profile(t, tt.model), tt.use)
		if b.Fits != nil && *b.Fits == *tt.not {
			t.Errorf("%s: fits %v: %s", tt.name, *b.Fits, b.Reason)
		}
	}
	u := on("0.15.0", "H100 80GB", "--max-model-len", "4096")
	u.FreeBytes = 20 * GiB
	if b := Estimate(profile(t, "Qwen/Qwen3-4B"), u); b.Fits == nil || *b.Fits {
		t.Error("20 GiB free: the engine asks for 71 and stops")
	}
}

func TestUnknownStaysUnknown(t *testing.T) {
	p := profile(t, "Zyphra/Zamba2-7B-instruct") // embedded without the kinds of its layers
	b := Estimate(p, on("0.25.1", "H200"))
	if b.WeightsBytes != 0 || b.Fits != nil && *b.Fits || len(b.Unknowns) == 0 {
		t.Errorf("%+v", b)
	}
	if b := Estimate(profile(t, "Qwen/Qwen3-4B"), on("0.25.1", "")); b.Fits != nil || b.BudgetKnown || b.WeightsBytes == 0 || b.KVBytesPerToken == 0 {
		t.Errorf("no card: %+v", b)
	}
	if b := Estimate(model.Profile{}, Use{}); b.Fits != nil || len(b.Unknowns) == 0 {
		t.Errorf("nothing known: %+v", b)
	}
}

func TestFlags(t *testing.T) {
	u := on("", "", "--tensor-parallel-size=2", "--max-model-len", "32k", "--max_num_seqs", "8", "--enforce-eager", "--kv-cache-dtype", "FP8", "--kv-cache-memory-bytes", "4GiB",
		"--limit-mm-per-prompt", `{"image":0,"video":0}`, "--speculative-config", `{"method": "eagle3", "model": "a/b", "num_speculative_tokens": 5}`, "--enable-lora", "--max-loras", "4", "--unheard-of", "-1")
	if u.TensorParallel != 2 || u.Context != 32000 || u.MaxSeqs != 8 || !u.Eager || u.CacheDType != "fp8" || u.CacheBytes != 4*GiB || !u.TextOnly || u.Speculative.Tokens != 5 || u.Speculative.Draft != "a/b" || u.LoRAs != 4 {
		t.Errorf("%+v", u)
	}
	var bad Use
	for _, flags := range [][]string{{"--gpu-memory-utilization", "NaN"}, {"--cpu-offload-gb", "nan"}, {"--cpu-offload-gb", "Inf"}, {"--max-model-len"}} {
		if got := new(Use).ApplyFlags(flags); len(got) != 1 || strings.Contains(got[0], "  ") {
			t.Errorf("%v: %q", flags, got)
		}
	}
	if got := bad.ApplyFlags([]string{"--max-num-seqs", "many", "--gpu-memory-utilization", "1.5"}); len(got) != 2 {
		t.Errorf("problems: %q", got)
	}
}

func TestCardOf(t *testing.T) {
	for text, want := range map[string]float64{"H100": 79.2, "NVIDIA H100 80GB HBM3": 79.2, "H100 NVL 96GB": 93, "A100-SXM4-40GB": 39.4, "RTX 4090 48GB": 47.4, "24 GB GPU": 23.6, "GB10 128GB": 121.6, "V100 32GB": 31.74, "V100 16GB": 15.6, "L4": 22,
		"g5.12xlarge": 22, "ml.g6e.xlarge": 44.4, "Azure Standard_NC80adis_H100_v5": 93, "Standard_NC24ads_A100_v4": 79.2, "a2-highgpu-1g": 39.4, "p4d.24xlarge (A100)": 39.4} {
		g, ok := CardOf(text)
		if got := float64(g.TotalBytes) / GiB; !ok || math.Abs(got-want) > 0.1 {
			t.Errorf("%s: %.2f GiB, want %.2f", text, got, want)
		}
	}
	if _, ok := CardOf("toaster"); ok {
		t.Error("a toaster has no memory")
	}
}

func TestChoose(t *testing.T) {
	tests := []struct {
		model, gpu string
		context    int
		gpus       int
	}{
		{"openai/gpt-oss-20b", "RTX 4090", 0, 1},
		{"meta-llama/Llama-3.3-70B-Instruct", "H100 80GB", 32768, 4},
		{"Qwen/Qwen3-8B", "RTX 4090", 16384, 1},
	}
	for _, tt := range tests {
		u := on("0.31.0", tt.gpu)
		u.Context = tt.context
		c, ok := Choose(profile(t, tt.model), u, 8, 8192)
		if !ok || c.GPUs > tt.gpus || c.Answer.Fits == nil || !*c.Answer.Fits {
			t.Errorf("%s on %s: %d cards, found %v: %s", tt.model, tt.gpu, c.GPUs, ok, c.Answer.Reason)
		}
	}
	if ok, why := Divides(ptr(profile(t, "Qwen/Qwen3-30B-A3B-FP8")), 4); ok || why == "" {
		t.Error("768 over 4 ranks is 192: no multiple of 128")
	}
}

func ptr[T any](v T) *T { return &v }

func BenchmarkEstimate(b *testing.B) {
	p := profile(b, "openai/gpt-oss-120b")
	u := on("0.25.1", "H100 80GB")
	b.ReportAllocs()
	for b.Loop() {
		Estimate(p, u)
	}
}

// One request's need, as vLLM's own refusal stated it: "4.54 GiB KV cache is needed" for gpt-oss-120b at 131072
// tokens (vllm-project/vllm issue 27508; 18 layers that see everything, 18 that hold a window of 128 and 1024 in flight).
func TestNeedOfWindows(t *testing.T) {
	b := Estimate(profile(t, "openai/gpt-oss-120b"), on("0.11.0", "H100 80GB", "--max-num-batched-tokens", "1024"))
	if got := float64(b.NeedBytes) / GiB; math.Abs(got-4.5401) > 0.001 {
		t.Errorf("needs %.4f GiB, stated 4.54", got)
	}
	whole := Estimate(profile(t, "openai/gpt-oss-120b"), on("0.11.0", "H100 80GB", "--disable-hybrid-kv-cache-manager"))
	if got := float64(whole.NeedBytes) / GiB; math.Abs(got-9) > 0.001 {
		t.Errorf("without the hybrid manager %.4f GiB, 36 layers x 2048 B x 131072 are 9", got)
	}
	hour := Estimate(profile(t, "mistralai/Mistral-Small-4-119B-2603"), on("", "H200")) // kaito issue 2132: 22.5 GiB
	if got := float64(hour.NeedBytes) / GiB; math.Abs(got-22.5) > 0.01 {
		t.Errorf("Mistral Small 4 at 1048576 tokens needs %.3f GiB, stated 22.5", got)
	}
}

// Fewer KV heads than ranks are repeated; latent vectors are whole on every rank.
func TestSharing(t *testing.T) {
	p := profile(t, "Qwen/Qwen3-30B-A3B")
	four, eight := Estimate(p, on("0.25.1", "", "-tp", "4")), Estimate(p, on("0.25.1", "", "-tp", "8"))
	if four.KVBytesPerToken != 24576 || eight.KVBytesPerToken != 24576 {
		t.Errorf("4 KV heads: %d B on 4 ranks, %d on 8", four.KVBytesPerToken, eight.KVBytesPerToken)
	}
	if got := share(&p, model.Part{Shard: model.SplitKV}, Use{TensorParallel: 8}); got != 0.25 {
		t.Errorf("a rank of eight holds %g of 4 KV heads' projections", got)
	}
	v3 := profile(t, "deepseek-ai/DeepSeek-V3")
	if b := Estimate(v3, on("0.25.1", "", "-tp", "8")); b.KVBytesPerToken != 70272 {
		t.Errorf("DeepSeek-V3: %d B a token on every rank, want 70272", b.KVBytesPerToken)
	}
}

// Between the pessimistic and the optimistic account nothing is claimed.
func TestTooCloseToSay(t *testing.T) {
	b := Estimate(profile(t, "Qwen/Qwen3-32B"), on("0.15.0", "H100 80GB", "--max-model-len", "22528"))
	if b.Fits != nil {
		t.Errorf("fits %v: %s", *b.Fits, b.Reason)
	}
}

// A build without tags is not an ancient release, and a draft of unknown size forbids a yes.
func TestHonestAboutWhatIsNotSaid(t *testing.T) {
	p := profile(t, "Qwen/Qwen3-4B")
	if a, b := Estimate(p, on("0.1.dev1+gda1daf40b", "H100")), Estimate(p, on("", "H100")); a.KVTokens != b.KVTokens || a.Utilization != 0.92 {
		t.Errorf("untagged build: %d tokens at %.2f, unknown version %d", a.KVTokens, a.Utilization, b.KVTokens)
	}
	other := `{"method":"draft_model","model":"a/b","num_speculative_tokens":3}`
	if b := Estimate(p, on("0.25.1", "RTX 4060 16GB", "--max-model-len", "8192", "--speculative-config", other)); b.Fits != nil || len(b.Unknowns) == 0 {
		t.Errorf("with a draft that may not fit beside it: %q, %q", b.Reason, b.Unknowns)
	}
	if b := Estimate(p, on("0.25.1", "H100", "--speculative-config", other)); !fits(b) || len(b.Unknowns) == 0 {
		t.Errorf("where a draft as large as the model fits too: %q, %q", b.Reason, b.Unknowns)
	}
	for _, name := range []string{"GB10", "NVIDIA GB10"} {
		if rulesFor(version.PEP440{}).largeCard(GPU{Name: name, TotalBytes: 121 * GiB}) {
			t.Errorf("%s takes the small defaults", name)
		}
	}
}

// Headers and shape are two ways to the same weights, on one rank and on several.
func TestHeadersAgreeWithShape(t *testing.T) {
	for _, id := range []string{"Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3", "Qwen/Qwen3.5-27B", "openai/gpt-oss-20b"} {
		p := profile(t, id)
		parts, _ := p.Parts()
		q := p
		for _, part := range parts {
			per := 2.0
			if part.Quant {
				per, _ = p.Quant.StoredBytes(part.Role, part.Layers, 2)
			}
			if part.Role == "bias" {
				part.Role = "expert"
			}
			if part.Role != "mla_copy" {
				q.Tensors = append(q.Tensors, model.TensorGroup{Role: part.Role, DType: "BF16", Elements: int64(part.Weights), Bytes: int64(part.Weights * per)})
			}
		}
		q.WeightsBytes = 0
		for _, tp := range []string{"1", "4", "8"} {
			a, b := Estimate(p, on("0.25.1", "", "-tp", tp)), Estimate(q, on("0.25.1", "", "-tp", tp))
			if math.Abs(float64(a.WeightsBytes)/float64(b.WeightsBytes)-1) > 0.012 {
				t.Errorf("%s on %s ranks: %d by shape, %d by headers", id, tp, a.WeightsBytes, b.WeightsBytes)
			}
		}
	}
}

// What the engine is told to leave out, or to put elsewhere, is not counted.
func TestLeftOut(t *testing.T) {
	p := profile(t, "Qwen/Qwen3-VL-8B-Instruct")
	base := Estimate(p, on("0.25.1", "H100 80GB"))
	for name, flags := range map[string][]string{"no tower": {"--language-model-only"}, "no images": {"--limit-mm-per-prompt", `{"image":0,"video":0}`}} {
		if b := Estimate(p, on("0.25.1", "H100 80GB", flags...)); base.WeightsBytes-b.WeightsBytes < 900<<20 || b.KVBudgetBytes <= base.KVBudgetBytes {
			t.Errorf("%s: weights %d and %d", name, base.WeightsBytes, b.WeightsBytes)
		}
	}
	if b := Estimate(p, on("0.25.1", "H100 80GB", "--cpu-offload-gb", "4")); base.WeightsBytes-b.WeightsBytes != 4*GiB {
		t.Errorf("offload: %d less", base.WeightsBytes-b.WeightsBytes)
	}
	if b := Estimate(p, on("0.25.1", "H100 80GB", "--kv-cache-memory-bytes", "10GiB")); b.KVBudgetBytes != 10*GiB {
		t.Errorf("fixed cache: %d", b.KVBudgetBytes)
	}
	if b := Estimate(p, on("0.25.1", "H100 80GB", "--enable-lora", "--max-loras", "8", "--max-lora-rank", "64")); b.WeightsBytes-base.WeightsBytes < GiB {
		t.Errorf("eight adapters of rank 64 cost %d", b.WeightsBytes-base.WeightsBytes)
	}
	eager := Estimate(p, on("0.25.1", "H100 80GB", "--enforce-eager"))
	if eager.KVBudgetBytes <= base.KVBudgetBytes {
		t.Error("eager mode has no graphs to pay")
	}
}

// gpt-oss-120b on one 80 GB card is the known "almost": smaller batches and a larger share do it.
func TestTune(t *testing.T) {
	p := profile(t, "openai/gpt-oss-120b")
	u := on("0.25.1", "H100 80GB")
	if b := Estimate(p, u); fits(b) {
		t.Fatalf("fits as it is: %s", b.Reason)
	}
	tuned, ok := Tune(p, u)
	if !ok || len(tuned.Flags) == 0 || !fits(tuned.Answer) || tuned.Use.MaxSeqs != 128 {
		t.Errorf("%v with %q: %s", ok, tuned, tuned.Answer.Reason)
	}
	if tuned, ok := Tune(p, on("0.25.1", "RTX 4090")); ok {
		t.Errorf("65 GiB of weights on 24 GB with %q", tuned)
	}
	if tuned, ok := Tune(profile(t, "Qwen/Qwen3-4B"), u); !ok || len(tuned.Flags) != 0 {
		t.Errorf("needs nothing, got %q", tuned)
	}
}

// TestSparseLatentCache: only an 8-bit cache is packed, and how depends on the kernel (_canonicalize_sparse_mla_kv_cache_dtype).
func TestSparseLatentCache(t *testing.T) {
	p := profile(t, "zai-org/GLM-5")
	index := int64(78 * 132)
	for _, tt := range []struct {
		card, dtype string
		want        int64
	}{{"H200", "", 78*1152 + index}, {"H200", "fp8", 78*656 + index}, {"B200", "fp8_e4m3", 78*576 + index}, {"", "bfloat16", 78*1152 + index}, {"B200", "fp8_ds_mla", 78*656 + index}} {
		u := on("0.25.1", tt.card)
		u.CacheDType = tt.dtype
		if got := Estimate(p, u).KVBytesPerToken; got != tt.want {
			t.Errorf("%s %q: %d bytes a token, want %d", tt.card, tt.dtype, got, tt.want)
		}
	}
}

// TestForwardPassOfPublishedStarts: vLLM 0.6.4 on a 23.58 GiB card took 2.07 GiB above the weights for a prompt of 20000
// tokens of Llama 3.1 8B and left 3.81 GiB; with 29000 it left 2.89 and refused to start.
func TestForwardPassOfPublishedStarts(t *testing.T) {
	p := profile(t, "meta-llama/Meta-Llama-3.1-8B")
	for context, left := range map[int]float64{20000: 3.81, 29000: 2.89} {
		u := on("0.6.4", "RTX 3090", "--gpu-memory-utilization", "0.9")
		u.GPU.TotalBytes, u.Context = int64(math.Round(23.58*GiB)), context
		b := Estimate(p, u)
		if got := float64(b.KVBudgetBytes) / GiB; math.Abs(got-left) > 0.4 {
			t.Errorf("%d tokens: %.2f GiB left, the log says %.2f", context, got, left)
		}
		if b.Fits != nil && *b.Fits != (context == 20000) {
			t.Errorf("%d tokens: fits %v", context, *b.Fits)
		}
	}
}

// TestVideoProfile: a long context makes Qwen2.5-VL's profile run try a long video; 24 GiB of an A100 did not do for 3B.
func TestVideoProfile(t *testing.T) {
	p := profile(t, "Qwen/Qwen2.5-VL-72B-Instruct")
	u := on("0.8.5", "A100 80GB")
	peak := func(context int, flags ...string) float64 {
		v := u
		v.Context = context
		v.ApplyFlags(flags)
		at := encoderPeak(&p, v, v.rules(), context, 256).at
		return at / GiB
	}
	if short, long := peak(8192), peak(128000); long < 12 || short > 3 {
		t.Errorf("%.1f GiB at 8192 tokens, %.1f at 128000", short, long)
	}
	if bounded := peak(128000, "--limit-mm-per-prompt", `{"image":2,"video":0}`); bounded > 3 {
		t.Errorf("%.1f GiB with no video", bounded)
	}
}

// TestDrafts: a known draft costs its own weights and cache, an EAGLE head about a layer and its vocabulary.
func TestDrafts(t *testing.T) {
	p := profile(t, "Qwen/Qwen3-32B")
	alone := Estimate(p, on("0.25.1", "H200", "--max-model-len", "8192"))
	small := profile(t, "Qwen/Qwen3-0.6B")
	u := on("0.25.1", "H200", "--max-model-len", "8192", "--speculative-config", `{"model":"Qwen/Qwen3-0.6B","num_speculative_tokens":4}`)
	u.Speculative.Model = &small
	b, itself := Estimate(p, u), Estimate(small, on("0.25.1", "H200"))
	if got, want := alone.KVBudgetBytes-b.KVBudgetBytes, itself.WeightsBytes; got != want {
		t.Errorf("the cache shrinks by %d, the draft weighs %d", got, want)
	}
	if got, want := b.KVBytesPerToken, alone.KVBytesPerToken+itself.KVBytesPerToken; got != want {
		t.Errorf("%d bytes a token, want %d", got, want)
	}
	head := Estimate(p, on("0.25.1", "H200", "--max-model-len", "8192", "--speculative-config", `{"method":"eagle3","model":"a/b"}`))
	if cost := float64(alone.KVBudgetBytes-head.KVBudgetBytes) / GiB; cost < 0.5 || cost > 3 || !fits(head) {
		t.Errorf("an EAGLE head costs %.2f GiB: %s", cost, head.Reason)
	}
}

// TestTermsAddUp: the budget is the share less its parts to the byte, its bounds are theirs, and what a reader finds in the
// formulas gives the number beside them.
func TestTermsAddUp(t *testing.T) {
	for i, m := range catalog.Models() {
		p, err := model.FromRecord(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"0.6.4", "0.8.5", "0.15.0", "0.32.0"} {
			u := on(v, offered[i%len(offered)], "--max-model-len", "4096", "--speculative-config", `{"method":"eagle3","model":"a/b"}`)
			u.TensorParallel = 1 + i%2
			b := Estimate(p, u)
			terms := map[string]Term{}
			for _, x := range b.Terms {
				terms[x.Name] = x
			}
			total, known := terms["cache budget"]
			if !known {
				continue
			}
			sum, up, down := terms["share of the card"].Bytes, 0.0, 0.0
			for _, name := range []string{"weights", "activations", "resident", "graphs", "draft model"} {
				x := terms[name]
				sum -= x.Bytes
				up, down = up+math.Pow(float64(x.Bytes-x.Low), 2), down+math.Pow(float64(x.High-x.Bytes), 2)
			}
			if d := sum - total.Bytes; d < -4 || d > 4 {
				t.Errorf("%s, vLLM %s: the parts leave %d, the budget is %d", m.ID, v, sum, total.Bytes)
			}
			if math.Abs(math.Sqrt(up)-float64(total.High-total.Bytes)) > 8 || math.Abs(math.Sqrt(down)-float64(total.Bytes-total.Low)) > 8 {
				t.Errorf("%s, vLLM %s: bounds %d to %d around %d", m.ID, v, total.Low, total.High, total.Bytes)
			}
			if got, ok := spoken(terms["weights"].Formula); ok && math.Abs(got-float64(terms["weights"].Bytes)/GiB) > 0.05+0.0002*got {
				t.Errorf("%s, vLLM %s: %q gives %.2f GiB, the term says %.2f", m.ID, v, terms["weights"].Formula, got, float64(terms["weights"].Bytes)/GiB)
			}
			var tokens, each float64
			if n, _ := fmt.Sscanf(terms["activations"].Formula, "forward pass: %f tokens x %f B", &tokens, &each); n == 2 && math.Abs(tokens*each-float64(terms["activations"].Bytes)) > tokens {
				t.Errorf("%s: %q gives %.0f, the term says %d", m.ID, terms["activations"].Formula, tokens*each, terms["activations"].Bytes)
			}
		}
	}
}

// spoken evaluates the formula of weights: "by shape A 1.00 + B 2.00 GiB, x 1.010 to the size of the files, + C 0.10".
func spoken(formula string) (float64, bool) {
	head, tail, _ := strings.Cut(formula, " GiB")
	sum := 0.0
	for _, w := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(head, "by shape "), "by the files' headers "), " + ") {
		f, err := strconv.ParseFloat(w[strings.LastIndexByte(w, ' ')+1:], 64)
		if err != nil {
			return 0, false
		}
		sum += f
	}
	for _, piece := range strings.Split(tail, ", ") {
		var f float64
		if n, _ := fmt.Sscanf(piece, "x %f to", &f); n == 1 {
			sum *= f
		}
		if rest, ok := strings.CutPrefix(piece, "+ "); ok {
			f, _ = strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			sum += f
		}
	}
	return sum, true
}

// TestMllama: 10.07 GiB on each of two cards in published starts, and the profile run of 256 images that ended them.
func TestMllama(t *testing.T) {
	p := profile(t, "meta-llama/Llama-3.2-11B-Vision-Instruct")
	u := on("0.6.2", "", "-tp", "2", "--max-model-len", "1024", "--gpu-memory-utilization", "0.7")
	u.GPU.TotalBytes = 2209 * GiB / 100
	b := Estimate(p, u)
	if got := float64(b.WeightsBytes) / GiB; math.Abs(got/10.0714-1) > 0.03 || b.Fits == nil || *b.Fits {
		t.Errorf("%.2f GiB of weights: %s", got, b.Reason)
	}
	few := on("0.6.3", "A100 80GB", "--max-model-len", "8192", "--max-num-seqs", "16", "--enforce-eager")
	if b := Estimate(p, few); b.Fits != nil && !*b.Fits || b.NeedBytes != (512+401)*16*40*4096 {
		t.Errorf("with 16 sequences: %s; a request needs %d", b.Reason, b.NeedBytes)
	}
}
