package memory

import (
	"fmt"
	"math"
	"strings"

	"justright/model"
)

// layout is how one rank's KV cache is cut into blocks (kv_cache_utils.py). One block serves a group of layers; a
// request holds blocks of every group.
type layout struct {
	blockBytes float64 // of one block over the layers of a group
	groups     []group
	tokens     int // tokens of the smallest block
	uniform    bool
	perToken   float64 // bytes a token costs when all layers grow with the context, for the formula
	formula    string
	why        string // why nothing is known; then the rest is zero
}

// group is a set of layers that share block tables.
type group struct {
	count  int // how many such groups
	tokens int // of one block
	kind   model.LayerKind
	window int
	weight float64 // of one of its blocks when concurrency is counted; 0 is 1
}

// crossAttention keeps the encoder's positions of a request, however long the text is.
const crossAttention model.LayerKind = "cross_attention"

// layers of one kind and size
type class struct {
	kind     model.LayerKind
	layers   int
	perToken float64 // bytes of one token in one layer
	state    float64 // bytes of one sequence's state
	window   int
}

// elementBytes is the size of one cached element; tail is what each head of a token adds for scales.
func elementBytes(p *model.Profile, u Use, r rules) (size, tail float64, word string) {
	t := u.CacheDType
	if t == "" || t == "auto" {
		t = "auto"
		if p.Quant != nil && p.Quant.KVCacheDType != "" && r.checkpointKV {
			t = p.Quant.KVCacheDType
		}
	}
	switch {
	case t == "auto", t == "bfloat16", t == "float16", t == "half":
		if u.DType == "float32" || u.DType == "float" {
			return 4, 0, "float32"
		}
		return 2, 0, "16 bit"
	case strings.HasSuffix(t, "per_token_head"):
		if strings.HasPrefix(t, "int4") {
			return 0.5, 4, t
		}
		return 1, 4, t
	case strings.HasPrefix(t, "fp8"), t == "int8":
		return 1, 0, t
	case strings.HasPrefix(t, "nvfp4"):
		return 0.5625, 0, t
	case strings.Contains(t, "4bit"), strings.Contains(t, "int4"):
		return 0.5, 4, t
	}
	return 2, 0, t
}

