package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
)

// receiptDocument is justright/receipt/1.
type receiptDocument struct {
	Schema   string           `json:"schema"`
	Attempts []receiptAttempt `json:"attempts"`
	Total    money.USD        `json:"total"`
	Estimate bool             `json:"estimate"` // until the provider's billing agrees
	Open     money.USD        `json:"open"`     // reserved for creates that were never answered
}

type receiptAttempt struct {
	ID       string    `json:"id"` // of the machine, or of the intent when there never was one
	Seconds  float64   `json:"seconds"`
	Cost     money.USD `json:"cost"`
	Cause    optional  `json:"cause"` // why it ended; null while it has not
	Launch   string    `json:"launch"`
	Attempt  string    `json:"attempt"`
	State    string    `json:"state"` // gone, refused, never, open
	Estimate bool      `json:"estimate"`
	Detail   string    `json:"detail,omitempty"`
}

type downFlags struct {
	all     bool
	timeout time.Duration
}

func newDownCommand(w *World) *cobra.Command {
	var f downFlags
	c := &cobra.Command{
		Use:   "down NAME… | --all",
		Short: "End launches and keep asking until the provider agrees; print the receipt",
		Long: `down commits that the launches are to be gone, deletes their machines, and reports success only after the provider has denied each
machine twice, 30 s after its create at the earliest, asked through the address and key that made it. It takes over from an
up that runs. --all ends every launch of this journal and every machine that carries its mark; machines of others are never
touched.

The receipt is an estimate until the provider's billing agrees, and says so. A create that was never answered stays open for
a day with its cap reserved: the receipt names it, and justright gc looks again.

Exit status: 0 everything is gone; 2 usage or no such launch; 4 the provider does not let this key ask; 5 the provider is out
of reach, or machines are still there after --timeout; 130 interrupted.`,
		Example: "  justright down gpt-oss-20b\n  justright down --all --json",
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			if f.all == (len(args) > 0) {
				return problem.New(problem.ExitUsage, "usage", "down takes names, or --all").Try("see what runs", "justright ps")
			}
			return w.down(c.Context(), args, f, asJSON)
		},
	}
	c.Flags().BoolVar(&f.all, "all", false, "everything of this journal, found by its mark")
	c.Flags().DurationVar(&f.timeout, "timeout", 15*time.Minute, "stop asking after so long, and say what is left")
	return c
}

func (w *World) down(ctx context.Context, names []string, f downFlags, asJSON bool) error {
	journal, err := w.openJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	tasks, unheard, err := w.downTasks(ctx, journal, names, f.all)
	if err != nil {
		return err
	}
	states, failed := w.takeAllDown(ctx, journal, tasks, f.timeout, asJSON)
	if unheard != nil && failed == nil { // what did not answer before may do so now
		again, still, err := w.downTasks(ctx, journal, names, f.all)
		if err != nil {
			return err
		}
		late := slices.DeleteFunc(again, func(t store.Task) bool {
			return slices.ContainsFunc(tasks, func(o store.Task) bool { return o.State.ID == t.State.ID })
		})
		more, err := w.takeAllDown(ctx, journal, late, f.timeout, asJSON)
		states, failed = append(states, more...), cmp.Or(err, still)
	}
	doc := receiptOf(states, w.Now())
	switch {
	case asJSON && failed != nil: // one document: the problem is what a program must see; the receipt can be had again
		return failed
	case asJSON:
		return w.printJSON(doc)
	}
	if len(doc.Attempts) > 0 || failed == nil {
		w.printReceipt(doc)
	}
	return failed
}

// takeAllDown ends launches side by side: one machine that will not go keeps no other one running. The states are in the order of
// the tasks; the error is that of the first task that has one.
func (w *World) takeAllDown(ctx context.Context, journal *store.Journal, tasks []store.Task, timeout time.Duration, quiet bool) ([]launch.State, error) {
	// The wish is committed for all before anything else: whatever happens to this program, no create follows.
	for _, t := range tasks {
		if err := journal.WantGone(ctx, t.State.ID, launch.CauseDown); err != nil {
			return nil, err
		}
	}
	const most = 8
	states, errs := make([]launch.State, len(tasks)), make([]error, len(tasks))
	slots := make(chan struct{}, most)
	said := new(sync.Mutex)
	var wg sync.WaitGroup
	for i, t := range tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var sink report.Sink
			if !quiet {
				sink = downSink{w, t.State.Name, said}
			}
			states[i], errs[i] = w.takeDown(ctx, journal, t, timeout, sink)
		})
	}
	wg.Wait()
	return states, cmp.Or(errs...)
}

