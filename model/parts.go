package model

// Sharding says how tensor parallelism divides a part.
type Sharding int

// The ways of division.
const (
	Split      Sharding = iota // evenly over the ranks
	Replicated                 // whole on every rank
	SplitKV                    // key and value projections: by KV heads, replicated beyond their number
	SplitVocab                 // rows, after padding the vocabulary
)

// Part is one kind of matrix summed over all layers. Weights are logical elements (a packed four-bit weight is
// one), a float because hostile sizes would overflow an integer.
type Part struct {
	Role    string // a role of TensorGroup
	Weights float64
	Shard   Sharding
	Quant   bool // a linear layer, which a quantiser may pack
	Layers  int  // layers that have it
}

// Parts lists what the model is made of as far as its sizes tell; complete is false when a size is missing, and
// then the sum says nothing.
func (p *Profile) Parts() (parts []Part, complete bool) {
	c := &counter{p: p}
	h := float64(p.Hidden)
	c.need(p.Layers > 0 && p.Hidden > 0 && p.Vocab > 0)
	c.add("embedding", float64(p.Vocab)*h, SplitVocab, false, 1)
	if !p.TieEmbeddings && !p.EncoderOnly {
		c.add("lm_head", float64(p.Vocab)*h, SplitVocab, true, 1)
	}
	if n := float64(p.PerLayerInput); n > 0 { // a table of its own for each layer, and the gates that mix it in
		c.add("embedding", float64(p.Vocab)*n*float64(p.Layers), SplitVocab, false, p.Layers)
		c.add("router", (3-float64(boolInt(p.LaurelRank > 0)))*h*n*float64(p.Layers), Replicated, false, p.Layers)
	}
	c.attention()
	c.state()
	c.feedForward()
	c.add("norm", 2*h*float64(p.Layers)+h, Replicated, false, p.Layers)
	if p.VisionTower != nil && p.VisionTower.Parameters > 0 {
		c.add("vision", float64(p.VisionTower.Parameters), Split, false, p.VisionTower.Layers)
	} else {
		c.need(!p.Vision)
	}
	c.add("norm", h*float64(p.LearnedPositions), Replicated, false, 1)
	c.encoderStack()
	if n := float64(p.LaurelRank) * float64(p.Layers); n > 0 { // Gemma 3n: the side path, four streams in and out, a projection for each layer's own table
		c.add("router", 2*h*n+6*h*h+h*float64(p.PerLayerInput*p.Layers), Replicated, false, p.Layers)
	}
	switch p.text() {
	case "zamba", "zamba2", "recurrent_gemma", "rwkv", "kimi_k3", "jetmoe", "doge", "blt", "hrm_text", "moshi",
		"phi4_multimodal", "ernie4_5_vl_moe_text", "xlstm", "zaya", "inkling_text", "ctrl", "cpmant", "nanochat":
		c.need(false) // blocks that are not described by the sizes read here
	}
	return c.parts, !c.missing
}

// encoderStack counts the encoder of BART and Whisper, and the attention to it in each decoder layer. T5's sizes are
// others.
func (c *counter) encoderStack() {
	p := c.p
	if !p.EncoderDecoder {
		return
	}
	h := float64(p.Hidden)
	switch p.text() {
	case "whisper", "bart", "mbart":
		c.need(p.EncoderLayers > 0 && p.EncoderIntermediate > 0)
	default:
		c.need(false)
	}
	c.add("attention", float64(p.Layers)*4*h*h, Split, true, p.Layers)
	c.add("encoder", float64(p.EncoderLayers)*(4*h*h+2*h*float64(p.EncoderIntermediate)), Split, true, p.EncoderLayers)
	if p.text() == "whisper" {
		c.add("encoder", 3*h*h+3*128*h, Replicated, false, 1) // two convolutions over 128 bands
	}
}

type counter struct {
	p       *Profile
	parts   []Part
	missing bool
}

func (c *counter) need(ok bool) { c.missing = c.missing || !ok }

func (c *counter) add(role string, weights float64, s Sharding, quant bool, layers int) {
	if weights > 0 {
		c.parts = append(c.parts, Part{Role: role, Weights: weights, Shard: s, Quant: quant, Layers: layers})
	}
}

// CountKind is the number of layers of a kind. A model without LayerKinds has full attention everywhere.
func (p *Profile) CountKind(kinds ...LayerKind) int {
	if len(p.LayerKinds) == 0 {
		for _, k := range kinds {
			if k == FullAttention && !p.EncoderOnly {
				return p.Layers
			}
		}
		return 0
	}
	n := 0
	for _, l := range p.LayerKinds {
		for _, k := range kinds {
			if l == k {
				n++
				break
			}
		}
	}
	return n
}

