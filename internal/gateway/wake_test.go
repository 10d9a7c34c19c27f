package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/httpclient"
	"justright/sim/vllmsim"
)

// sleeper is a Waker whose wakes last until the test says how they end.
type sleeper struct {
	calls atomic.Int32
	under atomic.Int32
	most  atomic.Int32
	end   chan error
	ready func()
	see   gateway.Outlook
}

func (s *sleeper) Wake(ctx context.Context, _ string) error {
	s.calls.Add(1)
	if n := s.under.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.under.Add(-1)
	select {
	case err := <-s.end:
		if err == nil {
			s.ready()
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sleeper) Outlook(string) gateway.Outlook { return s.see }

// asleep is a place with one sleeping model and an engine that stands ready behind it.
func asleep(t *testing.T, l gateway.Limits) (*place, *sleeper) {
	t.Helper()
	s := &sleeper{end: make(chan error), see: gateway.Outlook{Doing: "weights 50%", Expect: 4 * time.Minute}}
	p := newPlace(t, gateway.Options{Waker: s, Limits: l}, gateway.Model{ID: model})
	srv := engine(t, vllmsim.Options{})
	s.ready = func() { p.serves(srv.URL) }
	return p, s
}

// However many ask, a model is woken once, and everybody who waited is answered. What asks without the key wakes nothing.
func TestOneWakeForAll(t *testing.T) {
	p, s := asleep(t, gateway.Limits{})
	r := p.request(http.MethodPost, "/v1/chat/completions", ask(model))
	r.Header.Set("Authorization", "Bearer wrong")
	if got, _, _ := p.do(r); got != http.StatusUnauthorized || s.calls.Load() != 0 {
		t.Fatalf("%d, and %d wakes", got, s.calls.Load())
	}
	p.do(p.request(http.MethodGet, "/v1/models", ""))
	p.chat(ask("no/such"))
	if s.calls.Load() != 0 {
		t.Fatal("a list or a wrong name wakes")
	}
	var wg sync.WaitGroup
	var answered atomic.Int32
	for range 50 {
		wg.Go(func() {
			if got, _, body := p.chat(ask(model)); got == http.StatusOK && strings.Contains(body, "I stand in") {
				answered.Add(1)
			} else {
				t.Errorf("%d %s", got, body)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	s.end <- nil
	wg.Wait()
	if s.calls.Load() != 1 || answered.Load() != 50 {
		t.Errorf("%d wakes, %d of 50 answered", s.calls.Load(), answered.Load())
	}
	if got, _, body := p.chat(ask(model)); got != http.StatusOK || s.calls.Load() != 1 {
		t.Errorf("afterwards: %d %s, %d wakes", got, body, s.calls.Load())
	}
}

// A request that is held too long is told when to come again; whoever would rather ask again says so and is told at once.
func TestWaiting(t *testing.T) {
	p, s := asleep(t, gateway.Limits{Hold: 150 * time.Millisecond, Beat: time.Hour})
	began := time.Now()
	got, h, body := p.chat(ask(model))
	if got != http.StatusServiceUnavailable || codeOf(t, body) != "model_waking" || h.Get("Retry-After") != "60" || !strings.Contains(body, "weights 50%") {
		t.Errorf("%d %v %s", got, h, body)
	}
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("it waited %v", d)
	}
	if h.Get("X-Should-Retry") != "" {
		t.Error("a client that heeds this does not come again")
	}
	patient, _ := asleep(t, gateway.Limits{Hold: time.Hour, Beat: time.Hour})
	for _, p := range []*place{p, patient} { // the second would hold it for an hour
		if got, h, body = p.chat(ask(model), "Prefer", "respond-async, wait=0"); got != http.StatusServiceUnavailable || h.Get("Preference-Applied") != "wait=0" {
			t.Errorf("wait=0: %d %v %s", got, h, body)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, h, body := p.chat(ask(model), "Prefer", "wait=30"); got != http.StatusOK || h.Get("Preference-Applied") != "wait=30" {
			t.Errorf("wait=30: %d %v %s", got, h, body)
		}
	})
	time.Sleep(300 * time.Millisecond)
	s.end <- nil
	wg.Wait()
	if s.calls.Load() != 1 {
		t.Errorf("%d wakes: the first went on although nobody waited", s.calls.Load())
	}
}

// A stream that waits is told so by comments, and then goes on as if nothing had been.
func TestAStreamIsToldThatItWaits(t *testing.T) {
	refused := &gateway.Refusal{Status: 503, Type: "server_error", Code: "no_capacity", Message: "nothing to rent"}
	for _, c := range []struct {
		path string
		body string
		end  error
		want []string
	}{
		{"/v1/chat/completions", `{"stream":true,"messages":[{"role":"user","content":"hi"}],"model":"` + model + `"}`, nil, []string{`"content":"I"`, "data: [DONE]\n\n"}},
		{"/v1/chat/completions", `{"stream":true,"messages":[],"model":"` + model + `"}`, nil, []string{`data: {"error":{`, "Field required"}},
		{"/v1/chat/completions", `{"stream":true,"model":"` + model + `"}`, refused, []string{`data: {"error":{"code":"no_capacity","message":"nothing to rent"`}},
		{"/v1/messages", `{"stream":true,"model":"` + model + `"}`, refused, []string{"event: error\ndata: {\"type\":\"error\",\"error\":{\"code\":\"no_capacity\""}},
	} {
		p, s := asleep(t, gateway.Limits{Hold: 50 * time.Millisecond, Beat: 20 * time.Millisecond})
		resp, err := http.DefaultClient.Do(p.request(http.MethodPost, c.path, c.body))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		lines := bufio.NewReader(resp.Body)
		for range 3 {
			if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, ": waking "+model) || !strings.Contains(line, "of about 240s: weights 50%") {
				t.Fatalf("%q, %v", line, err)
			}
			_, _ = lines.ReadString('\n')
		}
		s.end <- c.end
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Error(err)
		}
		_ = resp.Body.Close()
		for _, want := range c.want {
			if !strings.Contains(string(rest), want) {
				t.Errorf("%s: the stream lacks %q:\n%s", c.body, want, rest)
			}
		}
		if strings.Contains(string(rest), `{"error"`) && strings.Contains(string(rest), "[DONE]") {
			t.Errorf("an error looks like an end:\n%s", rest)
		}
	}
}

// A failure is told to all who wait, and remembered: a crowd of retries is no crowd of wakes.
func TestAFailedWake(t *testing.T) {
	p, s := asleep(t, gateway.Limits{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if got, _, body := p.chat(ask(model)); got != http.StatusTooManyRequests || codeOf(t, body) != "daily_budget_reached" {
				t.Errorf("%d %s", got, body)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	s.end <- &gateway.Refusal{Status: http.StatusTooManyRequests, Type: "insufficient_quota", Code: "daily_budget_reached", Message: "spent", Final: true, RetryAfter: time.Hour}
	wg.Wait()
	got, h, body := p.chat(ask(model))
	if got != http.StatusTooManyRequests || h.Get("X-Should-Retry") != "false" || h.Get("Retry-After") == "" || s.calls.Load() != 1 {
		t.Errorf("%d %v %s after %d wakes", got, h, body, s.calls.Load())
	}
	p.gw.Forgive(model)
	wg.Go(func() { p.chat(ask(model)) })
	s.end <- errors.New("at 10.0.0.7: secret words")
	wg.Wait()
	if got, _, body := p.chat(ask(model)); got != http.StatusBadGateway || strings.Contains(body, "secret") {
		t.Errorf("an error that is no refusal: %d %s", got, body)
	}
}

// A client that goes away leaves the wake to the others; a gateway that drains sends the waiting away and lets the running end.
func TestDrain(t *testing.T) {
	p, s := asleep(t, gateway.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", ask(model)).WithContext(ctx)); err == nil {
			_ = resp.Body.Close()
			t.Error("an answer for nobody")
		}
	})
	for s.under.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	if s.under.Load() != 1 {
		t.Error("the wake ended with the client")
	}
	// Another model runs and streams meanwhile.
	slow := engine(t, vllmsim.Options{Model: "b/slow", PerToken: 20 * time.Millisecond})
	p.fleet.Update([]gateway.Replica{{ID: "b", Launch: "b", Model: "b/slow", Served: "b/slow", Base: slow.URL, Key: httpclient.NewSecret(engineNo)}})
	resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", `{"stream":true,"model":"b/slow","messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if got, h, body := p.chat(ask(model)); got != http.StatusServiceUnavailable || codeOf(t, body) != "draining" || h.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", got, h, body)
		}
	})
	time.Sleep(50 * time.Millisecond)
	p.gw.Drain()
	wg.Wait()
	all, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !strings.HasSuffix(string(all), "data: [DONE]\n\n") {
		t.Errorf("the running stream ended with %v: …%q", err, all[max(0, len(all)-40):])
	}
	if got, _, _ := p.do(p.request(http.MethodGet, "/health", "")); got != http.StatusServiceUnavailable {
		t.Errorf("a gateway that drains says %d of its health", got)
	}
	p.gw.Close()
	if s.under.Load() != 0 {
		t.Error("a wake outlives the gateway")
	}
}

// A model that nobody may wake is not woken, and a replica that appears by itself ends the wait.
func TestWhatAppearsByItself(t *testing.T) {
	p, s := asleep(t, gateway.Limits{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, _, body := p.chat(ask(model)); got != http.StatusOK {
			t.Errorf("%d %s", got, body)
		}
	})
	for s.under.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.ready() // an up in another process was quicker
	wg.Wait()
	p2 := newPlace(t, gateway.Options{})
	p2.serves("http://127.0.0.1:1")
	p2.fleet.Update(nil)
	if got, _, body := p2.chat(ask(model)); got != http.StatusNotFound {
		t.Errorf("%d %s", got, body)
	}
	if s.most.Load() != 1 {
		t.Errorf("%d wakes at a time", s.most.Load())
	}
	s.end <- fmt.Errorf("too late")
}
