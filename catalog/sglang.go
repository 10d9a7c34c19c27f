package catalog

import (
	_ "embed" // sglang.json
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"justright/version"
)

//go:embed data/sglang.json
var sglangJSON []byte

// sglangSection is what the SGLang wheels say: pins, and the model classes and configurations inside.
type sglangSection struct {
	Read          string              `json:"read"`
	Source        string              `json:"source"`
	Releases      [][5]string         `json:"releases"` // version, day, torch, transformers, Python
	Architectures map[string]Timeline `json:"architectures"`
	Config        map[string]Timeline `json:"config"` // class names without "Config", lower case

	Names         map[string]map[string]Timeline `json:"names"`          // kind of name, name
	Wheels        [][5]string                    `json:"wheels"`         // version, glibc, Pythons, pin of the kernels' package, demand on "kernels"
	Kernels       [][4]string                    `json:"kernels"`        // version, CUDA major, capabilities on x86_64 and on aarch64
	MinCapability map[string][][2]string         `json:"min_capability"` // quantisation method: release, capability from it on
}

var sglangWheels = sync.OnceValue(func() sglangSection {
	var s sglangSection
	if err := json.Unmarshal(sglangJSON, &s); err != nil {
		panic(fmt.Sprintf("catalog: embedded section sglang.json: %v", err))
	}
	return s
})

// SGLangReleases lists SGLang's releases, ascending, with the pins that their wheels state.
func (s *Snapshot) SGLangReleases() []Release {
	sec := sglangWheels()
	pins := make(map[string][5]string, len(sec.Releases))
	for _, r := range sec.Releases {
		pins[r[0]] = r
	}
	out := s.Releases(SGLang)
	for i := range out {
		r := &out[i]
		p, ok := pins[r.Version.String()]
		if !ok {
			continue
		}
		if r.Torch.IsZero() && p[2] != "" {
			r.Torch = version.MustParsePEP440(p[2])
		}
		if p[3] != "" {
			r.Transformers, r.HasBounds = version.MustParseSpecifier("=="+p[3]), true
			r.TransformersOnReleaseDay = version.MustParsePEP440(p[3])
		}
		if len(r.Variants) == 0 {
			if c := torchOnIndexCUDA(r.Torch); !c.IsZero() {
				r.Variants = []Variant{{CUDA: c, TorchCUDA: c, Default: true, Online: true, Platforms: []string{"x86_64"}, Requirement: "sglang==" + p[0]}}
			}
		}
	}
	return out
}

// SGLangArchitecture says which SGLang releases have a model class; ok is false when none has.
func (s *Snapshot) SGLangArchitecture(name string) (Timeline, Fact, bool) {
	sec := sglangWheels()
	t, ok := sec.Architectures[name]
	st := fmt.Sprintf("SGLang has %s in %s", name, t)
	if !ok {
		st = "no SGLang release that was read has " + name
	}
	return t, Fact{ID: FactID("sglang/architectures/" + name), Standing: Derived, Date: sec.Read, Source: sec.Source, Statement: st}, ok
}

// SGLangConfig says which SGLang releases bring a configuration class for a model type.
func (s *Snapshot) SGLangConfig(modelType string) Timeline {
	return sglangWheels().Config[strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(modelType), "_", ""), "-", "")]
}