// downTasks finds the launches that are meant. With all it also takes in machines that carry this journal's mark and stand
// in no launch, as after a lost journal; unheard is then the account that could not be asked for such machines.
func (w *World) downTasks(ctx context.Context, journal *store.Journal, names []string, all bool) (out []store.Task, unheard, err error) {
	tasks, err := journal.Tasks(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !all {
		for _, n := range names {
			t, err := findTask(tasks, n)
			if err != nil {
				return nil, nil, err
			}
			if !slices.ContainsFunc(out, func(o store.Task) bool { return o.State.ID == t.State.ID }) {
				out = append(out, t)
			}
		}
		return out, nil, nil
	}
	owner, err := journal.Owner(ctx)
	if err != nil {
		return nil, nil, err
	}
	seen := w.look(ctx, tasks, owner)
	if seen.keyless {
		fmt.Fprintln(w.Stderr, "note: "+noKeyNote)
	}
	out = liveTasks(tasks)
	for _, t := range tasks {
		if t.State.Over() && seen.shows(t.State) {
			out = append(out, t)
		}
	}
	for _, o := range seen.orphans {
		t, err := w.takeIn(ctx, journal, o, owner, false) // it goes at once
		if err != nil {
			return nil, nil, err
		}
		out = append(out, t)
	}
	return out, seen.unheard, nil
}

// noKeyNote says what an answer about everything does not cover.
const noKeyNote = "runpod was not asked, since RUNPOD_API_KEY is not set"

// takeIn makes a launch of an orphan, so that it is removed, proven and billed like any other.
// armed says that its guard has reported.
func (w *World) takeIn(ctx context.Context, journal store.Store, o orphan, owner string, armed bool) (store.Task, error) {
	now := w.Now().UTC()
	a := launch.Attempt{
		ID: o.in.AttemptID, N: 1, PodName: o.in.Name, Summary: "found without a launch", Address: o.target.address, Account: o.target.account,
		Phase: launch.Booting, PodID: o.in.ID, Status: o.in.Status, BaseURL: o.in.BaseURL, Created: o.in.Created, Intended: o.in.Created,
		Container: true, BootBy: now.Add(time.Hour), Guarded: armed, Armed: armed,
	}
	if a.ID == "" {
		a.ID = o.in.ID
	}
	if a.Created.IsZero() {
		a.Created, a.Intended = now, now
	}
	if o.in.PricePerHour != nil {
		a.Price, a.Confirmed = *o.in.PricePerHour, *o.in.PricePerHour
	}
	s := launch.State{
		ID: newSecret()[:16], Name: "orphan-" + o.in.ID, Target: o.target.word, Owner: owner, Wanted: launch.WantRunning, Timing: w.timingOf(o.target),
		Started: a.Created, Attempts: []launch.Attempt{a}, NoNext: true,
		Verdict: &launch.Stop{Outcome: "failed", Exit: problem.ExitNotProven, Code: "orphan", Reason: "found without a launch"},
	}
	if err := journal.Begin(ctx, s); err != nil {
		return store.Task{}, err
	}
	return journal.Task(ctx, s.ID)
}

// takeDown drives one launch to its proven end.
func (w *World) takeDown(ctx context.Context, journal *store.Journal, t store.Task, timeout time.Duration, sink report.Sink) (launch.State, error) {
	if t.State.Over() && len(t.State.Attempts) == 0 {
		return t.State, nil
	}
	tg, err := w.targetOf(ctx, t.State)
	if err != nil {
		if !t.State.Over() && len(t.State.Attempts) == 0 {
			return t.State, nil // nothing was ever made
		}
		return t.State, err
	}
	x, err := readWish(ctx, journal, t.State.ID)
	if err != nil {
		return t.State, err
	}
	clock := runner.ServerClock(ctx, tg.provider, w.Now)
	cfg := w.runConfig(journal, tg, w.plannerFor(tg, journal, x, ""), sink, clock)
	sig, stop := signals(ctx)
	defer stop()
	cfg.Signal = sig
	run, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := runDown(run, cfg, journal, t.State.ID)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		if cur, terr := journal.Task(ctx, t.State.ID); terr == nil {
			s = cur.State
		}
		return s, problem.New(problem.ExitCapacity, "not_gone", "%s is not proven gone after %s", t.State.Name, timeout).
			Because("%s", stillThere(s)).Try("keep asking", "justright down "+t.State.Name)
	}
	if err != nil {
		return s, err
	}
	if left, err := runner.Reconcile(ctx, cfg, t.State.ID); err == nil && left == 0 {
		if cur, err := journal.Task(ctx, t.State.ID); err == nil {
			s = cur.State
		}
	}
	if s.End == nil {
		return s, nil
	}
	switch pr := runner.Problem(s); {
	case pr == nil, pr.Exit == problem.ExitNotProven, pr.Exit == problem.ExitLimit:
	case pr.Exit == problem.ExitInterrupted && s.End.Code != launch.CodeNotGone: // how its up ended, long before
	case pr.Exit == problem.ExitInterrupted:
		return s, problem.New(pr.Exit, pr.Code, "interrupted before the provider agreed that %s is gone", s.Name).
			Because("%s", stillThere(s)).Try("keep asking", "justright down "+s.Name)
	default:
		return s, notGone(s, pr)
	}
	return s, nil
}

