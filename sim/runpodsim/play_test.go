package runpodsim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"justright/boot"
	"justright/money"
	"justright/sim/runpodsim"
)

// timeless is a simulator without processes, sockets or waiting: a virtual clock and a played container.
func timeless(t testing.TB, o runpodsim.Options) (*runpodsim.Server, *runpodsim.VirtualClock, func(method, path, body string) (int, map[string]any)) {
	t.Helper()
	clock := runpodsim.NewVirtualClock(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	o.Clock, o.RateLimit = clock, &runpodsim.Unlimited
	if o.Runner == nil {
		o.Runner = runpodsim.Play{}.Model()
	}
	s := runpodsim.New(o)
	t.Cleanup(s.Close)
	s.SetBaseURL("http://sim.test")
	client := &http.Client{Transport: s.Transport()}
	return s, clock, func(method, path, body string) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://sim.test"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer k")
		req.Header.Set("User-Agent", "test")
		resp, err := client.Do(req)
		if err != nil {
			return 0, nil
		}
		defer resp.Body.Close()
		var doc map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&doc) // 204 has no body
		return resp.StatusCode, doc
	}
}

// bootBody is a create with justright's own start script.
func bootBody(t testing.TB, env map[string]string) string {
	t.Helper()
	script, err := boot.Render(bootSpec())
	if err != nil {
		t.Fatal(err)
	}
	e := map[string]string{"VLLM_API_KEY": "secret-key"}
	for k, v := range env {
		e[k] = v
	}
	b, err := json.Marshal(map[string]any{
		"name": "played", "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "disk": 60, "ports": []string{"8000/http"}, "env": e,
		"entrypoint": script.Start().Entrypoint, "cmd": script.Start().Cmd,
		"gpu": map[string]any{"id": "NVIDIA RTX A5000", "count": 1, "minCudaVersion": "12.8"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPlayedGuard: whoever is gone, the pod ends at the first of its limits, on the virtual clock.
func TestPlayedGuard(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return itoa(start.Add(d).Unix()) }
	for _, c := range []struct {
		name  string
		env   map[string]string
		play  runpodsim.Play
		alive time.Duration // still there
		gone  time.Duration // no longer
	}{
		{"ttl", map[string]string{"JUSTRIGHT_END_BY": at(time.Hour)}, runpodsim.Play{}, 59 * time.Minute, 61 * time.Minute},
		{"dollar cap", map[string]string{"JUSTRIGHT_CAP_BY": at(30 * time.Minute), "JUSTRIGHT_END_BY": at(time.Hour)}, runpodsim.Play{}, 29 * time.Minute, 31 * time.Minute},
		{"boot deadline", map[string]string{"JUSTRIGHT_BOOT_BY": at(20 * time.Minute)}, runpodsim.Play{Engine: time.Hour}, 19 * time.Minute, 21 * time.Minute},
		{"idle", map[string]string{"JUSTRIGHT_IDLE": "600"}, runpodsim.Play{}, 12 * time.Minute, 20 * time.Minute},
		{"failed boot, held", nil, runpodsim.Play{Fail: func(*runpodsim.Container) (string, string, string) { return "env", "disk_full", "no space left" }}, 3 * time.Minute, 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, clock, call := timeless(t, runpodsim.Options{Runner: c.play.Model(), Seed: 1})
			status, doc := call("POST", "/v2/pods", bootBody(t, c.env))
			if status != http.StatusCreated {
				t.Fatalf("create: %d %v", status, doc)
			}
			path := "/v2/pods/" + doc["id"].(string)
			clock.Advance(c.alive)
			if status, _ := call("GET", path, ""); status != http.StatusOK {
				t.Fatalf("after %v: %d, want it alive", c.alive, status)
			}
			clock.Advance(c.gone - c.alive)
			if status, _ := call("GET", path, ""); status != http.StatusNotFound {
				t.Errorf("after %v: %d, want it gone", c.gone, status)
			}
			if l := s.Ledger(); l.Billing != 0 || l.Total == 0 {
				t.Errorf("ledger: %+v", l)
			}
		})
	}
}

// TestPlayedLifetimeMoves: the end moves through the engine's door, with the engine's key, and the guard follows it.
func TestPlayedLifetimeMoves(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return itoa(start.Add(d).Unix()) }
	_, clock, call := timeless(t, runpodsim.Options{Seed: 1})
	_, doc := call("POST", "/v2/pods", bootBody(t, map[string]string{"VLLM_API_KEY": "k", "JUSTRIGHT_END_BY": at(time.Hour)}))
	id := doc["id"].(string)
	clock.Advance(50 * time.Minute)
	if status, _ := call("POST", "/proxy/"+id+"/8000/justright/extend", at(2*time.Hour)); status != http.StatusOK {
		t.Fatalf("extend: %d", status)
	}
	clock.Advance(69 * time.Minute)
	if status, _ := call("GET", "/v2/pods/"+id, ""); status != http.StatusOK {
		t.Errorf("a minute before the new end: %d", status)
	}
	clock.Advance(2 * time.Minute)
	if status, _ := call("GET", "/v2/pods/"+id, ""); status != http.StatusNotFound {
		t.Errorf("a minute after the new end: %d", status)
	}
}

// TestPlayedEngine: the played boot serves behind the proxy, with the key of the environment.
func TestPlayedEngine(t *testing.T) {
	t.Parallel()
	_, clock, call := timeless(t, runpodsim.Options{Seed: 1})
	_, doc := call("POST", "/v2/pods", bootBody(t, nil))
	id := doc["id"].(string)
	if status, _ := call("GET", "/proxy/"+id+"/8000/v1/models", ""); status != http.StatusBadGateway {
		t.Errorf("before it listens: %d, want 502", status)
	}
	clock.Advance(time.Hour)
	if status, _ := call("GET", "/proxy/"+id+"/8000/v1/models", ""); status != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %d, want 401", status)
	}
	if status, _ := call("GET", "/proxy/"+id+"/8000/health", ""); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	if status, _ := call("GET", "/proxy/"+id+"/9000/health", ""); status != http.StatusNotFound {
		t.Errorf("a port that is not declared: %d, want 404", status)
	}
}

