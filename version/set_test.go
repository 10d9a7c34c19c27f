package version

import (
	"testing"
)

// universe is a small ordered world for exhaustive laws: sets over CUDA 1.0 … 5.0, probed between the bounds too.
func universe() (sets []Set[CUDA], probes []CUDA) {
	base := []Set[CUDA]{All[CUDA](), None[CUDA]()}
	for n := 1; n <= 5; n += 2 {
		v := CUDA{n, 0}
		base = append(base, AtLeast(v), Above(v), AtMost(v), Below(v), Exactly(v))
	}
	sets = append(sets, base...)
	for _, a := range base {
		for _, b := range base {
			sets = append(sets, a.Union(b), a.Intersect(b))
		}
	}
	for n := 0; n <= 6; n++ {
		probes = append(probes, CUDA{n, 0}, CUDA{n, 5})
	}
	return sets, probes
}

func TestSetLaws(t *testing.T) {
	sets, probes := universe()
	for _, a := range sets {
		if !a.Complement().Complement().Equal(a) {
			t.Fatalf("complement of complement of %s", a)
		}
		if !a.Union(a.Complement()).IsAll() || !a.Intersect(a.Complement()).IsEmpty() {
			t.Fatalf("%s and its complement do not split the world", a)
		}
		for _, b := range sets[:40] {
			checkPair(t, a, b, probes)
		}
	}
}

func checkPair[V Ordered[V]](t *testing.T, a, b Set[V], probes []V) {
	t.Helper()
	u, i := a.Union(b), a.Intersect(b)
	if !u.Equal(b.Union(a)) || !i.Equal(b.Intersect(a)) {
		t.Fatalf("not commutative: %s, %s", a, b)
	}
	if !u.Complement().Equal(a.Complement().Intersect(b.Complement())) {
		t.Fatalf("De Morgan fails: %s, %s", a, b)
	}
	if !a.Union(i).Equal(a) || !a.Intersect(u).Equal(a) {
		t.Fatalf("absorption fails: %s, %s", a, b)
	}
	if !i.SubsetOf(a) || !a.SubsetOf(u) {
		t.Fatalf("subsets fail: %s, %s", a, b)
	}
	same := true
	for _, p := range probes {
		if u.Contains(p) != (a.Contains(p) || b.Contains(p)) || i.Contains(p) != (a.Contains(p) && b.Contains(p)) {
			t.Fatalf("membership of %s in %s, %s", p, a, b)
		}
		if a.Complement().Contains(p) == a.Contains(p) {
			t.Fatalf("%s is in both or neither of %s and its complement", p, a)
		}
		same = same && a.Contains(p) == b.Contains(p)
	}
	if a.Equal(b) && !same {
		t.Fatalf("equal but of different members: %s, %s", a, b)
	}
	if a.Equal(b) != (a.String() == b.String()) {
		t.Fatalf("form is not canonical: %s, %s", a, b)
	}
}

func TestSetPrints(t *testing.T) {
	v := func(s string) PEP440 { return MustParsePEP440(s) }
	for _, c := range []struct {
		set  Set[PEP440]
		want string
	}{
		{All[PEP440](), "any"},
		{None[PEP440](), "none"},
		{Exactly(v("1.0")), "==1.0"},
		{Between(v("2"), v("1")), "none"},
		{AtLeast(v("1")).Intersect(Below(v("2"))).Union(Exactly(v("3"))), ">=1,<2 or ==3"},
		{Below(v("1")).Union(AtLeast(v("1"))), "any"},
		{Below(v("1")).Union(Above(v("1"))), "<1 or >1"},
		{MustParseSpecifier(">1.0,<2").Set(), ">1.0.post*,<2.dev0"},
	} {
		if got := c.set.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
