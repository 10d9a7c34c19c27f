package cli

import (
	"context"
	"fmt"
	"time"

	"justright/catalog"
	"justright/problem"
	"justright/solve"
)

// examineTarget asks a machine that ssh reaches, or a cluster, what it has.
func (w *World) examineTarget(ctx context.Context, on string) []finding {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	switch {
	case isSSH(on):
		t, err := w.sshTarget(on)
		if err == nil {
			err = t.tellHost(ctx, &solve.Request{})
		}
		if err != nil {
			return []finding{troubled("machine", on, err)}
		}
		m, _, err := t.host(ctx)
		if err != nil {
			return []finding{troubled("machine", on, err)}
		}
		return []finding{good("machine", "%s: %s", t.hostName(), describeHost(m))}
	case isKubernetes(on):
		t, err := w.kubernetesTarget(on)
		if err != nil {
			return []finding{troubled("cluster", on, err)}
		}
		if err := t.mayLaunch(ctx, ""); err != nil {
			return []finding{troubled("cluster", on, err)}
		}
		offers, err := t.provider.Offers(ctx)
		if err != nil {
			return []finding{troubled("cluster", on, err)}
		}
		return []finding{clusterFinding(t, offers)}
	}
	return nil
}

// clusterFinding says which cards a cluster has.
func clusterFinding(t target, offers []catalog.Offer) finding {
	cards, most := 0, 0
	for _, o := range offers {
		if o.GPU != "" {
			cards++
			most = max(most, o.MaxCount)
		}
	}
	if cards == 0 {
		return note("cluster", "%s: no card that the catalog knows is offered there", t.why)
	}
	text := fmt.Sprintf("%s: %d kinds of card", t.why, cards)
	if most > 1 {
		text += fmt.Sprintf(", up to %d on one node", most)
	}
	return good("cluster", "%s", text)
}

// troubled is what stands in the way, with the way on that the error knows.
func troubled(name, on string, err error) finding {
	p := problem.From(providerProblem(err, on))
	text := p.Summary
	if p.Cause != "" {
		text += " (" + p.Cause + ")"
	}
	f := bad(p.Exit, name, "%s", text)
	if len(p.Hints) > 0 {
		return f.fix(p.Hints[0].Text, p.Hints[0].Command)
	}
	return f
}
