package memory

import (
	"fmt"
	"math"
	"strings"

	"justright/model"
)

// compressedLayout is DeepSeek V4's cache: every layer keeps a short window, and most keep one state for 4 or 128
// tokens as well, with an index of the former and, in single precision, the tokens whose states are not made yet.
// Layers of one kind and size are dealt out to groups of equal length (vLLM's deepseek_v4/attention.py, compressor.py,
// sparse_swa.py, and _get_kv_cache_groups_uniform_groups or _get_packed_kv_cache_groups of kv_cache_utils.py).
func compressedLayout(p *model.Profile, u Use, r rules) layout {
	if p.HeadDim == 0 || p.MLA == nil || p.MLA.IndexHeadDim == 0 {
		return layout{why: "the sizes of compressed layers are not known"}
	}
	block := orElse(u.BlockSize, 256)
	state, align, word := float64(p.HeadDim)+72, 576.0, "fp8_ds_mla" // rotary part in 16 bit, a scale for 64 elements
	if u.CacheDType == "bfloat16" {
		state, align, word = float64(p.HeadDim)*2, 512, "16 bit"
	}
	page := func(bytes float64) float64 { return math.Ceil(bytes/align) * align }
	four, many, layers := 0, 0, 0
	for i, c := range p.Compress {
		if i >= p.Layers && !predicts(p, u) {
			break
		}
		layers++
		switch {
		case c == 4:
			four++
		case c > 4:
			many++
		}
	}
	ratio := 128
	for _, c := range p.Compress {
		if c > 4 {
			ratio = c
		}
	}
	full := []stack{{page(state * float64(block/4)), four}, {page((float64(p.MLA.IndexHeadDim) + 4) * float64(block/4)), four}, {page(state * float64(block/ratio)), many}}
	window := []stack{{page(state * 64), layers}}
	pending4 := []stack{{page(4 * 4 * 4 * float64(p.HeadDim)), four}, {page(4 * 4 * 4 * float64(p.MLA.IndexHeadDim)), four}}
	pendingMany := []stack{{page(8 * 2 * 4 * float64(p.HeadDim)), many}}
	size := groupLength([]int{max(four, many), layers, four, many}, max(four, many))
	l := layout{tokens: block, formula: fmt.Sprintf("%d window, %d fourfold, %d %d-fold layers, blocks of %d tokens, %s", layers, four, many, ratio, block, word)}
	first := bytesOf(full, 1)
	add := func(list []stack, tokens, window int) {
		if list[0].count == 0 {
			return
		}
		n := int(math.Ceil(float64(list[0].count) / float64(size)))
		g := group{count: n, tokens: tokens, kind: model.SlidingAttention, window: window, weight: 1}
		if !r.blockShare {
			g.weight = bytesOf(list, 1) / float64(n) / first
		}
		l.blockBytes = math.Max(l.blockBytes, bytesOf(list, n))
		l.groups = append(l.groups, g)
	}
	l.blockBytes = first
	l.groups = append(l.groups, group{count: 1, tokens: block, kind: model.FullAttention, weight: 1})
	add(window, 64, orElse(p.SlidingWindow, 128))
	add(pending4, 4, 8)
	add(pendingMany, 8, ratio)
	if !r.packedBlocks { // a block has room for one page of each size, as often as the longest group
		pages := 0.0
		for _, s := range full {
			if s.count > 0 {
				pages += s.page
			}
		}
		longest := max(four, many)
		for _, n := range []int{layers, four, many} {
			if n > 0 {
				longest = max(longest, int(math.Ceil(float64(n)/math.Ceil(float64(n)/float64(size)))))
			}
		}
		l.blockBytes = pages * float64(longest)
	}
	return l
}

// stack is layers with pages of one size.
type stack struct {
	page  float64
	count int
}

// bytesOf is what the largest of n groups of the stacks takes of a block.
func bytesOf(list []stack, n int) float64 {
	sum := 0.0
	for _, s := range list {
		sum += s.page * math.Ceil(float64(s.count)/float64(n))
	}
	return sum
}

// groupLength is the number of layers a group has, at least least, that pads all counts the least; the larger of equals
// (_approximate_gcd).
func groupLength(counts []int, least int) int {
	best, bestPad := max(least, 1), -1
	most := best
	for _, c := range counts {
		most = max(most, c)
	}
	for d := best; d <= most; d++ {
		pad := 0
		for _, c := range counts {
			if c > 0 {
				pad += (d - c%d) % d
			}
		}
		if bestPad < 0 || pad <= bestPad {
			best, bestPad = d, pad
		}
	}
	return best
}

// batchDecides reports a cache whose need hangs on the batch more than on the context, when the batch is not stated: every
// recipe of such a model states one.
func batchDecides(p *model.Profile, u Use) bool {
	return len(p.Compress) > 0 && u.BatchedTokens == 0 && !u.AllStated
}

// compressed reports DeepSeek V4 with its layers described.
func compressed(p *model.Profile) bool {
	return strings.HasPrefix(p.ModelType, "deepseek_v4") && len(p.Compress) > 0
}
