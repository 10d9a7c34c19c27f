package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"justright/solve"
)

//go:embed matrix.html
var matrixPage string

// pageReason is why a cell is what it is; many cells share one.
type pageReason struct {
	Text  string     `json:"text"`
	Facts []pageFact `json:"facts"`
}

type pageFact struct {
	Statement string `json:"statement"`
	Origin    string `json:"origin"`
	Link      string `json:"link,omitempty"`
}

type pageCell struct {
	Class, Text, Mark string
	Why               int // index of its reason
}

type pageRow struct {
	Name, Released string
	Cells          []pageCell
}

type pagePart struct {
	Rows []pageRow
	Idle bool // releases that work nowhere: folded away
}

type pageLegend struct{ Letter, Class, Code, Example string }

// matrixView is the document in the words of the page.
type matrixView struct {
	matrixDocument
	Parts              []pagePart
	Reasons            []pageReason
	Legend             []pageLegend
	Works, Image, Idle bool
}

func viewMatrix(d matrixDocument) matrixView {
	byCode, codes := letters(d.Rows)
	v := matrixView{matrixDocument: d, Reasons: []pageReason{}}
	for _, c := range codes {
		v.Legend = append(v.Legend, pageLegend{byCode[c], "refused", c, exampleOf(d.Rows, c)})
	}
	known := map[string]int{}
	var live, idle pagePart
	for _, r := range d.Rows {
		row, works := pageRow{Name: r.Engine + " " + r.Version, Released: r.Released}, false
		for _, c := range r.Cells {
			cell := pageCell{Class: string(c.Verdict), Text: byCode[c.Code], Why: v.reason(known, c)}
			if c.Verdict == solve.Works {
				v.Works, cell.Text = true, c.WheelCUDA
				switch {
				case c.Install == "image":
					v.Image, cell.Mark = true, "img"
				case c.Image:
					v.Image, cell.Mark = true, "+img"
				}
			}
			for i := range v.Legend {
				if v.Legend[i].Letter == cell.Text && c.Verdict == solve.Unknown {
					v.Legend[i].Class = cell.Class
				}
			}
			works = works || c.Verdict != solve.Refused
			row.Cells = append(row.Cells, cell)
		}
		if works {
			live.Rows = append(live.Rows, row)
		} else {
			idle.Rows = append(idle.Rows, row)
		}
	}
	v.Parts = []pagePart{live}
	if len(idle.Rows) > 0 {
		v.Idle, idle.Idle = len(live.Rows) > 0, len(live.Rows) > 0
		v.Parts = append(v.Parts, idle)
	}
	return v
}

// reason is the index of a cell's reason among those of the page.
func (v *matrixView) reason(known map[string]int, c solve.MatrixCell) int {
	r := pageReason{Text: "works with the CUDA " + c.WheelCUDA + " build"}
	switch {
	case c.Verdict != solve.Works:
		r.Text = c.Reason
	case c.Install == "image":
		r.Text = "works with the official image, whose CUDA is " + c.WheelCUDA
	case c.Image:
		r.Text += " as wheels, and with the official image"
	default:
		r.Text += " as wheels"
	}
	key := r.Text
	for _, f := range c.Facts {
		pf := pageFact{Statement: f.Statement, Origin: factOrigin(f)}
		if strings.HasPrefix(f.Source, "https://") && !strings.ContainsAny(f.Source, " ;,") {
			pf.Link = f.Source
		}
		r.Facts = append(r.Facts, pf)
		key += "\n" + string(f.ID)
	}
	i, ok := known[key]
	if !ok {
		i = len(v.Reasons)
		known[key] = i
		v.Reasons = append(v.Reasons, r)
	}
	return i
}

func (w *World) writeMatrixPage(path string, d matrixDocument) error {
	page, err := template.New("matrix").Parse(matrixPage)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := page.Execute(&b, viewMatrix(d)); err != nil {
		return err
	}
	if path == "-" {
		_, err := fmt.Fprint(w.Stdout, b.String())
		return err
	}
	if path, err = w.keepFile(path, []byte(b.String()), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(w.Stderr, "wrote %s\n", path)
	return nil
}
