package diagnose

import (
	"regexp"
	"sync"
)

// tier is how much a rule's text proves.
type tier uint8

const (
	wrapper tier = iota + 1 // something died; names no cause
	hint                    // a warning that explains a death if nothing louder does
	soft                    // an error that another one may stand behind
	root                    // an error that names its cause
)

// rule recognises one text. It matches a line that holds one of lits, one of each group of and, none of not, after a
// text that holds one of before. Alternatives are separated by "|"; all texts are in lower case.
type rule struct {
	code   Code
	tier   tier
	lits   string // alternatives; each at least window bytes long
	and    string // alternatives in the same line
	and2   string // a second group of alternatives in the same line
	not    string // alternatives that rule it out
	before string // alternatives in the 2 KiB before the literal
	re     *regexp.Regexp
	quiet  bool // also believed at INFO, DEBUG and WARNING
	serves bool // also believed once the server is ready
	stage  Stage
	remedy RemedyKind
	text   string
	source string // a thread or file where the text stands
	refine func(*hit) (Code, tier)
}

// phaseMark is a text that tells how far a launch has come.
type phaseMark struct {
	lits  string
	phase Phase
	and   string
	not   string
	act   func(*Reader, *hit) // what else it tells; may be nil
	blind bool                // act looks at no text, only at the place
}

// hit is one literal found in one line, with what a rule may look at.
type hit struct {
	r      *Reader
	line   int
	col    int    // of the literal in the line
	raw    []byte // the line, cleaned
	lower  []byte // the same in lower case
	near   []byte // lower around the literal: a mirror holds a whole log in one line
	before []byte // history, once it was asked for
	level  logLevel
	rule   *rule

	start, end int  // of the line in the reader's buffer
	ready      bool // raw, lower and before are filled in
	leveled    int  // column for which level was found, plus 1
}

// fill makes the line's text, on the first need: most literals found need no look.
func (h *hit) fill() {
	if h.ready {
		return
	}
	r := h.r
	r.lower = lowerInto(r.lower[:0], r.buf[h.start:h.end])
	h.raw, h.lower, h.before = r.buf[h.start:h.end], r.lower, nil
	h.ready = true
	h.aim()
}

// history is the lower-cased text before the line, at most 2 KiB.
func (h *hit) history() []byte {
	if h.before == nil && h.start > 0 {
		r := h.r
		r.past = lowerInto(r.past[:0], r.buf[max(0, h.start-historySize):h.start])
		h.before = r.past
	}
	return h.before
}

// aim sets what is near the literal.
func (h *hit) aim() {
	h.near = h.lower[max(0, h.col-400):min(len(h.lower), h.col+600)]
}

// compiledRules is the index over all literals of rules and marks, built once and never changed.
type compiledRules struct {
	index *index
	uses  [][]use // per literal
	count int     // of rules
}

// use says which rule or mark a literal belongs to.
type use struct {
	rule *rule
	id   int // of the rule
	mark *phaseMark
}

// compiled builds the index on first use.
var compiled = sync.OnceValue(func() *compiledRules {
	c := &compiledRules{}
	ids := map[string]int{}
	var lits []string
	add := func(alternatives string, u use) {
		for _, l := range splitAlternatives(alternatives) {
			id, ok := ids[l]
			if !ok {
				id = len(lits)
				ids[l] = id
				lits = append(lits, l)
				c.uses = append(c.uses, nil)
			}
			c.uses[id] = append(c.uses[id], u)
		}
	}
	for _, table := range [][]rule{
		provisionRules, imageRules, containerRules, installRules, importRules, modelRules, downloadRules, weightRules,
		memoryRules, kernelRules, distributedRules, serveRules, traceRules, wrapperRules,
	} {
		for i := range table {
			add(table[i].lits, use{rule: &table[i], id: c.count})
			c.count++
		}
	}
	for _, table := range [][]phaseMark{phaseMarks, traceMarks} {
		for i := range table {
			add(table[i].lits, use{mark: &table[i]})
		}
	}
	c.index = newIndex(lits)
	return c
})

func splitAlternatives(s string) []string {
	var out []string
	for s != "" {
		i := 0
		for i < len(s) && s[i] != '|' {
			i++
		}
		if i > 0 {
			out = append(out, s[:i])
		}
		if i == len(s) {
			break
		}
		s = s[i+1:]
	}
	return out
}

// hasAny reports whether b holds one of the alternatives.
func hasAny(b []byte, alternatives string) bool {
	for s := alternatives; s != ""; {
		i := 0
		for i < len(s) && s[i] != '|' {
			i++
		}
		if i > 0 && containsString(b, s[:i]) {
			return true
		}
		if i == len(s) {
			break
		}
		s = s[i+1:]
	}
	return false
}

// around reports whether one of the alternatives stands near the literal: in its line, or at the end of the text
// before it, since terminals, documents and chats break long lines.
func (h *hit) around(alternatives string) bool {
	if hasAny(h.near, alternatives) {
		return true
	}
	before := h.history()
	return hasAny(before[max(0, len(before)-wrapped):], alternatives)
}

// matches decides whether the rule holds at h.
func (u *rule) matches(h *hit) bool {
	if u.and != "" && !h.around(u.and) || u.and2 != "" && !h.around(u.and2) {
		return false
	}
	if u.not != "" && hasAny(h.near, u.not) {
		return false
	}
	if u.before != "" && !hasAny(h.lower[:h.col], u.before) && !hasAny(h.history(), u.before) {
		return false
	}
	return u.re == nil || u.re.Match(h.near)
}

// Literals lists the texts a log is searched for, in lower case. They are a filter: rules look closer.
func Literals() []string { return append([]string(nil), compiled().index.lits...) }
