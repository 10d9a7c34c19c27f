package diagnose

import (
	"bytes"
	"regexp"
)

const (
	historySize = 2 << 10 // text before a line that rules may look at
	bufferSize  = 64 << 10
	maxText     = 400 // of one line of evidence
	maxOdd      = 3   // errors without a rule that are remembered
	wrapped     = 200 // before a line: what a broken line may have left there
	overlap     = 512 // of the pieces of an overlong line
)

// finding is one rule that held.
type finding struct {
	rule  *rule
	code  Code
	tier  tier
	line  int
	col   int
	text  string
	level logLevel
	phase Phase // how far the launch was
	after bool  // the server was ready
	seq   int
	last  *finding // the same again in a later phase
}

// place is a line worth showing.
type place struct {
	line int
	col  int
	text string
}

// position orders texts within a log; copies of issues hold many in one line.
type position struct{ line, col int }

func (p position) after(q position) bool { return p.line > q.line || p.line == q.line && p.col > q.col }

// mark is the last line that told a phase; its text is made when asked for.
type mark struct {
	line int
	raw  []byte
	col  int // in raw
	at   int // in the line
}

func (m *mark) set(line, col int, raw []byte) {
	from := max(0, min(col-80, len(raw)-maxText))
	m.line, m.col, m.at = line, col-from, col
	m.raw = append(m.raw[:0], raw[from:min(len(raw), from+maxText)]...)
}

func (m *mark) text() string { return excerpt(m.raw, m.col) }

// attempt is what one start of the engine said; a crash loop has several in one log.
type attempt struct {
	found     map[findingKey]*finding
	phase     Phase // furthest
	current   Phase
	phaseAt   [phaseCount]position // the last mark of each phase; line 0: none
	mark      mark                 // last phase mark
	ready     bool
	readyAt   place
	death     *finding // first wrapper
	stop      *finding // first sign that somebody stopped it
	odd       []place  // errors no rule knows
	lastOdd   int      // line of the last one, also of those not kept
	traceback int      // line of the last one
	uncaught  int      // line of the last one that nothing caught
	killed    place    // a process that died without a word
	aborted   position // last sign that the program ended itself
	loud      position // last sign of an error: a frame of a traceback, a record of level ERROR
	sequence  int
}

type findingKey struct {
	code  Code
	tier  tier
	after bool
}

func newAttempt() *attempt { return &attempt{found: map[findingKey]*finding{}} }

// Reader takes a log line by line and knows at any time what it says. It is linear in the size of the log and keeps
// a bounded amount of it. It is not safe for use by several goroutines.
type Reader struct {
	opts  Options
	rules *compiledRules

	buf     []byte // history, then lines not yet searched
	pending int    // where in buf the unsearched text begins
	partial []byte // of Write: an unfinished line
	line    int    // lines in buf before pending
	matches []match
	lower   []byte   // of a hit's line
	past    []byte   // of the text before it
	settled []uint32 // per rule: the situation in which it held

	now      *attempt
	previous *attempt // the one before, when the engine was started again
	restarts int
	engine   string
	version  string
	speaks   bool // its first lines are records of an engine
	foreign  bool // another program speaks too: its "startup complete" is not the engine's
	download downloadState
	keeper   collector
	said     bool           // something that is not blank
	binary   string         // what the input is when it is no log
	context  map[string]int // line where a note of the context was last seen, by name
	facts    facts
}

// facts are figures read out of the log, for remedies and lessons.
type facts struct {
	cardCapability int    // sm_NNN of the card in the torch warning
	capabilities   []int  // what the torch build supports
	leftOut        []byte // what pip left out since it wants another Python, in lower case
}

// NewReader prepares for one log.
func NewReader(opts Options) *Reader {
	r := &Reader{opts: opts, rules: compiled(), now: newAttempt(), settled: make([]uint32, compiled().count), context: map[string]int{}, buf: make([]byte, 0, bufferSize+historySize)}
	r.buf = append(r.buf, '\n') // some literals begin with a line break
	r.pending = 1
	return r
}

// recordHead is the head of a log record of vLLM ("INFO 05-12 02:46:33") or SGLang ("[2026-04-06 01:32:36 TP0]").
var recordHead = regexp.MustCompile(`(?:INFO|WARNING|DEBUG) \d\d-\d\d \d\d:\d\d:\d\d|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: [A-Z]+\d+)*\]`)

// Feed takes the next line, with or without its line break.
func (r *Reader) Feed(line string) {
	if i := indexByteString(line, '\n'); i >= 0 && i < len(line)-1 {
		_, _ = r.Write([]byte(line))
		r.flushPartial()
		return
	}
	r.said = r.said || len(line) > 1
	r.addLine([]byte(line))
}

// Write takes any piece of the log; lines may be cut anywhere between calls. It never fails.
func (r *Reader) Write(p []byte) (int, error) {
	n := len(p)
	if !r.said && len(bytes.TrimSpace(p)) > 0 {
		r.said, r.binary = true, sniff(p)
	}
	for len(p) > 0 {
		piece := p[:min(len(p), bufferSize)]
		if end := bytes.LastIndexByte(piece, '\n'); len(piece) < len(p) && end >= 0 {
			piece = piece[:end+1]
		}
		r.write(piece)
		p = p[len(piece):]
	}
	return n, nil
}

