package ssh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"justright/internal/provider"
	"justright/internal/provider/ssh"
	"justright/launch"
	"justright/problem"
)

const stays = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"

// environment is what a launch sees, by its own env.
func environment(t *testing.T, p *ssh.Provider, own map[string]string) map[string]string {
	t.Helper()
	in := create(t, p, spec("env", own))
	text, _ := lines(t, p, in.ID, "")
	out := map[string]string{}
	for _, l := range text {
		k, v, _ := strings.Cut(l, "=")
		out[k] = v
	}
	return out
}

func TestEnvironmentAndSecrets(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.env = append(b.env, "HF_TOKEN=hf_theirs", "RUNPOD_POD_ID=pod", "PYTHONDONTWRITEBYTECODE=1", "my_db_password=p", "PLAIN=1", "PORT=7", "HOST=box")
	const key = `sk-'"$(id)` + "`x`" + ` \ é`
	have := environment(t, b.provider(nil), map[string]string{"VLLM_API_KEY": key, "JUSTRIGHT_ROOT": "/elsewhere", "EMPTY": ""})
	for _, k := range []string{"HF_TOKEN", "RUNPOD_POD_ID", "PYTHONDONTWRITEBYTECODE", "my_db_password"} {
		if v, ok := have[k]; ok {
			t.Errorf("%s=%s was passed on", k, v)
		}
	}
	want := map[string]string{"PLAIN": "1", "VLLM_API_KEY": key, "JUSTRIGHT_GUARD": "local", "JUSTRIGHT_ATTEMPT": "a1", "JUSTRIGHT_OWNER": "o1",
		"JUSTRIGHT_ROOT": filepath.Join(b.home, ".cache/justright")}
	for k, v := range want {
		if have[k] != v {
			t.Errorf("%s=%q, want %q", k, have[k], v)
		}
	}
	if n, err := strconv.Atoi(have["JUSTRIGHT_PORT"]); err != nil || n < 20000 || n >= 32000 {
		t.Errorf("port %q", have["JUSTRIGHT_PORT"])
	}
	args, err := os.ReadFile(filepath.Join(b.obey, "args"))
	if err != nil || strings.Contains(string(args), "sk-") || !strings.Contains(string(args), "BatchMode=yes") || strings.Contains(string(args), "StrictHostKeyChecking") {
		t.Errorf("the client was called as %s, %v", args, err)
	}
	// The log holds it because this launch prints its environment; nothing else may.
	for _, root := range []string{b.home, b.here} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, _ error) error {
			if raw, err := os.ReadFile(path); err == nil && d.Name() != "log" && strings.Contains(string(raw), "sk-") {
				t.Errorf("%s holds the secret", path)
			}
			return nil
		})
	}
}

