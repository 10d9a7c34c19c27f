package diagnose

import "regexp"

// downloadState follows a download that is not the engine's own.
type downloadState struct {
	open bool
}

// phaseMarks are the texts that tell progress. vLLM's are listed in order in facts of its releases (0.6 to 0.33);
// SGLang's are those of sglang/srt/model_executor/model_runner.py and server.
var phaseMarks = []phaseMark{
	{lits: "looking for a machine|pod is being provisioned|waiting for instance", phase: PhaseProvision},
	{lits: "pulling from |pull complete|pulling fs layer|still fetching image|verifying checksum|status: downloaded newer image|create container: |pulling image \"", phase: PhasePull},
	{lits: "start container for|successfully pulled image|started container|created container", phase: PhaseContainer},
	{lits: "installing collected packages|successfully installed |obtaining dependency information|building wheel|building wheels for|using cached |collecting ", phase: PhaseInstall, not: "collecting environment|failed building|failed to build"},
	{lits: " packages in | package in ", phase: PhaseInstall, and: "resolved |prepared |installed |audited |downloaded "},
	{lits: "dependency resolver does not currently take|which is incompatible.", phase: PhaseInstall},
	{lits: "unable to register cu|onednn custom operations|this tensorflow binary is optimized|before absl::initializelog|computation_placer.cc|has no attribute 'getprototype'", phase: PhaseImport},
	{lits: "vllm api server version|█  version ", phase: PhaseImport, act: startsEngine},
	{lits: "server_args={'model|server_args=serverargs(|server args: serverargs(", phase: PhaseImport, act: startsEngine},
	{lits: "automatically detected platform|non-default args|available plugins for group|no plugins for group|checking if cuda platform", phase: PhaseImport, act: marksVLLM},
	{lits: "resolved architecture:|this model supports multiple tasks|using max model len|chunked prefill is enabled|defaulting to use mp for distributed|casting torch.", phase: PhaseResolve},
	{lits: "initializing a v1 llm engine|initializing an llm engine|initializing a v0 llm engine|initializing a llm engine", phase: PhaseResolve, act: marksVLLM},
	{lits: "attention backend|using xformers backend|using pytorch sdpa|using flashinfer for|cannot use flashattention-2 backend", phase: PhaseResolve, not: "--attention-backend|error|unknown|invalid|unsupported|not supported"},
	{lits: "init torch distributed begin|init torch distributed ends|init nccl begin", phase: PhaseResolve, act: marksSGLang},
	{lits: "is assigned as dp rank|init_method=tcp|rank 0 in world size|parallel_state.py|is connected to ", and: "init_method|parallel_state|dp rank|rank 0 in world|peer ranks", phase: PhaseResolve, act: marksVLLM},
	{lits: "downloading shards|downloading weights|[download] fetching|[download]   from|downloading model|fetching model", not: "time spent downloading", phase: PhaseDownload, act: opensDownload},
	{lits: ".safetensors: |.safetensors (…)|pytorch_model.bin: ", phase: PhaseDownload, and: "%|"},
	{lits: "fetching ", phase: PhaseDownload, and: " files: "},
	{lits: "% total    % received| --:--:-- ", phase: PhaseDownload, act: opensDownload},
	{lits: "[download] done|time spent downloading weights", phase: PhaseDownload, act: closesDownload},
	{lits: "starting to load model|loading safetensors checkpoint shards|loading pt checkpoint shards|loading checkpoint shards|loading weights took|loading weights with|loading model from|using model weights format|llama_model_loader:|load_tensors: ", phase: PhaseLoad, not: "error loading model"},
	{lits: "load weight begin|multi-thread loading shards|load weight end", phase: PhaseLoad, act: marksSGLang},
	{lits: "model loading took|loading model weights took|memory usage profiling", phase: PhaseLoad, act: notesLoaded},
	{lits: "dynamo bytecode transform|compiling a graph for|compile a graph for|torch.compile takes|memory profiling takes|directly load the compiled graph|torch.compile cache|start compiling function|profiling cuda graph memory|available kv cache memory|estimated cuda graph memory|autotuning process starts|flashinfer autotune|cache the graph |warming up model|initial profiling/warmup|during cudagraph capture|no available shared memory broadcast block", phase: PhaseCompile},
	{lits: "gpu kv cache size|# gpu blocks:|# cuda blocks:|maximum concurrency for|cpu kv cache size|# cpu blocks:", phase: PhaseCache},
	{lits: "kv cache is allocated|memory pool end", phase: PhaseCache, act: marksSGLang},
	{lits: "capturing cuda graph|capturing the model for cuda graphs|graph capturing finished|capturing cudagraphs|capturing the cudagraphs", phase: PhaseCapture},
	{lits: "capture cuda graph begin|capture cuda graph bs|capturing batches|capture piecewise cuda graph|capture cuda graph end", phase: PhaseCapture, act: marksSGLang},
	{lits: "init engine (profile", phase: PhaseServe},
	{lits: "starting vllm api server|starting vllm server on|available routes are|started server process|waiting for application startup|] route: /", phase: PhaseServe},
	{lits: "max_total_num_tokens=", phase: PhaseServe, act: marksSGLang, not: "serverargs("},
	{lits: "application startup complete", phase: PhaseServe, act: saysStartup},
	{lits: "uvicorn running on ", phase: PhaseServe, act: saysStartup},
	{lits: "\"get /health http/1.1\" 503", act: withdrawsReady},
	{lits: "\"get /health http/1.1\" 200|\"get /health http/1.0\" 200", act: saysHealthy},
	{lits: "http/1.1\" 200 ok", and: "(apiserver", act: saysServing}, // vLLM opens its port when its engine stands
	{lits: "fired up and ready to roll", phase: PhaseServe, act: saysReady},
	{lits: "server is listening on http|all slots are idle", phase: PhaseServe, act: saysReady},
	{lits: "download: [|download file: |starting download process", and: "text_generation", phase: PhaseDownload},
	{lits: "shard-manager: text_generation_launcher: starting shard|waiting for shard to be ready", phase: PhaseLoad},
	{lits: "text_generation_router::server", and: ": connected|message\":\"connected|\\\"connected\\\"", phase: PhaseServe, act: saysReady},
	{lits: "avg prompt throughput", phase: PhaseServe, act: saysServing},
	{lits: "decode batch. #running-req|decode batch, #running-req", phase: PhaseServe, act: saysServing},
	{lits: "post /v1/chat/completions http/1.1\" 200|post /v1/completions http/1.1\" 200|post /v1/embeddings http/1.1\" 200", phase: PhaseServe, act: saysServing},
	{lits: "justright phase=", act: ownPhase},
	{lits: "justright progress phase=", act: ownPhase},

	{lits: "valueerror: |runtimeerror: |assertionerror|typeerror: |attributeerror: |notimplementederror|keyerror: |importerror: |oserror: |indexerror: |modulenotfounderror: |nameerror: |exception: |zerodivisionerror|unboundlocalerror|validationerror: |value error, |assertion failed, |filenotfounderror: |permissionerror: |recursionerror: |overflowerror: |jsondecodeerror: |unicodedecodeerror: |acceleratorerror: |unavailableerror: |mismatcherror: |failed: cuda error /", act: oddError},

	// Context that is no progress.
	{lits: "traceback (most recent call last)", blind: true, act: func(r *Reader, h *hit) { r.now.traceback = h.line; isLoud(r, h) }},
	{lits: "\", line 1|\", line 2|\", line 3|\", line 4|\", line 5|\", line 6|\", line 7|\", line 8|\", line 9|raise valueerror|raise runtimeerror", blind: true, act: isLoud},
	{lits: "error 01-|error 02-|error 03-|error 04-|error 05-|error 06-|error 07-|error 08-|error 09-|error 10-|error 11-|error 12-", blind: true, act: isLoud},
	{lits: "supervisord started|info spawned: '|gateway.main|logger\": \"gateway", act: func(r *Reader, _ *hit) { r.foreign = true }},
	{lits: "received sigquit from a child|sglang/srt|sgl_kernel|sglang.launch_server|sglang::", blind: true, act: func(r *Reader, _ *hit) { r.nameEngine("sglang") }},
	{lits: "vllm/entrypoints|vllm/engine|vllm/executor|vllm/worker|vllm serve |(apiserver|(vllmworker", blind: true, act: func(r *Reader, _ *hit) { r.nameEngine("vllm") }},
	{lits: "vllm/v1/|(enginecore|multiproc_executor.py:|[core.py:", blind: true, act: func(r *Reader, h *hit) { r.nameEngine("vllm"); r.note("v1", h) }},
	{lits: "create_weights|load_model(|in load_model|load_weights(|in load_weights|get_model(|initialize_model(|process_weights_after_loading|_load_model|in _initialize_model", blind: true, act: noter("load")},
	{lits: "profile_run|determine_num_available_blocks|determine_available_memory|_dummy_run|_dummy_sampler_run|autotune|autotuning|profile_max_num_token|_run_ffn_warmup|kernel_warmup", blind: true, act: noter("profile")},
	{lits: "capture_model|capture_graph|cuda_graph_runner|cudagraphwrapper|cuda_graph.py|cudagraph_utils|capturing", blind: true, act: noter("capture")},
	{lits: "_allocate_kv_cache|initialize_kv_cache|initialize_cache|init_memory_pool|allocate_gpu_cache|_init_kv_cache", blind: true, act: noter("cache")},
	{lits: "forward_extend|forward_decode|execute_model|sample_tokens|event_loop|forward_batch|logits_processor|process_input|step_async|run_busy_loop|run_batch", blind: true, act: noter("run")},
	{lits: "versions that require a different python version", act: func(r *Reader, h *hit) {
		r.facts.leftOut = append(r.facts.leftOut[:0], h.lower[h.col:min(len(h.lower), h.col+bufferSize/8)]...)
	}},
	{lits: "in _call_impl|in forward", blind: true, act: noter("forward")},
	{lits: "invocation of ", and: "method failed", blind: true, act: noter("called")},
	{lits: "torch_compile_cache", blind: true, act: noter("compile_cache")},
	{lits: "config_mapping[", blind: true, act: noter("config_mapping")},
	{lits: "nvcc fatal|bin/nvcc |building extension|building 'vllm|building wheel|ninja: entering|[build_ext]|cmake/ninja|ptxas info", blind: true, act: noter("build")},
	{lits: "subprocess-exited-with-error|failed to build|building wheel", blind: true, act: noter("wheel")},
	{lits: "torch/_inductor|torch/_dynamo|/triton/", blind: true, act: noter("inductor")},
	{lits: "flash_attn/|flash_attn_interface|vllm_flash_attn|flash_attn_2_cuda", blind: true, act: noter("flash_attn")},
	{lits: "site-packages/sglang/|/sglang/srt/|dist-packages/sglang/|python/sglang/", blind: true, act: noter("sglang_frame")},
	{lits: "arg_utils.py|server_args.py|vllm/config|configs/", blind: true, act: noter("config_frame")},
	{lits: "/dev/shm", blind: true, act: noter("shm")},
}

