package runpodsim

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
)

// call is one request to REST v2, on its way.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	op    string
	who   caller
	id    string // first path parameter
	sub   string // second path parameter
	body  []byte
	after *apiError // what a fault answers once the work is done
	mute  bool      // the work is done, the answer gets lost
}

// answer is what an operation wants to send: v with status, or nothing for 204.
type answer struct {
	status int
	v      any
}

// route is one operation of the document. do is called with the lock held.
type route struct {
	op     string
	path   []string // "{}" is a parameter
	method string
	write  bool
	perPod bool // a pod's own key may call it for its own pod
	do     func(c *call) (answer, *apiError)
}

var v2Routes = buildRoutes()

func buildRoutes() []route {
	var out []route
	add := func(op, method, path string, do func(*call) (answer, *apiError)) {
		segs := strings.Split(strings.Trim(path, "/"), "/")
		out = append(out, route{
			op: op, path: segs, method: method, write: method != http.MethodGet,
			perPod: segs[0] == "pods" && len(segs) > 1, do: do,
		})
	}
	podRoutes(add)
	catalogRoutes(add)
	storageRoutes(add)
	templateRoutes(add)
	clusterRoutes(add)
	serverlessRoutes(add)
	billingRoutes(add)
	return out
}

type adder func(op, method, path string, do func(*call) (answer, *apiError))

// serveV2 routes, authenticates, counts, plays the faults, and answers.
func (s *Server) serveV2(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/v2"), "/")
	if path == "openapi.json" && r.Method == http.MethodGet {
		if s.opts.OpenAPI == nil {
			notFound("resource").write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, bytes.NewReader(s.opts.OpenAPI))
		return
	}
	rt, ids, allow := match(strings.Split(path, "/"), r.Method)
	if s.agentRefused(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		badRequest("request body could not be read").write(w)
		return
	}
	c := &call{s: s, w: w, r: r, body: body}
	if len(ids) > 0 {
		c.id = ids[0]
	}
	if len(ids) > 1 {
		c.sub = ids[1]
	}
	if rt != nil {
		c.op = rt.op
	}
	a, refusal := c.perform(rt, allow)
	if c.mute {
		abort()
	}
	switch {
	case refusal != nil:
		refusal.write(c.w)
	case a.status == 0: // the operation wrote its answer itself
	case a.status == http.StatusNoContent:
		c.w.WriteHeader(a.status)
	default:
		writeJSON(c.w, a.status, a.v)
	}
}

// perform does everything that needs the lock.
func (c *call) perform(rt *route, allow string) (answer, *apiError) {
	s := c.s
	s.lock()
	defer s.unlock()
	who, refusal := s.identify(bearer(c.r, false))
	if refusal != nil {
		return answer{}, refusal
	}
	c.who = who
	if refusal := s.spend(c.w.Header(), who.account); refusal != nil {
		return answer{}, refusal
	}
	if rt == nil {
		if allow != "" {
			e := refuse(http.StatusMethodNotAllowed, "The requested method is not allowed for this path.")
			e.allow = allow
			return answer{}, e
		}
		return answer{}, notFound("resource")
	}
	s.counts[rt.op]++
	target := ""
	if rt.perPod {
		target = c.id
	}
	if refusal := s.mayTouch(who, target, rt.write); refusal != nil {
		return answer{}, refusal
	}
	if refusal := c.before(); refusal != nil || c.mute {
		return answer{}, refusal
	}
	a, refusal := rt.do(c)
	c.afterwards()
	if c.after != nil && refusal == nil {
		return answer{}, c.after
	}
	return a, refusal
}

// subject is the pod a fault may match: the one the call is about, or the one it is about to make.
func (c *call) subject() *pod {
	if p := c.s.pods[c.id]; p != nil {
		return p
	}
	if c.op == "createPod" {
		var b struct{ Name string }
		if decodeLoose(c.body, &b) {
			return &pod{podSpec: podSpec{name: b.Name}}
		}
	}
	return nil
}

// before plays the faults that strike before the work is done.
func (c *call) before() *apiError {
	s := c.s
	p := c.subject()
	if f := s.strike(c.op, p, SlowAnswer); f != nil {
		gate := make(chan struct{})
		stop := s.clock.AfterFunc(f.Delay, func() { close(gate) })
		s.unlock()
		select {
		case <-gate:
		case <-c.r.Context().Done():
		}
		stop()
		s.lock()
	}
	if f := s.strike(c.op, p, Throttled, ErrorBefore); f != nil {
		return f.error()
	}
	if s.strike(c.op, p, LostRequest) != nil {
		c.mute = true
	}
	return nil
}

// afterwards plays the faults that strike when the work is done.
func (c *call) afterwards() {
	p := c.subject()
	if c.s.strike(c.op, p, LostReply) != nil {
		c.mute = true
		return
	}
	if f := c.s.strike(c.op, p, ErrorAfter); f != nil {
		c.after = f.error()
		return
	}
	if f := c.s.strike(c.op, p, CutBody); f != nil {
		c.w = &cutWriter{c.w, f.Bytes}
	}
}

// match finds the route for a path. allow lists the methods of the path when only the method is wrong. A literal path
// (registries/delegations) hides one with a parameter (registries/{id}).
func match(segs []string, method string) (rt *route, ids []string, allow string) {
	var methods []string
	fewest := len(segs) + 1
	for i := range v2Routes {
		x := &v2Routes[i]
		got, ok := x.fits(segs)
		if !ok || len(got) > fewest {
			continue
		}
		if len(got) < fewest {
			fewest, methods, rt = len(got), nil, nil
		}
		methods = append(methods, x.method)
		if x.method == method {
			rt, ids = x, got
		}
	}
	if rt != nil {
		return rt, ids, ""
	}
	slices.Sort(methods)
	return nil, nil, strings.Join(methods, ", ")
}

// fits matches a path and returns its parameters.
func (x *route) fits(segs []string) (ids []string, ok bool) {
	if len(x.path) != len(segs) {
		return nil, false
	}
	for j, p := range x.path {
		switch {
		case p == "{}" && segs[j] != "":
			ids = append(ids, segs[j])
		case p != segs[j]:
			return nil, false
		}
	}
	return ids, true
}
