package solve

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/money"
	"justright/version"
)

// plan makes the stack of a choice on n cards of a machine.
func (s *search) plan(p place, c engineChoice, n int) Stack {
	st := Stack{Install: c.install, GPU: GPU{Count: n, MemoryBytes: p.memory()}, Env: map[string]string{}, Unknowns: []string{},
		Concurrency: max(1, s.r.Concurrency), WeightsBytes: weightsOf(&s.r.Model), Flags: s.r.Pins.Flags}
	if p.gpu != nil {
		st.GPU.ID = p.gpu.ID
	}
	offer := p.offer
	st.Offer = &offer
	st.Engine = Engine{Name: c.engine, Version: c.release.Version.String(), Torch: c.release.Torch.String(), Python: s.python(c)}
	if !c.variant.CUDA.IsZero() {
		st.Engine.WheelCUDA = c.variant.CUDA.String()
	}
	st.Unknowns = append(st.Unknowns, c.unknown...)
	s.pinTransformers(&st, c)
	s.setContext(&st, p, c, n)
	s.setMachine(&st, p, c)
	s.setPrice(&st, p, n)
	s.setReady(&st, c)
	return st
}

// weightsOf is what is downloaded: the files' size, else what the shape says they hold.
func weightsOf(p *model.Profile) int64 {
	if p.WeightsBytes > 0 {
		return p.WeightsBytes
	}
	return memory.Estimate(*p, memory.Use{TensorParallel: 1}).WeightsBytes
}

// finish fills what ranking does not look at.
func (s *search) finish(m *made) {
	s.setRequirements(&m.Stack, m.choice, m.place)
	s.setArgv(&m.Stack, m.choice, m.place)
	m.Facts = append(m.Facts, s.planFacts(m.choice, m.place)...)
}

func (s *search) python(c engineChoice) string {
	if s.r.Pins.Python != "" {
		return s.r.Pins.Python
	}
	if c.image != nil && !c.image.Python.IsZero() {
		return c.image.Python.String()
	}
	return "3.12"
}

// pinTransformers takes the newest transformers of the release's own day that knows the model, else the oldest that
// does.
func (s *search) pinTransformers(st *Stack, c engineChoice) {
	if t := s.r.Pins.Transformers; t != "" {
		st.Engine.Transformers = strings.TrimPrefix(t, "==")
		return
	}
	pin := c.release.TransformersOnReleaseDay
	floor := version.PEP440{}
	if mt, ok := s.j.modelType(s.r.Model.ModelType); ok {
		floor = mt.First
	}
	taught := false
	for _, l := range s.lessons(c, nil) {
		if v, err := version.ParsePEP440(l.MinTransformers); err == nil && v.Compare(floor) > 0 {
			floor, taught = v, true
		}
	}
	ownConfig := false
	if a, ok := s.j.class(s.r.Model.Architecture); ok {
		ownConfig = a.ConfigInVLLM.At(c.release.Version) == catalog.Present
		if !a.MinTransformers.IsZero() && a.MinTransformers.Compare(floor) > 0 {
			floor = a.MinTransformers
		}
		if !a.AdmitsTransformers(c.release.Version, pin) {
			floor = maxVersion(floor, a.MinTransformers)
		}
	}
	if taught && pin.Compare(floor) < 0 && c.install == "wheels" {
		// How much newer was not said: the newest that the release admits is the surest.
		if n := s.j.s.NewestTransformers(c.release.Transformers, ""); n.Compare(floor) >= 0 {
			pin = n
			st.Unknowns = append(st.Unknowns, fmt.Sprintf("transformers %s is newer than the release: the two were not released together", pin))
		}
	}
	if pin.Compare(floor) < 0 && !floor.IsZero() && !ownConfig && c.install == "wheels" {
		for _, t := range s.j.s.TransformersReleases() { // the oldest that knows it and that the release admits
			if !t.Yanked && t.Version.Compare(floor) >= 0 && c.release.Transformers.Contains(t.Version) {
				pin = t.Version
				st.Unknowns = append(st.Unknowns, fmt.Sprintf("transformers %s is newer than the release: the two were not released together", pin))
				break
			}
		}
	}
	if c.install == "wheels" {
		if sound := s.j.unbroken(c.release, s.r.Model.Architecture, pin); !sound.IsZero() && sound.Compare(floor) >= 0 {
			pin = sound
		}
	}
	if !pin.IsZero() {
		st.Engine.Transformers = pin.String()
	} else {
		st.Unknowns = append(st.Unknowns, "which transformers goes with "+c.release.Version.String())
	}
}

