package kubernetes

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"net/url"
)

// mark says how far a machine's log was read: in which pod, the time of its last line and how many lines had that time, and up
// to when the cluster's own words about it are known. The kubelet resumes at a second, lines carry nanoseconds: what comes
// before the last line read is skipped.
type mark struct {
	pod   string
	at    time.Time // of the last line
	count int       // lines of that very time handed on
	told  time.Time // of the latest word of the cluster
	word  string    // the last word itself, so that no two marks are the same
}

// String is the mark as it stands in LogLine.ID.
func (m mark) String() string {
	at, told := "", ""
	if !m.at.IsZero() {
		at = m.at.UTC().Format(time.RFC3339Nano)
	}
	if !m.told.IsZero() {
		told = strconv.FormatInt(m.told.UnixMicro(), 10)
	}
	return fmt.Sprintf("%s~%s~%d~%s~%s", m.pod, at, m.count, told, strings.ReplaceAll(url.QueryEscape(m.word), "~", "%7E"))
}

// parseMark reads String's form; anything else is the beginning.
func parseMark(s string) mark {
	f := strings.Split(s, "~")
	if len(f) != 5 {
		return mark{}
	}
	m := mark{pod: f[0]}
	var err error
	if f[1] != "" {
		if m.at, err = time.Parse(time.RFC3339Nano, f[1]); err != nil {
			return mark{}
		}
	}
	if m.count, err = strconv.Atoi(f[2]); err != nil || m.count < 0 {
		return mark{}
	}
	if f[3] != "" {
		us, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return mark{}
		}
		m.told = time.UnixMicro(us).UTC()
	}
	if m.word, err = url.QueryUnescape(f[4]); err != nil {
		return mark{}
	}
	return m
}

// line is the mark after one more line of a pod.
func (m mark) line(pod string, at time.Time) mark {
	if pod == m.pod && at.Equal(m.at) {
		m.count++
	} else {
		m.pod, m.at, m.count = pod, at, 1
	}
	m.word = ""
	return m
}

// said is the mark after one more word of the cluster.
func (m mark) said(word string, at time.Time) mark {
	if at.After(m.told) {
		m.told = at
	}
	m.word = word
	return m
}
