package kubernetes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/diagnose"
	"justright/internal/kubeobject"
	"justright/internal/provider/kubernetes"
	"justright/launch"
	"justright/money"
	"justright/sim/kubesim"
)

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pinned is somebody else's pod on a node.
func busy(name, node string, cards int, phase corev1.PodPhase) corev1.Pod {
	m := kubeobject.Machine{Name: name, Image: "x", GPUs: cards, Port: 1}
	pod := corev1.Pod{ObjectMeta: m.Meta(name), Spec: m.Pod()}
	pod.Namespace, pod.Labels, pod.Spec.NodeName, pod.Status.Phase = "others", nil, node, phase
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{kubeobject.GPU: pod.Spec.Containers[0].Resources.Limits[kubeobject.GPU]}
	return pod
}

func TestOffers(t *testing.T) {
	old := gpuNode("gpu-old", "535.104.05", "8")
	old.Labels["nvidia.com/cuda.runtime-version.full"], old.Labels["topology.kubernetes.io/zone"] = "12.2", "zone-b"
	cordoned := gpuNode("gpu-cordoned", "570.86.10", "8")
	cordoned.Spec.Unschedulable = true
	shared := gpuNode("gpu-shared", "570.86.10", "40")
	shared.Labels["nvidia.com/gpu.product"], shared.Labels["nvidia.com/gpu.replicas"] = "NVIDIA-L4-SHARED", "10"
	bare := gpuNode("gpu-bare", "", "2")
	bare.Labels = nil
	priced := gpuNode("gpu-priced", "570.86.10", "1")
	priced.Labels["nvidia.com/gpu.product"], priced.Labels["justright/price-per-hour"] = "NVIDIA-A10G", "0.75"
	nodes := []corev1.Node{gpuNode("gpu-1", "570.86.10", "4"), gpuNode("gpu-2", "570.86.10", "2"), old, cordoned, shared, bare, priced,
		kubesim.Node("cpu-1", map[string]string{"cpu": "8", "memory": "64Gi", "pods": "110"}, nil)}
	c, r := cluster(t, kubesim.Options{Nodes: nodes})
	c.Add("pods", busy("a", "gpu-1", 3, corev1.PodRunning))
	c.Add("pods", busy("b", "gpu-2", 2, corev1.PodSucceeded)) // ended: it holds nothing
	p := adapter(t, r, func(k *kubernetes.Config) {
		k.GPU = func(s string) string { return map[string]string{"NVIDIA L4": "l4", "NVIDIA A10G": "a10g"}[s] }
	})
	got, err := p.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, o := range got {
		price := "?"
		if o.PricePerHour != nil {
			price = o.PricePerHour.Cents()
		}
		short = append(short, fmt.Sprintf("%s ×%d %s driver %s CUDA %v %v $%s", o.GPU, o.MaxCount, o.Stock, o.Driver, o.HostCUDA, o.DataCenters, price))
	}
	want := []string{
		"a10g ×1 LOW driver 570.86.10 CUDA [12.8] [zone-a] $0.75",
		"l4 ×8 HIGH driver 535.104.05 CUDA [12.2] [zone-b] $?",
		"l4 ×2 HIGH driver 570.86.10 CUDA [12.8] [zone-a] $?",
	}
	if !slices.Equal(short, want) {
		t.Errorf("offers\n%s\nwant\n%s", strings.Join(short, "\n"), strings.Join(want, "\n"))
	}
	why, err := p.Unoffered(t.Context())
	if err != nil || len(why) != 3 || !strings.Contains(strings.Join(why, "\n"), "gpu-bare: no label says which card it has") ||
		!strings.Contains(strings.Join(why, "\n"), "gpu-shared: its cards are shared") {
		t.Errorf("not offered %q, %v", why, err)
	}
}

// An offer's id is what a pod asks for, so a machine of it lands on such a node and on no other.
func TestAnOfferIsWhereItsMachineGoes(t *testing.T) {
	old := gpuNode("gpu-old", "535.104.05", "8")
	old.Labels["nvidia.com/cuda.runtime-version.full"] = "12.2"
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-a", "570.86.10", "1"), old}, Runner: talker{lines}})
	p := adapter(t, r, nil)
	all, err := p.Offers(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	s := attempt(gpuSpec())
	s.GPU = all[0].ProviderID // the older driver sorts first
	in, err := p.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "scheduled", func() bool { return strings.Contains(mustJSON(c.Objects("pods")), `"nodeName":"gpu-old"`) })
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.GPUCount != 1 || got.GPU != all[0].ProviderID {
		t.Errorf("%+v, %v", got, err)
	}
}

// Who may not see other namespaces is not told what is free as if it were known; who may not see nodes is told so.
func TestOffersWithoutRights(t *testing.T) {
	_, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}, Forbid: func(v, res, ns string) bool { return res == "pods" && ns == "" }})
	got, err := adapter(t, r, nil).Offers(t.Context())
	if err != nil || len(got) != 1 || got[0].Stock != "" || got[0].MaxCount != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	_, r = cluster(t, kubesim.Options{Forbid: func(v, res, ns string) bool { return res == "nodes" }})
	if _, err := adapter(t, r, nil).Offers(t.Context()); err == nil || !strings.Contains(err.Error(), "nodes") {
		t.Errorf("no right to see nodes: %v", err)
	}
}

