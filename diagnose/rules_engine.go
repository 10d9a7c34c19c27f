package diagnose

import (
	"regexp"
	"strconv"
)

var memoryRules = []rule{
	{code: CUDAOOMLoad, tier: root, quiet: true, lits: "cuda out of memory|hip out of memory|cuda error: out of memory|cuda_error_out_of_memory|cudaerrormemoryallocation|xpu out of memory|hip error: out of memory|out of memory (oom) on gpu", not: "ncclunhandled|prompt: '|prompt: \"|to avoid cuda out of memory|may cause cuda out of memory|if you encounter|might cause", serves: true, source: srcTorch, refine: outOfMemory},
	{code: CUDAOOMLoad, tier: root, lits: "cudamalloc failed: out of memory|unable to allocate cuda0 buffer|unable to allocate cuda1 buffer", serves: true, source: srcLlama, refine: outOfMemory},
	{code: CUDAOOMLoad, tier: root, lits: "not enough gpu memory. try lowering|failed to load model - not enough gpu", source: srcVLLM, refine: outOfMemory},
	{code: CUDAOOMProfile, tier: root, lits: "occurred when warming up sampler|when warming up the sampler|occurred when warming up pooler", source: "https://github.com/vllm-project/vllm/issues/37518"},
	{code: CUDAOOMRuntime, tier: soft, lits: "api call failed at", and: "aten::new_empty|aten::empty|aten::new_zeros", serves: true},
	{code: CUDAOOMRuntime, tier: soft, lits: "kv cache pool leak|decode out of memory|prefill out of memory|out of memory. please lower your tokens", not: "retracted", serves: true, source: srcSGLang},
	{code: NoKVCacheBlocks, tier: root, lits: "not enough memory for", and: "kv cache", source: "https://github.com/RBLN-SW/vllm-rbln/issues/1000"},
	{code: NoKVCacheBlocks, tier: root, lits: "no available memory for the cache blocks|try to increase --mem-fraction-static|no available memory for the kv cache|not enough memory. please try|not enought memory. please|loading model needs more memory", remedy: ChangeFlag, source: "https://github.com/vllm-project/vllm/issues/14376"},
	{code: KVCacheSmallerThanContext, tier: root, lits: "larger than the maximum number of tokens|to serve at least one request|estimated maximum model length|kv cache is needed, which is larger|kv cache is needed", and: "kv cache|max seq len|maximum model length", source: "https://github.com/vllm-project/vllm/issues/34078"},
	{code: FreeMemoryBelowUtilization, tier: root, lits: "is less than desired gpu memory utilization|on startup is less than|desired gpu memory utilization|kv cache allocation is less than requested memory|memory capacity is unbalanced", source: "https://github.com/vllm-project/vllm/issues/35356", refine: freeMemory},
	{code: MemoryProfilingChanged, tier: root, lits: "error in memory profiling|initial free memory", and: "current free memory|error in memory profiling", source: srcVLLM},
	{code: KVPageSizeUnify, tier: root, lits: "page size of the layer is not divisible|page size is not divisible by the maximum|cannot unify by adjusting block_size|kv cache specs to one unified type|unify the kv cache|unify kv cache|page size unif|page_size_bytes", re: regexp.MustCompile(`page size (?:of the layer|is not divisible)|cannot unify|to one unified type|(?:fail|error|cannot|not ).{0,60}unify.{0,10}kv cache|assertionerror.*page_size_bytes`), source: "https://github.com/vllm-project/vllm/issues/40391"},
	{code: HostOOMKilled, tier: root, quiet: true, lits: "out of memory: killed process|memory cgroup out of memory|oom-killer|oom_reaper|\"oomkilled\": true|oomkilled=true|oomkilled: true|reason: oomkilled|node running low on memory|outofmemoryerror: task was killed|defaultcpuallocator: |not enough memory: you tried|std::bad_alloc|cannot allocate memory|oom_kill event|oom-kill event|killed by the linux oom|killed by the oom killer|failed with result 'oom-kill|killed due to memory pressure (oom)|container killed due to memory usage", not: "potential root causes|oomkilled\": false|oomkilled=false|kv cache|nvidia", source: srcRay, refine: hostMemory},
	{code: HostOOMKilled, tier: root, lits: "ray-oom-prevention", source: srcRay},
	{code: HostOOMKilled, tier: soft, lits: "signaled to shutdown with signal 9", source: srcTGI},
	{code: HostOOMKilled, tier: root, lits: "requires more system memory (", source: "https://github.com/ollama/ollama"},
	{code: HostOOMKilled, tier: root, quiet: true, lits: "oomkilled", re: regexp.MustCompile(`reason:\s*"?oomkilled`), source: "https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/"},
	{code: HostOOMKilled, tier: soft, quiet: true, lits: "\nkilled\n|killed    | killed |\nkilled |oom killed|oomkilled", not: "potential root causes|oomkilled=false|\"oomkilled\": false|srun: |step aborted", refine: bareKilled},
	{code: HostOOMKilled, tier: hint, quiet: true, lits: "exit code 137|exit status 137|exited with code 137|exit code: 137|exit code -9|exitcode: -9|exitcode=-9|code 137 (|died with <signals.sigkill|signal 9 (sigkill", refine: killed137},
}

