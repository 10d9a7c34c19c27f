package cli

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/catalog"
	"justright/internal/provider/kubernetes"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

// onKubernetes is the word of a cluster: alone the current context of the kubeconfig, else kubernetes://CONTEXT/NAMESPACE, of which
// either may be left out.
const onKubernetes = kubernetes.Name

const kubernetesScheme = onKubernetes + "://"

// isKubernetes tells the word of a cluster.
func isKubernetes(on string) bool {
	return on == onKubernetes || strings.HasPrefix(on, kubernetesScheme)
}

// clusterConfig is the cluster of a word. A context's name may hold slashes: what is no context's name as a whole ends in a namespace.
func (w *World) clusterConfig(on string) (kubernetes.Config, error) {
	rest := strings.TrimPrefix(strings.TrimPrefix(on, onKubernetes), "://")
	whole, werr := kubernetes.Load(w.Env, kubernetes.Where{Context: rest})
	if i := strings.LastIndex(rest, "/"); i >= 0 && (werr != nil || i == 0) {
		return kubernetes.Load(w.Env, kubernetes.Where{Context: rest[:i], Namespace: rest[i+1:]})
	}
	return whole, werr
}

// kubernetesTarget is a cluster. It is not asked anything yet.
func (w *World) kubernetesTarget(on string) (target, error) {
	cfg, err := w.clusterConfig(on)
	if err != nil {
		return target{}, err
	}
	t, err := w.clusterAt(cfg)
	t.word = on
	return t, err
}

func (w *World) clusterAt(cfg kubernetes.Config) (target, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	cfg.Transport, cfg.Now, cfg.GPU, cfg.Host, cfg.CPU = w.Transport, w.Now, w.gpuID, host, true
	cfg.Memory = func(id string) int64 {
		g, _ := w.findGPU(id)
		return g.MemoryBytes
	}
	address, account := cfg.Address(), cfg.Account()
	cfg.Forward = func(_ context.Context, id string, port int) { w.keepForward(address, account, id, port) }
	p, err := kubernetes.New(cfg)
	if err != nil {
		return target{}, err
	}
	why := "the cluster this runs in"
	if cfg.Context != "" {
		why = "context " + cfg.Context + " of the kubeconfig"
	}
	return target{word: onKubernetes, provider: p, kube: p, address: address, account: account, why: why + ", namespace " + cfg.Namespace}, nil
}

// clusterOf is the cluster through which a task's machines were made, whatever context is current now.
func (w *World) clusterOf(s launch.State) (target, error) {
	for _, a := range slices.Backward(s.Attempts) {
		cfg, err := kubernetes.Reload(w.Env, a.Address, a.Account)
		if err != nil {
			return target{}, err
		}
		t, err := w.clusterAt(cfg)
		t.word = s.Target
		return t, err
	}
	return w.kubernetesTarget(s.Target)
}

// keepForward starts the process that carries a port of this machine to a machine of a cluster, unless somebody has the port, which is
// that process. It outlives this one and ends with its machine.
func (w *World) keepForward(address, account, id string, port int) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return
	}
	_ = l.Close()
	self, err := os.Executable()
	if err != nil {
		return // the proof will say that nothing answers
	}
	c := exec.CommandContext(context.Background(), self, forwardCommand, address, account, id, strconv.Itoa(port))
	c.Env = w.Environ()
	detach(c)
	if c.Start() == nil {
		go func() { _ = c.Wait() }() // no zombie while this process lives
	}
}

const forwardCommand = "kubernetes-forward"

// newForwardCommand is that process.
func newForwardCommand(w *World) *cobra.Command {
	return &cobra.Command{
		Use: forwardCommand + " ADDRESS ACCOUNT ID PORT", Hidden: true, Args: cobra.ExactArgs(4),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := kubernetes.Reload(w.Env, args[0], args[1])
			if err != nil {
				return err
			}
			cfg.Now = w.Now
			p, err := kubernetes.New(cfg)
			if err != nil {
				return err
			}
			l, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", net.JoinHostPort("127.0.0.1", args[3]))
			if err != nil {
				return err
			}
			return p.ServeForward(c.Context(), args[2], l)
		},
	}
}

// clusterOffers takes what nodes without a card offer only where no node has one, or where the CPU build is asked for; and the price
// that the user gives, since a cluster tells none.
func (p *planner) clusterOffers(all []catalog.Offer) []catalog.Offer {
	if p.t.kube == nil {
		return all
	}
	cards := p.t.kube.HasCards() || slices.ContainsFunc(all, func(o catalog.Offer) bool { return o.GPU != "" })
	cpu := strings.HasPrefix(p.wish.Pins.Engine, catalog.VLLMCPU)
	var out []catalog.Offer
	for _, o := range all {
		if o.GPU == "" && cards && !cpu {
			continue
		}
		if p.wish.HourPrice != nil {
			o.PricePerHour = p.wish.HourPrice
		}
		out = append(out, o)
	}
	return p.wish.Spread.offers(p.t, out)
}

