//go:build linux || darwin || freebsd

package cli

import "golang.org/x/sys/unix"

// freeDisk is the space an unprivileged user may still fill under dir, in bytes.
func freeDisk(dir string) (int64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
