package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"justright/boot"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

// showDocument is justright/show/1.
type showDocument struct {
	Schema   string          `json:"schema"`
	Name     string          `json:"name"`
	Target   string          `json:"target"`
	State    string          `json:"state"`
	Model    string          `json:"model"`
	Served   string          `json:"served_model"`
	BaseURL  optional        `json:"base_url"` // null when no machine runs
	KeyFile  string          `json:"key_file"`
	Budget   money.USD       `json:"budget"`
	Spent    money.USD       `json:"spent"`
	Started  time.Time       `json:"started"`
	EndsBy   *time.Time      `json:"ends_by"` // the first of lifetime and dollar cap; null when there is none
	Idle     float64         `json:"idle_seconds"`
	Attempts []showAttempt   `json:"attempts"`
	Effects  []showEffect    `json:"effects,omitempty"`
	Proof    json.RawMessage `json:"proof"`
}

type showAttempt struct {
	ID       string    `json:"id"`
	Machine  optional  `json:"machine"` // null when none was made
	Phase    string    `json:"phase"`
	Plan     string    `json:"plan"`
	Price    money.USD `json:"price_per_hour"`
	Reserved money.USD `json:"reserved"`
	Cost     money.USD `json:"cost"`
	Seconds  float64   `json:"seconds"`
	Guard    string    `json:"guard"` // armed, planned, none
	Cause    optional  `json:"cause"` // null when it has not ended
	Detail   optional  `json:"detail"`
}

type showEffect struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Attempt string    `json:"attempt,omitempty"`
	Done    bool      `json:"done"`
	Outcome string    `json:"outcome"`
}

func newShowCommand(w *World) *cobra.Command {
	var env, effects bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "One launch: address, plan, attempts, costs, proof",
		Long: `show prints what the journal knows of one launch, by its name, its model or its machine's id.

--env prints OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL for a shell: eval "$(justright show NAME --env)".

Exit status: 0; 2 no such launch; 6 with --env, when it has no address.`,
		Args: oneArg("the name of a launch", "justright show gpt-oss-20b"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.show(c.Context(), args[0], env, effects, asJSON)
		},
	}
	c.Flags().BoolVar(&env, "env", false, "address and key, for eval")
	c.Flags().BoolVar(&effects, "effects", false, "also every effect as it was committed and done")
	return c
}

// taskNamed opens the journal and finds one launch. The caller closes the journal.
func (w *World) taskNamed(ctx context.Context, name string) (*store.Journal, store.Task, error) {
	journal, err := w.openJournal(ctx)
	if err != nil {
		return nil, store.Task{}, err
	}
	all, err := journal.Tasks(ctx)
	var t store.Task
	if err == nil {
		t, err = findTask(all, name)
	}
	if err != nil {
		_ = journal.Close()
		return nil, store.Task{}, err
	}
	if key, err := w.readTaskKey(t.State.ID); err == nil {
		w.hide(key)
	}
	return journal, t, nil
}

