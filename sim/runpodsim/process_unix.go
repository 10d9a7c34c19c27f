//go:build unix

package runpodsim

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a command to run, and who is told about it.
type process struct {
	program string
	argv    []string
	env     []string
	dir     string
	mark    string // in the environment of everything the container starts
	line    func(string)
	gone    func(code int) // once, when the first process and all it started are gone
}

// startProcess runs p in a process group of its own and returns what kills it with everything that belongs to the pod.
func startProcess(p process) (kill func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: p.program, Args: p.argv, Env: p.env, Dir: p.dir, Stdout: w, Stderr: w, SysProcAttr: groupOfItsOwn()}
	var once sync.Once
	end := func() { once.Do(func() { killAll(cmd.Process.Pid, p.mark) }) }
	started := make(chan error)
	read := make(chan struct{})
	go func() {
		// The child dies with the thread that made it (Pdeathsig), so this thread stays as long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		_ = w.Close()
		started <- err
		if err != nil {
			_ = r.Close()
			return
		}
		err = cmd.Wait()
		end()
		select {
		case <-read:
		case <-time.After(2 * time.Second): // a survivor holds the pipe
		}
		_ = r.Close()
		p.gone(exitCode(err))
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		defer close(read)
		readLines(r, p.line)
	}()
	return end, nil
}

func exitCode(err error) int {
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return 0
	}
	if ws, ok := e.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return e.ExitCode()
}

// killAll ends a process group and, where the machine tells, every process that carries the container's mark in its
// environment: a container's end takes along what has left the group too.
func killAll(group int, mark string) {
	for range 20 {
		_ = syscall.Kill(-group, syscall.SIGKILL)
		others := processesOf(mark)
		if len(others) == 0 {
			return
		}
		for _, pid := range others {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
