package solve

import (
	"fmt"

	"justright/catalog"
)

// The element types of the CPU build's weights that we choose between.
const (
	float32Name  = "float32"
	bfloat16Name = "bfloat16"
)

// addPrecision chooses what the CPU build computes in. Its bfloat16 kernels differ from processor to processor, and one of
// them was seen to answer wrongly where float32 was right (docs/decisions/0007), so float32 is taken where the machine
// surely has the memory: twice the weights, the engine's own processes and its cache, within three quarters of what is
// free, or weights so few that doubling them is next to nothing. A quantised checkpoint keeps the type its kernels were written for.
func (s *search) addPrecision(st *Stack, have Flags, add func(string, ...string)) {
	if _, ok := have.Get("dtype"); ok {
		return
	}
	name, why := s.precision(st.WeightsBytes)
	add("--dtype", name)
	if name == bfloat16Name {
		st.Unknowns = append(st.Unknowns, "bfloat16 was seen to answer wrongly on one processor; "+why)
	}
	st.Facts = append(st.Facts, catalog.Fact{ID: "machine/precision", Statement: name + ": " + why, Source: s.r.hostWords(), Standing: catalog.Derived})
}

// precision is the type, and why.
func (s *search) precision(weights int64) (name, why string) {
	free := s.r.HostFree
	if free == 0 {
		free = s.r.HostMemory
	}
	wide := 2 * weights
	if s.r.Model.DType == float32Name {
		wide = weights
	}
	need := wide + enginePSS + cpuCache(s.r.HostMemory)
	switch {
	case s.r.Model.Quant != nil:
		return bfloat16Name, "the checkpoint is quantised, and its kernels compute in it"
	case weights == 0:
		return bfloat16Name, "the size of the weights is not known, and float32 needs twice of it"
	case free == 0:
		return bfloat16Name, "the memory of " + s.r.hostWords() + " is not known, and float32 needs twice the weights"
	case need > free/4*3 && wide/2 > free/16: // what is little beside the rest of the engine decides nothing
		return bfloat16Name, fmt.Sprintf("float32 would need %.1f GiB, more than three quarters of the %.1f GiB that are free", gib(need), gib(free))
	}
	return float32Name, fmt.Sprintf("it needs %.1f GiB of the %.1f GiB that are free, and bfloat16 was seen to answer wrongly on one processor", gib(need), gib(free))
}

// cpuCache is the KV cache that a start gives the CPU build when nothing else is asked for.
func cpuCache(memory int64) int64 { return max(1, min(4, memory/8>>30)) << 30 }
