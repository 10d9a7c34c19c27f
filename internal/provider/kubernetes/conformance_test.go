package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"justright/internal/provider"
	"justright/internal/provider/kubernetes"
	"justright/internal/provider/providertest"
	"justright/launch"
	"justright/sim/kubesim"
	"justright/solve"
)

// talker plays a container that says its lines and stays up.
type talker struct{ lines []string }

func (r talker) Start(c *kubesim.Container) func() {
	for _, l := range r.lines {
		c.Log(l)
	}
	return func() {}
}

// lines include what makes a log hard: repeats, an empty one, and text that looks like a time.
var lines = []string{"justright phase=preflight status=start t=0.0", "again", "again", "", "2026-01-02T03:04:05Z not a time of ours", "zażółć 漢字 \x1b[31mred", "last"}

// l4 are the labels that GPU feature discovery puts on a node with an L4 card.
func l4(driver string) map[string]string {
	return map[string]string{"nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034", "nvidia.com/gpu.count": "4",
		"nvidia.com/cuda.driver-version.full": driver, "nvidia.com/cuda.runtime-version.full": "12.8", "nvidia.com/cuda.runtime-version.major": "12",
		"topology.kubernetes.io/zone": "zone-a"}
}

func gpuNode(name, driver string, cards string) corev1.Node {
	return kubesim.Node(name, map[string]string{"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "500G", "nvidia.com/gpu": cards}, l4(driver))
}

// cluster serves a simulated one over loopback.
func cluster(t *testing.T, o kubesim.Options) (*kubesim.Cluster, *rest.Config) {
	t.Helper()
	o.Token = "a-token"
	c := kubesim.New(o)
	s := httptest.NewServer(c)
	t.Cleanup(c.Close)
	t.Cleanup(s.Close)
	return c, &rest.Config{Host: s.URL, BearerToken: "a-token"}
}

func adapter(t *testing.T, r *rest.Config, change func(*kubernetes.Config)) *kubernetes.Provider {
	t.Helper()
	cfg := kubernetes.Config{REST: r, Namespace: "models", Now: time.Now, Host: "here", Poll: 5 * time.Millisecond, Patience: time.Millisecond,
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(d, 5*time.Millisecond)):
				return nil
			}
		}}
	if change != nil {
		change(&cfg)
	}
	p, err := kubernetes.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func gpuSpec() launch.Spec {
	return launch.Spec{Name: "jr-Suite.1", Image: "runpod/pytorch:x", DiskGB: 20, GPU: "nvidia.com/gpu.product=NVIDIA-L4", GPUCount: 1, Ports: []string{"8000/http"},
		Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"exec talk $(HOME) $$"}}, Env: map[string]string{"A": "$(B) $$"}}
}

func TestConformance(t *testing.T) {
	node := gpuNode("gpu-1", "570.86.10", "16")
	worlds := map[string]kubesim.Options{
		"as live":             {},
		"small pages":         {Page: 1},
		"slow to end":         {Linger: 40 * time.Millisecond},
		"log streams cut":     {CutLogs: 150},
		"errors now and then": {Fault: everySeventh()},
	}
	for name, o := range worlds {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject {
				o := o
				o.Nodes, o.Runner = []corev1.Node{node}, talker{lines}
				if o.Fault != nil {
					o.Fault = everySeventh()
				}
				_, r := cluster(t, o)
				return providertest.Subject{Provider: adapter(t, r, nil), Spec: gpuSpec(), Lines: lines}
			})
		})
	}
}

// everySeventh fails reads now and then, as an API server does that is being restarted.
func everySeventh() func(string, string, bool) int {
	var n atomic.Int64
	return func(method, path string, done bool) int {
		if method == http.MethodGet && !done && n.Add(1)%7 == 0 {
			return 503
		}
		return 0
	}
}

func attempt(s launch.Spec) launch.Spec {
	s.AttemptID, s.OwnerID = strings.Repeat("ab", 16), strings.Repeat("cd", 16)
	return s
}

