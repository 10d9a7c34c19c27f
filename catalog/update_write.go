package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Sections writes the sections that changed, one record a line so that a refresh makes a readable diff.
func (e *Editor) Sections() (map[string][]byte, error) {
	out := map[string][]byte{}
	for section, v := range map[string]any{SectionVLLM: &e.vllm, SectionEngines: &e.others, SectionArchitectures: &e.archs,
		SectionFlags: &e.flags, SectionTransformers: &e.types, SectionImages: &e.images} {
		if !e.touched[section] {
			continue
		}
		b, err := lines(v)
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", section, err)
		}
		out[section] = b
	}
	return out, nil
}

// lines marshals an object with each entry of its lists and maps on a line of its own.
func lines(v any) ([]byte, error) {
	compact, err := marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(compact))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("{\n")
	for first := true; dec.More(); first = false {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		if !first {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "%q:", key)
		writeEntries(&b, raw)
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func writeEntries(b *bytes.Buffer, raw json.RawMessage) {
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &list) == nil && len(list) > 0:
		b.WriteString("[\n")
		for i, x := range list {
			if i > 0 {
				b.WriteString(",\n")
			}
			b.Write(x)
		}
		b.WriteString("\n]")
	case json.Unmarshal(raw, &object) == nil && len(object) > 0:
		b.WriteString("{\n")
		for i, k := range slices.Sorted(maps.Keys(object)) {
			if i > 0 {
				b.WriteString(",\n")
			}
			fmt.Fprintf(b, "%q:%s", k, object[k])
		}
		b.WriteString("\n}")
	default:
		b.Write(raw)
	}
}
