//go:build unix

// Command benchfleet supervises simulated pods from one process, as the outer watchdog does: the real RunPod adapter over
// HTTP to a simulator in another process, and the journal on a disk. It prints what one process needs for them.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider/runpod"
	"justright/internal/runner"
	"justright/internal/store"
	"justright/launch"
	"justright/money"
	"justright/problem"
	"justright/sim/runpodsim"
	"justright/solve"
)

func main() {
	pods := flag.Int("pods", 0, "how many pods; 0: 100, 1,000 and 10,000, each in a process of its own")
	rounds := flag.Int("rounds", 10, "rounds of supervision")
	serve := flag.Int("serve", 0, "be the simulator with room for so many pods")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *serve > 0:
		err = simulator(ctx, *serve)
	case *pods > 0:
		err = supervise(ctx, *pods, *rounds)
	default:
		fmt.Printf("%8s  %14s  %12s  %14s  %12s  %12s\n", "pods", "calls a minute", "CPU ms/round", "CPU ms/minute", "memory MiB", "peak MiB")
		for _, n := range []int{100, 1000, 10_000} {
			c := exec.CommandContext(ctx, os.Args[0], "-pods", strconv.Itoa(n), "-rounds", strconv.Itoa(*rounds)) //nolint:gosec // this program
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if err = c.Run(); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchfleet:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to undo
	}
}

// every is how often a round goes: the calls and the CPU of a minute follow from it.
const every = 30 * time.Second

const gpu = "NVIDIA L4"

// simulator serves until its standard input ends, which is when its parent does.
func simulator(ctx context.Context, pods int) error {
	fleet := runpodsim.DefaultFleet()
	kind := runpodsim.MachineKind{GPU: gpu, CUDA: "12.8", Driver: "570.86.15", Cards: 8, Cloud: "SECURE", Count: pods/8 + 1, Mbps: 1000}
	for _, m := range fleet.Machines {
		if m.GPU == gpu {
			kind.DataCenter = m.DataCenter
		}
	}
	fleet.Machines = []runpodsim.MachineKind{kind}
	sim := runpodsim.New(runpodsim.Options{Fleet: fleet, RateLimit: &runpodsim.Unlimited, Seed: 1})
	defer sim.Close()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	sim.SetBaseURL(url)
	fmt.Println(url)
	server := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// counted is a transport that counts requests.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func supervise(ctx context.Context, pods, rounds int) error {
	url, stop, err := startSimulator(ctx, pods)
	if err != nil {
		return err
	}
	defer stop()
	dir, err := os.MkdirTemp("", "benchfleet")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	journal, err := store.OpenSQLite(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	var calls atomic.Int64
	p, err := runpod.New(runpod.Config{Key: httpclient.NewSecret("rpa_BENCH"), BaseURL: url, Transport: counted{http.DefaultTransport, &calls}})
	if err != nil {
		return err
	}
	if err := rent(ctx, p, journal, pods); err != nil {
		return err
	}
	s := runner.Supervisor{Config: runner.Config{
		Journal: journal, Provider: p, Address: url, Account: "bench", Planner: none{}, Watcher: none{}, Now: time.Now, NewID: func() string { return "none" },
		Holder: store.Holder{Host: "bench", PID: os.Getpid(), Start: "x"},
	}}
	var bad error
	s.Round = func(machines, tasks, attention int) {
		if machines != pods || tasks != pods || attention != 0 {
			bad = fmt.Errorf("a round saw %d machines and %d tasks, %d of which need somebody; there are %d", machines, tasks, attention, pods)
		}
	}
	runtime.GC()
	debug.FreeOSMemory()
	calls.Store(0)
	before := cpu()
	for range rounds {
		if err := s.Once(ctx); err != nil {
			return err
		}
		if bad != nil {
			return bad
		}
	}
	round := (cpu() - before) / time.Duration(rounds)
	perMinute := float64(time.Minute / every)
	fmt.Printf("%8d  %14.1f  %12.1f  %14.1f  %12d  %12d\n", pods, float64(calls.Load())/float64(rounds)*perMinute,
		round.Seconds()*1000, round.Seconds()*1000*perMinute, resident()>>20, peak()>>20)
	return nil
}

// startSimulator begins a simulator in a process of its own.
func startSimulator(ctx context.Context, pods int) (url string, stop func(), err error) {
	c := exec.CommandContext(ctx, os.Args[0], "-serve", strconv.Itoa(pods)) //nolint:gosec // this program
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = c.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the simulator said nothing: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// rent makes the pods and writes each into the journal as a launch that became ready.
func rent(ctx context.Context, p *runpod.Provider, journal store.Store, pods int) error {
	owner, err := journal.Owner(ctx)
	if err != nil {
		return err
	}
	price := money.Dollar / 2
	slots := make(chan struct{}, 8)
	errs := make([]error, pods)
	var wg sync.WaitGroup
	for i := range pods {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			id := fmt.Sprintf("%032x", i+1)
			in, err := p.Create(ctx, launch.Spec{
				Name: fmt.Sprint("jr-bench-", i), AttemptID: id, OwnerID: owner, Image: "runpod/base:1.0.2-ubuntu2404", Start: solve.Start{Cmd: []string{"sh"}, Args: "sh"},
				Env:   map[string]string{"JUSTRIGHT_ATTEMPT": id, "JUSTRIGHT_OWNER": owner, "JUSTRIGHT_NAME": fmt.Sprint("bench-", i)},
				Ports: []string{"8000/http"}, DiskGB: 20, GPU: gpu, GPUCount: 1,
			})
			if err != nil {
				errs[i] = err
				return
			}
			now := time.Now()
			errs[i] = journal.Begin(ctx, launch.State{
				ID: fmt.Sprint("t", i), Name: fmt.Sprint("bench-", i), Owner: owner, Budget: 20 * money.Dollar, Wanted: launch.WantRunning,
				Timing: launch.DefaultTiming(), Started: now, End: &launch.Stop{Outcome: "ready"},
				Attempts: []launch.Attempt{{
					ID: id, N: 1, PodID: in.ID, Address: p.BaseURL(), Account: "bench", Price: price, Confirmed: price, Reserved: 20 * money.Dollar,
					Phase: launch.Ready, Guarded: true, Armed: true, Intended: now, Created: now, CapBy: now.Add(40 * time.Hour), Status: launch.Running,
				}},
			})
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// none plans and watches nothing: a supervisor starts no machines.
type none struct{}

func (none) Next(context.Context, launch.State) (runner.Proposal, error) {
	return runner.Proposal{}, problem.New(problem.ExitCapacity, "none", "a supervisor starts nothing")
}

func (none) Spec(context.Context, launch.State, launch.Attempt) (launch.Spec, error) {
	return launch.Spec{}, errors.New("a supervisor starts nothing")
}

func (none) Watch(launch.Attempt, time.Time) runner.Watch { return nil }

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory this process held, in bytes.
func peak() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) //nolint:unconvert // 32 bits on some systems
	}
	return int64(u.Maxrss) << 10 //nolint:unconvert // as above
}

// resident is what this process holds now where the system tells it, else what the Go runtime does.
func resident() int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys) //nolint:gosec // far below
}
