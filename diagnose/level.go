package diagnose

import (
	"bytes"
	"regexp"
)

// logLevel is how loud a line speaks.
type logLevel uint8

const (
	levelNone  logLevel = iota // no level is written: a traceback, a program's stderr
	levelQuiet                 // debug, info, warning: not fatal by itself
	levelError
)

// levelWords are searched in lower-cased text; order does not matter, the nearest wins.
var levelWords = []struct {
	word  string
	level logLevel
}{
	{"info ", levelQuiet}, {"info:", levelQuiet}, {"info]", levelQuiet}, {"warning ", levelQuiet}, {"warning:", levelQuiet},
	{"warning]", levelQuiet}, {"warn ", levelQuiet}, {"warn:", levelQuiet}, {"debug ", levelQuiet}, {"debug:", levelQuiet},
	{"error ", levelError}, {"error: ", levelError}, {"error]", levelError}, {"critical ", levelError}, {"critical:", levelError},
	{"fatal ", levelError}, {"fatal:", levelError}, {"exception: ", levelError}, {"traceback (most recent", levelError},
}

// levelAt says how loud the text around position col of a lower-cased line is. A line with one level word near its
// start has that level throughout; an issue mirror, whose line breaks became blanks, holds many, and there the
// nearest one before col counts.
func levelAt(raw, lower []byte, col int) logLevel {
	head := levelNone
	nearest, at := levelNone, -1
	if col > len(lower) {
		col = len(lower)
	}
	for _, w := range levelWords {
		if i := lastLevelWord(raw, lower[:col], w.word, w.level); i > at {
			nearest, at = w.level, i
		}
		if i := bytes.Index(lower[:min(len(lower), 100)], []byte(w.word)); i >= 0 && i < 90 && isLogHead(lower, i, w.word) {
			if head == levelNone || w.level == levelError {
				head = w.level
			}
		}
	}
	if hasAny(lower[max(0, col-300):col], saidInPassing) {
		return levelQuiet
	}
	if i := bytes.LastIndex(lower[:col], []byte("received request ")); i >= 0 && countLogHeads(lower[i:col], "error ") == 0 && lastBreak(lower[i:col]) < 0 {
		return levelQuiet // what a user wrote
	}
	if head != levelNone && len(lower) < 1500 && logHeads(lower) <= 1 && (nearest == head && !hasAny(lower[at:col], lastWords) && !anotherHead.Match(lower[at:col]) || nearest != head && !otherRecord(raw, lower, at, col)) {
		return head
	}
	if at >= 0 && nearest == levelQuiet {
		if i := lastBreak(lower[at:col]); i >= 0 && !bytes.HasPrefix(lower[at+i:], []byte(":[w")) {
			return levelNone // another record began since, and it states no level
		}
	}
	return nearest
}

// saidInPassing introduces errors that a program catches and goes on after: SGLang tries to import every model it has,
// vLLM 0.31 an extension that its builds for a CPU lack.
const saidInPassing = "failed to import the |ignore import error|skipping import of|skip loading plugin"

// lastWords begin what a program says at its end, whatever it said before in the same line.
const lastWords = "usage: |fatal python error|terminate called|]:[e"

// otherRecord reports whether text after the head of a line is no longer the head's own: a traceback, a usage message
// or a record of another level, in a mirror that lost its line breaks.
func otherRecord(raw, lower []byte, at, col int) bool {
	if hasAny(lower[:col], lastWords+"|file \"|raise |traceback") {
		return true
	}
	return at >= 0 && (bytes.HasPrefix(raw[at:], []byte("ERROR")) || startsException(raw[:col], at))
}

// startsException reports whether the level word at at ends the name of an exception that begins a record of its own:
// the word before it does not lead to it, as in "failed with ValueError: …" or "Failed to load: ImportError: …".
func startsException(raw []byte, at int) bool {
	i := at
	for i > 0 && raw[i-1] != ' ' {
		i--
	}
	if i == at || i < 2 || raw[i] < 'A' || raw[i] > 'Z' { // "Error: …" alone, or no name
		return false
	}
	word := bytes.TrimRight(raw[:i], " ")
	if j := bytes.LastIndexByte(word, ' '); j >= 0 {
		word = word[j+1:]
	}
	if len(word) == 0 || bytes.IndexByte([]byte(":,(=-'\"`>"), word[len(word)-1]) >= 0 {
		return false
	}
	return !leadsOn[string(bytes.ToLower(word))]
}