// classes lists the kinds of layers that have a cache.
func classes(p *model.Profile, u Use, r rules) (list []class, word, why string) {
	if p.EncoderDecoder && (p.CrossTokens == 0 || r.firstEngine || !r.crossCache) {
		return nil, "", "the cache of encoder-decoder models is not described"
	}
	if p.MLA != nil && !r.described {
		return nil, "", "how vLLM before 0.6.0 kept latent attention is not described"
	}
	switch p.ModelType {
	case "deepseek_v4":
		return nil, "", "config.json does not tell which layers of DeepSeek V4 compress how (compress_ratios)"
	case "mllama":
		if r.crossCache {
			return nil, "", "the second engine never served mllama"
		}
	}
	if r.firstEngine && p.Mamba != nil {
		return nil, "", "the first engine kept recurrent states beside the cache, for every sequence"
	}
	for _, s := range p.Unknowns {
		if strings.HasPrefix(s, "layer kinds") {
			return nil, "", s
		}
	}
	if p.Layers == 0 {
		return nil, "", "the number of layers is not known"
	}
	e, tail, word := elementBytes(p, u, r)
	tp := max(1, u.TensorParallel)
	pp := max(1, u.PipelineParallel)
	count := func(k ...model.LayerKind) int {
		n := countUnshared(p, k...)
		if pp > 1 {
			n = int(math.Ceil(float64(n) / float64(pp)))
		}
		return n
	}
	full, window, chunk := count(model.FullAttention, model.HybridLayer), count(model.SlidingAttention), count(model.ChunkedAttention)
	state := count(model.LinearAttention, model.MambaLayer, model.HybridLayer)
	if predicts(p, u) {
		full += p.MTPLayers
	}
	if p.TwinBlocks {
		full *= 2
	}
	if full > 0 && p.MLA != nil {
		latent, why := latentClasses(p, u, r, full, e)
		if why != "" {
			return nil, word, why
		}
		list = append(list, latent...)
	} else if full+window+chunk > 0 {
		if p.KVHeads == 0 || p.HeadDim == 0 {
			return nil, word, "the number or the size of the KV heads is not known"
		}
		cost := func(kv, dim, vdim int) float64 {
			heads := float64(max(1, kv/tp))
			return heads * (float64(dim+vdim)*e + 2*tail)
		}
		v := orElse(p.VHeadDim, p.HeadDim)
		if window > 0 {
			list = append(list, class{kind: model.SlidingAttention, layers: window, window: p.SlidingWindow,
				perToken: cost(orElse(p.WindowKVHeads, p.KVHeads), orElse(p.WindowHeadDim, p.HeadDim), orElse(p.WindowVDim, v))})
		}
		if chunk > 0 {
			list = append(list, class{kind: model.ChunkedAttention, layers: chunk, window: p.ChunkSize, perToken: cost(p.KVHeads, p.HeadDim, v)})
		}
		if full > 0 {
			d := orElse(p.FullHeadDim, p.HeadDim)
			if p.FullHeadDim > 0 {
				v = d
			}
			list = append(list, class{kind: model.FullAttention, layers: full, perToken: cost(orElse(p.FullKVHeads, p.KVHeads), d, v)})
		}
	}
	if p.IndexKeyLayers > 0 && p.IndexKeyDim > 0 {
		list = append(list, class{kind: model.FullAttention, layers: int(math.Ceil(float64(p.IndexKeyLayers) / float64(pp))), perToken: 2 * float64(p.IndexKeyDim)})
	}
	if p.CrossTokens > 0 && full > 0 { // Mllama's blocks span all layers for the text and again for the image
		c := list[len(list)-1]
		list = append(list, class{kind: crossAttention, layers: full, perToken: c.perToken, window: p.CrossTokens})
	}
	if state > 0 {
		bytes, why := stateBytes(p, u, r)
		if why != "" {
			return nil, word, why
		}
		list = append(list, class{kind: model.MambaLayer, layers: state, state: bytes})
	}
	return list, word, ""
}

func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// countUnshared counts layers with a cache of their own: the last KVShared ones reuse another's.
func countUnshared(p *model.Profile, kinds ...model.LayerKind) int {
	if p.KVShared == 0 || p.KVShared >= p.Layers {
		return p.CountKind(kinds...)
	}
	own := *p
	own.Layers -= p.KVShared
	if len(p.LayerKinds) > own.Layers {
		own.LayerKinds = p.LayerKinds[:own.Layers]
	}
	return own.CountKind(kinds...)
}

// latentClasses is the cache of multi-head latent attention: one vector a token, whole on every rank. Before vLLM
// had that layout each head kept its keys and values, padded to 256.
func latentClasses(p *model.Profile, u Use, r rules, layers int, e float64) ([]class, string) {
	m := p.MLA
	if !r.latentCache {
		heads := float64(max(1, p.Heads/max(1, u.TensorParallel)))
		return []class{{kind: model.FullAttention, layers: layers, perToken: heads * 2 * 256 * e}}, ""
	}
	if m.QKRopeHeadDim == 0 {
		return nil, "the size of the latent vector is not known"
	}
	per := float64(m.KVLoraRank+m.QKRopeHeadDim) * e
	if !m.Sparse {
		return []class{{kind: model.FullAttention, layers: layers, perToken: per}}, ""
	}
	packed := float64(m.KVLoraRank) + float64(m.KVLoraRank)/128*4 + float64(m.QKRopeHeadDim)*2 // fp8, four scales, 16 bit
	switch c := u.GPU.Capability; {
	case u.CacheDType == "nvfp4_ds_mla":
		per = 352
	case u.CacheDType == "fp8_ds_mla", e == 1 && c.Major != 10, u.CacheDType == "" && c.Major == 12 && r.sharedIndex:
		per = packed // FlashMLA's own format; FlashInfer's on data-centre Blackwell stores plain 8 bit
	}
	index, own := float64(m.IndexHeadDim)+4, layers
	if m.IndexLayers > 0 && p.Layers > 0 && r.sharedIndex {
		own = int(math.Ceil(float64(layers) * float64(m.IndexLayers) / float64(p.Layers)))
	}
	return []class{{kind: model.FullAttention, layers: layers, perToken: per}, {kind: model.FullAttention, layers: own, perToken: index}}, ""
}