func (w *World) show(ctx context.Context, name string, env, effects, asJSON bool) error {
	journal, t, err := w.taskNamed(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	if env {
		return w.showEnv(ctx, journal, t, asJSON)
	}
	doc, err := w.showOf(ctx, journal, t)
	if err != nil {
		return err
	}
	if effects {
		es, err := journal.Effects(ctx, t.State.ID)
		if err != nil {
			return err
		}
		for _, e := range es {
			doc.Effects = append(doc.Effects, showEffect{e.At, e.Kind, e.Attempt, !e.DoneAt.IsZero(), e.Outcome})
		}
	}
	if asJSON {
		return w.printJSON(doc)
	}
	w.printShow(doc)
	return nil
}

func (w *World) showOf(ctx context.Context, journal store.Store, t store.Task) (showDocument, error) {
	s, now := t.State, t.State.Clock(w.Now())
	x, err := readWish(ctx, journal, s.ID)
	if err != nil {
		return showDocument{}, err
	}
	path, err := w.keyFile(s.ID)
	if err != nil {
		return showDocument{}, err
	}
	doc := showDocument{
		Schema: "justright/show/1", Name: s.Name, Target: s.Target, State: s.Word(), Model: s.Model, Served: servedName(x), KeyFile: path,
		Budget: s.Budget, Spent: s.Spent(now), Started: s.Started.UTC(), Idle: s.Idle.Seconds(), Attempts: []showAttempt{}, Proof: json.RawMessage("null"),
	}
	for _, a := range s.Attempts {
		sa := showAttempt{ID: a.ID, Machine: optional(a.PodID), Phase: string(a.Phase), Plan: a.Summary, Price: a.Hourly(), Reserved: a.Reserved,
			Cost: a.CostAt(now), Seconds: a.SecondsAt(now), Guard: "none", Cause: optional(a.Cause), Detail: optional(a.Detail)}
		switch {
		case a.Armed:
			sa.Guard = "armed"
		case a.Guarded:
			sa.Guard = "planned"
		}
		doc.Attempts = append(doc.Attempts, sa)
	}
	if c := s.Current(); c != nil {
		doc.BaseURL = doorOf(c.BaseURL)
		doc.EndsBy = endsBy(*c)
	}
	if p, err := journal.Proof(ctx, s.ID); err == nil {
		doc.Proof = p
	} else if !errors.Is(err, store.ErrNotFound) {
		return doc, err
	}
	return doc, nil
}

// endsBy is the first of a machine's lifetime and dollar cap; nil when it has neither.
func endsBy(a launch.Attempt) *time.Time {
	var first *time.Time
	for _, end := range []time.Time{a.EndBy, a.CapBy} {
		if !end.IsZero() && (first == nil || end.Before(*first)) {
			end = end.UTC()
			first = &end
		}
	}
	return first
}

// envDocument is justright/env/1: what an OpenAI client reads.
type envDocument struct {
	Schema string            `json:"schema"`
	Name   string            `json:"name"`
	Env    map[string]string `json:"env"`
}

func (w *World) showEnv(ctx context.Context, journal store.Store, t store.Task, asJSON bool) error {
	doc, err := w.showOf(ctx, journal, t)
	if err != nil {
		return err
	}
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return err
	}
	if doc.BaseURL == "" || key == "" {
		return problem.New(problem.ExitNotProven, "no_address", "%s has no address: it is %s", doc.Name, doc.State).
			Try("see why", "justright logs "+doc.Name)
	}
	vars := [][2]string{{"OPENAI_BASE_URL", string(doc.BaseURL)}, {"OPENAI_API_KEY", key}, {"OPENAI_MODEL", doc.Served}}
	if asJSON {
		d := envDocument{Schema: "justright/env/1", Name: doc.Name, Env: map[string]string{}}
		for _, kv := range vars {
			d.Env[kv[0]] = kv[1]
		}
		return w.printJSON(d)
	}
	for _, kv := range vars {
		fmt.Fprintf(w.Stdout, "export %s=%s\n", kv[0], boot.Quote(kv[1]))
	}
	return nil
}

func (w *World) printShow(d showDocument) {
	line := func(k, format string, args ...any) {
		fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("%-10s  "+format+"\n", append([]any{k}, args...)...)))
	}
	line("name", "%s", d.Name)
	line("state", "%s on %s, since %s", d.State, d.Target, d.Started.Format(time.RFC3339))
	line("model", "%s", d.Model)
	if d.BaseURL != "" {
		line("base URL", "%s", d.BaseURL)
		line("served as", "%s", d.Served)
		line("key", "in %s", d.KeyFile)
	}
	if d.Target == onLocal || isSSH(d.Target) {
		line("spent", "nothing: the machine is your own")
	} else {
		line("spent", "$%s of $%s (an estimate until the provider bills)", d.Spent.Cents(), d.Budget.Cents())
	}
	if d.EndsBy != nil {
		line("ends by", "%s", d.EndsBy.Format(time.RFC3339))
	}
	for i, a := range d.Attempts {
		line(fmt.Sprintf("attempt %d", i+1), "%s: %s, %s, guard %s, $%s/h, %.0f s, $%s %s", a.Phase, cmp.Or(string(a.Machine), "no machine known"), a.Plan, a.Guard, a.Price.Cents(), a.Seconds, a.Cost.Cents(), a.Cause)
		if a.Detail != "" {
			line("", "%s", a.Detail)
		}
	}
	widest := 0
	for _, e := range d.Effects {
		widest = max(widest, len(e.Kind))
	}
	for _, e := range d.Effects {
		state := e.Outcome
		if !e.Done {
			state = "not known to be done"
		}
		line("effect", "%s  %-*s  %-8.8s  %s", e.At.UTC().Format(time.RFC3339), widest, e.Kind, e.Attempt, state)
	}
}