func TestCPUNodes(t *testing.T) {
	tainted := kubesim.Node("control", map[string]string{"cpu": "8", "memory": "64Gi", "pods": "110"}, nil)
	tainted.Spec.Taints = []corev1.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}}
	_, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{tainted}})
	if got, err := adapter(t, r, nil).Offers(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("a control plane alone: %+v, %v", got, err)
	}
	_, r = cluster(t, kubesim.Options{})
	price := money.USD(money.Dollar / 10)
	p := adapter(t, r, func(c *kubernetes.Config) { c.Price = &price })
	got, err := p.Offers(t.Context())
	if total, free := p.HostMemory(); total != 64<<30 || free != 64<<30 {
		t.Errorf("memory of the node: %d, %d free", total, free)
	}
	if err != nil || len(got) != 1 || got[0].GPU != "" || got[0].ProviderID != "" || got[0].PricePerHour == nil || *got[0].PricePerHour != price {
		t.Errorf("%+v, %v", got, err)
	}
}

// said follows a machine's log until a line holds text.
func said(t *testing.T, p *kubernetes.Provider, id, text string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all []string
	err := p.Logs(ctx, id, "", func(l launch.LogLine) error {
		all = append(all, l.Source+" "+l.Text)
		if strings.Contains(l.Text, text) {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) {
		t.Fatalf("no %q: %v after %q", text, err, all)
	}
	return all
}

// TestWhatTheClusterSays: what goes wrong before a container speaks arrives as lines that package diagnose reads.
func TestWhatTheClusterSays(t *testing.T) {
	for name, c := range map[string]struct {
		o     kubesim.Options
		spec  func(*launch.Spec)
		line  string
		cause diagnose.Code
	}{
		"no such image": {kubesim.Options{Images: []string{}}, nil, "Failed to pull image", diagnose.ImageManifestUnknown},
		"no node":       {kubesim.Options{}, func(s *launch.Spec) { s.GPUCount = 9 }, "nodes are available", diagnose.ProviderNoCapacity},
		"quota, late": {kubesim.Options{Quota: 1, Forbid: func(v, res, _ string) bool { return v == "create" && res == "pods" }}, func(s *launch.Spec) { s.GPUCount = 2 },
			"no room for the pod", diagnose.ProviderNoCapacity},
		"no disk": {kubesim.Options{}, func(s *launch.Spec) { s.DiskGB = 5000 }, "nodes are available", diagnose.ProviderNoCapacity},
		"killed": {kubesim.Options{Runner: startFunc(func(k *kubesim.Container) { k.Log("loading"); k.Exit(137, "OOMKilled") })}, nil,
			"reason: OOMKilled", diagnose.HostOOMKilled},
		"driver gate": {kubesim.Options{Runner: startFunc(func(k *kubesim.Container) {
			k.ExitSaying(128, "StartError", `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy' nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver to a newer version, or use an earlier cuda container: unknown`)
		})}, nil, "unsatisfied condition", diagnose.ContainerCUDARequirement},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o
			o.Nodes = []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}
			_, r := cluster(t, o)
			p := adapter(t, r, nil)
			s := attempt(gpuSpec())
			if c.spec != nil {
				c.spec(&s)
			}
			in, err := p.Create(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			all := said(t, p, in.ID, c.line)
			d := diagnosis(all)
			if d.Cause != c.cause {
				t.Errorf("cause %q, want %q, of\n%s", d.Cause, c.cause, strings.Join(all, "\n"))
			}
		})
	}
}

// A pod that an autoscaler makes room for is waited for, not given up.
func TestAutoscalerIsWaitedFor(t *testing.T) {
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "0")}, Runner: talker{lines}})
	p := adapter(t, r, nil)
	in, err := p.Create(t.Context(), attempt(gpuSpec()))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a pod", func() bool { return c.Count("pods") == 1 })
	c.Event("pods", "models", c.Objects("pods")[0]["metadata"].(map[string]any)["name"].(string), "Normal", "TriggeredScaleUp", "pod triggered scale-up: [{ng 0->1 (max: 3)}]")
	lines := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Logs(ctx, in.ID, "", func(l launch.LogLine) error { lines <- l.Text; return nil })
	}()
	time.Sleep(100 * time.Millisecond)
	c.Add("nodes", gpuNode("gpu-2", "570.86.10", "1"))
	var all []string
	for !slices.Contains(all, "last") {
		select {
		case l := <-lines:
			all = append(all, l)
		case <-time.After(10 * time.Second):
			t.Fatalf("it never ran: %q", all)
		}
	}
	cancel()
	<-done
	if text := strings.Join(all, "\n"); strings.Contains(text, "FailedScheduling") || !strings.Contains(text, "TriggeredScaleUp") {
		t.Errorf("said %q", all)
	}
}

