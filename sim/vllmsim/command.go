package vllmsim

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Command is a parsed command line of the engine, what follows `vllm serve` or `python -m vllm.entrypoints.openai.api_server`.
type Command struct {
	Prog        string // as argparse names it in errors
	Model       string
	Served      []string
	Host        string
	Port        int
	Key         string
	Middleware  []string
	MaxModelLen int // 0: not given; -1: auto
	TP          int
	Utilization float64
	Eager       bool
	ToolParser  string
	AutoTools   bool
	Runner      string
	Flags       map[string]string
}

// UsageError is what argparse says before it exits with 2.
type UsageError struct {
	Prog string
	Text string
}

func (e *UsageError) Error() string { return e.Prog + ": error: " + e.Text }

// switches are the flags without a value that the stand-in has to know as such; a flag that is not here takes the word
// after it, unless that begins with a dash.
var switches = map[string]bool{
	"--enforce-eager": true, "--trust-remote-code": true, "--enable-auto-tool-choice": true, "--enable-prefix-caching": true,
	"--no-enable-prefix-caching": true, "--disable-log-requests": true, "--enable-log-requests": true, "--disable-log-stats": true,
	"--enable-expert-parallel": true, "--async-scheduling": true, "--no-async-scheduling": true, "--enable-chunked-prefill": true,
	"--no-enable-chunked-prefill": true, "--language-model-only": true, "--headless": true, "--enable-lora": true,
	"--enable-reasoning": true, "--disable-frontend-multiprocessing": true, "--calculate-kv-scales": true, "--no-enforce-eager": true,
	"--enable-sleep-mode": true, "--use-v2-block-manager": true, "--worker-use-ray": true, "--grpc": true, "--disable-custom-all-reduce": true,
}

// Parse reads a command line as the release does. known tells whether the release has a flag; nil accepts every flag.
func Parse(prog string, args []string, known func(flag string) bool) (Command, error) {
	c := Command{Prog: prog, Host: "0.0.0.0", Port: 8000, TP: 1, Utilization: 0.9, Flags: map[string]string{}}
	var extra []string
	serve := prog == "vllm"
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			if serve && c.Model == "" {
				c.Model = a
			} else {
				extra = append(extra, a)
			}
			continue
		}
		name, value, joined := strings.Cut(a, "=")
		name = flagName(name)
		if known != nil && !known(name) {
			extra = append(extra, a)
			// argparse leaves the value of an unknown flag as an extra word too, when a positional is not expected.
			continue
		}
		if !joined && !switches[name] {
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				value = strings.TrimSpace(value + " " + args[i+1])
				i++
				if name != "--served-model-name" && name != "--middleware" {
					break
				}
			}
			if value == "" && name != "--seed" {
				if valueless(name) {
					c.Flags[name] = ""
					continue
				}
				return c, &UsageError{prog, fmt.Sprintf("argument %s: expected one argument", name)}
			}
		}
		if name == "--middleware" {
			c.Middleware = append(c.Middleware, strings.Fields(value)...)
			continue
		}
		c.Flags[name] = value
	}
	if len(extra) > 0 {
		return c, &UsageError{prog, "unrecognized arguments: " + strings.Join(extra, " ")}
	}
	return c, c.fill()
}

// valueless are flags that may come alone although they can take a value.
func valueless(name string) bool {
	return strings.HasPrefix(name, "--enable-") || strings.HasPrefix(name, "--no-") || strings.HasPrefix(name, "--disable-")
}

var aliases = map[string]string{"-tp": "--tensor-parallel-size", "-pp": "--pipeline-parallel-size", "-q": "--quantization", "-dp": "--data-parallel-size", "-O": "--compilation-config"}

func flagName(s string) string {
	if a, ok := aliases[s]; ok {
		return a
	}
	body, _, _ := strings.Cut(s, ".")
	return strings.ReplaceAll(body, "_", "-")
}

// fill reads the flags that the stand-in acts on.
func (c *Command) fill() error {
	ints := map[string]*int{"--port": &c.Port, "--tensor-parallel-size": &c.TP}
	for _, name := range []string{"--pipeline-parallel-size", "--port", "--tensor-parallel-size"} {
		v, ok := c.Flags[name]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return &UsageError{c.Prog, fmt.Sprintf("argument %s: invalid int value: '%s'", dashed(name), v)}
		}
		if p := ints[name]; p != nil {
			*p = n
		}
	}
	if v, ok := c.Flags["--max-model-len"]; ok {
		n, err := humanInt(v)
		if err != nil {
			return &UsageError{c.Prog, fmt.Sprintf("argument --max-model-len: invalid human_readable_int value: '%s'", v)}
		}
		c.MaxModelLen = n
	}
	if v, ok := c.Flags["--gpu-memory-utilization"]; ok {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return &UsageError{c.Prog, fmt.Sprintf("argument --gpu-memory-utilization: invalid float value: '%s'", v)}
		}
		c.Utilization = f
	}
	if m, ok := c.Flags["--model"]; ok {
		c.Model = m
	}
	if v, ok := c.Flags["--served-model-name"]; ok {
		c.Served = strings.Fields(v)
	}
	if v, ok := c.Flags["--host"]; ok {
		c.Host = v
	}
	c.Key, c.ToolParser, c.Runner = c.Flags["--api-key"], c.Flags["--tool-call-parser"], c.Flags["--runner"]
	_, c.AutoTools = c.Flags["--enable-auto-tool-choice"]
	_, c.Eager = c.Flags["--enforce-eager"]
	return nil
}

func dashed(name string) string {
	for short, long := range aliases {
		if long == name {
			return name + "/" + short
		}
	}
	return name
}

// humanInt reads 8192, 8k, 8K, auto.
func humanInt(s string) (int, error) {
	switch {
	case s == "auto" || s == "-1":
		return -1, nil
	case strings.HasSuffix(s, "k"):
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, "k"), 64)
		return int(n * 1000), err
	case strings.HasSuffix(s, "K"):
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, "K"), 64)
		return int(n * 1024), err
	default:
		return strconv.Atoi(s)
	}
}

// NonDefault is vLLM's line about what was asked.
func (c Command) nonDefault() string {
	keys := make([]string, 0, len(c.Flags))
	for k := range c.Flags {
		if k != "--api-key" {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	parts := []string{}
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("'%s': '%s'", strings.ReplaceAll(strings.TrimLeft(k, "-"), "-", "_"), c.Flags[k]))
	}
	return "non-default args: {" + strings.Join(parts, ", ") + "}"
}
