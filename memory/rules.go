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
	ownStateType  bool    // gated delta nets keep the state type that config.json names
	alignAsked    bool    // the same, where prefix caching of recurrent models must be asked for
	mmPrefixGrows bool    // bidirectional image attention raises the batch to one whole item
	sharedIndex   bool    // layers that use another's indexer have no index cache
	crossCache    bool    // the second engine serves encoder-decoder models
	countsOthers  bool    // whatever else is on the card counts as the engine's
	flatAbsMax    bool    // bitsandbytes' scales are unpacked to single precision while loading
	inFlight      int     // batches whose tokens a window layer must hold at once
	packedBlocks  bool    // a block is as large as its widest group, whatever sizes its pages have
	shortTables   bool    // Qwen3-VL's and Qwen3.5's positions stay below the number of tokens: tables of one length
	blockShare    bool    // a request's concurrency counts the blocks it holds, whatever their group's size
}

// The releases at which rules changed; development builds before a release count as it.
var (
	v0_2    = version.MustParsePEP440("0.2.0")
	v0_6    = version.MustParsePEP440("0.6.0.dev0")
	v0_6_5  = version.MustParsePEP440("0.6.5.dev0")
	v0_7_1  = version.MustParsePEP440("0.7.1.dev0")
	v0_8    = version.MustParsePEP440("0.8.0.dev0")
	v0_9    = version.MustParsePEP440("0.9.0.dev0")
	v0_9_1  = version.MustParsePEP440("0.9.1.dev0")
	v0_9_2  = version.MustParsePEP440("0.9.2.dev0")
	v0_11_1 = version.MustParsePEP440("0.11.1.dev0")
	v0_12   = version.MustParsePEP440("0.12.0.dev0")
	v0_15   = version.MustParsePEP440("0.15.0.dev0")
	v0_16   = version.MustParsePEP440("0.16.0.dev0")
	v0_17   = version.MustParsePEP440("0.17.0.dev0")
	v0_18   = version.MustParsePEP440("0.18.0.dev0")
	v0_19   = version.MustParsePEP440("0.19.0.dev0")
	v0_20   = version.MustParsePEP440("0.20.0.dev0")
	v0_20_1 = version.MustParsePEP440("0.20.1.dev0")
	v0_23_1 = version.MustParsePEP440("0.23.1.dev0")
	v0_26   = version.MustParsePEP440("0.26.0.dev0")
	v0_32   = version.MustParsePEP440("0.32.0.dev0")
	v0_29   = version.MustParsePEP440("0.29.0.dev0")
	v0_27   = version.MustParsePEP440("0.27.0.dev0")
)

func rulesFor(v version.PEP440) rules {
	if !v.IsZero() && v.Compare(v0_2) < 0 {
		v = version.PEP440{} // a build of a checkout without tags calls itself 0.1.dev1
	}
	from := func(first version.PEP440) bool { return v.IsZero() || v.Compare(first) >= 0 }
	r := rules{
		known: !v.IsZero(), described: from(v0_6), utilization: 0.9, groupSlack: 1, inFlight: 1,
		firstEngine: !from(v0_8), latentCache: from(v0_7_1), hybridManager: from(v0_9_2), checkpointKV: from(v0_11_1),
		manySeqs: from(v0_9), largeByMemory: from(v0_9), sortSampler: !from(v0_16), ncclInside: !from(v0_11_1),
		alignState: from(v0_20), alignAsked: from(v0_15), ownStateType: from(v0_17), mmPrefixGrows: from(v0_19), sharedIndex: from(v0_23_1), crossCache: from(v0_11_1), countsOthers: !from(v0_6_5) || from(v0_8) && !from(v0_9_1), flatAbsMax: from(v0_6_5),
		tokensByNeed: from(v0_20_1), blockShare: from(v0_27), shortTables: from(v0_32), packedBlocks: from(v0_29),
	}
	switch {
	case from(v0_18):
		r.groupSlack = 1.5
	case from(v0_12):
		r.groupSlack = 1.25
	}
	if from(v0_20) {
		r.utilization, r.graphsCounted = 0.92, true
	}
	if r.known && from(v0_26) {
		r.inFlight = 2 // scheduling runs one step ahead
	}
	return r
}

// rules of the release and engine of u.
func (u Use) rules() rules {
	r := rulesFor(u.Version)
	if u.FirstEngine && !r.crossCache { // 0.11 is the last release that could
		r.firstEngine, r.hybridManager, r.manySeqs, r.countsOthers = true, false, false, false
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
	return g.TotalBytes >= 70*GiB && !g.unified() && !strings.Contains(name, "a100")
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
		case r.firstEngine && (context <= 32768 || u.GPU.Capability.Major > 0 && u.GPU.Capability.Major < 8):
			tokens = max(context, 2048) // no chunked prefill, which older cards never get: a whole prompt
		case large:
			tokens = 8192
		}
	}
	return max(tokens, 1), max(min(seqs, tokens), 1)
}
