package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed data/vllm.json data/engines.json data/architectures.json data/transformers.json
//go:embed data/flags.json data/hardware.json data/images.json data/recipes.json
var embedded embed.FS

// Snapshot is one state of the facts. Its sections are parsed when first asked for, once; it is safe for
// concurrent use and never changes.
type Snapshot struct {
	own     fs.FS // the embedded sections
	overlay fs.FS // the user's sections, made by `catalog refresh`; may be nil

	mu       sync.Mutex
	problems []string
	releases map[string][]Release // by engine, complete
	derived  derivations

	vllm       func() engineSection
	others     func() engineSection
	archs      func() archSection
	transforms func() transformersSection
	flags      func() flagSection
	hardware   func() hardwareSection
	images     func() imageSection
	recipes    func() recipeSection
}

// Embedded returns the facts this program was built with.
func Embedded() (*Snapshot, error) { return Load(nil) }

// Load returns the embedded facts, each section replaced by the overlay's file of the same name where that was
// not read earlier. A section of the overlay that cannot be parsed is left out; Problems says so.
func Load(overlay fs.FS) (*Snapshot, error) {
	data, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, fmt.Errorf("embedded catalog: %w", err)
	}
	s := &Snapshot{own: data, overlay: overlay, releases: map[string][]Release{}}
	s.vllm = lazy(s, SectionVLLM, parseEngines)
	s.others = lazy(s, SectionEngines, parseEngines)
	s.archs = lazy(s, SectionArchitectures, parseArchitectures)
	s.transforms = lazy(s, SectionTransformers, parseTransformers)
	s.flags = lazy(s, SectionFlags, parseFlags)
	s.hardware = lazy(s, SectionHardware, parseHardware)
	s.images = lazy(s, SectionImages, parseImages)
	s.recipes = lazy(s, SectionRecipes, parseRecipes)
	return s, nil
}

// The sections: each is one file of the catalog, embedded or in the overlay.
const (
	SectionVLLM          = "vllm.json"
	SectionEngines       = "engines.json"
	SectionArchitectures = "architectures.json"
	SectionTransformers  = "transformers.json"
	SectionFlags         = "flags.json"
	SectionHardware      = "hardware.json"
	SectionImages        = "images.json"
	SectionRecipes       = "recipes.json"
)

// Raw returns the bytes of one section as they are used.
func (s *Snapshot) Raw(section string) ([]byte, error) {
	own, err := fs.ReadFile(s.own, section)
	if err != nil {
		return nil, fmt.Errorf("catalog section %s: %w", section, err)
	}
	if theirs := s.newer(section, own); theirs != nil {
		return theirs, nil
	}
	return own, nil
}

// newer returns the overlay's bytes of a section unless they are missing or older than own.
func (s *Snapshot) newer(section string, own []byte) []byte {
	if s.overlay == nil {
		return nil
	}
	theirs, err := fs.ReadFile(s.overlay, section)
	if err != nil || ReadDate(theirs) < ReadDate(own) {
		return nil
	}
	return theirs
}

// Problems lists the sections of the overlay that could not be used, in words; only sections that were asked for
// are known.
func (s *Snapshot) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.problems...)
}

// lazy parses a section once. The embedded section is the program's own and known to parse (a test parses every
// one), so its failure is a bug and panics.
func lazy[T any](s *Snapshot, section string, parse func([]byte) (T, error)) func() T {
	return sync.OnceValue(func() T {
		own, err := fs.ReadFile(s.own, section)
		if err != nil {
			panic(fmt.Sprintf("catalog: embedded section %s: %v", section, err))
		}
		if theirs := s.newer(section, own); theirs != nil {
			v, err := parse(theirs)
			if err == nil {
				return v
			}
			s.mu.Lock()
			s.problems = append(s.problems,
				fmt.Sprintf("%s of the refreshed catalog is not usable, the built-in one is used: %v", section, err))
			s.mu.Unlock()
		}
		v, err := parse(own)
		if err != nil {
			panic(fmt.Sprintf("catalog: embedded section %s: %v", section, err))
		}
		return v
	})
}

// ReadDate finds the date on which a section was read. Every section begins with it, so that choosing between two
// parses neither; "" when there is none.
func ReadDate(section []byte) string {
	head := string(section[:min(len(section), 200)])
	_, after, ok := strings.Cut(head, `"read":`)
	if !ok {
		return ""
	}
	after = strings.TrimLeft(after, " \"")
	if len(after) < len("2006-01-02") {
		return ""
	}
	return after[:len("2006-01-02")]
}

// Sections names the files of a catalog in a fixed order.
func Sections() []string {
	return []string{SectionVLLM, SectionEngines, SectionArchitectures, SectionTransformers, SectionFlags,
		SectionHardware, SectionImages, SectionRecipes}
}
