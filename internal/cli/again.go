package cli

import (
	"slices"
	"strings"

	"justright/boot"
)

// again is the command that was given, with one flag more: a line that can be pasted. A value that the flag had is replaced.
func (w *World) again(flag string, value ...string) string {
	before, after := w.argsBut(len(value), flag)
	return pasted(slices.Concat(before, []string{flag}, value, after))
}

// without is the command that was given, without flags that take a value: a line that can be pasted.
func (w *World) without(flags ...string) string {
	before, after := w.argsBut(1, flags...)
	return pasted(append(before, after...))
}

// withoutEngineFlags is the command that was given, without what stands behind "--".
func (w *World) withoutEngineFlags() string {
	before, _ := w.argsBut(0)
	return pasted(before)
}

// argsBut are the arguments without some flags and their values, up to "--" and from there.
func (w *World) argsBut(values int, flags ...string) (before, after []string) {
	for i := 0; i < len(w.Args); i++ {
		a := w.Args[i]
		name, _, joined := strings.Cut(a, "=")
		switch {
		case a == "--":
			return before, w.Args[i:]
		case slices.Contains(flags, name) && joined:
		case slices.Contains(flags, name):
			i += values
		default:
			before = append(before, a)
		}
	}
	return before, nil
}

func pasted(words []string) string {
	quoted := []string{"justright"}
	for _, word := range words {
		quoted = append(quoted, boot.Quote(word))
	}
	return strings.Join(quoted, " ")
}
