package kubeobject

import (
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects of projects outside Kubernetes are written as their published schemas have them, field by field.

// Scale is how many copies of a deployment KEDA keeps (https://keda.sh/docs/latest/reference/scaledobject-spec/).
type Scale struct {
	Min, Max   int
	PerReplica int    // requests that one copy answers at once
	Prometheus string // address of the Prometheus that has the engine's metrics
	Sum        string // metric of requests in work and waiting, for each copy: an expression over its selector %s
}

// ScaledObject scales the machine's deployment on the requests that its engines have in work or waiting.
func (m Machine) ScaledObject(s Scale) map[string]any {
	return map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": m.Meta(m.Name),
		"spec": map[string]any{
			"scaleTargetRef":  map[string]any{"name": m.Name},
			"minReplicaCount": s.Min, "maxReplicaCount": s.Max,
			"pollingInterval": 15,
			"cooldownPeriod":  300,
			"advanced": map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": map[string]any{
				// A copy takes minutes to start: one that was just made is not given up at the first quiet minute.
				"scaleDown": map[string]any{"stabilizationWindowSeconds": 600}}}},
			"triggers": []any{map[string]any{"type": "prometheus", "metricType": "AverageValue", "metadata": map[string]any{
				"serverAddress": s.Prometheus, "threshold": strconv.Itoa(max(1, s.PerReplica)),
				"query": "sum(" + fmt.Sprintf(s.Sum, `{service="`+m.Name+`"}`) + ")"}}},
		},
	}
}

// ServiceMonitor lets the Prometheus operator read the engine's metrics, which the engine's key guards.
func (m Machine) ServiceMonitor(secretKey string) map[string]any {
	return map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": m.Meta(m.Name),
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": map[string]string{nameLabel: m.Name}},
			"endpoints": []any{map[string]any{"port": PortName, "path": "/metrics", "interval": "15s",
				"authorization": map[string]any{"credentials": map[string]any{"name": m.SecretName(), "key": secretKey}}}},
		},
	}
}

// leaderLabel selects the one pod of a group that serves.
const leaderLabel = "justright/role"

// LeaderWorkerSet is one engine over several nodes, or several of them (https://lws.sigs.k8s.io): a group of pods that is started
// again as a whole, since ranks that outlive one of them hang. All start the same script.
func (m Machine) LeaderWorkerSet(groups, nodes int, p Probes) map[string]any {
	template := func(role string, probe bool) map[string]any {
		pod := m.Pod()
		if probe {
			Probe(&pod.Containers[0], m.Port, p)
		}
		labels := maps.Clone(m.Meta("").Labels)
		labels[leaderLabel] = role
		return map[string]any{"metadata": metav1.ObjectMeta{Labels: labels}, "spec": pod}
	}
	return map[string]any{
		"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": m.Meta(m.Name),
		"spec": map[string]any{
			"replicas": groups,
			"leaderWorkerTemplate": map[string]any{
				"size": nodes, "restartPolicy": "RecreateGroupOnPodRestart",
				"leaderTemplate": template("leader", true), "workerTemplate": template("worker", false),
			},
		},
	}
}

// LeaderService is the address of what leads a group.
func (m Machine) LeaderService() corev1.Service {
	return m.Service(corev1.ServiceTypeClusterIP, map[string]string{nameLabel: m.Name, leaderLabel: "leader"})
}
