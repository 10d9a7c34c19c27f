package diagnose

import "regexp"

// Sources of whole families of texts; a rule of its own origin names it.
const (
	srcRunPod     = "https://github.com/runpod/runpodctl/issues/189"
	srcDocker     = "https://github.com/moby/moby"
	srcContainerd = "https://github.com/containerd/containerd"
	srcToolkit    = "https://github.com/NVIDIA/libnvidia-container"
	srcTorch      = "https://github.com/pytorch/pytorch"
	srcVLLM       = "https://github.com/vllm-project/vllm"
	srcSGLang     = "https://github.com/sgl-project/sglang"
	srcHF         = "https://github.com/huggingface/huggingface_hub"
	srcTF         = "https://github.com/huggingface/transformers"
	srcPip        = "https://github.com/pypa/pip"
	srcUV         = "https://github.com/astral-sh/uv"
	srcNCCL       = "https://github.com/NVIDIA/nccl"
	srcTriton     = "https://github.com/triton-lang/triton"
	srcTGI        = "https://github.com/huggingface/text-generation-inference"
	srcLlama      = "https://github.com/ggml-org/llama.cpp"
	srcRay        = "https://github.com/ray-project/ray"
)

var provisionRules = []rule{
	{code: ProviderNoCapacity, tier: root, quiet: true, lits: "no longer any instances available|no instances currently available|does not have the resources to deploy|could not find any pods with required specifications|not enough free gpus on the host machine|supply_constraint", source: srcRunPod},
	{code: ProviderNoCapacity, tier: root, quiet: true, lits: "insufficientinstancecapacity|zone_resource_pool_exhausted|launch/insufficient-capacity|not enough capacity to fulfill|insufficient nvidia.com/gpu|insufficient capacity|resources_unavailable|no offers found", source: "https://github.com/skypilot-org/skypilot"},
	{code: ProviderTransientError, tier: soft, lits: "something went wrong. please try again later", source: "https://github.com/runpod/runpod-python/issues/239"},
	{code: SSHNotAvailable, tier: soft, lits: "ssh probe: exit 255|ssh probe exit 255|ssh: connect to host|kex_exchange_identification|ssh exited 255|ssh probe failed|sshd is not running", source: "https://github.com/skypilot-org/skypilot/issues/7321"},
	{code: SSHNotAvailable, tier: soft, lits: "connection refused", re: regexp.MustCompile(`\bport 22\b|:22\b.*connection refused|\bssh\b.*connection refused`)},
}

var imageRules = []rule{
	{code: ImageManifestUnknown, tier: root, quiet: true, lits: "manifest unknown|was not found on the registry|no such image: |repository does not exist or may require|no matching manifest for|invalid reference format|manifest for ", not: "no basic auth|unauthorized|trying ", re: regexp.MustCompile(`manifest unknown|was not found on the registry|no such image: |repository does not exist|no matching manifest|invalid reference format|manifest for .* not found`), source: srcDocker},
	{code: ImageManifestUnknown, tier: root, lits: "no image found in image index for architecture|no image found in manifest list for architecture", source: "https://github.com/containers/ramalama/issues/801"},
	{code: ImageManifestUnknown, tier: root, quiet: true, lits: "failed to resolve reference|failed to pull image|failed to pull and unpack image", and: ": not found|not found: ", not: "toomanyrequests|429|i/o timeout|lookup "},
	{code: ImagePullUnauthorized, tier: root, quiet: true, lits: "no basic auth credentials|unauthorized: authentication required|denied: requested access to the resource", source: "https://github.com/dstackai/dstack/issues/2507"},
	{code: ImagePullUnauthorized, tier: root, quiet: true, lits: "/manifests/", re: regexp.MustCompile(`/v2/\S+/manifests/\S+: (?:unauthorized|denied)`), source: srcDocker},
	{code: ImagePullRateLimited, tier: root, quiet: true, lits: "toomanyrequests|pull rate limit|data limit exceeded", source: "https://www.docker.com/increase-rate-limit"},
	{code: ImagePullRateLimited, tier: root, quiet: true, lits: "429 too many requests|too many requests", and: "manifests/|/v2/|registry|pulling image|pull image|docker.io|ghcr.io|nvcr.io|quay.io", not: "huggingface"},
	{code: ImageRegistryUnreachable, tier: root, quiet: true, lits: "request canceled while waiting for connection|tls handshake timeout|client.timeout exceeded while awaiting headers|i/o timeout|no such host|connection reset by peer|temporary failure in name resolution|failed to do request|connection refused", and: "/v2/|registry|docker.io|ghcr.io|nvcr.io|quay.io|pull", and2: "error|failed|get \"|head \"|dial tcp", not: "huggingface|rendezvous|nccl|gloo|probe failed", source: srcDocker},
	{code: ImageDiskFull, tier: root, quiet: true, lits: "no space left on device|disk quota exceeded|not enough disk space", and: "failed to register layer|failed to extract layer|processing tar file|/var/lib/docker|/var/lib/containerd|failed to pull|applylayer|pulling image|docker pull|unpack", source: srcDocker},
	{code: ImageLayerCorrupt, tier: root, quiet: true, lits: "failed to register layer|failed to extract layer|filesystem layer verification failed|archive/tar: invalid|flate: corrupt input|gzip: invalid|failed to apply layer", not: "no space left|quota exceeded", source: srcContainerd},
	{code: ImageLayerCorrupt, tier: soft, quiet: true, lits: "unexpected eof|failed size validation", and: "layer|pull|blob"},
}

