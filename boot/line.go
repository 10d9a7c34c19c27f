package boot

import (
	"strconv"
	"strings"
)

// Kind tells our lines apart.
type Kind string

// The kinds of a Line.
const (
	KindPhase    Kind = "phase"
	KindProgress Kind = "progress"
	KindGuard    Kind = "guard"
	KindNote     Kind = "note"
)

// The phases of a boot, in order. Hold comes after a failure only.
const (
	PhasePreflight = "preflight"
	PhaseEnv       = "env"
	PhaseWeights   = "weights"
	PhaseEngine    = "engine"
	PhaseReady     = "ready"
	PhaseHold      = "hold"
)

// The statuses of phase and guard lines.
const (
	StatusStart     = "start"
	StatusOK        = "ok"
	StatusFail      = "fail"
	StatusArmed     = "armed"
	StatusUnguarded = "unguarded"
	StatusEnding    = "ending"
)

// Line is one line of ours on a machine's output.
type Line struct {
	Kind    Kind
	Phase   string  // of phase and progress lines
	Status  string  // of phase and guard lines
	Seconds float64 // since the script began; phase lines
	Done    int64   // progress
	Total   int64   // progress; 0 when not known
	Unit    string  // progress: "bytes", "packages"
	Cause   string  // of a failed phase: a cause of package diagnose
	Reason  string  // of a guard line
	Text    string  // detail of a failed phase, or a note
	Fields  map[string]string
}

// ParseLine reads one line of a machine's output; false when it is none of ours. It takes lines cut by CR and with
// blanks around, and refuses whatever does not follow the grammar to the end: an engine may print anything.
func ParseLine(s string) (Line, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "justright ")
	if !ok {
		return Line{}, false
	}
	l := Line{Kind: KindPhase}
	for _, k := range []Kind{KindProgress, KindGuard, KindNote} {
		if r, ok := strings.CutPrefix(rest, string(k)+" "); ok {
			l.Kind, rest = k, r
			break
		}
	}
	if l.Fields, ok = parseFields(rest); !ok {
		return Line{}, false
	}
	f := l.Fields
	l.Phase, l.Status, l.Unit = f["phase"], f["status"], f["unit"]
	l.Cause, l.Reason, l.Text = f["cause"], f["reason"], f["detail"]
	var err error
	switch l.Kind {
	case KindPhase:
		if l.Seconds, err = strconv.ParseFloat(f["t"], 64); err != nil || l.Seconds < 0 || l.Seconds > 1e9 {
			return Line{}, false
		}
		ok = known(l.Phase, PhasePreflight, PhaseEnv, PhaseWeights, PhaseEngine, PhaseReady, PhaseHold) &&
			known(l.Status, StatusStart, StatusOK, StatusFail)
	case KindProgress:
		var e2 error
		l.Done, err = strconv.ParseInt(f["done"], 10, 64)
		l.Total, e2 = strconv.ParseInt(f["total"], 10, 64)
		ok = err == nil && e2 == nil && l.Done >= 0 && l.Total >= 0 && l.Phase != "" && l.Unit != ""
	case KindGuard:
		ok = known(l.Status, StatusArmed, StatusUnguarded, StatusEnding)
	case KindNote:
		l.Text, ok = f["text"]
	}
	if !ok {
		return Line{}, false
	}
	return l, true
}

func known(s string, words ...string) bool {
	for _, w := range words {
		if s == w {
			return true
		}
	}
	return false
}

// parseFields reads key=value pairs; a value is bare without blanks, or quoted as in Go.
func parseFields(s string) (map[string]string, bool) {
	out := map[string]string{}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || !validName(key) {
			return nil, false
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := closingQuote(rest)
			if end < 0 {
				return nil, false
			}
			value = unquote(rest[:end+1])
			rest = rest[end+1:]
			if rest != "" && rest[0] != ' ' {
				return nil, false
			}
		} else {
			value, rest, _ = strings.Cut(rest, " ")
			rest = " " + rest
			if strings.Contains(value, `"`) {
				return nil, false
			}
		}
		if _, twice := out[key]; twice {
			return nil, false
		}
		out[key] = value
		s = strings.TrimLeft(rest, " ")
	}
	return out, len(out) > 0
}

// closingQuote is the index of the quote that ends the quoted text s begins with, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// unquote reads a quoted value; one that holds bytes Go would not quote so (a raw tab, bad UTF-8) is taken as it is.
func unquote(s string) string {
	if v, err := strconv.Unquote(s); err == nil {
		return v
	}
	return s[1 : len(s)-1]
}
