package catalog

import (
	"regexp"
	"strings"
	"testing"

	"justright/version"
)

func TestSeedStory(t *testing.T) {
	s := load(t)
	a, ok := s.Architecture("GptOssForCausalLM")
	if !ok || a.Registered.At(v("0.6.3.post1")) != Absent || a.Registered.At(v("0.10.1")) != Present {
		t.Errorf("GptOssForCausalLM: %v %s", ok, a.Registered)
	}
	m, ok := s.ModelType("gpt_oss")
	if !ok || m.KnownTo(v("4.54.1")) != Absent || m.KnownTo(v("4.55.0")) != Present {
		t.Errorf("gpt_oss: %v %+v", ok, m)
	}
	img, ok := s.Image("vllm/vllm-openai:v0.6.3.post1", "")
	if !ok || img.EngineVersion.String() != "0.6.3.post1" || img.CUDA.String() != "12.4" || len(img.Entrypoint) != 3 {
		t.Errorf("image: %v %+v", ok, img)
	}
	for day, want := range map[string]string{"2025-08-21": "0.10.1.1", "2025-05-29": "0.9.0", "": "0.33.0"} {
		img, ok := s.Image("vllm/vllm-openai", day)
		if !ok || !img.Moving || day != "" && img.EngineVersion.String() != want || day == "" && img.EngineVersion.Compare(v(want)) < 0 {
			t.Errorf("latest on %q: %v %s, want %s", day, ok, img.EngineVersion, want)
		}
	}
}

func TestHolesAndUsability(t *testing.T) {
	s := load(t)
	for _, c := range []struct {
		arch, release string
		want          Presence
	}{
		{"Llama4ForCausalLM", "0.8.3", Present}, {"Llama4ForCausalLM", "0.9.0", Absent}, {"Llama4ForCausalLM", "0.10.1", Present},
		{"MllamaForConditionalGeneration", "0.10.2", Present}, {"MllamaForConditionalGeneration", "0.11.0", Absent},
		{"GptOssForCausalLM", "0.10.1rc1", Uncertain}, {"GptOssForCausalLM", "0.10.1+cu126", Present},
	} {
		a, ok := s.Architecture(c.arch)
		if got := a.Registered.At(v(c.release)); !ok || got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.arch, c.release, got, c.want)
		}
	}
	g, _ := s.Architecture("GlmMoeDsaForCausalLM")
	if g.AdmitsTransformers(v("0.16.0"), v("4.57.6")) || !g.AdmitsTransformers(v("0.19.1"), v("5.5.4")) {
		t.Errorf("GLM-5 bounds: %s", g.MinTransformers)
	}
	for release, day := range map[string]string{"0.19.1": "5.5.4", "0.6.3": "4.45.2", "0.10.1": "4.55.2", "0.33.0": "5.20.2"} {
		if r, ok := s.Release(VLLM, v(release)); !ok || r.TransformersOnReleaseDay.String() != day {
			t.Errorf("transformers on the release day of %s: %s, want %s", release, r.TransformersOnReleaseDay, day)
		}
	}
}

