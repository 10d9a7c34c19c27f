package diagnose

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
)

// maxLine bounds what is kept of one line. Longer ones occur (a list of supported architectures takes 10 kB); what
// lies beyond is read as further lines of the same number.
const maxLine = 64 << 10

// appendClean appends line to dst without colour codes and control bytes, unwrapped from a JSON log record, with a
// carriage return inside it (a progress bar that redraws itself) turned into a blank.
func (k *collector) appendClean(dst, line []byte) []byte {
	line = withoutConsole(bytes.TrimRight(line, "\r\n"))
	if len(line) > 2 {
		switch first, last := line[0], line[len(line)-1]; {
		case first == '{' && last == '}', first == '[' && line[1] == '{' && last == ']':
			return appendUnquoted(dst, k.message(line))
		case (first == '"' || first == '\'') && bytes.Count(line, []byte(`\n`)) > 2: // a log kept as one string
			return appendUnquoted(dst, line)
		}
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

// Consoles write a level of their own before what a program printed: Google's calls all of it INFO, TorchServe too.
const (
	consoleHead = "Z [resource.labels."
	servingHead = "MODEL_LOG - "
)

// withoutConsole drops what such a console writes before a line.
func withoutConsole(line []byte) []byte {
	if len(line) < 40 {
		return line
	}
	if i := bytes.Index(line[:min(len(line), 64)], []byte(consoleHead)); i >= 0 {
		if _, rest, ok := bytes.Cut(line[i:], []byte("] ")); ok {
			return rest
		}
	}
	if i := bytes.Index(line[:min(len(line), 120)], []byte(servingHead)); i >= 0 {
		return line[i+len(servingHead):]
	}
	return line
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

// collector is what is known of the program that keeps the log in records of its own.
type collector struct {
	foreign bool // its levels are not those of the text: it has called a traceback or another program's record "info"
}

// message is the text of a structured record: the value of "log" (Docker's json-file driver), "message", "msg" or
// "line" where one is there as a string, else the whole record. A traceback kept beside it follows it. It does not
// decode: a broken record is text too.
func (k *collector) message(line []byte) []byte {
	for _, key := range []string{`"log":`, `"message":`, `"msg":`, `"line":`} {
		text, rest, ok := jsonString(line, key)
		if !ok {
			continue
		}
		if more := joined(rest, key); more != nil { // an export: many records in one
			return slices.Concat(text, []byte{' '}, more)
		}
		level := jsonLevel(line)
		if !k.foreign && level != "" && level[0] != 'E' && level[0] != 'C' {
			k.foreign = foreignText.Match(text)
		}
		if level == "" || key == `"log":` || k.foreign || speaksForItself(text) {
			level = ""
		} else {
			level += " " + jsonTarget(line)
		}
		for _, beside := range []string{`"exc_info":`, `"exception":`, `"stack_trace":`, `"traceback":`} {
			if more, _, ok := jsonString(line, beside); ok && len(more) > 0 {
				return slices.Concat([]byte(level), text, []byte(`\n`), more)
			}
		}
		if level == "" {
			return text
		}
		return append([]byte(level), text...)
	}
	if text := journalBytes(line); text != nil {
		return text
	}
	return line
}

// joined is what stands under key in the rest of a record that holds several.
func joined(rest []byte, key string) []byte {
	var out []byte
	for {
		text, after, ok := jsonString(rest, key)
		if !ok {
			return out
		}
		out = append(append(out, text...), ' ')
		rest = after
	}
}

// foreignText is what no collector says itself: a traceback, or a record that begins with a level of its own.
var foreignText = regexp.MustCompile(`^(?:\([^)]{0,60}pid=\d+[^)]{0,40}\) ?)*(?:Traceback \(most recent|  File \\?"|(?:ERROR|INFO|WARNING|DEBUG) \d\d-\d\d |(?:INFO|ERROR|WARNING): {4})|^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

// journalBytes is the text of a record of systemd's journal that it keeps as numbers, since colours stand in it.
func journalBytes(line []byte) []byte {
	_, list, ok := bytes.Cut(line, []byte(`"MESSAGE":`))
	if list = bytes.TrimLeft(list, " "); !ok || len(list) == 0 || list[0] != '[' {
		return nil
	}
	list, _, _ = bytes.Cut(list[1:], []byte{']'})
	out := make([]byte, 0, len(list)/3)
	for _, n := range bytes.Split(list, []byte{','}) {
		c, err := strconv.ParseUint(string(bytes.TrimSpace(n)), 10, 8)
		if err != nil {
			return nil
		}
		if c == '\\' {
			out = append(out, '\\') // escapes are resolved later
		}
		out = append(out, byte(c))
	}
	return out
}

// jsonString is the first string after key, its escapes as they stand, and what follows it.
func jsonString(line []byte, key string) (text, rest []byte, ok bool) {
	i := bytes.Index(line, []byte(key))
	if i < 0 {
		return nil, nil, false
	}
	v := bytes.TrimLeft(line[i+len(key):], " ")
	if len(v) == 0 || v[0] != '"' {
		return nil, nil, false
	}
	for j := 1; j < len(v); j++ {
		switch v[j] {
		case '\\':
			j++
		case '"':
			return v[1:j], v[j+1:], true
		}
	}
	return nil, nil, false
}

// ownLevel is a text that needs no level from outside: a traceback's line, an exception, a record with a level.
var ownLevel = regexp.MustCompile(`^(?:\[rank\d+\]:|\([^)]{0,60}pid=\d+[^)]{0,40}\) ?)*(?:\s|Traceback |(?:[\w.]+\.)?\w*(?:Error|Exception|Exit|Interrupt)(?:: |\()|(?i:error|fatal|failed)\b)|\[(?:ERROR|WARN|WARNING|INFO)\] |\b(?:ERROR|WARNING|INFO|DEBUG|CRITICAL) |\b(?i:error: )`)

// speaksForItself reports whether a record is a collector's around what a program printed: the level then is the
// collector's, which calls all output of a program "info".
func speaksForItself(message []byte) bool { return ownLevel.Match(message) }

// jsonTarget is the module that speaks, as Rust's tracing names it and writes it before its messages in plain text.
func jsonTarget(line []byte) string {
	_, rest, ok := bytes.Cut(line, []byte(`"target":"`))
	if !ok {
		return ""
	}
	name, _, ok := bytes.Cut(rest, []byte{'"'})
	if !ok || len(name) > 80 || bytes.IndexByte(name, '\\') >= 0 {
		return ""
	}
	return string(name) + ": "
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
