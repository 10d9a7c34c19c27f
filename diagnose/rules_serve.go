package diagnose

import "regexp"

var serveRules = []rule{
	{code: UnrecognizedArguments, tier: root, lits: "unrecognized arguments|no such option: |unknown flag: |unknown option: |unknown argument: |ambiguous option: |unknown shorthand flag|flag provided but not defined|invalid argument: --|error: unexpected argument '", not: "nvcc|cc1plus|g++: error", source: srcVLLM},
	{code: UnrecognizedArguments, tier: root, lits: "got an unexpected keyword argument", re: regexp.MustCompile(`(?:engineargs|asyncengineargs|serverargs)\S*\(?\)? got an unexpected keyword`)},
	{code: InvalidArgumentValue, tier: root, lits: "invalid choice: |cannot be converted|expected one argument|expected at least one argument|invalid int value|invalid float value|invalid loads value|invalid json value|invalid literal for int|invalid tool call parser|invalid reasoning parser|invalid bool value|: invalid |invalid value for |invalid value '|the following arguments are required|must be a valid json", re: regexp.MustCompile(`invalid choice: |cannot be converted|expected (?:one|at least one) argument|invalid \w+ value|error: argument \S+.*: |invalid literal for int\(\) with base 10: '[^']*'|invalid (?:tool call|reasoning) parser|invalid value (?:'[^']*' )?for '?-|arguments are required|must be a valid json`), not: "got an unexpected|warning 0|raise keyerror(|ast.literal_eval", source: "https://github.com/vllm-project/vllm/issues/39802"},
	{code: InvalidArgumentValue, tier: root, lits: "input should be ", before: "for modelconfig|for vllmconfig|for parallelconfig|for cacheconfig|for schedulerconfig|for speculativeconfig|for compilationconfig|for loraconfig|for loadconfig|for deviceconfig|for engineargs|for asyncengineargs|for frontendargs|for kvtransferconfig|for multimodalconfig|for poolerconfig|for observabilityconfig|for decodingconfig|for structuredoutputsconfig|for attentionconfig|for kernelconfig", source: srcVLLM},
	{code: InvalidArgumentValue, tier: root, lits: "error: argument ", re: regexp.MustCompile(`error: argument -\S+`)},
	{code: InvalidConfigCombination, tier: root, lits: "numa binding was requested|is smaller than max_model_len|must be greater than or equal to max_num_seqs|does not match the quantization method|mutually exclusive|cannot be used together|cannot be used with|not compatible with|are not compatible|incompatible with|can only be used with|must be used with|is not supported with|not supported together|should not be set|must be set when|must be set together|cannot both be|requires --|please disable|please set --|is not supported when|not supported in combination|only supports --|cannot be enabled|can not be enabled|must be smaller than|is not supported yet|cannot be specified|not allowed when|only supported when|only supported with|is only supported for|is not supported for quantization method|must be less than or equal|must not exceed|backends are supported on", re: regexp.MustCompile(`(?:valueerror|assertionerror|notimplementederror|runtimeerror|value error|error)[:,] .{0,300}(?:numa binding|smaller than max_model_len|equal to max_num_seqs|does not match the quantization method|mutually exclusive|cannot be used|compatible with|are not compatible|can only be used|must be used with|supported with|supported together|should not be set|must be set|cannot both|requires --|please disable|please set --|supported when|in combination|only supports --|cannot be enabled|can not be enabled|must be smaller|supported yet|cannot be specified|only supported for|supported for quantization method|not allowed when|less than or equal|must not exceed|backends are supported)`), not: "view size|size and stride|pytorch|cuda capability|tensor parallel size|lora|flashattention|transformers implementation|numpy|architecture|multiprocess|prompt|torch installation|with vllm|triton", source: srcVLLM, refine: configError},
	{code: InvalidConfigCombination, tier: soft, lits: "value error, |assertion failed, ", before: "validation error for |validation errors for ", refine: refusedSetting, source: srcVLLM},
	{code: InvalidConfigCombination, tier: soft, lits: "valueerror: |typeerror: |assertionerror: |notimplementederror: |validationerror: ", refine: refusedByCheck, source: srcVLLM},
	{code: InvalidConfigCombination, tier: soft, lits: "assertionerror: ", before: "server_args.py|arg_utils.py|vllm/config|__post_init__|check_server_args", re: regexp.MustCompile(`assertionerror: .*\b\w+_\w+`), refine: configError},
	{code: PortInUse, tier: root, lits: "address already in use|[errno 98]|eaddrinuse|port is already allocated|is already in use|errno: 98|address in use|failed to listen on any local network address", re: regexp.MustCompile(`failed to listen on any local network|address already in use|errno:? 98|eaddrinuse|port is already allocated|port \S* ?is already in use|address in use`), not: "trying port|trying next|using port|gpu memory|retrying with a new port", serves: true, source: "https://github.com/vllm-project/vllm/issues/40596"},
	{code: InvalidArgumentValue, tier: root, lits: "load format `|parser '|vllm_port '|invalid value '|unknown load_format: ", re: regexp.MustCompile(`load format \x60\S+\x60 is not supported|parser '\S+' not found. available|vllm_port '\S+' (?:must be|appears to be)|invalid value '[^']*' (?:for|in) \w+\. valid options|unknown load_format: `), source: srcVLLM},
	{code: InvalidArgumentValue, tier: root, lits: "valid options are: |valid values are: ", re: regexp.MustCompile(`valueerror: (?:unknown|invalid|unsupported) [\w -]+: '[^']*'. valid (?:options|values) are: `), source: srcVLLM},
	{code: InvalidConfigCombination, tier: soft, lits: "is not valid for this configuration. reason|is greater than max_lora_rank", source: srcVLLM},
	{code: InvalidArgumentValue, tier: root, lits: "no common block size for|invalid block size|unsupported block size|unsupported block_size", source: srcVLLM},
	{code: InvalidConfigCombination, tier: root, lits: "lora is not enabled. use --enable-lora", serves: true, source: srcVLLM},
	{code: InvalidArgumentValue, tier: root, lits: "cannot assign requested address|[errno 99]", and: "bind|errno 99", not: "nccl|gloo|tcpstore", serves: true, text: "The address to listen on is not this machine's: --host 0.0.0.0.", source: "https://github.com/vllm-project/vllm/issues/217"},
	{code: InvalidArgumentValue, tier: root, lits: "bind(): port must be", text: "A port is a number from 1 to 65535: --port.", source: srcVLLM},
	{code: ChatTemplateMissing, tier: root, lits: "default chat template is no longer allowed|appears path-like, but|looks like a file path, but|cannot use chat template functions|tokenizer.chat_template is not set|no chat template|does not have a chat template|must provide a chat template|chat template is not", re: regexp.MustCompile(`no longer allowed|appears path-like|looks like a file path, but|cannot use chat template|chat_template is not set|(?:no|not have a|must provide a) chat template|chat template is not (?:set|found|defined)`), not: "no chat template is provided. using|no chat template found, defaulting|using default", serves: true, source: srcVLLM},
	{code: StartupTimeout, tier: soft, lits: "failed to start within|did not become ready|did not start within|result expired|timed out waiting for server|timeout waiting for server|server startup timed out|timed out waiting for the server|did not receive response from front-end|not ready within|not ready after|failed to become ready|timed out waiting for vllm|timed out waiting for engine|failed startup probe, will be restarted|server did not start in|server did not start within|health check timed out|server failed to start in|failed to start server within", quiet: true, source: srcSGLang},
	{code: EngineHangTimeout, tier: soft, quiet: true, lits: "couldn't get a response from detokenizer for last", source: "https://github.com/sgl-project/sglang/issues/22511"},
	{code: EngineHangTimeout, tier: root, lits: "rpc call to |self.watchdog_timeout|no heartbeat|missing heartbeat|engine iteration timed out|is not responding to heartbeat|did not respond to heartbeat|watchdog timeout|execute_model timed out|detokenizer heartbeat", and: "timed out|timeout|heartbeat", not: "nccl|collective|no heartbeat received for 0", serves: true, source: "https://github.com/vllm-project/vllm/issues/35496"},
	{code: WorkerSegfault, tier: root, lits: "with signal 11|by signal 11", re: regexp.MustCompile(`(?:with|by) signal 11\b`), serves: true, source: srcTGI},
	{code: WorkerSegfault, tier: soft, lits: "failed core proc(s): ", re: regexp.MustCompile(`failed core proc\(s\): \{[^}]*: -11\b`), source: srcVLLM},
	{code: WorkerSegfault, tier: root, lits: "segmentation fault|segfault encountered|signal sigsegv|exit code 139|exit status 139|exited with code 139|exit code -11|exit code: -11|exitcode: -11|exitcode=-11|died with <signals.sigsegv|signal 11 (sigsegv|(signal 11)", not: "potential root causes|or other unexpected", serves: true, source: "https://github.com/vllm-project/vllm/issues/17770"},
	{code: StoppedFromOutside, tier: wrapper, quiet: true, lits: "trigger received signal=sig|cancelled at|due to time limit|received signal 15|received sigterm|received sigint|sigterm received|signal: terminated|received exit signal|caught signal terminated|due to preemption|stop container |due to user request|stopping container|handling signal: term|shutdown signal received|received signal: term|got signal sigterm|received stop request|api server: shutdown triggered|finished server process|[shutdown] enginecore: start mode|starting resource teardown", not: "prompt:|core dumped", source: srcVLLM},
	{code: StoppedFromOutside, tier: wrapper, quiet: true, lits: "keyboardinterrupt: terminated|shutting down fastapi http server|application shutdown complete", refine: shutDown, source: srcVLLM},
	{code: StoppedFromOutside, tier: wrapper, lits: "keyboardinterrupt", refine: interrupted},
	{code: ProxyTimeout524, tier: soft, quiet: true, lits: "error code: 524|524 a timeout|http 524|status 524|error 524|524: a timeout|proxy 524|524 timeout|status code 524|returned 524|with a `524`|524 server error|code 524|error: 524|status=524|a timeout occurred", serves: true, source: "https://docs.runpod.io/pods/configuration/expose-ports"},
	{code: ProxyTimeout524, tier: soft, quiet: true, lits: "cloudflare|proxy.runpod.net|status_code|statuscode|http error|httperror|timeout occurred", re: regexp.MustCompile(`\b524\b`), serves: true},
	{code: ProxyBadGateway502, tier: soft, quiet: true, lits: "cloudflare|proxy.runpod.net|status_code|statuscode|http error|httperror", re: regexp.MustCompile(`\b502\b`)},
	{code: ProxyBadGateway502, tier: soft, quiet: true, lits: "502 bad gateway|502 server error|http 502|error code: 502|proxy 502|status 502|status code 502|bad gateway|returned 502|proxy url 502|error 502|error: 502|code 502", source: "https://docs.runpod.io/pods/troubleshooting/troubleshooting-502-errors"},
}

