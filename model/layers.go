package model

import (
	"strings"
)

// layers decides how each layer keeps its past. Families state it in a dozen ways; LayerKinds stays empty when
// all layers are full attention.
func (r *reader) layers(p *Profile) {
	if len(p.Compress) > 0 {
		return // described by their ratios
	}
	kinds := r.statedLayers(p)
	if kinds == nil {
		kinds = r.familyLayers(p)
	}
	if kinds == nil && p.SlidingWindow > 0 {
		kinds = r.windowLayers(p)
	}
	if kinds == nil || p.Layers == 0 {
		return
	}
	if len(kinds) > p.Layers {
		kinds = kinds[:p.Layers] // the rest are multi-token-prediction layers
	}
	if len(kinds) < p.Layers {
		r.unknown("layer kinds: %d of %d layers are described", len(kinds), p.Layers)
		return
	}
	for _, k := range kinds {
		if k != FullAttention {
			p.LayerKinds = kinds
			return
		}
	}
}

// kindWords maps the words of layer_types, layers_block_type and block_types.
var kindWords = map[string]LayerKind{
	"full_attention": FullAttention, "attention": FullAttention, "attn": FullAttention, "global_attention": FullAttention, "full": FullAttention,
	"sliding_attention": SlidingAttention, "sliding_window": SlidingAttention, "local_attention": SlidingAttention, "sliding": SlidingAttention,
	"sliding_window_attention": SlidingAttention, "chunked_attention": ChunkedAttention,
	"linear_attention": LinearAttention, "gated_deltanet": LinearAttention, "gdn": LinearAttention, "kda": LinearAttention, "lightning": LinearAttention,
	"mamba": MambaLayer, "mamba2": MambaLayer, "m": MambaLayer, "recurrent": MambaLayer, "conv": MambaLayer, "short_conv": MambaLayer,
	"minimax_m3_sparse": FullAttention, "sparse_attention": FullAttention, "indexed_attention": FullAttention, // latent attention with an indexer, as transformers names it
	"hybrid": HybridLayer, "moe": NoAttention, "mlp": NoAttention, "none": NoAttention,
}

// statedLayers reads a list with one entry a layer.
func (r *reader) statedLayers(p *Profile) []LayerKind {
	for _, key := range []string{"layer_types", "layers_block_type", "block_types", "layers_types"} {
		words := stringsOf(r.text[key])
		if len(words) == 0 || len(words) > maxLayers {
			continue
		}
		kinds := make([]LayerKind, 0, p.Layers)
		for i := range max(p.Layers, len(words)) { // block_types repeats (RecurrentGemma)
			if i >= len(words) && key != "block_types" {
				break
			}
			k, ok := kindWords[strings.ToLower(words[i%len(words)])]
			if !ok {
				r.unknown("layer kinds: %q is not known", shorten(words[i%len(words)]))
				return nil
			}
			kinds = append(kinds, k)
		}
		return kinds
	}
	if pattern := r.str(r.text, "hybrid_override_pattern"); pattern != "" && len(pattern) <= maxLayers {
		return patternLayers(pattern)
	}
	if l, ok := r.text["hybrid_layer_pattern"].([]any); ok { // MiMo V2: 1 is a window
		return numbered(l, FullAttention, SlidingAttention)
	}
	if l, ok := r.text["attn_type_list"].([]any); ok { // MiniMax Text 01
		return numbered(l, LinearAttention, FullAttention)
	}
	if l, ok := r.text["block_configs"].([]any); ok {
		return r.deciLayers(p, l)
	}
	if c, ok := r.text["linear_attn_config"].(object); ok { // Kimi Linear; layers count from 1
		kinds := repeat(p.Layers, FullAttention)
		l, _ := c["kda_layers"].([]any)
		for _, v := range l {
			if f, ok := number(v); ok && f >= 1 && int(f) <= len(kinds) {
				kinds[int(f)-1] = LinearAttention
			}
		}
		return kinds
	}
	return nil
}

// compression reads DeepSeek V4's layers: ratios as its own config.json lists them (one more for the prediction
// layer), or the words that transformers writes.
func (r *reader) compression(p *Profile) {
	p.MLA = &MLA{KVLoraRank: p.HeadDim, QKRopeHeadDim: r.dim(maxDimension, "qk_rope_head_dim"), QLoraRank: r.dim(maxDimension, "q_lora_rank"),
		IndexHeadDim: r.dim(maxDimension, "index_head_dim"), IndexHeads: r.dim(maxDimension, "index_n_heads"), Sparse: true,
		OutGroups: r.dim(maxDimension, "o_groups"), OutLoraRank: r.dim(maxDimension, "o_lora_rank")}
	if l, ok := r.text["compress_ratios"].([]any); ok {
		for _, v := range l[:min(len(l), maxLayers)] {
			f, _ := number(v)
			p.Compress = append(p.Compress, int(min(max(f, 0), 1<<20)))
		}
		return
	}
	rates, _ := r.text["compress_rates"].(object)
	for _, w := range stringsOf(r.text["layer_types"]) {
		ratio := 0
		switch w {
		case "compressed_sparse_attention":
			ratio = 4
		case "heavily_compressed_attention":
			ratio = 128
		}
		if f, ok := number(rates[w]); ok && f > 0 && f < 1<<20 {
			ratio = int(f)
		}
		p.Compress = append(p.Compress, ratio)
	}
}

