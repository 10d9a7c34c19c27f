package local

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The environments that are kept whatever their age, the time one must have been out of use to be removed, and how many
// are removed before one launch, since that one waits for it.
const (
	envsKept     = 4
	envIdle      = 24 * time.Hour
	envsAtOnce   = 4
	completeMark = ".justright-complete" // the start script writes it at the end of an install, and touches it at each start
)

// env is one directory of an environment: KEY.ATTEMPT, which the link KEY points to once its install was complete.
type env struct {
	dir, link string // link is empty when none points here
	used      time.Time
}

// tidyEnvs removes environments that nobody has used for long, beyond the newest few, and what cut-off installs left.
// One that a living process uses stays. It returns a line that says what it did, empty when that is nothing.
func (p *Provider) tidyEnvs(ctx context.Context) string {
	all := p.envs()
	complete, removed := 0, []string{}
	for _, e := range all {
		if e.link != "" {
			if complete++; complete <= envsKept {
				continue
			}
		}
		if idle := p.c.Now().Sub(e.used); idle < envIdle || len(removed) == envsAtOnce || inUse(e.dir, e.link) {
			continue
		}
		if e.link != "" {
			if err := os.Remove(e.link); err != nil {
				continue
			}
		}
		_ = os.Remove(filepath.Join(e.dir, completeMark)) // first, so that half of it is never taken for whole
		if err := os.RemoveAll(e.dir); err != nil {
			continue
		}
		removed = append(removed, fmt.Sprintf("%s (last used %s)", filepath.Base(e.dir), e.used.UTC().Format(time.DateOnly)))
	}
	if len(removed) == 0 {
		return ""
	}
	p.dropWheels(ctx)
	return "justright: removed environments that were not used for long: " + strings.Join(removed, ", ")
}

// envs lists the environments, the last used first.
func (p *Provider) envs() []env {
	root := filepath.Join(p.c.CacheDir, "envs")
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	links := map[string]string{}
	for _, d := range entries {
		if d.Type()&os.ModeSymlink != 0 {
			if to, err := os.Readlink(filepath.Join(root, d.Name())); err == nil {
				links[filepath.Base(to)] = filepath.Join(root, d.Name())
			}
		}
	}
	var out []env
	for _, d := range entries {
		if !d.IsDir() {
			continue
		}
		e := env{dir: filepath.Join(root, d.Name()), link: links[d.Name()]}
		st, err := os.Stat(filepath.Join(e.dir, completeMark))
		if err != nil {
			e.link = "" // a link to what is not whole is as good as none; the next start makes it anew
			st, err = d.Info()
		}
		if err == nil {
			e.used = st.ModTime()
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b env) int { return cmp.Or(b.used.Compare(a.used), strings.Compare(a.dir, b.dir)) })
	return out
}

// dropWheels takes the unpacked wheels out of uv's cache. Environments share their files with it by hard links, so
// removing one alone frees next to nothing; those that stay keep their files.
func (p *Provider) dropWheels(ctx context.Context) {
	uv := p.c.Find("uv")
	if own, err := filepath.Glob(filepath.Join(p.c.CacheDir, "tools", "uv-*", "uv")); err == nil && len(own) > 0 {
		uv = own[len(own)-1]
	}
	if uv == "" {
		return
	}
	_, _ = p.run(ctx, uv, "cache", "prune", "--ci", "--cache-dir", filepath.Join(p.c.CacheDir, "uv")) // the next time, then
}
