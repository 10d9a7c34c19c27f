package solve

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"justright/catalog"
	"justright/version"
)

// engineChoice is one way to have the engine: a release, as wheels of one CUDA build or inside its official image.
type engineChoice struct {
	engine   string
	release  *catalog.Release
	install  string // "image" or "wheels"
	variant  catalog.Variant
	image    *catalog.Image // official image; nil with wheels
	order    int            // preference among choices; lower is better
	unknown  []string
	lookup   string   // image that is still to be looked up
	wantCUDA string   // CUDA that the image must have
	base     *subject // judged without a machine
}

// ref is the image reference of a choice.
func (c engineChoice) ref() string {
	if c.image == nil {
		return ""
	}
	return c.image.Ref
}

// place is one kind of machine that could be had.
type place struct {
	offer catalog.Offer
	gpu   *catalog.GPU // nil: no GPU
	host  version.CUDA // best CUDA that hosts of the offer have; zero unknown
	low   version.CUDA // the least of them
}

// engineOf is the engine the request is about.
func engineOf(r Request) EngineRef { return ParseEngineRef("", r.Pins.Engine) }

// choices lists the ways to have the engine, the preferred first: newer releases first, CUDA 12 builds before CUDA 13
// where the hosts are not known, since a CUDA 12 build runs on all of them.
func (j *Judger) choices(r Request, cpu bool) []engineChoice {
	e := engineOf(r)
	name := e.Name
	if name == "" {
		name = catalog.VLLM
	}
	if cpu && name == catalog.VLLM {
		name = catalog.VLLMCPU
	}
	img := ParseImageRef(r.Pins.Image)
	wantImage := r.Pins.Install == "image" || img.Engine.Name != ""
	var out []engineChoice
	all := j.Releases(name)
	for i := len(all) - 1; i >= 0; i-- {
		rel := &all[i]
		if rel.Yanked || rel.Version.IsPrerelease() || !admits(e, rel.Version) || name == catalog.VLLM && rel.Version.Compare(catalog.FirstCurrentVLLM) < 0 && e.Exact.IsZero() {
			continue
		}
		if !wantImage {
			out = append(out, j.wheelChoices(r, rel)...)
		}
		if (r.Pins.Install == "" || r.Pins.Install == "image") && !cpu && !r.ownHost() && !(img.Text != "" && img.Engine.Name == "") {
			out = append(out, j.imageChoices(r, rel, img)...)
		}
	}
	for i := range out {
		out[i].order = i
	}
	return out
}

func admits(e EngineRef, v version.PEP440) bool {
	switch {
	case !e.Exact.IsZero():
		return e.Exact.Public().Compare(v) == 0
	case e.Bounded:
		return e.Bound.Contains(v)
	}
	return true
}

func (j *Judger) wheelChoices(r Request, rel *catalog.Release) []engineChoice {
	var out []engineChoice
	for _, v := range rel.Variants {
		if !wantsVariant(r, v) || !v.Online && v.Requirement == "" {
			continue
		}
		c := engineChoice{engine: rel.Engine, release: rel, install: "wheels", variant: v}
		if !v.Online && !v.Default {
			c.unknown = append(c.unknown, fmt.Sprintf("the %s build of %s is known to be built; that it can be downloaded was not checked", v.Tag(), rel.Version))
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b engineChoice) int { return b.variant.CUDA.Compare(a.variant.CUDA) })
	return out
}

func wantsVariant(r Request, v catalog.Variant) bool {
	w := strings.ToLower(r.Pins.WheelCUDA)
	if w == "" {
		if l := engineOf(r).Exact.Local(); strings.HasPrefix(l, "cu") {
			w = l
		}
	}
	if w == "" {
		return true
	}
	if w == "cpu" {
		return v.CUDA.IsZero()
	}
	c, err := version.ParseCUDA(w)
	return err == nil && c == v.CUDA
}

// imageChoices are the official images of a release: the plain tag and those with a CUDA suffix.
func (j *Judger) imageChoices(r Request, rel *catalog.Release, pinned ImageRef) []engineChoice {
	repository := map[string]string{catalog.VLLM: "vllm/vllm-openai", catalog.SGLang: "lmsysorg/sglang"}[rel.Engine]
	if repository == "" {
		return nil
	}
	var refs []string
	if pinned.Engine.Name != "" {
		if !pinned.Engine.Exact.IsZero() && pinned.Engine.Exact.Public().Compare(rel.Version) != 0 {
			return nil
		}
		if pinned.Moving {
			if n := j.newest(rel.Engine, "", nil); n == nil || n.Version.Compare(rel.Version) != 0 {
				return nil
			}
		}
		refs = []string{strings.TrimSpace(r.Pins.Image)}
	} else {
		for _, t := range rel.ImageTags {
			if t == "v"+rel.Version.String() || strings.HasPrefix(t, "v"+rel.Version.String()+"-cu") && !strings.Contains(t, "ubuntu") {
				refs = append(refs, repository+":"+t)
			}
		}
	}
	var out []engineChoice
	for _, ref := range refs {
		out = append(out, engineChoice{engine: rel.Engine, release: rel, install: "image", lookup: ref, wantCUDA: r.Pins.WheelCUDA})
	}
	return out
}

