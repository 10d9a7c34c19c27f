package cli

import (
	"fmt"
	"io"
	"strings"

	"justright/internal/ui/text"
	"justright/model"
	"justright/solve"
)

// fewRefused is how many refused candidates a person sees unless all are asked for.
const fewRefused = 4

func printPlans(w *World, r solve.Request, res solve.Result, all bool) {
	out := w.Stdout
	fmt.Fprintln(out, w.wrapped(0, 2, modelLine(r.Model)))
	switch {
	case r.Target == onRunPod && r.Offers == nil:
		fmt.Fprintln(out, w.wrapped(0, 2, "on runpod   no key: cards of the catalog, prices not known"))
	default:
		fmt.Fprintf(out, "on %s\n", r.Target)
	}
	fmt.Fprintln(out)
	if c := res.Conflict; c != nil {
		fmt.Fprintf(out, "no stack: %s\n", w.wrapped(10, labelWidth, c.Reason))
		printFacts(w, "because", c.Facts)
		w.printHints(c.Hints)
		fmt.Fprintln(out)
	}
	if len(res.Plans) > 0 {
		w.printPlanTable(res.Plans)
	}
	refused := res.Refused
	if !all && len(refused) > fewRefused {
		refused = refused[:fewRefused]
	}
	name := 32
	for _, f := range refused {
		name = max(name, len([]rune(candidateName(f.Candidate))))
	}
	for _, f := range refused {
		w.printRefused(f, name)
	}
	if rest := len(res.Refused) - len(refused); rest > 0 {
		w.labelled(out, "", fmt.Sprintf("%d more: justright plan %s --all", rest, r.Model.ID))
	}
	printOpen(w, res.Plans)
	printUnknowns(w, res.Plans, all)
}

// printRefused writes a candidate, in a column of name runes, and its reason: beside it where there is room and below it where
// there is not.
func (w *World) printRefused(f solve.Refusal, name int) {
	line := fmt.Sprintf("%-8s %-*s ", "refused", name, candidateName(f.Candidate))
	if n := len([]rune(line)); w.Width == 0 || n+len([]rune(f.Reason)) <= w.Width {
		fmt.Fprintf(w.Stdout, "%s%s\n", line, f.Reason)
		return
	}
	w.labelled(w.Stdout, "refused", candidateName(f.Candidate))
	fmt.Fprintf(w.Stdout, "%*s%s\n", labelWidth+2, "", w.wrapped(labelWidth+2, labelWidth+2, f.Reason))
}

// printUnknowns writes what is not known of the first plans, each thing once.
func printUnknowns(w *World, plans []solve.Stack, all bool) {
	if !all && len(plans) > 3 {
		plans = plans[:3]
	}
	printOfPlans(w, "unknown", plans, func(p solve.Stack) []string { return p.Unknowns })
}

// printOpen writes why plans are open, each reason once.
func printOpen(w *World, plans []solve.Stack) {
	printOfPlans(w, "open", plans, func(p solve.Stack) []string {
		if why := p.OpenBecause(); why != "" {
			return []string{why}
		}
		return nil
	})
}

// printOfPlans writes what is said of plans under a label, each thing once with the plans it is said of.
func printOfPlans(w *World, label string, plans []solve.Stack, says func(solve.Stack) []string) {
	var order []string
	of := map[string][]string{}
	for _, p := range plans {
		for _, u := range says(p) {
			if of[u] == nil {
				order = append(order, u)
			}
			of[u] = append(of[u], fmt.Sprint(p.Rank))
		}
	}
	for _, u := range order {
		word := "plan "
		if len(of[u]) > 1 {
			word = "plans "
		}
		w.labelled(w.Stdout, label, word+strings.Join(of[u], ", ")+": "+u)
	}
}

func modelLine(m model.Profile) string {
	parts := []string{}
	if m.Architecture != "" {
		parts = append(parts, m.Architecture)
	}
	if m.Parameters > 0 {
		parts = append(parts, fmt.Sprintf("%.1f B parameters", float64(m.Parameters)/1e9))
	}
	if m.WeightsBytes > 0 {
		s := fmt.Sprintf("%.1f GiB of weights", float64(m.WeightsBytes)/(1<<30))
		if m.Quant != nil {
			s += " (" + m.Quant.Method + ")"
		}
		parts = append(parts, s)
	}
	return m.ID + "   " + strings.Join(parts, " · ")
}

func candidateName(c solve.Candidate) string {
	name := c.Image
	if name == "" {
		name = c.Engine
		if c.WheelCUDA != "" {
			name += " (CUDA " + c.WheelCUDA + ")"
		}
	}
	if c.GPU != "" {
		name = c.GPU + ", " + name
	}
	return name
}

