// Package gateway is one OpenAI-compatible door to all models of a journal: it wants the gateway's own key, finds the model's
// name in the request, wakes the model when nothing serves it, sends the request to the replica with the least to do, and lets
// the answer stream through as it comes. What runs it is told by a Fleet; what wakes a model is a Waker. It starts nothing else.
package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a gateway needs.
type Options struct {
	Door  Door
	Fleet *Fleet
	Waker Waker        // nil: nothing is woken
	Web   http.Handler // "/" and below "/ui/"; it minds its own door. nil: there is none
	// Transport reaches the engines; nil: NewTransport().
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger
	Clean     func(string) string // takes secrets out of what an engine's error says; nil: left as it is
	Doubt     func(Replica)       // told of a replica that is ejected, so that somebody looks at its machine; nil: nobody
	Dollars   func() []Dollars    // for /metrics; nil: not shown
	Origins   []string            // of pages whose browsers may ask, like "https://chat.example"; "*": all
	Limits    Limits
}

// Limits are bounds and patience. The zero value of each field means its default.
type Limits struct {
	Body     int64         // of one request, in bytes; 64 MiB
	Buffered int64         // of all requests that wait or run, in bytes; 512 MiB
	Hold     time.Duration // how long a request waits for its model to wake; 90 s
	HoldMost time.Duration // the same for one that is told that it waits, and the most a client may ask for; 30 min
	Beat     time.Duration // between two signs of life of a stream that waits; 10 s
	Tries    int           // replicas that one request is sent to at most; 3
	Waiting  int           // requests that wait for a model to wake, of all models together; 4096
	Look     time.Duration // how long an engine may take to show its counters; 10 s
	Unread   time.Duration // how long a client may leave an answer unread, before it counts as gone; 5 min
}

// The defaults. 90 s stays under the 100 s at which Cloudflare, and so RunPod's proxy, cut an answer that has not begun: a gateway
// may itself stand behind one. OpenAI's clients wait 600 s and ask again twice.
func (l Limits) orDefault() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Body, 64<<20)
	def(&l.Buffered, 512<<20)
	wait(&l.Hold, 90*time.Second)
	wait(&l.HoldMost, 30*time.Minute)
	wait(&l.Beat, 10*time.Second)
	wait(&l.Look, 10*time.Second)
	wait(&l.Unread, 5*time.Minute)
	if l.Tries == 0 {
		l.Tries = 3
	}
	if l.Waiting == 0 {
		l.Waiting = 4096
	}
	return l
}

// Gateway is an http.Handler.
type Gateway struct {
	o        Options
	l        Limits
	fleet    *Fleet
	wakes    *wakes
	answers  answers
	met      *metrics
	proxy    *httputil.ReverseProxy
	buffered atomic.Int64
	waiting  atomic.Int64 // requests
	began    time.Time
	closing  chan struct{}
	closed   sync.Once
}

// New makes a gateway. Close ends what it has begun.
func New(o Options) *Gateway {
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clean == nil {
		o.Clean = func(s string) string { return s }
	}
	g := &Gateway{o: o, l: o.Limits.orDefault(), fleet: o.Fleet, began: o.Now(), closing: make(chan struct{})}
	g.met = newMetrics(g)
	g.wakes = newWakes(o.Waker, o.Now, g.met)
	g.proxy = g.newProxy()
	return g
}

// Drain lets no further request wait for a model: what waits is told to come again, what runs goes on.
func (g *Gateway) Drain() { g.closed.Do(func() { close(g.closing) }) }

// Close drains, ends the wakes' goroutines and waits for them. Machines are left as they are: that is the Waker's to say.
func (g *Gateway) Close() {
	g.Drain()
	g.wakes.close()
}

// job is one request on its way.
type job struct {
	id     string
	path   string
	kind   routeKind
	asked  asked
	meant  meant
	body   []byte
	header http.Header
	began  time.Time
	woke   time.Duration // how long it waited for its model
	tries  int
	launch string // the replica's that answered
	first  time.Duration
	usage  usage
	cut    bool // the answer broke off
}

type jobKey struct{}

// ServeHTTP is the door.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID(r.Header)
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch p := r.URL.Path; {
	case p == "/health" || p == "/ping":
		g.health(w)
		return
	case (p == "/" || p == "/favicon.ico" || strings.HasPrefix(p, "/ui/")) && g.o.Web != nil:
		g.o.Web.ServeHTTP(w, r)
		return
	}
	if g.crossOrigin(w, r) {
		return
	}
	if !g.o.Door.admits(r.Header) {
		g.met.refused(http.StatusUnauthorized)
		w.Header().Set("Www-Authenticate", `Bearer realm="justright"`)
		w.Header().Set("Connection", "close") // its body is not read
		noKey(r.Header).write(w)
		return
	}
	switch p := r.URL.Path; {
	case p == "/metrics":
		g.met.handler.ServeHTTP(w, r)
	case p == "/v1/models" || strings.HasPrefix(p, "/v1/models/"):
		g.models(w, r)
	default:
		g.serve(w, r, id)
	}
}

