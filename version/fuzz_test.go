package version

import (
	"strings"
	"testing"
)

func FuzzParsePEP440(f *testing.F) {
	for _, row := range readGolden(f).Parsed {
		f.Add(strings.Trim(string(row[0]), `"`), "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := ParsePEP440(a)
		if err != nil {
			return
		}
		again, err := ParsePEP440(v.String())
		if err != nil || again.Compare(v) != 0 || again.String() != v.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", a, v, again, err)
		}
		if v.Public().Compare(v) > 0 {
			t.Fatalf("public part of %s sorts after it", v)
		}
		if w, err := ParsePEP440(b); err == nil && v.Compare(w) != -w.Compare(v) {
			t.Fatalf("order of %s and %s is not antisymmetric", v, w)
		}
	})
}

func FuzzSpecifierIsItsSet(f *testing.F) {
	for _, c := range readGolden(f).Specifiers {
		f.Add(c.Spec, "1.0.post2.dev3")
		f.Add(c.Spec, "2.0a1")
	}
	f.Fuzz(func(t *testing.T, spec, ver string) {
		sp, err := ParseSpecifier(spec)
		if err != nil {
			return
		}
		v, err := ParsePEP440(ver)
		if err != nil {
			return
		}
		checkSet(t, sp, v)
		if sp.Contains(v) && !sp.Admits(v) {
			t.Fatalf("%q contains %s but does not admit it", sp, v)
		}
	})
}

// FuzzSetLaws builds two sets from bytes (each byte pair adds or cuts an interval) and checks the laws on them.
func FuzzSetLaws(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4}, []byte{5, 6})
	f.Add([]byte{0, 255, 128, 7, 9, 9}, []byte{})
	f.Fuzz(func(t *testing.T, x, y []byte) {
		if len(x) > 40 || len(y) > 40 {
			return
		}
		var probes []Capability
		for n := range 16 {
			probes = append(probes, Capability{n, 0}, Capability{n, 5})
		}
		a, b := setFromBytes(x), setFromBytes(y)
		checkPair(t, a, b, probes)
		checkPair(t, a, a.Complement(), probes)
		c := setFromBytes(append(y, x...))
		if !a.Union(b).Union(c).Equal(a.Union(b.Union(c))) || !a.Intersect(b).Intersect(c).Equal(a.Intersect(b.Intersect(c))) {
			t.Fatalf("not associative: %s, %s, %s", a, b, c)
		}
	})
}

func setFromBytes(b []byte) Set[Capability] {
	s := None[Capability]()
	for _, n := range b {
		v := Capability{int(n >> 4), 0}
		part := []Set[Capability]{AtLeast(v), Above(v), AtMost(v), Below(v), Exactly(v)}[n%5]
		if n&8 != 0 {
			s = s.Minus(part)
		} else {
			s = s.Union(part.Intersect(AtMost(Capability{int(n>>4) + int(n&3), 0})))
		}
	}
	return s
}

func FuzzParseCUDA(f *testing.F) {
	for _, s := range []string{"12.4", "cu129", "13", "12.4.1", "cu9999999999", "-1.2", "12.-4", "cu12é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCUDA(s)
		if err != nil {
			return
		}
		if back, err := ParseCUDA(c.String()); err != nil || back != c {
			t.Fatalf("%q reads as %s, which does not survive printing: %v", s, c, err)
		}
	})
}
