package diagnose

import "testing"

// TestMirrors reads logs whose line breaks became blanks, as copies of issues hold them: each record still speaks for
// itself. The texts are cut from the issues named.
func TestMirrors(t *testing.T) {
	for _, c := range []struct {
		source string
		want   Code
		log    string
	}{
		{"vllm#16199", KVCacheSmallerThanContext, "INFO 04-07 15:52:21 [model_runner.py:1146] Model loading took 17.6110 GiB and 12.273077 seconds ValueError: The model's max seq len (4096) is larger than the maximum number of tokens that can be stored in KV cache (3584)."},
		{"vllm#28104", InvalidArgumentValue, "INFO 11-04 22:14:32 [init.py:36] All plugins in this group will be loaded. usage: vllm bench serve [options] serve: error: argument --dataset-name: in..."},
		{"vllm#17893", CUDAKernelFault, "INFO 05-09 16:18:30 [engine.py:310] Added request chatcmpl-58f3. [rank1]:[E509 16:18:30.801728316 ProcessGroupNCCL.cpp:1895] Process group watchdog thread terminated with exception: CUDA error: an illegal memory access was encountered"},
		{"vllm#9156", NCCLError, "INFO vLLM is using nccl==2.20.5 ERROR NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details) Fatal Python error: Segmentation fault"},
		{"vllm#24802", WeightsNameMismatch, "Error info: ``` KeyError: 'layers.0.mlp.gate.weight' ``` The following are the relevant commands"},
		{"vllm#30855", NoKernelImage, "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device vllm serve RedHatAI/Qwen3-30B-A3B-NVFP4 (APIServer pid=731925) INFO 12-17 16:03:13 [api_server.py:1772] vLLM API server version 0.12.0"},
		{"vllm#12346", HostOOMKilled, "INFO 01-23 07:34:26 gpu_executor.py:126] Maximum concurrency for 200 tokens per request: 946.88x Killed ![Image]"},
		{"vllm#2140", CUDAOOMProfile, `print(f"Prompt: {prompt!r}, Generated text: {generated_text!r}") I get this error torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 14.00 GiB.`},
		{"vllm#25597", NCCLError, "2025-09-24T03:57:03.905662457Z vllm-0:1673:9080 [0] NCCL INFO transport/net.cc:784 -> 1 2025-09-24T03:57:04.477872270Z (EngineCore_DP4 pid=1675) ncclInternalError: Internal check failed."},
	} {
		if r := says(c.log); r.Cause != c.want {
			t.Errorf("%s: want %s, got %s (%s)", c.source, c.want, r.Cause, r.Outcome)
		}
	}
}

// TestSaidInPassing reads texts that sound like errors and end nothing.
func TestSaidInPassing(t *testing.T) {
	for _, c := range []struct {
		what string
		log  string
		want Outcome
	}{
		{"SGLang tries every model", "[2026-01-10 02:51:01 TP0] Init torch distributed begin.\n[2026-01-10 02:51:02 TP0] Ignore import error when loading sglang.srt.models.glm_ocr: No module named 'transformers.models.glm_ocr'\n[2026-01-10 02:51:02 TP0] Ignore import error when loading sglang.srt.models.midashenglm: No module named 'torchaudio'\n[2026-01-10 02:51:03 TP0] Init torch distributed ends. mem usage=0.00 GB", InProgress},
		{"vLLM 0.31 on a CPU", "Triton is installed, but `triton.backends` could not be imported. Disabling Triton.\nFailed to import the DeepSelect extension (vllm._deepselect_C): No module named 'vllm._deepselect_C'\n(APIServer pid=5) INFO 11-26 01:04:10 [api_utils.py:286] non-default args: {'port': 8163}", InProgress},
		{"an import that is told of", "Could not load the fused sampler (acme): No module named 'vllm.acme'\nINFO 11-26 01:04:10 [api_server.py:1896] vLLM API server version 0.16.0\n", InProgress},
		{"a platform probe", "(APIServer pid=5) INFO 09-27 11:31:41 [__init__.py:1815] Using max model len 8192 (APIServer pid=5) WARNING 09-27 11:31:41 [_ipex_ops.py:16] Import error msg: No module named 'intel_extension_for_pytorch'", InProgress},
		{"a retracted request", healthy + "[2025-02-03 22:28:08 TP12] Decode out of memory happened. #retracted_reqs: 3, #new_token_ratio: 0.0980 -> 1.0000\n", Ready},
		{"a download that is over", "(EngineCore pid=2) INFO 06-18 09:26:05 [weight_utils.py:603] Time spent downloading weights for Qwen/Qwen3-8B: 576.1 seconds\n" + healthy, Ready},
		{"a server's answer", "(APIServer pid=1) INFO:     172.17.0.1:41926 - \"GET /metrics HTTP/1.1\" 200 OK\n", Ready},
		{"an orderly end", healthy + "(APIServer pid=10) INFO 10-01 22:39:20 [launcher.py:101] Shutting down FastAPI HTTP server.\n(APIServer pid=10) INFO:     Shutting down\n(APIServer pid=10) INFO:     Application shutdown complete.\n", Stopped},
	} {
		if r := says(c.log); r.Outcome != c.want {
			t.Errorf("%s: want %s, got %s (%s, %v)", c.what, c.want, r.Outcome, r.Cause, r.Evidence)
		}
	}
}

