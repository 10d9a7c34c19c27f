package version

import "testing"

func TestParseHardware(t *testing.T) {
	for in, want := range map[string]string{"12.4": "12.4", "12.4.1": "12.4", "cu124": "12.4", "cu118": "11.8", "13": "13.0", "cu130": "13.0"} {
		if c, err := ParseCUDA(in); err != nil || c.String() != want {
			t.Errorf("ParseCUDA(%q) = %s, %v; want %s", in, c, err, want)
		}
	}
	for in, want := range map[string]string{"570.86.10": "570.86.10", "570": "570", "R535": "535", "550.54": "550.54", "525.60.13": "525.60.13", "580.65.06": "580.65.06"} {
		if d, err := ParseDriver(in); err != nil || d.String() != want {
			t.Errorf("ParseDriver(%q) = %s, %v; want %s", in, d, err, want)
		}
	}
	for in, want := range map[string]string{"8.6": "8.6", "86": "8.6", "sm_86": "8.6", "SM120": "12.0", "12.1a": "12.1", "9.0a": "9.0", "sm_103f": "10.3"} {
		if c, err := ParseCapability(in); err != nil || c.String() != want {
			t.Errorf("ParseCapability(%q) = %s, %v; want %s", in, c, err, want)
		}
	}
	for in, want := range map[string]string{"2.35": "2.35", "glibc 2.31": "2.31"} {
		if g, err := ParseGlibc(in); err != nil || g.String() != want {
			t.Errorf("ParseGlibc(%q) = %s, %v; want %s", in, g, err, want)
		}
	}
	for _, in := range []string{"", "x", "-1", "12.x", "cuda", "99999.1", "0"} {
		if c, err := ParseCUDA(in); err == nil {
			t.Errorf("ParseCUDA(%q) = %s", in, c)
		}
		if d, err := ParseDriver(in + ".a"); err == nil {
			t.Errorf("ParseDriver(%q) = %s", in, d)
		}
		if c, err := ParseCapability(in); err == nil {
			t.Errorf("ParseCapability(%q) = %s", in, c)
		}
	}
}

func TestHardwareOrder(t *testing.T) {
	older, _ := ParseDriver("570.86.10")
	newer, _ := ParseDriver("570.124.06")
	if older.Compare(newer) >= 0 {
		t.Error("570.86.10 is not older than 570.124.06")
	}
	a, b := CUDA{12, 9}, CUDA{13, 0}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("CUDA order")
	}
	if (Capability{8, 6}).Compare(Capability{12, 0}) >= 0 {
		t.Error("8.6 is not below 12.0")
	}
}

func TestHardwareText(t *testing.T) {
	for _, in := range []string{"", "12.8"} {
		var c CUDA
		if err := c.UnmarshalText([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if b, err := c.MarshalText(); err != nil || string(b) != in {
			t.Errorf("text %q came back as %q, %v", in, b, err)
		}
	}
}
