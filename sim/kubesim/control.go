package kubesim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const card = "nvidia.com/gpu"

func cardsOf(p corev1.PodSpec) int {
	n := 0
	for _, c := range p.Containers {
		q := c.Resources.Limits[card]
		n += int(q.Value())
	}
	return n
}

func over(p corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// control is every controller in turn, until the cluster is closed.
func (c *Cluster) control() {
	defer close(c.done)
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return
		}
		for _, o := range c.of("jobs") {
			c.job(o)
		}
		for _, o := range c.of("pods") {
			c.pod(o)
		}
		c.collect()
		c.mu.Unlock()
		time.Sleep(c.o.Step)
	}
}

// job makes the pod of a job and counts how it ended.
func (c *Cluster) job(o map[string]any) {
	j := typed[batchv1.Job](o)
	var mine []corev1.Pod
	for _, p := range c.of("pods") {
		pod := typed[corev1.Pod](p)
		if slices.ContainsFunc(pod.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == j.UID }) {
			mine = append(mine, pod)
		}
	}
	if j.DeletionTimestamp != nil {
		for _, p := range mine {
			c.mark(p)
		}
		if len(mine) == 0 {
			delete(c.objects, key("jobs", j.Namespace, j.Name))
		}
		return
	}
	if len(j.Status.Conditions) > 0 {
		return
	}
	end := func(kind batchv1.JobConditionType, reason string) {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(c.o.Now())})
		o["status"] = generic(j.Status)
		c.put("jobs", o)
		c.event(o, map[bool]string{true: "Warning", false: "Normal"}[kind == batchv1.JobFailed], reason, "Job has reached its end")
	}
	if s := j.Spec.ActiveDeadlineSeconds; s != nil && c.o.Now().Sub(j.CreationTimestamp.Time) > time.Duration(*s)*time.Second {
		for _, p := range mine {
			c.mark(p)
		}
		end(batchv1.JobFailed, "DeadlineExceeded")
		return
	}
	if j.Spec.CompletionMode != nil && *j.Spec.CompletionMode == batchv1.IndexedCompletion {
		c.indexed(j, mine, end, func(index string) { c.podOf(o, j, index) })
		return
	}
	for _, p := range mine {
		disrupted := slices.ContainsFunc(p.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == corev1.DisruptionTarget })
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			end(batchv1.JobComplete, "Completed")
			return
		case p.Status.Phase == corev1.PodFailed && !disrupted:
			end(batchv1.JobFailed, "BackoffLimitExceeded")
			return
		case !over(p):
			return
		}
	}
	c.podOf(o, j, "")
}

// podOf makes a job's pod, with its number where it has one. The lock is held.
func (c *Cluster) podOf(o map[string]any, j batchv1.Job, index string) {
	pod := corev1.Pod{ObjectMeta: *j.Spec.Template.ObjectMeta.DeepCopy(), Spec: j.Spec.Template.Spec}
	c.next++
	pod.Name, pod.Namespace = fmt.Sprintf("%s-%05x", j.Name, c.next), j.Namespace
	if index != "" {
		pod.Name = fmt.Sprintf("%s-%s-%05x", j.Name, index, c.next)
		pod.Labels[batchv1.JobCompletionIndexAnnotation] = index
		pod.Spec.Hostname = j.Name + "-" + index
		pod.Spec.Containers = slices.Clone(pod.Spec.Containers)
		pod.Spec.Containers[0].Env = append(slices.Clone(pod.Spec.Containers[0].Env), corev1.EnvVar{Name: "JOB_COMPLETION_INDEX", Value: index})
	}
	yes := true
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: j.Name, UID: j.UID, Controller: &yes, BlockOwnerDeletion: &yes}}
	pod.Status.Phase = corev1.PodPending
	p := generic(pod)
	if err := c.overQuota(p); err != nil {
		c.event(o, "Warning", "FailedCreate", fmt.Sprintf("Error creating: pods %q is forbidden: %v", pod.Name, err))
		return
	}
	c.put("pods", p)
	c.event(o, "Normal", "SuccessfulCreate", "Created pod: "+pod.Name)
}

// mark asks for a pod's end.
func (c *Cluster) mark(p corev1.Pod) {
	if o := c.objects[key("pods", p.Namespace, p.Name)]; o != nil && text(meta(o)["deletionTimestamp"]) == "" {
		meta(o)["deletionTimestamp"] = c.o.Now().UTC().Format(metaTime)
		c.put("pods", o)
	}
}

