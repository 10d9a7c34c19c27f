package pyindex

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"justright/version"
)

// Dist is what a file's name says.
type Dist struct {
	Project   string
	Version   version.PEP440
	Build     string   // build number of a rebuilt wheel, "" for none
	Sdist     bool     // source archive
	Pythons   []string // "cp38", "py3"
	ABIs      []string // "abi3", "none"
	Platforms []string // "manylinux_2_28_x86_64"
}

// ParseName reads a wheel's or sdist's file name; project tells where the version of an sdist begins.
func ParseName(project, name string) (Dist, error) {
	bad := fmt.Errorf("%.100q is no wheel or sdist name", name)
	if base, ok := strings.CutSuffix(name, ".whl"); ok {
		p := strings.Split(base, "-")
		if len(p) != 5 && len(p) != 6 {
			return Dist{}, bad
		}
		v, err := version.ParsePEP440(strings.ReplaceAll(p[1], "_", "-"))
		if err != nil {
			return Dist{}, bad
		}
		d := Dist{Project: Normalise(p[0]), Version: v}
		if len(p) == 6 {
			d.Build = p[2]
		}
		tags := p[len(p)-3:]
		d.Pythons, d.ABIs, d.Platforms = strings.Split(tags[0], "."), strings.Split(tags[1], "."), strings.Split(tags[2], ".")
		return d, nil
	}
	for _, ext := range []string{".tar.gz", ".zip"} {
		base, ok := strings.CutSuffix(name, ext)
		if !ok {
			continue
		}
		i := len(project)
		if len(base) <= i+1 || Normalise(base[:i]) != Normalise(project) || base[i] != '-' {
			return Dist{}, bad
		}
		v, err := version.ParsePEP440(base[i+1:])
		if err != nil {
			return Dist{}, bad
		}
		return Dist{Project: Normalise(project), Version: v, Sdist: true}, nil
	}
	return Dist{}, bad
}

var (
	manylinux       = regexp.MustCompile(`^manylinux_(\d+)_(\d+)_(\w+)$`)
	legacyManylinux = map[string]version.Glibc{"manylinux1": {Major: 2, Minor: 5}, "manylinux2010": {Major: 2, Minor: 12}, "manylinux2014": {Major: 2, Minor: 17}}
)

// Linux reports whether the wheel runs on Linux of a machine type ("x86_64"), and the glibc its tag asks for; a wheel for any
// platform asks for none.
func (d Dist) Linux(machine string) (g version.Glibc, ok bool) {
	for _, p := range d.Platforms {
		if p == "any" || p == "linux_"+machine {
			return version.Glibc{}, true
		}
		if m := manylinux.FindStringSubmatch(p); m != nil && m[3] == machine {
			g, err := version.ParseGlibc(m[1] + "." + m[2])
			return g, err == nil
		}
		for label, g := range legacyManylinux {
			if p == label+"_"+machine {
				return g, true
			}
		}
	}
	return version.Glibc{}, false
}

// ForPython reports whether the wheel installs into CPython 3.minor by its tags.
func (d Dist) ForPython(minor int) bool {
	cp := fmt.Sprintf("cp3%d", minor)
	if slices.Contains(d.Pythons, cp) || slices.Contains(d.Pythons, "py3") || slices.Contains(d.Pythons, fmt.Sprintf("py3%d", minor)) {
		return true
	}
	if !slices.Contains(d.ABIs, "abi3") {
		return false
	}
	for _, p := range d.Pythons {
		var floor int
		if n, err := fmt.Sscanf(p, "cp3%d", &floor); n == 1 && err == nil && minor >= floor {
			return true
		}
	}
	return false
}
