package kubesim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// target is what a path names.
type target struct{ group, resource, namespace, name, sub string }

// parse reads a path of the API.
func parse(path string) (t target, ok bool) {
	f := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(f) > 2 && f[0] == "api" && f[1] == "v1":
		t.group, f = "", f[2:]
	case len(f) > 3 && f[0] == "apis":
		t.group, f = f[1], f[3:]
	default:
		return t, false
	}
	if f[0] == "namespaces" && len(f) > 2 {
		t.namespace, f = f[1], f[2:]
	}
	t.resource = f[0]
	if len(f) > 1 {
		t.name = f[1]
	}
	if len(f) > 2 {
		t.sub = f[2]
	}
	_, version := kindOf(t.resource)
	return t, version != "" && len(f) <= 3 && (t.group == "") == (version == "v1") && strings.HasPrefix(version, t.group)
}

// plural is a resource as error texts name it: "jobs.batch".
func (t target) plural() string {
	if t.group == "" {
		return t.resource
	}
	return t.resource + "." + t.group
}

func verbOf(r *http.Request, t target) string {
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodDelete:
		return "delete"
	case http.MethodPatch:
		return "patch"
	}
	if t.name == "" {
		return "list"
	}
	return "get"
}

func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.admit(w, r) {
		return
	}
	if c.fault(w, r, false) {
		return
	}
	if r.URL.Path == rulesReview && r.Method == http.MethodPost {
		c.review(w, r)
		return
	}
	t, ok := parse(r.URL.Path)
	if !ok {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	verb := verbOf(r, t)
	if c.o.Forbid != nil && c.o.Forbid(verb, t.resource, t.namespace) {
		status(w, http.StatusForbidden, "Forbidden", `%s is forbidden: User "system:serviceaccount:default:me" cannot %s resource %q in API group %q in the namespace %q`,
			t.plural(), verb, t.resource, t.group, t.namespace)
		return
	}
	rec := &answer{}
	switch {
	case t.sub == "log" && t.resource == "pods":
		c.log(w, r, t)
		return
	case verb == "create":
		c.create(rec, r, t)
	case verb == "delete":
		c.remove(rec, r, t)
	case verb == "patch":
		c.patch(rec, r, t)
	case verb == "list":
		c.list(rec, r, t)
	default:
		c.get(rec, t)
	}
	if c.fault(w, r, true) {
		return
	}
	rec.send(w)
}

// answer is what a call came to, before it is known whether the caller hears of it.
type answer struct {
	code   int
	reason string
	text   string
	doc    any
}

func (a *answer) fail(code int, reason, format string, args ...any) {
	a.code, a.reason, a.text = code, reason, fmt.Sprintf(format, args...)
}

func (a *answer) send(w http.ResponseWriter) {
	if a.code >= 400 {
		status(w, a.code, a.reason, "%s", a.text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if a.code > 0 {
		w.WriteHeader(a.code)
	}
	_ = json.NewEncoder(w).Encode(a.doc)
}

func (c *Cluster) admit(w http.ResponseWriter, r *http.Request) bool {
	if c.o.Token != "" && r.Header.Get("Authorization") != "Bearer "+c.o.Token {
		status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return false
	}
	return true
}

func (c *Cluster) fault(w http.ResponseWriter, r *http.Request, done bool) bool {
	if c.o.Fault == nil {
		return false
	}
	switch n := c.o.Fault(r.Method, r.URL.Path, done); {
	case n < 0:
		panic(http.ErrAbortHandler)
	case n > 0:
		status(w, n, "InternalError", "an error on the server has prevented the request from succeeding")
		return true
	}
	return false
}

func (c *Cluster) get(a *answer, t target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key(t.resource, t.namespace, t.name)]
	if o == nil {
		a.fail(http.StatusNotFound, "NotFound", "%s %q not found", t.plural(), t.name)
		return
	}
	a.doc = generic(o)
}

// list answers what the selectors match, page by page.
func (c *Cluster) list(a *answer, r *http.Request, t target) {
	q := r.URL.Query()
	c.mu.Lock()
	var found []any
	for _, o := range c.of(t.resource) {
		m := meta(o)
		if t.namespace != "" && text(m["namespace"]) != t.namespace || !hasLabels(m, q.Get("labelSelector")) || !hasFields(o, q.Get("fieldSelector")) {
			continue
		}
		found = append(found, generic(o))
	}
	version := c.version
	c.mu.Unlock()
	kind, group := kindOf(t.resource)
	limit, _ := strconv.Atoi(q.Get("limit"))
	if c.o.Page > 0 && (limit == 0 || limit > c.o.Page) {
		limit = c.o.Page
	}
	from := 0
	if token := q.Get("continue"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if from, _ = strconv.Atoi(string(raw)); err != nil || from <= 0 {
			a.fail(http.StatusBadRequest, "BadRequest", "continue key is not valid")
			return
		}
	}
	head := map[string]any{"resourceVersion": fmt.Sprint(version)}
	found = found[min(from, len(found)):]
	if limit > 0 && len(found) > limit {
		found = found[:limit]
		head["continue"] = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + limit)))
	}
	if found == nil {
		found = []any{}
	}
	a.doc = map[string]any{"kind": kind + "List", "apiVersion": group, "metadata": head, "items": found}
}

