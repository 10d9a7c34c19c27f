// Package vllmsim is a stand-in for a vLLM server: its HTTP API with its habits (the key that guards only part of the
// paths, the error texts, the counters), its command line with the releases' own flags, and its log from the first line
// to ready or to the failure. It thinks nothing: it answers with words that say so. An Engine is an http.Handler.
package vllmsim

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options describe the engine that is played.
type Options struct {
	Model         string   // what it was started with: hub id or directory
	Served        []string // names in the API; empty: Model
	Version       string   // "0.33.0"
	Key           string   // empty: no key
	KeyEverywhere bool     // a middleware demands the key on every path but /health and /ping
	// Extend is what the middleware's own path, POST /justright/extend, does with a new end of the machine's lifetime, in
	// seconds since 1970; nil: there is no such path.
	Extend      func(until string) error
	MaxModelLen int    // 0: 131072
	Embeds      bool   // an embedding model: no text
	NoChat      bool   // a base model without a chat template
	ToolParser  string // --tool-call-parser; empty: tool_choice "auto" is refused
	AutoTools   bool   // --enable-auto-tool-choice
	// Speaks is the parser that the model's family is read by; empty: any. Another parser leaves its calls in the text.
	Speaks         string
	WholeCallsOnly bool // the parser reads whole answers, and leaves streamed calls in the text
	FirstToken     time.Duration
	PerToken       time.Duration
	Broken         bool // answers "!!!!": logits that are not numbers
	Now            func() time.Time
	// Sleep waits; nil: time.Sleep. It returns early when done is closed.
	Sleep func(d time.Duration, done <-chan struct{})
}

// Engine is one running server.
type Engine struct {
	o     Options
	now   func() time.Time
	mu    sync.Mutex
	stats stats
	seq   int
	dead  bool
}

// stats are the counters of /metrics.
type stats struct {
	running, waiting        int
	success                 map[string]int // by finish reason
	promptTokens, outTokens int
	firstTokens             int
	firstSum                float64
}

// New makes an engine that is ready.
func New(o Options) *Engine {
	if len(o.Served) == 0 {
		o.Served = []string{o.Model}
	}
	if o.MaxModelLen == 0 {
		o.MaxModelLen = 131072
	}
	if o.Version == "" {
		o.Version = "0.33.0"
	}
	e := &Engine{o: o, now: o.Now}
	if e.now == nil {
		e.now = time.Now
	}
	e.stats.success = map[string]int{"stop": 0, "length": 0, "abort": 0, "error": 0}
	return e
}

// Die makes /health answer 503 and everything else fail, as when the engine core is gone.
func (e *Engine) Die() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead = true
}

// guarded tells whether a path wants the key: vLLM looks at these prefixes alone.
func (e *Engine) guarded(path string) bool {
	if e.o.KeyEverywhere {
		return path != "/health" && path != "/ping"
	}
	for _, p := range []string{"/v1", "/v2", "/inference", "/cohere"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// ServeHTTP routes as the engine does.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.o.Key != "" && r.Method != http.MethodOptions && e.guarded(r.URL.Path) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(got), []byte(e.o.Key)) != 1 {
			writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "Unauthorized"})
			return
		}
	}
	if e.o.Extend != nil && r.URL.Path == "/justright/extend" && r.Method == http.MethodPost {
		e.extend(w, r)
		return
	}
	e.mu.Lock()
	dead := e.dead
	e.mu.Unlock()
	if dead {
		if r.URL.Path == "/health" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fail(w, http.StatusInternalServerError, "EngineCore encountered an issue. See stack trace (above) for the root cause.", "InternalServerError", nil)
		return
	}
	want, h := e.route(r.URL.Path)
	switch {
	case h == nil:
		writeJSON(w, http.StatusNotFound, map[string]any{"detail": "Not Found"})
	case !strings.Contains(want, r.Method):
		w.Header().Set("Allow", want)
		writeJSON(w, http.StatusMethodNotAllowed, map[string]any{"detail": "Method Not Allowed"})
	default:
		h(w, r)
	}
}

// extend answers as boot's middleware does: with what it took, or 400 and nothing.
func (e *Engine) extend(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64))
	until := strings.TrimSpace(string(body))
	_, notNumber := strconv.ParseUint(until, 10, 63)
	if err != nil || notNumber != nil || len(until) >= 12 || e.o.Extend(until) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, until)
}

func (e *Engine) route(path string) (methods string, h http.HandlerFunc) {
	text := !e.o.Embeds
	switch path {
	case "/health":
		return "GET", func(http.ResponseWriter, *http.Request) {}
	case "/ping":
		return "GET, POST", func(http.ResponseWriter, *http.Request) {}
	case "/version":
		return "GET", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, map[string]any{"version": e.o.Version})
		}
	case "/load":
		return "GET", func(w http.ResponseWriter, _ *http.Request) {
			e.mu.Lock()
			defer e.mu.Unlock()
			writeJSON(w, http.StatusOK, map[string]any{"server_load": e.stats.running})
		}
	case "/metrics":
		return "GET", e.metrics
	case "/v1/models":
		return "GET", e.models
	case "/tokenize":
		return "POST", e.tokenize
	case "/detokenize":
		return "POST", e.detokenize
	case "/docs", "/openapi.json":
		return "GET", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, map[string]any{"info": map[string]any{"title": "FastAPI", "version": "0.1.0"}})
		}
	case "/v1/embeddings":
		return "POST", e.embeddings
	}
	if text {
		switch path {
		case "/v1/chat/completions":
			return "POST", e.chat
		case "/v1/completions":
			return "POST", e.complete
		case "/invocations":
			return "POST", e.invoke
		}
	}
	return "", nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// fail answers in the form of vLLM's errors.
func fail(w http.ResponseWriter, status int, message, kind string, param any) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "param": param, "code": status}})
}

func (e *Engine) models(w http.ResponseWriter, _ *http.Request) {
	data := []any{}
	for _, n := range e.o.Served {
		data = append(data, map[string]any{
			"id": n, "object": "model", "created": e.now().Unix(), "owned_by": "vllm", "root": e.o.Model, "parent": nil,
			"max_model_len": e.o.MaxModelLen,
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}

// Activity is what a watcher of /metrics sees: a mark that changes with every finished request, and whether one is under
// way.
func (e *Engine) Activity() (mark string, busy bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, v := range e.stats.success {
		n += v
	}
	return itoa(n) + "/" + itoa(e.stats.promptTokens) + "/" + itoa(e.stats.outTokens), e.stats.running > 0
}

func itoa(n int) string { return strconv.Itoa(n) }