// hostMemory keeps the shared memory of /dev/shm and GPU allocations apart from the host's own.
func hostMemory(h *hit) (Code, tier) {
	if hasAny(h.near, "/dev/shm|shm_open|nccl") {
		return "", 0
	}
	if hasAny(h.near, "cannot allocate memory") && !hasAny(h.near, "errno 12|oserror|fork|mmap|std::|malloc|os error 12") {
		if !hasAny(h.near, ": cannot allocate memory") {
			return "", 0
		}
		return HostOOMKilled, soft
	}
	return HostOOMKilled, root
}

// bareKilled is the shell's word for a SIGKILL: the kernel's work, unless the engine had failed before or somebody
// stopped it.
func bareKilled(h *hit) (Code, tier) {
	if h.recently("build", 40) || h.r.now.death != nil || h.r.now.stop != nil {
		return "", 0
	}
	if hasAny(h.near, "oom killed|oomkilled") {
		if h.level == levelQuiet {
			return "", 0
		}
	} else { // as a word alone
		if h.level == levelQuiet && !killedLast.Match(h.raw[max(0, h.col-8):]) {
			return "", 0
		}
		if !killedWord.Match(h.raw[max(0, h.col-8):]) || hasAny(h.near, compilers) || len(h.r.now.odd) > 0 && !h.r.now.ready {
			return "", 0 // SGLang kills itself after an error
		}
	}
	return HostOOMKilled, soft
}

// killedWord is what bash says of a job that was killed: "Killed", or "line 7: 123 Killed    command".
var killedWord = regexp.MustCompile(`(?:^|\s)(?:Killed(?:\s|$)|killed {4})`)

// killedLast is the same word where a log ends in it, in the line of its last record.
var killedLast = regexp.MustCompile("^.{0,20}\\sKilled(?:\\s*$|\\s+[!`#<])")

// compilers are the programs that a build needs most memory for.
const compilers = "cicc -|cicc  |ptxas |cc1plus|cudafe|nvcc "

// killed137 is believed only beside a word about memory: vLLM kills its own children after any fatal error.
func killed137(h *hit) (Code, tier) {
	if hasAny(h.near, "oom|out of memory|memory") && !hasAny(h.near, "potential root causes") {
		return HostOOMKilled, soft
	}
	return "", 0
}

var (
	triedToAllocate = regexp.MustCompile(`tried to allocate (\d+(?:\.\d+)?) (g|m|k)ib`)
	servedBefore    = regexp.MustCompile(`"post /\S+ http/1\.[01]" \d{3}`)
	freePair        = regexp.MustCompile(`\((\d+(?:\.\d+)?)/(\d+(?:\.\d+)?) gib\)`)
)

