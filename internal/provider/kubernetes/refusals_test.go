package kubernetes_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"k8s.io/client-go/rest"

	"justright/internal/provider"
	"justright/launch"
	"justright/sim/kubesim"
)

// TestAdmissionTexts: the words of a real API server (1.37.2; make kubernetes provokes them) and of policies that people install.
func TestAdmissionTexts(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		kind   launch.FailureKind
	}{
		{403, `pods "jr-x" is forbidden: exceeded quota: cards, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=0`, launch.FailRoom},
		{403, `pods "jr-x" is forbidden: failed quota: mem: must specify limits.memory for: engine`, launch.FailRoom},
		{403, `pods "jr-x" is forbidden: minimum memory usage per Container is 8Gi, but request is 4Gi`, launch.FailRoom},
		{403, `pods "jr-x" is forbidden: [maximum cpu usage per Container is 100m, but request is 500m, maximum memory usage per Pod is 1Gi, but request is 4294967296]`, launch.FailRoom},
		{422, `Pod "jr-x" is invalid: spec.containers[0].resources.requests: Invalid value: "4Gi": must be less than or equal to memory limit of 1Gi`, launch.FailRoom},
		{403, `pods "jr-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "engine" must set securityContext.runAsNonRoot=true)`, launch.FailPolicy},
		{400, `admission webhook "validate.kyverno.svc-fail" denied the request: policy Pod/models/jr-x for resource violation: images must come from registry.example`, launch.FailRejected},
		{403, `pods "jr-x" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'all' denied request: failed expression`, launch.FailRejected},
		{404, `namespaces "models" not found`, launch.FailNoNamespace},
		{403, `pods is forbidden: User "system:serviceaccount:models:poor" cannot create resource "pods" in API group "" in the namespace "models"`, ""}, // may make jobs: the job's own answer counts
		{422, `Pod "jr-x" is invalid: spec.containers[0].image: Required value`, launch.FailRejected},
		{401, `Unauthorized`, launch.FailAuth},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("dryRun") == "" { // the judgement of the pod comes first, and ends it
				w.WriteHeader(http.StatusTeapot)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": c.text, "code": c.status})
		}))
		_, err := adapter(t, &rest.Config{Host: s.URL}, nil).Create(t.Context(), attempt(gpuSpec()))
		s.Close()
		want := c.kind
		if want == "" {
			want = launch.FailRejected // of the teapot
		}
		if provider.KindOf(err) != want {
			t.Errorf("%d %s\nis %s, want %s: %v", c.status, c.text, provider.KindOf(err), want, err)
		}
	}
}

// What a launch may not do is told before anything is made, and a server that does not tell stops nobody.
func TestMissingRights(t *testing.T) {
	_, r := cluster(t, kubesim.Options{Forbid: func(verb, resource, _ string) bool {
		return verb == "create" && resource == "secrets" || verb == "list" && resource == "nodes" || resource == "pods/portforward"
	}})
	missing := func(expose string) []string {
		all, err := adapter(t, r, nil).Missing(t.Context(), expose)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, m := range all {
			out = append(out, m.String())
		}
		return out
	}
	if got, want := missing("port-forward"), []string{"create secrets", "create pods/portforward", "list nodes of the cluster"}; !slices.Equal(got, want) {
		t.Errorf("missing %q, want %q", got, want)
	}
	if got, want := missing("service"), []string{"create secrets", "list nodes of the cluster"}; !slices.Equal(got, want) {
		t.Errorf("missing %q, want %q", got, want)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if all, err := adapter(t, &rest.Config{Host: s.URL}, nil).Missing(t.Context(), ""); err != nil || len(all) > 0 {
		t.Errorf("a server that does not tell: %v, %v", all, err)
	}
}
