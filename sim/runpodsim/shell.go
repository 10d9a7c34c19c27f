package runpodsim

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"justright/sim/runpodsim/inpod"
)

// Shell runs start commands for real: each pod has a directory, an environment and processes of its own on this
// machine. It needs a Unix.
type Shell struct {
	Dir string // where the pods' directories are made
	// Tool is the command that plays the tools of a pod (inpod.Main): nvidia-smi, uv, python3, vllm, runpodctl stand
	// first on the pod's PATH and call it. Empty: the command runs with this machine's own tools.
	Tool []string
	// Network are variables that every pod gets unless it brings its own: what this machine needs to reach the world
	// (proxies, certificates, package indexes), or where stand-ins for it are.
	Network map[string]string
	Path    string // PATH of this machine

	mu    sync.Mutex
	ports map[int]bool      // local ports given out
	marks map[string]string // of the running container, by pod
	live  sync.WaitGroup

	closed bool
}

// podFile is what the stand-in tools know about their pod.
type podFile struct {
	ID       string         `json:"id"`
	Sim      string         `json:"sim"`
	Hub      string         `json:"hub"`
	Engine   string         `json:"engine"` // of the image
	Python   string         `json:"python"` // of the image
	CUDA     string         `json:"cuda"`
	Driver   string         `json:"driver"`
	GPU      GPUType        `json:"gpu"`
	GPUs     int            `json:"gpus"`
	Ports    map[string]int `json:"ports"` // container port -> local port
	Path     string         `json:"path"`  // this machine's PATH
	BinDir   string         `json:"bin"`
	ImageEnv string         `json:"image"`
}

// Start makes the pod's place and runs its command.
func (sh *Shell) Start(c *Container) func() {
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return nil
	}
	sh.live.Add(1) // the making of the place, so that Close waits for it
	sh.mu.Unlock()
	defer sh.live.Done()
	dir := filepath.Join(sh.Dir, c.PodID)
	root, err := sh.prepare(c, dir)
	if err != nil {
		c.Fail("error preparing the container: " + err.Error())
		return nil
	}
	ports, err := sh.openPorts(c)
	if err != nil {
		c.Fail("error mapping ports: " + err.Error())
		return nil
	}
	env := sh.environment(c, dir, root, ports)
	if err := sh.tools(c, dir, ports, env); err != nil {
		c.Fail("error preparing the container: " + err.Error())
		return nil
	}
	argv := c.Argv
	if len(argv) == 0 {
		c.Fail("no command specified")
		return nil
	}
	if argv[0] == "/start.sh" {
		argv = append([]string{filepath.Join(dir, "bin", "start.sh")}, argv[1:]...)
	}
	program, err := lookPath(argv[0], env["PATH"], root)
	if err != nil {
		c.Fail(fmt.Sprintf("exec: %q: executable file not found in $PATH: unknown", argv[0]))
		return nil
	}
	// Pod ids may repeat between simulators of one machine, so what belongs to this very container is known by a mark.
	mark, value := "SIM_CONTAINER_ID", rand.Text()
	env[mark] = value
	sh.mu.Lock()
	if sh.marks == nil {
		sh.marks = map[string]string{}
	}
	sh.marks[c.PodID] = mark + "=" + value
	sh.mu.Unlock()
	sh.live.Add(1)
	kill, err := startProcess(process{
		program: program, argv: argv, env: envList(env), dir: root, mark: mark + "=" + value,
		line: c.Log,
		gone: func(code int) {
			sh.closePorts(ports)
			sh.live.Done()
			c.Exit(code)
		},
	})
	if err != nil {
		sh.closePorts(ports)
		sh.live.Done()
		c.Fail(fmt.Sprintf("exec: %q: %v: unknown", argv[0], err))
		return nil
	}
	return kill
}

// Owns tells whether a process of the pod listens on a port of this machine, of whatever number.
func (sh *Shell) Owns(pod string, port int) bool {
	sh.mu.Lock()
	mark := sh.marks[pod]
	sh.mu.Unlock()
	return mark != "" && ownsPort(mark, port)
}

// Close starts nothing more and waits for the last process.
func (sh *Shell) Close() {
	sh.mu.Lock()
	sh.closed = true
	sh.mu.Unlock()
	sh.live.Wait()
}

