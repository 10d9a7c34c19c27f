package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// asksSocket reports whether a request is the begin of a WebSocket.
func asksSocket(h http.Header) bool {
	for _, v := range h.Values("Connection") {
		for word := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(word), "upgrade") {
				return strings.EqualFold(h.Get("Upgrade"), "websocket")
			}
		}
	}
	return false
}

// socketHeaders are those by which the two ends of a WebSocket agree (RFC 6455, 4.1 and 4.2.2).
var socketHeaders = [...]string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol",
	"Sec-Websocket-Extensions", "Sec-Websocket-Accept"}

// passSocket copies the headers of a WebSocket.
func passSocket(to, from http.Header) {
	for _, k := range socketHeaders {
		if v := from.Values(k); len(v) > 0 {
			to[k] = v
		}
	}
}

// wire is a WebSocket that stands. It counts as work when something goes through it and not because it is open: one that was
// forgotten must not keep a machine for ever.
type wire struct {
	io.ReadWriteCloser
	fleet *Fleet
	id    string
	now   func() time.Time
	mu    sync.Mutex
	moved time.Time
}

// wireNotes is how often a wire that is in use says so.
const wireNotes = time.Second

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Read(p)
	w.note(n)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Write(p)
	w.note(n)
	return n, err
}

func (w *wire) note(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); n > 0 && now.Sub(w.moved) >= wireNotes {
		w.moved = now
		w.fleet.with(w.id, func(r *replica) { r.active = now })
	}
}
