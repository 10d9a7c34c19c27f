package solve

import (
	"fmt"
	"strconv"
	"strings"

	"justright/catalog"
	"justright/problem"
)

// tensorParallel is the stated tensor parallel size; 0 when not stated.
func (s *subject) tensorParallel() int {
	n, _ := s.flags.Int("tensor-parallel-size")
	return n
}

// groupSize is the tensor parallel size; without a word about it, all the cards that are asked about share the model.
func (s *subject) groupSize() int {
	n := s.tensorParallel()
	if n == 0 && !s.c.Closed && s.gpu.count > 1 && !s.flags.Has("pipeline-parallel-size") && !s.flags.Has("data-parallel-size") {
		return s.gpu.count
	}
	return n
}

// ruleDivisible: what must divide by the tensor parallel size.
func ruleDivisible(s *subject) []finding {
	tp := s.groupSize()
	if tp < 2 {
		return nil
	}
	heads, kv, inter, expert := s.widths()
	fact := func(what string, n int) catalog.Fact {
		if s.profile != nil {
			for _, f := range s.profile.Sources {
				return catalog.Fact{ID: f.ID + "/" + catalog.FactID(strings.ReplaceAll(what, " ", "-")), Statement: fmt.Sprintf("the model has %d %s", n, what), Source: f.Source, Date: f.Date, Standing: f.Standing}
			}
		}
		return reported("model/"+s.modelLabel()+"/"+strings.ReplaceAll(what, " ", "-"), fmt.Sprintf("%s has %d %s", s.modelLabel(), n, what), catalog.FamilySource, catalog.ModelsDate)
	}
	at := ""
	for _, f := range s.flags.List {
		if f.Name == "tensor-parallel-size" {
			at = strings.TrimSpace(f.Given + " " + f.Value)
		}
	}
	refuse := func(what string, n int, reason string) []finding {
		f := finding{code: CodeTP, at: at, reason: reason, facts: []catalog.Fact{fact(what, n), s.says("tp", "tensor parallel size is %d", tp)}}
		if heads > 0 {
			var ok []string
			for _, t := range []int{1, 2, 4, 8, 16} {
				if t < tp && heads%t == 0 && (expert == 0 || !s.blockFP8() || expert/t%128 == 0) {
					ok = append(ok, strconv.Itoa(t))
				}
			}
			if len(ok) > 0 {
				f.hints = []problem.Hint{{Text: "sizes that divide: " + strings.Join(ok, ", ")}}
			}
		}
		return []finding{f}
	}
	inLayers := func(what string, n int, reason string) []finding {
		out := refuse(what, n, reason)
		out[0].built = true
		return out
	}
	if heads == 0 && s.c.Closed && s.modelProfile() == nil && tp&(tp-1) != 0 {
		if divide, of := catalog.ShapesDividing(tp); of > 0 && divide*10 <= of {
			return []finding{{code: CodeTP, at: at, reason: fmt.Sprintf("whichever model it is, its heads hardly divide by the tensor parallel size %d", tp),
				facts: []catalog.Fact{reported(fmt.Sprintf("model/shapes/tp%d", tp), fmt.Sprintf("of %d well-known shapes %d can be split over %d ranks", of, divide, tp), catalog.FamilySource, catalog.ModelsDate), s.says("tp", "tensor parallel size is %d", tp)},
				hints: []problem.Hint{{Text: "sizes that divide most models: 2, 4, 8"}}}}
		}
	}
	if heads > 0 && heads%tp != 0 {
		return refuse("attention heads", heads, fmt.Sprintf("%d attention heads do not divide by the tensor parallel size %d", heads, tp))
	}
	if kv > 0 && (kv >= tp && kv%tp != 0 || kv < tp && tp%kv != 0) {
		return refuse("KV heads", kv, fmt.Sprintf("%d KV heads and the tensor parallel size %d do not divide one another", kv, tp))
	}
	if s.engine == catalog.SGLang && s.before("0.5.9") && s.blockFP8() && strings.HasPrefix(s.modelType, "qwen3_5") {
		return []finding{{code: CodeTP, at: at, reason: fmt.Sprintf("the gates of the linear attention have one output a value head, at most 64 in this family: over %d ranks that is no multiple of the FP8 quantisation block of 128, which %s demands", tp, s.label()),
			facts: []catalog.Fact{reported("sglang/qwen3.5/gates", "SGLang 0.5.8 checks the block size on the gates of Qwen3.5's linear attention (in_proj_a, in_proj_b) and fails with any tensor parallelism on the FP8 checkpoints", "https://github.com/sgl-project/sglang/issues/19045", "2026-02-21"), s.says("tp", "tensor parallel size is %d", tp)}}}
	}
	if g := s.groups(); g > 0 && expert == 0 && inter > 0 && inter%(tp*g) != 0 {
		return refuse("units in an MLP", inter, fmt.Sprintf("MLP width %d over %d ranks is no multiple of the quantisation group of %d", inter, tp, g))
	}
	if q, _ := s.flags.Get("quantization"); q == "fp8_per_block" && expert > 0 && (expert/tp)%128 != 0 && s.before("0.23.0") && !s.flags.Has("enable-expert-parallel") {
		return refuse("units in an expert", expert, fmt.Sprintf("expert width %d over %d ranks is %d, no multiple of the block of 128 that fp8_per_block quantises in", expert, tp, expert/tp))
	}
	if w := s.sharedExpert(); w > 0 && s.blockFP8() && (w/tp)%128 != 0 {
		return inLayers("units in the shared expert", w, fmt.Sprintf("shared expert width %d over %d ranks is %d, no multiple of the FP8 quantisation block of 128", w, tp, w/tp))
	}
	if s.blockFP8() && !s.flags.Has("enable-expert-parallel") && (s.engine == catalog.SGLang || s.before("0.20.0") || expert == 0) {
		if expert > 0 && (expert/tp)%128 != 0 {
			return inLayers("units in an expert", expert, fmt.Sprintf("expert width %d over %d ranks is %d, no multiple of the FP8 quantisation block of 128", expert, tp, expert/tp))
		}
		if expert == 0 && inter > 0 && (inter/tp)%128 != 0 {
			return inLayers("units in an MLP", inter, fmt.Sprintf("MLP width %d over %d ranks is %d, no multiple of the FP8 quantisation block of 128", inter, tp, inter/tp))
		}
	}
	return nil
}