// Whatever the login shell is and prints, and whatever /bin/sh is, the same comes of it.
func TestShells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, words string }{
		{"login bash", "shell", "bash -c"}, {"login fish", "shell", "fish -c"}, {"login tcsh", "shell", "tcsh -c"}, {"login zsh", "shell", "zsh -c"},
		{"dash", "sh", "dash"}, {"bash", "sh", "bash --posix"}, {"busybox", "sh", "busybox sh"}, {"mksh", "sh", "mksh"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(strings.Fields(c.words)[0]); err != nil {
				t.Skipf("%s is not here", c.words)
			}
			b := newBox(t)
			p := b.provider(nil)
			b.say(c.file, c.words)
			b.say("banner", "Welcome!\n***  justright-0 begin\n\x1b[1mno newline at the end")
			in := create(t, p, spec("printf 'a\\nb'; exec sleep 60", map[string]string{"X": "it's $HOME\nand `more`"}))
			if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running || got.AttemptID != "a1" {
				t.Errorf("%+v, %v", got, err)
			}
			if err := p.Delete(t.Context(), in.ID); err != nil {
				t.Fatal(err)
			}
			if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Gone {
				t.Errorf("after delete %+v, %v", got, err)
			}
			if m, err := p.Describe(t.Context()); err != nil || m.CPUs < 1 || m.FreeBytes < 1<<20 || m.MemoryBytes <= m.FreeBytes || m.DiskBytes < 1 || m.System == "" {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	for _, c := range []struct {
		name, said string
		kind       launch.FailureKind
		exit       problem.Exit
		code       problem.Code
		dialed     bool
	}{
		{"no name", "ssh: Could not resolve hostname box: Name or service not known\r\n", launch.FailTemporary, 5, "unreachable", true},
		{"nobody listens", "ssh: connect to host box port 2222: Connection refused\r\n", launch.FailTemporary, 5, "unreachable", true},
		{"silence", "ssh: connect to host box port 2222: Connection timed out\r\n", launch.FailTemporary, 5, "unreachable", true},
		{"no key", "me@box: Permission denied (publickey).\r\n", launch.FailAuth, 4, "ssh_refused", false},
		{"no key of the jump host", "me@jump: Permission denied (publickey,password).\r\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n",
			launch.FailAuth, 4, "ssh_refused", false},
		{"unknown host key", "Host key verification failed.\r\n", launch.FailAuth, 4, "host_key", false},
		{"changed host key", "@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.\r\n", launch.FailAuth, 4, "host_key", false},
		{"configuration", "/home/me/.ssh/config: line 3: Bad configuration option: foo\r\n", launch.FailRejected, 2, "ssh_config", false},
		{"whatever else", "ssh: something new\n", launch.FailTemporary, 5, "unreachable", false},
	} {
		b.say("fail", c.said)
		_, err := p.Create(t.Context(), spec(stays, nil))
		pr := problem.From(err)
		var op *net.OpError
		if provider.KindOf(err) != c.kind || pr.Exit != c.exit || pr.Code != c.code || errors.As(err, &op) != c.dialed || len(pr.Hints) == 0 {
			t.Errorf("%s: %v (%s, exit %d, %s, %d hints)", c.name, err, provider.KindOf(err), pr.Exit, pr.Code, len(pr.Hints))
		}
		if strings.ContainsAny(pr.Cause, "\r\x1b") {
			t.Errorf("%s: cause %q", c.name, pr.Cause)
		}
	}
	b.say("fail", "")
	b.say("shell", "false")
	if _, err := p.Offers(t.Context()); problem.From(err).Code != "no_shell" {
		t.Errorf("a login that runs nothing: %v", err)
	}
	b.say("shell", "")
	bare := b.provider(func(c *ssh.Config) { c.Client = []string{"/nowhere/ssh"} })
	if _, err := bare.List(t.Context()); problem.From(err).Code != "tool_missing" {
		t.Errorf("no client: %v", err)
	}
	if all, err := p.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left behind: %+v, %v", all, err)
	}
}

// A create whose answer is lost may have been carried out: it must not look like one that was not, and its machine is found.
func TestLostCreateIsFound(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	b.say("cut", "60") // the script runs, and its answer goes nowhere
	s := spec(stays, nil)
	_, err := p.Create(t.Context(), s)
	var op *net.OpError
	if provider.KindOf(err) != launch.FailTemporary || errors.As(err, &op) {
		t.Errorf("%v: %s, as never asked: %v", err, provider.KindOf(err), op)
	}
	if _, err := p.Get(t.Context(), "s"+strings.Repeat("0", 20)); provider.KindOf(err) != launch.FailTemporary {
		t.Errorf("a cut answer to get: %v, want it unknown", err)
	}
	b.say("cut", "")
	eventually(t, "the machine of the lost create is listed", func() bool {
		all, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].AttemptID == "a1" && all[0].Status == launch.Running
	})
}

// What comes over many short connections is what was said, from any mark on.
func TestLogsOverALossyLine(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	in := create(t, p, spec(`i=0; while [ $i -lt 40 ]; do echo "line $i is here"; i=$((i+1)); done; printf 'ü\n\nlast'`, nil))
	want, marks := lines(t, p, in.ID, "")
	if len(want) != 43 || want[42] != "last" || want[40] != "ü" {
		t.Fatalf("read %q", want)
	}
	for cut, enough := range map[int]int{170: 8, 400: 25} { // more than one such connection carries
		b.say("cut", strconv.Itoa(cut))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var got []string
		err := p.Logs(ctx, in.ID, marks[2], func(l launch.LogLine) error {
			if got = append(got, l.Text); len(got) == enough {
				cancel()
			}
			return nil
		})
		cancel()
		if len(got) < enough || !slices.Equal(got, want[3:3+len(got)]) || err == nil && len(got) < len(want)-3 {
			t.Errorf("cut after %d bytes: %q, %v", cut, got, err)
		}
	}
	b.say("cut", "")
	if rest, _ := lines(t, p, in.ID, marks[20]); !slices.Equal(rest, want[21:]) {
		t.Errorf("after line 20: %q", rest)
	}
	b.say("fail", "me@box: Permission denied (publickey).\n")
	if err := p.Logs(t.Context(), in.ID, "", func(launch.LogLine) error { return nil }); provider.KindOf(err) != launch.FailAuth {
		t.Errorf("refused in the middle: %v", err)
	}
}

