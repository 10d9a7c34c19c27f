package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/problem"
	"justright/version"
)

// ruleImageGate: the condition that the image puts on its host, evaluated as the container runtime does.
func ruleImageGate(s *subject) []finding {
	if !s.hasImage || s.hostCUDA.IsZero() && s.driver.IsZero() {
		return nil
	}
	ref := s.imageRef()
	known := s.j.image(ref, s.dayOfImage())
	if (!known.ok || !known.gated) && !s.gateByTag(&known) {
		return nil
	}
	img, req := known.img, known.gate
	host := catalog.RequireHost{CUDA: s.hostCUDA, Driver: s.driver, Capability: s.gpu.capability}
	switch {
	case s.gpu.full != nil:
		host.Brand = s.gpu.full.Brand
	case s.gpu.consumer:
		host.Brand = "geforce"
	}
	if v := s.flags.Env["NVIDIA_DISABLE_REQUIRE"]; v == "1" || strings.EqualFold(v, "true") {
		return nil
	}
	verdict, unmet := req.Admits(host)
	unrunnable := !catalog.RunsOn(img.CUDA, s.hostCUDA) // admitted or not, the code inside does not run
	if verdict == catalog.Uncertain && !s.hostCUDA.IsZero() && (s.gpu.name == "" && (s.driver.IsZero() || unrunnable) || s.gpu.consumer) {
		// The brand clauses admit some branches of data-centre drivers below the floor; where only a CUDA version is
		// stated, the floor is what the platform compares.
		verdict, unmet = catalog.Absent, "cuda>="+req.CUDAFloor().String()
	}
	if verdict != catalog.Absent {
		return nil
	}
	f := finding{code: CodeImageGate, at: s.image.Text, facts: []catalog.Fact{img.GateFact(), s.hostFact()},
		reason: fmt.Sprintf("%s asks its host for CUDA >= %s (%s), and the host's driver offers %s", ref, req.CUDAFloor(), unmet, s.hostCUDA)}
	f.hints = append(f.hints, problem.Hint{Text: fmt.Sprintf("take a host with CUDA %s or newer", req.CUDAFloor())})
	if catalog.RunsOn(img.CUDA, s.hostCUDA) {
		f.hints = append(f.hints, problem.Hint{Text: fmt.Sprintf("the code inside runs on any CUDA %d driver: the gate can be lowered with NVIDIA_REQUIRE_CUDA=cuda>=%d.0", img.CUDA.Major, img.CUDA.Major)})
	}
	return []finding{f}
}

// gateByTag takes the gate of NVIDIA's base image for the CUDA version that an otherwise unknown image names in its tag.
func (s *subject) gateByTag(k *knownImage) bool {
	cuda := s.image.CUDA
	if cuda.IsZero() && s.official {
		cuda = s.imageCUDA() // built on NVIDIA's image of that version
	}
	if cuda.IsZero() {
		cuda = s.held.CUDA
	}
	if r := s.release; cuda.IsZero() && s.official && s.atMost && r != nil && r.ImageCUDA.Major >= 13 && !strings.Contains(s.image.Tag, "cu12") {
		cuda = r.ImageCUDA // made for one model, from the branch that makes these images
	}
	if cuda.IsZero() || k.ok && k.img.RequireKnown {
		return false
	}
	expr, _, ok := s.j.s.GateOf(cuda)
	if !ok {
		return false
	}
	req, err := catalog.ParseRequire(expr)
	if err != nil {
		return false
	}
	k.gate, k.gated, k.floor = req, true, req.CUDAFloor()
	k.img.Ref, k.img.Repository, k.img.Tag = s.imageRef(), s.image.Repository, s.image.Tag
	k.img.CUDA, k.img.Require, k.img.RequireKnown = cuda, expr, true
	return true
}

func (s *subject) imageRef() string {
	if s.image.Repository == "" {
		return s.image.Text
	}
	ref := s.image.Repository
	if s.image.Tag != "" {
		ref += ":" + s.image.Tag
	}
	return ref
}

