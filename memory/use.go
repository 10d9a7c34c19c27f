// Package memory predicts the bytes an engine needs on each GPU, term by term as vLLM accounts for them: what it
// may use of a card, minus weights, activations and the rest, leaves the KV cache, and the cache decides context and
// concurrency. It does no I/O; a profile of package model and a Use go in, a Breakdown comes out.
package memory

import (
	"strconv"
	"strings"

	"justright/model"
	"justright/version"
)

// GiB is 2^30 bytes.
const GiB = 1 << 30

// GPU is the card as far as memory is concerned.
type GPU struct {
	Name       string // for rules that go by name ("A100"); may be empty
	TotalBytes int64  // as the driver reports it; 0 not known
	Capability version.Capability
	Unified    bool // shares memory with the CPU (GB10, Jetson)
}

// unified also goes by the name, for callers that know only that.
func (g GPU) unified() bool {
	if g.Unified {
		return true
	}
	name := strings.ToLower(g.Name)
	for _, w := range []string{"gb10", "dgx spark", "jetson", "thor", "orin"} {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// switched reports cards whose links meet in a switch that computes (Hopper and Blackwell data-centre cards), for
// which the collectives' library allocates more.
func (g GPU) switched() bool {
	name := strings.ToLower(g.Name)
	for _, w := range []string{"h100", "h200", "h20", "h800", "gh200", "b200", "b300"} {
		if strings.Contains(name, w) && !strings.Contains(name, "pcie") && !strings.Contains(name, "nvl") {
			return true
		}
	}
	return false
}

// Speculative is speculative decoding.
type Speculative struct {
	On     bool
	Method string         // "mtp", "eagle3", "ngram", "draft_model"; empty when not said
	Draft  string         // model that drafts
	Tokens int            // drafted per step; 0 not said
	Model  *model.Profile // of the draft model, when it is known
}

// Use is how a model is to be served. Zero values mean the engine's default.
type Use struct {
	Version version.PEP440 // of vLLM; zero: not known
	GPU     GPU

	TensorParallel, PipelineParallel, DataParallel int
	ExpertParallel                                 bool

	Context     int // --max-model-len; 0: the model's own
	Concurrency int // sequences of that length wanted at once; 0: 1

	Utilization   float64 // --gpu-memory-utilization
	CacheBytes    int64   // --kv-cache-memory-bytes
	Blocks        int     // --num-gpu-blocks-override
	MaxSeqs       int     // --max-num-seqs
	BatchedTokens int     // --max-num-batched-tokens
	CacheDType    string  // --kv-cache-dtype
	DType         string  // --dtype
	Quantization  string  // --quantization: on the fly when the checkpoint is not quantised
	BlockSize     int     // --block-size
	StateDType    string  // --mamba-ssm-cache-dtype
	OffloadBytes  int64   // --cpu-offload-gb

	FirstEngine   bool // VLLM_USE_V1=0, in releases that have both engines
	Eager         bool // --enforce-eager
	NoHybrid      bool // --disable-hybrid-kv-cache-manager
	NoPrefixCache bool // --no-enable-prefix-caching
	PrefixCache   bool // --enable-prefix-caching, for models that do not have it by default
	Pooling       bool // --runner pooling, --task embed and the like: nothing is sampled
	TextOnly      bool // --language-model-only, or every modality limited to none
	SkipEncoder   bool // --skip-mm-profiling
	FewImages     bool // --limit-mm-per-prompt or --mm-processor-kwargs bound the items
	Speculative   Speculative
	LoRAs         int // --max-loras with --enable-lora
	LoRARank      int // --max-lora-rank

	// AllStated says that flags not given here are not given to the engine either; a published measurement may have had
	// others that nobody wrote down.
	AllStated bool
	FreeBytes int64 // free on the card when the engine starts; 0 not known
	FromImage bool  // the engine's own image (it brings FlashInfer in releases whose wheel does not)
}

// ApplyFlags reads engine flags that change memory. Flags it does not know are left alone, since most change
// nothing here; a value that is no number is reported.
func (u *Use) ApplyFlags(args []string) (problems []string) {
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		if !strings.HasPrefix(name, "-") {
			continue
		}
		name = strings.ReplaceAll(strings.TrimLeft(name, "-"), "_", "-")
		if !joined && i+1 < len(args) && !isFlag(args[i+1]) {
			value = args[i+1]
		}
		if bad := u.apply(name, value); bad != "" {
			problems = append(problems, bad)
		}
	}
	return problems
}

// isFlag tells a flag from a value; a negative number is a value.
func isFlag(s string) bool {
	return strings.HasPrefix(s, "-") && (len(s) == 1 || s[1] < '0' || s[1] > '9')
}

func (u *Use) apply(name, value string) (problem string) {
	whole := func(to *int) string {
		n, ok := readCount(value)
		if !ok && value == "" {
			return "--" + name + " is given no number"
		}
		if !ok {
			return "--" + name + " " + value + " is no number"
		}
		*to = n
		return ""
	}
	on := value == "" || !strings.EqualFold(value, "false") && value != "0"
	switch name {
	case "tensor-parallel-size", "tp":
		return whole(&u.TensorParallel)
	case "pipeline-parallel-size", "pp":
		return whole(&u.PipelineParallel)
	case "data-parallel-size", "dp":
		return whole(&u.DataParallel)
	case "enable-expert-parallel", "ep":
		u.ExpertParallel = on
	case "max-model-len":
		if value == "auto" || value == "-1" {
			u.Context = 0
			return ""
		}
		return whole(&u.Context)
	case "gpu-memory-utilization":
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f > 0 && f <= 1) { // also NaN
			return "--gpu-memory-utilization " + value + " is no share of 1"
		}
		u.Utilization = f
	case "max-num-seqs":
		return whole(&u.MaxSeqs)
	case "max-num-batched-tokens":
		return whole(&u.BatchedTokens)
	case "block-size":
		return whole(&u.BlockSize)
	case "num-gpu-blocks-override":
		return whole(&u.Blocks)
	case "runner", "task", "convert":
		switch value {
		case "pooling", "embed", "embedding", "classify", "score", "reward":
			u.Pooling = true
		}
	case "kv-cache-memory-bytes", "kv-cache-memory":
		var n int
		if bad := whole(&n); bad != "" {
			return bad
		}
		u.CacheBytes = int64(n)
	case "cpu-offload-gb":
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= 0 && f <= 1e5) {
			return "--cpu-offload-gb " + value + " is no number"
		}
		u.OffloadBytes = int64(f * GiB)
	case "kv-cache-dtype":
		u.CacheDType = strings.ToLower(value)
	case "dtype":
		u.DType = strings.ToLower(value)
	case "quantization", "q":
		u.Quantization = strings.ToLower(value)
	case "enforce-eager":
		u.Eager = on
	case "no-enforce-eager":
		u.Eager = false
	case "disable-hybrid-kv-cache-manager":
		u.NoHybrid = on
	case "mamba-ssm-cache-dtype":
		u.StateDType = strings.ToLower(value)
	case "no-enable-prefix-caching":
		u.NoPrefixCache = true
	case "enable-prefix-caching":
		u.PrefixCache, u.NoPrefixCache = on, !on
	case "language-model-only":
		u.TextOnly = on
	case "skip-mm-profiling":
		u.SkipEncoder = on
	case "mm-processor-kwargs":
		u.FewImages = true
	case "limit-mm-per-prompt":
		u.FewImages = true
		if digits := strings.Trim(value, "{}'\" "); digits != "" && !strings.ContainsAny(digits, "123456789") && strings.Contains(digits, "0") {
			u.TextOnly = true
		}
	case "speculative-config", "speculative-model", "spec-model", "spec-method", "num-speculative-tokens", "spec-tokens":
		u.speculative(name, value)
	case "enable-lora":
		if on && u.LoRAs == 0 {
			u.LoRAs = 1
		}
	case "max-loras":
		return whole(&u.LoRAs)
	case "max-lora-rank":
		return whole(&u.LoRARank)
	}
	return ""
}

