package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"justright/internal/probe"
	"justright/money"
	"justright/problem"
)

type benchOptions struct {
	endpointFlags
	concurrency  string
	requests     int
	promptTokens int
	maxTokens    int
	time         time.Duration
	price        string
}

func newBenchCommand(w *World) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench URL|NAME",
		Short: "Measure time to first token, inter-token latency, tokens per second and dollars per million tokens",
		Long: `bench sends streamed requests with prompts that differ (no prefix cache answers them), one concurrency after
the other, and prints for each the time to the first token, the time between tokens, tokens per second over all
requests, and, where the price of the machine is known, dollars per million output tokens at that speed.

A level ends after --requests answers or --time, whichever comes first. Where the engine takes ignore_eos every answer
has exactly --max-tokens tokens; the result says so.

The price is the launch's own for a NAME, else --price.

Exit status: 0 measured; 2 usage; 3 the endpoint generates no text; 4 the key is refused; 5 nothing answers; 6 every
request of a level failed; 130 interrupted.`,
		Example: `  justright bench my-launch
  justright bench http://127.0.0.1:8000 --concurrency 1,8,32 --price 0.27`,
		Args: oneArg("URL or NAME", "justright bench http://127.0.0.1:8000"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.bench(c.Context(), args[0], o, asJSON)
		},
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.concurrency, "concurrency", "1,4,16", "requests in flight, one level each")
	f.IntVar(&o.requests, "requests", 0, "most requests of a level (default: 4 × concurrency, at least 8)")
	f.DurationVar(&o.time, "time", time.Minute, "longest time of a level; what is in flight then is waited for")
	f.IntVar(&o.promptTokens, "prompt-tokens", 256, "about how long each prompt is")
	f.IntVar(&o.maxTokens, "max-tokens", 128, "length of each answer")
	f.StringVar(&o.price, "price", "", "dollars per hour of the machine")
	return c
}

func (w *World) bench(ctx context.Context, arg string, o benchOptions, asJSON bool) error {
	levels, err := parseLevels(o.concurrency)
	if err != nil {
		return err
	}
	if o.requests < 0 || o.promptTokens < 1 || o.maxTokens < 1 || o.time <= 0 || o.promptTokens > 1_000_000 || o.maxTokens > 1_000_000 {
		return problem.New(problem.ExitUsage, "usage", "--requests, --prompt-tokens, --max-tokens and --time must be positive and below a million")
	}
	e, known, err := w.endpointOf(ctx, arg, o.endpointFlags)
	if err != nil {
		return err
	}
	if o.price != "" {
		p, err := money.Parse(o.price)
		if err != nil || p <= 0 {
			return problem.New(problem.ExitUsage, "usage", "--price %q is no amount of dollars", o.price)
		}
		known.Price = &p
	}
	var all *probe.Bench
	for _, c := range levels {
		n := o.requests
		if n == 0 {
			n = max(8, 4*c)
		}
		b, err := probe.RunBench(ctx, e, probe.BenchOptions{
			Concurrency: []int{c}, Requests: n, Time: o.time, Limit: 10 * time.Minute, PromptTokens: o.promptTokens, MaxTokens: o.maxTokens,
			Price: known.Price, Each: w.benchTick(),
		})
		w.endTick()
		if err != nil {
			return endpointProblem(ctx, e.BaseURL, arg, err)
		}
		if all == nil {
			all = &b
			if !asJSON {
				w.printBenchHead(b)
			}
		} else {
			all.Levels = append(all.Levels, b.Levels...)
		}
		if !asJSON {
			w.printLevel(b.Levels[0])
		}
	}
	if asJSON {
		if err := w.printJSON(all); err != nil {
			return err
		}
	}
	for _, l := range all.Levels {
		if l.Requests == 0 {
			if !asJSON {
				fmt.Fprintf(w.Stderr, "error: every request at concurrency %d failed: %s\n", l.Concurrency, l.FirstError)
			}
			return exitStatus(problem.ExitNotProven)
		}
	}
	return nil
}

func parseLevels(s string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 4096 {
			return nil, problem.New(problem.ExitUsage, "usage", "--concurrency %q is no list of numbers from 1 to 4096", s).Try("for example --concurrency 1,4,16", "")
		}
		out = append(out, n)
	}
	return out, nil
}

// benchTick shows progress on a terminal, and every ten seconds a line where there is none.
func (w *World) benchTick() func(probe.Tick) {
	var said time.Duration
	return func(t probe.Tick) {
		line := fmt.Sprintf("concurrency %d: %d of at most %d requests, %d errors, %.0f s", t.Concurrency, t.Done, t.Of, t.Errors, t.Elapsed.Seconds())
		switch {
		case w.StderrTTY:
			fmt.Fprintf(w.Stderr, "\r\x1b[K%s", line)
		case t.Elapsed-said >= 10*time.Second:
			said = t.Elapsed
			fmt.Fprintln(w.Stderr, line)
		}
	}
}

func (w *World) endTick() {
	if w.StderrTTY {
		fmt.Fprint(w.Stderr, "\r\x1b[K")
	}
}

func (w *World) printBenchHead(b probe.Bench) {
	price := "price not known: --price gives dollars per million tokens"
	if b.PricePerHour != nil {
		price = "$" + b.PricePerHour.Cents() + "/h"
	}
	length := "answers end where the model ends them"
	if b.FixedLength {
		length = fmt.Sprintf("answers of %d tokens", b.MaxTokens)
	}
	fmt.Fprintf(w.Stdout, "%s at %s · prompts of about %d tokens · %s · %s\n\n", b.Model, b.BaseURL, b.PromptTokens, length, price)
	fmt.Fprintf(w.Stdout, "%11s %8s %6s  %-17s  %-17s  %9s  %9s  %s\n", "concurrency", "requests", "errors", "TTFT p50/p95 s", "ITL p50/p95 ms", "tokens/s", "each", "$/M tokens")
}

func (w *World) printLevel(l probe.Level) {
	dollars := "-"
	if l.DollarsPerMillionTokens != nil {
		dollars = fmt.Sprintf("%.2f", l.DollarsPerMillionTokens.Float())
		if *l.DollarsPerMillionTokens < money.Dollar/10 {
			dollars = fmt.Sprintf("%.4f", l.DollarsPerMillionTokens.Float())
		}
	}
	fmt.Fprintf(w.Stdout, "%11d %8d %6d  %-17s  %-17s  %9.1f  %9.1f  %s\n", l.Concurrency, l.Requests, l.Errors,
		fmt.Sprintf("%.3f / %.3f", l.TTFT.P50, l.TTFT.P95), fmt.Sprintf("%.1f / %.1f", l.ITL.P50*1000, l.ITL.P95*1000),
		l.TokensPerSecond, l.PerRequest, dollars)
}
