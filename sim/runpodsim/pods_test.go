package runpodsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"justright/money"
	"justright/sim/runpodsim"
)

const l4 = `{"name":"p","image":"runpod/base:1.0.2-ubuntu2404","gpu":{"id":"NVIDIA L4","count":1}`

// TestCreateRefusals: each rule of createPod has its status and words, and a refused create rents nothing.
func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	credit, limit := 10*money.Dollar, money.USD(500_000_000)
	for _, c := range []struct {
		name, body string
		options    runpodsim.Options
		status     int
		says       string
	}{
		{"no image", `{"name":"p","gpu":{"id":"NVIDIA L4","count":1}}`, runpodsim.Options{}, 422, "missing property 'image'"},
		{"noise beside a missing property", `{"name":"p","gpu":{"id":"NVIDIA L4","count":1}}`, runpodsim.Options{}, 422, "additional properties 'gpu', 'name' not allowed"},
		{"unknown property", l4 + `,"bogus":1}`, runpodsim.Options{}, 422, "$: additional properties 'bogus' not allowed"},
		{"bad CUDA", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4","count":1,"minCudaVersion":"12"}}`, runpodsim.Options{}, 422, "does not match pattern"},
		{"exec form refused", l4 + `,"entrypoint":["sh"],"cmd":["-c","true"]}`, runpodsim.Options{RefuseExec: true}, 422, "additional properties 'cmd', 'entrypoint' not allowed"},
		{"gpu and cpu", l4 + `,"cpu":{"id":"cpu3c","vcpuCount":2}}`, runpodsim.Options{}, 400, "exactly one of"},
		{"neither", `{"name":"p","image":"i"}`, runpodsim.Options{}, 400, "exactly one of"},
		{"two CUDA rules", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4","count":1,"minCudaVersion":"12.1","allowedCudaVersions":["12.8"]}}`, runpodsim.Options{}, 400, "mutually exclusive"},
		{"two mounts", l4 + `,"mounts":{"persistent":{"size":10,"path":"/w"},"network":[{"volumeId":"x","path":"/w"}]}}`, runpodsim.Options{}, 400, "mutually exclusive"},
		{"half a mount", l4 + `,"mounts":{"network":[{"volumeId":"x"}]}}`, runpodsim.Options{}, 422, "missing property 'path'"},
		{"no such volume", l4 + `,"mounts":{"network":[{"volumeId":"x","path":"/w"}]}}`, runpodsim.Options{}, 404, "network volume not found"},
		{"no such template", l4 + `,"templateId":"x"}`, runpodsim.Options{}, 404, "template not found"},
		{"serverless template", l4 + `,"templateId":"runpod-worker-vllm"}`, runpodsim.Options{}, 422, "serverless template"},
		{"no such registry", l4 + `,"registry":"x"}`, runpodsim.Options{}, 404, "registry not found"},
		{"no such tag", strings.Replace(l4, "runpod/base:1.0.2-ubuntu2404", "vllm/vllm-openai:v9.9.9", 1) + `}`, runpodsim.Options{}, 422, "was not found on the registry"},
		{"unknown image, refused", strings.Replace(l4, "runpod/base:1.0.2-ubuntu2404", "acme/thing:1", 1) + `}`, runpodsim.Options{KnownImages: true}, 422, "was not found on the registry"},
		{"count left out", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4"}}`, runpodsim.Options{}, 400, "no longer any instances"},
		{"data centers are enforced", l4 + `,"dataCenterIds":["US-WA-1"]}`, runpodsim.Options{}, 400, "no longer any instances"},
		{"no host with that CUDA", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4","count":1,"allowedCudaVersions":["12.2"]}}`, runpodsim.Options{}, 400, "no longer any instances"},
		{"more cards than a machine has", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4","count":5}}`, runpodsim.Options{}, 400, "no longer any instances"},
		{"more memory than a machine has", `{"name":"p","image":"i","gpu":{"id":"NVIDIA L4","count":1,"minRamPerGpu":500}}`, runpodsim.Options{}, 400, "no longer any instances"},
		{"no credit", strings.Replace(l4, `NVIDIA L4","count":1`, `NVIDIA H100 80GB HBM3","count":8`, 1) + `}`, runpodsim.Options{Balance: &credit}, 402, "Insufficient balance"},
		{"spend limit", strings.Replace(l4, `"count":1`, `"count":2`, 1) + `}`, runpodsim.Options{SpendLimit: &limit}, 402, "spend limit"},
		{"not JSON", `{`, runpodsim.Options{}, 400, "not valid JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, call := timeless(t, c.options)
			status, doc := call("POST", "/v2/pods", c.body)
			if status != c.status || !strings.Contains(pretty(doc), c.says) {
				t.Errorf("%d %s\nwant %d with %q", status, pretty(doc), c.status, c.says)
			}
			if n := len(s.Ledger().Pods); n != 0 {
				t.Errorf("%d pods after a refusal", n)
			}
		})
	}
}

// TestLastCard: of many creates for the last card exactly one wins, and a deleted pod gives the card back.
func TestLastCard(t *testing.T) {
	t.Parallel()
	f := runpodsim.DefaultFleet()
	f.Machines = []runpodsim.MachineKind{{GPU: "NVIDIA L4", DataCenter: "EU-RO-1", Cloud: "SECURE", CUDA: "12.8", Driver: "570.172.08", Cards: 1}}
	s, _, call := timeless(t, runpodsim.Options{Fleet: f})
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := []string{}
	for range 20 {
		wg.Go(func() {
			if status, doc := call("POST", "/v2/pods", l4+`}`); status == http.StatusCreated {
				mu.Lock()
				won = append(won, doc["id"].(string))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d creates got the last card", len(won))
	}
	_, gpu := call("GET", "/v2/catalog/gpus/NVIDIA%20L4?include=AVAILABILITY&product=POD", "")
	if gpu["availability"] != "NONE" || gpu["dataCenters"] != nil {
		t.Errorf("catalog with no card left: %v", gpu)
	}
	call("POST", "/v2/pods/"+won[0]+"/action", `{"action":"stop"}`)
	if status, _ := call("POST", "/v2/pods", l4+`}`); status != http.StatusCreated {
		t.Fatalf("a stopped pod holds its card: %d", status)
	}
	if status, doc := call("POST", "/v2/pods/"+won[0]+"/action", `{"action":"start"}`); status != 400 || !strings.Contains(pretty(doc), "not enough free GPUs") {
		t.Errorf("start without a free card: %d %v", status, doc)
	}
	if l := s.Ledger(); l.Billing != 1 {
		t.Errorf("billing %d, want the running one alone", l.Billing)
	}
}

// TestActions: what may be asked in which status, as published in the pod itself; 409 for the rest, 422 for other words.
func TestActions(t *testing.T) {
	t.Parallel()
	_, clock, call := timeless(t, runpodsim.Options{DelayScale: runpodsim.NoDelay})
	_, doc := call("POST", "/v2/pods", l4+`}`)
	path := "/v2/pods/" + doc["id"].(string)
	do := func(action string, want int) {
		t.Helper()
		if status, doc := call("POST", path+"/action", `{"action":"`+action+`"}`); status != want {
			t.Errorf("%s: %d %v, want %d", action, status, doc, want)
		}
	}
	do("reset", 422)
	do("start", 409)
	clock.Advance(time.Second)
	do("restart", 200)
	call("PATCH", path, `{"locked":true}`)
	do("stop", 409)
	call("PATCH", path, `{"locked":false}`)
	do("stop", 200)
	do("stop", 409)
	if _, doc := call("GET", path, ""); fmt.Sprint(doc["actions"]) != "[start terminate]" || doc["cudaVersion"] == nil || doc["runtime"] != nil {
		t.Errorf("stopped: %v", doc)
	}
	do("start", 200)
	clock.Advance(time.Second)
	do("terminate", 204)
	do("terminate", 404)
}

// TestGate: an image that asks for a newer CUDA than the host never starts, for ever, while the pod runs and bills; a
// lower demand in the environment lets it through.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := func(env string) string {
			return `{"name":"g","image":"vllm/vllm-openai:v0.20.0","args":"openai/gpt-oss-20b","ports":["8000/http"],"env":{` + env + `},
				"gpu":{"id":"NVIDIA GeForce RTX 4090","count":1,"allowedCudaVersions":["12.8"]}}`
		}
		s, clock, call := timeless(t, runpodsim.Options{})
		_, doc := call("POST", "/v2/pods", body(""))
		refused := doc["id"].(string)
		_, doc = call("POST", "/v2/pods", body(`"NVIDIA_REQUIRE_CUDA":"cuda>=12.0"`))
		admitted := doc["id"].(string)
		clock.Advance(time.Hour)
		if _, doc := call("GET", "/v2/pods/"+refused, ""); doc["status"] != "RUNNING" || doc["runtime"] != nil {
			t.Errorf("refused by the host: status %v, runtime %v; want RUNNING, null", doc["status"], doc["runtime"])
		}
		if _, doc := call("GET", "/v2/pods/"+admitted, ""); doc["runtime"] == nil {
			t.Error("admitted by the environment, and yet no container")
		}
		text := "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver"
		n := 0
		for _, l := range logLines(t, s, refused) {
			if strings.Contains(l, text) {
				n++
			}
		}
		if n < 100 {
			t.Errorf("the daemon complained %d times in an hour", n)
		}
		if l := s.Ledger(); l.Billing != 2 {
			t.Errorf("billing %d, want both", l.Billing)
		}
	})
}

// TestExitIsRestarted: a container that exits is started again for ever; status and bill do not change, uptime falls back.
func TestExitIsRestarted(t *testing.T) {
	t.Parallel()
	starts, kept := 0, true
	model := runpodsim.Model(func(c *runpodsim.Container) {
		starts++
		kept = kept && (starts == 1) == c.Fresh
		c.Log(fmt.Sprintf("start %d", starts))
		c.After(time.Minute, func() { c.Exit(1) })
	})
	s, clock, call := timeless(t, runpodsim.Options{Runner: model})
	_, doc := call("POST", "/v2/pods", l4+`}`)
	path := "/v2/pods/" + doc["id"].(string)
	clock.Advance(2 * time.Hour)
	if starts < 60 || !kept {
		t.Errorf("%d starts in two hours, container disk kept: %t", starts, kept)
	}
	_, doc = call("GET", path, "")
	if doc["status"] != "RUNNING" || doc["cost"] != 0.43 {
		t.Errorf("status %v, cost %v", doc["status"], doc["cost"])
	}
	if rt, ok := doc["runtime"].(map[string]any); ok && rt["uptime"].(float64) > 60 {
		t.Errorf("uptime %v", rt["uptime"])
	}
	if got := s.Ledger().Total; got < 860_000_000 {
		t.Errorf("two hours cost %s", got)
	}
}

// TestPulls: size over the host's speed when cold, seconds when the image is there; a private image dies after a successful
// create without a reason in the pod.
func TestPulls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := map[string]time.Time{}
		model := runpodsim.Model(func(c *runpodsim.Container) { up[c.PodID] = c.Now() })
		f := runpodsim.DefaultFleet()
		f.Machines = []runpodsim.MachineKind{{GPU: "NVIDIA L4", DataCenter: "EU-RO-1", Cloud: "SECURE", CUDA: "12.8", Driver: "570.172.08", Cards: 8, Mbps: 100}}
		s, clock, call := timeless(t, runpodsim.Options{Runner: model, Fleet: f, Private: []string{"ghcr.io/acme/llm"}})
		rent := func(image string) (string, time.Time) {
			status, doc := call("POST", "/v2/pods", strings.Replace(l4, "runpod/base:1.0.2-ubuntu2404", image, 1)+`}`)
			if status != http.StatusCreated {
				t.Fatalf("%d %v", status, doc)
			}
			at := clock.Now()
			clock.Advance(time.Hour)
			return doc["id"].(string), at
		}
		cold, at := rent("runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404") // 8.6 GB at 100 MB/s, unpacking as much again
		if d := up[cold].Sub(at); d < 2*time.Minute || d > 4*time.Minute {
			t.Errorf("a cold pull took %v", d)
		}
		warm, at := rent("runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404")
		if d := up[warm].Sub(at); d > 10*time.Second {
			t.Errorf("a cached image took %v", d)
		}
		private, _ := rent("ghcr.io/acme/llm:1")
		_, doc := call("GET", "/v2/pods/"+private, "")
		if doc["status"] != "EXITED" {
			t.Errorf("a private image: %v", doc["status"])
		}
		if all := strings.Join(logLines(t, s, private), "\n"); !strings.Contains(all, `Head "https://ghcr.io/v2/acme/llm/manifests/1": no basic auth credentials`) {
			t.Errorf("log of a private image:\n%s", all)
		}
	})
}

