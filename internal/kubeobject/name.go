package kubeobject

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Name makes a DNS label of words and an id: at most 50 characters, so that a controller can add its own to it. The same id
// gives the same name, and another id another; without one the name is that of the words.
func Name(words, id string) string {
	const most, ids = 50, 12
	if id != "" {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])[:ids]
	}
	words = label(words)
	if !strings.HasPrefix(words, "jr-") {
		words = "jr-" + words
	}
	words = strings.TrimRight(words[:min(len(words), most-ids-1)], "-")
	if id == "" {
		return words
	}
	return words + "-" + id
}

// label keeps lower-case letters and digits, and makes one dash of what is between them.
func label(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}
