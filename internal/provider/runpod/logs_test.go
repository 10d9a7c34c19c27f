package runpod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"justright/internal/httpclient"
	"justright/launch"
)

// logServer is a pod's log behind an http.RoundTripper: stream number i is cut after cuts[i] bytes, later ones are
// whole; after a whole one the pod is gone. resume decides what Last-Event-ID means to this server.
type logServer struct {
	events []event
	resume func(events []event, lastID string) []event
	cuts   []int
	opened int
	served bool
	asked  []string
}

type event struct {
	id, ts, source, text string
}

func (e event) wire() string {
	b, _ := json.Marshal(map[string]string{"ts": e.ts, "source": e.source, "line": e.text})
	if e.id == "" {
		return "data: " + string(b) + "\n\n"
	}
	return "id: " + e.id + "\ndata: " + string(b) + "\n\n"
}

func (s *logServer) RoundTrip(r *http.Request) (*http.Response, error) {
	res := &http.Response{Request: r, Header: http.Header{}, StatusCode: 200, Body: http.NoBody}
	if !strings.HasSuffix(r.URL.Path, "/logs") || s.served {
		res.StatusCode = 404
		res.Header.Set("Content-Type", "application/problem+json")
		res.Body = io.NopCloser(strings.NewReader(`{"title":"Not Found","status":404,"detail":"pod not found"}`))
		return res, nil
	}
	send := s.events
	s.asked = append(s.asked, r.URL.RawQuery+"|"+r.Header.Get("Last-Event-ID"))
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		send = s.resume(s.events, id)
	}
	var b bytes.Buffer
	b.WriteString(": heartbeat\n\n")
	for _, e := range send {
		b.WriteString(e.wire())
	}
	body := b.Bytes()
	if s.opened < len(s.cuts) && s.cuts[s.opened] < len(body) {
		body = body[:s.cuts[s.opened]]
	} else {
		s.served = true
	}
	s.opened++
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// The meanings a server may give to Last-Event-ID (the documents leave it open).
var resumes = map[string]func([]event, string) []event{
	"after the event": func(ev []event, id string) []event {
		for i, e := range ev {
			if e.id == id {
				return ev[i+1:]
			}
		}
		return ev
	},
	"at the event": func(ev []event, id string) []event {
		for i, e := range ev {
			if e.id == id {
				return ev[i:]
			}
		}
		return ev
	},
	"after its time": func(ev []event, id string) []event {
		for i, e := range ev {
			if timeOf(e.id).After(timeOf(id)) {
				return ev[i:]
			}
		}
		return nil
	},
	"at its time": func(ev []event, id string) []event {
		for i, e := range ev {
			if !timeOf(e.id).Before(timeOf(id)) {
				return ev[i:]
			}
		}
		return nil
	},
	"from the beginning, whatever is asked": func(ev []event, _ string) []event { return ev },
}

// story has several lines in one second, both sources, empty and odd texts; ids with or without a sequence.
func story(sequence bool) []event {
	var out []event
	for i, text := range []string{"create container img", "a", "a", "", "tab\tand \"quotes\"", "zażółć 漢字", "data: not an event", "id: 7", "last"} {
		e := event{ts: fmt.Sprintf("2026-06-01T12:00:%02dZ", i/3), source: "container", text: text}
		if i%4 == 0 {
			e.source = "system"
		}
		e.id = e.ts
		if sequence {
			e.id = fmt.Sprintf("%s/%012d", e.ts, i)
		}
		out = append(out, e)
	}
	return out
}

