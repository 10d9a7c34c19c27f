package gateway

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// NewTransport reaches engines: many connections to few hosts, nothing compressed (a compressed stream comes in lumps), no limit on
// how long an answer may take to begin, since a long prompt takes long.
func NewTransport() *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 2048, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second,
		DisableCompression: true, ForceAttemptHTTP2: false, WriteBufferSize: 64 << 10, ReadBufferSize: 16 << 10,
	}
}

// newProxy lets the standard library's reverse proxy do what every proxy must (hop-by-hop headers, flushing each piece, cancelling
// with the client) and puts our choice of a replica in the place of its transport.
func (g *Gateway) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       g.rewrite,
		Transport:     balancer{g},
		FlushInterval: -1,
		BufferPool:    &bufferPool{},
		ErrorLog:      log.New(io.Discard, "", 0), // what goes wrong stands in the request's own line
		ErrorHandler:  g.failed,
	}
}

// kept are the request's headers that an engine is sent. The client's key, its cookies and what tells who it is stay here.
var kept = [...]string{"Accept", "Content-Type", "User-Agent", "Traceparent", "Tracestate", "X-Session-Id", "Anthropic-Version", "Anthropic-Beta"}

// rewrite makes the outgoing request, but for where it goes.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	h := make(http.Header, len(kept)+2)
	for _, k := range kept {
		if v := p.In.Header.Values(k); len(v) > 0 {
			h[k] = v
		}
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "justright") // Go's own is refused by some proxies
	}
	if j, ok := p.In.Context().Value(jobKey{}).(*job); ok && j.kind.socket {
		passSocket(h, p.In.Header)
	}
	p.Out.Header = h
	p.Out.Trailer = nil
}

// balancer is the transport: it chooses a replica, and another one while that is harmless.
type balancer struct{ g *Gateway }

// errNoReplica is a model whose last replica has just gone.
var errNoReplica = errors.New("nothing serves it any more")

// RoundTrip returns the first answer that is one. A request goes to a second replica only before a byte of an answer has come,
// and only when it was not taken in at all, or may be answered twice.
func (b balancer) RoundTrip(in *http.Request) (*http.Response, error) {
	g := b.g
	j, ok := in.Context().Value(jobKey{}).(*job)
	if !ok {
		return nil, errors.New("a request without a job")
	}
	if j.kind.response != "" {
		return b.fetch(in, j)
	}
	prefer, tried := "", map[string]bool{}
	if j.asked.After != "" {
		m, _ := g.answers.of(j.asked.After)
		prefer = m.replica
	}
	for {
		rep, ok := g.fleet.pick(j.meant, tried, prefer)
		if !ok {
			return nil, errNoReplica
		}
		tried[rep.ID] = true
		j.tries++
		resp, err := b.send(in, rep, j)
		if in.Context().Err() != nil {
			g.fleet.done(rep.ID)
			return nil, errors.Join(in.Context().Err(), closeOf(resp))
		}
		again := b.judge(rep, resp, err, j)
		if !again || j.tries >= g.l.Tries || !g.fleet.another(j.meant, tried) {
			if err != nil {
				g.fleet.done(rep.ID)
				return nil, err
			}
			return b.take(resp, rep, j)
		}
		_ = closeOf(resp)
		g.fleet.done(rep.ID)
		g.met.retried(j)
		g.o.Log.Warn("another replica is asked", "id", j.id, "model", g.label(j.meant.model), "launch", rep.Launch, "why", wordOf(resp, err))
	}
}

func closeOf(resp *http.Response) error {
	if resp == nil {
		return nil
	}
	return resp.Body.Close()
}

func wordOf(resp *http.Response, err error) string {
	if err != nil {
		return errorClass(err)
	}
	return strconv.Itoa(resp.StatusCode)
}

// errorClass words a failure without its addresses.
func errorClass(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Op + " failed"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	default:
		return "no answer"
	}
}

