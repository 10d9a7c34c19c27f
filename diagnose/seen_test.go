package diagnose

import (
	"strings"
	"testing"
)

// spoken is a text of a program and the cause it names.
type spoken struct {
	source string
	want   Code
	log    string
}

// seenElsewhere are texts of public threads, of tools run by hand and of a real engine, none of which the first rules
// were written from.
var seenElsewhere = []spoken{
	{"hf 1.x, gated", GatedRepo, "\x1b[31mError: Access denied. Model 'meta-llama/Llama-3.2-1B' requires approval.\x1b[0m"},
	{"hf 1.x, no such name", RepoNotFound, "Error: Model 'meta-llama/Llama-9' not found.\nIf the repo is private, make sure you are authenticated and your token has the required permissions."},
	{"hf 1.x, token refused", HFUnauthorized, "Error: Client error '401 Unauthorized' for url 'https://huggingface.co/meta-llama/Llama-3.2-1B/resolve/main/config.json'\n\nInvalid credentials in Authorization header"},
	{"hf 1.x, limited", HFRateLimited, "HTTP Error 429 thrown while requesting HEAD https://huggingface.co/openai/gpt-oss-20b/resolve/main/config.json\nRetrying in 8s [Retry 5/5].\nError: Local entry not found. 429 Too Many Requests for url: https://huggingface.co/openai/gpt-oss-20b/resolve/main/config.json."},
	{"hf 1.x, no network", HFUnreachable, "Error: Local entry not found. [Errno -2] Name or service not known"},
	{"xet-core#444", HFXetError, "RuntimeError: Data processing error: CAS service error : IO Error: Timer expired"},
	{"uv 0.13, no index", PipDownloadTimeout, "error: Request failed after 3 retries in 6.9s\n  cause: Failed to fetch: http://127.0.0.1:9/simple/requests/\n  cause: tcp connect error"},
	{"uv 0.13, a warning before", PipResolutionConflict, "warning: A managed Python download is available for Python 3.12, but an error occurred when attempting to download it.\n  cause: Request failed after 3 retries in 8.0s\nerror: No solution found when resolving dependencies\n  cause: Because vllm==0.10.1 depends on torch==2.7.1 and you require vllm==0.10.1, we can conclude that you require torch==2.7.1.\n         And because you require torch==2.4.0, we can conclude that your requirements are unsatisfiable."},
	{"pip, no index", PipDownloadTimeout, "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...): Connection refused': /simple/requests/\nERROR: Could not find a version that satisfies the requirement requests (from versions: none)\nERROR: No matching distribution found for requests"},
	{"pip, another Python", PythonVersionUnsupported, "ERROR: Ignored the following versions that require a different python version: 3.4 Requires-Python >=3.10; 3.5 Requires-Python >=3.11\nERROR: Could not find a version that satisfies the requirement networkx==3.5 (from versions: 1.9, 1.11)\nERROR: No matching distribution found for networkx==3.5"},
	{"pip, a version nobody made", PipNoMatchingDistribution, "ERROR: Ignored the following versions that require a different python version: 3.4 Requires-Python >=3.10\nERROR: Could not find a version that satisfies the requirement networkx==9.9 (from versions: 1.9, 1.11)\nERROR: No matching distribution found for networkx==9.9"},
	{"bash, line ends of Windows", ExecNotFound, "run.sh: line 3: ./start.sh: cannot execute: required file not found"},
	{"runpod/docs#331", ExecNotFound, "    self.process = subprocess.Popen(cmd)\n  File \"/usr/lib/python3.10/subprocess.py\", line 1863, in _execute_child\n    raise child_exception_type(errno_num, err_msg, err_filename)\nFileNotFoundError: [Errno 2] No such file or directory: 'python'"},
	{"Qwen3-VL#2078", NumpyABI, "    self.engine_core = EngineCoreClient.make_client(\nRuntimeError: Numpy is not available"},
	{"sglang#6160", AttentionPackageMismatch, "Exception: flashinfer_python with minimum required version 0.2.5 is not installed. Please uninstall the old version and reinstall the latest version"},
	{"vllm-rbln#1000", NoKVCacheBlocks, "RuntimeError: SYS_EBUSY: Lack of device memory. (code: -16)\nNot enough memory for 24 blocks of KV cache."},
	{"vllm#19656", KernelCompileFailed, "Inductor codegen: fatal error: stddef.h: No such file or directory"},
	{"llm-compressor#54", TPQuantGroupIndivisible, "RuntimeError: prob_m = 59136 is not divisible by thread_m = 512"},
	{"stable-virtual-camera#23", HFUnreachable, "host='huggingface.co', port=443，[SSL: CERTIFICATE_VERIFY_FAILED]"},
	{"ramalama#801", ImageManifestUnknown, "Error: choosing an image from manifest list docker://quay.io/modh/vllm: no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\""},
	{"Neuro#36", MissingPythonModule, "ImportError: Using `bitsandbytes` 8-bit quantization requires Accelerate: `pip install accelerate`"},
	{"vllm#596", TPSizeIndivisible, "ValueError: The number of GPUs per node is not divisible by the number of tensor parallelism."},
	{"gpustack#1079, a traceback beside the message", MissingPythonModule, `{"level": "ERROR", "message": "Engine failed.", "exc_info": "Traceback (most recent call last):\n  File \"/x/bitsandbytes.py\", line 157, in __init__\n    import bitsandbytes\nModuleNotFoundError: No module named 'bitsandbytes'"}`},
	{"sglang#22511", EngineHangTimeout, "[2026-04-10 05:49:34] Health check failed. Server couldn't get a response from detokenizer for last 20 seconds. tic start time: 05:49:14"},
	{"vllm#29737", NVMLDriverMismatch, "NVRM: API mismatch: the client has the version 515.48.07, but\nNVRM: this kernel module has the version 510.73.05."},
	{"dflash#93", PipDownloadTimeout, "  × Failed to download and build `vllm`\n  ├─▶ No solution found when resolving: `cmake`, `torch==2.11.0`\n  ├─▶ Request failed after 3 retries in 30.8s\n  ╰─▶ tls handshake eof"},
	{"coreutils env", ExecNotFound, "env: ‘vllmm’: No such file or directory"},
	{"kubelet events", ImageRegistryUnreachable, "Warning  Failed     101s (x3 over 2m57s)  kubelet  Failed to pull image \"nginx\": rpc error: code = Unknown desc = Error response from daemon: Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)\nNormal  BackOff  62s (x5 over 2m56s)  kubelet  Back-off pulling image \"nginx\""},
	{"sglang#1693", CollectiveTimeout, "terminate called after throwing an instance of 'c10::DistBackendError'\n  what():  [PG 3 Rank 5] Process group watchdog thread terminated with exception: [Rank 5] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=9141, OpType=_ALLGATHER_BASE, Timeout(ms)=600000) ran for 600020 milliseconds before timing out."},
	{"sglang#1093", CollectiveTimeout, "Exception raised from checkTimeout at ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:609 (most recent call first):\nframe #1: c10d::ProcessGroupNCCL::WorkNCCL::checkTimeout(std::optional<std::chrono::duration<long, std::ratio<1l, 1000l> > >) + 0x1d2"},
	{"lmm-r1#71", HostOOMKilled, "95410   13.86   ray::LLMRayActor\nRefer to the documentation on how to address the out of memory issue: https://docs.ray.io/en/latest/ray-core/scheduling/ray-oom-prevention.html. Consider provisioning more memory on this node"},
	{"vllm#12670", RayNotEnoughGPUs, "(autoscaler +13s) Error: No available node types can fulfill resource request {'node:10.0.0.1': 0.001, 'GPU': 1.0}. Add suitable node types to this cluster to resolve this issue."},
	{"vllm#30061", RayNotEnoughGPUs, "  Value error, Tensor parallel size (2) cannot be larger than the number of available GPUs (1)."},
	{"sglang#5705", KernelCompileFailed, "kernels.py:606:42: error: Unsupported conversion from 'f8E4M3FN' to 'f16'\nkernels.py:606:42: error: failed to legalize operation 'tt.fp_to_fp' that was explicitly marked illegal"},
	{"vllm#12581", QuantUnsupportedGPU, "AssertionError: fp8e4nv data type is not supported on CUDA arch < 89"},
	{"vllm#4416", MissingConfig, "> tokenizer_config.json > tokenizer.json > training_args.bin it caused error: > does not appear to have a file named config.json The vllm codes:"},
	{"vllm#34099", TokenizerLoadFailed, "(APIServer pid=19) ValueError: No valid tokenizer file found in the repo REPO_ID"},
	{"vllm#12577", TorchABIMismatch, "WARNING 01-30 20:57:18 _custom_ops.py:14] Failed to import from vllm._C with ImportError('/x/vllm/_C.abi3.so: undefined symbol: _ZNK3c1011StorageImpl27throw_data_ptr_access_errorEv')\nImportError: cannot import name '__version_tuple__' from 'vllm' (/x/vllm/__init__.py)"},
	{"vllm#24523", InvalidConfigCombination, "pydantic_core._pydantic_core.ValidationError: 1 validation error for ParallelConfig\n  Value error, num_redundant_experts should be used with EPLB.16. [type=value_error, input_value=ArgsKwargs(()), input_type=ArgsKwargs]"},
	{"vllm#217", InvalidArgumentValue, "INFO:     Application startup complete.\nERROR:    [Errno 99] error while attempting to bind on address ('::1', 8000, 0, 0): cannot assign requested address\nINFO:     Waiting for application shutdown.\nINFO:     Application shutdown complete."},
	{"vllm#33229", ArchNotSupported, "ValueError: GGUF model with architecture minimax-m2 is not supported yet."},
	{"vllm#15972", MissingPythonModule, "ImportError: Xformers is required for Pixtral inference with the Mistral format"},
	{"vllm#14372", WorkerSegfault, "ERROR 03-06 08:47:40 multiproc_worker_utils.py:120] Worker VllmWorkerProcess pid 14538 died, exit code: -11"},
	{"vllm#13067", CUDAOOMRuntime, "INFO:     10.0.0.2:41234 - \"POST /v1/chat/completions HTTP/1.1\" 500 Internal Server Error\nERROR 02-10 18:06:30 engine.py:139] OutOfMemoryError('CUDA out of memory. Tried to allocate 1.27 GiB. GPU 0 has a total capacity of 79.33 GiB of which 109.81 MiB is free.')"},
	{"sglang#1030", CUDAOOMRuntime, "  File \"/x/site-packages/sglang/srt/models/llama2.py\", line 281, in forward\n    return forward_call(*args, **kwargs)\n  File \"/x/torch/nn/modules/module.py\", line 1541, in _call_impl\ntorch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 764.00 MiB. GPU 0"},
	{"vllm#2391", HostOOMKilled, "RuntimeError: unable to mmap 18329065000 bytes from file <model.safetensors>: Cannot allocate memory (12)"},
	{"vllm#4315", UnknownModelType, "  File \"/x/transformers/models/auto/configuration_auto.py\", line 1155, in from_pretrained\n    config_class = CONFIG_MAPPING[config_dict[\"model_type\"]]\n    raise KeyError(ke..."},
	{"vllm#9340", MissingPythonModule, "ValueError: OpenTelemetry is not available. Unable to configure 'otlp_traces_endpoint'. Ensure OpenTelemetry packages are installed."},
	{"text-generation-inference#1451", InvalidArgumentValue, "error: invalid value 'True' for '--disable-custom-kernels'\n  [possible values: true, false]"},
	{"text-generation-inference#1627", IllegalInstruction, "2024-03-06T17:53:31Z ERROR shard-manager: text_generation_launcher: Shard process was signaled to shutdown with signal 4 rank=0\nError: ShardCannotStart"},
	{"llama.cpp, device memory", CUDAOOMLoad, "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 16384.00 MiB on device 0: cudaMalloc failed: out of memory\nllama_model_load: error loading model: unable to allocate CUDA0 buffer\nllama_model_load_from_file_impl: failed to load model"},
	{"llama.cpp, a pointer of Git LFS", SafetensorsCorrupt, "gguf_init_from_file_impl: invalid magic characters: 'vers', expected 'GGUF'\nllama_model_load: error loading model: llama_model_loader: failed to load model from /models/q.gguf"},
	{"llama.cpp, nothing more", GenericWrapperOnly, "llama_model_load_from_file_impl: failed to load model\nmain: exiting due to model loading error"},
	{"ollama, host memory", HostOOMKilled, "Error: model requires more system memory (8.4 GiB) than is available (5.2 GiB)"},
	{"kubectl describe", HostOOMKilled, "    State:          Waiting\n      Reason:       CrashLoopBackOff\n    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137"},
	{"vLLM's model config", TrustRemoteCodeRequired, "RuntimeError: Failed to load the model config. If the model is a custom model not yet available in the HuggingFace transformers library, consider setting `trust_remote_code=True` in LLM or using the `--trust-remote-code` flag in the CLI."},
	{"vLLM 0.32 on a CPU, adapter", InvalidModelPath, "(EngineCore pid=8337) ERROR 11-25 20:47:53 [core.py:1750] RuntimeError: Worker failed with error 'Loading lora sql failed: No adapter found for /adapters/sql', please check the stack trace above for the root cause"},
	{"vLLM 0.32 on a CPU, no LoRA", InvalidConfigCombination, "(Worker pid=18947) ERROR 11-25 20:51:51 [multiproc_executor.py:1063] RuntimeError: LoRA is not enabled. Use --enable-lora to enable LoRA."},
	{"vLLM 0.32 on a CPU, block size", InvalidArgumentValue, "(Worker pid=27688) ERROR 11-25 21:03:09 [multiproc_executor.py:1063] ValueError: No common block size for 7 (CPU_ATTN: [MultipleOf(32)])."},
	{"vllm#10024", GenericWrapperOnly, "ERROR 11-05 12:03:00 client.py:250] RuntimeError: Engine loop has died\nINFO 11-05 12:03:01 metrics.py:349] Avg prompt throughput: 6.5 tokens/s, Avg generation throughput: 0.0 tokens/s\nINFO: 10.12.17.5:58280 - \"POST /v1/chat/completions HTTP/1.1\" 200 OK"},
}