func follow(t *testing.T, s *logServer, after string) ([]launch.LogLine, error) {
	t.Helper()
	p, err := New(Config{Key: httpclient.NewSecret("k"), BaseURL: "http://sim.test", Transport: s,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	var got []launch.LogLine
	err = p.Logs(t.Context(), "pod1", after, func(l launch.LogLine) error {
		got = append(got, l)
		return nil
	})
	return got, err
}

func checkStory(t *testing.T, what string, got []launch.LogLine, want []event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d lines, want %d: %v", what, len(got), len(want), got)
	}
	for i := range got {
		if got[i].Text != want[i].text || got[i].Source != want[i].source || !got[i].At.Equal(when(want[i].ts)) {
			t.Fatalf("%s: line %d is %+v, want %+v", what, i, got[i], want[i])
		}
	}
}

// TestLogsCutAtEveryByte cuts the first stream at every offset, and the second one somewhere else, for each meaning
// of Last-Event-ID and both shapes of ids: what is handed on is what was written, once, in order.
func TestLogsCutAtEveryByte(t *testing.T) {
	runs := 0
	for name, resume := range resumes {
		for _, sequence := range []bool{true, false} {
			ev := story(sequence)
			size := len(": heartbeat\n\n")
			for _, e := range ev {
				size += len(e.wire())
			}
			step := 1
			if !sequence {
				step = 5 // the form of the documents at every byte, the other one at every fifth
			}
			for cut := 0; cut <= size; cut += step {
				s := &logServer{events: ev, resume: resume, cuts: []int{cut, (cut * 7) % size}}
				got, err := follow(t, s, "")
				what := fmt.Sprintf("resume %s, sequence %v, cut %d", name, sequence, cut)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				checkStory(t, what, got, ev)
				runs++
			}
		}
	}
	t.Logf("%d schedules of cuts", runs)
}

// TestLogsResumeFromAnyMark stops after each line and goes on with its mark in a new call.
func TestLogsResumeFromAnyMark(t *testing.T) {
	for name, resume := range resumes {
		for _, sequence := range []bool{true, false} {
			ev := story(sequence)
			all, err := follow(t, &logServer{events: ev, resume: resume}, "")
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range all {
				rest, err := follow(t, &logServer{events: ev, resume: resume}, l.ID)
				if err != nil {
					t.Fatal(err)
				}
				checkStory(t, fmt.Sprintf("%s, sequence %v, after line %d", name, sequence, i), rest, ev[i+1:])
			}
		}
	}
}

// TestLogsWithoutIDs cuts the stream of a server that sends no ids, with times and without, and replays all each time.
func TestLogsWithoutIDs(t *testing.T) {
	for _, times := range []bool{true, false} {
		ev := story(true)
		size := len(": heartbeat\n\n")
		for i := range ev {
			ev[i].id = ""
			if !times {
				ev[i].ts = ""
			}
			size += len(ev[i].wire())
		}
		for cut := 0; cut <= size; cut++ {
			s := &logServer{events: ev, resume: resumes["from the beginning, whatever is asked"], cuts: []int{cut, size / 2}}
			got, err := follow(t, s, "")
			if err != nil {
				t.Fatal(err)
			}
			checkStory(t, fmt.Sprintf("times %v, cut %d", times, cut), got, ev)
		}
	}
}

func TestLogsForcedGapIsMarked(t *testing.T) {
	ev := story(true)
	all, err := follow(t, &logServer{events: ev, resume: resumes["after the event"]}, "")
	if err != nil {
		t.Fatal(err)
	}
	// The provider has dropped everything up to and including the last line read, and two more.
	got, err := follow(t, &logServer{events: ev[6:], resume: resumes["after its time"]}, all[2].ID)
	if err != nil || len(got) != 4 || !strings.Contains(got[0].Text, "justright: gap") || got[1].Text != ev[6].text || got[3].Text != "last" {
		t.Errorf("got %v, %v; want a gap line and the three left", got, err)
	}
	marks := map[string]bool{all[2].ID: true}
	for _, l := range got {
		if marks[l.ID] {
			t.Errorf("mark %s stands twice: a store that keeps each once would lose a line", l.ID)
		}
		marks[l.ID] = true
	}
}

func TestLogsAskFromTheFirstLine(t *testing.T) {
	s := &logServer{events: story(true), resume: resumes["after the event"]}
	if _, err := follow(t, s, ""); err != nil {
		t.Fatal(err)
	}
	if s.asked[0] != "since=2020-01-01T00%3A00%3A00Z|" {
		t.Errorf("asked %q; without since only the last 100 lines come", s.asked[0])
	}
}

func TestLogsBounds(t *testing.T) {
	big := strings.Repeat("x", maxText+10)
	ev := []event{
		{"2026-06-01T12:00:00Z/1", "2026-06-01T12:00:00Z", "container", big},
		{"2026-06-01T12:00:00Z/2", "2026-06-01T12:00:00Z", "container", strings.Repeat("y", maxEvent+100)},
		{"2026-06-01T12:00:01Z/3", "2026-06-01T12:00:01Z", "container", "after"},
	}
	got, err := follow(t, &logServer{events: ev, resume: resumes["after the event"]}, "")
	if err != nil || len(got) != 3 {
		t.Fatalf("%d lines, %v", len(got), err)
	}
	if !strings.HasSuffix(got[0].Text, "… [10 bytes cut]") || !strings.Contains(got[1].Text, "justright: gap: one log line longer") || got[2].Text != "after" {
		t.Errorf("texts end %q, %q, %q", got[0].Text[len(got[0].Text)-40:], got[1].Text, got[2].Text)
	}
}

func TestLogsEnd(t *testing.T) {
	boom := errors.New("disk full")
	adapter := func() *Provider {
		p, err := New(Config{Key: httpclient.NewSecret("k"), BaseURL: "http://sim.test",
			Transport: &logServer{events: story(true), resume: resumes["at the event"]}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	n := 0
	err := adapter().Logs(t.Context(), "pod1", "", func(launch.LogLine) error {
		if n++; n == 3 {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) || n != 3 {
		t.Errorf("err = %v after %d lines, want the caller's own error after 3", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err = adapter().Logs(ctx, "pod1", "", func(launch.LogLine) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("err = %v after %d lines, want context.Canceled after 1", err, n)
	}
}

func FuzzMark(f *testing.F) {
	f.Add("2026-06-01T12:00:00Z/1", "2026-06-01T12:00:00Z/0", 3)
	f.Add("a~b", "", 1)
	f.Fuzz(func(t *testing.T, last, before string, count int) {
		if last == "" || count < 1 {
			return
		}
		m := mark{before: before, last: last, count: count, high: time.Unix(1_780_000_000, 5).UTC()}
		if got := parseMark(m.String()); got != m {
			t.Errorf("%+v came back as %+v", m, got)
		}
	})
}

// rawStream answers one log request with given bytes and then says that the pod is gone.
type rawStream struct {
	body   []byte
	served bool
}

func (s *rawStream) RoundTrip(r *http.Request) (*http.Response, error) {
	res := &http.Response{Request: r, Header: http.Header{}, StatusCode: 200, Body: io.NopCloser(bytes.NewReader(s.body))}
	if s.served || !strings.HasSuffix(r.URL.Path, "/logs") {
		res.StatusCode = 404
		res.Body = io.NopCloser(strings.NewReader(`{"status":404,"detail":"pod not found"}`))
	}
	s.served = true
	return res, nil
}

// FuzzLogStream feeds bytes of a hostile server: no panic, no endless loop, bounded lines, and every mark reads back.
func FuzzLogStream(f *testing.F) {
	for _, e := range story(true) {
		f.Add([]byte(e.wire()))
	}
	f.Add([]byte("id: a\r\ndata: {\"ts\":1,\"line\":null}\r\n\r\ndata\n\n: x\nid\ndata: [1]\n\n\xff\xfe\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := New(Config{Key: httpclient.NewSecret("k"), BaseURL: "http://sim.test", Transport: &rawStream{body: body},
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Logs(t.Context(), "p", "", func(l launch.LogLine) error {
			if len(l.Text) > maxText+64 || (l.ID != "" && parseMark(l.ID).String() != strings.TrimSuffix(l.ID, gapSuffix)) {
				t.Errorf("line %.80q with mark %q", l.Text, l.ID)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v", err)
		}
	})
}
