package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// psDocument is justright/ps/1.
type psDocument struct {
	Schema   string     `json:"schema"`
	Launches []psLaunch `json:"launches"`
	Notes    []string   `json:"notes,omitempty"` // what could not be asked
}

type psLaunch struct {
	Name         string     `json:"name"`
	Target       string     `json:"target"`
	ID           optional   `json:"id"`    // of the machine; null when there is none
	State        string     `json:"state"` // planning, intended, unanswered, booting, proving, ready, ending, open, ended, stopped, orphan
	Model        optional   `json:"model"`
	BaseURL      optional   `json:"base_url"`
	PricePerHour *money.USD `json:"price_per_hour"` // of all its machines now, disks included; null when not known
	Spent        money.USD  `json:"spent"`
	Guarded      bool       `json:"guarded"` // its guard has reported
	Budget       money.USD  `json:"budget"`
	EndsBy       *time.Time `json:"ends_by"` // the first of lifetime and dollar cap; null when there is none
	Driven       bool       `json:"driven"`  // a process looks after it now
	Seconds      float64    `json:"seconds"`
	Note         string     `json:"note,omitempty"`
	now          time.Time  // by the clock of its provider
}

// optional is a text that is null in JSON when there is none.
type optional string

// MarshalJSON writes null for no text.
func (o optional) MarshalJSON() ([]byte, error) {
	if o == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(o))
}

