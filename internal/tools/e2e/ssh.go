package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"justright/internal/tools/drive"
)

// server is an OpenSSH server of our own on loopback, with keys and configuration in a directory of its own.
type server struct {
	dir    string
	cmd    *exec.Cmd
	client string // the client's command, for JUSTRIGHT_SSH
}

// sshd starts one as whoever runs this.
func sshd(ctx context.Context, dir string) (*server, error) {
	program, err := exec.LookPath("sshd")
	if err != nil {
		if program = "/usr/sbin/sshd"; !present(program) {
			return nil, errors.New("no sshd on this machine; install openssh-server")
		}
	}
	s := &server{dir: dir, client: "ssh -F " + filepath.Join(dir, "config")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		_ = os.MkdirAll("/run/sshd", 0o755) // sshd that root starts wants it
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	hostKey, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(hostKey))
	world := "" // how this machine reaches registries, which a session of ssh is not told
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		if v := os.Getenv(name); v != "" {
			world += " " + name + "=" + v
		}
	}
	if world != "" {
		world = "SetEnv" + world + "\n"
	}
	for name, text := range map[string]string{
		"banner":     "*** authorised use only ***\n",
		"sshd":       "ListenAddress 127.0.0.1\nPort " + port + "\nHostKey DIR/host\nAuthorizedKeysFile DIR/user.pub\nPidFile none\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nBanner DIR/banner\n" + world,
		"config":     "Host box\n  HostName 127.0.0.1\n  Port " + port + "\n  IdentityFile DIR/user\n  IdentitiesOnly yes\n  UserKnownHostsFile DIR/known\n  StrictHostKeyChecking yes\n",
		"known":      "[127.0.0.1]:" + port + " " + f[0] + " " + f[1] + "\n",
		"strangers":  "Host box\n  HostName 127.0.0.1\n  Port " + port + "\n  IdentityFile DIR/user\n  IdentitiesOnly yes\n  UserKnownHostsFile /dev/null\n",
		"keyless":    "Host box\n  HostName 127.0.0.1\n  Port " + port + "\n  IdentityFile DIR/host\n  IdentitiesOnly yes\n  UserKnownHostsFile DIR/known\n",
		"unanswered": "Host box\n  HostName 127.0.0.1\n  Port 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			return nil, err
		}
	}
	return s, s.start(ctx, program, address)
}

func present(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *server) start(ctx context.Context, program, address string) error {
	s.cmd = exec.CommandContext(ctx, program, "-D", "-f", filepath.Join(s.dir, "sshd"), "-E", filepath.Join(s.dir, "log"))
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 100 {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", address); err == nil {
			_ = c.Close()
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("sshd does not listen: %s", log)
}

// cut ends every connection that stands, as a lost line does; the server goes on taking new ones.
func (s *server) cut(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "ps", "-o", "pid=", "--ppid", fmt.Sprint(s.cmd.Process.Pid)).Output()
	if err != nil {
		return fmt.Errorf("the server's connections: %w", err)
	}
	for pid := range strings.FieldsSeq(string(out)) {
		if err := exec.CommandContext(ctx, "kill", "-KILL", pid).Run(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}

// overSSH is the whole road to a machine that ssh reaches, which is this one: the adapter's suite through the real client and
// server, refusals, up with the real engine, the tunnel cut and back, a question through it, verify, down.
func overSSH(ctx context.Context, b *bench) (string, error) {
	s, err := sshd(ctx, filepath.Join(b.dir, "ssh"))
	if err != nil {
		return "", err
	}
	defer s.stop()
	suite := exec.CommandContext(ctx, "go", "test", "./internal/provider/ssh", "-count=1", "-run", "TestRealConformance")
	suite.Env = append(append([]string{}, b.Env...), "JUSTRIGHT_TEST_SSH=ssh://box", "JUSTRIGHT_SSH="+s.client)
	if out, err := suite.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the suite over a real connection: %w: %s", err, drive.Tail(string(out)))
	}
	const id = "justright/chat"
	hubEnv, err := drive.Hub(ctx, "127.0.0.1", id, b.chat)
	if err != nil {
		return "", err
	}
	run := filepath.Join(os.TempDir(), fmt.Sprintf("jr-e2e-%d", os.Getpid())) // sockets want a short path
	if err := os.MkdirAll(run, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(run) //nolint:errcheck // a temporary directory
	env := append(hubEnv, "JUSTRIGHT_SSH="+s.client, "XDG_RUNTIME_DIR="+run)
	b.Env = append(b.Env, "JUSTRIGHT_SSH="+s.client, "XDG_RUNTIME_DIR="+run) // for verify, ps and down

	for file, want := range map[string]int{"strangers": 4, "keyless": 4, "unanswered": 5} {
		l, err := b.Call(ctx, append(env, "JUSTRIGHT_SSH=ssh -F "+filepath.Join(s.dir, file), "XDG_RUNTIME_DIR=/nowhere"), "up", id, "--on", "ssh://box", "--yes", "--online", "--json")
		if err != nil {
			return "", err
		}
		if l.Status != want || !strings.Contains(l.Stdout, "justright/problem/1") {
			return "", fmt.Errorf("with the configuration %s up ended with status %d instead of %d: %s", file, l.Status, want, l.Said())
		}
	}
	l, err := b.Up(ctx, env, "--on", "ssh://box", id, "--name", "far", "--online")
	if err != nil {
		return "", err
	}
	e, err := l.Ready("health", "model-list", "chat", "streaming", "wrong-key-refused", "other-doors")
	if err != nil {
		return "", err
	}
	if err := s.cut(ctx); err != nil {
		return "", err
	}
	said, took := "", time.Now()
	for said == "" {
		if said, err = drive.Ask(ctx, e, question); err != nil && time.Since(took) > time.Minute {
			return "", fmt.Errorf("a minute after its connection was cut: %w", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	back := time.Since(took)
	if !strings.Contains(said, answer) {
		return "", fmt.Errorf("asked %q, it said %q", question, said)
	}
	v, err := b.Call(ctx, nil, "verify", e.Name, "--json")
	if err != nil || v.Status != 0 {
		return "", fmt.Errorf("verify ended with status %d: %w %s", v.Status, err, v.Said())
	}
	if err := b.Down(ctx, e.Name); err != nil {
		return "", err
	}
	if left, err := filepath.Glob(filepath.Join(b.dir, "state", "justright", "ssh", "*.json")); err != nil || len(left) > 0 {
		return "", fmt.Errorf("left behind: tunnels %v, %w", left, err)
	}
	return fmt.Sprintf("suite, up %.0f s, %q through a tunnel that was cut and came back in %.1f s, verify %.0f s", l.Took.Seconds(), said, back.Seconds(), v.Took.Seconds()), nil
}
