package model

import (
	"fmt"
	"strings"
)

// Sizes is what is known of a repository beside its config.json. All of it may be empty.
type Sizes struct {
	Files        []File   // weight files an engine loads
	Tensors      []Tensor // of the safetensors headers of those files
	WeightsBytes int64    // sum of the files, when the headers were not read
	Parameters   int64    // published count, when it cannot be counted
	QuantConfig  []byte   // hf_quant_config.json (ModelOpt), quantize_config.json (GPTQ) or quant_config.json (AWQ)
}

// ConfigError says which statement of a config.json cannot be believed.
type ConfigError struct{ Field, Why string }

func (e *ConfigError) Error() string {
	if e.Field == "" {
		return e.Why
	}
	return e.Field + " " + e.Why
}

// Bounds on what is believed. The largest published model has 126 layers, 16384 channels and 512 experts.
const (
	maxLayers    = 2048
	maxDimension = 1 << 22
	maxVocab     = 1 << 24
	maxExperts   = 1 << 14
	maxPositions = 1 << 31
)

// nestedKeys are where multimodal configs keep the language model, in the order they are looked for.
var nestedKeys = []string{"text_config", "llm_config", "language_config", "thinker_config", "language_model_config", "text_model_config", "decoder_config"}

// FromConfig reads a config.json. What it states is copied; what it leaves out follows from the class of the
// model where every release of that class agrees, and stays unknown (with a word in Unknowns) otherwise.
// Malformed JSON, dimensions below zero and dimensions no machine could hold are a *ConfigError.
func FromConfig(config []byte, s Sizes) (Profile, error) {
	top, err := decodeObject(config)
	if err != nil {
		return Profile{}, err
	}
	r := &reader{top: top, text: textConfig(top)}
	p := Profile{Files: s.Files, WeightsBytes: s.WeightsBytes}
	r.identity(&p)
	r.shape(&p)
	r.attention(&p)
	r.experts(&p)
	r.state(&p)
	r.layers(&p)
	r.rotary(&p)
	r.tower(&p)
	r.quant(&p, s.QuantConfig)
	if r.err != nil {
		return Profile{}, r.err
	}
	p.Unknowns = append(p.Unknowns, r.unknowns...)
	p.addTensors(s.Tensors)
	p.countParameters(s.Parameters)
	return p, nil
}

// textConfig overlays the nested language model's statements on the top level's.
func textConfig(top object) object {
	merged := top
	at := top
	for range 3 { // thinker_config.text_config is the deepest seen
		var next object
		for _, k := range nestedKeys {
			if n, ok := at[k].(object); ok && len(n) > 0 {
				next = n
				break
			}
		}
		if next == nil {
			break
		}
		over := object{}
		for k, v := range merged {
			over[k] = v
		}
		for k, v := range next {
			if v != nil {
				over[k] = v
			}
		}
		merged, at = over, next
	}
	return merged
}

// identity reads names, element type and what needs foreign code.
func (r *reader) identity(p *Profile) {
	p.Architectures = r.strings(r.top, "architectures")
	if len(p.Architectures) == 0 {
		p.Architectures = r.strings(r.text, "architectures")
	}
	if len(p.Architectures) > 0 {
		p.Architecture = p.Architectures[0]
	} else {
		r.unknown("architecture: config.json names none")
	}
	p.ModelType = r.str(r.top, "model_type")
	if t := r.str(r.text, "model_type"); t != p.ModelType {
		p.TextModelType = t
	}
	p.DType = strings.TrimPrefix(r.str(r.text, "torch_dtype", "dtype"), "torch.")
	if m, ok := r.top["auto_map"].(object); ok && len(m) > 0 {
		p.RemoteCode = true
		for _, k := range sortedKeys(m) {
			for _, v := range stringsOf(m[k]) {
				if v != "" && !contains(p.RemoteFiles, v) {
					p.RemoteFiles = append(p.RemoteFiles, v)
				}
			}
		}
	}
	p.EncoderOnly = encoderOnly(p)
	p.EncoderDecoder = r.flag(r.top, "is_encoder_decoder") || p.ModelType == "whisper"
	if p.ModelType == "whisper" {
		p.CrossTokens = max(1, r.dim(maxPositions, "max_source_positions"))
	}
	if p.EncoderDecoder {
		p.EncoderLayers, p.EncoderIntermediate = r.dim(maxLayers, "encoder_layers"), r.dim(maxDimension, "encoder_ffn_dim")
	}
}

