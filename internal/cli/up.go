package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/report"
)

// Defaults of up, stated in its help and in the question it asks.
const (
	defaultBudget = 2 * money.Dollar
	defaultIdle   = 30 * time.Minute
)

type upFlags struct {
	pins                    pinFlags
	on, name, cloud, volume string
	expose, hourPrice       string
	spread                  spread
	budget, maxPrice        string
	ttl, idle               time.Duration
	dataCenters             []string
	context, concurrency    int
	yes, unguarded, online  bool
	verbose                 bool
	anyway                  bool
	attempts                int
	given                   map[string]bool // flags that were set, by name
}

// add declares the flags of up.
func (f *upFlags) add(fl *pflag.FlagSet) {
	f.pins.add(fl)
	fl.StringVar(&f.on, "on", "", "`TARGET`: runpod, local, rehearsal, kubernetes[://CONTEXT/NAMESPACE] or ssh://user@host[:port][/directory]")
	fl.StringVar(&f.expose, "expose", "", "with ssh://: clients reach the engine at this `HOST[:PORT]`, by plain HTTP; default: a tunnel on this machine's loopback. With kubernetes: "+exposeWays())
	fl.StringVar(&f.hourPrice, "price-per-hour", "", "with kubernetes: the `DOLLARS` that a card costs an hour, since a cluster does not tell")
	fl.StringVar(&f.budget, "budget", defaultBudget.String(), "most `DOLLARS` that this task may cost, failed attempts included")
	fl.DurationVar(&f.ttl, "ttl", 0, "longest life of a machine (default: until the budget ends)")
	fl.DurationVar(&f.idle, "idle", defaultIdle, "the machine ends itself after so long without requests; 0: never")
	fl.StringVar(&f.maxPrice, "max-price", "", "most `DOLLARS` per hour")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.StringVar(&f.name, "name", "", "`NAME` of the launch (default: from the model)")
	fl.StringSliceVar(&f.dataCenters, "data-center", nil, "only in these data centers")
	fl.StringVar(&f.cloud, "cloud", "", "SECURE or COMMUNITY")
	fl.StringVar(&f.volume, "volume", "", "network volume `ID` that keeps weights and environment; it pins the data center")
	fl.IntVar(&f.context, "context", 0, "tokens of one request (default: what fits)")
	fl.IntVar(&f.concurrency, "concurrency", 0, "requests of that length at once")
	fl.BoolVar(&f.unguarded, "allow-unguarded", false, "also machines that cannot end themselves")
	fl.BoolVar(&f.anyway, "anyway", false, "try the pinned stack first even where the facts about the model refuse it")
	fl.IntVar(&f.attempts, "attempts", 0, "most machines to try (default 8)")
	fl.BoolVar(&f.online, "online", false, "ask the model hub even when the catalog knows the model")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show what the machine says")
}

