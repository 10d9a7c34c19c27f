package diagnose

import (
	"bytes"
	"regexp"
	"strconv"
)

// maxLine bounds what is kept of one line. Longer ones occur (a list of supported architectures takes 10 kB); what
// lies beyond is read as further lines of the same number.
const maxLine = 64 << 10

// appendClean appends line to dst without colour codes and control bytes, unwrapped from a JSON log record, with a
// carriage return inside it (a progress bar that redraws itself) turned into a blank.
func appendClean(dst, line []byte) []byte {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) > 2 && line[0] == '{' && line[len(line)-1] == '}' {
		return appendUnquoted(dst, jsonMessage(line))
	}
	if bytes.IndexByte(line, 0x1b) < 0 && bytes.IndexByte(line, '\r') < 0 && bytes.IndexByte(line, 0) < 0 {
		return append(dst, line...)
	}
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case 0x1b:
			i += escapeLength(line[i:])
		case '\r':
			dst = append(dst, ' ')
			i++
		case 0:
			i++
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// escapeLength is the length of the terminal sequence at the start of b: CSI (ESC [ … final byte), OSC (ESC ] … BEL
// or ST), or a two-byte one. See ECMA-48, 5.4.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 {
				return i
			}
		}
		return len(b)
	case ']':
		for i := 2; i < len(b); i++ {
			if b[i] == 7 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
		}
		return len(b)
	default:
		return 2
	}
}

// jsonMessage is the text of a structured record: the value of "log" (Docker's json-file driver), "message", "msg"
// or "line" where one is there as a string, else the whole record. It does not decode: a broken record is text too.
func jsonMessage(line []byte) []byte {
	for _, key := range []string{`"log":`, `"message":`, `"msg":`, `"line":`} {
		i := bytes.Index(line, []byte(key))
		if i < 0 {
			continue
		}
		v := bytes.TrimLeft(line[i+len(key):], " ")
		if len(v) == 0 || v[0] != '"' {
			continue
		}
		for j := 1; j < len(v); j++ {
			switch v[j] {
			case '\\':
				j++
			case '"':
				if level := jsonLevel(line); level != "" && key != `"log":` {
					return append([]byte(level+" "), v[1:j]...)
				}
				return v[1:j]
			}
		}
	}
	return line
}

// jsonLevel is the record's own level in the words of a text log, so that a warning stays a warning.
func jsonLevel(line []byte) string {
	for _, key := range []string{`"level":`, `"levelname":`, `"severity":`} {
		i := bytes.Index(line, []byte(key))
		if i < 0 {
			continue
		}
		v := bytes.ToUpper(bytes.TrimLeft(line[i+len(key):min(len(line), i+len(key)+12)], ` "`))
		for _, l := range []string{"INFO", "WARN", "DEBUG", "ERROR", "CRITICAL"} {
			if bytes.HasPrefix(v, []byte(l)) {
				return l
			}
		}
	}
	return ""
}

// appendUnquoted appends s with JSON's escapes resolved; an escaped line break becomes a blank, since one record is
// one line of the log. Colour codes inside are dropped.
func appendUnquoted(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == 0x1b {
			i += escapeLength(s[i:]) - 1
			continue
		}
		if s[i] != '\\' || i+1 >= len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n', 'r', 't':
			dst = append(dst, ' ')
		case 'u':
			if i+4 < len(s) {
				if r, err := strconv.ParseUint(string(s[i+1:i+5]), 16, 16); err == nil {
					i += 4
					if r == 0x1b { // a colour code, written as an escape
						rest := s[i+1:]
						if n := bytes.IndexByte(rest, 'm'); len(rest) > 0 && rest[0] == '[' && n >= 0 && n < 12 {
							i += n + 1
						}
						continue
					}
					if r < 0x80 {
						dst = append(dst, byte(r))
					} else {
						dst = append(dst, string(rune(r))...)
					}
					continue
				}
			}
			dst = append(dst, s[i])
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

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
	if i := bytes.LastIndex(lower[:col], []byte("received request ")); i >= 0 && countLogHeads(lower[i:col], "error ") == 0 && lastBreak(lower[i:col]) < 0 {
		return levelQuiet // what a user wrote
	}
	if head != levelNone && len(lower) < 1500 && logHeads(lower) <= 1 && (nearest == head && !hasAny(lower[at:col], lastWords) || nearest != head && !otherRecord(raw, lower, at, col)) {
		return head
	}
	if at >= 0 && nearest == levelQuiet {
		if i := lastBreak(lower[at:col]); i >= 0 && !bytes.HasPrefix(lower[at+i:], []byte(":[w")) {
			return levelNone // another record began since, and it states no level
		}
	}
	return nearest
}

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
