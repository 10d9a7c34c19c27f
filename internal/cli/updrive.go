package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"justright/boot"
	"justright/catalog"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/internal/ui/jsonl"
	"justright/internal/ui/text"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
	"justright/solve"
)

// newSecret is 128 random bits in hex: an id nobody else has, or a key nobody guesses.
func newSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return hex.EncodeToString(b[:])
}

func (w *World) plannerFor(t target, journal store.Store, x wish, key string) *planner {
	w.hide(key)
	return &planner{w: w, t: t, wish: x, key: key, journal: journal, lessons: func(ctx context.Context) ([]catalog.Lesson, error) {
		return journal.Lessons(ctx, w.Now())
	}}
}

// clockOf is the provider's clock; asking for it also tells whether the key is accepted at all.
func (w *World) clockOf(ctx context.Context, t target) (func() time.Time, error) {
	if t.ssh != nil {
		if _, err := t.ssh.Describe(ctx); err != nil {
			return nil, providerProblem(err, t.word)
		}
		return runner.ServerClock(ctx, t.provider, w.Now), nil
	}
	b, ok := t.provider.(billed)
	if !ok {
		return w.Now, nil
	}
	if _, err := b.Whoami(ctx); err != nil {
		return nil, providerProblem(err, "RunPod's API at "+t.address)
	}
	return runner.ServerClock(ctx, t.provider, w.Now), nil
}

// sinks are where a stream goes: for people to stderr, for programs to stdout.
type sinks struct {
	report.Sink
	text *text.Sink
}

func (w *World) newSinks(asJSON, verbose bool) sinks {
	if asJSON {
		return sinks{Sink: jsonl.New(w.Stdout)}
	}
	t := text.New(w.Stderr, text.Options{
		TTY: w.StderrTTY && w.Env("TERM") != "dumb", Color: w.StderrTTY && w.Env("NO_COLOR") == "" && w.Env("TERM") != "dumb", Width: w.ErrWidth, Verbose: verbose, Now: w.Now,
	})
	return sinks{Sink: t, text: t}
}

func (s sinks) close() {
	if s.text != nil {
		_ = s.text.Close()
	}
}

// keepEvent stores an event that is not the runner's.
func (w *World) keepEvent(ctx context.Context, journal store.Store, task string, e report.Event) {
	if doc, err := json.Marshal(e); err == nil {
		_ = journal.AppendEvent(context.WithoutCancel(ctx), task, e.At, doc)
	}
}

// runConfig is a run of the saga in this process.
func (w *World) runConfig(journal store.Store, t target, p *planner, sink report.Sink, clock func() time.Time) runner.Config {
	facts, _ := w.facts() // where they cannot be read, no plan was made
	return runner.Config{
		Journal: journal, Provider: t.provider, Address: t.address, Account: t.account, Planner: p,
		Watcher: watcher{p.wish.Model, !t.rents(), facts, p}, Prover: p.prover(journal), Sink: sink, Now: clock, Skew: clock().Sub(w.Now()).Round(time.Second), NewID: newSecret,
		Holder: w.holder(), Dead: w.dead, Self: w.Env("RUNPOD_POD_ID"), Trap: w.trap, Clean: w.cleanLine(),
	}
}

// servedName is the name of the model in the API.
func servedName(x wish) string {
	if n, ok := solve.ParseFlags(x.Pins.Flags).Get("served-model-name"); ok && n != "" {
		return n
	}
	return boot.ServedName(x.Model)
}

// drive runs a task to its end and says how it ended.
func (w *World) drive(ctx context.Context, journal store.Store, t target, p *planner, task string, sink sinks, clock func() time.Time) error {
	cfg := w.runConfig(journal, t, p, holding{w, sink, journal, task}, clock)
	sig, stop := signals(context.WithoutCancel(ctx))
	defer stop()
	cfg.Signal = sig
	wheel, err := takeWheel(ctx)
	if err != nil {
		return w.waitedOn(ctx, journal, task, sink)
	}
	onlooker := ctx
	ctx = wheel
	s, err := runner.Run(ctx, cfg, task, false)
	switch {
	case errors.Is(err, store.ErrLost), errors.Is(err, store.ErrMoved):
		if x, terr := journal.Task(ctx, task); terr == nil && x.Wanted != launch.WantGone { // by another up, which goes the same way
			stop()
			giveWheel(onlooker)
			return w.accompany(onlooker, journal, t, p, task, sink, clock)
		}
		return w.takenOver(ctx, journal, task, sink)
	case err != nil:
		return w.brokenOff(ctx, s, err, sink)
	}
	return w.finishUp(ctx, journal, s, p, sink, clock())
}