// fillImage looks the image of a choice up; false when it is not known or not the build that is wanted.
func (c *engineChoice) fillImage(j *Judger) bool {
	known := j.image(c.lookup, "")
	if !known.ok {
		return false
	}
	img, rel := known.img, c.release
	c.image = &img
	if v, ok := rel.Variant(img.CUDA); ok {
		c.variant = v
	} else {
		c.variant, _ = rel.Variant(version.CUDA{})
		c.variant.CUDA, c.variant.TorchCUDA = img.CUDA, img.CUDA
	}
	if c.wantCUDA != "" {
		if want, err := version.ParseCUDA(c.wantCUDA); err != nil || want != img.CUDA {
			return false
		}
	}
	if !img.Confirmed {
		c.unknown = append(c.unknown, "that the tag "+c.lookup+" exists was not read from the registry")
	}
	return true
}

// places lists the machines: the offers, or without any the catalog's own list of what the target rents, with no
// prices.
func (j *Judger) places(r Request) []place {
	offers := r.Offers
	if offers == nil && !r.ownHost() {
		for _, g := range j.s.GPUs() {
			if len(g.RunPodIDs) == 0 || g.Vendor != "nvidia" {
				continue
			}
			offers = append(offers, catalog.Offer{Provider: "runpod", GPU: g.ID, ProviderID: g.RunPodIDs[0], Source: "catalog", Date: j.s.NewestEngineRead(catalog.VLLM)})
		}
	}
	var want *catalog.GPU
	if r.Pins.GPU != "" {
		if g, ok := j.s.FindGPU(r.Pins.GPU); ok {
			want = &g
		}
	}
	var out []place
	for _, o := range offers {
		p := place{offer: o}
		if o.GPU != "" {
			g, ok := j.s.FindGPU(o.GPU)
			if !ok || g.Vendor != "nvidia" {
				continue
			}
			p.gpu = &g
		}
		if want != nil && (p.gpu == nil || p.gpu.ID != want.ID) || !p.isCard(r.Pins) {
			continue
		}
		for _, c := range o.HostCUDA {
			if c.Compare(p.host) > 0 {
				p.host = c
			}
			if p.low.IsZero() || c.Compare(p.low) < 0 {
				p.low = c
			}
		}
		if p.host.IsZero() && !o.Driver.IsZero() {
			p.host, _ = catalog.MaxCUDA(o.Driver)
		}
		if pin := pinnedHost(r); !pin.IsZero() {
			p.host = pin
		}
		out = append(out, p)
	}
	if want != nil && len(out) == 0 && r.Offers == nil && r.Target != "local" {
		p := place{offer: catalog.Offer{Provider: r.Target, GPU: want.ID, ProviderID: want.Name, Source: "catalog"}, gpu: want, host: pinnedHost(r)}
		if p.isCard(r.Pins) {
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return placeLess(out[a], out[b]) })
	return out
}

// isCard compares a machine's card with the capability and the memory that are pinned. A name says a little more memory
// than a driver shows: 24 GB are 22.1 to 23.6 GiB.
func (p place) isCard(pins Pins) bool {
	if !pins.Capability.IsZero() && p.capability().Compare(pins.Capability) != 0 {
		return false
	}
	m, want := float64(p.memory()), float64(pins.VRAMBytes)
	return pins.VRAMBytes == 0 || m >= 0.9*want && m <= 1.02*want
}

func pinnedHost(r Request) version.CUDA {
	if !r.Pins.HostCUDA.IsZero() {
		return r.Pins.HostCUDA
	}
	if c, ok := catalog.MaxCUDA(r.Pins.Driver); ok && !r.Pins.Driver.IsZero() {
		return c
	}
	return version.CUDA{}
}

// placeLess orders machines: cheaper first, unknown prices after known ones and by memory among themselves.
func placeLess(a, b place) bool {
	pa, pb := a.offer.PricePerHour, b.offer.PricePerHour
	switch {
	case pa != nil && pb != nil && *pa != *pb:
		return *pa < *pb
	case (pa == nil) != (pb == nil):
		return pa != nil
	}
	ma, mb := a.memory(), b.memory()
	if ma != mb {
		return ma < mb
	}
	if ca, cb := a.capability(), b.capability(); ca != cb {
		return ca.Compare(cb) > 0
	}
	return a.offer.ProviderID+a.offer.Cloud < b.offer.ProviderID+b.offer.Cloud
}

func (p place) memory() int64 {
	if p.gpu == nil {
		return 0
	}
	return p.gpu.MemoryBytes
}

func (p place) capability() version.Capability {
	if p.gpu == nil {
		return version.Capability{}
	}
	return p.gpu.Capability
}
