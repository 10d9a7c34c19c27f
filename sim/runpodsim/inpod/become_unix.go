//go:build unix

package inpod

import "syscall"

// become turns this process into another program.
func (c *Call) become(program string, args []string) int {
	err := syscall.Exec(program, append([]string{program}, args...), c.Environ)
	c.err("%s: %v", program, err)
	return 126
}