// TestBilling: the meter starts at rental, a stopped pod pays for its volume at the double rate, an ended one nothing.
func TestBilling(t *testing.T) {
	t.Parallel()
	s, clock, call := timeless(t, runpodsim.Options{Seed: 1, DelayScale: runpodsim.NoDelay})
	_, doc := call("POST", "/v2/pods", `{"name":"v","image":"runpod/base:1.0.2-ubuntu2404","disk":73,"gpu":{"id":"NVIDIA L4","count":2},
		"mounts":{"persistent":{"size":146,"path":"/workspace"}}}`)
	id := doc["id"].(string)
	if doc["cost"] != 0.86 {
		t.Errorf("cost: %v, want twice 0.43", doc["cost"])
	}
	spent := func() money.USD { return s.Ledger().Pods[0].Cost }
	// 73 GB at $0.10 a month are a cent an hour, 146 GB two.
	clock.Advance(time.Hour)
	if got := spent(); got != 890_000_000 {
		t.Errorf("an hour running: %s, want 0.89", got)
	}
	if status, doc := call("POST", "/v2/pods/"+id+"/action", `{"action":"stop"}`); status != http.StatusOK || doc["cost"] != 0.0 || doc["status"] != "EXITED" {
		t.Fatalf("stop: %d %v", status, doc)
	}
	before := spent()
	clock.Advance(time.Hour)
	if got := spent() - before; got != 40_000_000 {
		t.Errorf("an hour stopped: %s, want 0.04", got)
	}
	if l := s.Ledger(); l.Billing != 1 {
		t.Errorf("a stopped pod with a volume bills: %+v", l)
	}
	call("DELETE", "/v2/pods/"+id, "")
	before = spent()
	clock.Advance(24 * time.Hour)
	if got := spent(); got != before || s.Ledger().Billing != 0 {
		t.Errorf("after the end: %s, want %s", got, before)
	}
	status, bill := call("GET", "/v2/billing/pods?bucketSize=hour&lastN=48&podId="+id, "")
	meta := bill["metadata"].(map[string]any)
	if total := meta["totals"].(map[string]any)["totalAmount"].(float64); status != 200 || money.FromFloat(total).Cents() != before.Cents() {
		t.Errorf("billing says %v, the ledger %s", total, before)
	}
	if n := meta["recordCount"].(float64); n < 2 || n > 3 {
		t.Errorf("%v hours with a bill, want 2 or 3", n)
	}
}

// TestBalance: without credit, pods with a network volume stop and the others end.
func TestBalance(t *testing.T) {
	t.Parallel()
	credit := 2 * money.Dollar
	s, clock, call := timeless(t, runpodsim.Options{Seed: 1, Balance: &credit})
	_, v := call("POST", "/v2/network-volumes", `{"name":"v","size":10,"dataCenter":"EU-RO-1"}`)
	ids := []string{}
	for _, extra := range []string{"", `,"mounts":{"network":[{"volumeId":"` + v["id"].(string) + `","path":"/workspace"}]}`} {
		status, doc := call("POST", "/v2/pods", `{"name":"b","image":"runpod/base:1.0.2-ubuntu2404","gpu":{"id":"NVIDIA RTX A5000","count":1}`+extra+`}`)
		if status != http.StatusCreated {
			t.Fatalf("create: %d %v", status, doc)
		}
		ids = append(ids, doc["id"].(string))
	}
	clock.Advance(5 * time.Hour)
	if status, _ := call("GET", "/v2/pods/"+ids[0], ""); status != http.StatusNotFound {
		t.Errorf("the pod without a network volume: %d, want it ended", status)
	}
	if _, doc := call("GET", "/v2/pods/"+ids[1], ""); doc["status"] != "EXITED" {
		t.Errorf("the pod with a network volume: %v, want EXITED", doc["status"])
	}
	if status, doc := call("POST", "/v2/pods", `{"name":"b","image":"runpod/base:1.0.2-ubuntu2404","gpu":{"id":"NVIDIA RTX A5000","count":1}}`); status != http.StatusPaymentRequired {
		t.Errorf("create without credit: %d %v", status, doc)
	}
	s.Grant(10 * money.Dollar)
	if status, doc := call("POST", "/v2/pods", `{"name":"b","image":"runpod/base:1.0.2-ubuntu2404","gpu":{"id":"NVIDIA RTX A5000","count":1}}`); status != http.StatusCreated {
		t.Errorf("create with credit: %d %v", status, doc)
	}
}

func itoa(n int64) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// BenchmarkUp is a whole played launch without sockets: create, boot on the virtual clock, health, one request, delete.
func BenchmarkUp(b *testing.B) {
	body := bootBody(b, nil)
	for b.Loop() {
		s, clock, call := timeless(b, runpodsim.Options{Seed: 1})
		_, doc := call("POST", "/v2/pods", body)
		id, _ := doc["id"].(string)
		clock.Advance(30 * time.Minute)
		if status, _ := call("GET", "/proxy/"+id+"/8000/health", ""); status != http.StatusOK {
			b.Fatalf("health: %d", status)
		}
		call("DELETE", "/v2/pods/"+id, "")
		if s.Ledger().Billing != 0 {
			b.Fatal("something bills")
		}
	}
}
