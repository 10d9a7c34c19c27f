package runpodsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// endpoint is a serverless endpoint. The simulator keeps its record and its releases; it runs no workers and bills nothing.
type endpoint struct {
	account  string
	id       string
	body     endpointBody
	args     string
	image    string
	disk     int
	env      map[string]string
	ports    []string
	registry string
	created  time.Time
	version  int
	releases []map[string]any
}

type endpointBody struct {
	createBody
	Type    string         `json:"type"`
	Scaling map[string]any `json:"scaling"`
	GPU     *endpointGPU   `json:"gpu"`
	CPU     []cpuBody      `json:"cpu"`
	Flash   string         `json:"flashboot"`
	Volumes []string       `json:"networkVolumes"`
	Timeout *int           `json:"timeout"`
	Workers *endpointScale `json:"workers"`
}

type endpointGPU struct {
	Pools    []string `json:"pools"`
	Excluded []string `json:"excludedTypes"`
	Count    *int     `json:"count"`
	Allowed  []string `json:"allowedCudaVersions"`
	Min      *string  `json:"minCudaVersion"`
}

type endpointScale struct {
	Min  *int `json:"min"`
	Max  *int `json:"max"`
	Idle *int `json:"idleTimeout"`
}

var (
	queueScaling = closed(map[string]*shape{"type": oneOf("QUEUE_DELAY"), "queueDelay": {kind: "number", min: ptr(0.5)}}, "type", "queueDelay")
	countScaling = closed(map[string]*shape{"type": oneOf("REQUEST_COUNT"), "requestCount": integer(1, inf)}, "type", "requestCount")
	anyScaling   = &shape{kind: "object", choose: func(m map[string]any) *shape {
		switch m["type"] {
		case "QUEUE_DELAY":
			return queueScaling
		case "REQUEST_COUNT":
			return countScaling
		}
		return nil
	}}
	endpointGPUFields = closed(map[string]*shape{
		"pools": {kind: "array", item: str(), minItems: 1}, "excludedTypes": {kind: "array", item: matching(`^\s*[^-\s]`), unique: true},
		"count": integer(1, inf), "allowedCudaVersions": list(matching(majorMinor)),
	})
	endpointFields = containerFields.with(map[string]*shape{
		"cpu": {kind: "array", item: createCPU, minItems: 1, unique: true}, "dataCenterIds": list(str()),
		"flashboot": oneOf("OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"), "name": name(), "networkVolumes": list(str()), "timeout": integer(-inf, inf),
		"workers": closed(map[string]*shape{"min": integer(0, inf), "max": integer(0, inf), "idleTimeout": integer(1, 3600)}),
		"scaling": anyScaling,
	}).loud()
	createEndpointShape = endpointFields.with(map[string]*shape{
		"gpu":        endpointGPUFields.with(map[string]*shape{"minCudaVersion": matching(majorMinor)}, "pools").loud(),
		"templateId": name(), "type": oneOf("QUEUE", "LOAD_BALANCER"),
	}, "name", "type", "scaling").loud()
	updateEndpointShape = endpointFields.with(map[string]*shape{
		"gpu":        dependent(endpointGPUFields.with(map[string]*shape{"minCudaVersion": matching(`^$|^\d+\.\d+$`)}).loud(), "excludedTypes", "pools"),
		"templateId": str(),
	}).loud()
)

func dependent(s *shape, field, on string) *shape {
	c := *s
	c.depends = [2]string{field, on}
	return &c
}

func ptr[T any](v T) *T { return &v }

