package catalog

import (
	"fmt"
	"strings"
	"time"

	"justright/version"
)

// Aspect is one thing that is known of a release.
type Aspect string

// The aspects of a release that Fact can state.
const (
	AspectReleased     Aspect = "released"
	AspectPython       Aspect = "python"
	AspectTorch        Aspect = "torch"
	AspectTransformers Aspect = "transformers"
	AspectWheelCUDA    Aspect = "wheel_cuda"
	AspectVariants     Aspect = "variants"
	AspectGlibc        Aspect = "glibc"
	AspectCapability   Aspect = "min_capability"
	AspectCode         Aspect = "capabilities"
	AspectImage        Aspect = "image"
)

// Fact states one aspect of the release.
func (r *Release) Fact(a Aspect) Fact {
	v := r.Version.String()
	f := Fact{ID: FactID(fmt.Sprintf("%s/%s/%s", r.Engine, v, a)), Standing: Derived}
	name := r.Engine + " " + v
	field := ""
	switch a {
	case AspectReleased:
		field, f.Statement = "date", fmt.Sprintf("%s was released on %s", name, r.Released)
	case AspectPython:
		field, f.Statement = "python", fmt.Sprintf("%s needs Python %s", name, orAny(r.Python.String()))
	case AspectTorch:
		field, f.Statement = "torch", fmt.Sprintf("%s needs torch ==%s", name, r.Torch)
	case AspectTransformers:
		field = "transformers"
		f.Statement = fmt.Sprintf("%s needs transformers %s", name, orAny(r.Transformers.String()))
		if !r.TransformersOnReleaseDay.IsZero() {
			f.Statement += fmt.Sprintf("; the newest that fits on its release day is %s", r.TransformersOnReleaseDay)
		}
	case AspectWheelCUDA:
		field = "cuda"
		if v, ok := r.Variant(version.CUDA{}); ok && !v.CUDA.IsZero() {
			f.Statement = fmt.Sprintf("the %s wheel on the package index is built for CUDA %s", name, v.CUDA)
		} else {
			f.Statement = fmt.Sprintf("the %s wheel on the package index is a CPU build", name)
		}
	case AspectVariants:
		field = "variants"
		f.Statement = fmt.Sprintf("%s is built for CUDA %s", name, r.builds())
	case AspectGlibc:
		field = "glibc"
		if len(r.Variants) > 0 {
			f.Statement = fmt.Sprintf("the %s wheel needs glibc %s or newer", name, r.Variants[0].Glibc)
		}
	case AspectCapability:
		field, f.Statement = "cap", fmt.Sprintf("%s needs compute capability %s or higher", name, r.MinCapability)
	case AspectCode:
		field, f.Statement = "archs", fmt.Sprintf("the %s wheel holds code for compute capabilities %s", name, r.code())
	case AspectImage:
		field, f.Statement = "image", fmt.Sprintf("the official image of %s is built on CUDA %s", name, r.ImageCUDA)
	}
	f.Source, f.Date = r.source(field)
	return f
}

func orAny(spec string) string {
	if spec == "" {
		return "of any version"
	}
	return spec
}

func (r *Release) builds() string {
	var b []string
	for _, v := range r.Variants {
		if !v.CUDA.IsZero() {
			b = append(b, v.CUDA.String())
		}
	}
	if len(b) == 0 {
		return "in no build that is known"
	}
	return strings.Join(b, ", ")
}

func (r *Release) code() string {
	if len(r.Variants) == 0 {
		return ""
	}
	var b []string
	for _, c := range r.Variants[0].Capabilities {
		b = append(b, c.String())
	}
	return strings.Join(b, ", ")
}

// readOn finds ", read 2026-11-25" in the text of a source.
func readOn(s string) (day string, ok bool) {
	for {
		_, rest, found := strings.Cut(s, ", read ")
		if !found {
			return "", false
		}
		if len(rest) >= len(time.DateOnly) && dayShaped(rest[:len(time.DateOnly)]) {
			return rest[:len(time.DateOnly)], true
		}
		s = rest
	}
}

func dayShaped(s string) bool {
	for i, c := range []byte(s) {
		if dash := i == 4 || i == 7; dash != (c == '-') || !dash && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// source expands the place a field was read, and finds the day: the day of reading when it is stated, else the
// day of the release.
func (r *Release) source(field string) (source, date string) {
	s, ok := r.sources[field]
	if !ok {
		if s, ok = r.sources["*"]; !ok {
			return "package index: " + r.Engine + " " + r.Version.String(), r.Released
		}
	}
	if strings.Contains(s, "{") {
		s = strings.ReplaceAll(s, "{v}", r.Version.String())
		s = strings.ReplaceAll(s, "{commit}", short(r.commit))
		s = strings.ReplaceAll(s, "{wheel}", r.wheel)
	}
	if day, ok := readOn(s); ok {
		return s, day
	}
	return s, r.Released
}

func short(commit string) string { return commit[:min(len(commit), 12)] }
