package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"justright/internal/tools/drive"
)

// up launches on this machine.
func (b *bench) up(ctx context.Context, env []string, args ...string) (drive.Launch, error) {
	return b.Up(ctx, env, append([]string{"--on", "local"}, args...)...)
}

// NothingLeft asks the program, and this machine itself: no launch runs, no directory of one, no process.
func (b *bench) NothingLeft(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.NoLaunch(ctx); err != nil {
		return err
	}
	dirs, err := os.ReadDir(filepath.Join(b.dir, "state", "justright", "local"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(dirs) > 0 {
		return fmt.Errorf("left behind: the directory of %s", dirs[0].Name())
	}
	// The engine's processes inherit where their state is.
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, f := range environs {
		if raw, err := os.ReadFile(f); err == nil && bytes.Contains(raw, []byte("XDG_STATE_HOME="+filepath.Join(b.dir, "state"))) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
			return fmt.Errorf("left behind: process %s, %.120q", filepath.Base(filepath.Dir(f)), name)
		}
	}
	return nil
}
