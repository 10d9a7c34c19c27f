package runpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
	"justright/money"
	"justright/solve"
	"justright/version"
)

// answer is one scripted reply.
type answer struct {
	status int
	body   string
	plain  bool // not application/problem+json or json
}

// script serves answers in order, the last one for ever, and keeps what it was sent.
type script struct {
	t       *testing.T
	answers []answer
	bodies  []map[string]any
	paths   []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(raw, &body) // GET has none
	a := s.answers[min(len(s.paths), len(s.answers)-1)]
	s.bodies = append(s.bodies, body)
	s.paths = append(s.paths, r.Method+" "+r.URL.RequestURI())
	if r.Header.Get("Authorization") != "Bearer rpa_TESTKEY" {
		s.t.Errorf("%s came without our key", r.URL)
	}
	ct := "application/json"
	if a.status >= 400 {
		ct = "application/problem+json"
	}
	if a.plain {
		ct = "text/html"
	}
	w.Header().Set("Content-Type", ct)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// against makes an adapter that talks to the script.
func against(t *testing.T, answers ...answer) (*Provider, *script) {
	t.Helper()
	s := &script{t: t, answers: answers}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	p, err := New(Config{
		Key: httpclient.NewSecret("rpa_TESTKEY"), BaseURL: srv.URL,
		Now:   func() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

func problemJSON(status int, detail string, errs ...string) answer {
	b, _ := json.Marshal(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail, "errors": errs})
	return answer{status: status, body: string(b)}
}

var spec = launch.Spec{
	Name: "jr-x", AttemptID: "a0", OwnerID: "o0", Image: "img:1",
	Start: solve.Start{Entrypoint: []string{"sh", "-c"}, Cmd: []string{"echo 'a b'"}, Args: `sh -c "echo 'a b'"`},
	Env:   map[string]string{"VLLM_API_KEY": "sk-verysecret"}, Ports: []string{"22/tcp", "8000/http"}, DiskGB: 40,
	GPU: "NVIDIA L4", GPUCount: 0, MinCUDA: version.CUDA{Major: 12, Minor: 9}, Cloud: "SECURE", DataCenters: []string{"EU-RO-1"},
	VolumeID: "vol1",
}

const created = `{"id":"pod1","name":"jr-x","status":"RUNNING","runtime":{},"cost":0.43,"ports":["22/tcp","8000/http"],
"env":{"JUSTRIGHT_ATTEMPT":"a0","JUSTRIGHT_OWNER":"o0"},"gpu":{"id":"NVIDIA L4","count":1},"dataCenterId":"EU-RO-1","cudaVersion":"12.9",
"createdAt":"2026-06-01T12:00:00Z","startedAt":null}`

func TestCreateSendsAndReads(t *testing.T) {
	p, s := against(t, answer{status: 201, body: created})
	in, err := p.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(s.bodies[0])
	want := `{"cloud":"SECURE","cmd":["echo 'a b'"],"dataCenterIds":["EU-RO-1"],"disk":40,"entrypoint":["sh","-c"],` +
		`"env":{"JUSTRIGHT_ATTEMPT":"a0","JUSTRIGHT_OWNER":"o0","VLLM_API_KEY":"sk-verysecret"},"gpu":{"count":1,"id":"NVIDIA L4","minCudaVersion":"12.9"},` +
		`"image":"img:1","mounts":{"network":[{"path":"/workspace","volumeId":"vol1"}]},"name":"jr-x","ports":["22/tcp","8000/http"]}`
	if string(got) != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if _, leaked := spec.Env["JUSTRIGHT_ATTEMPT"]; leaked {
		t.Error("the caller's environment was changed")
	}
	if in.ID != "pod1" || in.Status != launch.Provisioning || in.AttemptID != "a0" || in.OwnerID != "o0" || *in.PricePerHour != 43*money.Dollar/100 ||
		in.HostCUDA.String() != "12.9" || in.BaseURL != p.BaseURL()+"/proxy/pod1/8000" || in.DataCenter != "EU-RO-1" {
		t.Errorf("read %+v", in)
	}
}

func TestCreateFallsBackToArgs(t *testing.T) {
	unknown := problemJSON(422, "Request validation failed.", "$: additional properties 'cmd', 'entrypoint' not allowed")
	p, s := against(t, unknown, answer{status: 201, body: created})
	for range 2 {
		if _, err := p.Create(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.bodies) != 3 {
		t.Fatalf("%d requests, want exec, args, and args at once the second time", len(s.bodies))
	}
	for i, b := range s.bodies {
		_, hasArgs := b["args"]
		_, hasExec := b["entrypoint"]
		if hasArgs == (i == 0) || hasExec == (i > 0) {
			t.Errorf("request %d carried args=%v entrypoint=%v", i, hasArgs, hasExec)
		}
	}
	if s.bodies[1]["args"] != spec.Start.Args {
		t.Errorf("args = %v", s.bodies[1]["args"])
	}

	// The validator's noise after a missing field proves nothing.
	p, s = against(t, problemJSON(422, "Request validation failed.", "$: missing property 'image'",
		"$: additional properties 'cmd', 'entrypoint', 'image' not allowed"), answer{status: 201, body: created})
	if _, err := p.Create(t.Context(), spec); provider.KindOf(err) != launch.FailRejected || len(s.bodies) != 1 {
		t.Errorf("missing property: err %v after %d requests; want rejected after 1", err, len(s.bodies))
	}

	noArgs := spec
	noArgs.Start.Args = ""
	p, s = against(t, unknown, answer{status: 201, body: created})
	if _, err := p.Create(t.Context(), noArgs); provider.KindOf(err) != launch.FailRejected || len(s.bodies) != 1 {
		t.Errorf("no args to fall back to: err %v after %d requests", err, len(s.bodies))
	}
}

func TestCreateIsSentOnceAndClassified(t *testing.T) {
	tests := []struct {
		a    answer
		kind launch.FailureKind
	}{
		{problemJSON(400, "There are no longer any instances available with the requested specifications. Please refresh and try again."), launch.FailNoCapacity},
		{problemJSON(400, "create pod: could not find any pods with required specifications"), launch.FailNoCapacity},
		{problemJSON(400, "something nobody has seen before"), launch.FailNoCapacity},
		{problemJSON(400, "minCudaVersion and allowedCudaVersions are mutually exclusive"), launch.FailRejected},
		{problemJSON(400, "data center EU-SE-1 does not support network volumes; use one of EU-RO-1"), launch.FailRejected},
		{problemJSON(400, "Insufficient balance to create this pod"), launch.FailQuota},
		{problemJSON(401, "missing bearer token"), launch.FailAuth},
		{problemJSON(402, "not enough balance"), launch.FailQuota},
		{problemJSON(403, "access denied"), launch.FailAuth},
		{problemJSON(403, "this GPU pool is not available to your account"), launch.FailNoCapacity},
		{answer{403, "error code: 1010", true}, launch.FailAuth}, // html: no words to go by
		{problemJSON(404, "template not found"), launch.FailNotFound},
		{problemJSON(422, `Container image "x" was not found on the registry.`), launch.FailRejected},
		{problemJSON(429, "rate limit exceeded for the minute window"), launch.FailTemporary},
		{problemJSON(500, "There are no longer any instances available"), launch.FailTemporary}, // may have created all the same
		{answer{201, `{"status":"RUNNING"}`, false}, launch.FailTemporary},
		{answer{201, `{"id":`, false}, launch.FailTemporary},
	}
	for _, tt := range tests {
		p, s := against(t, tt.a, answer{status: 201, body: created})
		_, err := p.Create(t.Context(), spec)
		if provider.KindOf(err) != tt.kind || len(s.paths) != 1 {
			t.Errorf("%d %s: kind %q after %d requests, want %q after 1", tt.a.status, tt.a.body, provider.KindOf(err), len(s.paths), tt.kind)
		}
	}
}

func TestCreateErrorsHideSecrets(t *testing.T) {
	p, _ := against(t, problemJSON(422, "bad value sk-verysecret for key rpa_TESTKEY", "$.env.VLLM_API_KEY: 'sk-verysecret' is too long"))
	_, err := p.Create(t.Context(), spec)
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		text += fmt.Sprintf(" %v %+v", e, e)
	}
	if strings.Contains(text, "verysecret") || strings.Contains(text, "TESTKEY") || !strings.Contains(text, "is too long") {
		t.Errorf("error text: %s", text)
	}
}

func TestCreateRefusesWhatCannotBeFound(t *testing.T) {
	for name, change := range map[string]func(*launch.Spec){
		"attempt": func(s *launch.Spec) { s.AttemptID = "" },
		"owner":   func(s *launch.Spec) { s.OwnerID = "" },
		"gpu":     func(s *launch.Spec) { s.GPU = "" },
	} {
		p, s := against(t, answer{status: 201, body: created})
		bad := spec
		change(&bad)
		if _, err := p.Create(t.Context(), bad); provider.KindOf(err) != launch.FailRejected || len(s.paths) != 0 {
			t.Errorf("without %s: %v after %d requests; want rejected without one", name, err, len(s.paths))
		}
	}
}

func TestStatuses(t *testing.T) {
	tests := []struct {
		status, runtime string
		want            launch.Status
		uptime          time.Duration
	}{
		{"PROVISIONING", `{}`, launch.Provisioning, 0},
		{"STARTING", `null`, launch.Provisioning, 0},
		{"RUNNING", `null`, launch.Provisioning, 0},
		{"RUNNING", `{}`, launch.Provisioning, 0},
		{"RUNNING", `{"uptime":0}`, launch.Running, 0},
		{"RUNNING", `{"uptime":61,"ports":[]}`, launch.Running, 61 * time.Second},
		{"RUNNING", `{"uptime":-3}`, launch.Running, 0},
		{"EXITED", `null`, launch.Stopped, 0},
		{"ERROR", `null`, launch.Stopped, 0},
		{"TERMINATED", `null`, launch.Gone, 0},
		{"HIBERNATING", `null`, launch.StatusUnknown, 0},
	}
	for _, tt := range tests {
		p, _ := against(t, answer{status: 200, body: `{"id":"p","status":"` + tt.status + `","runtime":` + tt.runtime + `}`})
		in, err := p.Get(t.Context(), "p")
		if err != nil || in.Status != tt.want || in.Uptime != tt.uptime {
			t.Errorf("%s %s: %q %s, %v; want %q %s", tt.status, tt.runtime, in.Status, in.Uptime, err, tt.want, tt.uptime)
		}
		if in.PricePerHour != nil {
			t.Errorf("a price nobody told: %v", in.PricePerHour)
		}
	}
}

func TestDenialNeedsTheProvidersOwnWords(t *testing.T) {
	p, _ := against(t, problemJSON(404, "pod not found"))
	if in, err := p.Get(t.Context(), "p"); err != nil || in.Status != launch.Gone || in.ID != "p" {
		t.Errorf("Get = %+v, %v; want gone", in, err)
	}
	if err := p.Delete(t.Context(), "p"); err != nil {
		t.Errorf("Delete of what is gone: %v", err)
	}
	for _, a := range []answer{{404, "<html>no such page</html>", true}, {404, `{"unrelated":1}`, false}} {
		p, _ = against(t, a)
		if in, err := p.Get(t.Context(), "p"); err == nil || in.Status == launch.Gone || provider.KindOf(err) != launch.FailUnknown {
			t.Errorf("%s: Get = %+v, %v; a wrong address denies nothing", a.body, in, err)
		}
		if err := p.Delete(t.Context(), "p"); err == nil {
			t.Errorf("%s: Delete believed it", a.body)
		}
	}
	p, _ = against(t, problemJSON(403, "access denied"))
	if _, err := p.Get(t.Context(), "p"); provider.KindOf(err) != launch.FailAuth {
		t.Errorf("403: %v, want auth", err)
	}
	p, _ = against(t, answer{status: 200, body: `{"id":"other","status":"TERMINATED"}`})
	if _, err := p.Get(t.Context(), "p"); err == nil {
		t.Error("the description of another pod was taken")
	}
}

func TestListNeverTurnsNonsenseIntoAbsence(t *testing.T) {
	for body, want := range map[string]int{
		`{"pods":[{"id":"a","status":"RUNNING","env":{"JUSTRIGHT_OWNER":"o"}}]}`: 1, `{"pods":[]}`: 0, `[{"id":"a"}]`: 1, `[]`: 0,
		`{}`: -1, `{"pods":null}`: -1, `null`: -1, `"x"`: -1,
	} {
		p, _ := against(t, answer{status: 200, body: body})
		got, err := p.List(t.Context())
		if (err != nil) != (want < 0) || (want >= 0 && len(got) != want) {
			t.Errorf("%s: %v, %v; want %d", body, got, err, want)
		}
	}
}

func TestOffers(t *testing.T) {
	p, s := against(t, answer{status: 200, body: `{"gpus":[
	 {"id":"NVIDIA L4","name":"L4","memory":24,"secure":true,"community":false,"price":{"secure":0.43,"community":0},"maxCount":{"secure":8,"community":0},
	  "availability":"LOW","dataCenters":[{"id":"US-TX-1","availability":"LOW"},{"id":"EU-RO-1","availability":"HIGH"},{"id":"EU-SE-1","availability":"NONE"}],
	  "cudaVersions":[{"version":"13.0","available":true},{"version":"12.4","available":true},{"version":"12.8","available":false}]},
	 {"id":"X","name":"X","memory":1,"secure":false,"community":true,"price":{"secure":0,"community":0.1},"maxCount":{"secure":0,"community":1}},
	 {"id":"NVIDIA A40","name":"A40","memory":48,"secure":true,"community":true,"price":{"secure":0,"community":0.2},"maxCount":{"secure":1,"community":1},"availability":"NONE"}]}`})
	p.cfg.GPU = func(id string) string { return map[string]string{"NVIDIA L4": "l4"}[id] }
	got, err := p.Offers(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v; want two secure offers", got, err)
	}
	if s.paths[0] != "GET /v2/catalog/gpus?cloud=SECURE&include=AVAILABILITY&product=POD" {
		t.Errorf("asked %s", s.paths[0])
	}
	a40, l4 := got[0], got[1]
	if a40.PricePerHour != nil || a40.Stock != "NONE" || a40.GPU != "NVIDIA A40" {
		t.Errorf("A40 %+v: a price of 0 is no price", a40)
	}
	if l4.GPU != "l4" || l4.ProviderID != "NVIDIA L4" || l4.PricePerHour.String() != "0.43" || fmt.Sprint(l4.DataCenters) != "[EU-RO-1 US-TX-1]" ||
		fmt.Sprint(l4.HostCUDA) != "[12.4 13.0]" || l4.MaxCount != 8 || l4.Date != "2026-11-25" {
		t.Errorf("L4 %+v", l4)
	}
}

func TestConfigFromEnv(t *testing.T) {
	tests := []struct {
		env              map[string]string
		base, proxy, bad string
		key              bool
	}{
		{map[string]string{"RUNPOD_API_KEY": "k"}, "https://api.runpod.io", "https://p1-8000.proxy.runpod.net", "", true},
		{map[string]string{"RUNPOD_API_BASE_URL": "http://127.0.0.1:9/v2/"}, "http://127.0.0.1:9", "http://127.0.0.1:9/proxy/p1/8000", "", false},
		{map[string]string{"RUNPOD_API_BASE_URL": "https://v2-rest.runpod.io"}, "https://v2-rest.runpod.io", "https://p1-8000.proxy.runpod.net", "", false},
		{map[string]string{"JUSTRIGHT_RUNPOD_PROXY": "http://h/{port}/{pod}"}, "https://api.runpod.io", "http://h/8000/p1", "", false},
		{map[string]string{"RUNPOD_API_KEY": "pods-own", "RUNPOD_POD_ID": "p"}, "https://api.runpod.io", "https://p1-8000.proxy.runpod.net", "", false},
		{map[string]string{"RUNPOD_API_KEY": "pods-own", "RUNPOD_POD_ID": "p", "JUSTRIGHT_RUNPOD_API_KEY": "k"}, "https://api.runpod.io", "https://p1-8000.proxy.runpod.net", "", true},
		{map[string]string{"RUNPOD_API_KEY": "rpa_1\nrpa_2"}, "", "", "API key is none", false},
		{map[string]string{"RUNPOD_API_KEY": "Bearer rpa_1"}, "", "", "API key is none", false},
		{map[string]string{"RUNPOD_API_BASE_URL": "ftp://x"}, "", "", "RUNPOD_API_BASE_URL", false},
		{map[string]string{"JUSTRIGHT_RUNPOD_PROXY": "http://h/{pod}"}, "", "", "JUSTRIGHT_RUNPOD_PROXY", false},
		{map[string]string{"RUNPOD_API_BASE_URL": "https://runpod.io.evil.example"}, "https://runpod.io.evil.example", "https://runpod.io.evil.example/proxy/p1/8000", "", false},
	}
	for _, tt := range tests {
		c, err := FromEnv(func(k string) string { return tt.env[k] })
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%v: err %v, want one about %s", tt.env, err, tt.bad)
			}
			continue
		}
		if err != nil || c.BaseURL != tt.base || c.address("p1", "8000") != tt.proxy || c.Key.Set() != tt.key {
			t.Errorf("%v: base %q proxy %q key %v, %v", tt.env, c.BaseURL, c.address("p1", "8000"), c.Key.Set(), err)
		}
	}
}

func TestAccountCalls(t *testing.T) {
	p, _ := against(t, answer{status: 200, body: `{"data":{"myself":{"clientBalance":18.2034,"currentSpendPerHr":0.27}}}`})
	if b, err := p.Balance(t.Context()); err != nil || b.Credit.String() != "18.2034" || b.SpendPerHour.String() != "0.27" {
		t.Errorf("balance %+v, %v", b, err)
	}
	p, _ = against(t, answer{status: 200, body: `{"errors":[{"message":"gone since 2027"}],"data":null}`})
	if _, err := p.Balance(t.Context()); err == nil || !strings.Contains(err.Error(), "gone since 2027") {
		t.Errorf("balance error %v", err)
	}
	p, s := against(t, answer{status: 200, body: `{"records":[
	 {"startTime":"2026-06-01T00:00:00Z","endTime":"2026-06-01T01:00:00Z","podId":"a","totalAmount":0.1,"gpuAmount":0.09,"diskAmount":0.01},
	 {"startTime":"2026-06-01T01:00:00Z","endTime":"2026-06-01T02:00:00Z","podId":"a","totalAmount":0.2,"gpuAmount":0.2,"diskAmount":0}]}`})
	bills, err := p.Billed(t.Context(), "a", time.Date(2026, 6, 1, 0, 30, 0, 0, time.UTC))
	if err != nil || len(bills) != 1 || bills[0].Total.String() != "0.30" || bills[0].Disk.String() != "0.01" || bills[0].To.Hour() != 2 {
		t.Errorf("bills %+v, %v", bills, err)
	}
	if !strings.Contains(s.paths[0], "podId=a") || !strings.Contains(s.paths[0], "startTime=2026-06-01T00%3A00%3A00Z") {
		t.Errorf("asked %s", s.paths[0])
	}
	if c := (Volume{SizeGB: 1200}).MonthlyCost(); c.String() != "80.00" {
		t.Errorf("1200 GB cost %s a month, want 70 + 10", c)
	}
}

func FuzzDecodePod(f *testing.F) {
	f.Add([]byte(created))
	f.Add([]byte(`{"pods":[` + created + `]}`))
	f.Add([]byte(`{"pods":[{"cost":1e999,"cudaVersion":"-1","createdAt":"x","runtime":{"uptime":1e308}}]}`))
	p := &Provider{cfg: Config{BaseURL: "http://h", Proxy: "http://h/{pod}/{port}"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		pods, err := decodeList(raw)
		if err != nil {
			return
		}
		for _, w := range pods {
			if in := p.instance(w); in.Uptime < 0 || (in.Status == launch.Running && w.Status != "RUNNING") {
				t.Errorf("%s became %+v", raw, in)
			}
		}
	})
}
