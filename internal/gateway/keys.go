package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"justright/internal/httpclient"
)

// Door knows the gateway's key, as its SHA-256: comparing sums of one length in constant time tells nobody anything.
type Door struct{ sum [sha256.Size]byte }

// NewDoor makes the door for a key. An empty key opens to nobody.
func NewDoor(key httpclient.Secret) Door {
	if !key.Set() {
		return Door{}
	}
	return Door{sha256.Sum256([]byte(key.Reveal()))}
}

// Opens reports whether a key is the right one.
func (d Door) Opens(key string) bool {
	sum := sha256.Sum256([]byte(key))
	return subtle.ConstantTimeCompare(sum[:], d.sum[:]) == 1 && d.sum != [sha256.Size]byte{}
}

// admits looks for the key where OpenAI's and Anthropic's clients put it.
func (d Door) admits(h http.Header) bool {
	if scheme, key, ok := strings.Cut(h.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return d.Opens(strings.TrimSpace(key))
	}
	if key := h.Get("X-Api-Key"); key != "" {
		return d.Opens(key)
	}
	return false
}

// noKey is what a request without the key is told.
func noKey(h http.Header) *Refusal {
	r := &Refusal{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: "the key is not the gateway's"}
	if h.Get("Authorization") == "" && h.Get("X-Api-Key") == "" {
		r.Message = "no key was sent: the gateway wants \"Authorization: Bearer KEY\", and its key is in the file that justright serve names"
	}
	return r
}
