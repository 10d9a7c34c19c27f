package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"justright/boot"
	"justright/catalog"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/solve"
)

// spread is more than one pod of a cluster: so many whole engines behind one address, or one engine over so many nodes. The zero value is
// one pod.
type spread struct {
	Copies int `json:"copies,omitempty"`
	Nodes  int `json:"nodes,omitempty"`
}

func (s *spread) add(f *pflag.FlagSet) {
	f.IntVar(&s.Copies, "replicas", 0, "with kubernetes: so many copies behind one address, each with its own guard")
	f.IntVar(&s.Nodes, "nodes", 0, "with kubernetes: one engine over so many nodes; --gpus counts the cards of all of them")
}

// pods is how many there are.
func (s spread) pods() int { return max(1, s.Copies, s.Nodes) }

// check refuses what is none, and what a target cannot make.
func (s spread) check(w *World, on string, pins solve.Pins) error {
	const most = 1000
	switch {
	case s == spread{}:
		return nil
	case !isKubernetes(on):
		return problem.New(problem.ExitUsage, "usage", "--replicas and --nodes are for --on kubernetes").
			Because("every other target makes one machine").Try("several launches behind one address", "justright serve MODEL...")
	case s.Copies < 0 || s.Nodes < 0 || s.pods() > most:
		return problem.New(problem.ExitUsage, "usage", "--replicas and --nodes are numbers from 1 to %d", most)
	case s.Copies > 1 && s.Nodes > 1:
		return problem.New(problem.ExitUsage, "usage", "--replicas and --nodes exclude each other in one launch").
			Because("the nodes of one engine end together, and copies one by one").
			Try("groups that are kept up by themselves", "justright export MODEL --as kubernetes --nodes N --replicas N")
	case s.Nodes > 1 && pins.Engine != "" && !vllms(pins.Engine):
		return problem.New(problem.ExitUsage, "usage", "--nodes: only vLLM's own executor over nodes is known here, and %s is asked for", pins.Engine)
	case s.Nodes > 1 && !cpuBuild(pins) && pins.GPUs == 0:
		return problem.New(problem.ExitUsage, "usage", "--nodes wants --gpus, the cards of all nodes together").
			Try("for example", w.again("--gpus", fmt.Sprint(8*s.Nodes)))
	case s.Nodes > 1 && pins.GPUs%s.Nodes != 0:
		return problem.New(problem.ExitUsage, "usage", "%d cards do not divide by %d nodes", pins.GPUs, s.Nodes).
			Try("for example", w.again("--gpus", fmt.Sprint((pins.GPUs/s.Nodes+1)*s.Nodes)))
	}
	return nil
}

func cpuBuild(p solve.Pins) bool { return engineName(p.Engine) == catalog.VLLMCPU }

func vllms(engine string) bool {
	n := engineName(engine)
	return n == catalog.VLLM || n == catalog.VLLMCPU || n == ""
}

// engineName is the name in a pin like vllm==0.32.0; empty when a bare version is pinned.
func engineName(pin string) string {
	for _, n := range []string{catalog.VLLMCPU, catalog.SGLang, catalog.VLLM} {
		if len(pin) >= len(n) && pin[:len(n)] == n {
			return n
		}
	}
	return ""
}

// offers keeps what has room for all pods, and says of each how many cards one machine may have there.
func (s spread) offers(t target, all []catalog.Offer) []catalog.Offer {
	if s.pods() == 1 || t.kube == nil {
		return all
	}
	var out []catalog.Offer
	for _, o := range all {
		each := t.kube.Each(o.ProviderID, s.pods())
		if each == 0 {
			continue
		}
		if o.MaxCount = each * max(1, s.Nodes); o.GPU == "" {
			o.MaxCount = 1
		}
		out = append(out, o)
	}
	return out
}

// counted gives plans of copies what all of them cost.
func (s spread) counted(plans []solve.Stack) {
	if s.Copies <= 1 {
		return
	}
	n := money.USD(s.Copies)
	for i := range plans {
		if p := plans[i].PricePerHour; p != nil {
			sum := *p * n
			plans[i].PricePerHour = &sum
		}
		if d := plans[i].Ready.Dollars; d != nil {
			plans[i].Ready.Dollars = &[2]money.USD{d[0] * n, d[1] * n}
		}
	}
}

// limit is what one copy may cost.
func (s spread) limit(max *money.USD) *money.USD {
	if max == nil || s.Copies <= 1 {
		return max
	}
	one := *max / money.USD(s.Copies)
	return &one
}

// words are what a plan's line says beside the plan.
func (s spread) words() string {
	switch {
	case s.Copies > 1:
		return fmt.Sprintf(" · %d copies", s.Copies)
	case s.Nodes > 1:
		return fmt.Sprintf(" · over %d nodes", s.Nodes)
	}
	return ""
}

// script spreads an engine over the nodes.
func (s spread) script(b boot.Spec, cards int) (boot.Spec, error) {
	if s.Nodes <= 1 {
		return b, nil
	}
	return boot.OverNodes(b, cards, s.Nodes)
}

// fill says in a spec what the target is to make.
func (s spread) fill(spec *launch.Spec) {
	spec.Copies, spec.Nodes = s.Copies, s.Nodes
	if s.Nodes > 1 {
		spec.GPUCount /= s.Nodes
	}
}

// noRoom says that nodes are there, and not for so many pods.
func (s spread) noRoom(w *World, t target, all []catalog.Offer) error {
	if s.pods() == 1 || t.kube == nil || len(all) == 0 {
		return nil
	}
	most := 0
	for _, o := range all {
		for n := s.pods() - 1; n > 0 && n > most; n-- {
			if t.kube.Each(o.ProviderID, n) > 0 {
				most = n
			}
		}
	}
	p := problem.New(problem.ExitCapacity, "no_offer", "no nodes of one kind have room for %d pods now", s.pods())
	if flag := "--replicas"; most > 0 {
		if s.Nodes > 1 {
			flag = "--nodes"
		}
		return p.Because("they have room for %d", most).Try("take fewer", w.again(flag, fmt.Sprint(most)))
	}
	return p
}

// copiesReady asks a cluster whether every copy of a machine serves and has an armed guard: an address in front of them would hide one that
// does not. why is empty when they do.
func copiesReady(ctx context.Context, t target, s spread, id string) (why, detail string, err error) {
	if s.Copies <= 1 || t.kube == nil {
		return "", "", nil
	}
	c, err := t.kube.Copies(ctx, id)
	if err != nil {
		return "", "", err
	}
	detail = fmt.Sprintf("%d of %d copies are ready, %d guards are armed", c.Ready, c.Wanted, c.Armed)
	if c.Ready < c.Wanted || c.Armed < c.Wanted {
		return detail, detail, nil
	}
	return "", detail, nil
}

// extendable refuses to move the end of several pods: each guard has its own, and the address reaches one of them.
func (w *World) extendable(ctx context.Context, journal store.Store, s launch.State) error {
	x, err := readWish(ctx, journal, s.ID)
	if err != nil || x.Spread.pods() == 1 {
		return err
	}
	return problem.New(problem.ExitUsage, "not_extendable", "the end of %s cannot be moved: it is %d pods", s.Name, x.Spread.pods()).
		Because("each has a guard with the end it was started with; nothing was changed").
		Try("start another beside it with a longer life", upAgain(s)+" --name "+s.Name+"-2 --ttl 3h")
}
