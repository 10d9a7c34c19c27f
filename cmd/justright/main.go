// Command justright is the doorway; everything else is internal/cli.
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/term"

	"justright/internal/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		collectLate()
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	os.Exit(cli.Main(context.Background(), cli.World{
		Args:      os.Args[1:],
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Env:       os.Getenv,
		Environ:   os.Environ,
		Now:       time.Now,
		Dir:       dir,
		StdinTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Width:     width(os.Stdout),
		ErrWidth:  width(os.Stderr),
	}))
}

// width is that of the terminal behind f; 0 when there is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// collectLate spares a short command the garbage collector, which takes a third of its time while the heap is small: the
// first collection comes at 32 MiB, and from then on it is Go's own rhythm.
func collectLate() {
	usual := debug.SetGCPercent(800) // of the smallest heap the runtime collects at, 4 MiB
	first := new([16]byte)
	runtime.AddCleanup(first, func(percent int) { debug.SetGCPercent(percent) }, usual)
}
