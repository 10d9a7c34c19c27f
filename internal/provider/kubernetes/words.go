package kubernetes

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/internal/kubeobject"
	"justright/launch"
)

// words collects what the cluster says about a machine: events of its job and pods, and how containers ended. It tells each
// once, and holds back what the cluster may still mend by itself.
type words struct {
	p     *Provider
	seen  map[string]bool
	since time.Time // what is not later was told by an earlier call
}

// word is one thing said.
type word struct {
	key  string // the same for the same word
	at   time.Time
	text string
}

// news lists what was not told yet, in order.
func (w *words) news(ctx context.Context, id string, pods []corev1.Pod) ([]word, error) {
	events, err := w.events(ctx, id, pods)
	if err != nil {
		return nil, err
	}
	out := w.of(events, pods)
	for _, pod := range pods {
		out = append(out, endings(pod)...)
	}
	slices.SortStableFunc(out, func(a, b word) int { return a.at.Compare(b.at) })
	out = slices.DeleteFunc(out, func(x word) bool {
		if w.seen[x.key] || !w.since.IsZero() && !x.at.After(w.since) {
			return true
		}
		w.seen[x.key] = true
		return false
	})
	return out, nil
}

// events reads those of the job and of its pods; only these two kinds can be told apart by the API itself.
func (w *words) events(ctx context.Context, id string, pods []corev1.Pod) ([]corev1.Event, error) {
	var out []corev1.Event
	names := []string{id}
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	for _, n := range names {
		some, err := all[corev1.Event](ctx, w.p.c, "logs", w.p.path(coreV1, "events"), url.Values{"fieldSelector": {"involvedObject.name=" + n}})
		if err != nil {
			return nil, unproven(err)
		}
		out = append(out, some...)
	}
	return out, nil
}

// of words events.
func (w *words) of(events []corev1.Event, pods []corev1.Pod) []word {
	helped := map[string]bool{} // pods for which somebody makes room
	for _, e := range events {
		if e.Reason == "TriggeredScaleUp" || e.Reason == "Nominated" || e.Reason == "ProvisioningRequestAccepted" {
			helped[e.InvolvedObject.Name] = true
		}
	}
	scheduled := map[string]bool{}
	for _, pod := range pods {
		scheduled[pod.Name] = pod.Spec.NodeName != ""
	}
	var out []word
	for _, e := range events {
		x := word{key: fmt.Sprintf("%.8s.%d", e.UID, max(1, e.Count, seriesCount(e))), at: timeOf(e), text: textOf(e)}
		switch e.Reason {
		case "FailedScheduling":
			// A node may be on its way, or a pod that ends; the first words say only that it is not here now.
			pod := podOf(pods, e.InvolvedObject.Name)
			if pod == nil || scheduled[pod.Name] || helped[pod.Name] || w.p.since(pod.CreationTimestamp.Time) < w.p.cfg.Patience {
				continue
			}
			x.key = "unschedulable." + pod.Name
			x.at = later(x.at, pod.CreationTimestamp.Add(w.p.cfg.Patience))
			x.text = "no node takes the pod, insufficient capacity. " + x.text // whatever each node lacks, there is none
		case "FailedCreate":
			// The controller is refused the pod that the dry run was not: somebody was quicker. Others end, too.
			if admission(strings.ToLower(e.Message)) != launch.FailRoom || w.p.since(firstOf(e)) < w.p.cfg.Patience {
				break
			}
			x.at = later(x.at, firstOf(e).Add(w.p.cfg.Patience))
			x.key, x.text = "refused."+e.InvolvedObject.Name, "the namespace has no room for the pod, insufficient capacity. "+x.text
		case "Failed":
			if !lasting(e.Message) && strings.Contains(e.Message, "pull") && e.Count < 3 {
				continue // the kubelet tries again, and so do registries
			}
		case "Started":
			x.text = "start container: " + x.text // the word by which a restart is known on every target
		}
		out = append(out, x)
	}
	return out
}

// lasting reports whether a failed pull fails again for sure.
func lasting(message string) bool {
	m := strings.ToLower(message)
	for _, s := range []string{"not found", "manifest unknown", "unauthorized", "denied", "authentication required", "no basic auth", "invalid reference", "no space left", "no match for platform", "toomanyrequests"} {
		if strings.Contains(m, s) {
			return true
		}
	}
	return false
}

func podOf(pods []corev1.Pod, name string) *corev1.Pod {
	i := slices.IndexFunc(pods, func(x corev1.Pod) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &pods[i]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func seriesCount(e corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return 0
}

func timeOf(e corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.Series != nil {
		at = later(at, e.Series.LastObservedTime.Time)
	}
	at = later(at, e.EventTime.Time)
	if at.IsZero() {
		at = e.CreationTimestamp.Time
	}
	return at.UTC()
}

// firstOf is when an event was first seen.
func firstOf(e corev1.Event) time.Time {
	if !e.FirstTimestamp.IsZero() {
		return e.FirstTimestamp.Time
	}
	return e.CreationTimestamp.Time
}

func textOf(e corev1.Event) string {
	text := e.Reason + ": " + strings.Join(strings.Fields(e.Message), " ")
	if e.Type == corev1.EventTypeWarning {
		text = "Warning " + text
	}
	return text
}

// endings words how a pod's container ended, and why the pod was taken away.
func endings(pod corev1.Pod) []word {
	var out []word
	if pod.Status.Reason != "" {
		at := pod.CreationTimestamp.Time
		for _, c := range pod.Status.Conditions {
			at = later(at, c.LastTransitionTime.Time)
		}
		out = append(out, word{key: "pod." + pod.Name, at: at.UTC(), text: "pod " + pod.Status.Reason + ": " + strings.Join(strings.Fields(pod.Status.Message), " ")})
	}
	if st := statusOfContainer(pod); st != nil && st.State.Terminated != nil {
		t := st.State.Terminated
		text := fmt.Sprintf("container %s terminated, reason: %s, exit code %d", kubeobject.Container, t.Reason, t.ExitCode)
		if m := strings.Join(strings.Fields(t.Message), " "); m != "" {
			text += ": " + m
		}
		out = append(out, word{key: "end." + pod.Name, at: t.FinishedAt.UTC(), text: text})
	}
	return out
}
