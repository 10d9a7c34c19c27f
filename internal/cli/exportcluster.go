package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"justright/internal/export"
	"justright/problem"
)

// clusterOptions are what export --as kubernetes takes beside the plan.
type clusterOptions struct {
	replicas, nodes       int
	autoscale, prometheus string
}

func (o *clusterOptions) add(f *pflag.FlagSet) {
	f.IntVar(&o.replicas, "replicas", 0, "with kubernetes: so many copies behind one service")
	f.StringVar(&o.autoscale, "autoscale", "", "with kubernetes: between `MIN-MAX` copies, by KEDA on the engine's own metrics")
	f.StringVar(&o.prometheus, "prometheus", "", "with --autoscale: `URL` of the Prometheus that reads them (default: the operator's, in namespace monitoring)")
	f.IntVar(&o.nodes, "nodes", 0, "with kubernetes: spread one engine over so many nodes, by LeaderWorkerSet")
}

// given reports whether any of them was set.
func (o clusterOptions) given() bool {
	return o != clusterOptions{}
}

// read turns the flags into what is exported.
func (o clusterOptions) read(as string) (export.Cluster, error) {
	c := export.Cluster{Replicas: o.replicas, Nodes: o.nodes, Prometheus: o.prometheus}
	usage := func(format string, args ...any) (export.Cluster, error) {
		return c, problem.New(problem.ExitUsage, "usage", format, args...)
	}
	switch {
	case !o.given():
		return c, nil
	case as != "kubernetes":
		return usage("--replicas, --autoscale, --prometheus and --nodes are for --as kubernetes")
	case o.replicas < 0 || o.nodes < 0:
		return usage("--replicas and --nodes are numbers from 1 on")
	case o.prometheus != "" && o.autoscale == "":
		return usage("--prometheus is for --autoscale")
	case o.autoscale != "" && o.replicas > 0:
		return usage("--replicas and --autoscale exclude each other: the least is the first number of --autoscale")
	case o.autoscale != "" && o.nodes > 1:
		return usage("--autoscale scales single pods; groups of nodes are copied by --replicas")
	}
	if o.autoscale != "" {
		lo, hi, ok := strings.Cut(o.autoscale, "-")
		least, err1 := strconv.Atoi(lo)
		most, err2 := strconv.Atoi(hi)
		switch {
		case !ok || err1 != nil || err2 != nil || most < least || most < 1:
			return usage("--autoscale %q is no range like 1-4", o.autoscale)
		case least < 1:
			return c, problem.New(problem.ExitUsage, "usage", "--autoscale %s would end at no copy", o.autoscale).
				Because("its own metrics are what an engine is scaled by, and where there is none, nothing counts the requests").
				Try("keep one", "--autoscale 1-"+hi).Try("a gateway that holds requests and wakes the model", "justright serve")
		}
		c.Replicas, c.MaxCopies = least, most
	}
	return c, nil
}
