package ssh

import (
	"context"
	"strconv"
	"strings"
	"time"

	"justright/internal/provider/onhost"
	"justright/version"
)

// factsFor is how long what was read of the machine counts: free disk and memory move.
const factsFor = 30 * time.Second

// staleFor is how long they must do while the machine does not answer.
const staleFor = 10 * time.Minute

// Describe looks at the machine. It takes a moment: nvidia-smi and each Python are run there.
func (p *Provider) Describe(ctx context.Context) (onhost.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked.IsZero() && p.c.Now().Sub(p.asked) < factsFor {
		return p.facts, nil
	}
	a, err := p.ask(ctx, "offers", "facts", nil, "")
	if err != nil && isLost(err) && !p.asked.IsZero() && p.c.Now().Sub(p.asked) < staleFor {
		return p.facts, nil // a lost connection changes no machine
	}
	if err != nil {
		return onhost.Machine{}, err
	}
	p.facts, p.asked = machineOf(a.lines), p.c.Now()
	return p.facts, nil
}

// machineOf reads the lines of do_facts.
func machineOf(lines []string) onhost.Machine {
	var m onhost.Machine
	var query, banner []string
	for _, l := range lines {
		word, rest, _ := strings.Cut(l, " ")
		f := strings.Fields(rest)
		switch word {
		case "system":
			m.System = rest
		case "cpus":
			m.CPUs, _ = strconv.Atoi(rest)
		case "kib":
			if len(f) == 2 {
				kib, _ := strconv.ParseInt(f[1], 10, 64)
				if f[0] == "MemTotal" {
					m.MemoryBytes = kib << 10
				} else {
					m.FreeBytes = kib << 10
				}
			}
		case "limit": // of the container that ssh reaches
			if n, err := strconv.ParseInt(rest, 10, 64); err == nil && n > 0 && (m.MemoryBytes == 0 || n < m.MemoryBytes) {
				m.MemoryBytes, m.FreeBytes = n, min(m.FreeBytes, n)
			}
		case "disk":
			m.DiskBytes = available(f)
		case "shm":
			m.ShmBytes = available(f)
		case "unwritable":
			m.Lacks = append(m.Lacks, "a directory it may write: "+rest)
		case "noexec":
			m.Lacks = append(m.Lacks, "leave to run programs below "+rest+" (noexec)")
		case "libc":
			if v, ok := strings.CutPrefix(rest, "glibc "); ok {
				m.Glibc, _ = version.ParseGlibc(v)
			}
		case "lacks":
			m.Lacks = append(m.Lacks, rest)
		case "python":
			m.Pythons = append(m.Pythons, rest)
		case "gpu":
			query = append(query, rest)
		case "smi":
			banner = append(banner, rest)
		case "broken":
			m.Problem = rest
		}
	}
	m.TakeSMI(strings.Join(query, "\n"), strings.Join(banner, "\n"))
	return m
}

// available is the fourth column of df -Pk, in bytes. A long name of a device does not break the line with -P.
func available(f []string) int64 {
	if len(f) < 4 {
		return 0
	}
	kib, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
