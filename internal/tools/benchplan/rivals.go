//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// ours are the questions to this program; the first is what all else is compared with.
func ours(binary string) []question {
	plan := words(`(?m)^ +1  (.+?) {2,}`, `(?m)^ +1 .*?(vllm \S+ \(cu\d+\))`, `(?m)^refused  (?:.*, )?(vllm/vllm-openai:latest) `)
	answer := func(text string) string {
		if s := plan(text); s != "" {
			return s + " refused"
		}
		return ""
	}
	matrix := func(text string) string {
		if n := len(regexp.MustCompile(`(?m)^  vllm \d`).FindAllString(text, -1)); n > 0 {
			return fmt.Sprintf("%d releases against nine CUDA versions", n)
		}
		return ""
	}
	const model = "openai/gpt-oss-20b"
	return []question{
		{"justright plan, all cards", []string{binary, "plan", model, "--host-cuda", "12.4"}, 0, 50 * time.Millisecond, answer},
		{"justright plan, that card", []string{binary, "plan", model, "--host-cuda", "12.4", "--gpu", "RTX 4090"}, 0, 50 * time.Millisecond, answer},
		{"justright plan --json", []string{binary, "plan", model, "--host-cuda", "12.4", "--json"}, 0, 50 * time.Millisecond, words(`"schema": "(justright/plan/1)"`)},
		{"justright matrix", []string{binary, "matrix", model}, 0, 100 * time.Millisecond, matrix},
	}
}

// rival is a tool of the Python package index, of the release that was looked at.
type rival struct {
	pkg, version, program string
	asked                 []question
}

func known() []rival {
	return []rival{
		{"llmfit", "1.1.17", "llmfit", []question{
			{"llmfit plan", []string{"plan", "openai/gpt-oss-20b", "--context", "8192"}, 0, 0, words(`Quantization: (\S+)`, `Recommended Hardware:\s+(VRAM: \S+ GB)`)},
		}},
		{"env-doctor", "0.3.5", "env-doctor", []question{
			{"env-doctor check --engine vllm", []string{"check", "--engine", "vllm"}, 0, 0, words(`(vLLM \S+) +→`, `Install the (CUDA \S+ build)`)},
		}},
		{"thetaserve", "0.1.0", "thetaserve", []question{
			{"thetaserve up --dry-run", []string{"up", "--provider", "runpod", "--model", "gpt-oss-20b", "--dry-run"}, 1, 0, words(`(unknown model '[^']+')`)},
			{"thetaserve, a model it knows", []string{"up", "--provider", "runpod", "--model", "qwen3.8-27b", "--dry-run"}, 0, 0, words(`"image": "([^"]+)"`, `"id": "([^"]+)"`)},
		}},
	}
}

// words reads a short answer: the first group of each pattern, or nothing when one does not match.
func words(patterns ...string) func(string) string {
	return func(text string) string {
		var out []string
		for _, p := range patterns {
			m := regexp.MustCompile(p).FindStringSubmatch(text)
			if m == nil {
				return ""
			}
			out = append(out, strings.TrimSpace(m[1]))
		}
		return strings.Join(out, ", ")
	}
}

// rivals installs each tool into an environment of its own, once, and says in a word why one is left out.
func rivals(ctx context.Context, cache, python string) (asked []question, skipped []string) {
	if python == "" {
		python = findPython(ctx)
	}
	for _, r := range known() {
		if python == "" {
			skipped = append(skipped, r.pkg+": no Python 3.13 here")
			continue
		}
		program, err := r.install(ctx, cache, python)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("%s %s: %v", r.pkg, r.version, err))
			continue
		}
		for _, q := range r.asked {
			q.argv = append([]string{program}, q.argv...)
			asked = append(asked, q)
		}
	}
	if python != "" {
		asked = append(asked, question{"python -c pass", []string{python, "-I", "-c", "pass"}, 0, 0, func(string) string { return "the floor of a Python program" }})
	}
	return asked, skipped
}

// install returns the program's path.
func (r rival) install(ctx context.Context, cache, python string) (string, error) {
	dir := filepath.Join(cache, r.pkg+"-"+r.version)
	program := filepath.Join(dir, "bin", r.program)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	fmt.Fprintf(os.Stderr, "installing %s %s\n", r.pkg, r.version)
	for _, argv := range [][]string{{python, "-m", "venv", dir}, {filepath.Join(dir, "bin", "pip"), "install", "-q", r.pkg + "==" + r.version}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the commands are this file's
			_ = os.RemoveAll(dir)
			return "", fmt.Errorf("cannot be installed: %w: %s", err, firstLine(string(out)))
		}
	}
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("its package has no program %s", r.program)
	}
	return program, nil
}

// findPython looks for a Python 3.13 that runs: on the path, or among pyenv's.
func findPython(ctx context.Context) string {
	candidates := []string{"python3.13", "python3"}
	for _, root := range []string{os.Getenv("PYENV_ROOT"), filepath.Join(os.Getenv("HOME"), ".pyenv")} {
		found, _ := filepath.Glob(filepath.Join(root, "versions", "3.13.*", "bin", "python"))
		candidates = append(candidates, found...)
	}
	for _, c := range candidates {
		out, err := exec.CommandContext(ctx, c, "-c", "import sys; print(sys.executable, *sys.version_info[:2])").Output() //nolint:gosec // looked for on purpose
		if path, ok := strings.CutSuffix(strings.TrimSpace(string(out)), " 3 13"); err == nil && ok {
			return path
		}
	}
	return ""
}
