package cli

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"justright/problem"
	"justright/solve"
	"justright/version"
)

// matrixDocument is the justright/matrix/1 document.
type matrixDocument struct {
	Schema string            `json:"schema"`
	Model  planModel         `json:"model"`
	GPU    *string           `json:"gpu"`
	Hosts  []version.CUDA    `json:"hosts"`
	Rows   []solve.MatrixRow `json:"rows"`
}

func newMatrixCommand(w *World) *cobra.Command {
	o := &planOptions{}
	html := ""
	c := &cobra.Command{
		Use:   "matrix MODEL [flags] [-- engine flags]",
		Short: "Engine versions against host CUDA versions: what works where, and why not",
		Long: `matrix judges every engine release on hosts of every CUDA version. A cell says how the release is had there: w for wheels,
i for the official image too, or a letter for the reason; the legend is below. --gpu makes it about one card.

--html FILE writes a page that works from a file, each refused cell with its reason. --html - writes it to stdout.

Exit status: 0 the matrix was made, 2 unknown model or wrong usage, 3 no cell works, 4 gated model, 5 hub out of reach,
8 the facts decide of no cell that it works.`,
		Example: "  justright matrix openai/gpt-oss-20b\n  justright matrix Qwen/Qwen3-32B --gpu H100 --gpus 2 --html qwen3.html",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return runMatrix(c.Context(), w, o, args, c.ArgsLenAtDash(), html, asJSON)
		},
	}
	o.pins.add(c.Flags())
	c.Flags().BoolVar(&o.all, "all", false, "every release, not the recent ones")
	c.Flags().BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	c.Flags().StringVar(&html, "html", "", "write a page to this file; - is stdout")
	return c
}

func runMatrix(ctx context.Context, w *World, o *planOptions, args []string, dash int, html string, asJSON bool) error {
	var flags []string
	if dash >= 0 {
		args, flags = args[:dash], args[dash:]
	}
	if len(args) != 1 {
		return problem.New(problem.ExitUsage, "usage", "matrix wants one model, %d given", len(args)).Try("for example", "justright matrix openai/gpt-oss-20b")
	}
	s, err := w.facts()
	if err != nil {
		return err
	}
	pins, err := o.pins.read(s)
	if err != nil {
		return err
	}
	pins.Flags = flags
	p, err := w.lookupModel(ctx, args[0], o.online)
	if err != nil {
		return err
	}
	hosts := solve.MatrixHosts()
	if !pins.HostCUDA.IsZero() {
		hosts, pins.HostCUDA = []version.CUDA{pins.HostCUDA}, version.CUDA{}
	}
	r := solve.Request{Model: p, Target: onRunPod, Pins: pins}
	rows := solve.NewJudger(s).Matrix(r, hosts)
	d := matrixDocument{Schema: "justright/matrix/1", Model: planAnswer(r, solve.Result{}).Model, Hosts: hosts, Rows: rows}
	if pins.GPU != "" {
		d.GPU = &pins.GPU
	}
	if d.Rows == nil {
		d.Rows = []solve.MatrixRow{}
	}
	if html != "" {
		if err := w.writeMatrixPage(html, d); err != nil {
			return err
		}
	}
	switch {
	case asJSON:
		err = w.printJSON(d)
	case html != "-":
		printMatrix(w, d, o.all)
	}
	switch {
	case err != nil || has(rows, solve.Works):
	case has(rows, solve.Unknown):
		return exitStatus(problem.ExitUndecided)
	default:
		return exitStatus(problem.ExitNoStack)
	}
	return err
}

// has reports whether any cell has a verdict.
func has(rows []solve.MatrixRow, v solve.Outcome) bool {
	for _, r := range rows {
		for _, c := range r.Cells {
			if c.Verdict == v {
				return true
			}
		}
	}
	return false
}

// letters gives every reason of the matrix its letter, in the order of the codes' names.
func letters(rows []solve.MatrixRow) (byCode map[string]string, codes []string) {
	seen := map[string]bool{}
	for _, r := range rows {
		for _, c := range r.Cells {
			if c.Verdict != solve.Works && !seen[c.Code] {
				seen[c.Code] = true
				codes = append(codes, c.Code)
			}
		}
	}
	sort.Strings(codes)
	byCode = map[string]string{}
	for i, c := range codes {
		byCode[c] = string(rune('A' + i%26))
	}
	return byCode, codes
}

func printMatrix(w *World, d matrixDocument, all bool) {
	out := w.Stdout
	byCode, codes := letters(d.Rows)
	title := d.Model.ID
	if d.GPU != nil {
		title += " on " + *d.GPU
	}
	fmt.Fprintf(out, "%s\n\n", w.wrapped(0, 2, title+": releases against the CUDA version that the host's driver offers"))
	rows := [][]string{{"release", "of"}}
	for _, h := range d.Hosts {
		rows[0] = append(rows[0], h.String())
	}
	hidden := 0
	for _, r := range d.Rows {
		works := false
		row := []string{r.Engine + " " + r.Version, r.Released}
		for _, c := range r.Cells {
			works = works || c.Verdict != solve.Refused
			row = append(row, cellText(c, byCode))
		}
		if !works && !all {
			hidden++
			continue
		}
		rows = append(rows, row)
	}
	if w.Width > 0 && tableWidth(rows, 2) > w.Width { // without the days, of which the versions tell
		for i, r := range rows {
			rows[i] = append([]string{strings.TrimPrefix(r[0], "vllm ")}, r[2:]...)
		}
		w.printBands(out, rows)
	} else {
		printColumns(out, rows)
	}
	if hidden > 0 {
		fmt.Fprint(out, w.fitted(fmt.Sprintf("  %d releases that work nowhere are left out: --all\n", hidden)))
	}
	fmt.Fprintf(out, "\n  %s\n", w.wrapped(2, 2, "w wheels of the CUDA build named, +i the official image as well, i the image alone"))
	for _, c := range codes {
		fmt.Fprintf(out, "  %s %s\n", byCode[c], w.wrapped(4, 4, c+": "+exampleOf(d.Rows, c)))
	}
}

// printBands writes a matrix whose first column names the rows, in as many parts side by side as the terminal has room for, one
// below the other.
func (w *World) printBands(out io.Writer, rows [][]string) {
	for first := 1; first < len(rows[0]); {
		last := len(rows[0])
		band := func() [][]string {
			var part [][]string
			for _, r := range rows {
				part = append(part, append([]string{r[0]}, r[first:last]...))
			}
			return part
		}
		for last > first+1 && tableWidth(band(), 1) > w.Width {
			last--
		}
		if first > 1 {
			fmt.Fprintln(out)
		}
		spaced(out, band(), 1)
		first = last
	}
}

func cellText(c solve.MatrixCell, byCode map[string]string) string {
	if c.Verdict != solve.Works {
		return byCode[c.Code]
	}
	build := strings.ReplaceAll(c.WheelCUDA, ".", "")
	if c.Install == "image" {
		return "i" + build
	}
	if c.Image {
		return "w" + build + "+i"
	}
	return "w" + build
}

func exampleOf(rows []solve.MatrixRow, code string) string {
	for _, r := range rows {
		for _, c := range r.Cells {
			if c.Code == code && c.Verdict != solve.Works {
				return c.Reason
			}
		}
	}
	return ""
}