// stateBytes is what one sequence keeps in one recurrent layer: the tail of the convolution and the recurrent state,
// both divided by the ranks (mamba_utils.py).
func stateBytes(p *model.Profile, u Use, r rules) (float64, string) {
	m := p.Mamba
	if m == nil {
		return 0, "the size of the recurrent state is not known"
	}
	tp := float64(max(1, u.TensorParallel))
	state := 2.0
	switch u.StateDType {
	case "", "auto":
		if m.StateDType == "float32" && (m.Kind != "gdn" || r.ownStateType) {
			state = 4
		}
	case "float32":
		state = 4
	}
	tail := float64(max(0, m.ConvKernel-1) + drafts(u))
	switch m.Kind {
	case "gdn":
		conv := float64(2*m.KeyHeads*m.KeyHeadDim + m.ValueHeads*m.ValueHeadDim)
		return (conv*tail*2 + float64(m.ValueHeads*m.ValueHeadDim*m.KeyHeadDim)*state) / tp, ""
	case "mamba2":
		groups := float64(m.Groups)
		if math.Mod(groups, tp) != 0 {
			groups = math.Ceil(groups/tp) * tp
		}
		conv := float64(m.Inner) + 2*groups*float64(m.StateSize)
		return (conv*tail*2 + float64(m.Heads*m.HeadDim*m.StateSize)*state) / tp, ""
	case "mamba1":
		return (float64(m.Inner)*tail*2 + float64(m.Inner*m.StateSize)*state) / tp, ""
	case "short_conv":
		return float64(m.Inner) * tail * 2 / tp, ""
	case "kda":
		return (3*float64(m.Heads*m.HeadDim)*tail*2 + float64(m.Heads*m.HeadDim*m.HeadDim)*4) / tp, ""
	case "lightning":
		return float64(m.Heads*m.HeadDim*m.HeadDim) * 4 / tp, ""
	}
	return 0, "the recurrent state of " + m.Kind + " is not described"
}

// drafts is how many tokens speculation adds to a step; MTP drafts one when nothing is said.
func drafts(u Use) int {
	if !u.Speculative.On {
		return 0
	}
	return max(1, u.Speculative.Tokens)
}

// arrange cuts the classes into groups.
func arrange(p *model.Profile, u Use, r rules) layout {
	if compressed(p) {
		return compressedLayout(p, u, r)
	}
	list, word, why := classes(p, u, r)
	if why != "" {
		return layout{why: why}
	}
	if len(list) == 0 {
		return layout{formula: "no layer keeps a cache"}
	}
	block := orElse(u.BlockSize, 16)
	list = merge(list, r, u)
	l := layout{}
	for _, c := range list {
		l.perToken += c.perToken * float64(c.layers)
	}
	allFull := true
	for _, c := range list {
		allFull = allFull && c.kind == model.FullAttention
	}
	if allFull || len(list) == 1 && list[0].state == 0 {
		c := list[0]
		l.uniform, l.tokens, l.blockBytes = true, block, l.perToken*float64(block)
		l.groups = []group{{count: 1, tokens: block, kind: c.kind, window: c.window}}
		l.formula = fmt.Sprintf("%d layers x %.0f B a token, %s", c.layers, l.perToken/float64(c.layers), word)
		return l
	}
	return l.grouped(list, block, word, r)
}

// merge charges window layers like full ones where the engine does.
func merge(list []class, r rules, u Use) []class {
	if r.hybridManager && !u.NoHybrid {
		return list
	}
	var out []class
	for _, c := range list {
		if c.state == 0 && c.kind != crossAttention {
			c.kind, c.window = model.FullAttention, 0
		}
		same := -1
		for i := range out {
			if out[i].kind == c.kind && out[i].perToken == c.perToken && c.state == 0 && c.kind != crossAttention {
				same = i
			}
		}
		if same >= 0 {
			out[same].layers += c.layers
			continue
		}
		out = append(out, c)
	}
	return out
}

