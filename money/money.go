// Package money counts US dollars exactly: prices per hour, costs per second, budgets and receipts.
package money

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// USD is an amount in billionths of a dollar, so that one second of the cheapest card is still a whole
// number and sums of receipts do not drift.
type USD int64

// Dollar is one US dollar.
const Dollar USD = 1_000_000_000

// Parse reads a decimal amount such as "0.27" or "$18.2". At most nine digits may follow the point.
func Parse(s string) (USD, error) {
	t := strings.TrimPrefix(strings.TrimSpace(s), "$")
	neg := strings.HasPrefix(t, "-")
	t = strings.TrimPrefix(t, "-")
	whole, frac, _ := strings.Cut(t, ".")
	if whole == "" && frac == "" {
		return 0, fmt.Errorf("amount %q is not a decimal number of dollars", s)
	}
	if whole == "" {
		whole = "0"
	}
	if len(frac) > 9 {
		frac = frac[:9]
	}
	w, err := strconv.ParseUint(whole, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("amount %q is not a decimal number of dollars", s)
	}
	f, err := strconv.ParseUint((frac + "000000000")[:9], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("amount %q is not a decimal number of dollars", s)
	}
	v := USD(w)*Dollar + USD(f)
	if neg {
		v = -v
	}
	return v, nil
}

// FromFloat converts an amount that arrived as a JSON number (provider price lists), to the nearest billionth.
func FromFloat(f float64) USD {
	if f < 0 {
		return -FromFloat(-f)
	}
	return USD(f*float64(Dollar) + 0.5)
}

// String is the exact decimal with at least two digits after the point: "0.27", "0.000075".
func (u USD) String() string {
	sign := ""
	if u < 0 {
		sign, u = "-", -u
	}
	frac := strings.TrimRight(fmt.Sprintf("%09d", int64(u%Dollar)), "0")
	for len(frac) < 2 {
		frac += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, int64(u/Dollar), frac)
}

// Cents is the amount rounded to cents, for people: "0.27".
func (u USD) Cents() string {
	sign := ""
	if u < 0 {
		sign, u = "-", -u
	}
	c := (int64(u) + 5_000_000) / 10_000_000
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

// For is what an hourly price costs over d, rounded up to the next billionth (the meter never runs backwards).
func (u USD) For(d time.Duration) USD {
	if d <= 0 || u == 0 {
		return 0
	}
	s, rest := int64(d/time.Second), int64(d%time.Second)
	total := int64(u) / 3600 * s
	rem := int64(u) % 3600 * s
	total += rem / 3600
	tail := float64(rem%3600)/3600 + float64(u)/3600*float64(rest)/float64(time.Second)
	if t := int64(tail); float64(t) < tail {
		return USD(total + t + 1)
	}
	return USD(total + int64(tail))
}

// Float is the amount in dollars, for ratios and charts only.
func (u USD) Float() float64 { return float64(u) / float64(Dollar) }

// MarshalJSON writes the exact decimal as a string.
func (u USD) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// UnmarshalJSON reads a decimal string, or a plain JSON number.
func (u *USD) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	v, err := Parse(s)
	if err != nil {
		return err
	}
	*u = v
	return nil
}
