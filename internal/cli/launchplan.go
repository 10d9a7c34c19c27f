package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"justright/boot"
	"justright/catalog"
	"justright/internal/pace"
	"justright/internal/provider/runpod"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/model"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

// wish is what one `up` was asked for, as far as a later process needs it to go on. It holds no secret and is kept in
// the journal beside the task.
type wish struct {
	Model          model.Profile `json:"model"`
	Pins           solve.Pins    `json:"pins"`
	Context        int           `json:"context,omitempty"`
	Concurrency    int           `json:"concurrency,omitempty"`
	MaxPrice       *money.USD    `json:"max_price,omitempty"`
	AllowUnguarded bool          `json:"allow_unguarded,omitempty"`
	Anyway         bool          `json:"anyway,omitempty"` // the pinned stack first, whatever the facts say of the model
	DataCenters    []string      `json:"data_centers,omitempty"`
	Cloud          string        `json:"cloud,omitempty"`
	VolumeID       string        `json:"volume_id,omitempty"`
	Expose         string        `json:"expose,omitempty"`     // host[:port] of a machine that ssh reaches, or the way into a cluster
	HourPrice      *money.USD    `json:"hour_price,omitempty"` // of a card of a cluster, as its user says
	Spread         spread        `json:"spread,omitzero"`      // more than one pod of a cluster
	Locked         *solve.Stack  `json:"locked,omitempty"`     // a lock file's plan: the only one
	LockText       string        `json:"lock_text,omitempty"`
}

const wishKey = "wish/"

func keepWish(ctx context.Context, s store.Store, task string, x wish) error {
	x.Model.Tensors, x.Model.Sources = nil, nil // what only explains stays out of the journal
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return s.SetSetting(ctx, wishKey+task, string(b))
}

func readWish(ctx context.Context, s store.Store, task string) (x wish, err error) {
	text, err := s.Setting(ctx, wishKey+task)
	if err != nil || text == "" {
		return x, err
	}
	return x, json.Unmarshal([]byte(text), &x)
}

// planner finds plans for one task through one target.
type planner struct {
	w       *World
	t       target
	wish    wish
	lessons func(context.Context) ([]catalog.Lesson, error)
	journal store.Store // nil: nothing was measured
	key     string      // of the endpoint

	mu     sync.Mutex
	past   []pace.Run // nil: not read yet
	offers []catalog.Offer
	asked  time.Time
	last   *answered // nil: nothing was solved yet
}

var _ runner.Planner = (*planner)(nil)

// offersFor keeps the offers for a minute: they cost a call, and a plan after a refusal wants fresh ones only then.
func (p *planner) offersNow(ctx context.Context) ([]catalog.Offer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offers != nil && p.w.Now().Sub(p.asked) < time.Minute {
		return p.offers, nil
	}
	all, err := p.t.provider.Offers(ctx)
	if err != nil {
		return nil, providerProblem(err, "offers of "+p.t.word)
	}
	p.offers, p.asked = p.wanted(p.clusterOffers(all)), p.w.Now()
	if len(p.offers) == 0 {
		if err := p.nothingWanted(all); err != nil {
			return nil, err
		}
		if err := p.wish.Spread.noRoom(p.w, p.t, all); err != nil {
			return nil, err
		}
		if p.t.kube != nil {
			return nil, p.t.nothingFree(ctx)
		}
	}
	return p.offers, nil
}

// wanted keeps the offers the user has not excluded.
func (p *planner) wanted(all []catalog.Offer) []catalog.Offer {
	out := []catalog.Offer{}
	for _, o := range all {
		if o.Stock == "NONE" {
			continue
		}
		if p.wish.Cloud != "" && o.Cloud != "" && !strings.EqualFold(o.Cloud, p.wish.Cloud) {
			continue
		}
		if len(p.wish.DataCenters) > 0 && len(o.DataCenters) > 0 {
			dcs := slices.DeleteFunc(slices.Clone(o.DataCenters), func(d string) bool { return !slices.Contains(p.wish.DataCenters, d) })
			if len(dcs) == 0 {
				continue
			}
			o.DataCenters = dcs
		}
		out = append(out, o)
	}
	return out
}

