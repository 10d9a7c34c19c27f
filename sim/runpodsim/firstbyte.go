package runpodsim

import (
	"io"
	"log"
	"net/http"
	"sync"
)

var discardLog = log.New(io.Discard, "", 0)

// firstByte watches for the head of an answer: once it is there the proxy's limit no longer counts, and once the limit has
// passed the head is 524, whatever comes after.
type firstByte struct {
	http.ResponseWriter
	mu      sync.Mutex
	begun   bool
	expired bool
	onFirst func()
}

func (f *firstByte) begin() (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.expired {
		return false
	}
	if !f.begun {
		f.begun = true
		f.onFirst()
	}
	return true
}

// expire ends the wait; false when the answer has begun.
func (f *firstByte) expire() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.begun {
		f.expired = true
	}
	return f.expired
}

// settle answers 524 when the limit struck.
func (f *firstByte) settle() {
	f.mu.Lock()
	expired := f.expired
	f.mu.Unlock()
	if expired {
		gatewayError(f.ResponseWriter, 524)
	}
}

func (f *firstByte) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	if f.begin() {
		f.ResponseWriter.WriteHeader(status)
	}
}

func (f *firstByte) Write(b []byte) (int, error) {
	if !f.begin() {
		return 0, http.ErrHandlerTimeout
	}
	return f.ResponseWriter.Write(b)
}

// Flush passes on what was written.
func (f *firstByte) Flush() {
	if fl, ok := f.ResponseWriter.(http.Flusher); ok && f.begin() {
		fl.Flush()
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (f *firstByte) Unwrap() http.ResponseWriter { return f.ResponseWriter }
