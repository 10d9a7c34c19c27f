package vllmsim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Host is what the engine finds around it when it starts.
type Host struct {
	Version    string // of the engine
	CPU        bool   // the CPU build: no GPU is looked for
	WheelCUDA  string // CUDA of the wheel, "12.9"; empty: not checked
	HostCUDA   string // what the driver offers; empty: no driver
	GPU        string
	GPUs       int
	MemoryGiB  float64 // of one GPU
	TakenGiB   float64 // of it, by what nobody counted on: a neighbour, a larger profile run
	Capability string

	Config       []byte // the model's config.json; nil when there is none to be had
	ConfigError  string // why not, in the words of huggingface_hub
	WeightsBytes int64  // 0: not known, nothing is checked

	KnowsType         func(modelType string) bool // transformers, or the engine's own configs; nil: all
	KnowsArchitecture func(name string) bool      // nil: all
	Pace              time.Duration               // a whole start; the stages share it
	// Trouble may end the engine core in a stage ("device", "profile", "capture") with the text it dies of; empty: no trouble.
	Trouble func(stage string) string
}

// Line is one line of the start log, and how long after the line before it comes.
type Line struct {
	After time.Duration
	Text  string
}

// Start is how a start goes: the lines, and either ready (Exit < 0) or dead with a code.
type Start struct {
	Lines   []Line
	Exit    int
	Options Options
	Port    int
	Host    string
	pace    time.Duration
	pid     int
	version string
	clock   time.Time
}

// config is what the stand-in reads of a config.json.
type config struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	MaxPositions  int      `json:"max_position_embeddings"`
	Layers        int      `json:"num_hidden_layers"`
	KVHeads       int      `json:"num_key_value_heads"`
	Heads         int      `json:"num_attention_heads"`
	HeadDim       int      `json:"head_dim"`
	Hidden        int      `json:"hidden_size"`
	Text          *config  `json:"text_config"`
}

// Begin plans a start of c on h. now stamps the log lines.
func Begin(c Command, h Host, now time.Time) Start {
	s := Start{Exit: -1, pace: h.Pace, pid: 271, version: h.Version, clock: now, Port: c.Port, Host: c.Host}
	s.log(2, "api_server.py:1977", "vLLM API server version "+h.Version)
	s.log(1, "utils.py:253", c.nonDefault())
	if c.Model == "" {
		c.Model = "Qwen/Qwen3-0.6B"
	}
	var cfg config
	if h.Config == nil {
		why := h.ConfigError
		if why == "" {
			why = fmt.Sprintf("huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '%s'. Use `repo_type` argument if needed.", c.Model)
		}
		return s.trace(why)
	}
	if err := json.Unmarshal(h.Config, &cfg); err != nil {
		return s.trace(fmt.Sprintf("OSError: It looks like the config file at '%s/config.json' is not a valid JSON file.", c.Model))
	}
	if bad := s.judgeModel(h, cfg); bad {
		return s
	}
	arch := "unknown"
	if len(cfg.Architectures) > 0 {
		arch = cfg.Architectures[0]
	}
	s.log(2, "model.py:531", "Resolved architecture: "+arch)
	length, bad := s.length(c, cfg)
	if bad {
		return s
	}
	s.log(1, "model.py:1547", fmt.Sprintf("Using max model len %d", length))
	s.core(4, "core.py:93", fmt.Sprintf("Initializing a V1 LLM engine (v%s) with config: model='%s', tensor_parallel_size=%d, enforce_eager=%t", h.Version, c.Model, c.TP, c.Eager))
	if !h.CPU {
		if s.device(c, h) || s.trouble(h, "device") {
			return s
		}
		s.core(1, "cuda.py:366", "Using Flash Attention backend on V1 engine.")
	}
	if bad := s.load(c, h, cfg, length); bad {
		return s
	}
	s.log(1, "api_server.py:1971", fmt.Sprintf("Starting vLLM server on http://%s:%d", c.Host, c.Port))
	s.plain(1, fmt.Sprintf("INFO:     Started server process [%d]", s.pid))
	s.plain(0, "INFO:     Waiting for application startup.")
	s.plain(0, "INFO:     Application startup complete.")
	s.Options = Options{
		Model: c.Model, Served: c.Served, Version: h.Version, Key: c.Key, KeyEverywhere: len(c.Middleware) > 0, MaxModelLen: length,
		Embeds: embeds(arch, c.Runner), ToolParser: c.ToolParser, AutoTools: c.AutoTools,
	}
	return s
}

func embeds(arch, runner string) bool {
	return runner == "pooling" || strings.HasSuffix(arch, "Model") || strings.Contains(arch, "Embedding")
}