// TestAmbiguousCreates is what the suite cannot ask of every provider: the answer of the job's create is lost, and the machine
// is found by its attempt id, whole; a second create of the same attempt makes none.
func TestAmbiguousCreates(t *testing.T) {
	for name, answer := range map[string]int{"cut": -1, "500": 500} {
		t.Run(name, func(t *testing.T) {
			var once atomic.Bool
			c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}, Runner: talker{lines},
				Fault: func(method, path string, done bool) int {
					if method == http.MethodPost && strings.HasSuffix(path, "/jobs") && done && once.CompareAndSwap(false, true) {
						return answer
					}
					return 0
				}})
			p := adapter(t, r, nil)
			if _, err := p.Create(t.Context(), attempt(gpuSpec())); provider.KindOf(err) != launch.FailTemporary {
				t.Fatalf("create: %v, want temporary", err)
			}
			all, err := p.List(t.Context())
			if err != nil || len(all) != 1 || all[0].AttemptID != strings.Repeat("ab", 16) {
				t.Fatalf("list after it: %+v, %v; want the one machine of the attempt", all, err)
			}
			waitFor(t, "running", func() bool {
				in, err := p.Get(t.Context(), all[0].ID)
				return err == nil && in.Status == launch.Running
			})
			again, err := p.Create(t.Context(), attempt(gpuSpec()))
			if err != nil || again.ID != all[0].ID || c.Count("jobs") != 1 {
				t.Errorf("a second create of the attempt: %+v, %v with %d jobs", again, err, c.Count("jobs"))
			}
		})
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in 10 s", what)
		}
	}
}

// TestRefusals: each refusal has its kind and leaves nothing in the cluster.
func TestRefusals(t *testing.T) {
	forbid := func(verb, resource string) func(string, string, string) bool {
		return func(v, r, _ string) bool { return v == verb && r == resource }
	}
	for name, c := range map[string]struct {
		o    kubesim.Options
		spec func(*launch.Spec)
		kind launch.FailureKind
	}{
		"quota":         {kubesim.Options{Quota: 1}, func(s *launch.Spec) { s.GPUCount = 2 }, launch.FailRoom},
		"no right":      {kubesim.Options{Forbid: forbid("create", "jobs")}, nil, launch.FailAuth},
		"no secrets":    {kubesim.Options{Forbid: forbid("create", "secrets")}, nil, launch.FailAuth},
		"no port":       {kubesim.Options{}, func(s *launch.Spec) { s.Ports = nil }, launch.FailRejected},
		"wrong labels":  {kubesim.Options{}, func(s *launch.Spec) { s.GPU = "NVIDIA L4" }, launch.FailRejected},
		"no owner":      {kubesim.Options{}, func(s *launch.Spec) { s.OwnerID = "" }, launch.FailRejected},
		"server is out": {kubesim.Options{Fault: func(m, _ string, _ bool) int { return map[bool]int{true: 503}[m == http.MethodPost] }}, nil, launch.FailTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o
			o.Nodes = []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}
			world, r := cluster(t, o)
			s := attempt(gpuSpec())
			if c.spec != nil {
				c.spec(&s)
			}
			if _, err := adapter(t, r, nil).Create(t.Context(), s); provider.KindOf(err) != c.kind {
				t.Errorf("create: %v (%s), want %s", err, provider.KindOf(err), c.kind)
			}
			for _, res := range []string{"jobs", "pods", "secrets", "services"} {
				if n := world.Count(res); n != 0 {
					t.Errorf("%d %s are left", n, res)
				}
			}
		})
	}
}