// TestFaults: each switch does what its name says, once.
func TestFaults(t *testing.T) {
	t.Parallel()
	s, clock, call := timeless(t, runpodsim.Options{DelayScale: runpodsim.NoDelay})
	create := func() (int, string) {
		status, doc := call("POST", "/v2/pods", l4+`}`)
		id, _ := doc["id"].(string)
		return status, id
	}
	pods := func() int { return len(s.Ledger().Pods) }
	listed := func() int {
		_, doc := call("GET", "/v2/pods", "")
		return len(doc["pods"].([]any))
	}
	add := func(f runpodsim.Fault) { s.ClearFaults(); s.AddFault(f) }

	add(runpodsim.Fault{Kind: runpodsim.LostReply, Op: "createPod", Count: 1})
	if status, _ := create(); status != 0 || pods() != 1 {
		t.Errorf("lost reply: answered %d, %d pods", status, pods())
	}
	add(runpodsim.Fault{Kind: runpodsim.LostRequest, Op: "createPod", Count: 1})
	if status, _ := create(); status != 0 || pods() != 1 {
		t.Errorf("lost request: answered %d, %d pods", status, pods())
	}
	add(runpodsim.Fault{Kind: runpodsim.ErrorAfter, Op: "createPod", Count: 1})
	if status, _ := create(); status != 500 || pods() != 2 {
		t.Errorf("500 after create: %d, %d pods", status, pods())
	}
	add(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "createPod", Status: 503, Count: 1})
	if status, _ := create(); status != 503 || pods() != 2 {
		t.Errorf("503 before create: %d, %d pods", status, pods())
	}
	add(runpodsim.Fault{Kind: runpodsim.ListLag, Delay: 30 * time.Second})
	_, id := create()
	if listed() != 0 {
		t.Errorf("a lagging list shows %d young pods", listed())
	}
	clock.Advance(time.Minute)
	if listed() != 3 {
		t.Errorf("after the lag: %d", listed())
	}
	add(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "deletePod", Count: 2})
	for i, want := range []int{500, 500, 204} {
		if status, _ := call("DELETE", "/v2/pods/"+id, ""); status != want {
			t.Errorf("delete %d: %d, want %d", i, status, want)
		}
	}
	_, id = create()
	add(runpodsim.Fault{Kind: runpodsim.Ignored, Op: "deletePod", Count: 1})
	if status, _ := call("DELETE", "/v2/pods/"+id, ""); status != 204 || listed() != 3 {
		t.Errorf("an ignored delete: %d, %d pods", status, listed())
	}
	add(runpodsim.Fault{Kind: runpodsim.ErrorBefore, Op: "podAction", Status: 405, Count: 1})
	if status, _ := call("POST", "/v2/pods/"+id+"/action", `{"action":"terminate"}`); status != 405 {
		t.Errorf("terminate refused with 405: %d", status)
	}
	add(runpodsim.Fault{Kind: runpodsim.WrongPrice, Factor: 3, Count: 1})
	if _, doc := call("POST", "/v2/pods", l4+`}`); doc["cost"] != 1.29 {
		t.Errorf("wrong price: %v", doc["cost"])
	}
	add(runpodsim.Fault{Kind: runpodsim.NoStock, Count: 1})
	if status, _ := create(); status != 400 {
		t.Errorf("no stock: %d", status)
	}
	add(runpodsim.Fault{Kind: runpodsim.GetLag, Delay: time.Minute})
	_, id = create()
	if status, _ := call("GET", "/v2/pods/"+id, ""); status != 404 {
		t.Errorf("a get right after the create: %d", status)
	}
	add(runpodsim.Fault{Kind: runpodsim.CutBody, Op: "getPod", Bytes: 20, Count: 1})
	if status, doc := call("GET", "/v2/pods/"+id, ""); status != 200 || doc != nil {
		t.Errorf("a cut body: %d %v", status, doc)
	}
}

