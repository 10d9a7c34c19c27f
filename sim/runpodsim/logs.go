package runpodsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// containerLogLife is how long container lines outlive their container.
const containerLogLife = 2 * time.Minute

// maxLogLines is how much of a pod's log is kept; older lines fall out.
const maxLogLines = 20000

type logEntry struct {
	seq    int
	at     time.Time
	source string
	line   string
}

// logBook is what a pod and its platform said.
type logBook struct {
	entries []logEntry
	seq     int
	last    time.Time
	more    chan struct{} // closed at the next line
	ended   bool
}

// add appends a line. The caller holds the lock.
func (b *logBook) add(at time.Time, source, line string) {
	b.seq++
	// Times are strictly growing, so that a bare timestamp names one line.
	at = at.Truncate(time.Microsecond)
	if !at.After(b.last) {
		at = b.last.Add(time.Microsecond)
	}
	b.last = at
	b.entries = append(b.entries, logEntry{b.seq, at, source, line})
	if len(b.entries) > maxLogLines {
		b.entries = append(b.entries[:0:0], b.entries[maxLogLines/10:]...)
	}
	b.wake()
}

// close ends every stream and forgets the lines.
func (b *logBook) close() {
	b.ended, b.entries = true, nil
	b.wake()
}

func (b *logBook) wake() {
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// changed is closed when something was added after the call.
func (b *logBook) changed() chan struct{} {
	if b.more == nil {
		b.more = make(chan struct{})
	}
	return b.more
}

// dropContainer forgets the container's lines.
func (b *logBook) dropContainer() {
	kept := b.entries[:0:0]
	for _, e := range b.entries {
		if e.source != "container" {
			kept = append(kept, e)
		}
	}
	b.entries = kept
}

func (s *Server) systemLog(p *pod, line string) { p.logs.add(s.now(), "system", line) }

const logTime = "2006-01-02T15:04:05.000000Z"

func (s *Server) logID(e logEntry) string {
	if s.opts.PlainLogIDs {
		return e.at.UTC().Format(logTime)
	}
	return fmt.Sprintf("%s/%012d", e.at.UTC().Format(logTime), e.seq)
}

// logQuery is what a client wants to hear.
type logQuery struct {
	source string
	tail   int
	since  time.Time
	after  int       // sequence number of Last-Event-ID
	past   time.Time // its time, when it has no number
	mode   string    // "tail", "since", "after", "past"
}

// parseLogQuery reads the parameters. Last-Event-ID beats since, since beats tail.
func parseLogQuery(r *http.Request) (logQuery, *apiError) {
	q := logQuery{tail: 100, mode: "tail"}
	v := r.URL.Query()
	if v.Has("source") {
		q.source = v.Get("source")
		if q.source != "container" && q.source != "system" {
			return q, invalid("query.source: value must be one of 'container', 'system'")
		}
	}
	if v.Has("tail") {
		n, err := strconv.Atoi(v.Get("tail"))
		if err != nil || n < 0 || n > 5000 {
			return q, invalid("query.tail: must be an integer from 0 to 5000")
		}
		q.tail = n
	}
	if v.Has("since") {
		t, err := time.Parse(time.RFC3339Nano, v.Get("since"))
		if err != nil {
			return q, invalid("query.since: '" + v.Get("since") + "' is not valid date-time")
		}
		q.since, q.mode = t, "since"
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		stamp, seq, numbered := strings.Cut(id, "/")
		t, err := time.Parse(time.RFC3339Nano, stamp)
		n, err2 := strconv.Atoi(seq)
		if err != nil || numbered && err2 != nil {
			return q, invalid("header.Last-Event-ID: '" + id + "' is not valid date-time")
		}
		q.past, q.mode = t, "past"
		if numbered {
			q.after, q.mode = n, "after"
		}
	}
	return q, nil
}

// heartbeat is how often a silent stream says that it is alive.
const heartbeat = 15 * time.Second

// streamLogs answers a log request and goes on until the client or the pod is gone.
func (s *Server) streamLogs(w http.ResponseWriter, r *http.Request, p *pod, q logQuery) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("Connection", "keep-alive")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	flush := func() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	flush()

	s.lock()
	next := s.firstEntry(p, q)
	s.unlock()
	beat := make(chan struct{}, 1)
	var stopBeat func()
	plan := func() {
		stopBeat = s.clock.AfterFunc(heartbeat, func() {
			select {
			case beat <- struct{}{}:
			default:
			}
		})
	}
	plan()
	defer func() { stopBeat() }()
	for {
		s.lock()
		var out []logEntry
		from := sort.Search(len(p.logs.entries), func(i int) bool { return p.logs.entries[i].seq >= next })
		for _, e := range p.logs.entries[from:] {
			if q.source == "" || q.source == e.source {
				out = append(out, e)
			}
		}
		next = p.logs.seq + 1
		ended := p.logs.ended || s.closed
		more := p.logs.changed()
		s.unlock()
		for _, e := range out {
			if s.writeEvent(w, e) != nil {
				return
			}
		}
		if len(out) > 0 {
			flush()
		}
		if ended {
			return
		}
		select {
		case <-more:
		case <-beat:
			if _, err := io.WriteString(w, ": heartbeat\n\n"); err != nil {
				return
			}
			flush()
			plan()
		case <-r.Context().Done():
			return
		}
	}
}

// firstEntry is the sequence number the stream begins with. The caller holds the lock.
func (s *Server) firstEntry(p *pod, q logQuery) int {
	first := p.logs.seq + 1
	matching := 0
	for i := len(p.logs.entries) - 1; i >= 0; i-- {
		e := p.logs.entries[i]
		switch q.mode {
		case "after":
			if e.seq <= q.after {
				return first
			}
		case "past":
			if !e.at.Truncate(time.Microsecond).After(q.past) {
				return first
			}
		case "since":
			if e.at.Before(q.since) {
				return first
			}
		default:
			if q.source == "" || q.source == e.source {
				matching++
			}
			if matching > q.tail {
				return first
			}
		}
		first = e.seq
	}
	return first
}

func (s *Server) writeEvent(w io.Writer, e logEntry) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(struct {
		TS     string `json:"ts"`
		Source string `json:"source"`
		Line   string `json:"line"`
	}{e.at.UTC().Format(logTime), e.source, e.line}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "id: %s\ndata: %s\n", s.logID(e), b.String()) // Encode ended the line itself
	return err
}
