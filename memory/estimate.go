package memory

import (
	"fmt"
	"math"
	"strings"

	"justright/model"
)

// Term is one line of the account, per GPU. Low and High bound it; Formula says what it is made of.
type Term struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	Low     int64  `json:"low"`
	High    int64  `json:"high"`
	Formula string `json:"formula"`
}

// Breakdown is the account of one GPU of the stack. Zero WeightsBytes, KVBytesPerToken and so on mean not known, and
// Unknowns says why; Fits is nil when the facts do not decide.
type Breakdown struct {
	Terms           []Term
	Fits            *bool
	Reason          string // why it does not fit, or what decides
	WeightsBytes    int64
	KVBytesPerToken int64
	KVBudgetBytes   int64   // may be negative
	KVTokens        int64   // as the engine's log line counts them
	NeedBytes       int64   // cache that the wanted context and concurrency need
	Context         int     // the context judged: asked for, or the model's own
	MaxContext      int     // longest that fits alone
	Concurrency     float64 // requests of Context that fit at once
	Utilization     float64
	BudgetKnown     bool // the card's memory and the weights are known
	Unknowns        []string
}

func rounded(f float64) int64 {
	if f > 1e17 || math.IsNaN(f) {
		return int64(1e17)
	}
	return int64(math.Round(f))
}

func (b *Breakdown) term(name string, s span, formula string) {
	b.Terms = append(b.Terms, Term{name, rounded(s.at), rounded(s.low), rounded(s.high), formula})
}

// Estimate accounts for p served as u says. It is pure and takes microseconds.
func Estimate(p model.Profile, u Use) Breakdown {
	r := u.rules()
	b := Breakdown{Context: u.Context, Utilization: u.Utilization}
	if b.Context == 0 {
		b.Context = p.MaxPosition
	}
	if b.Utilization == 0 {
		b.Utilization = r.utilization
	}
	tokens, seqs := r.batch(u, b.Context)
	if p.Vision && r.mmPrefixGrows && strings.HasPrefix(p.ModelType, "gemma4") && u.BatchedTokens == 0 && !u.TextOnly {
		tokens = max(tokens, 2496) // one whole video item, since its attention looks both ways
	}
	w := weigh(&p, u, r)
	if w.bytes > 0 {
		b.WeightsBytes = rounded(w.bytes)
		b.term("weights", span{w.bytes, w.low, w.high}, w.formula)
	} else {
		b.Unknowns = append(b.Unknowns, "weights: "+w.why)
	}
	l := arrange(&p, u, r)
	d, drafts := draft(&p, u, r, w)
	if l.uniform && d.perToken > 0 {
		l.blockBytes, l.perToken = l.blockBytes+d.perToken*float64(l.tokens), l.perToken+d.perToken
		l.formula += fmt.Sprintf(", and the draft's %.0f B a token", d.perToken)
		d.perToken = 0
	}
	if drafts && !d.known {
		b.Unknowns = append(b.Unknowns, "draft model: what it needs is not counted")
	}
	if l.why != "" {
		b.Unknowns = append(b.Unknowns, "cache: "+l.why)
	} else if batchDecides(&p, u) {
		b.Unknowns = append(b.Unknowns, "cache: what a token costs hangs on --max-num-batched-tokens, which is not stated")
	} else if b.Context > 0 || !r.tokensByNeed || l.uniform {
		b.KVBytesPerToken = rounded(l.reported(b.Context, tokens, u, r))
	}
	b.account(&p, u, r, w, l, tokens, seqs, d)
	if room := float64(b.KVBudgetBytes - 2*b.NeedBytes); drafts && !d.known && b.Fits != nil && *b.Fits && room < w.high {
		b.Fits, b.Reason = nil, "without the draft model "+b.Reason
	}
	return b
}

