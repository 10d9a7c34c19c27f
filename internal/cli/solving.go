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
		r.HostMemory = machineMemory()
	}
	return solve.Solve(s, r), nil
}

// machineMemory is this machine's memory as Linux tells it; 0 where it does not.
func machineMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
