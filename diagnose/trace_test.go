package diagnose

import (
	"strings"
	"testing"
)

// started is how a start of vLLM 0.32 begins.
const started = "(APIServer pid=7) INFO 11-25 22:49:26 [api_utils.py:347]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.32.0\n" +
	"(APIServer pid=7) INFO 11-25 22:49:26 [model.py:2152] Using max model len 1024\n"

// uncaught begins a traceback that ends the program.
const uncaught = "Traceback (most recent call last):\n  File \"<frozen runpy>\", line 198, in _run_module_as_main\n"

// TestTracedErrors reads errors that only the functions above them explain, as the engine on a CPU raised them.
func TestTracedErrors(t *testing.T) {
	const (
		header = "  File \"/venv/vllm/transformers_utils/utils.py\", line 113, in parse_safetensors_file_metadata\n"
		shards = "(Worker pid=8) INFO 11-25 22:49:30 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: tensor_parallel_size=1, pipeline_parallel_size=1\n"
		worker = "(Worker pid=8) ERROR 11-25 22:49:31 [multiproc_executor.py:953] "
		tooBig = worker + "RuntimeError: start (0) + length (1600) exceeds dimension size (1536).\n"
	)
	for _, c := range []struct {
		what string
		log  string
		want Code
	}{
		{"a pointer instead of weights", started + uncaught + header + "MemoryError\n", SafetensorsCorrupt},
		{"an empty file", started + uncaught + header + "struct.error: unpack requires a buffer of 8 bytes\n", SafetensorsCorrupt},
		{"noise", started + uncaught + header + "OverflowError: cannot fit 'int' into an index-sized integer\n", SafetensorsCorrupt},
		{"memory that ran out elsewhere", started + uncaught + "  File \"/venv/x.py\", line 3, in f\nMemoryError\n", CauseUnknown},
		{"a broken index", started + worker + "  File \"/venv/vllm/weight_utils.py\", line 597, in filter_duplicate_safetensors_files\n" + worker + "json.decoder.JSONDecodeError: Expecting value: line 1 column 13 (char 12)\n", SafetensorsCorrupt},
		{"a broken tokenizer", started + uncaught + "  File \"/venv/transformers/tokenization_utils_base.py\", line 1909, in _from_pretrained\njson.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n", TokenizerLoadFailed},
		{"a name to listen on", started + uncaught + "  File \"/venv/vllm/launcher.py\", line 348, in create_server_socket\n    sock.bind(addr)\nsocket.gaierror: [Errno -2] Name or service not known\n", InvalidArgumentValue},
		{"a method without its settings", started + uncaught + "  File \"/venv/vllm/weight_utils.py\", line 363, in get_quant_config\nTypeError: CompressedTensorsConfig.__init__() missing 3 required positional arguments: 'ignore'\n", QuantConfigMissing},
		{"a dangling link", started + worker + "FileNotFoundError: [Errno 2] No such file or directory: '/models/m/model.safetensors'\n", WeightsMissing},
		{"a folder that is not there", started + uncaught + "FileNotFoundError: [Errno 2] No such file or directory: '/models/m/config.json'\n", InvalidModelPath},
		{"an unknown backend", started + uncaught + "ValueError: Unknown attention backend: 'WARP'. Valid options are: FLASH_ATTN, TRITON_ATTN\n", InvalidArgumentValue},
		{"a shape on one card", started + shards + tooBig, WeightsNameMismatch},
		{"a shape on two", started + strings.ReplaceAll(shards, "tensor_parallel_size=1", "tensor_parallel_size=2") + tooBig, TPQuantGroupIndivisible},
	} {
		if r := says(c.log); r.Cause != c.want || c.want != CauseUnknown && r.Outcome != Failure {
			t.Errorf("%s: want %s, got %s (%s)", c.what, c.want, r.Cause, r.Outcome)
		}
	}
}

// TestUncaught tells an error that ended the program from one that somebody may have caught.
func TestUncaught(t *testing.T) {
	const odd = "KeyError: 'no rule knows this'\n"
	many := strings.Repeat("(APIServer pid=7) ERROR 11-25 22:49:27 [repo_utils.py:126] ValueError: once more\n", 2*maxOdd)
	for _, c := range []struct {
		what string
		log  string
		want Outcome
	}{
		{"nobody caught it", started + uncaught + odd, Failure},
		{"nor after many that were caught", started + many + uncaught + odd, Failure},
		{"the program's text", started + "(APIServer pid=7) Traceback (most recent call last):\n(APIServer pid=7)   File \"/venv/bin/vllm\", line 8, in <module>\n" + odd, Failure},
		{"cut before the error", started + uncaught, Unknown},
		{"printed by a function", started + "Traceback (most recent call last):\n  File \"/venv/x.py\", line 3, in f\n" + odd, Unknown},
		{"another process", started + "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n" + odd, Unknown},
		{"the start goes on", started + uncaught + odd + "(EngineCore pid=8) INFO 11-25 22:49:30 [core.py:133] Initializing a V1 LLM engine (v0.32.0)\n", InProgress},
		{"the hub is asked again", started + "HTTP Error 429 thrown while requesting HEAD https://huggingface.co/a/b/resolve/main/config.json\nRate limited. Waiting 2.0s before retry [Retry 1/5].\n", InProgress},
	} {
		if r := says(c.log); r.Outcome != c.want {
			t.Errorf("%s: want %s, got %s (%s)", c.what, c.want, r.Outcome, r.Cause)
		}
	}
}
