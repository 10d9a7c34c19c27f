package boot

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"justright/problem"
	"justright/solve"
)

//go:embed script
var scripts embed.FS

// parts of the script in the order they are read.
func parts() []string {
	return []string{"say.sh", "http.sh", "guard.sh", "preflight.sh", "env.sh", "engine.sh"}
}

// maxPacked bounds the packed script: one argument of execve may hold 128 KiB on Linux, environment and other
// arguments apart, and a provider's API has limits of its own.
const maxPacked = 96 << 10

// Render writes the start script of a spec.
func Render(s Spec) (Script, error) {
	if err := s.validate(); err != nil {
		return Script{}, err
	}
	p, err := fixed()
	if err != nil {
		return Script{}, err
	}
	w := newWriter()
	w.text.WriteString("#!/bin/sh\n# justright boot script for " + strings.ReplaceAll(s.String(), "\n", " ") + "\n")
	writeHead(&w.text, s)
	if s.Door {
		err = w.fixed(p.door)
	} else {
		w.text.WriteString("JR_MIDDLEWARE=" + Quote("") + "\n")
	}
	if err == nil && s.Forked {
		err = w.fixed(p.start)
	} else {
		w.text.WriteString("JR_STARTER=" + Quote("") + "\n")
	}
	if err == nil {
		err = w.fixed(p.pod)
	}
	writeEngineEnv(&w.text, s)
	if err == nil {
		err = w.fixed(p.shell)
	}
	writeEngine(&w.text, s)
	if err == nil {
		err = w.fixed(p.main)
	}
	if err != nil {
		return Script{}, err
	}
	pack, err := w.packed()
	if err != nil {
		return Script{}, err
	}
	text := w.text.String()
	if len(pack) > maxPacked {
		return Script{}, problem.New(problem.ExitUsage, "usage", "the start script takes %d bytes, %d is the limit", len(pack), maxPacked).
			Because("flags, environment and lock travel inside it")
	}
	return Script{Text: text, spec: s, pack: pack}, nil
}

// writeHead writes the assignments that the fixed text reads.
func writeHead(b *strings.Builder, s Spec) {
	set := func(name, value string) { fmt.Fprintf(b, "%s=%s\n", name, Quote(value)) }
	lines := func(v []string) string { return strings.Join(v, "\n") }
	e, p := s.Env, s.Preflight
	set("JR_AGENT", "justright/1 (boot)")
	set("JR_ENGINE", s.Engine)
	set("JR_INSTALL", s.Install)
	set("JR_ROOT", s.Root)
	set("JR_PORT", strconv.Itoa(s.Port))
	set("JR_NODES", strconv.Itoa(max(1, s.Nodes)))
	set("JR_NAMED", map[bool]string{true: "vllm-cpu"}[s.Nodes > 1 && strings.HasPrefix(s.Engine, "vllm-cpu")])
	set("JR_HOLD", strconv.Itoa(int(s.Hold.Seconds())))
	set("JR_DONE", ".justright-complete")
	set("JR_UV", UVVersion)
	set("JR_UV_MIN", UVMin)
	set("JR_ENV_KEY", e.key())
	set("JR_PYTHONS", strings.Join(e.Pythons, " "))
	set("JR_PYTHON_FETCH", map[bool]string{true: "1", false: "0"}[e.PythonFetch])
	set("JR_REQUIREMENTS", lines(e.Requirements))
	set("JR_OVERRIDES", lines(e.Overrides))
	set("JR_EXCLUDES", lines(e.Excludes))
	set("JR_MODULES", strings.Join(s.modules(), " "))
	set("JR_INDEX_URLS", strings.Join(e.IndexURLs, " "))
	set("JR_TORCH_BACKEND", e.TorchBackend)
	set("JR_AS_OF", e.AsOf)
	set("JR_AS_OF_BUT", asOfBut(e))
	set("JR_LOCK", e.Lock)
	set("JR_LOCAL_MODEL", s.Model.Dir)
	id, revision := s.Model.ID, s.Model.Revision
	if s.Model.Dir != "" {
		id = ""
	}
	if revision == "" {
		revision = "main"
	}
	set("JR_MODEL_ID", id)
	set("JR_REVISION", revision)
	set("JR_MODEL_DIR", strings.ReplaceAll(id, "/", "--")+"@"+strings.ReplaceAll(revision, "/", "--"))
	set("JR_GPUS", strconv.Itoa(p.GPUs))
	set("JR_MIN_CUDA", zeroEmpty(p.MinCUDA.IsZero(), p.MinCUDA.String()))
	set("JR_MIN_DRIVER", zeroEmpty(p.MinDriver.IsZero(), p.MinDriver.String()))
	set("JR_MIN_CAPABILITY", zeroEmpty(p.MinCapability.IsZero(), p.MinCapability.String()))
	set("JR_GPU_MIB", strconv.FormatInt(p.GPUMiB, 10))
	set("JR_GPU_PERCENT", strconv.Itoa(p.GPUPercent))
	set("JR_ENV_MIB", strconv.FormatInt(p.EnvMiB, 10))
	set("JR_WEIGHTS_MIB", strconv.FormatInt(p.WeightsMiB, 10))
	set("JR_SHM_MIB", strconv.FormatInt(p.ShmMiB, 10))
}