// brokenOff ends the stream of a run that could not go on, such as without room for the journal.
func (w *World) brokenOff(ctx context.Context, s launch.State, err error, sink sinks) error {
	pr := problem.From(err)
	switch dir, derr := w.stateDir(); {
	case ctx.Err() != nil || errors.Is(err, store.ErrHeld):
		return err
	case derr == nil && store.Full(err):
		pr = journalFull(dir, err)
	}
	if len(s.Unsettled()) > 0 {
		pr = pr.Try("then see that nothing is left of it", "justright down "+s.Name)
	}
	return w.failUp(s, pr, sink)
}

// holding tells where the endpoint is when up stays with it, because nothing inside the machine would end it.
type holding struct {
	w       *World
	sink    report.Sink
	journal store.Store
	task    string
}

func (h holding) Emit(e report.Event) error {
	err := h.sink.Emit(e)
	if e.State == nil || e.State.State != "holding" {
		return err
	}
	t, terr := h.journal.Task(context.Background(), h.task)
	path, perr := h.w.keyFile(h.task)
	if c := t.State.Current(); terr == nil && perr == nil && c != nil {
		return h.sink.Emit(report.Event{At: e.At, Note: &report.Note{Level: "warning", Text: fmt.Sprintf(
			"%s/v1 is ready, key in %s. Leave this running: it ends the machine at its limits. Ctrl-C tears it down.", c.BaseURL, path)}})
	}
	return err
}

// takenOver is the end of a run whose task another process has taken: by down, or by another up.
func (w *World) takenOver(ctx context.Context, journal store.Store, task string, sink sinks) error {
	t, err := journal.Task(ctx, task)
	if err != nil {
		return err
	}
	pr := problem.New(problem.ExitInterrupted, "taken_over", "another process has taken %s over", t.State.Name)
	if t.Wanted == launch.WantGone {
		pr = problem.New(problem.ExitInterrupted, "ended_by_down", "%s is being taken down by another command", t.State.Name)
	}
	return w.failUp(t.State, pr.Try("see what runs", "justright ps"), sink)
}

// failUp ends a stream with a problem.
func (w *World) failUp(s launch.State, pr *problem.Problem, sink sinks) error {
	if sink.text == nil {
		_ = sink.Emit(report.Event{At: w.Now(), Problem: pr})
	}
	outcome := "failed"
	if s.End != nil {
		outcome = s.End.Outcome
	}
	_ = sink.Emit(report.Event{At: w.Now(), End: &report.End{Outcome: outcome, Name: s.Name, Model: s.Model, Spent: s.Spent(s.Clock(w.Now())), Learned: learnedWords(s)}})
	if sink.text == nil {
		return exitStatus(pr.Exit)
	}
	return pr
}

// learnedWords are the lessons of a task, each once.
func learnedWords(s launch.State) []string {
	var out []string
	for _, l := range s.Lessons {
		if words := l.Words(); !slices.Contains(out, words) {
			out = append(out, words)
		}
	}
	return out
}

// finishUp says how a run ended.
func (w *World) finishUp(ctx context.Context, journal store.Store, s launch.State, p *planner, sink sinks, now time.Time) error {
	if pr := runner.Problem(s); pr != nil {
		e := report.Event{At: now, End: &report.End{Outcome: s.End.Outcome, Name: s.Name, Model: s.Model, Spent: s.Spent(now), Learned: learnedWords(s)}}
		w.keepEvent(ctx, journal, s.ID, e)
		return w.failUp(s, pr, sink)
	}
	end := report.End{Outcome: "cancelled", Name: s.Name, Model: s.Model, Spent: s.Spent(now), Learned: learnedWords(s)}
	if c := s.Current(); c != nil && s.End.Outcome == "ready" {
		path, err := w.keyFile(s.ID)
		if err != nil {
			return err
		}
		end.Outcome, end.BaseURL, end.Model, end.KeyFile = "ready", c.BaseURL+"/v1", servedName(p.wish), path
		if runs := runsOf(ctx, journal, s); len(runs) > 0 {
			last := runs[len(runs)-1]
			end.ReadySeconds, end.PredictedSeconds = math.Round(last.Total*10)/10, last.Predicted
		}
	}
	e := report.Event{At: now, End: &end}
	w.keepEvent(ctx, journal, s.ID, e)
	_ = sink.Emit(e)
	if sink.text != nil && end.Outcome == "ready" {
		fmt.Fprintln(w.Stdout, end.BaseURL)
	}
	return nil
}

