package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/model"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

type planOptions struct {
	pins                 pinFlags
	on, maxPrice, lock   string
	context, concurrency int
	starts               int
	all, online          bool
	unguarded            bool
	cloud                string
	dataCenters          []string
	spread               spread
	unasked              string // why a machine that ssh reaches was not asked; empty: it was, or is none
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
	f.IntVar(&o.starts, "starts", 200, "in --json, plans whose start command is written out, some 45 kB each; 0: every plan")
	f.BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	f.BoolVar(&o.unguarded, "allow-unguarded", false, "rank plans without a guard as the others")
	f.StringVar(&o.cloud, "cloud", "", "SECURE or COMMUNITY")
	f.StringSliceVar(&o.dataCenters, "data-center", nil, "only these data centers")
	o.spread.add(f)
	return c
}

func runPlan(ctx context.Context, w *World, o *planOptions, args []string, dash int, asJSON bool) error {
	var flags []string
	if dash >= 0 {
		args, flags = args[:dash], args[dash:]
	}
	if o.starts < 0 {
		return problem.New(problem.ExitUsage, "usage", "--starts %d: a number of plans is not negative", o.starts)
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
	w.foreseen(ctx, r.Target, r.Model.ID, res.Plans)
	o.spread.counted(res.Plans)
	o.notePlace(r, res.Plans)
	if o.lock != "" && len(res.Plans) > 0 {
		w.fillStart(r, res.Plans[:1], spread{}) // up spreads it
		if err := w.writeLock(ctx, o.lock, r, res.Plans[0]); err != nil {
			return err
		}
	}
	w.noteGate(r, res.Plans)
	if asJSON {
		err = w.printPlanDocument(r, planAnswer(r, res), o.starts, o.spread)
	} else {
		shown := r
		shown.Target += o.spread.words()
		printPlans(w, shown, res, o.all)
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
	if err := o.spread.check(w, o.on, pins); err != nil {
		return solve.Request{}, err
	}
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

// wantsToken reports whether a machine of the target could not fetch the model, for it is gated and no hub token is set. In a
// rehearsal a stand-in gives the files, unless it was a hub that said so.
func (w *World) wantsToken(m model.Profile, target string) bool {
	return m.Gated && w.hubToken() == "" && (target != onRehearsal || m.Revision != "")
}

// noteGate says in each plan that the model's files want a token, where none is set.
func (w *World) noteGate(r solve.Request, plans []solve.Stack) {
	if !w.wantsToken(r.Model, r.Target) {
		return
	}
	for i := range plans {
		plans[i].Unknowns = append(plans[i].Unknowns, fmt.Sprintf("access: %s is gated, and no hub token is set; up stops before it rents (export HF_TOKEN=…)", r.Model.ID))
	}
}

// notePlace says in each plan that where it is offered was not asked, when a place was asked for.
func (o *planOptions) notePlace(r solve.Request, plans []solve.Stack) {
	if o.unasked != "" {
		for i := range plans {
			plans[i].Unknowns = append(plans[i].Unknowns, "host: it was not asked what it has ("+o.unasked+")")
		}
	}
	if r.Offers != nil || o.cloud == "" && len(o.dataCenters) == 0 {
		return
	}
	asked := strings.Join(append(slices.Clone(o.dataCenters), o.cloud), " ")
	for i := range plans {
		plans[i].Unknowns = append(plans[i].Unknowns, "place: the provider was not asked, so whether it is offered in "+strings.TrimSpace(asked)+" is not known")
	}
}

// offersWithin is how long a plan waits for a provider's offers, its retries included. They take a second or two.
const offersWithin = 25 * time.Second

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
		asking, done := context.WithTimeout(ctx, offersWithin)
		all, err := t.provider.Offers(asking)
		done()
		switch {
		case err != nil && ctx.Err() == nil && asking.Err() != nil:
			return problem.New(problem.ExitCapacity, "unreachable", "no answer: offers of runpod").Because("none came within %s", offersWithin).
				Try("look at what is in the way", "justright doctor").Try("plan without the provider, on the catalog's cards", "RUNPOD_API_KEY= "+w.without())
		case err != nil:
			return providerProblem(err, "offers of runpod")
		}
		p := planner{wish: wish{Cloud: o.cloud, DataCenters: o.dataCenters}}
		r.Offers = p.wanted(all)
		return nil
	case isSSH(o.on):
		t, err := w.sshTarget(o.on)
		if err != nil {
			return err
		}
		r.Target = t.word
		if r.Offers, err = t.provider.Offers(ctx); err == nil {
			return t.tellHost(ctx, r)
		}
		if r.Pins.GPU != "" { // on paper, by the card that is stated
			o.unasked = problem.From(err).Error()
			return nil
		}
		return problem.From(providerProblem(err, "offers of "+t.word)).Try("plan on paper, for a card that you name", w.again("--gpu", "NAME"))
	case isKubernetes(o.on):
		var err error
		r.Offers, err = o.planCluster(ctx, w, r)
		return err
	case o.on == onRehearsal:
		return nil
	}
	return problem.New(problem.ExitUsage, "unknown_target", "--on %q is no target", o.on).Try("the targets are --on runpod, local, rehearsal, kubernetes and ssh://user@host", "")
}
