package money

import (
	"encoding/json"
	"testing"
	"time"
)

func TestParseAndString(t *testing.T) {
	for in, want := range map[string]string{
		"0.27": "0.27", "$18.2": "18.20", "2": "2.00", ".5": "0.50", "0.000075": "0.000075", "-1.5": "-1.50",
		"0.1234567899": "0.123456789",
	} {
		u, err := Parse(in)
		if err != nil || u.String() != want {
			t.Errorf("Parse(%q) = %s, %v; want %s", in, u, err, want)
		}
	}
	for _, in := range []string{"", "$", ".", "1,5", "1e3", "free", "1.2.3", "--1", "99999999999"} {
		if u, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", in, u)
		}
	}
}

func TestCents(t *testing.T) {
	for u, want := range map[USD]string{4_999_999: "0.00", 5_000_000: "0.01", 1_995_000_000: "2.00", -270_000_000: "-0.27"} {
		if got := u.Cents(); got != want {
			t.Errorf("%d.Cents() = %s, want %s", int64(u), got, want)
		}
	}
}

func TestForIsExactAndRoundsUp(t *testing.T) {
	price := 270 * Dollar / 1000
	if got := price.For(time.Hour); got != price {
		t.Errorf("an hour at %s costs %s", price, got)
	}
	if got := price.For(time.Second); got != 75_000 {
		t.Errorf("a second at %s costs %s", price, got)
	}
	if got := (Dollar).For(time.Second); got != 277_778 {
		t.Errorf("a second at 1.00 costs %d billionths, want 277778 (rounded up)", int64(got))
	}
	if got := (80 * Dollar).For(365 * 24 * time.Hour); got != 80*24*365*Dollar {
		t.Errorf("a year at 80.00/h costs %s", got)
	}
	if got := price.For(-time.Second); got != 0 {
		t.Errorf("the meter runs backwards: %s", got)
	}
	var last USD
	for d := time.Duration(0); d < 3*time.Second; d += 7 * time.Millisecond {
		got := price.For(d)
		if got < last {
			t.Fatalf("cost falls at %s", d)
		}
		last = got
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(struct {
		P *USD `json:"p"`
	}{})
	if err != nil || string(b) != `{"p":null}` {
		t.Errorf("unknown price is %s, %v", b, err)
	}
	for in, want := range map[string]USD{`"0.27"`: 270_000_000, `0.69`: 690_000_000} {
		var u USD
		if err := json.Unmarshal([]byte(in), &u); err != nil || u != want {
			t.Errorf("unmarshal %s = %s, %v", in, u, err)
		}
	}
	var u USD
	if json.Unmarshal([]byte(`true`), &u) == nil {
		t.Error("true is an amount")
	}
}

func FuzzParseRoundTrip(f *testing.F) {
	f.Add("0.27")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		if v, err := Parse(u.String()); err != nil || v != u {
			t.Errorf("%q → %s → %s, %v", s, u, v, err)
		}
	})
}
