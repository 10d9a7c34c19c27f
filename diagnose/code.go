package diagnose

// Code names a cause. The words are stable: lessons, events and scripts keep them.
type Code string

// The causes, in the order of a launch; the last ones are no failures.
const (
	ProviderNoCapacity          Code = "provider_no_capacity"
	ProviderTransientError      Code = "provider_transient_error"
	SSHNotAvailable             Code = "ssh_not_available"
	ImageManifestUnknown        Code = "image_manifest_unknown"
	ImagePullRateLimited        Code = "image_pull_rate_limited"
	ImagePullUnauthorized       Code = "image_pull_unauthorized"
	ImageRegistryUnreachable    Code = "image_registry_unreachable"
	ImageDiskFull               Code = "image_disk_full"
	ImageLayerCorrupt           Code = "image_layer_corrupt"
	ContainerCUDARequirement    Code = "container_cuda_requirement"
	DockerNoGPURuntime          Code = "docker_no_gpu_runtime"
	NVMLDriverMismatch          Code = "nvml_driver_mismatch"
	NVMLNotFound                Code = "nvml_not_found"
	NVMLError                   Code = "nvml_error"
	NoGPUVisible                Code = "no_gpu_visible"
	TorchWithoutCUDA            Code = "torch_without_cuda"
	CUDAInitFailed              Code = "cuda_init_failed"
	CUDACompatLibrary           Code = "cuda_compat_library"
	ExecNotFound                Code = "exec_not_found"
	ExecFormatError             Code = "exec_format_error"
	ExecPermissionDenied        Code = "exec_permission_denied"
	ShellQuoting                Code = "shell_quoting"
	IllegalInstruction          Code = "illegal_instruction"
	PipNoMatchingDistribution   Code = "pip_no_matching_distribution"
	PipResolutionConflict       Code = "pip_resolution_conflict"
	PythonVersionUnsupported    Code = "python_version_unsupported"
	ExternallyManaged           Code = "externally_managed"
	PythonVenvMissing           Code = "python_venv_missing"
	BuildHostOOM                Code = "build_host_oom"
	BuildToolMissing            Code = "build_tool_missing"
	PipDownloadTimeout          Code = "pip_download_timeout"
	DriverTooOld                Code = "driver_too_old"
	DriverInsufficient          Code = "driver_insufficient"
	LibcudartMissing            Code = "libcudart_missing"
	LibcudaMissing              Code = "libcuda_missing"
	SystemLibraryMissing        Code = "system_library_missing"
	TorchABIMismatch            Code = "torch_abi_mismatch"
	NVJitLinkMismatch           Code = "nvjitlink_mismatch"
	GlibcTooOld                 Code = "glibc_too_old"
	NumpyABI                    Code = "numpy_abi"
	TorchvisionMismatch         Code = "torchvision_mismatch"
	XformersMismatch            Code = "xformers_mismatch"
	AttentionPackageMismatch    Code = "attention_package_mismatch"
	TransformersAPIMismatch     Code = "transformers_api_mismatch"
	DependencyAPIMismatch       Code = "dependency_api_mismatch"
	MissingPythonModule         Code = "missing_python_module"
	ModuleMissingPartialInstall Code = "module_missing_partial_install"
	SglKernelArchMissing        Code = "sgl_kernel_arch_missing"
	UnknownModelType            Code = "unknown_model_type"
	ArchNotSupported            Code = "arch_not_supported"
	ArchInspectFailed           Code = "arch_inspect_failed"
	GatedRepo                   Code = "gated_repo"
	HFUnauthorized              Code = "hf_unauthorized"
	RepoNotFound                Code = "repo_not_found"
	InvalidModelPath            Code = "invalid_model_path"
	MissingConfig               Code = "missing_config"
	TrustRemoteCodeRequired     Code = "trust_remote_code_required"
	TokenizerClassMissing       Code = "tokenizer_class_missing"
	TokenizerLoadFailed         Code = "tokenizer_load_failed"
	HarmonyVocabDownload        Code = "harmony_vocab_download"
	ContextExceedsModel         Code = "context_exceeds_model"
	HFRateLimited               Code = "hf_rate_limited"
	HFUnreachable               Code = "hf_unreachable"
	HFTransferMissing           Code = "hf_transfer_missing"
	HFXetError                  Code = "hf_xet_error"
	DiskFull                    Code = "disk_full"
	SafetensorsCorrupt          Code = "safetensors_corrupt"
	WeightsMissing              Code = "weights_missing"
	WeightsNameMismatch         Code = "weights_name_mismatch"
	QuantConfigMissing          Code = "quant_config_missing"
	UnknownQuantization         Code = "unknown_quantization"
	LoraUnsupported             Code = "lora_unsupported"
	CUDAOOMLoad                 Code = "cuda_oom_load"
	CUDAOOMProfile              Code = "cuda_oom_profile"
	CUDAOOMCudagraph            Code = "cuda_oom_cudagraph"
	CUDAOOMRuntime              Code = "cuda_oom_runtime"
	NoKVCacheBlocks             Code = "no_kv_cache_blocks"
	KVCacheSmallerThanContext   Code = "kv_cache_smaller_than_context"
	FreeMemoryBelowUtilization  Code = "free_memory_below_utilization"
	MemoryProfilingChanged      Code = "memory_profiling_changed"
	KVPageSizeUnify             Code = "kv_page_size_unify"
	HostOOMKilled               Code = "host_oom_killed"
	NoKernelImage               Code = "no_kernel_image"
	TorchArchMismatch           Code = "torch_arch_mismatch"
	GPUTooOld                   Code = "gpu_too_old"
	PTXUnsupportedToolchain     Code = "ptx_unsupported_toolchain"
	CUDAToolkitTooOld           Code = "cuda_toolkit_too_old"
	BF16Unsupported             Code = "bf16_unsupported"
	QuantUnsupportedGPU         Code = "quant_unsupported_gpu"
	FlashAttnNeedsAmpere        Code = "flash_attn_needs_ampere"
	FlashinferFailed            Code = "flashinfer_failed"
	NvccMissing                 Code = "nvcc_missing"
	NinjaMissing                Code = "ninja_missing"
	CCompilerMissing            Code = "c_compiler_missing"
	PythonHeadersMissing        Code = "python_headers_missing"
	KernelCompileFailed         Code = "kernel_compile_failed"
	CompileCacheStale           Code = "compile_cache_stale"
	TritonOutOfResources        Code = "triton_out_of_resources"
	CUDAGraphCaptureFailed      Code = "cuda_graph_capture_failed"
	CublasError                 Code = "cublas_error"
	CUDAKernelFault             Code = "cuda_kernel_fault"
	CUDAFeatureUnavailable      Code = "cuda_feature_unavailable"
	GPUHardwareError            Code = "gpu_hardware_error"
	TPSizeIndivisible           Code = "tp_size_indivisible"
	TPQuantGroupIndivisible     Code = "tp_quant_group_indivisible"
	InvalidDeviceOrdinal        Code = "invalid_device_ordinal"
	NCCLError                   Code = "nccl_error"
	NCCLLibraryMissing          Code = "nccl_library_missing"
	SHMTooSmall                 Code = "shm_too_small"
	CollectiveTimeout           Code = "collective_timeout"
	PeerConnectionLost          Code = "peer_connection_lost"
	RayWorkerDied               Code = "ray_worker_died"
	RayNotEnoughGPUs            Code = "ray_not_enough_gpus"
	ThreadLimit                 Code = "thread_limit"
	UnrecognizedArguments       Code = "unrecognized_arguments"
	InvalidArgumentValue        Code = "invalid_argument_value"
	InvalidConfigCombination    Code = "invalid_config_combination"
	PortInUse                   Code = "port_in_use"
	ChatTemplateMissing         Code = "chat_template_missing"
	StartupTimeout              Code = "startup_timeout"
	EngineHangTimeout           Code = "engine_hang_timeout"
	WorkerSegfault              Code = "worker_segfault"
	GenericWrapperOnly          Code = "generic_wrapper_only"
	StoppedFromOutside          Code = "stopped_from_outside"
	ProxyTimeout524             Code = "proxy_timeout_524"
	ProxyBadGateway502          Code = "proxy_bad_gateway_502"
	NoContainer                 Code = "no_container"
	Stalled                     Code = "stalled"
	CrashLoop                   Code = "crash_loop"
	CauseReady                  Code = "ready"
	CauseInProgress             Code = "in_progress"
)