func TestSeenElsewhere(t *testing.T) {
	for _, c := range seenElsewhere {
		if r := says(c.log); r.Cause != c.want {
			t.Errorf("%s: want %s, got %s (%s, %v)", c.source, c.want, r.Cause, r.Outcome, r.Evidence)
		}
	}
}

// TestGoesOn reads what went wrong once and then went on.
func TestGoesOn(t *testing.T) {
	for _, c := range []struct {
		what string
		log  string
		want Outcome
	}{
		{"an image pulled at the fourth try", "Warning  Failed  kubelet  Failed to pull image \"nginx\": Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection\nWarning  Failed  kubelet  Error: ImagePullBackOff\nNormal  Pulled  kubelet  Successfully pulled image \"nginx\" in 24.3s\nNormal  Created  kubelet  Created container nginx\nNormal  Started  kubelet  Started container nginx", InProgress},
		{"a probe asked too early", "Normal   Pulled     38s  kubelet  Container image \"vllm/vllm-openai:v0.11.0\" already present on machine\nNormal   Started    37s  kubelet  Started container vllm\nWarning  Unhealthy  5s (x3 over 25s)  kubelet  Startup probe failed: Get \"http://10.2.0.9:8000/health\": dial tcp 10.2.0.9:8000: connect: connection refused", InProgress},
		{"warnings of a log that states no level", "Address already in use. Retrying with a new port.\nMarlin requires thread-tile padding for some weight shapes in this model.\nNo adapter found for task retrieval in adapters. Loading raw base weights.\nINFO 11-26 01:04:10 [api_server.py:1896] vLLM API server version 0.16.0", InProgress},
		{"a machine found at the second try", "create pod: There are no instances currently available\ncreate pod network\nv0.11.0 Pulling from vllm/vllm-openai\nb1c1a11f: Pull complete", InProgress},
		{"one retry of the hub's client", "(APIServer pid=5) INFO 09-27 11:31:41 [model.py:54] Resolved architecture: LlamaForCausalLM\nHTTP Error 503 thrown while requesting HEAD https://huggingface.co/openai/gpt-oss-20b/resolve/main/config.json\nRetrying in 1s [Retry 1/5].", InProgress},
		{"one package by uv", "Resolved 1 package in 341ms\nPrepared 1 package in 9ms\nInstalled 1 package in 3ms\n + einops==0.8.0", InProgress},
		{"stopped while it started", strings.Join(strings.SplitAfter(healthy, "\n")[:6], "") + "(EngineCore pid=20) INFO 11-25 10:00:25 [core.py:1454] [shutdown] EngineCore: trigger received signal=SIGTERM\n", Stopped},
		{"ended by itself while it started", strings.Join(strings.SplitAfter(healthy, "\n")[:6], "") + "(EngineCore pid=20) ERROR 11-25 10:00:24 [core.py:1750] RuntimeError: Worker failed with error 'what nobody knows'\n(EngineCore pid=20) INFO 11-25 10:00:25 [core.py:1454] [shutdown] EngineCore: trigger received signal=SIGTERM\n", Failure},
		{"another server's ready", `{"timestamp":"2024-06-05T01:56:48.120Z","level":"INFO","message":"Connected","target":"text_generation_router::server","filename":"router/src/server.rs"}`, Ready},
	} {
		if r := says(c.log); r.Outcome != c.want {
			t.Errorf("%s: want %s, got %s (%s, %v)", c.what, c.want, r.Outcome, r.Cause, r.Evidence)
		}
	}
}

