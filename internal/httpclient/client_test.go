package httpclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"justright/internal/httpclient"
)

// waits records what a client would have slept.
type waits struct{ d []time.Duration }

func (w *waits) sleep(ctx context.Context, d time.Duration) error {
	w.d = append(w.d, d)
	return ctx.Err()
}

func TestRepeats(t *testing.T) {
	tests := []struct {
		name   string
		method string
		once   bool
		status []int // one per try; the last one repeats
		tries  int32
		good   bool
	}{
		{"GET survives 500", "GET", false, []int{500, 200}, 2, true},
		{"DELETE survives 503 twice", "DELETE", false, []int{503, 503, 204}, 3, true},
		{"POST is sent once on 500", "POST", false, []int{500, 200}, 1, false},
		{"POST is sent once on 502", "POST", false, []int{502, 200}, 1, false},
		{"POST is repeated on 429", "POST", false, []int{429, 201}, 2, true},
		{"a paid call is never repeated, not even on 429", "POST", true, []int{429, 201}, 1, false},
		{"GET stops on 404", "GET", false, []int{404, 200}, 1, false},
		{"GET gives up", "GET", false, []int{500}, 4, false},
		{"501 will not change", "GET", false, []int{501, 200}, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if b, _ := io.ReadAll(r.Body); string(b) != "body" {
					t.Errorf("try %d carried body %q", n.Load()+1, b)
				}
				i := int(n.Add(1)) - 1
				w.WriteHeader(tt.status[min(i, len(tt.status)-1)])
			}))
			defer s.Close()
			w := &waits{}
			c := httpclient.New(httpclient.Options{Sleep: w.sleep})
			_, err := c.Do(t.Context(), httpclient.Request{Method: tt.method, URL: s.URL, Body: []byte("body"), Once: tt.once})
			if (err == nil) != tt.good || n.Load() != tt.tries {
				t.Errorf("err = %v after %d tries; want good %v after %d", err, n.Load(), tt.good, tt.tries)
			}
			if len(w.d) != int(tt.tries)-1 {
				t.Errorf("waited %v, want one wait between tries", w.d)
			}
		})
	}
}

func TestBrokenConnection(t *testing.T) {
	for method, want := range map[string]int32{"GET": 2, "POST": 1} {
		var n atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				w.Header().Set("Content-Length", "100")
				_, _ = w.Write([]byte("short"))
				panic(http.ErrAbortHandler)
			}
		}))
		c := httpclient.New(httpclient.Options{Sleep: (&waits{}).sleep})
		_, err := c.Do(t.Context(), httpclient.Request{Method: method, URL: s.URL})
		s.Close()
		if n.Load() != want || (err == nil) != (want == 2) {
			t.Errorf("%s: %d tries, err %v; want %d", method, n.Load(), err, want)
		}
	}
}

func TestRetryAfterAndWindows(t *testing.T) {
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
		case 2:
			w.Header().Set("RateLimit", `"minute";r=0;t=12, "hour";r=2800;t=1812`)
		case 4:
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}
	}))
	defer s.Close()
	w := &waits{}
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	c := httpclient.New(httpclient.Options{Sleep: w.sleep, Now: func() time.Time { return now }})
	if _, err := c.Do(t.Context(), httpclient.Request{URL: s.URL}); err != nil {
		t.Fatal(err)
	}
	if len(w.d) != 1 || w.d[0] != 7*time.Second {
		t.Fatalf("waits %v, want the 7 s of Retry-After", w.d)
	}
	if _, err := c.Do(t.Context(), httpclient.Request{URL: s.URL}); err != nil {
		t.Fatal(err)
	}
	if len(w.d) != 2 || w.d[1] != 12*time.Second {
		t.Errorf("waits %v, want 12 s before a call into an empty window", w.d)
	}
	_, err := c.Do(t.Context(), httpclient.Request{URL: s.URL})
	var e *httpclient.Error
	if !errors.As(err, &e) || e.RetryAfter != time.Hour || n.Load() != 4 {
		t.Errorf("an hour's Retry-After: err %v after %d calls; want it returned at once", err, n.Load())
	}
}

