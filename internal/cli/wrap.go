package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"justright/internal/ui/text"
)

// wrapped breaks text at blanks so that no line is longer than the terminal is wide, with every line but the first
// hung below hang columns; the first begins at column at. Without a terminal there is one line: programs read lines.
func (w *World) wrapped(at, hang int, words string) string {
	if w.Width < hang+20 || at+len([]rune(words)) <= w.Width && !strings.Contains(words, "\n") {
		return words
	}
	return text.Wrap(words, at, hang, w.Width)
}

// labelWidth is the column where text begins after a word such as "refused".
const labelWidth = 9

// labelled writes a word and its text, hung below its beginning.
func (w *World) labelled(out io.Writer, label, text string) {
	fmt.Fprintf(out, "%-8s %s\n", label, w.wrapped(labelWidth, labelWidth, text))
}

// fitted breaks the lines of an answer that are wider than the terminal, each hung below its last column that leaves room. What
// a person pastes into a shell does not go through it: a terminal's own wrapping copies as one line.
func (w *World) fitted(answer string) string {
	if w.Width == 0 || !w.StdoutTTY {
		return answer
	}
	var b strings.Builder
	for line := range strings.Lines(answer) {
		line, end := strings.CutSuffix(line, "\n")
		b.WriteString(text.Hang(line, w.Width))
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// columns aligns rows under each other.
func columns(rows [][]string) string {
	var b strings.Builder
	printColumns(&b, rows)
	return strings.ReplaceAll("\n"+b.String(), "\n  ", "\n")[1:]
}

// fits says whether no line of an answer is wider than the terminal, where there is one.
func (w *World) fits(answer string) bool {
	for line := range strings.Lines(answer) {
		if w.Width > 0 && utf8.RuneCountInString(strings.TrimRight(line, " \n")) > w.Width {
			return false
		}
	}
	return true
}

// screenWidth is the room on the terminal that Stderr goes to: without one there is no end of it.
func (w *World) screenWidth() int {
	if w.ErrWidth == 0 {
		return math.MaxInt
	}
	return w.ErrWidth
}

// note says one line of the conversation, on Stderr.
func (w *World) note(line string) { fmt.Fprintln(w.Stderr, text.Hang(line, w.screenWidth())) }
