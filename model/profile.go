// Package model knows what a language model is made of, as far as serving it needs: architecture, layers and
// their attention kinds, experts, quantisation, sizes. A Profile is made from config.json and safetensors
// headers by pure functions; who fetches those is internal/hub.
package model

import "justright/catalog"

// Profile is what is known of one model at one revision. Nil pointers, empty strings and zero sizes mean "not
// known" and must be treated as unknown, never as zero.
type Profile struct {
	ID            string // hub id, or the path of a local directory
	Revision      string // commit hash; empty when not known (offline)
	Architecture  string // architectures[0]
	Architectures []string
	ModelType     string // top-level model_type
	TextModelType string // model_type of the nested text config, if any
	RemoteCode    bool   // config has auto_map: needs --trust-remote-code
	Local         bool   // ID is a directory of this machine
	Gated         bool
	License       string

	Parameters       int64 // logical parameters; 0 unknown
	WeightsBytes     int64 // bytes of the checkpoint files an engine loads; 0 unknown
	ActiveParameters int64
	DType            string // "bfloat16", "float16", "float32"; empty unknown

	Layers        int
	Hidden        int
	Intermediate  int
	Heads         int
	KVHeads       int
	HeadDim       int
	Vocab         int
	MaxPosition   int // longest context the config allows; 0 unknown
	SlidingWindow int // tokens; 0 none
	TieEmbeddings bool

	// Where layers of one kind differ from the sizes above; zero means they do not.
	VHeadDim      int // size of a value head, when it is not HeadDim
	FullHeadDim   int // full-attention layers (Gemma 4: global_head_dim)
	FullKVHeads   int
	WindowHeadDim int // sliding-window layers (MiMo V2: swa_head_dim)
	WindowVDim    int
	WindowKVHeads int
	ChunkSize     int  // tokens of chunked local attention (Llama 4)
	KVShared      int  // last layers that reuse another layer's cache (Gemma 3n, 4)
	PerLayerInput int  // width of a per-layer embedding table (Gemma 3n, 4 E)
	KeyIsValue    bool // full-attention layers have no value projection (Gemma 4)
	GatedQuery    bool // the query projection also makes an output gate: twice the width
	PlainMLP      bool // two matrices a block instead of three
	MTPLayers     int  // multi-token-prediction layers in the checkpoint, loaded only with speculation
	AttentionBias bool
	WidthSum      int   // feed-forward widths of all layers, where each states its own (Nemotron NAS); 0 they are alike
	TwinBlocks    bool  // each layer has two attentions and two dense blocks (LongCat Flash)
	ThreeAxes     bool  // positions of time, height and width: tables four times as long
	RotaryBytes   int64 // tables of rotary positions, which an engine computes and keeps; 0 none or unknown
	Compress      []int // tokens that share one stored state, layer by layer (DeepSeek V4); 0 and 1 keep a window only

	// Keys of a block index that some layers cache beside keys and values, whole on every rank (MiniMax M3).
	IndexKeyDim, IndexKeyHeads, IndexKeyLayers int
	CrossTokens                                int // encoder positions that each decoder layer caches (Whisper, Mllama)

	// The other stack of an encoder-decoder model; zero when its sizes are not known.
	EncoderLayers, EncoderIntermediate int
	LearnedPositions                   int // rows of position tables that are weights, encoder's included
	LaurelRank                         int // low-rank side path of each block (Gemma 3n)

	LayerKinds     []LayerKind // one per layer; empty when all layers are full attention
	MLA            *MLA
	MoE            *MoE
	Mamba          *Mamba // state-space or linear-attention layers
	Vision         bool   // has an image, video or audio tower
	VisionTower    *Tower // its size, when known
	EncoderOnly    bool
	EncoderDecoder bool
	Quant          *Quant
	PickleOnly     bool     // weights are pickles (.bin), no safetensors: refused unless the user says otherwise
	RemoteFiles    []string // Python files auto_map names; another repository's as "owner/name--module.Class"

	Tensors []TensorGroup // per dtype and kind, when safetensors headers were read

	Files    []File         // files of the repository that an engine loads
	Sources  []catalog.Fact // where each statement above comes from
	Unknowns []string       // what could not be established, in words
}