func TestErrorBodies(t *testing.T) {
	tests := []struct{ ct, body, detail string }{
		{"application/problem+json", `{"title":"Unprocessable","status":422,"detail":"Request validation failed.","errors":["$: missing property 'image'"]}`,
			"Request validation failed. $: missing property 'image'"},
		{"application/json", `{"error":"create pod: no","status":500}`, "create pod: no"},
		{"application/json", `{"kind":"Status","status":"Failure","message":"jobs.batch \"x\" not found","code":404}`, `jobs.batch "x" not found`},
		{"application/json", `{"error":{"message":"The model does not exist","code":404}}`, "The model does not exist"},
		{"text/plain", "error code: 1010", "error code: 1010"},
		{"text/plain", "a\x1b[31mb\nc", "a [31mb c"},
		{"text/html", "<html>nothing to say</html>", ""},
	}
	for _, tt := range tests {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", tt.ct)
			w.Header().Set("X-Request-Id", "req-1")
			w.WriteHeader(422)
			_, _ = io.WriteString(w, tt.body)
		}))
		_, err := httpclient.New(httpclient.Options{}).Do(t.Context(), httpclient.Request{URL: s.URL})
		s.Close()
		var e *httpclient.Error
		if !errors.As(err, &e) || e.Detail() != tt.detail || e.RequestID != "req-1" || e.Status != 422 {
			t.Errorf("%s: got %+v detail %q, want %q", tt.body, e, e.Detail(), tt.detail)
		}
	}
}

func TestBoundedBody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
	}))
	defer s.Close()
	c := httpclient.New(httpclient.Options{MaxBody: 999, Sleep: (&waits{}).sleep})
	if _, err := c.Do(t.Context(), httpclient.Request{URL: s.URL}); !errors.Is(err, httpclient.ErrTooLarge) {
		t.Errorf("err = %v, want ErrTooLarge", err)
	}
	if r, err := c.Do(t.Context(), httpclient.Request{URL: s.URL, MaxBody: 1000}); err != nil || len(r.Body) != 1000 {
		t.Errorf("a body of exactly the limit: %v", err)
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(stop)
	c := httpclient.New(httpclient.Options{Timeout: 20 * time.Millisecond, Attempts: 2, Sleep: (&waits{}).sleep})
	_, err := c.Do(t.Context(), httpclient.Request{URL: s.URL})
	if err == nil || !strings.Contains(err.Error(), "no complete answer within 20ms") {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Do(ctx, httpclient.Request{URL: s.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

func TestUserAgentAndBearer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.UserAgent()+" "+r.Header.Get("Authorization"))
	}))
	defer s.Close()
	r, err := httpclient.New(httpclient.Options{}).Do(t.Context(), httpclient.Request{URL: s.URL, Bearer: httpclient.NewSecret("rpa_1")})
	if err != nil || string(r.Body) != httpclient.DefaultUserAgent+" Bearer rpa_1" {
		t.Errorf("got %q, %v", r.Body, err)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const text = "rpa_SECRETSECRET"
	s := httpclient.NewSecret(text)
	holder := struct {
		key   httpclient.Secret
		Key   httpclient.Secret
		inner map[string]httpclient.Secret
	}{s, s, map[string]httpclient.Secret{"k": s}}
	var out bytes.Buffer
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, f+"\n"+f+"\n", s, holder)
	}
	j, err := json.Marshal(map[string]any{"a": s, "b": holder})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", s, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", s, "holder", holder)
	if strings.Contains(out.String(), text) || strings.Contains(out.String(), fmt.Sprintf("%x", text)) {
		t.Errorf("secret leaked:\n%s", out.String())
	}
	if s.Reveal() != text || s.Scrub("key "+text+"!") != "key [redacted]!" {
		t.Error("Reveal or Scrub is wrong")
	}
}

func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:p@h/x?api_key=abc&n=1":                             "https://[redacted]@h/x?api_key=[redacted]&n=1",
		"https://h/x?include=AVAILABILITY&product=POD":                "https://h/x?include=AVAILABILITY&product=POD",
		"https://h/x?X-Amz-Signature=ff&X-Amz-Credential=c&d=5":       "https://h/x?X-Amz-Signature=[redacted]&X-Amz-Credential=[redacted]&d=5",
		"https://h/x?blob=" + strings.Repeat("a", 65) + "#fragment":   "https://h/x?blob=[redacted]",
		"http://127.0.0.1:80\x7f/":                                    "[redacted]",
		"https://api.runpod.io/v2/pods/abc/logs?since=2020-01-01T00Z": "https://api.runpod.io/v2/pods/abc/logs?since=2020-01-01T00Z",
	} {
		if got := httpclient.RedactURL(in); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseRateLimit(t *testing.T) {
	got := httpclient.ParseRateLimit([]string{`"minute";r=0;t=12, "hour";r=2800;t=1812`, `"day";r=x;t=1`, `garbage`})
	if len(got) != 2 || got[0].Name != "minute" || got[0].Left != 0 || got[0].Reset != 12*time.Second || got[1].Left != 2800 {
		t.Errorf("got %+v", got)
	}
}
