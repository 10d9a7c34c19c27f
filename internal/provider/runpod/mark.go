package runpod

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// mark says how far a log was read, precisely enough to go on without gap or repeat whatever the server makes of
// Last-Event-ID. RunPod's documents disagree about that id (a bare timestamp in prose, timestamp/sequence in the
// example, a date-time as parameter type), so a server may resume after the event, at it, or at its second. We
// therefore ask from before, an event of an earlier time, and skip until the count-th event called last.
type mark struct {
	before string    // id to resume from; empty: from the first line
	last   string    // id of the last line handed on; empty: none yet
	count  int       // how many lines with id last came since before
	high   time.Time // latest time seen
}

// String is the mark as it stands in LogLine.ID.
func (m mark) String() string {
	if m.last == "" {
		return ""
	}
	h := ""
	if !m.high.IsZero() {
		h = m.high.UTC().Format(time.RFC3339Nano)
	}
	return escape(m.last) + "~" + strconv.Itoa(m.count) + "~" + escape(m.before) + "~" + h
}

// noID stands for the id of an event that has neither id nor time. It is counted, and never sent as a cursor.
const noID = "?"

// gapSuffix makes the mark of a gap line one of its own, so that a store that keeps each mark once keeps both;
// going on from it is going on from the line before.
const gapSuffix = "~gap"

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "~", "%7E") }

// parseMark reads String's form. Anything else is taken for the API's own id: resumed from there as it is.
func parseMark(s string) mark {
	parts := strings.Split(strings.TrimSuffix(s, gapSuffix), "~")
	if len(parts) == 4 {
		last, err1 := url.QueryUnescape(parts[0])
		count, err2 := strconv.Atoi(parts[1])
		before, err3 := url.QueryUnescape(parts[2])
		high, err4 := time.Parse(time.RFC3339Nano, parts[3])
		if err1 == nil && err2 == nil && err3 == nil && (err4 == nil || parts[3] == "") && last != "" && count > 0 {
			return mark{before: before, last: last, count: count, high: high}
		}
	}
	return mark{before: s}
}

// advance is the mark after one more line.
func (m mark) advance(id string, at time.Time) mark {
	next := mark{before: m.before, last: id, count: 1, high: m.high}
	if at.After(m.high) {
		next.high = at
		if m.last != "" && m.last != noID {
			next.before = m.last // everything up to m.last was handed on before this later moment
		}
		if next.before == id { // same id at a later time: resuming from it could skip this very line
			next.before = m.before
			next.count = m.count + 1
		}
		return next
	}
	if id == m.last {
		next.count = m.count + 1
	}
	return next
}

// aligner finds the place to go on in a resumed stream.
type aligner struct {
	want    mark
	pending bool
	seen    int
}

// next says whether the event is new, and whether lines may be missing before it: that is so when an event later
// than everything read comes first, since then the last line read is no longer in the provider's log.
func (a *aligner) next(id string, at time.Time) (deliver, gap bool) {
	if !a.pending {
		return true, false
	}
	if id == a.want.last {
		a.seen++
		if a.seen >= a.want.count {
			a.pending = false
		}
		return false, false
	}
	if at.After(a.want.high) && !a.want.high.IsZero() {
		a.pending = false
		return true, true
	}
	return false, false
}

// timeOf reads the time in an id such as 2026-06-01T12:02:03Z/000000000001.
func timeOf(id string) time.Time {
	ts, _, _ := strings.Cut(id, "/")
	return when(ts)
}
