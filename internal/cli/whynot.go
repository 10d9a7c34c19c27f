package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"justright/boot"
	"justright/problem"
	"justright/solve"
)

func newWhyNotCommand(w *World) *cobra.Command {
	var pins pinFlags
	var online bool
	c := &cobra.Command{
		Use:   "why-not MODEL THING",
		Short: "Ask one thing: would this GPU, image, engine version, CUDA version, driver or Python do?",
		Long: `why-not is check asked in one word. THING is a GPU ("RTX 4090"), an image ("vllm/vllm-openai:latest"), an engine version
("0.6.3.post1", "vllm==0.9.0", "sglang==0.5.9"), a CUDA version of a host ("cuda 12.4", "cu124"), its driver ("driver 535") or
a Python ("python3.8").

Exit status: 0 nothing speaks against it, 2 unknown model or thing, 3 it is refused, 4 gated model, 5 hub out of reach,
8 the facts do not decide.`,
		Example: "  justright why-not openai/gpt-oss-20b vllm/vllm-openai:v0.6.3.post1\n  justright why-not openai/gpt-oss-20b T4\n  justright why-not Qwen/Qwen3-32B 0.8.3",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return problem.New(problem.ExitUsage, "usage", "why-not wants a model and one thing").Try("for example", "justright why-not openai/gpt-oss-20b T4")
			}
			asJSON, _ := c.Flags().GetBool("json")
			return runWhyNot(c.Context(), w, &pins, args[0], strings.Join(args[1:], " "), online, asJSON)
		},
	}
	pins.add(c.Flags())
	c.Flags().BoolVar(&online, "online", false, "ask the model hub even when the catalog knows the model")
	return c
}

func runWhyNot(ctx context.Context, w *World, flags *pinFlags, ref, thing string, online, asJSON bool) error {
	s, err := w.facts()
	if err != nil {
		return err
	}
	pins, err := flags.read(s)
	if err != nil {
		return err
	}
	c := solve.Case{Pins: pins}
	if !solve.PutThing(s, &c, thing) {
		return problem.New(problem.ExitUsage, "unknown_thing", "%q is no GPU, image, engine version, CUDA version, driver or Python that the catalog knows", thing).
			Try("these are understood, for example", `justright why-not `+boot.Quote(ref)+` "RTX 4090"`).Try("or", "justright why-not "+boot.Quote(ref)+" vllm==0.9.0").
			Try("other parts of a stack are judged by", "justright check "+boot.Quote(ref)+" --driver 550.54 --python 3.12 --torch 2.9.1")
	}
	if err := w.completeCase(ctx, &c, ref, online); err != nil {
		return err
	}
	v := solve.Judge(s, c)
	if v.Outcome != solve.Refused && (c.GPU != "" || !c.HostCUDA.IsZero() || !c.Driver.IsZero()) && c.Pins.Engine == "" && c.Image == "" && c.Profile != nil {
		v = solve.JudgeCard(s, c)
	}
	return w.answerVerdict(v, asJSON)
}
