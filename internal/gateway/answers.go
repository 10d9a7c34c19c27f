package gateway

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// answersKept bounds how many responses the gateway remembers the makers of.
const answersKept = 1 << 14

// answers remembers which replica made a response of /v1/responses: an engine that keeps responses keeps its own alone, so whoever
// asks for one, cancels it or goes on from it must reach that engine.
type answers struct {
	mu    sync.Mutex
	maker map[string]maker
	order []string // a ring, oldest at next
	next  int
}

// maker is where a response was made.
type maker struct {
	replica string // its ID
	model   string
}

func (a *answers) keep(id string, m maker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.maker == nil {
		a.maker = map[string]maker{}
	}
	if _, again := a.maker[id]; !again {
		if len(a.order) < answersKept {
			a.order = append(a.order, id)
		} else {
			delete(a.maker, a.order[a.next])
			a.order[a.next] = id
			a.next = (a.next + 1) % answersKept
		}
	}
	a.maker[id] = m
}

func (a *answers) of(id string) (maker, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := a.maker[id]
	return m, ok
}

// responseID reports whether a text can be a response's id.
func responseID(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_'
	}) < 0
}

// idForm is a response's id as an engine writes it: the first field of the object, which a stream's first event holds.
var idForm = regexp.MustCompile(`"id":\s?"([0-9A-Za-z_-]{1,128})"`)

// headSize is how much of a response's begin is looked through for its id.
const headSize = 2 << 10

// head is the begin of a response on its way, until its id was found.
type head struct {
	b    []byte
	done bool
}

// add takes what came, and returns the id when it has just become known.
func (h *head) add(p []byte) string {
	if h.done {
		return ""
	}
	h.b = append(h.b, p[:min(len(p), headSize-len(h.b))]...)
	if m := idForm.FindSubmatch(h.b); m != nil {
		h.done, h.b = true, nil
		return string(m[1])
	}
	if len(h.b) == headSize {
		h.done, h.b = true, nil
	}
	return ""
}

// fetch asks for a response that an engine has made, or cancels it: at the engine that made it. When the gateway does not know which that is
// (it was started since, or another gateway passed the request on) all engines are asked, until one knows the response.
func (b balancer) fetch(in *http.Request, j *job) (*http.Response, error) {
	var ids []string
	if m, ok := b.g.answers.of(j.kind.response); ok {
		ids = []string{m.replica}
	} else {
		for _, r := range b.g.fleet.Status() {
			ids = append(ids, r.ID)
		}
	}
	unknown := &Refusal{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "response_not_found", Param: "response_id",
		Message: "no engine that runs now has the response " + j.kind.response}
	var last error = unknown
	for _, id := range ids {
		rep, ok := b.g.fleet.take(id)
		if !ok {
			continue
		}
		j.tries++
		resp, err := b.send(in, rep, j)
		if err == nil && resp.StatusCode != http.StatusNotFound && (resp.StatusCode < 500 || len(ids) == 1) {
			b.judge(rep, resp, nil, j)
			return b.take(resp, rep, j)
		}
		if err != nil {
			last = err
			b.judge(rep, nil, err, j)
		}
		_ = closeOf(resp)
		b.g.fleet.done(rep.ID)
		if in.Context().Err() != nil {
			return nil, in.Context().Err()
		}
	}
	return nil, last
}