// judgeModel fails as the release does for a type or a class that it does not know.
func (s *Start) judgeModel(h Host, cfg config) bool {
	if h.KnowsType != nil && cfg.ModelType != "" && !h.KnowsType(cfg.ModelType) {
		s.validation("The checkpoint you are trying to load has model type `" + cfg.ModelType + "` but Transformers does not recognize this architecture. " +
			"This could be because of an issue with the checkpoint, or because your version of Transformers is out of date.")
		return true
	}
	for _, a := range cfg.Architectures {
		if h.KnowsArchitecture == nil || h.KnowsArchitecture(a) {
			return false
		}
	}
	if len(cfg.Architectures) > 0 {
		s.validation(fmt.Sprintf("Model architectures ['%s'] are not supported for now. Supported architectures: dict_keys(['AquilaModel', 'LlamaForCausalLM', 'MistralForCausalLM', 'Qwen2ForCausalLM'])", strings.Join(cfg.Architectures, "', '")))
		return true
	}
	return false
}

// length is the context, or false with the release's complaint.
func (s *Start) length(c Command, cfg config) (int, bool) {
	limit := cfg.MaxPositions
	if limit == 0 && cfg.Text != nil {
		limit = cfg.Text.MaxPositions
	}
	if limit == 0 {
		limit = 32768
	}
	if c.MaxModelLen > limit {
		s.validation(fmt.Sprintf("User-specified max_model_len (%d) is greater than the derived max_model_len (max_position_embeddings=%d.0 or model_max_length=None in model's config.json). To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1.", c.MaxModelLen, limit))
		return 0, true
	}
	if c.MaxModelLen > 0 {
		return c.MaxModelLen, false
	}
	return limit, false
}

// device fails where the driver is too old for the wheel, or a card is missing.
func (s *Start) device(c Command, h Host) bool {
	switch {
	case h.HostCUDA == "" || h.GPUs == 0:
		s.died("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from http://www.nvidia.com/Download/index.aspx")
	case h.WheelCUDA != "" && major(h.WheelCUDA) > major(h.HostCUDA):
		s.died(fmt.Sprintf("RuntimeError: The NVIDIA driver on your system is too old (found version %s). Please update your GPU driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx "+
			"Alternatively, go to: https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA driver.", cudaNumber(h.HostCUDA)))
	case c.TP > h.GPUs:
		s.died(fmt.Sprintf("ValueError: World size (%d) is larger than the number of available GPUs (%d) in this node. If this is intentional and you are using: ray, set '--distributed-executor-backend ray'.", c.TP, h.GPUs))
	default:
		return false
	}
	return true
}

// load goes through weights, cache and graphs, and fails where memory does not suffice.
func (s *Start) load(c Command, h Host, cfg config, length int) bool {
	const gib = 1 << 30
	weights := float64(h.WeightsBytes) / gib / float64(max(c.TP, 1))
	s.core(6, "gpu_model_runner.py:2602", "Starting to load model "+c.Model+"...")
	if !h.CPU && h.MemoryGiB > 0 && weights > h.MemoryGiB*0.98 {
		s.died(fmt.Sprintf("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 540.00 MiB. GPU 0 has a total capacity of %.2f GiB of which 312.12 MiB is free. Including non-PyTorch memory, this process has %.2f GiB memory in use.", h.MemoryGiB, h.MemoryGiB-0.31))
		return true
	}
	for _, n := range []int{0, 50, 100} {
		s.plain(5, fmt.Sprintf("Loading safetensors checkpoint shards: %3d%% Completed | %d/2 [00:0%d<00:00,  1.35it/s]", n, n/50, n/50))
	}
	s.core(2, "default_loader.py:291", fmt.Sprintf("Loading weights took %.2f seconds", weights/2+0.4))
	s.core(1, "gpu_model_runner.py:2653", fmt.Sprintf("Model loading took %.4f GiB memory and %.6f seconds", weights, weights/2+1.1))
	if !c.Eager {
		s.core(6, "backends.py:559", "Dynamo bytecode transform time: 5.21 s")
		s.core(10, "monitor.py:34", "torch.compile takes 14.02 s in total")
	}
	return s.trouble(h, "profile") || s.cache(c, h, cfg, length) || s.trouble(h, "capture") || s.capture(c, h)
}

func (s *Start) trouble(h Host, stage string) bool {
	if h.Trouble == nil {
		return false
	}
	text := h.Trouble(stage)
	if text != "" {
		s.died(text)
	}
	return text != ""
}

// cache sizes the KV cache, and fails where it cannot hold one request.
func (s *Start) cache(c Command, h Host, cfg config, length int) bool {
	const gib = 1 << 30
	r, counted := account(c, h, length)
	if !counted { // roughly, where the config does not tell enough
		per := kvBytes(cfg) / float64(max(c.TP, 1))
		r = room{free: 8 * gib, need: per * float64(length)}
		if !h.CPU && h.MemoryGiB > 0 {
			r.free = (h.MemoryGiB*c.Utilization-1.4-h.TakenGiB)*gib - float64(h.WeightsBytes)/float64(max(c.TP, 1))
		}
		if per > 0 {
			r.tokens, r.most = int64(r.free/per), int(r.free/per)
		}
	}
	if r.free <= 0 {
		s.died("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.")
		return true
	}
	if r.need > r.free && c.MaxModelLen != -1 {
		most := r.most
		if r.tokens > 0 && h.TakenGiB > 0 {
			most = min(most, int(float64(length)*r.free/r.need))
		}
		s.died(fmt.Sprintf("ValueError: To serve at least one request with the models's max seq len (%d), (%.2f GiB KV cache is needed, which is larger than the available KV cache memory (%.2f GiB). Based on the available memory, the estimated maximum model length is %d. Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.",
			length, r.need/gib, r.free/gib, most/16*16))
		return true
	}
	s.core(4, "gpu_worker.py:298", fmt.Sprintf("Available KV cache memory: %.2f GiB", r.free/gib))
	if r.tokens > 0 {
		s.core(1, "kv_cache_utils.py:1087", fmt.Sprintf("GPU KV cache size: %d tokens", r.tokens))
		s.core(0, "kv_cache_utils.py:1091", fmt.Sprintf("Maximum concurrency for %d tokens per request: %.2fx", length, r.free/r.need))
	}
	return false
}

