package vllmsim

import (
	"encoding/json"
	"slices"
)

// instance is a JSON text that satisfies a schema, as guided decoding would end in: the first choice at every turn.
func instance(schema map[string]any) string {
	b, err := json.Marshal(value(schema, schema, 0))
	if err != nil {
		return "{}"
	}
	return string(b)
}

// value builds the simplest value for a schema. Deep or circular schemas end in null.
func value(s, root map[string]any, depth int) any {
	if depth > 16 {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		return value(resolve(root, ref), root, depth+1)
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if e, ok := s["enum"].([]any); ok && len(e) > 0 {
		return e[0]
	}
	for _, k := range []string{"anyOf", "oneOf", "allOf"} {
		if a, ok := s[k].([]any); ok && len(a) > 0 {
			if m, ok := a[0].(map[string]any); ok {
				return value(m, root, depth+1)
			}
		}
	}
	switch kind(s) {
	case "object":
		return object(s, root, depth)
	case "array":
		n := int(number(s["minItems"], 0))
		out := make([]any, 0, n)
		item, _ := s["items"].(map[string]any)
		for range min(n, 64) {
			out = append(out, value(item, root, depth+1))
		}
		return out
	case "string":
		t := "text"
		for len(t) < int(number(s["minLength"], 0)) && len(t) < 4096 {
			t += "t"
		}
		if m := int(number(s["maxLength"], 1e9)); len(t) > m {
			t = t[:max(m, 0)]
		}
		return t
	case "integer", "number":
		return number(s["minimum"], 1)
	case "boolean":
		return true
	default:
		return nil
	}
}

func kind(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			w, _ := t[0].(string)
			return w
		}
	}
	if s["properties"] != nil {
		return "object"
	}
	return ""
}

func object(s, root map[string]any, depth int) map[string]any {
	out := map[string]any{}
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for k, v := range props {
		if m, ok := v.(map[string]any); ok && slices.Contains(required, any(k)) {
			out[k] = value(m, root, depth+1)
		}
	}
	return out
}

func number(v any, otherwise float64) float64 {
	if f, ok := v.(float64); ok {
		return f
	}
	return otherwise
}

// resolve follows a local reference such as "#/$defs/city".
func resolve(root map[string]any, ref string) map[string]any {
	at := any(root)
	part := ""
	for _, c := range ref + "/" {
		if c != '/' {
			part += string(c)
			continue
		}
		if part != "#" && part != "" {
			m, ok := at.(map[string]any)
			if !ok {
				return map[string]any{}
			}
			at = m[part]
		}
		part = ""
	}
	m, ok := at.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	return m
}
