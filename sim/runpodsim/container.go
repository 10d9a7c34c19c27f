package runpodsim

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"
)

// Runner plays containers: Shell runs their command, Model calls a Go function.
type Runner interface {
	// Start begins the container's first process and returns what ends it with everything it started. It must not
	// block for long; what goes wrong later is reported through c.Exit or c.Fail.
	Start(c *Container) (kill func())
	// Close is called once, after the last kill, and waits until nothing runs any more.
	Close()
}

// Container is one start of a pod's container, as the thing that plays it sees it.
type Container struct {
	PodID    string
	Name     string
	Image    Image
	Argv     []string
	Env      map[string]string
	Ports    []int // declared container ports, any protocol
	GPU      GPUType
	GPUCount int
	CUDA     string // of the host
	Driver   string
	Volume   string // mount path of the pod's volume; empty without one
	VolumeID string // of a network volume; empty for the pod's own
	DiskGB   int
	RAMGB    int
	Fresh    bool   // the container disk is empty: first start, or start after a stop or restart
	BaseURL  string // of the simulator

	s       *Server
	p       *pod
	gen     int
	started time.Time
	kill    func()
	timers  []func()
	serves  map[int]http.Handler
}

// begin takes a rented pod through scheduling, pulling and starting. The caller holds the lock.
func (s *Server) begin(p *pod) {
	p.gen++
	gen := p.gen
	step := func(d time.Duration, f func()) {
		s.once(d, func() {
			if p.gen == gen {
				f()
			}
		})
	}
	step(s.wait(scheduleWait), func() {
		if s.opts.SpecStatus {
			s.set(p, starting, "")
		} else {
			s.set(p, running, "")
		}
		if p.faults[DeadHost] != nil || p.machine != nil && p.machine.Dead {
			s.systemLog(p, "create container "+p.image)
			return
		}
		s.pull(p, step)
	})
}

// pull makes the image arrive, or fail to.
func (s *Server) pull(p *pod, step func(time.Duration, func())) {
	s.systemLog(p, "create container "+p.image)
	if (p.img.Private && p.registry == "") || p.faults[PullDenied] != nil {
		step(s.wait(deniedWait), func() { s.denyPull(p) })
		return
	}
	if p.machine != nil && p.machine.cached[p.image] {
		step(s.wait(cachedWait), func() {
			s.systemLog(p, "Status: Image is up to date for "+p.image)
			step(s.wait(startWait), func() { s.startFresh(p) })
		})
		return
	}
	if p.machine != nil && p.machine.Limited {
		s.pullLimited(p, step)
		return
	}
	mbps := 100
	if p.machine != nil {
		mbps = p.machine.Mbps
	}
	// Unpacking costs about as much again as the download.
	whole := time.Duration(p.img.SizeGB * 2 * 1000 / float64(mbps) * float64(time.Second))
	if f := p.faults[SlowPull]; f != nil && f.Factor > 0 {
		whole = time.Duration(float64(whole) * f.Factor)
	}
	s.systemLog(p, fmt.Sprintf("%s Pulling from %s", p.img.Tag, p.img.Repo))
	const layers = 4
	for i := range layers {
		id := fmt.Sprintf("%012x", s.rng.Uint64()&0xffffffffffff)
		at := s.wait(whole) * time.Duration(2*i+1) / (2 * layers)
		if p.faults[StuckPull] != nil && i > 0 {
			break
		}
		step(at, func() { s.systemLog(p, id+" Downloading") })
		step(at+s.wait(whole)/(2*layers), func() { s.systemLog(p, id+" Pull complete") })
	}
	if p.faults[StuckPull] != nil {
		s.stillFetching(p, step)
		return
	}
	digest := fmt.Sprintf("%016x%016x%016x%016x", s.rng.Uint64(), s.rng.Uint64(), s.rng.Uint64(), s.rng.Uint64())
	step(s.wait(whole), func() {
		s.systemLog(p, "Digest: sha256:"+digest)
		s.systemLog(p, "Status: Downloaded newer image for "+p.image)
		if p.machine != nil {
			p.machine.cached[p.image] = true
		}
		step(s.wait(startWait), func() { s.startFresh(p) })
	})
}

