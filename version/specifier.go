package version

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// afterPosts stands for "after every post-release" in bounds made from ">V". No parsed version has it.
const afterPosts = math.MaxInt

// Specifier is a set of version clauses as package metadata writes them: ">=4.56.0,<5,!=4.57.0". The zero value
// admits every version.
type Specifier struct {
	clauses []clause
}

type clause struct {
	op       string // one of ~= == != <= >= < > ===
	v        PEP440
	wildcard bool   // ==1.2.* or !=1.2.*
	raw      string // the text after ===
}

// ParseSpecifier reads comma-separated clauses, with or without blanks and the old parentheses. Empty text
// admits every version.
func ParseSpecifier(s string) (Specifier, error) {
	t := trimSpace(s)
	if strings.HasPrefix(t, "(") && strings.HasSuffix(t, ")") {
		t = t[1 : len(t)-1]
	}
	var sp Specifier
	for part := range strings.SplitSeq(t, ",") {
		if part = trimSpace(part); part == "" {
			continue
		}
		c, err := parseClause(part)
		if err != nil {
			return Specifier{}, err
		}
		sp.clauses = append(sp.clauses, c)
	}
	return sp, nil
}

// MustParseSpecifier is ParseSpecifier for constants of the program; it panics on anything else.
func MustParseSpecifier(s string) Specifier {
	sp, err := ParseSpecifier(s)
	if err != nil {
		panic(err)
	}
	return sp
}

func parseClause(s string) (clause, error) {
	bad := func(why string) (clause, error) {
		return clause{}, fmt.Errorf("%q is not a version specifier: %s", s, why)
	}
	var c clause
	for _, op := range []string{"===", "~=", "==", "!=", "<=", ">=", "<", ">"} {
		if after, ok := strings.CutPrefix(s, op); ok {
			c.op, s = op, trimSpace(after)
			break
		}
	}
	switch c.op {
	case "":
		return bad("no comparison such as >=")
	case "===":
		if s == "" || strings.ContainsAny(s, " \t\n\r\f\v;)") {
			return bad("=== needs one word")
		}
		c.raw = asciiLower(s)
		return c, nil
	case "==", "!=":
		if base, ok := strings.CutSuffix(s, ".*"); ok {
			s, c.wildcard = base, true
		}
	}
	v, err := ParsePEP440(s)
	switch {
	case err != nil:
		return clause{}, err
	case c.wildcard && (v.IsPrerelease() || v.IsPostrelease() || v.local != ""):
		return bad(".* may only follow a release")
	case v.local != "" && c.op != "==" && c.op != "!=":
		return bad("a local version may only follow == or !=")
	case c.op == "~=" && len(v.release) < 2:
		return bad("~= needs at least two numbers")
	}
	c.v = v
	return c, nil
}

// IsZero reports whether sp admits every version because it states nothing.
func (sp Specifier) IsZero() bool { return len(sp.clauses) == 0 }

// MentionsPrerelease reports whether a clause names a pre-release, which makes pip consider them.
func (sp Specifier) MentionsPrerelease() bool {
	return slices.ContainsFunc(sp.clauses, func(c clause) bool {
		if c.op == "===" {
			v, err := ParsePEP440(c.raw)
			return err == nil && v.IsPrerelease()
		}
		return c.op != "!=" && !c.wildcard && c.v.IsPrerelease()
	})
}

// Contains reports whether an installer that looks for a version may choose v: Admits, and v is no pre-release
// unless a clause names one.
func (sp Specifier) Contains(v PEP440) bool {
	return (!v.IsPrerelease() || sp.MentionsPrerelease()) && sp.Admits(v)
}

// Admits reports whether v satisfies every clause, pre-releases included; it is the rule for a version that is
// installed already. ==2.8.0 admits 2.8.0+cu128; <2.0 does not admit 2.0.dev1; >1.0 does not admit 1.0.post1.
func (sp Specifier) Admits(v PEP440) bool {
	if !v.set {
		return false
	}
	for _, c := range sp.clauses {
		if !c.admits(v) {
			return false
		}
	}
	return true
}