func newUpCommand(w *World) *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up MODEL|LOCKFILE [pins] [-- engine flags]",
		Short: "Plan, rent, boot, watch and prove: from a model's name to an endpoint that works",
		Long: `up finds the best plan for MODEL, asks before anything costs, rents the machine, starts the engine, watches it, names the
cause and tries the next plan when it fails, and ends with an endpoint that was proven by real requests.

Money. --budget (default $2.00) covers everything under one up, failed attempts included: it is reserved before each create.
The machine ends itself at the budget, after --idle (default 30m) without requests, and at --ttl when one is given (default:
none). Until its guard has reported, nobody but this program ends it, and Ctrl-C tears it down; after that Ctrl-C once
leaves it running and says so, twice tears it down and waits for the proof. A machine without a guard inside needs
--allow-unguarded.

Where. --on runpod (RUNPOD_API_KEY), local (this machine), rehearsal (a simulator: the same road, nothing rented) or
ssh://user@host[:port], a machine of your own: your ssh and its configuration are used, nothing is asked for a password, and the
endpoint is on this machine's loopback through a tunnel, or with --expose at the host's own address. Without --on: runpod when a
key is set, else local when this machine can hold the model.

A second up of a model that runs attaches to it, unless its flags ask for something else; one that broke off goes on where it
died. --name OTHER starts a second one. A rehearsal is meant only by --on rehearsal or its name. A LOCKFILE (plan --lock) is
started on the target it was made for, unless --on names another.

Exit status: 0 proven endpoint; 2 usage or unknown model; 3 nothing can serve it; 4 credentials or gated model; 5 no capacity,
balance or reachability; 6 launched but not proven; 7 budget, ttl, not confirmed or unguarded; 130 interrupted or detached.`,
		Example: `  justright up openai/gpt-oss-20b
  justright up Qwen/Qwen3-8B --gpu "RTX 4090" --budget 5 --ttl 3h --yes -- --max-model-len 16384
  justright up openai/gpt-oss-20b --on rehearsal --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			var after []string
			if d := c.ArgsLenAtDash(); d >= 0 {
				args, after = args[:d], args[d:]
			}
			if len(args) != 1 {
				return problem.New(problem.ExitUsage, "usage", "up takes one model or lock file; %d were given", len(args)).
					Try("for example", "justright up openai/gpt-oss-20b")
			}
			f.given = map[string]bool{}
			c.Flags().Visit(func(x *pflag.Flag) { f.given[x.Name] = true })
			return w.up(c.Context(), args[0], after, f, asJSON)
		},
	}
	f.add(c.Flags())
	f.spread.add(c.Flags())
	return c
}

// upRequest is what one up was asked for, read and checked.
type upRequest struct {
	upFlags
	budget   money.USD
	maxPrice money.USD
	wish     wish
	asJSON   bool
}

func (w *World) up(ctx context.Context, ref string, after []string, f upFlags, asJSON bool) error {
	ctx, u, stop := interruptible(ctx)
	defer stop()
	err := w.upUntil(ctx, ref, after, f, asJSON)
	var said exitStatus
	if err != nil && u.ended(ctx) && !errors.As(err, &said) {
		return interruptedWaiting()
	}
	return err
}

func (w *World) upUntil(ctx context.Context, ref string, after []string, f upFlags, asJSON bool) error {
	r, err := w.readUp(ctx, ref, after, f, asJSON)
	if err != nil {
		return err
	}
	journal, err := w.openJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	running, err := w.running(ctx, journal, r)
	if err != nil {
		return err
	}
	if running != nil {
		return w.attach(ctx, journal, *running, r, nil)
	}
	t, err := w.chooseTarget(ctx, r.on, func(t target) error {
		p := w.plannerFor(t, journal, r.wish, "")
		_, err := p.Next(ctx, launch.State{AllowUnguarded: true})
		return err
	})
	if err != nil {
		return err
	}
	if r.wish.Model.Local && t.local == nil {
		return problem.New(problem.ExitUsage, "local_model", "%s is a directory of this machine, and %s cannot reach it", r.wish.Model.ID, t.word).
			Because("nothing was created").
			Try("serve it here", w.again("--on", onLocal)).
			Try("or give the hub id of the model", "justright up OWNER/NAME")
	}
	return w.launchNew(ctx, journal, t, w.plannerFor(t, journal, r.wish, newSecret()), r)
}

// readUp reads flags and model.
func (w *World) readUp(ctx context.Context, ref string, after []string, f upFlags, asJSON bool) (upRequest, error) {
	r := upRequest{upFlags: f, asJSON: asJSON}
	var err error
	if r.on, err = targetWord(f.on); err != nil {
		return r, err
	}
	if err = w.clusterFlags(f, &r); err != nil {
		return r, err
	}
	if r.budget, err = money.Parse(f.budget); err != nil || r.budget <= 0 {
		return r, problem.New(problem.ExitUsage, "usage", "--budget %q is no amount of dollars", f.budget).Try("for example", w.again("--budget", "2.50"))
	}
	if f.maxPrice != "" {
		if r.maxPrice, err = money.Parse(f.maxPrice); err != nil || r.maxPrice <= 0 {
			return r, problem.New(problem.ExitUsage, "usage", "--max-price %q is no amount of dollars", f.maxPrice).Try("for example", w.again("--max-price", "0.80"))
		}
		r.wish.MaxPrice = &r.maxPrice
	}
	if f.ttl < 0 || f.idle < 0 {
		return r, problem.New(problem.ExitUsage, "usage", "--ttl and --idle are lengths of time like 3h or 45m")
	}
	if f.given["attempts"] && f.attempts < 1 {
		return r, problem.New(problem.ExitUsage, "usage", "--attempts %d: at least one machine must be tried", f.attempts)
	}
	if f.given["name"] && !launchNameForm.MatchString(f.name) {
		return r, problem.New(problem.ExitUsage, "usage", "--name %q is no name of a launch", f.name).
			Because("a name has at most 60 letters, digits, dots, dashes and underscores, and begins with a letter or digit")
	}
	switch strings.ToUpper(f.cloud) {
	case "", "SECURE", "COMMUNITY":
	default:
		return r, problem.New(problem.ExitUsage, "usage", "--cloud %q is neither SECURE nor COMMUNITY", f.cloud).Try("for example", w.again("--cloud", "SECURE"))
	}
	facts, err := w.facts()
	if err != nil {
		return r, err
	}
	if r.wish.Pins, err = f.pins.read(facts); err != nil {
		return r, err
	}
	if err := w.secretFlags(after); err != nil {
		return r, err
	}
	r.wish.Pins.Flags = after
	r.wish.Anyway = f.anyway
	r.wish.Context, r.wish.Concurrency, r.wish.AllowUnguarded = f.context, f.concurrency, f.unguarded
	r.wish.DataCenters, r.wish.Cloud, r.wish.VolumeID = f.dataCenters, strings.ToUpper(f.cloud), f.volume
	locked, err := w.readLock(ref, &r)
	if !locked && err == nil {
		r.wish.Model, err = w.lookupModel(ctx, ref, f.online)
	}
	if err != nil {
		return r, err
	}
	if w.wantsToken(r.wish.Model, r.on) {
		return r, problem.New(problem.ExitCredentials, "gated_model", "%s is gated, and no hub token is set", r.wish.Model.ID).
			Because("its licence must be accepted on the hub, and the machine needs a token to fetch it; nothing was rented").
			Try("accept the licence on the model's page, make a token and set it", "export HF_TOKEN=...")
	}
	return r, nil
}

// pinVolume ties the launch to the data center of the volume it was given.
func (w *World) pinVolume(ctx context.Context, t target, p *planner, sink report.Sink) error {
	if p.wish.VolumeID == "" || t.kube != nil { // there it is a claim, which the scheduler heeds
		return nil
	}
	b, ok := t.provider.(billed)
	if !ok {
		return problem.New(problem.ExitUsage, "usage", "--volume is a network volume of RunPod; %s has none", t.word)
	}
	all, err := b.Volumes(ctx)
	if err != nil {
		return providerProblem(err, "network volumes")
	}
	for _, v := range all {
		if v.ID != p.wish.VolumeID {
			continue
		}
		if len(p.wish.DataCenters) > 0 && !slices.Contains(p.wish.DataCenters, v.DataCenter) {
			return problem.New(problem.ExitUsage, "volume_elsewhere", "volume %s is in %s, not in %s", v.ID, v.DataCenter, strings.Join(p.wish.DataCenters, ", "))
		}
		p.wish.DataCenters = []string{v.DataCenter}
		return sink.Emit(report.Event{At: w.Now(), Note: &report.Note{Level: "info", Text: fmt.Sprintf(
			"volume %s pins the launch to %s and costs $%s a month until it is deleted", v.ID, v.DataCenter, v.MonthlyCost().Cents())}})
	}
	return problem.New(problem.ExitUsage, "unknown_volume", "no network volume %s on this account", p.wish.VolumeID)
}

// launchNew shows the plans, asks, starts a task and stays with it.
func (w *World) launchNew(ctx context.Context, journal *store.Journal, t target, p *planner, r upRequest) error {
	clock, err := w.clockOf(ctx, t)
	if err != nil {
		return err
	}
	sink := w.newSinks(r.asJSON, r.verbose)
	defer sink.close()
	seen := &opening{Sink: sink}
	task, first, err := w.startTask(ctx, journal, t, p, r, seen, clock)
	if end := w.beganAndStopped(ctx, seen.begin, err, sink); end != nil { // a stream that has begun ends as one
		return end
	}
	switch {
	case err != nil:
		return err
	case first != nil: // another process was there first
		return w.attach(ctx, journal, *first, r, &sink)
	}
	return w.accompany(ctx, journal, t, p, task, sink, clock)
}

// opening remembers whether a stream has begun.
type opening struct {
	report.Sink
	begin *report.Begin
}

func (o *opening) Emit(e report.Event) error {
	if e.Begin != nil {
		o.begin = e.Begin
	}
	return o.Sink.Emit(e)
}

// startTask shows the plans, asks unless that was agreed beforehand, and records the task. first is the launch that another
// process began just now, when this one means the same.
func (w *World) startTask(ctx context.Context, journal *store.Journal, t target, p *planner, r upRequest, sink report.Sink, clock func() time.Time) (task string, first *store.Task, err error) {
	if err := t.lacks(ctx, r.wish.Expose); err != nil {
		return "", nil, err
	}
	if err := w.pinVolume(ctx, t, p, sink); err != nil {
		return "", nil, err
	}
	r.wish = p.wish
	res, err := p.result(ctx, nil)
	if err != nil {
		return "", nil, err
	}
	all, err := journal.Tasks(ctx)
	if err != nil {
		return "", nil, err
	}
	owner, err := journal.Owner(ctx)
	if err != nil {
		return "", nil, err
	}
	name := r.name
	if name == "" {
		name = freeName(all, launchName(r.wish.Model))
	}
	s := launch.State{
		ID: newSecret()[:16], Name: name, Model: r.wish.Model.ID, Target: t.word, Owner: owner, Budget: r.budget, TTL: r.ttl, Idle: r.idle,
		AllowUnguarded: r.unguarded, Wanted: launch.WantRunning, Timing: w.timingOf(t), Started: clock().UTC(),
	}
	if r.attempts > 0 {
		s.Timing.MaxAttempts = r.attempts
	}
	begin := report.Event{At: clock(), Begin: &report.Begin{Protocol: 1, Command: "up", Model: s.Model, Target: t.word, Name: name,
		Budget: s.Budget, Why: t.why}}
	if !t.rents() {
		begin.Begin.Budget = 0
	}
	_ = sink.Emit(begin)
	if s.MaxPrice, err = w.agree(ctx, t, p, res, s, r, sink); err != nil {
		return "", nil, err
	}
	if first, err := w.begin(ctx, journal, s, p, r); first != nil || err != nil {
		return "", first, err
	}
	w.keepEvent(ctx, journal, s.ID, begin)
	return s.ID, nil, nil
}

// begin records a launch with its wish and its key, which are there before anybody can find it. It returns the launch that
// another process began first, when this one means the same.
func (w *World) begin(ctx context.Context, journal *store.Journal, s launch.State, p *planner, r upRequest) (first *store.Task, err error) {
	if err := keepWish(ctx, journal, s.ID, r.wish); err != nil {
		return nil, err
	}
	if err := w.makeTaskKey(s.ID, p.key); err != nil {
		return nil, err
	}
	if r.name != "" {
		err = journal.Begin(ctx, s)
	} else {
		err = journal.BeginAlone(ctx, s)
	}
	if err == nil {
		return nil, nil
	}
	w.dropTaskKey(s.ID)
	var runs *store.RunningError
	switch {
	case errors.As(err, &runs):
		t, err := journal.Task(ctx, runs.Task)
		return &t, err
	case errors.Is(err, store.ErrExists):
		if t, err := w.running(ctx, journal, r); t != nil || err != nil {
			return t, err
		}
		return nil, problem.New(problem.ExitUsage, "name_taken", "another launch was called %s just now", s.Name).Try("again", w.again("--name", s.Name+"-2"))
	}
	return nil, err
}

// timingOf is the saga's timing on a target. A process of this machine is denied by this machine: there is no lag to
// wait for.
func (w *World) timingOf(t target) launch.Timing {
	if w.timing != nil {
		return *w.timing
	}
	d := launch.DefaultTiming()
	if t.local != nil {
		d.ConfirmAfter, d.ConfirmGap, d.Poll, d.Lookup = 0, 200*time.Millisecond, 2*time.Second, 5*time.Second
	}
	if t.kube != nil {
		d = clusterTiming(d)
	}
	if t.ssh != nil { // the machine itself answers, without lag
		d.ConfirmAfter, d.ConfirmGap, d.Poll, d.Lookup = 0, time.Second, 5*time.Second, 10*time.Second
	}
	if t.word == onRehearsal { // our own simulator, whose lists and answers do not lag
		d.Poll, d.ConfirmAfter, d.ConfirmGap, d.Lookup = 2*time.Second, 3*time.Second, time.Second, 10*time.Second
	}
	return d
}

// signals tells the saga about Ctrl-C (false), hang-up and termination (true).
func signals(ctx context.Context) (<-chan bool, func()) {
	raw := make(chan os.Signal, 4)
	signal.Notify(raw, os.Interrupt, syscall.SIGHUP, syscall.SIGTERM)
	out := make(chan bool)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case s := <-raw:
				select {
				case out <- s != os.Interrupt:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() { signal.Stop(raw); cancel() }
}
