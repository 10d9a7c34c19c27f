package cli

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"justright/internal/redact"
	"justright/problem"
)

// secretNames are variables of this environment that hold secrets whatever they look like; addressNames hold addresses that may
// have a user and a password in them.
var (
	secretNames = []string{
		"RUNPOD_API_KEY", "JUSTRIGHT_RUNPOD_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "VLLM_API_KEY", "OPENAI_API_KEY",
		"ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_OPENAI_API_KEY", "GOOGLE_API_KEY", "GITHUB_TOKEN",
		"GH_TOKEN", "GITLAB_TOKEN", "NGC_API_KEY", "NVIDIA_API_KEY", "WANDB_API_KEY", "DOCKER_PASSWORD", "DOCKER_AUTH_CONFIG", "REGISTRY_PASSWORD",
		"UV_INDEX_PASSWORD", "JUPYTER_PASSWORD",
	}
	addressNames = []string{
		"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "PIP_FIND_LINKS",
		"HF_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "RUNPOD_API_BASE_URL", "RUNPOD_GRAPHQL_URL",
		"JUSTRIGHT_RUNPOD_PROXY", "JUSTRIGHT_JOURNAL",
	}
	secretVariable = regexp.MustCompile(`(?i)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|_PASS|_PAT|CREDENTIALS?)$`)
)

// redactor knows the secrets of this environment and of the command line.
func (w *World) redactor(more ...string) redact.Redactor {
	known := slices.Clone(more)
	for _, n := range secretNames {
		known = append(known, w.Env(n))
	}
	for _, n := range addressNames {
		for _, a := range strings.Fields(w.Env(n)) { // some hold several, parted by blanks
			known = append(known, redact.InAddress(a)...)
		}
	}
	if w.Environ != nil {
		for _, kv := range w.Environ() {
			// A path is where a secret is, and a short word is none.
			if n, v, _ := strings.Cut(kv, "="); secretVariable.MatchString(n) && len(v) >= 12 && !strings.HasPrefix(v, "/") {
				known = append(known, v)
			}
		}
	}
	for i, a := range w.Args {
		name, v, joined := strings.Cut(a, "=")
		if !keyFlag(name) && name != "--key" {
			continue
		}
		if !joined && i+1 < len(w.Args) {
			v = w.Args[i+1]
		}
		if !strings.HasPrefix(v, "--") {
			known = append(known, v)
		}
	}
	return redact.New(known...)
}

// keyFlag reports whether an engine's flag carries a secret, in the spellings that its parser takes: _ for -, and cut short.
func keyFlag(name string) bool {
	n, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "--")
	if !ok {
		return false
	}
	for _, full := range []struct {
		name  string
		least int // so many letters tell it from the engine's other flags
	}{{"api-key", 5}, {"hf-token", 4}, {"admin-api-key", 7}} {
		if len(n) >= full.least && strings.HasPrefix(full.name, n) {
			return true
		}
	}
	return false
}

// secretFlags refuses engine flags with a secret in them: a command line is seen by everybody on a machine, and stands in plans,
// start scripts and the provider's records.
func (w *World) secretFlags(flags []string) error {
	r := w.redactor()
	for i, f := range flags {
		name, _, _ := strings.Cut(f, "=")
		if keyFlag(name) {
			p := problem.New(problem.ExitUsage, "secret_flag", "%s would put a key into the command line", name)
			if strings.HasPrefix(strings.ReplaceAll(name, "_", "-"), "--hf") {
				return p.Because("the hub's token travels as HF_TOKEN in the environment, and only for gated models").Try("set it and leave the flag out", "export HF_TOKEN=...")
			}
			return p.Because("the endpoint's key is made for each launch and travels as VLLM_API_KEY in the environment").
				Try("leave the flag out; the key is shown by", "justright show NAME --env")
		}
		if r.Said(f) != f {
			if i > 0 && strings.HasPrefix(flags[i-1], "--") && !strings.HasPrefix(f, "--") {
				name = flags[i-1]
			}
			if !strings.HasPrefix(name, "--") {
				name = "an argument after --"
			}
			return problem.New(problem.ExitUsage, "secret_flag", "the value of %s holds what looks like a secret", r.Said(name)).
				Because("engine flags stand in the plan, in the start script and in the provider's records")
		}
	}
	return nil
}

// shielded is an output that takes secrets out of what passes.
type shielded struct {
	to io.Writer
	s  *screen
}

func (s shielded) Write(b []byte) (int, error) {
	if clean := s.s.text(string(b)); clean != string(b) {
		if _, err := io.WriteString(s.to, clean); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return s.to.Write(b)
}

// screen is what stands between this program and its outputs and journal. It learns the keys of launches as they are read.
type screen struct {
	mu   sync.Mutex
	keys []string
	now  atomic.Pointer[redact.Redactor]
}

// text and said clean by what is known now.
func (s *screen) text(t string) string { return s.now.Load().Text(t) }
func (s *screen) said(t string) string { return s.now.Load().Said(t) }

// shield puts the outputs behind the redactor, but for the answer of `show --env`, which is asked for the key.
func (w *World) shield() {
	w.screen = new(screen)
	w.hide("")
	w.Stderr = shielded{w.Stderr, w.screen}
	if len(w.Args) == 0 || w.Args[0] != "show" || !slices.ContainsFunc(w.Args, func(a string) bool { return strings.HasPrefix(a, "--env") }) {
		w.Stdout = shielded{w.Stdout, w.screen}
	}
}

// hide keeps a launch's key out of what is printed and stored from now on.
func (w *World) hide(key string) {
	if w.screen == nil { // a World that did not come through Main
		return
	}
	w.screen.mu.Lock()
	defer w.screen.mu.Unlock()
	if key != "" {
		w.screen.keys = append(w.screen.keys, key)
	}
	r := w.redactor(w.screen.keys...)
	w.screen.now.Store(&r)
}

// cleanLine cleans what a machine says, before anything reads it; nil: it is taken as it is.
func (w *World) cleanLine() func(string) string {
	if w.screen == nil {
		return nil
	}
	return w.screen.said
}