func (c clause) admits(v PEP440) bool {
	switch c.op {
	case "===":
		return v.String() == c.raw
	case "==":
		return c.equal(v)
	case "!=":
		return !c.equal(v)
	case "~=":
		return v.comparePublic(c.v) >= 0 && hasPrefix(v, c.v.epoch, c.v.release[:len(c.v.release)-1])
	case ">=":
		return v.comparePublic(c.v) >= 0
	case "<=":
		return v.comparePublic(c.v) <= 0
	case "<":
		return v.comparePublic(c.lowerEdge()) < 0
	default: // ">"
		return v.comparePublic(c.upperEdge()) > 0
	}
}

func (c clause) equal(v PEP440) bool {
	if c.wildcard {
		return hasPrefix(v, c.v.epoch, c.v.release)
	}
	if c.v.local == "" {
		return v.comparePublic(c.v) == 0
	}
	return v.Compare(c.v) == 0
}

// lowerEdge is where "<V" ends: before the pre-releases of V, unless V is one itself.
func (c clause) lowerEdge() PEP440 {
	v := c.v
	if !v.IsPrerelease() {
		v.dev = 0
	}
	return v
}

// upperEdge is where ">V" begins: after the post-releases of V, unless V is one itself or a development version.
func (c clause) upperEdge() PEP440 {
	v := c.v
	if v.post < 0 && v.dev < 0 {
		v.post = afterPosts
	}
	return v
}

func hasPrefix(v PEP440, epoch int, prefix []int) bool {
	if v.epoch != epoch {
		return false
	}
	for i, n := range prefix {
		if at(v.release, i) != n {
			return false
		}
	}
	return true
}

// And returns the clauses of both.
func (sp Specifier) And(o Specifier) Specifier {
	return Specifier{clauses: slices.Concat(sp.clauses, o.clauses)}
}

// Set returns the public versions that sp admits as a set; pre-releases are in it. Clauses that a set of public
// versions cannot say (===, ==V+local) narrow it to the one public version they mean, or to nothing.
func (sp Specifier) Set() Set[PEP440] {
	s := All[PEP440]()
	for _, c := range sp.clauses {
		s = s.Intersect(c.set())
	}
	return s
}

func (c clause) set() Set[PEP440] {
	switch c.op {
	case "===":
		v, err := ParsePEP440(c.raw)
		if err != nil {
			return None[PEP440]()
		}
		return Exactly(v.Public())
	case "==":
		if c.wildcard {
			return prefixSet(c.v.epoch, c.v.release)
		}
		return Exactly(c.v.Public())
	case "!=":
		if c.wildcard {
			return prefixSet(c.v.epoch, c.v.release).Complement()
		}
		if c.v.local != "" {
			return All[PEP440]()
		}
		return Exactly(c.v).Complement()
	case "~=":
		return AtLeast(c.v).Intersect(prefixSet(c.v.epoch, c.v.release[:len(c.v.release)-1]))
	case ">=":
		return AtLeast(c.v)
	case "<=":
		return AtMost(c.v)
	case "<":
		return Below(c.lowerEdge())
	default:
		return Above(c.upperEdge())
	}
}

func prefixSet(epoch int, release []int) Set[PEP440] {
	low := PEP440{epoch: epoch, release: slices.Clone(release), post: -1, dev: 0, set: true}
	high := low
	high.release = slices.Clone(release)
	high.release[len(high.release)-1]++
	return AtLeast(low).Intersect(Below(high))
}

// String writes the clauses in their order, normalised.
func (sp Specifier) String() string {
	parts := make([]string, len(sp.clauses))
	for i, c := range sp.clauses {
		switch {
		case c.op == "===":
			parts[i] = c.op + c.raw
		case c.wildcard:
			parts[i] = c.op + c.v.String() + ".*"
		default:
			parts[i] = c.op + c.v.String()
		}
	}
	return strings.Join(parts, ",")
}

// MarshalText writes what String does.
func (sp Specifier) MarshalText() ([]byte, error) { return []byte(sp.String()), nil }

// UnmarshalText reads what ParseSpecifier reads.
func (sp *Specifier) UnmarshalText(b []byte) (err error) {
	*sp, err = ParseSpecifier(string(b))
	return err
}
