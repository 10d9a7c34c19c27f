package runpodsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Transport calls the server without a socket, for tests and rehearsals in one process: any http.Client with it reaches the
// simulator, whatever host it names. Answers stream as they do over a connection, broken connections included.
func (s *Server) Transport() http.RoundTripper { return directTransport{s} }

type directTransport struct{ h http.Handler }

var errCut = errors.New("connection reset by peer")

// RoundTrip runs the handler in a goroutine of its own and returns as soon as the answer's head is there.
func (t directTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	req := r.Clone(ctx)
	req.RequestURI = req.URL.RequestURI()
	if req.Host == "" {
		req.Host = req.URL.Host
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	req.RemoteAddr = "127.0.0.1:0"
	w := &directWriter{header: http.Header{}, head: make(chan struct{})}
	w.cond = sync.NewCond(&w.mu)
	stop := make(chan struct{})
	go func() {
		defer func() {
			if v := recover(); v != nil {
				if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(v)
				}
				w.finish(errCut)
				return
			}
			w.finish(io.EOF)
		}()
		t.h.ServeHTTP(w, req)
	}()
	select {
	case <-w.head:
	case <-r.Context().Done():
		cancel()
		return nil, r.Context().Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		cancel()
		return nil, w.end
	}
	resp := &http.Response{
		Status: itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.sent, ContentLength: -1, Request: r,
		Body: &directBody{w: w, stop: stop, cancel: cancel},
	}
	if errors.Is(w.end, io.EOF) {
		resp.ContentLength = int64(w.buf.Len())
	}
	// A reader that waits must hear of its context's end.
	go func() {
		select {
		case <-r.Context().Done():
			w.finish(r.Context().Err())
		case <-stop:
		}
	}()
	return resp, nil
}

// directWriter is both ends of one answer.
type directWriter struct {
	mu     sync.Mutex
	cond   *sync.Cond
	header http.Header
	sent   http.Header
	status int
	buf    bytes.Buffer
	end    error
	head   chan struct{}
}

func (w *directWriter) Header() http.Header { return w.header }

func (w *directWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *directWriter) writeHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

func (w *directWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	if w.end != nil {
		return 0, errCut
	}
	w.buf.Write(b)
	// Big answers must not wait for their end; small ones arrive whole, with their length.
	if w.buf.Len() > 1<<16 {
		w.announce()
	}
	w.cond.Broadcast()
	return len(b), nil
}

// Flush makes what was written visible.
func (w *directWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	w.announce()
	w.cond.Broadcast()
}

func (w *directWriter) announce() {
	select {
	case <-w.head:
	default:
		close(w.head)
	}
}

func (w *directWriter) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end == nil {
		if w.status == 0 && errors.Is(err, io.EOF) {
			w.writeHeader(http.StatusOK)
		}
		w.end = err
	}
	w.announce()
	w.cond.Broadcast()
}

type directBody struct {
	w      *directWriter
	stop   chan struct{}
	cancel func()
	once   sync.Once
}

func (b *directBody) Read(p []byte) (int, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	for b.w.buf.Len() == 0 && b.w.end == nil {
		b.w.cond.Wait()
	}
	if b.w.buf.Len() > 0 {
		return b.w.buf.Read(p)
	}
	return 0, b.w.end
}

func (b *directBody) Close() error {
	b.once.Do(func() {
		b.w.finish(errCut)
		close(b.stop)
		b.cancel()
	})
	return nil
}
