package pyindex

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"justright/version"
)

// Metadata is what a distribution's METADATA says, as far as resolving needs it.
type Metadata struct {
	Name           string
	Version        string
	RequiresPython string
	Requires       []Requirement
}

// Requirement is one Requires-Dist line.
type Requirement struct {
	Name      string // normalised
	Extras    []string
	Specifier version.Specifier
	URL       string
	Marker    string
}

var requirement = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*(.*)$`)

// ParseMetadata reads the headers of a METADATA file; the description after them is ignored.
func ParseMetadata(b []byte) (Metadata, error) {
	var m Metadata
	for line := range strings.SplitSeq(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n") {
		if line == "" {
			break // the description follows
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue // a folded line
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "name":
			m.Name = value
		case "version":
			m.Version = value
		case "requires-python":
			m.RequiresPython = value
		case "requires-dist":
			r, err := ParseRequirement(value)
			if err != nil {
				return Metadata{}, err
			}
			m.Requires = append(m.Requires, r)
		}
	}
	if m.Name == "" || m.Version == "" {
		return Metadata{}, fmt.Errorf("not a METADATA file: it names no project")
	}
	return m, nil
}

// ParseRequirement reads a requirement of PEP 508: "torch==2.14.0; platform_system == 'Linux'".
func ParseRequirement(s string) (Requirement, error) {
	body, marker, _ := strings.Cut(s, ";")
	m := requirement.FindStringSubmatch(strings.TrimSpace(body))
	if m == nil {
		return Requirement{}, fmt.Errorf("%.100q is no requirement", s)
	}
	r := Requirement{Name: Normalise(m[1]), Marker: strings.TrimSpace(marker)}
	for e := range strings.SplitSeq(m[2], ",") {
		if e = strings.TrimSpace(e); e != "" {
			r.Extras = append(r.Extras, Normalise(e))
		}
	}
	rest := strings.TrimSpace(m[3])
	if u, ok := strings.CutPrefix(rest, "@"); ok {
		r.URL = strings.TrimSpace(u)
		return r, nil
	}
	var err error
	if r.Specifier, err = version.ParseSpecifier(rest); err != nil {
		return Requirement{}, fmt.Errorf("requirement %.100q: %w", s, err)
	}
	return r, nil
}

// Requirement finds the requirement of a project that holds without an extra; ok is false when there is none.
func (m Metadata) Requirement(name string) (Requirement, bool) {
	for _, r := range m.Requires {
		if r.Name == Normalise(name) && !strings.Contains(r.Marker, "extra") {
			return r, true
		}
	}
	return Requirement{}, false
}

// checkSum compares with a hash in hex; an empty one is not compared.
func checkSum(b []byte, want string) error {
	if want == "" {
		return nil
	}
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:]); !strings.EqualFold(got, want) {
		return fmt.Errorf("its hash is %s…, the index said %.12s…", got[:12], want)
	}
	return nil
}