// A wrong token is no denial.
func TestDenialNeedsTheServersWord(t *testing.T) {
	_, r := cluster(t, kubesim.Options{})
	wrong := rest.CopyConfig(r)
	wrong.BearerToken = "another"
	if in, err := adapter(t, wrong, nil).Get(t.Context(), "neverwas"); provider.KindOf(err) != launch.FailAuth {
		t.Errorf("with a wrong token: %+v, %v", in, err)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if in, err := adapter(t, &rest.Config{Host: s.URL}, nil).Get(t.Context(), "neverwas"); err == nil {
		t.Errorf("a 404 of a server that is no cluster: %+v", in)
	}
}

// What is secret is in the secret alone, and whatever holds a dollar arrives as it was given.
func TestWhatThePodIsGiven(t *testing.T) {
	got := make(chan *kubesim.Container, 1)
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4")}, Runner: startFunc(func(k *kubesim.Container) { got <- k })})
	s := attempt(gpuSpec())
	s.Env["VLLM_API_KEY"], s.Env["JUSTRIGHT_CAP_BY"] = "sk-very-secret", "4102444800"
	in, err := adapter(t, r, nil).Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	k := <-got
	if k.Env["A"] != "$(B) $$" || k.Env["VLLM_API_KEY"] != "sk-very-secret" || k.Env["JUSTRIGHT_GUARD"] != "job" {
		t.Errorf("environment %q", k.Env)
	}
	if want := "exec talk $$(HOME) $$$$"; k.Args[0] != want { // as the object has it: the kubelet makes $ of $$
		t.Errorf("args %q, want %q", k.Args, want)
	}
	for _, res := range []string{"jobs", "services"} {
		if o := c.Object(res, "models", in.ID); o == nil || strings.Contains(mustJSON(o), "sk-very-secret") {
			t.Errorf("%s: %v", res, o)
		}
	}
	if o := mustJSON(c.Object("jobs", "models", in.ID)); !strings.Contains(o, `"restartPolicy":"Never"`) || !strings.Contains(o, `"automountServiceAccountToken":false`) ||
		!strings.Contains(o, `"backoffLimit":0`) || !strings.Contains(o, `"ttlSecondsAfterFinished":86400`) {
		t.Errorf("job %s", o)
	}
}

type startFunc func(*kubesim.Container)

func (f startFunc) Start(c *kubesim.Container) func() { f(c); return func() {} }

// The live run: the same suite against a cluster of one's own, as KUBECONFIG names it. `make kubernetes` makes one.
func TestLive(t *testing.T) {
	image := os.Getenv("JUSTRIGHT_LIVE_KUBERNETES_IMAGE")
	if image == "" {
		t.Skip("JUSTRIGHT_LIVE_KUBERNETES_IMAGE names no image that the cluster has, with a shell in it")
	}
	cfg, err := kubernetes.Load(os.Getenv, kubernetes.Where{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Now, cfg.Poll, cfg.Host = time.Now, 500*time.Millisecond, "suite"
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		cfg := cfg
		cfg.Namespace = namespace(t, cfg.REST) // the suite's ids come again in each part
		p, err := kubernetes.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		script := "trap 'exit 0' TERM; printf 'one\\ntwo  words\\nthree\\n'; while :; do sleep 0.2; done"
		return providertest.Subject{Provider: p, Lines: []string{"one", "two  words", "three"}, Wait: 2 * time.Minute, Machines: 2,
			Spec: launch.Spec{Image: image, DiskGB: 1, Ports: []string{"8000/http"}, Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{script}}}}
	})
}

// extends moves the cluster's own limit of a machine, which would end it at the old one.
func extends(t *testing.T, p *kubernetes.Provider, s launch.Spec) {
	t.Helper()
	now := time.Now()
	s.Env = map[string]string{"JUSTRIGHT_END_BY": fmt.Sprint(now.Add(10 * time.Minute).Unix())}
	in, err := p.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Delete(context.WithoutCancel(t.Context()), in.ID) }()
	if got, err := p.Deadline(t.Context(), in.ID); err != nil || got < 11*60 || got > 13*60 {
		t.Errorf("it may live %d s, %v; ten minutes and two are meant", got, err)
	}
	if err := p.Extend(t.Context(), in.ID, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Deadline(t.Context(), in.ID); err != nil || got < 61*60 || got > 63*60 {
		t.Errorf("it may live %d s, %v; an hour and two minutes are meant", got, err)
	}
}

func TestExtend(t *testing.T) {
	_, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "1")}, Runner: talker{lines}})
	extends(t, adapter(t, r, nil), attempt(gpuSpec()))
}

func TestLiveExtend(t *testing.T) {
	p, s := live(t, player+"serve")
	extends(t, p, s)
}

// namespace makes one on a real cluster, and removes it with all that is in it.
func namespace(t *testing.T, cfg *rest.Config) string {
	t.Helper()
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("jr-suite-%d", time.Now().UnixNano())
	send := func(ctx context.Context, method, path, body string) {
		r, err := http.NewRequestWithContext(ctx, method, cfg.Host+"/api/v1/namespaces"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := transport.RoundTrip(r)
		if err != nil || res.StatusCode >= 300 {
			t.Fatalf("%s of namespace %s: %v %v", method, name, res, err)
		}
		_ = res.Body.Close()
	}
	send(t.Context(), http.MethodPost, "", `{"metadata":{"name":"`+name+`"}}`)
	t.Cleanup(func() { send(context.WithoutCancel(t.Context()), http.MethodDelete, "/"+name, "") })
	return name
}

var errStop = errors.New("stop")