// writeEngineEnv writes the engine's environment.
func writeEngineEnv(b *strings.Builder, s Spec) {
	for _, k := range sortedKeys(s.EngineEnv) {
		// The machine's environment wins: a person may have changed it there.
		fmt.Fprintf(b, "export %s=\"${%s-}\"\n[ -n \"$%s\" ] || %s=%s\n", k, k, k, k, Quote(s.EngineEnv[k]))
	}
}

func zeroEmpty(zero bool, s string) string {
	if zero {
		return ""
	}
	return s
}

// asOfBut writes uv's exceptions from --exclude-newer. The far date means: any.
func asOfBut(e Environment) string {
	var out []string
	for _, p := range e.AsOfBut {
		out = append(out, "--exclude-newer-package "+p+"=2100-01-01")
	}
	return strings.Join(out, " ")
}

// writeEngine writes the function that becomes the engine.
func writeEngine(b *strings.Builder, s Spec) {
	b.WriteString("exec_engine() {\nset --")
	argv := s.Argv
	if s.Forked {
		b.WriteString(" " + Quote(argv[0].Text) + ` "$JR_RUN/door/justright_start.py"`)
		argv = argv[2:]
	}
	for _, w := range argv {
		if w.Var != "" {
			b.WriteString(` "$` + string(w.Var) + `"`)
		} else {
			b.WriteString(" " + Quote(w.Text))
		}
	}
	if s.Nodes > 1 {
		b.WriteString("\n[ \"$JR_RANK\" = 0 ] || set -- \"$@\" --headless")
	}
	b.WriteString("\n[ \"$JR_DOOR\" = 0 ] || set -- \"$@\" --middleware justright_door.Door\n")
	b.WriteString("exec \"$JR_PY3\" -c \"$JR_POD\" engine \"$@\"\n}\n")
}

// key names the environment: equal content, equal key.
func (e Environment) key() string {
	raw, err := json.Marshal(e)
	if err != nil {
		return "none"
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// source is an embedded file without its comments, which are for readers of the repository.
func source(name string) (string, error) {
	raw, err := scripts.ReadFile("script/" + name)
	if err != nil {
		return "", fmt.Errorf("embedded script: %w", err)
	}
	var out []string
	for _, l := range strings.Split(string(raw), "\n") {
		if t := strings.TrimSpace(l); t != "" && !strings.HasPrefix(t, "#") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n"), nil
}

func writePart(b *strings.Builder, name string) error {
	text, err := source(name)
	if err != nil {
		return err
	}
	b.WriteString(text)
	b.WriteString("\n")
	return nil
}

// unpack holds no single quote, so that it stays whole inside one. gzip's checksum tells a good decoder from a bad one.
const unpack = `;S=;for D in "base64 -d" "base64 -D" "openssl base64 -d -A" "busybox base64 -d";do ` +
	`S=$(echo $B|$D 2>/dev/null|gzip -dc 2>/dev/null)&&[ -n "$S" ]&&break;done;` +
	`for P in python3 python /usr/bin/python3;do [ -n "$S" ]&&break;` +
	`S=$($P -c "import sys,zlib,base64;sys.stdout.write(zlib.decompress(base64.b64decode(sys.argv[1]),31).decode())" $B 2>/dev/null);done;` +
	`if [ -z "$S" ];then echo "justright phase=preflight status=fail t=0 cause=exec_not_found ` +
	`detail=\"neither base64 and gzip nor python3 in this image\"";sleep 300;exit 1;fi;eval "$S"`

// Start is the start command: exec form, and one string for an API without it. The string is for an image whose
// entrypoint starts what it is given; where the image's own entrypoint is the engine, it holds the engine's
// arguments, and nothing of ours runs there: such a machine is unguarded.
func (s Script) Start() solve.Start {
	start := solve.Start{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{s.pack}}
	if len(s.spec.Args) > 0 {
		start.Args = JoinArgs(s.spec.Args)
	} else {
		start.Args = JoinArgs([]string{"/bin/sh", "-c", s.pack})
	}
	return start
}
