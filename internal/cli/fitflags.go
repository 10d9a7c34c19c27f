package cli

import (
	"fmt"
	"slices"
	"strings"

	"justright/catalog"
	"justright/memory"
	"justright/model"
	"justright/solve"
)

// leadingEnv takes NAME=value off the front of what stands after --, as a shell does.
func leadingEnv(words []string) (env map[string]string, flags []string) {
	env = map[string]string{}
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		name, value, eq := strings.Cut(words[0], "=")
		if !eq || name == "" {
			break
		}
		env[name] = value
		words = words[1:]
	}
	return env, words
}

// pinnedEngine is --engine as the resolver reads it: "0.19.1" is vLLM's.
func (o *fitOptions) pinnedEngine() string {
	if o.engine == "" || strings.Contains(o.engine, "==") {
		return o.engine
	}
	return catalog.VLLM + "==" + strings.TrimPrefix(o.engine, "v")
}

// neverStarts asks the resolver whether the engine refuses the flags whatever the card: then there is nothing to fit.
func (w *World) neverStarts(p model.Profile, o *fitOptions, u memory.Use, flags []string, env map[string]string) (*fitRefusal, error) {
	s, err := w.facts()
	if err != nil {
		return nil, err
	}
	c := solve.Case{Profile: &p, ModelName: p.ID, Pins: solve.Pins{Engine: o.pinnedEngine(), Flags: flags, Env: env}}
	if o.context > 0 {
		c.Flags = append(slices.Clone(flags), "--max-model-len", fmt.Sprint(u.Context))
	}
	v := solve.Judge(s, c)
	if v.Outcome != solve.Refused {
		return nil, nil
	}
	for _, r := range append([]solve.Reason{{Code: v.Code, Reason: v.Reason, Facts: v.Facts}}, v.Also...) {
		switch r.Code {
		case solve.CodeContext, solve.CodeFlagUnknown, solve.CodeFlagRemoved:
		case solve.CodeQuantEngine:
			if u.Quantization == "" {
				continue
			}
		default:
			continue
		}
		return &fitRefusal{r.Code, r.Reason, r.Facts}, nil
	}
	return nil, nil
}