func (s *Server) stillFetching(p *pod, step func(time.Duration, func())) {
	step(max(s.wait(time.Minute), 500*time.Millisecond), func() {
		s.systemLog(p, "create container: still fetching image "+p.image)
		s.stillFetching(p, step)
	})
}

// pullLimited is a host whose address has used up what Docker Hub gives without a login; it asks again for ever
// (https://www.docker.com/increase-rate-limit).
func (s *Server) pullLimited(p *pod, step func(time.Duration, func())) {
	step(max(s.wait(deniedWait), 500*time.Millisecond), func() {
		s.systemLog(p, fmt.Sprintf("error pulling image: Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. "+
			"https://www.docker.com/increase-rate-limit: %s:%s", p.img.Repo, p.img.Tag))
		s.pullLimited(p, step)
	})
}

// denyPull is what a private image without a credential comes to: seconds after a successful create, without a reason in
// the pod document (https://github.com/dstackai/dstack/issues/2507).
func (s *Server) denyPull(p *pod) {
	registry, repo := "registry-1.docker.io", p.img.Repo
	if host, rest, ok := strings.Cut(repo, "/"); ok && strings.ContainsAny(host, ".:") {
		registry, repo = host, rest
	}
	s.systemLog(p, fmt.Sprintf("error pulling image: Error response from daemon: Head \"https://%s/v2/%s/manifests/%s\": no basic auth credentials", registry, repo, p.img.Tag))
	s.systemLog(p, "error creating container: container: create: container create: Error response from daemon: No such image: "+p.image)
	s.stop(p, "Exited by Runpod")
}

// startFresh starts a container on an empty container disk.
func (s *Server) startFresh(p *pod) {
	if s.opts.SpecStatus {
		s.set(p, running, "")
	}
	s.startContainer(p)
}

// startContainer checks what the host checks and starts the first process; what the host refuses, it tries again for ever.
func (s *Server) startContainer(p *pod) { s.startAgain(p, true) }

func (s *Server) startAgain(p *pod, fresh bool) {
	s.systemLog(p, fmt.Sprintf("start container for %s: begin", p.image))
	if cond := s.gate(p); cond != "" {
		s.failStart(p, "error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy' nvidia-container-cli: requirement error: unsatisfied condition: "+
			cond+", please update your driver to a newer version, or use an earlier cuda container: unknown", fresh)
		return
	}
	p.gen++
	c := s.newContainer(p, fresh)
	p.box = c
	p.stale = nil
	s.openPorts(p, c)
	if f := p.faults[CrashLoop]; f != nil {
		status := f.Status
		if status == 0 {
			status = 1
		}
		c.after(f.Delay, func() { s.exit(c, status) })
		return
	}
	if s.opts.Runner != nil {
		s.todo = append(s.todo, func() { s.run(c) })
	}
}

// failStart writes the daemon's complaint and plans the next try.
func (s *Server) failStart(p *pod, text string, fresh bool) {
	s.systemLog(p, "error starting container: Error response from daemon: failed to create task for container: failed to create shim task: "+
		"OCI runtime create failed: runc create failed: unable to start container process: error during container init: "+text)
	gen := p.gen
	s.once(max(s.wait(gateRetry), 200*time.Millisecond), func() {
		if p.gen == gen && p.status == running {
			s.startAgain(p, fresh)
		}
	})
}

// gate evaluates the image's NVIDIA_REQUIRE_CUDA, which the pod's environment may replace or switch off.
func (s *Server) gate(p *pod) string {
	if p.machine == nil || p.machine.NoGate || p.machine.CUDA == "" {
		return ""
	}
	switch strings.ToLower(p.env["NVIDIA_DISABLE_REQUIRE"]) {
	case "1", "t", "true":
		return ""
	}
	require, given := p.env["NVIDIA_REQUIRE_CUDA"]
	if !given {
		require = p.img.Require
	}
	brand := ""
	if g := s.fleet.gpu(p.gpu); g != nil {
		brand = g.Brand
	}
	return unmet(require, p.machine.CUDA, p.machine.Driver, brand)
}

// run hands the container to the runner. It is called without the lock.
func (s *Server) run(c *Container) {
	kill := s.opts.Runner.Start(c)
	s.lock()
	alive := s.alive(c)
	if alive {
		c.kill = kill
	}
	s.unlock()
	if !alive && kill != nil {
		kill()
	}
}

