package diagnose

import "testing"

// TestSettings reads checks of vLLM 0.32's configuration, each in the form in which it is printed.
func TestSettings(t *testing.T) {
	pydantic := func(message string) string {
		return "pydantic_core._pydantic_core.ValidationError: 1 validation error for ParallelConfig\n  Value error, " + message + " [type=value_error, input_value=ArgsKwargs((), {'model_co...}), input_type=ArgsKwargs]\n    For further information visit https://errors.pydantic.dev/2.14/v/value_error"
	}
	raised := func(file, message string) string {
		return "Traceback (most recent call last):\n  File \"/x/vllm/entrypoints/openai/api_server.py\", line 59, in <module>\n    main()\n  File \"/x/vllm/" + file + "\", line 482, in check\n    raise ValueError(\nValueError: " + message
	}
	for _, c := range []struct {
		want Code
		log  string
	}{
		{InvalidConfigCombination, pydantic("numa_bind_nodes and numa_bind_cpus require numa_bind=True.")},
		{InvalidConfigCombination, pydantic("Elastic EP is not supported with pipeline parallelism (pipeline_parallel_size=2).")},
		{InvalidConfigCombination, pydantic("max_cpu_loras (1) must be >= max_loras (4).")},
		{InvalidConfigCombination, pydantic("HiSparse does not support pipeline parallelism.")},
		{InvalidConfigCombination, pydantic("This model does not support `--runner pooling`. You can pass `--convert embed` to adapt it into a pooling model.")},
		{InvalidConfigCombination, pydantic("Model Runner V2 does not yet support: ngram speculative decoding")},
		{InvalidConfigCombination, "ValueError: speculative_draft_tensor_parallel_size=4 cannot be other value than 1"}, // vllm#10483, no frame
		{InvalidArgumentValue, pydantic("max_model_len must be a positive integer, got 0.")},
		{InvalidArgumentValue, pydantic("Unknown dtype: float8")},
		{InvalidArgumentValue, pydantic("Unrecognized distributed executor backend warp. Supported values are 'ray', 'mp' 'uni', 'external_launcher'.")},
		{InvalidArgumentValue, pydantic("Unsupported kv_role: both. Supported roles are kv_producer, kv_consumer, kv_both")},
		{InvalidConfigCombination, raised("entrypoints/launchers/cli_args.py", "Error: --enable-per-request-metrics requires engine statistics logging; remove --disable-log-stats to enable per-request metrics.")},
		{InvalidArgumentValue, raised("engine/arg_utils.py", "--device-ids must not contain duplicates: 0,0")},
		{InvalidArgumentValue, "KeyError: \"Reasoning parser 'nope' not found. Available parsers: deepseek_r1, qwen3\""},
		{InvalidArgumentValue, "(EngineCore pid=2) ERROR 11-25 10:00:00 [core.py:1510] ValueError: Load format `floppy` is not supported"},
		{InvalidArgumentValue, "ValueError: VLLM_PORT 'tcp://10.0.0.1:8000' appears to be a URI. This may be caused by a Kubernetes service discovery issue"},
		{TPSizeIndivisible, pydantic("Total number of attention heads (9) must be divisible by tensor parallel size (2).")},
		{UnknownQuantization, pydantic("Unknown quantization method: q9. Must be one of ['awq', 'fp8'].")},
		{ArchNotSupported, pydantic("Model architectures ['NanoTeapotForCausalLM'] are not supported for now. Supported architectures: dict_keys(['LlamaForCausalLM'])")},

		// What is said elsewhere, or is about no setting.
		{CauseUnknown, pydantic("Expecting value: line 1 column 1 (char 0)")},
		{CauseUnknown, pydantic("rope_scaling should have a 'rope_type' key")},
		{CauseUnknown, raised("model_executor/models/llama.py", "num_heads must be divisible by what no flag says")},
		{CauseUnknown, "ValueError: some_value=4 cannot be other value than 1"},
		{CauseUnknown, raised("v1/worker/gpu_worker.py", "some_value must not be negative")},
	} {
		if r := says(c.log); r.Cause != c.want {
			t.Errorf("want %s, got %s (%s) for\n%s", c.want, r.Cause, r.Outcome, c.log)
		}
	}
}