// readCount reads 8192, 8k, 32K and 16GiB as vLLM's human-readable integers do: lower case is decimal.
func readCount(s string) (int, bool) {
	unit := 1.0
	for _, u := range []struct {
		suffix string
		factor float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"k", 1e3}, {"K", 1 << 10}, {"m", 1e6}, {"M", 1 << 20}, {"g", 1e9}, {"G", 1 << 30}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = rest, u.factor
			break
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0) || f*unit > 1e15 {
		return 0, false
	}
	return int(f * unit), true
}

// speculative reads the JSON of --speculative-config without insisting that it is JSON: only three of its words
// change memory.
func (u *Use) speculative(name, value string) {
	s := &u.Speculative
	s.On = true
	switch name {
	case "speculative-model", "spec-model":
		s.Draft = value
	case "spec-method":
		s.Method = value
	case "num-speculative-tokens", "spec-tokens":
		if n, ok := readCount(value); ok {
			s.Tokens = n
		}
	default:
		s.Method, s.Draft = jsonWord(value, "method"), jsonWord(value, "model")
		if n, ok := readCount(jsonWord(value, "num_speculative_tokens")); ok {
			s.Tokens = n
		}
	}
}

// jsonWord finds "key": value in flat JSON text.
func jsonWord(text, key string) string {
	_, rest, ok := strings.Cut(text, `"`+key+`"`)
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, " :")
	if end := strings.IndexAny(rest, ",}"); end >= 0 {
		rest = rest[:end]
	}
	return strings.Trim(rest, `" `)
}
