// Package boot turns a stack into the start script of its machine: POSIX sh, rendered from a typed value,
// byte-identical for equal input, with phases that print one parseable line at start and end.
//
// The script is a fixed text (directory script) behind a short head of assignments that Render writes from a Spec.
// It calls a few tools by name and nothing else that matters: nvidia-smi, uv, one of curl, python3 and wget for
// requests, and python3 as "python3 -c TEXT WORD ARGUMENTS" with the words http, uv, reuse, weights and engine.
package boot

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"justright/problem"
	"justright/version"
)

// UVVersion is the release of uv that a machine without one fetches; UVMin is the oldest one found there that is
// good enough (it knows --torch-backend, --excludes and --exclude-newer-package).
const (
	UVVersion = "0.13.9"
	UVMin     = "0.9"
)

// DefaultPort is where the engine listens inside the machine. The variable JUSTRIGHT_PORT overrides it there.
const DefaultPort = 8000

// Var is a value of the engine's command line that only the machine knows.
type Var string

// The variables of a Word.
const (
	VarModel Var = "JR_MODEL" // the directory with the model's files
	VarPort  Var = "JR_PORT"
)

// Word is one argument of the engine: fixed text, or a variable.
type Word struct {
	Text string `json:"text,omitempty"`
	Var  Var    `json:"var,omitempty"`
}

// SecretRef names an environment variable that must carry a secret. The value is never part of a Spec or a Script.
type SecretRef struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Preflight is what the machine must bring. Zero values are not checked.
type Preflight struct {
	GPUs          int                `json:"gpus"` // 0: a CPU machine
	MinCUDA       version.CUDA       `json:"min_cuda"`
	MinDriver     version.Driver     `json:"min_driver"`
	MinCapability version.Capability `json:"min_capability"`
	GPUMiB        int64              `json:"gpu_mib"`     // total memory the plan rests on, each GPU
	GPUPercent    int                `json:"gpu_percent"` // of it the engine wants free
	EnvMiB        int64              `json:"env_mib"`     // disk the environment takes
	WeightsMiB    int64              `json:"weights_mib"` // disk the weights take
	ShmMiB        int64              `json:"shm_mib"`     // free in /dev/shm
}

// Environment is the Python environment that is made for the engine; the zero value means the image has it all.
type Environment struct {
	Pythons      []string `json:"pythons"`      // acceptable versions, best first: "3.12"
	PythonFetch  bool     `json:"python_fetch"` // uv may fetch one when none is there
	Requirements []string `json:"requirements"`
	Overrides    []string `json:"overrides,omitempty"` // uv's overrides: replace what packages ask for
	Excludes     []string `json:"excludes,omitempty"`  // packages never to install
	IndexURLs    []string `json:"index_urls,omitempty"`
	TorchBackend string   `json:"torch_backend,omitempty"` // "cu129"
	AsOf         string   `json:"as_of,omitempty"`         // resolve as of that day, YYYY-MM-DD; empty: today
	AsOfBut      []string `json:"as_of_but,omitempty"`     // packages that may be newer
	Lock         string   `json:"lock,omitempty"`          // a whole lock with hashes; empty: made on the machine, once
	Salt         string   `json:"salt,omitempty"`          // what else tells environments apart: the image
}

// Model is where the weights come from: a hub, or a directory of the machine.
type Model struct {
	ID       string `json:"id"`
	Revision string `json:"revision"` // commit; empty: main
	Dir      string `json:"dir,omitempty"`
}

// Spec is everything a start script depends on. Equal specs give equal scripts.
type Spec struct {
	Engine    string            `json:"engine"` // "vllm==0.19.1", for people
	Install   string            `json:"install"`
	Env       Environment       `json:"environment"`
	Model     Model             `json:"model"`
	Preflight Preflight         `json:"preflight"`
	Argv      []Word            `json:"argv"` // program first
	EngineEnv map[string]string `json:"engine_env,omitempty"`
	Args      []string          `json:"args,omitempty"` // for an image whose own entrypoint must stay: what it is given
	Door      bool              `json:"door"`           // the key guards every path
	Forked    bool              `json:"forked"`         // the engine's Python module starts its processes by fork: see script/start.py
	Secrets   []SecretRef       `json:"secrets"`
	Root      string            `json:"root,omitempty"` // where caches live; empty: the home's cache
	Port      int               `json:"port"`
	Nodes     int               `json:"nodes,omitempty"` // that the engine runs over; up to 1: one. See OverNodes
	Hold      time.Duration     `json:"hold"`
}

