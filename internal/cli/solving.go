package cli

import (
	"os"
	"strconv"
	"strings"

	"justright/solve"
)

// solve asks the resolver.
func (w *World) solve(r solve.Request) (solve.Result, error) {
	s, err := w.facts()
	if err != nil {
		return solve.Result{}, err
	}
	if r.Target == onLocal && r.HostMemory == 0 {
		r.HostMemory, r.HostFree = machineMemory()
		r.HostAMX = processorAMX()
	}
	return solve.Solve(s, r), nil
}

// machineMemory is this machine's memory, and what programs can still have of it, as Linux tells it; 0 where it does not.
func machineMemory() (total, free int64) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "MemTotal":
			total = kib << 10
		case name == "MemAvailable":
			free = kib << 10
		}
	}
	return total, free
}

// processorAMX reports whether this machine's processor has AMX tiles, as Linux tells it; nil where it does not.
func processorAMX() *bool {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	has := strings.Contains(string(b), " amx_tile")
	return &has
}
