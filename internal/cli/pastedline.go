package cli

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/shlex"

	"justright/problem"
)

// pastedLine is what stands after -- as words that solve.ParsePasted reads, and the card that the line itself rents.
type pastedLine struct {
	words []string
	gpu   string // as the line's own tool names it; "" when it names none
}

// readPasted brings what people paste to plain words: a line that a page or a chat has dressed up, one behind a launcher
// (uv run, conda run, srun), a pod of kubectl or runpodctl, a service of a compose file or a manifest. Words that are none of
// these stay as they are.
func readPasted(words []string) (pastedLine, error) {
	if len(words) == 1 && (strings.ContainsAny(words[0], " \t\r\n\u00a0") || strings.HasPrefix(words[0], "[")) {
		if p, ok, err := readDocument(words[0]); ok || err != nil {
			return p, err
		}
		split, err := shlex.Split(plainText(words[0]))
		if err != nil {
			return pastedLine{}, problem.New(problem.ExitUsage, "usage", "the pasted line cannot be split into words").Wrap(err).
				Try("close its quotes; or leave the quotes around the whole line away, and your shell splits it", "")
		}
		words = expanded(withoutRedirections(split))
	}
	var p pastedLine
	var part []string
	take := func(operator ...string) {
		p.words = append(append(p.words, p.unwrapped(part)...), operator...)
		part = nil
	}
	for _, w := range words {
		given := w
		switch w = plainWord(w); {
		case w == "\\", w == "" && given != "":
			continue
		}
		switch w {
		case "&&", "||", ";", "|", "&":
			take(w)
		default:
			bare, cut := strings.CutSuffix(w, ";")
			if part = append(part, bare); cut {
				take(";")
			}
		}
	}
	take()
	return p, nil
}

var (
	dashes      = regexp.MustCompile(`(^|\s)(?:[—–−][-—–−]*|-[—–−]+)([A-Za-z])`)
	prompt      = regexp.MustCompile(`^\s*(?:[$%>❯]|PS [^>]*>|[\w.-]+@[\w.-]+:[^$#]*[$#])\s+`)
	redirection = regexp.MustCompile(`^(?:\d*|&)>>?(.*)$`)
	lookalikes  = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'", "\u00a0", " ", "\u200b", "", "\ufeff", "", "\r\n", "\n", "\r", "\n")
)

// plainText makes one line for a shell of text as it is copied: prompts, comments and continuations of sh, PowerShell and
// cmd go, typographic quotes and dashes become those that were typed, and a new line ends a command.
func plainText(text string) string {
	text = dashes.ReplaceAllString(lookalikes.Replace(text), "$1--$2")
	var b strings.Builder
	var quote byte
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); quote == 0 {
			line = strings.TrimRight(prompt.ReplaceAllString(line, ""), " \t")
		}
		end := "; "
		if quote == 0 && line != "" && strings.ContainsRune("\\`^", rune(line[len(line)-1])) {
			line, end = line[:len(line)-1], " "
		}
		for i := 0; i < len(line); i++ {
			c := line[i]
			switch {
			case quote == 0 && c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
				line = line[:i]
				continue
			case c == '\\' && quote != '\'' && i+1 < len(line):
				b.WriteByte(c)
				i++
				c = line[i]
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case c == quote:
				quote = 0
			}
			b.WriteByte(c)
		}
		if quote != 0 {
			end = "\n"
		}
		b.WriteString(" "[:min(1, len(end)-1)] + end)
	}
	return b.String()
}

// plainWord is a word without what a shell took for a part of it: typographic quotes and dashes, half a CRLF.
func plainWord(w string) string {
	w = strings.TrimSpace(strings.Trim(w, "“”„\r"))
	return dashes.ReplaceAllString(w, "$1--$2")
}

var variable = regexp.MustCompile(`\$(?:\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|([A-Za-z_]\w*))`)

