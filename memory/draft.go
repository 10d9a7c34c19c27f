package memory

import (
	"strings"

	"justright/model"
)

// drafted is what a draft model adds to one rank: its weights and its layers' cache. known is false when only a bound can
// be given: a draft is no larger than what it drafts for.
type drafted struct {
	weights  span
	perToken float64
	formula  string
	known    bool
}

// draft accounts for the model that --speculative-config names. A prediction layer of the checkpoint itself is counted with
// the weights. Its profile tells all; without it, an EAGLE head is a layer like the model's, a projection of three hidden
// states to one and a small vocabulary.
func draft(p *model.Profile, u Use, r rules, target weighed) (d drafted, on bool) {
	s := u.Speculative
	if !s.On || predicts(p, u) || strings.Contains(s.Method, "ngram") || s.Method == "suffix" {
		return d, false
	}
	if s.Model != nil {
		own := Use{Version: u.Version, GPU: u.GPU, TensorParallel: u.TensorParallel, DType: u.DType, CacheDType: u.CacheDType}
		w := weigh(s.Model, own, r)
		l := arrange(s.Model, own, r)
		if w.bytes > 0 && l.why == "" {
			return drafted{span{w.bytes, w.low, w.high}, l.perToken, "draft model " + s.Model.ID + ": " + w.formula, true}, true
		}
	}
	if strings.HasPrefix(s.Method, "eagle") && p.Layers > 0 && p.MLA == nil {
		h := float64(p.Hidden)
		layer := 4*h*h + 3*h*float64(p.Intermediate)
		at := 2 * (layer + 3*h*h + 32000*h) / float64(max(1, u.TensorParallel))
		kv := 0.0
		if list, _, why := classes(p, Use{TensorParallel: u.TensorParallel, CacheDType: u.CacheDType}, r); why == "" && len(list) > 0 {
			kv = list[len(list)-1].perToken
		}
		return drafted{span{at, 0.4 * at, 2.5 * at}, kv, "an EAGLE head: a layer, a projection of three hidden states, 32000 entries", true}, true
	}
	return drafted{weights: span{0, 0, target.high}, formula: "a draft model that is not known; no larger than the model", known: false}, true
}
