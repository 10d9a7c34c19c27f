package runpodsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// proxyLimit is how long RunPod's edge waits for the first byte.
const proxyLimit = 100 * time.Second

// proxyHost recognises the host form of a proxy address: {pod}-{port}.anything.
func proxyHost(host string) (pod string, port int, ok bool) {
	label, rest, dot := strings.Cut(host, ".")
	if !dot || !strings.HasPrefix(rest, "proxy.") {
		return "", 0, false
	}
	i := strings.LastIndex(label, "-")
	if i < 0 {
		return "", 0, false
	}
	port, proto, ok := portSpec(label[i+1:])
	return label[:i], port, ok && proto == ""
}

// proxyPath serves the path form, /proxy/{pod}/{port}/…, for where wildcard names are not at hand.
func (s *Server) proxyPath(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/proxy/"), "/", 3)
	if len(parts) < 2 {
		http.NotFound(w, r)
		return
	}
	port, proto, ok := portSpec(parts[1])
	if !ok || proto != "" {
		http.NotFound(w, r)
		return
	}
	path := "/"
	if len(parts) == 3 {
		path += parts[2]
	}
	s.proxy(w, r, parts[0], port, path)
}

// proxy plays Cloudflare and RunPod's load balancer: only ports declared as http (404), nobody listening (502), 100 s to the
// first byte (524), then the answer passes on as it comes.
func (s *Server) proxy(w http.ResponseWriter, r *http.Request, id string, port int, path string) {
	s.lock()
	s.counts["proxy"]++
	p := s.pods[id]
	if p == nil || p.status == terminated || !p.declares(port, "http") {
		s.unlock()
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	var fault *apiError
	if f := s.strike("proxy", p, ErrorBefore); f != nil {
		fault = f.error()
	}
	lost := s.strike("proxy", p, LostReply, LostRequest) != nil
	cut := s.strike("proxy", p, CutBody)
	var h http.Handler
	local := 0
	if p.box != nil {
		h = p.box.serves[port]
		local = p.open[port].local
	}
	s.unlock()
	switch {
	case lost:
		abort()
	case fault != nil:
		gatewayError(w, fault.status)
		return
	case h == nil && local == 0:
		gatewayError(w, http.StatusBadGateway)
		return
	}
	if cut != nil {
		w = &cutWriter{w, cut.Bytes}
	}
	// The body is read whole before it is passed on: Go's ReverseProxy otherwise cuts answers that begin early (golang/go#40747).
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		gatewayError(w, http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	first := &firstByte{ResponseWriter: w}
	late := s.clock.AfterFunc(proxyLimit, func() {
		if first.expire() {
			cancel()
		}
	})
	first.onFirst = late
	req := r.Clone(ctx)
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.URL.Path, req.URL.RawPath = path, ""
	if h != nil {
		req.RequestURI = req.URL.RequestURI()
		h.ServeHTTP(first, req)
		late()
		first.settle()
		return
	}
	s.forward(first, req, p.id, port, local)
	late()
	first.settle()
}

func gatewayError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "error code: "+itoa(status))
}

// forward passes a request to a process of this machine: at the port it was given, or, when it paid no heed to that, at the
// port it was asked to publish, if it is a process of this very pod that listens there.
func (s *Server) forward(w http.ResponseWriter, req *http.Request, pod string, port, local int) {
	target := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", itoa(local))}
	if !listening(req.Context(), local) {
		o, can := s.opts.Runner.(interface {
			Owns(pod string, port int) bool
		})
		if !can || !o.Owns(pod, port) {
			gatewayError(w, http.StatusBadGateway)
			return
		}
		target.Host = net.JoinHostPort("127.0.0.1", itoa(port))
	}
	rp := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.URL.Path = req.URL.Path
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return
			}
			gatewayError(w, http.StatusBadGateway)
		},
		ErrorLog: discardLog,
	}
	rp.ServeHTTP(w, req)
}

// listening tells whether somebody accepts connections on a local port.
func listening(ctx context.Context, port int) bool {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", itoa(port)))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