// expanded puts in the values of variables that the text itself sets; a default, ${TAG:-latest}, where it sets none.
func expanded(words []string) []string {
	set := map[string]string{}
	var out []string
	for _, w := range words {
		w = variable.ReplaceAllStringFunc(w, func(ref string) string {
			m := variable.FindStringSubmatch(ref)
			if v, ok := set[m[1]+m[3]]; ok {
				return v
			}
			if m[2] != "" {
				return m[2]
			}
			return ref
		})
		if name, value, ok := strings.Cut(strings.TrimSuffix(w, ";"), "="); ok && !strings.HasPrefix(name, "-") {
			set[name] = value
		}
		out = append(out, w)
	}
	return out
}

// starters begin a command that can be read, as far as its first word tells.
func starts(word string) bool {
	switch base := path.Base(word); base {
	case "docker", "podman", "nerdctl", "vllm", "sglang", "bash", "sh", "uv", "uvx", "pip", "pip3", "kubectl", "runpodctl":
		return true
	default:
		return strings.HasPrefix(base, "python")
	}
}

// launchers run the command that stands behind their own flags, and change nothing that matters here.
var launchers = []string{"numactl", "taskset", "srun", "nice", "ionice", "chrt", "timeout", "stdbuf", "setsid", "unbuffer", "tini", "dumb-init", "gosu", "screen", "tmux",
	"ssh", "poetry", "pipenv", "pdm", "rye", "hatch", "conda", "mamba", "micromamba", "pixi", "docker-compose", "sudo", "env", "nohup", "time", "exec", "watch", "systemd-run"}

// unwrapped is one command without what is wrapped around the engine's own.
func (p *pastedLine) unwrapped(words []string) []string {
	for len(words) > 1 {
		base := path.Base(words[0])
		switch {
		case base == "kubectl" && words[1] == "run":
			return p.ofKubectl(words[2:])
		case base == "runpodctl":
			return p.ofRunpodctl(words[1:])
		case base == "uv" && words[1] == "run":
			return p.ofUV(words[2:], false)
		case base == "uv" && words[1] == "tool" && len(words) > 2 && words[2] == "run":
			return p.ofUV(words[3:], true)
		case (base == "bash" || base == "sh") && len(words) > 2 && strings.HasPrefix(words[1], "-") && strings.HasSuffix(words[1], "c"):
			if in, err := readPasted(words[2:3]); err == nil && strings.Contains(words[2], " ") {
				p.gpu = in.gpu
				return in.words
			}
			return words
		case base == "uvx":
			return p.ofUV(words[1:], true)
		case slices.Contains(launchers, base), base == "kubectl", starts(base) && (words[1] == "exec" || words[1] == "compose"):
			i := slices.IndexFunc(words[1:], starts)
			if i < 0 {
				return inner(words)
			}
			words = words[1+i:]
		case base == "docker" || base == "podman" || base == "nerdctl":
			return countedDevices(words)
		default:
			return words
		}
	}
	return words
}

// inner is the command that a launcher takes as one word: tmux new -d 'vllm serve …'.
func inner(words []string) []string {
	last := words[len(words)-1]
	if split, err := shlex.Split(last); err == nil && len(split) > 1 && starts(split[0]) {
		return split
	}
	return words
}

// withoutRedirections is a line without the files that its output goes to.
func withoutRedirections(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		if m := redirection.FindStringSubmatch(words[i]); m != nil {
			if m[1] == "" {
				i++ // its file is the next word
			}
			continue
		}
		out = append(out, words[i])
	}
	return out
}

// countedDevices says how many cards --gpus '"device=0,1"' gives.
func countedDevices(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		value, joined := strings.CutPrefix(w, "--gpus=")
		if !joined && (i == 0 || out[i-1] != "--gpus") {
			continue
		}
		if list, ok := strings.CutPrefix(strings.Trim(value, `"'\`), "device="); ok {
			n := strconv.Itoa(strings.Count(strings.Trim(list, `"'\`), ",") + 1)
			if out[i] = n; joined {
				out[i] = "--gpus=" + n
			}
		}
	}
	return out
}

