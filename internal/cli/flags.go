package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"justright/catalog"
	"justright/problem"
)

// flagProblem says in our words what pflag says in those of the number parser.
func (w *World) flagProblem(c *cobra.Command, err error) error {
	help := c.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return w.unknownFlag(c, unknown.GetSpecifiedName(), err).Try("see", help)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		want, ok := map[string]string{
			"int": "whole number", "uint64": "whole number", "float64": "number", "bool": "true or false", "duration": "length of time like 3h, 45m or 90s",
		}[f.Value.Type()]
		if !ok {
			break
		}
		if f.Value.Type() == "bool" {
			return problem.New(problem.ExitUsage, "usage", "--%s %q is neither %s", f.Name, invalid.GetValue(), strings.Replace(want, " or ", " nor ", 1)).Try("see", help)
		}
		return problem.New(problem.ExitUsage, "usage", "--%s %q is no %s", f.Name, invalid.GetValue(), want).Try("see", help)
	}
	return problem.New(problem.ExitUsage, "usage", "%s", err).Try("see", help)
}

// unknownFlag names a flag of c that is nearly it, and where flags of the engine stand.
func (w *World) unknownFlag(c *cobra.Command, name string, err error) *problem.Problem {
	p := problem.New(problem.ExitUsage, "usage", "%s", err)
	nearest, least := "", 3
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := problem.Distance(f.Name, name); !f.Hidden && len(name) > 1 && (d < least || len(name) > 3 && strings.HasPrefix(f.Name, name)) {
			nearest, least = f.Name, d
		}
	})
	if nearest != "" {
		p = p.Try("did you mean --"+nearest, "")
	}
	s, ferr := w.facts()
	if ferr != nil || !strings.Contains(c.Use, "engine flags") {
		return p
	}
	if _, ok := s.Named(catalog.FlagNames, "--"+strings.ReplaceAll(name, "_", "-")); ok {
		p = p.Because("it is a flag of the engine, and those stand after --").Try("for example", c.CommandPath()+" MODEL -- --"+name+" VALUE")
	}
	return p
}

// sensibleFlags refuses what no flag means: --gpu "", since a script's unset variable must not mean any card, and numbers and
// lengths of time below zero.
func sensibleFlags(c *cobra.Command) error {
	var err error
	refuse := func(f *pflag.Flag, format string, args ...any) {
		if err == nil {
			err = problem.New(problem.ExitUsage, "usage", "--%s%s", f.Name, fmt.Sprintf(format, args...)).Try("see", c.CommandPath()+" --help")
		}
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		text := f.Value.String()
		switch f.Value.Type() {
		case "string":
			if strings.TrimSpace(text) == "" {
				refuse(f, " is empty: an empty value is none; leave the flag out to leave it open")
			}
		case "float64":
			if x, perr := strconv.ParseFloat(text, 64); perr != nil || math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
				refuse(f, " %s is no number that can be meant", text)
			}
		case "int":
			if strings.HasPrefix(text, "-") {
				refuse(f, " %s: it counts things, and is not negative", text)
			}
		case "duration":
			if strings.HasPrefix(text, "-") {
				refuse(f, " %s: a length of time is not negative", text)
			}
		}
	})
	return err
}
