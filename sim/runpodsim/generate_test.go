package runpodsim_test

import (
	"math"
	"regexp"
	"sort"
	"strings"
)

// value makes a value of a schema of the document. field is the name it stands under.
func (g *generator) value(schema map[string]any, field string, depth int) any {
	schema = g.s.deref(schema)
	if depth > 8 {
		return nil
	}
	if all, ok := schema["allOf"].([]any); ok {
		merged := map[string]any{}
		for _, part := range all {
			if m, ok := g.value(part.(map[string]any), field, depth+1).(map[string]any); ok {
				for k, v := range m {
					merged[k] = v
				}
			} else if len(all) == 1 {
				return g.value(part.(map[string]any), field, depth+1)
			}
		}
		if extra, ok := g.object(schema, depth).(map[string]any); ok {
			for k, v := range extra {
				merged[k] = v
			}
		}
		return merged
	}
	for _, k := range []string{"oneOf", "anyOf"} {
		if a, ok := schema[k].([]any); ok {
			return g.value(a[g.rng.IntN(len(a))].(map[string]any), field, depth+1)
		}
	}
	if e, ok := schema["enum"].([]any); ok {
		return e[g.rng.IntN(len(e))]
	}
	switch kind := kindOf(schema, g); kind {
	case "null":
		return nil
	case "object":
		return g.object(schema, depth)
	case "array":
		n := g.rng.IntN(3)
		if m, ok := schema["minItems"]; ok {
			n = max(n, num(m))
		}
		if m, ok := schema["maxItems"]; ok {
			n = min(n, num(m))
		}
		out := []any{}
		for range n {
			out = append(out, g.value(schema["items"].(map[string]any), field, depth+1))
		}
		if schema["uniqueItems"] == true && len(out) > 1 {
			out = out[:1]
		}
		return out
	case "boolean":
		return g.rng.IntN(2) == 0
	case "integer", "number":
		low, high := 1, 64
		if m, ok := schema["minimum"]; ok {
			low = int(math.Ceil(float(m)))
			high = low + 63
		}
		if m, ok := schema["maximum"]; ok {
			high = num(m)
		}
		// The edges matter most: one step outside is as good a question as one inside.
		switch g.rng.IntN(12) {
		case 0:
			return low - 1
		case 1:
			return low
		case 2:
			return high + 1
		}
		return low + g.rng.IntN(max(high-low, 0)+1)
	default:
		return g.text(schema, field)
	}
}

func kindOf(schema map[string]any, g *generator) string {
	switch k := schema["type"].(type) {
	case string:
		return k
	case []any:
		return k[g.rng.IntN(len(k))].(string)
	}
	if schema["properties"] != nil {
		return "object"
	}
	return "string"
}

func float(v any) float64 {
	switch n := v.(type) {
	case float64:
		return n
	case interface{ Float64() (float64, error) }:
		f, _ := n.Float64()
		return f
	}
	return 0
}

func num(v any) int { return int(float(v)) }

// object has what is required and about half of the rest.
func (g *generator) object(schema map[string]any, depth int) any {
	out := map[string]any{}
	props, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	must := map[string]bool{}
	for _, r := range required {
		must[r.(string)] = true
	}
	names := make([]string, 0, len(props))
	for k := range props {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		if must[k] || g.rng.IntN(2) == 0 {
			out[k] = g.value(props[k].(map[string]any), k, depth+1)
		}
	}
	if add, ok := schema["additionalProperties"].(map[string]any); ok && g.rng.IntN(2) == 0 {
		out["KEY"] = g.value(add, "", depth+1)
	}
	return out
}

