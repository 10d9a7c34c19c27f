package runpodsim_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"justright/sim/runpodsim"
)

var specFlag = flag.String("spec", "", "RunPod's OpenAPI document of REST v2: a file or a URL")

// difference is a place where the simulator follows what live RunPod was seen to do, against its document. Nothing else
// may differ.
type difference struct {
	op     string // operation; empty: all
	what   string
	source string
	// when tells whether a judged request falls under it: what the document thinks of the body, and what was answered.
	when func(r *judged) bool
}

// differences are the whole list; docs/simulator.md shows it.
func differences() []difference {
	exec := func(r *judged) bool {
		m, _ := r.body.(map[string]any)
		return m != nil && (m["entrypoint"] != nil || m["cmd"] != nil)
	}
	return []difference{
		{"createPod", "accepts entrypoint and cmd in exec form", "dstack 0.22.5 and thetaserve 0.1.0 send them (facts: RunPod v2 grew since August 2026)", exec},
		{"updatePod", "accepts entrypoint and cmd in exec form", "as createPod", exec},
		{"createPod", "accepts gpu.minRamPerGpu and gpu.minVcpuCountPerGpu", "dstack 0.22.5, @runpod/mcp-server 4.0.0 and SkyPilot send them", func(r *judged) bool {
			m, _ := r.body.(map[string]any)
			g, _ := m["gpu"].(map[string]any)
			return g != nil && (g["minRamPerGpu"] != nil || g["minVcpuCountPerGpu"] != nil)
		}},
		{"createPod", "answers 402 when the balance does not cover an hour", "the document's prose for createPod; no response is listed", func(r *judged) bool { return r.status == http.StatusPaymentRequired }},
		{"createPod", "answers 422 with prose for an image that is on no registry", "runpod-plugins-official, breaking-changes.md", func(r *judged) bool {
			return r.status == http.StatusUnprocessableEntity && strings.Contains(string(r.answer), "Container image")
		}},
	}
}

// spec is the document, ready to judge with.
type spec struct {
	t        *testing.T
	doc      map[string]any
	compiler *jsonschema.Compiler
	cache    map[string]*jsonschema.Schema
}

const specURL = "https://spec.invalid/openapi.json"

