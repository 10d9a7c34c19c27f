package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/ui/text"
	"justright/problem"
	"justright/report"
)

// cleanLine makes foreign text safe for a terminal.
func cleanLine(s string) string { return text.Clean(s) }

func newEventsCommand(w *World) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "events NAME",
		Short: "The stored stream of a launch: what up showed, again",
		Long: `events renders everything that was said about a launch, as up rendered it; with --json one event a line. With -f it goes on
with what comes.

Exit status: 0; 2 no such launch; 130 interrupted.`,
		Args: oneArg("the name of a launch", "justright events gpt-oss-20b"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.events(c.Context(), args[0], follow, asJSON)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return c
}

func (w *World) events(ctx context.Context, name string, follow, asJSON bool) error {
	journal, t, err := w.taskNamed(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	sink := w.replaySink(asJSON)
	defer sink.close()
	last := int64(0)
	for {
		evs, err := journal.Events(ctx, t.State.ID, last, 1000)
		if err != nil {
			return err
		}
		for _, e := range evs {
			last = e.N
			if ev, err := report.Parse(e.JSON); err == nil {
				_ = sink.Emit(ev)
			}
		}
		if len(evs) > 0 {
			continue
		}
		if !follow || !w.driven(ctx, journal, t.State.ID, t.State.Clock(w.Now())) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// replaySink shows a recorded stream on stdout: it is the answer here.
func (w *World) replaySink(asJSON bool) sinks {
	v := *w
	v.Stderr, v.StderrTTY = w.Stdout, false
	if w.StdoutTTY && w.Width > 0 {
		v.Width = w.Width
	}
	return v.newSinks(asJSON, true)
}

func newReplayCommand(w *World) *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE",
		Short: "Show a recorded run again, offline",
		Long: `replay renders a bundle (justright bundle) or a file of events (up --json, events --json) as up rendered it, without asking
anybody.

Exit status: 0; 2 unreadable file.`,
		Args: oneArg("a bundle or a file of events", "justright replay gpt-oss-20b.bundle.json"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.replay(args[0], asJSON)
		},
	}
}

// mostLeftOut bounds what is said about lines that are no events: a file of another kind has a hundred thousand.
const mostLeftOut = 5

func (w *World) replay(path string, asJSON bool) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(err)
	}
	defer func() { _ = f.Close() }()
	if b, ok := readBundle(f); ok {
		return w.replayBundle(b, asJSON)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	sink := w.replaySink(asJSON)
	defer sink.close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	shown, n, left := 0, 0, 0
	for sc.Scan() {
		n++
		if len(sc.Bytes()) == 0 {
			continue
		}
		ev, err := report.Parse(sc.Bytes())
		if err != nil {
			if left++; left <= mostLeftOut {
				fmt.Fprintf(w.Stderr, "line %d is left out: %s\n", n, err)
			}
			continue
		}
		shown++
		_ = sink.Emit(ev)
	}
	if left > mostLeftOut {
		fmt.Fprintf(w.Stderr, "%d lines more are left out\n", left-mostLeftOut)
	}
	if err := sc.Err(); err != nil || shown == 0 {
		return problem.New(problem.ExitUsage, "unreadable_file", "%s is no recorded run", path).Wrap(err).
			Try("record one", "justright bundle NAME")
	}
	return nil
}
