package boot_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"justright/sim/runpodsim/inpod"
)

// This file stands in for the tools that the start script calls inside a machine: curl, python3, uv and nvidia-smi. With
// a directory of links named like them in front of PATH, the script runs for real under a real shell, on a machine with
// neither GPU nor Python nor network. (Package sim/runpodsim/inpod stands in for a whole pod, to be looked at; these are
// for tests: each answer is set, and a call that no answer is set for is refused.)
//
// They do what the script needs of them and refuse the rest with status 64, so that a script which begins to need more
// is noticed. curl makes real requests. The environment sets what the machine is like:
//
//	STANDIN_GPUS      "NAME,TOTAL_MIB,FREE_MIB,DRIVER,CAPABILITY" a card, separated by ";"; empty: no driver
//	STANDIN_CUDA      CUDA version that the driver offers
//	STANDIN_PYTHON    version of python3; 3.12 when empty, "none": python3 does not work
//	STANDIN_WEIGHTS   "BYTES[:STATUS]": size told while downloading, and the exit status at the end
//	STANDIN_INSTALL   "PACKAGES[:TEXT]": what uv installs; with a TEXT it fails and says that
//	STANDIN_SPEED     how many times faster than life the waits are; 0 or empty: no waits

// toolNames are the tools that there are stand-ins for.
func toolNames() []string { return []string{"curl", "nvidia-smi", "python3", "uv"} }

// isTool reports whether a program of that name is one of the tools: for a program that is linked under their names.
func isTool(program string) bool {
	name := filepath.Base(program)
	return name == "python" || strings.HasPrefix(name, "python3") || name == "curl" || name == "uv" || name == "nvidia-smi"
}