func (s *subject) modelLabel() string {
	switch {
	case s.c.ModelName != "":
		return s.c.ModelName
	case s.profile != nil:
		return s.profile.ID
	case s.architecture != "":
		return s.architecture
	}
	return "the model"
}

// widths of the model: from its profile, else from the table of well-known shapes.
func (s *subject) widths() (heads, kv, inter, expert int) {
	if p := s.profile; p != nil && p.Heads > 0 {
		heads, kv, inter = p.Heads, p.KVHeads, p.Intermediate
		if p.MoE != nil {
			expert = p.MoE.Intermediate
		}
		if p.MLA != nil {
			kv = 0 // one latent vector, kept by every rank
		}
		return heads, kv, inter, expert
	}
	if sh := s.named.Shape; sh != nil {
		return sh.Heads, sh.KVHeads, sh.Intermediate, sh.ExpertIntermediate
	}
	return 0, 0, 0, 0
}

// groups is how many inputs share a scale in a checkpoint of AWQ or GPTQ; 0 for others. The engine demands whole groups on each rank.
func (s *subject) groups() int {
	if !s.isVLLM() {
		return 0
	}
	if p := s.profile; p != nil {
		if p.Quant != nil && (p.Quant.Method == "awq" || p.Quant.Method == "gptq") && p.Quant.GroupSize > 0 {
			return p.Quant.GroupSize
		}
		return 0
	}
	if q := s.named.Quant; q == "awq" || q == "gptq" {
		return 128
	}
	return 0
}

// sharedExpert is the width of the expert that every token passes, which is split like a plain layer; 0 when there is
// none or it is not known.
func (s *subject) sharedExpert() int {
	if p := s.profile; p != nil && p.MoE != nil {
		return p.MoE.SharedIntermediate
	}
	switch {
	case s.modelType == "qwen3_5_moe" && s.named.Shape != nil:
		return s.named.Shape.ExpertIntermediate // as wide as a routed one, in all of them
	case s.modelType == "qwen3_next":
		return 512 // https://github.com/sgl-project/sglang/issues/10852
	case s.modelType == "step3p5":
		return 1280 // https://github.com/sgl-project/sglang/issues/26107
	}
	return 0
}

// blockFP8 reports whether the weights are FP8 in blocks of 128x128.
func (s *subject) blockFP8() bool {
	if p := s.profile; p != nil && p.Quant != nil {
		return p.Quant.Method == "fp8" && len(p.Quant.BlockShape) > 0 && p.Quant.BlockShape[0] == 128
	}
	if s.named.Quant != "fp8" {
		return false
	}
	owner := strings.ToLower(s.named.Name)
	return strings.HasPrefix(owner, "qwen") || strings.HasPrefix(owner, "step") || strings.HasPrefix(owner, "minimax") || strings.HasPrefix(owner, "deepseek") || strings.HasPrefix(owner, "moonshotai/")
}
