package kubernetes

import (
	"context"
	"net/http"
	"slices"
	"strings"

	authv1 "k8s.io/api/authorization/v1"

	"justright/internal/provider"
	"justright/launch"
)

// Right is one thing that a launch does in a cluster.
type Right struct {
	Verb, Group, Resource string
	Cluster               bool // in no namespace
}

// String is the right as kubectl words it: "create jobs.batch".
func (r Right) String() string {
	s := r.Verb + " " + r.Resource
	if r.Group != "" {
		s += "." + r.Group
	}
	if r.Cluster {
		s += " of the cluster"
	}
	return s
}

// needed are the rights without which no launch comes to its end. Those that only tell more, such as what others' pods hold, are not
// among them.
func needed(expose Expose) []Right {
	var out []Right
	for _, r := range []struct{ group, resource, verbs string }{
		{"batch", "jobs", "create get list patch delete"}, {"", "pods", "create get list delete"}, {"", "pods/log", "get"}, {"", "secrets", "create patch delete"},
		{"", "services", "create get patch delete"}, {"", "events", "list"},
	} {
		for v := range strings.FieldsSeq(r.verbs) {
			out = append(out, Right{Verb: v, Group: r.group, Resource: r.resource})
		}
	}
	if expose == PortForward {
		out = append(out, Right{Verb: "create", Resource: "pods/portforward"})
	}
	return append(out, Right{Verb: "list", Resource: "nodes", Cluster: true})
}

// Missing lists the rights that a launch lacks here, as the API server itself counts them; none where it cannot tell.
func (p *Provider) Missing(ctx context.Context, expose string) ([]Right, error) {
	ask := authv1.SelfSubjectRulesReview{Spec: authv1.SelfSubjectRulesReviewSpec{Namespace: p.cfg.Namespace}}
	ask.APIVersion, ask.Kind = "authorization.k8s.io/v1", "SelfSubjectRulesReview"
	var said authv1.SelfSubjectRulesReview
	err := p.c.do(ctx, call{op: "rights", method: http.MethodPost, path: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", in: ask}, &said)
	if k := provider.KindOf(err); err != nil && (statusOf(err) == http.StatusUnauthorized || k == launch.FailTemporary || k == launch.FailUnknown) {
		return nil, err
	}
	if err != nil || said.Status.Incomplete {
		return nil, nil // a server that does not tell: each call's own answer will
	}
	return slices.DeleteFunc(needed(p.exposeOf(launch.Spec{Expose: expose})), func(r Right) bool {
		return slices.ContainsFunc(said.Status.ResourceRules, func(g authv1.ResourceRule) bool { return grants(g, r) })
	}), nil
}

// grants reports whether a rule gives a right on objects of any name.
func grants(g authv1.ResourceRule, r Right) bool {
	resource := slices.ContainsFunc(g.Resources, func(s string) bool {
		_, sub, has := strings.Cut(r.Resource, "/")
		return s == "*" || s == r.Resource || has && s == "*/"+sub
	})
	return resource && len(g.ResourceNames) == 0 && (slices.Contains(g.Verbs, "*") || slices.Contains(g.Verbs, r.Verb)) &&
		(slices.Contains(g.APIGroups, "*") || slices.Contains(g.APIGroups, r.Group))
}

// Namespace is where machines are made.
func (p *Provider) Namespace() string { return p.cfg.Namespace }