// TestEndsInAnError: a log that ends in an error no rule knows is not still starting, in many lines or in one.
func TestEndsInAnError(t *testing.T) {
	starting := strings.Join(strings.SplitAfter(healthy, "\n")[:5], "")
	for _, end := range []string{
		"Traceback (most recent call last):\n  File \"/usr/local/bin/vllm\", line 10, in <module>\n",
		"[rank0]:   File \"/x/vllm/engine/llm_engine.py\", line 477, in from_vllm_config\n",
		"(EngineCore pid=586017) ERROR 05-03 18:53:34 [core.py:1120]\n",
		"SomethingError: RuntimeError: what nobody knows\n",
	} {
		for _, log := range []string{starting + end, strings.ReplaceAll(starting+end, "\n", " ")} {
			if r := says(log); r.Outcome != Unknown {
				t.Errorf("%s %s for\n%s", r.Outcome, r.Cause, log)
			}
		}
	}
}

// TestEveryDisguise gives each cause's text in each form in which logs arrive: as a file, through Docker, Kubernetes,
// systemd's journal, syslog, a collector that calls everything "info".
func TestEveryDisguise(t *testing.T) {
	forms := map[string]func(string) string{
		"TorchServe": func(l string) string {
			return "2024-11-18T16:43:45,498 [INFO ] W-9000-model_1.0-stdout MODEL_LOG - " + l
		},
		"Google's console": func(l string) string {
			return "INFO 2025-11-19T20:16:36.096625454Z [resource.labels.containerName: vllm] " + l
		},
		"journald":       func(l string) string { return "Nov 25 10:00:00 gpu-host-1 docker[12345]: " + l },
		"unit":           func(l string) string { return "Nov 25 10:00:00 gpu01 vllm-serve.sh[987]: " + l },
		"syslog":         func(l string) string { return "<30>1 2026-11-25T10:00:00.123Z host vllm 4321 - - " + l },
		"kubectl prefix": func(l string) string { return "[pod/vllm-7f9c-abcde/vllm] 2026-11-25T10:00:00.123456789Z " + l },
		"timestamps":     func(l string) string { return "2026-11-25T10:00:00.123456789Z " + l },
		"collector": func(l string) string {
			return "{\"kubernetes\":{\"pod\":\"x\"},\"stream\":\"stderr\",\"message\":" + quoted(l) + "}"
		},
		"all is info": func(l string) string { return "{\"level\":\"info\",\"ts\":1,\"msg\":" + quoted(l) + "}" },
		"indented":    func(l string) string { return "    " + l },
		"quoted":      func(l string) string { return "> " + l },
	}
	logs := []string{sample, healthy}
	for _, c := range seenElsewhere {
		logs = append(logs, c.log)
	}
	for _, log := range logs {
		want := says(log)
		for name, f := range forms {
			var b strings.Builder
			for l := range strings.Lines(log) {
				b.WriteString(f(strings.TrimSuffix(l, "\n")) + "\n")
			}
			r := says(b.String())
			if name == "all is info" && log != sample && log != healthy && (r.Cause == CauseUnknown || r.Cause == GenericWrapperOnly) {
				continue // what states no level of its own is not believed at "info"
			}
			if r.Cause != want.Cause || r.Outcome != want.Outcome {
				t.Errorf("%s: %s %s instead of %s %s\n%s", name, r.Outcome, r.Cause, want.Outcome, want.Cause, b.String())
			}
		}
	}
}