// prepare makes the directories; a fresh container finds its disk empty and its volume as it was.
func (sh *Shell) prepare(c *Container, dir string) (root string, err error) {
	root = filepath.Join(dir, "root")
	if c.Fresh {
		if err := removeAll(root); err != nil {
			return "", err
		}
	}
	for _, d := range []string{root, filepath.Join(root, "tmp"), filepath.Join(dir, "bin"), sh.volume(c, dir)} {
		if d == "" {
			continue
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
	}
	return root, nil
}

// removeAll also removes what a workload made read-only.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

func (sh *Shell) volume(c *Container, dir string) string {
	switch {
	case c.VolumeID != "":
		return filepath.Join(sh.Dir, "volumes", c.VolumeID)
	case c.Volume != "":
		return filepath.Join(dir, "volume")
	default:
		return ""
	}
}

// openPorts gives each declared port a free local one: the pods share this machine.
func (sh *Shell) openPorts(c *Container) (map[string]int, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.ports == nil {
		sh.ports = map[int]bool{}
	}
	out := map[string]int{}
	for _, n := range c.Ports {
		for range 100 {
			l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			local := l.Addr().(*net.TCPAddr).Port
			_ = l.Close()
			if !sh.ports[local] {
				sh.ports[local] = true
				out[itoa(n)] = local
				c.Listen(n, local)
				break
			}
		}
	}
	return out, nil
}

func (sh *Shell) closePorts(ports map[string]int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, p := range ports {
		delete(sh.ports, p)
	}
}

// environment is what the first process sees. Beside what a real pod has, JUSTRIGHT_PORT and JUSTRIGHT_PORT_{n} say
// where to listen in place of a declared port, and JUSTRIGHT_ROOT where a kept directory is.
func (sh *Shell) environment(c *Container, dir, root string, ports map[string]int) map[string]string {
	env := map[string]string{}
	for k, v := range sh.Network {
		env[k] = v
	}
	for k, v := range c.Env {
		env[k] = v
	}
	env["HOME"], env["TMPDIR"], env["PWD"] = root, filepath.Join(root, "tmp"), root
	env["PATH"] = sh.Path
	if len(sh.Tool) > 0 {
		env["PATH"] = filepath.Join(dir, "bin") + string(os.PathListSeparator) + sh.Path
	}
	if v := sh.volume(c, dir); v != "" {
		for k, val := range env {
			if rest, ok := strings.CutPrefix(val, c.Volume); ok && (rest == "" || rest[0] == '/') {
				env[k] = v + rest
			}
		}
		setDefault(env, "JUSTRIGHT_ROOT", filepath.Join(v, "justright"))
	} else {
		setDefault(env, "JUSTRIGHT_ROOT", filepath.Join(root, ".cache", "justright"))
	}
	for n, local := range ports {
		env["JUSTRIGHT_PORT_"+n] = itoa(local)
	}
	for _, n := range c.Ports {
		setDefault(env, "JUSTRIGHT_PORT", itoa(ports[itoa(n)]))
		break
	}
	return env
}

func setDefault(env map[string]string, k, v string) {
	if _, ok := env[k]; !ok {
		env[k] = v
	}
}

// tools writes the stand-ins first on the pod's PATH, and the image's own start script.
func (sh *Shell) tools(c *Container, dir string, ports map[string]int, env map[string]string) error {
	bin := filepath.Join(dir, "bin")
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755)
	}
	if err := write("start.sh", startScript); err != nil {
		return err
	}
	if len(sh.Tool) == 0 {
		return nil
	}
	pf := podFile{
		ID: c.PodID, Sim: c.BaseURL, Hub: env["HF_ENDPOINT"], Engine: c.Image.Engine, Python: c.Image.Python, CUDA: c.CUDA, Driver: c.Driver,
		GPU: c.GPU, GPUs: c.GPUCount, Ports: ports, Path: sh.Path, BinDir: bin, ImageEnv: c.Image.Ref,
	}
	b, err := json.Marshal(pf)
	if err != nil {
		return err
	}
	file := filepath.Join(bin, "pod.json")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return err
	}
	names := []string{"uv", "runpodctl", "curl"}
	if c.Image.Python != "" {
		names = append(names, "python3", "python", "python"+c.Image.Python, "pip", "pip3")
	}
	if c.Image.Engine != "" {
		names = append(names, "vllm")
	}
	for _, n := range names {
		if err := write(n, inpod.Wrapper(sh.Tool, file, n)); err != nil {
			return err
		}
	}
	if err := write("df", dfScript(c.DiskGB, c.RAMGB)); err != nil {
		return err
	}
	if c.GPUCount > 0 && c.Driver != "" {
		return write("nvidia-smi", smiScript(c))
	}
	return nil
}

