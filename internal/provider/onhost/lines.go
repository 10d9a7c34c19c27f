package onhost

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"justright/launch"
)

// maxLine bounds one log line; a longer one is handed on in pieces.
const maxLine = 1 << 20

// Lines cuts a log file into lines. The mark of a line is the offset behind it, so resuming is exact. A line is dated when it is
// first seen: the file holds no times of its own.
type Lines struct {
	At  int64 // offset of the first byte that no line was made of
	Now func() time.Time
	buf []byte
}

// NewLines begins after a mark; empty: at the beginning of the file.
func NewLines(mark string, now func() time.Time) (*Lines, error) {
	l := &Lines{Now: now}
	if mark == "" {
		return l, nil
	}
	n, err := strconv.ParseInt(mark, 10, 64)
	if err != nil || n < 0 {
		return nil, errors.New("mark " + strconv.Quote(mark) + " is none of ours")
	}
	l.At = n
	return l, nil
}

// Next is the offset of the byte that Add wants first.
func (l *Lines) Next() int64 { return l.At + int64(len(l.buf)) }

// Add hands on the whole lines that there are with the bytes at Next; last says that nothing follows them, so that a line without
// its end is one too.
func (l *Lines) Add(chunk []byte, last bool, f func(launch.LogLine) error) error {
	l.buf = append(l.buf, chunk...)
	done := 0
	defer func() { l.buf = append(l.buf[:0], l.buf[done:]...) }()
	for {
		rest := l.buf[done:]
		i, skip := bytes.IndexByte(rest, '\n'), 1
		switch {
		case i >= 0 && i <= maxLine:
		case len(rest) >= maxLine:
			i, skip = maxLine, 0
		case last && len(rest) > 0:
			i, skip = len(rest), 0
		default:
			return nil
		}
		line := launch.LogLine{ID: strconv.FormatInt(l.At+int64(i+skip), 10), At: l.Now(), Source: "container",
			Text: string(bytes.TrimRight(rest[:i], "\r"))}
		l.At += int64(i + skip)
		done += i + skip
		if err := f(line); err != nil {
			return err
		}
	}
}