// A drained node ends a pod and not the machine: the next pod's log follows the first one's.
func TestDrainedNode(t *testing.T) {
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}, Runner: talker{[]string{"one", "two"}}})
	p := adapter(t, r, nil)
	in, err := p.Create(t.Context(), attempt(gpuSpec()))
	if err != nil {
		t.Fatal(err)
	}
	said(t, p, in.ID, "two")
	first := c.Objects("pods")[0]["metadata"].(map[string]any)["name"].(string)
	c.Disrupt("models", first)
	waitFor(t, "a second pod", func() bool { return c.Count("pods") == 2 })
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = p.Logs(ctx, in.ID, "", func(l launch.LogLine) error {
		if l.Source == "container" {
			if got = append(got, l.Text); len(got) == 4 {
				return errStop
			}
		}
		return nil
	})
	if !slices.Equal(got, []string{"one", "two", "one", "two"}) {
		t.Errorf("read %q", got)
	}
	waitFor(t, "running again", func() bool { in, err := p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Running })
}

// What ends by itself is stopped, holds nothing and can still be read; deleting it leaves nothing at all.
func TestEndedByItself(t *testing.T) {
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "1")},
		Runner: startFunc(func(k *kubesim.Container) { k.Log("justright guard status=ending reason=idle"); k.Exit(0, "") })})
	p := adapter(t, r, nil)
	in, err := p.Create(t.Context(), attempt(gpuSpec()))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "stopped", func() bool { in, err := p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Stopped })
	said(t, p, in.ID, "reason=idle")
	if free, err := p.Offers(t.Context()); err != nil || len(free) != 1 || free[0].MaxCount != 1 {
		t.Errorf("its card is not free: %+v, %v", free, err)
	}
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "gone", func() bool { in, err := p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Gone })
	for _, res := range []string{"jobs", "pods", "secrets", "services"} {
		if n := c.Count(res); n != 0 {
			t.Errorf("%d %s are left", n, res)
		}
	}
}

// Pods that somebody's `kubectl delete job --cascade=orphan` left hold their cards: the machine is not gone.
func TestOrphanedPods(t *testing.T) {
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "1")}, Runner: talker{lines}})
	p := adapter(t, r, nil)
	in, err := p.Create(t.Context(), attempt(gpuSpec()))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "running", func() bool { in, err := p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Running })
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.Host+"/apis/batch/v1/namespaces/models/jobs/"+in.ID, nil)
	req.Header.Set("Authorization", "Bearer a-token")
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	_ = res.Body.Close()
	got, err := p.Get(t.Context(), in.ID)
	if err != nil || got.Status == launch.Gone || got.AttemptID != strings.Repeat("ab", 16) {
		t.Errorf("get: %+v, %v", got, err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != in.ID {
		t.Errorf("list: %+v, %v", all, err)
	}
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "gone", func() bool { in, err := p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Gone })
	if n := c.Count("pods"); n != 0 {
		t.Errorf("%d pods are left", n)
	}
}

func TestAddresses(t *testing.T) {
	for expose, want := range map[kubernetes.Expose]string{
		kubernetes.InCluster: "http://jr-suite-1-", kubernetes.PortForward: "http://127.0.0.1:",
		kubernetes.NodePort: "http://127.0.0.1:3", kubernetes.LoadBalancer: "http://127.0.0.1:8000",
	} {
		_, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}, Runner: talker{lines}})
		forwarded := map[string]int{}
		p := adapter(t, r, func(c *kubernetes.Config) {
			c.Expose = expose
			c.Forward = func(_ context.Context, id string, local int) { forwarded[id] = local }
		})
		in, err := p.Create(t.Context(), attempt(gpuSpec()))
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "running", func() bool { in, err = p.Get(t.Context(), in.ID); return err == nil && in.Status == launch.Running })
		if !strings.HasPrefix(in.BaseURL, want) {
			t.Errorf("%s: %q, want %q", expose, in.BaseURL, want)
		}
		if local, ok := forwarded[in.ID]; ok != (expose == kubernetes.PortForward) || ok && in.BaseURL != fmt.Sprintf("http://127.0.0.1:%d", local) {
			t.Errorf("%s: forwarded %v for %q", expose, forwarded, in.BaseURL)
		}
	}
}

func TestMarks(t *testing.T) {
	if !reflect.DeepEqual(kubernetes.ParseMark("nonsense"), kubernetes.ParseMark("")) {
		t.Error("nonsense is not the beginning")
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add("pod-1~2026-11-25T20:00:00.123456789Z~2~1764100000000000~abc.1")
	f.Fuzz(func(t *testing.T, s string) {
		m := kubernetes.ParseMark(s)
		if again := kubernetes.ParseMark(m.String()); !reflect.DeepEqual(again, m) {
			t.Errorf("%q: %+v came back as %+v", s, m, again)
		}
	})
}

// diagnosis is what package diagnose makes of lines.
func diagnosis(all []string) diagnose.Result {
	r := diagnose.NewReader(diagnose.Options{GPU: "l4"})
	for _, l := range all {
		r.Feed(l)
	}
	return r.Result()
}
