package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/sim/vllmsim"
)

// reset closes the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// A request goes to the next replica while that is harmless, and to no other when it is not.
func TestFailover(t *testing.T) {
	for _, c := range []struct {
		name  string
		first http.HandlerFunc // nil: nothing listens
		path  string
		want  int
		calls int32 // of the second replica
	}{
		{"nothing listens", nil, "/v1/chat/completions", 200, 1},
		{"nothing listens, responses", nil, "/v1/responses", 404, 1}, // the stand-in has no such path: it was asked
		{"502", status(502), "/v1/chat/completions", 200, 1},
		{"503", status(503), "/v1/chat/completions", 200, 1},
		{"504", status(504), "/v1/chat/completions", 200, 1},
		{"Cloudflare cannot connect", status(521), "/v1/chat/completions", 200, 1},
		{"closed without an answer", reset, "/v1/chat/completions", 200, 1},
		{"closed without an answer, may be kept", reset, "/v1/responses", 503, 0},
		{"key refused", status(401), "/v1/chat/completions", 200, 1},
		{"too many", status(429), "/v1/chat/completions", 200, 1},
		{"bad request", status(400), "/v1/chat/completions", 400, 0},
		{"not found, says the engine", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"detail":"Not Found"}`)
		}, "/v1/chat/completions", 404, 0},
		{"not found, says a proxy before it", status(404), "/v1/chat/completions", 200, 1},
		{"engine died", status(500), "/v1/chat/completions", 500, 0}, // a request that kills engines is not passed around
		{"cut after 100 s", status(524), "/v1/chat/completions", 504, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32
			good := vllmsim.New(vllmsim.Options{Model: model, Key: engineNo, KeyEverywhere: true})
			second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				good.ServeHTTP(w, r)
			}))
			defer second.Close()
			first := httptest.NewServer(c.first)
			if c.first == nil {
				first.Close()
			} else {
				defer first.Close()
			}
			p := newPlace(t, gateway.Options{})
			p.serves(first.URL, second.URL)
			got, _, body := p.do(p.request(http.MethodPost, c.path, ask(model)))
			if got != c.want || calls.Load() != c.calls {
				t.Errorf("%d with %d calls of the second, want %d with %d: %s", got, calls.Load(), c.want, c.calls, body)
			}
			if got != 200 && body == "" {
				t.Error("an error without words")
			}
		})
	}
}

// After the first byte nothing is repeated: the stream ends with an error that clients raise, or is broken off.
func TestNothingIsRepeatedAfterTheFirstByte(t *testing.T) {
	for _, whole := range []bool{true, false} {
		var calls atomic.Int32
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.Header().Set("Content-Type", "text/event-stream")
			text := "data: {\"n\":1}\n\n"
			if !whole {
				text = "data: {\"n\":"
			}
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		a, b := httptest.NewServer(h), httptest.NewServer(h)
		p := newPlace(t, gateway.Options{})
		p.serves(a.URL, b.URL)
		resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", `{"stream":true,"model":"`+model+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			t.Error("a broken stream looks whole")
		}
		if calls.Load() != 1 {
			t.Errorf("%d engines were asked", calls.Load())
		}
		if got := strings.Contains(string(body), "stream_cut"); got != whole {
			t.Errorf("the stream says why: %v, want %v: %q", got, whole, body)
		}
		if !strings.Contains(p.logged(), "cut=true") {
			t.Errorf("the log does not say so:\n%s", p.logged())
		}
		a.Close()
		b.Close()
	}
}

// The replica with the least to do is asked.
func TestLeastInFlight(t *testing.T) {
	hold, in := make(chan struct{}), make(chan string, 16)
	var urls []string
	for i := range 3 {
		srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			in <- fmt.Sprint(i)
			<-hold
		}))
		defer srv.Close()
		urls = append(urls, srv.URL)
	}
	p := newPlace(t, gateway.Options{})
	p.serves(urls...)
	var wg sync.WaitGroup
	seen := map[string]int{}
	for range 9 {
		wg.Go(func() { p.chat(ask(model)) })
		seen[<-in]++
	}
	for i := range 3 {
		if seen[fmt.Sprint(i)] != 3 {
			t.Errorf("requests by replica: %v", seen)
		}
	}
	close(hold)
	wg.Wait()
}

