package solve

import (
	"fmt"
	"strings"

	"justright/catalog"
	"justright/version"
)

// resolveHost reads what the case says of the machine: driver, C library, interpreter, cards.
func (s *subject) resolveHost() {
	s.hostCUDA, s.driver = s.c.HostCUDA, s.c.Driver
	if s.hostCUDA.IsZero() && !s.driver.IsZero() {
		if c, ok := catalog.MaxCUDA(s.driver); ok {
			s.hostCUDA = c
		}
	}
	if !s.driver.IsZero() && catalog.OffersLess(s.driver, s.hostCUDA) {
		most, _ := catalog.MaxCUDA(s.driver)
		s.miss = append(s.miss, fmt.Sprintf("which CUDA the host offers: driver %s offers %s, and %s is stated", s.driver, most, s.hostCUDA))
	}
	s.glibc = s.c.Glibc
	if s.glibc.IsZero() && s.c.OS != "" {
		if g, ok := s.j.s.GlibcOf(s.c.OS); ok {
			s.glibc = g
		}
	}
	if s.hasImage && s.wheels {
		if k := s.j.image(s.imageRef(), s.day); k.ok { // installed into an image: its Python and C library count
			if s.glibc.IsZero() {
				s.glibc = k.img.Glibc
			}
			if s.c.Python == "" && !k.img.Python.IsZero() {
				s.c.Python = k.img.Python.String()
			}
		}
	}
	low := strings.ToLower(s.c.OS)
	s.resolveCard()
	g := &s.gpu
	s.arm = s.c.ARM || strings.Contains(low, "aarch64") || strings.Contains(low, "arm64") || g.known && g.card.ARM
	if v, err := version.ParsePEP440(s.c.Python); err == nil {
		s.python = v
	} else if s.image.Python != "" {
		if v, err := version.ParsePEP440(s.image.Python); err == nil {
			s.python = v
		}
	}
}

func (s *subject) resolveCard() {
	g := &s.gpu
	g.name, g.count, g.capability, g.bytes = s.c.GPU, s.c.GPUs, s.c.Capability, s.c.VRAMBytes
	if g.name != "" {
		g.card, g.known = catalog.FindCard(g.name)
		full, found := s.j.s.FindGPU(g.name)
		switch {
		case found:
			g.putCard(full)
		case g.known:
			if g.capability.IsZero() {
				g.capability = g.card.Capability
			}
			g.consumer = g.card.Consumer
			if g.bytes == 0 {
				g.bytes = visibleBytes(g.card)
			}
		case g.capability.IsZero():
			s.miss = append(s.miss, fmt.Sprintf("what %q is", g.name))
		}
		if n := float64(s.c.NominalGiB); n > 0 && s.c.VRAMBytes == 0 && (gib(g.bytes) < 0.85*n || gib(g.bytes) > 1.02*n) {
			g.bytes = int64(n * 0.985 * (1 << 30)) // another variant of the card
		} else if n == 0 && s.c.VRAMBytes == 0 && s.c.Closed && g.known && float64(g.card.MemoryGiB) > 1.15*gib(g.bytes) {
			g.bytes = visibleBytes(g.card) // which variant is not said: the larger one
		}
	}
}

// putCard takes a card of the catalog.
func (g *gpu) putCard(full catalog.GPU) {
	g.full, g.known, g.consumer = &full, true, full.Brand == "geforce" || full.Brand == "titan"
	if g.capability.IsZero() {
		g.capability = full.Capability
	}
	if g.bytes == 0 {
		g.bytes = full.MemoryBytes
	}
}

// visibleBytes is what a driver shows of a card's memory: a little less than the name says (facts of models.md 1.8).
func visibleBytes(c catalog.Card) int64 {
	gib := float64(c.MemoryGiB)
	switch {
	case c.MemoryGiB == 0:
		return 0
	case c.Name == "h100 nvl":
		gib = 93.0
	case c.Name == "rtx pro 6000":
		gib = 94.97
	case c.Name == "gb10":
		gib = 121.6
	case c.MemoryGiB == 141:
		gib = 139.8
	case c.MemoryGiB == 80:
		gib = 79.2
	case c.MemoryGiB == 48:
		gib = 44.5
		if strings.Contains(c.Name, "6000") || c.Name == "a40" {
			gib = 47.5
		}
	case c.MemoryGiB == 40:
		gib = 39.4
	case c.MemoryGiB == 24:
		gib = 23.6
		if c.Name == "l4" || c.Name == "a10g" || c.Name == "a10" {
			gib = 22.1
		}
	default:
		gib *= 0.985
	}
	return int64(gib * (1 << 30))
}
