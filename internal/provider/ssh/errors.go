package ssh

import (
	"errors"
	"net"
	"os/exec"
	"strings"
	"unicode"

	"justright/internal/provider"
	"justright/launch"
	"justright/problem"
)

func fail(op string, kind launch.FailureKind, err error) error {
	return &provider.Error{Op: op, Kind: kind, Err: err}
}

// noClient: the client itself could not be started.
func (p *Provider) noClient(op string, err error) error {
	pr := problem.New(problem.ExitCapacity, "tool_missing", "the ssh client %q cannot be started here", p.c.Client[0]).Wrap(err)
	if errors.Is(err, exec.ErrNotFound) {
		pr = pr.Try("install OpenSSH's client, or name another", "export JUSTRIGHT_SSH=/path/to/ssh")
	}
	return fail(op, launch.FailRejected, pr)
}

// unreachable is a host that does not answer, with what was said about it.
func (p *Provider) unreachable(why string) *problem.Problem {
	t := p.c.Target
	return problem.New(problem.ExitCapacity, "unreachable", "%s does not answer by ssh", t.Host).Because("%s", why).
		Try("see what ssh says", p.command("true"))
}

// command is a line a person can paste to reach the machine with the client that we use.
func (p *Provider) command(words ...string) string { return p.c.Target.pasted(p.c.Client, words...) }

// What OpenSSH's client prints when it gives up. Its exit status is 255 for all of it.
var (
	sayHostKey = []string{"host key verification failed", "remote host identification has changed", "no matching host key type", "host key is known for"}
	sayAuth    = []string{"permission denied", "too many authentication failures", "no supported authentication methods", "authentication failed"}
	// Before a connection stood: the host has certainly not been asked.
	sayUnreached = []string{"could not resolve hostname", "connection refused", "no route to host", "network is unreachable", "network is down",
		"host is down", "operation timed out", "connection timed out", "connect to host", "banner exchange", "kex_exchange_identification",
		"stdio forwarding failed", "proxycommand", "proxyjump"}
	sayConfig = []string{"bad configuration option", "bad owner or permissions", "terminating, ", "unable to negotiate"}
)

// refused says why a call came to nothing. begun says that the script had begun on the host: then whatever it did may be done.
func (p *Provider) refused(op string, status int, said string, begun bool) error {
	t, text := p.c.Target, lastWords(said)
	low := strings.ToLower(said)
	switch {
	case begun:
		return fail(op, launch.FailTemporary, p.unreachable("the connection was lost: "+orNothing(text)))
	case hasAny(low, sayHostKey):
		return fail(op, launch.FailAuth, problem.New(problem.ExitCredentials, "host_key", "the key of %s is not one that ssh accepts", t.Host).Because("%s", text).
			Try("connect once by hand, compare the key, and accept it", p.command("true")))
	case hasAny(low, sayAuth):
		return fail(op, launch.FailAuth, problem.New(problem.ExitCredentials, "ssh_refused", "%s does not let us in", t.Host).Because("%s", text).
			Try("it is asked with the keys of ssh_config and of the agent, never with a password; give it one", t.pasted([]string{"ssh-copy-id"})).
			Try("or see what ssh tries", p.command("-v", "true")))
	case hasAny(low, sayUnreached):
		return fail(op, launch.FailTemporary, p.unreachable(text).Wrap(&net.OpError{Op: "dial", Net: "ssh", Err: errors.New(text)}))
	case hasAny(low, sayConfig):
		return fail(op, launch.FailRejected, problem.New(problem.ExitUsage, "ssh_config", "ssh cannot be used as it is configured").Because("%s", text).
			Try("see what ssh says", p.command("true")))
	case status == 255:
		return fail(op, launch.FailTemporary, p.unreachable(orNothing(text)))
	default:
		return fail(op, launch.FailRejected, problem.New(problem.ExitCapacity, "no_shell", "%s lets us in and runs nothing for us", t.Host).
			Because("status %d of `exec /bin/sh` in the login shell: %s", status, orNothing(text)).
			Try("it must run this, and print ok", p.command("'exec /bin/sh -c \"echo ok\"'")))
	}
}

func hasAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// lastWords is the end of what a client said, in one line fit for a terminal.
func lastWords(said string) string {
	said = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, said)
	said = strings.Join(strings.Fields(said), " ")
	const most = 300
	if len(said) > most {
		said = "…" + strings.ToValidUTF8(said[len(said)-most:], "")
	}
	return said
}

func orNothing(text string) string {
	if text == "" {
		return "it said nothing"
	}
	return text
}
