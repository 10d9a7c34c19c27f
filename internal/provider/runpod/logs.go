package runpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/tmaxmax/go-sse"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
)

const (
	// maxEvent bounds one log event on the wire; what is longer is cut by clipLines and shown as a gap.
	maxEvent = 4 << 20
	// maxText bounds one line as it is handed on.
	maxText = 64 << 10
	// idleLimit is how long a stream may say nothing at all, heartbeats included, before it is opened anew: a dead
	// connection looks just like that, and resuming costs one request.
	idleLimit = 90 * time.Second
	// epoch as since means "from the first line": without it the API sends the last 100 lines only.
	epoch = "2020-01-01T00:00:00Z"
)

// stopped carries the error with which the caller's function ended the stream.
type stopped struct{ err error }

func (s stopped) Error() string { return s.err.Error() }

// Logs follows both sources of a pod's log from the mark after, exactly once and in order, over any number of cut
// streams. It returns nil when the pod is gone, f's own error when f fails, and an *provider.Error around ctx.Err()
// when the context ends.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	fo := &follower{p: p, id: id, emit: f, at: parseMark(after), sleep: p.cfg.Sleep}
	if fo.sleep == nil {
		fo.sleep = httpclient.Sleep
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = 200*time.Millisecond, 15*time.Second, 2
	for {
		n, err := fo.once(ctx)
		var stop stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return fail("logs", ctx.Err())
		case err != nil && denied(err):
			// No log can also mean no container yet: the pod itself decides.
			in, gerr := p.Get(ctx, id)
			if gerr == nil && in.Status == launch.Gone {
				return nil
			}
		case err != nil:
			switch k := provider.KindOf(err); k {
			case launch.FailTemporary:
			case launch.FailRejected:
				if !fo.tailOnly && fo.at.last == "" { // an API that does not take so early a since
					fo.tailOnly = true
					continue
				}
				return unproven(err)
			default:
				return unproven(err)
			}
		}
		if n > 0 {
			wait.Reset()
		}
		if fo.sleep(ctx, wait.NextBackOff()) != nil {
			return fail("logs", ctx.Err())
		}
	}
}

// follower is one Logs call.
type follower struct {
	p        *Provider
	id       string
	emit     func(launch.LogLine) error
	at       mark
	tailOnly bool
	sleep    func(context.Context, time.Duration) error
}

// once reads one stream to its end and returns how many lines were handed on.
func (fo *follower) once(ctx context.Context) (n int, err error) {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(idleLimit, cancel)
	defer idle.Stop()

	r := httpclient.Request{URL: fo.p.c.base + "/v2" + podPath(fo.id) + "/logs", Bearer: fo.p.c.key, Header: http.Header{
		"Accept": {"text/event-stream"}, "Accept-Encoding": {"identity"}, "Cache-Control": {"no-cache"}}}
	switch {
	case fo.at.before != "":
		r.Header.Set("Last-Event-ID", fo.at.before)
	case fo.tailOnly:
		r.URL += "?tail=5000"
	default:
		r.URL += "?" + url.Values{"since": {epoch}}.Encode()
	}
	res, err := fo.p.c.http.Stream(sctx, r)
	if err != nil {
		return 0, fail("logs", err)
	}
	defer res.Body.Close()
	body := &clipLines{r: &touch{r: res.Body, t: idle, d: idleLimit}, limit: maxEvent}
	align := aligner{want: fo.at, pending: fo.at.last != ""}
	for ev, rerr := range sse.Read(body, &sse.ReadConfig{MaxEventSize: 2 * maxEvent}) {
		if rerr != nil {
			return n, &provider.Error{Op: "logs", Kind: launch.FailTemporary, Err: rerr}
		}
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		line := decodeLine(ev)
		id := ev.LastEventID
		if id == "" && !line.At.IsZero() {
			id = line.At.Format(time.RFC3339Nano) // a server without ids: the document calls its times cursors too
		} else if id == "" {
			id = noID
		}
		deliver, gap := align.next(id, line.At)
		if gap {
			lost := launch.LogLine{ID: fo.at.String() + gapSuffix, At: fo.at.high, Source: "system",
				Text: "justright: gap: lines between here and the next one may be lost, the provider no longer has the last one read"}
			if err := fo.emit(lost); err != nil {
				return n, stopped{err}
			}
		}
		if !deliver {
			continue
		}
		next := fo.at.advance(id, line.At)
		line.ID = next.String()
		if err := fo.emit(line); err != nil {
			return n, stopped{err}
		}
		fo.at = next // only now: a line whose delivery failed is asked for again
		n++
	}
	return n, nil
}

// decodeLine reads one event. A payload that is not the promised JSON is kept as text: a log line is evidence.
func decodeLine(ev sse.Event) launch.LogLine {
	var w logWire
	l := launch.LogLine{Source: "container"}
	switch err := json.Unmarshal([]byte(ev.Data), &w); {
	case err == nil && w.Line != nil:
		l.Text = *w.Line
		if w.Source != "" {
			l.Source = w.Source
		}
		l.At = when(w.TS)
	case len(ev.Data) >= maxEvent/2:
		l.Source, l.Text = "system", fmt.Sprintf("justright: gap: one log line longer than %d bytes was left out", maxEvent)
	default:
		l.Text = ev.Data
	}
	if l.At.IsZero() {
		l.At = timeOf(ev.LastEventID)
	}
	l.Text = strings.TrimRight(l.Text, "\r\n")
	if len(l.Text) > maxText {
		l.Text = strings.ToValidUTF8(l.Text[:maxText], "") + fmt.Sprintf("… [%d bytes cut]", len(l.Text)-maxText)
	}
	return l
}

// touch pushes the idle timer on with every byte.
type touch struct {
	r io.Reader
	t *time.Timer
	d time.Duration
}

func (t *touch) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if n > 0 {
		t.t.Reset(t.d)
	}
	return n, err
}

// clipLines drops what a single physical line has beyond limit, so that one monster cannot end the stream for
// ever: the event after it is still found.
type clipLines struct {
	r     io.Reader
	limit int
	n     int // bytes of the current line so far
}

func (c *clipLines) Read(b []byte) (int, error) {
	for {
		n, err := c.r.Read(b)
		kept := 0
		for _, ch := range b[:n] {
			if ch == '\n' || ch == '\r' {
				c.n = 0
			} else if c.n++; c.n > c.limit {
				continue
			}
			b[kept] = ch
			kept++
		}
		if kept > 0 || err != nil || n == 0 {
			return kept, err
		}
	}
}
