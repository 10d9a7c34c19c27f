package catalog

import (
	"strings"
	"testing"

	"justright/version"
)

func host(cuda, driver, capability, brand string) (h RequireHost) {
	_ = h.CUDA.UnmarshalText([]byte(cuda))
	_ = h.Driver.UnmarshalText([]byte(driver))
	_ = h.Capability.UnmarshalText([]byte(capability))
	h.Brand = brand
	return h
}

func TestRequireAdmits(t *testing.T) {
	s := load(t)
	gate := func(c string) string {
		cuda, _ := version.ParseCUDA(c)
		expr, exact, ok := s.GateOf(cuda)
		if !ok || !exact {
			t.Fatalf("gate of CUDA %s is not known", c)
		}
		return expr
	}
	for _, c := range []struct {
		name, expr string
		h          RequireHost
		want       Presence
	}{
		{"new enough", gate("12.9"), host("12.9", "575.57.08", "8.9", "geforce"), Present},
		{"consumer card on an old branch", gate("12.9"), host("12.8", "570.86.10", "8.9", "geforce"), Absent},
		{"data-centre card on a listed branch", gate("12.9"), host("12.4", "550.54.15", "8.0", "nvidia"), Present},
		{"data-centre card on an odd branch", gate("12.9"), host("12.3", "545.23", "8.0", "nvidia"), Absent},
		{"13.0 lists no 560", gate("13.0"), host("12.6", "560.35.03", "9.0", "nvidia"), Absent},
		{"13.0 lists 575", gate("13.0"), host("12.9", "575.10", "9.0", "nvidia"), Present},
		{"12.4 still lists GeForce", gate("12.4"), host("12.2", "535.10", "8.9", "geforce"), Present},
		{"12.8 lists no GeForce", gate("12.8"), host("12.4", "550.10", "8.9", "geforce"), Absent},
		{"brand unknown, branch listed", gate("12.9"), host("12.4", "550.54.15", "", ""), Uncertain},
		{"brand known, driver unknown", gate("12.9"), host("12.8", "", "", "nvidia"), Uncertain},
		{"nothing known", gate("12.9"), RequireHost{}, Uncertain},
		{"only CUDA known and enough", gate("12.9"), host("13.0", "", "", ""), Present},
		{"consumer brand settles it without a driver", gate("12.9"), host("12.8", "", "", "geforce"), Absent},
		{"blank is or, comma is and", "cuda>=99 driver>=500,arch>=8.0", host("12.0", "525.60.13", "8.6", ""), Present},
		{"and fails", "driver>=500,arch>=9.0", host("12.0", "525.60.13", "8.6", ""), Absent},
		{"not equal", "brand!=geforce", host("", "", "", "GeForce"), Absent},
		{"empty", "", RequireHost{}, Present},
		{"three numbers", "driver>=570.86.10", host("", "570.86.9", "", ""), Absent},
		{"only the branch known", "driver>=570.86.10", host("", "570", "", ""), Uncertain},
		{"only the branch known, branch condition", "driver>=570,driver<571", host("", "570", "", ""), Present},
	} {
		r, err := ParseRequire(c.expr)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, unmet := r.Admits(c.h)
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if (got == Present) != (unmet == "") || got == Absent && !strings.HasPrefix(c.expr, unmet) {
			t.Errorf("%s: unmet %q", c.name, unmet)
		}
	}
}

func TestParseRequireRefuses(t *testing.T) {
	for _, expr := range []string{"cuda", "cuda>=", ">=12", "cuda>=x", "colour=red", "brand>=tesla", "cuda>=1.2.3.4", "driver=-1", "cuda==12"} {
		if r, err := ParseRequire(expr); err == nil {
			t.Errorf("ParseRequire(%q) = %s, want an error", expr, r)
		}
	}
}

func TestRequiresOf(t *testing.T) {
	old := host("12.1", "530.30.02", "8.9", "geforce")
	for _, c := range []struct {
		name string
		env  map[string]string
		want Presence
	}{
		{"none", map[string]string{"PATH": "/bin"}, Present},
		{"one", map[string]string{"NVIDIA_REQUIRE_CUDA": "cuda>=12.9"}, Absent},
		{"all must hold", map[string]string{"NVIDIA_REQUIRE_CUDA": "cuda>=12.0", "NVIDIA_REQUIRE_ARCH": "arch>=9.0"}, Absent},
		{"disabled", map[string]string{"NVIDIA_REQUIRE_CUDA": "cuda>=12.9", "NVIDIA_DISABLE_REQUIRE": "true"}, Present},
		{"not disabled by a word", map[string]string{"NVIDIA_REQUIRE_CUDA": "cuda>=12.9", "NVIDIA_DISABLE_REQUIRE": "yes"}, Absent},
		{"legacy image", map[string]string{"CUDA_VERSION": "12.4.1"}, Absent},
	} {
		rs, err := RequiresOf(c.env)
		if err != nil {
			t.Fatal(err)
		}
		got := Present
		for _, r := range rs {
			if p, _ := r.Admits(old); p != Present {
				got = p
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzParseRequire(f *testing.F) {
	f.Add("cuda>=12.9 brand=tesla,driver>=535,driver<536", 12, 550)
	f.Add("arch!=7.5  ,,cuda<13", 13, 0)
	f.Fuzz(func(t *testing.T, expr string, cuda, driver int) {
		r, err := ParseRequire(expr)
		if err != nil {
			return
		}
		again, err := ParseRequire(r.String())
		if err != nil {
			t.Fatalf("%q prints as %q, which is refused: %v", expr, r, err)
		}
		h := RequireHost{CUDA: version.CUDA{Major: max(0, cuda)}, Driver: version.Driver{Branch: max(0, driver)}, Brand: "tesla"}
		a, _ := r.Admits(h)
		if b, _ := again.Admits(h); a != b {
			t.Fatalf("%q and its print %q disagree: %s, %s", expr, r, a, b)
		}
		r.CUDAFloor()
	})
}
