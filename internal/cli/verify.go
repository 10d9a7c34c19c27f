package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/probe"
	"justright/problem"
)

type verifyOptions struct {
	endpointFlags
	report     string
	offline    bool
	doorsShut  bool
	tools      bool
	context    int
	arch       string
	longPrompt int
	limit      time.Duration
}

func newVerifyCommand(w *World) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify URL|NAME|REPORT",
		Short: "Prove an endpoint with real requests through the address its user will use",
		Long: `verify asks an OpenAI-compatible endpoint what its user will ask: health, model list, architecture, context
length, chat (or plain completion, or embeddings, whichever the model has), streaming, a tool call, an answer bound to
a JSON schema, a long prompt. It sends no key and a wrong key, tries the other doors of the engine without a key, and
says how long an answer without streaming may take on the way.

Each check is required, informational, or does not apply (and says why). The proof passes when all required checks
pass: model-list, health, chat or completion or embeddings, streaming, long-prompt, wrong-key-refused,
alive-afterwards, and architecture and context where they are known. A tool call is required with --tools, shut doors
with --doors-shut, as for launches whose plan promises them; a JSON schema and sane text are informational, since a
tiny model may fail them on a sound engine.

A report kept with --report is shown again with --offline, and repeated by giving it in place of the address: the
checks that changed are named.

The key comes from --key-file, --key, VLLM_API_KEY, or, for a launch, from the journal.

Exit status: 0 proven; 2 usage, unreadable report; 4 the key is refused; 5 nothing answers; 6 answered, but not
proven; 130 interrupted.`,
		Example: `  justright verify my-launch
  justright verify https://abc123-8000.proxy.runpod.net --key-file key --report proof.json
  justright verify proof.json --key-file key      # again, and what changed
  justright verify proof.json --offline           # only show it`,
		Args: oneArg("URL, NAME or REPORT", "justright verify http://127.0.0.1:8000"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.verify(c.Context(), args[0], o, asJSON)
		},
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.report, "report", "", "keep the proof in `FILE`")
	f.BoolVar(&o.offline, "offline", false, "show a kept report, ask nothing")
	f.BoolVar(&o.doorsShut, "doors-shut", false, "a path that answers without the key fails the proof")
	f.BoolVar(&o.tools, "tools", false, "a tool call must work")
	f.IntVar(&o.context, "context", 0, "the engine must allow at least `N` tokens")
	f.StringVar(&o.arch, "architecture", "", "the architecture of the model's config, compared with the engine's log where that is known")
	f.IntVar(&o.longPrompt, "long-prompt", 2000, "tokens of the long prompt, less where the context is shorter")
	f.DurationVar(&o.limit, "timeout", 100*time.Second, "of one request; 100s is what RunPod's proxy allows")
	return c
}

// verifyDocument is justright/proof/1 with what changed since an earlier report.
type verifyDocument struct {
	probe.Proof
	Since   *time.Time `json:"since,omitempty"`   // of the earlier report
	Changed []string   `json:"changed,omitempty"` // "streaming: passed, now failed"
}

func (w *World) verify(ctx context.Context, arg string, o verifyOptions, asJSON bool) error {
	earlier, err := w.readReport(arg)
	if err != nil {
		return err
	}
	if o.offline {
		if earlier == nil {
			return problem.New(problem.ExitUsage, "usage", "--offline shows a kept report, and %s is no file", arg).
				Try("keep one", "justright verify URL --report proof.json")
		}
		return w.finishProof(verifyDocument{Proof: *earlier}, asJSON, true)
	}
	target := arg
	if earlier != nil {
		target = earlier.BaseURL
	}
	e, known, err := w.endpointOf(ctx, target, o.endpointFlags)
	if err != nil {
		return err
	}
	x := known.Expected
	if earlier != nil {
		x = earlier.Expected
		if o.model != "" {
			x.Model = o.model
		}
	}
	x.DoorsShut, x.Tools = x.DoorsShut || o.doorsShut, x.Tools || o.tools
	if o.context > 0 {
		x.Context = o.context
	}
	if o.arch != "" {
		x.Architecture = o.arch
	}
	opt := probe.Options{Expected: x, LongTokens: o.longPrompt, Limit: o.limit}
	if !asJSON {
		fmt.Fprintf(w.Stdout, "%s\n", e.BaseURL)
		opt.Each = func(c probe.Check) { w.printCheck(c) }
	}
	p, err := probe.Prove(ctx, e, opt)
	if err != nil {
		return endpointProblem(ctx, e.BaseURL, arg, err)
	}
	p.Measured.HourlyPrice = known.Price
	doc := verifyDocument{Proof: p}
	if earlier != nil {
		doc.Since, doc.Changed = &earlier.At, changedChecks(*earlier, p)
	}
	if o.report != "" {
		if err := w.keepReport(o.report, doc.Proof); err != nil {
			return err
		}
	}
	if known.Task != "" {
		if err := w.saveProof(ctx, known.Task, doc.Proof); err != nil {
			return err
		}
	}
	return w.finishProof(doc, asJSON, false)
}