// printPlanTable writes the plans as a table.
func printPlanTable(out io.Writer, plans []solve.Stack) {
	printColumns(out, planRows(plans))
	fmt.Fprintln(out)
}

// printPlanTable writes the plans as a table, in shorter words where the terminal is narrow.
func (w *World) printPlanTable(plans []solve.Stack) {
	rows := planRows(plans)
	if w.Width == 0 || tableWidth(rows, 2) <= w.Width {
		printPlanTable(w.Stdout, plans)
		return
	}
	full := planRows(plans)
	unguarded, open := false, false
	for i, r := range rows {
		if i == 0 {
			rows[0] = []string{"", "GPU", "CUDA", "engine", "how", "context", "$/h", "min", "$"}
			continue
		}
		r[1] = strings.TrimSuffix(r[1], " GB") + "G"
		if r[1] == "CPUG" {
			r[1] = "CPU"
		}
		r[2] = strings.TrimPrefix(r[2], ">= ")
		r[3] = strings.NewReplacer("vllm ", "", "(", "", ")", "").Replace(r[3])
		if how, cut := strings.CutSuffix(r[4], ", no guard"); cut {
			r[4], unguarded = how+" !", true
		}
		if how, mark, cut := strings.Cut(r[4], ", open"); cut {
			r[4], open = how+" *"+strings.TrimSpace(mark), true
		}
		r[7] = strings.TrimSuffix(r[7], " min")
		r[8] = strings.TrimPrefix(r[8], "$")
	}
	if tableWidth(rows, 1) > w.Width { // no table is that narrow: each plan in two lines
		for _, r := range full[1:] {
			text := fmt.Sprintf("%s, host CUDA %s, %s by %s, context %s, $%s an hour, ready in %s", r[1], r[2], r[3], r[4], r[5], r[6], r[7])
			if r[8] != "?" {
				text += " by " + r[8]
			}
			fmt.Fprintf(w.Stdout, "%3s  %s\n", r[0], w.wrapped(5, 5, text))
		}
		fmt.Fprintln(w.Stdout)
		return
	}
	spaced(w.Stdout, rows, 1)
	legend := "CUDA is the least that the host's driver offers, min and $ what it takes until it is ready"
	if unguarded {
		legend += ", ! has no guard"
	}
	if open {
		legend += ", * is open: some paths ask for no key"
	}
	fmt.Fprintf(w.Stdout, "  %s\n\n", w.wrapped(2, 2, legend))
}

func planRows(plans []solve.Stack) [][]string {
	rows := [][]string{{"", "GPU", "host CUDA", "engine", "how", "context", "$/h", "ready in", "by then"}}
	for _, p := range plans {
		gpu := "CPU"
		if p.GPU.ID != "" {
			gpu = fmt.Sprintf("%s %d GB", p.GPU.ID, (p.GPU.MemoryBytes+1<<29)>>30)
			if p.GPU.Count > 1 {
				gpu = fmt.Sprintf("%d x %s", p.GPU.Count, gpu)
			}
		}
		host := "any"
		if !p.Host.MinCUDA.IsZero() {
			host = ">= " + p.Host.MinCUDA.String()
		}
		engine := p.Engine.Name + " " + p.Engine.Version
		if p.Engine.WheelCUDA != "" {
			engine += " (cu" + strings.ReplaceAll(p.Engine.WheelCUDA, ".", "") + ")"
		}
		how := p.Install
		if p.Open {
			how += ", open"
		}
		if !p.Guarded {
			how += ", no guard"
		}
		price, dollars := "?", "?"
		if p.PricePerHour != nil {
			price = p.PricePerHour.Cents()
		}
		if p.Ready.Dollars != nil {
			dollars = "$" + p.Ready.Dollars[1].Cents()
		}
		context := "-"
		if p.Context > 0 {
			context = fmt.Sprint(p.Context)
		}
		rows = append(rows, []string{fmt.Sprint(p.Rank), gpu, host, engine, how, context, price, text.Interval(p.Ready.Seconds), dollars})
	}
	return rows
}

// printColumns writes rows with columns as wide as their widest cell.
func printColumns(out io.Writer, rows [][]string) { spaced(out, rows, 2) }

func columnWidths(rows [][]string) map[int]int {
	width := map[int]int{}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	return width
}

func tableWidth(rows [][]string, gap int) int {
	n := 0
	for _, c := range columnWidths(rows) {
		n += gap + c
	}
	return n
}

// spaced writes rows with gap blanks before every column.
func spaced(out io.Writer, rows [][]string, gap int) {
	width := columnWidths(rows)
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(strings.Repeat(" ", gap))
			b.WriteString(c)
			b.WriteString(strings.Repeat(" ", width[i]-len([]rune(c))))
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
}
