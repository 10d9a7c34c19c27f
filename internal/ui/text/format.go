package text

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"justright/report"
)

// Clean makes foreign text safe for a terminal: control characters become visible escapes, so that a log line can
// forge neither newlines nor colours.
func Clean(t string) string {
	if !strings.ContainsFunc(t, forged) && utf8.ValidString(t) {
		return t
	}
	var b strings.Builder
	for _, r := range t {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case forged(r):
			fmt.Fprintf(&b, "\\x%02x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// forged reports runes that steer a terminal or reorder text.
func forged(r rune) bool {
	return r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// fit pads or cuts t to n columns; the cut is marked.
func fit(t string, n int) string {
	if c := utf8.RuneCountInString(t); c < n {
		return t + strings.Repeat(" ", n-c)
	}
	return cut(t, n)
}

// cut shortens t to n columns; the cut is marked.
func cut(t string, n int) string {
	if utf8.RuneCountInString(t) <= n {
		return t
	}
	return string([]rune(t)[:max(n-1, 0)]) + "…"
}

// clock is a duration as a person reads it on a clock: 1:58, 1:02:03.
func clock(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Interval is a span of seconds in minutes: "4–7 min", or in seconds when short, or as a clock shows it when narrow.
func Interval(s [2]int) string {
	switch {
	case s[1] < 100:
		return fmt.Sprintf("%d–%d s", s[0], s[1])
	case s[1]-s[0] < 90:
		return clock(time.Duration(s[0])*time.Second) + "–" + clock(time.Duration(s[1])*time.Second)
	case s[0] < 60:
		return fmt.Sprintf("%d s–%d min", s[0], (s[1]+59)/60)
	}
	return fmt.Sprintf("%d–%d min", s[0]/60, (s[1]+59)/60)
}

// ReadyIn words when a plan will be ready, and where that comes from when it was measured.
func ReadyIn(seconds [2]int, launches int) string {
	switch t := Interval(seconds); launches {
	case 0:
		return t
	case 1:
		return t + ", as 1 launch before"
	default:
		return fmt.Sprintf("%s, as %d launches before", t, launches)
	}
}

// progress words how far a phase has come, and how fast when it is bytes.
func progress(p *report.Progress, d time.Duration) string {
	if p.Unit != "bytes" {
		if p.Total > 0 {
			return fmt.Sprintf("%d of %d %s", p.Done, p.Total, p.Unit)
		}
		return fmt.Sprintf("%d %s", p.Done, p.Unit)
	}
	t := Bytes(p.Done)
	if p.Total > 0 {
		t += " of " + Bytes(p.Total)
	}
	rate := p.Rate
	if sec := d.Seconds(); rate == 0 && sec > 1 {
		rate = float64(p.Done) / sec
	}
	if rate >= 1 && p.Done > 0 {
		t += " · " + Bytes(int64(rate)) + "/s"
	}
	return t
}

// Bytes is a size in decimal units, as downloads are counted: "3.1 GB".
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

// mark is the sign before a state: failures carry a cross, endings a dot, the rest a tick.
func mark(state string) string {
	switch state {
	case "failed", "lost", "refused":
		return "✗"
	case "creating", "deleting", "detached", "waiting", "unguarded", "proving":
		return "·"
	default:
		return "✓"
	}
}

func (s *Sink) paint(code, t string) string {
	if !s.o.Color {
		return t
	}
	return "\x1b[" + code + "m" + t + "\x1b[0m"
}

func (s *Sink) bold(t string) string   { return s.paint("1", t) }
func (s *Sink) dim(t string) string    { return s.paint("2", t) }
func (s *Sink) cross() string          { return s.paint("31", "✗") }
func (s *Sink) green(t string) string  { return s.paint("32", t) }
func (s *Sink) yellow(t string) string { return s.paint("33", t) }