// quoted is s as a JSON string, as Docker's driver writes it.
func quoted(s string) string {
	return "\"" + strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\x1b", "\\u001b", "<", "\\u003c", ">", "\\u003e").Replace(s) + "\""
}

// TestRaisedAfterReady: what vLLM's core raises ends a server, unless it answers a call or the server goes on.
func TestRaisedAfterReady(t *testing.T) {
	const ready, error500 = "INFO:     Application startup complete.\n", "INFO:     127.0.0.1:55110 - \"POST /v1/completions HTTP/1.1\" 500 Internal Server Error\n"
	const raised = "ERROR 06-26 00:04:52 [core.py:517] RuntimeError: Worker failed with error 'size_k must divisible by BLOCK_SIZE_K', please check the stack trace above for the root cause\n"
	for _, c := range []struct {
		log  string
		want Outcome
	}{
		{ready + raised + error500, Failure},
		{ready + raised + "INFO:     127.0.0.1:55110 - \"POST /v1/completions HTTP/1.1\" 200 OK\n", Ready},
		{ready + "ERROR 06-26 00:04:52 [core.py:510] Invocation of add_lora method failed\n" + raised + error500, Ready},
	} {
		if r := says(c.log); r.Outcome != c.want {
			t.Errorf("want %s, got %s (%s) for\n%s", c.want, r.Outcome, r.Cause, c.log)
		}
	}
}

