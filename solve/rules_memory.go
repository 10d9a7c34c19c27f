package solve

import (
	"fmt"
	"slices"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/problem"
)

// ranks is how many cards share the model: as stated, else as many as there are; 0 when that is not known.
func (s *subject) ranks() (tp, pp int) {
	tp, pp = s.tensorParallel(), 1
	if n, ok := s.flags.Int("pipeline-parallel-size"); ok && n > 0 {
		pp = n
	}
	switch {
	case tp > 0:
	case pp > 1:
		tp = 1
	case s.isVLLM() && s.c.Closed && s.gpu.count > 1 && s.wholeCommand():
		tp = 1 // a command that names its model and no number of cards: the engine's own default
	case s.gpu.count > 0:
		tp = s.gpu.count
	case s.c.Fragment:
	case len(s.flags.List) > 0:
		tp = 1 // the engine's own default
	}
	return tp, pp
}

// wholeCommand reports whether the flags are a command as it was given, with the model in it.
func (s *subject) wholeCommand() bool {
	return slices.ContainsFunc(s.flags.List, func(f Flag) bool { return f.Name == "model" && f.Dashed && f.Value != "" }) &&
		!s.flags.Has("data-parallel-size") && !s.flags.Has("pipeline-parallel-size")
}

// use is how the model is served, for the account of memory.
func (s *subject) use(tp, pp int) memory.Use {
	u := memory.Use{GPU: memory.GPU{Name: s.gpu.name, TotalBytes: s.gpu.bytes, Capability: s.gpu.capability}}
	if s.gpu.full != nil {
		u.GPU.Unified = s.gpu.full.Unified
	} else if s.gpu.known {
		u.GPU.Unified = s.gpu.card.Unified
	}
	if s.release != nil && s.isVLLM() {
		u.Version = s.version
		if u.Version.Compare(catalog.FirstCurrentVLLM) < 0 {
			u.Version = catalog.FirstCurrentVLLM // the account did not change before
		}
		if s.flags.Env["VLLM_USE_V1"] == "0" && !s.before("0.8.0") {
			u.Version = catalog.FirstCurrentVLLM
			if r := s.j.newest(catalog.VLLM, "2025-02-28", nil); r != nil {
				u.Version = r.Version // the accounting of the V0 engine
			}
		}
	}
	var args []string
	for _, f := range s.flags.List {
		args = append(args, "--"+f.Name)
		if f.Value != "" {
			args = append(args, f.Value)
		}
	}
	u.ApplyFlags(args) // what is no number changes nothing here; the engine says so itself
	u.TensorParallel, u.PipelineParallel = tp, pp
	u.FromImage = s.hasImage && !s.wheels
	if s.c.Concurrency > 0 {
		u.Concurrency = s.c.Concurrency
	}
	return u
}

// contextBytes is about what the CUDA context and its libraries take of a card: weights that leave no more than that run out of memory
// while they are loaded; with more left, the engine counts no blocks of cache.
const contextBytes = 0.6 * (1 << 30)

// ruleMemory: weights and cache against the cards.
func ruleMemory(s *subject) []finding {
	p := s.modelProfile()
	if p == nil || s.engine == catalog.VLLMCPU || s.variantText == "cpu" || s.c.Fragment {
		return nil // what else was set decides as much as what somebody changed
	}
	tp, pp := s.ranks()
	if tp == 0 {
		return nil
	}
	prof := *p
	if _, over := s.flags.Get("hf-config-path"); over && prof.Quant != nil {
		prof.Quant, prof.WeightsBytes, prof.Tensors = nil, 0, nil // the other config says nothing of quantisation: weights are loaded unpacked
	}
	if _, over := s.flags.Get("hf-config-path"); over && s.profile == nil && s.named.Bits < 16 && s.named.Parameters > 0 {
		prof.WeightsBytes = s.named.Parameters * 2
	}
	u := s.use(tp, pp)
	if u.GPU.TotalBytes == 0 {
		return s.largerThanAnyCard(prof, u)
	}
	b := memory.Estimate(prof, u)
	if s.engine == catalog.SGLang {
		return s.sglangMemory(prof, b, u.GPU.TotalBytes, tp*pp)
	}
	if d, _ := s.flags.Get("dtype"); (d == "float" || d == "float32") && prof.Quant == nil && prof.DType != "float32" && 2*b.WeightsBytes > u.GPU.TotalBytes {
		return []finding{{code: CodeWeights, at: "--dtype " + d, reason: fmt.Sprintf("on %s with %s: in 32 bits the weights take %.1f GiB", s.cardLabel(), counted(tp*pp, "rank"), gib(2*b.WeightsBytes)),
			facts: []catalog.Fact{s.weightsFact(prof, b.WeightsBytes, tp*pp), s.memoryFact()}, hints: []problem.Hint{{Text: "--dtype half takes half of that"}}}}
	}
	likely := b.Fits == nil && b.BudgetKnown && b.NeedBytes > 0 && b.KVBudgetBytes < b.NeedBytes
	if b.Fits != nil && *b.Fits || b.Fits == nil && !likely {
		return nil
	}
	if likely && s.c.Closed && float64(b.KVBudgetBytes) > 0.83*float64(b.NeedBytes) {
		return nil // within what the account is off by
	}
	if likely {
		b.Reason = fmt.Sprintf("about %.2f GiB of cache are left, %.2f are needed for %d tokens", gib(max(0, b.KVBudgetBytes)), gib(b.NeedBytes), b.Context)
	}
	share := float64(u.GPU.TotalBytes) * b.Utilization
	code := CodeKV
	// Weights that fit leave too little for the cache; with an encoder, whose largest item is run beside them, the start
	// runs out of memory before it counts the cache.
	if beside := float64(b.WeightsBytes); beside+contextBytes > float64(u.GPU.TotalBytes) || prof.Vision && beside > 0.9*share || b.Utilization >= 0.995 {
		code = CodeWeights // a share of everything leaves nothing for the context: an allocation fails
	}
	at := ""
	if f, ok := s.flags.Get("max-model-len"); ok && code == CodeKV {
		at = "--max-model-len " + f
	}
	f := finding{code: code, at: at, reason: fmt.Sprintf("on %s with %s: %s", s.cardLabel(), counted(tp*pp, "rank"), b.Reason),
		facts: []catalog.Fact{s.weightsFact(prof, b.WeightsBytes, tp*pp), s.memoryFact()}}
	if code == CodeKV && b.MaxContext > 0 {
		f.hints = append(f.hints, problem.Hint{Text: fmt.Sprintf("--max-model-len %d would do", b.MaxContext)})
	}
	if pp < 2 {
		f.hints = append(f.hints, s.moreCards(prof, u)...)
	}
	return []finding{f}
}

