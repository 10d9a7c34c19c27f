package runpodsim

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// shape describes a JSON value of a request body. It is the part of JSON Schema that RunPod's document uses, with the
// validator's own wording of what is wrong.
type shape struct {
	kind     string // "object", "map", "array", "string", "integer", "number", "boolean"
	null     bool   // may be null
	fields   map[string]*shape
	required []string
	item     *shape // of an array or a map
	enum     []string
	pattern  *regexp.Regexp
	min      *float64
	max      *float64
	minLen   int
	minItems int
	maxItems int // 0: any
	minProps int
	unique   bool
	noisy    bool // closed by unevaluatedProperties: a missing property makes the valid ones look unknown
	choose   func(map[string]any) *shape
	depends  [2]string // the first field may come only with the second
}

func str() *shape     { return &shape{kind: "string"} }
func name() *shape    { return &shape{kind: "string", minLen: 1} }
func boolean() *shape { return &shape{kind: "boolean"} }
func integer(min, max float64) *shape {
	s := &shape{kind: "integer"}
	if !math.IsInf(min, -1) {
		s.min = &min
	}
	if !math.IsInf(max, 1) {
		s.max = &max
	}
	return s
}
func list(item *shape) *shape  { return &shape{kind: "array", item: item} }
func oneOf(v ...string) *shape { return &shape{kind: "string", enum: v} }
func matching(p string) *shape { return &shape{kind: "string", pattern: regexp.MustCompile(p)} }
func nullable(s *shape) *shape { c := *s; c.null = true; return &c }
func mapOf(item *shape) *shape { return &shape{kind: "map", item: item} }
func closed(fields map[string]*shape, required ...string) *shape {
	return &shape{kind: "object", fields: fields, required: required}
}

var inf = math.Inf(1)

// check lists what is wrong with v, the path of each complaint first, in a stable order.
func (s *shape) check(v any, path string) []string {
	if v == nil {
		if s.null {
			return nil
		}
		return []string{fmt.Sprintf("%s: got null, want %s", path, s.word())}
	}
	if s.choose != nil {
		m, ok := v.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: got %s, want object", path, kindOf(v))}
		}
		if c := s.choose(m); c != nil {
			return c.check(v, path)
		}
		return []string{path + ": 'oneOf' failed, none matched"}
	}
	if !s.hasKind(v) {
		return []string{fmt.Sprintf("%s: got %s, want %s", path, kindOf(v), s.word())}
	}
	switch s.kind {
	case "object":
		return s.checkObject(v.(map[string]any), path)
	case "map":
		var out []string
		m := v.(map[string]any)
		for _, k := range sortedKeys(m) {
			out = append(out, s.item.check(m[k], path+"."+k)...)
		}
		return out
	case "array":
		return s.checkArray(v.([]any), path)
	case "string":
		return s.checkString(v.(string), path)
	case "integer", "number":
		return s.checkNumber(v.(float64), path)
	}
	return nil
}

func (s *shape) word() string {
	w := s.kind
	if w == "map" {
		w = "object"
	}
	if s.null {
		return w + " or null"
	}
	return w
}

func (s *shape) hasKind(v any) bool {
	switch k := kindOf(v); s.kind {
	case "object", "map":
		return k == "object"
	case "integer":
		f, ok := v.(float64)
		return ok && f == math.Trunc(f)
	default:
		return k == s.kind
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	default:
		return "null"
	}
}

func (s *shape) checkObject(m map[string]any, path string) []string {
	var out, missing, unknown []string
	for _, r := range s.required {
		if _, ok := m[r]; !ok {
			missing = append(missing, r)
		}
	}
	for _, k := range sortedKeys(m) {
		f, ok := s.fields[k]
		if !ok {
			unknown = append(unknown, k)
			continue
		}
		out = append(out, f.check(m[k], path+"."+k)...)
	}
	switch {
	case len(missing) == 1:
		out = append(out, fmt.Sprintf("%s: missing property %s", path, quoteList(missing)))
	case len(missing) > 1:
		out = append(out, fmt.Sprintf("%s: missing properties %s", path, quoteList(missing)))
	}
	if d := s.depends; d[0] != "" && has(m, d[0]) && !has(m, d[1]) {
		out = append(out, fmt.Sprintf("%s: properties '%s' required, if '%s' exists", path, d[1], d[0]))
	}
	// The noise of real life: with a property missing, the validator no longer counts the valid ones as evaluated.
	if s.noisy && len(missing) > 0 && len(m) > 0 {
		unknown = sortedKeys(m)
	}
	if len(unknown) > 0 {
		out = append(out, fmt.Sprintf("%s: additional properties %s not allowed", path, quoteList(unknown)))
	}
	if len(m) < s.minProps {
		out = append(out, fmt.Sprintf("%s: minProperties: got %d, want %d", path, len(m), s.minProps))
	}
	return out
}

func has(m map[string]any, k string) bool {
	_, ok := m[k]
	return ok
}

func (s *shape) checkArray(a []any, path string) []string {
	var out []string
	if len(a) < s.minItems {
		out = append(out, fmt.Sprintf("%s: minItems: got %d, want %d", path, len(a), s.minItems))
	}
	if s.maxItems > 0 && len(a) > s.maxItems {
		out = append(out, fmt.Sprintf("%s: maxItems: got %d, want %d", path, len(a), s.maxItems))
	}
	seen := map[string]int{}
	for i, v := range a {
		out = append(out, s.item.check(v, fmt.Sprintf("%s[%d]", path, i))...)
		if s.unique {
			b, _ := json.Marshal(v)
			if j, dup := seen[string(b)]; dup {
				out = append(out, fmt.Sprintf("%s: items at %d and %d are equal", path, j, i))
			}
			seen[string(b)] = i
		}
	}
	return out
}

