package catalog

import (
	"fmt"
	"regexp"
	"strings"

	"justright/version"
)

// OS is what a Linux distribution's release brings along.
type OS struct {
	Name   string         `json:"name"` // "ubuntu 22.04"
	Glibc  version.Glibc  `json:"glibc"`
	Python version.PEP440 `json:"python"` // the system's own python3; zero when it has none
}

var osWords = regexp.MustCompile(`[a-z]+|\d+(?:\.\d+)?`)

// FindOS finds a distribution release by any usual spelling: "Ubuntu 22.04.4", "ubuntu2204", "RHEL 9.6 aarch64",
// "Debian 12 (bookworm)". ok is false when it is not known.
func (s *Snapshot) FindOS(name string) (OS, bool) {
	words := osWords.FindAllString(strings.ToLower(name), -1)
	for i, w := range words {
		if len(w) == 4 && w[0] >= '0' && w[0] <= '9' && !strings.Contains(w, ".") {
			words[i] = w[:2] + "." + w[2:] // ubuntu2204
		}
	}
	have := " " + strings.Join(words, " ") + " "
	var best OS
	for _, o := range s.hardware().os {
		if !strings.Contains(have, " "+o.Name+" ") && !strings.Contains(have, " "+o.Name+".") {
			continue
		}
		if len(o.Name) > len(best.Name) {
			best = o
		}
	}
	return best, best.Name != ""
}

var glibcIn = regexp.MustCompile(`(?i)glibc[ -_]*(\d+\.\d+)`)

// GlibcOf finds the C library of a host description: a stated one ("TencentOS 3.1, glibc 2.28") wins over what the
// distribution brings. ok is false when neither is known.
func (s *Snapshot) GlibcOf(description string) (g version.Glibc, ok bool) {
	if m := glibcIn.FindStringSubmatch(description); m != nil {
		if g, err := version.ParseGlibc(m[1]); err == nil {
			return g, true
		}
	}
	o, ok := s.FindOS(description)
	return o.Glibc, ok && !o.Glibc.IsZero()
}

// Fact states what the distribution brings.
func (o OS) Fact() Fact {
	st := fmt.Sprintf("%s has glibc %s", o.Name, o.Glibc)
	if !o.Python.IsZero() {
		st += " and Python " + o.Python.String()
	}
	return Fact{ID: FactID("os/" + strings.ReplaceAll(o.Name, " ", "-")), Statement: st,
		Source: "https://repology.org/project/glibc/versions", Date: "2026-11-25", Standing: Reported}
}
