package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"

	"justright/money"
)

// Page is everything the dashboard shows.
type Page struct {
	BaseURL  string // for clients
	KeyFile  string // where the key is; never the key
	PerHour  money.USD
	Today    money.USD // spent since midnight UTC
	Models   []Model   // that may be woken
	Launches []Launch  // that are not over, newest last
	Past     []Launch  // the last that are over, newest first
	Lessons  []Lesson
	Said     string // one of our own sentences
}

// Model is one that may be woken.
type Model struct {
	ID       string
	Aliases  []string
	State    string // ready, waking, asleep, stopped
	Doing    string // while it wakes
	Today    money.USD
	Daily    money.USD
	Budget   money.USD // of one wake
	Idle     time.Duration
	Stopped  string // why it is not woken any more; empty: it may be
	Requests int    // under way
	Machines int    // that serve it
	Most     int    // that may at a time; 0 and 1: one
}

// Launch is one launch.
type Launch struct {
	Name, Model, Target string
	State               string // as ps says it
	Phase               string // what its machine is at
	Percent             int    // of the phase; 0: not known
	Machine, Where      string
	Plan                string
	BaseURL             string
	PerHour             money.USD
	Spent               money.USD
	Cap                 money.USD
	Since               time.Time
	Seconds             float64
	EndsBy              time.Time // the first of lifetime and dollar cap; zero: none
	Idle                time.Duration
	Guarded             bool
	HasTTL              bool
	InFlight, Served    int
	Ejected             bool
	Proof               string // "17 checks passed"; empty: none
	Outcome             string // how it ended, in a word
	Log                 []string
	Receipt             []Attempt
	Estimate            bool
}

// Attempt is one line of a receipt.
type Attempt struct {
	Machine string
	Plan    string
	State   string
	Seconds float64
	Cost    money.USD
	Cause   string
	Detail  string
}

// Lesson is a constraint that a failure has left.
type Lesson struct {
	Text    string
	Cause   string
	Expires string // a date
}

// words are how the page words figures.
var words = template.FuncMap{
	"cents":  func(u money.USD) string { return "$" + u.Cents() },
	"clock":  clock,
	"dur":    span,
	"utc":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"share":  share,
	"plain":  plain,
	"dom":    dom,
	"short":  short,
	"join":   func(s []string) string { return strings.Join(s, ", ") },
	"isZero": func(t time.Time) bool { return t.IsZero() },
}

// clock is a length of time as a person reads it: 42 s, 3:07, 1:02:09.
func clock(seconds float64) string {
	s := int(seconds)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	default:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
}

// span is a length of time in a sentence: 90 s, 20 min, 3 h.
func span(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	default:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
}

// share is a part of a whole in whole per cents, at most 100.
func share(part, whole money.USD) int {
	if whole <= 0 {
		return 0
	}
	return int(min(100, part*100/whole))
}

// plain takes out what steers a terminal.
func plain(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			break
		}
		j := strings.IndexFunc(s[i+2:], unicode.IsLetter)
		if j < 0 {
			s = s[:i]
			break
		}
		s = s[:i] + s[i+2+j+1:]
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
}

// dom makes an id of a name.
func dom(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, s)
}

func short(id string) string {
	if len(id) == 32 {
		return id[:8]
	}
	return id
}