func (s *subject) dayOfImage() string {
	if s.image.AsOf != "" {
		return s.image.AsOf
	}
	return s.day
}

func (s *subject) hostFact() catalog.Fact {
	if !s.driver.IsZero() {
		return catalog.MaxCUDAFact(s.driver)
	}
	return s.says("host-cuda", "the host's driver offers CUDA %s", s.hostCUDA)
}

// ruleCompat: forward-compatibility libraries inside images, which break where they should not be used.
func ruleCompat(s *subject) []finding {
	if !s.hasImage || s.release == nil || s.engine != catalog.VLLM || s.wheels || s.flags.Env["LD_LIBRARY_PATH"] != "" {
		return nil // whoever sets the library path decides which libcuda is found
	}
	cuda := s.imageCUDA()
	if cuda.IsZero() && s.atMost && s.release != nil && !s.hostCUDA.IsZero() && s.gpu.consumer {
		return nil
	}
	if cuda.IsZero() || !s.exact || !s.before("0.17.0") {
		return nil
	}
	first := !s.before("0.15.0") && s.before("0.16.0")
	newer := !s.hostCUDA.IsZero() && s.hostCUDA.Compare(cuda) > 0
	source := "vllm-project/vllm docker/Dockerfile at the release's tag; PR 33992"
	switch {
	case first && (newer || s.gpu.consumer):
		return []finding{{code: CodeCompatShadow, at: s.image.Text, facts: []catalog.Fact{s.release.Fact(catalog.AspectImage),
			reported("vllm/compat-first", "images of 0.15 put CUDA's forward-compatibility libraries first on the library path, before the host's driver", source, "2026-01-30")},
			reason: fmt.Sprintf("%s puts the CUDA %s compatibility libraries before the host's own driver libraries: Error 803", s.label(), cuda),
			hints:  []problem.Hint{{Text: "take 0.16.0 or newer, or 0.14.1"}}}}
	case s.gpu.consumer && s.official && !s.driver.IsZero() && !s.hostCUDA.IsZero() && s.hostCUDA.Major == cuda.Major &&
		s.hostCUDA.Compare(cuda) < 0 && !s.before("0.4.3"):
		// Images of CUDA 12.4 and older let GeForce in on the branches 470 to 535; newer ones name data-centre brands alone.
		return []finding{{code: CodeForwardCompat, at: s.image.Text, facts: []catalog.Fact{s.release.Fact(catalog.AspectImage), s.hostFact(),
			reported("vllm/compat-geforce", "images of 0.4.3 to 0.16 register CUDA's forward-compatibility libraries with ldconfig; these refuse GeForce cards (RTX 4090, driver 535.171.04: 0.4.2 with CUDA 12.1 runs, 0.4.3 with 12.4 does not)", "https://github.com/vllm-project/vllm/issues/5283", "2024-06-06")},
			reason: fmt.Sprintf("%s brings the CUDA %s compatibility libraries, the host's driver offers %s, and a GeForce card takes no forward compatibility: Error 804", s.label(), cuda, s.hostCUDA),
			hints:  []problem.Hint{{Text: "take a host whose driver offers CUDA " + cuda.String() + " or newer, or an image built for CUDA " + s.hostCUDA.String() + " or older"}}}}
	case newer && strings.Contains(strings.ToUpper(s.c.Provider), "GKE"):
		return []finding{{code: CodeCompatShadow, at: s.image.Text, facts: []catalog.Fact{s.release.Fact(catalog.AspectImage), s.hostFact(),
			reported("vllm/compat-gke", "GKE mounts the driver under /usr/local/nvidia; images up to 0.16 registered CUDA's compatibility libraries with ldconfig, which then win", "https://github.com/vllm-project/vllm/issues/21979", "2025-07-30")},
			reason: fmt.Sprintf("the CUDA %s compatibility libraries in the image shadow the newer driver of the host (CUDA %s)", cuda, s.hostCUDA)}}
	}
	return nil
}