// shutDown believes an orderly end of a server that served, unless an error stands right before it.
func shutDown(h *hit) (Code, tier) {
	a := h.r.now
	if containsString(h.near, "keyboardinterrupt: terminated") { // what vLLM's handler of SIGTERM raises
		return StoppedFromOutside, wrapper
	}
	if !a.ready || a.death != nil || a.traceback > h.line-40 && a.traceback > a.readyAt.line {
		return "", 0
	}
	return StoppedFromOutside, wrapper
}

// interrupted believes Ctrl-C only of a server that served: people also press it when a start hangs.
func interrupted(h *hit) (Code, tier) {
	if h.r.now.ready {
		return StoppedFromOutside, wrapper
	}
	return "", 0
}

// configError believes the general wording only where configurations are checked, not in a model's own code.
func configError(h *hit) (Code, tier) {
	if h.r.now.current >= PhaseLoad && !hasAny(h.near, "--") {
		return InvalidConfigCombination, soft
	}
	if hasAny(h.near, "numa binding|max_model_len|max_num_seqs|quantization method|--|mutually exclusive") {
		return InvalidConfigCombination, root
	}
	return InvalidConfigCombination, soft
}

// rayErrors are the causes behind the name of the error Ray wraps: RayTaskError(OutOfMemoryError).
var rayErrors = []struct {
	name string
	code Code
}{
	{"(safetensorerror", SafetensorsCorrupt}, {"(outofmemoryerror", CUDAOOMLoad}, {"(gatedrepoerror", GatedRepo}, {"(localentrynotfounderror", HFUnreachable},
	{"(modulenotfounderror", MissingPythonModule}, {"(unpicklingerror", SafetensorsCorrupt}, {"(distbackenderror", NCCLError},
}