// leadsOn are words after which the name of an exception belongs to the sentence.
var leadsOn = map[string]bool{
	"with": true, "by": true, "of": true, "to": true, "from": true, "an": true, "a": true, "got": true, "raised": true,
	"error": true, "exception": true, "as": true, "and": true, "or": true, "is": true, "the": true, "caught": true,
	"because": true, "on": true, "ignoring": true, "encountered": true, "raises": true, "following": true,
}

// lastLevelWord finds the last place where the word states a level. In lower case it must not follow a letter: "Error
// info: …" is prose.
func lastLevelWord(raw, lower []byte, word string, level logLevel) int {
	for end := len(lower); ; {
		i := bytes.LastIndex(lower[:end], []byte(word))
		if i < 0 || wordStart(lower, i, word) && (level != levelQuiet && word[len(word)-1] != ' ' || raw[i] < 'a' || !afterLetter(lower, i)) {
			return i
		}
		end = i + len(word) - 1
	}
}

func afterLetter(b []byte, i int) bool {
	for i--; i >= 0; i-- {
		if b[i] != ' ' {
			return 'a' <= b[i] && b[i] <= 'z'
		}
	}
	return false
}

// lastBreak is the last place where a record without a level begins, -1 when there is none.
func lastBreak(b []byte) int {
	all := recordBreak.FindAllIndex(b, -1)
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1][1] - 1
}

// anotherHead is the head of a record of a container's log or of one of vLLM's processes.
var anotherHead = regexp.MustCompile(`\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d\S* \(\w+(?: \w+)* pid=\d+\)`)

// recordBreak is the head of a record that need not state a level: SGLang's date, a container's time stamp, the process
// vLLM names, a rank of torch, and what Python and the C++ runtime say at the end.
var recordBreak = regexp.MustCompile(`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d|\(\w+(?: \w+)* pid=\d+\) |\[rank\d+\]:|traceback \(most|usage: |fatal python error|terminate called`)

// wordStart rejects "ValueError" as the level word "error " but keeps "ValueError: ".
func wordStart(b []byte, i int, word string) bool {
	if word == "error: " || word == "exception: " || word == "warning:" {
		return true
	}
	return i == 0 || b[i-1] < 'a' || b[i-1] > 'z'
}

// isLogHead reports whether the level word at i is the level of a record: followed by a date as vLLM writes it
// ("INFO 05-12 02:46:33"), by a colon as uvicorn and the logging module do, or standing after a time stamp.
func isLogHead(b []byte, i int, word string) bool {
	if i > 0 && b[i-1] >= 'a' && b[i-1] <= 'z' {
		return false
	}
	after := bytes.TrimLeft(b[i+len(word):], " ")
	if len(after) > 0 && after[0] >= '0' && after[0] <= '9' && word[len(word)-1] == ' ' {
		return true
	}
	if word[len(word)-1] == ':' || word == "error: " {
		return i < 40 && bytes.IndexByte(b[:i], '"') < 0
	}
	if word[len(word)-1] == ']' {
		return true
	}
	return i > 0 && i < 60 && (b[i-1] == ' ' || b[i-1] == '[' || b[i-1] == '|') && hasDigit(b[:i]) || i == 0
}

func hasDigit(b []byte) bool {
	for _, c := range b {
		if c >= '0' && c <= '9' {
			return true
		}
	}
	return false
}

// logHeads counts the records within one line.
func logHeads(lower []byte) int {
	n := 0
	for _, w := range levelWords {
		n += countLogHeads(lower, w.word)
	}
	return n
}

// countLogHeads counts records of a level within one line: "info 05-12".
func countLogHeads(lower []byte, word string) int {
	if word[len(word)-1] != ' ' && word[len(word)-1] != ':' {
		return 0
	}
	n := 0
	for i := 0; ; {
		j := bytes.Index(lower[i:], []byte(word))
		if j < 0 {
			return n
		}
		i += j + len(word)
		k := i
		for k < len(lower) && lower[k] == ' ' {
			k++
		}
		if word[len(word)-1] == ' ' && k+4 < len(lower) && lower[k] >= '0' && lower[k] <= '9' && (lower[k+2] == '-' || lower[k+4] == '-') {
			n++
		}
		if word[len(word)-1] == ':' && k < len(lower) && i-len(word) > 0 {
			n++
		}
	}
}
