package kubernetes_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"justright/internal/provider/kubernetes"
	"justright/launch"
	"justright/solve"
)

// player is what a pod of the live tests is: it says that its guard is armed, and serves its own name on the engine's port.
const player = `printf 'justright guard status=armed by=job\n'
serve() { exec python3 -c '
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["HOSTNAME"].encode())
        if self.path == "/end": self.wfile.flush(); os._exit(0)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), H).serve_forever()'; }
`

// worker looks for the pod that serves by the name it was given, says so, and waits to be told how it ends.
const worker = `[ "$JOB_COMPLETION_INDEX" = 0 ] && serve
until python3 -c 'import sys, urllib.request; print("the first is", urllib.request.urlopen("http://" + sys.argv[1] + ":8000/").read().decode())' "$JUSTRIGHT_LEADER" 2>/dev/null; do sleep 0.5; done
`

// live is a namespace of its own on the cluster of the environment, and a machine to make there.
func live(t *testing.T, script string) (*kubernetes.Provider, launch.Spec) {
	t.Helper()
	image := os.Getenv("JUSTRIGHT_LIVE_KUBERNETES_IMAGE")
	if image == "" {
		t.Skip("JUSTRIGHT_LIVE_KUBERNETES_IMAGE names no image that the cluster has, with a shell and a Python in it")
	}
	cfg, err := kubernetes.Load(os.Getenv, kubernetes.Where{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Now, cfg.Namespace, cfg.Poll = time.Now, namespace(t, cfg.REST), 500*time.Millisecond
	p, err := kubernetes.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := attempt(gpuSpec())
	s.GPU, s.Image, s.DiskGB, s.Start = "", image, 1, solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{script}}
	return p, s
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in three minutes", what)
		}
	}
}

// whoAnswers asks an address over a connection of its own.
func whoAnswers(t *testing.T, url string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func goneAfter(t *testing.T, p *kubernetes.Provider, id string) {
	t.Helper()
	if err := p.Delete(context.WithoutCancel(t.Context()), id); err != nil {
		t.Fatal(err)
	}
	soon(t, "gone", func() bool { in, err := p.Get(t.Context(), id); return err == nil && in.Status == launch.Gone })
}

// TestLiveCopies: a real service spreads connections over copies that are ready, and one that ends leaves the others.
func TestLiveCopies(t *testing.T) {
	p, s := live(t, player+"serve")
	s.Copies, s.Expose = 3, string(kubernetes.NodePort)
	in, err := p.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer goneAfter(t, p, in.ID)
	soon(t, "three ready and armed", func() bool {
		c, err := p.Copies(t.Context(), in.ID)
		return err == nil && c == kubernetes.Copies{Wanted: 3, Ready: 3, Armed: 3}
	})
	if in, err = p.Get(t.Context(), in.ID); err != nil || in.Status != launch.Running || in.BaseURL == "" {
		t.Fatalf("%+v, %v", in, err)
	}
	seen := map[string]int{}
	soon(t, "answered by all three", func() bool { seen[whoAnswers(t, in.BaseURL)]++; delete(seen, ""); return len(seen) == 3 })
	ended := whoAnswers(t, in.BaseURL+"/end")
	soon(t, "two left", func() bool { c, err := p.Copies(t.Context(), in.ID); return err == nil && c.Ready == 2 })
	soon(t, "the service without the one that ended", func() bool {
		for range 12 {
			if who := whoAnswers(t, in.BaseURL); who == "" || who == ended {
				return false
			}
		}
		return true
	})
	if in, err := p.Get(t.Context(), in.ID); err != nil || in.Status != launch.Running {
		t.Errorf("one of three has ended in order: %+v, %v", in, err)
	}
}

// TestLiveNodes: pods of one engine find the first by its name before it is ready, and fail and end together.
func TestLiveNodes(t *testing.T) {
	for end, c := range map[string]struct{ script, last string }{
		"a worker fails":  {worker + "exit 3", "the first is"},
		"the leader ends": {worker + `python3 -c 'import sys, urllib.request; urllib.request.urlopen("http://" + sys.argv[1] + ":8000/end").read()' "$JUSTRIGHT_LEADER"; sleep 600`, ""},
	} {
		t.Run(end, func(t *testing.T) {
			p, s := live(t, player+c.script)
			s.Nodes, s.Expose = 2, string(kubernetes.NodePort)
			in, err := p.Create(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			defer goneAfter(t, p, in.ID)
			soon(t, "ended", func() bool { got, err := p.Get(t.Context(), in.ID); return err == nil && got.Status == launch.Stopped })
			if c.last == "" {
				return
			}
			if all := said(t, p, in.ID, c.last); !strings.Contains(strings.Join(all, "\n"), "-0") {
				t.Errorf("the first is not named: %q", all)
			}
		})
	}
}