// ruleDriver: the CUDA major of the build against the driver's, and what the driver must compile itself.
func ruleDriver(s *subject) []finding {
	host := s.hostCUDA
	if host.IsZero() {
		return nil
	}
	if s.release == nil || s.variantText == "cpu" || s.engine == catalog.VLLMCPU || s.dev && !s.wheels {
		return nil
	}
	build := s.buildCUDA
	if build.IsZero() {
		if s.hasImage && !s.wheels {
			return nil
		}
		for _, v := range s.release.Variants { // any build may be chosen
			if catalog.RunsOn(v.CUDA, host) || v.CUDA.IsZero() {
				return nil
			}
			build = v.CUDA
		}
		if build.IsZero() || s.atMost {
			return nil
		}
	}
	if !catalog.RunsOn(build, host) {
		if s.compatEnabled(build) {
			return nil
		}
		f := finding{code: CodeDriverMajor, at: s.c.WheelCUDA, facts: []catalog.Fact{catalog.MinDriverFact(build), s.hostFact(), s.release.Fact(catalog.AspectWheelCUDA)},
			reason: fmt.Sprintf("%s in use is built for CUDA %d, the driver stops at %s", s.label(), build.Major, host)}
		for _, v := range s.release.Variants {
			if catalog.RunsOn(v.CUDA, host) {
				f.hints = append(f.hints, problem.Hint{Text: "install the CUDA " + v.CUDA.String() + " build: " + v.Requirement})
				break
			}
		}
		return []finding{f}
	}
	if floor, fact, ok := catalog.PTXFloor(s.gpu.capability, build); ok && s.engine == catalog.VLLM && host.Compare(floor) < 0 && !s.before("0.9.2") &&
		!s.backendIs("FLASHINFER") && s.exact {
		return []finding{{code: CodeDriverTooOld, facts: []catalog.Fact{fact, s.hostFact()},
			reason: fmt.Sprintf("on compute capability %s the CUDA %s build needs a driver that offers CUDA %s; this one offers %s", s.gpu.capability, build, floor, host),
			hints:  []problem.Hint{{Text: "--attention-backend FLASHINFER avoids the kernels that need it"}}}}
	}
	return nil
}

// compatEnabled: forward-compatibility libraries asked for, on a card that may use them.
func (s *subject) compatEnabled(version.CUDA) bool {
	return s.flags.Env["VLLM_ENABLE_CUDA_COMPATIBILITY"] == "1" && s.gpu.full != nil && s.gpu.full.Datacenter
}

// backendIs reports whether the attention backend is forced to a name.
func (s *subject) backendIs(name string) bool { return strings.EqualFold(s.backendChosen(), name) }

// backendChosen is the attention backend the user asked for, or "".
func (s *subject) backendChosen() string {
	if v, _ := s.flags.Get("attention-backend"); v != "" {
		return v
	}
	return s.flags.Env["VLLM_ATTENTION_BACKEND"]
}

// ruleDisk: room for image, environment and weights.
func ruleDisk(s *subject) []finding {
	if s.c.DiskBytes == 0 {
		return nil
	}
	need, parts := s.diskNeed()
	if need == 0 || s.c.DiskBytes >= need {
		return nil
	}
	return []finding{{code: CodeDisk, facts: []catalog.Fact{s.says("disk", "the disk holds %.0f GiB", gib(s.c.DiskBytes)), reported("disk/need", parts, "the model's files; sizes of installed environments in public reports", "2026-11-25")},
		reason: fmt.Sprintf("%.0f GiB of disk are not enough: %s", gib(s.c.DiskBytes), parts)}}
}

func gib(b int64) float64 { return float64(b) / (1 << 30) }

// diskNeed is what must be on the disk: weights, and the environment when wheels are installed.
func (s *subject) diskNeed() (int64, string) {
	w := s.weightsBytes()
	if w == 0 {
		return 0, ""
	}
	env := int64(0)
	text := fmt.Sprintf("weights take %.1f GiB", gib(w))
	if !s.hasImage || s.wheels {
		env = 11 << 30
		text += ", the installed engine about 11 GiB"
	}
	return w + env, text
}
