//go:build unix && !linux

package runpodsim

import "syscall"

func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// processesOf cannot be told here; the process group has to do.
func processesOf(string) []int { return nil }

// ownsPort cannot be told here: a process has to listen where JUSTRIGHT_PORT says.
func ownsPort(string, int) bool { return false }