// patternLayers reads Nemotron-H's string: M is Mamba-2, * attention, - an MLP, E experts.
func patternLayers(s string) []LayerKind {
	var kinds []LayerKind
	for _, c := range s {
		switch c {
		case 'M':
			kinds = append(kinds, MambaLayer)
		case '*':
			kinds = append(kinds, FullAttention)
		case '-', 'E':
			kinds = append(kinds, NoAttention)
		}
	}
	return kinds
}

func numbered(l []any, zero, one LayerKind) []LayerKind {
	var kinds []LayerKind
	for _, v := range l[:min(len(l), maxLayers)] {
		if f, ok := number(v); ok && f > 0 {
			kinds = append(kinds, one)
		} else {
			kinds = append(kinds, zero)
		}
	}
	return kinds
}

func repeat(n int, k LayerKind) []LayerKind {
	kinds := make([]LayerKind, n)
	for i := range kinds {
		kinds[i] = k
	}
	return kinds
}

// deciLayers reads Nemotron-NAS block_configs: layers whose attention was searched away have no cache.
func (r *reader) deciLayers(p *Profile, l []any) []LayerKind {
	var kinds []LayerKind
	for _, v := range l[:min(len(l), maxLayers)] {
		b, _ := v.(object)
		r.blockWidth(p, b)
		a, _ := b["attention"].(object)
		if r.flag(a, "no_op") || r.flag(a, "replace_with_linear") {
			kinds = append(kinds, NoAttention)
			continue
		}
		if n := r.in(a, "block_configs.attention.n_heads_in_group", maxDimension, "n_heads_in_group"); n > 0 && p.Heads > 0 {
			p.KVHeads = max(1, p.Heads/n)
		}
		kinds = append(kinds, FullAttention)
	}
	return kinds
}

// blockWidth adds the feed-forward width of one block: two thirds of a multiple of the hidden size, rounded up to 256; a
// single matrix in its place is counted as a third of its width.
func (r *reader) blockWidth(p *Profile, block object) {
	f, _ := block["ffn"].(object)
	switch mult, ok := number(f["ffn_mult"]); {
	case r.flag(f, "no_op"):
	case r.flag(f, "replace_with_linear"):
		p.WidthSum += p.Hidden / 3
	case ok && mult > 0 && mult < 64:
		p.WidthSum += (int(2*mult*float64(p.Hidden)/3) + 255) / 256 * 256
	}
}

// familyLayers applies the rule a family states as a period, or has in its class when config.json is silent.
func (r *reader) familyLayers(p *Profile) []LayerKind {
	t := p.text()
	every := func(n int, others LayerKind) []LayerKind {
		kinds := repeat(p.Layers, others)
		for i := n - 1; i < len(kinds); i += n {
			kinds[i] = FullAttention
		}
		return kinds
	}
	n := r.dim(maxLayers, "full_attention_interval")
	switch {
	case n == 0 && p.Mamba != nil && p.Mamba.Kind == "gdn":
		return every(4, LinearAttention) // Qwen3-Next's class default
	case n > 0:
		return every(n, LinearAttention)
	case p.Mamba != nil && (t == "mamba" || t == "mamba2" || t == "falcon_mamba"):
		return repeat(p.Layers, MambaLayer)
	case p.Mamba != nil && t == "bamba":
		kinds := repeat(p.Layers, MambaLayer)
		for _, v := range listOf(r.text["attn_layer_indices"]) {
			if f, ok := number(v); ok && f >= 0 && int(f) < len(kinds) {
				kinds[int(f)] = FullAttention
			}
		}
		return kinds
	case p.Mamba != nil && t == "falcon_h1":
		return repeat(p.Layers, HybridLayer)
	case p.Mamba != nil && t == "jamba":
		period, offset := max(1, r.dim(maxLayers, "attn_layer_period")), r.dim(maxLayers, "attn_layer_offset")
		kinds := repeat(p.Layers, MambaLayer)
		for i := offset; i < len(kinds); i += period {
			kinds[i] = FullAttention
		}
		return kinds
	case p.ChunkSize > 0:
		if l, ok := r.text["no_rope_layers"].([]any); ok && len(l) == p.Layers {
			return numbered(l, FullAttention, ChunkedAttention)
		}
		return every(4, ChunkedAttention) // Llama 4: no_rope_layer_interval
	}
	return nil
}

