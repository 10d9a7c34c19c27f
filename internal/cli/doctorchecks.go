package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/internal/provider/runpod"
	"justright/internal/pyindex"
	"justright/launch"
	"justright/money"
	"justright/problem"
)

const (
	// maxSkew is how far this clock may be off before it is worth a word. The limits of a guard are server time, so a
	// wrong clock costs no money, only wrong figures on the screen.
	maxSkew = 30 * time.Second
	// lowCredit is an hour of a middling card: RunPod wants an hour's credit for a create.
	lowCredit = money.Dollar
	// The least free disk: the journal with its logs, and an engine's environment with a small model.
	journalDisk = 1 << 30
	localDisk   = 12 << 30
)

// examiner is the client of doctor's own questions: one try, short.
func (w *World) examiner() *httpclient.Client {
	return httpclient.New(httpclient.Options{Transport: w.Transport, Now: w.Now, Attempts: 1, Timeout: 10 * time.Second, MaxBody: 16 << 20})
}

// examineRunPod looks at key, API, clock and balance.
func (w *World) examineRunPod(ctx context.Context, target string) []finding {
	cfg, err := runpod.FromEnv(w.Env)
	if err != nil {
		p := problem.From(err)
		return []finding{bad(problem.ExitUsage, "runpod-key", "%s", p.Error())}
	}
	if !cfg.Key.Set() {
		missing := runpod.KeyMissing(w.Env)
		f := note("runpod-key", "%s", missing.Cause)
		if target == "runpod" {
			f = bad(problem.ExitCredentials, "runpod-key", "%s", missing.Cause)
		}
		return []finding{f.fix(missing.Hints[0].Text, missing.Hints[0].Command), w.examineClock(ctx, cfg.BaseURL)}
	}
	cfg.Transport, cfg.Now, cfg.Attempts = w.Transport, w.Now, 1
	p, err := runpod.New(cfg)
	if err != nil {
		return []finding{bad(problem.ExitUsage, "runpod-key", "%s", problem.From(err).Error())}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	clock, err := p.Whoami(ctx)
	var pe *provider.Error
	switch {
	case err == nil:
	case provider.KindOf(err) == launch.FailAuth:
		return []finding{bad(problem.ExitCredentials, "runpod-key", "refused by %s (%s)", cfg.BaseURL, shortError(err)).
			fix("make a new key at https://console.runpod.io/user/settings and set it", "export RUNPOD_API_KEY=...")}
	case errors.As(err, &pe) && pe.Status == http.StatusTooManyRequests:
		return []finding{note("runpod-api", "%s takes no more calls for now (%s); the limit is the account's, over all its keys", cfg.BaseURL, shortError(err)).fix("ask again in a minute", "justright doctor")}
	case errors.As(err, &pe) && pe.Status == 0:
		return []finding{bad(problem.ExitCapacity, "runpod-api", "%s does not answer (%s)", cfg.BaseURL, shortError(err)).fix("check the network and the proxy settings", "")}
	default:
		return []finding{bad(problem.ExitCapacity, "runpod-api", "%s answers, but not well (%s)", cfg.BaseURL, shortError(err)).
			fix("check RUNPOD_API_BASE_URL; it stands for "+runpod.DefaultBaseURL, "")}
	}
	out := []finding{good("runpod-key", "taken by %s", cfg.BaseURL), w.skew(cfg.BaseURL, clock)}
	if offers, err := p.Offers(ctx); err != nil {
		out = append(out, bad(problem.ExitCapacity, "runpod-offers", "the catalog cannot be read (%s)", shortError(err)).fix("the key needs read access to the catalog", ""))
	} else {
		stocked := 0
		for _, o := range offers {
			if o.Stock != "NONE" {
				stocked++
			}
		}
		out = append(out, good("runpod-offers", "%d GPU types, %d in stock", len(offers), stocked))
	}
	return append(out, w.examineBalance(ctx, p, target))
}

func (w *World) examineBalance(ctx context.Context, p *runpod.Provider, target string) finding {
	b, err := p.Balance(ctx)
	if err != nil {
		return note("balance", "not known: only RunPod's old GraphQL API tells it (%s)", shortError(err)).fix("look at https://console.runpod.io/user/billing", "")
	}
	detail := "$" + b.Credit.Cents()
	if b.SpendPerHour != nil && *b.SpendPerHour > 0 {
		detail += fmt.Sprintf(", of which all pods of the account burn $%s an hour: enough for %.1f h", b.SpendPerHour.Cents(), b.Credit.Float()/b.SpendPerHour.Float())
	}
	switch {
	case b.Credit >= lowCredit:
		return good("balance", "%s", detail)
	case b.Credit > 0 || target != "runpod":
		return note("balance", "%s: a pod needs an hour's credit", detail).fix("add credit at https://console.runpod.io/user/billing", "")
	default:
		return bad(problem.ExitCapacity, "balance", "%s", detail).fix("add credit at https://console.runpod.io/user/billing", "")
	}
}

// examineClock asks an address for its time when nothing else did.
func (w *World) examineClock(ctx context.Context, base string) finding {
	res, err := w.examiner().Do(ctx, httpclient.Request{Method: http.MethodHead, URL: base})
	var e *httpclient.Error
	switch {
	case err == nil:
		return w.skew(base, res.Date)
	case errors.As(err, &e) && e.Status != 0:
		return w.skew(base, e.Date)
	default:
		return skipped("clock", "%s does not answer (%s)", base, shortError(err))
	}
}

// skew compares this clock with a server's, whose Date header counts whole seconds.
func (w *World) skew(from string, server time.Time) finding {
	if server.IsZero() {
		return skipped("clock", "%s does not tell its time", from)
	}
	d := w.Now().Sub(server).Round(time.Second)
	if d > maxSkew || d < -maxSkew {
		word := "ahead of"
		if d < 0 {
			word, d = "behind", -d
		}
		return note("clock", "%s %s %s: times shown here will be off; what guards a pod uses server time", d, word, hostOf(from)).fix("set the clock", "sudo timedatectl set-ntp true")
	}
	return good("clock", "agrees with %s", hostOf(from))
}

// examineIndex asks the package index for a small page.
func (w *World) examineIndex(ctx context.Context, _ string) []finding {
	index, from := strings.TrimRight(w.indexes()[0], "/"), "pip's configuration"
	for _, k := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		if strings.TrimSpace(w.Env(k)) != "" {
			from = k
			break
		}
	}
	if index == strings.TrimRight(pyindex.DefaultIndex, "/") {
		from = "the default"
	}
	start := w.Now()
	_, err := w.examiner().Do(ctx, httpclient.Request{URL: index + "/uv/", Header: http.Header{"Accept": {"application/vnd.pypi.simple.v1+json, text/html;q=0.5"}}})
	if err != nil {
		f := bad(problem.ExitCapacity, "package-index", "%s (%s) does not serve packages (%s)", httpclient.RedactURL(index), from, shortError(err))
		if from == "the default" {
			return []finding{f.fix("name one that can be reached", "export PIP_INDEX_URL=https://HOST/simple")}
		}
		return []finding{f.fix("check "+from, "")}
	}
	return []finding{good("package-index", "%s in %.1f s", httpclient.RedactURL(index), w.Now().Sub(start).Seconds())}
}

