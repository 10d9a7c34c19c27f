package runpodsim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"justright/sim/runpodsim"
	"justright/sim/runpodsim/inpod"
)

// TestMain lets the test binary play the tools of a pod, as the justright binary does.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "sim-tool" {
		os.Exit(inpod.Main(context.Background(), selfTool(), os.Args[2:], inpod.Call{
			Env: os.Getenv, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}
	// These tests wait for pods that sleep: more of them than there are cores may run beside each other. -parallel overrides.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func selfTool() []string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	// The race detector would have each tool sleep a second at its end.
	return []string{"env", "GORACE=atexit_sleep_ms=0", self, "sim-tool"}
}

// world is a simulator on a socket, and a client of it.
type world struct {
	t   *testing.T
	sim *runpodsim.Server
	url string
	key string
}

// scripted starts a simulator whose pods run under a real shell with stand-in tools.
func scripted(t *testing.T, o runpodsim.Options) *world {
	t.Helper()
	o.Runner = &runpodsim.Shell{Dir: t.TempDir(), Tool: selfTool(), Path: os.Getenv("PATH")}
	if o.DelayScale == 0 {
		o.DelayScale = runpodsim.NoDelay
	}
	return serve(t, o)
}

func serve(t *testing.T, o runpodsim.Options) *world {
	t.Helper()
	s := runpodsim.New(o)
	ts := httptest.NewServer(s)
	s.SetBaseURL(ts.URL)
	t.Cleanup(func() {
		s.Close()
		ts.CloseClientConnections()
		ts.Close()
	})
	return &world{t, s, ts.URL, "k"}
}

// call makes one request and decodes the answer when there is one.
func (w *world) call(method, path, body string) (int, map[string]any) {
	w.t.Helper()
	status, _, b := w.raw(method, path, body)
	var doc map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &doc); err != nil {
			w.t.Fatalf("%s %s: %d %s: %v", method, path, status, b, err)
		}
	}
	return status, doc
}

func (w *world) raw(method, path, body string) (int, http.Header, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header, b
}

// create rents a pod and returns its id.
func (w *world) create(body any) string {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	status, doc := w.call("POST", "/v2/pods", string(b))
	if status != http.StatusCreated {
		w.t.Fatalf("create: %d %v", status, doc)
	}
	return doc["id"].(string)
}

// logs is what a pod and its platform said until now, one "source: line" each.
func (w *world) logs(id string) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", w.url+"/v2/pods/"+id+"/logs?tail=5000", nil)
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	defer time.AfterFunc(150*time.Millisecond, cancel).Stop() // from the answer on, which a busy machine makes late
	b, _ := io.ReadAll(resp.Body)                             // the stream stays open until then
	whole := string(b[:bytes.LastIndex(b, []byte("\n\n"))+1]) // the end may have come in the middle of an event
	var out []string
	for _, l := range strings.Split(whole, "\n") {
		if d, ok := strings.CutPrefix(l, "data: "); ok {
			var e struct{ Source, Line string }
			if err := json.Unmarshal([]byte(d), &e); err != nil {
				w.t.Fatalf("%s: %v", l, err)
			}
			out = append(out, e.Source+": "+e.Line)
		}
	}
	return out
}

// await waits until a pod's log holds every text.
func (w *world) await(id string, texts ...string) []string {
	w.t.Helper()
	var got []string
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got = w.logs(id)
		all := strings.Join(got, "\n")
		missing := ""
		for _, x := range texts {
			if !strings.Contains(all, x) {
				missing = x
			}
		}
		if missing == "" {
			return got
		}
	}
	w.t.Fatalf("the log never said %q:\n%s", texts, strings.Join(got, "\n"))
	return nil
}

func gpu(id string) map[string]any { return map[string]any{"id": id, "count": 1} }

func pretty(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}
