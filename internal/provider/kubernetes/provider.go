// Package kubernetes makes machines in a cluster. A machine is a job of one pod, beside a service and a secret that go with
// it: the job ends when its first process does, and its cards are free then. Its name is made of the attempt's id, so a create
// that is sent twice makes one machine.
package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"justright/internal/kubeobject"
	"justright/internal/provider"
	"justright/launch"
)

// Name is the word of --on.
const Name = "kubernetes"

// Annotations of a machine's job.
const (
	exposeNote  = "justright/expose"
	forwardNote = "justright/forward" // HOST:PORT of the machine whose user made it
	portNote    = "justright/port"
	gpuNote     = "justright/gpu"
)

// Provider is one namespace of one cluster as one user.
type Provider struct {
	cfg Config
	c   *client

	mu    sync.Mutex
	cards bool             // some node has one; of the last Offers
	turns int              // connections handed on
	rooms map[string][]int // free cards, or places for a pod without one, of each node, by the selector of its offer; of the last Offers
	host  [2]int64         // least memory of the nodes that were offered for the CPU build, in all and free; of the last Offers
}

var _ provider.Provider = (*Provider)(nil)

// New makes the adapter. It does not call the cluster.
func New(cfg Config) (*Provider, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, c: c}, nil
}

// Name is "kubernetes".
func (p *Provider) Name() string { return Name }

// Create first lets the cluster judge the pod without making it, so that a quota, a policy or a missing right is told at once and
// leaves nothing. Then secret, service and, last, the job are made: whatever cuts this off, a job that exists is whole.
func (p *Provider) Create(ctx context.Context, s launch.Spec) (launch.Instance, error) {
	if s.AttemptID == "" || s.OwnerID == "" {
		return launch.Instance{}, &provider.Error{Op: "create", Kind: launch.FailRejected, Detail: "a create without attempt and owner id could not be found again"}
	}
	if err := ctx.Err(); err != nil {
		return launch.Instance{}, fail("create", err)
	}
	expose := p.exposeOf(s)
	m, secret, err := p.machine(ctx, s, expose)
	if err != nil {
		return launch.Instance{}, err
	}
	job := m.Job(kubeobject.Limits{Seconds: p.deadline(s.Env), Kept: keptSeconds})
	if err := p.rehearse(ctx, job); err != nil {
		return launch.Instance{}, err
	}
	mine := map[string]string{kubeobject.AttemptLabel: s.AttemptID}
	if m.Ranks > 1 {
		mine[kubeobject.RankLabel] = "0" // who serves
	}
	service := m.Service(map[Expose]corev1.ServiceType{NodePort: corev1.ServiceTypeNodePort, LoadBalancer: corev1.ServiceTypeLoadBalancer}[expose], mine)
	if service.Spec.Type == "" {
		service.Spec.Type = corev1.ServiceTypeClusterIP
	}
	type beside struct {
		resource string
		object   any
	}
	all := []beside{{"secrets", m.Secret(secret)}, {"services", service}}
	if m.Ranks > 1 {
		all = append(all, beside{"services", m.RanksService(map[string]string{kubeobject.AttemptLabel: s.AttemptID})})
	}
	for _, o := range all {
		if err := p.besides(ctx, call{op: "create", method: http.MethodPost, path: p.path(coreV1, o.resource), in: o.object, once: true}); err != nil {
			p.sweepAfter(ctx, m.Name)
			return launch.Instance{}, err
		}
	}
	var made batchv1.Job
	err = p.c.do(ctx, call{op: "create", method: http.MethodPost, path: p.path(batchV1, "jobs"), in: job, once: true}, &made)
	if err != nil && provider.KindOf(err) == launch.FailConflict {
		// This attempt's own, made before; anybody else's has another mark.
		if gerr := p.c.do(ctx, call{op: "create", path: p.path(batchV1, "jobs", m.Name)}, &made); gerr == nil && made.Labels[kubeobject.AttemptLabel] == s.AttemptID && made.DeletionTimestamp == nil {
			err = nil
		}
	}
	if err != nil {
		if k := provider.KindOf(err); k != launch.FailTemporary && k != launch.FailUnknown {
			p.sweepAfter(ctx, m.Name)
		}
		return launch.Instance{}, err
	}
	p.own(ctx, made, m)
	return p.instance(ctx, made, nil), nil
}

