package version

import (
	"fmt"
	"slices"
	"strings"
)

// Ordered is a version scheme a Set can hold: a total order and a way to print.
type Ordered[V any] interface {
	Compare(V) int
	fmt.Stringer
}

// Set is a set of versions as a union of intervals. It knows nothing of which versions exist: between any two
// different versions it assumes there may be another, so >1,<2 is not empty. Sets are kept in canonical form
// (ascending, disjoint, never touching), so equal sets have equal bounds; build them only with the functions
// below. The zero value is the empty set.
type Set[V Ordered[V]] struct {
	spans []span[V]
}

// span is an interval; a missing bound means unbounded.
type span[V Ordered[V]] struct {
	low, high bound[V]
}

type bound[V Ordered[V]] struct {
	v      V
	closed bool // the bound itself belongs to the span
	given  bool // false: unbounded on this side
}

// All is the set of every version.
func All[V Ordered[V]]() Set[V] { return Set[V]{spans: []span[V]{{}}} }

// None is the empty set.
func None[V Ordered[V]]() Set[V] { return Set[V]{} }

// Exactly is the set of v alone.
func Exactly[V Ordered[V]](v V) Set[V] { return AtLeast(v).Intersect(AtMost(v)) }

// AtLeast is the set of v and everything after it.
func AtLeast[V Ordered[V]](v V) Set[V] {
	return Set[V]{spans: []span[V]{{low: bound[V]{v: v, closed: true, given: true}}}}
}

// Above is the set of everything after v.
func Above[V Ordered[V]](v V) Set[V] {
	return Set[V]{spans: []span[V]{{low: bound[V]{v: v, given: true}}}}
}

// AtMost is the set of v and everything before it.
func AtMost[V Ordered[V]](v V) Set[V] {
	return Set[V]{spans: []span[V]{{high: bound[V]{v: v, closed: true, given: true}}}}
}

// Below is the set of everything before v.
func Below[V Ordered[V]](v V) Set[V] {
	return Set[V]{spans: []span[V]{{high: bound[V]{v: v, given: true}}}}
}

// Between is the set from low to high, both included; it is empty when high comes before low.
func Between[V Ordered[V]](low, high V) Set[V] { return AtLeast(low).Intersect(AtMost(high)) }

// IsEmpty reports whether nothing is in s.
func (s Set[V]) IsEmpty() bool { return len(s.spans) == 0 }

// IsAll reports whether everything is in s.
func (s Set[V]) IsAll() bool {
	return len(s.spans) == 1 && !s.spans[0].low.given && !s.spans[0].high.given
}

// Contains reports whether v is in s.
func (s Set[V]) Contains(v V) bool {
	i, _ := slices.BinarySearchFunc(s.spans, v, func(sp span[V], v V) int {
		if sp.high.given {
			if c := sp.high.v.Compare(v); c < 0 || c == 0 && !sp.high.closed {
				return -1
			}
		}
		return 1
	})
	if i == len(s.spans) {
		return false
	}
	low := s.spans[i].low
	c := 1
	if low.given {
		c = v.Compare(low.v)
	}
	return c > 0 || c == 0 && low.closed
}

// Complement is everything not in s.
func (s Set[V]) Complement() Set[V] {
	var out []span[V]
	var low bound[V] // unbounded
	for _, sp := range s.spans {
		if sp.low.given {
			out = append(out, span[V]{low, bound[V]{sp.low.v, !sp.low.closed, true}})
		}
		if !sp.high.given {
			return Set[V]{out}
		}
		low = bound[V]{sp.high.v, !sp.high.closed, true}
	}
	return Set[V]{append(out, span[V]{low: low})}
}

// Intersect is what is in both.
func (s Set[V]) Intersect(o Set[V]) Set[V] {
	var out []span[V]
	for i, j := 0, 0; i < len(s.spans) && j < len(o.spans); {
		a, b := s.spans[i], o.spans[j]
		sp := span[V]{a.low, a.high}
		if compareLow(b.low, a.low) > 0 {
			sp.low = b.low
		}
		if compareHigh(b.high, a.high) < 0 {
			sp.high = b.high
		}
		if !sp.isEmpty() {
			out = append(out, sp)
		}
		if compareHigh(a.high, b.high) < 0 {
			i++
		} else {
			j++
		}
	}
	return Set[V]{out}
}

// Union is what is in either.
func (s Set[V]) Union(o Set[V]) Set[V] { return s.Complement().Intersect(o.Complement()).Complement() }

// Minus is what is in s and not in o.
func (s Set[V]) Minus(o Set[V]) Set[V] { return s.Intersect(o.Complement()) }

// SubsetOf reports whether everything in s is in o.
func (s Set[V]) SubsetOf(o Set[V]) bool { return s.Minus(o).IsEmpty() }

// Equal reports whether both hold the same versions.
func (s Set[V]) Equal(o Set[V]) bool {
	return slices.EqualFunc(s.spans, o.spans, func(a, b span[V]) bool {
		return compareLow(a.low, b.low) == 0 && compareHigh(a.high, b.high) == 0
	})
}

// String writes "any", "none", or intervals such as ">=12.1,<13 or ==11.8".
func (s Set[V]) String() string {
	if s.IsEmpty() {
		return "none"
	}
	if s.IsAll() {
		return "any"
	}
	parts := make([]string, len(s.spans))
	for i, sp := range s.spans {
		parts[i] = sp.String()
	}
	return strings.Join(parts, " or ")
}

func (sp span[V]) isEmpty() bool {
	if !sp.low.given || !sp.high.given {
		return false
	}
	c := sp.low.v.Compare(sp.high.v)
	return c > 0 || c == 0 && !(sp.low.closed && sp.high.closed)
}

func (sp span[V]) String() string {
	low, high := "", ""
	if sp.low.given && sp.high.given && sp.low.v.Compare(sp.high.v) == 0 {
		return "==" + sp.low.v.String()
	}
	if sp.low.given {
		low = map[bool]string{true: ">=", false: ">"}[sp.low.closed] + sp.low.v.String()
	}
	if sp.high.given {
		high = map[bool]string{true: "<=", false: "<"}[sp.high.closed] + sp.high.v.String()
	}
	if low != "" && high != "" {
		return low + "," + high
	}
	return low + high
}

// compareLow orders lower bounds by where they begin; an unbounded one begins first.
func compareLow[V Ordered[V]](a, b bound[V]) int {
	switch {
	case !a.given || !b.given:
		return boolRank(a.given) - boolRank(b.given)
	case a.v.Compare(b.v) != 0:
		return a.v.Compare(b.v)
	}
	return boolRank(b.closed) - boolRank(a.closed)
}

// compareHigh orders upper bounds by where they end; an unbounded one ends last.
func compareHigh[V Ordered[V]](a, b bound[V]) int {
	switch {
	case !a.given || !b.given:
		return boolRank(b.given) - boolRank(a.given)
	case a.v.Compare(b.v) != 0:
		return a.v.Compare(b.v)
	}
	return boolRank(a.closed) - boolRank(b.closed)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}
