package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"justright/problem"
)

// finding is one line of doctor.
type finding struct {
	Name   string        `json:"name"`   // kebab case
	Status string        `json:"status"` // ok, note, failed, skipped
	Detail string        `json:"detail"`
	Fix    *problem.Hint `json:"fix"` // null when there is nothing to fix
	exit   problem.Exit  // what a failure ends the command with
}

// doctorDocument is justright/doctor/1.
type doctorDocument struct {
	Schema  string    `json:"schema"`
	Healthy bool      `json:"healthy"` // nothing failed
	Target  optional  `json:"target"`  // what was asked for with --on; null: what is set up here
	Checks  []finding `json:"checks"`
}

func good(name, format string, a ...any) finding {
	return finding{Name: name, Status: "ok", Detail: fmt.Sprintf(format, a...)}
}

// note is something to know that stops nothing.
func note(name, format string, a ...any) finding {
	return finding{Name: name, Status: "note", Detail: fmt.Sprintf(format, a...)}
}

func bad(exit problem.Exit, name, format string, a ...any) finding {
	return finding{Name: name, Status: "failed", Detail: fmt.Sprintf(format, a...), exit: exit}
}

func skipped(name, format string, a ...any) finding {
	return finding{Name: name, Status: "skipped", Detail: fmt.Sprintf(format, a...)}
}

func (f finding) fix(text, command string) finding {
	f.Fix = &problem.Hint{Text: text, Command: command}
	return f
}

func newDoctorCommand(w *World) *cobra.Command {
	var target string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Keys, balance, reachability, clock, disk and tools; one line each with the fix",
		Long: `doctor looks at everything a launch from here depends on, and says for each what it found and, where
something is wrong, the one thing to do. It asks only what costs nothing and changes nothing.

Without --on a missing key or tool is a note, since another target may do without; with --on TARGET what
that target needs must be there, and a cluster or a machine that ssh reaches is asked what it has.

Exit status: 0 nothing failed; 2 usage; 4 a key or token is missing or refused; 5 something is out of reach, the
balance is used up, or disk or Python is missing.`,
		Example: `  justright doctor
  justright doctor --on runpod --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			if target != "" && target != onRunPod && target != onLocal && !isSSH(target) && !isKubernetes(target) {
				return problem.New(problem.ExitUsage, "unknown_target", "--on %q is no target of doctor", target).
					Try("the targets are --on runpod, local, kubernetes and ssh://user@host; rehearsal needs nothing", "")
			}
			return w.doctor(c.Context(), target, asJSON)
		},
	}
	c.Flags().StringVar(&target, "on", "", "the `TARGET` whose needs must be met: runpod, local, kubernetes, ssh://user@host")
	return c
}

func (w *World) doctor(ctx context.Context, target string, asJSON bool) error {
	// Each examination gives its lines in order; they run side by side, since each may wait for a network.
	examinations := []func(context.Context, string) []finding{
		w.examineTarget, w.examineRunPod, w.examineIndex, w.examineHub, w.examineRegistry, w.examineProxy, w.examineDisk, w.examineTools,
	}
	results := make([][]finding, len(examinations))
	var wg sync.WaitGroup
	for i, f := range examinations {
		wg.Go(func() { results[i] = f(ctx, target) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	doc := doctorDocument{Schema: "justright/doctor/1", Healthy: true, Target: optional(target), Checks: []finding{}}
	exit := problem.ExitOK
	for _, r := range results {
		for _, f := range r {
			doc.Checks = append(doc.Checks, f)
			if f.Status == "failed" {
				doc.Healthy = false
				if exit == problem.ExitOK || f.exit == problem.ExitCredentials {
					exit = f.exit
				}
			}
		}
	}
	if asJSON {
		if err := w.printJSON(doc); err != nil {
			return err
		}
	} else {
		w.printDoctor(doc)
	}
	if exit != problem.ExitOK {
		return exitStatus(exit)
	}
	return nil
}

func (w *World) printDoctor(doc doctorDocument) {
	for _, f := range doc.Checks {
		word := map[string]string{"ok": "ok", "note": "note", "failed": "FAILED", "skipped": "-"}[f.Status]
		line := fmt.Sprintf("%-6s %-14s  %s", word, f.Name, f.Detail)
		if f.Fix != nil {
			line += ": " + strings.TrimSpace(f.Fix.Text)
			if f.Fix.Command != "" {
				line += ": " + f.Fix.Command
			}
		}
		fmt.Fprint(w.Stdout, w.fitted(line+"\n"))
	}
}