// send sends the request to one replica, under the name that its engine knows, with its key.
func (b balancer) send(in *http.Request, rep Replica, j *job) (*http.Response, error) {
	out := in.Clone(in.Context())
	var err error
	if out.URL, err = url.Parse(rep.Base + j.path); err != nil {
		return nil, err
	}
	out.Host = ""
	out.TransferEncoding = nil
	if j.kind.bodiless {
		out.URL.RawQuery, out.Body, out.ContentLength = in.URL.RawQuery, nil, 0
	} else {
		body, _, err := j.asked.rename(rep.Served)
		if err != nil {
			return nil, err
		}
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.ContentLength = int64(len(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	out.Header.Set("X-Request-Id", j.id)
	if rep.Key.Set() {
		out.Header.Set("Authorization", "Bearer "+rep.Key.Reveal())
	}
	if j.kind.repeat {
		// Empty, it is not sent; it lets the transport repeat a request on a connection that the server had closed already, as
		// uvicorn does after five idle seconds.
		out.Header["Idempotency-Key"] = nil
	}
	return b.g.o.Transport.RoundTrip(out)
}

// judge notes what an answer says of its replica's health, and reports whether another may be asked instead.
func (b balancer) judge(rep Replica, resp *http.Response, err error, j *job) (again bool) {
	failed := false
	switch {
	case err != nil:
		var op *net.OpError
		dial := errors.As(err, &op) && op.Op == "dial"
		failed, again = true, dial || j.kind.repeat
	case j.kind.socket && resp.StatusCode == http.StatusForbidden:
		// So uvicorn says that there is no such WebSocket: the model is none that transcribes.
	case resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout,
		resp.StatusCode >= 520 && resp.StatusCode <= 523: // Cloudflare could not reach it
		failed, again = true, true
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		failed, again = true, true // another launch has another key
	case resp.StatusCode == http.StatusNotFound && !strings.Contains(resp.Header.Get("Content-Type"), "json"):
		failed, again = true, true // an engine says so in JSON; this is a proxy that knows no such machine any more
	case resp.StatusCode == http.StatusTooManyRequests:
		again = true // it is well, and has enough to do
	case resp.StatusCode == http.StatusInternalServerError:
		failed = true // a dead engine core answers so; so does a request that kills it, which must not be passed around
	}
	if !failed {
		b.g.fleet.well(rep.ID)
		return again
	}
	if b.g.fleet.ill(rep.ID) {
		b.g.met.ejected(rep.Model)
		if b.g.o.Doubt != nil {
			b.g.o.Doubt(rep)
		}
	}
	return again
}

// take makes an engine's answer the client's.
func (b balancer) take(resp *http.Response, rep Replica, j *job) (*http.Response, error) {
	g := b.g
	j.launch = rep.Launch
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return b.upgrade(resp, rep)
	}
	if j.kind.socket && resp.StatusCode == http.StatusForbidden {
		g.fleet.done(rep.ID)
		return nil, errors.Join(&Refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url", Message: "the model's engine takes no " + j.path}, closeOf(resp))
	}
	if resp.StatusCode >= 400 {
		r, body := upstreamRefusal(resp)
		g.fleet.done(rep.ID)
		if r != nil && r.Status == http.StatusNotFound && r.Message == "Not Found" { // FastAPI's word for a path that it does not have
			r.Code, r.Message = "unknown_url", "the engine of "+g.label(rep.Model)+" takes no "+j.path+": that is not its kind of model, or not in its version"
		}
		if r != nil {
			r.Message = rep.Key.Scrub(g.o.Clean(r.Message))
			return nil, r
		}
		body = []byte(rep.Key.Scrub(g.o.Clean(string(body))))
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
		resp.Header = passed(resp.Header)
		return resp, nil
	}
	resp.Header = passed(resp.Header)
	resp.Header.Set("X-Justright-Launch", rep.Launch)
	resp.Body = &tap{ReadCloser: resp.Body, g: g, rep: rep, j: j, head: head{done: j.path != "/v1/responses"},
		stream: strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")}
	return resp, nil
}

// upgrade makes an engine's WebSocket the client's.
func (b balancer) upgrade(resp *http.Response, rep Replica) (*http.Response, error) {
	b.g.fleet.done(rep.ID)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, errors.Join(errors.New("the engine's connection cannot be written to"), resp.Body.Close())
	}
	h := passed(resp.Header)
	passSocket(h, resp.Header)
	resp.Header = h
	resp.Body = &wire{ReadWriteCloser: conn, fleet: b.g.fleet, id: rep.ID, now: b.g.o.Now}
	return resp, nil
}

// passed are the headers of an answer that clients get: what describes the body. A proxy's cookies, its HSTS and its own name
// would be taken for the gateway's.
func passed(h http.Header) http.Header {
	out := http.Header{}
	for _, k := range [...]string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Cache-Control", "Retry-After", "Openai-Processing-Ms", "Openai-Version"} {
		if v := h.Values(k); len(v) > 0 {
			out[k] = v
		}
	}
	return out
}

// failed answers when no engine did.
func (g *Gateway) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		// The client has gone, or nobody knows: 499 is nginx's word for it, for the log.
		w.WriteHeader(499)
		return
	}
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		refused.write(w)
	case errors.Is(err, errNoReplica):
		unavailable("replica_unreachable", 2*time.Second, "the model's last replica has just gone; ask again").write(w)
	default:
		unavailable("replica_unreachable", 2*time.Second, "the model's engine cannot be reached now (%s)", errorClass(err)).write(w)
	}
}

// bufferPool lends the reverse proxy its buffers.
type bufferPool struct{ p sync.Pool }

func (p *bufferPool) Get() []byte {
	if b, ok := p.p.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(b []byte) { p.p.Put(&b) }