func secondsOf(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func newLogsCommand(w *World) *cobra.Command {
	var follow bool
	var attempt int
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "What a launch's machines said, also when they are gone",
		Long: `logs prints what was stored of the machines' own output, each line once, attempt by attempt. With -f it goes on with what
comes, through the program that drives the launch, or by asking the provider when nobody does.

Exit status: 0; 2 no such launch; 5 the provider cannot be asked; 130 interrupted.`,
		Args: oneArg("the name of a launch", "justright logs gpt-oss-20b"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.logs(c.Context(), args[0], follow, attempt, asJSON)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	c.Flags().IntVar(&attempt, "attempt", 0, "only attempt `N` (default: all)")
	return c
}

// logLine is one line of logs --json.
type logLine struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Source  string    `json:"source"`
	Line    string    `json:"line"`
}

func (w *World) logs(ctx context.Context, name string, follow bool, attempt int, asJSON bool) error {
	journal, t, err := w.taskNamed(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	if n := len(t.State.Attempts); attempt > n && !follow {
		return problem.New(problem.ExitUsage, "no_attempt", "%s has no attempt %d", t.State.Name, attempt).Because("it has made %d", n).
			Try("see them", "justright show "+t.State.Name)
	}
	enc := json.NewEncoder(w.Stdout)
	enc.SetEscapeHTML(false)
	print := func(n int, l launch.LogLine) error {
		if asJSON {
			return enc.Encode(logLine{n, l.At, l.Source, l.Text})
		}
		return printLog(w.Stdout, l)
	}
	var current launch.Attempt
	after := map[string]int64{}
	show := func() error {
		for _, a := range t.State.Attempts {
			if attempt != 0 && a.N != attempt {
				continue
			}
			current = a
			for {
				ls, err := journal.Log(ctx, a.ID, after[a.ID], 1000)
				if err != nil {
					return err
				}
				if len(ls) == 0 {
					break
				}
				for _, l := range ls {
					after[a.ID] = l.N
					if err := print(a.N, l.LogLine); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	for {
		if err := show(); err != nil || !follow {
			return err
		}
		if !w.driven(ctx, journal, t.State.ID, t.State.Clock(w.Now())) {
			break // nobody stores what comes
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
		if t, err = journal.Task(ctx, t.State.ID); err != nil {
			return err
		}
	}
	if !current.Phase.Billing() {
		return nil
	}
	tg, err := w.targetOf(ctx, t.State)
	if err != nil {
		return err
	}
	mark, err := journal.LogMark(ctx, current.ID)
	if err != nil {
		return err
	}
	err = tg.provider.Logs(ctx, current.PodID, mark, func(l launch.LogLine) error {
		if clean := w.cleanLine(); clean != nil {
			l.Text = clean(l.Text)
		}
		if err := journal.AppendLog(ctx, current.ID, []launch.LogLine{l}); err != nil {
			return err
		}
		return print(current.N, l)
	})
	if err != nil && ctx.Err() == nil {
		return providerProblem(err, "logs of "+current.PodID)
	}
	return ctx.Err()
}

func printLog(out io.Writer, l launch.LogLine) error {
	at := ""
	if !l.At.IsZero() {
		at = l.At.Format(time.TimeOnly) + " "
	}
	mark := ""
	if l.Source == "system" {
		mark = "# "
	}
	_, err := fmt.Fprintf(out, "%s%s%s\n", at, mark, cleanLine(l.Text))
	return err
}
