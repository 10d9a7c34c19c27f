// Package inpod are the programs that stand first on the PATH of a simulated pod: a uv that installs names instead of
// packages, a python3 that knows the image's version, a vllm that is package vllmsim, and RunPod's own runpodctl. What
// they do not recognise they leave to this machine's programs.
package inpod

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pod is what the simulator wrote down about the pod that a tool runs in.
type Pod struct {
	ID     string `json:"id"`
	Sim    string `json:"sim"`
	Hub    string `json:"hub"`
	Engine string `json:"engine"`
	Python string `json:"python"`
	CUDA   string `json:"cuda"`
	Driver string `json:"driver"`
	GPU    struct {
		ID         string `json:"id"`
		MemoryGB   int    `json:"memory_gb"`
		Capability string `json:"capability"`
	} `json:"gpu"`
	GPUs  int            `json:"gpus"`
	Ports map[string]int `json:"ports"`
	Path  string         `json:"path"`
	Bin   string         `json:"bin"`
	Image string         `json:"image"`
}

// Call is one run of a tool.
type Call struct {
	Pod     Pod
	Tool    []string // the command that reaches inpod, for wrappers that a tool writes
	File    string   // the pod's file
	Name    string
	Args    []string
	Env     func(string) string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
}

// Main runs the tool that args name: the pod's file, the tool, its arguments. tool is the command that reaches it.
func Main(ctx context.Context, tool, args []string, c Call) int {
	if len(args) < 2 {
		_, _ = fmt.Fprintln(c.Stderr, "inpod: want FILE TOOL [ARG...]")
		return 2
	}
	b, err := os.ReadFile(args[0])
	if err == nil {
		err = json.Unmarshal(b, &c.Pod)
	}
	if err != nil {
		_, _ = fmt.Fprintln(c.Stderr, "inpod:", err)
		return 2
	}
	c.Tool, c.File, c.Name, c.Args = tool, args[0], args[1], args[2:]
	switch c.Name {
	case "uv":
		return c.uv()
	case "runpodctl":
		return c.runpodctl(ctx)
	case "vllm":
		return c.vllm(ctx)
	case "pip", "pip3":
		return c.pip(c.Args)
	case "curl":
		return c.curl(ctx)
	}
	if strings.HasPrefix(c.Name, "python") {
		return c.python(ctx)
	}
	_, _ = fmt.Fprintf(c.Stderr, "inpod: no tool %s\n", c.Name)
	return 127
}

func (c *Call) say(format string, args ...any) { _, _ = fmt.Fprintf(c.Stdout, format+"\n", args...) }
func (c *Call) err(format string, args ...any) { _, _ = fmt.Fprintf(c.Stderr, format+"\n", args...) }

// real finds a program on this machine's PATH, which has no stand-ins.
func (c *Call) real(names ...string) string {
	for _, n := range names {
		for _, d := range filepath.SplitList(c.Pod.Path) {
			p := filepath.Join(d, n)
			if st, err := os.Stat(p); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
				return p
			}
		}
	}
	return ""
}

// wrapper writes a program that calls inpod as name.
func (c *Call) wrapper(path, name string) error {
	return os.WriteFile(path, []byte(Wrapper(c.Tool, c.File, name)), 0o755)
}

// Wrapper is the text of a program that calls the tool command with the pod's file and a name to be.
func Wrapper(tool []string, file, name string) string {
	words := []string{}
	for _, w := range append(slices.Clone(tool), file, name) {
		words = append(words, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return "#!/bin/sh\nexec " + strings.Join(words, " ") + ` "$@"` + "\n"
}
