package boot_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"justright/boot"
)

// The test program is the machine's tools too: it is linked under their names in front of PATH.
func TestMain(m *testing.M) {
	if isTool(os.Args[0]) {
		os.Exit(runTool(context.Background(), toolCall{Program: os.Args[0], Args: os.Args[1:], Env: os.Getenv,
			Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Engine: engine}))
	}
	// These tests wait for shells that sleep: more of them than there are cores may run beside each other.
	// -parallel overrides.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// engine answers as much of vLLM's API as the script asks for. ENGINE_DIES makes it fail at once with that text.
func engine(ctx context.Context, argv []string, stdout io.Writer) int {
	fmt.Fprintf(stdout, "engine argv %q\n", argv)
	if text := os.Getenv("ENGINE_DIES"); text != "" {
		fmt.Fprintln(stdout, text)
		return 3
	}
	port, host := "", ""
	for i := range argv[:len(argv)-1] {
		switch argv[i] {
		case "--port":
			port = argv[i+1]
		case "--host":
			host = argv[i+1]
		}
	}
	want := sha256.Sum256([]byte("Bearer " + os.Getenv("VLLM_API_KEY")))
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, r *http.Request) {
		if sha256.Sum256([]byte(r.Header.Get("Authorization"))) != want {
			w.WriteHeader(401)
			return
		}
		_, _ = fmt.Fprint(w, `{"data":[{"id":"m"}]}`)
	})
	var served int
	mux.HandleFunc("/v1/chat", func(http.ResponseWriter, *http.Request) { served++ })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "# HELP x\nvllm:num_requests_running{engine=\"0\"} %s\nvllm:num_requests_waiting{engine=\"0\"} 0.0\n"+
			"vllm:request_success_total{finished_reason=\"stop\"} %d.0\n", os.Getenv("ENGINE_RUNNING"), served)
	})
	s := &http.Server{Addr: host + ":" + port, Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { <-ctx.Done(); _ = s.Close() }()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(stdout, err)
		return 1
	}
	return 0
}

// shells are the shells the script must run under. A missing one is a failure in CI, which installs them.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"dash": {"dash"}, "bash": {"bash"}, "bash-posix": {"bash", "--posix"}, "busybox": {"busybox", "sh"}}
	for name, argv := range all {
		if _, err := exec.LookPath(argv[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", argv[0])
			}
			t.Logf("NOT TRIED: %s is not installed", argv[0])
			delete(all, name)
		}
	}
	return all
}

// machine runs a start script in surroundings of its own.
type machine struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	mu   sync.Mutex
	out  strings.Builder
	done chan struct{}
}

// world is the environment of a machine on which everything works: one card, the hub and the index at url.
func world(url string) map[string]string {
	return map[string]string{
		"STANDIN_GPUS": "NVIDIA RTX A5000,24564,24100,570.86.10,8.6", "STANDIN_CUDA": "12.8",
		"STANDIN_WEIGHTS": "1000000", "STANDIN_INSTALL": "12", "ENGINE_RUNNING": "0.0",
		"HF_ENDPOINT": url, "UV_DEFAULT_INDEX": url, "VLLM_API_KEY": "sk-secret-of-the-endpoint",
		"JUSTRIGHT_ATTEMPT": "0123456789abcdef0123456789abcdef", "JUSTRIGHT_GUARD_TICK": "1", "JUSTRIGHT_HOLD": "0",
	}
}

func start(t *testing.T, shell []string, s boot.Script, env map[string]string) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), done: make(chan struct{})}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(m.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := linkTools(self, bin); err != nil {
		t.Fatal(err)
	}
	argv := append(append([]string{}, shell...), "-c", s.Start().Cmd[0])
	m.cmd = exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	m.cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + m.dir, "TMPDIR=" + m.dir, "JUSTRIGHT_PORT=" + freePort(t),
		"GORACE=atexit_sleep_ms=0"} // the race detector would have each tool, which is this program, sleep a second at its end
	for k, v := range s.Env() {
		m.cmd.Env = append(m.cmd.Env, k+"="+v)
	}
	for k, v := range env {
		m.cmd.Env = append(m.cmd.Env, k+"="+v)
	}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	m.cmd.Stdout, m.cmd.Stderr = m, m
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = m.cmd.Wait(); close(m.done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL)
		<-m.done
		if t.Failed() {
			t.Logf("the machine said:\n%s", m.said())
		}
	})
	return m
}

func (m *machine) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.Write(b)
}

func (m *machine) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.String()
}

// patience is how long anything here may take before it is called a failure. What is waited for comes in a moment, however slow
// the machine that runs the tests.
const patience = time.Minute

// eventually asks until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s within %s", what, patience)
		}
	}
}

// await waits for a line that matches, and fails when the machine ends before.
func (m *machine) await(pattern string) string {
	m.t.Helper()
	re, found := regexp.MustCompile("(?m)^"+pattern), ""
	eventually(m.t, "said: "+pattern, func() bool {
		ended := false
		select {
		case <-m.done:
			ended = true
		default:
		}
		if found = re.FindString(m.said()); found == "" && ended {
			m.t.Fatalf("the machine ended without %q", pattern)
		}
		return found != ""
	})
	return found
}

// phases are the phase lines so far, as "name status cause".
func (m *machine) phases() []string {
	var out []string
	for l := range strings.Lines(m.said()) {
		if p, ok := boot.ParseLine(l); ok && p.Kind == boot.KindPhase {
			out = append(out, strings.TrimSpace(p.Phase+" "+p.Status+" "+p.Cause))
		}
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	s := newServer(t, http.NotFoundHandler())
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	s.Close()
	return port
}
