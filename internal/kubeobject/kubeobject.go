// Package kubeobject knows what a launch is in Kubernetes' words: one description of a machine, and the pod, job, deployment,
// service and secret made of it. The adapter creates them and the export writes them down, so both are the same. It is pure.
package kubeobject

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Names that are the same in every object.
const (
	Container = "engine"           // of the one container
	PortName  = "http"             // of its port
	GPU       = "nvidia.com/gpu"   // the extended resource of a whole card
	CacheRoot = "/justright-cache" // where environment, weights and compile caches are
	managedBy = "app.kubernetes.io/managed-by"
	nameLabel = "app.kubernetes.io/name"
	program   = "justright"
)

// Labels and annotations by which a machine is known again. Names identify nothing.
const (
	AttemptLabel = "justright/attempt"
	OwnerLabel   = "justright/owner"
	MachineLabel = "justright/machine" // the job's name, on all that belongs to it
)

// ManagedSelector selects what was made by this program, whoever ran it.
const ManagedSelector = managedBy + "=" + program

// The engine's own processes take about 4 GiB of the host's memory beside the weights, which are mapped from files
// (docs/decisions/0007). A request reserves, it does not limit.
const (
	cpuRequest    = "500m"
	memoryRequest = "4Gi"
)

// shmSize bounds /dev/shm, which counts against the pod's memory only as far as it is filled. The 64 MiB that a container has
// otherwise end NCCL and the CPU engine.
const shmSize = "8Gi"

// grace is how long the engine has to end in order before it is killed.
const grace = int64(30)

// Machine is one launch.
type Machine struct {
	Name        string            // a DNS label of at most 63 characters
	Labels      map[string]string // beside its name and who manages it
	Annotations map[string]string
	Image       string
	Command     []string // replaces the image's entrypoint
	Args        []string
	Port        int
	Env         map[string]string // no secret
	SecretEnv   map[string]string // variable → key in the secret named SecretName(); nil: all keys of it
	GPUs        int               // of each pod
	Copies      int               // pods that each are a whole engine, behind one service; up to 1: one
	Ranks       int               // pods that are one engine, on as many nodes; up to 1: one. Not both
	DiskGB      int
	Nodes       map[string]string // labels that the node must have
	Zones       []string
	Runtime     string // RuntimeClass; empty: the cluster's default
	PullSecret  string
	Claim       string // PersistentVolumeClaim of the cache; empty: a directory that goes with the pod
	ClaimPath   string // where it is mounted; empty: CacheRoot
	Script      bool   // /justright/start.sh comes from the ConfigMap named ScriptName()
}

// SecretName is the secret that holds the machine's environment as far as it is secret.
func (m Machine) SecretName() string { return m.Name + "-keys" }

// ScriptName is the ConfigMap with the start script.
func (m Machine) ScriptName() string { return m.Name + "-start" }

// Meta is the head of one of the machine's objects.
func (m Machine) Meta(name string) metav1.ObjectMeta {
	labels := map[string]string{nameLabel: m.Name, managedBy: program}
	for k, v := range m.Labels {
		labels[k] = v
	}
	return metav1.ObjectMeta{Name: name, Labels: labels, Annotations: m.Annotations}
}

// literal keeps Kubernetes from reading $(NAME) in a command, an argument or a value: $$ is one dollar.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func literals(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, literal(s))
	}
	return out
}

// env is the environment in the order of names.
func (m Machine) env() []corev1.EnvVar {
	var out []corev1.EnvVar
	for k, v := range m.Env {
		out = append(out, corev1.EnvVar{Name: k, Value: literal(v)})
	}
	for k, key := range m.SecretEnv {
		out = append(out, corev1.EnvVar{Name: k, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: m.SecretName()}, Key: key}}})
	}
	slices.SortFunc(out, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Pod is the pod of a machine. It gets no token of the cluster: nothing inside needs a right there.
func (m Machine) Pod() corev1.PodSpec {
	no := false
	seconds := grace
	c := corev1.Container{
		Name: Container, Image: m.Image, Command: literals(m.Command), Args: literals(m.Args), Env: m.env(),
		Resources: m.resources(),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	if m.SecretEnv == nil {
		c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: m.SecretName()}}}}
	}
	if m.Port > 0 {
		c.Ports = []corev1.ContainerPort{{Name: PortName, ContainerPort: int32(m.Port)}} //nolint:gosec // a port
	}
	pod := corev1.PodSpec{AutomountServiceAccountToken: &no, EnableServiceLinks: &no, TerminationGracePeriodSeconds: &seconds, NodeSelector: m.Nodes}
	if m.GPUs > 0 {
		pod.Tolerations = []corev1.Toleration{{Key: GPU, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	}
	if m.Runtime != "" {
		pod.RuntimeClassName = &m.Runtime
	}
	if m.PullSecret != "" {
		pod.ImagePullSecrets = []corev1.LocalObjectReference{{Name: m.PullSecret}}
	}
	if len(m.Zones) > 0 {
		pod.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: m.Zones}}}}}}}
	}
	c.VolumeMounts, pod.Volumes = m.volumes()
	pod.Containers = []corev1.Container{c}
	return pod
}

