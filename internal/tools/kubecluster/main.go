//go:build linux

// Command kubecluster makes a real Kubernetes on this machine, of a control plane built from its source and Debian's container
// runtime, and drives the program against it: the provider suite, a real engine in a real pod, refusals, the guard. It prints one
// line a case:
//
//	kubernetes NAME ok|FAIL SECONDS EVIDENCE
//
// and ends with status 1 when a case failed. It needs Linux, root, and the package registries; what it installs and builds is kept
// in the user's cache. Nodes have no GPU here: cards are told by node objects of our own making, and what is bound to them is not
// run; the CPU build runs for real.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"justright/internal/tools/checkpoint"
	"justright/internal/tools/drive"
)

func main() {
	only := flag.String("only", "", "run only the cases of this comma-separated list")
	program := flag.String("program", "", "drive this justright instead of building one")
	keep := flag.Bool("keep", false, "leave the cluster up when the cases are through, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, *only, *program, *keep))
}

func run(ctx context.Context, only, program string, keep bool) int {
	b, err := prepare(ctx, program)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes: prepare:", err)
		return 1
	}
	defer b.close()
	failed := drive.Each(ctx, os.Stdout, "kubernetes", b, cases(), drive.Names(only))
	if keep {
		fmt.Printf("the cluster is up: export KUBECONFIG=%s\n", b.cluster.kubeconfig())
		<-ctx.Done()
	}
	if failed > 0 || ctx.Err() != nil && !keep {
		return 1
	}
	return 0
}

// bench is the surroundings of the cases.
type bench struct {
	drive.Program
	dir     string
	chat    string // the chat model's files
	cluster *cluster
}

func prepare(ctx context.Context, program string) (*bench, error) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil, errors.New("a kubelet and its containers want Linux and root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	parts, err := gather(ctx, filepath.Join(cache, "justright-kubernetes"))
	if err != nil {
		return nil, err
	}
	b := &bench{}
	if b.dir, err = os.MkdirTemp("", "justright-kubernetes-"); err != nil {
		return nil, err
	}
	if b.Path, err = drive.Build(ctx, program, b.dir); err != nil {
		return nil, err
	}
	if b.chat, _, err = checkpoint.Make(ctx, filepath.Join(cache, "justright-kubernetes", "models"), os.Stderr); err != nil {
		return nil, err
	}
	if b.cluster, err = start(ctx, filepath.Join(b.dir, "cluster"), parts); err != nil {
		return nil, err
	}
	b.Env = drive.World("XDG_STATE_HOME="+filepath.Join(b.dir, "state"), "KUBECONFIG="+b.cluster.kubeconfig())
	return b, nil
}

func (b *bench) close() {
	b.Sweep()
	_ = b.NothingLeft(context.Background()) // port-forwards end while the cluster can still tell them that their machine is gone
	b.cluster.stop()
	_ = os.RemoveAll(b.dir)
}

// loud runs a command with its words on the standard error.
func loud(c *exec.Cmd) error {
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.Args[:min(3, len(c.Args))], " "), err)
	}
	return nil
}