func hasLabels(m map[string]any, selector string) bool {
	labels, _ := m["labels"].(map[string]any)
	for part := range strings.SplitSeq(selector, ",") {
		k, v, equal := strings.Cut(part, "=")
		have, there := labels[k]
		if part != "" && (!there || equal && text(have) != v) {
			return false
		}
	}
	return true
}

func hasFields(o map[string]any, selector string) bool {
	for part := range strings.SplitSeq(selector, ",") {
		if part == "" {
			continue
		}
		k, want, ok := strings.Cut(part, "!=")
		not := ok
		if !ok {
			k, want, _ = strings.Cut(part, "=")
		}
		var at any = o
		for name := range strings.SplitSeq(k, ".") {
			m, _ := at.(map[string]any)
			at = m[name]
		}
		if (text(at) == want) == not {
			return false
		}
	}
	return true
}

// create makes an object after the admission that the cluster has.
func (c *Cluster) create(a *answer, r *http.Request, t target) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 3<<20))
	var o map[string]any
	if err != nil || json.Unmarshal(raw, &o) != nil {
		a.fail(http.StatusBadRequest, "BadRequest", "the object provided is unrecognized")
		return
	}
	m := meta(o)
	m["namespace"] = t.namespace
	name := text(m["name"])
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := valid(t.resource, o); err != nil {
		kind, _ := kindOf(t.resource)
		a.fail(http.StatusUnprocessableEntity, "Invalid", "%s %q is invalid: %v", kind, name, err)
		return
	}
	if c.objects[key(t.resource, t.namespace, name)] != nil {
		a.fail(http.StatusConflict, "AlreadyExists", "%s %q already exists", t.plural(), name)
		return
	}
	if t.resource == "pods" {
		if err := c.overQuota(o); err != nil {
			a.fail(http.StatusForbidden, "Forbidden", "pods %q is forbidden: %v", name, err)
			return
		}
	}
	a.code = http.StatusCreated
	if r.URL.Query().Get("dryRun") == "All" {
		a.doc = o
		return
	}
	if t.resource == "services" {
		c.serve(o)
	}
	a.doc = generic(c.put(t.resource, o))
}

