package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"justright/version"
)

// GPU is a kind of accelerator.
type GPU struct {
	ID          string `json:"id"`     // "rtx-4090"
	Name        string `json:"name"`   // "RTX 4090"
	Vendor      string `json:"vendor"` // "nvidia", "amd"
	MarketingGB int    `json:"marketing_gb"`
	// MemoryBytes is what CUDA reports as total memory, as public logs print it (torch "total memory"); it is less than the
	// marketing figure. Estimated says that no log was found and it is the usual share of the marketing figure.
	MemoryBytes int64              `json:"memory_bytes"`
	Estimated   bool               `json:"estimated,omitempty"`
	Capability  version.Capability `json:"capability"` // zero for AMD
	Family      string             `json:"family"`     // "ampere", "ada", "hopper", "blackwell", …
	Brand       string             `json:"brand"`      // as NVML names it, for NVIDIA_REQUIRE_CUDA
	Datacenter  bool               `json:"datacenter"` // forward compatibility packages work on it
	Unified     bool               `json:"unified"`    // shares its memory with the CPU
	RunPodIDs   []string           `json:"runpod_ids,omitempty"`
	Aliases     []string           `json:"aliases,omitempty"`
}

// FP8 reports whether the tensor cores multiply FP8.
func (g *GPU) FP8() bool { return g.Capability.Compare(version.Capability{Major: 8, Minor: 9}) >= 0 }

// FP4 reports whether the tensor cores multiply FP4.
func (g *GPU) FP4() bool { return g.Capability.Major >= 10 }

// BF16 reports whether the device computes bfloat16.
func (g *GPU) BF16() bool { return g.Capability.Major >= 8 }

// Fact states what the GPU is.
func (g *GPU) Fact() Fact {
	st := fmt.Sprintf("%s: %.2f GiB", g.Name, float64(g.MemoryBytes)/(1<<30))
	if g.Estimated {
		st = fmt.Sprintf("%s: %d GB by name, about %.0f GiB usable", g.Name, g.MarketingGB, float64(g.MemoryBytes)/(1<<30))
	}
	src := "https://rocm.docs.amd.com/en/latest/reference/gpu-arch-specs.html"
	if g.Vendor == "nvidia" {
		st += ", compute capability " + g.Capability.String()
		src = "https://developer.nvidia.com/cuda-gpus; memory as public vLLM and torch logs print it"
	}
	return Fact{ID: FactID("gpu/" + g.ID), Statement: st, Source: src, Date: "2026-11-25", Standing: Reported}
}

type hardwareSection struct {
	gpus  []GPU
	alias map[string]int // normalised name → index
	os    []OS
	gates []gateJSON
}

type gpuJSON struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Vendor  string   `json:"vendor,omitempty"`
	GB      int      `json:"gb"`
	GiB     float64  `json:"gib,omitempty"`
	Cap     string   `json:"cap,omitempty"`
	Family  string   `json:"family"`
	Brand   string   `json:"brand,omitempty"`
	DC      bool     `json:"dc,omitempty"`
	Unified bool     `json:"unified,omitempty"`
	RunPod  []string `json:"runpod,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
}

type gateJSON struct {
	CUDA     string   `json:"cuda"`
	Brands   []string `json:"brands"`
	Branches []int    `json:"branches"`
	Source   string   `json:"source"`
}

func parseHardware(data []byte) (hardwareSection, error) {
	var in struct {
		GPUs  []gpuJSON  `json:"gpus"`
		OS    []OS       `json:"os"`
		Gates []gateJSON `json:"gates"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return hardwareSection{}, err
	}
	out := hardwareSection{alias: make(map[string]int, 8*len(in.GPUs)), os: in.OS, gates: in.Gates}
	for i, j := range in.GPUs {
		g, err := j.gpu()
		if err != nil {
			return out, fmt.Errorf("gpu %s: %w", j.ID, err)
		}
		out.gpus = append(out.gpus, g)
		for _, name := range slices.Concat([]string{g.ID, g.Name}, g.RunPodIDs, g.Aliases) {
			key := gpuKey(name)
			if old, taken := out.alias[key]; taken && old != i {
				return out, fmt.Errorf("gpu name %q means both %s and %s", name, out.gpus[old].ID, g.ID)
			}
			out.alias[key] = i
		}
	}
	return out, nil
}