// examineHub looks at the model hub and, when there is one, at the token.
func (w *World) examineHub(ctx context.Context, _ string) []finding {
	hub := strings.TrimRight(strings.TrimSpace(w.Env("HF_ENDPOINT")), "/")
	fix := "check HF_ENDPOINT"
	if hub == "" {
		hub, fix = "https://huggingface.co", "name a mirror that can be reached: export HF_ENDPOINT=https://HOST; models of the built-in catalog and local directories work without"
	}
	var out []finding
	_, err := w.examiner().Do(ctx, httpclient.Request{URL: hub + "/api/models?limit=1"})
	var e *httpclient.Error
	switch {
	case err == nil:
		out = append(out, good("model-hub", "%s", hub))
	case errors.As(err, &e) && e.Status >= 400 && e.Status < 500:
		out = append(out, good("model-hub", "%s answers (HTTP %d to a listing)", hub, e.Status))
	default:
		out = append(out, bad(problem.ExitCapacity, "model-hub", "%s does not answer (%s)", hub, shortError(err)).fix(fix, ""))
		return append(out, skipped("hub-token", "the hub does not answer"))
	}
	token := w.hubToken()
	if token == "" {
		return append(out, note("hub-token", "none: gated models cannot be read").fix("make one at https://huggingface.co/settings/tokens", "export HF_TOKEN=..."))
	}
	_, err = w.examiner().Do(ctx, httpclient.Request{URL: hub + "/api/whoami-v2", Bearer: httpclient.NewSecret(token)})
	switch {
	case err == nil:
		out = append(out, good("hub-token", "taken by %s", hub))
	case errors.As(err, &e) && (e.Status == 401 || e.Status == 403):
		out = append(out, bad(problem.ExitCredentials, "hub-token", "refused by %s", hub).fix("make a new one at https://huggingface.co/settings/tokens", "export HF_TOKEN=..."))
	default:
		out = append(out, note("hub-token", "%s cannot say (%s)", hub, shortError(err)))
	}
	return out
}

