package export

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8syaml "sigs.k8s.io/yaml"

	"justright/boot"
	"justright/internal/kubeobject"
)

// Cluster is what an export for Kubernetes is asked for beside the plan. The zero value is one pod.
type Cluster struct {
	Replicas   int    // copies, or groups of nodes; 0: one
	MaxCopies  int    // above Replicas: scaled between the two
	Prometheus string // address of the Prometheus that has the engine's metrics, for scaling
	Nodes      int    // machines that one engine runs over, by the plan's script (boot.OverNodes); up to 1: one
}

// machine is the plan in Kubernetes' words.
func (p Plan) machine() kubeobject.Machine {
	keys, values, secrets := p.env()
	m := kubeobject.Machine{Name: p.Name, Image: p.Stack.Image, Command: []string{"/bin/sh", "/justright/start.sh"}, Port: p.Port, DiskGB: p.DiskGB,
		Script: true, Env: map[string]string{"JUSTRIGHT_ROOT": kubeobject.CacheRoot}, SecretEnv: map[string]string{}}
	for _, k := range keys {
		m.Env[k] = values[k]
	}
	for _, s := range secrets {
		m.SecretEnv[s.Name] = s.Name
	}
	if p.Stack.GPU.ID != "" {
		m.GPUs = max(1, p.Stack.GPU.Count) / max(1, p.Cluster.Nodes)
	}
	return m
}

func kubernetes(p Plan) (string, []string) {
	m, c := p.machine(), p.Cluster
	probes := kubeobject.Probes{StartSeconds: int(p.startWait().Seconds())}
	var work any = m.Deployment(max(1, c.Replicas), probes)
	service := m.Service(corev1.ServiceTypeClusterIP, nil)
	if c.Nodes > 1 {
		work, service = m.LeaderWorkerSet(max(1, c.Replicas), c.Nodes, probes), m.LeaderService()
	}
	objects := []any{
		corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: m.Meta(m.ScriptName()), Data: map[string]string{"start.sh": p.Script.Text}},
		work, service,
	}
	if c.MaxCopies > 0 {
		objects = append(objects, m.ServiceMonitor("VLLM_API_KEY"), m.ScaledObject(p.scale()))
	}
	var docs []string
	for _, o := range objects {
		docs = append(docs, document(o))
	}
	return strings.Join(docs, "---\n"), p.clusterNotes()
}

// scale is by the requests that the plan's memory was counted for.
func (p Plan) scale() kubeobject.Scale {
	s := kubeobject.Scale{Min: max(1, p.Cluster.Replicas), Max: p.Cluster.MaxCopies, PerReplica: max(1, p.Stack.Concurrency), Prometheus: p.Cluster.Prometheus,
		Sum: "vllm:num_requests_running%[1]s + vllm:num_requests_waiting%[1]s"}
	if s.Prometheus == "" {
		s.Prometheus = "http://prometheus-operated.monitoring.svc:9090"
	}
	if p.Stack.Engine.Name == "sglang" {
		s.Sum = "sglang:num_running_reqs%[1]s + sglang:num_queue_reqs%[1]s"
	}
	return s
}

func (p Plan) clusterNotes() []string {
	_, _, secrets := p.env()
	var names, shown []string
	for _, s := range secrets {
		names, shown = append(names, s.Name+`=%s\n`), append(shown, `"$`+s.Name+`"`)
	}
	// through a pipe: what stands in a command line can be read by others on the machine
	create := "printf '" + strings.Join(names, "") + "' " + strings.Join(shown, " ") + " | kubectl create secret generic " + p.Name + "-keys --from-env-file=/dev/stdin"
	notes := []string{
		"first the keys: " + create,
		"then: kubectl apply -f FILE; end it: kubectl delete -f FILE",
		fmt.Sprintf("inside the cluster it answers at http://%s:%d/v1; from outside: kubectl port-forward service/%s %d", p.Name, p.Port, p.Name, p.Port),
		"the cache is empty at each start; a PersistentVolumeClaim in its place makes the second start fast",
		"nothing ends it: justright up --on kubernetes makes a job that ends itself at its limits",
	}
	if p.Stack.GPU.ID != "" {
		notes = append(notes, "where nodes differ, choose those with the card, "+p.gpuName()+", by the label nvidia.com/gpu.product")
	}
	if p.Cluster.MaxCopies > 0 {
		notes = append(notes, "it scales where KEDA and the Prometheus operator run; "+p.scale().Prometheus+" is where its Prometheus is asked",
			fmt.Sprintf("requests at once for each copy: %d, which is what the plan's memory was counted for", max(1, p.Stack.Concurrency)))
	}
	if p.Cluster.Nodes > 1 {
		notes = append(notes, "it needs the LeaderWorkerSet controller: https://lws.sigs.k8s.io",
			fmt.Sprintf("the ranks meet at port %s of the leader, without a key: keep other pods away from it by a NetworkPolicy", boot.MasterPort()))
	}
	return notes
}

// document is one object as YAML, without what the cluster itself fills in.
func document(o any) string {
	raw, err := json.Marshal(o)
	if err != nil {
		panic("export: " + err.Error()) // objects of our own, which always encode
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		panic("export: " + err.Error())
	}
	delete(m, "status")
	out, err := k8syaml.Marshal(m)
	if err != nil {
		panic("export: " + err.Error())
	}
	return string(out)
}