func TestVariants(t *testing.T) {
	s := load(t)
	r, _ := s.Release(VLLM, v("0.20.0"))
	cu129, ok := r.Variant(version.CUDA{Major: 12, Minor: 9})
	if !ok || cu129.Requirement != "vllm==0.20.0+cu129" || len(cu129.IndexURLs) != 2 || cu129.TorchBackend != "cu129" {
		t.Errorf("0.20.0 cu129: %v %+v", ok, cu129)
	}
	if def, _ := r.Variant(version.CUDA{}); def.CUDA.Major != 13 || def.Glibc.String() != "2.35" || def.TorchCUDA.Major != 13 {
		t.Errorf("0.20.0 default: %+v", def)
	}
	last, _ := s.Release(VLLM, v("0.33.0"))
	if _, ok := last.Variant(version.CUDA{Major: 12, Minor: 9}); ok {
		t.Error("0.33.0 has no CUDA 12 build")
	}
	for _, c := range []struct {
		release, cuda, cap string
		want               Presence
	}{
		{"0.19.1", "", "7.0", Present}, {"0.20.0", "", "7.0", Absent}, {"0.33.0", "", "12.1", Present},
		{"0.20.0", "12.9", "12.1", Absent}, {"0.20.0", "", "12.1", Present}, {"0.24.0", "12.9", "12.1", Absent}, {"0.9.1", "", "12.0", Present}, {"0.9.2", "", "12.0", Present},
		{"0.8.5", "", "12.0", Present}, // by PTX 9.0
	} {
		r, _ := s.Release(VLLM, v(c.release))
		var cuda version.CUDA
		_ = cuda.UnmarshalText([]byte(c.cuda))
		build, ok := r.Variant(cuda)
		cc, err := version.ParseCapability(c.cap)
		if got := build.Covers(cc); !ok || err != nil || got != c.want {
			t.Errorf("vllm %s %s on %s: %s, want %s (%v)", c.release, c.cuda, c.cap, got, c.want, build.Capabilities)
		}
	}
}

func TestDriverRules(t *testing.T) {
	for _, c := range []struct{ driver, cuda string }{
		{"570.86.10", "12.8"}, {"525.60.13", "12.0"}, {"580.95.05", "13.0"}, {"610.10", "13.2"}, {"544.0", "12.2"},
	} {
		d, _ := version.ParseDriver(c.driver)
		if got, ok := MaxCUDA(d); !ok || got.String() != c.cuda {
			t.Errorf("driver %s offers %s, want %s", c.driver, got, c.cuda)
		}
	}
	if _, ok := MaxCUDA(version.Driver{Branch: 390}); ok {
		t.Error("driver 390 is older than the table")
	}
	if !RunsOn(version.CUDA{Major: 12, Minor: 9}, version.CUDA{Major: 12, Minor: 1}) ||
		RunsOn(version.CUDA{Major: 13}, version.CUDA{Major: 12, Minor: 9}) {
		t.Error("it is the major version that binds")
	}
	if floor, f, ok := PTXFloor(version.Capability{Major: 12}, version.CUDA{Major: 13}); !ok || floor.Major != 13 || f.Source == "" {
		t.Error("compute capability 12.0 needs a driver of the wheel's CUDA")
	}
	if _, _, ok := PTXFloor(version.Capability{Major: 8, Minor: 9}, version.CUDA{Major: 13}); ok {
		t.Error("8.9 runs the machine code for 8.0")
	}
}

func TestFindGPU(t *testing.T) {
	s := load(t)
	for name, id := range map[string]string{
		"NVIDIA GeForce RTX 4090": "rtx-4090", "4090": "rtx-4090", "RTX 3090 24GB": "rtx-3090", "rtx-4090-48": "rtx-4090-48",
		"Tesla T4": "t4", "NVIDIA H100 80GB HBM3": "h100-sxm", "H100": "h100-sxm", "A100 40GB": "a100-40", "A100-SXM4-80GB": "a100-sxm",
		"GB10 (DGX Spark)": "gb10", "B300 SXM6": "b300", "H20e": "h20-141", "Titan X (Pascal)": "titan-x-pascal", "GTX 1080 Ti": "gtx-1080-ti",
		"RTX PRO 6000": "rtx-pro-6000", "A800 80GB PCIe": "a800", "NVIDIA A10G (24 GiB)": "a10g", "H200 141GB": "h200", "RTX A5000 24GB": "rtx-a5000",
		"V100 32GB": "v100-32", "Quadro RTX 6000": "rtx-6000", "NVIDIA L40S 48GB": "l40s",
	} {
		if g, ok := s.FindGPU(name); !ok || g.ID != id {
			t.Errorf("FindGPU(%q) = %q %v, want %q", name, g.ID, ok, id)
		}
	}
	for _, name := range []string{"", "gpu", "RTX 4090 80GB", "RTX 9999", "12345"} {
		if g, ok := s.FindGPU(name); ok {
			t.Errorf("FindGPU(%q) = %s, want nothing", name, g.ID)
		}
	}
	for _, g := range s.GPUs() {
		if gib := float64(g.MemoryBytes) / (1 << 30); gib > float64(g.MarketingGB) || gib < 0.88*float64(g.MarketingGB) {
			t.Errorf("%s: %.2f GiB of %d GB", g.ID, gib, g.MarketingGB)
		}
	}
}

