package kubernetes

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"justright/internal/kubeobject"
	"justright/launch"
)

// instance describes a job with its pods.
func (p *Provider) instance(ctx context.Context, job batchv1.Job, pods []corev1.Pod) launch.Instance {
	in := launch.Instance{
		ID: job.Name, Name: job.Name, AttemptID: job.Labels[kubeobject.AttemptLabel], OwnerID: job.Labels[kubeobject.OwnerLabel],
		GPU: job.Annotations[gpuNote], Created: job.CreationTimestamp.Time, Status: launch.Provisioning,
	}
	if c := containerOf(job.Spec.Template.Spec); c != nil && in.GPU != "" {
		if q, ok := c.Resources.Limits[kubeobject.GPU]; ok {
			in.GPUCount = int(q.Value()) * podsOf(job)
		}
	}
	if n := podsOf(job); n > 1 {
		in.Pods = n
		for _, x := range pods {
			if ready(x) && !ended(x) {
				in.PodsReady++
			}
		}
	}
	pod := speaker(pods)
	if pod != nil {
		if st := statusOfContainer(*pod); st != nil {
			switch {
			case st.State.Running != nil:
				in.Status, in.Started = launch.Running, st.State.Running.StartedAt.Time
				in.Uptime = max(0, p.cfg.Now().Sub(in.Started))
			case st.State.Terminated != nil:
				in.Status = launch.Stopped
			}
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			in.Status = launch.Stopped
		}
	}
	if finished(job) {
		in.Status = launch.Stopped
	}
	in.BaseURL = p.baseURL(ctx, job, pod)
	if in.Status != launch.Stopped {
		p.forward(ctx, job)
	}
	return in
}

// podsOf is how many pods a job has at once.
func podsOf(job batchv1.Job) int {
	if job.Spec.Parallelism == nil {
		return 1
	}
	return max(1, int(*job.Spec.Parallelism))
}

// rankOf is a pod's number in a job of several; 0 in a job of one.
func rankOf(pod corev1.Pod) int {
	n, err := strconv.Atoi(pod.Labels[kubeobject.RankLabel])
	if err != nil {
		return 0
	}
	return n
}

// speaker is the pod that stands for a machine: one that has not ended before one that has, the first of several copies or nodes, and
// the newest of that number.
func speaker(pods []corev1.Pod) *corev1.Pod {
	var best *corev1.Pod
	for i := range pods {
		p := &pods[i]
		switch {
		case best == nil, ended(*best) && !ended(*p):
		case ended(*p) && !ended(*best), rankOf(*p) > rankOf(*best):
			continue
		}
		best = p
	}
	return best
}

func ended(pod corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func containerOf(pod corev1.PodSpec) *corev1.Container {
	i := slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == kubeobject.Container })
	if i < 0 {
		return nil
	}
	return &pod.Containers[i]
}

func statusOfContainer(pod corev1.Pod) *corev1.ContainerStatus {
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == kubeobject.Container })
	if i < 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[i]
}

// finished reports whether a job makes no pod any more.
func finished(job batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed)
	})
}

// baseURL is the address a user will use; empty until it is known.
func (p *Provider) baseURL(ctx context.Context, job batchv1.Job, pod *corev1.Pod) string {
	port := job.Annotations[portNote]
	expose := Expose(job.Annotations[exposeNote])
	switch expose {
	case PortForward:
		if _, local, ok := cutLast(job.Annotations[forwardNote], ":"); ok {
			return "http://127.0.0.1:" + local
		}
		return ""
	case InCluster:
		return fmt.Sprintf("http://%s.%s.svc:%s", job.Name, p.cfg.Namespace, port)
	case NodePort, LoadBalancer: // the service knows
	}
	var service corev1.Service
	if p.c.do(ctx, call{op: "get", path: p.path(coreV1, "services", job.Name)}, &service) != nil {
		return "" // not yet, or not any more
	}
	if expose == LoadBalancer {
		for _, at := range service.Status.LoadBalancer.Ingress {
			if host := at.IP + at.Hostname; host != "" {
				return "http://" + hostPort(host, port)
			}
		}
		return ""
	}
	if len(service.Spec.Ports) == 0 || service.Spec.Ports[0].NodePort == 0 || pod == nil || pod.Status.HostIP == "" {
		return ""
	}
	return "http://" + hostPort(p.nodeAddress(ctx, *pod), strconv.Itoa(int(service.Spec.Ports[0].NodePort)))
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// nodeAddress is where the pod's node is reached from outside: its external address where it has one, else the one it has.
func (p *Provider) nodeAddress(ctx context.Context, pod corev1.Pod) string {
	var node corev1.Node
	if p.c.do(ctx, call{op: "get", path: coreV1 + "/nodes/" + url.PathEscape(pod.Spec.NodeName)}, &node) == nil {
		for _, a := range node.Status.Addresses {
			if a.Type == corev1.NodeExternalIP && a.Address != "" {
				return a.Address
			}
		}
	}
	return pod.Status.HostIP
}

// forward keeps this machine's port connected, where this machine is the one it belongs to.
func (p *Provider) forward(ctx context.Context, job batchv1.Job) {
	host, local, ok := cutLast(job.Annotations[forwardNote], ":")
	n, err := strconv.Atoi(local)
	if !ok || err != nil || host != p.cfg.Host || p.cfg.Forward == nil || job.DeletionTimestamp != nil {
		return
	}
	p.cfg.Forward(ctx, job.Name, n)
}

// turn is the pod that the next connection goes to: the one that runs, and of several copies those that are ready, one after the other,
// as the service does.
func (p *Provider) turn(pods []corev1.Pod) *corev1.Pod {
	var able []*corev1.Pod
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodRunning && pods[i].DeletionTimestamp == nil && ready(pods[i]) {
			able = append(able, &pods[i])
		}
	}
	if one := speaker(pods); len(able) == 0 || one != nil && one.Spec.Subdomain != "" { // of one engine over nodes, the first serves
		if one == nil || one.Status.Phase != corev1.PodRunning {
			return nil
		}
		return one
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns++
	return able[p.turns%len(able)]
}

// ready reports whether a pod takes requests, as far as its probe tells.
func ready(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
}

// PodOf is a running pod of a machine, in turn where it has several, and its port; "" while there is none. gone says that there will be none any more.
func (p *Provider) PodOf(ctx context.Context, id string) (pod string, port int, gone bool, err error) {
	in, err := p.Get(ctx, id)
	if err != nil || in.Status == launch.Gone || in.Status == launch.Stopped {
		return "", 0, err == nil, err
	}
	pods, err := p.pods(ctx, "get", kubeobject.MachineLabel+"="+id)
	if err != nil {
		return "", 0, false, err
	}
	c := p.turn(pods)
	if c == nil {
		return "", 0, false, nil
	}
	if e := containerOf(c.Spec); e != nil && len(e.Ports) > 0 {
		port = int(e.Ports[0].ContainerPort)
	}
	return c.Name, port, false, nil
}

// since words how long ago something was, for a line about a pod.
func (p *Provider) since(t time.Time) time.Duration { return p.cfg.Now().Sub(t).Truncate(time.Second) }
