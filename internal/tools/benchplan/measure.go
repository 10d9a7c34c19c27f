//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// question is one command and how to read its answer.
type question struct {
	name   string
	argv   []string
	exit   int                 // the status it ends with
	limit  time.Duration       // what the wall clock may show; 0 none
	answer func(string) string // a few words out of what it printed; empty when it is not understood
}

// measurement is what the rounds of a question showed.
type measurement struct {
	question
	wall, cpu []time.Duration
	peak      int64 // bytes, the most of all rounds
	said      string
}

// world is what every command sees: a home of its own, no keys, and a stand-in for the driver's tool.
type world struct{ home, tools string }

// standIn answers as a driver 550.54 with one RTX 4090 does.
const standIn = `#!/bin/sh
case "$*" in
*--query-gpu*)
  q=${*#*--query-gpu=}; q=${q%% *}; out=; IFS=,
  for f in $q; do
    case $f in
      name) v="NVIDIA GeForce RTX 4090";; memory.total) v="24564 MiB";; memory.free) v="24210 MiB";; memory.used) v="354 MiB";;
      driver_version) v=550.54.15;; compute_cap) v=8.9;; count) v=1;; index) v=0;; uuid) v=GPU-0;; *) v="[N/A]";;
    esac
    case "$*" in *nounits*) v=${v% MiB};; esac
    out="$out${out:+, }$v"
  done
  case "$*" in *noheader*) ;; *) echo "$q";; esac
  echo "$out";;
*-L*) echo "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-0)";;
*) echo "| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |"
   echo "|   0  NVIDIA GeForce RTX 4090        Off |   00000000:01:00.0 Off |                  Off |"
   echo "| 30%   40C    P8             20W /  450W |     354MiB /  24564MiB |      0%      Default |";;
esac
`

func newWorld(cache string) (world, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return world{}, err
	}
	home, err := os.MkdirTemp("", "benchplan")
	if err != nil {
		return world{}, err
	}
	w := world{home: home, tools: filepath.Join(home, "bin")}
	if err := os.Mkdir(w.tools, 0o755); err != nil {
		return w, err
	}
	return w, os.WriteFile(filepath.Join(w.tools, "nvidia-smi"), []byte(standIn), 0o755) //nolint:gosec // it is run
}

// measure asks every question once for warmth, then all in turn, round after round, until a bound is met.
func (w world) measure(ctx context.Context, all []question, bound time.Duration, rounds int) ([]measurement, error) {
	out := make([]measurement, len(all))
	for i, q := range all {
		out[i].question = q
		text, err := w.ask(ctx, &out[i])
		if err != nil {
			return nil, err
		}
		out[i].wall, out[i].cpu = nil, nil
		if out[i].said = q.answer(text); out[i].said == "" {
			out[i].said = "(not understood) " + firstLine(text)
		}
	}
	end := time.Now().Add(bound)
	for n := 0; n < rounds && (n < 3 || time.Now().Before(end)); n++ {
		for i := range out {
			if _, err := w.ask(ctx, &out[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// ask runs a question once.
func (w world) ask(ctx context.Context, m *measurement) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, m.argv[0], m.argv[1:]...) //nolint:gosec // the commands are this file's
	c.Env = []string{"HOME=" + w.home, "PATH=" + w.tools + ":/usr/bin:/bin", "COLUMNS=200", "NO_COLOR=1"}
	c.Dir = w.home
	var text bytes.Buffer
	c.Stdout, c.Stderr = &text, &text
	begin := time.Now()
	err := c.Run()
	wall := time.Since(begin)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w", m.name, err)
	}
	if code := c.ProcessState.ExitCode(); code != m.exit {
		return "", fmt.Errorf("%s ended with %d, not %d: %s", m.name, code, m.exit, firstLine(text.String()))
	}
	m.wall = append(m.wall, wall)
	m.cpu = append(m.cpu, c.ProcessState.UserTime()+c.ProcessState.SystemTime())
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak := int64(u.Maxrss) //nolint:unconvert // 32 bits on some systems
		if runtime.GOOS != "darwin" {
			peak <<= 10
		}
		m.peak = max(m.peak, peak)
	}
	return text.String(), nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
