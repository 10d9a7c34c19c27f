package solve

import (
	"encoding/json"
	"strings"

	"justright/catalog"
	"justright/version"
)

// MatrixRow is one engine release against hosts.
type MatrixRow struct {
	Engine   string       `json:"engine"`
	Version  string       `json:"version"`
	Released string       `json:"released"`
	Cells    []MatrixCell `json:"cells"`
}

// MatrixCell is one release on hosts of one CUDA version: how it is had there, or why not.
type MatrixCell struct {
	HostCUDA  version.CUDA   `json:"host_cuda"`
	Verdict   Outcome        `json:"verdict"`
	Install   string         `json:"install"` // of the way that works: "wheels" or "image"
	WheelCUDA string         `json:"wheel_cuda"`
	Image     bool           `json:"image"` // the official image works as well
	Code      string         `json:"code"`
	Reason    string         `json:"reason"`
	Facts     []catalog.Fact `json:"facts"`
}

// MarshalJSON writes a cell that nothing works in as one whose install and build are null, and no reason as null.
func (c MatrixCell) MarshalJSON() ([]byte, error) {
	type plain MatrixCell
	return json.Marshal(struct {
		plain
		Install   *string `json:"install"`
		WheelCUDA *string `json:"wheel_cuda"`
		Reason    *string `json:"reason"`
	}{plain(c), orNull(c.Install), orNull(c.WheelCUDA), orNull(c.Reason)})
}

// MatrixHosts are the CUDA versions that drivers in use offer.
func MatrixHosts() []version.CUDA {
	return []version.CUDA{{Major: 11, Minor: 8}, {Major: 12, Minor: 1}, {Major: 12, Minor: 2}, {Major: 12, Minor: 4}, {Major: 12, Minor: 6}, {Major: 12, Minor: 8}, {Major: 12, Minor: 9}, {Major: 13, Minor: 0}, {Major: 13, Minor: 2}}
}

// Matrix judges every release of the engine on every kind of host, newest first. A card in the pins counts; without
// one the answer is about software and driver alone.
func (j *Judger) Matrix(r Request, hosts []version.CUDA) []MatrixRow {
	s := &search{j: j, r: r, found: map[string]bool{}, seen: map[string]bool{}, weights: map[string]bool{}}
	p := place{}
	if g, ok := j.s.FindGPU(r.Pins.GPU); ok && r.Pins.GPU != "" {
		p.gpu = &g
	}
	n := max(1, r.Pins.GPUs)
	var rows []MatrixRow
	at := map[string]int{}
	for _, c := range j.choices(r, false) {
		v := c.release.Version.String()
		i, ok := at[v]
		if !ok {
			i = len(rows)
			at[v] = i
			row := MatrixRow{Engine: c.engine, Version: v, Released: c.release.Released}
			for _, h := range hosts {
				row.Cells = append(row.Cells, MatrixCell{HostCUDA: h, Verdict: Refused, Facts: []catalog.Fact{}})
			}
			rows = append(rows, row)
		}
		s.fillRow(&rows[i], c, p, n)
	}
	return rows
}

// fillRow judges one way to have a release on every host.
func (s *search) fillRow(row *MatrixRow, c engineChoice, p place, n int) {
	if c.lookup != "" && (!c.fillImage(s.j) || row.hopeless()) {
		return
	}
	c.base = s.j.resolve(s.caseFor(c, nil, 0, version.CUDA{}))
	if v, refused := c.base.refusal(); refused {
		for i := range row.Cells {
			row.Cells[i].refuse(v.Code, v.Reason, v.Facts)
		}
		return
	}
	for i := range row.Cells {
		cell := &row.Cells[i]
		if cell.Verdict == Works && (c.install == "wheels" || cell.Image) {
			continue
		}
		p.host = cell.HostCUDA
		if bad := s.onMachine(c, p, n); bad != nil {
			cell.refuse(bad.code, bad.reason, bad.facts)
			continue
		}
		if len(c.base.miss) > 0 {
			cell.doubt(c.base.miss)
			continue
		}
		if cell.Verdict != Works {
			cell.Verdict, cell.Install, cell.WheelCUDA = Works, c.install, c.variant.CUDA.String()
			cell.Code, cell.Reason, cell.Facts = "works", "", []catalog.Fact{}
		}
		cell.Image = cell.Image || c.install == "image"
	}
}

// doubt says that the facts do not decide, where nothing is known to speak against it.
func (c *MatrixCell) doubt(miss []string) {
	if c.Verdict != Works && c.Verdict != Unknown {
		c.Verdict, c.Code, c.Reason, c.Facts = Unknown, "facts_missing", "not known: "+strings.Join(miss, "; "), []catalog.Fact{}
	}
}

// hopeless reports whether every cell is refused for the model's sake: then the release's images need no look.
func (row *MatrixRow) hopeless() bool {
	for _, c := range row.Cells {
		if c.Code != CodeEngineUnknown && c.Code != CodeRemoved {
			return false
		}
	}
	return true
}

// refuse keeps the first reason: wheels are tried first, and their reason is the engine's own.
func (c *MatrixCell) refuse(code, reason string, facts []catalog.Fact) {
	if c.Verdict != Refused || c.Code != "" {
		return
	}
	c.Code, c.Reason, c.Facts = code, reason, facts
	if c.Facts == nil {
		c.Facts = []catalog.Fact{}
	}
}