// Info is what is known about a cause without looking at a log.
type Info struct {
	Code   Code
	Stage  Stage
	Remedy RemedyKind // the usual one
	Next   Step
	Text   string // the usual remedy in one sentence
}

// infos lists every cause.
var infos = [...]Info{
	{ProviderNoCapacity, StageProvision, OtherRegion, NextHost, "Ask again a few times some ten seconds apart, then another data centre or cloud, then another GPU."},
	{ProviderTransientError, StageProvision, Retry, RetrySame, "The provider failed without a reason: back off and ask again."},
	{SSHNotAvailable, StageProvision, OtherImage, NextPlan, "Nobody listens for SSH: use an image with sshd, and wait for a real probe instead of the word \"running\"."},
	{ImageManifestUnknown, StageImagePull, OtherImage, NextPlan, "The tag or repository does not exist: name one that does."},
	{ImagePullRateLimited, StageImagePull, Retry, NextHost, "The registry limits this address: log in to it, use a mirror, or take another host."},
	{ImagePullUnauthorized, StageImagePull, Credentials, StopLaunch, "The registry asks for a login: give the pod credentials for it."},
	{ImageRegistryUnreachable, StageImagePull, OtherRegion, NextHost, "This host has no way to the registry: take another host, region or mirror."},
	{ImageDiskFull, StageImagePull, MoreDisk, NextHost, "The host's disk is full while unpacking: more container disk, or another host."},
	{ImageLayerCorrupt, StageImagePull, Retry, NextHost, "A layer arrived broken, or the host's disk is: try another host."},
	{ContainerCUDARequirement, StageContainer, OtherHostCUDA, NextPlan, "The image asks the host for a newer CUDA than its driver offers: filter hosts by CUDA version, or take an older image."},
	{DockerNoGPURuntime, StageContainer, OtherHostCUDA, NextHost, "The host cannot hand its GPU to a container: take another host, or install the NVIDIA container toolkit."},
	{NVMLDriverMismatch, StageContainer, Retry, NextHost, "The host's driver was updated without a reboot: take another host; inside a container unset LD_LIBRARY_PATH."},
	{NVMLNotFound, StageContainer, UserAction, NextHost, "No driver library is in the container: start it with the GPU runtime, or take another host."},
	{NVMLError, StageContainer, Retry, NextHost, "The driver answers with an error: take another host."},
	{NoGPUVisible, StageContainer, OtherHostCUDA, NextHost, "The process sees no GPU: take another host; else look at CUDA_VISIBLE_DEVICES and the driver library's path."},
	{TorchWithoutCUDA, StageImport, PinDependency, NextPlan, "The installed torch is a CPU build: install the CUDA build that the engine pins."},
	{CUDAInitFailed, StageContainer, Retry, NextHost, "The driver does not initialise: take another host."},
	{CUDACompatLibrary, StageContainer, OtherImage, NextPlan, "The image's compatibility library does not fit the driver: put the host's driver library first (LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib), or take an image no newer than the driver."},
	{ExecNotFound, StageContainer, OtherImage, NextPlan, "The start command names a program the image does not hold: leave it out where the image has an entrypoint, or take an image that holds it."},
	{ExecFormatError, StageContainer, OtherImage, NextPlan, "The program is built for another processor architecture: take the image of this one."},
	{ExecPermissionDenied, StageContainer, UserAction, NextPlan, "The user may not run the program: run as the image's own user, or make it executable."},
	{ShellQuoting, StageContainer, Quoting, NextPlan, "The shell could not parse the command: pass a list of arguments instead of one string, and quote JSON values."},
	{IllegalInstruction, StageContainer, OtherRegion, NextHost, "The processor lacks instructions of the binary: take another type of machine; no flag helps."},
	{PipNoMatchingDistribution, StageInstall, OtherImage, NextPlan, "No wheel fits this version, platform and Python: take an image with the Python and glibc the wheels are made for, or another release."},
	{PipResolutionConflict, StageInstall, PinDependency, NextPlan, "The requirements exclude each other: install the set the engine's release pins."},
	{PythonVersionUnsupported, StageInstall, OtherImage, NextPlan, "This Python is too old or too new: take an image with Python 3.12."},
	{ExternallyManaged, StageInstall, UserAction, NextPlan, "The distribution forbids a system-wide pip: use a virtual environment, or --break-system-packages in a throw-away container."},
	{PythonVenvMissing, StageInstall, UserAction, NextPlan, "Python was packaged without ensurepip: install python3-venv and delete the half-made folder."},
	{BuildHostOOM, StageInstall, UserAction, NextPlan, "The compiler was killed for memory: set MAX_JOBS=2, or install a wheel instead of building."},
	{BuildToolMissing, StageInstall, UserAction, NextPlan, "A build tool is missing: install a wheel instead of building, or install the tool."},
	{PipDownloadTimeout, StageInstall, Retry, NextHost, "The package index answers too slowly: retry with a longer timeout, or take another host."},
	{DriverTooOld, StageImport, OtherHostCUDA, NextPlan, "The host's driver is older than this torch needs: a host with a newer driver, or the wheel or image of an older CUDA."},
	{DriverInsufficient, StageKernel, OtherHostCUDA, NextPlan, "The CUDA runtime is newer than the host's driver: a host with a newer driver, else an older image."},
	{LibcudartMissing, StageImport, PinDependency, NextPlan, "A library of another CUDA major version is wanted: install torch, engine and plug-ins of one CUDA version."},
	{LibcudaMissing, StageImport, OtherHostCUDA, NextHost, "The driver's library is not there: a host with GPU and GPU runtime."},
	{SystemLibraryMissing, StageImport, UserAction, NextPlan, "A system library is missing in the image: install its package, or take the engine's own image."},
	{TorchABIMismatch, StageImport, PinDependency, NextPlan, "An extension was compiled for another torch: install exactly the torch the engine's release pins."},
	{NVJitLinkMismatch, StageImport, PinDependency, NextPlan, "A system CUDA library shadows the one torch brings: clear LD_LIBRARY_PATH, and install the nvidia-* wheels torch pins."},
	{GlibcTooOld, StageImport, OtherImage, NextPlan, "The base system is older than the wheel: take a newer base image."},
	{NumpyABI, StageImport, PinDependency, NextPlan, "numpy 1 and numpy 2 are mixed: pin numpy<2, or upgrade the package that is named."},
	{TorchvisionMismatch, StageImport, PinDependency, NextPlan, "torchvision and torch are of different builds: reinstall the pair from one index."},
	{XformersMismatch, StageImport, PinDependency, NextPlan, "xformers was built for another torch or CUDA: install the matching one, or another attention backend."},
	{AttentionPackageMismatch, StageImport, PinDependency, NextPlan, "The flash-attn or flashinfer package does not fit: remove the one installed separately, or install exactly matching versions."},
	{TransformersAPIMismatch, StageImport, PinDependency, NextPlan, "Transformers lacks or changed a name the engine uses: install a version from the engine's range."},
	{DependencyAPIMismatch, StageImport, PinDependency, NextPlan, "A dependency lacks a name the engine uses: install the version the engine's release pins."},
	{MissingPythonModule, StageImport, PinDependency, NextPlan, "A Python package is missing: install it, or take an image that has it."},
	{ModuleMissingPartialInstall, StageImport, PinDependency, NextPlan, "The engine is installed incompletely: reinstall it cleanly, outside its source folder, and clear ~/.cache/torch_extensions."},
	{SglKernelArchMissing, StageImport, OtherImage, NextPlan, "sgl-kernel has no build for this card: the release or image for it, or another card."},
	{UnknownModelType, StageModelResolve, NewerTransformers, NextPlan, "Transformers does not know the model's type: a newer engine, which brings its own, else a newer Transformers."},
	{ArchNotSupported, StageModelResolve, NewerEngine, NextPlan, "The engine does not know the model's architecture: a newer engine."},
	{ArchInspectFailed, StageModelResolve, PinDependency, NextPlan, "The model's class could not be imported; the import error stands above in the log: often a clean reinstall."},
	{GatedRepo, StageModelResolve, Credentials, StopLaunch, "The model is gated: accept its terms on its page and give a token of that account (HF_TOKEN)."},
	{HFUnauthorized, StageModelResolve, Credentials, StopLaunch, "The hub refused the token: correct HF_TOKEN, or remove it for a public model."},
	{RepoNotFound, StageModelResolve, UserAction, StopLaunch, "The hub has no such repository for this account: correct the name first, then think of tokens."},
	{InvalidModelPath, StageModelResolve, UserAction, StopLaunch, "A path was read as the name of a repository, since the folder is not there inside the container: mount or correct it."},
	{MissingConfig, StageModelResolve, ModelBug, StopLaunch, "The repository has no config.json the engine can read: take another checkpoint of the model."},
	{TrustRemoteCodeRequired, StageModelResolve, ChangeFlag, NextPlan, "The model brings its own code: add --trust-remote-code if its owner is trusted."},
	{TokenizerClassMissing, StageModelResolve, NewerTransformers, NextPlan, "The tokenizer's class is newer than this Transformers: a newer engine or Transformers."},
	{TokenizerLoadFailed, StageModelResolve, PinDependency, NextPlan, "The tokenizer's files or its helper package are missing or too old: complete the files, install or upgrade the helper."},
	{HarmonyVocabDownload, StageModelResolve, Retry, NextHost, "gpt-oss fetches its vocabulary from the net and could not: retry, or set TIKTOKEN_ENCODINGS_BASE to a folder that holds it."},
	{ContextExceedsModel, StageModelResolve, LowerContext, NextPlan, "More context is asked for than the model has: lower --max-model-len, or configure rope scaling."},
	{HFRateLimited, StageDownload, Retry, NextHost, "The hub limits this address: send a token, wait, or use another host or a mirror."},
	{HFUnreachable, StageDownload, UserAction, NextHost, "The hub is out of reach, or offline mode lacks the files: give network, or a full local copy."},
	{HFTransferMissing, StageDownload, ChangeFlag, NextPlan, "Fast download is switched on and its package is absent: unset HF_HUB_ENABLE_HF_TRANSFER, or install hf_transfer."},
	{HFXetError, StageDownload, Retry, RetrySame, "The Xet transfer failed: retry, then with HF_HUB_DISABLE_XET=1."},
	{DiskFull, StageDownload, MoreDisk, NextPlan, "The disk or quota is full: more disk, or move HF_HOME and the compile caches."},
	{SafetensorsCorrupt, StageWeights, Retry, RetrySame, "A weight file is cut off or only a pointer: delete and download it again."},
	{WeightsMissing, StageWeights, UserAction, StopLaunch, "The folder or repository holds no weights the engine can read: complete it, or name another."},
	{WeightsNameMismatch, StageWeights, ModelBug, NextPlan, "The tensors' names do not fit the model's class: a newer engine if the model is new, else another checkpoint."},
	{QuantConfigMissing, StageWeights, UserAction, NextPlan, "The quantisation's data are missing: leave --quantization out, or take a complete checkpoint."},
	{UnknownQuantization, StageWeights, NewerEngine, NextPlan, "The engine does not know this quantisation: a newer engine."},
	{LoraUnsupported, StageWeights, ModelBug, NextPlan, "This model's class takes no LoRA: merge the adapter into the weights."},
	{CUDAOOMLoad, StageMemory, OtherGPUMoreVRAM, NextPlan, "The weights do not fit on the card, or it is not empty: more memory, more GPUs or a quantised checkpoint; another host if a neighbour holds memory."},
	{CUDAOOMProfile, StageMemory, ChangeFlag, NextPlan, "Memory ran out while profiling: lower --max-num-seqs and --max-num-batched-tokens, then --enforce-eager."},
	{CUDAOOMCudagraph, StageMemory, ChangeFlag, NextPlan, "Memory ran out while capturing graphs: fewer capture sizes, a lower utilisation, or --enforce-eager."},
	{CUDAOOMRuntime, StageRuntime, LowerMemoryUtilization, NextPlan, "Memory ran out while serving: lower --gpu-memory-utilization (SGLang: --mem-fraction-static)."},
	{NoKVCacheBlocks, StageMemory, ChangeFlag, NextPlan, "Nothing is left for the KV cache: raise --gpu-memory-utilization (SGLang: --mem-fraction-static), else more memory or less context."},
	{KVCacheSmallerThanContext, StageMemory, LowerContext, NextPlan, "The KV cache cannot hold one full request: lower --max-model-len to what the log prints."},
	{FreeMemoryBelowUtilization, StageMemory, LowerMemoryUtilization, NextHost, "The card is not empty at start: lower --gpu-memory-utilization, or end the neighbour, or take another host."},
	{MemoryProfilingChanged, StageMemory, Retry, RetrySame, "Somebody freed memory while it was measured: retry with the card to itself."},
	{KVPageSizeUnify, StageMemory, NewerEngine, NextPlan, "This release cannot unify the model's cache layouts: another release or another cache type."},
	{HostOOMKilled, StageMemory, UserAction, NextPlan, "The host's memory ran out: a machine with more RAM."},
	{NoKernelImage, StageKernel, OtherGPUCapability, NextPlan, "A kernel holds no code for this card: another GPU, or the release that adds it."},
	{TorchArchMismatch, StageKernel, OtherImage, NextPlan, "This torch does not cover the card: an image or wheel built for it (cu128 or newer for Blackwell)."},
	{GPUTooOld, StageKernel, OtherGPUCapability, NextPlan, "The card is below the minimum: a newer GPU."},
	{PTXUnsupportedToolchain, StageKernel, OtherHostCUDA, NextPlan, "The PTX is newer than the driver can compile: a host with a newer driver, or a build of an older CUDA."},
	{CUDAToolkitTooOld, StageKernel, OtherImage, NextPlan, "The assembler or compiler is older than the card: an image with a newer CUDA toolkit, or TRITON_PTXAS_PATH to a newer ptxas."},
	{BF16Unsupported, StageKernel, ChangeFlag, NextPlan, "The card has no bfloat16: --dtype half, or a GPU of capability 8.0 or more."},
	{QuantUnsupportedGPU, StageKernel, OtherGPUCapability, NextPlan, "This quantisation does not run on this card: a newer GPU, or another checkpoint or cache type."},
	{FlashAttnNeedsAmpere, StageKernel, OtherGPUCapability, NextPlan, "FlashAttention needs capability 8.0: another attention backend, or a newer GPU."},
	{FlashinferFailed, StageKernel, OtherGPUCapability, NextPlan, "A FlashInfer kernel failed on this card: another GPU, or another attention backend."},
	{NvccMissing, StageKernel, PinDependency, NextPlan, "A kernel is to be compiled at start and there is no nvcc: install flashinfer-cubin and flashinfer-jit-cache of flashinfer's own version, else a -devel image, or VLLM_USE_FLASHINFER_SAMPLER=0."},
	{NinjaMissing, StageKernel, UserAction, NextPlan, "ninja is missing: pip install ninja."},
	{CCompilerMissing, StageKernel, UserAction, NextPlan, "Triton finds no C compiler: an image with build-essential."},
	{PythonHeadersMissing, StageKernel, UserAction, NextPlan, "Triton finds no Python headers: install python3-dev."},
	{KernelCompileFailed, StageKernel, ChangeFlag, NextPlan, "A kernel does not compile: --enforce-eager, or another backend."},
	{CompileCacheStale, StageKernel, ChangeFlag, RetrySame, "The compiled graph does not fit the code: delete the compile cache."},
	{TritonOutOfResources, StageKernel, OtherGPUCapability, NextPlan, "A kernel's block is too large for the chip: another backend or GPU."},
	{CUDAGraphCaptureFailed, StageKernel, ChangeFlag, NextPlan, "Graph capture failed: --disable-cuda-graph or --enforce-eager, or another backend."},
	{CublasError, StageKernel, OlderEngine, NextPlan, "A cuBLAS call failed: the release before, where it worked; else leave memory headroom."},
	{CUDAKernelFault, StageKernel, Retry, NextPlan, "A kernel crashed: start once more; when it comes back, turn off the fused or autotuned option, or take another version. The frame shown may be innocent."},
	{CUDAFeatureUnavailable, StageKernel, ChangeFlag, NextPlan, "The driver refuses a feature: switch it off, or a real Linux host."},
	{GPUHardwareError, StageKernel, Retry, NextHost, "The card is broken: another machine, at once."},
	{TPSizeIndivisible, StageDistributed, ChangeFlag, NextPlan, "Heads or vocabulary do not divide by the number of GPUs: another --tensor-parallel-size."},
	{TPQuantGroupIndivisible, StageDistributed, ChangeFlag, NextPlan, "The shards are no multiple of the quantisation's blocks: a smaller --tensor-parallel-size, or expert parallelism."},
	{InvalidDeviceOrdinal, StageDistributed, ChangeFlag, NextPlan, "A rank has no GPU: match --tensor-parallel-size to the visible GPUs."},
	{NCCLError, StageDistributed, ChangeFlag, NextPlan, "NCCL failed; its \"Last error\" says why: interfaces, P2P off (NCCL_P2P_DISABLE=1), versions."},
	{NCCLLibraryMissing, StageDistributed, PinDependency, NextPlan, "libnccl is missing: reinstall nvidia-nccl of the torch's CUDA."},
	{SHMTooSmall, StageDistributed, UserAction, NextPlan, "/dev/shm is too small: --shm-size or --ipc=host; where the provider has no such switch, one GPU or NCCL_SHM_DISABLE=1."},
	{CollectiveTimeout, StageDistributed, Retry, RetrySame, "A rank did not arrive: look for the rank that failed first; retry, then without P2P and custom all-reduce."},
	{PeerConnectionLost, StageDistributed, Retry, RetrySame, "The other node is gone: its log has the cause."},
	{RayWorkerDied, StageDistributed, UserAction, NextPlan, "A Ray worker vanished without a word: look at the host's memory and /dev/shm first."},
	{RayNotEnoughGPUs, StageDistributed, UserAction, NextPlan, "There are fewer GPUs than asked for: more GPUs, or a smaller --tensor-parallel-size."},
	{ThreadLimit, StageDistributed, ChangeFlag, NextPlan, "The container's limit of threads is reached: limit Ray's CPUs and OMP_NUM_THREADS."},
	{UnrecognizedArguments, StageServe, ChangeFlag, NextPlan, "This release does not know a flag: leave it out or rename it, or take the release that has it."},
	{InvalidArgumentValue, StageServe, ChangeFlag, NextPlan, "A flag's value is wrong: JSON with double quotes, or one of the listed choices."},
	{InvalidConfigCombination, StageServe, ChangeFlag, NextPlan, "Two settings do not go together: change what the message names."},
	{PortInUse, StageServe, ChangeFlag, RetrySame, "The port is taken: end the old server, or use another port."},
	{ChatTemplateMissing, StageServe, ChangeFlag, NextPlan, "The tokenizer has no chat template: give one with --chat-template."},
	{StartupTimeout, StageServe, Retry, RetrySame, "The starter gave up waiting: read the server's own log, and wait longer."},
	{EngineHangTimeout, StageRuntime, ChangeFlag, RetrySame, "The engine hangs: restart it; a longer watchdog where kernels compile at first use."},
	{WorkerSegfault, StageRuntime, Retry, RetrySame, "Native code crashed: retry once, then another version."},
	{GenericWrapperOnly, StageServe, UserAction, WaitLonger, "Only the last, empty error is visible: fetch the log from further above before changing anything."},
	{StoppedFromOutside, StageRuntime, UserAction, NoStep, "Somebody or a scheduler stopped it: nothing to repair."},
	{ProxyTimeout524, StageProxy, ChangeFlag, NoStep, "The edge cut a request after about 100 s: stream or poll, and send a cold model's first request in the background."},
	{ProxyBadGateway502, StageProxy, Retry, WaitLonger, "Nothing listens behind the proxy yet: keep polling while the log moves; then bind to 0.0.0.0 and compare the port."},
	{NoContainer, StageProvision, Retry, NextHost, "The machine was given and no container came up: another host."},
	{Stalled, StageRuntime, Retry, NextHost, "Nothing moves any more and no error was printed: another host."},
	{CrashLoop, StageContainer, UserAction, NextPlan, "The container ends and is started again for ever: read what it says before it ends."},
	{CauseReady, StageServe, UserAction, NoStep, "It serves."},
	{CauseInProgress, StageServe, UserAction, WaitLonger, "It is still starting."},
}

// Causes lists every cause in the order of a launch.
func Causes() []Info { return append([]Info(nil), infos[:]...) }

// Of tells what is known about a cause; ok is false for a word that names none.
func Of(c Code) (info Info, ok bool) {
	for i := range infos {
		if infos[i].Code == c {
			return infos[i], true
		}
	}
	return Info{}, false
}
