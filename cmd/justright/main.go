// Command justright is the doorway; everything else is internal/cli.
package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/term"

	"justright/internal/cli"
)

func main() {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width = 0
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
		Width:     width,
	}))
}
