package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/problem"
)

// noPlans is a planner that starts nothing.
type noPlans struct{}

func (noPlans) Next(context.Context, launch.State) (runner.Proposal, error) {
	return runner.Proposal{}, problem.New(problem.ExitCapacity, "no_plan_left", "no plan is started here")
}

func (noPlans) Spec(context.Context, launch.State, launch.Attempt) (launch.Spec, error) {
	return launch.Spec{}, errors.New("nothing is created here")
}

func newLessonsCommand(w *World) *cobra.Command {
	c := &cobra.Command{
		Use:   "lessons",
		Short: "What failed launches taught: list and forget",
		Long: `lessons lists the constraints that failed launches have left, with their evidence and when they expire; the resolver heeds them.

Exit status: 0; 2 an unreadable journal.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.lessons(c.Context(), asJSON)
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "forget ID", Short: "Forget a lesson",
		Long: "forget removes one lesson, so that the resolver may try again.\n\nExit status: 0; 2 no such lesson.",
		Args: oneArg("the id of a lesson", "justright lessons forget ID"),
		RunE: func(c *cobra.Command, args []string) error {
			journal, err := w.openJournal(c.Context())
			if err != nil {
				return err
			}
			defer func() { _ = journal.Close() }()
			if err := journal.Forget(c.Context(), args[0]); errors.Is(err, store.ErrNotFound) {
				return problem.New(problem.ExitUsage, "unknown_lesson", "no lesson is called %q", args[0]).Try("see them", "justright lessons")
			} else if err != nil {
				return err
			}
			fmt.Fprintf(w.Stdout, "forgotten: %s\n", args[0])
			return nil
		},
	})
	return c
}

func (w *World) lessons(ctx context.Context, asJSON bool) error {
	journal, err := w.openJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	ls, err := journal.Lessons(ctx, w.Now())
	if err != nil {
		return err
	}
	if asJSON {
		if ls == nil {
			ls = []catalog.Lesson{}
		}
		return w.printJSON(map[string]any{"schema": "justright/lessons/1", "lessons": ls})
	}
	if len(ls) == 0 {
		fmt.Fprint(w.Stdout, w.fitted("nothing was learned yet, or all of it has expired\n"))
	}
	for _, l := range ls {
		fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("%s  %s  (%s, until %s, from %s)\n", l.ID, l.Words(), l.Cause, day(l.Expires), l.Source)))
		for _, e := range l.Evidence {
			fmt.Fprintf(w.Stdout, "    | %s\n", cleanLine(e))
		}
	}
	return nil
}

// day is the day of a time in RFC 3339.
func day(t string) string { d, _, _ := strings.Cut(t, "T"); return d }

// learned are the lessons of this person's journal, for commands that only read. Without a journal there are none, and
// none is made.
func (w *World) learned(ctx context.Context) []catalog.Lesson {
	if !w.hasJournal() {
		return nil
	}
	journal, err := w.openJournal(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = journal.Close() }()
	ls, err := journal.Lessons(ctx, w.Now())
	if err != nil {
		return nil
	}
	return ls
}

// hasJournal reports whether there is a journal to read.
func (w *World) hasJournal() bool {
	dir, err := w.stateDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, store.FileName))
	return err == nil || w.sharedJournal() != ""
}