// outOfMemory tells from the surroundings when the card's memory ran out: while weights were loaded, while the
// engine profiled, while graphs were captured, or while it served.
func outOfMemory(h *hit) (Code, tier) {
	a := h.r.now
	strength := root
	if h.level == levelQuiet {
		strength = hint
	}
	text := string(h.near)
	at := func(name string) int {
		if !h.recently(name, 60) {
			return -1
		}
		return h.r.context[name]
	}
	switch {
	case a.ready:
		return CUDAOOMRuntime, strength
	case servedBefore.Match(h.lower[:h.col]) || servedBefore.Match(h.history()):
		return CUDAOOMRuntime, strength
	case hasAny(h.near, "warming up sampler|inductorerror|failed to run autotuning|profile_run|autotun"):
		return CUDAOOMProfile, strength
	case hasAny(h.near, "not enough gpu memory. try|failed to load model|create_weights|loading model weights|load_model"):
		return CUDAOOMLoad, strength
	case hasAny(h.near, "capture cuda graph failed|capturing cuda graph|cuda graph capture|graph capture"):
		return CUDAOOMCudagraph, strength
	case hasAny(h.near, "unexpected error from cudagetdevicecount"):
		return "", 0
	}
	load, profile, capture, run, cache := at("load"), at("profile"), at("capture"), at("run"), at("cache")
	switch {
	case a.phaseAt[PhaseCache].line > 0 && hasAny(h.near, "cuda error: out of memory"):
		return CUDAOOMCudagraph, strength // the plain form is what a capture that runs out says
	case a.current == PhaseCapture || capture >= 0 && capture >= load && h.line-capture < 30:
		return CUDAOOMCudagraph, strength
	case profile >= 0 && profile >= load-20:
		return CUDAOOMProfile, strength
	case load >= 0 && h.line-load < 40 && at("loaded") < 0:
		return CUDAOOMLoad, strength
	case at("loaded") >= 0 || a.phaseAt[PhaseCompile].line > 0 || a.current == PhaseCompile:
		return CUDAOOMProfile, strength
	case cache >= 0 && cache >= load:
		return CUDAOOMProfile, strength
	case a.current == PhaseLoad:
		return CUDAOOMLoad, strength
	case run >= 0, h.r.engine == "sglang" && at("forward") >= 0: // SGLang runs no model before it serves but to capture
		return CUDAOOMRuntime, strength
	}
	// Without surroundings the size asked for speaks: no single weight takes many GiB, a profiling run's buffers do.
	if m := triedToAllocate.FindStringSubmatch(text); m != nil && m[2] == "g" {
		if gib, err := strconv.ParseFloat(m[1], 64); err == nil && gib >= 8 {
			return CUDAOOMProfile, strength
		}
	}
	if strength == root {
		strength = soft // a guess; where it is said again with more around it, that counts
	}
	return CUDAOOMLoad, strength
}

// freeMemory sees from the pair (free/total) whether a neighbour holds the card; the remedy differs.
func freeMemory(h *hit) (Code, tier) { return FreeMemoryBelowUtilization, root }