// Refused is the start of a command line that argparse does not take.
func Refused(prog string, err error) Start {
	return Start{Exit: 2, Lines: []Line{
		{0, "usage: " + prog + " [-h] [--model MODEL] [--host HOST] [--port PORT] [--tensor-parallel-size TENSOR_PARALLEL_SIZE] ..."}, {0, err.Error()},
	}}
}

// capture ends the start: graphs, and the time it took.
func (s *Start) capture(c Command, h Host) bool {
	if !c.Eager && !h.CPU {
		s.plain(6, "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE): 100%|██████████| 67/67 [00:03<00:00, 20.12it/s]")
		s.core(1, "gpu_model_runner.py:3480", "Graph capturing finished in 4 secs, took 0.62 GiB")
	}
	s.core(1, "core.py:210", "init engine (profile, create kv cache, warmup model) took 11.42 seconds")
	return false
}

// kvBytes is a rough cache size per token at two bytes an element; 0 when the config does not tell.
func kvBytes(c config) float64 {
	if c.Layers == 0 && c.Text != nil {
		return kvBytes(*c.Text)
	}
	kv, dim := c.KVHeads, c.HeadDim
	if kv == 0 {
		kv = c.Heads
	}
	if dim == 0 && c.Heads > 0 {
		dim = c.Hidden / c.Heads
	}
	return float64(2*2*c.Layers*kv) * float64(dim)
}

func major(v string) string {
	m, _, _ := strings.Cut(v, ".")
	return m
}

// cudaNumber writes 12.4 as the driver API does, 12040.
func cudaNumber(v string) string {
	a, b, _ := strings.Cut(v, ".")
	return a + "0" + b + "0"
}

// weightOfPace is the sum of all stage weights of a compiled start, so that a whole start takes about Pace.
const weightOfPace = 70

func (s *Start) add(weight int, text string) {
	d := s.pace * time.Duration(weight) / weightOfPace
	s.clock = s.clock.Add(d)
	s.Lines = append(s.Lines, Line{d, text})
}

func (s *Start) plain(weight int, text string) { s.add(weight, text) }

func (s *Start) log(weight int, where, text string) {
	s.add(weight, fmt.Sprintf("(APIServer pid=%d) INFO %s [%s] %s", s.pid, s.clock.UTC().Format("01-02 15:04:05"), where, text))
}

func (s *Start) core(weight int, where, text string) {
	s.add(weight, fmt.Sprintf("(EngineCore_DP0 pid=%d) INFO %s [%s] %s", s.pid+99, s.clock.UTC().Format("01-02 15:04:05"), where, text))
}

// trace ends the API server with a Python traceback.
func (s *Start) trace(lines ...string) Start {
	p := fmt.Sprintf("(APIServer pid=%d) ", s.pid)
	s.plain(2, p+"Traceback (most recent call last):")
	s.plain(0, p+"  File \"/usr/local/lib/python3.12/dist-packages/vllm/engine/arg_utils.py\", line 1128, in create_model_config")
	s.plain(0, p+"    return ModelConfig(")
	for _, l := range lines {
		s.plain(0, p+l)
	}
	s.Exit = 1
	return *s
}

// validation is trace in the form of pydantic.
func (s *Start) validation(text string) {
	s.trace("pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig", "  Value error, "+text+" [type=value_error, input_value=ArgsKwargs((), {}), input_type=ArgsKwargs]")
}

// died ends the engine core: the cause first, then the empty wrapper that real logs end with.
func (s *Start) died(cause string) {
	p := fmt.Sprintf("(EngineCore_DP0 pid=%d) ", s.pid+99)
	at := s.clock.UTC().Format("01-02 15:04:05")
	s.plain(2, p+"ERROR "+at+" [core.py:708] EngineCore failed to start.")
	s.plain(0, p+"ERROR "+at+" [core.py:708] Traceback (most recent call last):")
	s.plain(0, p+"ERROR "+at+" [core.py:708]   File \"/usr/local/lib/python3.12/dist-packages/vllm/v1/engine/core.py\", line 699, in run_engine_core")
	s.plain(0, p+"ERROR "+at+" [core.py:708]     engine_core = EngineCoreProc(*args, **kwargs)")
	s.plain(0, p+"ERROR "+at+" [core.py:708] "+cause)
	s.trace("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}")
}
