package cli

import (
	"fmt"
	"io"
	"strings"
)

// wrapped breaks text at blanks so that no line is longer than the terminal is wide, with every line but the first
// hung below hang columns; the first begins at column at. Without a terminal there is one line: programs read lines.
func (w *World) wrapped(at, hang int, text string) string {
	if w.Width < hang+20 || at+len([]rune(text)) <= w.Width && !strings.Contains(text, "\n") {
		return text
	}
	var b strings.Builder
	col := at
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case col+1+n > w.Width:
			b.WriteString("\n" + strings.Repeat(" ", hang))
			col = hang
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	return b.String()
}

// labelWidth is the column where text begins after a word such as "refused".
const labelWidth = 9

// labelled writes a word and its text, hung below its beginning.
func (w *World) labelled(out io.Writer, label, text string) {
	fmt.Fprintf(out, "%-8s %s\n", label, w.wrapped(labelWidth, labelWidth, text))
}