// checkBalance compares the account's credit with what it burns already and what is about to be added.
func (w *World) checkBalance(ctx context.Context, t target, price, budget money.USD, sink report.Sink) error {
	b, ok := t.provider.(billed)
	if !ok || t.word != onRunPod {
		return nil
	}
	tell := func(level, format string, args ...any) {
		_ = sink.Emit(report.Event{At: w.Now(), Note: &report.Note{Level: level, Text: fmt.Sprintf(format, args...)}})
	}
	bal, err := b.Balance(ctx)
	if err != nil {
		tell("warning", "the balance is not known: %s", err)
		return nil
	}
	burn := money.USD(0)
	if bal.SpendPerHour != nil {
		burn = *bal.SpendPerHour
	}
	// RunPod rents only with an hour of credit (https://docs.runpod.io/pods/pricing), and what runs already draws on it.
	if bal.Credit < price+burn {
		return problem.New(problem.ExitCapacity, "balance", "the account has $%s", bal.Credit.Cents()).
			Because("it burns $%s/h already, and an hour of this machine costs $%s more", burn.Cents(), price.Cents()).
			Try("add credit", "https://console.runpod.io/user/billing")
	}
	tell("info", "balance $%s, burning $%s/h", bal.Credit.Cents(), burn.Cents())
	if bal.Credit < budget {
		tell("warning", "the balance is below the budget: at zero RunPod ends machines by itself")
	}
	return nil
}

// showPlans shows the best plans, with what an hour of each costs in all, and the refused candidates.
func (w *World) showPlans(plans []solve.Stack, p *planner, res solve.Result, model string, sink report.Sink, asJSON bool) {
	if asJSON {
		w.showRefusals(res, model, sink, true)
		return
	}
	rows := [][]string{{"", "plan", "context", "$/h", "ready in"}}
	if p.t.rents() {
		rows[0][3] = "$/h with disk"
	}
	for i, plan := range plans {
		prop, price, length := p.proposal(plan), "?", "-"
		if plan.PricePerHour != nil || !p.t.rents() {
			price = prop.Hourly().Cents()
		}
		if plan.Context > 0 {
			length = fmt.Sprint(plan.Context)
		}
		how := prop.Summary
		if plan.Open {
			how += ", open"
		}
		if !plan.Guarded && p.t.rents() {
			how += ", no guard"
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), how, length, price, text.ReadyIn(plan.Ready.Seconds, plan.Ready.Measured)})
	}
	fmt.Fprintln(w.Stderr)
	if tableWidth(rows, 2) <= w.screenWidth() {
		printColumns(w.Stderr, rows)
	} else {
		for _, r := range rows[1:] {
			w.note(fmt.Sprintf("  %s  %s, context %s, $%s an hour%s, ready in %s", r[0], r[1], r[2], r[3], strings.TrimPrefix(rows[0][3], "$/h"), r[4]))
		}
	}
	fmt.Fprintln(w.Stderr)
	if len(res.Refused) > 0 {
		w.showRefusals(res, model, sink, false)
		fmt.Fprintln(w.Stderr)
	}
}

// showRefusals shows some of the candidates that were refused on paper, images first: those are what people would try.
func (w *World) showRefusals(res solve.Result, model string, sink report.Sink, asJSON bool) {
	const most = 4
	shown := 0
	say := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		if asJSON {
			_ = sink.Emit(report.Event{At: w.Now(), Note: &report.Note{Level: "info", Text: line}})
			return
		}
		w.note(line)
	}
	for _, r := range res.Refused {
		if shown == most {
			break
		}
		if r.Candidate.Image == "" {
			continue
		}
		say("refused  %-36s  %s", candidateName(r.Candidate), r.Reason)
		shown++
	}
	for _, r := range res.Refused {
		if shown == most {
			break
		}
		if r.Candidate.Image != "" {
			continue
		}
		say("refused  %-36s  %s", candidateName(r.Candidate), r.Reason)
		shown++
	}
	if n := len(res.Refused) - shown; n > 0 {
		say("         %d more: justright plan %s --all", n, model)
	}
}

// readLock takes a lock file's plan as the only wish, and its target where none is named; false when the argument is no file.
func (w *World) readLock(ref string, r *upRequest) (bool, error) {
	d, is, err := w.readLockFile(ref)
	if !is || err != nil {
		return is, err
	}
	plan := d.Plan
	if d.Image.Digest != "" && !strings.Contains(plan.Image, "@") {
		plan.Image += "@" + string(d.Image.Digest)
	}
	r.wish.Model, r.wish.Locked, r.wish.LockText = d.Profile, &plan, d.Resolved
	if r.on == "" {
		r.on = d.Target
	}
	return true, nil
}
