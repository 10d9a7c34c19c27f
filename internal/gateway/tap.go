package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
)

// tap is the body of an answer on its way: it notes when the first byte came and what the last ones say, and counts the request
// out when it is closed.
type tap struct {
	io.ReadCloser
	g      *Gateway
	rep    Replica
	j      *job
	stream bool
	head   head // of what may be asked for again by its id
	tail   tail
	ended  bool
	end    []byte // what is still to be said after a break
	err    error
	once   sync.Once
}

func (t *tap) Read(b []byte) (int, error) {
	if t.err != nil {
		return t.last(b)
	}
	n, err := t.ReadCloser.Read(b)
	if n > 0 {
		if t.j.first == 0 {
			t.j.first = t.g.o.Now().Sub(t.j.began) - t.j.woke
			t.g.met.first(t.j, t.j.first)
		}
		t.tail.add(b[:n])
		if id := t.head.add(b[:n]); id != "" {
			t.g.answers.keep(id, maker{t.rep.ID, t.rep.Model})
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		t.ended = true
	case errors.Is(err, context.Canceled): // the client's doing
	default:
		t.j.cut = true
		if t.g.fleet.ill(t.rep.ID) && t.g.o.Doubt != nil {
			t.g.o.Doubt(t.rep)
		}
		// Between two events there is room for a word; inside one there is not, and the connection is broken off as it is.
		if t.stream && t.tail.between() {
			t.err = err
			t.end = (&Refusal{Type: "server_error", Code: "stream_cut", Message: "the model's engine went away in the middle of the answer"}).event(t.j.path)
			if n == 0 {
				return t.last(b)
			}
			return n, nil
		}
	}
	return n, err
}

// last says what there is to say about a break, and then lets it be one.
func (t *tap) last(b []byte) (int, error) {
	if len(t.end) == 0 {
		return 0, t.err
	}
	n := copy(b, t.end)
	t.end = t.end[n:]
	return n, nil
}

func (t *tap) Close() error {
	err := t.ReadCloser.Close()
	t.once.Do(func() {
		if t.ended {
			t.j.usage = usageOf(t.tail.bytes())
		}
		t.g.fleet.done(t.rep.ID)
	})
	return err
}