func isLoud(r *Reader, h *hit) { r.now.loud = position{h.line, h.col} }

func noter(name string) func(*Reader, *hit) { return func(r *Reader, h *hit) { r.note(name, h) } }

// mark applies a phase mark.
func (r *Reader) mark(h *hit, m *phaseMark) {
	if m.act != nil {
		m.act(r, h)
	}
	if m.phase == PhaseNone {
		return
	}
	a := r.now
	if a.current = m.phase; m.phase >= PhaseLoad && m.phase < PhaseServe {
		r.download.open = false // the engine has its weights
	}
	a.phase = max(a.phase, m.phase)
	a.phaseAt[m.phase] = position{h.line, h.col}
	a.mark.set(h.line, h.col, r.buf[h.start:h.end])
}

func (r *Reader) nameEngine(name string) {
	if r.engine == "" || r.engine != name && name == "sglang" {
		r.engine = name
	}
}

func marksVLLM(r *Reader, h *hit) {
	if r.engine == "" {
		r.engine = "vllm"
	}
	r.readVersion(h)
}

func marksSGLang(r *Reader, _ *hit) { r.engine = "sglang" }

var versionText = regexp.MustCompile(`(?:version|engine \(v|version:) ?(\d+\.\d+[0-9a-z.+]*)`)

