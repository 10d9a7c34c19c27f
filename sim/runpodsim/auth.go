package runpodsim

import (
	"net/http"
	"strings"
)

// caller is who asks.
type caller struct {
	account  string
	readOnly bool
	pod      string // the pod whose own key this is; empty for an account's key
}

// bearer reads the key of a request, from the header or (GraphQL's old way) the query.
func bearer(r *http.Request, queryToo bool) string {
	if k, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && strings.TrimSpace(k) != "" {
		return strings.TrimSpace(k)
	}
	if queryToo {
		return r.URL.Query().Get("api_key")
	}
	return ""
}

// identify finds out whose key it is. The caller holds the lock.
func (s *Server) identify(key string) (caller, *apiError) {
	if key == "" {
		return caller{}, refuse(http.StatusUnauthorized, "missing bearer token")
	}
	if id, ok := s.podKeys[key]; ok {
		p := s.pods[id]
		if p == nil || p.status == terminated {
			return caller{}, refuse(http.StatusUnauthorized, "invalid bearer token")
		}
		return caller{account: p.account, pod: id}, nil
	}
	if strings.HasPrefix(key, podKeyPrefix) {
		return caller{}, refuse(http.StatusUnauthorized, "invalid bearer token")
	}
	if len(s.opts.Keys) == 0 {
		return caller{}, nil
	}
	for _, k := range s.opts.Keys {
		if k.Token == key {
			return caller{account: k.Account, readOnly: k.ReadOnly}, nil
		}
	}
	return caller{}, refuse(http.StatusUnauthorized, "invalid bearer token")
}

const podKeyPrefix = "rpa_pod_"

// mayTouch tells whether c may do op to the pod id ("" for anything that is not one pod).
func (s *Server) mayTouch(c caller, id string, write bool) *apiError {
	denied := refuse(http.StatusForbidden, "access denied")
	if c.readOnly && write {
		return denied
	}
	if c.pod == "" {
		return nil
	}
	switch {
	case s.opts.PodKey == NoPod, id != c.pod, write && s.opts.PodKey == SeePod:
		return denied
	}
	return nil
}

// agentRefused plays the Cloudflare rule that turns away Python's bare User-Agent, or none at all, on writes
// (https://github.com/lumpenspace/raft/pull/14).
func (s *Server) agentRefused(w http.ResponseWriter, r *http.Request) bool {
	if s.opts.AnyAgent || r.Method == http.MethodGet {
		return false
	}
	ua := r.Header.Get("User-Agent")
	if ua != "" && !strings.HasPrefix(ua, "Python-urllib") {
		return false
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte("error code: 1010"))
	return true
}