// attention counts projections; full and window layers may differ in heads.
func (c *counter) attention() {
	p := c.p
	h := float64(p.Hidden)
	full := p.CountKind(FullAttention, ChunkedAttention, HybridLayer)
	window := p.CountKind(SlidingAttention)
	if p.EncoderOnly {
		full = p.Layers
	}
	switch {
	case len(p.Compress) > 0:
		c.compressed()
		return
	case p.MLA != nil:
		if p.TwinBlocks {
			full *= 2
		}
		c.latent(full)
		return
	}
	if p.IndexKeyLayers > 0 {
		n := float64(p.IndexKeyLayers) * h * float64(p.IndexKeyDim)
		c.add("attention", n*float64(p.IndexKeyHeads), Split, true, p.IndexKeyLayers)
		c.add("attention", n, Replicated, true, p.IndexKeyLayers)
	}
	one := func(n, heads, kv, dim, vdim, projected int) {
		if n == 0 {
			return
		}
		c.need(heads > 0 && kv > 0 && dim > 0)
		q := float64(heads * dim)
		if p.GatedQuery {
			q *= 2
		}
		c.add("attention", float64(n)*h*(q+float64(heads*vdim)), Split, true, n)
		c.add("attention", float64(n)*h*float64(kv)*float64(projected), SplitKV, true, n)
		if p.AttentionBias || p.text() == "gpt_oss" {
			c.add("bias", float64(n)*(q+float64(kv*(dim+vdim))), Split, false, n)
		}
	}
	dim, kv := p.HeadDim, p.KVHeads
	vdim := orElse(p.VHeadDim, dim)
	windowDim, windowVDim := orElse(p.WindowHeadDim, dim), orElse(p.WindowVDim, vdim)
	one(window, p.Heads, orElse(p.WindowKVHeads, kv), windowDim, windowVDim, windowDim+windowVDim)
	if p.FullHeadDim > 0 {
		dim, vdim = p.FullHeadDim, p.FullHeadDim
	}
	projected := dim + vdim
	if p.KeyIsValue {
		projected = dim
	}
	one(full, p.Heads, orElse(p.FullKVHeads, kv), dim, vdim, projected)
}

func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// latent counts multi-head latent attention; the down-projections are whole on every rank, and vLLM keeps
// 16-bit copies of the two halves of kv_b_proj for decoding (process_weights_after_loading of MLAAttention).
func (c *counter) latent(n int) {
	p, m := c.p, c.p.MLA
	h, heads := float64(p.Hidden), float64(p.Heads)
	c.need(m.QKRopeHeadDim > 0 && m.QKNopeHeadDim > 0 && m.VHeadDim > 0 && p.Heads > 0)
	q := heads * float64(m.QKNopeHeadDim+m.QKRopeHeadDim)
	layers := float64(n)
	if m.QLoraRank > 0 {
		c.add("attention", layers*h*float64(m.QLoraRank), Replicated, true, n)
		c.add("attention", layers*float64(m.QLoraRank)*q, Split, true, n)
	} else {
		c.add("attention", layers*h*q, Split, true, n)
	}
	up := layers * float64(m.KVLoraRank) * heads * float64(m.QKNopeHeadDim+m.VHeadDim)
	c.add("attention", layers*h*float64(m.KVLoraRank+m.QKRopeHeadDim), Replicated, true, n)
	c.add("attention", up, Split, true, n)
	c.add("mla_copy", up, Split, false, n)
	c.add("attention", layers*heads*float64(m.VHeadDim)*h, Split, true, n)
	if m.Sparse && m.QLoraRank > 0 {
		own := orElse(m.IndexLayers, n)
		c.add("attention", float64(own)*(float64(m.QLoraRank*m.IndexHeads*m.IndexHeadDim)+h*float64(m.IndexHeadDim+m.IndexHeads)), Replicated, false, own)
	}
}

// compressed counts DeepSeek V4: one latent head for keys and values, an output projection of low rank in groups, the
// compressors of the layers that have one, and the hyper-connections between layers.
func (c *counter) compressed() {
	p, m := c.p, c.p.MLA
	h, n, wide := float64(p.Hidden), float64(p.Layers), float64(p.Heads*p.HeadDim)
	c.need(m.QLoraRank > 0 && m.OutGroups > 0 && m.OutLoraRank > 0 && p.HeadDim > 0)
	c.add("attention", n*(h*float64(m.QLoraRank)+h*float64(p.HeadDim)), Replicated, true, p.Layers)
	c.add("attention", n*float64(m.QLoraRank)*wide, Split, true, p.Layers)
	if m.OutGroups > 0 {
		low := float64(m.OutGroups * m.OutLoraRank)
		c.add("attention", n*(wide/float64(m.OutGroups)*low+low*h), Split, true, p.Layers)
	}
	w, four, others := 0.0, 0, 0
	for i, r := range p.Compress {
		switch {
		case i >= p.Layers || r <= 1:
		case r == 4: // twice as wide, and an indexer with a compressor of its own
			w += 4*h*float64(p.HeadDim) + 4*h*float64(m.IndexHeadDim)
			four++
		default:
			w += 2 * h * float64(p.HeadDim)
			others++
		}
	}
	c.add("compressor", w, Replicated, false, four+others)
	c.add("attention", float64(four)*float64(m.IndexHeads)*(float64(m.QLoraRank*m.IndexHeadDim)+h), Replicated, true, four)
	c.add("norm", n*2*24*4*h*2, Replicated, false, p.Layers) // single precision: two of 16 bit
}

