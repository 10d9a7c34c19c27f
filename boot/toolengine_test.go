package boot_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// engine becomes the engine: the hook, or a process of the first word.
func (c toolCall) engine(ctx context.Context, argv []string) int {
	if len(argv) == 0 {
		return c.refuse("no engine")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if c.Engine != nil {
		return c.Engine(ctx, argv, c.Stdout)
	}
	cmd := exec.CommandContext(ctx, c.lookPath(argv[0]), argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.engineEnv(), c.Stdout, c.Stdout
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(c.Stdout, "%s: No such file or directory\n", argv[0])
		return 127
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
	}
	return 126
}

// lookPath finds a program by the PATH of the call, not of this process.
func (c toolCall) lookPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(c.Env("PATH")) {
		f := filepath.Join(dir, name)
		if st, err := os.Stat(f); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return f
		}
	}
	return name
}
