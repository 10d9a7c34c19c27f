package cli

import (
	"bytes"
	"fmt"
	"sync"

	"justright/boot"
	"justright/memory"
	"justright/solve"
)

// planDocument is the justright/plan/1 document.
type planDocument struct {
	Schema   string          `json:"schema"`
	Model    planModel       `json:"model"`
	Target   string          `json:"target"`
	Plans    []solve.Stack   `json:"plans"`
	Refused  []solve.Refusal `json:"refused"`
	Conflict *solve.Conflict `json:"conflict"`
}

type planModel struct {
	ID           string   `json:"id"`
	Revision     *string  `json:"revision"`
	Architecture optional `json:"architecture"`
	ModelType    optional `json:"model_type"`
	Parameters   *int64   `json:"parameters"`
	WeightsBytes *int64   `json:"weights_bytes"`

	Unknowns []string `json:"unknowns,omitempty"` // what of it is estimated or not known
}

// printPlanDocument writes the document plan by plan: a start command takes some 45 kB, and --all ranks thousands of plans. Only
// the first so many have one (0: all of them), and start is null in the others.
func (w *World) printPlanDocument(r solve.Request, d planDocument, starts int, over spread) error {
	plans := d.Plans
	d.Plans = []solve.Stack{}
	var whole bytes.Buffer
	if err := writeJSON(&whole, "", d); err != nil {
		return err
	}
	const none = `"plans": []` // nowhere else: within a text its quotes are escaped
	before, after, _ := bytes.Cut(whole.Bytes(), []byte(none))
	if len(plans) == 0 {
		_, err := w.Stdout.Write(whole.Bytes())
		return err
	}
	if _, err := fmt.Fprintf(w.Stdout, "%s\"plans\": [", before); err != nil {
		return err
	}
	const batch = 64
	for first := 0; first < len(plans); first += batch {
		some := plans[first:min(first+batch, len(plans))]
		with := len(some)
		if starts > 0 {
			with = min(max(starts-first, 0), with)
		}
		w.fillStart(r, some[:with], over)
		for i := range some[with:] {
			some[with+i].Start = solve.Start{}
			some[with+i].Unknowns = append(some[with+i].Unknowns, fmt.Sprintf("the start command: written for the first %d plans; --starts 0 writes every one", starts))
		}
		var text bytes.Buffer
		for i := range some {
			if first+i > 0 {
				text.WriteByte(',')
			}
			text.WriteString("\n    ")
			if err := writeJSON(&text, "    ", some[i]); err != nil {
				return err
			}
			text.Truncate(text.Len() - 1) // the newline
			some[i].Start = solve.Start{}
		}
		if _, err := w.Stdout.Write(text.Bytes()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w.Stdout, "\n  ]%s", after)
	return err
}

// fillStart writes what the provider would be sent, which is the boot script's own rendering, and over several nodes the engine's command
// line that all of them share.
func (w *World) fillStart(r solve.Request, plans []solve.Stack, over spread) {
	var wg sync.WaitGroup
	for i := range plans {
		p := &plans[i]
		o := boot.Options{Model: r.Model}
		if g, ok := w.findGPU(p.GPU.ID); ok {
			o.MinCapability = g.Capability
		}
		wg.Go(func() {
			spec, err := boot.SpecFrom(*p, o)
			var script boot.Script
			if err == nil {
				spec, err = over.script(spec, p.GPU.Count)
			}
			if err == nil {
				script, err = boot.Render(spec)
			}
			if err != nil {
				p.Unknowns = append(p.Unknowns, "the start script: "+err.Error())
				return
			}
			p.Start = script.Start()
			if over.Nodes > 1 {
				p.Argv = spec.EngineArgv()
			}
		})
	}
	wg.Wait()
}

func planAnswer(r solve.Request, res solve.Result) planDocument {
	d := planDocument{Schema: "justright/plan/1", Target: r.Target, Plans: res.Plans, Refused: res.Refused, Conflict: res.Conflict,
		Model: planModel{ID: r.Model.ID, Architecture: optional(r.Model.Architecture), ModelType: optional(r.Model.ModelType)}}
	if d.Plans == nil {
		d.Plans = []solve.Stack{}
	}
	if d.Refused == nil {
		d.Refused = []solve.Refusal{}
	}
	if v := r.Model.Revision; v != "" {
		d.Model.Revision = &v
	}
	if v := r.Model.Parameters; v > 0 {
		d.Model.Parameters = &v
	}
	if v := r.Model.WeightsBytes; v > 0 {
		d.Model.WeightsBytes = &v
	} else if v := memory.Estimate(r.Model, memory.Use{TensorParallel: 1}).WeightsBytes; v > 0 {
		d.Model.WeightsBytes = &v
		d.Model.Unknowns = append(d.Model.Unknowns, "weights_bytes: computed from the shape in config.json; the files' own size was not read")
	}
	return d
}
