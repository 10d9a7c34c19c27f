package catalog

import "justright/version"

// Facts lists every fact of the catalog, section by section in a fixed order.
func (s *Snapshot) Facts() []Fact {
	var out []Fact
	for _, sec := range Sections() {
		out = append(out, s.FactsOf(sec)...)
	}
	return out
}

// FactsOf lists the facts of one section in a fixed order.
func (s *Snapshot) FactsOf(section string) []Fact {
	switch section {
	case SectionVLLM:
		return s.releaseFacts(VLLM)
	case SectionEngines:
		return append(s.releaseFacts(VLLMCPU), s.releaseFacts(SGLang)...)
	case SectionArchitectures:
		return s.architectureFacts()
	case SectionTransformers:
		return s.transformersFacts()
	case SectionFlags:
		return s.nameFacts()
	case SectionHardware:
		return s.hardwareFacts()
	case SectionImages:
		var out []Fact
		for _, img := range s.BaseImages() {
			out = append(out, img.Fact(), img.GateFact())
		}
		return out
	case SectionRecipes:
		return s.recipeFacts()
	}
	return nil
}

func (s *Snapshot) releaseFacts(engine string) []Fact {
	var out []Fact
	for _, r := range s.Releases(engine) {
		add := func(known bool, a Aspect) {
			if known {
				out = append(out, r.Fact(a))
			}
		}
		add(true, AspectReleased)
		add(!r.Python.IsZero(), AspectPython)
		add(!r.Torch.IsZero(), AspectTorch)
		add(r.HasBounds, AspectTransformers)
		add(len(r.Variants) > 0, AspectWheelCUDA)
		add(len(r.Variants) > 1, AspectVariants)
		add(len(r.Variants) > 0 && !r.Variants[0].Glibc.IsZero(), AspectGlibc)
		add(!r.MinCapability.IsZero(), AspectCapability)
		add(len(r.Variants) > 0 && len(r.Variants[0].Capabilities) > 0, AspectCode)
		add(!r.ImageCUDA.IsZero(), AspectImage)
	}
	return out
}

func (s *Snapshot) architectureFacts() []Fact {
	var out []Fact
	for _, n := range s.Architectures() {
		a, _ := s.Architecture(n)
		out = append(out, a.Fact())
		if f, ok := a.TransformersFact(); ok {
			out = append(out, f)
		}
	}
	return out
}

func (s *Snapshot) transformersFacts() []Fact {
	var out []Fact
	for _, r := range s.TransformersReleases() {
		out = append(out, r.Fact())
	}
	for _, n := range s.ModelTypes() {
		m, _ := s.ModelType(n)
		out = append(out, m.Fact())
	}
	return out
}

func (s *Snapshot) nameFacts() []Fact {
	var out []Fact
	for _, k := range NameKinds() {
		for _, n := range s.Names(k) {
			if x, ok := s.Named(k, n); ok {
				out = append(out, x.Fact())
			}
		}
	}
	return out
}

func (s *Snapshot) hardwareFacts() []Fact {
	var out []Fact
	for i := range s.GPUs() {
		out = append(out, s.GPUs()[i].Fact())
	}
	for _, o := range s.hardware().os {
		out = append(out, o.Fact())
	}
	for _, b := range driverBranches() {
		out = append(out, MaxCUDAFact(version.Driver{Branch: b.branch}))
	}
	for _, major := range []int{11, 12, 13} {
		out = append(out, MinDriverFact(version.CUDA{Major: major}))
	}
	_, bf16 := BF16Capability()
	_, ptx, _ := PTXFloor(chip(12, 0), version.CUDA{Major: 13})
	return append(out, bf16, ptx)
}

func (s *Snapshot) recipeFacts() []Fact {
	var out []Fact
	sec := s.recipes()
	for i := range sec.families {
		f := sec.families[i].serving(sec)
		out = append(out, f.Fact())
	}
	for _, id := range sortedKeys(sec.recipes) {
		if r, ok := s.Recipe(id); ok && !r.MinEngine.IsZero() {
			out = append(out, r.Fact())
		}
	}
	return out
}
