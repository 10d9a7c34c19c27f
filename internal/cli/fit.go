package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

// fitOptions are the flags of fit.
type fitOptions struct {
	gpu, engine, eval          string
	gpus, context, concurrency int
	utilization                float64
	online                     bool
}

func newFitCommand(w *World) *cobra.Command {
	o := &fitOptions{}
	c := &cobra.Command{
		Use:   "fit MODEL [flags] [-- engine flags]",
		Short: "GPU memory: weights, KV cache, what else; the context and concurrency that fit; how many GPUs",
		Long: `fit accounts for the memory of one GPU term by term, as vLLM does: the share of the card it may use, less weights,
the profile run, CUDA graphs and what is resident, is the KV cache, and the cache decides context and concurrency.
Without --gpu it looks for the smallest card that holds the model; without --gpus for the fewest cards.
Engine flags after -- are read: --kv-cache-dtype, --max-num-seqs, --enforce-eager, --tensor-parallel-size and so on;
NAME=value before them is the engine's environment.

MODEL is a hub id, a local directory, or a short name of the catalog. Exit status: 0 it fits, 2 unknown model or
wrong usage, 3 it does not fit, 4 gated model, 5 hub out of reach, 8 the facts do not decide.

--eval FILE answers every line of a file of published measurements; with labels it prints the score.`,
		Example: `  justright fit gpt-oss-20b --gpu L4
  justright fit Qwen/Qwen3-32B --gpu H100 --context 32768 --concurrency 16
  justright fit ./checkpoint --gpu "RTX 4090" -- --kv-cache-dtype fp8 --max-num-seqs 64`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return runFit(c.Context(), w, o, args, c.ArgsLenAtDash(), asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&o.gpu, "gpu", "", `the card, as people write it: "L4", "RTX 4090", "H100 NVL 94GB"`)
	f.IntVar(&o.gpus, "gpus", 0, "cards in one tensor-parallel group; 0 looks for the fewest")
	f.IntVar(&o.context, "context", 0, "tokens of one request; 0 is the model's own length")
	f.IntVar(&o.concurrency, "concurrency", 0, "requests of that length at once")
	f.StringVar(&o.engine, "engine", "", `vLLM release, "0.19.1" or "vllm==0.19.1"; the newest by default`)
	f.Float64Var(&o.utilization, "utilization", 0, "share of the card the engine may use; 0 is the release's default")
	f.BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	f.StringVar(&o.eval, "eval", "", "answer the cases of a file, one JSON object a line")
	return c
}

func runFit(ctx context.Context, w *World, o *fitOptions, args []string, dash int, asJSON bool) error {
	var flags []string
	if dash >= 0 {
		args, flags = args[:dash], args[dash:]
	}
	if o.eval != "" {
		if len(args) > 0 {
			return problem.New(problem.ExitUsage, "usage", "--eval takes the models from its file")
		}
		return fitEval(ctx, w, o.eval, asJSON)
	}
	if len(args) != 1 {
		return problem.New(problem.ExitUsage, "usage", "fit wants one model, %d given", len(args)).Try("for example", "justright fit gpt-oss-20b --gpu L4")
	}
	env, flags := leadingEnv(flags)
	if len(flags) > 0 && !strings.HasPrefix(flags[0], "-") {
		return problem.New(problem.ExitUsage, "usage", "%q after -- is no engine flag", flags[0]).
			Try("fit reads the engine's flags alone; a whole line is judged by justright check -- LINE", "")
	}
	u, err := o.use(flags)
	if err != nil {
		return err
	}
	p, err := w.lookupModel(ctx, args[0], o.online)
	if err != nil {
		return err
	}
	answer, others := chooseFit(p, u)
	doc := fitAnswer(p, answer.use, answer.Answer)
	doc.Options = others
	if undecidable(u, answer.Answer) {
		doc.GPU.Count = nil
	}
	never, err := w.neverStarts(p, o, u, flags, env)
	if err != nil {
		return err
	}
	if never != nil {
		no := false
		doc.Fits, doc.Reason, doc.Refused, doc.Options = &no, &never.Reason, never, nil
		return w.answerFit(p, answer, doc, asJSON)
	}
	if err := w.otherwise(p, o, flags, &doc); err != nil {
		return err
	}
	if o.gpus == 0 && u.TensorParallel == 0 && u.Context == 0 && answer.GPUs > 1 && len(others) == 0 {
		doc.Options = fewerCards(p, u, answer.GPUs)
	}
	if doc.Fits == nil || !*doc.Fits {
		if t, ok := memory.Tune(p, answer.use); ok && len(t.Flags) > 0 {
			doc.FitsWith = t.Flags
		}
		if u.GPU.TotalBytes > 0 {
			doc.FitsOn = wouldFit(p, u, answer.GPUs)
		}
	}
	doc.ByContext = byContext(p, answer.use, doc)
	return w.answerFit(p, answer, doc, asJSON)
}

// answerFit prints an answer and turns it into the exit status.
func (w *World) answerFit(p model.Profile, answer fitChoice, doc fitDocument, asJSON bool) error {
	if asJSON {
		if err := w.printJSON(doc); err != nil {
			return err
		}
	} else {
		w.printFit(p, answer, doc)
	}
	switch {
	case doc.Fits == nil:
		return exitStatus(problem.ExitUndecided)
	case !*doc.Fits:
		return exitStatus(problem.ExitNoStack)
	}
	return nil
}

// otherwise asks the resolver whether anything but memory speaks against the card: what fits may still not run.
func (w *World) otherwise(p model.Profile, o *fitOptions, flags []string, doc *fitDocument) error {
	if doc.GPU.MemoryBytes == nil {
		return nil
	}
	s, err := w.facts()
	if err != nil {
		return err
	}
	c := solve.Case{Profile: &p, ModelName: p.ID, Pins: solve.Pins{Engine: o.pinnedEngine(), GPU: doc.GPU.name(), GPUs: doc.GPU.many(), Flags: flags}}
	v := solve.Judge(s, c)
	if _, known := s.FindGPU(doc.GPU.name()); v.Outcome == solve.Works && c.Pins.Engine == "" && known {
		v = solve.JudgeCard(s, c)
	}
	switch v.Code {
	case solve.CodeWeights, solve.CodeKV, solve.CodeTP, solve.CodeContext, "too_many_gpus", "no_stack", "no_offer":
		return nil // fit's own account speaks of these
	}
	if v.Outcome == solve.Refused {
		doc.Refused = &fitRefusal{v.Code, v.Reason, v.Facts}
	}
	return nil
}

// use reads the flags into a question to memory.
func (o *fitOptions) use(flags []string) (memory.Use, error) {
	u := memory.Use{AllStated: true}
	if bad := u.ApplyFlags(flags); len(bad) > 0 {
		return u, problem.New(problem.ExitUsage, "usage", "%s", strings.Join(bad, "; "))
	}
	fillDraft(&u)
	if o.gpus < 0 || o.context < 0 || o.concurrency < 0 {
		return u, problem.New(problem.ExitUsage, "usage", "--gpus, --context and --concurrency count things; they are not negative")
	}
	if o.utilization < 0 || o.utilization > 1 {
		return u, problem.New(problem.ExitUsage, "usage", "--utilization %g is no share of 1", o.utilization)
	}
	if o.gpu != "" {
		g, ok := memory.CardOf(o.gpu)
		if !ok {
			return u, problem.New(problem.ExitUsage, "unknown_gpu", "unknown GPU %q", o.gpu).Because("%s", "neither the name nor a size in it (\"24 GB\") says how much memory it has")
		}
		u.GPU = asCatalog(g)
	}
	if o.gpus > 0 {
		u.TensorParallel = o.gpus
	}
	if o.context > 0 {
		u.Context = o.context
	}
	if o.utilization > 0 {
		u.Utilization = o.utilization
	}
	u.Concurrency = o.concurrency
	return u, o.setEngine(&u)
}

// asCatalog gives a card the memory that the catalog has of it, so that every command counts with the same; a size in
// the name that says another variant stays.
func asCatalog(g memory.GPU) memory.GPU {
	s, err := catalog.Embedded()
	if err != nil {
		return g
	}
	if c, ok := s.FindGPU(g.Name); ok && c.MemoryBytes > g.TotalBytes*95/100 && c.MemoryBytes < g.TotalBytes*105/100 {
		g.TotalBytes = c.MemoryBytes
	}
	return g
}

// setEngine reads the release, the newest the catalog knows when none is named.
func (o *fitOptions) setEngine(u *memory.Use) error {
	name, v, found := strings.Cut(o.engine, "==")
	if !found {
		name, v = "vllm", strings.TrimPrefix(o.engine, "v")
	}
	if name != "vllm" || v == "llm" {
		return problem.New(problem.ExitUsage, "usage", "--engine %q: the account of memory is vLLM's", o.engine)
	}
	if v == "" {
		snapshot, err := catalog.Embedded()
		if err != nil {
			return problem.New(problem.ExitBug, "internal", "the embedded facts cannot be read").Wrap(err)
		}
		if r, ok := snapshot.Newest(catalog.VLLM, ""); ok {
			u.Version = r.Version
		}
		return nil
	}
	parsed, err := version.ParsePEP440(v)
	if err != nil {
		return problem.New(problem.ExitUsage, "usage", "--engine %q is no release like 0.19.1", o.engine)
	}
	u.Version = parsed
	return nil
}

// fitOption is one line of "which card would do".
type fitOption struct {
	GPU        string `json:"gpu"`
	Count      *int   `json:"count"` // null: not asked, and how many would do is not known
	Fits       *bool  `json:"fits"`
	Context    int    `json:"context"`
	MaxContext int    `json:"max_context"`
}

// offeredCards are what clouds rent, smallest first.
var offeredCards = []string{"RTX A4000 16GB", "RTX 4000 Ada 20GB", "L4", "RTX 4090", "RTX 5090", "L40S", "RTX A6000", "A100 80GB", "H100 80GB", "RTX PRO 6000", "H200", "B200"}

// leastContext is the shortest context that is worth renting a card for when none was asked.
const leastContext = 8192

// undecidable reports whether how many cards would do is neither asked nor known: without the weights any number would.
func undecidable(asked memory.Use, b memory.Breakdown) bool {
	return b.WeightsBytes == 0 && b.Fits == nil && asked.TensorParallel == 0 && asked.PipelineParallel < 2
}

type fitChoice struct {
	memory.Choice
	use    memory.Use
	chosen bool // the card was ours to choose
}

// chooseFit answers for the card and number asked, or finds them.
func chooseFit(p model.Profile, u memory.Use) (fitChoice, []fitOption) {
	pick := func(u memory.Use) (fitChoice, bool) {
		if u.TensorParallel > 0 || u.PipelineParallel > 1 {
			b := memory.Estimate(p, u)
			if ok, why := memory.Divides(&p, max(1, u.TensorParallel)); !ok {
				no := false
				b.Fits, b.Reason = &no, why
			}
			return fitChoice{Choice: memory.Choice{GPUs: max(1, u.TensorParallel), Context: b.Context, Answer: b}, use: u}, b.Fits != nil && *b.Fits
		}
		c, ok := memory.Choose(p, u, 8, leastContext)
		u.TensorParallel = max(1, c.GPUs)
		if c.Context > 0 {
			u.Context = c.Context
		}
		return fitChoice{Choice: c, use: u}, ok
	}
	if u.GPU.TotalBytes > 0 {
		c, _ := pick(u)
		return c, nil
	}
	var best *fitChoice
	var others []fitOption
	for _, name := range offeredCards {
		g, _ := memory.CardOf(name)
		u.GPU = asCatalog(g)
		c, ok := pick(u)
		c.chosen = true
		count := known(c.GPUs)
		if undecidable(u, c.Answer) {
			count = nil
		}
		others = append(others, fitOption{name, count, c.Answer.Fits, c.Context, c.Answer.MaxContext})
		if ok && (best == nil || c.GPUs < best.GPUs || c.GPUs == best.GPUs && best.Context < p.MaxPosition && c.Context > best.Context*2) {
			best = &c
		}
	}
	if best != nil {
		return *best, others
	}
	u.GPU = memory.GPU{} // no card is sure to do: say what is known of the model alone
	c, _ := pick(u)
	return c, others
}

// fewerCards lists smaller groups of the same card with the longest round context that is sure to fit on each.
func fewerCards(p model.Profile, u memory.Use, than int) []fitOption {
	var out []fitOption
	for n := 1; n < than; n *= 2 {
		if ok, _ := memory.Divides(&p, n); !ok {
			continue
		}
		u.TensorParallel = n
		for c := p.MaxPosition / 2; c >= leastContext/4; c /= 2 {
			s := u
			s.Context = c
			if b := memory.Estimate(p, s); b.Fits != nil && *b.Fits {
				out = append(out, fitOption{u.GPU.Name, known(n), b.Fits, c, b.MaxContext})
				break
			}
		}
	}
	return out
}

// wouldFit looks for more of the same cards that hold p as asked, else for the smallest other card, alone or in the
// fewest.
func wouldFit(p model.Profile, u memory.Use, than int) *fitOption {
	sure := func(u memory.Use, from int) (memory.Choice, bool) {
		for n := from; n <= 8; n *= 2 {
			if ok, _ := memory.Divides(&p, n); !ok {
				continue
			}
			u.TensorParallel = n
			if b := memory.Estimate(p, u); b.Fits != nil && *b.Fits {
				return memory.Choice{GPUs: n, Context: b.Context, Answer: b}, true
			}
		}
		return memory.Choice{}, false
	}
	if c, ok := sure(u, max(1, than)*2); ok {
		return &fitOption{u.GPU.Name, known(c.GPUs), c.Answer.Fits, c.Context, c.Answer.MaxContext}
	}
	var best *fitOption
	for _, name := range offeredCards {
		g, _ := memory.CardOf(name)
		if u.GPU = asCatalog(g); u.GPU.TotalBytes == 0 {
			continue
		}
		if c, ok := sure(u, 1); ok && (best == nil || c.GPUs < *best.Count) {
			best = &fitOption{name, known(c.GPUs), c.Answer.Fits, c.Context, c.Answer.MaxContext}
		}
	}
	return best
}

// byContext is how many requests the same cache holds at shorter lengths, the engine started for each.
func byContext(p model.Profile, u memory.Use, d fitDocument) []fitRequests {
	if d.Fits == nil || !*d.Fits || d.Context == nil || d.Concurrency == nil {
		return nil
	}
	var out []fitRequests
	for _, n := range []int{4096, 8192, 16384, 32768, 65536, 131072} {
		if n >= *d.Context {
			break
		}
		u.Context, u.Concurrency = n, 0
		if b := memory.Estimate(p, u); b.Concurrency > 0 {
			out = append(out, fitRequests{n, b.Concurrency})
		}
	}
	return append(out, fitRequests{*d.Context, *d.Concurrency})
}

// fitDocument is justright/fit/1: the account of one GPU. Null is not known.
type fitDocument struct {
	Schema          string        `json:"schema"`
	Model           string        `json:"model"`
	Fits            *bool         `json:"fits"`
	Reason          *string       `json:"reason"`
	GPU             fitGPU        `json:"gpu"`
	Engine          string        `json:"engine"`
	Context         *int          `json:"context"`
	Utilization     *float64      `json:"utilization"`
	WeightsBytes    *int64        `json:"weights_bytes"`
	KVBytesPerToken *int64        `json:"kv_bytes_per_token"`
	KVBudgetBytes   *int64        `json:"kv_budget_bytes"`
	KVTokens        *int64        `json:"kv_tokens"`
	MaxContext      *int          `json:"max_context"`
	Concurrency     *float64      `json:"concurrency"`
	Terms           []memory.Term `json:"terms"`
	Unknowns        []string      `json:"unknowns"`
	Options         []fitOption   `json:"options,omitempty"`
	FitsWith        []string      `json:"fits_with,omitempty"` // engine flags with which it would
	FitsOn          *fitOption    `json:"fits_on,omitempty"`   // more of the same cards, or the smallest other card, on which it would
	ByContext       []fitRequests `json:"by_context,omitempty"`
	Refused         *fitRefusal   `json:"refused,omitempty"` // why it does not run there although it may fit
}

// fitRequests says how many requests of one length the cache holds at once.
type fitRequests struct {
	Context  int     `json:"context"`
	Requests float64 `json:"requests"`
}

// fitRefusal is what the resolver says of the card beside its memory.
type fitRefusal struct {
	Code   string         `json:"code"`
	Reason string         `json:"reason"`
	Facts  []catalog.Fact `json:"facts"`
}

type fitGPU struct {
	Name        *string `json:"name"`  // null: no card was asked for and none is sure to do
	Count       *int    `json:"count"` // null: not asked, and not known since the weights are not
	MemoryBytes *int64  `json:"memory_bytes"`
}

// why is the reason, "" when there is none.
func (d fitDocument) why() string {
	if d.Reason == nil {
		return ""
	}
	return *d.Reason
}

func (g fitGPU) name() string {
	if g.Name == nil {
		return ""
	}
	return *g.Name
}

func (g fitGPU) many() int {
	if g.Count == nil {
		return 1
	}
	return *g.Count
}

func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func fitAnswer(p model.Profile, u memory.Use, b memory.Breakdown) fitDocument {
	d := fitDocument{
		Schema: "justright/fit/1", Model: p.ID, Fits: b.Fits, Reason: known(b.Reason), Engine: u.Version.String(), Context: known(b.Context), Utilization: known(b.Utilization),
		GPU:          fitGPU{Name: known(u.GPU.Name), Count: known(max(1, u.TensorParallel) * max(1, u.PipelineParallel)), MemoryBytes: known(u.GPU.TotalBytes)},
		WeightsBytes: known(b.WeightsBytes), KVBytesPerToken: known(b.KVBytesPerToken), Terms: b.Terms, Unknowns: append(append([]string{}, p.Unknowns...), b.Unknowns...),
	}
	if d.Terms == nil {
		d.Terms = []memory.Term{}
	}
	if b.BudgetKnown {
		d.KVBudgetBytes = &b.KVBudgetBytes
		if b.KVBytesPerToken > 0 {
			d.KVTokens, d.MaxContext, d.Concurrency = &b.KVTokens, &b.MaxContext, &b.Concurrency
		}
	}
	return d
}

// unknownFit is the answer about a model nobody has a profile of.
func unknownFit(ref string, u memory.Use) fitDocument {
	d := fitAnswer(model.Profile{ID: ref}, u, memory.Breakdown{})
	d.Reason, d.Unknowns = known("no profile of the model is known"), []string{"model: no profile"}
	return d
}

// describeModel is the line that says what is being weighed.
func describeModel(p model.Profile) string {
	parts := []string{p.Architecture}
	if p.Parameters > 0 {
		s := fmt.Sprintf("%.1f B parameters", float64(p.Parameters)/1e9)
		if p.ActiveParameters > 0 && p.ActiveParameters < p.Parameters {
			s += fmt.Sprintf(", %.1f B active", float64(p.ActiveParameters)/1e9)
		}
		parts = append(parts, s)
	}
	if p.Quant != nil {
		parts = append(parts, p.Quant.Method)
	} else if p.DType != "" {
		parts = append(parts, p.DType)
	}
	if p.MaxPosition > 0 {
		parts = append(parts, fmt.Sprintf("context %d", p.MaxPosition))
	}
	return strings.Join(parts, " · ")
}