// planCluster asks a cluster for what it has, for a plan. Without one the catalog's cards are planned for.
func (o *planOptions) planCluster(ctx context.Context, w *World, r *solve.Request) ([]catalog.Offer, error) {
	t, err := w.kubernetesTarget(o.on)
	if pr := problem.From(err); err != nil && pr.Code == "no_cluster" && o.on == onKubernetes {
		o.unasked = pr.Error()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := t.provider.Offers(ctx)
	if err != nil {
		return nil, providerProblem(err, "offers of "+t.word)
	}
	p := planner{t: t, wish: wish{Pins: r.Pins, DataCenters: o.dataCenters, Spread: o.spread}}
	r.MaxPrice = o.spread.limit(r.MaxPrice)
	offers := p.wanted(p.clusterOffers(all))
	if len(offers) == 0 {
		if err := o.spread.noRoom(w, t, all); err != nil {
			return nil, err
		}
		return nil, t.nothingFree(ctx)
	}
	return offers, t.tellHost(ctx, r)
}

// mayLaunch refuses a launch before anything is planned where rights in the cluster are missing: all of them at once.
func (t target) mayLaunch(ctx context.Context, expose string) error {
	missing, err := t.kube.Missing(ctx, expose)
	if err != nil {
		return providerProblem(err, t.word)
	}
	if len(missing) == 0 {
		return nil
	}
	var all, resources []string
	nodes := false
	for _, r := range missing {
		all, nodes = append(all, r.String()), nodes || r.Cluster
		name := r.Resource
		if r.Group != "" {
			name += "." + r.Group
		}
		if !r.Cluster && !slices.Contains(resources, name) {
			resources = append(resources, name)
		}
	}
	namespace := t.kube.Namespace()
	p := problem.New(problem.ExitCredentials, "rights_missing", "the cluster does not let you launch in namespace %s", namespace).
		Because("missing: %s; nothing was made", strings.Join(all, ", "))
	const who = ` --user="$(kubectl auth whoami -o jsonpath={.status.userInfo.username})"`
	if len(resources) > 0 {
		p = p.Try("who administers it can give them", "kubectl -n "+namespace+" create role justright --verb=create,get,list,patch,delete --resource="+strings.Join(resources, ",")+
			" && kubectl -n "+namespace+" create rolebinding justright --role=justright"+who)
	}
	if nodes {
		p = p.Try("and what the nodes have", "kubectl create clusterrole justright --verb=list --resource=nodes,pods && kubectl create clusterrolebinding justright --clusterrole=justright"+who)
	}
	return p
}

// nothingFree says what a cluster has that cannot be had.
func (t target) nothingFree(ctx context.Context) error {
	p := problem.New(problem.ExitCapacity, "no_offer", "no node of the cluster can take the machine now")
	why, err := t.kube.Unoffered(ctx)
	if err != nil {
		return p.Wrap(err)
	}
	if len(why) == 0 {
		return p.Because("no node has a card or room for the CPU build")
	}
	return p.Because("%s", strings.Join(why[:min(len(why), 6)], "; "))
}

// exposeWays lists what --expose takes for a cluster.
func exposeWays() string {
	var out []string
	for _, e := range kubernetes.Exposes() {
		out = append(out, string(e))
	}
	return strings.Join(out, ", ")
}

// checkExpose refuses a way to the endpoint that is none, or that the user's own machine cannot go: the proof goes it too.
func (w *World) checkExpose(way string) error {
	if way == "" {
		return nil
	}
	if !slices.Contains(kubernetes.Exposes(), kubernetes.Expose(way)) {
		return problem.New(problem.ExitUsage, "usage", "--expose %q is no way into a cluster", way).Because("there are %s", exposeWays())
	}
	if kubernetes.Expose(way) == kubernetes.InCluster && w.Env("KUBERNETES_SERVICE_HOST") == "" {
		return problem.New(problem.ExitUsage, "usage", "--expose service is an address inside the cluster, and this is outside").
			Because("the endpoint is proven at the address its user will use, which cannot be reached from here").
			Try("run up in a pod of the cluster, or reach it through the API server", w.again("--expose", string(kubernetes.PortForward)))
	}
	return nil
}

// clusterFlags reads what up is told about reaching a machine of one's own or of a cluster, and about a cluster's price.
func (w *World) clusterFlags(f upFlags, r *upRequest) error {
	r.wish.Expose, r.wish.Spread = f.expose, f.spread
	if f.spread != (spread{}) {
		facts, err := w.facts()
		if err != nil {
			return err
		}
		pins, err := f.pins.read(facts)
		if err != nil {
			return err
		}
		if err := f.spread.check(w, r.on, pins); err != nil {
			return err
		}
	}
	if f.hourPrice != "" {
		v, err := money.Parse(f.hourPrice)
		switch {
		case err != nil || v <= 0:
			return problem.New(problem.ExitUsage, "usage", "--price-per-hour %q is no amount of dollars", f.hourPrice)
		case !isKubernetes(r.on):
			return problem.New(problem.ExitUsage, "usage", "--price-per-hour is for --on kubernetes: every other target tells its prices")
		}
		r.wish.HourPrice = &v
	}
	switch {
	case f.expose == "", isSSH(r.on):
		return nil
	case isKubernetes(r.on):
		return w.checkExpose(f.expose)
	}
	return problem.New(problem.ExitUsage, "usage", "--expose is for a machine that ssh reaches, and for a cluster").
		Try("name it", w.again("--on", "ssh://USER@HOST"))
}

// isLoopback reports whether an address leads to the machine that it is read on.
func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// endedInCluster reports whether a machine of a cluster has ended by itself: the job is there to be read, and holds nothing.
func endedInCluster(s launch.State, a launch.Attempt, in launch.Instance) bool {
	return isKubernetes(s.Target) && in.Status == launch.Stopped && (a.Phase == launch.Booting || a.Phase == launch.Proving || a.Phase == launch.Ready)
}

// clusterTiming is the saga's timing on a cluster: its API server never answers from an old state.
func clusterTiming(d launch.Timing) launch.Timing {
	d.Poll, d.ConfirmGap, d.Lookup = 3*time.Second, time.Second, 30*time.Second
	return d
}
