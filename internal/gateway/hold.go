package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// patience is how long a request may be held: what the client asks for by RFC 7240's "Prefer: wait=SECONDS", else the default.
// Whoever would rather ask again says wait=0 and gets 503 with Retry-After at once.
func (g *Gateway) patience(h http.Header) (hold time.Duration, told bool) {
	for _, v := range h.Values("Prefer") {
		for p := range strings.SplitSeq(v, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); strings.EqualFold(name, "wait") && err == nil {
				return min(time.Duration(n)*time.Second, g.l.HoldMost), true
			}
		}
	}
	return g.l.Hold, false
}

// await returns when something serves what is meant. The writer it returns is the one to go on with: a stream that waited long
// has begun already, with comments that say what is going on, so that no proxy on the way takes the silence for the end.
func (g *Gateway) await(w http.ResponseWriter, r *http.Request, j *job) (http.ResponseWriter, error) {
	has, dying := g.fleet.has(j.meant)
	if has {
		return w, nil
	}
	if !dying && (!j.meant.wakes || j.meant.launch != "") {
		return w, g.notRunning(j)
	}
	began := g.o.Now()
	defer func() { j.woke = g.o.Now().Sub(began) }()
	if g.waiting.Add(1) > int64(g.l.Waiting) {
		g.waiting.Add(-1)
		return w, unavailable("overloaded", 5*time.Second, "%d requests wait for their models already", g.l.Waiting)
	}
	defer g.waiting.Add(-1)
	g.met.waiting(j, 1)
	defer g.met.waiting(j, -1)
	h := g.newHold(w, r, j)
	defer h.stop()
	for again := 0; ; {
		changed := g.fleet.Changed()
		has, dying := g.fleet.has(j.meant)
		var wk *wake
		switch {
		case has:
			return h.out(), nil
		case dying: // until it is well again, or not there any more
			wk = &wake{}
		case !j.meant.wakes || j.meant.launch != "":
			return h.out(), g.notRunning(j)
		default:
			var no *Refusal
			if wk, no = g.wakes.join(j.meant.model); no != nil {
				return h.out(), no
			}
		}
		select {
		case <-wk.done: // never, where none is under way
			if wk.err != nil {
				return h.out(), wk.err
			}
			// It is ready, and gone again already: taken down, or idle, in this very moment.
			if has, _ := g.fleet.has(j.meant); !has {
				if again++; again > 2 {
					return h.out(), unavailable("model_waking", 5*time.Second, "%s came up and went away", g.shown(j.meant.model))
				}
			}
		case <-changed:
		case <-h.beat.C:
			h.tell(g.progress(j.meant.model, wk))
		case <-h.patience.C:
			return h.out(), g.still(j.meant.model, wk)
		case <-r.Context().Done():
			return h.out(), r.Context().Err()
		case <-g.closing:
			return h.out(), unavailable("draining", 5*time.Second, "the gateway is about to stop; ask again")
		}
	}
}

func (g *Gateway) notRunning(j *job) *Refusal {
	return unavailable("model_not_running", 5*time.Second, "nothing serves %s now, and it is not among the models that are woken", g.shown(j.meant.model))
}

// hold is a request that waits.
type hold struct {
	w        http.ResponseWriter
	path     string
	stream   *held // begun, because it waited long; nil: not yet
	beats    bool  // it is a stream, which is told that it waits
	patience *time.Timer
	beat     *time.Ticker
}

// newHold begins the wait of a request.
func (g *Gateway) newHold(w http.ResponseWriter, r *http.Request, j *job) *hold {
	long, told := g.patience(r.Header)
	if told {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(long/time.Second)))
	}
	h := &hold{w: w, path: j.path, beats: j.kind.streams && j.asked.Stream && long > 0, beat: time.NewTicker(g.l.Beat)}
	if h.beats && !told {
		long = g.l.HoldMost
	}
	h.patience = time.NewTimer(long)
	return h
}

func (h *hold) stop() {
	h.patience.Stop()
	h.beat.Stop()
}

// out is the writer to go on with.
func (h *hold) out() http.ResponseWriter {
	if h.stream != nil {
		return h.stream
	}
	return h.w
}

// tell lets a stream know what it waits for.
func (h *hold) tell(s string) {
	if !h.beats {
		return
	}
	if h.stream == nil {
		h.stream = hold200(h.w, h.path)
	}
	h.stream.comment(s)
}

// progress is what a waiting stream is told.
func (g *Gateway) progress(model string, w *wake) string {
	if w.done == nil {
		return "the engine of " + g.shown(model) + " does not answer; it comes back, or its machine is replaced"
	}
	o := g.o.Waker.Outlook(model)
	s := fmt.Sprintf("waking %s, %ds so far", g.shown(model), int(g.o.Now().Sub(w.began).Seconds()))
	if o.Expect > 0 {
		s += fmt.Sprintf(" of about %ds", int(o.Expect.Seconds()))
	}
	if o.Doing != "" {
		s += ": " + o.Doing
	}
	return s
}

// Retry-After while a model wakes: no sooner than is of use, no later than OpenAI's clients heed (Node's 60 s).
const (
	retrySoonest = 3 * time.Second
	retryLatest  = 60 * time.Second
)

// still is what a request is told whose patience ends while the model wakes.
func (g *Gateway) still(model string, w *wake) *Refusal {
	if w.done == nil {
		return unavailable("replica_unreachable", retrySoonest, "%s", g.progress(model, w))
	}
	o := g.o.Waker.Outlook(model)
	left := o.Expect - g.o.Now().Sub(w.began)
	return unavailable("model_waking", min(max(left, retrySoonest), retryLatest), "%s", g.progress(model, w))
}

// held is a stream that began before there was an answer. What the engine answers then goes into it: a stream as it is, an error
// as the last event.
type held struct {
	w      http.ResponseWriter
	path   string
	rc     *http.ResponseController
	header http.Header // what comes too late to be sent
	status int
	whole  bytes.Buffer // an answer that is no stream
}

func hold200(w http.ResponseWriter, path string) *held {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx on the way
	w.WriteHeader(http.StatusOK)
	return &held{w: w, path: path, rc: http.NewResponseController(w), header: http.Header{}}
}

// comment sends a line that clients skip.
func (h *held) comment(s string) {
	_, _ = io.WriteString(h.w, ": "+strings.NewReplacer("\r", " ", "\n", " ").Replace(s)+"\n\n")
	_ = h.rc.Flush()
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 && status >= 200 {
		h.status = status
	}
}

func (h *held) streams() bool {
	return h.status == http.StatusOK && strings.HasPrefix(h.header.Get("Content-Type"), "text/event-stream")
}

func (h *held) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if h.streams() {
		return h.w.Write(b)
	}
	if h.whole.Len()+len(b) > maxUpstreamError {
		return 0, fmt.Errorf("an answer of more than %d bytes that is no stream", maxUpstreamError)
	}
	return h.whole.Write(b)
}

// FlushError makes http.ResponseController flush.
func (h *held) FlushError() error {
	if !h.streams() {
		return nil
	}
	return h.rc.Flush()
}

// finish sends what was no stream as one event.
func (h *held) finish() {
	if h.whole.Len() == 0 {
		return
	}
	var line bytes.Buffer
	if json.Compact(&line, h.whole.Bytes()) != nil {
		line.Reset()
		line.WriteString(`{"error":{"message":"the model's engine gave no answer that can be read","type":"server_error","param":null,"code":"upstream_failed"}}`)
	}
	_, _ = h.w.Write(lastEvent(h.path, line.Bytes()))
	_ = h.rc.Flush()
}
