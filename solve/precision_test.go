package solve

import (
	"strings"
	"testing"

	"justright/catalog"
	"justright/model"
)

// TestPrecisionOnCPU: float32 where the memory is surely there, bfloat16 with a word of warning where not, and what the
// user says before both.
func TestPrecisionOnCPU(t *testing.T) {
	s, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	j := NewJudger(s)
	for _, c := range []struct {
		name          string
		weights, free int64
		dtype         string // of the checkpoint
		quant         *model.Quant
		flags         []string
		want          string
		warned        bool
	}{
		{name: "a small model", weights: 270 << 20, free: 16 << 30, want: "float32"},
		{name: "twice the weights are too many", weights: 5 << 30, free: 16 << 30, want: "bfloat16", warned: true},
		{name: "the same, written in float32 already", weights: 5 << 30, free: 16 << 30, dtype: "float32", want: "float32"},
		{name: "others use the memory", weights: 1 << 30, free: 6 << 30, want: "bfloat16", warned: true},
		{name: "they do, and the weights are next to nothing", weights: 270 << 20, free: 6 << 30, want: "float32"},
		{name: "quantised", weights: 270 << 20, free: 16 << 30, quant: &model.Quant{Method: "awq", Bits: 4}, want: "bfloat16", warned: true},
		{name: "the user's word", weights: 270 << 20, free: 16 << 30, flags: []string{"--dtype=bfloat16"}, want: ""},
	} {
		r := Request{Target: "local", HostMemory: 16 << 30, HostFree: c.free, Offers: []catalog.Offer{{Provider: "local", MaxCount: 1}},
			Pins: Pins{Flags: c.flags}, Model: model.Profile{ID: "/m", Local: true, Architecture: "LlamaForCausalLM", ModelType: "llama",
				WeightsBytes: c.weights, MaxPosition: 8192, DType: c.dtype, Quant: c.quant}}
		got := j.Solve(r)
		if len(got.Plans) == 0 {
			t.Errorf("%s: no plan: %+v", c.name, got.Conflict)
			continue
		}
		p := got.Plans[0]
		line := strings.Join(p.Argv, " ")
		if c.want == "" {
			if strings.Count(line, "--dtype") != 1 || !strings.Contains(line, "--dtype=bfloat16") {
				t.Errorf("%s: %s", c.name, line)
			}
			continue
		}
		if !strings.Contains(line, "--dtype "+c.want) {
			t.Errorf("%s: %s, want %s", c.name, line, c.want)
		}
		if warned := strings.Contains(strings.Join(p.Unknowns, "\n"), "bfloat16 was seen to answer wrongly"); warned != c.warned {
			t.Errorf("%s: unknowns %q", c.name, p.Unknowns)
		}
		if len(p.Facts) == 0 || p.Facts[0].ID != "machine/precision" {
			t.Errorf("%s: no fact gives the reason", c.name)
		}
	}
}
