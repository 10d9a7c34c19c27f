package memory

import (
	"strings"

	"justright/version"
)

// rules are what one release of vLLM does where releases differ. Sources: vLLM's gpu_worker.py, kv_cache_utils.py,
// arg_utils.py and topk_topp_sampler.py at the release tags (https://github.com/vllm-project/vllm).
type rules struct {
	known         bool    // false: no version stated, the newest rules are the guess
	described     bool    // one of the releases the facts cover
	utilization   float64 // default share of the card
	firstEngine   bool    // the V0 engine: whole prompts in one batch, everything else on the card counts as used
	latentCache   bool    // multi-head latent attention has its own cache layout
	hybridManager bool    // window layers hold only their window
	checkpointKV  bool    // the checkpoint's own cache type is taken for "auto"
	manySeqs      bool    // 1024 sequences by default on large cards
	largeByMemory bool    // "large card" goes by memory (>= 70 GiB, not A100), before by the names H100 and H200
	sortSampler   bool    // top-k and top-p by sorting the whole vocabulary
	ncclInside    bool    // the memory snapshot is taken before NCCL starts, so its buffers count
	graphsCounted bool    // CUDA graphs are estimated and taken out of the budget
	tokensByNeed  bool    // "GPU KV cache size" is concurrency times length
	groupSlack    float64 // a larger class this much larger than the smallest still makes one group size
	alignState    bool    // prefix caching keeps one more state per sequence
	mmPrefixGrows bool    // bidirectional image attention raises the batch to one whole item
}

func rulesFor(v version.PEP440) rules {
	r := rules{known: !v.IsZero(), utilization: 0.9, groupSlack: 1.25}
	from := func(s string) bool { return v.IsZero() || v.Compare(version.MustParsePEP440(s)) >= 0 }
	r.described = from("0.6.0.dev0")
	r.firstEngine = !from("0.8.0.dev0")
	r.latentCache = from("0.7.1")
	r.hybridManager = from("0.9.2.dev0")
	r.checkpointKV = from("0.11.1.dev0")
	r.manySeqs = from("0.9.0.dev0")
	r.largeByMemory = from("0.9.0.dev0")
	r.sortSampler = !from("0.16.0.dev0")
	r.ncclInside = !from("0.11.1.dev0")
	r.alignState = from("0.20.0.dev0")
	r.mmPrefixGrows = from("0.19.0.dev0")
	if from("0.21.0.dev0") {
		r.utilization, r.graphsCounted, r.tokensByNeed, r.groupSlack = 0.92, true, true, 1.5
	}
	return r
}

// largeCard reports a card with the larger default batch.
func (r rules) largeCard(g GPU) bool {
	name := strings.ToLower(g.Name)
	if !r.largeByMemory {
		return strings.Contains(name, "h100") || strings.Contains(name, "h200")
	}
	// NVML does not report the memory of a unified device, so vLLM takes the small defaults there.
	return g.TotalBytes >= 70*GiB && !g.Unified && !strings.Contains(name, "a100")
}

// batch is how many tokens one step may hold, and for how many sequences.
func (r rules) batch(u Use, context int) (tokens, seqs int) {
	tokens, seqs = u.BatchedTokens, u.MaxSeqs
	large := r.largeCard(u.GPU)
	if seqs == 0 {
		seqs = 256
		if large && r.manySeqs {
			seqs = 1024
		}
	}
	if tokens == 0 {
		tokens = 2048
		switch {
		case r.firstEngine && context <= 32768:
			tokens = max(context, 2048) // no chunked prefill: a whole prompt
		case large:
			tokens = 8192
		}
	}
	return max(tokens, 1), max(min(seqs, tokens), 1)
}