// LayerKind is how one layer keeps its past.
type LayerKind string

// The layer kinds.
const (
	FullAttention    LayerKind = "full_attention"
	SlidingAttention LayerKind = "sliding_attention"
	ChunkedAttention LayerKind = "chunked_attention"
	LinearAttention  LayerKind = "linear_attention" // gated delta net, KDA, lightning
	MambaLayer       LayerKind = "mamba"
	NoAttention      LayerKind = "none"                // pure MLP or MoE block
	HybridLayer      LayerKind = "attention_and_mamba" // both in one layer (Falcon-H1, Zamba2)
)

// MLA is multi-head latent attention (DeepSeek, Kimi, GLM-5).
type MLA struct {
	KVLoraRank, QKRopeHeadDim, QKNopeHeadDim, VHeadDim, QLoraRank int
	Sparse                                                        bool // DeepSeek sparse attention indexer
	IndexHeadDim, IndexHeads                                      int
	IndexLayers                                                   int // layers with an indexer of their own; 0 is all
	OutGroups, OutLoraRank                                        int // of DeepSeek V4's output projection
}

// MoE describes expert layers.
type MoE struct {
	Experts, PerToken, Intermediate, SharedExperts, SharedIntermediate int
	DenseLayers                                                        int  // leading layers without experts
	EverySteps                                                         int  // 1 when each further layer has experts
	Layers                                                             int  // layers that have experts
	DenseIntermediate                                                  int  // of the layers without; 0 when it is Intermediate of the profile
	BesideDense                                                        bool // a dense MLP runs beside the experts of each layer (Gemma 4)
	LatentSize                                                         int  // experts work on a projection of this size (Nemotron 3 Super); 0 on the hidden size
}

// Tower is the encoder of a multimodal model.
type Tower struct {
	Layers, Hidden, Intermediate, OutHidden int
	Parameters                              int64 // counted, or published for the family
}

// Mamba describes state-space or linear-attention state per sequence.
type Mamba struct {
	Kind                                                 string // "mamba1", "mamba2", "gdn", "kda", "short_conv", "lightning"
	StateSize, ConvKernel, Heads, HeadDim, Groups, Inner int
	KeyHeads, ValueHeads, KeyHeadDim, ValueHeadDim       int
	StateDType                                           string // of the recurrent state: "float32" or empty for the model's
}

// Quant is the checkpoint's own quantisation.
type Quant struct {
	Method       string  // "mxfp4", "fp8", "awq", "gptq", "compressed-tensors", "modelopt", "nvfp4", "bitsandbytes", ...
	Format       string  // finer word where the method has several, e.g. "nvfp4-pack-quantized"
	Bits         float64 // of the quantised linears
	GroupSize    int
	BlockShape   []int        // FP8 block quantisation, e.g. [128,128]
	Excluded     []string     // modules left unquantised
	KVCacheDType string       // declared by the checkpoint, if any
	ZeroPoint    bool         // asymmetric: a zero per group is stored
	Groups       []QuantGroup // what is stored how, when the checkpoint mixes; empty when all linears are alike
}

// QuantGroup is one way of storing within a mixed checkpoint. Targets are module names, patterns or "Linear".
type QuantGroup struct {
	Format    string // "fp8", "nvfp4", "int4", "int8", "mxfp4"
	Bits      float64
	GroupSize int
	Targets   []string
}

// TensorGroup sums tensors of one role and storage type.
type TensorGroup struct {
	Role            string // "embedding", "lm_head", "attention", "mlp", "expert", "vision", "norm", "scale", "other"
	DType           string // safetensors dtype word
	Count           int
	Elements, Bytes int64
}

// File is one file of a repository.
type File struct {
	Name   string
	Bytes  int64
	SHA256 string // empty when not known
}
