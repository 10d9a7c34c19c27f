package version

import (
	"fmt"
	"strconv"
	"strings"
)

// CUDA is a CUDA toolkit or driver-API version, major.minor. The zero value is not a version.
type CUDA struct{ Major, Minor int }

// ParseCUDA reads "12.4", "12.4.1" (the patch is dropped), "cu124" or "13".
func ParseCUDA(s string) (CUDA, error) {
	t := strings.TrimSpace(s)
	if d, ok := strings.CutPrefix(t, "cu"); ok && len(d) >= 3 && !strings.Contains(d, ".") {
		t = d[:len(d)-1] + "." + d[len(d)-1:]
	}
	a, b, err := twoParts(t)
	if err != nil || a < 1 {
		return CUDA{}, fmt.Errorf("%q is not a CUDA version like 12.4", s)
	}
	return CUDA{a, b}, nil
}

// IsZero reports whether no version is stated.
func (c CUDA) IsZero() bool { return c == CUDA{} }

// Compare orders by major, then minor.
func (c CUDA) Compare(o CUDA) int { return comparePairs(c.Major, c.Minor, o.Major, o.Minor) }

func (c CUDA) String() string { return fmt.Sprintf("%d.%d", c.Major, c.Minor) }

// Tag is the suffix wheels carry: "cu124".
func (c CUDA) Tag() string { return fmt.Sprintf("cu%d%d", c.Major, c.Minor) }

// MarshalText writes "12.4", or nothing for the zero value.
func (c CUDA) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads what ParseCUDA reads; empty text is the zero value.
func (c *CUDA) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*c = CUDA{}
		return nil
	}
	*c, err = ParseCUDA(string(b))
	return err
}

// Driver is an NVIDIA driver version such as 570.86.10. The zero value is not a version.
type Driver struct{ Branch, Minor, Patch int }

// ParseDriver reads "570", "570.86" or "570.86.10"; a leading R ("R570") is taken too.
func ParseDriver(s string) (Driver, error) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimSpace(s), "R"), ".")
	if len(parts) > 3 {
		return Driver{}, fmt.Errorf("%q is not a driver version like 570.86.10", s)
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 || v > 9999 {
			return Driver{}, fmt.Errorf("%q is not a driver version like 570.86.10", s)
		}
		n[i] = v
	}
	if n[0] == 0 {
		return Driver{}, fmt.Errorf("%q is not a driver version like 570.86.10", s)
	}
	return Driver{n[0], n[1], n[2]}, nil
}

// IsZero reports whether no version is stated.
func (d Driver) IsZero() bool { return d == Driver{} }

// Compare orders numerically, component by component.
func (d Driver) Compare(o Driver) int {
	if c := comparePairs(d.Branch, d.Minor, o.Branch, o.Minor); c != 0 {
		return c
	}
	return comparePairs(d.Patch, 0, o.Patch, 0)
}

func (d Driver) String() string {
	if d.Patch != 0 {
		return fmt.Sprintf("%d.%02d.%02d", d.Branch, d.Minor, d.Patch)
	}
	if d.Minor != 0 {
		return fmt.Sprintf("%d.%02d", d.Branch, d.Minor)
	}
	return strconv.Itoa(d.Branch)
}

// MarshalText writes the version, or nothing for the zero value.
func (d Driver) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what ParseDriver reads; empty text is the zero value.
func (d *Driver) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Driver{}
		return nil
	}
	*d, err = ParseDriver(string(b))
	return err
}

// Capability is a CUDA compute capability such as 8.6. The zero value is not a capability.
type Capability struct{ Major, Minor int }

// ParseCapability reads "8.6", "86", "sm_86", "SM120" or "12.0".
func ParseCapability(s string) (Capability, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	t = strings.TrimPrefix(strings.TrimPrefix(t, "sm"), "_")
	t = strings.TrimRight(t, "af") // 9.0a, 12.0f: feature sets of the same chip
	if !strings.Contains(t, ".") && len(t) >= 2 {
		t = t[:len(t)-1] + "." + t[len(t)-1:]
	}
	a, b, err := twoParts(t)
	if err != nil || a < 1 {
		return Capability{}, fmt.Errorf("%q is not a compute capability like 8.6", s)
	}
	return Capability{a, b}, nil
}

// IsZero reports whether no capability is stated.
func (c Capability) IsZero() bool { return c == Capability{} }

// Compare orders by major, then minor.
func (c Capability) Compare(o Capability) int {
	return comparePairs(c.Major, c.Minor, o.Major, o.Minor)
}

func (c Capability) String() string { return fmt.Sprintf("%d.%d", c.Major, c.Minor) }

// MarshalText writes "8.6", or nothing for the zero value.
func (c Capability) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads what ParseCapability reads; empty text is the zero value.
func (c *Capability) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*c = Capability{}
		return nil
	}
	*c, err = ParseCapability(string(b))
	return err
}

// Glibc is a GNU C library version such as 2.35. The zero value is not a version.
type Glibc struct{ Major, Minor int }

// ParseGlibc reads "2.35" or "glibc 2.35".
func ParseGlibc(s string) (Glibc, error) {
	t := strings.TrimSpace(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "glibc"))
	a, b, err := twoParts(t)
	if err != nil || a < 1 {
		return Glibc{}, fmt.Errorf("%q is not a glibc version like 2.35", s)
	}
	return Glibc{a, b}, nil
}

// IsZero reports whether no version is stated.
func (g Glibc) IsZero() bool { return g == Glibc{} }

// Compare orders by major, then minor.
func (g Glibc) Compare(o Glibc) int { return comparePairs(g.Major, g.Minor, o.Major, o.Minor) }

func (g Glibc) String() string { return fmt.Sprintf("%d.%d", g.Major, g.Minor) }

// MarshalText writes "2.35", or nothing for the zero value.
func (g Glibc) MarshalText() ([]byte, error) {
	if g.IsZero() {
		return nil, nil
	}
	return []byte(g.String()), nil
}

// UnmarshalText reads what ParseGlibc reads; empty text is the zero value.
func (g *Glibc) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*g = Glibc{}
		return nil
	}
	*g, err = ParseGlibc(string(b))
	return err
}

// twoParts reads "A", "A.B" or "A.B.anything" as two small numbers.
func twoParts(s string) (a, b int, err error) {
	parts := strings.SplitN(s, ".", 3)
	if a, err = strconv.Atoi(parts[0]); err != nil {
		return 0, 0, err
	}
	if len(parts) > 1 {
		if b, err = strconv.Atoi(parts[1]); err != nil {
			return 0, 0, err
		}
	}
	if a < 0 || b < 0 || a > 999 || b > 999 {
		return 0, 0, strconv.ErrRange
	}
	return a, b, nil
}

func comparePairs(a1, b1, a2, b2 int) int {
	switch {
	case a1 != a2 && a1 < a2, a1 == a2 && b1 < b2:
		return -1
	case a1 == a2 && b1 == b2:
		return 0
	default:
		return 1
	}
}
