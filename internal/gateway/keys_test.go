package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"justright/internal/gateway"
)

// Without the key no door opens but health and ping, and the refusal tells nothing.
func TestDoors(t *testing.T) {
	p := newPlace(t, gateway.Options{}, gateway.Model{ID: model})
	paths := []string{
		"/v1/models", "/v1/models/" + model, "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/metrics", "/invocations",
		"/tokenize", "/version", "/docs", "/openapi.json", "/sleep", "/v1/load_lora_adapter", "/", "/ui/events", "/justright/extend", "/../metrics", "//metrics", "/v1/models?x=/health",
		"/health/", "/ping/x", "/healthz",
	}
	for _, path := range paths {
		for _, header := range [][]string{{}, {"Authorization", "Bearer "}, {"Authorization", "Bearer " + ourKey[:len(ourKey)-1]}, {"Authorization", "Bearer " + ourKey + "x"},
			{"Authorization", "Bearer " + ourKey[:len(ourKey)-1] + "~"}, {"X-Api-Key", strings.ToUpper(ourKey)},
			{"Authorization", "Basic " + ourKey}, {"Authorization", ourKey}, {"X-Api-Key", "x"}, {"Cookie", "key=" + ourKey}, {"Authorization", "Bearer " + engineNo}} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodDelete} {
				r := p.request(method, path, "{}")
				r.Header.Del("Authorization")
				for i := 0; i+1 < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				status, _, body := p.do(r)
				if status != http.StatusUnauthorized || codeOf(t, body) != "invalid_api_key" || strings.Contains(body, model) {
					t.Errorf("%s %s with %v: %d %s", method, path, header, status, body)
				}
			}
		}
	}
	for _, path := range []string{"/health", "/ping"} {
		r := p.request(http.MethodGet, path, "")
		r.Header.Del("Authorization")
		if status, _, body := p.do(r); status != http.StatusOK || body != "" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, header := range [][]string{{"Authorization", "bearer " + ourKey}, {"Authorization", "", "X-Api-Key", ourKey}} {
		r := p.request(http.MethodGet, "/v1/models", "", header...)
		if header[1] == "" {
			r.Header.Del("Authorization")
		}
		if status, _, body := p.do(r); status != http.StatusOK {
			t.Errorf("with %v: %d %s", header, status, body)
		}
	}
}

// Neither key is in any log line or answer, however an engine fails.
func TestNoKeyLeaves(t *testing.T) {
	p := newPlace(t, gateway.Options{})
	answers := []func(w http.ResponseWriter, r *http.Request){
		func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "you sent "+r.Header.Get("Authorization"), http.StatusBadRequest)
		},
		func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"error":{"message":"you sent %s","type":"BadRequestError","param":null,"code":400}}`, r.Header.Get("Authorization"))
		},
		func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprintf(w, `{"detail":"you sent %s"}`, r.Header.Get("Authorization"))
		},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(524) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for i, f := range answers {
		srv := httptest.NewServer(http.HandlerFunc(f))
		p.serves(srv.URL)
		status, _, body := p.chat(ask(model))
		srv.Close()
		if status < 400 || strings.Contains(body, engineNo) || strings.Contains(body, ourKey) {
			t.Errorf("answer %d: %d %s", i, status, body)
		}
		codeOf(t, body)
		if i == 3 && (status != http.StatusBadGateway || codeOf(t, body) != "upstream_key_refused") {
			t.Errorf("an engine that refuses our key looks to the client like %d %s", status, body)
		}
		if i == 4 && (status != http.StatusGatewayTimeout || !strings.Contains(body, "stream")) {
			t.Errorf("the proxy's cut: %d %s", status, body)
		}
	}
	if l := p.logged(); strings.Contains(l, engineNo) || strings.Contains(l, ourKey) || strings.Contains(l, "127.0.0.1") {
		t.Errorf("the log tells too much:\n%s", l)
	}
}
