// Package kubesim is a small Kubernetes: an API server with nodes, a scheduler, the job controller, a garbage collector and
// kubelets that run nothing but what a Runner plays. It answers what the program's adapter and a few others ask; where it differs
// from a real API server, it is wrong: `make kubernetes` drives the same suite against one.
package kubesim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Options of a cluster.
type Options struct {
	Nodes  []corev1.Node
	Runner Runner
	Token  string           // empty: every caller is let in
	Now    func() time.Time // nil: time.Now
	// Quota is the most cards that pods of one namespace may ask for; 0: any number.
	Quota int
	// Forbid refuses a call by its verb ("list", "create", …) and resource ("nodes"); namespace is empty for the whole cluster.
	Forbid func(verb, resource, namespace string) bool
	// Fault is asked before (done false) and after (done true) a call is carried out. A status above 0 is answered instead; below 0
	// the connection is cut.
	Fault func(method, path string, done bool) int
	// Images are those that can be pulled; nil: all.
	Images []string
	// Step is how long a step of a controller takes; 0: 5 ms.
	Step time.Duration
	// Linger is how long a deleted pod takes to end; 0: one step.
	Linger time.Duration
	// Page is the most objects of one list answer; 0: what the caller asks for.
	Page int
	// CutLogs cuts log streams within a line: the first after so many bytes, each later one after so many more; 0: never.
	CutLogs int
}

// Cluster is an http.Handler.
type Cluster struct {
	o Options

	mu      sync.Mutex
	changed *sync.Cond
	objects map[string]map[string]any // "pods/NAMESPACE/NAME"
	version int
	next    int
	logs    map[string]*logFile // by pod uid
	running map[string]func()   // stops by pod uid
	closed  bool
	streams int // log streams opened
	done    chan struct{}
}

// New starts a cluster; Close ends it.
func New(o Options) *Cluster {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Step == 0 {
		o.Step = 5 * time.Millisecond
	}
	if o.Linger == 0 {
		o.Linger = o.Step
	}
	if o.Nodes == nil {
		o.Nodes = []corev1.Node{Node("node-1", map[string]string{"cpu": "8", "memory": "64Gi", "pods": "110", "ephemeral-storage": "500G"}, nil)}
	}
	c := &Cluster{o: o, objects: map[string]map[string]any{}, logs: map[string]*logFile{}, running: map[string]func(){}, done: make(chan struct{})}
	c.changed = sync.NewCond(&c.mu)
	c.mu.Lock()
	for _, n := range o.Nodes {
		c.put("nodes", n)
	}
	c.mu.Unlock()
	go c.control()
	return c
}

// Close ends the cluster and what runs in it.
func (c *Cluster) Close() {
	c.mu.Lock()
	c.closed = true
	stops := c.running
	c.running = map[string]func(){}
	c.changed.Broadcast()
	c.mu.Unlock()
	for _, stop := range stops {
		if stop != nil {
			stop()
		}
	}
	<-c.done
}

// Node is a node that is ready, with allocatable resources and labels.
func Node(name string, allocatable, labels map[string]string) corev1.Node {
	n := corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	n.Status.Allocatable = corev1.ResourceList{}
	for k, v := range allocatable {
		n.Status.Allocatable[corev1.ResourceName(k)] = resource.MustParse(v)
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	return n
}

// kindOf are the resources that are served, with their kinds and groups.
func kindOf(resource string) (kind, version string) {
	switch resource {
	case "nodes", "pods", "services", "secrets", "events", "configmaps", "namespaces":
		return strings.ToUpper(resource[:1]) + strings.TrimSuffix(resource[1:], "s"), "v1"
	case "jobs":
		return "Job", "batch/v1"
	case "runtimeclasses":
		return "RuntimeClass", "node.k8s.io/v1"
	}
	return "", ""
}

func meta(o map[string]any) map[string]any {
	m, ok := o["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		o["metadata"] = m
	}
	return m
}

func text(v any) string { s, _ := v.(string); return s }

func key(resource, namespace, name string) string { return resource + "/" + namespace + "/" + name }

// put stores an object under a new version, with the head that the server gives. The lock is held.
func (c *Cluster) put(res string, v any) map[string]any {
	o, ok := v.(map[string]any)
	if !ok {
		o = generic(v)
	}
	m := meta(o)
	kind, version := kindOf(res)
	o["kind"], o["apiVersion"] = kind, version
	if text(m["uid"]) == "" {
		c.next++
		m["uid"] = fmt.Sprintf("%08x-0000-4000-8000-%012x", c.next, c.next)
		m["creationTimestamp"] = c.o.Now().UTC().Format(time.RFC3339)
	}
	c.version++
	m["resourceVersion"] = fmt.Sprint(c.version)
	c.objects[key(res, text(m["namespace"]), text(m["name"]))] = o
	c.changed.Broadcast()
	return o
}

// generic is a value as JSON has it.
func generic(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("kubesim: " + err.Error())
	}
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		panic("kubesim: " + err.Error())
	}
	return o
}

// typed decodes an object.
func typed[T any](o map[string]any) T {
	var t T
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil {
		panic("kubesim: " + err.Error())
	}
	return t
}

// of lists the objects of a resource in the order of names. The lock is held.
func (c *Cluster) of(res string) []map[string]any {
	var keys []string
	for k := range c.objects {
		if strings.HasPrefix(k, res+"/") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	out := make([]map[string]any, 0, len(keys))
	for _, k := range keys {
		out = append(out, c.objects[k])
	}
	return out
}

// Count is how many objects of a resource there are, for tests of what is left.
func (c *Cluster) Count(res string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.of(res))
}

// Object is an object as JSON has it; nil when it is not there.
func (c *Cluster) Object(res, namespace, name string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key(res, namespace, name)]
	if o == nil {
		return nil
	}
	return generic(o)
}

// event records a word about a pod or job. The lock is held.
func (c *Cluster) event(about map[string]any, kind, reason, message string) {
	m := meta(about)
	for _, e := range c.of("events") {
		if inv, _ := e["involvedObject"].(map[string]any); text(inv["uid"]) == text(m["uid"]) && text(e["reason"]) == reason && text(e["message"]) == message {
			n, _ := e["count"].(float64)
			e["count"], e["lastTimestamp"] = n+1, c.o.Now().UTC().Format(time.RFC3339)
			c.put("events", e)
			return
		}
	}
	now := c.o.Now().UTC().Format(time.RFC3339)
	c.put("events", map[string]any{
		"metadata":       map[string]any{"name": fmt.Sprintf("%s.%x", text(m["name"]), c.next+1), "namespace": m["namespace"]},
		"involvedObject": map[string]any{"kind": about["kind"], "name": m["name"], "namespace": m["namespace"], "uid": m["uid"]},
		"type":           kind, "reason": reason, "message": message, "count": float64(1), "firstTimestamp": now, "lastTimestamp": now,
	})
}

// status writes an error document as the API server does.
func status(w http.ResponseWriter, code int, reason, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": fmt.Sprintf(format, args...), "reason": reason, "code": code})
}

// Add puts an object into the cluster, as others do.
func (c *Cluster) Add(res string, v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(res, v)
}

// Objects lists the objects of a resource as JSON has them.
func (c *Cluster) Objects(res string) []map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []map[string]any
	for _, o := range c.of(res) {
		out = append(out, generic(o))
	}
	return out
}

// Event says a word about an object, as others do.
func (c *Cluster) Event(res, namespace, name, kind, reason, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.objects[key(res, namespace, name)]; o != nil {
		c.event(o, kind, reason, message)
	}
}
