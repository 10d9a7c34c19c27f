package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"justright/version"
)

// Require is a condition an image puts on its host, in the language of NVIDIA_REQUIRE_CUDA: blanks separate
// alternatives, commas join conditions, and each condition compares cuda, driver, arch or brand. It is evaluated
// as nvidia-container-cli does in legacy mode; newer container toolkits (CDI, the default from 1.18.0) skip it.
// https://github.com/NVIDIA/nvidia-container-toolkit (README "CUDA requirements", internal/requirements)
type Require struct {
	any []requireAll
}

type requireAll []requireTerm

type requireTerm struct {
	property, op, value string
	want                [3]int // value in numbers, unless it is a brand
}

// RequireHost is what the conditions are compared with. Zero fields are unknown.
type RequireHost struct {
	CUDA       version.CUDA // highest version the driver offers
	Driver     version.Driver
	Capability version.Capability
	Brand      string // as NVML names it, lower case without blanks: "geforce", "nvidia", "tesla", "quadrortx"
}

// ParseRequire reads one expression. An empty one is satisfied by every host.
func ParseRequire(expr string) (Require, error) {
	var r Require
	for group := range strings.FieldsSeq(expr) {
		var all requireAll
		for cond := range strings.SplitSeq(group, ",") {
			if cond == "" {
				continue
			}
			t, err := parseRequireTerm(cond)
			if err != nil {
				return Require{}, err
			}
			all = append(all, t)
		}
		if len(all) > 0 {
			r.any = append(r.any, all)
		}
	}
	return r, nil
}

func parseRequireTerm(cond string) (requireTerm, error) {
	i := strings.IndexAny(cond, "=!<>")
	if i < 0 {
		return requireTerm{}, fmt.Errorf("condition %q compares nothing", cond)
	}
	t := requireTerm{property: strings.ToLower(cond[:i])}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if value, ok := strings.CutPrefix(cond[i:], op); ok {
			t.op, t.value = op, value
			break
		}
	}
	switch {
	case t.op == "" || t.value == "":
		return t, fmt.Errorf("condition %q is not PROPERTY OPERATOR VALUE", cond)
	case t.property == "brand":
		if t.op != "=" && t.op != "!=" {
			return t, fmt.Errorf("condition %q: brands are only equal or not", cond)
		}
	case t.property == "cuda", t.property == "driver", t.property == "arch":
		var err error
		if t.want, err = numbers(t.value); err != nil {
			return t, fmt.Errorf("condition %q: %q is not a version", cond, t.value)
		}
	default:
		return t, fmt.Errorf("condition %q: unknown property %q", cond, t.property)
	}
	return t, nil
}

// numbers reads up to three dotted numbers; missing ones are zero.
func numbers(s string) (n [3]int, err error) {
	parts := strings.Split(strings.TrimRight(s, "."), ".")
	if len(parts) > 3 {
		return n, strconv.ErrRange
	}
	for i, p := range parts {
		if n[i], err = strconv.Atoi(p); err != nil || n[i] < 0 {
			return n, strconv.ErrSyntax
		}
	}
	return n, nil
}

// Admits evaluates the expression. Present means the host is admitted, Absent that it is refused; then unmet is the
// first condition, which the tool names in "unsatisfied condition: …". Uncertain means that it depends on
// something of the host that is not known.
func (r Require) Admits(h RequireHost) (verdict Presence, unmet string) {
	if len(r.any) == 0 {
		return Present, ""
	}
	verdict = Absent
	for _, all := range r.any {
		switch all.admits(h) {
		case Present:
			return Present, ""
		case Uncertain:
			verdict = Uncertain
		case Absent:
		}
	}
	return verdict, r.any[0][0].String()
}

func (all requireAll) admits(h RequireHost) Presence {
	verdict := Present
	for _, t := range all {
		switch t.holds(h) {
		case Absent:
			return Absent
		case Uncertain:
			verdict = Uncertain
		case Present:
		}
	}
	return verdict
}

func (t requireTerm) holds(h RequireHost) Presence {
	var have [3]int
	switch t.property {
	case "cuda":
		have = [3]int{h.CUDA.Major, h.CUDA.Minor}
	case "driver":
		have = [3]int{h.Driver.Branch, h.Driver.Minor, h.Driver.Patch}
		if !h.Driver.IsZero() && h.Driver.Minor == 0 && t.needsMinor(h.Driver.Branch) {
			return Uncertain // only the branch is known
		}
	case "arch":
		have = [3]int{h.Capability.Major, h.Capability.Minor}
	default:
		if h.Brand == "" {
			return Uncertain
		}
		return presence(strings.EqualFold(h.Brand, t.value) == (t.op == "="))
	}
	if have[0] == 0 {
		return Uncertain
	}
	c := slices.Compare(have[:], t.want[:])
	switch t.op {
	case "=":
		return presence(c == 0)
	case "!=":
		return presence(c != 0)
	case "<":
		return presence(c < 0)
	case "<=":
		return presence(c <= 0)
	case ">":
		return presence(c > 0)
	default:
		return presence(c >= 0)
	}
}

// needsMinor reports whether a driver of which only the branch is known cannot be compared with the value.
func (t requireTerm) needsMinor(branch int) bool {
	return t.want[0] == branch && (t.want[1] != 0 || t.want[2] != 0 || t.op != ">=" && t.op != "<")
}

func presence(b bool) Presence {
	if b {
		return Present
	}
	return Absent
}

func (t requireTerm) String() string { return t.property + t.op + t.value }

// CUDAFloor is the CUDA version of an alternative that asks for "cuda>=X" alone; zero when there is none.
func (r Require) CUDAFloor() version.CUDA {
	for _, all := range r.any {
		if len(all) == 1 && all[0].property == "cuda" && all[0].op == ">=" {
			if c, err := version.ParseCUDA(all[0].value); err == nil {
				return c
			}
		}
	}
	return version.CUDA{}
}

// String writes the expression back.
func (r Require) String() string {
	groups := make([]string, len(r.any))
	for i, all := range r.any {
		terms := make([]string, len(all))
		for j, t := range all {
			terms[j] = t.String()
		}
		groups[i] = strings.Join(terms, ",")
	}
	return strings.Join(groups, " ")
}

// RequiresOf finds the conditions in an image's environment, in the order of the variables' names: each
// NVIDIA_REQUIRE_* must hold. NVIDIA_DISABLE_REQUIRE with a true value drops all; an old image that states only
// CUDA_VERSION asks for that version.
func RequiresOf(env map[string]string) ([]Require, error) {
	if off, err := strconv.ParseBool(env["NVIDIA_DISABLE_REQUIRE"]); err == nil && off {
		return nil, nil
	}
	var names []string
	for name := range env {
		if strings.HasPrefix(name, "NVIDIA_REQUIRE_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []Require
	for _, name := range names {
		r, err := ParseRequire(env[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, r)
	}
	if env["NVIDIA_REQUIRE_CUDA"] == "" && env["CUDA_VERSION"] != "" {
		if c, err := version.ParseCUDA(env["CUDA_VERSION"]); err == nil {
			out = append(out, Require{any: []requireAll{{{"cuda", ">=", c.String(), [3]int{c.Major, c.Minor}}}}})
		}
	}
	return out, nil
}
