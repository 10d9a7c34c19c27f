package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"justright/internal/store"
	"justright/launch"
	"justright/model"
	"justright/problem"
)

// launchNameForm is what a launch may be called: the name stands in the machine's name, in file names and in commands.
var launchNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$`)

// running finds the launch that a second up of the same model means. A rehearsal is meant only by --on rehearsal: nobody gets
// a pretended endpoint unasked.
func (w *World) running(ctx context.Context, journal store.Store, r upRequest) (*store.Task, error) {
	all, err := journal.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range liveTasks(all) {
		if t.Wanted == launch.WantGone || r.on != "" && t.State.Target != r.on || r.on == "" && r.name == "" && t.State.Target == onRehearsal {
			continue
		}
		if r.name != "" && t.State.Name == r.name || r.name == "" && t.State.Model == r.wish.Model.ID {
			if t.State.Model != r.wish.Model.ID {
				return nil, problem.New(problem.ExitUsage, "name_taken", "a launch called %s runs %s", r.name, t.State.Model).
					Try("choose another name", w.again("--name", freeName(all, r.name)))
			}
			return &t, nil
		}
	}
	return nil, nil
}

// launchName makes a name of a model's: "openai/gpt-oss-20b" becomes gpt-oss-20b.
func launchName(m model.Profile) string {
	last := strings.ToLower(filepath.Base(strings.TrimRight(m.ID, "/")))
	var b strings.Builder
	for _, r := range last {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-")
	if len(name) > 40 {
		name = strings.Trim(name[:40], "-")
	}
	if name == "" {
		name = "model"
	}
	return name
}

// freeName is a name that no live launch has.
func freeName(all []store.Task, name string) string {
	taken := map[string]bool{}
	for _, t := range liveTasks(all) {
		taken[t.State.Name] = true
	}
	if !taken[name] {
		return name
	}
	for i := 2; ; i++ {
		if n := fmt.Sprintf("%s-%d", name, i); !taken[n] {
			return n
		}
	}
}
