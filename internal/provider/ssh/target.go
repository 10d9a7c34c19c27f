// Package ssh is the provider of a machine that is reached by the user's own OpenSSH client: a launch is a process there, in a
// directory of its own, that outlives the connection. It is provider/local at the far end of `ssh`: the same start script, the
// same guard, nothing rented.
package ssh

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"justright/boot"
	"justright/problem"
)

// Scheme begins the word of --on.
const Scheme = "ssh://"

// Target is a machine as its user names it. What ~/.ssh/config says of it holds.
type Target struct {
	User string // empty: as ssh has it
	Host string // a name of ssh_config, a DNS name or an address
	Port int    // 0: as ssh has it
	Dir  string // on the host, absolute; empty: the home's state and cache directories
}

// Names as they may stand in a command of ssh, and in the commands that ssh_config makes of them (%h, %r).
var (
	hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)
	zoneForm = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	userForm = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.@+-]*\$?$`)
	dirForm  = regexp.MustCompile(`^(/[A-Za-z0-9_.+@~-]+)+$`)
)

// isHost reports whether a word names a host: a name, or an address.
func isHost(word string) bool {
	if hostForm.MatchString(word) {
		return true
	}
	a, err := netip.ParseAddr(word)
	return err == nil && zoneForm.MatchString(a.Zone())
}

// Parse reads ssh://[user@]host[:port][/directory].
func Parse(text string) (Target, error) {
	bad := func(format string, args ...any) error {
		return problem.New(problem.ExitUsage, "unknown_target", "--on %q is no machine to reach by ssh", text).Because(format, args...).
			Try("it is ssh://[user@]host[:port][/directory]", "justright up MODEL --on ssh://me@gpu.example")
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "ssh" || u.Opaque != "" {
		return Target{}, bad("it cannot be read")
	}
	t := Target{User: u.User.Username(), Host: u.Hostname(), Dir: strings.TrimRight(u.Path, "/")}
	if _, has := u.User.Password(); has {
		return Target{}, problem.New(problem.ExitUsage, "secret_flag", "--on holds a password").
			Because("a command line is seen by everybody on a machine; ssh is asked with keys or an agent").Try("make a key, and give it to the host", "ssh-copy-id USER@HOST")
	}
	switch {
	case t.Host == "":
		return Target{}, bad("it names no host")
	case !isHost(t.Host):
		return Target{}, bad("%q is no name of a host", t.Host)
	case t.User != "" && !userForm.MatchString(t.User):
		return Target{}, bad("%q is no name of a user", t.User)
	case u.RawQuery != "" || u.Fragment != "":
		return Target{}, bad("nothing may follow the directory")
	case t.Dir != "" && (!dirForm.MatchString(t.Dir) || strings.Contains(t.Dir+"/", "/../")):
		return Target{}, bad("%q is no plain absolute directory", t.Dir)
	}
	if p := u.Port(); p != "" {
		if t.Port, err = strconv.Atoi(p); err != nil || t.Port < 1 || t.Port > 65535 {
			return Target{}, bad("port %s is none", p)
		}
	}
	return t, nil
}

// String is the target as --on takes it, always in the same spelling.
func (t Target) String() string {
	s := Scheme
	if t.User != "" {
		s += t.User + "@"
	}
	if strings.Contains(t.Host, ":") {
		s += "[" + strings.ReplaceAll(t.Host, "%", "%25") + "]"
	} else {
		s += t.Host
	}
	if t.Port != 0 {
		s += ":" + strconv.Itoa(t.Port)
	}
	return s + t.Dir
}

// args name the machine to ssh.
func (t Target) args() []string {
	var out []string
	if t.User != "" {
		out = append(out, "-l", t.User)
	}
	if t.Port != 0 {
		out = append(out, "-p", strconv.Itoa(t.Port))
	}
	return append(out, "--", t.Host)
}

// pasted are the words of a line a person can paste to reach the machine as we do.
func (t Target) pasted(client []string, words ...string) string {
	var line []string
	for _, w := range client {
		line = append(line, boot.Quote(w))
	}
	if t.Port != 0 {
		line = append(line, "-p", strconv.Itoa(t.Port))
	}
	who := t.Host
	if t.User != "" {
		who = t.User + "@" + who
	}
	return strings.Join(append(append(line, who), words...), " ")
}
