package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// crossOrigin lets pages of the origins that are allowed ask from a browser, and reports whether the request was the browser's
// question whether it may (https://fetch.spec.whatwg.org/#cors-preflight-fetch), which carries no key and is answered here. The key
// alone opens the door: no cookie counts on these paths, so an origin that may ask gains nothing without it.
func (g *Gateway) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(g.o.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(g.o.Origins, "*") && !slices.ContainsFunc(g.o.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
