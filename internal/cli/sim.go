package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"justright/money"
	"justright/problem"
	"justright/sim/runpodsim"
	"justright/sim/runpodsim/inpod"
)

// simFlags are the options of `justright sim`.
type simFlags struct {
	listen, exec, state, openapi, fleet, dir, balance, spend string
	speed, delays                                            float64
	exitWhenIdle, linger                                     time.Duration
	public, refuseExec, knownImages, specStatus, anyAgent    bool
	unlimited, quiet                                         bool
	keys, private, missing                                   []string
	seed                                                     uint64
}

func newSimCommand(w *World) *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use:   "sim",
		Short: "A RunPod that rents nothing, for any RunPod client",
		Long: `sim serves RunPod's APIs (REST v2, REST v1, GraphQL), its HTTP proxy and its logs on a loopback port. Pods run their start
command for real under a shell of this machine; containers that exit are started again for ever and bill; images that
ask for a newer driver than their host has never start; two creates race for the last card.

Point a client at it:
  RUNPOD_API_BASE_URL=URL RUNPOD_API_KEY=any    justright, RunPod's MCP server, RunPod's Python SDK
  RUNPOD_API_URL=URL/v1 RUNPOD_GRAPHQL_URL=URL/graphql    runpodctl

The first line on stdout is {"schema":"justright/sim/1","url":URL,"pid":N}; then it serves until SIGTERM or SIGINT, which end
every pod's processes. GET URL/_sim/ledger tells what was spent; GET URL/_sim/ lists the other controls.

--exec scripted puts stand-ins for nvidia-smi, uv, python3, curl and vllm first on each pod's PATH, so that real start scripts
run in seconds, offline. --exec real gives pods this machine's own tools.

Exit status: 0 ended by a signal or by --exit-when-idle; 2 usage; 5 the address is taken.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return w.runSim(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:0", "address to serve on")
	fl.BoolVar(&f.public, "public", false, "allow an address that is not loopback: anybody who reaches it can run commands here")
	fl.StringVar(&f.exec, "exec", "scripted", "what pods run with: scripted (stand-in tools) or real (this machine's)")
	fl.Float64Var(&f.speed, "speed", 1, "simulated seconds per real second")
	fl.Float64Var(&f.delays, "delays", 0.01, "how much of RunPod's waits (scheduling, pulling, restarting) is kept; 1 is life-like")
	fl.DurationVar(&f.exitWhenIdle, "exit-when-idle", 0, "end when for this long no pod has been left and nobody has called (0: never)")
	fl.StringVar(&f.state, "state", "", "file that says where the simulator is and, after its end, what was spent")
	fl.StringVar(&f.dir, "dir", "", "directory for the pods' files (default: a temporary one, removed at the end)")
	fl.StringVar(&f.openapi, "openapi", "", "file to answer at /v2/openapi.json")
	fl.StringVar(&f.fleet, "fleet", "", "JSON file with GPUs, data centers, machines and prices (default: built in)")
	fl.StringVar(&f.balance, "balance", "", "credit in dollars (default: endless)")
	fl.StringVar(&f.spend, "spend-limit", "", "dollars per hour that all pods together may cost (default: none)")
	fl.StringSliceVar(&f.keys, "key", nil, "accepted API key, repeatable; KEY@ACCOUNT separates accounts (default: any key)")
	fl.Uint64Var(&f.seed, "seed", 0, "make ids and placement reproducible (0: random)")
	fl.BoolVar(&f.refuseExec, "refuse-exec-form", false, "refuse entrypoint and cmd in v2 creates with 422, as the API of August 2026 did")
	fl.BoolVar(&f.knownImages, "known-images", false, "refuse images that the built-in table does not know")
	fl.StringSliceVar(&f.private, "private", nil, "image repository that needs a credential, repeatable")
	fl.StringSliceVar(&f.missing, "missing", nil, "image repository that does not exist, repeatable")
	fl.BoolVar(&f.specStatus, "spec-status", false, "show PROVISIONING and STARTING until the container is up, as documented, not RUNNING from rental on, as live")
	fl.BoolVar(&f.anyAgent, "any-agent", false, "do not refuse Python's bare User-Agent as Cloudflare does")
	fl.BoolVar(&f.unlimited, "unlimited", false, "no rate limit")
	fl.DurationVar(&f.linger, "linger", 0, "how long a deleted pod is still shown as TERMINATED")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing on stderr")
	return c
}

// newSimToolCommand is how the stand-in tools of a pod reach this program.
func newSimToolCommand(w *World) *cobra.Command {
	return &cobra.Command{
		Use: "sim-tool FILE TOOL [ARG...]", Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			tool, err := simTool()
			if err != nil {
				return err
			}
			code := inpod.Main(c.Context(), tool, args, inpod.Call{
				Env: w.Env, Environ: w.Environ(), Stdin: w.Stdin, Stdout: w.Stdout, Stderr: w.Stderr,
			})
			if code != 0 {
				return exitStatus(code)
			}
			return nil
		},
	}
}

func simTool() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{self, "sim-tool"}, nil
}

// passOn are variables that say how this machine reaches the world; pods with real tools need them.
var passOn = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT",
	"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "LANG", "LC_ALL", "PYENV_ROOT", "LD_LIBRARY_PATH",
}

func (w *World) runSim(ctx context.Context, f simFlags) error {
	opts, err := w.simOptions(f)
	if err != nil {
		return err
	}
	dir := f.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "justright-sim-"); err != nil {
			return fmt.Errorf("make a directory for pods: %w", err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the temporary directory
	}
	shell := &runpodsim.Shell{Dir: dir, Path: w.Env("PATH"), Network: map[string]string{}}
	for _, k := range passOn {
		if v := w.Env(k); v != "" {
			shell.Network[k] = v
		}
	}
	if f.exec == "scripted" {
		if shell.Tool, err = simTool(); err != nil {
			return err
		}
	}
	opts.Runner = shell

	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return problem.New(problem.ExitCapacity, "port_taken", "cannot listen on %s", f.listen).Wrap(err).Try("let the system choose", "justright sim --listen 127.0.0.1:0")
	}
	url := "http://" + l.Addr().String()
	opts.BaseURL = url
	s := runpodsim.New(opts)
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	hello := map[string]any{"schema": "justright/sim/1", "url": url, "pid": os.Getpid(), "exec": f.exec}
	if err := writeState(f.state, hello); err != nil {
		_ = l.Close()
		return problem.New(problem.ExitUsage, "unreadable", "cannot write %s", f.state).Wrap(err)
	}
	b, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w.Stdout, string(b)); err != nil {
		return fmt.Errorf("say where it is: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	err = w.waitSim(ctx, s, f, served)
	s.Close()
	_ = srv.Close()
	hello["ended"], hello["ledger"] = true, s.Ledger()
	return errors.Join(err, writeState(f.state, hello))
}

// waitSim returns when it is time to end.
func (w *World) waitSim(ctx context.Context, s *runpodsim.Server, f simFlags, served <-chan error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-tick.C:
			if f.exitWhenIdle > 0 && s.Idle() > time.Duration(float64(f.exitWhenIdle)*f.speed) {
				return nil
			}
		}
	}
}

// writeState replaces the state file in one step; no file, nothing to do.
func writeState(path string, doc any) error {
	if path == "" {
		return nil
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func usageProblem(format string, args ...any) error {
	return problem.New(problem.ExitUsage, "usage", format, args...).Try("see", "justright sim --help")
}

// simOptions turns flags into options, or says which flag is wrong.
func (w *World) simOptions(f simFlags) (runpodsim.Options, error) {
	o := runpodsim.Options{
		Clock: runpodsim.NewRealClock(f.speed), DelayScale: f.delays, Seed: f.seed, RefuseExec: f.refuseExec, KnownImages: f.knownImages,
		SpecStatus: f.specStatus, AnyAgent: f.anyAgent, Private: f.private, Missing: f.missing, Linger: f.linger,
	}
	if f.exec != "scripted" && f.exec != "real" {
		return o, usageProblem("--exec is scripted or real, not %q", f.exec)
	}
	if f.speed <= 0 || f.delays < 0 {
		return o, usageProblem("--speed and --delays are positive numbers")
	}
	if f.delays == 0 {
		o.DelayScale = runpodsim.NoDelay
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return o, usageProblem("--listen is HOST:PORT, not %q", f.listen)
	}
	if ip := net.ParseIP(host); !f.public && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return o, usageProblem("--listen %s is not a loopback address: whoever reaches the simulator can run commands on this machine; --public allows it", f.listen)
	}
	for _, k := range f.keys {
		token, account, _ := strings.Cut(k, "@")
		o.Keys = append(o.Keys, runpodsim.Key{Token: token, Account: account})
	}
	if f.unlimited {
		o.RateLimit = &runpodsim.Unlimited
	}
	for _, m := range []struct {
		flag, v string
		to      **money.USD
	}{{"--balance", f.balance, &o.Balance}, {"--spend-limit", f.spend, &o.SpendLimit}} {
		if m.v == "" {
			continue
		}
		u, err := money.Parse(m.v)
		if err != nil {
			return o, usageProblem("%s: %v", m.flag, err)
		}
		*m.to = &u
	}
	if f.openapi != "" {
		if o.OpenAPI, err = os.ReadFile(filepath.Clean(f.openapi)); err != nil {
			return o, usageProblem("--openapi: %v", err)
		}
	}
	if f.fleet != "" {
		b, err := os.ReadFile(filepath.Clean(f.fleet))
		if err == nil {
			o.Fleet = runpodsim.DefaultFleet()
			err = json.Unmarshal(b, o.Fleet)
		}
		if err != nil {
			return o, usageProblem("--fleet: %v", err)
		}
	}
	if !f.quiet {
		var mu sync.Mutex
		o.Note = func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(w.Stderr, "sim: "+format+"\n", args...)
		}
	}
	return o, nil
}