// account builds the budget and judges it.
func (b *Breakdown) account(p *model.Profile, u Use, r rules, w weighed, l layout, tokens, seqs int, d drafted) {
	act, what := activations(p, u, r, b.Context, tokens, seqs)
	b.term("activations", act, what)
	graph, sizes := graphs(p, u, r, seqs)
	place := "graphs, outside the budget"
	if r.graphsCounted {
		place = "graphs"
	}
	b.term(place, graph, sizes)
	rest, of := resident(u, r)
	b.term("resident", rest, of)
	around := outside(u, r, graph)
	b.term("outside", around, "CUDA context and what starts before the engine looks")
	if d.known {
		b.term("draft model", d.weights, d.formula)
	}
	var need span
	if l.why == "" && b.Context > 0 {
		requests := float64(max(1, u.Concurrency))
		need.at = l.need(b.Context, tokens, u, r) * requests
		need.low, need.high = need.at, need.at
		if batchDecides(p, u) {
			need.low, need.high = l.need(b.Context, 2048, u, r)*requests, l.need(b.Context, 2*16384, u, r)*requests
		}
		formula := fmt.Sprintf("%d requests of %d tokens; %s", max(1, u.Concurrency), b.Context, l.formula)
		if d.perToken > 0 {
			more := d.perToken * float64(b.Context) * requests
			need.at, need.low, need.high = need.at+more, need.low+more, need.high+more
			formula += fmt.Sprintf("; the draft's %.0f B a token", d.perToken)
		}
		b.NeedBytes = rounded(need.at)
		b.term("cache needed", need, formula)
	}
	total := float64(u.GPU.TotalBytes)
	if total <= 0 {
		b.Unknowns = append(b.Unknowns, "card: its memory is not known")
		if w.bytes > 0 && l.why == "" && need.at > 0 {
			enough := (w.bytes + act.at + rest.at + need.at) / b.Utilization
			b.Reason = fmt.Sprintf("no card is named: about %.0f GiB would do, %.0f surely", math.Ceil(enough/GiB), math.Ceil((w.high+act.high+rest.high+graph.high+need.high)/b.Utilization/GiB))
		}
		return
	}
	if w.bytes == 0 {
		return
	}
	b.BudgetKnown = true
	requested := math.Ceil(total * b.Utilization)
	b.term("share of the card", span{requested, requested, requested}, fmt.Sprintf("%.2f of %.2f GiB", b.Utilization, total/GiB))
	parts := []span{{w.bytes, w.low, w.high}, act, rest, {}, {}}
	if r.graphsCounted {
		parts[3] = graph
	}
	if d.known {
		parts[4] = d.weights
	}
	budget := less(requested, parts)
	formula := "share of the card - weights - activations - resident"
	if r.graphsCounted {
		formula += " - graphs"
	}
	if d.known {
		formula += " - draft model"
	}
	formula += "; bounds add as independent errors do, by their squares"
	switch fixed := l.blockBytes * float64(u.Blocks); {
	case u.CacheBytes > 0:
		fixed = float64(u.CacheBytes)
		budget, formula = span{fixed, fixed, fixed}, "--kv-cache-memory-bytes"
	case fixed > 0:
		budget, formula = span{fixed, fixed, fixed}, fmt.Sprintf("--num-gpu-blocks-override: %d blocks x %.0f B", u.Blocks, l.blockBytes)
	}
	b.term("cache budget", budget, formula)
	b.KVBudgetBytes = rounded(budget.at)
	if !batchDecides(p, u) {
		b.capacity(p, u, r, l, tokens, budget.at)
	}
	b.judge(p, u, r, w, l, judged{budget: budget, need: need, requested: requested, act: act, around: around})
}

// less is a total minus parts whose errors are independent of each other.
func less(total float64, parts []span) span {
	at, up, down := total, 0.0, 0.0
	for _, s := range parts {
		at -= s.at
		up += (s.at - s.low) * (s.at - s.low)
		down += (s.high - s.at) * (s.high - s.at)
	}
	return span{at, at - math.Sqrt(down), at + math.Sqrt(up)}
}