// rayWrapped believes the name only where the error itself is out of sight.
func rayWrapped(h *hit) (Code, tier) {
	for _, e := range rayErrors {
		if hasAny(h.near, "raytaskerror"+e.name) {
			return e.code, soft
		}
	}
	return "", 0
}

var ownCause = regexp.MustCompile(`justright phase=(\w+) status=fail\b.*? cause=(\w+)`)

// ownFailure reads the line with which our boot script ends a phase. It knows the cause of what it checked itself; of
// the engine it knows only that it ended.
func ownFailure(h *hit) (Code, tier) {
	m := ownCause.FindSubmatch(h.lower)
	if m == nil {
		return GenericWrapperOnly, wrapper
	}
	info, ok := Of(Code(m[2]))
	switch {
	case !ok || info.Code == GenericWrapperOnly:
		return GenericWrapperOnly, wrapper
	case string(m[1]) == "engine":
		return info.Code, soft
	default:
		return info.Code, root
	}
}

// loopEnded: the engine of vLLM before V1 logs what ends its loop, in a process of its own.
func loopEnded(h *hit) (Code, tier) {
	oddError(h.r, h)
	return GenericWrapperOnly, wrapper
}

// wrapperTexts say that something died, and not why.
const wrapperTexts = "engine core initialization failed|engine process failed to start|enginecore failed to start|workerproc initialization failed|workerproc failed to start|workerproc hit an exception|got fatal signal from worker|enginedeaderror|engine loop has died|received sigquit from a child process|scheduler hit an exception|initialization failed. |" +
	"enginecore encountered|failed core proc|background loop has errored|engine background task failed|process enginecore|died unexpectedly, shutting down|worker proc vllmworker|detokenizermanager hit an exception|dataparallelcontroller hit an exception|engine core proc|subprocess-exited-with-error|raytaskerror|childfailederror|back-off restarting failed container|crashloopbackoff" +
	"|raised in its creation task|error: shardcannotstart|error: webserverfailed|error: downloaderror|main: exiting due to model loading error|load_from_file_impl: failed to load model|engine process (pid |mqllmengine is already dead|see stack trace for the root cause|see root cause above"

var wrapperRules = []rule{
	{code: GenericWrapperOnly, tier: wrapper, quiet: true, lits: "justright phase=", and: "status=fail", refine: ownFailure, serves: true},
	{code: GenericWrapperOnly, tier: wrapper, lits: wrapperTexts, source: srcVLLM, serves: true},
	{code: GenericWrapperOnly, tier: wrapper, lits: "validation error for |validation errors for ", re: regexp.MustCompile(`validation errors? for \w*(?:config|args)\b`), source: srcVLLM},
	{code: GenericWrapperOnly, tier: wrapper, lits: "engine.py:", re: regexp.MustCompile(`error \d\d-\d\d [\d:]+ \[?engine\.py:\d+\] \w+(?:error|exception)\(`), refine: loopEnded, source: "https://github.com/vllm-project/vllm/issues/8985", serves: true},
	{code: GenericWrapperOnly, tier: soft, lits: "raytaskerror(", source: srcRay, refine: rayWrapped},
}