// TestThrottle: the windows are counted down in the headers and end in 429 with Retry-After.
func TestThrottle(t *testing.T) {
	t.Parallel()
	clock := runpodsim.NewVirtualClock(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	w := serve(t, runpodsim.Options{Clock: clock, RateLimit: &runpodsim.RateLimit{Minute: 3, Hour: 100, Day: 1000}})
	for i := range 4 {
		status, h, _ := w.raw("GET", "/v2/pods", "")
		if i < 3 && status != 200 || i == 3 && (status != 429 || h.Get("Retry-After") != "61") {
			t.Errorf("call %d: %d, Retry-After %q", i, status, h.Get("Retry-After"))
		}
		if i == 0 && !strings.HasPrefix(h.Get("RateLimit"), `"minute";r=2;t=`) {
			t.Errorf("RateLimit: %s", h.Get("RateLimit"))
		}
	}
	clock.Advance(time.Minute)
	if status, _, _ := w.raw("GET", "/v2/pods", ""); status != 200 {
		t.Errorf("a minute later: %d", status)
	}
}

// TestPodKey: the key inside a pod acts on its own pod by v2 and GraphQL, and on nothing else.
func TestPodKey(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	model := runpodsim.Model(func(c *runpodsim.Container) { keys[c.PodID] = c.Env["RUNPOD_API_KEY"] })
	w := serve(t, runpodsim.Options{Runner: model, DelayScale: runpodsim.NoDelay})
	a, b := w.create(json.RawMessage(l4+`}`)), w.create(json.RawMessage(l4+`}`))
	w.await(b, "start container")
	w.key = keys[a]
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v2/pods/" + a, "", 200},
		{"GET", "/v2/pods/" + b, "", 403},
		{"DELETE", "/v2/pods/" + b, "", 403},
		{"GET", "/v2/pods", "", 403},
		{"GET", "/v2/catalog/gpus", "", 403},
		{"GET", "/v1/pods/" + a, "", 403},
		{"POST", "/v2/pods/" + a + "/action", `{"action":"prove"}`, 422},
		{"POST", "/graphql", `{"query":"{myself{clientBalance}}"}`, 200},
		{"DELETE", "/v2/pods/" + a, "", 204},
		{"GET", "/v2/pods/" + a, "", 401},
	} {
		status, _, answer := w.raw(c.method, c.path, c.body)
		if status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, c.want)
		}
		if c.path == "/graphql" && !bytes.Contains(answer, []byte("Forbidden")) {
			t.Errorf("the balance for a pod's key: %s", answer)
		}
	}
}

