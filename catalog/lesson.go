package catalog

import (
	"fmt"
	"strings"
)

// Words says what a lesson asks of the next stack, in one line: "on rtx-a5000: --max-model-len 74784".
func (l Lesson) Words() string {
	var about []string
	for _, s := range []string{l.Model, l.Engine, l.Image} {
		if s != "" {
			about = append(about, s)
		}
	}
	if l.GPU != "" {
		about = append(about, "on "+l.GPU)
	}
	if !l.WheelCUDA.IsZero() {
		about = append(about, "built for CUDA "+l.WheelCUDA.String()+" or newer")
	}
	var asks []string
	say := func(set bool, format string, args ...any) {
		if set {
			asks = append(asks, fmt.Sprintf(format, args...))
		}
	}
	say(l.Forbid, "not again")
	say(!l.MinHostCUDA.IsZero(), "a host with CUDA %s or newer", l.MinHostCUDA)
	say(l.MinEngine != "", "an engine from %s on", l.MinEngine)
	say(l.MaxEngine != "", "an engine up to %s", l.MaxEngine)
	say(l.MinTransformers != "", "transformers %s or newer", l.MinTransformers)
	say(l.MoreMemoryBytes > 0, "at least %.1f GiB more memory", float64(l.MoreMemoryBytes)/(1<<30))
	say(l.MoreDiskBytes > 0, "%d GiB more disk", (l.MoreDiskBytes+1<<30-1)>>30)
	say(len(l.AddFlags) > 0, "with %s", strings.Join(l.AddFlags, " "))
	say(len(l.DropFlags) > 0, "without %s", strings.Join(l.DropFlags, " "))
	say(l.ExcludeHost != "", "not in %s", l.ExcludeHost)
	if len(asks) == 0 {
		asks = []string{"nothing"}
	}
	if len(about) == 0 {
		return strings.Join(asks, ", ")
	}
	return strings.Join(about, " ") + ": " + strings.Join(asks, ", ")
}
