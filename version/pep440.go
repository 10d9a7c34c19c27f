package version

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// PEP440 is a Python package version as PEP 440 defines it, such as 0.6.3.post1 or 2.8.0+cu128. The zero value is
// not a version. Two versions may be equal by Compare and still print differently (1.0 and 1.0.0).
type PEP440 struct {
	epoch   int
	release []int // as written, at least one number
	pre     string
	preNum  int
	post    int // -1: none
	dev     int // -1: none
	local   string
	set     bool
}

// maxDigits bounds each number, so that every one fits an int. PEP 440 itself sets no bound; dates such as
// 20240101123000 fit.
const maxDigits = 18

// ParsePEP440 reads a version in any spelling PEP 440 allows ("v1.0-RC1", "1.0.post") and normalises it.
func ParsePEP440(s string) (PEP440, error) {
	p := scanner{rest: asciiLower(trimSpace(s))}
	v, ok := p.version()
	if !ok || p.rest != "" {
		return PEP440{}, fmt.Errorf("%q is not a version (PEP 440)", s)
	}
	return v, nil
}

// MustParsePEP440 is ParsePEP440 for constants of the program; it panics on anything else.
func MustParsePEP440(s string) PEP440 {
	v, err := ParsePEP440(s)
	if err != nil {
		panic(err)
	}
	return v
}

// IsZero reports whether no version is stated.
func (v PEP440) IsZero() bool { return !v.set }

// Release returns the numbers of the release segment, as written.
func (v PEP440) Release() []int { return slices.Clone(v.release) }

// Public returns v without its local part: 2.8.0+cu128 becomes 2.8.0.
func (v PEP440) Public() PEP440 { v.local = ""; return v }

// Base returns epoch and release alone: 1.2rc1.post3 becomes 1.2.
func (v PEP440) Base() PEP440 {
	return PEP440{epoch: v.epoch, release: v.release, post: -1, dev: -1, set: v.set}
}

// Local returns the local part without the plus sign ("cu128"), or "".
func (v PEP440) Local() string { return v.local }

// IsPrerelease reports whether v is an alpha, beta, release candidate or development version.
func (v PEP440) IsPrerelease() bool { return v.pre != "" || v.dev >= 0 }

// IsPostrelease reports whether v has a post part.
func (v PEP440) IsPostrelease() bool { return v.post >= 0 }

// Compare orders as PEP 440 does. The zero value comes before every version.
func (v PEP440) Compare(o PEP440) int {
	if c := v.comparePublic(o); c != 0 {
		return c
	}
	return compareLocal(v.local, o.local)
}

