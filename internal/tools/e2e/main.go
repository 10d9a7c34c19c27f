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
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"justright/internal/tools/checkpoint"
)

// one is a case: it returns what was seen that proves it.
type one struct {
	name string
	run  func(context.Context, *bench) (string, error)
}

func cases() []one {
	return []one{
		{"chat", chat},
		{"chat-again", chatAgain},
		{"gpt-oss", gptOss},
		{"old-engine", oldEngine},
		{"fallback", fallback},
		{"ssh", overSSH},
	}
}

// bench is the surroundings of the cases.
type bench struct {
	program string
	dir     string // state and models of this run
	chat    string // model directories
	oss     string
	env     []string
}

// patience is how long a case may take. The program itself gives each start ten minutes, and a case makes two at most; a
// shared machine is slow now and then, and that is no fault of the program.
const patience = 25 * time.Minute

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
	defer b.sweep()
	if demo {
		if err := show(ctx, b); err != nil {
			fmt.Fprintln(os.Stderr, "demo failed:", err)
			return 1
		}
		fmt.Println("demo ok")
		return 0
	}
	failed := 0
	for _, c := range cases() {
		if only != "" && !slices.Contains(strings.Split(only, ","), c.name) || only == "" && c.name == "ssh" { // make ssh asks for it
			continue
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(ctx, patience)
		seen, err := c.run(ctx, b)
		cancel()
		word := "ok"
		if err == nil {
			err = b.nothingLeft()
		}
		if err != nil {
			word, seen = "FAIL", err.Error()
			failed++
			b.sweep()
		}
		fmt.Printf("e2e %s %s %.0f %s\n", c.name, word, time.Since(began).Seconds(), strings.ReplaceAll(seen, "\n", " "))
	}
	if failed > 0 {
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
	b := &bench{program: program, dir: dir}
	if b.program == "" {
		b.program = filepath.Join(dir, "justright")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.program, "./cmd/justright")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("build: %w", err)
		}
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "RUNPOD_API_KEY" && name != "HF_ENDPOINT" && name != "XDG_STATE_HOME" {
			b.env = append(b.env, kv)
		}
	}
	b.env = append(b.env, "XDG_STATE_HOME="+filepath.Join(dir, "state"))

	if b.chat, b.oss, err = checkpoint.Make(ctx, filepath.Join(cache, "justright-e2e"), os.Stderr); err != nil {
		_ = os.RemoveAll(dir)
	}
	return b, err
}