func (s *Server) alive(c *Container) bool { return c.p.box == c && !s.closed }

// exit notes that the first process ended: RunPod starts it again, for as long as the pod is to run, whatever the code.
func (s *Server) exit(c *Container, code int) {
	if !s.alive(c) {
		return
	}
	p := c.p
	p.box = nil
	p.gen++
	gen := p.gen
	for _, stop := range c.timers {
		stop()
	}
	if c.kill != nil {
		s.todo = append(s.todo, c.kill) // what the first process left behind goes with it
	}
	s.note("pod %s %s: container exited with %d", p.id, p.name, code)
	s.once(max(s.wait(restartWait), shortestRestart), func() {
		if p.gen == gen && p.status == running {
			s.startAgain(p, false)
		}
	})
}

// killContainer ends the running container, if there is one, and voids all that was planned for the pod.
func (s *Server) killContainer(p *pod) {
	p.gen++
	c := p.box
	p.box = nil
	if c == nil {
		return
	}
	for _, stop := range c.timers {
		stop()
	}
	if c.kill != nil {
		s.todo = append(s.todo, c.kill)
	}
	if s.closed {
		return
	}
	s.systemLog(p, "stop container "+p.id)
	s.systemLog(p, "remove container")
	gen := p.gen
	s.once(containerLogLife, func() {
		if p.gen == gen {
			p.logs.dropContainer()
		}
	})
}

func (s *Server) newContainer(p *pod, fresh bool) *Container {
	c := &Container{
		PodID: p.id, Name: p.name, Image: p.img, GPUCount: p.gpuCount, DiskGB: p.disk, Fresh: fresh, BaseURL: s.opts.BaseURL,
		Argv: p.command().Argv(p.img), Env: s.podEnv(p),
		s: s, p: p, gen: p.gen, started: s.now(), serves: map[int]http.Handler{},
	}
	if g := s.fleet.gpu(p.gpu); g != nil {
		c.GPU = *g
	}
	if p.machine != nil {
		c.CUDA, c.Driver = p.machine.CUDA, p.machine.Driver
		c.RAMGB = p.machine.RAMPerGPU * p.gpuCount
	}
	for _, ps := range p.ports {
		if n, _, ok := portSpec(ps); ok {
			c.Ports = append(c.Ports, n)
		}
	}
	switch {
	case p.network != nil:
		c.Volume, c.VolumeID = p.network.Path, p.network.VolumeID
	case p.persistent != nil:
		c.Volume = p.persistent.Path
	}
	return c
}

// command is the start command as the host will read it.
func (p *pod) command() StartCommand {
	if p.entrypoint != nil || p.cmd != nil {
		return StartCommand{Entrypoint: p.entrypoint, Cmd: p.cmd}
	}
	return DecodeArgs(p.args)
}

// podEnv is the environment of the first process: the image's, RunPod's own variables, then what was asked for.
func (s *Server) podEnv(p *pod) map[string]string {
	env := map[string]string{}
	for k, v := range p.img.Env {
		env[k] = v
	}
	env["RUNPOD_POD_ID"] = p.id
	env["RUNPOD_POD_HOSTNAME"] = p.id + "-" + p.sshSuffix
	env["RUNPOD_DC_ID"] = p.dataCenter()
	env["RUNPOD_API_KEY"] = p.key
	env["RUNPOD_GPU_COUNT"] = itoa(p.gpuCount)
	env["RUNPOD_PUBLIC_IP"] = publicIP(p)
	if p.machine != nil {
		env["RUNPOD_CPU_COUNT"] = itoa(p.machine.VCPUPerGPU * p.gpuCount)
		env["RUNPOD_MEM_GB"] = itoa(p.machine.RAMPerGPU * p.gpuCount)
	} else {
		env["RUNPOD_CPU_COUNT"] = itoa(p.vcpu)
	}
	if g := s.fleet.gpu(p.gpu); g != nil {
		env["RUNPOD_GPU_NAME"] = strings.ReplaceAll(g.Name, " ", "+")
	}
	if p.network != nil {
		env["RUNPOD_VOLUME_ID"] = p.network.VolumeID
	}
	if p.startSSH && len(s.sshKeys) > 0 {
		env["PUBLIC_KEY"] = strings.Join(s.sshKeys, "\n")
	}
	if p.startJup {
		env["JUPYTER_PASSWORD"] = p.sshSuffix + p.id
	}
	for k, v := range p.env {
		env[k] = v
	}
	return env
}

