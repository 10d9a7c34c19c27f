package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/problem"
	"justright/solve"
)

// checkDocument is the justright/check/1 document.
type checkDocument struct {
	Schema string `json:"schema"`
	solve.Verdict
}

type checkOptions struct {
	pins                          pinFlags
	architecture, modelType, date string
	eval                          string
	online                        bool
	concurrency, context          int
}

func newCheckCommand(w *World) *cobra.Command {
	o := &checkOptions{}
	c := &cobra.Command{
		Use:   "check [MODEL] [pins] [-- engine flags | -- a pasted line]",
		Short: "Judge one given stack, whole or in part, before paying for it",
		Long: `check judges what is given: works, refused (the one reason, with its facts), or unknown (which fact is missing). What is
not given stays free: the answer is whether any completion works. A card without --gpus is one card.

After -- stand the engine's own flags, or a whole line as one would run it: docker run … vllm/vllm-openai:v0.6.3.post1
--model …, vllm serve …, python3 -m vllm.entrypoints.openai.api_server …, pip install vllm==… && …, python3 -m
sglang.launch_server …; the answer names the part of the line that is at fault. Launchers before it (uv run, conda run, srun,
sudo), kubectl run and runpodctl are read, and in quotes a text as it was copied, with its prompt and its continued lines, or a
compose file or manifest: check -- "$(cat compose.yaml)".

--eval FILE judges every line of a file of incidents; with labels it prints the score and the confusions.

Exit status: 0 works, 2 unknown model or wrong usage, 3 refused, 4 gated model, 5 hub out of reach, 8 the facts do not
decide.`,
		Example: `  justright check openai/gpt-oss-20b --image vllm/vllm-openai:v0.6.3.post1
  justright check Qwen/Qwen3-32B --engine vllm==0.19.1 --gpu "RTX 4090" --driver 550.54 -- --max-model-len 8192
  justright check -- docker run --gpus all vllm/vllm-openai:v0.9.0 --model Qwen/Qwen3-8B`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return runCheck(c.Context(), w, o, args, c.ArgsLenAtDash(), asJSON)
		},
	}
	f := c.Flags()
	o.pins.add(f)
	f.StringVar(&o.architecture, "architecture", "", `class name as in config.json, where no model is named: "GptOssForCausalLM"`)
	f.StringVar(&o.modelType, "model-type", "", `model_type as in config.json: "gpt_oss"`)
	f.StringVar(&o.date, "date", "", `day that "latest" means, YYYY-MM-DD; today's facts by default`)
	f.IntVar(&o.context, "context", 0, "tokens of one request")
	f.IntVar(&o.concurrency, "concurrency", 0, "requests of that length at once")
	f.StringVar(&o.eval, "eval", "", "judge the incidents of a file, one JSON object a line")
	f.BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	return c
}

func runCheck(ctx context.Context, w *World, o *checkOptions, args []string, dash int, asJSON bool) error {
	s, err := w.facts()
	if err != nil {
		return err
	}
	if o.eval != "" {
		if len(args) > 0 {
			return problem.New(problem.ExitUsage, "usage", "--eval takes the stacks from its file")
		}
		return checkEval(w, s, o.eval, asJSON)
	}
	var after []string
	if dash >= 0 {
		args, after = args[:dash], args[dash:]
	}
	if len(args) > 1 {
		return problem.New(problem.ExitUsage, "usage", "check wants one model, %d given", len(args)).Because("%s", "flags of the engine stand after --")
	}
	pins, err := o.pins.read(s)
	if err != nil {
		return err
	}
	if o.date != "" {
		if _, err := time.Parse(time.DateOnly, o.date); err != nil {
			return problem.New(problem.ExitUsage, "usage", "--date %q is no day like 2026-11-25", o.date)
		}
	}
	if o.context < 0 || o.concurrency < 0 {
		return problem.New(problem.ExitUsage, "usage", "--context and --concurrency count things; they are not negative")
	}
	c := solve.Case{Pins: pins, Architecture: o.architecture, ModelType: o.modelType, Date: o.date, Concurrency: o.concurrency}
	ref := ""
	if len(args) == 1 {
		ref = args[0]
	}
	if ref, err = readLine(s, &c, ref, after); err != nil {
		return err
	}
	if !strings.HasPrefix(c.Pins.Engine, catalog.SGLang) {
		if err := badNumbers(c.Flags); err != nil {
			return err
		}
	}
	if o.context > 0 {
		c.Flags = append(c.Flags, "--max-model-len", fmt.Sprint(o.context))
	}
	if err := w.completeCase(ctx, &c, ref, o.online); err != nil {
		return err
	}
	v := solve.Judge(s, c)
	return w.answerVerdict(v, asJSON)
}

