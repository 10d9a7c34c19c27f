//go:build unix

package cli

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/unix"
)

// processAlive reports whether a process of that number exists.
func processAlive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// detach makes a command's process outlive this one and its terminal.
func detach(c *exec.Cmd) { c.SysProcAttr = &unix.SysProcAttr{Setsid: true} }