func (v PEP440) comparePublic(o PEP440) int {
	if v.set != o.set {
		if o.set {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(v.epoch, o.epoch),
		compareRelease(v.release, o.release),
		cmp.Compare(v.preRank(), o.preRank()),
		cmp.Compare(v.preNum, o.preNum),
		cmp.Compare(v.post, o.post),
		cmp.Compare(v.devRank(), o.devRank()),
	)
}

// preRank places 1.0.dev1 before 1.0a1, and 1.0 after 1.0rc1.
func (v PEP440) preRank() int {
	switch v.pre {
	case "a":
		return 1
	case "b":
		return 2
	case "rc":
		return 3
	}
	if v.post < 0 && v.dev >= 0 {
		return 0
	}
	return 4
}

func (v PEP440) devRank() int {
	if v.dev < 0 {
		return math.MaxInt
	}
	return v.dev
}

// compareRelease compares number by number, a missing one counting as zero.
func compareRelease(a, b []int) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(at(a, i), at(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func at(s []int, i int) int {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// compareLocal compares segment by segment; a number sorts after a word, more segments after fewer, none first.
func compareLocal(a, b string) int {
	if a == b {
		return 0
	}
	if a == "" {
		return -1
	}
	if b == "" {
		return 1
	}
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		an, bn := isDigits(as[i]), isDigits(bs[i])
		switch {
		case an && !bn:
			return 1
		case !an && bn:
			return -1
		case an:
			if c := cmp.Or(cmp.Compare(len(as[i]), len(bs[i])), strings.Compare(as[i], bs[i])); c != 0 {
				return c
			}
		default:
			if c := strings.Compare(as[i], bs[i]); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// String writes the normal form.
func (v PEP440) String() string {
	if !v.set {
		return ""
	}
	b := make([]byte, 0, 24)
	if v.epoch != 0 {
		b = append(strconv.AppendInt(b, int64(v.epoch), 10), '!')
	}
	for i, n := range v.release {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	if v.pre != "" {
		b = strconv.AppendInt(append(b, v.pre...), int64(v.preNum), 10)
	}
	if v.post == afterPosts {
		b = append(b, ".post*"...)
	} else if v.post >= 0 {
		b = strconv.AppendInt(append(b, ".post"...), int64(v.post), 10)
	}
	if v.dev >= 0 {
		b = strconv.AppendInt(append(b, ".dev"...), int64(v.dev), 10)
	}
	if v.local != "" {
		b = append(append(b, '+'), v.local...)
	}
	return string(b)
}

// MarshalText writes the normal form, or nothing for the zero value.
func (v PEP440) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what ParsePEP440 reads; empty text is the zero value.
func (v *PEP440) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*v = PEP440{}
		return nil
	}
	*v, err = ParsePEP440(string(b))
	return err
}

// scanner reads the parts of a version from lower-case text.
type scanner struct{ rest string }

func (p *scanner) version() (PEP440, bool) {
	v := PEP440{post: -1, dev: -1, set: true}
	p.word("v")
	n, ok := p.number()
	if !ok {
		return v, false
	}
	if p.word("!") {
		v.epoch = n
		if n, ok = p.number(); !ok {
			return v, false
		}
	}
	v.release = append(make([]int, 0, 4), n)
	for len(p.rest) > 1 && p.rest[0] == '.' && isDigit(p.rest[1]) {
		p.rest = p.rest[1:]
		if n, ok = p.number(); !ok {
			return v, false
		}
		v.release = append(v.release, n)
	}
	return v, p.suffixes(&v)
}

// suffixes reads pre, post, dev and local, each at most once and in this order.
func (p *scanner) suffixes(v *PEP440) (ok bool) {
	if word, n, found, ok := p.label("alpha", "beta", "preview", "pre", "a", "b", "c", "rc"); !ok {
		return false
	} else if found {
		v.pre, v.preNum = map[byte]string{'a': "a", 'b': "b", 'p': "rc", 'c': "rc", 'r': "rc"}[word[0]], n
	}
	if len(p.rest) > 1 && p.rest[0] == '-' && isDigit(p.rest[1]) {
		p.rest = p.rest[1:]
		if v.post, ok = p.number(); !ok {
			return false
		}
	} else if _, n, found, ok := p.label("post", "rev", "r"); !ok {
		return false
	} else if found {
		v.post = n
	}
	if _, n, found, ok := p.label("dev"); !ok {
		return false
	} else if found {
		v.dev = n
	}
	if p.word("+") {
		v.local, ok = p.local()
		return ok
	}
	return true
}

// label reads [-_.]? WORD [-_.]? DIGITS?; a missing number is 0.
func (p *scanner) label(words ...string) (word string, n int, found, ok bool) {
	t := p.rest
	if t != "" && isSeparator(t[0]) {
		t = t[1:]
	}
	for _, w := range words {
		after, has := strings.CutPrefix(t, w)
		if !has {
			continue
		}
		p.rest = after
		if after != "" && isSeparator(after[0]) && len(after) > 1 && isDigit(after[1]) {
			p.rest = after[1:]
		} else if after != "" && isSeparator(after[0]) && !startsLabel(after[1:]) {
			p.rest = after[1:] // "1.0a." is allowed: the separator belongs to the missing number
		}
		if p.rest == "" || !isDigit(p.rest[0]) {
			return w, 0, true, true
		}
		n, ok = p.number()
		return w, n, true, ok
	}
	return "", 0, false, true
}

// startsLabel reports whether t continues with another part, so that the separator before it belongs to that part.
func startsLabel(t string) bool {
	return strings.HasPrefix(t, "post") || strings.HasPrefix(t, "rev") || strings.HasPrefix(t, "r") ||
		strings.HasPrefix(t, "dev")
}

func (p *scanner) local() (string, bool) {
	s := strings.NewReplacer("-", ".", "_", ".").Replace(p.rest)
	parts := strings.Split(s, ".")
	for i, part := range parts {
		if part == "" {
			return "", false
		}
		for j := range len(part) {
			if !isDigit(part[j]) && (part[j] < 'a' || part[j] > 'z') {
				return "", false
			}
		}
		if isDigits(part) {
			if parts[i] = strings.TrimLeft(part, "0"); parts[i] == "" {
				parts[i] = "0"
			}
		}
	}
	p.rest = ""
	return strings.Join(parts, "."), true
}

func (p *scanner) word(w string) bool {
	after, ok := strings.CutPrefix(p.rest, w)
	if ok {
		p.rest = after
	}
	return ok
}

func (p *scanner) number() (int, bool) {
	i := 0
	for i < len(p.rest) && isDigit(p.rest[i]) {
		i++
	}
	digits := strings.TrimLeft(p.rest[:i], "0")
	if i == 0 || len(digits) > maxDigits {
		return 0, false
	}
	p.rest = p.rest[i:]
	n := 0
	for j := range len(digits) {
		n = n*10 + int(digits[j]-'0')
	}
	return n, true
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isSeparator(c byte) bool { return c == '-' || c == '_' || c == '.' }

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// asciiLower leaves everything but A-Z alone: strings.ToLower would turn the Kelvin sign into a k.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func trimSpace(s string) string { return strings.Trim(s, " \t\n\r\f\v") }