// flagsBefore reads the flags of another tool up to its first plain word or --; takes says which of them have a value.
func flagsBefore(words []string, takes func(flag string) bool, each func(flag, value string)) (rest []string) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		flag, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		if flag == "--" {
			return words
		}
		if !joined && takes(flag) && len(words) > 0 {
			value, words = words[0], words[1:]
		}
		each(flag, value)
	}
	return words
}

// ofUV is uv run --with vllm==0.9.0 vllm serve …, and uvx --from vllm==0.9.0 vllm serve …
func (p *pastedLine) ofUV(words []string, tool bool) []string {
	install := []string{"uv", "pip", "install"}
	plain := []string{"--isolated", "--no-project", "--frozen", "--locked", "--no-sync", "--active", "--exact", "--all-extras", "--no-dev", "--offline", "--refresh", "--quiet", "-q", "--verbose", "-v", "--managed-python", "--upgrade", "-U"}
	rest := flagsBefore(words, func(f string) bool { return !slices.Contains(plain, f) }, func(flag, value string) {
		switch flag {
		case "--with", "-w", "--from":
			install = append(install, value)
		case "--torch-backend", "--extra-index-url", "--index-url":
			install = append(install, flag+"="+value)
		}
	})
	if tool && len(rest) > 0 {
		if name, v, ok := strings.Cut(rest[0], "@"); ok {
			if install = append(install, name); v != "latest" {
				install[len(install)-1] += "==" + v
			}
			rest = append([]string{name}, rest[1:]...)
		}
	}
	rest = p.unwrapped(rest)
	if len(install) > 3 {
		return append(append(install, "&&"), rest...)
	}
	return rest
}

// ofKubectl is kubectl run NAME --image=… [--command] -- …
func (p *pastedLine) ofKubectl(words []string) []string {
	run := []string{"docker", "run"}
	image, whole := "", false
	valued := []string{"--image", "--env", "--overrides", "--limits", "--requests", "--port", "--restart", "-n", "--namespace", "-l", "--labels", "--image-pull-policy"}
	tail := words
	for len(tail) > 0 { // NAME stands before its flags, between them or behind them
		flag, value, joined := strings.Cut(tail[0], "=")
		if tail = tail[1:]; flag == "--" {
			break
		}
		if !joined && slices.Contains(valued, flag) && len(tail) > 0 {
			value, tail = tail[0], tail[1:]
		}
		switch flag {
		case "--image":
			image = value
		case "--env":
			run = append(run, "-e", value)
		case "--command":
			whole = value != "false"
		}
	}
	if whole && len(tail) > 0 {
		run = append(run, "--entrypoint", tail[0])
		tail = tail[1:]
	}
	return append(append(run, image), tail...)
}

// ofRunpodctl is runpodctl create pod --imageName … --args …, and runpodctl pod create --image … --docker-args …
func (p *pastedLine) ofRunpodctl(words []string) []string {
	if len(words) < 2 || !slices.Contains([]string{"create pod", "pod create", "create pods"}, words[0]+" "+words[1]) {
		return append([]string{"runpodctl"}, words...)
	}
	run := []string{"docker", "run"}
	image, args := "", ""
	plain := []string{"--secureCloud", "--communityCloud", "--startSSH", "--global-networking", "--public-ip", "--support-public-ip", "--startJupyter"}
	flagsBefore(words[2:], func(f string) bool { return !slices.Contains(plain, f) }, func(flag, value string) {
		switch flag {
		case "--image", "--imageName":
			image = value
		case "--args", "--docker-args":
			args = value
		case "--gpu-id", "--gpuType":
			p.gpu = value
		case "--gpu-count", "--gpuCount":
			run = append(run, "--gpus", value)
		}
	})
	tail, err := shlex.Split(args)
	if err != nil {
		tail = strings.Fields(args)
	}
	return append(append(run, image), tail...)
}