// pod schedules a pod, starts its container, and ends it.
func (c *Cluster) pod(o map[string]any) {
	p := typed[corev1.Pod](o)
	uid := string(p.UID)
	if p.DeletionTimestamp != nil {
		stop, runs := c.running[uid]
		if !runs {
			delete(c.objects, key("pods", p.Namespace, p.Name))
			return
		}
		if stop != nil {
			c.running[uid] = nil
			go func() {
				stop()
				time.Sleep(c.o.Linger)
				c.mu.Lock()
				defer c.mu.Unlock()
				if l := c.logs[uid]; l != nil {
					l.end()
				}
				delete(c.running, uid)
				delete(c.objects, key("pods", p.Namespace, p.Name))
				c.changed.Broadcast()
			}()
		}
		return
	}
	if over(p) {
		return
	}
	if p.Spec.NodeName == "" {
		c.schedule(o, p)
		return
	}
	if _, started := c.running[uid]; !started {
		c.start(o, p)
	}
}

// schedule puts a pod on the first node that takes it.
func (c *Cluster) schedule(o map[string]any, p corev1.Pod) {
	why := map[string]int{}
	var order []string
	miss := func(reason string) {
		if why[reason] == 0 {
			order = append(order, reason)
		}
		why[reason]++
	}
	nodes := c.of("nodes")
	for _, raw := range nodes {
		n := typed[corev1.Node](raw)
		switch reason := c.takes(n, p); reason {
		case "":
			spec, _ := o["spec"].(map[string]any)
			spec["nodeName"] = n.Name
			c.put("pods", o)
			c.event(o, "Normal", "Scheduled", fmt.Sprintf("Successfully assigned %s/%s to %s", p.Namespace, p.Name, n.Name))
			return
		default:
			miss(reason)
		}
	}
	var parts []string
	for _, r := range order {
		parts = append(parts, fmt.Sprintf("%d %s", why[r], r))
	}
	c.event(o, "Warning", "FailedScheduling", fmt.Sprintf("0/%d nodes are available: %s.", len(nodes), strings.Join(parts, ", ")))
}

func (c *Cluster) takes(n corev1.Node, p corev1.Pod) string {
	for k, v := range p.Spec.NodeSelector {
		if n.Labels[k] != v {
			return "node(s) didn't match Pod's node affinity/selector"
		}
	}
	for _, t := range n.Spec.Taints {
		if !slices.ContainsFunc(p.Spec.Tolerations, func(x corev1.Toleration) bool { return x.Key == t.Key }) {
			return "node(s) had untolerated taint(s)"
		}
	}
	used := corev1.ResourceList{}
	for _, o := range c.of("pods") {
		other := typed[corev1.Pod](o)
		if other.Spec.NodeName == n.Name && !over(other) {
			addRequests(used, other.Spec)
		}
	}
	addRequests(used, p.Spec)
	for _, k := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, card} {
		u, have := used[k], n.Status.Allocatable[k]
		if u.Cmp(have) > 0 {
			return "Insufficient " + string(k)
		}
	}
	return ""
}

func addRequests(sum corev1.ResourceList, p corev1.PodSpec) {
	for _, k := range p.Containers {
		for _, l := range []corev1.ResourceList{k.Resources.Requests, k.Resources.Limits} {
			for name, q := range l {
				if _, asked := k.Resources.Requests[name]; asked && len(k.Resources.Requests) > 0 && &l == &k.Resources.Limits {
					continue
				}
				have := sum[name]
				have.Add(q)
				sum[name] = have
			}
		}
	}
}

// collect removes what belongs to an owner that is gone.
func (c *Cluster) collect() {
	uids := map[string]bool{}
	for _, o := range c.objects {
		uids[text(meta(o)["uid"])] = true
	}
	for k, o := range c.objects {
		refs, _ := meta(o)["ownerReferences"].([]any)
		for _, r := range refs {
			ref, _ := r.(map[string]any)
			if uids[text(ref["uid"])] {
				continue
			}
			if strings.HasPrefix(k, "pods/") {
				if text(meta(o)["deletionTimestamp"]) == "" {
					meta(o)["deletionTimestamp"] = c.o.Now().UTC().Format(metaTime)
				}
			} else {
				delete(c.objects, k)
			}
		}
	}
}
