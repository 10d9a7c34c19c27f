package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"justright/boot"
	"justright/internal/export"
	"justright/problem"
	"justright/solve"
)

type exportOptions struct {
	planOptions
	cluster clusterOptions

	as, name, out string
	rank          int
}

func newExportCommand(w *World) *cobra.Command {
	o := &exportOptions{}
	var formats strings.Builder
	for _, f := range export.Formats() {
		fmt.Fprintf(&formats, "  %-12s %s\n", f[0], f[1])
	}
	c := &cobra.Command{
		Use:   "export MODEL --as FORMAT [flags] [-- engine flags]",
		Short: "Write the plan down for another tool",
		Long: `export makes the same plan as plan does and writes it as another tool reads it: the same image, start script,
pins, flags, disk and driver floor.

` + formats.String() + `
No key is in any of them: each names the secret by the reference its tool resolves, and its head says how to start and
how to end it. What a guard does for up (ttl, idle time, dollar cap) other tools do in their own ways, or not at all;
the head says so.

Exit status: 0 written, 2 unknown model, format or wrong usage, 3 no stack, 4 gated model or wrong key, 5 provider, hub
or index out of reach.`,
		Example: `  justright export openai/gpt-oss-20b --as kubernetes --gpu L4 | kubectl apply -f -
  justright export openai/gpt-oss-20b --as kubernetes --gpu L4 --autoscale 1-4
  justright export Qwen/Qwen3-8B --as compose -o compose.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, _ := c.Flags().GetBool("json")
			return w.export(c.Context(), o, args, c.ArgsLenAtDash(), asJSON)
		},
	}
	f := c.Flags()
	o.pins.add(f)
	o.cluster.add(f)
	f.StringVar(&o.as, "as", "", "the `FORMAT`")
	f.StringVar(&o.name, "name", "", "name of the machine or service (default: made from the model's)")
	f.StringVarP(&o.out, "output", "o", "", "write to `FILE` instead of standard output")
	f.StringVar(&o.out, "out", "", "the name of --output before")
	f.Lookup("out").Hidden = true
	f.IntVar(&o.rank, "rank", 1, "which of the plans, as plan ranks them")
	f.StringVar(&o.on, "on", "", "target the plan is made for: runpod, local, kubernetes, ssh://user@host")
	f.StringVar(&o.maxPrice, "max-price", "", "most dollars an hour for the whole stack")
	f.IntVar(&o.context, "context", 0, "tokens of one request; 0 is what fits, up to the model's own")
	f.IntVar(&o.concurrency, "concurrency", 0, "requests of that length at once")
	f.BoolVar(&o.online, "online", false, "ask the model hub even when the catalog knows the model")
	f.BoolVar(&o.unguarded, "allow-unguarded", false, "rank plans without a guard as the others")
	f.StringVar(&o.cloud, "cloud", "", "SECURE or COMMUNITY")
	f.StringSliceVar(&o.dataCenters, "data-center", nil, "only these data centers")
	return c
}

func (w *World) export(ctx context.Context, o *exportOptions, args []string, dash int, asJSON bool) error {
	var flags []string
	if dash >= 0 {
		args, flags = args[:dash], args[dash:]
	}
	if len(args) != 1 || o.as == "" {
		return problem.New(problem.ExitUsage, "usage", "export wants one model and a format").Try("for example", "justright export openai/gpt-oss-20b --as compose")
	}
	if o.rank < 1 {
		return problem.New(problem.ExitUsage, "usage", "--rank %d: the best plan is 1", o.rank)
	}
	r, err := o.request(ctx, w, args[0], flags)
	if err != nil {
		return err
	}
	res, err := w.solve(r)
	if err != nil {
		return err
	}
	o.notePlace(r, res.Plans)
	if c := res.Conflict; len(res.Plans) == 0 {
		p := problem.New(problem.ExitNoStack, "no_stack", "nothing can serve %s", r.Model.ID)
		if c != nil {
			p = problem.New(problem.ExitNoStack, problem.Code(c.Code), "nothing can serve %s", r.Model.ID).Because("%s", c.Reason)
			p.Hints = c.Hints
		}
		return p
	}
	if o.rank < 1 || o.rank > len(res.Plans) {
		return problem.New(problem.ExitUsage, "usage", "--rank %d: there are %d plans", o.rank, len(res.Plans)).Try("see them", "justright plan "+args[0])
	}
	plan, err := w.exportPlan(r, res.Plans[o.rank-1], o)
	if err != nil {
		return err
	}
	doc, err := export.Write(o.as, plan)
	if err != nil {
		return err
	}
	if o.out != "" {
		return w.writeExport(o.out, doc, asJSON)
	}
	if asJSON {
		return w.printJSON(doc)
	}
	if _, err := fmt.Fprint(w.Stdout, doc.Text); err != nil {
		return err
	}
	if o.as == "runpod-json" { // a format without comments
		for _, n := range doc.Notes {
			fmt.Fprintln(w.Stderr, n)
		}
	}
	return nil
}

// exportPlan renders the start script of a stack.
func (w *World) exportPlan(r solve.Request, stack solve.Stack, o *exportOptions) (export.Plan, error) {
	opt := boot.Options{Model: r.Model}
	gpu, known := w.findGPU(stack.GPU.ID)
	if known {
		opt.MinCapability = gpu.Capability
	}
	spec, err := boot.SpecFrom(stack, opt)
	if err != nil {
		return export.Plan{}, err
	}
	cluster, err := o.cluster.read(o.as)
	if err != nil {
		return export.Plan{}, err
	}
	if cluster.Nodes > 1 {
		if spec, err = boot.OverNodes(spec, stack.GPU.Count, cluster.Nodes); err != nil {
			return export.Plan{}, err
		}
	}
	s, err := boot.Render(spec)
	if err != nil {
		return export.Plan{}, err
	}
	name := o.name
	if name == "" {
		name = exportName(boot.ServedName(r.Model))
	}
	p := export.Plan{Name: name, Model: r.Model.ID, Stack: stack, Script: s, Port: spec.Port, DiskGB: diskGB(stack),
		Command: "justright " + boot.JoinArgs(w.Args), Cluster: cluster}
	if known {
		p.GPU = gpu
	}
	return p, nil
}

// exportName makes a DNS label of a model's name.
func exportName(model string) string {
	var b strings.Builder
	b.WriteString("jr-")
	for _, r := range strings.ToLower(model[strings.LastIndexByte(model, '/')+1:]) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.TrimRight(s[:min(len(s), 50)], "-")
}

// writeExport writes the file and says so.
func (w *World) writeExport(out string, doc export.Document, asJSON bool) error {
	path, err := w.keepFile(out, []byte(doc.Text), 0o644)
	if err != nil {
		return err
	}
	if asJSON {
		return w.printJSON(doc)
	}
	fmt.Fprintf(w.Stderr, "written to %s\n", path)
	for _, n := range doc.Notes {
		fmt.Fprintln(w.Stderr, n)
	}
	return nil
}