var kernelRules = []rule{
	{code: NoKernelImage, tier: root, quiet: true, lits: "no kernel image is available|cudaerrornokernelimagefordevice|no kernel image for device", serves: true, source: "https://github.com/vllm-project/vllm/issues/33516"},
	{code: TorchArchMismatch, tier: hint, quiet: true, lits: "is not compatible with the current pytorch", source: srcTorch, refine: torchArch},
	{code: TorchArchMismatch, tier: hint, quiet: true, lits: "install supports cuda capabilities", source: srcTorch, refine: torchArchList},
	{code: GPUTooOld, tier: root, quiet: true, lits: "compute capability below 7.0|too old to be supported by the triton|because it is too old|minimum cuda capability supported|devices of cuda capability >= 7|requires compute capability|sglang only supports sm75|only supports sm75 and above|compute capability (at least )?7", and: "too old|7.0|7.5|sm75|minimum cuda capability|>= 7", not: "driver|quantization|fp8|bfloat16|flashattention|awq|gptq|marlin|fp4", source: srcTriton},
	{code: PTXUnsupportedToolchain, tier: root, quiet: true, lits: "compiled with an unsupported toolchain|cudaerrorunsupportedptxversion|cuda_error_unsupported_ptx_version", serves: true, source: "https://github.com/vllm-project/vllm/issues/28305"},
	{code: CUDAToolkitTooOld, tier: root, lits: "ptxas fatal|unsupported gpu architecture|is not defined for option 'gpu-name'|nvcc fatal|unsupported .version|ptxas error|requires cuda toolkit|cuda toolkit version|requires cuda 12.|requires cuda >= 12|requires cuda >= 13|requires nvcc version|requires nvcc >|requires nvcc 1", not: "ptxas fatal   : memory allocation|lto|warning : ", source: "https://github.com/triton-lang/triton/issues/8539"},
	{code: BF16Unsupported, tier: root, lits: "bfloat16 is only supported on gpus|bfloat16 is not supported|bf16 is not supported|bf16 is only supported|type bf16 not supported", not: "quantization method", source: srcVLLM},
	{code: QuantUnsupportedGPU, tier: root, lits: "is not supported for the current gpu|quantization is currently not supported in rocm|type fp8e4nv not supported|fp8e4nv data type is not supported|type fp8e4b8 not supported|no fp8 moe backend|no mxfp4 moe backend|no nvfp4 moe backend|no nvfp4 gemm|no int8 moe backend|is only supported on gpus with compute capability|_scaled_mm is only supported|no compiled cutlass_scaled_mm|no compiled get_cutlass|no compiled scaled_fp4|no compiled nvfp4|marlin requires|fp8 is not supported|fp8 is only supported|fp8 quantization is not supported|fp4 is not supported|fp8 kv cache is not|minimum capability: |w8a8 is not supported|does not support fp8|mxfp4 quantized|mxfp4 is only|not support mxfp4|failed to find a kernel that can implement|dynamic per-token quantization requires|requires sm90|requires sm100|requires sm89|requires hopper|requires blackwell|int8 not supported on sm|fp8 not supported on sm|fp4 not supported on sm|kernel does not support current device", not: "marlin requires thread-tile padding|bfloat16 is only|flashattention", source: srcVLLM, refine: quantOnGPU},
	{code: QuantUnsupportedGPU, tier: root, lits: "not supported on this gpu", and: "quant|fp8|fp4|int8|int4|awq|gptq|marlin|mxfp", not: "instruction not supported", source: srcVLLM},
	{code: QuantUnsupportedGPU, tier: soft, lits: "expected at most 0 argument(s)", re: regexp.MustCompile(`_c::\w*(?:quant|fp8|int8|fp4|awq|gptq|marlin|scaled_mm)\w*\(\) expected at most 0`), text: "This build has no kernel of that quantisation for this device: another checkpoint, or another device.", source: srcVLLM},
	{code: FlashAttnNeedsAmpere, tier: root, lits: "flashattention only supports|only supports ampere gpus or newer|flash attention only supports|fa2 is only supported|flashattention-2 only supports|flashattention 2 only|flashattention v3|fa3 is only supported", and: "gpus or newer|ampere|capability|hopper|only supported|not supported|unsupported", not: "falling back|cannot use fa version", source: "https://github.com/vllm-project/vllm/issues/43577"},
	{code: FlashinferFailed, tier: root, lits: "withpagedkvcache failed|withraggedkvcache failed|batchprefillwith|batchdecodewith|flashinfer error", and: "failed with error|kvcache failed|flashinfer error|error in function 'batch", not: "importerror|cannot import name|no module named", source: "https://github.com/flashinfer-ai/flashinfer"},
	{code: FlashinferFailed, tier: soft, lits: "ninja build failed", source: "https://github.com/flashinfer-ai/flashinfer"},
	{code: FlashinferFailed, tier: soft, lits: "error building extension|ninja: build stopped", before: "flashinfer"},
	{code: KernelCompileFailed, tier: soft, lits: "fatal error: ", re: regexp.MustCompile(`(?:inductor|triton).{0,200}fatal error: [\w/.]+\.h(?:pp)?: no such file`), not: "python.h", source: "https://github.com/vllm-project/vllm/issues/19656"},
	{code: KernelCompileFailed, tier: soft, lits: "error building extension", not: "flashinfer"},
	{code: NvccMissing, tier: root, lits: "could not find nvcc|nvcc: not found|nvcc: command not found|nvcc not found|cuda_home environment variable is not set|cuda_home is not set|no such file or directory: 'nvcc'|cannot find nvcc|bin/nvcc: no such file|'/usr/local/cuda/bin/nvcc'|cuda_home does not exist|could not find cuda installation|cannot find cuda at cuda_home|cannot find cuda_home|cuda must be available in order to build", not: "nvcc fatal|found nvcc|error: command '", source: "https://github.com/flashinfer-ai/flashinfer/issues/1919"},
	{code: NvccMissing, tier: root, lits: "cuda/bin/nvcc", re: regexp.MustCompile(`nvcc['"\x60]?:? (?:was )?not found|nvcc['"\x60]?: no such file|no such file or directory: ['"]?[^'" ]*nvcc`)},
	{code: NinjaMissing, tier: root, lits: "ninja is required to load|no such file or directory: 'ninja'|ninja: not found|ninja: command not found|unable to find ninja|could not find ninja", source: srcTorch},
	{code: CCompilerMissing, tier: root, lits: "failed to find c compiler|cannot execute 'cc1plus|cannot execute ‘cc1plus|cannot execute cc1plus|no such file or directory: 'gcc'|no such file or directory: 'g++'|no working c++ compiler|invalidcxxcompiler|no such file or directory: 'cc'|no such file or directory: 'c++'|/usr/bin/gcc: no such", source: srcTriton},
	{code: CCompilerMissing, tier: root, lits: "execute ‘cc1plus|execute 'cc1plus|cc1plus: no such|cc1plus: not found", and: "cannot execute|no such file|not found"},
	{code: PythonHeadersMissing, tier: root, lits: "python.h: no such|python.h' file not found|python.h: not found", source: "https://github.com/sgl-project/sglang/issues/18644"},
	{code: KernelCompileFailed, tier: root, lits: "passmanager::run failed|failed to legalize operation|error: unsupported conversion|device kernel image is invalid|cudaerrorinvalidkernelimage|llvm error: |mlir pass pipeline|cppcompileerror|c++ compile error|for '-march|for -march=|unknown value '", and: "passmanager|legalize operation 'tt|error: unsupported conversion from|kernel image|llvm error|pass pipeline|compileerror|compile error|march", not: "no kernel image", source: srcTriton},
	{code: KernelCompileFailed, tier: root, quiet: true, lits: "llvm error: ", serves: true, source: "https://github.com/vllm-project/vllm/issues/17449"},
	{code: KernelCompileFailed, tier: soft, lits: "cc1plus: error|triton.compiler.errors.compilationerror|compilationerror: at |unsupportedlanguageconstruct|triton error [cuda]: invalid|torch._dynamo.exc.|torch._inductor.exc.|backendcompilerfailed|backend compiler failed|torchruntimeerror|torch.compile failed|nvrtc error|nvrtc: error|nvrtc compilation failed", not: "out of memory|outofmemory|no space left|quota exceeded|ptxas|out of resource|c compiler", source: srcTriton},
	{code: KernelCompileFailed, tier: soft, lits: "; error   : |; error : |, error : ", and: "ptxas", not: "fatal|not defined|unsupported", source: "https://github.com/vllm-project/vllm/issues/15619"},
	{code: CompileCacheStale, tier: root, lits: "too many values to unpack|not enough values to unpack", before: "torch_compile_cache", source: srcVLLM},
	{code: CompileCacheStale, tier: soft, lits: "previous compilation failed, leading to a corr", source: "https://github.com/vllm-project/vllm/issues/21858"},
	{code: CompileCacheStale, tier: soft, lits: "torch_compile_cache", and: "valueerror|typeerror|keyerror|unpicklingerror|eoferror|jsondecodeerror", not: "no space|quota|warning 0"},
	{code: TritonOutOfResources, tier: root, quiet: true, lits: "out of resource: shared memory|out of resources: shared memory|outofresources|out of resource: tensor memory", serves: true, source: srcTriton, refine: errorOnly},
	{code: CUDAGraphCaptureFailed, tier: soft, lits: "capture cuda graph failed|cuda graph capture failed|operation not permitted when stream is capturing|cudaerrorstreamcapture|operation failed due to a previous error during capture|cannot copy between cpu and cuda tensors during cuda graph", source: srcSGLang},
	{code: CublasError, tier: soft, lits: "cublas_status_|hipblas_status_|cublas error", serves: true, source: srcTorch},
	{code: CUDAKernelFault, tier: root, lits: "illegal memory access|device-side assert triggered|an illegal instruction was encountered|cuda error: misaligned address|cuda error: unspecified launch failure|unspecified launch failure|cudaerrorillegaladdress|memory access fault by gpu|hsa_status_error|warp illegal|cuda error: invalid argument|cuda error: invalid configuration argument|cudaerrorlaunchfailure", serves: true, source: srcTorch},
	{code: CUDAKernelFault, tier: soft, quiet: true, lits: "inputs of failed execution: cuda error: ", re: regexp.MustCompile(`cuda error: (?:an illegal|misaligned|device-side|unspecified)`), source: srcVLLM},
	{code: CUDAFeatureUnavailable, tier: root, lits: "uva is not available|cuda error: operation not permitted|cuda error: operation not supported|cudaerrornotpermitted|cudaerrornotsupported|feature is not supported on this|virtual memory management is not supported", and: "uva|operation not|notpermitted|notsupported|not supported", not: "capturing|nccl", source: srcVLLM},
	{code: GPUHardwareError, tier: root, quiet: true, lits: "uncorrectable ecc|nvrm: xid|fallen off the bus|uncorrectable nvlink|gpu is lost|row remapping failure|xid error|cudaerroreccuncorrectable", serves: true, source: "https://docs.nvidia.com/deploy/xid-errors/"},
}

