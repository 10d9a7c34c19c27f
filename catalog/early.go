package catalog

import (
	_ "embed" // early.json
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"justright/version"
)

// SectionEarly holds the vLLM releases before 0.6.0, from 0.1.7: nobody plans with them, but people ask about stacks
// that still run them.
const SectionEarly = "early.json"

type earlySection struct {
	Read     string `json:"read"`
	Source   string `json:"source"`
	Releases []struct {
		V            string   `json:"v"`
		Date         string   `json:"date"`
		CUDA         string   `json:"cuda"`
		Transformers string   `json:"transformers"`
		Pythons      []string `json:"pythons"` // interpreters there is a wheel for
		Torch        string   `json:"torch"`
		TorchMin     string   `json:"torch_min"`
		Glibc        string   `json:"glibc"`
		Image        string   `json:"image"`
	} `json:"releases"`
	Architectures map[string]Timeline `json:"architectures"`
	Config        map[string]Timeline `json:"config"`
	Quantization  map[string]Timeline `json:"quantization"`
}

//go:embed data/early.json
var earlyJSON []byte

var early = sync.OnceValue(func() earlySection {
	var s earlySection
	if err := json.Unmarshal(earlyJSON, &s); err != nil {
		panic(fmt.Sprintf("catalog: embedded section %s: %v", SectionEarly, err))
	}
	return s
})

// FirstCurrentVLLM is the release the main table begins with.
var FirstCurrentVLLM = version.MustParsePEP440("0.6.0")

// EarlyVLLM lists the vLLM releases before 0.6.0, ascending.
func (s *Snapshot) EarlyVLLM() []Release {
	sec := early()
	out := make([]Release, 0, len(sec.Releases))
	for _, e := range sec.Releases {
		r := Release{Engine: VLLM, Version: version.MustParsePEP440(e.V), Released: e.Date, HasBounds: true,
			Transformers: version.MustParseSpecifier(e.Transformers), ImageTags: []string{"v" + e.V},
			MinCapability: version.Capability{Major: 7}, sources: map[string]string{"*": sec.Source + ", read " + sec.Read}}
		if e.Torch != "" {
			r.Torch = version.MustParsePEP440(e.Torch)
		}
		r.Python = pythonsSpecifier(e.Pythons)
		cuda, _ := version.ParseCUDA(e.CUDA)
		r.ImageCUDA, _ = version.ParseCUDA(e.Image)
		glibc, _ := version.ParseGlibc(e.Glibc)
		caps, ptx, _ := parseArchs("7.0 7.5 8.0 8.6 8.9 9.0+PTX")
		def := Variant{CUDA: cuda, Default: true, Platforms: []string{"x86_64"}, Glibc: glibc, Requirement: "vllm==" + e.V,
			TorchCUDA: torchOnIndexCUDA(r.Torch), Capabilities: caps, PTX: ptx, Online: true}
		r.Variants = []Variant{def}
		if e.CUDA == "12.1" {
			v := def
			v.Default, v.Online = false, false
			v.CUDA = version.CUDA{Major: 11, Minor: 8}
			v.TorchCUDA = v.CUDA
			r.Variants = append(r.Variants, v)
		}
		r.TransformersOnReleaseDay = s.NewestTransformers(r.Transformers, r.Released)
		out = append(out, r)
	}
	return out
}

// pythonsSpecifier admits exactly the interpreters of a list of "3.8".
func pythonsSpecifier(minors []string) version.Specifier {
	if len(minors) == 0 {
		return version.Specifier{}
	}
	slices.SortFunc(minors, func(a, b string) int {
		return version.MustParsePEP440(a).Compare(version.MustParsePEP440(b))
	})
	last := version.MustParsePEP440(minors[len(minors)-1]).Release()
	if len(minors) == 1 {
		last = []int{3, 12} // one abi3 wheel serves every later interpreter; torch 2.4 and older end at 3.12
	}
	return version.MustParseSpecifier(fmt.Sprintf(">=%s,<%d.%d", minors[0], last[0], last[1]+1))
}

// EarlyArchitecture says which releases before 0.6.0 register a class; ok is false when none that was read does.
func (s *Snapshot) EarlyArchitecture(name string) (Timeline, Fact, bool) {
	sec := early()
	t, ok := sec.Architectures[name]
	return t, Fact{ID: FactID("vllm/early/architectures/" + name), Standing: Derived, Date: sec.Read, Source: sec.Source,
		Statement: fmt.Sprintf("before 0.6.0, vLLM registers %s in %s", name, t)}, ok
}

// EarlyConfig says which releases before 0.6.0 bring a configuration class for a model type.
func (s *Snapshot) EarlyConfig(modelType string) Timeline { return early().Config[modelType] }

// EarlyQuantization says which releases before 0.6.0 know a quantisation method.
func (s *Snapshot) EarlyQuantization(method string) (Timeline, Fact) {
	sec := early()
	t := sec.Quantization[method]
	st := fmt.Sprintf("before 0.6.0, vLLM knows the quantisation method %s in %s", method, t)
	if len(t) == 0 {
		st = fmt.Sprintf("no vLLM before 0.6.0 knows the quantisation method %s", method)
	}
	return t, Fact{ID: FactID("vllm/early/quantization/" + strings.ToLower(method)), Standing: Derived, Date: sec.Read,
		Source: sec.Source, Statement: st}
}
