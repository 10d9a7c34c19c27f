package ssh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"justright/launch"
)

// askFor bounds one question; a connection that cannot be made fails earlier.
const askFor = 60 * time.Second

// side is what was learned of our side of the connection.
type side struct {
	settle   func()
	share    []string // options that share one connection among calls
	hostName string   // what ssh_config makes of the host
}

// learn asks the client what the user's configuration says of the host. One who shares connections already goes on doing so.
func (p *Provider) learn() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	argv := append(append(p.c.Client[1:len(p.c.Client):len(p.c.Client)], "-G"), p.c.Target.args()...)
	cmd := exec.CommandContext(ctx, p.c.Client[0], argv...)
	cmd.Env, cmd.WaitDelay = p.c.Environ, time.Second
	out, err := cmd.Output()
	if err != nil {
		return
	}
	shares := false
	for l := range strings.SplitSeq(string(out), "\n") {
		k, v, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch strings.ToLower(k) {
		case "hostname":
			p.side.hostName = v
		case "controlpath":
			shares = shares || v != "none"
		}
	}
	// A socket's path has room for some hundred bytes, and %C takes forty.
	if shares || p.c.RunDir == "" || len(p.c.RunDir) > 50 || runtime.GOOS == "windows" || os.MkdirAll(p.c.RunDir, 0o700) != nil {
		return
	}
	if st, err := os.Lstat(p.c.RunDir); err != nil || !st.IsDir() || st.Mode().Perm() != 0o700 || !ownedByMe(st) { // whose sockets are they?
		return
	}
	p.side.share = []string{"-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath=" + filepath.Join(p.c.RunDir, "%C")}
}

// HostName is what the user's configuration makes of the host; the host itself when that cannot be told.
func (p *Provider) HostName() string {
	p.side.settle()
	if p.side.hostName == "" {
		return p.c.Target.Host
	}
	return p.side.hostName
}

// options of every call. Whether a host's key is accepted is the user's to say: nothing here weakens it.
func options() []string {
	return []string{"-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3",
		"-o", "LogLevel=ERROR", "-o", "RemoteCommand=none"}
}

// session is one script that runs on the host.
type session struct {
	op     string
	p      *Provider
	ctx    context.Context
	cmd    *exec.Cmd
	out    *bufio.Reader
	errors *os.File // a file, since a shared connection keeps our standard error open after we are done
	mark   string
	begun  bool
	ended  bool
}

// begin sends a script and waits until it runs. extra are options of this call alone.
func (p *Provider) begin(ctx context.Context, op, action string, vars map[string]string, more string, extra ...string) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fail(op, launch.FailTemporary, err)
	}
	s := &session{op: op, p: p, ctx: ctx, mark: "justright-" + random(8)}
	var err error
	if s.errors, err = os.CreateTemp("", "justright-ssh-*"); err != nil {
		return nil, fail(op, launch.FailUnknown, err)
	}
	_ = os.Remove(s.errors.Name())
	if len(extra) == 0 {
		p.side.settle()
		extra = append([]string{"-o", "ClearAllForwardings=yes"}, p.side.share...)
	}
	argv := append(append([]string{}, p.c.Client[1:]...), options()...)
	argv = append(append(argv, extra...), p.c.Target.args()...)
	s.cmd = exec.CommandContext(ctx, p.c.Client[0], append(argv, "exec /bin/sh")...)
	s.cmd.Env, s.cmd.Stderr, s.cmd.WaitDelay = p.c.Environ, s.errors, time.Second
	s.cmd.Stdin = strings.NewReader(p.compose(s.mark, action, vars, more))
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		_ = s.errors.Close()
		return nil, p.noClient(op, err)
	}
	s.out = bufio.NewReaderSize(out, 64<<10)
	for !s.begun {
		line, err := s.out.ReadString('\n')
		if s.begun = strings.TrimRight(line, "\r\n") == s.mark+" begin"; err != nil && !s.begun {
			return nil, s.broken(err)
		}
	}
	return s, nil
}

// line is the next line of ours; io.EOF when the script has ended in order.
func (s *session) line() (string, error) {
	l, err := s.out.ReadString('\n')
	if err != nil {
		return "", s.broken(err)
	}
	l = strings.TrimSuffix(l, "\n")
	if l == s.mark+" end" {
		s.ended = true
		return "", io.EOF
	}
	return l, nil
}

// close ends the session, whatever it does.
func (s *session) close() {
	if !s.ended && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
	}
	_ = s.cmd.Wait() // what it came to is known by what was read
	_ = s.errors.Close()
}

// broken closes a session that ended before its end, and says why.
func (s *session) broken(err error) error {
	_ = s.cmd.Wait()
	defer func() { _ = s.errors.Close() }()
	if cerr := s.ctx.Err(); cerr != nil {
		return fail(s.op, launch.FailTemporary, cerr)
	}
	text := make([]byte, 4<<10)
	n, rerr := s.errors.ReadAt(text, 0)
	if rerr != nil && !errors.Is(rerr, io.EOF) {
		return fail(s.op, launch.FailTemporary, errors.Join(err, rerr))
	}
	return s.p.refused(s.op, s.cmd.ProcessState.ExitCode(), string(text[:n]), s.begun)
}

// ask runs one action to its end.
func (p *Provider) ask(ctx context.Context, op, action string, vars map[string]string, more string) (answer, error) {
	var a answer
	own, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	late := func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return fail(op, launch.FailTemporary, p.unreachable("no answer within "+askFor.String()))
		}
		return err
	}
	s, err := p.begin(own, op, action, vars, more)
	if err != nil {
		return a, late(err)
	}
	for {
		l, err := s.line()
		if errors.Is(err, io.EOF) {
			s.close()
			return a, nil
		}
		if err != nil {
			return a, late(err)
		}
		if why, ok := strings.CutPrefix(l, "refused "); ok {
			s.close()
			kind := launch.FailNoCapacity
			if op == "delete" {
				kind = launch.FailTemporary
			}
			return a, fail(op, kind, errors.New(p.c.Target.Host+": "+why))
		}
		a.take(l)
	}
}
