package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/store"
	"justright/launch"
	"justright/report"
)

// bundleDocument is justright/bundle/1: one launch with everything that was said and done, without secrets.
type bundleDocument struct {
	Schema  string            `json:"schema"`
	Made    time.Time         `json:"made"`
	Show    showDocument      `json:"launch"`
	Receipt receiptDocument   `json:"receipt"`
	Events  []json.RawMessage `json:"events"`
	Logs    []bundleLog       `json:"logs"`
}

type bundleLog struct {
	Attempt int       `json:"attempt"`
	Mark    string    `json:"mark"`
	At      time.Time `json:"at"`
	Source  string    `json:"source"`
	Line    string    `json:"line"`
}

func newBundleCommand(w *World) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "bundle NAME",
		Short: "Everything about one launch in one file, without secrets, for support and replay",
		Long: `bundle writes state, effects, events, logs, receipt and proof of a launch as one JSON document. Keys and tokens of this
environment and everything that looks like one are replaced by [redacted].

Exit status: 0; 2 no such launch, or the file cannot be written.`,
		Args: oneArg("the name of a launch", "justright bundle gpt-oss-20b -o run.json"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.bundle(c.Context(), args[0], out, asJSON)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` (default: NAME.bundle.json; - for stdout)")
	return c
}

// writtenDocument is justright/written/1: a file that a command made.
type writtenDocument struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	File   string `json:"file"`
	Bytes  int    `json:"bytes"`
}

func (w *World) bundle(ctx context.Context, name, out string, asJSON bool) error {
	journal, t, err := w.taskNamed(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	doc, err := w.bundleOf(ctx, journal, t)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return err
	}
	key, err := w.readTaskKey(t.State.ID)
	if err != nil {
		return err
	}
	raw = append([]byte(w.redactor(key).Said(string(raw))), '\n')
	if out == "-" {
		_, err = w.Stdout.Write(raw)
		return err
	}
	if out == "" {
		out = filepath.Base(filepath.Clean("/"+t.State.Name)) + ".bundle.json" // a name is not a way out of this directory
	}
	if out, err = w.keepFile(out, raw, 0o600); err != nil {
		return err
	}
	if asJSON {
		return w.printJSON(writtenDocument{"justright/written/1", t.State.Name, out, len(raw)})
	}
	fmt.Fprintln(w.Stdout, out)
	return nil
}

func (w *World) bundleOf(ctx context.Context, journal store.Store, t store.Task) (bundleDocument, error) {
	show, err := w.showOf(ctx, journal, t)
	if err != nil {
		return bundleDocument{}, err
	}
	es, err := journal.Effects(ctx, t.State.ID)
	if err != nil {
		return bundleDocument{}, err
	}
	for _, e := range es {
		show.Effects = append(show.Effects, showEffect{e.At, e.Kind, e.Attempt, !e.DoneAt.IsZero(), e.Outcome})
	}
	doc := bundleDocument{Schema: "justright/bundle/1", Made: w.Now().UTC(), Show: show, Receipt: receiptOf([]launch.State{t.State}, w.Now()),
		Events: []json.RawMessage{}, Logs: []bundleLog{}}
	for last := int64(0); ; {
		evs, err := journal.Events(ctx, t.State.ID, last, 1000)
		if err != nil {
			return doc, err
		}
		if len(evs) == 0 {
			break
		}
		for _, e := range evs {
			last = e.N
			doc.Events = append(doc.Events, e.JSON)
		}
	}
	for _, a := range t.State.Attempts {
		for last := int64(0); ; {
			ls, err := journal.Log(ctx, a.ID, last, 1000)
			if err != nil {
				return doc, err
			}
			if len(ls) == 0 {
				break
			}
			for _, l := range ls {
				last = l.N
				doc.Logs = append(doc.Logs, bundleLog{a.N, l.ID, l.At, l.Source, l.Text})
			}
		}
	}
	return doc, nil
}

// readBundle reads a bundle; false when it is something else.
func readBundle(r io.Reader) (b bundleDocument, ok bool) {
	err := json.NewDecoder(io.LimitReader(r, 1<<30)).Decode(&b)
	return b, err == nil && b.Schema == "justright/bundle/1"
}

// replayBundle shows events and log lines in the order of their time.
func (w *World) replayBundle(b bundleDocument, asJSON bool) error {
	sink := w.replaySink(asJSON)
	defer sink.close()
	next := 0
	until := func(at time.Time) {
		for next < len(b.Logs) && (at.IsZero() || !b.Logs[next].At.After(at)) {
			l := b.Logs[next]
			_ = sink.Emit(report.Event{At: l.At, Log: &report.Log{Source: l.Source, Line: l.Line}})
			next++
		}
	}
	var events []report.Event
	for _, raw := range b.Events {
		if ev, err := report.Parse(raw); err == nil {
			events = append(events, ev)
		}
	}
	closing := len(events) // what comes last says how it ended, also when lines are dated later
	for closing > 0 && (events[closing-1].End != nil || events[closing-1].Problem != nil) {
		closing--
	}
	for i, ev := range events {
		switch {
		case i == closing:
			until(time.Time{})
		case !ev.At.IsZero():
			until(ev.At)
		}
		_ = sink.Emit(ev)
	}
	until(time.Time{})
	return nil
}