// validate refuses what no script could carry, or what would put a secret into one.
func (s Spec) validate() error {
	bad := func(format string, args ...any) error {
		return problem.New(problem.ExitUsage, "usage", "the start script cannot be written: "+format, args...)
	}
	if len(s.Argv) == 0 {
		return bad("no engine command")
	}
	if s.Port < 1 || s.Port > 65535 {
		return bad("port %d is none", s.Port)
	}
	if s.Install != "image" && s.Install != "wheels" {
		return bad("install method %q is neither image nor wheels", s.Install)
	}
	if s.Forked && (len(s.Argv) < 3 || s.Argv[1].Text != "-m") {
		return bad("only a Python module can be started by fork")
	}
	for i, w := range s.Argv {
		if strings.ContainsRune(w.Text, 0) {
			return bad("argument %d holds a NUL byte", i)
		}
		if w.Text == "--api-key" || strings.HasPrefix(w.Text, "--api-key=") {
			return bad("--api-key would put the key into the command line; it travels as VLLM_API_KEY")
		}
	}
	for k, v := range s.EngineEnv {
		if !validName(k) {
			return bad("environment name %q is none", k)
		}
		if strings.ContainsRune(v, 0) {
			return bad("environment variable %s holds a NUL byte", k)
		}
	}
	return nil
}

// validName reports whether k can be assigned in every shell.
func validName(k string) bool {
	for i, c := range []byte(k) {
		switch {
		case c == '_', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return k != ""
}

// Script is a rendered start script.
type Script struct {
	Text string // the whole script, for reading and for `sh`
	spec Spec
	pack string
}

// Spec is what the script was rendered from.
func (s Script) Spec() Spec { return s.spec }

// Secrets are the variables that the machine's environment must carry beside Env.
func (s Script) Secrets() []SecretRef { return s.spec.Secrets }

// Env is the environment without secrets that the engine needs, for the machine's own environment: so it is there
// also when an image's own entrypoint starts the engine.
func (s Script) Env() map[string]string {
	env := map[string]string{"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
	for k, v := range s.spec.EngineEnv {
		env[k] = v
	}
	return env
}

// EngineArgv is the engine's command line for reading: variables stand as what they will hold.
func (s Spec) EngineArgv() []string {
	var out []string
	for _, w := range s.Argv {
		switch {
		case w.Var == VarPort:
			out = append(out, strconv.Itoa(s.Port))
		case w.Var == VarModel && s.Model.Dir != "":
			out = append(out, s.Model.Dir)
		case w.Var == VarModel:
			out = append(out, s.Model.ID)
		case w.Var != "":
			out = append(out, "$"+string(w.Var))
		default:
			out = append(out, w.Text)
		}
	}
	if s.Door {
		out = append(out, "--middleware", "justright_door.Door")
	}
	return out
}

// modules are the Python modules that the engine's processes begin with; those that a release does not have are passed over.
func (s Spec) modules() []string {
	if len(s.Argv) > 2 && s.Argv[1].Text == "-m" && !strings.HasPrefix(s.Engine, "vllm") {
		return []string{s.Argv[2].Text}
	}
	return []string{"vllm.entrypoints.openai.api_server", "vllm.entrypoints.cli.main", "vllm.v1.engine.core", "vllm.v1.engine.async_llm",
		"vllm.v1.executor.multiproc_executor", "vllm.v1.worker.cpu_worker", "vllm.v1.worker.gpu_worker"}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// String names the spec in logs.
func (s Spec) String() string { return fmt.Sprintf("%s by %s", s.Engine, s.Install) }
