package cli

import (
	"strings"
	"testing"
)

// What a newcomer states and cannot be is told apart from what works, with the exit status and the words for it.
func TestStatedWrong(t *testing.T) {
	t.Parallel()
	const m = "openai/gpt-oss-20b"
	tests := []struct {
		line   string
		status int
		says   string // in what is printed
	}{
		{"check " + m + " --driver 550 --host-cuda 13.0", 2, "driver 550 offers CUDA 12.4"},
		{"why-not " + m + " L4 --driver 550 --host-cuda 13.0", 2, "driver 550 offers CUDA 12.4"},
		{"plan " + m + " --driver 550 --host-cuda 13.0", 2, "driver 550 offers CUDA 12.4"},
		{"check " + m + " --driver 580 --host-cuda 12.8", 0, "works"},
		{"check " + m + " --torch 2.1", 3, "torch_abi_mismatch"},
		{"fit " + m + " --gpu L40S --json -- --max-model-len 131073", 3, "131073 tokens are more than the 131072"},
		{"fit " + m + " --gpu L40S --json -- --max-model-len 131073", 3, `"fits": false`},
		{"fit " + m + " -- --max-model-len 131073", 3, "does not fit: 131073 tokens"},
		{"fit " + m + " --gpu L40S --context 131073", 3, "131073 tokens are more than the 131072"},
		{"fit " + m + " --gpu L40S -- --max-model-len 131072", 0, "fits"},
		{"fit " + m + " --gpu L40S -- VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 --max-model-len 131073", 0, "fits"},
		{"fit " + m + " --gpu L40S -- --kv-cache-dtype banana", 3, "banana"},
		{"fit " + m + " --gpu L40S -- --kv-cache-dtype fp8", 0, "fits"},
		{"plan " + m + " --engine-version 99", 3, "no release of vllm that was read is 99; the newest is 0."},
		{"plan " + m + " --engine-version 99", 3, "justright catalog refresh"},
		{"plan " + m + " --engine vllm>=99", 3, "no release of vllm that was read is >=99"},
		{"plan " + m + " --engine sglang==99", 3, "no release of sglang that was read is 99"},
		{"plan " + m + " --engine-version 0.5.0", 3, "does not know GptOssForCausalLM"},
		{"why-not " + m + " driver 418", 3, "driver_cuda_major"},
		{"why-not " + m + " driver 535", 0, "serves it"},
		{"why-not " + m + " NVIDIA driver 535.104.05", 0, "serves it"},
		{"why-not " + m + " python3.8", 3, "python_unsupported"},
		{"why-not " + m + " Python 3.12", 0, "works"},
		{"why-not " + m + " python 2.7", 3, "python_unsupported"},
		{"why-not " + m + " python:3.12-slim", 0, "works"},
		{"why-not " + m + " driver banana", 2, "driver"},
		{"fit Qwen/Qwen3-8B --gpu L40S -- --quantization awq", 3, "awq"},
		{"fit " + m + " -- banana", 2, "banana"},
		{"fit " + m + " -- A=b --max-num-seqs 4", 0, "fits"},
		{"verify http://", 2, "no address"},
		{"check -- uv run vllm serve " + m + " --max-model-len 131073", 3, "context_exceeds_model"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			out, errs, status := resolverLine(t, t.TempDir(), nil, strings.Fields(tt.line)...)
			if status != tt.status || !strings.Contains(out+errs, tt.says) {
				t.Errorf("status %d, want %d with %q:\n%s%s", status, tt.status, tt.says, out, errs)
			}
		})
	}
}