// result is what the resolver says now.
func (p *planner) result(ctx context.Context, taught []catalog.Lesson) (solve.Result, error) {
	offers, err := p.offersNow(ctx)
	if err != nil {
		return solve.Result{}, err
	}
	if p.wish.Locked != nil {
		plans := lockedPlans(*p.wish.Locked, offers)
		foresee(plans, p.runs(ctx), p.paceOf)
		p.wish.Spread.counted(plans)
		return solve.Result{Plans: plans}, nil
	}
	known, err := p.lessons(ctx)
	if err != nil {
		return solve.Result{}, err
	}
	r := solve.Request{
		Model: p.wish.Model, Target: p.t.word, Offers: offers, Lessons: append(known, taught...), Pins: p.wish.Pins, Context: p.wish.Context,
		Concurrency: p.wish.Concurrency, MaxPrice: p.wish.Spread.limit(p.wish.MaxPrice), AllowUnguarded: p.wish.AllowUnguarded, All: true,
	}
	if err := p.t.tellHost(ctx, &r); err != nil {
		return solve.Result{}, providerProblem(err, p.t.word)
	}
	res, err := p.solved(r)
	foresee(res.Plans, p.runs(ctx), p.paceOf)
	p.wish.Spread.counted(res.Plans)
	return res, err
}

// solved asks the resolver, unless it was just asked the same: the plan that the question shows and the first that is taken are
// one answer. Of this machine it is asked each time, since what memory is free stands in no request.
func (p *planner) solved(r solve.Request) (solve.Result, error) {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	if last == nil || p.t.word == onLocal || !reflect.DeepEqual(last.request, r) {
		ask := p.w.solve
		if p.wish.Anyway {
			ask = p.anyway
		}
		res, err := ask(r)
		if err != nil {
			return res, err
		}
		last = &answered{r, res}
		p.mu.Lock()
		p.last = last
		p.mu.Unlock()
	}
	res := last.result
	res.Plans = slices.Clone(res.Plans) // each caller foresees in its own
	return res, nil
}

// answered is a request and what the resolver said to it.
type answered struct {
	request solve.Request
	result  solve.Result
}

// lockedPlans is the one plan of a lock, at today's price.
func lockedPlans(p solve.Stack, offers []catalog.Offer) []solve.Stack {
	for _, o := range offers {
		if o.GPU != p.GPU.ID {
			continue
		}
		p.Offer = &o
		if o.PricePerHour != nil {
			price := *o.PricePerHour * money.USD(max(1, p.GPU.Count))
			p.PricePerHour = &price
		}
		return []solve.Stack{p}
	}
	return nil
}

// Next is the best plan that the task has not tried.
func (p *planner) Next(ctx context.Context, s launch.State) (runner.Proposal, error) {
	if len(s.Attempts) > 0 {
		p.mu.Lock()
		p.offers = nil
		p.mu.Unlock()
	}
	res, err := p.result(ctx, s.Lessons)
	if err != nil {
		return runner.Proposal{}, err
	}
	if c := res.Conflict; c != nil {
		pr := problem.New(problem.ExitNoStack, problem.Code(c.Code), "nothing can serve %s", p.wish.Model.ID).Because("%s", c.Reason)
		pr.Hints = c.Hints
		return runner.Proposal{}, pr
	}
	if err := p.holds(ctx); err != nil {
		return runner.Proposal{}, err
	}
	dear := 0
	for _, plan := range res.Plans {
		if !s.Worth(plan) {
			continue
		}
		prop := p.proposal(plan)
		prop.Boot = moreTime(prop.Boot, s)
		if s.MaxPrice > 0 && prop.Hourly() > s.MaxPrice {
			dear++
			continue
		}
		if !plan.Guarded && !s.AllowUnguarded && p.t.rents() {
			continue
		}
		return prop, nil
	}
	pr := problem.New(problem.ExitCapacity, "no_plan_left", "no further plan for %s on %s", p.wish.Model.ID, p.t.word)
	if dear > 0 {
		return runner.Proposal{}, pr.Because("%d plans left cost, their disks included, more than the $%s/h that was agreed to", dear, s.MaxPrice.Cents())
	}
	return runner.Proposal{}, pr
}

