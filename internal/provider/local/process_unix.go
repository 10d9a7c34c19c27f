//go:build unix

package local

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"justright/internal/provider/onhost"
	"justright/launch"
)

// start runs argv in a session of its own, so that it outlives us and one signal reaches its whole group. The child
// writes its own process id before it becomes argv: there is no instant at which it runs and nobody knows.
func (p *Provider) start(dir string, r record, argv []string, env map[string]string) error {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-c", onhost.Note, "sh", filepath.Join(dir, "pid")}, argv...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, p.environ(dir, r, env), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie while we live
	for range 200 {
		if p.pid(r.ID) != 0 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil // it will write it, or be gone
}

// pid is the id of the instance's first process; 0 when it was never written.
func (p *Provider) pid(id string) int {
	raw, err := os.ReadFile(filepath.Join(p.dir(id), "pid"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || n < 2 {
		return 0
	}
	return n
}

// status asks whether the first process or any process of its attempt lives. A process id may have been given to
// somebody else since, so the environment of the process must name the attempt.
func (p *Provider) status(id string) launch.Status {
	r, err := p.read(id)
	if err != nil {
		return launch.Gone
	}
	n := p.pid(id)
	if n == 0 {
		if p.c.Now().Sub(r.Created) < 5*time.Second {
			return launch.Provisioning
		}
		return launch.Gone
	}
	if p.isOurs(n, r) || len(p.members(r)) > 0 {
		return launch.Running
	}
	return launch.Gone
}

// isOurs reports whether process n lives and belongs to the instance.
func (p *Provider) isOurs(n int, r record) bool {
	if syscall.Kill(n, 0) != nil {
		return false
	}
	env, err := os.ReadFile("/proc/" + strconv.Itoa(n) + "/environ")
	if errors.Is(err, os.ErrNotExist) {
		// Gone this instant, or no /proc on this system: then the process id is all there is to go by.
		_, err := os.Stat("/proc/self/environ")
		return err != nil
	}
	return err == nil && hasVar(env, "JUSTRIGHT_MACHINE="+r.ID)
}

// members lists the living processes of the instance, in whatever session they are: by the mark in their environment,
// and, since an engine's workers write their title over it, by the engine's session too, which the start script
// notes. A zombie has neither.
func (p *Provider) members(r record) []int {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	session := ""
	if raw, err := os.ReadFile(filepath.Join(p.dir(r.ID), "run", "engine.pid")); err == nil {
		session = strings.TrimSpace(string(raw))
	}
	var out []int
	for _, dir := range all {
		n, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && (hasVar(env, "JUSTRIGHT_MACHINE="+r.ID) || session != "" && sessionOf(dir) == session) {
			out = append(out, n)
		}
	}
	return out
}

// sessionOf is the session of a living process, empty for a zombie; the fields of /proc/N/stat follow the name, which
// may hold blanks and parentheses.
func sessionOf(dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return ""
	}
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(f) < 4 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[3]
}

func hasVar(environ []byte, kv string) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == kv {
			return true
		}
	}
	return false
}

// Delete asks the first process to end, which stops the engine in order; whatever is left after the grace is killed.
// It returns when nothing of the instance lives, and then removes its directory, log included.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return fail("delete", launch.FailTemporary, err)
	}
	r, err := p.read(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail("delete", launch.FailUnknown, err)
	}
	n := p.pid(id)
	if n != 0 && p.isOurs(n, r) {
		if err := syscall.Kill(n, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fail("delete", launch.FailAuth, err)
		}
	}
	deadline := time.Now().Add(p.c.Grace) //nolint:forbidigo // waits for real processes
	for p.status(id) != launch.Gone {
		if time.Now().After(deadline) { //nolint:forbidigo // as above
			if n != 0 && p.isOurs(n, r) {
				_ = syscall.Kill(-n, syscall.SIGKILL)
			}
			for _, m := range p.members(r) {
				_ = syscall.Kill(m, syscall.SIGKILL)
			}
		}
		select {
		case <-ctx.Done():
			return fail("delete", launch.FailTemporary, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := os.RemoveAll(p.dir(id)); err != nil {
		return fail("delete", launch.FailUnknown, err)
	}
	return nil
}