func serverlessRoutes(add adder) {
	add("listEndpoints", "GET", "/serverless", func(c *call) (answer, *apiError) {
		out := []any{}
		for _, e := range c.s.serverls.all() {
			if e.account == c.who.account {
				out = append(out, c.s.endpointV2(e))
			}
		}
		return answer{http.StatusOK, map[string]any{"endpoints": out}}, nil
	})
	add("createEndpoint", "POST", "/serverless", (*call).createEndpoint)
	add("getEndpoint", "GET", "/serverless/{}", func(c *call) (answer, *apiError) {
		e, refused := c.endpoint()
		if refused != nil {
			return answer{}, refused
		}
		return answer{http.StatusOK, c.s.endpointV2(e)}, nil
	})
	add("updateEndpoint", "PATCH", "/serverless/{}", (*call).updateEndpoint)
	add("deleteEndpoint", "DELETE", "/serverless/{}", func(c *call) (answer, *apiError) {
		e, refused := c.endpoint()
		if refused != nil {
			return answer{}, refused
		}
		c.s.serverls.drop(e.id)
		return answer{status: http.StatusNoContent}, nil
	})
	add("listEndpointWorkers", "GET", "/serverless/{}/workers", func(c *call) (answer, *apiError) {
		e, refused := c.endpoint()
		if refused != nil {
			return answer{}, refused
		}
		return answer{http.StatusOK, map[string]any{
			"workers": []any{}, "endpointVersion": e.version,
			"summary": map[string]any{"running": 0, "idle": 0, "initializing": 0, "throttled": 0, "unhealthy": 0, "total": 0},
		}}, nil
	})
	add("listEndpointReleases", "GET", "/serverless/{}/releases", func(c *call) (answer, *apiError) {
		e, refused := c.endpoint()
		if refused != nil {
			return answer{}, refused
		}
		out := slices.Clone(e.releases)
		slices.Reverse(out)
		return answer{http.StatusOK, map[string]any{
			"endpointVersion": e.version, "releases": out,
			"rollout": map[string]any{"inProgress": false, "workersOnLatest": 0, "workersTotal": 0, "percentOnLatest": 100},
		}}, nil
	})
	add("getWorkerLogs", "GET", "/serverless/{}/workers/{}/logs", func(c *call) (answer, *apiError) {
		if _, refused := c.endpoint(); refused != nil {
			return answer{}, refused
		}
		return answer{}, notFound("worker")
	})
}

func (c *call) endpoint() (*endpoint, *apiError) {
	e := c.s.serverls.by[c.id]
	if e == nil || e.account != c.who.account {
		return nil, notFound("endpoint")
	}
	return e, nil
}

func (c *call) createEndpoint() (answer, *apiError) {
	s := c.s
	var probe struct {
		Type     any     `json:"type"`
		Template *string `json:"templateId"`
	}
	_ = decodeLoose(c.body, &probe)
	kind, _ := probe.Type.(string)
	form := createEndpointShape
	if kind == "LOAD_BALANCER" {
		form = form.with(map[string]*shape{"scaling": countScaling}) // it scales on requests only
	}
	if probe.Template == nil {
		form = form.with(nil, "image")
	}
	var b endpointBody
	if e := decode(c.body, form, &b); e != nil {
		return answer{}, e
	}
	if (b.GPU == nil) == (len(b.CPU) == 0) {
		return answer{}, badRequest("exactly one of 'gpu' or 'cpu' must be set")
	}
	e := &endpoint{account: c.who.account, disk: defaultDisk, env: map[string]string{}, created: s.now(), version: 1}
	if b.Template != "" {
		if refused := c.endpointTemplate(e, b.Template); refused != nil {
			return answer{}, refused
		}
	}
	if refused := s.fillEndpoint(c.who, e, b); refused != nil {
		return answer{}, refused
	}
	e.body = b
	e.id = s.newID(14)
	s.release(e, nil)
	s.serverls.put(e.id, e)
	return answer{http.StatusCreated, s.endpointV2(e)}, nil
}

func (c *call) endpointTemplate(e *endpoint, id string) *apiError {
	t, refused := c.s.template(c.who, id)
	if refused != nil {
		return refused
	}
	if !t.serverless {
		return refuse(http.StatusUnprocessableEntity, "template is not a serverless template")
	}
	e.image, e.args, e.disk, e.registry, e.ports = t.image, t.args, t.disk, t.registry, slices.Clone(t.ports)
	for k, v := range t.env {
		e.env[k] = v
	}
	return nil
}

