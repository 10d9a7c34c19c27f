package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/gateway"
	"justright/internal/httpclient"
	"justright/money"
	"justright/sim/vllmsim"
)

const (
	ourKey   = "jr-THE0GATEWAYS0OWN0KEY0IN0TESTS"
	engineNo = "ENGINE0KEY0THAT0NOBODY0MAY0SEE0"
	model    = "openai/gpt-oss-20b"
)

// place is a gateway before some engines.
type place struct {
	t     *testing.T
	gw    *gateway.Gateway
	fleet *gateway.Fleet
	url   string
	log   *bytes.Buffer
	logMu *sync.Mutex
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func newPlace(t *testing.T, o gateway.Options, models ...gateway.Model) *place {
	t.Helper()
	p := &place{t: t, log: new(bytes.Buffer), logMu: new(sync.Mutex)}
	p.fleet = gateway.NewFleet(models, time.Now)
	tr := gateway.NewTransport()
	o.Door, o.Fleet, o.Now = gateway.NewDoor(httpclient.NewSecret(ourKey)), p.fleet, time.Now
	o.Transport = tr
	o.Log = slog.New(slog.NewTextHandler(lockedWriter{p.logMu, p.log}, nil))
	p.gw = gateway.New(o)
	srv := httptest.NewServer(p.gw)
	p.url = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		p.gw.Close()
		tr.CloseIdleConnections()
		nothingRuns(t)
	})
	return p
}

// patience is how long anything here may take before it is called a failure. What is waited for comes in a moment, however slow the
// machine that runs the tests.
const patience = time.Minute

// settled waits until no request is counted as under way at a replica.
func (p *place) settled() {
	p.t.Helper()
	for end := time.Now().Add(patience); p.fleet.Status()[0].InFlight != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%d requests are still counted", p.fleet.Status()[0].InFlight)
		}
	}
}

// nothingRuns holds that no goroutine of the gateway is left.
func nothingRuns(t *testing.T) {
	t.Helper()
	var stacks string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b := make([]byte, 1<<20)
		stacks = string(b[:runtime.Stack(b, true)])
		if !strings.Contains(stacks, "gateway.(*") {
			return
		}
	}
	t.Errorf("goroutines of the gateway are left:\n%s", stacks)
}

func (p *place) logged() string {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	return p.log.String()
}

// serves makes the fleet of engines at these addresses, all with one model.
func (p *place) serves(urls ...string) {
	var rs []gateway.Replica
	for i, u := range urls {
		rs = append(rs, gateway.Replica{ID: fmt.Sprint("attempt", i), Task: fmt.Sprint("task", i), Launch: fmt.Sprint("launch-", i), Model: model, Served: model,
			Base: u, Key: httpclient.NewSecret(engineNo), Since: time.Unix(int64(i), 0)})
	}
	p.fleet.Update(rs)
}

func (p *place) request(method, path, body string, header ...string) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ourKey)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// do sends a request and reads the whole answer.
func (p *place) do(r *http.Request) (int, http.Header, string) {
	p.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b)
}

func (p *place) chat(body string, header ...string) (int, http.Header, string) {
	p.t.Helper()
	return p.do(p.request(http.MethodPost, "/v1/chat/completions", body, header...))
}

func codeOf(t *testing.T, body string) string {
	t.Helper()
	var d struct {
		Error *struct {
			Message, Type string
			Param         *string
			Code          any
		}
	}
	if err := json.Unmarshal([]byte(body), &d); err != nil || d.Error == nil || d.Error.Message == "" || d.Error.Type == "" {
		t.Errorf("no error in OpenAI's form: %s", body)
		return ""
	}
	return fmt.Sprint(d.Error.Code)
}

func engine(t *testing.T, o vllmsim.Options) *httptest.Server {
	t.Helper()
	o.Key, o.KeyEverywhere = engineNo, true
	if o.Model == "" {
		o.Model = model
	}
	srv := httptest.NewServer(vllmsim.New(o))
	t.Cleanup(srv.Close)
	return srv
}