func maxVersion(a, b version.PEP440) version.PEP440 {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// setContext takes the wanted context, or the longest of the usual lengths that surely fits.
func (s *search) setContext(st *Stack, p place, c engineChoice, n int) {
	if given, ok := ParseFlags(s.r.Pins.Flags).Int("max-model-len"); ok {
		st.Context = given
	} else {
		st.Context = s.wantedContext()
	}
	if p.gpu == nil {
		if s.r.Context == 0 && st.Context > 4096 {
			st.Context = 4096 // a CPU's cache is small and its prefill slow
		}
		return
	}
	estimate := func(context int) memory.Breakdown { return memory.Estimate(s.r.Model, s.use(c, p, n, context)) }
	b := estimate(st.Context)
	if b.Fits == nil {
		st.Unknowns = append(st.Unknowns, "memory: "+orText(b.Reason, strings.Join(b.Unknowns, "; ")))
		return
	}
	if _, stated := ParseFlags(s.r.Pins.Flags).Get("max-model-len"); stated || s.r.Context > 0 {
		return
	}
	limit := s.taughtLimit(c, p, n)
	if limit > 0 {
		st.Context = min(st.Context, limit)
	}
	for _, length := range contextLadder(s.r.Model.MaxPosition) {
		if length <= st.Context {
			break
		}
		if limit > 0 && length > limit {
			continue
		}
		if e := estimate(length); e.Fits != nil && *e.Fits {
			st.Context = length
			break
		}
	}
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// contextLadder lists lengths from the model's own downwards.
func contextLadder(limit int) []int {
	if limit <= 0 {
		return nil
	}
	out := []int{limit}
	for l := 1 << 20; l >= 8192; l >>= 1 {
		for _, x := range []int{l, l * 3 / 4} {
			if x < limit {
				out = append(out, x)
			}
		}
	}
	slices.SortFunc(out, func(a, b int) int { return b - a })
	return slices.Compact(out)
}

// setMachine fills the image, who starts first, and what the host must bring.
func (s *search) setMachine(st *Stack, p place, c engineChoice) {
	floor := version.CUDA{}
	raise := func(v version.CUDA) {
		if v.Compare(floor) > 0 {
			floor = v
		}
	}
	cuda := c.variant.CUDA
	if !cuda.IsZero() {
		raise(version.CUDA{Major: cuda.Major})
	}
	if p.gpu != nil {
		if f, _, ok := catalog.PTXFloor(p.gpu.Capability, cuda); ok {
			raise(f)
		}
	}
	switch {
	case c.image != nil:
		st.Image = c.image.Ref
		st.Guarded = false
		raise(s.gate(*c.image))
		if st.Engine.Python == "" {
			st.Unknowns = append(st.Unknowns, "the Python inside "+st.Image)
		}
	case s.r.ownHost():
		st.Guarded = true
	default:
		st.Guarded = true
		img, ok := s.imageFor(p, c)
		if !ok {
			break // nothingToStartFrom has refused it
		}
		st.Image = img.Ref
		if s.r.Pins.Image != "" && !s.j.image(img.Ref, "").ok {
			st.Unknowns = append(st.Unknowns, fmt.Sprintf("whether the image %s exists, what is inside and which CUDA it asks its host for", img.Ref))
		}
		raise(s.gate(img))
		if !img.Python.IsZero() && s.r.Pins.Python == "" {
			st.Engine.Python = img.Python.String()
		}
	}
	for _, l := range s.lessons(c, &p) {
		raise(l.MinHostCUDA)
	}
	if st.Guarded && st.Image != "" {
		seen, _ := s.imageLesson(st.Image)
		raise(seen)
	}
	st.Open = !st.Guarded || c.engine == catalog.SGLang
	st.Host.MinCUDA = floor
	if d, ok := catalog.MinDriver(cuda); ok {
		st.Host.MinDriver = d
	}
	if d, ok := catalog.DriverOf(floor); ok && d.Compare(st.Host.MinDriver) > 0 && floor.Minor > 0 {
		st.Host.MinDriver = d
	}
}

// imageFor is the image to install into on a machine: one that all its hosts admit, else one that the best of them do.
func (s *search) imageFor(p place, c engineChoice) (catalog.Image, bool) {
	img, ok := s.baseImage(c, p.low)
	if !ok || s.gate(img).Compare(p.host) > 0 && !p.host.IsZero() || p.low.IsZero() {
		img, ok = s.baseImage(c, p.host)
	}
	return img, ok
}

// nothingToStartFrom: a rented machine starts an image, and none that fits the release is admitted by these hosts.
func (s *search) nothingToStartFrom(p place, c engineChoice) *finding {
	if c.image != nil || s.r.ownHost() {
		return nil
	}
	if _, ok := s.imageFor(p, c); ok {
		return nil
	}
	host := "these hosts"
	if !p.host.IsZero() {
		host = "hosts with CUDA " + p.host.String()
	}
	var facts []catalog.Fact
	least := version.CUDA{}
	for _, img := range s.j.baseImages() {
		if g := s.gate(img); facts == nil || g.Compare(least) < 0 {
			least, facts = g, []catalog.Fact{img.GateFact()}
		}
	}
	return &finding{code: CodeImageGate, facts: facts, reason: fmt.Sprintf("no image to install %s %s into is admitted by %s; the lowest gate asks for CUDA %s", c.engine, c.release.Version, host, least)}
}

// gate is the CUDA floor an image asks its host for.
func (s *search) gate(img catalog.Image) version.CUDA { return s.j.image(img.Ref, "").floor }

// baseImage picks the image to install into: one the hosts admit, with a Python the release admits, the lowest gate
// first when the hosts are not known. A pinned image is taken as it is.
func (s *search) baseImage(c engineChoice, host version.CUDA) (catalog.Image, bool) {
	if ref := s.r.Pins.Image; ref != "" {
		if k := s.j.image(ref, ""); k.ok {
			return k.img, true
		}
		return catalog.Image{Ref: ref}, true
	}
	var best catalog.Image
	found := false
	for _, img := range s.j.baseImages() {
		gate := s.gate(img)
		if !img.Python.IsZero() && !c.release.Python.IsZero() && !c.release.Python.Contains(img.Python) || img.Python.IsZero() {
			continue
		}
		if !img.Glibc.IsZero() && img.Glibc.Compare(c.variant.Glibc) < 0 {
			continue
		}
		if seen, forbidden := s.imageLesson(img.Ref); forbidden {
			continue
		} else if seen.Compare(gate) > 0 {
			gate = seen
		}
		if !host.IsZero() && gate.Compare(host) > 0 {
			continue
		}
		dedicated, bestDedicated := strings.HasPrefix(img.Repository, "runpod/"), strings.HasPrefix(best.Repository, "runpod/")
		switch {
		case !found, dedicated && !bestDedicated, dedicated == bestDedicated && host.IsZero() && gate.Compare(s.gate(best)) < 0:
			best, found = img, true
		}
	}
	return best, found
}

// setRequirements pins what is installed.
func (s *search) setRequirements(st *Stack, c engineChoice, p place) {
	disk := st.WeightsBytes + 20<<30 + s.taughtDisk(c, &p)
	if c.install == "wheels" {
		req := c.variant.Requirement
		if c.engine == catalog.SGLang { // its wheel is plain Python; torch and the kernel package carry the CUDA build
			req, _, _ = strings.Cut(req, "+")
			if !c.variant.Default {
				st.Unknowns = append(st.Unknowns, "that sglang-kernel of the "+c.variant.Tag()+" build is still on SGLang's index")
			}
		}
		st.Requirements = append(st.Requirements, req)
		torch := s.r.Pins.Torch
		if torch == "" {
			torch = c.release.Torch.String()
		}
		if c.engine == catalog.VLLMCPU {
			if torch == "" {
				torch = cpuTorch(c.release.Version)
			}
			torch, _, _ = strings.Cut(torch, "+")
		}
		if c.engine != catalog.VLLMCPU && !c.variant.Default && torch != "" && !strings.Contains(torch, "+") && s.r.Pins.Torch == "" {
			torch += "+" + c.variant.Tag() // the same version on the package index is another CUDA build
			st.TorchBackend = c.variant.Tag()
		}
		st.Engine.Torch = torch
		if torch != "" {
			st.Requirements = append(st.Requirements, "torch=="+torch)
		}
		if st.Engine.Transformers != "" {
			st.Requirements = append(st.Requirements, "transformers=="+st.Engine.Transformers)
		}
		if c.engine != catalog.VLLMCPU {
			st.IndexURLs = slices.DeleteFunc(slices.Clone(c.variant.IndexURLs), func(u string) bool {
				return st.TorchBackend != "" && strings.Contains(u, "download.pytorch.org") // uv's --torch-backend knows it better
			})
		}
		disk += 15 << 30
	}
	const step = 10 << 30
	st.DiskBytes = (disk + step - 1) / step * step
}

// cpuTorch is the torch that a CPU build pins; "" when it was not read.
func cpuTorch(v version.PEP440) string {
	at := func(s string) bool { return v.Compare(version.MustParsePEP440(s)) >= 0 }
	switch {
	case at("0.33.0"):
		return ""
	case at("0.27.0"):
		return "2.13.0"
	case at("0.20.0"):
		return "2.11.0"
	}
	return ""
}

func (s *search) setPrice(st *Stack, p place, n int) {
	if p.offer.PricePerHour == nil {
		if s.r.MaxPrice != nil && p.offer.Provider != "local" {
			st.Unknowns = append(st.Unknowns, fmt.Sprintf("price: not known, so that the limit of $%s an hour could not be held against it", s.r.MaxPrice.Cents()))
		}
		return
	}
	price := *p.offer.PricePerHour * money.USD(max(1, n))
	st.PricePerHour = &price
}

// setReady predicts the seconds from the create call to a proven endpoint: the slower of install and weights, then the
// engine's own start. Rates are from public reports: images 8 to 12 GB compressed, wheels 4 to 5 GB, hubs give 100 to
// 400 MB/s to a data centre, engines start in one to four minutes (facts/vllm.md 8).
func (s *search) setReady(st *Stack, c engineChoice) {
	weights := float64(st.WeightsBytes)
	quick, slow := weights/400e6, weights/100e6
	var lo, hi float64
	switch {
	case c.engine == catalog.VLLMCPU:
		lo, hi = 30+weights/200e6, 300+weights/20e6
	case s.r.ownHost():
		lo, hi = 60+max(45, quick), 240+max(240, slow)
	case c.install == "wheels":
		lo, hi = 100+max(60, quick), 240+max(150, slow)
	default:
		lo, hi = 110+max(40, quick), 270+max(300, slow)
	}
	st.Ready.Seconds = [2]int{int(lo), int(hi)}
	if st.PricePerHour != nil {
		d := [2]money.USD{*st.PricePerHour * money.USD(int(lo)) / 3600, *st.PricePerHour * money.USD(int(hi)) / 3600}
		st.Ready.Dollars = &d
	}
}

// planFacts are what the plan rests on.
func (s *search) planFacts(c engineChoice, p place) []catalog.Fact {
	var out []catalog.Fact
	if a, ok := s.j.class(s.r.Model.Architecture); ok {
		out = append(out, a.Fact())
	}
	out = append(out, c.release.Fact(catalog.AspectTorch), c.release.Fact(catalog.AspectTransformers))
	if c.image != nil {
		out = append(out, c.image.GateFact())
	} else if !c.variant.CUDA.IsZero() {
		out = append(out, c.release.Fact(catalog.AspectVariants), catalog.MinDriverFact(c.variant.CUDA))
	}
	if p.gpu != nil {
		out = append(out, p.gpu.Fact())
	}
	return out
}
