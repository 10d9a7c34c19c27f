//go:build !linux

package local

// inUse: this system does not tell what its processes use, so nothing is taken for unused.
func inUse(string, string) bool { return true }
