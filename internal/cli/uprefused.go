package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/solve"
)

// refusal words a request that no plan meets: what is most useful to know, and the way on as a command where there is one.
func (w *World) refusal(ctx context.Context, p *planner, c solve.Conflict, r upRequest) error {
	model := p.wish.Model.ID
	if c.Code == "price_above_limit" && r.maxPrice > 0 {
		free := &planner{w: p.w, t: p.t, wish: p.wish, key: p.key, lessons: p.lessons}
		free.wish.MaxPrice = nil
		if res, err := free.result(ctx, nil); err == nil && len(res.Plans) > 0 {
			if _, err := w.affordable(usablePlans(res.Plans, p.t, r.unguarded), free, r.maxPrice); err != nil {
				return err
			}
		}
	}
	card := p.wish.Pins.GPU
	if offers, err := p.offersNow(ctx); card != "" && err == nil && p.t.rents() {
		id := w.cardID(card)
		if !slices.ContainsFunc(offers, func(o catalog.Offer) bool { return o.GPU == id }) {
			// Whether it would do at all is worth more than that nobody offers it.
			res, err := w.solve(solve.Request{Model: p.wish.Model, Target: onRunPod, Pins: p.wish.Pins, Context: p.wish.Context, Concurrency: p.wish.Concurrency,
				AllowUnguarded: p.wish.AllowUnguarded, All: true})
			if err != nil || res.Conflict == nil {
				return problem.New(problem.ExitCapacity, "no_offer", "no %s is offered on %s", card, p.t.word).
					Because("offered are %s", strings.Join(cardsOf(offers), ", "))
			}
			c = *res.Conflict
		}
	}
	pr := problem.New(problem.ExitNoStack, problem.Code(c.Code), "nothing can serve %s", model).Because("%s", c.Reason)
	pr.Hints = w.waysOn(ctx, p, c)
	return pr
}

// waysOn are a conflict's hints as lines that can be pasted: for each thing that was stated, the command without it.
func (w *World) waysOn(ctx context.Context, p *planner, c solve.Conflict) []problem.Hint {
	stated := 0
	var out []problem.Hint
	for _, f := range c.Facts {
		if id, ok := strings.CutPrefix(string(f.ID), "lesson/"); ok && stated < len(c.Hints) {
			out = append(out, problem.Hint{Text: "forget what that launch taught, and try again", Command: "justright lessons forget " + id})
			stated++
			continue
		}
		flag, ok := strings.CutPrefix(string(f.ID), "stated/")
		if !ok || flag == "max-price" || stated >= len(c.Hints) {
			continue
		}
		h := c.Hints[stated]
		stated++
		switch flag {
		case "flags":
			h.Command = w.withoutEngineFlags()
		case "engine":
			h.Command = w.without("--engine", "--engine-version")
		case "context":
			h.Command = w.without("--context")
			if n := p.longest(ctx); n > 0 {
				h.Command = w.again("--context", strconv.Itoa(n))
			}
		default:
			h.Command = w.without("--" + flag)
		}
		out = append(out, h)
	}
	return append(out, c.Hints[min(stated, len(c.Hints)):]...)
}

// longest is the longest context that any plan has when none is asked for; 0 when there is no plan then either.
func (p *planner) longest(ctx context.Context) (n int) {
	free := &planner{w: p.w, t: p.t, wish: p.wish, key: p.key, lessons: p.lessons}
	free.wish.Context = 0
	res, err := free.result(ctx, nil)
	if err != nil {
		return 0
	}
	for _, st := range res.Plans {
		n = max(n, st.Context)
	}
	return n
}

// nothingWanted words that what is offered lies elsewhere; nil when the request names no place.
func (p *planner) nothingWanted(all []catalog.Offer) error {
	var asked []string
	if p.wish.Cloud != "" {
		asked = append(asked, p.wish.Cloud)
	}
	asked = append(asked, p.wish.DataCenters...)
	if len(asked) == 0 || len(all) == 0 {
		return nil
	}
	var there []string
	for _, o := range all {
		there = append(there, o.DataCenters...)
	}
	slices.Sort(there)
	pr := problem.New(problem.ExitCapacity, "no_offer", "nothing is offered in %s", strings.Join(asked, ", "))
	if there = slices.Compact(there); len(there) > 0 {
		pr = pr.Because("there are offers in %s", strings.Join(there, ", "))
	}
	return pr.Try("leave the place open", p.w.without("--data-center", "--cloud"))
}

// cardsOf are the cards of offers, sorted.
func cardsOf(offers []catalog.Offer) []string {
	var out []string
	for _, o := range offers {
		if o.GPU != "" {
			out = append(out, o.GPU)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
