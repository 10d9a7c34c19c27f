package vllmsim

import (
	"slices"

	"justright/memory"
	"justright/model"
	"justright/version"
)

// room is what the engine finds when it has loaded and profiled a model: as vLLM accounts for it, by kind of layer.
type room struct {
	free   float64 // bytes of cache it may make
	need   float64 // bytes that one request of the whole context holds
	tokens int64   // that fit, as its log line counts them
	most   int     // longest request that fits alone
}

// account lets package memory count; ok is false where the config or the card does not tell enough.
func account(c Command, h Host, length int) (r room, ok bool) {
	if h.CPU || h.MemoryGiB <= 0 || h.WeightsBytes <= 0 {
		return room{}, false
	}
	p, err := model.FromConfig(h.Config, model.Sizes{WeightsBytes: h.WeightsBytes})
	if err != nil {
		return room{}, false
	}
	u := memory.Use{GPU: memory.GPU{Name: h.GPU, TotalBytes: int64(h.MemoryGiB * (1 << 30))}, Context: length}
	u.GPU.Capability, _ = version.ParseCapability(h.Capability)
	u.Version, _ = version.ParsePEP440(h.Version)
	u.ApplyFlags(c.words())
	u.Context = length
	b := memory.Estimate(p, u)
	if !b.BudgetKnown || b.NeedBytes == 0 {
		return room{}, false
	}
	return room{free: float64(b.KVBudgetBytes) - h.TakenGiB*(1<<30), need: float64(b.NeedBytes), tokens: b.KVTokens, most: b.MaxContext}, true
}

// words are the flags as they may stand on a command line, in a fixed order.
func (c Command) words() []string {
	names := make([]string, 0, len(c.Flags))
	for k := range c.Flags {
		names = append(names, k)
	}
	slices.Sort(names)
	var out []string
	for _, k := range names {
		if v := c.Flags[k]; v != "" {
			out = append(out, k, v)
		} else {
			out = append(out, k)
		}
	}
	return out
}
