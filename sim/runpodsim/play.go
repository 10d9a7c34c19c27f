package runpodsim

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"justright/catalog"
	"justright/sim/vllmsim"
)

// Model plays containers with a Go function instead of a process: no files, no ports, no waiting but on the
// simulator's clock. The function returns at once; what comes later it plans with c.After.
type Model func(c *Container)

// Start calls the function.
func (m Model) Start(c *Container) func() {
	m(c)
	return nil
}

// Close has nothing to wait for.
func (m Model) Close() {}

// Play is a Model of what justright starts: its own start script, with phases, guard and a stand-in engine, or an engine
// image with arguments. The zero value boots in about two simulated minutes and never fails.
type Play struct {
	Preflight time.Duration // 0: 1 s
	Env       time.Duration // 0: 45 s
	Weights   time.Duration // 0: 50 s
	Engine    time.Duration // 0: 40 s
	Tick      time.Duration // of the guard; 0: 10 s
	NoGuard   bool          // the guard never starts
	// Fail may end a boot in a phase ("preflight", "env", "weights", "engine") with a cause and a last line of the log.
	Fail func(c *Container) (phase, cause, line string)
	// Begin plans the engine's start, line by line, until it serves or dies; nil: it comes up.
	Begin func(c *Container, b Boot) vllmsim.Start
	// Stall tells that the weights stop at 40 % and never come on.
	Stall func(c *Container) bool
	// Tune may change the engine before it serves.
	Tune func(c *Container, o *vllmsim.Options)
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Model is the Runner of p.
func (p Play) Model() Model {
	return func(c *Container) {
		switch script, ok := unpackBoot(c.Argv); {
		case ok:
			p.boot(c, script)
		case len(c.Argv) > 0 && (c.Argv[0] == "vllm" || c.Argv[0] == "python3"):
			p.engineImage(c)
		default:
			c.Log("nothing here is played: " + strings.Join(c.Argv, " "))
		}
	}
}

// play is one boot under way.
type play struct {
	Play
	mu      sync.Mutex // on a real clock the steps come in goroutines of their own
	c       *Container
	began   time.Time
	port    int
	served  string
	done    map[string]bool
	failed  bool
	ready   bool
	engine  *vllmsim.Engine
	active  time.Time
	mark    string
	later   string // the moved end of the lifetime; empty: not moved
	ending  bool
	hold    time.Duration
	model   string
	install string
	what    Boot
}

// headVar reads an assignment of the script's head.
func headVar(script, name string) string {
	_, rest, ok := strings.Cut(script, "\n"+name+"=")
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, "'")
}

// servedName reads the engine's name for the model out of its command line.
func servedName(script string) string {
	_, rest, ok := strings.Cut(script, "--served-model-name")
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, "' ")
	if end := strings.IndexAny(rest, "' \n"); end >= 0 {
		return rest[:end]
	}
	return ""
}

// unpackBoot finds the start script in a command, as its own first line unpacks it.
func unpackBoot(argv []string) (text string, ok bool) {
	for _, a := range argv {
		rest, ok := strings.CutPrefix(a, "B=")
		if !ok {
			continue
		}
		packed, _, ok := strings.Cut(rest, ";")
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(packed)
		if err != nil {
			return "", false
		}
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return "", false
		}
		b, err := io.ReadAll(io.LimitReader(z, 4<<20))
		if err != nil {
			return "", false
		}
		return string(b), true
	}
	return "", false
}