func ask(name string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":"say {\"model\":\"x\"}"}],"model":%q}`, name)
}

func TestAnEngineAnswersThroughTheGateway(t *testing.T) {
	p := newPlace(t, gateway.Options{})
	p.serves(engine(t, vllmsim.Options{}).URL)
	status, h, body := p.chat(ask(model), "X-Request-Id", "mine-1")
	if status != http.StatusOK || !strings.Contains(body, "I stand in for") {
		t.Fatalf("%d %s", status, body)
	}
	if h.Get("X-Request-Id") != "mine-1" || h.Get("X-Justright-Launch") != "launch-0" {
		t.Errorf("headers %v", h)
	}
	if status, _, body := p.do(p.request(http.MethodGet, "/v1/models", "")); status != http.StatusOK || !strings.Contains(body, `"id":"`+model+`"`) {
		t.Errorf("models: %d %s", status, body)
	}
	for _, path := range []string{"/v1/models/" + model, "/v1/models/openai%2Fgpt-oss-20b", "/v1/models/launch-0"} {
		if status, _, body := p.do(p.request(http.MethodGet, path, "")); status != http.StatusOK || !strings.Contains(body, `"state":"ready"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := p.do(p.request(http.MethodGet, "/metrics", "")); status != http.StatusOK || !strings.Contains(body, `justright_tokens_total{kind="completion",model="`+model+`"}`) {
		t.Errorf("metrics: %d %s", status, body)
	}
}

