//go:build unix

// Command benchplan puts planning beside the tools nearest to it that a package registry serves, in one run on one
// question: openai/gpt-oss-20b, a host whose driver offers CUDA 12.4, a card of 24 GB. Rounds are interleaved, so that all
// meet the same neighbours on the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/justright", "the program to measure")
	cache := flag.String("cache", "", "where the rivals are installed; empty: the user's cache")
	python := flag.String("python", "", "Python 3.13 for the rivals; empty: the first that is found")
	bound := flag.Duration("for", 75*time.Second, "how long to measure at most")
	rounds := flag.Int("rounds", 25, "rounds at most")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *cache, *python, *bound, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "benchplan:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to undo
	}
}

func run(ctx context.Context, binary, cache, python string, bound time.Duration, rounds int) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return err
		}
		cache = filepath.Join(cache, "justright-benchplan")
	}
	world, err := newWorld(cache)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(world.home) }()
	cases := ours(binary)
	theirs, skipped := rivals(ctx, cache, python)
	cases = append(cases, theirs...)
	measured, err := world.measure(ctx, cases, bound, rounds)
	if err != nil {
		return err
	}
	fmt.Printf("openai/gpt-oss-20b, host CUDA 12.4, RTX 4090 24 GB; %s, %d CPUs, %s/%s%s; %d rounds, interleaved, medians\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, load(), len(measured[0].wall))
	print(measured)
	for _, s := range skipped {
		fmt.Println("left out  " + s)
	}
	return nil
}

// load is how busy the machine is with other work, where it tells.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return ", load " + one
}

// print writes the table: the first case is what the others are compared with.
func print(all []measurement) {
	rows := [][]string{{"command", "wall ms", "(best)", "CPU ms", "peak MiB", "wall x", "CPU x", "limit", "answer"}}
	base := all[0]
	for _, m := range all {
		limit := ""
		if m.limit > 0 {
			limit = fmt.Sprintf("%d ms %s", m.limit.Milliseconds(), map[bool]string{true: "held", false: "missed"}[median(m.wall) < m.limit])
		}
		rows = append(rows, []string{m.name, ms(median(m.wall)), ms(slices.Min(m.wall)), ms(median(m.cpu)), fmt.Sprint(m.peak >> 20),
			times(median(m.wall), median(base.wall)), times(median(m.cpu), median(base.cpu)), limit, m.said})
	}
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			if i == 0 || i >= len(r)-2 {
				b.WriteString(c + pad + "  ")
			} else {
				b.WriteString(pad + c + "  ")
			}
		}
		fmt.Println(strings.TrimRight(b.String(), " "))
	}
	fmt.Println()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func times(a, b time.Duration) string { return fmt.Sprintf("%.1f", float64(a)/float64(b)) }

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}
