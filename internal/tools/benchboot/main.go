//go:build unix

// Command benchboot measures the way to the first streamed token on this machine with the real engine: `justright up`
// beside the seed's way, pip and a compiled start, with the same packages, index, model and prompt. Runs are
// interleaved. It prints a table in Markdown with each phase, the floors, and the ratios, and says what it could not run.
//
// The seed's literal line is run once, for a minute at most, to show what becomes of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"justright/internal/tools/checkpoint"
)

func main() {
	again := flag.Bool("pip-again", true, "measure also the habit of running pip at every start")
	rounds := flag.Int("rounds", 1, "how often the warm runs are repeated")
	dir := flag.String("dir", "", "work `DIR`, on a disk with 25 GB free (default: a new one below the temporary directory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *rounds, *again); err != nil {
		fmt.Fprintln(os.Stderr, "benchboot:", err)
		os.Exit(1)
	}
}

// bench is where things are.
type bench struct {
	dir     string // of this benchmark; removed at the end
	program string // our justright
	model   string
	python  string // of the environments
	lock    string // every package with its hash
	began   time.Time
}

func run(ctx context.Context, dir string, rounds int, again bool) error {
	made, err := os.MkdirTemp(dir, "justright-benchboot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made) //nolint:errcheck // our own directory
	b := &bench{dir: made, program: filepath.Join(made, "justright"), began: time.Now()}
	if out, err := command(ctx, nil, "go", "build", "-o", b.program, "./cmd/justright").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w %s", err, out)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if b.model, _, err = checkpoint.Make(ctx, filepath.Join(cache, "justright-e2e"), os.Stderr); err != nil {
		return err
	}
	var all []timing
	step := func(name string, f func() (timing, error)) error {
		before := load()
		b.say("%s: load %s", name, before)
		t, err := f()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		t.name, t.load = name, before+" – "+load()
		b.say("%s: %.1f s (%s), it said %.60q", name, t.total(), t.note, t.text)
		all = append(all, t)
		return nil
	}
	// Ours comes first: its lock is what pip is given, and the first to come finds the colder disk.
	type kind struct {
		name string
		f    func() (timing, error)
	}
	ours, fresh, kept := func() (timing, error) { return b.ours(ctx) }, func() (timing, error) { return b.pip(ctx, true) }, func() (timing, error) { return b.pip(ctx, false) }
	eager := func() (timing, error) { return b.pip(ctx, false, "--enforce-eager") }
	steps := []kind{{"justright, cold", ours}, {"pip, cold", fresh}}
	for range rounds {
		steps = append(steps, kind{"justright, warm", ours}, kind{"pip, environment kept", kept}, kind{"the same, eager", eager})
		if again {
			steps = append(steps, kind{"pip again, its cache warm", fresh})
		}
	}
	literal, floor := "not run", floors{}
	for i, s := range steps {
		if err = step(s.name, s.f); err != nil {
			break // what was measured is still told
		}
		if i == 0 { // ours has told which Python and which packages
			literal = b.literal(ctx)
			b.say("the seed's literal line: %s", literal)
		}
	}
	if err == nil {
		if floor.bandwidth, err = b.bandwidth(ctx); err == nil {
			floor.imports, err = b.imports(ctx)
		}
	}
	table(os.Stdout, all, floor, literal)
	return err
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "benchboot %5.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// load is the machine's load average of one minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	var one string
	if _, err := fmt.Sscan(string(raw), &one); err != nil {
		return "not known"
	}
	return one
}