// A home that is not mounted, or another machine under the same name, denies nothing.
func TestOnlyTheMachineItselfDenies(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	in := create(t, p, spec(stays, nil))
	state := filepath.Join(b.home, ".local/state/justright")
	if err := os.Rename(state, state+".away"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"get":    second(p.Get(t.Context(), in.ID)),
		"delete": p.Delete(t.Context(), in.ID),
		"logs":   p.Logs(t.Context(), in.ID, "", func(launch.LogLine) error { return nil }),
	} {
		if provider.KindOf(err) != launch.FailAuth {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
	other := create(t, p, spec(stays, nil)) // makes the directory anew: still another one
	if _, err := p.Get(t.Context(), in.ID); provider.KindOf(err) != launch.FailAuth {
		t.Errorf("get after another began: %v", err)
	}
	if err := p.Delete(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(state), os.Rename(state+".away", state)); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Get(t.Context(), in.ID); err != nil || got.Status != launch.Running {
		t.Errorf("after it came back: %+v, %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }

// Two journals see each other's launches and end only their own.
func TestTwoJournalsOnOneHost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	q := b.provider(func(c *ssh.Config) { c.StateDir = t.TempDir() })
	theirs := spec(stays, nil)
	theirs.AttemptID, theirs.OwnerID = "a2", "o2"
	x, y := create(t, p, spec(stays, nil)), create(t, q, theirs)
	all, err := p.List(t.Context())
	if err != nil || len(all) != 2 || all[0].OwnerID == all[1].OwnerID {
		t.Fatalf("listed %+v, %v", all, err)
	}
	if err := p.Delete(t.Context(), x.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Get(t.Context(), y.ID); err != nil || got.Status != launch.Running || got.OwnerID != "o2" {
		t.Errorf("the other journal's launch: %+v, %v", got, err)
	}
}

func TestDeleteEndsWhatIgnoresIt(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(func(c *ssh.Config) { c.Grace = time.Second })
	in := create(t, p, spec("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ >worker; exec sleep 60' & while :; do sleep 1; done", nil))
	file := filepath.Join(b.home, ".local/state/justright/ssh", in.ID, "worker")
	text := ""
	eventually(t, "the worker runs", func() bool {
		raw, _ := os.ReadFile(file)
		text = strings.TrimSpace(string(raw))
		return text != ""
	})
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile("/proc/" + text + "/cmdline"); err == nil && len(raw) > 0 {
		t.Errorf("worker %s still runs %q", text, raw)
	}
}

// tools makes a directory of programs: links to those of this machine but for some, and scripts.
func tools(t *testing.T, but []string, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		all, _ := os.ReadDir(from)
		for _, e := range all {
			if !slices.Contains(but, e.Name()) && scripts[e.Name()] == "" {
				_ = os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name()))
			}
		}
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Without setsid a launch is put into a session by Python or Perl; without those it stays in one, and is ended all the same.
func TestHostsWithoutSetsid(t *testing.T) {
	t.Parallel()
	for _, but := range [][]string{{"setsid", "curl"}, {"setsid", "python3"}, {"setsid", "python3", "perl"}} {
		t.Run("without-"+strings.Join(but, "-"), func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.env = append(b.env, "PATH="+tools(t, but, nil))
			p := b.provider(nil)
			in := create(t, p, spec("echo up; sleep 61 & exec sleep 62", nil))
			raw, err := os.ReadFile(filepath.Join(b.home, ".local/state/justright/ssh", in.ID, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			pid := strings.TrimSpace(string(raw))
			group, err := exec.CommandContext(t.Context(), "ps", "-o", "pgid=", "-p", pid).Output()
			if own := strings.TrimSpace(string(group)) == pid; err == nil && own == slices.Contains(but, "perl") {
				t.Errorf("process %s is in group %s", pid, group)
			}
			if err := p.Delete(t.Context(), in.ID); err != nil {
				t.Error(err)
			}
			m, err := p.Describe(t.Context())
			if err != nil || slices.Contains(m.Lacks, "python3") != slices.Contains(but, "python3") && len(m.Pythons) == 0 {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// Where the system ends a user's processes at logout, a scope of the user manager holds the launch.
func TestScopeWhereLogoutKills(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.env = append(b.env, "PATH="+tools(t, nil, map[string]string{
		"busctl": `[ "$5" = KillUserProcesses ] && echo 'b true'`, "loginctl": "exit 0",
		"systemd-run": `[ "$1 $2 $3" = '--user --scope --quiet' ] || exit 1; shift 3; [ "$1" != -- ] || shift; SCOPED=1 exec "$@"`,
	}))
	if have := environment(t, b.provider(nil), nil); have["SCOPED"] != "1" {
		t.Errorf("it runs outside a scope: %v", have)
	}
}

func TestTemporaryDirectoryThatRunsNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.env = append(b.env, "TMPDIR=/nowhere/at/all")
	want := filepath.Join(b.home, ".cache/justright/tmp")
	if have := environment(t, b.provider(nil), nil); have["TMPDIR"] != want {
		t.Errorf("TMPDIR=%q, want %q", have["TMPDIR"], want)
	}
}

func TestOwnDirectory(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	root := filepath.Join(t.TempDir(), "data")
	p := b.provider(func(c *ssh.Config) { c.Target.Dir = root })
	have := environment(t, p, nil)
	if have["JUSTRIGHT_ROOT"] != root || !strings.HasPrefix(have["JUSTRIGHT_RUN"], root+"/state/") {
		t.Errorf("root %q, run %q", have["JUSTRIGHT_ROOT"], have["JUSTRIGHT_RUN"])
	}
	if _, err := os.Stat(filepath.Join(b.home, ".cache")); err == nil {
		t.Error("the home was written to")
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	const smi = `case "$1" in --query*) echo "NVIDIA L4, 23034, 570.86.10, 8.9"; echo "NVIDIA L4, 23034, 570.86.10, 8.9";; *) echo "| NVIDIA-SMI 570.86.10  CUDA Version: 12.8 |";; esac`
	b := newBox(t)
	b.env = append(b.env, "PATH="+tools(t, nil, map[string]string{"nvidia-smi": smi}))
	p := b.provider(func(c *ssh.Config) { c.LookupGPU = func(s string) string { return "found " + s } })
	m, err := p.Describe(t.Context())
	if err != nil || len(m.GPUs) != 2 || m.Driver.String() != "570.86.10" || m.CUDA.String() != "12.8" || m.Capability.String() != "8.9" || m.FreeBytes < 1 {
		t.Errorf("%+v, %v", m, err)
	}
	offers, err := p.Offers(t.Context())
	if err != nil || len(offers) != 1 || offers[0].GPU != "found NVIDIA L4" || offers[0].MaxCount != 2 || offers[0].HostCUDA[0].String() != "12.8" || offers[0].PricePerHour != nil {
		t.Errorf("%+v, %v", offers, err)
	}
	b = newBox(t)
	b.env = append(b.env, "PATH="+tools(t, []string{"gzip", "base64"}, map[string]string{"nvidia-smi": "echo NVML: no driver; exit 9"}))
	m, err = b.provider(nil).Describe(t.Context())
	if err != nil || m.Problem != "NVML: no driver" || !slices.Equal(m.Lacks, []string{"gzip", "base64"}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// The tunnel leads to the engine's port, comes back when it is lost, is made by another controller too, and ends with the launch.
func TestTunnel(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	kept := make(chan error, 8)
	var p *ssh.Provider
	keep := func(c *ssh.Config) {
		c.Keep = func(id string) error {
			go func() { kept <- p.KeepTunnel(context.WithoutCancel(t.Context()), id) }()
			return nil
		}
	}
	p = b.provider(keep)
	in := create(t, p, spec(stays, nil))
	raw, err := os.ReadFile(filepath.Join(b.home, ".local/state/justright/ssh", in.ID, "instance"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(string(raw), "\nport ")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:"+strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	engine := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the engine") })}
	go func() { _ = engine.Serve(l) }()
	defer func() { _ = engine.Close() }()
	get := func() string {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.BaseURL, nil)
		if err != nil {
			return err.Error()
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = r.Body.Close() }()
		raw, _ := io.ReadAll(r.Body)
		return string(raw)
	}
	answers := func(what, want string) {
		t.Helper()
		eventually(t, what+": "+want, func() bool { return strings.Contains(get(), want) })
	}
	if strings.Contains(in.BaseURL, port) || !strings.HasPrefix(in.BaseURL, "http://127.0.0.1:") {
		t.Errorf("base URL %q", in.BaseURL)
	}
	answers("through the tunnel", "the engine")
	if again, err := p.Get(t.Context(), in.ID); err != nil || again.BaseURL != in.BaseURL {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if err := p.Delete(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	answers("after delete", "refused")
	select {
	case err := <-kept:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the tunnel outlives the launch")
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := b.provider(nil)
	s := spec(stays, nil)
	s.Expose = "gpu.example"
	if in := create(t, p, s); !strings.HasPrefix(in.BaseURL, "http://gpu.example:") {
		t.Errorf("base URL %q", in.BaseURL)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Expose = "gpu.example:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if _, err := p.Create(t.Context(), s); provider.KindOf(err) != launch.FailNoCapacity {
		t.Errorf("a port that is taken: %v", err)
	}
	_ = l.Close()
	in := create(t, p, s)
	if in.BaseURL != "http://"+s.Expose {
		t.Errorf("base URL %q, want %s", in.BaseURL, s.Expose)
	}
	if _, err := p.Create(t.Context(), s); provider.KindOf(err) != launch.FailNoCapacity {
		t.Errorf("a port that another launch was given: %v", err)
	}
	for _, bad := range []string{"-x", "a b", "h:0", "h:70000", "a;b"} {
		s.Expose = bad
		if _, err := p.Create(t.Context(), s); provider.KindOf(err) != launch.FailRejected {
			t.Errorf("expose %q: %v", bad, err)
		}
	}
}