func (j gpuJSON) gpu() (GPU, error) {
	g := GPU{ID: j.ID, Name: j.Name, Vendor: j.Vendor, MarketingGB: j.GB, Family: j.Family, Brand: j.Brand,
		Datacenter: j.DC, Unified: j.Unified, RunPodIDs: j.RunPod, Aliases: j.Aliases}
	if g.Vendor == "" {
		g.Vendor = "nvidia"
	}
	if err := g.Capability.UnmarshalText([]byte(j.Cap)); err != nil {
		return g, err
	}
	gib := j.GiB
	if gib == 0 {
		gib, g.Estimated = 0.975*float64(j.GB), true
	}
	g.MemoryBytes = int64(gib * (1 << 30))
	if g.ID == "" || g.Name == "" || g.MemoryBytes <= 0 || g.Vendor == "nvidia" && (g.Capability.IsZero() || g.Brand == "") {
		return g, fmt.Errorf("lacks a field")
	}
	return g, nil
}

// GPUs lists every known GPU in the catalog's order. The slice is shared: do not change it.
func (s *Snapshot) GPUs() []GPU { return s.hardware().gpus }

// FindGPU finds a GPU by id, name, provider id or alias, in any spelling: case, blanks, dashes and the words NVIDIA,
// GeForce, Tesla, GPU do not matter. A size that follows ("A100 80GB") is part of the name.
func (s *Snapshot) FindGPU(name string) (GPU, bool) {
	h := s.hardware()
	key := gpuKey(name)
	if i, ok := h.alias[key]; ok && key != "" {
		return h.gpus[i], true
	}
	// "A10G 24GB", "RTX 3090 (24 GB)": a size that the name does not need must agree with the card.
	if bare, gb := cutSize(key); gb > 0 {
		if i, ok := h.alias[bare]; ok && closeTo(gb, h.gpus[i].MarketingGB) {
			return h.gpus[i], true
		}
	}
	return GPU{}, false
}

// closeTo admits the different ways to round a size: 80 for 79, 143 for 141, 23 for 24.
func closeTo(a, b int) bool { return a-b <= max(1, b/16) && b-a <= max(1, b/16) }

// gpuKey reduces a spelling to what distinguishes cards.
func gpuKey(name string) string {
	s := strings.ToLower(name)
	for _, noise := range []string{"nvidia", "geforce", "tesla", "graphics", "(tm)", "gpu"} {
		s = strings.ReplaceAll(s, noise, " ")
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// cutSize splits "rtx309024gb" into "rtx3090" and 24: the last two or three digits before a final "gb" or "gib".
func cutSize(key string) (bare string, gb int) {
	s, ok := strings.CutSuffix(key, "gib")
	if !ok {
		if s, ok = strings.CutSuffix(key, "gb"); !ok {
			return "", 0
		}
	}
	for n := min(3, len(s)-1); n >= 1; n-- {
		digits, v := s[len(s)-n:], 0
		for _, d := range []byte(digits) {
			if d < '0' || d > '9' {
				v = -1
				break
			}
			v = v*10 + int(d-'0')
		}
		if v > 0 && digits[0] != '0' && (n < 3 || v <= 288) {
			return s[:len(s)-n], v
		}
	}
	return "", 0
}

// GPUsOfCapability lists the GPUs of one compute capability.
func (s *Snapshot) GPUsOfCapability(c version.Capability) []GPU {
	var out []GPU
	for _, g := range s.GPUs() {
		if g.Capability == c && !c.IsZero() {
			out = append(out, g)
		}
	}
	return out
}
