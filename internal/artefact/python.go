// Package artefact reads facts out of the artefacts themselves: the registry, the configuration classes, the flags
// and the metadata inside vLLM and transformers wheels, and the release pipeline inside vLLM's sdist. It parses the
// few shapes of Python source these files have had over the years; what it does not understand it leaves out, and
// says so.
package artefact

import (
	"regexp"
	"slices"
	"strings"
)

// block returns the source between the bracket that opens after the assignment `name =` and the one that closes
// it, strings and comments skipped; "" when there is no such assignment.
func block(source, name string) string {
	assign := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `\b[^=\n]*=\s*[\w.]*(?:\[[\w., ]*\]\(|\s*[({\[])`)
	at := assign.FindStringIndex(source)
	if at == nil {
		return ""
	}
	return balanced(source[at[1]-1:])
}

// balanced returns what is inside the bracket that s begins with.
func balanced(s string) string {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return s[1:i]
			}
		case '#':
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return ""
			}
			i += n
		case '"', '\'':
			end := stringEnd(s[i:])
			if end < 0 {
				return ""
			}
			i += end
		}
	}
	return ""
}

// stringEnd is the index of the quote that ends the literal s begins with, -1 when it does not end.
func stringEnd(s string) int {
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		n := strings.Index(s[3:], strings.Repeat(quote, 3))
		if n < 0 {
			return -1
		}
		return n + 5
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote[0]:
			return i
		case '\n':
			return -1
		}
	}
	return -1
}

// withoutComments drops # comments outside strings, so that a commented-out entry is none.
func withoutComments(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '#':
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return b.String()
			}
			i += n
			b.WriteByte('\n')
		case '"', '\'':
			end := stringEnd(s[i:])
			if end < 0 {
				return b.String()
			}
			b.WriteString(s[i : i+end+1])
			i += end
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

var (
	dictKey  = regexp.MustCompile(`^["'][\w.+-]+["']\s*:`)
	keyword  = regexp.MustCompile(`(?m)^\s*(\w+)\s*=\s*["'\w]`)
	spread   = regexp.MustCompile(`\*\*\{\s*["']([\w.+-]+)["']`)
	literals = regexp.MustCompile(`["']([\w.+-]+)["']`)
)

// keys are the top-level keys of a dict literal's inside, or the keywords of a call's, in order.
func keys(inside string) []string {
	inside = withoutComments(inside)
	out := dictKeys(inside)
	if len(out) == 0 {
		for _, m := range keyword.FindAllStringSubmatch(inside, -1) {
			out = append(out, m[1])
		}
		for _, m := range spread.FindAllStringSubmatch(inside, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// dictKeys are the string literals outside any bracket that a colon follows.
func dictKeys(s string) []string {
	var out []string
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '"', '\'':
			end := stringEnd(s[i:])
			if end < 0 {
				return out
			}
			if depth == 0 && dictKey.MatchString(s[i:min(len(s), i+end+16)]) {
				out = append(out, s[i+1:i+end])
			}
			i += end
		}
	}
	return out
}

// literalsIn are the string literals inside a list or a Literal[...].
func literalsIn(inside string) []string {
	var out []string
	for _, m := range literals.FindAllStringSubmatch(withoutComments(inside), -1) {
		out = append(out, m[1])
	}
	return out
}

// sortedSet sorts names and drops repeats.
func sortedSet(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
