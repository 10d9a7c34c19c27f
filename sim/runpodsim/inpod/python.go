package inpod

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
)

var versionTest = regexp.MustCompile(`sys\.version_info\[:2\]==\(?'?"?(\d+\.\d+)`)

// python answers what a script asks about the interpreter as the image's Python would, starts the engine when that is
// asked for, and otherwise becomes this machine's Python.
func (c *Call) python(ctx context.Context) int {
	a := c.Args
	for len(a) > 0 && (a[0] == "-u" || a[0] == "-s" || a[0] == "-E" || a[0] == "-I" || a[0] == "-B") {
		a = a[1:]
	}
	switch {
	case len(a) == 1 && (a[0] == "-V" || a[0] == "--version"):
		c.say("Python %s.12", c.Pod.Python)
		return 0
	case len(a) >= 2 && a[0] == "-m" && (a[1] == "vllm.entrypoints.openai.api_server" || a[1] == "vllm.entrypoints.cli.main"):
		rest := a[2:]
		if a[1] == "vllm.entrypoints.cli.main" {
			c.Args = rest
			return c.vllm(ctx)
		}
		return c.engine(ctx, "api_server.py", rest)
	case len(a) >= 2 && a[0] == "-c":
		if c.question(a[1]) {
			return 0
		}
		if len(a) >= 3 && strings.Contains(a[1], bootMark) {
			if code, done := c.boot(ctx, a[2], a[3:]); done {
				return code
			}
		}
	case len(a) >= 2 && a[0] == "-m" && a[1] == "pip":
		return c.pip(a[2:])
	}
	real := c.real("python3", "python")
	if real == "" {
		c.err("python3: this machine has no Python for what the pod asks")
		return 127
	}
	return c.become(real, c.Args)
}

// question answers short programs that only ask who the interpreter is.
func (c *Call) question(code string) (answered bool) {
	if len(code) > 400 || strings.Contains(code, bootMark) {
		return false
	}
	self := filepath.Join(c.Pod.Bin, c.Name)
	if venv := c.Env("VIRTUAL_ENV"); venv != "" && strings.HasPrefix(c.Name, "python") && c.Name == "python" {
		self = filepath.Join(venv, "bin", "python")
	}
	if m := versionTest.FindStringSubmatch(code); m != nil && strings.Contains(code, "print(sys.executable)") {
		if m[1] == c.Pod.Python {
			c.say("%s", self)
		}
		return true
	}
	switch {
	case strings.Contains(code, "print(sys.executable)") && strings.Contains(code, "sys.version_info"):
		c.say("%s", self)
		return true
	case strings.TrimSpace(code) == "import sys":
		return true
	}
	return false
}

// pip installs by name, like uv; anything else is refused, so that nothing is fetched by accident.
func (c *Call) pip(args []string) int {
	if len(args) > 0 && args[0] == "install" {
		return c.install(args[1:], filepath.Dir(c.Pod.Bin))
	}
	if len(args) > 0 && args[0] == "--version" {
		c.say("pip 25.3 from %s (python %s)", c.Pod.Bin, c.Pod.Python)
		return 0
	}
	c.err("ERROR: the stand-in pip knows install only")
	return 1
}