// notGone says of a removal what the run says of its launch.
func notGone(s launch.State, pr *problem.Problem) *problem.Problem {
	gone := problem.New(pr.Exit, pr.Code, "%s is not proven gone", s.Name).Because("%s", pr.Cause)
	gone.Hints = pr.Hints
	return gone
}

// runDown drives a task to its end, and takes it from whoever drives it. Where another down does the same to this one, it waits
// for what comes of that, and goes on where the other died.
func runDown(ctx context.Context, cfg runner.Config, journal *store.Journal, task string) (launch.State, error) {
	s, err := runner.Run(ctx, cfg, task, true)
	for errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrMoved) || errors.Is(err, store.ErrHeld) {
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case hard := <-cfg.Signal:
			if !hard {
				s.End = &launch.Stop{Outcome: "cancelled", Exit: problem.ExitInterrupted, Code: launch.CodeNotGone}
				return s, nil
			}
		case <-time.After(time.Second):
		}
		t, terr := journal.Task(ctx, task)
		if terr != nil {
			return s, terr
		}
		if s = t.State; s.Over() && s.End != nil {
			return s, nil
		}
		s, err = runner.Run(ctx, cfg, task, false)
	}
	return s, err
}

func stillThere(s launch.State) string {
	for _, a := range s.Unsettled() {
		if a.PodID != "" {
			return fmt.Sprintf("machine %s: %s %s", a.PodID, a.Phase, a.Unsure)
		}
	}
	return "the provider has not been heard"
}

// downSink says what down waits for.
type downSink struct {
	w    *World
	name string
	mu   *sync.Mutex // of all launches that go at once
}

func (d downSink) Emit(e report.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	switch {
	case e.State != nil && e.State.State == "ending":
		_, err = fmt.Fprintf(d.w.Stderr, "%s: deleting %s, then asking until the provider denies it twice\n", d.name, e.State.ID)
	case e.State != nil && (e.State.State == "gone" || e.State.State == "open" || e.State.State == "duplicate"):
		_, err = fmt.Fprintf(d.w.Stderr, "%s: %s %s %s\n", d.name, e.State.State, e.State.ID, e.State.Detail)
	}
	return err
}

// receiptOf sums up what launches cost.
func receiptOf(states []launch.State, local time.Time) receiptDocument {
	doc := receiptDocument{Schema: "justright/receipt/1", Attempts: []receiptAttempt{}}
	for _, s := range states {
		now := s.Clock(local)
		for _, a := range s.Attempts {
			r := receiptAttempt{
				ID: a.PodID, Seconds: a.SecondsAt(now), Cost: a.CostAt(now), Cause: optional(a.Cause), Launch: s.Name, Attempt: a.ID, State: string(a.Phase),
				Estimate: a.PodID != "" && a.Hourly() > 0 && !a.Billed, Detail: a.Detail,
			}
			if r.ID == "" {
				r.ID = a.ID
			}
			if a.Phase == launch.Open || a.Phase == launch.Unanswered {
				doc.Open += a.Reserved
			}
			doc.Estimate = doc.Estimate || r.Estimate
			doc.Total += r.Cost
			doc.Attempts = append(doc.Attempts, r)
		}
	}
	return doc
}

func (w *World) printReceipt(d receiptDocument) {
	if len(d.Attempts) == 0 {
		fmt.Fprintln(w.Stdout, "nothing to take down")
		return
	}
	tw := tabwriter.NewWriter(w.Stdout, 2, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "LAUNCH\tMACHINE\tSTATE\tTIME\tCOST\tWHY")
	for _, a := range d.Attempts {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t$%s\t%s\n", a.Launch, shortID(a.ID), a.State, secondsOf(a.Seconds).Round(time.Second), a.Cost.Cents(), a.Cause)
	}
	_ = tw.Flush()
	word := ""
	if d.Estimate {
		word = " (an estimate until the provider's billing agrees)"
	}
	fmt.Fprintf(w.Stdout, "total $%s%s\n", d.Total.Cents(), word)
	if d.Open > 0 {
		fmt.Fprintf(w.Stderr, "note: $%s stay reserved for a create that was never answered; justright gc looks again\n", d.Open.Cents())
	}
}

// shortID keeps a machine's id whole and cuts an intent's.
func shortID(id string) string {
	if len(id) == 32 {
		return id[:8] + "…"
	}
	return id
}
