// Package cli is the command line: one file per command, each a value with its world passed in. Main is the only
// entry; nothing below it exits the process or reads the environment.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/internal/ui/text"
	"justright/launch"
	"justright/problem"
)

// World is everything a command may touch. Tests pass their own.
type World struct {
	Args      []string // without the program's name
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	Env       func(string) string // "" when unset
	Environ   func() []string     // for child processes of --on local
	Now       func() time.Time
	Transport http.RoundTripper // nil: the default, which honours HTTPS_PROXY
	Dir       string            // working directory
	StdinTTY  bool
	StdoutTTY bool
	StderrTTY bool
	Width     int // of the terminal behind Stdout; 0 when there is none
	ErrWidth  int // of the one behind Stderr

	// For tests of this package: how patient the saga is, and where a run is killed. nil: as shipped.
	timing *launch.Timing
	// swift is how many times sooner what goes round in serve comes again; 0 is 1.
	swift time.Duration
	trap  func(runner.Point, launch.Effect) bool

	// What facts returned first: a command sees one state of the facts. once is a pointer since a World is copied.
	once        *sync.Once
	snapshot    *catalog.Snapshot
	snapshotErr error

	screen *screen // before the outputs and the journal; a pointer, as once
}

// Main runs one command and returns its exit status.
func Main(ctx context.Context, w World) int {
	w.once = new(sync.Once)
	answer := &outlet{to: w.Stdout}
	w.Stdout = answer
	w.shield()
	root := newRoot(&w)
	root.SetArgs(w.Args)
	root.SetIn(w.Stdin)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	ran, err := execute(ctx, root)
	if answer.err != nil { // also where nobody looked: an answer that is cut short is none
		w.Args = nil // there is no stdout to say it on
		err = problem.New(problem.ExitCapacity, "output", "the answer cannot be written").Wrap(answer.err)
	}
	if err == nil {
		return int(problem.ExitOK)
	}
	var quiet exitStatus
	if errors.As(err, &quiet) {
		return int(quiet)
	}
	var p *problem.Problem
	if !errors.As(err, &p) {
		switch dir, derr := w.stateDir(); {
		case ctx.Err() != nil:
			p = problem.New(problem.ExitInterrupted, "interrupted", "interrupted").Wrap(err)
		case derr == nil && store.Full(err):
			p = journalFull(dir, err)
		default:
			p = problem.From(err)
		}
	}
	if p.Exit == problem.ExitUsage && len(p.Hints) == 0 {
		p.Hints = []problem.Hint{{Text: "see", Command: ran.CommandPath() + " --help"}}
	}
	if w.printProblem(p); wantsJSON(w.Args) && answer.err != nil {
		w.Args = nil
		w.printProblem(p) // a person sees it on stderr at least
	}
	return int(p.Exit)
}

// execute runs the command that the arguments name and returns it. A bug that panics ends as a problem like every other, so
// that a program which reads documents gets one; where it happened goes with it.
func execute(ctx context.Context, root *cobra.Command) (ran *cobra.Command, err error) {
	ran = root
	defer func() {
		if r := recover(); r != nil {
			err = problem.New(problem.ExitBug, "internal", "a bug of justright: %v", r).Because("%s", debug.Stack()).
				Try("say what was asked and this whole text where justright comes from", "")
		}
	}()
	return root.ExecuteContextC(ctx)
}

// outlet is an output that remembers why it failed.
type outlet struct {
	to  io.Writer
	err error
}

func (o *outlet) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// exitStatus ends a command whose answer is already printed, with a status other than 0.
type exitStatus problem.Exit

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// printProblem writes p for a person on stderr, or as the one JSON document on stdout: on one line, since where a command
// prints events a reader takes it line by line.
func (w *World) printProblem(p *problem.Problem) {
	if wantsJSON(w.Args) {
		e := json.NewEncoder(w.Stdout)
		e.SetEscapeHTML(false)
		_ = e.Encode(p)
		return
	}
	width := w.screenWidth()
	w.note("error: " + p.Summary)
	if p.Cause != "" {
		fmt.Fprintln(w.Stderr)
	}
	for line := range strings.Lines(p.Cause) {
		w.note("  " + strings.TrimRight(line, "\n"))
	}
	if len(p.Hints) > 0 {
		fmt.Fprintln(w.Stderr)
	}
	for _, h := range p.Hints {
		line := "hint: " + h.Text
		switch {
		case h.Command == "":
			line = text.Hang(line, width)
		case h.Text == "":
			line += h.Command
		case utf8.RuneCountInString(line+": "+h.Command) <= width:
			line += ": " + h.Command
		default: // the command stays one line, to be pasted
			line = text.Hang(line+":", width) + "\n  " + h.Command
		}
		fmt.Fprintln(w.Stderr, line)
	}
}

