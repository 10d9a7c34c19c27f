package solve

import (
	"slices"
	"strings"
	"testing"

	"justright/catalog"
	"justright/model"
	"justright/money"
	"justright/version"
)

func lessonRequest(t *testing.T, lessons ...catalog.Lesson) Request {
	t.Helper()
	m, err := model.FromRecord(catalog.FindModels("openai/gpt-oss-20b")[0])
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Model: m, Target: "runpod", All: true, Lessons: lessons, Pins: Pins{Flags: []string{"--async-scheduling"}}}
	for gpu, price := range map[string]float64{"rtx-a4500": 0.25, "rtx-a5000": 0.27, "l4": 0.43, "rtx-a6000": 0.49} {
		p := money.FromFloat(price)
		r.Offers = append(r.Offers, catalog.Offer{Provider: "runpod", GPU: gpu, ProviderID: gpu, Cloud: "SECURE", PricePerHour: &p, MaxCount: 1,
			DataCenters: []string{"EU-RO-1", "EU-SE-1"}, HostCUDA: []version.CUDA{{Major: 12, Minor: 8}}})
	}
	return r
}

// TestLessonsShapePlans: the best plan after a lesson heeds it, and heeds no more than it says.
func TestLessonsShapePlans(t *testing.T) {
	s, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	j := NewJudger(s)
	first := j.Solve(lessonRequest(t)).Plans[0]
	if first.GPU.ID != "rtx-a4500" {
		t.Fatalf("the first plan is on %s", first.GPU.ID)
	}
	engine := "vllm<=" + first.Engine.Version
	for _, c := range []struct {
		name   string
		lesson catalog.Lesson
		holds  func(Stack) bool
	}{
		{"the chip lacks a kernel: no card of its capability", catalog.Lesson{Engine: engine, GPU: "rtx-a4500", Remedy: "other_gpu_capability", Forbid: true},
			func(p Stack) bool { return p.GPU.ID == "l4" }},
		{"memory lacks: no card with as little", catalog.Lesson{GPU: "rtx-a4500", MoreMemoryBytes: 6 << 30}, func(p Stack) bool { return p.GPU.ID == "rtx-a6000" }},
		{"a shorter context fits", catalog.Lesson{GPU: "rtx-a4500", AddFlags: []string{"--max-model-len", "20000"}},
			func(p Stack) bool {
				return p.GPU.ID == "rtx-a4500" && p.Context > 8192 && p.Context <= 20000 && slices.Contains(p.Argv, "--max-model-len")
			}},
		{"a flag is added on that card", catalog.Lesson{GPU: "rtx-a4500", AddFlags: []string{"--max-num-seqs", "64"}},
			func(p Stack) bool {
				return p.GPU.ID == "rtx-a4500" && strings.Contains(strings.Join(p.Argv, " "), "--max-num-seqs 64")
			}},
		{"a flag is left out of that release", catalog.Lesson{Engine: "vllm==" + first.Engine.Version, DropFlags: []string{"--async-scheduling"}},
			func(p Stack) bool {
				return !slices.Contains(p.Argv, "--async-scheduling") && len(p.Unknowns) > len(first.Unknowns)
			}},
		{"one value of a flag is left out, and a better one taken", catalog.Lesson{Model: "openai/gpt-oss-20b", Engine: "vllm",
			DropFlags: []string{"--tool-call-parser=openai"}, AddFlags: []string{"--tool-call-parser", "hermes"}},
			func(p Stack) bool {
				argv := strings.Join(p.Argv, " ")
				return strings.Contains(argv, "--tool-call-parser hermes") && !strings.Contains(argv, "--tool-call-parser openai")
			}},
		{"another value of that flag stays", catalog.Lesson{Model: "openai/gpt-oss-20b", Engine: "vllm", DropFlags: []string{"--tool-call-parser=hermes"}},
			func(p Stack) bool { return strings.Contains(strings.Join(p.Argv, " "), "--tool-call-parser openai") }},
		{"another release keeps its flag", catalog.Lesson{Engine: "vllm==0.1.0", DropFlags: []string{"--async-scheduling"}},
			func(p Stack) bool { return slices.Contains(p.Argv, "--async-scheduling") }},
		{"more disk", catalog.Lesson{MoreDiskBytes: 50 << 30}, func(p Stack) bool { return p.DiskBytes >= first.DiskBytes+50<<30 }},
		{"not in a data centre", catalog.Lesson{GPU: "rtx-a4500", ExcludeHost: "EU-SE-1"},
			func(p Stack) bool {
				return p.GPU.ID == "rtx-a4500" && p.Offer.Shunned && slices.Equal(p.Offer.DataCenters, []string{"EU-RO-1"})
			}},
		{"not into an image", catalog.Lesson{Image: first.Image, MinHostCUDA: version.CUDA{Major: 13}}, func(p Stack) bool { return p.Image != first.Image }},
		{"a newer transformers", catalog.Lesson{Engine: engine, MinTransformers: first.Engine.Transformers + ".1"},
			func(p Stack) bool {
				return version.MustParsePEP440(p.Engine.Transformers).Compare(version.MustParsePEP440(first.Engine.Transformers)) > 0
			}},
		{"another model's lesson", catalog.Lesson{Model: "some/other", GPU: "rtx-a4500", Forbid: true}, func(p Stack) bool { return p.GPU.ID == "rtx-a4500" }},
		{"builds of a CUDA need a newer driver", catalog.Lesson{Engine: "vllm", WheelCUDA: version.CUDA{Major: 12, Minor: 9}, MinHostCUDA: version.CUDA{Major: 12, Minor: 9}},
			func(p Stack) bool { return p.Engine.WheelCUDA != "12.9" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.lesson.ID, c.lesson.Cause = "x", "x"
			res := j.Solve(lessonRequest(t, c.lesson))
			if len(res.Plans) == 0 {
				t.Fatalf("no plan: %+v", res.Conflict)
			}
			if p := res.Plans[0]; !c.holds(p) {
				t.Errorf("the best plan is %s on %s (%s, %d), transformers %s, disk %d, in %v: %s", p.Engine.Version, p.GPU.ID, p.Image, p.Context, p.Engine.Transformers, p.DiskBytes>>30, p.Offer.DataCenters, strings.Join(p.Argv, " "))
			}
		})
	}
}
