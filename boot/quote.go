package boot

import "strings"

// Quote writes one word so that any POSIX shell, and any lexer of shell words, reads it back as it is: in single
// quotes, a single quote itself as '\”. Words of plain letters stay bare. A NUL byte cannot be written.
func Quote(word string) string {
	if word != "" && strings.IndexFunc(word, unsafe) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func unsafe(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	default:
		return !strings.ContainsRune("_-./:@%+,", r)
	}
}

// JoinArgs writes a command line as one string, each word quoted.
func JoinArgs(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = Quote(a)
	}
	return strings.Join(out, " ")
}
