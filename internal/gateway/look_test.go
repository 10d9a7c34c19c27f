package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/httpclient"
	"justright/sim/vllmsim"
)

// An engine is dead when each look for a minute has found it so: by its own word, by its proxy's, or because nothing listens.
// What may be our network's fault, or a busy engine, is no sign.
func TestADeadEngine(t *testing.T) {
	var status atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		<-r.Context().Done() // busy
	}))
	t.Cleanup(srv.Close)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut := "http://" + l.Addr().String()
	_ = l.Close()
	for _, c := range []struct {
		name    string
		replica gateway.Replica
		looks   []int // 0: no answer in time
		want    int
	}{
		{"its own word", gateway.Replica{Base: srv.URL}, []int{503, 503, 503, 503}, 1},
		{"its proxy's", gateway.Replica{Base: srv.URL}, []int{502, 404, 502, 502}, 1},
		{"not long enough", gateway.Replica{Base: srv.URL}, []int{502}, 0},
		{"well in between", gateway.Replica{Base: srv.URL}, []int{502, 502, 200, 502}, 0},
		{"slow in between", gateway.Replica{Base: srv.URL}, []int{502, 502, 0, 502}, 0},
		{"Cloudflare cannot reach it", gateway.Replica{Base: srv.URL}, []int{522, 522, 522, 522, 522}, 0},
		{"nothing listens", gateway.Replica{Base: shut}, []int{1, 1, 1, 1}, 1},
		{"the tunnel is down", gateway.Replica{Base: shut, Tunnel: true}, []int{1, 1, 1, 1}, 0},
		{"no such name", gateway.Replica{Base: "http://nowhere.invalid"}, []int{1, 1, 1, 1}, 0},
	} {
		now, look := time.Now(), 50*time.Millisecond // an answer that a busy machine makes too late is no sign either
		if c.want > 0 {
			look = patience
		}
		p := newPlace(t, gateway.Options{Limits: gateway.Limits{Look: look}})
		*p.fleet = *gateway.NewFleet(nil, func() time.Time { return now })
		c.replica.ID, c.replica.Model, c.replica.Key = "a", model, httpclient.NewSecret(engineNo)
		p.fleet.Update([]gateway.Replica{c.replica})
		for _, s := range c.looks {
			status.Store(int32(s))
			p.gw.Look(t.Context())
			now = now.Add(30 * time.Second)
		}
		now = now.Add(-time.Second)
		p.gw.Look(t.Context())
		now = now.Add(time.Second)
		if got := len(p.fleet.Dead()); got != c.want {
			t.Errorf("%s: %d dead, want %d", c.name, got, c.want)
		}
	}
}

// A request whose model's engine is dead waits, like one whose model sleeps: until the engine is well again, or another one is there.
func TestARequestWaitsWhileAnEngineIsDead(t *testing.T) {
	var ill atomic.Bool
	well := vllmsim.New(vllmsim.Options{Model: model, Key: engineNo, KeyEverywhere: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		well.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	other := engine(t, vllmsim.Options{})
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Beat: 20 * time.Millisecond}})
	for name, mend := range map[string]func(){
		"well again": func() { ill.Store(false); p.gw.Look(t.Context()) },
		"another": func() {
			p.fleet.Update([]gateway.Replica{{ID: "other", Model: model, Served: model, Base: other.URL, Key: httpclient.NewSecret(engineNo)}})
		},
	} {
		p.fleet.Update(nil)
		p.serves(srv.URL)
		ill.Store(true)
		p.gw.Look(t.Context())
		resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"hi"}],"stream":true,"model":%q}`, model)))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for line := ""; !strings.HasPrefix(line, ": the engine of "+model+" does not answer"); {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatalf("%s: no word of why it waits: %v", name, err)
			}
		}
		mend()
		rest, err := io.ReadAll(lines)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(rest), "data: [DONE]") {
			t.Errorf("%s: %v %s", name, err, rest)
		}
	}
	ill.Store(true)
	p.fleet.Update(nil)
	p.serves(srv.URL)
	p.gw.Look(t.Context())
	if code, h, body := p.chat(ask(model), "Prefer", "wait=0"); code != http.StatusServiceUnavailable || codeOf(t, body) != "replica_unreachable" || h.Get("Retry-After") == "" {
		t.Errorf("without patience: %d %s", code, body)
	}
}