// readLine takes what stands after --: engine flags, or a whole pasted line. It returns the model, which the line may
// name.
func readLine(facts *catalog.Snapshot, c *solve.Case, ref string, words []string) (string, error) {
	if len(words) == 0 {
		return ref, nil
	}
	pasted, err := readPasted(words)
	if err != nil {
		return ref, err
	}
	if words = pasted.words; len(words) == 0 {
		return ref, problem.New(problem.ExitUsage, "usage", "nothing stands after --").Try("for example", "justright check -- vllm serve openai/gpt-oss-20b")
	}
	if g, ok := facts.FindGPU(pasted.gpu); ok && c.GPU == "" {
		c.GPU = g.ID
	}
	p, ok, err := solve.ParsePasted(words)
	if err != nil {
		return ref, problem.New(problem.ExitUsage, "usage", "%s", err)
	}
	if !ok {
		if !strings.HasPrefix(words[0], "-") {
			return ref, problem.New(problem.ExitUsage, "usage", "%q after -- is neither an engine flag nor a line that starts an engine", words[0]).
				Try("lines that are read begin with docker run, vllm serve, python -m vllm.entrypoints.openai.api_server, pip install vllm, python -m sglang.launch_server, kubectl run or runpodctl, also behind uv run, conda run and the like", "")
		}
		c.Flags = words
		return ref, nil
	}
	overlay(c, p.Case)
	if ref == "" {
		ref = p.Model
	}
	return ref, nil
}

// overlay puts what a line says under what pins already say.
func overlay(c *solve.Case, line solve.Case) {
	fill := func(into *string, v string) {
		if *into == "" {
			*into = v
		}
	}
	fill(&c.Pins.Engine, line.Pins.Engine)
	fill(&c.Image, line.Image)
	fill(&c.Install, line.Install)
	fill(&c.WheelCUDA, line.WheelCUDA)
	fill(&c.Torch, line.Torch)
	fill(&c.Transformers, line.Transformers)
	fill(&c.Python, line.Python)
	if c.GPUs == 0 {
		c.GPUs = line.GPUs
	}
	c.ARM = c.ARM || line.ARM
	c.Flags = append(c.Flags, line.Flags...)
	c.Env = line.Env
	if c.Image == line.Image {
		c.ImageCommand = line.ImageCommand
	}
}

// completeCase looks the model up. A model nobody can look up is judged by its name, when that says something and
// parts of the stack are all that was asked about; otherwise the lookup's problem stands.
func (w *World) completeCase(ctx context.Context, c *solve.Case, ref string, online bool) error {
	if c.GPUs == 0 && (c.GPU != "" || c.VRAMBytes > 0) {
		c.GPUs = 1
	}
	if ref == "" {
		return nil
	}
	c.ModelName = ref
	p, err := w.lookupModel(ctx, ref, online)
	if err == nil {
		c.Profile, c.ModelName = &p, p.ID
		return nil
	}
	if named, ok := catalog.FindNamed(ref); ok && named.Architecture != "" && problem.From(err).Exit != problem.ExitCredentials {
		fmt.Fprintf(w.Stderr, "note: %s could not be read (%s); judged by its name as %s\n", ref, problem.From(err).Summary, named.Architecture)
		return nil
	}
	if c.Architecture != "" || c.ModelType != "" {
		return nil
	}
	return err
}

// answerVerdict prints a verdict and turns it into the exit status.
func (w *World) answerVerdict(v solve.Verdict, asJSON bool) error {
	if asJSON {
		if err := w.printJSON(checkDocument{"justright/check/1", v}); err != nil {
			return err
		}
	} else {
		printCheck(w, v)
	}
	switch v.Outcome {
	case solve.Refused:
		return exitStatus(problem.ExitNoStack)
	case solve.Unknown:
		return exitStatus(problem.ExitUndecided)
	case solve.Works:
	}
	return nil
}

func printCheck(w *World, v solve.Verdict) {
	out := w.Stdout
	switch v.Outcome {
	case solve.Refused:
		w.labelled(out, "refused", v.Code)
		w.labelled(out, "", v.Reason)
	case solve.Unknown:
		w.labelled(out, "unknown", v.Reason)
	default:
		w.labelled(out, "works", v.Reason)
	}
	if v.At != "" {
		w.labelled(out, "at", v.At)
	}
	printFacts(w, "because", v.Facts)
	for _, a := range v.Also {
		w.labelled(out, "also", a.Code+": "+a.Reason)
	}
	w.printHints(v.Hints)
}

// printHints writes hints; a command stands on a line of its own where it would be broken, to be pasted.
func (w *World) printHints(hints []problem.Hint) {
	for _, h := range hints {
		switch {
		case h.Command == "":
			w.labelled(w.Stdout, "hint", h.Text)
		case h.Text == "":
			fmt.Fprintf(w.Stdout, "%-8s %s\n", "hint", h.Command)
		case w.Width > 0 && labelWidth+len(h.Text)+2+len(h.Command) > w.Width:
			w.labelled(w.Stdout, "hint", h.Text+":")
			fmt.Fprintf(w.Stdout, "%*s%s\n", labelWidth, "", h.Command)
		default:
			w.labelled(w.Stdout, "hint", h.Text+": "+h.Command)
		}
	}
}

func printFacts(w *World, label string, facts []catalog.Fact) {
	for i, f := range facts {
		l := label
		if i > 0 {
			l = ""
		}
		w.labelled(w.Stdout, l, f.Statement)
		w.labelled(w.Stdout, "", factOrigin(f))
	}
}

// factOrigin is where a fact comes from: how it is known, where and when. What was stated here has only the first.
func factOrigin(f catalog.Fact) string {
	parts := []string{string(f.Standing)}
	for _, p := range []string{f.Source, f.Date} {
		if p != "" && p != string(f.Standing) {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}