// health says that the gateway is here; 503 while it drains, so that what balances over several sends nothing more.
func (g *Gateway) health(w http.ResponseWriter) {
	select {
	case <-g.closing:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// serve takes a request that names a model.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, id string) {
	j := &job{id: id, path: r.URL.Path, began: g.o.Now(), header: r.Header}
	rec := &recorder{ResponseWriter: w, rc: http.NewResponseController(w), now: g.o.Now, unread: g.l.Unread}
	defer g.note(rec, j) // also of an answer that broke off, which the reverse proxy makes known by a panic
	free, err := g.read(rec, r, j)
	defer free()
	if err != nil {
		refusalOf(err).write(rec)
		return
	}
	g.met.begin(j)
	defer g.met.end(j)
	g.answer(rec, r, j)
}

// note counts a request that is over, and logs it: ids, numbers and known names alone.
func (g *Gateway) note(rec *recorder, j *job) {
	took := g.o.Now().Sub(j.began)
	g.met.served(j, rec.status, took)
	g.o.Log.Info("request", "id", j.id, "path", j.kind.name, "model", g.label(j.meant.model), "launch", j.launch, "status", rec.status,
		"ms", took.Milliseconds(), "first_ms", j.first.Milliseconds(), "waited_ms", j.woke.Milliseconds(), "tries", j.tries,
		"prompt_tokens", j.usage.prompt, "completion_tokens", j.usage.completion, "cut", j.cut)
}

// answer waits for the model, if it must, and passes the request on.
func (g *Gateway) answer(rec *recorder, r *http.Request, j *job) {
	var out http.ResponseWriter = rec
	var err error
	if j.kind.response == "" {
		out, err = g.await(rec, r, j)
	}
	if err != nil {
		if r.Context().Err() == nil {
			refusalOf(err).write(out)
		}
	} else {
		g.proxy.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), jobKey{}, j)))
	}
	if h, ok := out.(*held); ok {
		h.finish()
	}
}

// read takes the body in and finds out what is meant. The body is read whole before anything is sent on: its last field may be
// the model's name, a second replica may need it again, and Go's reverse proxy broke one stream in three hundred when the engine
// answered before the body was through. free gives its memory back.
func (g *Gateway) read(w http.ResponseWriter, r *http.Request, j *job) (free func(), err error) {
	free = func() {}
	k, ok := route(j.path)
	if ok {
		j.kind = k
	}
	switch {
	case !ok:
		return free, &Refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url", Message: "the gateway has no " + r.Method + " " + j.path}
	case r.Method != k.method:
		w.Header().Set("Allow", k.method)
		return free, &Refusal{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed", Message: j.path + " takes " + k.method}
	case k.bodiless:
		return free, g.readAddress(w, r, j)
	case !k.allowed(r.Header):
		return free, &Refusal{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_media_type",
			Message: j.path + " takes application/json, not " + strconv.Quote(r.Header.Get("Content-Type"))}
	case r.ContentLength > g.l.Body:
		w.Header().Set("Connection", "close")
		return free, g.tooLarge()
	}
	var held int64
	free = func() { g.buffered.Add(-held) }
	grow := func(n int64) error {
		held += n
		if g.buffered.Add(n) > g.l.Buffered {
			return unavailable("overloaded", time.Second, "the gateway holds as many requests as its memory allows")
		}
		return nil
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(g.o.Now().Add(bodyTime)) // not every server can; then its own limits hold
	j.body, err = readAll(http.MaxBytesReader(w, r.Body, g.l.Body), r.ContentLength, grow)
	_ = rc.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return free, g.tooLarge()
	}
	var refused *Refusal
	if err != nil && !errors.As(err, &refused) {
		return free, invalid("unreadable_body", "", "the request's body did not arrive whole")
	}
	if err != nil {
		return free, err
	}
	if j.asked, err = peek(j.body, r.Header.Get("Content-Type")); err != nil {
		return free, invalid("invalid_json", "", "the request's body cannot be read: %s", err)
	}
	if j.meant, err = g.mean(j.asked); err != nil {
		return free, err
	}
	return free, nil
}

// readAddress finds out what a request means in whose body no model stands.
func (g *Gateway) readAddress(w http.ResponseWriter, r *http.Request, j *job) (err error) {
	if id := j.kind.response; id != "" {
		m, _ := g.answers.of(id) // else all engines are asked
		j.meant.model = m.model
		return nil
	}
	if !asksSocket(r.Header) {
		w.Header().Set("Upgrade", "websocket")
		return &Refusal{Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "websocket_required", Message: j.path + " is a WebSocket"}
	}
	name := r.URL.Query().Get("model")
	j.meant, err = g.mean(asked{Model: name, Named: name != ""})
	return err
}

// bodyTime is how long a body may take to arrive.
const bodyTime = 5 * time.Minute

func (g *Gateway) tooLarge() *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
		Message: "a request may have at most " + strconv.FormatInt(g.l.Body>>20, 10) + " MiB"}
}

// readAll reads a body, telling grow before it takes more memory. A stated length is believed up to a megabyte.
func readAll(r io.Reader, stated int64, grow func(int64) error) ([]byte, error) {
	var b bytes.Buffer
	first := min(max(stated, 512), 1<<20)
	if err := grow(first); err != nil {
		return nil, err
	}
	b.Grow(int(first) + bytes.MinRead)
	taken := first
	for chunk := io.LimitReader(r, first); ; chunk = io.LimitReader(r, taken) {
		n, err := b.ReadFrom(chunk)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return b.Bytes(), nil
		}
		if int64(b.Len()) < taken { // the end, most likely; the next read says
			continue
		}
		if err := grow(taken); err != nil {
			return nil, err
		}
		taken *= 2
	}
}

// requestID is the client's own, when it is one that can be printed, else a new one.
func requestID(h http.Header) string {
	id := h.Get("X-Request-Id")
	if id != "" && len(id) <= 64 && strings.IndexFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.'
	}) < 0 {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return "req_" + hex.EncodeToString(b[:])
}

// recorder notes the status of an answer, and gives up on a client that does not read it: its request would keep the machine from
// ever being idle.
type recorder struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
	now    func() time.Time
	unread time.Duration
	until  time.Time // the deadline that is set
}

func (r *recorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if now := r.now(); r.until.Sub(now) < r.unread*9/10 { // not with every piece: it costs
		r.until = now.Add(r.unread)
		_ = r.rc.SetWriteDeadline(r.until) // not every server can
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
