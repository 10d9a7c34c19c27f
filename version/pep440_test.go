package version

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden is what pip's own packaging library says; testdata/golden.py writes it.
type golden struct {
	Packaging  string              `json:"packaging"`
	Parsed     [][]json.RawMessage `json:"parsed"`
	Order      [][]json.RawMessage `json:"order"`
	Specifiers []struct {
		Spec             string
		OK               bool
		Admits, Contains []string
	} `json:"specifiers"`
}

func readGolden(t testing.TB) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Parsed) < 80 || len(g.Specifiers) < 50 {
		t.Fatalf("golden table holds only %d versions and %d specifiers", len(g.Parsed), len(g.Specifiers))
	}
	return g
}

func field[T any](t *testing.T, row []json.RawMessage, i int) (v T) {
	t.Helper()
	if err := json.Unmarshal(row[i], &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParsePEP440AgreesWithPackaging(t *testing.T) {
	for _, row := range readGolden(t).Parsed {
		in := field[string](t, row, 0)
		v, err := ParsePEP440(in)
		if len(row) == 1 {
			if err == nil {
				t.Errorf("ParsePEP440(%q) = %s, packaging refuses it", in, v)
			}
			continue
		}
		if err != nil {
			t.Errorf("ParsePEP440(%q): %v", in, err)
			continue
		}
		for i, got := range []string{v.String(), v.Public().String(), v.Base().String(), v.Local()} {
			if want := field[string](t, row, i+1); got != want {
				t.Errorf("%q: part %d is %q, want %q", in, i, got, want)
			}
		}
		if v.IsPrerelease() != field[bool](t, row, 5) || v.IsPostrelease() != field[bool](t, row, 6) {
			t.Errorf("%q: pre %v post %v", in, v.IsPrerelease(), v.IsPostrelease())
		}
	}
}

func TestCompareAgreesWithPackaging(t *testing.T) {
	order := readGolden(t).Order
	for i := range order {
		for j := range order {
			a, b := MustParsePEP440(field[string](t, order[i], 0)), MustParsePEP440(field[string](t, order[j], 0))
			want := field[int](t, order[i], 1) - field[int](t, order[j], 1)
			if got := a.Compare(b); sign(got) != sign(want) {
				t.Errorf("%s against %s: %d, want %d", a, b, got, sign(want))
			}
		}
	}
}

func sign(n int) int { return min(1, max(-1, n)) }

func TestSpecifierAgreesWithPackaging(t *testing.T) {
	g := readGolden(t)
	var all []string
	for _, row := range g.Parsed {
		if len(row) > 1 {
			all = append(all, field[string](t, row, 0))
		}
	}
	for _, c := range g.Specifiers {
		sp, err := ParseSpecifier(c.Spec)
		if (err == nil) != c.OK {
			t.Errorf("ParseSpecifier(%q): error %v, packaging accepts it: %v", c.Spec, err, c.OK)
			continue
		}
		if err != nil {
			continue
		}
		for _, s := range all {
			v := MustParsePEP440(s)
			if got, want := sp.Admits(v), slices.Contains(c.Admits, s); got != want {
				t.Errorf("%q admits %s: %v, want %v", c.Spec, s, got, want)
			}
			if got, want := sp.Contains(v), slices.Contains(c.Contains, s); got != want {
				t.Errorf("%q contains %s: %v, want %v", c.Spec, s, got, want)
			}
			checkSet(t, sp, v)
		}
		again, err := ParseSpecifier(sp.String())
		if err != nil || again.String() != sp.String() {
			t.Errorf("%q does not survive printing: %q, %v", c.Spec, sp, err)
		}
	}
}

// checkSet holds the set of a specifier to the specifier itself, on public versions.
func checkSet(t *testing.T, sp Specifier, v PEP440) {
	t.Helper()
	if v.Local() != "" || strings.Contains(sp.String(), "+") || strings.Contains(sp.String(), "===") {
		return
	}
	if got, want := sp.Set().Contains(v), sp.Admits(v); got != want {
		t.Errorf("%q as a set (%s) contains %s: %v, want %v", sp, sp.Set(), v, got, want)
	}
}

func TestNumbersAreBounded(t *testing.T) {
	for _, s := range []string{strings.Repeat("9", 19), "1." + strings.Repeat("9", 400), "1.0a" + strings.Repeat("1", 30)} {
		if v, err := ParsePEP440(s); err == nil {
			t.Errorf("ParsePEP440(%.30q) = %s, want an error", s, v)
		}
	}
	if v, err := ParsePEP440(strings.Repeat("0", 100) + "1"); err != nil || v.String() != "1" {
		t.Errorf("leading zeros: %s, %v", v, err)
	}
}

func TestZeroPEP440(t *testing.T) {
	var zero PEP440
	if !zero.IsZero() || zero.String() != "" || zero.Compare(MustParsePEP440("0.dev0")) >= 0 || zero.Compare(zero) != 0 {
		t.Error("the zero value is not below every version")
	}
	if (Specifier{}).Admits(zero) {
		t.Error("the empty specifier admits the zero value, which is no version")
	}
	var back PEP440
	if b, err := zero.MarshalText(); err != nil || back.UnmarshalText(b) != nil || !back.IsZero() {
		t.Error("the zero value does not survive its text")
	}
}
