package runpodsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// v1Call is one request to REST v1.
type v1Call struct {
	s    *Server
	r    *http.Request
	who  caller
	id   string
	verb string
	body []byte
}

// v1Error is v1's envelope, {"error","status"}.
type v1Error struct {
	status int
	text   string
}

// fromV2 turns a refusal of v2 into one of v1, which calls a lack of stock a 500 of its own.
func fromV2(prefix string, e *apiError) *v1Error {
	if e == nil {
		return nil
	}
	status := e.status
	if e.detail == noCapacity || e.detail == noCardToWake || status == http.StatusUnprocessableEntity {
		status = http.StatusInternalServerError
	}
	return &v1Error{status, prefix + e.detail}
}

// v1Handler does one operation under the lock; a nil answer is 204.
type v1Handler func(c *v1Call) (status int, v any, e *v1Error)

// v1Route finds the operation for a method and path.
func v1Route(method string, segs []string) (op string, h v1Handler) {
	kind, n := segs[0], len(segs)
	key := method + " " + kind + "/" + itoa(n)
	if n == 3 {
		if kind != "pods" || method != http.MethodPost {
			return "", nil
		}
		switch segs[2] {
		case "start", "stop", "restart", "reset":
			return segs[2] + "Pod", (*v1Call).action
		case "update":
			return "updatePod", (*v1Call).updatePod
		}
		return "", nil
	}
	switch key {
	case "GET pods/1":
		return "listPods", (*v1Call).listPods
	case "POST pods/1":
		return "createPod", (*v1Call).createPod
	case "GET pods/2":
		return "getPod", (*v1Call).getPod
	case "PATCH pods/2":
		return "updatePod", (*v1Call).updatePod
	case "DELETE pods/2":
		return "deletePod", (*v1Call).deletePod
	case "GET networkvolumes/1":
		return "listNetworkVolumes", (*v1Call).listVolumes
	case "POST networkvolumes/1":
		return "createNetworkVolume", (*v1Call).createVolume
	case "GET networkvolumes/2", "PATCH networkvolumes/2", "DELETE networkvolumes/2":
		return "networkVolume", (*v1Call).volume
	case "GET containerregistryauth/1":
		return "listRegistries", (*v1Call).listRegistries
	case "POST containerregistryauth/1":
		return "createRegistry", (*v1Call).createRegistry
	case "GET containerregistryauth/2", "DELETE containerregistryauth/2":
		return "registry", (*v1Call).registry
	case "GET templates/1":
		return "listTemplates", (*v1Call).listTemplates
	case "POST templates/1":
		return "createTemplate", (*v1Call).createTemplate
	case "GET templates/2", "PATCH templates/2", "DELETE templates/2":
		return "template", (*v1Call).template
	case "GET endpoints/1":
		return "listEndpoints", func(*v1Call) (int, any, *v1Error) { return http.StatusOK, []any{}, nil }
	case "GET billing/2":
		return "billing", (*v1Call).billing
	}
	return "", nil
}

// serveV1 answers REST v1 as far as runpodctl needs it.
func (s *Server) serveV1(w http.ResponseWriter, r *http.Request) {
	if s.agentRefused(w, r) {
		return
	}
	segs := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/v1"), "/"), "/")
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		writeV1(w, &v1Error{http.StatusBadRequest, "request body could not be read"})
		return
	}
	op, h := v1Route(r.Method, segs)
	c := &v1Call{s: s, r: r, body: body}
	if len(segs) > 1 {
		c.id = segs[1]
	}
	if len(segs) > 2 {
		c.verb = segs[2]
	}
	status, v, e, lost := c.perform(op, h)
	switch {
	case lost:
		abort()
	case e != nil:
		writeV1(w, e)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, status, v)
	}
}

func writeV1(w http.ResponseWriter, e *v1Error) {
	writeJSON(w, e.status, map[string]any{"error": e.text, "status": e.status})
}

// perform does everything that needs the lock.
func (c *v1Call) perform(op string, h v1Handler) (status int, v any, e *v1Error, lost bool) {
	s := c.s
	s.lock()
	defer s.unlock()
	who, refused := s.identify(bearer(c.r, false))
	if refused != nil {
		return 0, nil, &v1Error{http.StatusUnauthorized, "Unauthorized"}, false
	}
	c.who = who
	// A pod's own key is turned away here, whatever it asks; a read-only key when it writes.
	if who.pod != "" || who.readOnly && c.r.Method != http.MethodGet {
		return 0, nil, &v1Error{http.StatusForbidden, "Forbidden"}, false
	}
	if h == nil {
		return 0, nil, &v1Error{http.StatusNotFound, "not found"}, false
	}
	s.counts["v1:"+op]++
	p := s.pods[c.id]
	if f := s.strike("v1:"+op, p, ErrorBefore, Throttled); f != nil {
		x := f.error()
		return 0, nil, &v1Error{x.status, x.detail}, false
	}
	status, v, e = h(c)
	if e == nil {
		if s.strike("v1:"+op, p, LostReply) != nil {
			return 0, nil, nil, true
		}
		if f := s.strike("v1:"+op, p, ErrorAfter); f != nil {
			x := f.error()
			return 0, nil, &v1Error{x.status, x.detail}, false
		}
	}
	return status, v, e, false
}

// read decodes a body whose every key must be in the schema; an empty body is an empty object.
func (c *v1Call) read(known []string, out any) *v1Error {
	if len(strings.TrimSpace(string(c.body))) == 0 {
		return nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &m); err != nil {
		return &v1Error{http.StatusBadRequest, "request body is not valid JSON"}
	}
	for _, k := range sortedKeys(m) {
		if !slices.Contains(known, k) {
			return &v1Error{http.StatusBadRequest, fmt.Sprintf("key provided in request body which is not in input schema: '%s'", k)}
		}
	}
	if err := json.Unmarshal(c.body, out); err != nil {
		return &v1Error{http.StatusBadRequest, err.Error()}
	}
	return nil
}