func (p Play) boot(c *Container, script string) {
	b := &play{
		Play: p, c: c, began: c.Now(), port: 8000, done: map[string]bool{}, active: c.Now(),
		model: headVar(script, "JR_MODEL_ID"), install: headVar(script, "JR_INSTALL"), what: readBoot(script),
	}
	if n, err := strconv.Atoi(headVar(script, "JR_PORT")); err == nil {
		b.port = n
	}
	if b.served = servedName(script); b.served == "" {
		b.served = b.model
	}
	seconds, err := strconv.Atoi(headVar(script, "JR_HOLD"))
	if err != nil {
		seconds = 300
	}
	b.hold = time.Duration(seconds) * time.Second
	b.guard()
	b.phase("preflight", "start")
	b.after(orDefault(p.Preflight, time.Second), func() {
		if b.fails("preflight") {
			return
		}
		b.phase("preflight", "ok", "python=/usr/bin/python3", "driver="+c.Driver, "cuda="+c.CUDA)
		b.phase("weights", "start")
		env := orDefault(p.Env, 45*time.Second)
		if b.install == "wheels" {
			b.phase("env", "start")
		} else {
			b.phase("env", "ok", "source=image")
			b.done["env"], env = true, 0
		}
		if env > 0 {
			b.after(env, func() { b.finish("env") })
		}
		weights := orDefault(p.Weights, 50*time.Second)
		if p.Stall != nil && p.Stall(c) {
			b.after(weights*2/5, func() { c.Log("justright progress phase=weights done=5504505907 total=13761264768 unit=bytes") })
			return
		}
		b.after(weights/2, func() {
			if !b.failed {
				c.Log("justright progress phase=weights done=6880632384 total=13761264768 unit=bytes")
			}
		})
		b.after(weights, func() { b.finish("weights") })
	})
}

func (b *play) after(d time.Duration, f func()) {
	b.c.After(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f()
	})
}

// guard plays the dead man's switch.
func (b *play) guard() {
	if b.NoGuard {
		b.c.Log("justright guard status=unguarded reason=no_http_client")
		return
	}
	switch code := b.c.Call(http.MethodGet, "/v2/pods/"+b.c.PodID); code {
	case http.StatusOK:
		b.c.Log("justright guard status=armed by=runpod")
	case http.StatusUnauthorized, http.StatusForbidden:
		b.c.Log("justright guard status=unguarded reason=key_refused")
	default:
		b.c.Log(fmt.Sprintf("justright guard status=unguarded reason=http_%d", code))
	}
	b.tick()
}

func (b *play) tick() {
	b.after(orDefault(b.Tick, 10*time.Second), func() {
		now := b.c.Now()
		switch {
		case b.passed("JUSTRIGHT_CAP_BY"):
			b.end("cap")
		case b.pastLifetime(now):
			b.end("ttl")
		case !b.ready && b.passed("JUSTRIGHT_BOOT_BY"):
			b.end("boot_deadline")
		case b.ready && b.idle(now):
			b.end("idle")
		default:
			b.tick()
		}
	})
}

// passed tells whether a limit of the environment, in absolute seconds, has come.
func (b *play) passed(name string) bool {
	n, err := strconv.ParseInt(b.c.Env[name], 10, 64)
	return err == nil && b.c.Now().Unix() >= n
}

// pastLifetime is passed for the end of the lifetime, which may have been moved through the engine's door.
func (b *play) pastLifetime(now time.Time) bool {
	if n, err := strconv.ParseInt(b.later, 10, 64); err == nil && b.c.Env["JUSTRIGHT_END_BY"] != "" {
		return now.Unix() >= n
	}
	return b.passed("JUSTRIGHT_END_BY")
}

func (b *play) idle(now time.Time) bool {
	mark, busy := b.engine.Activity()
	if busy || mark != b.mark {
		b.mark, b.active = mark, now
	}
	n, err := strconv.Atoi(b.c.Env["JUSTRIGHT_IDLE"])
	return err == nil && n > 0 && now.Sub(b.active) >= time.Duration(n)*time.Second
}

// end asks for the end of the pod until somebody promises it.
func (b *play) end(reason string) {
	if !b.ending {
		b.c.Log("justright guard status=ending reason=" + reason)
	}
	b.ending = true
	if b.c.Call(http.MethodDelete, "/v2/pods/"+b.c.PodID)/100 == 2 {
		return
	}
	b.after(30*time.Second, func() { b.end(reason) })
}

func (b *play) phase(name, status string, more ...string) {
	line := fmt.Sprintf("justright phase=%s status=%s t=%.2f", name, status, b.c.Now().Sub(b.began).Seconds())
	if len(more) > 0 {
		line += " " + strings.Join(more, " ")
	}
	b.c.Log(line)
}

// fails ends the boot in a phase when it is meant to end there: logs held, then the pod ends itself.
func (b *play) fails(phase string) bool {
	if b.failed {
		return true
	}
	if b.Fail == nil {
		return false
	}
	at, cause, line := b.Fail(b.c)
	if at != phase {
		return false
	}
	for l := range strings.Lines(line) {
		b.c.Log(strings.TrimRight(l, "\n"))
	}
	b.died(phase, cause)
	return true
}

