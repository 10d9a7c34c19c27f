package kubesim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	authv1 "k8s.io/api/authorization/v1"
)

const rulesReview = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"

// review answers what the caller may do in a namespace: everything that Forbid does not refuse.
func (c *Cluster) review(w http.ResponseWriter, r *http.Request) {
	var ask authv1.SelfSubjectRulesReview
	if json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&ask) != nil {
		status(w, http.StatusBadRequest, "BadRequest", "the object provided is unrecognized")
		return
	}
	groups := map[string]string{"jobs": "batch", "runtimeclasses": "node.k8s.io"}
	for resource := range strings.FieldsSeq("nodes pods pods/log pods/portforward services secrets events configmaps jobs runtimeclasses") {
		rule := authv1.ResourceRule{APIGroups: []string{groups[resource]}, Resources: []string{resource}}
		for verb := range strings.FieldsSeq("create get list patch delete") {
			if c.o.Forbid == nil || !c.o.Forbid(verb, resource, ask.Spec.Namespace) {
				rule.Verbs = append(rule.Verbs, verb)
			}
		}
		if len(rule.Verbs) > 0 {
			ask.Status.ResourceRules = append(ask.Status.ResourceRules, rule)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(ask)
}