// examineRegistry asks the image registry for its version page; 401 is what it says to strangers.
func (w *World) examineRegistry(ctx context.Context, _ string) []finding {
	const registry = "https://registry-1.docker.io"
	_, err := w.examiner().Do(ctx, httpclient.Request{URL: registry + "/v2/"})
	var e *httpclient.Error
	if err == nil || (errors.As(err, &e) && e.Status == http.StatusUnauthorized) {
		return []finding{good("image-registry", "%s", registry)}
	}
	return []finding{note("image-registry", "%s cannot be read from here (%s); plans use the built-in facts about images", registry, shortError(err))}
}

// examineProxy names the proxies in use: half of all strange errors begin there.
func (w *World) examineProxy(context.Context, string) []finding {
	var set []string
	for _, k := range []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		v := w.Env(k)
		if v == "" {
			v = w.Env(strings.ToLower(k))
		}
		if v != "" {
			set = append(set, k+"="+httpclient.RedactURL(v))
		}
	}
	if len(set) == 0 {
		return nil
	}
	return []finding{note("proxy", "%s", strings.Join(set, " "))}
}

// examineDisk looks at the space under the home directory.
func (w *World) examineDisk(_ context.Context, target string) []finding {
	dir := w.Env("HOME")
	if dir == "" {
		dir = w.Dir
	}
	free, ok := freeDisk(dir)
	if !ok {
		return []finding{skipped("disk", "free space of %s is not known on this system", dir)}
	}
	gib := float64(free) / (1 << 30)
	switch {
	case free < journalDisk:
		return []finding{bad(problem.ExitCapacity, "disk", "%.1f GiB free in %s: the journal and its logs want 1 GiB", gib, dir).fix("free some", "")}
	case free < localDisk && target == "local":
		return []finding{bad(problem.ExitCapacity, "disk", "%.1f GiB free in %s: an engine and a small model want 12 GiB", gib, dir).fix("free some", "")}
	case free < localDisk:
		return []finding{note("disk", "%.1f GiB free in %s: enough for rented targets, not for --on local", gib, dir)}
	default:
		return []finding{good("disk", "%.1f GiB free in %s", gib, dir)}
	}
}

// examineTools looks for what --on local uses. Rented targets need none of it.
func (w *World) examineTools(ctx context.Context, target string) []finding {
	var out []finding
	uv, haveUV := w.tool(ctx, "uv", "--version")
	if haveUV {
		out = append(out, good("uv", "%s", uv))
	} else {
		out = append(out, note("uv", "not found; a launch brings its own").fix("for faster installs by hand", "pip install uv"))
	}
	py, havePython := w.tool(ctx, "python3", "--version")
	switch {
	case havePython:
		out = append(out, good("python", "%s", py))
	case target == "local" && !haveUV:
		out = append(out, bad(problem.ExitCapacity, "python", "neither python3 nor uv: --on local has nothing to run an engine with").fix("install one of them", "sudo apt install python3"))
	default:
		out = append(out, note("python", "python3 not found; only --on local wants it").fix("install it", "sudo apt install python3"))
	}
	if smi, ok := w.tool(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"); ok {
		out = append(out, good("gpu", "%s", smi))
	} else {
		out = append(out, note("gpu", "no NVIDIA GPU here (nvidia-smi not found or failing): --on local uses the CPU build of the engine"))
	}
	return out
}

// tool runs a program found on the world's PATH and returns its first lines as one.
func (w *World) tool(ctx context.Context, name string, args ...string) (string, bool) {
	for _, dir := range filepath.SplitList(w.Env("PATH")) {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.WaitDelay = time.Second
		if w.Environ != nil {
			cmd.Env = w.Environ()
		}
		b, err := cmd.Output()
		if err != nil {
			return "", false
		}
		return httpclient.OneLine(string(b), 120), true
	}
	return "", false
}

// shortError is an error's essence for one line, without the address that stands beside it.
func shortError(err error) string {
	var h *httpclient.Error
	if errors.As(err, &h) {
		switch {
		case h.Status != 0 && h.Detail() != "":
			return fmt.Sprintf("HTTP %d: %s", h.Status, httpclient.OneLine(h.Detail(), 100))
		case h.Status != 0:
			return fmt.Sprintf("HTTP %d", h.Status)
		case h.Err != nil:
			return httpclient.OneLine(h.Err.Error(), 100)
		}
	}
	var p *provider.Error
	if errors.As(err, &p) && p.Detail != "" {
		return httpclient.OneLine(p.Detail, 100)
	}
	return httpclient.OneLine(err.Error(), 100)
}

func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Host
	}
	return raw
}
