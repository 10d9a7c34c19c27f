package text

import (
	"strings"
	"unicode/utf8"
)

// least is the room that hung words need: with less, they hang below an earlier column.
const least = 32

// Hang breaks a line that is wider than width columns at its blanks, each further line hung below the last column of the
// first that leaves room; columns are two blanks or more apart. A word that is wider alone stays whole.
func Hang(line string, width int) string {
	if columnsOf(line) <= width {
		return line
	}
	lead := len(line) - len(strings.TrimLeft(line, " "))
	hang, at := lead+2, lead // where further lines begin, and the byte where words that may be moved do
	for i := lead + 2; i < len(line); i++ {
		if line[i] == ' ' || line[i-1] != ' ' || line[i-2] != ' ' {
			continue
		}
		if col := columnsOf(line[:i]); col <= width-least {
			hang, at = col, i
		}
	}
	return line[:at] + Wrap(line[at:], columnsOf(line[:at]), hang, width)
}

// Wrap breaks words at blanks so that no line is wider than width columns: the first begins at column at, the others hang
// below column hang. A word that is wider alone stays whole.
func Wrap(words string, at, hang, width int) string {
	var b strings.Builder
	for i, word := range strings.Fields(words) {
		n := columnsOf(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", hang))
			at = hang
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// columnsOf counts what a terminal shows of t; the escapes of paint take no room.
func columnsOf(t string) int {
	n := 0
	for {
		before, after, found := strings.Cut(t, "\x1b[")
		n += utf8.RuneCountInString(before)
		if !found {
			return n
		}
		_, t, _ = strings.Cut(after, "m")
	}
}
