package kubernetes_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/internal/kubeobject"
	"justright/internal/provider/kubernetes"
	"justright/launch"
	"justright/sim/kubesim"
)

// cast plays containers and remembers them by their number.
type cast struct {
	mu  sync.Mutex
	all map[string][]*kubesim.Container
}

func (c *cast) Start(k *kubesim.Container) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string][]*kubesim.Container{}
	}
	rank := k.Env["JOB_COMPLETION_INDEX"]
	c.all[rank] = append(c.all[rank], k)
	k.Log("justright guard status=armed by=job")
	k.Log("this is number " + rank)
	return func() {}
}

func (c *cast) started(rank string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all[rank])
}

func (c *cast) last(rank string) *kubesim.Container {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[rank][len(c.all[rank])-1]
}

func several(change func(*launch.Spec)) launch.Spec {
	s := attempt(gpuSpec())
	change(&s)
	return s
}

func empty(t *testing.T, c *kubesim.Cluster) {
	t.Helper()
	for _, res := range []string{"jobs", "pods", "secrets", "services"} {
		if n := c.Count(res); n != 0 {
			t.Errorf("%d %s are left", n, res)
		}
	}
}

// Copies are one machine: found, counted, reached in turn; one of them that fails is made anew beside the others; and it is gone when all
// of them are.
func TestCopies(t *testing.T) {
	play := &cast{}
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "2"), gpuNode("gpu-2", "570.86.10", "1")}, Runner: play, Linger: 50 * time.Millisecond})
	p := adapter(t, r, nil)
	in, err := p.Create(t.Context(), several(func(s *launch.Spec) { s.Copies = 3 }))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Create(t.Context(), several(func(s *launch.Spec) { s.Copies = 3 })); err != nil || again.ID != in.ID || c.Count("jobs") != 1 {
		t.Errorf("a second create of the attempt: %+v, %v", again, err)
	}
	all := kubernetes.Copies{Wanted: 3, Ready: 3, Armed: 3}
	waitFor(t, "three ready", func() bool { got, err := p.Copies(t.Context(), in.ID); return err == nil && got == all })
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running || got.GPUCount != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if list, err := p.List(t.Context()); err != nil || len(list) != 1 || list[0].GPUCount != 3 {
		t.Errorf("list: %+v, %v", list, err)
	}
	seen := map[string]bool{}
	for range 6 {
		pod, _, _, err := p.PodOf(t.Context(), in.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen[pod] = true
	}
	if len(seen) != 3 {
		t.Errorf("six connections went to %v", seen)
	}
	play.last("1").Log("RuntimeError: it broke")
	play.last("1").Exit(1, "")
	waitFor(t, "made anew", func() bool { return play.started("1") == 2 && play.started("0") == 1 })
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running {
		t.Errorf("one of three has failed: %+v, %v", got, err)
	}
	text := strings.Join(said(t, p, in.ID, "[1] RuntimeError"), "\n")
	if !strings.Contains(text, "container this is number 0") || strings.Contains(text, "container this is number 1") {
		t.Errorf("the log of the first, and what a failed one said last: %s", text)
	}
	// Two ended by themselves: the third serves.
	play.last("0").Exit(0, "")
	play.last("1").Exit(0, "")
	waitFor(t, "the third", func() bool {
		pod, _, _, err := p.PodOf(t.Context(), in.ID)
		return err == nil && strings.Contains(pod, in.ID+"-2-")
	})
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running || got.Pods != 3 || got.PodsReady != 1 {
		t.Errorf("two of three have ended: %+v, %v", got, err)
	}
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status == launch.Gone {
		t.Errorf("a pod still ends, and it is denied: %+v, %v", got, err)
	}
	waitFor(t, "gone", func() bool { got, err := p.Get(t.Context(), in.ID); return err == nil && got.Status == launch.Gone })
	empty(t, c)
}