// A model that is a directory goes by its last name, not by where it lies.
func TestADirectoryIsNotTold(t *testing.T) {
	spent := func() []gateway.Dollars {
		return []gateway.Dollars{{Model: "/home/me/models/tiny", Spent: 1 * money.Dollar}, {Model: "/elsewhere/tiny", Spent: 2 * money.Dollar}}
	}
	p := newPlace(t, gateway.Options{Dollars: spent}, gateway.Model{ID: "/home/me/models/tiny", Aliases: []string{"small", "tiny"}})
	p.fleet.Update([]gateway.Replica{{ID: "a", Launch: "l", Model: "/home/me/other", Served: "other", Base: "http://127.0.0.1:1"}})
	for _, path := range []string{"/v1/models", "/v1/models/tiny", "/v1/models/small", "/v1/models/other"} {
		if status, _, body := p.do(p.request(http.MethodGet, path, "")); status != http.StatusOK || strings.Contains(body, "/home") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, _, body := p.chat(ask("x")); !strings.Contains(body, "there are: tiny, other") {
		t.Error(body)
	}
	_, _, refused := p.chat(ask("other"))
	_, _, figures := p.do(p.request(http.MethodGet, "/metrics", ""))
	if all := refused + figures + p.logged(); strings.Contains(all, "/home") || !strings.Contains(figures, `justright_spent_dollars{model="tiny"} 3`) ||
		!strings.Contains(figures, `justright_requests_total{code="503",model="other"`) {
		t.Error(all)
	}
}

// A model may be called without its owner, as its launches are, while one model alone is called so.
func TestANameWithoutAnOwner(t *testing.T) {
	p := newPlace(t, gateway.Options{}, gateway.Model{ID: model}, gateway.Model{ID: "a/twin"}, gateway.Model{ID: "b/twin"}, gateway.Model{ID: "/home/secret"})
	for name, want := range map[string]int{"gpt-oss-20b": http.StatusOK, "GPT-OSS-20B": http.StatusOK, "twin": http.StatusNotFound, "a%2Ftwin": http.StatusOK, "home%2Fsecret": http.StatusNotFound} {
		if code, _, body := p.do(p.request(http.MethodGet, "/v1/models/"+name, "")); code != want {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
}

// What an engine is sent is the request under its own name and key; nothing of the client's goes along.
func TestWhatAnEngineIsSent(t *testing.T) {
	var got http.Header
	var sent string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, sent = r.Header, string(b)
		w.Header().Set("Set-Cookie", "__cf_bm=x")
		w.Header().Set("Strict-Transport-Security", "max-age=9")
		w.Header().Set("Server", "cloudflare")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer srv.Close()
	p := newPlace(t, gateway.Options{}, gateway.Model{ID: model, Aliases: []string{"oss"}})
	p.fleet.Update([]gateway.Replica{{ID: "a", Launch: "l", Model: model, Served: "inner/name", Base: srv.URL, Key: httpclient.NewSecret(engineNo)}})
	for _, name := range []string{model, "OSS", "inner/name", "l"} {
		status, h, body := p.chat(ask(name), "Cookie", "c=1", "X-Forwarded-For", "1.2.3.4", "Te", "trailers", "Accept-Encoding", "br", "Openai-Organization", "o")
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, status, body)
		}
		if want := ask("inner/name"); sent != want {
			t.Errorf("%s: the engine got %s, want %s", name, sent, want)
		}
		if got.Get("Authorization") != "Bearer "+engineNo {
			t.Errorf("the engine got the key %q", got.Get("Authorization"))
		}
		for _, k := range []string{"Cookie", "X-Forwarded-For", "Te", "Idempotency-Key", "Openai-Organization", "X-Api-Key"} {
			if v, ok := got[k]; ok {
				t.Errorf("the engine got %s: %q", k, v)
			}
		}
		for _, k := range []string{"Set-Cookie", "Strict-Transport-Security", "Server"} {
			if v := h.Get(k); v != "" {
				t.Errorf("the client got %s: %q", k, v)
			}
		}
	}
}

// A form is sent on with its file as it was and the engine's name in it.
func TestAFormIsRenamed(t *testing.T) {
	var name, file string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name = r.FormValue("model")
		if f, _, err := r.FormFile("file"); err == nil {
			b, _ := io.ReadAll(f)
			file = string(b)
		}
	}))
	defer srv.Close()
	p := newPlace(t, gateway.Options{})
	p.fleet.Update([]gateway.Replica{{ID: "a", Launch: "l", Model: "openai/whisper", Served: "ears", Base: srv.URL}})
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, _ := w.CreateFormFile("file", "a.wav")
	_, _ = f.Write([]byte("RIFF\x00\xff--x"))
	_ = w.WriteField("model", "openai/whisper")
	_ = w.Close()
	if status, _, body := p.do(p.request(http.MethodPost, "/v1/audio/transcriptions", b.String(), "Content-Type", w.FormDataContentType())); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if name != "ears" || file != "RIFF\x00\xff--x" {
		t.Errorf("the engine got model %q, file %q", name, file)
	}
}