// linkTools puts links under the tools' names into dir, to a program that calls runTool when isTool says so.
func linkTools(program, dir string) error {
	for _, n := range append(toolNames(), "python3.12") {
		if err := os.Symlink(program, filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// toolCall is one call of a tool.
type toolCall struct {
	Program string   // as it was called; its base name says which tool it is
	Args    []string // without the program
	Env     func(string) string
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Engine runs the engine's command line and returns its exit status; nil: a process of that name is started.
	Engine func(ctx context.Context, argv []string, stdout io.Writer) int
}

// unknown is the status of a call that no stand-in knows.
const unknown = 64

// runTool does what the tool would do and returns its exit status.
func runTool(ctx context.Context, c toolCall) int {
	switch name := filepath.Base(c.Program); {
	case name == "curl":
		return c.curl(ctx)
	case name == "nvidia-smi":
		return c.smi()
	case name == "uv":
		return c.uv()
	case strings.HasPrefix(name, "python"):
		return c.python(ctx)
	}
	return c.refuse("no stand-in for this program")
}

func (c toolCall) refuse(why string) int {
	fmt.Fprintf(c.Stderr, "%s: %s: %.80q\n", filepath.Base(c.Program), why, c.Args)
	return unknown
}

// wait sleeps for d of life.
func (c toolCall) wait(d time.Duration) {
	if speed, err := strconv.ParseFloat(c.Env("STANDIN_SPEED"), 64); err == nil && speed > 0 {
		time.Sleep(time.Duration(float64(d) / speed))
	}
}

// curl reads its whole request as a configuration on standard input, as the script gives it.
func (c toolCall) curl(ctx context.Context) int {
	if strings.Join(c.Args, " ") != "-q -K -" {
		return c.refuse("only -q -K - is known")
	}
	r := inpod.ReadCurl(c.Stdin)
	if r.Unknown != "" {
		return c.refuse("configuration " + r.Unknown + " is not known")
	}
	return r.Do(ctx, c.Stdout)
}

func (c toolCall) smi() int {
	cards := strings.Split(c.Env("STANDIN_GPUS"), ";")
	if cards[0] == "" {
		fmt.Fprintln(c.Stdout, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
		return 9
	}
	for _, card := range cards {
		f := strings.Split(card, ",")
		if len(f) != 5 {
			return c.refuse("STANDIN_GPUS is malformed")
		}
		if len(c.Args) == 0 {
			fmt.Fprintf(c.Stdout, "| NVIDIA-SMI %s   Driver Version: %s   CUDA Version: %s |\n", f[3], f[3], c.Env("STANDIN_CUDA"))
			return 0
		}
		var out []string
		query, _ := strings.CutPrefix(c.Args[0], "--query-gpu=")
		for q := range strings.SplitSeq(query, ",") {
			v, ok := map[string]string{"name": f[0], "memory.total": f[1], "memory.free": f[2], "driver_version": f[3], "compute_cap": f[4]}[q]
			if !ok {
				return c.refuse("query " + q + " is not known")
			}
			out = append(out, v)
		}
		fmt.Fprintln(c.Stdout, strings.Join(out, ", "))
	}
	return 0
}

func (c toolCall) python(ctx context.Context) int {
	version := c.Env("STANDIN_PYTHON")
	if version == "none" {
		return 127
	}
	if version == "" {
		version = "3.12"
	}
	if len(c.Args) < 2 || c.Args[0] != "-c" {
		return c.refuse("only -c is known")
	}
	code, rest := c.Args[1], c.Args[2:]
	if len(rest) == 0 {
		// The script looks for an interpreter: any, or one of a version, which then names itself.
		if strings.Contains(code, "print(sys.executable)") && (!strings.Contains(code, "=='3.") || strings.Contains(code, "=='"+version+"'")) {
			fmt.Fprintln(c.Stdout, c.Program)
		}
		return 0
	}
	switch rest[0] {
	case "reuse":
		return 1
	case "split":
		return c.split(rest[1:])
	case "compiled":
		return c.note("compiled", strings.Join(rest[1:], " "))
	case "weights":
		return c.weights(rest[1:])
	case "engine":
		return c.engine(ctx, rest[1:])
	}
	return c.refuse("word " + rest[0] + " is not known")
}

// note appends a line to a file of the run, for a test that names where that is.
func (c toolCall) note(name, text string) int {
	if c.Env("JUSTRIGHT_RUN") == "" {
		return 0
	}
	f, err := os.OpenFile(filepath.Join(c.Env("JUSTRIGHT_RUN"), name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return c.refuse(err.Error())
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, text); err != nil {
		return c.refuse(err.Error())
	}
	return 0
}

// split writes the pins of torch and CUDA of a lock into one file, all others into another.
func (c toolCall) split(args []string) int {
	if len(args) != 3 {
		return c.refuse("split takes a lock and two files")
	}
	lock, err := os.ReadFile(args[0])
	if err != nil {
		return c.refuse(err.Error())
	}
	var small, large strings.Builder
	for pin := range strings.SplitSeq(strings.TrimSpace(string(lock)), "\n    --hash") {
		into := &small
		if name := strings.TrimSpace(pin[strings.LastIndexByte(pin, '\n')+1:]); strings.HasPrefix(name, "torch==") || strings.HasPrefix(name, "nvidia-") {
			into = &large
		}
		fmt.Fprintln(into, pin)
	}
	if os.WriteFile(args[1], []byte(small.String()), 0o644) != nil || os.WriteFile(args[2], []byte(large.String()), 0o644) != nil {
		return 1
	}
	return 0
}

func (c toolCall) weights(args []string) int {
	if len(args) != 5 {
		return c.refuse("weights takes hub, model, revision, directory and mark")
	}
	size, status, _ := strings.Cut(c.Env("STANDIN_WEIGHTS"), ":")
	total, _ := strconv.ParseInt(size, 10, 64)
	for i := int64(1); i <= 10; i++ {
		c.wait(2 * time.Second)
		fmt.Fprintf(c.Stdout, "justright progress phase=weights done=%d total=%d unit=bytes\n", total*i/10, total)
		if code, err := strconv.Atoi(status); err == nil && code != 0 && i == 4 {
			return code
		}
	}
	if err := os.MkdirAll(args[3], 0o755); err != nil {
		return 35
	}
	if err := os.WriteFile(filepath.Join(args[3], args[4]), []byte(args[2]+"\n"), 0o644); err != nil {
		return 35
	}
	return 0
}

// uv knows the three calls of the script: compile a lock, make an environment, install into it.
func (c toolCall) uv() int {
	joined := strings.Join(c.Args, " ")
	packages, text, _ := strings.Cut(c.Env("STANDIN_INSTALL"), ":")
	n, _ := strconv.Atoi(packages)
	switch {
	case joined == "--version":
		fmt.Fprintln(c.Stdout, "uv 0.13.9")
	case strings.HasPrefix(joined, "pip compile "):
		in, err := os.ReadFile(c.Args[len(c.Args)-1])
		if err != nil {
			return c.refuse(err.Error())
		}
		out := c.after("-o")
		var lock bytes.Buffer
		for l := range strings.Lines(string(in)) {
			fmt.Fprintf(&lock, "%s \\\n    --hash=sha256:%064d\n", strings.TrimSpace(l), len(l))
		}
		if os.WriteFile(out, lock.Bytes(), 0o644) != nil {
			return 1
		}
	case strings.HasPrefix(joined, "venv "):
		dir := c.Args[len(c.Args)-1]
		self := c.after("--python")
		if os.MkdirAll(filepath.Join(dir, "bin"), 0o755) != nil {
			return 1
		}
		for _, name := range []string{"python", "python3"} {
			if os.Symlink(self, filepath.Join(dir, "bin", name)) != nil {
				return 1
			}
		}
	case strings.HasPrefix(joined, "pip install "):
		c.note("installs", filepath.Base(c.after("-r"))+" "+filepath.Ext(c.after("--target")))
		if text != "" {
			fmt.Fprintln(c.Stderr, text)
			return 1
		}
		for i := range n {
			fmt.Fprintf(c.Stderr, "Downloading package-%d (%d.5MiB)\n", i, 1+i%40)
		}
		for i := range n {
			c.wait(200 * time.Millisecond)
			fmt.Fprintf(c.Stderr, " Downloaded package-%d\n", i)
		}
		fmt.Fprintf(c.Stderr, "Installed %d packages in 1s\n", n)
	default:
		return c.refuse("unknown call")
	}
	return 0
}

// after is the argument behind a flag.
func (c toolCall) after(flag string) string {
	for i, a := range c.Args[:len(c.Args)-1] {
		if a == flag {
			return c.Args[i+1]
		}
	}
	return ""
}

// engineEnv is the environment the engine inherits: without the secrets that are not for it, as the real helper does.
func (c toolCall) engineEnv() []string {
	var out []string
	for _, kv := range c.Environ {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "HF_TOKEN", name == "HUGGING_FACE_HUB_TOKEN", name == "RUNPOD_API_KEY", name == "JR_T0":
		case strings.HasPrefix(name, "JUSTRIGHT_") && name != "JUSTRIGHT_MACHINE":
		default:
			out = append(out, kv)
		}
	}
	sort.Strings(out)
	return out
}
