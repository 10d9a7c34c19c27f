package local

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"justright/internal/provider/onhost"
)

// Machine is what this machine has.
type Machine = onhost.Machine

// Describe looks at this machine. It takes a moment: it runs nvidia-smi and each Python it finds.
func (p *Provider) Describe(ctx context.Context) Machine {
	m := Machine{CPUs: runtime.NumCPU(), MemoryBytes: memory(), DiskBytes: diskFree(p.c.CacheDir), Pythons: p.pythons(ctx)}
	smi := p.c.Find("nvidia-smi")
	if smi == "" {
		return m
	}
	out, err := p.run(ctx, smi, onhost.SMIQuery()...)
	if err != nil {
		m.Problem = strings.TrimSpace(string(out))
		return m
	}
	banner, err := p.run(ctx, smi)
	if err != nil {
		banner = nil
	}
	m.TakeSMI(string(out), string(banner))
	return m
}

// pythons lists the Python versions that work here, in our order of preference.
func (p *Provider) pythons(ctx context.Context) []string {
	root := ""
	for _, kv := range p.c.Environ {
		if v, ok := strings.CutPrefix(kv, "PYENV_ROOT="); ok {
			root = v
		}
		if v, ok := strings.CutPrefix(kv, "HOME="); ok && root == "" {
			root = filepath.Join(v, ".pyenv")
		}
	}
	versions := onhost.Pythons()
	works := make([]bool, len(versions))
	var wait sync.WaitGroup
	for i, v := range versions {
		candidates := []string{p.c.Find("python" + v), "/usr/bin/python" + v, p.c.Find("python3")}
		more, _ := filepath.Glob(filepath.Join(root, "versions", v+".*", "bin", "python3"))
		candidates = slices.DeleteFunc(append(candidates, more...), func(c string) bool { return c == "" })
		// A version manager's shim is half a second of shell scripts, and may fail: the others first.
		slices.SortStableFunc(candidates, func(a, b string) int { return strings.Count(a, "/shims/") - strings.Count(b, "/shims/") })
		wait.Go(func() {
			works[i] = slices.ContainsFunc(candidates, func(c string) bool {
				said, err := p.run(ctx, c, "-c", "import sys,ssl,ctypes,zlib;print('%d.%d'%sys.version_info[:2])")
				return err == nil && strings.TrimSpace(string(said)) == v
			})
		})
	}
	wait.Wait()
	var out []string
	for i, v := range versions {
		if works[i] {
			out = append(out, v)
		}
	}
	return out
}

func (p *Provider) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = p.c.Environ
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}

// memory is the machine's memory, or the limit of the container we are in.
func memory() int64 {
	total := int64(0)
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := bytes.Cut(raw, []byte("MemTotal:")); ok {
			kib, _ := strconv.ParseInt(strings.Fields(string(rest[:min(len(rest), 64)]))[0], 10, 64)
			total = kib << 10
		}
	}
	for _, f := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 && (total == 0 || n < total) {
			total = n
		}
	}
	return total
}
