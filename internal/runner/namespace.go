package runner

import (
	"strings"

	"justright/diagnose"
	"justright/launch"
	"justright/problem"
)

// namespaceHint is the way on after what a cluster's namespace refused, which the address of the attempts ends in.
func namespaceHint(p *problem.Problem, s launch.State) *problem.Problem {
	const marker = "/namespaces/"
	if len(s.Attempts) == 0 {
		return p
	}
	_, namespace, ok := strings.Cut(s.Attempts[len(s.Attempts)-1].Address, marker)
	if !ok {
		return p
	}
	other := func(p *problem.Problem) *problem.Problem {
		return p.Try("or launch in another namespace", "justright up "+s.Model+" --on kubernetes:///NAMESPACE")
	}
	switch s.End.Code {
	case string(launch.FailRoom):
		return other(p.Try("see what it may hold", "kubectl -n "+namespace+" describe resourcequota,limitrange"))
	case string(launch.FailPolicy):
		return other(p.Try("see what it takes: a pod that runs as root, without privileges, is the level baseline", "kubectl get namespace "+namespace+" --show-labels"))
	case string(launch.FailNoNamespace):
		return other(p.Try("make it", "kubectl create namespace "+namespace))
	case string(diagnose.ProviderNoCapacity):
		return p.Try("see what the nodes have", "justright plan "+s.Model+" --on kubernetes:///"+namespace)
	}
	return p
}
