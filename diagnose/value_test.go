package diagnose

import (
	"strings"
	"testing"
)

// TestValueRemedies: a remedy names the flag, the value and what may be said instead, where the log holds them.
func TestValueRemedies(t *testing.T) {
	for _, c := range []struct {
		log, want string
		cause     Code
	}{
		{"api_server.py: error: argument --dtype: invalid choice: 'bf16' (choose from 'auto', 'bfloat16', 'half')", "--dtype does not take 'bf16': one of auto, bfloat16, half.", InvalidArgumentValue},
		{"api_server.py: error: argument --gpu-memory-utilization: invalid float value: 'ninety'", "--gpu-memory-utilization takes a number, and 'ninety' is none.", InvalidArgumentValue},
		{"api_server.py: error: argument --hf-overrides: Value {a: 1} cannot be converted to <function loads at 0x7f611bb5eca0>.", "--hf-overrides takes JSON, and {a: 1} is none", InvalidArgumentValue},
		{"vllm serve: error: argument --port/-p: invalid int value: 'http'", "--port takes a whole number, and 'http' is none.", InvalidArgumentValue},
		{"KeyError: 'invalid tool call parser: kimi_k9 (chose from { deepseek_v3,hermes })'", "no tool call parser kimi_k9", InvalidArgumentValue},
		{"pydantic_core._pydantic_core.ValidationError: 1 validation error for SchedulerConfig\nmax_num_seqs\n  Input should be greater than or equal to 1", "A flag's value is wrong", InvalidArgumentValue},
		{"RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -9}", "Mostly that is the kernel, for memory", CauseUnknown},
		{"RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}", "fetch the log from further above", GenericWrapperOnly},
	} {
		if r := says(c.log); r.Cause != c.cause || !strings.Contains(r.Remedy.Text, c.want) {
			t.Errorf("%s: %s, %s", c.log, r.Cause, r.Remedy.Text)
		}
	}
	if r := says("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -11}"); r.Cause != WorkerSegfault {
		t.Errorf("a signal 11: %s", r.Cause)
	}
}