// windowLayers places a sliding window where config.json gives only its width.
func (r *reader) windowLayers(p *Profile) []LayerKind {
	t := p.text()
	alternate := func(period int) []LayerKind { // the last of each period sees everything
		kinds := repeat(p.Layers, SlidingAttention)
		for i := period - 1; i < len(kinds); i += period {
			kinds[i] = FullAttention
		}
		return kinds
	}
	if n := r.dim(maxLayers, "sliding_window_pattern"); n > 0 {
		return alternate(n)
	}
	switch {
	case strings.HasPrefix(t, "gemma3"), strings.HasPrefix(t, "gemma4"):
		return alternate(6)
	case t == "gemma2", t == "gpt_oss":
		return alternate(2)
	case strings.HasPrefix(t, "cohere2"), strings.HasPrefix(t, "olmo3"), t == "exaone4":
		return alternate(4)
	case strings.HasPrefix(t, "qwen"): // the first max_window_layers see everything
		full, ok := number(r.text["max_window_layers"])
		if !ok {
			return nil
		}
		kinds := repeat(p.Layers, SlidingAttention)
		for i := range kinds {
			if float64(i) < full {
				kinds[i] = FullAttention
			}
		}
		return kinds
	case t == "mistral", t == "mixtral", t == "phi3", t == "phimoe", t == "starcoder2":
		return repeat(p.Layers, SlidingAttention)
	}
	r.unknown("layer kinds: config.json gives a window of %d tokens but not which layers have it", p.SlidingWindow)
	return nil
}

// state reads the sizes of recurrent layers.
func (r *reader) state(p *Profile) {
	d := func(keys ...string) int { return r.dim(maxDimension, keys...) }
	dtype := strings.TrimPrefix(r.str(r.text, "mamba_ssm_dtype", "mamba_ssm_cache_dtype"), "torch.")
	t := p.text()
	switch {
	case d("linear_num_value_heads") > 0:
		p.Mamba = &Mamba{Kind: "gdn", KeyHeads: d("linear_num_key_heads"), ValueHeads: d("linear_num_value_heads"),
			KeyHeadDim: d("linear_key_head_dim"), ValueHeadDim: d("linear_value_head_dim"), ConvKernel: d("linear_conv_kernel_dim"), StateDType: dtype}
	case r.text["linear_attn_config"] != nil:
		c, _ := r.text["linear_attn_config"].(object)
		n := func(k string) int { return r.in(c, "linear_attn_config."+k, maxDimension, k) }
		p.Mamba = &Mamba{Kind: "kda", Heads: n("num_heads"), HeadDim: n("head_dim"), ConvKernel: n("short_conv_kernel_size"), StateDType: "float32"}
	case d("linear_num_heads") > 0 && d("linear_head_dim") > 0: // Kimi Linear as transformers writes it
		p.Mamba = &Mamba{Kind: "kda", Heads: d("linear_num_heads"), HeadDim: d("linear_head_dim"), ConvKernel: max(1, d("linear_conv_kernel_dim")), StateDType: "float32"}
	case r.text["attn_type_list"] != nil || t == "minimax" || t == "minimax_text_01":
		p.Mamba = &Mamba{Kind: "lightning", Heads: p.Heads, HeadDim: p.HeadDim, StateDType: "float32"}
	case d("conv_L_cache") > 0:
		p.Mamba = &Mamba{Kind: "short_conv", ConvKernel: d("conv_L_cache"), Inner: p.Hidden}
	case d("mamba_num_heads", "mamba_n_heads", "n_mamba_heads") > 0, t == "mamba2" && d("num_heads") > 0:
		m := &Mamba{Kind: "mamba2", Heads: d("mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads"),
			HeadDim: d("mamba_head_dim", "mamba_d_head", "mamba_headdim", "head_dim"), StateSize: d("ssm_state_size", "mamba_d_state", "state_size"),
			Groups: max(1, d("n_groups", "mamba_n_groups", "mamba_ngroups")), ConvKernel: d("conv_kernel", "mamba_d_conv"), StateDType: dtype}
		m.Inner = m.Heads * m.HeadDim
		if e, ok := number(r.text["mamba_expand"]); ok && m.HeadDim == 0 && e > 0 && e <= 16 {
			m.Inner = int(e * float64(p.Hidden))
			m.HeadDim = m.Inner / m.Heads
		}
		p.Mamba = m
	case t == "jamba", t == "mamba", t == "falcon_mamba":
		e, ok := number(r.text["mamba_expand"])
		if !ok || e <= 0 || e > 16 {
			e = 2
		}
		m := &Mamba{Kind: "mamba1", StateSize: d("mamba_d_state", "state_size"), ConvKernel: d("mamba_d_conv", "conv_kernel"), Inner: int(e * float64(p.Hidden))}
		if m.StateSize == 0 {
			r.unknown("recurrent state: config.json does not give its size")
			return
		}
		p.Mamba = m
	}
}
