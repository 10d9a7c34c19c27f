package cli

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"justright/boot"
	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

// planDocument is the justright/plan/1 document.
type planDocument struct {
	Schema   string          `json:"schema"`
	Model    planModel       `json:"model"`
	Target   string          `json:"target"`
	Plans    []solve.Stack   `json:"plans"`
	Refused  []solve.Refusal `json:"refused"`
	Conflict *solve.Conflict `json:"conflict"`
}

type planModel struct {
	ID           string  `json:"id"`
	Revision     *string `json:"revision"`
	Architecture string  `json:"architecture"`
	ModelType    string  `json:"model_type"`
	Parameters   *int64  `json:"parameters"`
	WeightsBytes *int64  `json:"weights_bytes"`

	Unknowns []string `json:"unknowns,omitempty"` // what of it is estimated or not known
}

type planOptions struct {
	pins                 pinFlags
	on, maxPrice, lock   string
	context, concurrency int
	all, online          bool
	unguarded            bool
	cloud                string
	dataCenters          []string
}

func newPlanCommand(w *World) *cobra.Command {
	o := &planOptions{}
	c := &cobra.Command{
		Use:   "plan MODEL [flags] [-- engine flags]",
		Short: "Rank the stacks that would serve a model, and say why others would not",
		Long: `plan joins the model, the facts and the offers: ranked plans (image or wheels, engine and build, GPU, price, predicted
minutes and dollars to ready) and the refused candidates with the one reason each. It works offline and without any
account: then the catalog's list of cards stands in for the offers and prices are not known. With RUNPOD_API_KEY the
offers and prices are RunPod's of now.

Guarded plans come first: their machine starts with our script, which ends it by itself.

--lock FILE saves the first plan: model revision, wheel versions and hashes, image digest, driver floor, flags. It needs
the package index; offline it is refused with what is missing.

Exit status: 0 there is a plan, 2 unknown model or wrong usage, 3 no stack, 4 gated model or wrong key, 5 provider, hub
or index out of reach.`,
		Example: `  justright plan openai/gpt-oss-20b --host-cuda 12.4
  justright plan Qwen/Qwen3-32B --max-price 1.50 --context 32768
  justright plan gpt-oss-20b --gpu L4 --engine-version 0.19.1 --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return runPlan(c.Context(), w, o, args, c.ArgsLenAtDash(), asJSON)
		},
	}
	f := c.Flags()
	o.pins.add(f)
	f.StringVar(&o.on, "on", "", "target: runpod, local, rehearsal, kubernetes, ssh://user@host")
	f.StringVar(&o.maxPrice, "max-price", "", "most dollars an hour for the whole stack")
	f.IntVar(&o.context, "context", 0, "tokens of one request; 0 is what fits, up to the model's own")
	f.IntVar(&o.concurrency, "concurrency", 0, "requests of that length at once")
	f.BoolVar(&o.all, "all", false, "every plan and every refused candidate")
	f.StringVar(&o.lock, "lock", "", "save the first plan to this file")
	f.BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	f.BoolVar(&o.unguarded, "allow-unguarded", false, "rank plans without a guard as the others")
	f.StringVar(&o.cloud, "cloud", "", "SECURE or COMMUNITY")
	f.StringSliceVar(&o.dataCenters, "data-center", nil, "only these data centers")
	return c
}

func runPlan(ctx context.Context, w *World, o *planOptions, args []string, dash int, asJSON bool) error {
	var flags []string
	if dash >= 0 {
		args, flags = args[:dash], args[dash:]
	}
	if len(args) != 1 {
		return problem.New(problem.ExitUsage, "usage", "plan wants one model, %d given", len(args)).Try("for example", "justright plan openai/gpt-oss-20b")
	}
	r, err := o.request(ctx, w, args[0], flags)
	if err != nil {
		return err
	}
	res, err := w.solve(r)
	if err != nil {
		return err
	}
	o.notePlace(r, res.Plans)
	if asJSON || o.lock != "" { // people do not read a packed script
		w.fillStart(r, res.Plans)
	}
	if o.lock != "" && len(res.Plans) > 0 {
		if err := w.writeLock(ctx, o.lock, r, res.Plans[0]); err != nil {
			return err
		}
	}
	if asJSON {
		err = w.printJSON(planAnswer(r, res))
	} else {
		printPlans(w, r, res, o.all)
	}
	if err == nil && len(res.Plans) == 0 {
		return exitStatus(problem.ExitNoStack)
	}
	return err
}

// request turns the command line into a question to the resolver.
func (o *planOptions) request(ctx context.Context, w *World, ref string, flags []string) (solve.Request, error) {
	s, err := w.facts()
	if err != nil {
		return solve.Request{}, err
	}
	pins, err := o.pins.read(s)
	if err != nil {
		return solve.Request{}, err
	}
	if err := w.secretFlags(flags); err != nil {
		return solve.Request{}, err
	}
	if !strings.HasPrefix(pins.Engine, catalog.SGLang) {
		if err := badNumbers(flags); err != nil {
			return solve.Request{}, err
		}
	}
	if err := o.readPlace(); err != nil {
		return solve.Request{}, err
	}
	pins.Flags = flags
	if o.context < 0 || o.concurrency < 0 {
		return solve.Request{}, problem.New(problem.ExitUsage, "usage", "--context and --concurrency count things; they are not negative")
	}
	p, err := w.lookupModel(ctx, ref, o.online)
	if err != nil {
		return solve.Request{}, err
	}
	r := solve.Request{Model: p, Pins: pins, Context: o.context, Concurrency: o.concurrency, All: o.all, AllowUnguarded: o.unguarded, Lessons: w.learned(ctx)}
	if o.maxPrice != "" {
		m, err := money.Parse(o.maxPrice)
		if err != nil || m <= 0 {
			return r, problem.New(problem.ExitUsage, "usage", "--max-price %q is no amount of dollars", o.maxPrice)
		}
		r.MaxPrice = &m
	}
	return r, o.offers(ctx, w, &r)
}

// readPlace checks --cloud and --data-center, which are RunPod's words.
func (o *planOptions) readPlace() error {
	o.cloud = strings.ToUpper(o.cloud)
	if o.cloud != "" && o.cloud != "SECURE" && o.cloud != "COMMUNITY" {
		return problem.New(problem.ExitUsage, "usage", "--cloud %q is neither SECURE nor COMMUNITY", o.cloud)
	}
	for i, d := range o.dataCenters {
		o.dataCenters[i] = strings.ToUpper(strings.TrimSpace(d))
		if !dataCenter.MatchString(o.dataCenters[i]) {
			return problem.New(problem.ExitUsage, "usage", "--data-center %q is no data center like EU-RO-1", d)
		}
	}
	return nil
}

var dataCenter = regexp.MustCompile(`^[A-Z]{2,4}-[A-Z]{2,3}-[0-9]{1,2}$`)

// notePlace says in each plan that where it is offered was not asked, when a place was asked for.
func (o *planOptions) notePlace(r solve.Request, plans []solve.Stack) {
	if r.Offers != nil || o.cloud == "" && len(o.dataCenters) == 0 {
		return
	}
	asked := strings.Join(append(slices.Clone(o.dataCenters), o.cloud), " ")
	for i := range plans {
		plans[i].Unknowns = append(plans[i].Unknowns, "place: the provider was not asked, so whether it is offered in "+strings.TrimSpace(asked)+" is not known")
	}
}

// offers asks the target what there is. Without a key RunPod's cards come from the catalog, with no prices.
func (o *planOptions) offers(ctx context.Context, w *World, r *solve.Request) error {
	r.Target = o.on
	switch {
	case o.on == onLocal:
		t, err := w.localTarget()
		if err != nil {
			return err
		}
		r.Offers, err = t.provider.Offers(ctx)
		return err
	case o.on == "" || o.on == onRunPod:
		r.Target = onRunPod
		t, err := w.runpodTarget()
		if err != nil {
			if problem.From(err).Code == "no_credentials" {
				return nil
			}
			return err
		}
		all, err := t.provider.Offers(ctx)
		if err != nil {
			return providerProblem(err, "offers of runpod")
		}
		p := planner{wish: wish{Cloud: o.cloud, DataCenters: o.dataCenters}}
		r.Offers = p.wanted(all)
		return nil
	case o.on == onRehearsal, o.on == "kubernetes", strings.HasPrefix(o.on, "ssh://") && len(o.on) > len("ssh://"):
		return nil
	}
	return problem.New(problem.ExitUsage, "unknown_target", "--on %q is no target", o.on).Try("the targets are --on runpod, local, rehearsal, kubernetes and ssh://user@host", "")
}

// mostScripts bounds the start scripts of one answer: each is some 45 kB of JSON, and --all ranks thousands of plans.
const mostScripts = 200

// fillStart writes what the provider would be sent, which is the boot script's own rendering.
func (w *World) fillStart(r solve.Request, plans []solve.Stack) {
	var wg sync.WaitGroup
	for i := range plans {
		p := &plans[i]
		if i >= mostScripts {
			p.Unknowns = append(p.Unknowns, fmt.Sprintf("the start script: rendered for the first %d plans; narrow the question for this one", mostScripts))
			continue
		}
		o := boot.Options{Model: r.Model}
		if g, ok := w.findGPU(p.GPU.ID); ok {
			o.MinCapability = g.Capability
		}
		wg.Go(func() {
			spec, err := boot.SpecFrom(*p, o)
			if err != nil {
				p.Unknowns = append(p.Unknowns, "the start script: "+err.Error())
				return
			}
			script, err := boot.Render(spec)
			if err != nil {
				p.Unknowns = append(p.Unknowns, "the start script: "+err.Error())
				return
			}
			p.Start = script.Start()
		})
	}
	wg.Wait()
}

func planAnswer(r solve.Request, res solve.Result) planDocument {
	d := planDocument{Schema: "justright/plan/1", Target: r.Target, Plans: res.Plans, Refused: res.Refused, Conflict: res.Conflict,
		Model: planModel{ID: r.Model.ID, Architecture: r.Model.Architecture, ModelType: r.Model.ModelType}}
	if d.Plans == nil {
		d.Plans = []solve.Stack{}
	}
	if d.Refused == nil {
		d.Refused = []solve.Refusal{}
	}
	if v := r.Model.Revision; v != "" {
		d.Model.Revision = &v
	}
	if v := r.Model.Parameters; v > 0 {
		d.Model.Parameters = &v
	}
	if v := r.Model.WeightsBytes; v > 0 {
		d.Model.WeightsBytes = &v
	} else if v := memory.Estimate(r.Model, memory.Use{TensorParallel: 1}).WeightsBytes; v > 0 {
		d.Model.WeightsBytes = &v
		d.Model.Unknowns = append(d.Model.Unknowns, "weights_bytes: computed from the shape in config.json; the files' own size was not read")
	}
	return d
}

// fewRefused is how many refused candidates a person sees unless all are asked for.
const fewRefused = 4

func printPlans(w *World, r solve.Request, res solve.Result, all bool) {
	out := w.Stdout
	fmt.Fprintln(out, w.wrapped(0, 2, modelLine(r.Model)))
	switch {
	case r.Target == onRunPod && r.Offers == nil:
		fmt.Fprintln(out, "on runpod   no key: cards of the catalog, prices not known")
	default:
		fmt.Fprintf(out, "on %s\n", r.Target)
	}
	fmt.Fprintln(out)
	if c := res.Conflict; c != nil {
		fmt.Fprintf(out, "no stack: %s\n", w.wrapped(10, labelWidth, c.Reason))
		printFacts(w, "because", c.Facts)
		w.printHints(c.Hints)
		fmt.Fprintln(out)
	}
	if len(res.Plans) > 0 {
		w.printPlanTable(res.Plans)
	}
	shown := 0
	for _, f := range res.Refused {
		if !all && shown == fewRefused {
			break
		}
		shown++
		w.printRefused(f)
	}
	if rest := len(res.Refused) - shown; rest > 0 {
		fmt.Fprintf(out, "         %d more: justright plan %s --all\n", rest, r.Model.ID)
	}
	printUnknowns(w, res.Plans, all)
}

// printRefused writes a candidate and its reason, beside it where there is room and below it where there is not.
func (w *World) printRefused(f solve.Refusal) {
	const name = 32
	line := fmt.Sprintf("%-8s %-*s ", "refused", name, candidateName(f.Candidate))
	if n := len([]rune(line)); w.Width == 0 || n+len([]rune(f.Reason)) <= w.Width {
		fmt.Fprintf(w.Stdout, "%s%s\n", line, f.Reason)
		return
	}
	w.labelled(w.Stdout, "refused", candidateName(f.Candidate))
	fmt.Fprintf(w.Stdout, "%*s%s\n", labelWidth+2, "", w.wrapped(labelWidth+2, labelWidth+2, f.Reason))
}

// printUnknowns writes what is not known of the first plans, each thing once.
func printUnknowns(w *World, plans []solve.Stack, all bool) {
	if !all && len(plans) > 3 {
		plans = plans[:3]
	}
	var order []string
	of := map[string][]string{}
	for _, p := range plans {
		for _, u := range p.Unknowns {
			if of[u] == nil {
				order = append(order, u)
			}
			of[u] = append(of[u], fmt.Sprint(p.Rank))
		}
	}
	for _, u := range order {
		word := "plan "
		if len(of[u]) > 1 {
			word = "plans "
		}
		w.labelled(w.Stdout, "unknown", word+strings.Join(of[u], ", ")+": "+u)
	}
}

func modelLine(m model.Profile) string {
	parts := []string{}
	if m.Architecture != "" {
		parts = append(parts, m.Architecture)
	}
	if m.Parameters > 0 {
		parts = append(parts, fmt.Sprintf("%.1f B parameters", float64(m.Parameters)/1e9))
	}
	if m.WeightsBytes > 0 {
		s := fmt.Sprintf("%.1f GiB of weights", float64(m.WeightsBytes)/(1<<30))
		if m.Quant != nil {
			s += " (" + m.Quant.Method + ")"
		}
		parts = append(parts, s)
	}
	return m.ID + "   " + strings.Join(parts, " · ")
}

func candidateName(c solve.Candidate) string {
	name := c.Image
	if name == "" {
		name = c.Engine
		if c.WheelCUDA != "" {
			name += " (CUDA " + c.WheelCUDA + ")"
		}
	}
	if c.GPU != "" {
		name = c.GPU + ", " + name
	}
	return name
}

// printPlanTable writes the plans as a table.
func printPlanTable(out io.Writer, plans []solve.Stack) {
	printColumns(out, planRows(plans))
	fmt.Fprintln(out)
}

// printPlanTable writes the plans as a table, in shorter words where the terminal is narrow.
func (w *World) printPlanTable(plans []solve.Stack) {
	rows := planRows(plans)
	if w.Width == 0 || tableWidth(rows, 2) <= w.Width {
		printPlanTable(w.Stdout, plans)
		return
	}
	unguarded := false
	for i, r := range rows {
		if i == 0 {
			rows[0] = []string{"", "GPU", "CUDA", "engine", "how", "context", "$/h", "min", "$"}
			continue
		}
		r[1] = strings.TrimSuffix(r[1], " GB") + "G"
		if r[1] == "CPUG" {
			r[1] = "CPU"
		}
		r[2] = strings.TrimPrefix(r[2], ">= ")
		r[3] = strings.NewReplacer("vllm ", "", "(", "", ")", "").Replace(r[3])
		if how, cut := strings.CutSuffix(r[4], ", no guard"); cut {
			r[4], unguarded = how+" !", true
		}
		r[7] = strings.TrimSuffix(r[7], " min")
		r[8] = strings.TrimPrefix(r[8], "$")
	}
	spaced(w.Stdout, rows, 1)
	legend := "CUDA is the least that the host's driver offers, min and $ what it takes until it is ready"
	if unguarded {
		legend += ", ! has no guard"
	}
	fmt.Fprintf(w.Stdout, "  %s\n\n", w.wrapped(2, 2, legend))
}

func planRows(plans []solve.Stack) [][]string {
	rows := [][]string{{"", "GPU", "host CUDA", "engine", "how", "context", "$/h", "ready in", "by then"}}
	for _, p := range plans {
		gpu := "CPU"
		if p.GPU.ID != "" {
			gpu = fmt.Sprintf("%s %d GB", p.GPU.ID, (p.GPU.MemoryBytes+1<<29)>>30)
			if p.GPU.Count > 1 {
				gpu = fmt.Sprintf("%d x %s", p.GPU.Count, gpu)
			}
		}
		host := "any"
		if !p.Host.MinCUDA.IsZero() {
			host = ">= " + p.Host.MinCUDA.String()
		}
		engine := p.Engine.Name + " " + p.Engine.Version
		if p.Engine.WheelCUDA != "" {
			engine += " (cu" + strings.ReplaceAll(p.Engine.WheelCUDA, ".", "") + ")"
		}
		how := p.Install
		if !p.Guarded {
			how += ", no guard"
		}
		price, dollars := "?", "?"
		if p.PricePerHour != nil {
			price = p.PricePerHour.Cents()
		}
		if p.Ready.Dollars != nil {
			dollars = "$" + p.Ready.Dollars[1].Cents()
		}
		context := "-"
		if p.Context > 0 {
			context = fmt.Sprint(p.Context)
		}
		rows = append(rows, []string{fmt.Sprint(p.Rank), gpu, host, engine, how, context, price, fmt.Sprintf("%d-%d min", (p.Ready.Seconds[0]+30)/60, (p.Ready.Seconds[1]+59)/60), dollars})
	}
	return rows
}

// printColumns writes rows with columns as wide as their widest cell.
func printColumns(out io.Writer, rows [][]string) { spaced(out, rows, 2) }

func columnWidths(rows [][]string) map[int]int {
	width := map[int]int{}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	return width
}

func tableWidth(rows [][]string, gap int) int {
	n := 0
	for _, c := range columnWidths(rows) {
		n += gap + c
	}
	return n
}

// spaced writes rows with gap blanks before every column.
func spaced(out io.Writer, rows [][]string, gap int) {
	width := columnWidths(rows)
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(strings.Repeat(" ", gap))
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", width[i]-len([]rune(c))))
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
}

func newWhyNotCommand(w *World) *cobra.Command {
	var pins pinFlags
	var online bool
	c := &cobra.Command{
		Use:   "why-not MODEL THING",
		Short: "Ask one thing: would this GPU, image, engine version or CUDA version do?",
		Long: `why-not is check asked in one word. THING is a GPU ("RTX 4090"), an image ("vllm/vllm-openai:latest"), an engine version
("0.6.3.post1", "vllm==0.9.0", "sglang==0.5.9") or a CUDA version of a host ("cuda 12.4", "cu124").

Exit status: 0 nothing speaks against it, 2 unknown model or thing, 3 it is refused, 4 gated model, 5 hub out of reach,
8 the facts do not decide.`,
		Example: "  justright why-not openai/gpt-oss-20b vllm/vllm-openai:v0.6.3.post1\n  justright why-not openai/gpt-oss-20b T4\n  justright why-not Qwen/Qwen3-32B 0.8.3",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return problem.New(problem.ExitUsage, "usage", "why-not wants a model and one thing").Try("for example", "justright why-not openai/gpt-oss-20b T4")
			}
			asJSON, _ := c.Flags().GetBool("json")
			return runWhyNot(c.Context(), w, &pins, args[0], strings.Join(args[1:], " "), online, asJSON)
		},
	}
	pins.add(c.Flags())
	c.Flags().BoolVar(&online, "online", false, "ask the model hub even when the catalog knows the model")
	return c
}

func runWhyNot(ctx context.Context, w *World, flags *pinFlags, ref, thing string, online, asJSON bool) error {
	s, err := w.facts()
	if err != nil {
		return err
	}
	pins, err := flags.read(s)
	if err != nil {
		return err
	}
	c := solve.Case{Pins: pins}
	if !solve.PutThing(s, &c, thing) {
		return problem.New(problem.ExitUsage, "unknown_thing", "%q is no GPU, image, engine version or CUDA version that the catalog knows", thing)
	}
	if err := w.completeCase(ctx, &c, ref, online); err != nil {
		return err
	}
	v := solve.Judge(s, c)
	if v.Outcome == solve.Works && (c.GPU != "" || !c.HostCUDA.IsZero()) && c.Pins.Engine == "" && c.Image == "" && c.Profile != nil {
		v = solve.JudgeCard(s, c)
	}
	return w.answerVerdict(v, asJSON)
}