// fillEndpoint checks a body's rules and takes over its container settings.
func (s *Server) fillEndpoint(who caller, e *endpoint, b endpointBody) *apiError {
	if g := b.GPU; g != nil {
		if len(g.Allowed) > 0 && g.Min != nil && *g.Min != "" {
			return badRequest("gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive")
		}
		known := map[string]bool{}
		for _, t := range s.fleet.GPUs {
			if t.Pool != nil {
				known[*t.Pool] = true
			}
		}
		for _, p := range g.Pools {
			if !known[p] {
				return badRequest(fmt.Sprintf("gpu pool %q does not exist", p))
			}
		}
	}
	for _, x := range b.CPU {
		t := s.fleet.cpu(x.ID)
		if t == nil || x.VCPU&(x.VCPU-1) != 0 || x.VCPU > t.Max {
			return badRequest(fmt.Sprintf("cpu flavor %q with %d vCPUs does not exist", x.ID, x.VCPU))
		}
	}
	for _, id := range b.DataCenters {
		if s.fleet.dataCenter(id) == nil {
			return badRequest(fmt.Sprintf("data center %q does not exist", id))
		}
	}
	for _, id := range b.Volumes {
		if _, e := s.volume(who, id); e != nil {
			return e
		}
	}
	if b.Registry != nil && *b.Registry != "" {
		if r := s.regs.by[*b.Registry]; r == nil || r.account != who.account {
			return notFound("registry")
		}
	}
	if w := b.Workers; w != nil && w.Min != nil && w.Max != nil && *w.Min > *w.Max {
		return badRequest("workers.min must not exceed workers.max")
	}
	kind := b.Type
	if kind == "" {
		kind = e.body.Type
	}
	if w := b.Workers; w != nil && w.Idle != nil && kind == "QUEUE" && b.Scaling["type"] == "REQUEST_COUNT" {
		return refuse(http.StatusUnprocessableEntity, "workers.idleTimeout is not applicable to queue-based endpoints scaling on requestCount")
	}
	set(&e.image, b.Image)
	set(&e.args, b.Args)
	set(&e.disk, b.Disk)
	set(&e.registry, b.Registry)
	if b.Ports != nil {
		e.ports = b.Ports
	}
	for k, v := range b.Env {
		e.env[k] = v
	}
	return nil
}

func (c *call) updateEndpoint() (answer, *apiError) {
	e, refused := c.endpoint()
	if refused != nil {
		return answer{}, refused
	}
	var b endpointBody
	if refused := decode(c.body, updateEndpointShape, &b); refused != nil {
		return answer{}, refused
	}
	if e.body.Type == "LOAD_BALANCER" && b.Scaling["type"] == "QUEUE_DELAY" {
		return answer{}, badRequest("load-balancing endpoints scale on REQUEST_COUNT only")
	}
	if b.GPU != nil && (len(b.CPU) > 0 || e.body.GPU == nil) || len(b.CPU) > 0 && e.body.GPU != nil {
		return answer{}, badRequest("the compute family of an endpoint cannot be changed")
	}
	next := *e
	next.env = map[string]string{}
	if b.Template == "" && b.Env == nil {
		next.env = e.env
	}
	if b.Template != "" {
		if refused := c.endpointTemplate(&next, b.Template); refused != nil {
			return answer{}, refused
		}
	}
	if refused := c.s.fillEndpoint(c.who, &next, b); refused != nil {
		return answer{}, refused
	}
	if b.Registry == nil && hasKey(c.body, "registry") {
		next.registry = ""
	}
	next.body.merge(b)
	changed := diffFields(c.body)
	*e = next
	if len(changed) > 0 {
		e.version++
		c.s.release(e, changed)
	}
	return answer{http.StatusOK, c.s.endpointV2(e)}, nil
}

// merge takes over what an update names.
func (b *endpointBody) merge(u endpointBody) {
	if u.Name != "" {
		b.Name = u.Name
	}
	if u.Scaling != nil {
		b.Scaling = u.Scaling
	}
	if u.GPU != nil {
		g := *b.GPU
		if u.GPU.Pools != nil {
			g.Pools, g.Excluded = u.GPU.Pools, u.GPU.Excluded
		}
		if u.GPU.Count != nil {
			g.Count = u.GPU.Count
		}
		if u.GPU.Allowed != nil {
			g.Allowed, g.Min = u.GPU.Allowed, nil
		}
		if u.GPU.Min != nil {
			g.Min = u.GPU.Min
		}
		b.GPU = &g
	}
	if len(u.CPU) > 0 {
		b.CPU = u.CPU
	}
	if u.Flash != "" {
		b.Flash = u.Flash
	}
	if u.Volumes != nil {
		b.Volumes = u.Volumes
	}
	if u.DataCenters != nil {
		b.DataCenters = u.DataCenters
	}
	if u.Timeout != nil {
		b.Timeout = u.Timeout
	}
	if u.Workers != nil {
		b.Workers = u.Workers
	}
}