// TestProxyLimit: an answer that has not begun after 100 s is 524; one that has begun may take as long as it likes.
func TestProxyLimit(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	model := runpodsim.Model(func(c *runpodsim.Container) {
		wait := func(r *http.Request, d time.Duration) {
			done := make(chan struct{})
			c.After(d, func() { close(done) })
			begun <- struct{}{}
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
		c.Serve(8000, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				_, _ = io.WriteString(w, "first ")
				w.(http.Flusher).Flush()
			}
			wait(r, 5*time.Minute)
			_, _ = io.WriteString(w, "last")
		}))
	})
	s, clock, call := timeless(t, runpodsim.Options{Runner: model, DelayScale: runpodsim.NoDelay})
	_, doc := call("POST", "/v2/pods", l4+`,"ports":["8000/http"]}`)
	id := doc["id"].(string)
	clock.Advance(time.Second)
	for path, want := range map[string]string{"/late": "524 error code: 524", "/stream": "200 first last"} {
		got := make(chan string, 1)
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+id+"-8000.proxy.runpod.net"+path, nil)
			resp, err := s.Transport().RoundTrip(req)
			if err != nil {
				got <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			got <- fmt.Sprintf("%d %s", resp.StatusCode, b)
		}()
		<-begun
		clock.Advance(99 * time.Second)
		clock.Advance(10 * time.Minute)
		if g := <-got; g != want {
			t.Errorf("%s: %q, want %q", path, g, want)
		}
	}
}