// wantsJSON looks for --json among the raw arguments, since a usage error may come before flags are parsed.
func wantsJSON(args []string) (asked bool) {
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "--json" {
			asked = true
		} else if v, ok := strings.CutPrefix(a, "--json="); ok {
			asked, _ = strconv.ParseBool(v)
		}
	}
	return asked
}

// printJSON writes one document and a newline.
func (w *World) printJSON(v any) error { return writeJSON(w.Stdout, "", v) }

// writeJSON writes v and a newline, every line but the first behind prefix.
func writeJSON(to io.Writer, prefix string, v any) error {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	return e.Encode(v)
}

// usageErrors makes a wrong number of arguments a problem of usage, for c and what is below it.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			var p *problem.Problem
			if err == nil || errors.As(err, &p) {
				return err
			}
			if len(args) > 0 && check(c, nil) == nil { // it takes none
				if c.HasSubCommands() {
					return noCommand(c, args[0])
				}
				return problem.New(problem.ExitUsage, "usage", "%s takes no argument, and %q was given", c.CommandPath(), args[0]).Try("see", c.CommandPath()+" --help")
			}
			return problem.New(problem.ExitUsage, "usage", "%s", err).Try("see", c.CommandPath()+" --help")
		}
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

// exitCodesDocument is justright/exit-codes/1.
type exitCodesDocument struct {
	Schema string     `json:"schema"`
	Codes  []exitCode `json:"codes"`
}

type exitCode struct {
	Status  int    `json:"status"`
	Meaning string `json:"meaning"`
}

func noCommand(c *cobra.Command, word string) error {
	p := problem.New(problem.ExitUsage, "usage", "there is no command %q", word)
	c.SuggestionsMinimumDistance = 2 // cobra has none for a command below the root
	for _, s := range c.SuggestionsFor(word) {
		p = p.Try("did you mean", c.CommandPath()+" "+s)
	}
	return p.Try("all commands", c.CommandPath()+" --help")
}

func newRoot(w *World) *cobra.Command {
	root := &cobra.Command{
		Use:           "justright",
		Short:         "From a model's name to a proven, OpenAI-compatible endpoint on a rented GPU",
		SilenceErrors: true,
		SilenceUsage:  true,
		Long: `justright finds the one combination of GPU, host driver, container image, wheels, engine version and flags
that is just right for a model, by reasoning before money is spent; starts it, watches it, proves it with real
requests, and never leaves a machine billing for nothing.`,
	}
	root.Flags().Bool("version", false, "say which build this is")
	root.PersistentFlags().Bool("json", false, "answer as JSON on stdout")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return sensibleFlags(c) }
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if c == root && len(w.Args) > 0 && !strings.HasPrefix(w.Args[0], "-") {
			return noCommand(root, w.Args[0]) // its flags are unknown because the command is
		}
		return w.flagProblem(c, err)
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(c *cobra.Command, args []string) error {
		if ask, _ := c.Flags().GetBool("version"); ask {
			return newVersionCommand(w).RunE(c, nil)
		}
		if asJSON, _ := c.Flags().GetBool("json"); len(args) == 0 && asJSON {
			return problem.New(problem.ExitUsage, "usage", "no command is named").Try("all commands", c.CommandPath()+" --help")
		}
		if len(args) == 0 {
			return c.Help()
		}
		return noCommand(c, args[0])
	}
	for _, c := range commands(w) {
		root.AddCommand(c)
	}
	root.AddCommand(&cobra.Command{
		Use: "exit-codes", Short: "The exit statuses and their meaning", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			doc := exitCodesDocument{Schema: "justright/exit-codes/1"}
			for _, e := range []problem.Exit{0, 1, 2, 3, 4, 5, 6, 7, 8, 130} {
				doc.Codes = append(doc.Codes, exitCode{int(e), e.Meaning()})
			}
			if asJSON, _ := c.Flags().GetBool("json"); asJSON {
				return w.printJSON(doc)
			}
			for _, e := range doc.Codes {
				fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("%4d  %s\n", e.Status, e.Meaning)))
			}
			return nil
		},
	})
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" { // cobra's own answers an unknown word with the help of everything, and 0
			show := c.Run
			c.Run, c.RunE = nil, func(c *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); len(args) > 0 && (err != nil || found == root) {
					return noCommand(root, args[0])
				}
				show(c, args)
				return nil
			}
		}
		usageErrors(c)
	}
	return root
}
