package model

import (
	"fmt"
	"strings"

	"justright/catalog"
)

// FromRecord makes the profile of an embedded model.
func FromRecord(m catalog.ModelRecord) (Profile, error) {
	p, err := FromConfig(m.Config, Sizes{QuantConfig: m.HFQuantConfig, WeightsBytes: m.CheckpointBytes, Parameters: m.Parameters})
	if err != nil {
		return Profile{}, fmt.Errorf("embedded profile of %s: %w", m.ID, err)
	}
	p.ID = m.ID
	if m.Parameters > 0 {
		p.Parameters = m.Parameters
	}
	estimated := int64(0)
	if _, counted := p.Parts(); !counted && p.WeightsBytes == 0 && m.Parameters > 0 && p.Quant == nil {
		estimated = m.Parameters * 2
		if p.DType == "float32" {
			estimated *= 2
		}
		p.WeightsBytes = estimated
	}
	fact := func(what, statement, source string) {
		p.Sources = append(p.Sources, catalog.Fact{ID: catalog.FactID("model/" + m.ID + "/" + what), Statement: statement, Source: source, Date: catalog.ModelsDate, Standing: catalog.Reported})
	}
	said := "config.json of " + m.ID
	if m.ShapeOf != "" {
		said = "the shape of " + m.ShapeOf + ", the same as that of " + m.ID
	}
	fact("config", said+", as published by the source", m.Source)
	if len(m.Filled) > 0 {
		fact("filled", strings.Join(m.Filled, ", ")+" of its config.json, which the source above leaves out", "config.json of "+m.ID+" as restated in public code; not read from the repository")
	}
	if f, gated := catalog.Gated(m.ID); gated {
		p.Gated, p.Sources = true, append(p.Sources, f)
	}
	if estimated > 0 {
		fact("parameters", fmt.Sprintf("it has about %d parameters, as published; the shape does not tell all of them", m.Parameters), orSource(m.CheckpointSource, m.Source))
	}
	if m.CheckpointBytes > 0 {
		fact("checkpoint", fmt.Sprintf("its weight files hold %d bytes", m.CheckpointBytes), m.CheckpointSource)
	}
	return p, nil
}

func orSource(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
