//go:build unix

package ssh

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByMe reports whether a file is this user's: one that another has put there would answer for the host.
func ownedByMe(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Getuid()
}