// text is a string that fits its field: ids of things that exist, patterns of the document.
func (g *generator) text(schema map[string]any, field string) string {
	if p, ok := schema["pattern"].(string); ok {
		for _, try := range []string{"12.8", "12", "FR", "ssh-ed25519 AAAAC3 me", "NVIDIA L4", ""} {
			if regexp.MustCompile(p).MatchString(try) && g.rng.IntN(4) > 0 {
				return try
			}
		}
		for _, try := range []string{"13.0", "DE", "sk-ssh AAAA", "12.8"} {
			if regexp.MustCompile(p).MatchString(try) {
				return try
			}
		}
	}
	if schema["format"] == "date-time" {
		return g.pick("2026-11-20T00:00:00Z", "2026-11-25T10:30:00Z")
	}
	switch field {
	case "image":
		return g.pick("runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "vllm/vllm-openai:v0.19.1")
	case "ports":
		return g.pick("8000/http", "22/tcp")
	case "dataCenterIds":
		return g.pick("EU-RO-1", "EU-CZ-1")
	case "dataCenter":
		return g.pick("EU-RO-1", "US-CA-2")
	case "pools":
		return g.pick("ADA_24", "AMPERE_80")
	case "gpuTypeId":
		return g.pick("NVIDIA GeForce RTX 4090", "NVIDIA RTX A5000")
	case "id":
		return g.pick("NVIDIA GeForce RTX 4090", "cpu3c")
	case "registry":
		return g.known("registries")
	case "volumeId", "networkVolumes":
		return g.known("network-volumes")
	case "templateId":
		return g.known("templates")
	case "resource":
		return "arn:aws:ecr:us-east-1:123456789012:repository/models/llm:v1"
	case "name":
		return "n" + strings.Repeat("x", 1+g.rng.IntN(4)) + string(rune('a'+g.rng.IntN(26))) + string(rune('a'+g.rng.IntN(26)))
	case "env", "":
		return "value"
	}
	return g.pick("word", "some words")
}

func (g *generator) known(kind string) string {
	if k := g.ids[kind]; len(k) > 0 {
		return g.pick(k...)
	}
	return "nothing"
}

// sense turns a body that is of the schema into one that can also be done.
func (g *generator) sense(op string, body any) {
	m, ok := body.(map[string]any)
	if !ok {
		return
	}
	drop := func(names ...string) {
		for _, n := range names {
			delete(m, n)
		}
	}
	switch op {
	case "createPod":
		drop("templateId", "registry", "cpu", "mounts", "globalNetworking", "dataCenterIds", "gpu", "cloud")
		m["image"] = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
		switch g.rng.IntN(4) {
		case 0:
			m["cpu"] = map[string]any{"id": "cpu3c", "vcpuCount": 2}
		case 1:
			m["mounts"] = map[string]any{"persistent": map[string]any{"size": 20, "path": "/workspace"}}
			fallthrough
		default:
			m["gpu"] = map[string]any{"id": "NVIDIA GeForce RTX 4090", "count": 1}
		}
		if v := g.ids["network-volumes"]; len(v) > 0 && g.rng.IntN(4) == 0 && m["cpu"] == nil {
			m["mounts"] = map[string]any{"network": []any{map[string]any{"volumeId": v[0], "path": "/workspace"}}}
		}
	case "createCluster":
		drop("mounts", "dataCenterIds")
		m["image"] = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
		m["compute"] = map[string]any{"gpuTypeId": "NVIDIA GeForce RTX 4090", "gpuCountPerPod": 1, "podCount": 2}
	case "createEndpoint":
		drop("templateId", "registry", "cpu", "networkVolumes", "workers")
		m["image"], m["gpu"] = "runpod/worker-v1-vllm:stable", map[string]any{"pools": []any{"ADA_24"}}
		m["type"], m["scaling"] = "QUEUE", map[string]any{"type": "QUEUE_DELAY", "queueDelay": 4}
		if g.rng.IntN(3) == 0 {
			m["type"], m["scaling"] = "LOAD_BALANCER", map[string]any{"type": "REQUEST_COUNT", "requestCount": 4}
		}
		if g.rng.IntN(4) == 0 {
			delete(m, "gpu")
			m["cpu"] = []any{map[string]any{"id": "cpu3c", "vcpuCount": 4}}
		}
	case "updateEndpoint":
		drop("templateId", "registry", "cpu", "networkVolumes", "workers", "gpu", "scaling")
	case "createTemplate", "updateTemplate":
		drop("registry")
	case "updatePod":
		drop("templateId", "registry", "mounts", "globalNetworking")
		if m["image"] != nil {
			m["image"] = "runpod/base:1.0.2-ubuntu2404"
		}
	case "createNetworkVolume":
		m["dataCenter"] = "US-CA-2"
	case "updateNetworkVolume":
		if m["size"] != nil {
			m["size"] = 4096
		}
	}
}

// spoil breaks a body in one of the ways people do: a word nobody knows, a field left out, a value of another kind,
// deep inside or at the top.
func (g *generator) spoil(body any) any {
	m, ok := body.(map[string]any)
	if !ok || len(m) == 0 {
		return map[string]any{"bogus": 1}
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	k := keys[g.rng.IntN(len(keys))]
	switch g.rng.IntN(6) {
	case 0:
		m["bogus"] = "x"
	case 1:
		delete(m, k)
	case 2:
		m[k] = []any{1, "two", nil}[g.rng.IntN(3)]
	case 3:
		if inner, ok := m[k].(map[string]any); ok {
			m[k] = g.spoil(inner)
		} else {
			m[k] = map[string]any{"bogus": true}
		}
	case 4:
		m[k] = []any{}
	case 5:
		m[k] = []any{-3, 0, 1, 9, 1.5, 4097}[g.rng.IntN(6)]
	}
	return m
}