// Three failures put a replica out; a look that finds it well brings it back. What is out is asked only when nothing else is left.
func TestEjection(t *testing.T) {
	var ill atomic.Bool
	var calls atomic.Int32
	good := vllmsim.New(vllmsim.Options{Model: model, Key: engineNo, KeyEverywhere: true})
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if r.URL.Path == "/v1/chat/completions" {
			calls.Add(1)
		}
		good.ServeHTTP(w, r)
	}))
	defer first.Close()
	var doubted atomic.Int32
	p := newPlace(t, gateway.Options{Doubt: func(r gateway.Replica) {
		if r.Launch == "launch-0" {
			doubted.Add(1)
		}
	}})
	p.serves(first.URL, engine(t, vllmsim.Options{}).URL)
	ill.Store(true)
	for range 12 {
		if got, _, body := p.chat(ask(model)); got != http.StatusOK {
			t.Fatalf("%d %s", got, body)
		}
	}
	if s := p.fleet.Status(); !s[0].Ejected || s[1].Ejected || doubted.Load() == 0 {
		t.Fatalf("after failures: %+v, doubted %d times", s, doubted.Load())
	}
	served := p.fleet.Status()[0].Served
	p.chat(ask(model))
	if got := p.fleet.Status()[0].Served; got != served {
		t.Error("a replica that is out was asked although another is well")
	}
	p.gw.Look(t.Context())
	if !p.fleet.Status()[0].Ejected {
		t.Error("a look that failed brought it back")
	}
	ill.Store(false)
	p.gw.Look(t.Context())
	if p.fleet.Status()[0].Ejected {
		t.Error("a look that went well did not bring it back")
	}
	ill.Store(true)
	p.serves(first.URL)
	for range 4 {
		got, h, body := p.chat(ask(model))
		if got != http.StatusBadGateway && got != http.StatusServiceUnavailable || codeOf(t, body) != "replica_unreachable" {
			t.Errorf("alone and ill: %d %v %s", got, h, body)
		}
	}
	ill.Store(false)
	if got, _, body := p.chat(ask(model)); got != http.StatusOK {
		t.Errorf("alone, out and well again: %d %s", got, body)
	}
}

// A replica is idle when neither the gateway nor its engine's counters show work for as long as it may stay; then no request goes
// there any more.
func TestIdle(t *testing.T) {
	works := vllmsim.New(vllmsim.Options{Model: model, Key: engineNo, KeyEverywhere: true})
	hold := make(chan struct{})
	var holds atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && holds.Load() {
			<-hold
		}
		works.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p := newPlace(t, gateway.Options{})
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	*p.fleet = *gateway.NewFleet(nil, clock)
	p.serves(srv.URL)
	st := p.fleet.Status()[0].Replica
	st.Idle = 10 * time.Minute
	p.fleet.Update([]gateway.Replica{st})
	pass(11 * time.Minute)
	if n := len(p.fleet.Idle()); n != 0 {
		t.Fatalf("%d idle before anybody has asked the engine", n)
	}
	p.gw.Look(t.Context())
	if n := len(p.fleet.Idle()); n != 1 {
		t.Fatalf("%d idle after eleven quiet minutes", n)
	}
	// Somebody who does not come through the gateway.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/v1/chat/completions", strings.NewReader(ask(model)))
	r.Header.Set("Authorization", "Bearer "+engineNo)
	if resp, err := http.DefaultClient.Do(r); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, resp)
	} else {
		_ = resp.Body.Close()
	}
	p.gw.Look(t.Context())
	if n := len(p.fleet.Idle()); n != 0 {
		t.Error("work past the gateway was not seen")
	}
	pass(11 * time.Minute)
	p.gw.Look(t.Context())
	var wg sync.WaitGroup
	holds.Store(true)
	wg.Go(func() { p.chat(ask(model)) })
	for p.fleet.Status()[0].InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	if p.fleet.Leave(st.ID) {
		t.Error("a replica was taken out while it answers")
	}
	close(hold)
	wg.Wait()
	p.gw.Look(t.Context())
	pass(9 * time.Minute)
	p.gw.Look(t.Context())
	if len(p.fleet.Idle()) != 0 {
		t.Error("nine minutes after an answer it counts as idle")
	}
	pass(2 * time.Minute)
	p.gw.Look(t.Context())
	if !p.fleet.Leave(st.ID) {
		t.Fatal("an idle replica stays")
	}
	if got, _, body := p.chat(ask(model)); got != http.StatusNotFound && got != http.StatusServiceUnavailable {
		t.Errorf("a request to what is being removed: %d %s", got, body)
	}
	p.fleet.Stay(st.ID)
	if got, _, body := p.chat(ask(model)); got != http.StatusOK {
		t.Errorf("after it stays: %d %s", got, body)
	}
}