// The nodes of one engine are one unit: they know where the first is, it alone is reached, and they end with the first that fails and with
// the one that serves.
func TestNodesOfOneEngine(t *testing.T) {
	nodes := []corev1.Node{gpuNode("gpu-1", "570.86.10", "4"), gpuNode("gpu-2", "570.86.10", "4")}
	start := func(t *testing.T) (*kubesim.Cluster, *kubernetes.Provider, *cast, launch.Instance) {
		play := &cast{}
		c, r := cluster(t, kubesim.Options{Nodes: nodes, Runner: play})
		p := adapter(t, r, nil)
		in, err := p.Create(t.Context(), several(func(s *launch.Spec) { s.Nodes, s.GPUCount = 2, 4 }))
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "both running", func() bool { return play.started("0") == 1 && play.started("1") == 1 })
		return c, p, play, in
	}
	t.Run("the leader ends", func(t *testing.T) {
		c, p, play, in := start(t)
		if got, want := play.last("1").Env[kubeobject.LeaderEnv], fmt.Sprintf("%s-0.%s-ranks", in.ID, in.ID); got != want {
			t.Errorf("the leader is at %q, want %q", got, want)
		}
		if got := mustJSON(c.Objects("services")); !strings.Contains(got, `"selector":{"batch.kubernetes.io/job-completion-index":"0","justright/attempt"`) || !strings.Contains(got, `"clusterIP":"None"`) {
			t.Errorf("services %s", got)
		}
		if got, err := p.Get(t.Context(), in.ID); err != nil || got.GPUCount != 8 || got.Status != launch.Running {
			t.Errorf("%+v, %v", got, err)
		}
		for range 3 {
			if pod, _, _, err := p.PodOf(t.Context(), in.ID); err != nil || !strings.HasPrefix(pod, in.ID+"-0-") {
				t.Errorf("a connection goes to %q, %v", pod, err)
			}
		}
		play.last("0").Exit(0, "")
		waitFor(t, "stopped", func() bool { got, err := p.Get(t.Context(), in.ID); return err == nil && got.Status == launch.Stopped })
		waitFor(t, "without the second", func() bool { return c.Count("pods") == 1 })
		if err := p.Delete(t.Context(), in.ID); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "gone", func() bool { got, err := p.Get(t.Context(), in.ID); return err == nil && got.Status == launch.Gone })
		empty(t, c)
	})
	t.Run("a worker fails", func(t *testing.T) {
		_, p, play, in := start(t)
		play.last("1").Log("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
		play.last("1").Exit(1, "")
		waitFor(t, "stopped", func() bool { got, err := p.Get(t.Context(), in.ID); return err == nil && got.Status == launch.Stopped })
		if text := said(t, p, in.ID, "CUDA out of memory"); !slices.ContainsFunc(text, func(l string) bool { return strings.Contains(l, "out of memory") }) {
			t.Errorf("said %q", text)
		}
	})
}

// Room is counted node by node: what two nodes have together is not what one pod can have.
func TestRoomForSeveral(t *testing.T) {
	c, r := cluster(t, kubesim.Options{Nodes: []corev1.Node{gpuNode("gpu-1", "570.86.10", "4"), gpuNode("gpu-2", "570.86.10", "4"), gpuNode("gpu-3", "570.86.10", "8")}})
	c.Add("pods", busy("a", "gpu-2", 2, corev1.PodRunning))
	p := adapter(t, r, nil)
	all, err := p.Offers(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	for pods, want := range map[int]int{1: 8, 2: 4, 3: 4, 4: 2, 7: 2, 8: 1, 14: 1, 15: 0} {
		if got := p.Each(all[0].ProviderID, pods); got != want {
			t.Errorf("%d pods have %d cards each, want %d", pods, got, want)
		}
	}
	if got := p.Each("another=kind", 2); got != 0 {
		t.Errorf("no node of that kind, and %d cards", got)
	}
}