// serve gives a service what its type promises.
func (c *Cluster) serve(o map[string]any) {
	spec, _ := o["spec"].(map[string]any)
	ports, _ := spec["ports"].([]any)
	kind := text(spec["type"])
	for i, p := range ports {
		if m, ok := p.(map[string]any); ok && (kind == "NodePort" || kind == "LoadBalancer") {
			m["nodePort"] = 30000 + (c.next+i)%2768
		}
	}
	if kind == "LoadBalancer" {
		o["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "127.0.0.1"}}}}
	}
}

// valid holds what the real server would refuse of our objects.
func valid(resource string, o map[string]any) error {
	name := text(meta(o)["name"])
	if !dnsLabel(name) {
		return fmt.Errorf("metadata.name: Invalid value: %q: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'", name)
	}
	labels, _ := meta(o)["labels"].(map[string]any)
	for k, v := range labels {
		if len(text(v)) > 63 || strings.ContainsAny(text(v), " /:@") {
			return fmt.Errorf("metadata.labels: Invalid value: %q of %s", v, k)
		}
	}
	pod, _ := o["spec"].(map[string]any)
	if resource == "jobs" {
		template, _ := pod["template"].(map[string]any)
		pod, _ = template["spec"].(map[string]any)
		if p := text(pod["restartPolicy"]); p != "Never" && p != "OnFailure" {
			return fmt.Errorf("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"")
		}
	}
	if resource == "jobs" || resource == "pods" {
		if all, _ := pod["containers"].([]any); len(all) == 0 {
			return errors.New("spec.containers: Required value")
		}
	}
	return nil
}

func dnsLabel(s string) bool {
	for i, b := range []byte(s) {
		if ok := b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' && i > 0 || b == '.' && i > 0; !ok {
			return false
		}
	}
	return s != "" && len(s) <= 253 && !strings.HasSuffix(s, "-")
}

// overQuota is the quota plugin's word about a pod. The lock is held.
func (c *Cluster) overQuota(o map[string]any) error {
	want := cardsOf(typed[corev1.Pod](o).Spec)
	if c.o.Quota == 0 || want == 0 {
		return nil
	}
	used := 0
	for _, p := range c.of("pods") {
		pod := typed[corev1.Pod](p)
		if pod.Namespace == text(meta(o)["namespace"]) && !over(pod) {
			used += cardsOf(pod.Spec)
		}
	}
	if used+want > c.o.Quota {
		return fmt.Errorf("exceeded quota: cards, requested: requests.nvidia.com/gpu=%d, used: requests.nvidia.com/gpu=%d, limited: requests.nvidia.com/gpu=%d", want, used, c.o.Quota)
	}
	return nil
}

// patch merges (RFC 7386).
func (c *Cluster) patch(a *answer, r *http.Request, t target) {
	var p map[string]any
	if json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&p) != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		a.fail(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the body of the request was in an unknown format")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key(t.resource, t.namespace, t.name)]
	if o == nil {
		a.fail(http.StatusNotFound, "NotFound", "%s %q not found", t.plural(), t.name)
		return
	}
	merge(o, p)
	a.doc = generic(c.put(t.resource, o))
}

func merge(into, p map[string]any) {
	for k, v := range p {
		sub, isMap := v.(map[string]any)
		have, wasMap := into[k].(map[string]any)
		switch {
		case v == nil:
			delete(into, k)
		case isMap && wasMap:
			merge(have, sub)
		default:
			into[k] = v
		}
	}
}

// remove marks or removes an object. A job that is deleted in the foreground stays until its pods are gone.
func (c *Cluster) remove(a *answer, r *http.Request, t target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key(t.resource, t.namespace, t.name)
	o := c.objects[k]
	if o == nil {
		a.fail(http.StatusNotFound, "NotFound", "%s %q not found", t.plural(), t.name)
		return
	}
	m := meta(o)
	switch policy := r.URL.Query().Get("propagationPolicy"); {
	case t.resource == "pods", t.resource == "jobs" && policy == "Foreground":
		if text(m["deletionTimestamp"]) == "" {
			m["deletionTimestamp"] = c.o.Now().UTC().Format(metaTime)
			if policy == "Foreground" {
				m["finalizers"] = []any{"foregroundDeletion"}
			}
			c.put(t.resource, o)
		}
	case t.resource == "jobs" && policy == "":
		// The job API's own default leaves pods behind.
		delete(c.objects, k)
		for _, p := range c.of("pods") {
			if refs, _ := meta(p)["ownerReferences"].([]any); slices.ContainsFunc(refs, func(x any) bool { y, _ := x.(map[string]any); return y["uid"] == m["uid"] }) {
				delete(meta(p), "ownerReferences")
			}
		}
	default:
		delete(c.objects, k)
	}
	c.changed.Broadcast()
	a.doc = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"}
}

const metaTime = "2006-01-02T15:04:05Z"
