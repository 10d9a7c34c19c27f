package kubeobject

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RankLabel is the label by which Kubernetes numbers the pods of an indexed job.
const RankLabel = batchv1.JobCompletionIndexAnnotation

// LeaderEnv is where a pod of one engine over several nodes finds the one that serves.
const LeaderEnv = "JUSTRIGHT_LEADER"

// perCopy is how often a copy that failed is made anew.
const perCopy = int32(2)

// Pods is how many pods a machine has: one, so many copies of it, or so many nodes of one engine.
func (m Machine) Pods() int { return max(1, m.Copies, m.Ranks) }

// RanksName is the headless service by whose name the pods of one engine find each other.
func (m Machine) RanksName() string { return m.Name + "-ranks" }

// LeaderAddress is the name of the pod that serves, inside the namespace: an indexed job gives its pods such names.
func (m Machine) LeaderAddress() string { return fmt.Sprintf("%s-0.%s", m.Name, m.RanksName()) }

// spread makes a job of several pods of a job of one. Copies fail one by one, and what ends one does not end the others; the nodes of
// one engine are one unit: it ends with the first that fails, and with the one that serves.
func (m Machine) spread(j *batchv1.Job) {
	n := int32(m.Pods()) //nolint:gosec // small
	mode := batchv1.IndexedCompletion
	j.Spec.CompletionMode, j.Spec.Completions, j.Spec.Parallelism = &mode, &n, &n
	pod := &j.Spec.Template.Spec
	if m.Ranks > 1 {
		leader := "0"
		j.Spec.PodFailurePolicy = nil
		j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: &leader}}}
		pod.Subdomain = m.RanksName()
		return
	}
	each := perCopy
	j.Spec.BackoffLimit, j.Spec.BackoffLimitPerIndex = nil, &each
	// Without it a copy that still starts would be sent requests.
	pod.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: healthOf(m.Port), PeriodSeconds: 10, TimeoutSeconds: 5}
	pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname,
		WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: selectorOf(map[string]string{nameLabel: m.Name})}}
}

// healthOf asks the engine whether it serves; its health needs no key.
func healthOf(port int) corev1.ProbeHandler {
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: intstr.FromInt32(int32(port))}} //nolint:gosec // a port
}

// RanksService is the headless service of one engine over several nodes. It tells addresses before anybody is ready: they become it together.
func (m Machine) RanksService(selector map[string]string) corev1.Service {
	s := m.Service(corev1.ServiceTypeClusterIP, selector)
	s.Name, s.Spec.ClusterIP, s.Spec.PublishNotReadyAddresses, s.Spec.Ports = m.RanksName(), corev1.ClusterIPNone, true, nil
	return s
}