// Each piece of a stream is there before the engine writes the next one.
func TestAStreamComesPieceByPiece(t *testing.T) {
	next := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			_, _ = fmt.Fprintf(w, "data: {\"n\":%d}\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n")
	}))
	defer srv.Close()
	p := newPlace(t, gateway.Options{})
	p.serves(srv.URL)
	resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", `{"stream":true,"model":"`+model+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for i := range 5 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: {\"n\":%d}\n", i) {
			t.Fatalf("piece %d: %q, %v", i, line, err)
		}
		_, _ = lines.ReadString('\n')
		next <- struct{}{}
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the end: %q, %v", rest, err)
	}
	if _, _, body := p.do(p.request(http.MethodGet, "/metrics", "")); !strings.Contains(body, `justright_tokens_total{kind="completion",model="`+model+`"} 5`) {
		t.Errorf("the tokens of the stream were not counted:\n%s", body)
	}
}

// A client that goes away ends the engine's work, and the replica is free again.
func TestAClientThatGoesAwayEndsTheWork(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.(http.Flusher).Flush()
		close(began)
		<-r.Context().Done()
		close(ended)
	}))
	defer srv.Close()
	p := newPlace(t, gateway.Options{})
	p.serves(srv.URL)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	resp, err := http.DefaultClient.Do(p.request(http.MethodPost, "/v1/chat/completions", ask(model)).WithContext(ctx))
	if err == nil {
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the engine works on")
	}
	p.settled()
}

// Every refusal is in OpenAI's form and says what is wrong.
func TestRefusals(t *testing.T) {
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Body: 1 << 20}}, gateway.Model{ID: "a/one"}, gateway.Model{ID: "b/two"})
	for _, c := range []struct {
		method, path, body, kind string
		status                   int
		code, says               string
	}{
		{"POST", "/v1/chat/completions", ask("c/three"), "application/json", 404, "model_not_found", "a/one, b/two"},
		{"POST", "/v1/chat/completions", `{"messages":[]}`, "application/json", 400, "missing_required_parameter", "a/one, b/two"},
		{"POST", "/v1/chat/completions", `{"model":7}`, "application/json", 400, "missing_required_parameter", ""},
		{"POST", "/v1/chat/completions", `[]`, "application/json", 400, "invalid_json", ""},
		{"POST", "/v1/chat/completions", `{"model":"a/one"`, "application/json", 400, "invalid_json", ""},
		{"POST", "/v1/chat/completions", ``, "application/json", 400, "invalid_json", ""},
		{"POST", "/v1/chat/completions", ask("a/one"), "text/plain", 415, "unsupported_media_type", ""},
		{"POST", "/v1/chat/completions", strings.Repeat(" ", 1<<20) + ask("a/one"), "application/json", 413, "request_too_large", "1 MiB"},
		{"GET", "/v1/chat/completions", ``, "", 405, "method_not_allowed", ""},
		{"POST", "/sleep", `{"model":"a/one"}`, "application/json", 404, "unknown_url", ""},
		{"POST", "/v1/load_lora_adapter", `{}`, "application/json", 404, "unknown_url", ""},
		{"DELETE", "/v1/models/a/one", ``, "", 405, "method_not_allowed", ""},
		{"GET", "/v1/models/c/three", ``, "", 404, "model_not_found", ""},
	} {
		status, _, body := p.do(p.request(c.method, c.path, c.body, "Content-Type", c.kind))
		if status != c.status || codeOf(t, body) != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %.40s: %d %s, want %d %s %s", c.method, c.path, c.body, status, body, c.status, c.code, c.says)
		}
	}
	if strings.Contains(p.logged(), "level=ERROR") {
		t.Errorf("refusals are no errors of ours:\n%s", p.logged())
	}
}

// A body whose length is not stated is bounded as well.
func TestABodyWithoutALengthIsBounded(t *testing.T) {
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Body: 1 << 20}}, gateway.Model{ID: model})
	r := p.request(http.MethodPost, "/v1/chat/completions", "")
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(blanks{}, 3<<20)), -1
	if status, _, body := p.do(r); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", status, body)
	}
}

type blanks struct{}

func (blanks) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// Bodies that wait together are bounded together, and their memory is given back.
func TestMemoryIsBounded(t *testing.T) {
	hold := make(chan struct{})
	var in atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		in.Add(1)
		<-hold
	}))
	defer srv.Close()
	p := newPlace(t, gateway.Options{Limits: gateway.Limits{Body: 8 << 20, Buffered: 10 << 20}})
	p.serves(srv.URL)
	big := `{"model":"` + model + `","x":"` + strings.Repeat("y", 4<<20) + `"}`
	var wg sync.WaitGroup
	wg.Go(func() { p.chat(big) })
	for in.Load() == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if status, h, body := p.chat(big); status != http.StatusServiceUnavailable || codeOf(t, body) != "overloaded" || h.Get("Retry-After") == "" {
		t.Errorf("%d %.200s", status, body)
	}
	if status, _, body := p.chat(`{"model":"nobody"}`); status != http.StatusNotFound {
		t.Errorf("a small one: %d %.200s", status, body)
	}
	close(hold)
	wg.Wait()
	if status, _, body := p.chat(big); status != http.StatusOK {
		t.Errorf("afterwards: %d %.200s", status, body)
	}
}