func (r *Reader) readVersion(h *hit) {
	if r.version != "" {
		return
	}
	if m := versionText.FindSubmatch(h.near); m != nil {
		r.version = string(m[1])
	}
}

// startsEngine is the first line of an engine's start. Heard again after a death, it begins another attempt: the
// container is being restarted.
func startsEngine(r *Reader, h *hit) {
	if containsString(h.near, "server_args") || containsString(h.near, "serverargs(") {
		r.engine = "sglang"
	} else {
		marksVLLM(r, h)
	}
	if line := r.now.died(); line > 0 && line < h.line { // in one line with it, somebody quotes the error before the log
		r.previous, r.now = r.now, newAttempt()
		r.restarts++
	}
}

// died is the line in which the attempt is known to have failed, 0 when it is not.
func (a *attempt) died() int {
	line := 0
	if a.death != nil {
		line = a.death.line
	}
	for k, f := range a.found {
		if k.tier == root && (line == 0 || f.line < line) {
			line = f.line
		}
	}
	return line
}

func notesLoaded(r *Reader, h *hit)    { r.note("loaded", h) }
func opensDownload(r *Reader, _ *hit)  { r.download.open = true }
func closesDownload(r *Reader, _ *hit) { r.download.open = false }

// sglangRecord is the head SGLang gives uvicorn's lines.
var sglangRecord = regexp.MustCompile(`\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: \w+)*\] info: +$`)