// capacity turns the budget into tokens, contexts and requests.
func (b *Breakdown) capacity(p *model.Profile, u Use, r rules, l layout, tokens int, budget float64) {
	if l.why != "" || len(l.groups) == 0 || l.blockBytes <= 0 || budget <= 0 {
		return
	}
	blocks := math.Floor(budget / l.blockBytes)
	if b.Context > 0 {
		b.Concurrency = blocks / l.shared(b.Context, tokens, u, r)
	}
	if r.tokensByNeed && b.Context > 0 {
		b.KVTokens = rounded(b.Concurrency * float64(b.Context))
	} else {
		groups := 0
		for _, g := range l.groups {
			groups += g.count
		}
		b.KVTokens = rounded(math.Floor(blocks/float64(groups)) * float64(l.tokens))
	}
	limit := p.MaxPosition
	if limit == 0 {
		limit = b.Context
	}
	low, high := 0, limit // the longest that one request can have
	for low < high {
		mid := low + (high-low+1)/2
		if l.request(mid, tokens, u, r) <= blocks {
			low = mid
		} else {
			high = mid - 1
		}
	}
	b.MaxContext = low
}

type judged struct {
	budget            span
	requested         float64
	act, around, need span
}

// judge decides. It says yes only when the pessimistic account still holds most of what is needed, no only when the
// optimistic one does not, and nothing between.
func (b *Breakdown) judge(p *model.Profile, u Use, r rules, w weighed, l layout, j judged) {
	yes, no := true, false
	total := float64(u.GPU.TotalBytes)
	say := func(v *bool, format string, args ...any) { b.Fits, b.Reason = v, fmt.Sprintf(format, args...) }
	gib := func(f float64) float64 { return f / GiB }
	switch {
	case w.low > total:
		say(&no, "the weights alone take %.1f of %.1f GiB", gib(w.bytes), gib(total))
	case u.FreeBytes > 0 && float64(u.FreeBytes) < j.requested && u.CacheBytes == 0:
		say(&no, "%.1f GiB are free when the engine starts; it asks for %.1f", gib(float64(u.FreeBytes)), gib(j.requested))
	case j.budget.high <= 0:
		say(&no, "the weights take %.1f GiB and the profile run %.1f; the engine may use %.1f", gib(w.bytes), gib(j.act.at), gib(j.requested))
	case l.why != "":
		b.Reason = "the cache is not described: " + l.why
	case b.Context == 0 && !p.EncoderOnly && len(l.groups) > 0:
		b.Reason = "the context is not known"
	case j.budget.high < j.need.low:
		say(&no, "%d tokens need %.2f GiB of cache; %.2f are left", b.Context, gib(j.need.low), gib(math.Max(0, j.budget.at)))
	case total-j.requested < j.around.low && u.CacheBytes == 0 && !u.GPU.unified():
		say(&no, "a share of %.2f leaves %.2f GiB for the CUDA context and graphs", b.Utilization, gib(total-j.requested))
	case u.CacheBytes == 0 && r.known && b.Context > 0 && j.need.low-j.budget.at > 0.03*total+0.25*(j.budget.high-j.budget.at):
		say(&no, "%d tokens need %.2f GiB of cache; about %.2f are left", b.Context, gib(j.need.low), gib(math.Max(0, j.budget.at)))
	case total-j.requested < j.around.at+0.1*(j.around.high-j.around.at) && u.CacheBytes == 0 && !u.GPU.unified():
		b.Reason = fmt.Sprintf("a share of %.2f leaves %.2f GiB for the CUDA context and graphs, which may not do", b.Utilization, gib(total-j.requested))
	case j.budget.low >= j.need.high && j.budget.low > 0, r.known && !(r.firstEngine && r.countsOthers) && j.budget.at-j.need.high > math.Max(0.03*total, 0.4*(j.budget.at-j.budget.low)):
		say(&yes, "%.2f GiB of cache are left; %.2f are needed", gib(j.budget.at), gib(j.need.high))
	default:
		b.Reason = fmt.Sprintf("too close to say: %.2f to %.2f GiB of cache are left, %.2f are needed", gib(math.Max(0, j.budget.low)), gib(j.budget.high), gib(j.need.at))
	}
}
