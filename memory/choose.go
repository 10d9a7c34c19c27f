package memory

import (
	"fmt"

	"justright/model"
)

// Choice is a way to serve a model on some number of equal cards.
type Choice struct {
	GPUs    int // tensor parallel size
	Context int // what the answer is about; shorter than asked only when nothing was asked
	Answer  Breakdown
}

// Divides reports whether a model can be cut for tp ranks, and if not why: attention heads and quantised blocks do
// not split, KV heads are repeated when there are fewer than ranks.
func Divides(p *model.Profile, tp int) (ok bool, why string) {
	if tp <= 1 {
		return true, ""
	}
	if p.Heads > 0 && p.Heads%tp != 0 {
		return false, fmt.Sprintf("%d attention heads do not divide by %d", p.Heads, tp)
	}
	if p.KVHeads > 0 && p.MLA == nil && p.KVHeads%tp != 0 && tp%p.KVHeads != 0 {
		return false, fmt.Sprintf("%d KV heads neither divide by %d nor into it", p.KVHeads, tp)
	}
	if p.Quant == nil {
		return true, ""
	}
	unit := 0
	switch {
	case len(p.Quant.BlockShape) == 2:
		unit = p.Quant.BlockShape[0]
	case p.Quant.Format == "int4" && p.Quant.GroupSize > 0:
		unit = p.Quant.GroupSize
	}
	width, what := p.Intermediate, "intermediate size"
	if p.MoE != nil {
		width, what = p.MoE.Intermediate, "experts' intermediate size"
	}
	if unit > 0 && width > 0 && (width%tp != 0 || width/tp%unit != 0) {
		return false, fmt.Sprintf("%s %d over %d ranks is no multiple of the quantiser's %d", what, width, tp, unit)
	}
	return true, ""
}

// Choose finds the fewest cards, at most limit, on which p fits as asked. When no context was asked and the model's
// own does not fit on any, it takes the fewest that hold at least least tokens (or the model's own, when that is
// shorter) and shortens the context to a round number. found is false when nothing is sure to fit; then the best
// candidate is returned.
func Choose(p model.Profile, u Use, limit, least int) (c Choice, found bool) {
	var shorter *Choice
	last := Choice{}
	for n := 1; n <= max(1, limit); n *= 2 {
		if ok, _ := Divides(&p, n); !ok {
			continue
		}
		u.TensorParallel = n
		b := Estimate(p, u)
		last = Choice{n, b.Context, b}
		if b.Fits != nil && *b.Fits {
			return last, true
		}
		if u.Context > 0 || shorter != nil || b.MaxContext < min(least, p.MaxPosition) || b.MaxContext == 0 {
			continue
		}
		for _, share := range []float64{0.9, 0.7, 0.5, 0.25} {
			s := u
			if s.Context = roundContext(int(float64(b.MaxContext) * share)); s.Context < least {
				break
			}
			if a := Estimate(p, s); a.Fits != nil && *a.Fits {
				shorter = &Choice{n, s.Context, a}
				break
			}
		}
	}
	if shorter != nil {
		return *shorter, true
	}
	return last, false
}

// roundContext rounds down to a length people write: multiples of 1024.
func roundContext(n int) int { return n / 1024 * 1024 }