// grouped gives all pages one size and all groups one number of layers.
func (l layout) grouped(list []class, block int, word string, r rules) layout {
	widest, state := 0.0, 0.0
	for _, c := range list {
		widest, state = math.Max(widest, c.perToken), math.Max(state, c.state)
	}
	if state > 0 && widest > 0 { // the attention page grows until it holds a state
		smallest := widest
		for _, c := range list {
			if c.perToken > 0 {
				smallest = math.Min(smallest, c.perToken)
			}
		}
		block = max(block, int(math.Ceil(state/smallest/16))*16)
	}
	page := math.Max(widest*float64(block), 0)
	if widest == 0 {
		page = state
	}
	least, most := list[0].layers, list[0].layers
	for _, c := range list {
		least, most = min(least, c.layers), max(most, c.layers)
	}
	size := least
	if float64(most) < float64(least)*r.groupSlack {
		size = most
	}
	l.blockBytes, l.tokens = page*float64(size), math.MaxInt
	for _, c := range list {
		g := group{count: int(math.Ceil(float64(c.layers) / float64(size))), kind: c.kind, window: c.window, tokens: block}
		if c.perToken > 0 {
			g.tokens = max(1, int(page/c.perToken))
			l.tokens = min(l.tokens, g.tokens)
		}
		l.groups = append(l.groups, g)
	}
	if l.tokens == math.MaxInt {
		l.tokens = 1
	}
	n := 0
	for _, g := range l.groups {
		n += g.count
	}
	l.formula = fmt.Sprintf("%d groups of %d layers, blocks of %d tokens x %.0f B, %s", n, size, l.tokens, page/float64(l.tokens), word)
	return l
}

// request is how many blocks one request of n tokens holds.
func (l layout) request(n, batch int, u Use, r rules) float64 {
	sum := 0.0
	for _, g := range l.groups {
		sum += float64(g.count) * g.held(n, batch, u, r, len(l.groups) == 1)
	}
	return sum
}

// shared is request as the engine counts it for its concurrency line, where a smaller group's block may count less.
func (l layout) shared(n, batch int, u Use, r rules) float64 {
	sum := 0.0
	for _, g := range l.groups {
		held := float64(g.count) * g.held(n, batch, u, r, len(l.groups) == 1)
		if g.weight > 0 {
			held *= g.weight
		}
		sum += held
	}
	return math.Ceil(sum - 1e-9)
}

// held is how many blocks of one group a request of n tokens holds; alone says that there is no other group.
func (g group) held(n, batch int, u Use, r rules, alone bool) float64 {
	switch g.kind {
	case model.MambaLayer:
		held := 1 + float64(drafts(u)*boolInt(u.Speculative.On))
		if (r.alignState || r.alignAsked && u.PrefixCache) && !u.NoPrefixCache && !alone {
			held++
		}
		return held
	case model.SlidingAttention:
		if alone && n <= g.window {
			return math.Ceil(float64(n) / float64(g.tokens))
		}
		return math.Ceil(math.Min(float64(g.window-1+batch*r.inFlight), float64(n))/float64(g.tokens)) + 1
	case crossAttention:
		return math.Ceil(float64(g.window) / float64(g.tokens))
	case model.ChunkedAttention:
		return math.Ceil(math.Min(float64(g.window+batch*r.inFlight), float64(n)) / float64(g.tokens))
	default:
		return math.Ceil(float64(n) / float64(g.tokens))
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// reported is how many bytes of cache stand behind one token of the engine's "GPU KV cache size" line.
func (l layout) reported(n, batch int, u Use, r rules) float64 {
	if len(l.groups) == 0 {
		return 0
	}
	if r.tokensByNeed && n > 0 {
		return l.blockBytes * l.shared(n, batch, u, r) / float64(n)
	}
	groups := 0
	for _, g := range l.groups {
		groups += g.count
	}
	return l.blockBytes * float64(groups) / float64(l.tokens)
}

// need is the cache one request of n tokens needs.
func (l layout) need(n, batch int, u Use, r rules) float64 {
	return l.blockBytes * l.request(n, batch, u, r)
}