// startScript plays the CMD of RunPod's own images: it starts services, then waits for ever.
const startScript = `#!/bin/sh
echo "Starting Nginx service..."
echo "Pod Started"
[ -z "$PUBLIC_KEY" ] || echo "Setting up SSH..."
[ -z "$JUPYTER_PASSWORD" ] || echo "Starting Jupyter Lab..."
echo "Start script(s) finished, Pod is ready to use."
while :; do sleep 3600 & wait $!; done
`

// dfScript shows the container disk that was rented, not this machine's.
func dfScript(diskGB, ramGB int) string {
	return fmt.Sprintf(`#!/bin/sh
# Stand-in: the container disk of the pod, and its shared memory.
total=%d
for a in "$@"; do p=$a; done
case $p in
/dev/shm) total=%d fs=shm ;;
*) fs=overlay ;;
esac
echo "Filesystem     1024-blocks    Used Available Capacity Mounted on"
echo "$fs $total 1048 $((total - 1048)) 1%% /"
`, diskGB*1000*1000, max(ramGB/2, 1)*1000*1000)
}

// smiScript answers the questions that scripts put to nvidia-smi, with the machine's card and driver.
func smiScript(c *Container) string {
	mib := c.GPU.MemoryGB*1024 - c.GPU.MemoryGB*1024/50
	return fmt.Sprintf(`#!/bin/sh
# Stand-in: %d x %s, driver %s, CUDA %s.
n=%d query= header=1 units=1
for a in "$@"; do
  case $a in
  --query-gpu=*) query=${a#*=} ;;
  --format=*) case $a in *noheader*) header=0 ;; esac; case $a in *nounits*) units=0 ;; esac ;;
  -L) i=0; while [ $i -lt $n ]; do echo "GPU $i: %[2]s (UUID: GPU-00000000-0000-0000-0000-00000000000$i)"; i=$((i + 1)); done; exit 0 ;;
  esac
done
mib() { if [ $units = 1 ]; then echo "$1 MiB"; else echo "$1"; fi; }
if [ -n "$query" ]; then
  [ $header = 0 ] || echo "$query"
  i=0
  while [ $i -lt $n ]; do
    line= IFS_OLD=$IFS IFS=,
    for f in $query; do
      case $f in
      index) v=$i ;; name | gpu_name) v='%[2]s' ;; driver_version) v=%[3]s ;;
      memory.total) v=$(mib %[6]d) ;; memory.free) v=$(mib %[7]d) ;; memory.used) v=$(mib 4) ;;
      compute_cap) v=%[8]s ;; utilization.gpu) v=0 ;; count) v=$n ;; uuid) v=GPU-00000000-0000-0000-0000-00000000000$i ;;
      *) echo "Field \"$f\" is not a valid field to query."; exit 2 ;;
      esac
      line="$line${line:+, }$v"
    done
    IFS=$IFS_OLD
    echo "$line"
    i=$((i + 1))
  done
  exit 0
fi
echo "+-----------------------------------------------------------------------------------------+"
echo "| NVIDIA-SMI %[3]s             Driver Version: %[3]s     CUDA Version: %[4]s     |"
echo "+-----------------------------------------------------------------------------------------+"
i=0
while [ $i -lt $n ]; do echo "|   $i  %[2]s   |   4MiB / %[6]dMiB |   0%%   |"; i=$((i + 1)); done
`, c.GPUCount, c.GPU.ID, c.Driver, c.CUDA, c.GPUCount, mib, mib-4, c.GPU.Capability)
}

func envList(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, k := range sortedKeys(env) {
		out = append(out, k+"="+env[k])
	}
	return out
}

// lookPath finds a program as execvp would, in the pod's PATH.
func lookPath(name, path, dir string) (string, error) {
	try := func(p string) bool {
		st, err := os.Stat(p)
		return err == nil && !st.IsDir() && st.Mode()&0o111 != 0
	}
	if strings.Contains(name, "/") {
		p := name
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		if try(p) {
			return p, nil
		}
		return "", fs.ErrNotExist
	}
	for _, d := range filepath.SplitList(path) {
		if p := filepath.Join(d, name); try(p) {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}

// readLines hands over each line, long ones in parts.
func readLines(f *os.File, line func(string)) {
	r := bufio.NewReaderSize(f, 1<<16)
	for {
		b, err := r.ReadSlice('\n')
		if len(b) > 0 {
			line(strings.TrimRight(string(b), "\r\n"))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
