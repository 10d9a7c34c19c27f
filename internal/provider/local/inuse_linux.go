package local

import (
	"bytes"
	"os"
	"path/filepath"
)

// inUse reports whether a living process has an environment's directory in its command line, its environment, or among
// the libraries it has loaded: an engine's workers write their title over the first two.
func inUse(dir, link string) bool {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(all) == 0 {
		return true
	}
	for _, proc := range all {
		for _, name := range []string{"cmdline", "environ", "maps"} {
			raw, err := os.ReadFile(filepath.Join(proc, name))
			if err == nil && (bytes.Contains(raw, []byte(dir+"/")) || link != "" && bytes.Contains(raw, []byte(link+"/"))) {
				return true
			}
		}
	}
	return false
}