var containerRules = []rule{
	{code: ContainerCUDARequirement, tier: root, quiet: true, lits: "unsatisfied condition: cuda|unsatisfied condition: driver|unsatisfied condition: brand|or use an earlier cuda container", source: "https://github.com/Nerogar/OneTrainer/issues/981"},
	{code: DockerNoGPURuntime, tier: root, quiet: true, lits: "could not select device driver|invalid runtime name: nvidia|unknown runtime specified nvidia|unresolvable cdi devices|failed to inject cdi devices|nvidia-container-runtime: executable|nvidia-container-runtime-hook\": executable|load library failed: libnvidia-ml|\"nvidia-container-runtime\": executable|nvidia-container-cli: executable", source: srcToolkit},
	{code: NVMLDriverMismatch, tier: root, quiet: true, lits: "driver/library version mismatch|nvmlerror_libraryversionmismatch|lib_rm_version_mismatch|nvrm: api mismatch", source: srcToolkit},
	{code: NVMLNotFound, tier: hint, quiet: true, lits: "nvml shared library not found|nvmlerror_librarynotfound|libnvidia-ml.so.1: cannot open|couldn't find libnvidia-ml", source: srcVLLM},
	{code: NVMLError, tier: root, lits: "nvmlerror_nopermission|nvmlerror_unknown|nvmlerror_gpuislost|failed to initialize nvml: unknown error|failed to initialize nvml: insufficient|nvml error: |unable to determine the device handle|nvmlerror_uninitialized|nvmlerror_drivernotloaded|nvmlerror_gpunotfound|nvml: driver not loaded", not: "not found|version mismatch|notsupported", source: srcVLLM},
	{code: NVMLError, tier: hint, quiet: true, lits: "nvmlerror_nopermission|nvmlerror_unknown|nvmlerror_gpuislost"},
	{code: NoGPUVisible, tier: root, quiet: true, lits: "no cuda gpus are available|no cuda-capable device is detected|found no nvidia driver on your system|cudaerrornodevice|no nvidia gpu detected|no gpu detected|no hip gpus are available|cuda_visible_devices is set to empty", not: "error 803|error 804", source: "https://github.com/vllm-project/vllm/issues/25766", refine: noGPU},
	{code: NoGPUVisible, tier: soft, lits: "failed to infer device type|cuda is not available|cuda not available|torch.cuda.is_available() is false|torch.cuda.is_available() returns false|device string must not be empty|no accelerator (cuda, xpu|nvidia-container-cli: device error|unknown device: unknown", source: "https://github.com/vllm-project/vllm/issues/25766"},
	{code: NoGPUVisible, tier: hint, quiet: true, lits: "unspecifiedplatform|no platform detected", source: "https://github.com/vllm-project/vllm/issues/25766"},
	{code: TorchWithoutCUDA, tier: soft, lits: "torch not compiled with cuda enabled|pytorch was built without cuda", source: srcTorch},
	{code: CUDACompatLibrary, tier: root, quiet: true, lits: "error 803|error 804|forward compatibility was attempted|unsupported display driver|cudaerrorsystemdrivermismatch|cudaerrorcompatnotsupported|system has unsupported display driver|driver combination", and: "803|804|forward compatibility|unsupported display|compatnotsupported|systemdrivermismatch", source: "https://github.com/gpustack/gpustack/issues/4678"},
	{code: CUDAInitFailed, tier: soft, quiet: true, lits: "unexpected error from cudagetdevicecount|cuda unknown error - this may be due|cuda driver initialization failed|cuda initialization: cuda unknown error|cudagetdevicecount() failed|system not yet initialized|cuinit failed|failed call to cuinit", not: "error 803|error 804|too old|tensorflow|e0000 |xla/stream_executor", source: srcTorch},
	{code: ExecNotFound, tier: root, quiet: true, lits: "executable file not found in $path|bad interpreter", not: "nvidia-container|nvcc|ninja|nvidia-smi", source: srcDocker},
	{code: ExecNotFound, tier: root, quiet: true, lits: "unable to start container process", and: "no such file or directory: unknown|no such file or directory", not: "unsatisfied|mount"},
	{code: ExecNotFound, tier: root, lits: "command not found|: not found", re: regexp.MustCompile(`(?:^|[ :/])(?:ba|da|a|z)?sh: (?:line )?(?:\d+: )?[\w./+-]+: (?:command )?not found|line \d+: (?:exec: )?[\w./+-]+: (?:command )?not found|exec: [\w./+-]+: not found|zsh: command not found: |^[\w./-]+: \d+: (?:exec: )?[\w./+-]+: not found|^(?:vllm|sglang|python3?|uv|pip3?|llama-server|ray): (?:command )?not found`), refine: commandNotFound},
	{code: ExecNotFound, tier: root, lits: "cannot execute: required file not found|: no such file or directory", re: regexp.MustCompile(`cannot execute: required file not found|(?:^|[ /])env: .{1,3}[\w./+-]+\S{0,4}: no such file or directory`), source: "https://www.gnu.org/software/coreutils/env"},
	{code: ExecNotFound, tier: root, lits: "filenotfounderror: [errno 2] no such file or directory: '", before: "_execute_child", re: regexp.MustCompile(`directory: '[\w.+-]+'`), refine: commandNotFound, source: "https://docs.python.org/3/library/subprocess.html"},
	{code: ExecNotFound, tier: soft, quiet: true, lits: "exit status 127|exit code 127|exited with code 127|exitcode: 127|exit code: 127|status=127"},
	{code: ExecFormatError, tier: root, quiet: true, lits: "exec format error", source: srcDocker},
	{code: ExecPermissionDenied, tier: root, quiet: true, lits: "permission denied", re: regexp.MustCompile(`exec: "[^"]*": permission denied|(?:^|[ /])(?:ba|da|a|z)?sh: (?:line )?(?:\d+: )?\S+: permission denied|line \d+: \S+: permission denied|exec \S+: permission denied|exec: \S+: permission denied|cannot execute: permission denied|unable to start container process.*permission denied|starting container process caused.*permission denied|can't open file .*permission denied`), not: "/dev/nvidia|publickey", source: srcDocker},
	{code: ExecPermissionDenied, tier: soft, quiet: true, lits: "exit status 126|exit code 126|exited with code 126|exit code: 126"},
	{code: ShellQuoting, tier: root, quiet: true, lits: "unterminated quoted string|unexpected eof while looking for matching|syntax error near unexpected token|no closing quotation|unexpected end of file|unterminated quoted|unmatched ' or|parse error near", not: "json|safetensor|gguf|tar:|gzip"},
	{code: ShellQuoting, tier: root, quiet: true, lits: "syntax error: ", re: regexp.MustCompile(`sh: (?:line )?(?:\d+: )?syntax error|syntax error: .*(?:unexpected|unterminated|expecting)`), not: "jinja|sql"},
	{code: IllegalInstruction, tier: root, quiet: true, lits: "illegal instruction|trap invalid opcode|signal: sigill|signal sigill|sigill (", not: "an illegal instruction was encountered|cuda", source: "https://github.com/vllm-project/vllm/issues/1393"},
	{code: IllegalInstruction, tier: root, quiet: true, lits: "with signal 4|by signal 4", re: regexp.MustCompile(`(?:with|by) signal 4\b`), source: "https://github.com/huggingface/text-generation-inference/issues/1627"},
	{code: IllegalInstruction, tier: soft, quiet: true, lits: "exit code 132|exit status 132|exited with code 132|exit code -4|exitcode: -4|exitcode=-4"},
}

