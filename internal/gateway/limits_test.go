package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/httpclient"
)

// A client that reads nothing of a long answer counts as gone after a while: else its machine would never be idle.
func TestAClientThatDoesNotRead(t *testing.T) {
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "text/event-stream")
		piece := "data: " + strings.Repeat("x", 64<<10) + "\n\n"
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Unread: 300 * time.Millisecond}})
	p.serves(srv.URL)
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := fmt.Sprintf(`{"model":%q,"stream":true}`, model)
	_, _ = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", ourKey, len(body), body)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the engine still works for it")
	}
	p.settled()
}

// A stream that is read, however long it takes between two pieces, is not broken off.
func TestASlowStreamIsNotUnread(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 4 {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(150 * time.Millisecond)
		}
	}))
	t.Cleanup(srv.Close)
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Unread: 100 * time.Millisecond}})
	p.serves(srv.URL)
	for range 2 { // the second on the same connection
		if code, _, body := p.chat(fmt.Sprintf(`{"model":%q,"stream":true}`, model)); code != http.StatusOK || strings.Count(body, "data: x\n\n") != 4 {
			t.Errorf("%d %q", code, body)
		}
	}
}

// So many may wait for their models, and no more.
func TestHowManyMayWait(t *testing.T) {
	p, s := asleep(t, gateway.Limits{Waiting: 2})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if code, _, body := p.chat(ask(model)); code != http.StatusOK {
				t.Errorf("one that waited: %d %s", code, body)
			}
		})
	}
	for range 500 {
		_, _, m := p.do(p.request(http.MethodGet, "/metrics", ""))
		if strings.Contains(m, `justright_requests_waiting{model="openai/gpt-oss-20b"} 2`) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if code, h, body := p.chat(ask(model)); code != http.StatusServiceUnavailable || codeOf(t, body) != "overloaded" || h.Get("Retry-After") == "" {
		t.Errorf("a third: %d %s", code, body)
	}
	s.end <- nil
	wg.Wait()
}

// Pages of the origins that are named may ask from a browser, with the key; others get no leave, and by default nobody does.
func TestOrigins(t *testing.T) {
	chat := "https://chat.example"
	for _, c := range []struct {
		origins []string
		origin  string
		may     bool
	}{{nil, chat, false}, {[]string{chat}, chat, true}, {[]string{chat}, "https://evil.example", false}, {[]string{"*"}, "http://localhost:3000", true}, {[]string{"*"}, "", false}} {
		p := newPlace(t, gateway.Options{Origins: c.origins}, gateway.Model{ID: model})
		ask := p.request(http.MethodOptions, "/v1/chat/completions", "", "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-stainless-os")
		ask.Header.Del("Authorization")
		code, h, _ := p.do(ask)
		if got := code == http.StatusNoContent && h.Get("Access-Control-Allow-Origin") == c.origin && h.Get("Access-Control-Allow-Headers") == "authorization,x-stainless-os"; got != c.may {
			t.Errorf("%v, %q: %d %v", c.origins, c.origin, code, h)
		}
		for key, want := range map[string]int{ourKey: http.StatusOK, "wrong": http.StatusUnauthorized} {
			code, h, _ := p.do(p.request(http.MethodGet, "/v1/models", "", "Origin", c.origin, "Authorization", "Bearer "+key))
			if got := h.Get("Access-Control-Allow-Origin") != ""; code != want || got != c.may || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%v, %q with a key: %d %v", c.origins, c.origin, code, h)
			}
		}
	}
}

// The elder machines of a model are filled first, so that a younger one goes when it is not needed; as many as are to stay do, while one is in
// use.
func TestFillAndKeep(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	asked := map[string]int{}
	var urls []string
	for i := range 3 {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/chat/completions" {
				return
			}
			mu.Lock()
			asked[fmt.Sprint(i)]++
			mu.Unlock()
			<-release
		}))
		t.Cleanup(srv.Close)
		urls = append(urls, srv.URL)
	}
	now := time.Now()
	p := newPlace(t, gateway.Options{})
	*p.fleet = *gateway.NewFleet([]gateway.Model{{ID: model, Keep: 2}}, func() time.Time { return now })
	var rs []gateway.Replica
	for i, u := range urls {
		rs = append(rs, gateway.Replica{ID: fmt.Sprint(i), Model: model, Served: model, Base: u, Key: httpclient.NewSecret(engineNo), Fill: 2, Idle: time.Minute, Since: time.Unix(int64(i), 0)})
	}
	p.fleet.Update(rs)
	p.gw.Look(t.Context()) // counters that say nothing are counters
	var wg sync.WaitGroup
	under := func(n int) {
		for range 500 {
			mu.Lock()
			sum := asked["0"] + asked["1"] + asked["2"]
			mu.Unlock()
			if sum == n {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%v are asked, want %d", asked, n)
	}
	for n, want := range []string{"map[0:1]", "map[0:2]", "map[0:2 1:1]", "map[0:2 1:2]", "map[0:2 1:2 2:1]", "map[0:2 1:2 2:2]", "map[0:3 1:2 2:2]", "map[0:3 1:3 2:2]"} {
		wg.Go(func() { p.chat(ask(model)) })
		under(n + 1)
		if got := fmt.Sprint(asked); got != want {
			t.Errorf("request %d: %s, want %s", n, got, want)
		}
	}
	if l := p.fleet.Load(model); l != (gateway.Load{Replicas: 3, Requests: 8}) {
		t.Errorf("load %+v", l)
	}
	now = now.Add(2 * time.Minute)
	p.gw.Look(t.Context())
	if idle := p.fleet.Idle(); len(idle) != 0 {
		t.Errorf("%d are idle while all answer", len(idle))
	}
	close(release)
	wg.Wait()
	now = now.Add(90 * time.Second)
	p.chat(ask(model)) // the eldest is in use
	p.gw.Look(t.Context())
	if idle := p.fleet.Idle(); len(idle) != 1 || idle[0].ID != "2" {
		t.Errorf("%+v may go, want the youngest: two are to stay", idle)
	}
	now = now.Add(2 * time.Minute)
	p.gw.Look(t.Context())
	if idle := p.fleet.Idle(); len(idle) != 3 {
		t.Errorf("%d may go when nobody has asked any of them", len(idle))
	}
}
