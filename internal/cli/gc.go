package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"justright/boot"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// gcDocument is justright/gc/1.
type gcDocument struct {
	Schema   string      `json:"schema"`
	Findings []gcFinding `json:"findings"`
	Foreign  int         `json:"foreign"` // machines of others on the same account: never touched
	Notes    []string    `json:"notes,omitempty"`
}

type gcFinding struct {
	Kind   string     `json:"kind"` // orphan, vanished, duplicate, unanswered, stopped, volume
	ID     string     `json:"id"`
	Name   string     `json:"name"`
	Launch string     `json:"launch,omitempty"`
	Cost   *money.USD `json:"cost_per_month,omitempty"`
	Did    string     `json:"did"` // what was done about it: adopted, settled, removed, nothing
	Text   string     `json:"text"`
}

func newGCCommand(w *World) *cobra.Command {
	var remove, dry bool
	var on []string
	c := &cobra.Command{
		Use:   "gc",
		Short: "Compare journal and provider: name, adopt or remove what nobody owns",
		Long: `gc lists what the provider has and compares it with the journal. Machines that carry this journal's mark and stand in no launch are
adopted: they get a launch of their own, so that ps shows and down ends them; --remove ends them at once. Launches whose
machines have ended or were stopped are settled, creates that were never answered are looked for again, duplicates are deleted. Network
volumes and the disks of stopped pods bill on: they are named with their cost. What carries another mark is never touched.

Exit status: 0; 2 an unreadable journal; 4 the provider does not let this key ask; 5 the provider is out of reach, or a machine
could not be removed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.gc(c.Context(), remove, dry, on, asJSON)
		},
	}
	c.Flags().BoolVar(&remove, "remove", false, "end what nobody owns instead of adopting it")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	c.Flags().StringSliceVar(&on, "on", nil, "also look on this `TARGET`, as up takes it: a cluster or an ssh:// machine that the journal has no launch on")
	return c
}

func (w *World) gc(ctx context.Context, remove, dry bool, on []string, asJSON bool) error {
	journal, tasks, owner, err := w.openBook(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	seen := w.look(ctx, tasks, owner, on...)
	doc := gcDocument{Schema: "justright/gc/1", Findings: []gcFinding{}, Notes: seen.notes}
	if seen.keyless {
		doc.Notes = append(doc.Notes, noKeyNote)
	}
	var failed error
	for _, t := range tasks {
		if err := w.gcTask(ctx, journal, t, seen, dry, &doc); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if !dry {
		w.gcBills(ctx, journal, tasks, &doc)
	}
	for _, o := range seen.orphans {
		f := gcFinding{Kind: "orphan", ID: o.in.ID, Name: o.in.Name, Did: "nothing", Text: "made from this journal and in no launch of it"}
		if !dry {
			t, err := w.takeIn(ctx, journal, o, owner, guardReported(ctx, o))
			if err != nil {
				return err
			}
			f.Launch, f.Did = t.State.Name, "adopted"
			if remove {
				if err := journal.WantGone(ctx, t.State.ID, launch.CauseDown); err != nil {
					return err
				}
				if _, err := w.takeDown(ctx, journal, t, 5*time.Minute, nil); err != nil {
					failed = errors.Join(failed, err)
				} else {
					f.Did = "removed"
				}
			}
		}
		doc.Findings = append(doc.Findings, f)
	}
	w.gcLeftovers(ctx, seen, &doc)
	if failed == nil {
		failed = seen.unheard
	}
	switch {
	case asJSON && failed != nil:
		return failed // one document: the problem is what a program must see
	case asJSON:
		return w.printJSON(doc)
	}
	w.printGC(doc, failed == nil)
	return failed
}

// gcTask looks at one launch: what it believes and what is there.
func (w *World) gcTask(ctx context.Context, journal *store.Journal, t store.Task, seen *sightings, dry bool, doc *gcDocument) error {
	s := t.State
	var found []gcFinding
	for _, a := range s.Attempts {
		in, here, asked := seen.find(a)
		f := gcFinding{ID: a.PodID, Name: a.PodName, Launch: s.Name, Did: "nothing"}
		switch {
		case here && a.Phase.Settled():
			f.Kind, f.ID, f.Text = "orphan", in.ID, "it was believed gone, and is there"
		case here && a.PodID == "":
			f.Kind, f.ID, f.Text = "unanswered", in.ID, "the machine of a create that was never answered"
		case here && in.ID != a.PodID && a.PodID != "":
			f.Kind, f.ID, f.Text = "duplicate", in.ID, "a second machine of one create"
		case here && endedInCluster(s, a, in):
			f.Kind, f.Text = "vanished", "it has ended, by its guard or otherwise, and holds nothing; what it said is kept"
		case here && in.Status == launch.Stopped && seen.stops(a) && (a.Phase == launch.Booting || a.Phase == launch.Proving || a.Phase == launch.Ready):
			f.Kind, f.Text = "stopped", "it was stopped, by its guard or by somebody at the console, and what a stopped pod keeps bills on"
		case asked && !here && a.PodID != "" && (a.Phase == launch.Booting || a.Phase == launch.Proving || a.Phase == launch.Ready):
			f.Kind, f.Text = "vanished", "it has ended: by its guard, or by somebody at the console"
		case asked && !here && a.Phase == launch.Open:
			f.Kind, f.Text = "unanswered", a.Detail
		case a.Phase == launch.Deleting || a.Phase == launch.Saving:
			f.Kind, f.Text = "vanished", "its removal is not proven"
		default:
			continue
		}
		found = append(found, f)
	}
	if len(found) == 0 {
		return nil
	}
	var err error
	if !dry {
		if w.driven(ctx, journal, s.ID, s.Clock(w.Now())) {
			for i := range found {
				found[i].Text += "; the program that drives it will see to it"
			}
		} else {
			var after launch.State
			after, err = w.settleTask(ctx, journal, t)
			for i := range found {
				if found[i].Did = "settled"; err != nil || stillGoing(after, found[i].ID) {
					found[i].Did = "nothing"
				}
			}
		}
	}
	doc.Findings = append(doc.Findings, found...)
	return err
}

// guardReported reads what an orphan's log says of its guard. A log that is not told soon says nothing.
func guardReported(ctx context.Context, o orphan) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	quiet := time.AfterFunc(3*time.Second, cancel) // the stream stays open at its end
	defer quiet.Stop()
	armed := false
	_ = o.target.provider.Logs(ctx, o.in.ID, "", func(l launch.LogLine) error {
		quiet.Reset(700 * time.Millisecond)
		if line, ok := boot.ParseLine(l.Text); ok && line.Kind == boot.KindGuard && l.Source != "system" {
			armed = line.Status == "armed"
		}
		return nil
	})
	return armed
}

// settleTask lets the saga look at a launch for a moment: it finds what turned up, proves what vanished, and deletes what
// is twice. It never starts a plan.
func (w *World) settleTask(ctx context.Context, journal *store.Journal, t store.Task) (launch.State, error) {
	tg, err := w.targetOf(ctx, t.State)
	if err != nil {
		return t.State, err
	}
	x, err := readWish(ctx, journal, t.State.ID)
	if err != nil {
		return t.State, err
	}
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return t.State, err
	}
	cfg := w.runConfig(journal, tg, w.plannerFor(tg, journal, x, key), nil, runner.ServerClock(ctx, tg.provider, w.Now))
	cfg.Planner = noPlans{}
	run, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	s, err := runner.Run(run, cfg, t.State.ID, false)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return s, nil // it lives on, and is known again
	}
	if err == nil && s.End != nil && s.End.Exit == problem.ExitCredentials {
		return s, notGone(s, runner.Problem(s)) // this key cannot tell
	}
	return s, err
}

// stillGoing reports whether the removal of a machine is asked for and not proven.
func stillGoing(s launch.State, id string) bool {
	return slices.ContainsFunc(s.Attempts, func(a launch.Attempt) bool {
		return a.PodID == id && (a.Phase == launch.Deleting || a.Phase == launch.Saving)
	})
}

// gcBills replaces the estimates of what is over by the provider's own figures.
func (w *World) gcBills(ctx context.Context, journal *store.Journal, tasks []store.Task, doc *gcDocument) {
	for _, t := range tasks {
		if !t.State.Over() || !receiptOf([]launch.State{t.State}, w.Now()).Estimate {
			continue
		}
		tg, err := w.targetOf(ctx, t.State)
		if err != nil {
			continue
		}
		left, err := runner.Reconcile(ctx, w.runConfig(journal, tg, w.plannerFor(tg, journal, wish{}, ""), nil, w.Now), t.State.ID)
		if err != nil {
			doc.Notes = append(doc.Notes, fmt.Sprintf("the bill of %s: %s", t.State.Name, err))
		} else if left > 0 {
			doc.Notes = append(doc.Notes, fmt.Sprintf("%s: the provider has not billed all of it yet; amounts are estimates", t.State.Name))
		}
	}
}

// stops reports whether a machine of an attempt can be stopped without being gone.
func (s *sightings) stops(a launch.Attempt) bool { return s.doors[a.Address].target.kube == nil }

// tells reports whether a machine stands in the document already.
func (d *gcDocument) tells(id string) bool {
	return slices.ContainsFunc(d.Findings, func(f gcFinding) bool { return f.ID == id && f.Kind == "stopped" })
}

// gcLeftovers names what bills without a launch: stopped pods of ours, and the account's volumes.
func (w *World) gcLeftovers(ctx context.Context, seen *sightings, doc *gcDocument) {
	addresses := make([]string, 0, len(seen.doors))
	for a := range seen.doors {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	for _, a := range addresses {
		d := seen.doors[a]
		doc.Foreign += d.foreign
		for _, in := range d.machines {
			if in.Status == launch.Stopped && d.target.kube == nil && !doc.tells(in.ID) {
				doc.Findings = append(doc.Findings, gcFinding{Kind: "stopped", ID: in.ID, Name: in.Name, Did: "nothing",
					Text: "a stopped pod: its volume disk bills at twice the running rate, $0.20 per GB and month"})
			}
		}
		b, ok := d.target.provider.(billed)
		if !ok || d.err != nil {
			continue
		}
		vols, err := b.Volumes(ctx)
		if err != nil {
			doc.Notes = append(doc.Notes, "volumes cannot be listed: "+err.Error())
			continue
		}
		for _, v := range vols {
			cost := v.MonthlyCost()
			doc.Findings = append(doc.Findings, gcFinding{Kind: "volume", ID: v.ID, Name: v.Name, Cost: &cost, Did: "nothing",
				Text: fmt.Sprintf("network volume of %d GB in %s: $%s a month until it is deleted", v.SizeGB, v.DataCenter, cost.Cents())})
		}
	}
}

// printGC prints what was found; whole says that everything could be asked.
func (w *World) printGC(d gcDocument, whole bool) {
	if len(d.Findings) == 0 && whole {
		fmt.Fprintln(w.Stdout, "journal and provider agree; nothing is left over")
	}
	for _, f := range d.Findings {
		fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("%-11s %-20s %-10s  %s\n", f.Kind, f.ID, f.Did, f.Text)))
	}
	if d.Foreign > 0 {
		fmt.Fprintf(w.Stdout, "%d machines on the same account carry another mark or none; they were not touched\n", d.Foreign)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(w.Stderr, "note: %s\n", n)
	}
}