// noGPU keeps apart a missing device and a driver that is there and refuses.
func noGPU(h *hit) (Code, tier) {
	if hasAny(h.near, "too old|error 803|error 804") {
		return "", 0
	}
	if h.level == levelQuiet {
		return NoGPUVisible, hint
	}
	return NoGPUVisible, root
}

var commandName = regexp.MustCompile(`([\w./+-]+): (?:command )?not found|command not found: ([\w./+-]+)|no such file or directory: '([\w.+-]+)'`)

// commandNotFound tells what the missing program was for.
func commandNotFound(h *hit) (Code, tier) {
	m := commandName.FindSubmatch(h.near)
	if m == nil {
		return ExecNotFound, root
	}
	name := string(m[1]) + string(m[2]) + string(m[3])
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	switch name {
	case "nvcc":
		return NvccMissing, root
	case "ninja":
		return NinjaMissing, root
	case "gcc", "cc", "g++", "c++", "clang":
		if h.recently("wheel", 60) {
			return BuildToolMissing, root
		}
		return CCompilerMissing, root
	case "cargo", "rustc", "cmake", "make", "protoc", "git":
		return BuildToolMissing, root
	case "nvidia-smi", "lspci", "numactl", "clear", "which", "lsb_release", "sudo", "tput", "ldconfig", "runpodctl", "service", "nginx", "lscpu", "ip", "ifconfig", "netstat", "ps", "free", "module", "hipcc", "rocm-smi", "nvtop", "htop", "curl", "wget", "jq":
		return ExecNotFound, hint // a script asks and goes on
	}
	return ExecNotFound, root
}