func errorOnly(h *hit) (Code, tier) {
	if h.level == levelQuiet {
		return "", 0
	}
	return h.rule.code, h.rule.tier
}

// quantOnGPU drops a probe that goes on with another kernel.
func quantOnGPU(h *hit) (Code, tier) {
	if hasAny(h.near, "falling back|fallback to|will use weight-only|will be used instead") {
		return "", 0
	}
	return QuantUnsupportedGPU, root
}

var (
	cardCapability = regexp.MustCompile(`cuda capability sm_(\d+)`)
	smName         = regexp.MustCompile(`sm_(\d+)`)
)

// torchArch reads the card's capability out of torch's warning.
func torchArch(h *hit) (Code, tier) {
	if m := cardCapability.FindSubmatch(h.near); m != nil {
		h.r.facts.cardCapability, _ = strconv.Atoi(string(m[1]))
	}
	torchArchList(h) // a mirror has the list in the same line
	return TorchArchMismatch, hint
}

// torchArchList reads what the torch build supports; the list stands in the line after the warning.
func torchArchList(h *hit) (Code, tier) {
	i := h.col
	if j := lastIndex(h.lower, "supports cuda capabilities"); j >= 0 {
		i = j
	} else if h.rule.lits[0] != 'i' {
		return "", 0
	}
	for _, m := range smName.FindAllSubmatch(h.lower[i:min(len(h.lower), i+200)], -1) {
		if n, err := strconv.Atoi(string(m[1])); err == nil && len(h.r.facts.capabilities) < 64 {
			h.r.facts.capabilities = append(h.r.facts.capabilities, n)
		}
	}
	return TorchArchMismatch, hint
}

