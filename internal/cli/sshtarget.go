package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/shlex"
	"github.com/spf13/cobra"

	"justright/internal/provider/onhost"
	"justright/internal/provider/ssh"
	"justright/problem"
	"justright/solve"
)

// isSSH tells the word of a machine that ssh reaches.
func isSSH(on string) bool { return strings.HasPrefix(on, ssh.Scheme) }

// targetWord is --on in the one spelling that the journal keeps.
func targetWord(on string) (string, error) {
	if !isSSH(on) {
		return on, nil
	}
	t, err := ssh.Parse(on)
	return t.String(), err
}

// sshTarget is a machine that ssh reaches. It is not asked anything yet.
func (w *World) sshTarget(on string) (target, error) {
	p, err := w.sshProvider(on)
	if err != nil {
		return target{}, err
	}
	word := p.Name()
	return target{word: word, provider: p, ssh: p, address: word, account: "ssh", why: "a machine that ssh reaches"}, nil
}

func (w *World) sshProvider(on string) (*ssh.Provider, error) {
	t, err := ssh.Parse(on)
	if err != nil {
		return nil, err
	}
	dir, err := w.stateDir()
	if err != nil {
		return nil, err
	}
	client, err := shlex.Split(w.Env("JUSTRIGHT_SSH"))
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "usage", "JUSTRIGHT_SSH cannot be read").Wrap(err).Try("it is the ssh client to call", "export JUSTRIGHT_SSH='ssh -F FILE'")
	}
	c := ssh.Config{Target: t, Client: client, StateDir: dir, RunDir: w.runDir(), Environ: w.Environ(), Now: w.Now, LookupGPU: w.gpuID}
	c.Keep = func(id string) error { return w.keepTunnel(dir, t.String(), id) }
	p, err := ssh.New(c)
	if err != nil {
		return nil, problem.New(problem.ExitUsage, "journal", "launches by ssh have no place in %s", dir).Wrap(err)
	}
	return p, nil
}

// runDir is a short private directory for sockets.
func (w *World) runDir() string {
	if d := w.Env("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		return filepath.Join(d, "justright")
	}
	return filepath.Join(os.TempDir(), "justright-"+strconv.Itoa(os.Getuid()))
}

// keepTunnel starts the process that keeps a launch's tunnel and outlives this one.
func (w *World) keepTunnel(dir, on, id string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(context.Background(), self, "ssh-tunnel", on, id)
	c.Dir, c.Env = dir, append(w.Environ(), "JUSTRIGHT_STATE_DIR="+dir)
	detach(c)
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // no zombie while this process lives
	return nil
}

// newTunnelCommand is that process.
func newTunnelCommand(w *World) *cobra.Command {
	return &cobra.Command{
		Use: "ssh-tunnel TARGET ID", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := w.sshProvider(args[0])
			if err != nil {
				return err
			}
			return p.KeepTunnel(c.Context(), args[1])
		},
	}
}

// host is the machine of a launch that nobody rents, and false when it is rented.
func (t target) host(ctx context.Context) (onhost.Machine, bool, error) {
	switch {
	case t.local != nil:
		m := t.local.Describe(ctx)
		m.Lacks = t.local.Lacks(ctx)
		return m, true, nil
	case t.ssh != nil:
		m, err := t.ssh.Describe(ctx)
		return m, true, err
	}
	return onhost.Machine{}, false, nil
}

// hostName is how texts name the machine of a launch that nobody rents.
func (t target) hostName() string {
	if t.ssh != nil {
		return strings.TrimPrefix(t.word, ssh.Scheme)
	}
	if t.kube != nil {
		return "a node"
	}
	return "this machine"
}

// tellHost fills what a request does not say about the machine that ssh reaches, or about the nodes of a cluster.
func (t target) tellHost(ctx context.Context, r *solve.Request) error {
	if t.kube != nil && r.HostMemory == 0 {
		r.HostMemory, r.HostFree = t.kube.HostMemory()
	}
	if t.ssh == nil {
		return nil
	}
	m, err := t.ssh.Describe(ctx)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(m.System, "Linux ") {
		return problem.New(problem.ExitNoStack, "no_offers", "%s runs %q, and the engines' wheels are for Linux", t.hostName(), m.System)
	}
	if m.Problem != "" {
		return problem.New(problem.ExitNoStack, "no_gpu_visible", "the GPUs of %s cannot be used", t.hostName()).Because("nvidia-smi says: %s", m.Problem).
			Try("mend the driver there, and look", "nvidia-smi")
	}
	if r.HostMemory == 0 {
		r.HostMemory, r.HostFree = m.MemoryBytes, m.FreeBytes
	}
	if r.Pins.Glibc.IsZero() {
		r.Pins.Glibc = m.Glibc
	}
	return nil
}

// describeHost says in few words what the machine has.
func describeHost(m onhost.Machine) string {
	parts := []string{m.System, fmt.Sprintf("%d CPUs", m.CPUs), fmt.Sprintf("%.0f GiB of memory", gibOf(m.MemoryBytes)), fmt.Sprintf("%.0f GiB of disk free", gibOf(m.DiskBytes))}
	if len(m.GPUs) > 0 {
		gpu := fmt.Sprintf("%s %.0f GiB, driver %s", m.GPUs[0].Name, gibOf(m.GPUs[0].MemoryBytes), m.Driver)
		if len(m.GPUs) > 1 {
			gpu = fmt.Sprintf("%d × %s", len(m.GPUs), gpu)
		}
		return strings.Join(append([]string{gpu}, parts...), " · ")
	}
	return strings.Join(append(parts, "no GPU"), " · ")
}

// loopback reports whether ssh reaches this very machine, so that its loopback addresses lead to the same places.
func (t target) loopback() bool {
	if t.ssh == nil {
		return false
	}
	h := t.ssh.HostName()
	ip := net.ParseIP(h)
	return h == "localhost" || ip != nil && ip.IsLoopback()
}