// TestNoCauseOfItsOwn holds back causes where the text only resembles one.
func TestNoCauseOfItsOwn(t *testing.T) {
	for _, log := range []string{
		"Extension modules: numpy.core._multiarray_umath, numpy.linalg._umath_linalg, numpy.fft._pocketfft_internal",
		"    result = pickle.loads(returned.stdout)\n_pickle.UnpicklingError: invalid load key, 'W'.",
		"pydantic_core.ValidationError: 1 validation error for ChatCompletion\nchoices.0.finish_reason\n  Input should be 'stop', 'length' or 'tool_calls' [type=literal_error]",
		"[serving_chat.py:1001] openai_harmony.HarmonyError: Unexpected token 12606 while expecting start token 200006",
		"raise APITimeoutError(request=request) from err openai.APITimeoutError: Request timed out. Installed with pip install vllm.",
		"RuntimeError: view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces).",
		"AssertionError: res=<Response [503]>\nKilled",
		"AssertionError: gpu_block_size=64 not divisible by hash_block_size=256.",
	} {
		if r := says(log); r.Cause != CauseUnknown {
			t.Errorf("want unknown, got %s for:\n%s", r.Cause, log)
		}
	}
}

// TestRemedyKinds chooses by what releases are known to have and by the figures in the message.
func TestRemedyKinds(t *testing.T) {
	for _, c := range []struct {
		want RemedyKind
		log  string
	}{
		{NewerEngine, "vllm: error: unrecognized arguments: --all2all-backend deepep_low_latency"},
		{ChangeFlag, "vllm: error: unrecognized arguments: --task embedding"},
		{ChangeFlag, "api_server.py: error: unrecognized arguments: --max-context"},
		{NewerTransformers, "ValueError: The checkpoint you are trying to load has model type `gemma4` but Transformers does not recognize this architecture."},
		{ModelBug, "ValueError: The checkpoint you are trying to load has model type `multi_modality` but Transformers does not recognize this architecture."},
		{NewerEngine, "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device"},
		{OtherGPUCapability, "RuntimeError: CUDA error: no kernel image is available for execution on the device"},
		{UserAction, "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:219, unhandled system error (run with NCCL_DEBUG=INFO for details)"},
		{PinDependency, "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:219, invalid argument, NCCL version 2.14.3"},
		{OtherImage, "/bin/sh: 1: vllm: not found"},
		{UserAction, `OCI runtime create failed: runc create failed: unable to start container process: exec: "--model": executable file not found in $PATH: unknown`},
	} {
		if r := says(c.log); r.Remedy == nil || r.Remedy.Kind != c.want {
			t.Errorf("want %s, got %v (%s) for:\n%s", c.want, r.Remedy, r.Cause, c.log)
		}
	}
}