// shape reads the sizes every transformer has, under the names the families use.
func (r *reader) shape(p *Profile) {
	p.Layers = r.dim(maxLayers, "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers")
	if p.Layers == 0 { // families that state each layer leave the number out
		for _, key := range []string{"layers_block_type", "layer_types"} {
			if n := len(stringsOf(r.text[key])); p.Layers == 0 && n <= maxLayers {
				p.Layers = n
			}
		}
		if pattern := r.str(r.text, "hybrid_override_pattern"); p.Layers == 0 && len(pattern) <= maxLayers {
			p.Layers = len(patternLayers(pattern))
		}
	}
	p.Hidden = r.dim(maxDimension, "hidden_size", "n_embd", "d_model", "dim", "model_dim")
	p.Heads = r.dim(maxDimension, "num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads")
	p.Intermediate = r.dim(maxDimension, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "decoder_ffn_dim", "hidden_dim")
	p.Vocab = r.dim(maxVocab, "vocab_size", "padded_vocab_size", "n_vocab")
	p.KVHeads = r.dim(maxDimension, "num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num", "n_kv_heads", "num_key_value_groups_of_one")
	if a, ok := r.text["attn_config"].(object); ok { // DBRX, MPT
		if n := r.in(a, "attn_config.kv_n_heads", maxDimension, "kv_n_heads"); n > 0 {
			p.KVHeads = n
		}
	}
	if strings.HasPrefix(p.text(), "falcon") && r.flag(r.text, "multi_query") && !r.flag(r.text, "new_decoder_architecture") {
		p.KVHeads = 1 // whatever the class filled in
	}
	if p.KVHeads == 0 && p.Heads > 0 {
		if r.flag(r.text, "multi_query") && !r.flag(r.text, "new_decoder_architecture") {
			p.KVHeads = 1
		} else if _, listed := r.text["num_key_value_heads"].([]any); !listed {
			p.KVHeads = p.Heads
		}
	}
	if p.ModelType == "nemotron-nas" && r.text["block_configs"] == nil {
		p.KVHeads = 0
		r.unknown("layer kinds: the layers differ, and config.json does not describe them")
	}
	p.HeadDim = r.dim(maxDimension, "head_dim", "attention_head_dim", "kv_channels")
	if p.HeadDim == 0 {
		p.HeadDim = familyHeadDim(p)
	}
	if p.HeadDim == 0 && p.Heads > 0 && p.Hidden%p.Heads == 0 {
		p.HeadDim = p.Hidden / p.Heads
	}
	p.MaxPosition = r.maxPosition()
	p.LearnedPositions = r.learnedPositions(p)
	p.LaurelRank = r.dim(maxDimension, "laurel_rank")
	p.TieEmbeddings = r.tied(p)
	p.AttentionBias = r.flag(r.text, "attention_bias") || r.flag(r.text, "qkv_bias") || strings.HasPrefix(p.text(), "qwen2")
	switch r.str(r.text, "hidden_act", "mlp_hidden_act", "hidden_activation") {
	case "relu2", "xielu":
		p.PlainMLP = p.text() != "bitnet" // the other families with these have no gate
	}
	r.feedForwardWidth(p)
	switch p.text() {
	case "falcon", "codegen", "gpt_neo", "gpt_neox_japanese", "gpt2", "gpt_neox", "gptj", "opt", "bloom", "mpt", "nemotron", "nemotron_h", "phi", "starcoder2", "gpt_bigcode", "whisper", "bert", "roberta", "xlm-roberta":
		p.PlainMLP = true
	}
	switch p.text() {
	case "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_5", "qwen3_5_moe":
		p.GatedQuery = true
	}
	p.MTPLayers = r.dim(maxLayers, "num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "num_mtp_layers")
	if p.Layers == 0 {
		r.unknown("number of layers: config.json does not say")
	}
}

// learnedPositions is the number of rows of the position tables of families that learn them; OPT's and RoBERTa's begin
// with two rows that stand for no position.
func (r *reader) learnedPositions(p *Profile) int {
	switch p.text() {
	case "opt", "bart", "mbart":
		return p.MaxPosition + 2 + boolInt(p.EncoderDecoder)*(p.MaxPosition+2)
	case "whisper":
		return p.MaxPosition + p.CrossTokens
	case "gpt2", "gpt_bigcode", "gpt_neo", "bert", "roberta", "xlm-roberta", "camembert":
		return p.MaxPosition
	}
	return 0
}

// feedForwardWidth fills in widths that config.json leaves to the class.
func (r *reader) feedForwardWidth(p *Profile) {
	if l := listOf(r.text["intermediate_size"]); p.Intermediate == 0 && len(l) > 0 && len(l) <= maxLayers { // Gemma 3n: one a layer
		for i, v := range l {
			f, ok := number(v)
			if !ok || f < 1 || f > maxDimension || i > 0 && int(f) != p.Intermediate {
				p.Intermediate = 0
				break
			}
			p.Intermediate = int(f)
		}
	}
	switch p.text() {
	case "gpt2", "gpt_bigcode", "gptj", "codegen", "gpt_neo", "gpt_neox_japanese", "bloom", "mpt", "falcon":
		if p.Intermediate == 0 {
			p.Intermediate = 4 * p.Hidden
		}
	case "longcat_flash": // two attentions and two dense blocks a layer, and experts beside them
		p.TwinBlocks = true
		p.Intermediate = orElse(r.dim(maxDimension, "ffn_hidden_size"), 12288)
	}
	if adjust, ok := r.text["block_auto_adjust_ff_dim"].(bool); ok && adjust { // LFM2
		width, multiple := 2*p.Intermediate/3, max(1, r.dim(maxDimension, "block_multiple_of"))
		if f, ok := number(r.text["block_ffn_dim_multiplier"]); ok && f > 0 && f < 16 {
			width = int(f * float64(width))
		}
		p.Intermediate = (width + multiple - 1) / multiple * multiple
	}
}

// text is the model_type of the language model.
func (p *Profile) text() string {
	if p.TextModelType != "" {
		return p.TextModelType
	}
	return p.ModelType
}

// familyHeadDim is the head size of classes that fix it apart from hidden/heads when config.json leaves it out
// (the class defaults of transformers).
func familyHeadDim(p *Profile) int {
	switch t := p.text(); {
	case strings.HasPrefix(t, "qwen3_5"), t == "qwen3_next":
		return 256
	case strings.HasPrefix(t, "qwen3"), t == "nemotron_h", t == "glm4_moe", t == "mistral3", t == "ministral3", t == "mimo":
		return 128
	case strings.HasPrefix(t, "gemma"):
		return 256
	case t == "gpt_oss":
		return 64
	}
	return 0
}

// positionKeys are the names of the longest context.
var positionKeys = []string{"max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx", "max_target_positions", "model_max_length"}

// maxPosition is the longest context, extended by a stated rope scaling as vLLM does (ModelConfig,
// _get_and_verify_max_len): yarn multiplies the original length, linear and dynamic the stated one, and the
// others do not change it.
func (r *reader) maxPosition() int {
	n := r.dim(maxPositions, positionKeys...)
	rope, ok := r.text["rope_scaling"].(object)
	if !ok {
		rope, ok = r.text["rope_parameters"].(object)
	}
	if !ok || n == 0 {
		return n
	}
	kind := r.str(rope, "rope_type", "type")
	factor, _ := number(rope["factor"])
	if factor <= 1 || factor > 1024 {
		return n
	}
	switch kind {
	case "yarn":
		if o := r.in(rope, "rope_scaling.original_max_position_embeddings", maxPositions, "original_max_position_embeddings"); o > 0 {
			n = max(n, int(float64(o)*factor))
		} else {
			n = int(float64(n) * factor)
		}
	case "linear", "dynamic":
		n = int(float64(n) * factor)
	}
	return min(n, maxPositions)
}

// tied reports whether the output projection is the embedding table. Classes whose default is true leave it out.
func (r *reader) tied(p *Profile) bool {
	for _, o := range []object{r.text, r.top} {
		if b, ok := o["tie_word_embeddings"].(bool); ok {
			return b
		}
	}
	t := p.text()
	for _, f := range []string{"gemma", "bert", "gpt2", "bloom", "opt", "falcon", "t5", "whisper", "cohere", "command", "lfm2", "mamba2", "granitemoehybrid", "starcoder2"} {
		if strings.HasPrefix(t, f) {
			return true
		}
	}
	return false
}

// encoderOnly reports a model without a cache: BERT and kin.
func encoderOnly(p *Profile) bool {
	switch p.ModelType {
	case "bert", "roberta", "xlm-roberta", "distilbert", "modernbert", "nomic_bert", "electra", "albert", "mpnet", "deberta", "deberta-v2", "camembert", "xlm", "new", "gte":
		return true
	}
	return strings.HasSuffix(p.Architecture, "ForMaskedLM") || strings.Contains(p.Architecture, "BertModel")
}

// attention reads head sizes that differ between layers, latent attention and windows.
func (r *reader) attention(p *Profile) {
	p.VHeadDim = r.dim(maxDimension, "v_head_dim")
	p.FullHeadDim = r.dim(maxDimension, "global_head_dim")
	p.FullKVHeads = r.dim(maxDimension, "num_global_key_value_heads")
	p.WindowHeadDim = r.dim(maxDimension, "swa_head_dim")
	p.WindowVDim = r.dim(maxDimension, "swa_v_head_dim")
	p.WindowKVHeads = r.dim(maxDimension, "swa_num_key_value_heads")
	p.PerLayerInput = r.dim(maxDimension, "hidden_size_per_layer_input")
	p.KeyIsValue = r.flag(r.text, "attention_k_eq_v")
	p.KVShared = r.dim(maxLayers, "num_kv_shared_layers")
	p.ChunkSize = r.dim(maxPositions, "attention_chunk_size")
	p.SlidingWindow = r.dim(maxPositions, "sliding_window", "sliding_window_size", "window_size")
	if used, ok := r.text["use_sliding_window"].(bool); ok && !used {
		p.SlidingWindow = 0
	}
	if p.MaxPosition > 0 && p.SlidingWindow >= p.MaxPosition {
		p.SlidingWindow = 0 // a window as wide as the context is none
	}
	if p.ChunkSize > 0 && !strings.HasPrefix(p.text(), "llama4") {
		p.ChunkSize = 0 // MiMo V2 repeats its window there
	}
	if c, ok := r.text["sparse_attention_config"].(object); ok { // MiniMax M3: an index key beside the cache
		p.IndexKeyDim = r.in(c, "sparse_attention_config.sparse_index_dim", maxDimension, "sparse_index_dim")
		p.IndexKeyHeads = r.in(c, "sparse_attention_config.sparse_num_index_heads", maxDimension, "sparse_num_index_heads")
		for i, v := range listOf(c["sparse_attention_freq"]) {
			if f, ok := number(v); ok && f > 0 && i < p.Layers {
				p.IndexKeyLayers++
			}
		}
	} else if strings.HasPrefix(p.text(), "minimax_m3") {
		p.IndexKeyDim, p.IndexKeyHeads = r.dim(maxDimension, "index_head_dim"), r.dim(maxDimension, "index_n_heads")
		for _, w := range stringsOf(r.text["layer_types"]) {
			if w != "full_attention" {
				p.IndexKeyLayers++
			}
		}
	}
	rank := r.dim(maxDimension, "kv_lora_rank")
	if rank == 0 && p.text() == "longcat_flash" { // the class's sizes
		p.MLA = &MLA{KVLoraRank: 512, QKRopeHeadDim: 64, QKNopeHeadDim: 128, VHeadDim: 128, QLoraRank: 1536}
		p.VHeadDim = 128
		return
	}
	if strings.HasPrefix(p.ModelType, "deepseek_v4") || r.text["compress_ratios"] != nil {
		r.compression(p)
		return
	}
	if rank == 0 {
		return
	}
	p.MLA = &MLA{
		KVLoraRank: rank, QKRopeHeadDim: r.dim(maxDimension, "qk_rope_head_dim"), QKNopeHeadDim: r.dim(maxDimension, "qk_nope_head_dim"),
		VHeadDim: p.VHeadDim, QLoraRank: r.dim(maxDimension, "q_lora_rank"),
		IndexHeadDim: r.dim(maxDimension, "index_head_dim"), IndexHeads: r.dim(maxDimension, "index_n_heads"),
	}
	p.MLA.Sparse = p.MLA.IndexHeadDim > 0 && r.dim(maxPositions, "index_topk") > 0
	p.MLA.IndexLayers = r.indexLayers(p)
	if p.MLA.QKRopeHeadDim == 0 {
		r.unknown("latent attention: config.json leaves out qk_rope_head_dim")
	}
}

// indexLayers counts the layers with an indexer of their own, where others use the last one's choice (GLM 5.2):
// a word a layer, a pattern of letters, or every n-th after the first few. 0 is all.
func (r *reader) indexLayers(p *Profile) int {
	if words := stringsOf(r.text["indexer_types"]); len(words) == p.Layers && len(words) > 0 {
		n := 0
		for _, w := range words {
			n += boolInt(w != "shared")
		}
		return n
	}
	if pattern := r.str(r.text, "index_topk_pattern"); len(pattern) == p.Layers && pattern != "" {
		return p.Layers - strings.Count(pattern, "S")
	}
	freq, offset := r.dim(maxLayers, "index_topk_freq"), 2
	if f, ok := number(r.text["index_skip_topk_offset"]); ok && f >= 0 && f < maxLayers {
		offset = int(f)
	}
	if freq <= 1 {
		return 0
	}
	n := 0
	for i := range p.Layers {
		n += boolInt(max(i-offset+1, 0)%freq == 0)
	}
	return n
}

// experts reads mixture-of-experts blocks.
func (r *reader) experts(p *Profile) {
	n := r.dim(maxExperts, "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_routed_experts")
	if f, ok := r.text["ffn_config"].(object); ok { // DBRX
		if n == 0 {
			n = r.in(f, "ffn_config.moe_num_experts", maxExperts, "moe_num_experts")
		}
		if p.Intermediate == 0 {
			p.Intermediate = r.in(f, "ffn_config.ffn_hidden_size", maxDimension, "ffn_hidden_size")
		}
	}
	if n <= 1 {
		return
	}
	m := &MoE{
		Experts: n, PerToken: r.dim(maxExperts, "num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k_experts", "moe_k", "num_selected_experts", "moe_topk"),
		Intermediate:  r.dim(maxDimension, "moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"),
		SharedExperts: r.dim(maxExperts, "n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
		DenseLayers:   r.dim(maxLayers, "first_k_dense_replace", "moe_layer_start_index", "num_dense_layers"), EverySteps: 1,
	}
	if m.Intermediate == 0 {
		m.Intermediate = p.Intermediate // Mixtral, gpt-oss, MiniMax: every block is experts
	}
	m.SharedIntermediate = r.dim(maxDimension, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "share_expert_dim")
	if m.SharedIntermediate == 0 && m.SharedExperts > 0 {
		m.SharedIntermediate = m.SharedExperts * m.Intermediate
	}
	if m.SharedIntermediate > 0 && m.SharedExperts == 0 {
		m.SharedExperts = 1
	}
	if d := r.dim(maxDimension, "dense_intermediate_size"); d > 0 { // MiniMax M3
		m.DenseIntermediate = d
		m.SharedIntermediate = orElse(r.dim(maxDimension, "shared_intermediate_size"), m.SharedIntermediate)
	}
	if d := r.dim(maxDimension, "intermediate_size_mlp"); d > 0 { // Llama 4
		m.DenseIntermediate, m.SharedExperts, m.SharedIntermediate = d, 1, p.Intermediate
	}
	m.LatentSize = r.dim(maxDimension, "moe_latent_size", "routed_expert_hidden_size") // Nemotron 3, Kimi K3
	m.BesideDense = strings.HasPrefix(p.text(), "gemma4") || p.TwinBlocks
	m.EverySteps = max(1, r.dim(maxLayers, "decoder_sparse_step", "interleave_moe_layer_step", "expert_layer_period", "moe_layer_interval"))
	m.Layers = r.expertLayers(p, m)
	p.MoE = m
}

// expertLayers counts layers that have experts: a list of 0 and 1, a list of exceptions, or a period.
func (r *reader) expertLayers(p *Profile, m *MoE) int {
	if l, ok := r.text["moe_layer_freq"].([]any); ok {
		n := 0
		for i, v := range l {
			if f, ok := number(v); ok && f > 0 && i < p.Layers {
				n++
			}
		}
		return n
	}
	if l, ok := r.text["mlp_only_layers"].([]any); ok && len(l) > 0 && len(l) <= p.Layers {
		return p.Layers - len(l)
	}
	if pattern := r.str(r.text, "hybrid_override_pattern"); pattern != "" {
		return strings.Count(pattern, "E")
	}
	if words := stringsOf(r.text["layers_block_type"]); contains(words, "moe") {
		n := 0
		for _, w := range words {
			n += boolInt(w == "moe")
		}
		return n
	}
	if words := stringsOf(r.text["mlp_layer_types"]); len(words) == p.Layers && contains(words, "sparse") {
		n := 0
		for _, w := range words {
			n += boolInt(w == "sparse")
		}
		return n
	}
	return max(0, (p.Layers-m.DenseLayers)/m.EverySteps)
}

// unknown records, once, what could not be established.
func (r *reader) unknown(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !contains(r.unknowns, s) {
		r.unknowns = append(r.unknowns, s)
	}
}