func loadSpec(t *testing.T) *spec {
	t.Helper()
	where := *specFlag
	if where == "" {
		t.Skip("no -spec: RunPod's document is not part of this repository (make conformance SPEC=FILE-or-URL)")
	}
	var raw []byte
	var err error
	if strings.HasPrefix(where, "http") {
		req, bad := http.NewRequestWithContext(t.Context(), http.MethodGet, where, nil)
		if bad != nil {
			t.Fatal(bad)
		}
		var resp *http.Response
		if resp, err = http.DefaultClient.Do(req); err == nil {
			defer resp.Body.Close()
			raw, err = io.ReadAll(resp.Body)
		}
	} else {
		raw, err = os.ReadFile(where)
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(specURL, doc); err != nil {
		t.Fatal(err)
	}
	return &spec{t, doc.(map[string]any), c, map[string]*jsonschema.Schema{}}
}

// schema compiles the schema at a pointer of the document.
func (s *spec) schema(pointer string) *jsonschema.Schema {
	s.t.Helper()
	if got, ok := s.cache[pointer]; ok {
		return got
	}
	got, err := s.compiler.Compile(specURL + "#" + pointer)
	if err != nil {
		s.t.Fatalf("%s: %v", pointer, err)
	}
	s.cache[pointer] = got
	return got
}

func escape(s string) string {
	return url.PathEscape(strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1"))
}

// operation is one method of one path.
type operation struct {
	id, method, path string
	doc              map[string]any
	params           []map[string]any
}

func (s *spec) operations() []operation {
	var out []operation
	paths := s.doc["paths"].(map[string]any)
	for path, item := range paths {
		shared, _ := item.(map[string]any)["parameters"].([]any)
		for method, o := range item.(map[string]any) {
			op, ok := o.(map[string]any)
			if !ok || method == "parameters" {
				continue
			}
			x := operation{id: op["operationId"].(string), method: strings.ToUpper(method), path: path, doc: op}
			own, _ := op["parameters"].([]any)
			for _, p := range append(append([]any{}, shared...), own...) {
				x.params = append(x.params, s.deref(p.(map[string]any)))
			}
			out = append(out, x)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

func (s *spec) deref(m map[string]any) map[string]any {
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	at := any(s.doc)
	for _, p := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(map[string]any)[p]
	}
	return s.deref(at.(map[string]any))
}

func (s *spec) pointer(op operation, rest ...string) string {
	p := "/paths/" + escape(op.path) + "/" + strings.ToLower(op.method)
	for _, r := range rest {
		p += "/" + escape(r)
	}
	return p
}

// judged is one request with its answer.
type judged struct {
	op     operation
	path   string
	body   any
	raw    []byte
	status int
	header http.Header
	answer []byte
}

func (r *judged) String() string {
	return fmt.Sprintf("%s %s %s\n-> %d %s", r.op.method, r.path, r.raw, r.status, r.answer)
}

func (r *judged) excused() bool {
	for _, d := range differences() {
		if (d.op == "" || d.op == r.op.id) && d.when(r) {
			return true
		}
	}
	return false
}

// judge holds an answer against the document: a declared status, the declared type, the schema, the headers.
func (s *spec) judge(r *judged) {
	s.t.Helper()
	responses := r.op.doc["responses"].(map[string]any)
	key := fmt.Sprint(r.status)
	resp, ok := responses[key].(map[string]any)
	if !ok {
		key = "default"
		if resp, ok = responses[key].(map[string]any); !ok {
			s.t.Errorf("%s: status %d is not declared\n%s", r.op.id, r.status, r)
			return
		}
		if r.status < 400 {
			s.t.Errorf("%s: success %d is not declared\n%s", r.op.id, r.status, r)
		}
	}
	if r.status != http.StatusUnauthorized && (r.header.Get("RateLimit") == "" || r.header.Get("RateLimit-Policy") == "") {
		s.t.Errorf("%s: no RateLimit headers\n%s", r.op.id, r)
	}
	if r.header.Get("X-Request-Id") == "" {
		s.t.Errorf("%s: no x-request-id", r.op.id)
	}
	pointer := s.pointer(r.op, "responses", key)
	if ref, ok := resp["$ref"].(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
		resp = s.deref(resp)
	}
	content, _ := resp["content"].(map[string]any)
	if len(content) == 0 {
		if len(r.answer) != 0 {
			s.t.Errorf("%s: a body where none is declared\n%s", r.op.id, r)
		}
		return
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if _, ok := content[kind]; !ok {
		s.t.Errorf("%s: content type %q is not declared\n%s", r.op.id, kind, r)
		return
	}
	if kind == "text/event-stream" {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.answer))
	if err == nil {
		err = s.schema(pointer + "/content/" + escape(kind) + "/schema").Validate(v)
	}
	if err != nil {
		s.t.Errorf("%s: the answer is not of the document: %v\n%s", r.op.id, err, r)
	}
}

// TestConformance drives every operation of the document with requests made from it, valid ones and spoiled ones, and
// holds every answer against it. What the document calls a valid body must not be refused as invalid, and the other way
// round.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := loadSpec(t)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	statuses := map[string]map[string]int{}
	total := 0
	for seed := range uint64(rounds) {
		g := newGenerator(t, s, seed)
		for _, op := range g.order() {
			for range 4 {
				r := g.request(op)
				s.judge(r)
				if statuses[op.id] == nil {
					statuses[op.id] = map[string]int{}
				}
				statuses[op.id][fmt.Sprint(r.status)]++
				total++
				g.learn(r)
				g.agree(r)
			}
		}
	}
	t.Logf("%d requests", total)
	for _, op := range s.operations() {
		t.Logf("%-26s %v", op.id, statuses[op.id])
		ok := 0
		for k, n := range statuses[op.id] {
			if k[0] == '2' {
				ok += n
			}
		}
		if ok == 0 && op.id != "getWorkerLogs" {
			t.Errorf("%s never succeeded: the generator does not reach it", op.id)
		}
	}
}

// TestConformanceKeys asks every operation without a key, with a pod's key and with an unknown path or method.
func TestConformanceKeys(t *testing.T) {
	t.Parallel()
	s := loadSpec(t)
	w := serve(t, runpodsim.Options{Seed: 3, Keys: []runpodsim.Key{{Token: "good"}, {Token: "look", ReadOnly: true}}})
	for _, op := range s.operations() {
		path := strings.NewReplacer("{id}", "x", "{workerId}", "y").Replace(op.path)
		for _, key := range []string{"", "bad", "look"} {
			r := send(t, w.url, op, path, nil, key)
			switch {
			case key == "look" && op.method != "GET" && r.status != http.StatusForbidden:
				t.Errorf("%s with a read-only key: %d", op.id, r.status)
			case key != "look" && r.status != http.StatusUnauthorized:
				t.Errorf("%s with key %q: %d", op.id, key, r.status)
			}
			s.judge(r)
		}
	}
	for path, allow := range map[string]string{"/v2/pods": "GET, POST", "/v2/pods/x": "DELETE, GET, PATCH", "/v2/registries/delegations": "GET, POST"} {
		r := send(t, w.url, operation{id: "none", method: "PUT"}, path, nil, "good")
		if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != allow {
			t.Errorf("PUT %s: %d, Allow %q", path, r.status, r.header.Get("Allow"))
		}
	}
}

func send(t *testing.T, base string, op operation, path string, body []byte, key string) *judged {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), op.method, base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", op.method, path, err)
	}
	defer resp.Body.Close()
	r := &judged{op: op, path: path, raw: body, status: resp.StatusCode, header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		if r.answer, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// generator makes requests from the document's schemas, with ids of things that exist put in where the document only
// says "string".
type generator struct {
	t   *testing.T
	s   *spec
	w   *world
	rng *rand.Rand
	ids map[string][]string // by kind of thing
}

func newGenerator(t *testing.T, s *spec, seed uint64) *generator {
	limit := runpodsim.RateLimit{Minute: 1 << 30, Hour: 1 << 30, Day: 1 << 30}
	w := serve(t, runpodsim.Options{Seed: seed + 1, RateLimit: &limit, DelayScale: runpodsim.NoDelay})
	return &generator{t, s, w, rand.New(rand.NewPCG(seed, 7)), map[string][]string{}}
}

// order lists the operations, creators first, so that the rest finds something.
func (g *generator) order() []operation {
	ops := g.s.operations()
	rank := func(o operation) int {
		switch {
		case strings.HasPrefix(o.id, "create"):
			return 0
		case strings.HasPrefix(o.id, "delete"), strings.HasPrefix(o.id, "revoke"):
			return 2
		}
		return 1
	}
	slices.SortStableFunc(ops, func(a, b operation) int { return rank(a) - rank(b) })
	return ops
}

func (g *generator) pick(v ...string) string { return v[g.rng.IntN(len(v))] }

// request makes one request for an operation and sends it.
func (g *generator) request(op operation) *judged {
	path := op.path
	for strings.Contains(path, "{") {
		i, j := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:i] + url.PathEscape(g.thing(op.path)) + path[j+1:]
	}
	q := url.Values{}
	for _, p := range op.params {
		if p["in"] == "query" && g.rng.IntN(3) == 0 {
			q.Set(p["name"].(string), g.param(p))
		}
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var body any
	var raw []byte
	if rb, ok := op.doc["requestBody"].(map[string]any); ok {
		schema := rb["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
		body = g.value(schema, "", 0)
		if g.rng.IntN(2) == 0 {
			g.sense(op.id, body)
		} else if g.rng.IntN(2) == 0 {
			body = g.spoil(body)
		}
		var err error
		if raw, err = json.Marshal(body); err != nil {
			g.t.Fatal(err)
		}
	}
	r := send(g.t, g.w.url, op, path, raw, "k")
	r.body = body
	return r
}

// param is a value for a query parameter; one in eight is bad.
func (g *generator) param(p map[string]any) string {
	if g.rng.IntN(8) == 0 {
		return g.pick("", "!!", "-1", "nonsense")
	}
	switch p["name"] {
	case "product":
		return g.pick("POD", "POD,SERVERLESS")
	case "vcpuCount":
		return g.pick("2", "4")
	}
	v := g.value(p["schema"].(map[string]any), p["name"].(string), 0)
	if a, ok := v.([]any); ok {
		var parts []string
		for _, x := range a {
			parts = append(parts, fmt.Sprint(x))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// thing is an id for a path: mostly one that exists.
func (g *generator) thing(path string) string {
	kind := strings.Split(strings.TrimPrefix(path, "/v2/"), "/{")[0]
	known := g.ids[kind]
	switch kind {
	case "catalog/gpus":
		known = []string{"NVIDIA L4", "NVIDIA GeForce RTX 4090", "AMD Instinct MI300X OAM", "NVIDIA A30"}
	case "catalog/cpus":
		known = []string{"cpu3c", "cpu5g"}
	case "catalog/datacenters":
		known = []string{"EU-RO-1", "US-GA-1"}
	}
	if len(known) > 0 && g.rng.IntN(6) > 0 {
		return g.pick(known...)
	}
	return "nothing"
}

// learn remembers what was created.
func (g *generator) learn(r *judged) {
	if r.status != http.StatusCreated {
		return
	}
	var d struct{ ID string }
	if json.Unmarshal(r.answer, &d) == nil && d.ID != "" {
		kind := strings.TrimPrefix(r.op.path, "/v2/")
		g.ids[kind] = append(g.ids[kind], d.ID)
	}
}

// agree compares the simulator's judgement of a body with the document's.
func (g *generator) agree(r *judged) {
	if r.body == nil || r.status == http.StatusNotFound && strings.Contains(r.op.path, "{") {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.raw))
	if err != nil {
		g.t.Fatal(err)
	}
	bad := g.s.schema(g.s.pointer(r.op, "requestBody", "content", "application/json", "schema")).Validate(v)
	refused := r.status == http.StatusUnprocessableEntity && bytes.Contains(r.answer, []byte(`"errors"`)) && bytes.Contains(r.answer, []byte(`"$`))
	switch {
	case bad != nil && !refused && !r.excused() && r.status != http.StatusConflict && r.status != http.StatusForbidden:
		g.t.Errorf("%s: the document calls this body invalid (%v), the simulator does not\n%s", r.op.id, bad, r)
	case bad == nil && refused && !r.excused():
		g.t.Errorf("%s: the document calls this body valid, the simulator does not\n%s", r.op.id, r)
	}
}