// holds reports whether a machine of one's own has the memory for the weights, when it has no GPU. A card's memory is the resolver's
// business.
func (p *planner) holds(ctx context.Context) error {
	m, own, err := p.t.host(ctx)
	if err != nil {
		return providerProblem(err, p.t.word)
	}
	if !own {
		return nil
	}
	weights := p.wish.Model.WeightsBytes
	if weights == 0 { // not read: by the count of parameters
		bits := 16.0
		if q := p.wish.Model.Quant; q != nil && q.Bits > 0 {
			bits = q.Bits
		}
		weights = int64(float64(p.wish.Model.Parameters) * bits / 8)
	}
	if len(m.GPUs) > 0 || m.MemoryBytes == 0 || weights < m.MemoryBytes*9/10 {
		return nil
	}
	return problem.New(problem.ExitNoStack, "does_not_fit", "%s cannot hold %s", p.t.hostName(), p.wish.Model.ID).
		Because("its weights take %.1f GiB, the machine has %.1f GiB of memory and no GPU", gibOf(weights), gibOf(m.MemoryBytes)).
		Try("rent a machine that can", p.w.again("--on", onRunPod))
}

func gibOf(b int64) float64 { return float64(b) / (1 << 30) }

// bootLimit is how long a plan may take until it is ready: twice what is predicted, and never less than ten minutes, since
// pulls and downloads vary with the host far more than with the plan.
func bootLimit(plan solve.Stack) time.Duration {
	d := 2 * time.Duration(plan.Ready.Seconds[1]) * time.Second
	return min(max(d, 10*time.Minute), time.Hour)
}

// moreTime doubles what a boot may take for each that was too slow.
func moreTime(d time.Duration, s launch.State) time.Duration {
	for _, a := range s.Attempts {
		if a.Cause == launch.CauseBootTime && !a.Duplicate {
			d *= 2
		}
	}
	return min(d, time.Hour)
}

// containerDiskMonth is RunPod's list price of one GB of container disk for a month, while a pod runs
// (https://docs.runpod.io/pods/pricing).
const containerDiskMonth = money.Dollar / 10

func (p *planner) proposal(plan solve.Stack) runner.Proposal {
	prop := runner.Proposal{Stack: plan, Summary: planSummary(plan, p.t.hostName()) + p.wish.Spread.words(), Boot: bootLimit(plan)}
	if plan.PricePerHour != nil && p.t.rents() {
		prop.Price = *plan.PricePerHour
	}
	if p.t.rents() && p.t.kube == nil {
		prop.Disk = containerDiskMonth * money.USD(diskGB(plan)) / 730
	}
	return prop
}

// diskGB is the container disk that is asked for.
func diskGB(plan solve.Stack) int {
	return max(40, int((plan.DiskBytes+1e9-1)/1e9))
}

// planSummary is a plan in one line: "RTX A5000 24 GB · vLLM 0.19.1 (cu129) · wheels".
func planSummary(plan solve.Stack, host string) string {
	gpu := host + "'s CPU"
	if plan.GPU.ID != "" {
		gpu = fmt.Sprintf("%s %d GB", plan.GPU.ID, (plan.GPU.MemoryBytes+1<<29)>>30)
		if plan.GPU.Count > 1 {
			gpu = fmt.Sprintf("%d × %s", plan.GPU.Count, gpu)
		}
	}
	engine := plan.Engine.Name + " " + plan.Engine.Version
	if plan.Engine.WheelCUDA != "" && plan.Install == "wheels" {
		engine += " (cu" + strings.ReplaceAll(plan.Engine.WheelCUDA, ".", "") + ")"
	}
	return gpu + " · " + engine + " · " + plan.Install
}

// bootOptions are what a stack does not say about its start.
func (p *planner) bootOptions(ctx context.Context, plan solve.Stack) (boot.Options, error) {
	o := boot.Options{Model: p.wish.Model, Lock: p.wish.LockText}
	m, own, err := p.t.host(ctx)
	if err != nil {
		return o, providerProblem(err, p.t.word)
	}
	if own {
		o.HostMemory, o.Pythons, o.MinCapability = m.MemoryBytes, m.Pythons, m.Capability
		o.PythonFetch = p.t.ssh != nil && len(m.Pythons) == 0
		if p.wish.Expose == "" {
			o.Host = "127.0.0.1"
		}
	}
	if p.t.kube != nil && plan.GPU.ID == "" {
		if o.HostMemory, _ = p.t.kube.HostMemory(); o.HostMemory == 0 { // the offers were another process's
			if _, err := p.offersNow(ctx); err == nil {
				o.HostMemory, _ = p.t.kube.HostMemory()
			}
		}
	}
	if p.wish.VolumeID != "" {
		o.Root = volumePath + "/justright"
	}
	if g, ok := p.w.findGPU(plan.GPU.ID); ok {
		o.MinCapability = g.Capability
	}
	return o, nil
}