// exposeOf is the way a machine is to be reached.
func (p *Provider) exposeOf(s launch.Spec) Expose {
	if slices.Contains(Exposes(), Expose(s.Expose)) {
		return Expose(s.Expose)
	}
	return p.cfg.Expose
}

// keptSeconds is how long the cluster keeps what is left of an ended machine: its log can be read a day.
const keptSeconds = 24 * 3600

// besides sends a request for what costs nothing and has a name of this attempt, so that it may be sent again.
func (p *Provider) besides(ctx context.Context, k call) error {
	for n := 1; ; n++ {
		err := p.c.do(ctx, k, nil)
		if err == nil || provider.KindOf(err) == launch.FailConflict {
			return nil
		}
		if n == 3 || provider.KindOf(err) != launch.FailTemporary || ctx.Err() != nil || p.cfg.Sleep(ctx, time.Duration(n)*time.Second) != nil {
			return err
		}
	}
}

// sweepAfter removes what a refused create left beside the job that never was.
func (p *Provider) sweepAfter(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = p.removeBeside(ctx, name) // best effort: it costs nothing and carries the owner's mark
}

// own ties secret and service to the job, so that the cluster itself removes them with it.
func (p *Provider) own(ctx context.Context, job batchv1.Job, m kubeobject.Machine) {
	if job.UID == "" {
		return
	}
	patch := map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{{
		APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}}}}
	for name, resource := range map[string]string{m.SecretName(): "secrets", m.Name: "services", m.RanksName(): "services"} {
		if name == m.RanksName() && m.Ranks <= 1 {
			continue
		}
		_ = p.c.do(ctx, call{op: "create", method: http.MethodPatch, path: p.path(coreV1, resource, name), in: patch, // Delete removes them too
			kind: "application/merge-patch+json"}, nil)
	}
}

// rehearse asks the cluster to judge the job's pod without making it.
func (p *Provider) rehearse(ctx context.Context, job batchv1.Job) error {
	pod := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec}
	pod.Name = job.Name
	err := p.besides(ctx, call{op: "create", method: http.MethodPost, path: p.path(coreV1, "pods"), in: pod, query: url.Values{"dryRun": {"All"}}, once: true})
	if provider.KindOf(err) == launch.FailAuth && statusOf(err) == http.StatusForbidden {
		return nil // one may make jobs and no pods: the job's own answer counts
	}
	return err
}

// machine maps a spec. Everything of its environment but the guard's limits goes into the secret: whoever may look at pods
// does not see it, and no value is read for $(NAME).
func (p *Provider) machine(ctx context.Context, s launch.Spec, expose Expose) (kubeobject.Machine, map[string]string, error) {
	m := kubeobject.Machine{
		Name: kubeobject.Name(s.Name, s.AttemptID), Image: s.Image, Command: s.Start.Entrypoint, Args: s.Start.Cmd, GPUs: s.GPUCount, DiskGB: s.DiskGB,
		Copies: s.Copies, Ranks: s.Nodes,
		Zones: s.DataCenters, PullSecret: s.RegistryID, Claim: s.VolumeID, ClaimPath: s.VolumePath, Runtime: p.cfg.Runtime,
		Env: map[string]string{}, Annotations: map[string]string{exposeNote: string(expose)},
	}
	m.Labels = map[string]string{kubeobject.AttemptLabel: s.AttemptID, kubeobject.OwnerLabel: s.OwnerID, kubeobject.MachineLabel: m.Name}
	if s.GPU == "" {
		m.GPUs = 0
	} else {
		m.GPUs = max(1, s.GPUCount)
		m.Annotations[gpuNote] = s.GPU
		nodes, err := selectorOf(s.GPU)
		if err != nil {
			return m, nil, &provider.Error{Op: "create", Kind: launch.FailRejected, Detail: err.Error()}
		}
		m.Nodes = nodes
		if m.Runtime == "" {
			m.Runtime = p.nvidiaRuntime(ctx)
		}
	}
	for _, port := range s.Ports {
		n, ok := strings.CutSuffix(port, "/http")
		if v, err := strconv.Atoi(n); ok && err == nil && m.Port == 0 {
			m.Port = v
		}
	}
	if m.Port == 0 {
		return m, nil, &provider.Error{Op: "create", Kind: launch.FailRejected, Detail: "no http port: nobody could reach it"}
	}
	m.Annotations[portNote] = strconv.Itoa(m.Port)
	if expose == PortForward {
		local, err := p.cfg.FreePort(ctx)
		if err != nil {
			return m, nil, &provider.Error{Op: "create", Kind: launch.FailNoCapacity, Err: err}
		}
		m.Annotations[forwardNote] = p.cfg.Host + ":" + strconv.Itoa(local)
	}
	secret := map[string]string{}
	for k, v := range s.Env {
		if strings.HasPrefix(k, "JUSTRIGHT_") {
			m.Env[k] = v
		} else {
			secret[k] = v
		}
	}
	m.Env["JUSTRIGHT_ATTEMPT"], m.Env["JUSTRIGHT_OWNER"], m.Env["JUSTRIGHT_GUARD"] = s.AttemptID, s.OwnerID, "job"
	if m.Env["JUSTRIGHT_HOLD"] == "" {
		m.Env["JUSTRIGHT_HOLD"] = "5" // an ended pod's log stays readable: nothing is held for it
	}
	if m.Ranks > 1 {
		m.Env[kubeobject.LeaderEnv] = m.LeaderAddress()
	}
	if m.Claim == "" {
		m.Env["JUSTRIGHT_ROOT"] = kubeobject.CacheRoot
	}
	return m, secret, nil
}