func newPsCommand(w *World) *cobra.Command {
	var all, offline bool
	c := &cobra.Command{
		Use:   "ps",
		Short: "What runs and what it costs",
		Long: `ps shows every launch that is not over, by the journal and by one look at the provider, also after the program that
started it was killed. Machines that carry this journal's mark and stand in no launch are shown as orphans. Amounts are
estimates until the provider's billing agrees.

Exit status: 0, also when nothing runs or a provider could not be asked (it says so); 2 usage or an unreadable journal.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.ps(c.Context(), all, offline, asJSON)
		},
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "also what is over")
	c.Flags().BoolVar(&offline, "offline", false, "by the journal alone")
	return c
}

func (w *World) ps(ctx context.Context, everything, offline, asJSON bool) error {
	journal, tasks, owner, err := w.openBook(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	var seen *sightings
	if !offline {
		seen = w.look(ctx, tasks, owner)
	}
	doc := psDocument{Schema: "justright/ps/1", Launches: []psLaunch{}}
	for _, t := range tasks {
		if t.State.Over() && !everything && !seen.shows(t.State) {
			continue
		}
		doc.Launches = append(doc.Launches, w.psLine(ctx, journal, t, seen))
	}
	if seen != nil {
		for _, o := range seen.orphans {
			doc.Launches = append(doc.Launches, psLaunch{
				Name: o.in.Name, Target: o.target.word, ID: optional(o.in.ID), State: "orphan", BaseURL: doorOf(o.in.BaseURL), PricePerHour: o.in.PricePerHour,
				Spent: orphanCost(o.in, w), Note: "made from this journal and in no launch of it: justright gc",
			})
		}
		doc.Notes = seen.notes
	}
	if asJSON {
		return w.printJSON(doc)
	}
	w.printPs(doc)
	return nil
}

// doorOf is the base URL that clients take, of the address of a machine.
func doorOf(machine string) optional {
	if machine == "" {
		return ""
	}
	return optional(machine + "/v1")
}

func orphanCost(in launch.Instance, w *World) money.USD {
	if in.PricePerHour == nil || in.Created.IsZero() {
		return 0
	}
	return in.PricePerHour.For(w.Now().Sub(in.Created))
}

// psLine is one launch, corrected by what the provider shows.
func (w *World) psLine(ctx context.Context, journal store.Store, t store.Task, seen *sightings) psLaunch {
	s, now := t.State, t.State.Clock(w.Now())
	line := psLaunch{now: now, Name: s.Name, Target: s.Target, State: s.Word(), Model: optional(s.Model), Spent: s.Spent(now), Budget: s.Budget}
	line.Driven = w.driven(ctx, journal, s.ID, now)
	var price money.USD
	known, bills := true, false
	for _, a := range s.Unsettled() {
		in, here, asked := seen.find(a)
		switch {
		case here:
			// The provider's word: also for a create whose answer the killed program never read.
			a.PodID, a.BaseURL = in.ID, in.BaseURL
			if endedInCluster(s, a, in) {
				line.State, line.Note = "gone", "it has ended: justright gc settles it"
			} else if in.PodsReady < in.Pods {
				line.Note = fmt.Sprintf("%d of %d pods are ready", in.PodsReady, in.Pods)
			}
			if in.PricePerHour != nil {
				a.Price = *in.PricePerHour
			}
			if in.Status == launch.Stopped && a.Phase.Billing() && !isKubernetes(s.Target) {
				line.State, line.Note = "stopped", "it was stopped, and its disk may bill on: justright gc settles it"
			}
			if a.Created.IsZero() {
				a.Created = in.Created
				line.Spent += a.Hourly().For(now.Sub(in.Created))
				if a.Phase == launch.Intended || a.Phase == launch.Unanswered || a.Phase == launch.Open {
					line.State = "booting"
					line.Note = "its create was never answered, and here it is"
				}
			}
			price, bills = price+a.Hourly(), true
		case asked && a.PodID != "" && a.Phase != launch.Deleting:
			line.Note = "the provider does not show machine " + a.PodID + ": it has ended; justright gc settles it"
			line.State = "gone"
		case asked && a.PodID == "":
			line.Note = "a create was committed and never answered; the provider does not show it"
		case a.PodID != "":
			price, bills = price+a.Hourly(), true
		}
		if !a.Duplicate && a.PodID != "" {
			line.ID, line.BaseURL, line.Guarded = optional(a.PodID), doorOf(a.BaseURL), a.Armed
			line.Seconds, line.EndsBy = a.SecondsAt(now), endsBy(a)
		}
	}
	if known && (bills || s.Over()) || s.Target == onLocal {
		line.PricePerHour = &price
	}
	if isKubernetes(s.Target) && price == 0 && s.Spent(now) == 0 {
		line.PricePerHour = nil // a cluster tells no price
	}
	if t.Wanted == launch.WantGone && !s.Over() {
		if line.Note != "" {
			line.Note += "; "
		}
		line.Note += "wanted gone (" + t.WantedWhy + "), not yet proven: justright down " + s.Name
	}
	return line
}

func (w *World) printPs(doc psDocument) {
	switch {
	case len(doc.Launches) == 0 && len(doc.Notes) > 0:
		fmt.Fprintln(w.Stdout, "nothing runs that could be seen")
	case len(doc.Launches) == 0:
		fmt.Fprintln(w.Stdout, "nothing runs")
	default:
		rows := [][]string{{"NAME", "STATE", "ON", "MACHINE", "GUARD", "$/H", "SPENT", "AGE", "ENDS IN", "MODEL"}}
		for _, l := range doc.Launches {
			price, guard := "?", "no"
			if l.PricePerHour != nil {
				price = l.PricePerHour.Cents()
			}
			if l.Guarded {
				guard = "armed"
			}
			ends := "-"
			if l.EndsBy != nil {
				ends = ago(*l.EndsBy, l.now)
			}
			rows = append(rows, []string{l.Name, l.State, l.Target, string(l.ID), guard, price, l.Spent.Cents(),
				ago(l.now, l.now.Add(-secondsOf(l.Seconds))), ends, string(l.Model)})
		}
		fmt.Fprint(w.Stdout, w.launchTable(rows))
	}
	for _, l := range doc.Launches {
		if l.Note != "" {
			w.note(l.Name + ": " + l.Note)
		}
	}
	for _, n := range doc.Notes {
		w.note("note: " + n)
	}
}

// launchTable aligns rows, the first of which names the columns. Where they are too wide for the terminal, machine and model
// stand below each row, and where that is too wide, every cell has a line of its own.
func (w *World) launchTable(rows [][]string) string {
	const machine, model = 3, 9
	text := columns(rows)
	if w.fits(text) {
		return text
	}
	var short [][]string
	for _, r := range rows {
		short = append(short, slices.Concat(r[:machine], r[machine+1:model]))
	}
	var b strings.Builder
	if text = columns(short); w.fits(text) {
		for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
			b.WriteString(line + "\n")
			if i > 0 {
				b.WriteString(w.fitted("  " + strings.TrimSpace(rows[i][machine]+"  "+rows[i][model]) + "\n"))
			}
		}
		return b.String()
	}
	for _, r := range rows[1:] {
		b.WriteString(r[0] + "\n")
		for i, cell := range r[1:] {
			if cell != "" {
				b.WriteString(w.fitted(fmt.Sprintf("  %-8s  %s\n", strings.ToLower(rows[0][i+1]), cell)))
			}
		}
	}
	return b.String()
}

// sightings are one look at every door the journal's machines were made through: one list for each, however many
// machines there are.
type sightings struct {
	doors   map[string]door
	orphans []orphan
	notes   []string
	unheard error // the first door that did not answer: what stands behind it is not known
	keyless bool  // there is no key of RunPod, so that it was not asked
}

// door is what one address showed to one key.
type door struct {
	target   target
	machines []launch.Instance
	foreign  int
	err      error
}

// orphan is a machine of this journal's owner that stands in no launch.
type orphan struct {
	target target
	in     launch.Instance
}

// look lists the machines behind every door that matters: those of tasks that are not over, and the account that is set
// now, and the further targets that are named: a cluster or a machine of one's own is asked for nothing else unless a task is there.
func (w *World) look(ctx context.Context, tasks []store.Task, owner string, also ...string) *sightings {
	s := &sightings{doors: map[string]door{}}
	add := func(t target, err error, what string) {
		if err != nil {
			s.notes = append(s.notes, fmt.Sprintf("%s cannot be asked: %s", what, err))
			s.unheard = cmp.Or(s.unheard, err)
			return
		}
		if _, ok := s.doors[t.address]; ok {
			return
		}
		d := door{target: t}
		d.machines, d.err = t.provider.List(ctx)
		if d.err != nil {
			s.notes = append(s.notes, fmt.Sprintf("%s did not answer: %s", what, d.err))
			s.unheard = cmp.Or(s.unheard, providerProblem(d.err, what))
		}
		s.doors[t.address] = d
	}
	for _, t := range liveTasks(tasks) {
		if len(t.State.Attempts) > 0 {
			tg, err := w.targetOf(ctx, t.State)
			add(tg, err, t.State.Target+" of "+t.State.Name)
		}
	}
	t, err := w.runpodTarget()
	if pr := (*problem.Problem)(nil); errors.As(err, &pr) && pr.Code == "no_credentials" {
		s.keyless = true
	} else {
		add(t, err, "runpod")
	}
	if url, err := w.rehearsal(ctx, false); err == nil {
		t, err := w.simTarget(url)
		add(t, err, "the rehearsal")
	}
	if t, err := w.localTarget(); err == nil {
		add(t, nil, "this machine")
	}
	for _, on := range also {
		if on == "" {
			continue
		}
		t, err := w.chooseTarget(ctx, on, nil)
		add(t, err, on)
	}
	known := map[string]bool{}
	for _, t := range tasks {
		for _, a := range t.State.Attempts {
			known[a.ID] = true
			if a.PodID != "" {
				known[a.PodID] = true
			}
		}
	}
	self := w.Env("RUNPOD_POD_ID")
	addresses := make([]string, 0, len(s.doors))
	for a := range s.doors {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	for _, a := range addresses {
		d := s.doors[a]
		for _, in := range d.machines {
			switch {
			case in.OwnerID != owner || in.ID == self && self != "":
				d.foreign++
			case in.Status != launch.Gone && !known[in.AttemptID] && !known[in.ID]:
				s.orphans = append(s.orphans, orphan{d.target, in})
			}
		}
		s.doors[a] = d
	}
	return s
}

// find looks for an attempt's machine. asked is false when the right door could not be asked: then absence says nothing.
func (s *sightings) find(a launch.Attempt) (in launch.Instance, here, asked bool) {
	if s == nil {
		return in, false, false
	}
	d, ok := s.doors[a.Address]
	if !ok || d.err != nil {
		return in, false, false
	}
	for _, in := range d.machines {
		if in.Status != launch.Gone && (in.AttemptID == a.ID || a.PodID != "" && in.ID == a.PodID) {
			return in, true, true
		}
	}
	return in, false, d.target.account == a.Account
}

// shows reports whether a machine of a task that is over is there all the same.
func (s *sightings) shows(st launch.State) bool {
	for _, a := range st.Attempts {
		if _, here, _ := s.find(a); here {
			return true
		}
	}
	return false
}