const volumePath = "/workspace"

func (w *World) findGPU(id string) (catalog.GPU, bool) {
	facts, err := w.facts()
	if err != nil || id == "" {
		return catalog.GPU{}, false
	}
	return facts.FindGPU(id)
}

// Spec is what the provider is sent for an attempt.
func (p *planner) Spec(ctx context.Context, s launch.State, a launch.Attempt) (launch.Spec, error) {
	plan := *a.Stack
	o, err := p.bootOptions(ctx, plan)
	if err != nil {
		return launch.Spec{}, err
	}
	bs, err := boot.SpecFrom(plan, o)
	if err != nil {
		return launch.Spec{}, err
	}
	if bs, err = p.wish.Spread.script(bs, plan.GPU.Count); err != nil {
		return launch.Spec{}, err
	}
	script, err := boot.Render(bs)
	if err != nil {
		return launch.Spec{}, err
	}
	spec := launch.Spec{
		Name: a.PodName, AttemptID: a.ID, OwnerID: s.Owner, Image: plan.Image, Start: script.Start(), Env: script.Env(),
		Ports: []string{fmt.Sprintf("%d/http", bs.Port)}, DiskGB: diskGB(plan), GPUCount: plan.GPU.Count, MinCUDA: plan.Host.MinCUDA,
		Cloud: p.wish.Cloud, DataCenters: p.wish.DataCenters, VolumeID: p.wish.VolumeID, Expose: p.wish.Expose, MaxPricePerHour: a.Confirmed,
	}
	if plan.GPU.ID != "" {
		spec.GPU = plan.GPU.ID
	}
	if plan.Offer != nil {
		spec.GPU = plan.Offer.ProviderID
		if spec.Cloud == "" {
			spec.Cloud = plan.Offer.Cloud
		}
		if plan.Offer.Shunned {
			spec.DataCenters = plan.Offer.DataCenters
		}
	}
	p.wish.Spread.fill(&spec)
	if p.wish.VolumeID != "" {
		spec.VolumePath = volumePath
	}
	if spec.Env == nil {
		spec.Env = map[string]string{}
	}
	maps.Copy(spec.Env, a.LimitsEnv(s.Owner, s.Name, s.Idle))
	p.secrets(spec.Env)
	return spec, nil
}

// secrets adds what travels in the machine's environment alone, and the addresses the user has set as far as the machine
// can reach them.
func (p *planner) secrets(env map[string]string) {
	env["VLLM_API_KEY"] = p.key
	if p.wish.Model.Gated {
		if t := p.w.hubToken(); t != "" {
			env["HF_TOKEN"] = t
		}
	}
	for _, k := range []string{"HF_ENDPOINT", "PIP_INDEX_URL", "UV_INDEX_URL"} {
		if v := p.w.Env(k); v != "" && p.reaches(v) {
			env[k] = v
		}
	}
	if p.t.word == onRunPod || p.t.word == onRehearsal {
		if !runpod.IsRunPod(p.t.address) {
			env["RUNPOD_API_BASE_URL"] = p.t.address
		}
	}
}

// reaches reports whether an address of this machine's environment means the same on the machine of a launch.
func (p *planner) reaches(address string) bool {
	switch {
	case p.t.ssh != nil:
		u, err := url.Parse(address)
		if err != nil {
			return false
		}
		ip := net.ParseIP(u.Hostname())
		return p.t.loopback() || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
	case p.t.kube != nil:
		return !isLoopback(address)
	case p.t.word == onRunPod && runpod.IsRunPod(p.t.address):
		return public(address)
	}
	return true
}

// public reports whether an address can be reached from a rented machine, as far as its host tells.
func public(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.RawQuery != "" { // everybody on the account reads a pod's environment
		return false
	}
	h := u.Hostname()
	if ip := net.ParseIP(h); ip != nil {
		return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified()
	}
	return strings.Contains(h, ".") && !strings.HasSuffix(h, ".local") && !strings.HasSuffix(h, ".internal") && !strings.HasSuffix(h, ".localhost")
}