// clusterAfter is by how much the cluster's own limit lets the guard inside go first: it ends the engine in order.
const clusterAfter = 2 * time.Minute

// deadline is the job's own limit in seconds: the nearest of the guard's absolute ones; 0 for one that is years away.
func (p *Provider) deadline(env map[string]string) int64 {
	least := time.Time{}
	for _, k := range []string{"JUSTRIGHT_CAP_BY", "JUSTRIGHT_END_BY"} {
		n, err := strconv.ParseInt(env[k], 10, 64)
		if t := time.Unix(n, 0); err == nil && (least.IsZero() || t.Before(least)) {
			least = t
		}
	}
	left := least.Sub(p.cfg.Now()) + clusterAfter
	if least.IsZero() || left > 365*24*time.Hour {
		return 0
	}
	return max(60, int64(left.Seconds()))
}

// Extend moves the cluster's own limit of a machine's life to behind another end of the guard inside.
func (p *Provider) Extend(ctx context.Context, id string, end time.Time) error {
	var job batchv1.Job
	if err := p.c.do(ctx, call{op: "extend", path: p.path(batchV1, "jobs", id)}, &job); err != nil {
		return unproven(err)
	}
	if job.Spec.ActiveDeadlineSeconds == nil {
		return nil
	}
	start := job.CreationTimestamp.Time
	if t := job.Status.StartTime; t != nil {
		start = t.Time
	}
	seconds := int64(end.Add(clusterAfter).Sub(start).Seconds())
	patch := map[string]any{"spec": map[string]any{"activeDeadlineSeconds": max(60, seconds)}}
	return p.c.do(ctx, call{op: "extend", method: http.MethodPatch, path: p.path(batchV1, "jobs", id), in: patch, kind: "application/merge-patch+json"}, nil)
}

// nvidiaRuntime is the runtime class of cards where the cluster has one; a cluster whose default runtime knows cards has none.
func (p *Provider) nvidiaRuntime(ctx context.Context) string {
	const name = "nvidia"
	if p.c.do(ctx, call{op: "create", path: nodeV1 + "/runtimeclasses/" + name}, nil) == nil {
		return name
	}
	return ""
}