func TestImages(t *testing.T) {
	s := load(t)
	for _, c := range []struct{ ref, cuda, torch, python, glibc string }{
		{"runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04", "12.8", "2.8.0", "3.11", "2.35"},
		{"runpod/pytorch:2.2.0-py3.10-cuda12.1.1-devel-ubuntu22.04", "12.1", "2.2.0", "3.10", "2.35"},
		{"docker.io/runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "12.8", "2.8.0", "3.12", "2.39"},
		{"runpod/pytorch:1.1.0-cu1300-torch291-ubuntu2204", "13.0", "2.9.1", "3.12", "2.35"},
		{"runpod/pytorch:1.1.0-cu1290-torch2110-ubuntu2204", "12.9", "2.11.0", "3.12", "2.35"},
		{"nvidia/cuda:12.4.1-devel-ubuntu22.04", "12.4", "", "", "2.35"},
		{"pytorch/pytorch:2.3.0-cuda12.1-cudnn8-devel", "12.1", "2.3.0", "", "2.35"},
		{"vllm/vllm-openai:v0.20.1-cu129", "12.9", "2.11.0", "3.12", "2.35"},
		{"vllm/vllm-openai:v0.28.0", "13.0", "2.13.0", "3.12", "2.39"},
		{"vllm/vllm-openai:v0.19.1-cu130", "13.0", "2.10.0", "3.12", "2.35"},
		{"lmsysorg/sglang:v0.5.15-cu129", "12.9", "2.11.0", "", "0.0"},
	} {
		img, ok := s.Image(c.ref, "")
		glibc := img.Glibc.String()
		if !ok || img.CUDA.String() != c.cuda || img.Torch.String() != c.torch || img.Python.String() != c.python || glibc != c.glibc {
			t.Errorf("%s: %v CUDA %s torch %s Python %s glibc %s", c.ref, ok, img.CUDA, img.Torch, img.Python, glibc)
		}
		r, err := ParseRequire(img.Require)
		if err != nil || r.CUDAFloor().String() != c.cuda || !strings.Contains(img.GateFact().Statement, c.cuda) {
			t.Errorf("%s asks for %q", c.ref, img.Require)
		}
	}
	if _, ok := s.Image("somebody/something:latest", ""); ok {
		t.Error("nothing is known of somebody's image")
	}
}

var placeholder = regexp.MustCompile(`\{(v|commit|wheel|first|last)\}`)

func TestFactsAreWhole(t *testing.T) {
	s := load(t)
	var all []Fact
	for _, r := range s.Releases(VLLM) {
		for _, a := range []Aspect{AspectReleased, AspectPython, AspectTorch, AspectTransformers, AspectWheelCUDA, AspectVariants,
			AspectGlibc, AspectCapability, AspectCode, AspectImage} {
			all = append(all, r.Fact(a))
		}
	}
	for _, n := range s.Architectures() {
		a, _ := s.Architecture(n)
		all = append(all, a.Fact())
	}
	for _, n := range s.ModelTypes() {
		m, _ := s.ModelType(n)
		all = append(all, m.Fact())
	}
	for i := range s.GPUs() {
		all = append(all, s.GPUs()[i].Fact())
	}
	for i := range s.BaseImages() {
		b := s.BaseImages()[i]
		all = append(all, b.Fact(), b.GateFact())
	}
	seen := map[FactID]bool{}
	for _, f := range all {
		if f.ID == "" || f.Statement == "" || f.Source == "" || f.Standing == "" || !validDay(f.Date) || placeholder.MatchString(f.Source) {
			t.Fatalf("fact lacks something: %+v", f)
		}
		if seen[f.ID] {
			t.Fatalf("two facts are called %s", f.ID)
		}
		seen[f.ID] = true
	}
}
