package diagnose

import "testing"

// silent says of each cause that teaches the next plan nothing why it does not.
var silent = map[Code]string{
	ProviderNoCapacity: "another place", ProviderTransientError: "retry", SSHNotAvailable: "no part of the plan", NoContainer: "another host",
	ImagePullUnauthorized: "credentials", ImagePullRateLimited: "another host", ImageRegistryUnreachable: "another host", ImageLayerCorrupt: "another host",
	DockerNoGPURuntime: "another host", NVMLDriverMismatch: "another host", NVMLNotFound: "another host", NVMLError: "another host",
	NoGPUVisible: "another host", CUDAInitFailed: "another host", LibcudaMissing: "another host", IllegalInstruction: "another host",
	ExecPermissionDenied: "the image's user", ShellQuoting: "a bug of the plan's command line", TorchWithoutCUDA: "the environment is made wrong",
	ExternallyManaged: "our script makes an environment of its own", PythonVenvMissing: "likewise", BuildHostOOM: "no wheel: what to build with",
	BuildToolMissing: "likewise", PipDownloadTimeout: "another host", NVJitLinkMismatch: "LD_LIBRARY_PATH", XformersMismatch: "no engine pins it any more",
	SglKernelArchMissing: "SGLang's own packages", GatedRepo: "credentials", HFUnauthorized: "credentials", RepoNotFound: "the name", InvalidModelPath: "the path",
	MissingConfig: "the checkpoint", TokenizerLoadFailed: "the checkpoint's files", HarmonyVocabDownload: "another host", HFRateLimited: "another host",
	HFUnreachable: "another host", HFTransferMissing: "the environment's variables", HFXetError: "the environment's variables", SafetensorsCorrupt: "download again",
	WeightsMissing: "the checkpoint", LoraUnsupported: "the adapter", CUDAOOMRuntime: "what users ask", MemoryProfilingChanged: "retry", HostOOMKilled: "host memory is no part of a plan",
	FlashinferFailed: "the backend's flag depends on the release", CompileCacheStale: "retry", CublasError: "too many reasons", CUDAKernelFault: "retry",
	CUDAFeatureUnavailable: "which flag asks for it is not said", GPUHardwareError: "another host", TPSizeIndivisible: "the number of cards, which launch knows",
	TPQuantGroupIndivisible: "likewise", InvalidDeviceOrdinal: "likewise", RayNotEnoughGPUs: "likewise", NCCLError: "its last error decides", NCCLLibraryMissing: "the environment is made wrong",
	SHMTooSmall: "the provider's switch", CollectiveTimeout: "retry", PeerConnectionLost: "retry", RayWorkerDied: "no cause yet", ThreadLimit: "the environment's variables",
	PortInUse: "retry", ChatTemplateMissing: "which template is the user's to say", StartupTimeout: "wait", EngineHangTimeout: "retry", WorkerSegfault: "retry",
	GenericWrapperOnly: "no cause yet", StoppedFromOutside: "nothing is broken", ProxyTimeout524: "nothing is broken", ProxyBadGateway502: "nothing is broken",
	Stalled: "another host", CrashLoop: "no cause yet", CauseReady: "nothing is broken", CauseInProgress: "nothing is broken",
}

// TestEachCauseTeaches holds that every cause either shapes the next plan or says why it does not.
func TestEachCauseTeaches(t *testing.T) {
	words := map[Code]string{ // where the figure in the message is what is learned
		UnrecognizedArguments: "error: unrecognized arguments: --max-context", InvalidArgumentValue: "error: argument --kv-cache-dtype: invalid choice: 'fp4'",
		InvalidConfigCombination: "max_num_batched_tokens (128) is smaller than max_model_len (1024)", KVCacheSmallerThanContext: "estimated maximum model length is 1920",
		ContextExceedsModel: "(max_position_embeddings=8192.0", FreeMemoryBelowUtilization: "(59.32/79.15 GiB)",
	}
	for _, info := range Causes() {
		r := NewReader(Options{Model: "m", Engine: "vllm==0.11.0", Image: "i", GPU: "g"})
		f := &finding{rule: &rule{code: info.Code}, code: info.Code, text: words[info.Code]}
		res := Result{Cause: info.Code, Remedy: r.remedy(f)}
		l := r.lesson(f, res)
		switch why := silent[info.Code]; {
		case l == nil && why == "":
			t.Errorf("%s (%s) teaches nothing, and no reason is given", info.Code, info.Remedy)
		case l != nil && why != "":
			t.Errorf("%s teaches %+v, though it is said not to: %s", info.Code, *l, why)
		case l != nil && len(l.AddFlags)+len(l.DropFlags) == 0 && !l.Forbid && l.MinHostCUDA.IsZero() && l.MoreMemoryBytes+l.MoreDiskBytes == 0:
			t.Errorf("%s: a lesson that asks for nothing", info.Code)
		}
	}
}

// TestNoLessonForEssentials: a flag the server cannot do without is the user's to correct.
func TestNoLessonForEssentials(t *testing.T) {
	for log, want := range map[string]int{
		"api_server.py: error: argument --port: invalid int value: 'eightk'":         0,
		"api_server.py: error: argument --kv-cache-dtype: invalid choice: 'int3'":    1,
		"KeyError: 'invalid tool call parser: nope (chose from { hermes,mistral })'": 2,
	} {
		r := says(log)
		got := 0
		if r.Lesson != nil {
			got = len(r.Lesson.DropFlags)
		}
		if r.Cause != InvalidArgumentValue || got != want {
			t.Errorf("%s: %d flags to leave out, want %d (%s)", log, got, want, r.Cause)
		}
	}
}
