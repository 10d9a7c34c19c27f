package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"justright/internal/ui/text"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
	"justright/solve"
)

// agree shows what would be rented and asks. It returns the dearest hour that was agreed to.
func (w *World) agree(ctx context.Context, t target, p *planner, res solve.Result, s launch.State, r upRequest, sink report.Sink) (money.USD, error) {
	if res.Conflict != nil || len(res.Plans) == 0 {
		w.showRefusals(res, s.Model, sink, r.asJSON)
		if res.Conflict != nil {
			return 0, w.refusal(ctx, p, *res.Conflict, r)
		}
		_, err := p.Next(ctx, s)
		return 0, err
	}
	usable := usablePlans(res.Plans, t, s.AllowUnguarded)
	shown := distinctPlans(usable, 3)
	w.showPlans(shown, p, res, s.Model, sink, r.asJSON)
	if len(usable) == 0 {
		return 0, problem.New(problem.ExitLimit, "unguarded", "only machines without a guard could serve %s", s.Model).
			Because("they start with the image's own entrypoint, so nothing inside ends them; only this program would").
			Try("allow that", w.again("--allow-unguarded"))
	}
	if !t.rents() {
		return 0, nil
	}
	usable, err := w.affordable(usable, p, r.maxPrice)
	if err != nil {
		return 0, err
	}
	ceiling := priceCeiling(distinctPlans(usable, 3), p, r.maxPrice)
	first := p.proposal(usable[0])
	if first.Price == 0 && t.kube != nil {
		return 0, sink.Emit(report.Event{At: w.Now(), Note: &report.Note{Level: "info", Text: "what an hour of this cluster costs is not known, so no budget limits it: --price-per-hour gives it one, --ttl a length"}})
	}
	if first.Price == 0 {
		return 0, problem.New(problem.ExitCapacity, "no_price", "the price of %s is not known", first.Summary).
			Because("nothing is rented without a price")
	}
	if err := w.checkBalance(ctx, t, first.Hourly(), s.Budget, sink); err != nil {
		return 0, err
	}
	if r.yes {
		return ceiling, nil
	}
	question := fmt.Sprintf("Rent 1 at $%s/h, its disk included? It ends itself %s. The next plans, should it fail, cost up to $%s/h.\n"+
		"Until its guard reports (the first minutes), only this program ends it: if this computer dies then, it costs $%s a day until you run justright down. [y/N] ",
		first.Hourly().Cents(), endsItself(s), ceiling.Cents(), first.Hourly().For(24*time.Hour).Cents())
	if !usable[0].Guarded {
		question = fmt.Sprintf("Rent 1 at $%s/h, its disk included? It has no guard: only this program ends it, at $%s; if this computer dies, it costs $%s a day until you run justright down. [y/N] ",
			first.Hourly().Cents(), s.Budget.Cents(), first.Hourly().For(24*time.Hour).Cents())
	}
	ok, err := w.ask(question)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, problem.New(problem.ExitLimit, "not_confirmed", "nothing was rented")
	}
	return ceiling, nil
}

// affordable keeps the plans within the limit that was given, their disks included, and those whose price is not known.
func (w *World) affordable(plans []solve.Stack, p *planner, limit money.USD) ([]solve.Stack, error) {
	if limit == 0 {
		return plans, nil
	}
	var out []solve.Stack
	least := money.USD(0)
	for _, plan := range plans {
		prop := p.proposal(plan)
		if prop.Hourly() <= limit || prop.Price == 0 {
			out = append(out, plan)
		} else if least == 0 || prop.Hourly() < least {
			least = prop.Hourly()
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, problem.New(problem.ExitNoStack, "price_above_limit", "no plan for %s costs at most $%s/h", p.wish.Model.ID, limit.Cents()).
		Because("the cheapest costs $%s/h with its disk", least.Cents()).
		Try("raise the limit", w.again("--max-price", roundedUp(least)))
}

// roundedUp is an amount in whole cents, never less than it.
func roundedUp(a money.USD) string {
	return ((a + money.Dollar/100 - 1) / (money.Dollar / 100) * (money.Dollar / 100)).Cents()
}

// priceCeiling is the dearest hour that a yes covers, disks included: the limit that was given, else the dearest plan shown,
// and at least twice the first, since the cure of a failure is often the next larger card.
func priceCeiling(shown []solve.Stack, p *planner, limit money.USD) money.USD {
	if limit > 0 {
		return limit
	}
	ceiling := money.USD(0)
	for i, plan := range shown {
		hourly := p.proposal(plan).Hourly()
		ceiling = max(ceiling, hourly)
		if i == 0 {
			ceiling = 2 * hourly
		}
	}
	return ceiling
}

// distinctPlans are the best plans on different cards, numbered anew: what a person chooses between.
func distinctPlans(plans []solve.Stack, most int) []solve.Stack {
	var out []solve.Stack
	seen := map[string]bool{}
	for _, p := range plans {
		key := fmt.Sprint(p.GPU.Count, p.GPU.ID)
		if !seen[key] && len(out) < most {
			seen[key] = true
			p.Rank = len(out) + 1
			out = append(out, p)
		}
	}
	return out
}

func usablePlans(plans []solve.Stack, t target, unguarded bool) []solve.Stack {
	var out []solve.Stack
	for _, p := range plans {
		if p.Guarded || unguarded || !t.rents() {
			out = append(out, p)
		}
	}
	return out
}

func endsItself(s launch.State) string {
	var parts []string
	if s.Idle > 0 {
		parts = append(parts, "after "+s.Idle.String()+" without requests")
	}
	if s.TTL > 0 {
		parts = append(parts, "after "+s.TTL.String())
	}
	return strings.Join(append(parts, "at $"+s.Budget.Cents()), ", or ")
}

// ask puts a question to the person at the terminal.
func (w *World) ask(question string) (bool, error) {
	if !w.StdinTTY {
		return false, problem.New(problem.ExitLimit, "not_confirmed", "this costs money and nobody is at the terminal to say yes").
			Because("%s", strings.TrimSuffix(strings.TrimSpace(question), " [y/N]")).
			Try("agree beforehand", w.again("--yes"))
	}
	var lines []string
	for _, l := range strings.Split(strings.TrimRight(question, " "), "\n") {
		lines = append(lines, text.Hang(l, w.screenWidth()))
	}
	fmt.Fprint(w.Stderr, strings.Join(lines, "\n")+" ")
	type answer struct {
		line string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(w.Stdin).ReadString('\n')
		typed <- answer{line, err}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	defer signal.Stop(stop)
	select {
	case <-stop:
		fmt.Fprintln(w.Stderr)
		return false, problem.New(problem.ExitInterrupted, "interrupted", "interrupted: nothing was rented or changed")
	case a := <-typed:
		if a.err != nil && a.line == "" {
			fmt.Fprintln(w.Stderr)
			return false, nil
		}
		yes := strings.ToLower(strings.TrimSpace(a.line))
		return yes == "y" || yes == "yes", nil
	}
}