var installRules = []rule{
	{code: PipNoMatchingDistribution, tier: root, lits: "no matching distribution found|there is no version of |matching platform tag|is not a supported wheel on this platform|was not found in the package registry|no wheels are available with a matching", source: srcPip, refine: pipWheel},
	{code: PipNoMatchingDistribution, tier: soft, lits: "could not find a version that satisfies the requirement", refine: pipVersion},
	{code: PythonVersionUnsupported, tier: root, lits: "does not satisfy python|matching python abi tag|matching python implementation tag|requires a different python|matching python version tag", source: "https://github.com/vllm-project/vllm/issues/43478"},
	{code: PythonVersionUnsupported, tier: root, lits: "python version >=|unsupported python version|this version of python is not supported|requires python 3|python 3.13 is not supported|cannot install on python version|'type' object is not subscriptable|requires-python|python>=3", re: regexp.MustCompile(`python version >=.*(?:required|needed)|unsupported python version|version of python is not supported|requires python 3[^;]*(?:but|found|running|current)|python 3\.1\d is not supported|cannot install on python version|'(?:abc)?(?:type)' object is not subscriptable|requires-python.*(?:not|incompat)|depends on python>=3`)},
	{code: PythonVersionUnsupported, tier: root, lits: "longintrepr.h: no such file", source: "https://github.com/vllm-project/vllm/issues/34073"},
	{code: PythonVersionUnsupported, tier: root, lits: "unsupported operand type(s) for", and: ": 'type' and|: '_literalgenericalias'|: 'nonetype' and 'type'|'abcmeta' and|'typevar'|'_unionge|'types.genericalias'"},
	{code: PythonVersionUnsupported, tier: root, lits: "cannot import name ", re: regexp.MustCompile(`cannot import name '?\w+'? from '?(?:typing|enum|datetime|importlib\.\w+|collections\.abc)'?[ ('\n]`)},
	{code: PipResolutionConflict, tier: root, lits: "resolutionimpossible|have conflicting dependencies|conflict is caused by|the user requested ", not: "does not currently take into account", and: "resolutionimpossible|conflicting dependencies|conflict is caused|the user requested", source: srcPip},
	{code: PipResolutionConflict, tier: soft, lits: "no solution found when resolving|requirements are unsatisfiable|are incompatible, we can conclude|conflicting urls for package", source: srcUV},
	{code: PipResolutionConflict, tier: soft, lits: "error: cannot install ", re: regexp.MustCompile(`error: cannot install (?:-r |\S+==|[\w\[\].-]+(?:,| and ))`), source: srcPip},
	{code: ExternallyManaged, tier: root, quiet: true, lits: "externally-managed-environment|externally managed|--break-system-packages", re: regexp.MustCompile(`externally.managed|passing --break-system-packages|using --break-system-packages`), source: "https://peps.python.org/pep-0668/"},
	{code: PythonVenvMissing, tier: root, lits: "ensurepip is not|no module named ensurepip|no module named 'ensurepip'|no module named venv|no module named 'venv'|'-m', 'ensurepip'"},
	{code: BuildHostOOM, tier: root, quiet: true, lits: "killed signal terminated program|internal compiler error: killed|died due to signal 9|(kill signal)|signal 9 (sigkill) terminated"},
	{code: BuildHostOOM, tier: root, lits: "\nkilled\n|killed    | killed ", refine: killedWhileBuilding},
	{code: BuildToolMissing, tier: root, lits: "can't find rust compiler|could not find `protoc`|rust package manager, is not installed|cargo, the rust|cmake must be installed|cannot find cmake|could not find cmake|command 'cmake' failed|rustc is not installed|rust toolchain|unable to find cmake|failed to find cmake|pkg-config: not found|protoc: not found|could not find `cargo|requires rust|pg_config executable not found", not: "cargo.toml"},
	{code: BuildToolMissing, tier: root, lits: "error: command 'gcc' failed|x86_64-linux-gnu-gcc' failed|command 'g++' failed|unable to execute 'gcc'|unable to execute 'x86_64|command 'cc' failed", and: "no such file|failed: no such"},
	{code: PipDownloadTimeout, tier: root, lits: "read timed out|readtimeouterror|operation timed out|connection timed out|uv_http_timeout|request timed out", and: "pypi|pythonhosted|pip/_vendor|pip._vendor|failed to download|failed to fetch|download.pytorch|wheels.vllm|uv_http_timeout|pip install", not: "huggingface|openai.|chat.completion", source: srcPip},
	{code: PipDownloadTimeout, tier: root, lits: "error: request failed after |error: failed to fetch: |─▶ request failed after |─▶ failed to fetch: ", source: srcUV},
	{code: PipDownloadTimeout, tier: root, lits: "pip._vendor.urllib3.exceptions.readtimeouterror|pip._vendor.requests.exceptions.connectionerror|pip._vendor.urllib3.exceptions.protocolerror"},
}

