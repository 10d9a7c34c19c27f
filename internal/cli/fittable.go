package cli

import (
	"fmt"
	"io"
	"math"
	"strings"

	"justright/internal/ui/text"
	"justright/memory"
	"justright/model"
)

// printFit shows the account as a sum a person can check.
func (world *World) printFit(p model.Profile, c fitChoice, d fitDocument) {
	w := world.Stdout
	fmt.Fprintln(w, world.wrapped(0, 2, p.ID+"   "+describeModel(p)))
	if d.GPU.MemoryBytes == nil {
		printKnown(w, d)
	} else {
		count := ""
		if d.GPU.many() > 1 {
			count = fmt.Sprintf("%d x ", d.GPU.many())
		}
		line := fmt.Sprintf("%s%s (%s)   vLLM %s", count, d.GPU.name(), gib(*d.GPU.MemoryBytes), d.Engine)
		if c.chosen {
			line += " · chosen: the smallest that is sure to do"
		}
		fmt.Fprintf(w, "%s\n\n", world.wrapped(0, 2, line))
		world.printAccount(d)
	}
	world.printVerdict(p, d)
	if len(d.Options) > 0 {
		fmt.Fprintf(w, "\n%-22s %5s  %-9s %9s\n", "card", "count", "fits", "context")
		for _, o := range d.Options {
			count := "?"
			if o.Count != nil {
				count = fmt.Sprint(max(1, *o.Count))
			}
			fmt.Fprintf(w, "%-22s %5s  %-9s %9d\n", o.GPU, count, fitWord(o.Fits), o.Context)
		}
	}
	for _, u := range d.Unknowns {
		fmt.Fprintln(w, world.wrapped(0, 2, "not known: "+u))
	}
	if p.PickleOnly {
		fmt.Fprintln(w, "note: the weights are pickles, which can run code when they are loaded; there are no safetensors")
	}
	if p.RemoteCode {
		fmt.Fprintln(w, "note: config.json names Python code (auto_map); an engine that lacks the class would need --trust-remote-code")
	}
}

func printKnown(w io.Writer, d fitDocument) {
	fmt.Fprintln(w)
	if d.WeightsBytes != nil {
		fmt.Fprintf(w, "weights               %s\n", gib(*d.WeightsBytes))
	}
	if d.KVBytesPerToken != nil {
		fmt.Fprintf(w, "cache                 %d bytes a token\n", *d.KVBytesPerToken)
	}
}

// printAccount prints the terms in the order in which they are subtracted; bounds stand where they are wide.
func (world *World) printAccount(d fitDocument) {
	w := world.Stdout
	sign := map[string]string{"share of the card": " ", "weights": "-", "activations": "-", "graphs": "-", "resident": "-", "draft model": "-", "cache budget": "="}
	byName := map[string]memory.Term{}
	for _, t := range d.Terms {
		byName[t.Name] = t
	}
	for _, name := range []string{"share of the card", "weights", "activations", "graphs", "resident", "draft model", "cache budget", "cache needed", "outside", "graphs, outside the budget"} {
		t, ok := byName[name]
		if !ok {
			continue
		}
		mark := sign[name]
		if mark == "" {
			mark = " "
		}
		bounds := ""
		if t.High-t.Low > memory.GiB/5 {
			bounds = fmt.Sprintf("%.1f to %.1f", float64(t.Low)/memory.GiB, float64(t.High)/memory.GiB)
		}
		line := fmt.Sprintf("%s %-27s %10s  %-14s", mark, name, gib(t.Bytes), bounds)
		if world.Width > 0 && len(line)+1+len([]rune(t.Formula)) > world.Width { // below it, where there is no room
			fmt.Fprintf(w, "%s\n    %s\n", text.Hang(strings.TrimRight(line, " "), world.Width), world.wrapped(4, 4, t.Formula))
			continue
		}
		fmt.Fprintln(w, strings.TrimRight(line+" "+t.Formula, " "))
	}
}

func (world *World) printVerdict(p model.Profile, d fitDocument) {
	w := world.Stdout
	say := func(format string, args ...any) { fmt.Fprintln(w, world.wrapped(0, 2, fmt.Sprintf(format, args...))) }
	verdict := map[string]string{"yes": "fits", "no": "does not fit", "not sure": "not sure"}[fitWord(d.Fits)]
	if d.Reason != nil {
		verdict += ": " + *d.Reason
	}
	fmt.Fprintln(w)
	say("%s", verdict)
	if d.Refused != nil && d.why() != d.Refused.Reason {
		say("warning: it does not run there (%s): %s", d.Refused.Code, d.Refused.Reason)
	}
	if d.KVTokens == nil || d.Concurrency == nil || d.MaxContext == nil || d.Context == nil {
		return
	}
	longest := ""
	if *d.MaxContext > 0 {
		longest = fmt.Sprintf("; longest context about %d", *d.MaxContext)
	}
	if *d.KVTokens > 0 {
		say("%d tokens of cache at %d bytes each: %s requests of %d tokens at once%s", *d.KVTokens, *d.KVBytesPerToken, requests(*d.Concurrency), *d.Context, longest)
	}
	if len(d.ByContext) > 1 {
		var at []string
		for _, r := range d.ByContext {
			at = append(at, fmt.Sprintf("%s of %d", requests(r.Requests), r.Context))
		}
		say("requests at once, by their length: %s", strings.Join(at, " · "))
	}
	if d.Fits == nil || !*d.Fits {
		if len(d.FitsWith) > 0 {
			fmt.Fprintf(w, "hint: it fits with engine flags: -- %s\n", strings.Join(d.FitsWith, " "))
		}
		if *d.MaxContext >= 1024 && *d.MaxContext < *d.Context {
			fmt.Fprintf(w, "hint: a shorter context may do: --context %d\n", *d.MaxContext*9/10/1024*1024)
		}
		if o := d.FitsOn; o != nil {
			fmt.Fprintf(w, "hint: it fits on %d x %s: justright fit %s --gpu %q --gpus %d\n", *o.Count, o.GPU, p.ID, o.GPU, *o.Count)
		}
	}
}

// requests rounds down, since a part of a request is none; below ten one decimal says how close the next is.
func requests(n float64) string {
	if n < 10 {
		return fmt.Sprintf("%.1f", math.Floor(n*10)/10)
	}
	return fmt.Sprintf("%d", int(n))
}

func fitWord(b *bool) string {
	switch {
	case b == nil:
		return "not sure"
	case *b:
		return "yes"
	default:
		return "no"
	}
}

func gib(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/memory.GiB) }
