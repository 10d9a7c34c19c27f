package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"justright/internal/store"
	"justright/launch"
	"justright/problem"
)

// stateDir is where the journal and the keys live: JUSTRIGHT_STATE_DIR, else justright below XDG_STATE_HOME, else below
// ~/.local/state.
func (w *World) stateDir() (string, error) {
	if d := w.Env("JUSTRIGHT_STATE_DIR"); d != "" {
		if !filepath.IsAbs(d) {
			d = filepath.Join(w.Dir, d)
		}
		return d, nil
	}
	if d := w.Env("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "justright"), nil
	}
	if h := w.Env("HOME"); h != "" {
		return filepath.Join(h, ".local", "state", "justright"), nil
	}
	return "", problem.New(problem.ExitUsage, "no_state_dir", "there is no place for the journal").
		Because("neither JUSTRIGHT_STATE_DIR, XDG_STATE_HOME nor HOME is set").
		Try("name one", "export JUSTRIGHT_STATE_DIR=DIR")
}

// cacheDir is where environments, weights and caches of this machine live.
func (w *World) cacheDir() string {
	if d := w.Env("JUSTRIGHT_CACHE_DIR"); filepath.IsAbs(d) {
		return d
	}
	if d := w.Env("XDG_CACHE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "justright")
	}
	return filepath.Join(w.Env("HOME"), ".cache", "justright")
}

// openJournal opens the journal, and makes it when it is not there.
func (w *World) openJournal(ctx context.Context) (*store.Journal, error) {
	dir, err := w.stateDir()
	if err != nil {
		return nil, err
	}
	if address := w.sharedJournal(); address != "" {
		return w.openShared(ctx, address)
	}
	s, err := store.OpenSQLite(ctx, dir)
	if free, known := freeDisk(dir); err != nil && (store.Full(err) || known && free < 1<<20) {
		return nil, journalFull(dir, err)
	}
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "journal", "the journal in %s cannot be opened", dir).Wrap(err).
			Try("use another directory", "export JUSTRIGHT_STATE_DIR=DIR")
	}
	if w.screen != nil {
		s.Clean(w.screen.text, w.screen.said)
	}
	return s, nil
}

// openBook opens the journal and reads its launches and the mark of its machines.
func (w *World) openBook(ctx context.Context) (journal *store.Journal, tasks []store.Task, owner string, err error) {
	if journal, err = w.openJournal(ctx); err != nil {
		return nil, nil, "", err
	}
	if tasks, err = journal.Tasks(ctx); err == nil {
		owner, err = journal.Owner(ctx)
	}
	if err != nil {
		_ = journal.Close()
		return nil, nil, "", err
	}
	return journal, tasks, owner, nil
}

// journalFull is a journal that cannot be written any more.
func journalFull(dir string, err error) *problem.Problem {
	return problem.New(problem.ExitCapacity, "disk_full", "the disk of the journal in %s is full", dir).Wrap(err).
		Try("make room, or use another directory", "export JUSTRIGHT_STATE_DIR=DIR")
}

// holder is this process as the holder of a lease.
func (w *World) holder() store.Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return store.Holder{Host: host, PID: os.Getpid(), Start: processStart(os.Getpid())}
}

// processStart tells two processes of one number apart, as far as the system shows it: the start time in /proc.
func processStart(pid int) string {
	if f := processFields(pid); len(f) >= 20 {
		return f[19]
	}
	return ""
}

// processEnded reports whether a process has ended and only waits to be asked for its status, which some parents never do.
func processEnded(pid int) bool {
	f := processFields(pid)
	return len(f) > 0 && (f[0] == "Z" || f[0] == "X")
}

// processFields is what /proc tells of a process behind its name: state first, start time as the 20th; nil where it does not.
func processFields(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(b) // the name in parentheses may hold blanks and parentheses
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

// dead reports whether a holder is certainly gone: a process of this machine that is no longer there.
func (w *World) dead(h store.Holder) bool {
	me := w.holder()
	if h.Host != me.Host || h.PID == 0 {
		return false
	}
	if !processAlive(h.PID) || processEnded(h.PID) {
		return true
	}
	return h.Start != "" && h.Start != processStart(h.PID)
}

// silentFor is how long past the end of its lease a holder that lives is waited for: it renews every few seconds, also soon after
// the machine has slept.
const silentFor = 15 * time.Second

// driven reports whether a process looks after a task now: one that is there and keeps its lease. now is by the provider's clock.
func (w *World) driven(ctx context.Context, journal store.Store, task string, now time.Time) bool {
	h, until, err := journal.Leaseholder(ctx, task)
	return err == nil && !w.dead(h) && now.Before(until.Add(silentFor))
}

// liveTasks lists the tasks that are not over, oldest first.
func liveTasks(all []store.Task) []store.Task {
	return slices.DeleteFunc(slices.Clone(all), func(t store.Task) bool { return t.State.Over() })
}

// findTask finds a launch by its name, the model it serves, its id or the id of its machine; a live one before one that
// is over, the newest first.
func findTask(all []store.Task, word string) (store.Task, error) {
	matches := func(t store.Task) bool {
		if t.State.Name == word || t.State.ID == word || t.State.Model == word {
			return true
		}
		return slices.ContainsFunc(t.State.Attempts, func(a launch.Attempt) bool { return a.PodID == word || a.PodName == word })
	}
	var found []store.Task
	for _, t := range slices.Backward(all) {
		if matches(t) {
			found = append(found, t)
		}
	}
	for _, t := range found {
		if !t.State.Over() {
			return t, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	p := problem.New(problem.ExitUsage, "unknown_launch", "no launch is called %q", word)
	if live := liveTasks(all); len(live) > 0 {
		names := make([]string, 0, len(live))
		for _, t := range live {
			names = append(names, t.State.Name)
		}
		p = p.Because("running: %s", strings.Join(names, ", "))
	}
	return store.Task{}, p.Try("see what runs", "justright ps")
}

// keyFile is where a launch's key is kept, readable by its owner alone.
func (w *World) keyFile(task string) (string, error) {
	dir, err := w.stateDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "keys", task), nil
}

// readTaskKey is the key of a launch; empty when there is none.
func (w *World) readTaskKey(task string) (string, error) {
	path, err := w.keyFile(task)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// makeTaskKey makes and keeps the key of a new launch.
func (w *World) makeTaskKey(task, key string) error {
	path, err := w.keyFile(task)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(key+"\n"), 0o600)
}

// dropTaskKey removes the key of a launch that never began.
func (w *World) dropTaskKey(task string) {
	if path, err := w.keyFile(task); err == nil {
		_ = os.Remove(path)
	}
}

// ago words a time for a table.
func ago(now, t time.Time) string {
	d := now.Sub(t).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