// pipWheel keeps the version of Python apart from version and platform of a package.
func pipWheel(h *hit) (Code, tier) {
	if hasAny(h.near, "matching python abi tag|matching python implementation tag|does not satisfy python") && !hasAny(h.near, "platform tag") {
		return PythonVersionUnsupported, root
	}
	return pipVersion(h)
}

var wantedVersion = regexp.MustCompile(`(?:matching distribution found for|satisfies the requirement) \S+?==([\w.+]+)`)

// pipVersion looks behind pip's last word: an index it could not reach, and versions it left out since they want
// another Python, also end in "no matching distribution".
func pipVersion(h *hit) (Code, tier) {
	t := h.rule.tier
	if hasAny(h.history(), "after connection broken by '") && h.around("(from versions: none)") {
		return PipDownloadTimeout, t
	}
	if left := h.r.facts.leftOut; len(left) > 0 {
		if m := wantedVersion.FindSubmatch(h.near); m == nil && h.around("(from versions: none)") || m != nil && containsString(left, " "+string(m[1])+" requires-python") {
			return PythonVersionUnsupported, t
		}
	}
	return PipNoMatchingDistribution, t
}

func killedWhileBuilding(h *hit) (Code, tier) {
	if h.recently("build", 40) && killedWord.Match(h.raw[max(0, h.col-8):]) || killedWord.Match(h.raw[max(0, h.col-8):]) && hasAny(h.near, compilers) {
		return BuildHostOOM, root
	}
	return "", 0
}