func (m Machine) resources() corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpuRequest), corev1.ResourceMemory: resource.MustParse(memoryRequest)}}
	if m.DiskGB > 0 && m.Claim == "" {
		r.Requests[corev1.ResourceEphemeralStorage] = *resource.NewScaledQuantity(int64(m.DiskGB), resource.Giga)
	}
	if m.GPUs > 0 {
		r.Limits = corev1.ResourceList{GPU: *resource.NewQuantity(int64(m.GPUs), resource.DecimalSI)}
	}
	return r
}

func (m Machine) volumes() (mounts []corev1.VolumeMount, all []corev1.Volume) {
	add := func(name, path string, readOnly bool, s corev1.VolumeSource) {
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: readOnly})
		all = append(all, corev1.Volume{Name: name, VolumeSource: s})
	}
	if m.Script {
		add("start", "/justright", true, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: m.ScriptName()}}})
	}
	cache := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	path := CacheRoot
	if m.Claim != "" {
		cache = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Claim}}
		if m.ClaimPath != "" {
			path = m.ClaimPath
		}
	}
	add("cache", path, false, cache)
	shm := resource.MustParse(shmSize)
	add("shm", "/dev/shm", false, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &shm}})
	return mounts, all
}

// Limits are what the cluster itself ends a job at, beside the guard inside.
type Limits struct {
	Seconds int64 // of its life; 0: none
	Kept    int64 // seconds that what is left of an ended one can be read
}

// Job is a machine that ends when its first process does: nothing starts it again, and its cards are free. A node that is
// drained or lost is no end: the pod is made anew elsewhere, with the same absolute limits.
func (m Machine) Job(l Limits) batchv1.Job {
	none, mode := int32(0), batchv1.PodReplacementPolicy(batchv1.Failed)
	pod := m.Pod()
	pod.RestartPolicy = corev1.RestartPolicyNever
	j := batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: m.Meta(m.Name)}
	j.Spec = batchv1.JobSpec{
		BackoffLimit: &none, PodReplacementPolicy: &mode,
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}}}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: m.Meta("").Labels}, Spec: pod},
	}
	if m.Pods() > 1 {
		m.spread(&j)
	}
	if l.Seconds > 0 {
		j.Spec.ActiveDeadlineSeconds = &l.Seconds
	}
	if l.Kept > 0 {
		kept := int32(min(l.Kept, 1<<30)) //nolint:gosec // bounded
		j.Spec.TTLSecondsAfterFinished = &kept
	}
	return j
}

// Probes says how long a start may take, for a deployment.
type Probes struct {
	StartSeconds int
}

// Deployment is a machine that is started again and may be several.
func (m Machine) Deployment(replicas int, p Probes) appsv1.Deployment {
	n, deadline := int32(replicas), int32(p.StartSeconds+300) //nolint:gosec // small
	d := appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: m.Meta(m.Name)}
	pod := m.Pod()
	Probe(&pod.Containers[0], m.Port, p)
	d.Spec = appsv1.DeploymentSpec{
		Replicas: &n, ProgressDeadlineSeconds: &deadline, Selector: selectorOf(map[string]string{nameLabel: m.Name}),
		// A new one beside the old would wait for cards that the old one holds.
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: m.Meta("").Labels}, Spec: pod},
	}
	if replicas > 1 {
		one := intstr.FromInt32(1)
		zero := intstr.FromInt32(0)
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &one, MaxSurge: &zero}}
	}
	return d
}

// Probe puts the three probes on a container. Health is asked without a key.
func Probe(c *corev1.Container, port int, p Probes) {
	ask := healthOf(port)
	c.StartupProbe = &corev1.Probe{ProbeHandler: ask, PeriodSeconds: 10, TimeoutSeconds: 5, FailureThreshold: int32(max(1, p.StartSeconds/10))} //nolint:gosec // small
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: ask, PeriodSeconds: 5, TimeoutSeconds: 5}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: ask, PeriodSeconds: 20, TimeoutSeconds: 10, FailureThreshold: 6}
}

// Service is the machine's address in the cluster, and beyond it where kind says so. It selects by the given labels.
func (m Machine) Service(kind corev1.ServiceType, selector map[string]string) corev1.Service {
	if selector == nil {
		selector = map[string]string{nameLabel: m.Name}
	}
	s := corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: m.Meta(m.Name)}
	s.Spec = corev1.ServiceSpec{Type: kind, Selector: selector, Ports: []corev1.ServicePort{
		{Name: PortName, Port: int32(m.Port), TargetPort: intstr.FromString(PortName)}}} //nolint:gosec // a port
	return s
}

// Secret holds the machine's environment as far as it is secret.
func (m Machine) Secret(data map[string]string) corev1.Secret {
	s := corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: m.Meta(m.SecretName()),
		Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func selectorOf(labels map[string]string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: labels}
}