// state counts recurrent layers.
func (c *counter) state() {
	p, m := c.p, c.p.Mamba
	n := p.CountKind(LinearAttention, MambaLayer, HybridLayer)
	if n == 0 {
		return
	}
	if m == nil {
		c.need(false)
		return
	}
	h, w := float64(p.Hidden), 0.0
	switch m.Kind {
	case "gdn":
		k, v := float64(m.KeyHeads*m.KeyHeadDim), float64(m.ValueHeads*m.ValueHeadDim)
		w = h*(2*k+2*v) + 2*h*float64(m.ValueHeads) + v*h + (2*k+v)*float64(m.ConvKernel)
	case "mamba2":
		i := float64(m.Inner)
		w = h*(2*i+2*float64(m.Groups*m.StateSize)+float64(m.Heads)) + i*h + (i+2*float64(m.Groups*m.StateSize))*float64(m.ConvKernel)
	case "mamba1":
		i, rank := float64(m.Inner), float64((p.Hidden+15)/16)
		w = 2*h*i + i*(rank+2*float64(m.StateSize)) + rank*i + i*h + i*float64(m.StateSize+m.ConvKernel)
	case "short_conv":
		w = 4*h*h + h*float64(m.ConvKernel)
	case "lightning":
		w = 5 * h * float64(m.Heads*m.HeadDim)
	case "kda": // query, key, value, output; two gates of low rank; a decay for each head
		d, wide := float64(m.HeadDim), float64(m.Heads*m.HeadDim)
		w = 4*h*wide + 2*(h*d+d*wide) + h*float64(m.Heads) + 3*wide*float64(m.ConvKernel)
	default:
		c.need(false)
	}
	c.add("linear_attn", float64(n)*w, Split, true, n)
}

// feedForward counts dense blocks, experts and routers.
func (c *counter) feedForward() {
	p, m := c.p, c.p.MoE
	h, matrices := float64(p.Hidden), 3.0
	if p.PlainMLP {
		matrices = 2
	}
	dense := p.Layers
	if p.text() == "nemotron_h" { // each layer is one block of one kind
		dense = p.CountKind(NoAttention)
	}
	if p.text() == "mamba" || p.text() == "mamba2" || p.text() == "falcon_mamba" || p.text() == "nemotron-nas" {
		c.need(p.text() != "nemotron-nas" || p.WidthSum > 0)
		c.add("mlp", matrices*h*float64(p.WidthSum), Split, true, p.Layers)
		return
	}
	if m == nil {
		c.need(p.Intermediate > 0)
		c.add("mlp", float64(dense)*matrices*h*float64(p.Intermediate), Split, true, dense)
		return
	}
	c.need(m.Intermediate > 0)
	if !m.BesideDense {
		dense -= m.Layers
	}
	if p.TwinBlocks {
		dense *= 2
	}
	if dense > 0 {
		width := orElse(m.DenseIntermediate, p.Intermediate)
		c.need(width > 0)
		c.add("mlp", float64(dense)*matrices*h*float64(width), Split, true, dense)
	}
	inner := h
	if m.LatentSize > 0 {
		inner = float64(m.LatentSize)
		c.add("shared_expert", float64(m.Layers)*2*h*inner, Replicated, true, m.Layers)
	}
	e := float64(m.Layers) * float64(m.Experts)
	c.add("expert", e*matrices*inner*float64(m.Intermediate), Split, true, m.Layers)
	if p.text() == "gpt_oss" {
		c.add("bias", e*(2*float64(m.Intermediate)+h), Split, false, m.Layers)
	}
	c.add("shared_expert", float64(m.Layers)*matrices*h*float64(m.SharedIntermediate), Split, true, m.Layers)
	c.add("router", e*h, Replicated, false, m.Layers)
}

// countParameters counts logical parameters from the sizes; a published count is used when they do not tell.
func (p *Profile) countParameters(published int64) {
	parts, complete := p.Parts()
	if !complete {
		p.Parameters = published
		if published == 0 && p.Quant == nil {
			for _, t := range p.Tensors {
				p.Parameters += t.Elements
			}
		}
		return
	}
	sum, active := 0.0, 0.0
	for _, part := range parts {
		if part.Role == "mla_copy" {
			continue
		}
		sum += part.Weights
		if part.Role == "expert" && p.MoE.Experts > 0 {
			active += part.Weights * float64(p.MoE.PerToken) / float64(p.MoE.Experts)
		} else {
			active += part.Weights
		}
	}
	if sum > 1e14 {
		p.Unknowns = append(p.Unknowns, "parameters: the sizes of config.json give more than any model has")
		return
	}
	p.Parameters = int64(sum)
	if p.MoE != nil && p.MoE.PerToken > 0 {
		p.ActiveParameters = int64(active)
	}
}