func (s *shape) checkString(v, path string) []string {
	n := len([]rune(v))
	switch {
	case s.enum != nil && !slices.Contains(s.enum, v):
		return []string{fmt.Sprintf("%s: value must be one of %s", path, quoteList(s.enum))}
	case n < s.minLen:
		return []string{fmt.Sprintf("%s: minLength: got %d, want %d", path, n, s.minLen)}
	case s.pattern != nil && !s.pattern.MatchString(v):
		return []string{fmt.Sprintf("%s: '%s' does not match pattern '%s'", path, v, s.pattern)}
	}
	return nil
}

func (s *shape) checkNumber(v float64, path string) []string {
	switch {
	case s.min != nil && v < *s.min:
		return []string{fmt.Sprintf("%s: minimum: got %v, want %v", path, v, *s.min)}
	case s.max != nil && v > *s.max:
		return []string{fmt.Sprintf("%s: maximum: got %v, want %v", path, v, *s.max)}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// with is a copy of a closed shape that knows more fields.
func (s *shape) with(more map[string]*shape, required ...string) *shape {
	c := *s
	c.fields = map[string]*shape{}
	for k, v := range s.fields {
		c.fields[k] = v
	}
	for k, v := range more {
		c.fields[k] = v
	}
	c.required = append(slices.Clone(s.required), required...)
	return &c
}

// loud marks a shape whose closing is of the noisy kind.
func (s *shape) loud() *shape {
	c := *s
	c.noisy = true
	return &c
}

const majorMinor = `^\d+\.\d+$`

// The bodies of REST v2, after the document of August 2026.
var (
	containerFields = closed(map[string]*shape{
		"args": str(), "disk": integer(1, inf), "env": mapOf(str()), "image": str(), "ports": list(str()), "registry": nullable(str()),
	})
	mountsShape = closed(map[string]*shape{
		"persistent": closed(map[string]*shape{"size": integer(10, inf), "path": str()}, "size", "path"),
		"network":    {kind: "array", maxItems: 1, item: closed(map[string]*shape{"volumeId": str(), "path": str()}, "volumeId", "path")},
	})
	templateMounts = closed(map[string]*shape{
		"persistent": closed(map[string]*shape{"size": integer(10, inf), "path": str()}, "size", "path"),
	})
	createGPU = closed(map[string]*shape{
		"id": str(), "count": integer(1, inf), "allowedCudaVersions": list(matching(majorMinor)), "minCudaVersion": matching(majorMinor),
		// Not in the document; see docs/simulator.md, "Differences".
		"minRamPerGpu": integer(0, inf), "minVcpuCountPerGpu": integer(0, inf),
	}, "id").loud()
	createCPU = closed(map[string]*shape{"id": name(), "vcpuCount": integer(2, inf)}, "id", "vcpuCount").loud()

	createPodShape = containerFields.with(map[string]*shape{
		"name": name(), "cloud": oneOf("SECURE", "COMMUNITY"), "cpu": createCPU, "gpu": createGPU, "dataCenterIds": list(str()),
		"globalNetworking": boolean(), "mounts": mountsShape, "startJupyter": boolean(), "startSsh": boolean(), "templateId": name(),
	}, "name").loud()
	// execFields are what other clients send since autumn 2026 (dstack 0.22.5, thetaserve 0.1.0).
	execFields = map[string]*shape{"entrypoint": list(str()), "cmd": list(str())}

	updatePodShape = containerFields.with(map[string]*shape{
		"globalNetworking": boolean(), "locked": boolean(), "mounts": mountsShape, "name": name(), "templateId": str(),
	}).loud()
	actionShape = closed(map[string]*shape{"action": oneOf("start", "stop", "restart", "terminate")}, "action")

	templateFields = containerFields.with(map[string]*shape{
		"name": name(), "allowedCudaVersions": list(matching(majorMinor)), "category": oneOf("CPU", "NVIDIA", "AMD"), "mounts": templateMounts,
		"public": boolean(), "serverless": boolean(), "startJupyter": boolean(), "startSsh": boolean(),
	}).loud()
	createTemplateShape = templateFields.with(nil, "name", "image")
	createVolumeShape   = closed(map[string]*shape{
		"name": name(), "size": integer(10, 4096), "dataCenter": name(), "type": oneOf("STANDARD", "HIGH_PERFORMANCE"),
	}, "name", "size", "dataCenter")
	updateVolumeShape     = &shape{kind: "object", minProps: 1, fields: map[string]*shape{"name": name(), "size": integer(10, 4096)}}
	createRegistryShape   = closed(map[string]*shape{"name": name(), "username": name(), "password": name()}, "name", "username", "password")
	createDelegationShape = closed(map[string]*shape{"resource": str(), "name": nullable(str())}, "resource")
	sshKeysShape          = closed(map[string]*shape{"keys": list(matching(`^(ssh|ecdsa|sk)-[^\s]+ [^\s]+([ \t][^\n\r]*)?$`))}, "keys")
	updateClusterShape    = &shape{kind: "object", minProps: 1, fields: map[string]*shape{"name": name()}}
)

// decode reads a body, checks it against a shape and fills out.
func decode(body []byte, s *shape, out any) *apiError {
	var v any
	if len(strings.TrimSpace(string(body))) == 0 {
		return badRequest("request body is required")
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return badRequest("request body is not valid JSON: " + err.Error())
	}
	if bad := s.check(v, "$"); len(bad) > 0 {
		return invalid(bad...)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return badRequest("request could not be processed: " + err.Error())
	}
	return nil
}
