package ssh_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"justright/internal/provider/ssh"
	"justright/launch"
	"justright/solve"
)

// TestMain makes this test's own program a stand-in for the ssh client: it runs what it is given here, under a login shell, as
// sshd would on the far side, and forwards ports as -L does.
func TestMain(m *testing.M) {
	if os.Getenv("STANDIN_SSH") != "" {
		os.Exit(standIn(os.Args[1:]))
	}
	// These tests wait for shells that sleep: more of them than there are cores may run beside each other. -parallel overrides.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// standIn obeys files of the directory STANDIN_SSH: fail (what it says before it gives up), cut (after how many bytes it loses the
// connection), shell (the login shell and its arguments), sh (what stands where /bin/sh does), banner (what a login prints). Its
// arguments are kept in args.
func standIn(args []string) int {
	ctx := context.Background()
	word := func(name string) string {
		b, err := os.ReadFile(filepath.Join(os.Getenv("STANDIN_SSH"), name))
		if err != nil {
			return ""
		}
		return string(b)
	}
	forward := ""
	for len(args) > 0 && args[0] != "--" {
		switch args[0] {
		case "-G":
			fmt.Println("hostname 127.0.0.1")
			return 0
		case "-L":
			forward = args[1]
			args = args[1:]
		case "-o", "-l", "-p":
			args = args[1:]
		}
		args = args[1:]
	}
	if f, err := os.OpenFile(filepath.Join(os.Getenv("STANDIN_SSH"), "args"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		_, _ = fmt.Fprintln(f, os.Args)
		_ = f.Close()
	}
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ssh")
		return 255
	}
	if text := word("fail"); text != "" {
		fmt.Fprint(os.Stderr, text)
		return 255
	}
	if forward != "" {
		f := strings.Split(forward, ":")
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", f[0]+":"+f[1])
		if err != nil {
			fmt.Fprintf(os.Stderr, "bind [%s]:%s: %v\nchannel_setup_fwd_listener_tcpip: cannot listen to port: %s\n", f[0], f[1], err, f[1])
		} else {
			go passOn(ctx, l, f[2]+":"+f[3])
		}
	}
	shell := strings.Fields(word("shell"))
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	cmd := exec.CommandContext(ctx, shell[0], append(shell[1:], args[2])...)
	if sh := strings.Fields(word("sh")); len(sh) > 0 {
		cmd = exec.CommandContext(ctx, sh[0], sh[1:]...)
	}
	cmd.Stdin, cmd.Stderr, cmd.Dir = os.Stdin, os.Stderr, os.Getenv("HOME")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 255
	}
	fmt.Print(word("banner"))
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	if n, err := strconv.Atoi(word("cut")); err == nil {
		_, _ = io.CopyN(os.Stdout, out, int64(n))
		fmt.Fprintln(os.Stderr, "client_loop: send disconnect: Broken pipe")
		return 255 // what runs over there is left to itself
	}
	_, _ = io.Copy(os.Stdout, out)
	if err := cmd.Wait(); err != nil {
		return cmd.ProcessState.ExitCode()
	}
	return 0
}

func passOn(ctx context.Context, l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			var dialer net.Dialer
			d, err := dialer.DialContext(ctx, "tcp", to)
			if err != nil {
				return
			}
			defer func() { _ = d.Close() }()
			go func() { _, _ = io.Copy(d, c); _ = d.(*net.TCPConn).CloseWrite() }()
			_, _ = io.Copy(c, d)
		}()
	}
}

// box is a host behind the stand-in.
type box struct {
	t    *testing.T
	home string // the host's
	obey string // what the stand-in reads
	here string // state of this machine
	env  []string
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, home: t.TempDir(), obey: t.TempDir(), here: t.TempDir()}
	b.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.home, "STANDIN_SSH=" + b.obey,
		"GORACE=atexit_sleep_ms=0"} // the race detector would have each call of the stand-in sleep a second at its end
	return b
}

// say has the stand-in do something; empty: not any more.
func (b *box) say(file, text string) {
	b.t.Helper()
	path := filepath.Join(b.obey, file)
	err := os.Remove(path)
	if text != "" {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) provider(change func(*ssh.Config)) *ssh.Provider {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	target, err := ssh.Parse("ssh://me@box:2222")
	if err != nil {
		b.t.Fatal(err)
	}
	c := ssh.Config{Target: target, Client: []string{self}, StateDir: b.here, Environ: b.env, Now: time.Now, Grace: 2 * time.Second}
	if change != nil {
		change(&c)
	}
	p, err := ssh.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		for _, f := range []string{"fail", "cut", "shell", "sh", "banner"} {
			_ = os.Remove(filepath.Join(b.obey, f))
		}
		all, _ := p.List(context.Background())
		for _, in := range all {
			_ = p.Delete(context.Background(), in.ID)
		}
	})
	return p
}

// eventually asks until ok, or fails: what is waited for comes in a moment, however slow the machine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// spec runs a shell script, by quoting-proof argv as the start script does.
func spec(script string, env map[string]string) launch.Spec {
	return launch.Spec{Name: "n", AttemptID: "a1", OwnerID: "o1", Env: env, Start: solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{script}}}
}

func create(t *testing.T, p *ssh.Provider, s launch.Spec) launch.Instance {
	t.Helper()
	in, err := p.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func lines(t *testing.T, p *ssh.Provider, id, after string) (text, marks []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Logs(ctx, id, after, func(l launch.LogLine) error {
		text, marks = append(text, l.Text), append(marks, l.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text, marks
}
