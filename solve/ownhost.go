package solve

import "strings"

// ownHost reports whether the target is a machine that nobody rents and that starts no images: this one, or one that ssh reaches.
func (r Request) ownHost() bool { return r.Target == "local" || strings.HasPrefix(r.Target, "ssh") }

// hostWords is how texts name that machine.
func (r Request) hostWords() string {
	if _, host, ok := strings.Cut(r.Target, "://"); ok {
		return host
	}
	return "this machine"
}
