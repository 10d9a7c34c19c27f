package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/httpclient"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/problem"
)

// extendDocument is justright/extend/1.
type extendDocument struct {
	Schema string     `json:"schema"`
	Name   string     `json:"name"`
	EndBy  time.Time  `json:"end_by"`
	CapBy  *time.Time `json:"cap_by"` // when the budget is spent; null on a machine that costs nothing
}

func newExtendCommand(w *World) *cobra.Command {
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "extend NAME --ttl DURATION",
		Short: "Move the end of a launch's lifetime",
		Long: `extend moves the end of a launch that was started with --ttl to DURATION from now, in the machine's own guard first and then in the
journal. The guard is reached through the endpoint, with its key. The dollar cap does not move: an end beyond it is refused.
A launch without --ttl has no lifetime to move: it ends when idle, or at its budget.

Exit status: 0 moved; 2 usage or no such launch; 5 the machine does not answer, or a program drives the launch now; 6 it is not
ready; 7 beyond the dollar cap, or no lifetime was set.`,
		Args:    oneArg("the name of a launch", "justright extend gpt-oss-20b --ttl 2h"),
		Example: "  justright extend gpt-oss-20b --ttl 2h",
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			if ttl <= 0 {
				return problem.New(problem.ExitUsage, "usage", "extend needs --ttl, a length of time from now").Try("for example", "justright extend "+args[0]+" --ttl 2h")
			}
			return w.extend(c.Context(), args[0], ttl, asJSON)
		},
	}
	c.Flags().DurationVar(&ttl, "ttl", 0, "the new end, from now")
	return c
}

func (w *World) extend(ctx context.Context, name string, ttl time.Duration, asJSON bool) error {
	journal, t, err := w.taskNamed(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	end, err := w.extendTask(ctx, journal, t, ttl)
	if err != nil {
		return err
	}
	doc := extendDocument{Schema: "justright/extend/1", Name: t.State.Name, EndBy: end}
	if c := t.State.Current().CapBy.UTC(); !c.IsZero() {
		doc.CapBy = &c
	}
	if asJSON {
		return w.printJSON(doc)
	}
	fmt.Fprintf(w.Stdout, "%s ends by %s\n", doc.Name, doc.EndBy.Format(time.RFC3339))
	return nil
}

// extendTask moves the end of a launch's lifetime, in the guard inside first, and returns the new end.
func (w *World) extendTask(ctx context.Context, journal store.Store, t store.Task, ttl time.Duration) (time.Time, error) {
	var none time.Time
	cur := t.State.Current()
	if cur == nil || cur.BaseURL == "" {
		return none, problem.New(problem.ExitNotProven, "not_ready", "%s is %s: there is no machine to extend", t.State.Name, t.State.Word())
	}
	tg, err := w.targetOf(ctx, t.State)
	if err != nil {
		return none, err
	}
	clock := runner.ServerClock(ctx, tg.provider, w.Now)
	end := clock().Add(ttl).UTC().Truncate(time.Second)
	switch {
	case cur.EndBy.IsZero():
		return none, problem.New(problem.ExitLimit, "no_ttl", "%s has no lifetime to move", t.State.Name).
			Because("it was started without --ttl: it ends when idle, or at its budget")
	case !cur.CapBy.IsZero() && end.After(cur.CapBy):
		return none, problem.New(problem.ExitLimit, "budget", "the end would be beyond the dollar cap").
			Because("at $%s/h its $%s last until %s, and that never moves", cur.Hourly().Cents(), cur.Reserved.Cents(), cur.CapBy.UTC().Format(time.RFC3339)).
			Try("start another with a larger budget", upAgain(t.State)+" --name "+t.State.Name+"-2 --budget "+roundedUp(cur.Hourly().For(end.Sub(cur.Created))))
	}
	if err := w.extendable(ctx, journal, t.State); err != nil {
		return none, err
	}
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return none, err
	}
	if cur.Armed {
		if err := w.extendGuard(ctx, cur.BaseURL, httpclient.NewSecret(key), end); err != nil {
			return none, err
		}
	}
	if tg.kube != nil {
		if err := tg.kube.Extend(ctx, cur.PodID, end); err != nil {
			return none, providerProblem(err, tg.word)
		}
	}
	cfg := w.runConfig(journal, tg, w.plannerFor(tg, journal, wish{}, ""), nil, clock)
	if err := runner.Extend(ctx, cfg, t.State.ID, end); errors.Is(err, store.ErrHeld) {
		return none, problem.New(problem.ExitCapacity, "driven", "a program drives %s now, and it would end it at the old time", t.State.Name).
			Because("the guard inside was moved; the program outside was not").Try("end that program, then again", "justright extend "+t.State.Name+" --ttl "+ttl.String())
	} else if err != nil {
		return none, err
	}
	return end, nil
}

// extendGuard tells the guard inside the machine, through the engine's door.
func (w *World) extendGuard(ctx context.Context, base string, key httpclient.Secret, end time.Time) error {
	until := strconv.FormatInt(end.Unix(), 10)
	res, err := httpclient.New(httpclient.Options{Transport: w.Transport, Now: w.Now}).Do(ctx, httpclient.Request{
		Method: http.MethodPost, URL: base + "/justright/extend", Bearer: key, Body: []byte(until), Type: "text/plain", Once: true,
	})
	if err != nil || strings.TrimSpace(string(res.Body)) != until {
		return problem.New(problem.ExitCapacity, "guard_unmoved", "the guard inside the machine did not take the new end").Wrap(err).
			Because("nothing was changed: its old end stands. Only an engine behind our door takes it (the plan says guarded, and no --open)")
	}
	return nil
}
