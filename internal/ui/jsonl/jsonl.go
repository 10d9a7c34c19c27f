// Package jsonl writes a stream of report events as one JSON object a line, for programs.
package jsonl

import (
	"encoding/json"
	"io"
	"sync"

	"justright/report"
)

// Sink is a report.Sink. It is safe for concurrent use.
type Sink struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// New makes a sink that writes to w.
func New(w io.Writer) *Sink {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Sink{enc: e}
}

// Emit writes one line.
func (s *Sink) Emit(e report.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enc.Encode(e)
}