// TestAskedFirst: vLLM 0.7 asks the hub for the files of a path, says so as an error, and goes on from the folder.
func TestAskedFirst(t *testing.T) {
	const asked = "ERROR 02-14 07:06:48 config.py:102] Error retrieving file list: Repo id must use alphanumeric chars or '-', '_', '.', max length is 96: './opt-125m', retrying 1 of 2\n"
	const refused = "ValueError: Invalid repository ID or local directory specified: './opt-125m'.\n"
	for _, c := range []struct {
		log  string
		want Code
	}{
		{asked, CauseUnknown},
		{asked + "INFO 02-14 07:06:58 config.py:542] This model supports multiple tasks: {'generate'}. Defaulting to 'generate'.\n", CauseInProgress},
		{asked + refused, InvalidModelPath},
	} {
		if r := says("INFO 02-14 07:06:47 __init__.py:190] Automatically detected platform cuda.\n" + c.log); r.Cause != c.want {
			t.Errorf("want %s, got %s (%s) for\n%s", c.want, r.Cause, r.Outcome, c.log)
		}
	}
}

// TestWarningThenOn: what NumPy minds about a module is no failure once the engine speaks.
func TestWarningThenOn(t *testing.T) {
	const minds = "A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.1.3 as it may crash.\nAttributeError: _ARRAY_API not found\n"
	if r := says(minds); r.Cause != NumpyABI {
		t.Errorf("alone: %s", r.Cause)
	}
	if r := says(minds + "INFO 03-01 10:00:11 [__init__.py:256] Automatically detected platform cuda.\n"); r.Outcome != InProgress {
		t.Errorf("before an engine: %s %s", r.Outcome, r.Cause)
	}
}