func lastIndex(b []byte, s string) int {
	for i := len(b) - len(s); i >= 0; i-- {
		if string(b[i:i+len(s)]) == s {
			return i
		}
	}
	return -1
}

// oldCard reports whether torch's warning is about a card older than anything the build supports.
func (f *facts) oldCard() bool {
	if f.cardCapability == 0 || len(f.capabilities) == 0 {
		return f.cardCapability > 0 && f.cardCapability < 70
	}
	for _, c := range f.capabilities {
		if c <= f.cardCapability {
			return false
		}
	}
	return true
}

// mappedFile tells a weight file too large for the host's memory from a segment too large for /dev/shm.
func mappedFile(h *hit) (Code, tier) {
	if hasAny(h.near, "unable to mmap") && hasAny(h.near, "cannot allocate memory") && !hasAny(h.near, "/torch_|/dev/shm|shared memory") {
		return HostOOMKilled, root
	}
	return SHMTooSmall, root
}

var distributedRules = []rule{
	{code: TPSizeIndivisible, tier: root, lits: "must be divisible by tensor parallel|must be divisible by tensor_parallel|must be divisible by tp|divisible by tensor model parallel|must be divisible by the tensor|must be divisible by num_|is not divisible by the number of tensor", source: srcVLLM},
	{code: TPSizeIndivisible, tier: soft, lits: " is not divisible by ", re: regexp.MustCompile(`\d+ is not divisible by \d+`), not: "block|group|scales|quant|page size|min_thread|partition", source: srcVLLM},
	{code: TPSizeIndivisible, tier: soft, lits: "zerodivisionerror: ", and: "modulo|division", before: "attention|num_kv_heads|tp_size"},
	{code: TPQuantGroupIndivisible, tier: root, lits: " is not divisible by thread_", source: "https://github.com/vllm-project/llm-compressor/issues/54"},
	{code: TPQuantGroupIndivisible, tier: root, lits: "min_thread_k|min_thread_n|block_n =|block_k =|weight quantization block|block_size_k|block_size_n|exceeds dimension size|not aligned with the quantized weight|b_scales.size|too large tensor parallel size|is not divisible by group_size|not divisible by weight quantization|group size must be divisible|divisible by quantization group", and: "divisible|exceeds|aligned|too large tensor|assert|%", refine: shardOrShape, source: srcVLLM},
	{code: TPQuantGroupIndivisible, tier: root, lits: "not divisible by|must be divisible by|should be divisible by", and: "block_size|group_size|group size|quant|min_thread|partition", not: "page size|max_num|hash_block_size|gpu_block_size|cache block"},
	{code: InvalidDeviceOrdinal, tier: root, lits: "invalid device ordinal|cudaerrorinvaliddevice", source: "https://github.com/vllm-project/vllm/issues/33274"},
	{code: NCCLError, tier: soft, refine: thrownNCCL, lits: "nccl error|nccl_error_|ncclunhandledcudaerror|ncclsystemerror|ncclinternalerror|ncclinvalidusage|ncclremoteerror|distbackenderror|ncclinvalidargument", source: srcNCCL},
	{code: SHMTooSmall, tier: root, quiet: true, lits: "while creating shared memory segment|insufficient space in /dev/shm|unable to allocate shared memory|unable to mmap|</torch_|error while attaching to shared memory segment|worker is killed by signal: bus error|dataloader worker", and: "/dev/shm|shared memory|no space left|mmap|bus error", refine: mappedFile, source: "https://github.com/sgl-project/sglang/issues/4259"},
	{code: SHMTooSmall, tier: root, quiet: true, lits: "bus error", re: regexp.MustCompile(`\bbus error\b`), not: "pcie bus"},
	{code: SHMTooSmall, tier: root, quiet: true, lits: "no space left on device", and: "/dev/shm|</torch_|shared memory|shm_open|nccl-"},
	{code: CollectiveTimeout, tier: soft, lits: "watchdog caught collective operation timeout|timeout at nccl work|timed out initializing process group|waiting for clients|diststoreerror|raised from checktimeout at|barrier timed out after |::worknccl::checktimeout|wait timeout after|ran for 600|nccl operations have failed or timed out|socket timeout|timed out after 600", and: "timeout|timed out|waiting for clients", not: "zmq", source: srcTorch},
	{code: PeerConnectionLost, tier: soft, lits: "connection closed by peer", not: "warning 0|huggingface"},
	{code: PeerConnectionLost, tier: soft, lits: "connection reset by peer|remote process exited|broken pipe", and: "distnetworkerror|distbackenderror|gloo|nccl|tcpstore|runtimeerror|connectionreseterror: |brokenpipeerror: ", not: "huggingface|registry|/v2/|should dump|sendbytes|warning|[w", source: srcTorch},
	{code: RayWorkerDied, tier: soft, lits: "worker exit type: system_error|the actor died unexpectedly|actordiederror|rayactorerror|workercrashederror|actor is dead because|worker died or was killed|died unexpectedly before finishing", not: "raised in its creation task", source: srcRay},
	{code: RayNotEnoughGPUs, tier: root, lits: "cannot provide a placement group|current node has no gpu available|does not allocate any gpus on the driver|exceeds the total number of available gpus|is larger than the number of available gpus|larger than the number of available gpus|number of required gpus exceeds|not enough gpus|exceeds the number of available gpus|no available node types can fulfill|less than max local gpu count|less than than max local gpu count", and: "placement|gpu|node types", not: "warning 0", source: srcRay},
	{code: ThreadLimit, tier: root, lits: "pthread_create failed|can't start new thread|thread creation failed|cannot create thread|blas_thread_init", source: srcVLLM},
	{code: ThreadLimit, tier: root, lits: "resource temporarily unavailable", and: "thread|fork|pthread"},
}

// thrownNCCL looks for more than the name of the exception: its message follows, and may be a watchdog's.
func thrownNCCL(h *hit) (Code, tier) {
	if containsString(h.lower[h.col:min(len(h.lower), h.col+16)], "distbackenderror") && hasAny(h.lower[max(0, h.col-40):h.col], "throwing an instance of ") {
		return "", 0
	}
	return NCCLError, soft
}