// write takes a piece that is no longer than the buffer.
func (r *Reader) write(p []byte) {
	if len(r.partial) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			r.lengthen(p)
			return
		}
		r.partial = append(r.partial, p[:i]...)
		r.flushPartial()
		p = p[i+1:]
	}
	end := bytes.LastIndexByte(p, '\n')
	r.addLines(p[:end+1])
	if end+1 < len(p) {
		r.lengthen(p[end+1:])
	}
}

// lengthen adds to the unfinished line; of one that grows too long all but the end is read.
func (r *Reader) lengthen(p []byte) {
	r.partial = append(r.partial, p...)
	if len(r.partial) <= maxLine {
		return
	}
	tail := append([]byte(nil), r.partial[len(r.partial)-overlap:]...)
	r.flushPartial()
	r.line-- // the rest is the same line
	r.partial = append(r.partial, tail...)
}

func (r *Reader) flushPartial() {
	if len(r.partial) > 0 {
		r.addLine(r.partial)
		r.partial = r.partial[:0]
	}
}

// addLines takes whole lines at once. Plain text goes to the search as it is; a piece with colours or structured
// records is cleaned line by line.
func (r *Reader) addLines(p []byte) {
	for len(p) > 0 {
		piece := p
		if room := bufferSize - (len(r.buf) - r.pending); len(piece) > room {
			cut := bytes.LastIndexByte(piece[:max(room, 0)], '\n')
			if cut < 0 {
				r.search()
				if room == bufferSize { // one line longer than the buffer
					cut = bytes.IndexByte(piece, '\n')
					r.addLong(piece[:cut])
					p = p[cut+1:]
				}
				continue
			}
			piece = piece[:cut+1]
		}
		p = p[len(piece):]
		if bytes.IndexByte(piece, 0x1b) < 0 && bytes.IndexByte(piece, '\r') < 0 && bytes.IndexByte(piece, 0) < 0 && !hasRecords(piece) {
			r.buf = append(r.buf, piece...)
			continue
		}
		for len(piece) > 0 {
			i := bytes.IndexByte(piece, '\n')
			r.buf = r.keeper.appendClean(r.buf, piece[:i])
			r.buf = append(r.buf, '\n')
			piece = piece[i+1:]
		}
	}
	if len(r.buf)-r.pending >= bufferSize/2 {
		r.search()
	}
}

// hasRecords reports whether a line of p is a JSON record, or one of a console that writes a level of its own.
func hasRecords(p []byte) bool {
	return p[0] == '{' || p[0] == '"' || p[0] == '\'' || p[0] == '[' && len(p) > 1 && p[1] == '{' || bytes.Contains(p, []byte("\n{\"")) || bytes.Contains(p, []byte(consoleHead)) || bytes.Contains(p, []byte(servingHead))
}

// addLine takes one line.
func (r *Reader) addLine(line []byte) {
	if len(line) > maxLine {
		r.addLong(line)
		return
	}
	r.buf = r.keeper.appendClean(r.buf, line)
	r.buf = append(r.buf, '\n')
	if len(r.buf)-r.pending >= bufferSize/2 {
		r.search()
	}
}

// addLong takes a line that is longer than the buffer, in pieces that overlap by less than a literal's neighbourhood.
func (r *Reader) addLong(line []byte) {
	r.search()
	for len(line) > 0 {
		n := min(len(line), bufferSize/2)
		r.buf = r.keeper.appendClean(r.buf, line[:n])
		r.buf = append(r.buf, '\n')
		r.search()
		r.line--
		if n == len(line) {
			break
		}
		line = line[n-overlap:]
	}
	r.line++
}

// search looks at everything that was added since the last time.
func (r *Reader) search() {
	from := r.pending
	if from == len(r.buf) {
		return
	}
	if !r.speaks && r.line < 500 {
		r.speaks = recordHead.Match(r.buf[from:min(len(r.buf), from+bufferSize/8)])
	}
	r.matches = r.rules.index.scan(r.buf, from-1, r.matches[:0])
	at, line := from, r.line+1 // at is the start of a line, line its number
	var h hit
	h.r = r
	start, end := -1, -1
	for _, m := range r.matches {
		if r.buf[m.start] == '\n' {
			m.start++
		}
		if m.start >= end || start < 0 {
			start = bytes.LastIndexByte(r.buf[:m.start], '\n') + 1
			start = max(start, from)
			line += bytes.Count(r.buf[at:start], []byte{'\n'})
			at = start
			if e := bytes.IndexByte(r.buf[m.start:], '\n'); e >= 0 {
				end = m.start + e
			} else {
				end = len(r.buf)
			}
			h.line, h.start, h.end, h.ready, h.leveled = line, start, end, false, 0
		}
		h.col = m.start - start
		if h.ready {
			h.aim()
		}
		r.take(&h, m.lit)
	}
	r.line += bytes.Count(r.buf[from:], []byte{'\n'})
	if len(r.buf) > historySize {
		n := copy(r.buf, r.buf[len(r.buf)-historySize:])
		r.buf = r.buf[:n]
	}
	r.pending = len(r.buf)
}