// heldThenEnded keeps the log readable for a bounded time.
func (b *play) heldThenEnded() {
	b.phase("hold", "start", fmt.Sprintf("seconds=%d", int(b.hold.Seconds())))
	b.after(b.hold, func() {
		b.phase("hold", "ok")
		b.end("hold")
	})
}

func (b *play) finish(phase string) {
	if b.fails(phase) {
		return
	}
	b.done[phase] = true
	b.phase(phase, "ok", "cached=0")
	if !b.done["env"] || !b.done["weights"] {
		return
	}
	b.phase("engine", "start")
	if b.Begin != nil {
		s := b.Begin(b.c, b.what)
		b.startEngine(s, func() { b.serve(s.Options) }, func() { b.died("engine", "engine_exited") })
		return
	}
	b.after(orDefault(b.Engine, 40*time.Second), func() {
		if b.fails("engine") {
			return
		}
		if a := architecture(b.model); a != "" {
			b.c.Log("(APIServer pid=271) INFO [model.py:531] Resolved architecture: " + a)
		}
		b.serve(vllmsim.Options{Model: b.model, Served: []string{b.served}, Version: b.c.Image.Engine, AutoTools: true, ToolParser: "played"})
	})
}

func (b *play) serve(o vllmsim.Options) {
	o.Key, o.KeyEverywhere = b.c.Env["VLLM_API_KEY"], true
	o.Extend = func(until string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.later = until
		return nil
	}
	b.engine = serveEngine(b.c, b.Play, b.port, o)
	b.ready, b.active = true, b.c.Now()
	b.phase("engine", "ok")
	b.phase("ready", "ok", fmt.Sprintf("port=%d", b.port), "door=1")
}

// architecture is the model's class, where the catalog knows the model.
func architecture(model string) string {
	m := catalog.FindModels(model)
	if len(m) != 1 {
		return ""
	}
	var c struct {
		Architectures []string `json:"architectures"`
	}
	if json.Unmarshal(m[0].Config, &c) != nil || len(c.Architectures) == 0 {
		return ""
	}
	return c.Architectures[0]
}

func serveEngine(c *Container, p Play, port int, o vllmsim.Options) *vllmsim.Engine {
	o.Now = c.Now
	if p.Tune != nil {
		p.Tune(c, &o)
	}
	e := vllmsim.New(o)
	c.Serve(port, e)
	return e
}

// engineImage plays an image whose entrypoint is the engine: no script of ours, no guard.
func (p Play) engineImage(c *Container) {
	prog, args := "vllm", c.Argv
	switch {
	case len(args) >= 2 && args[0] == "vllm" && args[1] == "serve":
		args = args[2:]
	case len(args) >= 3 && args[1] == "-m":
		prog, args = "api_server.py", args[3:]
	}
	cmd, err := vllmsim.Parse(prog, args, nil)
	if err != nil {
		c.Log(err.Error())
		c.After(time.Second, func() { c.Exit(2) })
		return
	}
	if p.Begin != nil {
		b := &play{Play: p, c: c}
		s := p.Begin(c, Boot{Model: cmd.Model, Install: "image", Argv: c.Argv})
		b.startEngine(s, func() {
			s.Options.Key = cmd.Key
			if s.Options.Key == "" {
				s.Options.Key = c.Env["VLLM_API_KEY"]
			}
			serveEngine(c, p, cmd.Port, s.Options)
		}, func() { c.Exit(max(s.Exit, 1)) })
		return
	}
	c.After(orDefault(p.Engine, 40*time.Second)+orDefault(p.Weights, 50*time.Second), func() {
		if p.Fail != nil {
			if at, _, line := p.Fail(c); at != "" {
				c.Log(line)
				c.Exit(1)
				return
			}
		}
		key := cmd.Key
		if key == "" {
			key = c.Env["VLLM_API_KEY"]
		}
		serveEngine(c, p, cmd.Port, vllmsim.Options{Model: cmd.Model, Served: cmd.Served, Version: c.Image.Engine, Key: key, AutoTools: true, ToolParser: "played"})
		c.Log("INFO:     Application startup complete.")
	})
}
