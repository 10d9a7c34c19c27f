package catalog

import (
	"encoding/json"
	"fmt"
	"strings"

	"justright/version"
)

// Presence says whether a release has something. The zero value is Uncertain: unknown is a value.
type Presence int

// The presences.
const (
	Uncertain Presence = iota
	Absent
	Present
)

func (p Presence) String() string {
	switch p {
	case Absent:
		return "absent"
	case Present:
		return "present"
	default:
		return "unknown"
	}
}

// Span is a run of releases that have something, both ends included.
type Span struct {
	First     version.PEP440
	Last      version.PEP440 // zero: up to the newest release read
	OrEarlier bool           // First is only the oldest release that was read; it may be older
}

// Timeline says which releases have something: runs in ascending order, with holes between them.
type Timeline []Span

// At tells about release v. A pre-release between a release without and one with it is Uncertain; so is a
// release older than all that were read.
func (t Timeline) At(v version.PEP440) Presence {
	for _, s := range t {
		if s.holds(v) {
			return Present
		}
	}
	if len(t) > 0 && t[0].OrEarlier && v.Compare(t[0].First) < 0 {
		return Uncertain
	}
	if v.IsPrerelease() {
		for _, s := range t {
			if s.holds(v.Base()) {
				return Uncertain // 0.11.1rc6, where 0.11.1 is the first to have it
			}
		}
	}
	return Absent
}

func (s Span) holds(v version.PEP440) bool {
	return v.Compare(s.First) >= 0 && (s.Last.IsZero() || v.Public().Compare(s.Last) <= 0)
}

// First is the first release that has it (see Span.OrEarlier); zero when none has.
func (t Timeline) First() version.PEP440 {
	if len(t) == 0 {
		return version.PEP440{}
	}
	return t[0].First
}

// Last is the last release that has it; zero when the newest one read still has, or none has.
func (t Timeline) Last() version.PEP440 {
	if len(t) == 0 {
		return version.PEP440{}
	}
	return t[len(t)-1].Last
}

// String writes "0.8.3, 0.10.1 on".
func (t Timeline) String() string {
	if len(t) == 0 {
		return "never"
	}
	parts := make([]string, len(t))
	for i, s := range t {
		first := s.First.String()
		if s.OrEarlier {
			first += " or earlier"
		}
		switch {
		case s.Last.IsZero():
			parts[i] = first + " on"
		case s.First.Compare(s.Last) == 0:
			parts[i] = first
		default:
			parts[i] = first + " to " + s.Last.String()
		}
	}
	return strings.Join(parts, ", ")
}

// MarshalJSON writes [["0.8.3","0.8.3"],["0.10.1",""]]; "<=" before the first means "or earlier".
func (t Timeline) MarshalJSON() ([]byte, error) {
	rows := make([][2]string, len(t))
	for i, s := range t {
		rows[i] = [2]string{s.First.String(), s.Last.String()}
		if s.OrEarlier {
			rows[i][0] = "<=" + rows[i][0]
		}
	}
	return marshal(rows) // "<" as it is
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Timeline) UnmarshalJSON(b []byte) error {
	var rows [][2]string
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	out := make(Timeline, len(rows))
	for i, r := range rows {
		first, earlier := strings.CutPrefix(r[0], "<=")
		v, err := version.ParsePEP440(first)
		if err != nil {
			return err
		}
		out[i] = Span{First: v, OrEarlier: earlier}
		if err := out[i].Last.UnmarshalText([]byte(r[1])); err != nil {
			return err
		}
		if !out[i].Last.IsZero() && out[i].Last.Compare(v) < 0 {
			return fmt.Errorf("span %s to %s runs backwards", v, out[i].Last)
		}
	}
	*t = out
	return nil
}