// diffFields lists the container settings that an update touches; only these make a release.
func diffFields(body []byte) []string {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(body, &m)
	var out []string
	for _, k := range sortedKeys(m) {
		if slices.Contains([]string{"image", "args", "env", "disk", "ports", "registry", "templateId"}, k) {
			out = append(out, k)
		}
	}
	return out
}

func (s *Server) release(e *endpoint, fields []string) {
	diff := []any{}
	for _, f := range fields {
		diff = append(diff, map[string]any{"field": f, "old": nil, "new": nil})
	}
	e.releases = append(e.releases, map[string]any{
		"id": s.newID(12), "version": e.version, "source": "MANUAL", "buildId": nil, "createdByUserId": nil, "workerCount": 0,
		"createdAt": stamp(s.now()), "diff": diff,
	})
}

func (s *Server) endpointV2(e *endpoint) map[string]any {
	b := e.body
	workers := map[string]any{"min": 0, "max": 3}
	if w := b.Workers; w != nil {
		if w.Min != nil {
			workers["min"] = *w.Min
		}
		if w.Max != nil {
			workers["max"] = *w.Max
		}
		if w.Idle != nil {
			workers["idleTimeout"] = *w.Idle
		}
	}
	if _, ok := workers["idleTimeout"]; !ok && !(b.Type == "QUEUE" && b.Scaling["type"] == "REQUEST_COUNT") {
		workers["idleTimeout"] = 10
	}
	timeout := 0 // the document says 300000; live answers were seen to say 0
	if b.Timeout != nil {
		timeout = *b.Timeout
	}
	flash := b.Flash
	if flash == "" {
		flash = "OFF"
	}
	d := map[string]any{
		"id": e.id, "name": b.Name, "type": b.Type, "image": e.image, "args": e.args, "disk": e.disk, "env": e.env, "ports": orEmpty(e.ports),
		"registry": orNull(e.registry), "workers": workers, "scaling": b.Scaling, "dataCenterIds": orEmpty(b.DataCenters),
		"networkVolumes": orEmpty(b.Volumes), "timeout": timeout, "flashboot": flash, "createdAt": stamp(e.created), "gpu": nil,
		"requestUrls": s.requestURLs(e),
	}
	if g := b.GPU; g != nil {
		var floor any
		if g.Min != nil {
			floor = orNull(*g.Min)
		}
		count := 1
		if g.Count != nil {
			count = *g.Count
		}
		d["gpu"] = map[string]any{"pools": g.Pools, "excludedTypes": orEmpty(g.Excluded), "count": count, "allowedCudaVersions": orEmpty(g.Allowed), "minCudaVersion": floor}
	}
	if len(b.CPU) > 0 {
		rows := []any{}
		for _, x := range b.CPU {
			rows = append(rows, map[string]any{"id": x.ID, "vcpuCount": x.VCPU, "memory": max(int(s.fleet.cpu(x.ID).RAMPerVCPU*float64(x.VCPU)), 1)})
		}
		d["cpu"] = rows
	}
	return d
}

func (s *Server) requestURLs(e *endpoint) map[string]any {
	if e.body.Type == "LOAD_BALANCER" {
		base := "https://" + e.id + ".api.runpod.ai"
		return map[string]any{"base": base, "health": base + "/ping"}
	}
	base := "https://api.runpod.ai/v2/" + e.id
	return map[string]any{
		"run": base + "/run", "runSync": base + "/runsync", "status": base + "/status/{id}", "stream": base + "/stream/{id}",
		"cancel": base + "/cancel/{id}", "retry": base + "/retry/{id}", "purgeQueue": base + "/purge-queue", "health": base + "/health",
	}
}