func publicIP(p *pod) string {
	if p.machine == nil {
		return "203.0.113.10"
	}
	sum := 0
	for _, c := range p.machine.id {
		sum += int(c)
	}
	return fmt.Sprintf("203.0.113.%d", sum%250+1)
}

// openPorts maps the declared ports for this start: new public ports each time.
func (s *Server) openPorts(p *pod, c *Container) {
	p.open = map[int]publicPort{}
	for _, ps := range p.ports {
		n, proto, ok := portSpec(ps)
		if !ok {
			continue
		}
		pp := publicPort{public: 10000 + s.rng.IntN(50000), ip: publicIP(p)}
		if proto == "http" {
			pp = publicPort{public: 60000 + s.rng.IntN(5000), ip: "100.65.0.1"}
		} else if n > 70000 {
			// Symmetric ports: a number above 70000 asks for the same port inside and outside.
			c.Env["RUNPOD_TCP_PORT_"+itoa(n)] = itoa(pp.public)
		}
		if proto == "tcp" {
			c.Env["RUNPOD_TCP_PORT_"+itoa(n)] = itoa(pp.public)
		}
		p.open[n] = pp
	}
}

// EnvList is the environment as sorted K=V.
func (c *Container) EnvList() []string {
	out := make([]string, 0, len(c.Env))
	for k, v := range c.Env {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

// Log writes one line of the container's output.
func (c *Container) Log(line string) {
	c.s.lock()
	defer c.s.unlock()
	if c.s.alive(c) {
		c.p.logs.add(c.s.now(), "container", line)
	}
}

// Now is the simulator's time.
func (c *Container) Now() time.Time { return c.s.now() }

// After calls f once d has passed, unless the container is gone by then.
func (c *Container) After(d time.Duration, f func()) {
	c.s.lock()
	defer c.s.unlock()
	c.after(d, func() { c.s.todo = append(c.s.todo, f) })
}

// after is After under the lock, for f that wants the lock.
func (c *Container) after(d time.Duration, f func()) {
	c.timers = append(c.timers, c.s.once(d, func() {
		if c.s.alive(c) {
			f()
		}
	}))
}

// Serve makes h answer on a container port, as if the process listened there. A nil handler stops listening.
func (c *Container) Serve(port int, h http.Handler) {
	c.s.lock()
	defer c.s.unlock()
	if h == nil {
		delete(c.serves, port)
		return
	}
	c.serves[port] = h
}

// Listen tells that the process for a container port can be reached on a local port of this machine.
func (c *Container) Listen(port, local int) {
	c.s.lock()
	defer c.s.unlock()
	pp, ok := c.p.open[port]
	if !ok || !c.s.alive(c) {
		return
	}
	pp.local = local
	if c.p.declares(port, "tcp") {
		// A process of this machine is reached here, so say so: clients may connect.
		pp.ip, pp.public = "127.0.0.1", local
	}
	c.p.open[port] = pp
}

// Exit tells that the first process ended.
func (c *Container) Exit(code int) {
	c.s.lock()
	defer c.s.unlock()
	c.s.exit(c, code)
}

// Fail tells that the first process could not be started at all; text is the runtime's reason.
func (c *Container) Fail(text string) {
	c.s.lock()
	defer c.s.unlock()
	if !c.s.alive(c) {
		return
	}
	c.p.box = nil
	c.p.gen++
	c.s.failStart(c.p, text, c.Fresh)
}

// Call sends a request to the simulator's own API with the pod's key, as the guard inside the pod would. It is for
// models; a real process uses HTTP.
func (c *Container) Call(method, path string) int {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://sim.invalid"+path, nil)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+c.Env["RUNPOD_API_KEY"])
	r.Header.Set("User-Agent", "justright-guard")
	resp, err := c.s.Transport().RoundTrip(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