// moreCards says how many more of the same cards hold p at the context that is asked. Where none is, the engine takes the
// model's whole, which fewer cards need not hold to be of use: then it names the fewest at a shorter one too.
func (s *subject) moreCards(p model.Profile, u memory.Use) []problem.Hint {
	var out []problem.Hint
	_, asked := s.flags.Get("max-model-len")
	asked = asked || p.EncoderOnly
	shorter, maybe := false, false
	for _, n := range []int{2, 4, 8} {
		if n <= u.TensorParallel || p.Heads%n != 0 {
			continue
		}
		u := u
		u.TensorParallel = n
		all := memory.Estimate(p, u)
		switch {
		case all.Fits != nil && *all.Fits && len(out) > 0:
			return append(out, problem.Hint{Text: fmt.Sprintf("%d such cards would do at the model's %d tokens", n, all.Context)})
		case all.Fits != nil && *all.Fits:
			return append(out, problem.Hint{Text: fmt.Sprintf("%d such cards would do", n)})
		case asked || shorter:
			continue
		}
		for u.Context = 65536; u.Context >= usefulContext && !shorter; u.Context /= 2 {
			b := memory.Estimate(p, u)
			if u.Context >= all.Context {
				continue
			}
			if shorter = b.Fits != nil && *b.Fits; shorter {
				out = append(out, problem.Hint{Text: fmt.Sprintf("%d such cards would do with --max-model-len %d", n, u.Context)})
			} else if u.Context == usefulContext && b.Fits == nil && b.BudgetKnown && b.MaxContext >= u.Context && !maybe {
				maybe = true
				out = append(out, problem.Hint{Text: fmt.Sprintf("%d such cards may do with --max-model-len %d", n, u.Context)})
			}
		}
	}
	return out
}

func (s *subject) cardLabel() string {
	if s.gpu.name != "" {
		return s.gpu.name
	}
	return fmt.Sprintf("a card of %.0f GiB", gib(s.gpu.bytes))
}

func (s *subject) weightsFact(p model.Profile, perRank int64, ranks int) catalog.Fact {
	st := fmt.Sprintf("the weights of %s take %.1f GiB on each of %s", s.modelLabel(), gib(perRank), counted(ranks, "rank"))
	for _, f := range p.Sources {
		return catalog.Fact{ID: "memory/weights", Statement: st, Source: f.Source, Date: f.Date, Standing: f.Standing}
	}
	return reported("memory/weights", st, "parameters and storage in the model's name", catalog.ModelsDate)
}

func (s *subject) memoryFact() catalog.Fact {
	if s.gpu.full != nil && s.gpu.bytes == s.gpu.full.MemoryBytes {
		return s.gpu.full.Fact()
	}
	return s.says("vram", "a card has %.1f GiB", gib(s.gpu.bytes))
}

// largestCards is the most memory one card had, by the day it could be had.
var largestCards = []struct {
	from string
	gib  float64
	name string
}{{"2025-09-01", 279, "B300"}, {"2025-01-15", 180, "B200"}, {"2024-04-01", 140, "H200"}, {"2023-01-01", 94, "H100 NVL"}}

// largerThanAnyCard: no card is named, but none there was would hold a rank.
func (s *subject) largerThanAnyCard(p model.Profile, u memory.Use) []finding {
	if s.gpu.name != "" || s.day == "" {
		return nil
	}
	b := memory.Estimate(p, u)
	if b.WeightsBytes == 0 {
		return nil
	}
	for _, c := range largestCards {
		if s.day < c.from {
			continue
		}
		u.GPU = memory.GPU{Name: c.name, TotalBytes: int64(c.gib * memory.GiB)}
		if e := memory.Estimate(p, u); e.Fits == nil || *e.Fits || gib(b.WeightsBytes) < 0.9*e.Utilization*c.gib {
			return nil
		}
		n := u.TensorParallel * u.PipelineParallel
		return []finding{{code: CodeWeights, reason: fmt.Sprintf("%.0f GiB of weights on each of %s are more than the engine may use of any card (%s, %.0f GiB)", gib(b.WeightsBytes), counted(n, "card"), c.name, c.gib),
			facts: []catalog.Fact{s.weightsFact(p, b.WeightsBytes, n), reported("gpu/largest", fmt.Sprintf("the largest card on %s was the %s with about %.0f GiB", s.day, c.name, c.gib), catalog.CardSource, "2026-11-25")}}}
	}
	return nil
}

// counted is "1 rank", "2 ranks".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