// finishProof prints what is not printed yet, and ends with the proof's exit status.
func (w *World) finishProof(d verifyDocument, asJSON, checksToo bool) error {
	if asJSON {
		if err := w.printJSON(d); err != nil {
			return err
		}
	} else {
		if checksToo {
			fmt.Fprintf(w.Stdout, "%s, as seen on %s\n", d.BaseURL, d.At.Format(time.RFC3339))
			for _, c := range d.Checks {
				w.printCheck(c)
			}
		}
		word := "PROVEN"
		if !d.Passed {
			word = "NOT PROVEN"
		}
		fmt.Fprintf(w.Stdout, "\n%s: %s at %s, %d checks in %.1f s\n", word, d.Model, d.BaseURL, len(d.Checks), d.Seconds)
		if d.Since != nil && len(d.Changed) == 0 {
			fmt.Fprintf(w.Stdout, "nothing changed since %s\n", d.Since.Format(time.RFC3339))
		}
		for _, c := range d.Changed {
			fmt.Fprintf(w.Stdout, "changed since %s: %s\n", d.Since.Format(time.RFC3339), c)
		}
	}
	if !d.Passed {
		return exitStatus(problem.ExitNotProven)
	}
	return nil
}

func (w *World) printCheck(c probe.Check) {
	fmt.Fprint(w.Stdout, w.fitted(fmt.Sprintf("  %-6s %-18s  %s\n", checkWord(c), c.Name, c.Detail)))
}

// checkWord is the state of a check in a word, so that nothing hangs on colour.
func checkWord(c probe.Check) string {
	switch {
	case !c.Applies:
		return "-"
	case c.Passed:
		return "ok"
	case c.Required:
		return "FAILED"
	default:
		return "note"
	}
}

// changedChecks compares two proofs of one endpoint check by check.
func changedChecks(before, after probe.Proof) []string {
	was := map[string]probe.Check{}
	for _, c := range before.Checks {
		was[c.Name] = c
	}
	state := func(c probe.Check) string {
		switch {
		case !c.Applies:
			return "did not apply"
		case c.Passed:
			return "passed"
		default:
			return "failed"
		}
	}
	out := []string{}
	for _, c := range after.Checks {
		b, ok := was[c.Name]
		if !ok {
			out = append(out, fmt.Sprintf("%s: not asked, now %s", c.Name, state(c)))
		} else if state(b) != state(c) {
			out = append(out, fmt.Sprintf("%s: %s, now %s (%s)", c.Name, state(b), state(c), c.Detail))
		}
	}
	if before.Model != after.Model {
		out = append(out, fmt.Sprintf("model: %s, now %s", before.Model, after.Model))
	}
	return out
}

// readReport reads arg as a kept proof; nil when there is no such file.
func (w *World) readReport(arg string) (*probe.Proof, error) {
	path := arg
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4<<20))
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "unreadable_file", "cannot read %s", path).Wrap(err)
	}
	var p probe.Proof
	if err := json.Unmarshal(raw, &p); err != nil || p.Schema != probe.ProofSchema || !strings.Contains(p.BaseURL, "://") {
		return nil, problem.New(problem.ExitUsage, "unreadable_file", "%s is no proof that justright verify --report has written", path).
			Because("it must be one JSON document with schema %s and a base_url", probe.ProofSchema)
	}
	return &p, nil
}

// keepReport writes the proof to a file.
func (w *World) keepReport(path string, p probe.Proof) error {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if path, err = w.keepFile(path, append(raw, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(w.Stderr, "kept in %s\n", path)
	return nil
}