// saysStartup is uvicorn's word. It is the last one of vLLM; SGLang's server answers 503 for some seconds after it,
// and another program in the same container may say it while the engine still loads.
func saysStartup(r *Reader, h *hit) {
	if r.engine != "vllm" && sglangRecord.Match(h.lower[:h.col]) {
		r.engine = "sglang"
	}
	if r.engine == "sglang" || r.download.open || r.foreign && r.engine == "" {
		return
	}
	r.setReady(h)
}

// withdrawsReady: a server that answers its own health check with 503 is up and its engine is not.
func withdrawsReady(r *Reader, _ *hit) {
	if r.now.ready && r.now.death == nil {
		r.now.ready = false
	}
}

func saysHealthy(r *Reader, h *hit) {
	if r.engine != "sglang" && r.now.current >= PhaseServe && !r.now.ready {
		r.setReady(h)
	}
}

func saysReady(r *Reader, h *hit) { r.setReady(h) }

func saysServing(r *Reader, h *hit) {
	if !r.now.ready && r.now.death == nil { // what is answered after an engine has died was asked before
		r.setReady(h)
	}
}

func (r *Reader) setReady(h *hit) {
	if r.now.ready {
		return
	}
	r.now.ready = true
	r.now.readyAt = place{h.line, h.col, excerpt(h.raw, h.col)}
	r.now.death = nil
	if r.now.stop != nil && !r.now.stop.after {
		r.now.stop = nil
	}
}

var ownPhaseText = regexp.MustCompile(`justright (?:progress )?phase=(\w+)(?: status=(\w+))?`)

// ownPhase reads the lines our boot script prints.
func ownPhase(r *Reader, h *hit) {
	m := ownPhaseText.FindSubmatch(h.lower)
	if m == nil {
		return
	}
	phase := map[string]Phase{
		"preflight": PhaseContainer, "env": PhaseInstall, "weights": PhaseDownload, "engine": PhaseImport, "ready": PhaseServe,
	}[string(m[1])]
	if phase == PhaseNone || string(m[2]) == "fail" { // hold and failures are no progress
		return
	}
	if string(m[1]) == "preflight" && string(m[2]) == "start" && r.now.died() > 0 {
		r.previous, r.now = r.now, newAttempt()
		r.restarts++
	}
	if string(m[1]) == "ready" && string(m[2]) == "ok" {
		r.setReady(h)
	}
	a := r.now
	if string(m[1]) == "engine" && a.current > PhaseImport && string(m[2]) != "start" {
		return
	}
	a.current, a.phase = phase, max(a.phase, phase)
	a.phaseAt[phase] = position{h.line, h.col}
	a.mark.set(h.line, h.col, r.buf[h.start:h.end])
}

// oddError remembers an error's line. If no rule knows it and the engine dies, the cause is unknown rather than out of
// sight.
func oddError(r *Reader, h *hit) {
	a := r.now
	said := h.lower[h.col:min(len(h.lower), h.col+250)] // in a copy of an issue a wrapper may follow the error in the same line
	if hasAny(said[:min(len(said), 120)], wrapperTexts) || hasAny(said, "broken pipe|raised from|raise |validation error for") || levelAt(h.raw, h.lower, h.col) == levelQuiet {
		return
	}
	a.lastOdd = h.line
	if len(a.odd) >= maxOdd && !(a.ready && a.odd[len(a.odd)-1].line < a.readyAt.line) {
		return
	}
	if n := len(a.odd); n > 0 && a.odd[n-1].line == h.line {
		return
	}
	if len(a.odd) >= maxOdd {
		a.odd = a.odd[1:]
	}
	a.odd = append(a.odd, place{h.line, h.col, excerpt(h.raw, h.col)})
}
