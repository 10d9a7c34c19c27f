package cli

import (
	"slices"
	"testing"
)

// What a published measurement says of its flags is a command line, the arguments of a Python class, or both; JSON stays whole.
func TestStatedFlags(t *testing.T) {
	for said, want := range map[string][]string{
		"--max-num-seqs 8, --enforce-eager":                                        {"--max-num-seqs", "8", "--enforce-eager"},
		"enforce_eager=True, max_num_seqs=4":                                       {"--enforce_eager=True", "--max_num_seqs=4"},
		`--limit-mm-per-prompt {"image": 2, "video": 0} --max-model-len 8k`:        {"--limit-mm-per-prompt", `{"image": 2, "video": 0}`, "--max-model-len", "8k"},
		`--speculative-config '{"method":"mtp","num_speculative_tokens":2}' -tp=2`: {"--speculative-config", `{"method":"mtp","num_speculative_tokens":2}`, "-tp=2"},
		"V0 engine, --trust-remote-code":                                           {"V0", "engine", "--trust-remote-code"},
		"VLLM_USE_V1=0 --limit-mm-per-prompt image=2,video=1":                      {"VLLM_USE_V1=0", "--limit-mm-per-prompt", "image=2", "--video=1"},
		"": nil,
	} {
		if got := statedFlags(said); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
	one := "max_num_seqs=4, enforce_eager=True, expert parallel"
	c := memoryCase{Flags: &one}
	if u := c.use(); u.MaxSeqs != 4 || !u.Eager || !u.ExpertParallel {
		t.Errorf("%+v", u)
	}
}