// Get describes one machine. It is gone when the API server denies the job and shows none of its pods.
func (p *Provider) Get(ctx context.Context, id string) (launch.Instance, error) {
	if id == "" {
		return launch.Instance{}, nameless("get")
	}
	var job batchv1.Job
	err := p.c.do(ctx, call{op: "get", path: p.path(batchV1, "jobs", id)}, &job)
	if err != nil && !denied(err, id) {
		return launch.Instance{}, unproven(err)
	}
	pods, perr := p.pods(ctx, "get", kubeobject.MachineLabel+"="+id)
	if perr != nil {
		return launch.Instance{}, perr
	}
	if err != nil {
		if len(pods) == 0 {
			return launch.Instance{ID: id, Status: launch.Gone}, nil
		}
		// Somebody removed the job and left its pods: they hold their cards.
		return launch.Instance{ID: id, Name: id, AttemptID: pods[0].Labels[kubeobject.AttemptLabel], OwnerID: pods[0].Labels[kubeobject.OwnerLabel],
			Status: launch.Stopped, Created: pods[0].CreationTimestamp.Time}, nil
	}
	return p.instance(ctx, job, pods), nil
}

func nameless(op string) error {
	return &provider.Error{Op: op, Kind: launch.FailRejected, Detail: "a machine without a name"}
}

// pods lists pods by label.
func (p *Provider) pods(ctx context.Context, op, selector string) ([]corev1.Pod, error) {
	pods, err := all[corev1.Pod](ctx, p.c, op, p.path(coreV1, "pods"), url.Values{"labelSelector": {selector}})
	if err != nil {
		return nil, unproven(err)
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		if d := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return pods, nil
}

// List describes the machines of the namespace, whoever made them with this program.
func (p *Provider) List(ctx context.Context) ([]launch.Instance, error) {
	query := url.Values{"labelSelector": {kubeobject.ManagedSelector + "," + kubeobject.AttemptLabel}}
	jobs, err := all[batchv1.Job](ctx, p.c, "list", p.path(batchV1, "jobs"), query)
	if err != nil {
		return nil, unproven(err)
	}
	pods, err := p.pods(ctx, "list", query.Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	by := map[string][]corev1.Pod{}
	for _, pod := range pods {
		id := pod.Labels[kubeobject.MachineLabel]
		by[id] = append(by[id], pod)
	}
	out := make([]launch.Instance, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, p.instance(ctx, j, by[j.Name]))
		delete(by, j.Name)
	}
	for id, left := range by { // pods that outlive their job
		if id != "" {
			out = append(out, launch.Instance{ID: id, Name: id, AttemptID: left[0].Labels[kubeobject.AttemptLabel], OwnerID: left[0].Labels[kubeobject.OwnerLabel],
				Status: launch.Stopped, Created: left[0].CreationTimestamp.Time})
		}
	}
	slices.SortFunc(out, func(a, b launch.Instance) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Delete asks for the removal of the job, which the API server keeps until its pods are gone, and of what goes with it.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if id == "" { // it would name all
		return nameless("delete")
	}
	err := p.c.do(ctx, call{op: "delete", method: http.MethodDelete, path: p.path(batchV1, "jobs", id), query: url.Values{"propagationPolicy": {"Foreground"}}}, nil)
	if err != nil && !denied(err, id) {
		return unproven(err)
	}
	if err != nil { // the job is gone: its pods may have been left
		pods, perr := p.pods(ctx, "delete", kubeobject.MachineLabel+"="+id)
		if perr != nil {
			return perr
		}
		for _, pod := range pods {
			if derr := p.c.do(ctx, call{op: "delete", method: http.MethodDelete, path: p.path(coreV1, "pods", pod.Name)}, nil); derr != nil && !denied(derr, pod.Name) {
				return unproven(derr)
			}
		}
	}
	return p.removeBeside(ctx, id)
}

// removeBeside removes secret and service of a machine by their names.
func (p *Provider) removeBeside(ctx context.Context, id string) error {
	m := kubeobject.Machine{Name: id}
	for _, o := range [][2]string{{"services", id}, {"services", m.RanksName()}, {"secrets", m.SecretName()}} {
		err := p.c.do(ctx, call{op: "delete", method: http.MethodDelete, path: p.path(coreV1, o[0], o[1])}, nil)
		if err != nil && !denied(err, o[1]) {
			return unproven(err)
		}
	}
	return nil
}

// selectorOf reads a selector as offers write it: "label=value,label=value".
func selectorOf(s string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(part, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q selects no nodes: wanted is label=value", s)
		}
		out[k] = v
	}
	return out, nil
}
