package runpodsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"justright/money"
)

// gqlCall is one GraphQL request on its way.
type gqlCall struct {
	s   *Server
	who caller
}

// gqlError is an error of GraphQL: it travels in a 200.
type gqlError struct{ message, code string }

func (e *gqlError) Error() string { return e.message }

func gqlRefuse(format string, args ...any) error {
	return &gqlError{fmt.Sprintf(format, args...), "RUNPOD"}
}

// fromAPI turns a refusal of v2 into one of GraphQL.
func fromAPI(e *apiError) error {
	if e == nil {
		return nil
	}
	return &gqlError{e.detail, "RUNPOD"}
}

// fields is an object: values, or functions for fields that take arguments or are not to be made for nothing.
type fields map[string]any

type resolver func(args map[string]any) (any, error)

// graphql answers POST /graphql, and GET for queries. A bad key is 401; everything else is 200, errors in the body.
func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {
	if s.agentRefused(w, r) {
		return
	}
	var q struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
		Operation string         `json:"operationName"`
	}
	if r.Method == http.MethodGet {
		q.Query = r.URL.Query().Get("query")
	} else {
		b, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
		if err == nil {
			err = json.Unmarshal(b, &q)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, gqlFailure(&gqlError{"POST body is not a GraphQL request: " + err.Error(), "BAD_REQUEST"}))
			return
		}
	}
	doc, err := parseGraphQL(q.Query, q.Variables, q.Operation)
	if err != nil {
		writeJSON(w, http.StatusOK, gqlFailure(&gqlError{err.Error(), "GRAPHQL_PARSE_FAILED"}))
		return
	}
	status, answer, lost := s.runGraphQL(bearer(r, true), doc)
	if lost {
		abort()
	}
	writeJSON(w, status, answer)
}

func gqlFailure(err error) map[string]any {
	code := "INTERNAL_SERVER_ERROR"
	if e, ok := errors.AsType[*gqlError](err); ok {
		code = e.code
	}
	return map[string]any{"errors": []any{map[string]any{"message": err.Error(), "extensions": map[string]any{"code": code}}}, "data": nil}
}

// runGraphQL does the work under the lock.
func (s *Server) runGraphQL(key string, doc gqlDoc) (status int, answer any, lost bool) {
	s.lock()
	defer s.unlock()
	who, refused := s.identify(key)
	if refused != nil {
		return http.StatusUnauthorized, gqlFailure(&gqlError{"Unauthorized", "UNAUTHENTICATED"}), false
	}
	c := &gqlCall{s, who}
	root := c.queries()
	if doc.mutation {
		root = c.mutations()
	}
	for _, f := range doc.sel {
		op := "graphql:" + f.name
		s.counts[op]++
		if fl := s.strike(op, nil, ErrorBefore, Throttled); fl != nil {
			return http.StatusOK, gqlFailure(&gqlError{fl.error().detail, "INTERNAL_SERVER_ERROR"}), false
		}
	}
	data, err := project(root, map[bool]string{true: "Mutation", false: "Query"}[doc.mutation], doc.sel)
	for _, f := range doc.sel {
		if s.strike("graphql:"+f.name, nil, LostReply) != nil {
			return 0, nil, true
		}
	}
	if err != nil {
		return http.StatusOK, gqlFailure(err), false
	}
	return http.StatusOK, map[string]any{"data": data}, false
}

// project picks what was selected, in the order it was selected being of no importance to anybody.
func project(v any, kind string, sel []gqlField) (any, error) {
	switch x := v.(type) {
	case fields:
		if len(sel) == 0 {
			return nil, &gqlError{fmt.Sprintf("Field of type %q must have a selection of subfields.", kind), "GRAPHQL_VALIDATION_FAILED"}
		}
		out := map[string]any{}
		for _, f := range sel {
			if f.name == "__typename" {
				out[f.alias] = kind
				continue
			}
			got, ok := x[f.name]
			if !ok {
				return nil, &gqlError{fmt.Sprintf("Cannot query field %q on type %q.", f.name, kind), "GRAPHQL_VALIDATION_FAILED"}
			}
			if r, ok := got.(resolver); ok {
				var err error
				if got, err = r(f.args); err != nil {
					return nil, err
				}
			}
			sub, err := project(got, strings.ToUpper(f.name[:1])+f.name[1:], f.sel)
			if err != nil {
				return nil, err
			}
			out[f.alias] = sub
		}
		return out, nil
	case []fields:
		out := make([]any, 0, len(x))
		for _, e := range x {
			sub, err := project(e, kind, sel)
			if err != nil {
				return nil, err
			}
			out = append(out, sub)
		}
		return out, nil
	default:
		return v, nil
	}
}

func input(args map[string]any) map[string]any {
	m, _ := args["input"].(map[string]any)
	return m
}

func gqlStr(m map[string]any, k string) string {
	v, _ := m[k].(string)
	return v
}

func gqlInt(m map[string]any, k string) int {
	v, _ := m[k].(float64)
	return int(v)
}

func gqlList(m map[string]any, k string) []string {
	var out []string
	a, _ := m[k].([]any)
	for _, v := range a {
		if t, ok := v.(string); ok {
			out = append(out, t)
		}
	}
	return out
}

// queries are the roots that clients read.
func (c *gqlCall) queries() fields {
	return fields{
		"myself":      resolver(func(map[string]any) (any, error) { return c.myself() }),
		"pod":         resolver(func(a map[string]any) (any, error) { return c.pod(gqlStr(input(a), "podId")) }),
		"gpuTypes":    resolver(c.gpuTypes),
		"dataCenters": resolver(func(map[string]any) (any, error) { return c.dataCenters(), nil }),
		"cpuFlavors": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, t := range c.s.fleet.CPUs {
				out = append(out, fields{"id": t.ID, "groupId": t.ID, "groupName": t.Group, "displayName": t.Name, "minVcpu": t.Min, "maxVcpu": t.Max, "ramMultiplier": t.RAMPerVCPU})
			}
			return out, nil
		}),
		"podTemplates": resolver(func(a map[string]any) (any, error) { return c.podTemplates(input(a)), nil }),
		"podTemplate": resolver(func(a map[string]any) (any, error) {
			t, e := c.s.template(c.who, gqlStr(a, "id"))
			if e != nil {
				return nil, nil
			}
			return templateGQL(t), nil
		}),
		"serverlessGpuPools": resolver(func(map[string]any) (any, error) { return c.pools(), nil }),
	}
}

func (c *gqlCall) pools() []fields {
	by, order := map[string][]string{}, []string{}
	for _, g := range c.s.fleet.GPUs {
		if g.Pool == nil {
			continue
		}
		if by[*g.Pool] == nil {
			order = append(order, *g.Pool)
		}
		by[*g.Pool] = append(by[*g.Pool], g.ID)
	}
	out := []fields{}
	for _, p := range order {
		out = append(out, fields{"id": p, "gpuTypeIds": by[p]})
	}
	return out
}

// account refuses what a pod's own key may not see.
func (c *gqlCall) account() error {
	if c.who.pod != "" {
		return &gqlError{"Forbidden", "FORBIDDEN"}
	}
	return nil
}

func (c *gqlCall) myself() (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	return fields{
		"id": "user_sim", "email": "somebody@example.invalid", "pubKey": strings.Join(c.s.sshKeys, "\n"),
		"clientBalance": c.s.balance().Float(), "currentSpendPerHr": c.s.burn().Float(), "spendLimit": c.spendLimit(), "underBalance": c.s.balance() <= 0,
		"notifyPodsStale": false, "notifyPodsGeneral": false, "notifyLowBalance": false,
		"pods": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, p := range c.s.list(c.who, false) {
				out = append(out, c.podGQL(p))
			}
			return out, nil
		}),
		"networkVolumes": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, v := range c.s.volumes.all() {
				if v.account == c.who.account && !v.gone {
					out = append(out, volumeGQL(v))
				}
			}
			return out, nil
		}),
		"containerRegistryCreds": resolver(func(map[string]any) (any, error) {
			out := []fields{}
			for _, r := range c.s.regs.all() {
				if r.account == c.who.account {
					out = append(out, fields{"id": r.ID, "name": r.Name})
				}
			}
			return out, nil
		}),
		"podTemplates": resolver(func(map[string]any) (any, error) { return c.ownTemplates(), nil }),
		"endpoints":    []fields{},
		"secrets":      []fields{},
	}, nil
}

func (c *gqlCall) spendLimit() float64 {
	if c.s.opts.SpendLimit != nil {
		return c.s.opts.SpendLimit.Float()
	}
	return 80
}

func volumeGQL(v *volume) fields {
	return fields{"id": v.ID, "name": v.Name, "size": v.Size, "dataCenterId": v.DataCenter, "dataCenter": fields{"id": v.DataCenter, "name": v.DataCenter}}
}

func (c *gqlCall) find(id string) (*pod, error) {
	if e := c.s.mayTouch(c.who, id, false); e != nil {
		return nil, &gqlError{"Forbidden", "FORBIDDEN"}
	}
	p, e := c.s.find(c.who, id)
	return p, fromAPI(e)
}

func (c *gqlCall) pod(id string) (any, error) {
	if e := c.s.mayTouch(c.who, id, false); e != nil {
		return nil, &gqlError{"Forbidden", "FORBIDDEN"}
	}
	p, e := c.s.find(c.who, id)
	if e != nil {
		return nil, nil
	}
	return c.podGQL(p), nil
}

// desired is the status in the words of v1 and GraphQL: RUNNING from rental on.
func (p *pod) desired() string {
	switch p.status {
	case exited:
		return "EXITED"
	case terminated:
		return "TERMINATED"
	default:
		return "RUNNING"
	}
}

// podGQL is the pod as GraphQL shows it: env as K=V, ports as one string.
func (c *gqlCall) podGQL(p *pod) fields {
	env := []string{}
	for _, k := range sortedKeys(p.env) {
		env = append(env, k+"="+p.env[k])
	}
	g := c.s.fleet.gpu(p.gpu)
	machine := fields{"podHostId": p.id + "-" + p.sshSuffix, "gpuDisplayName": nil, "location": nil, "dataCenterId": orNull(p.dataCenter()), "gpuTypeId": orNull(p.gpu), "secureCloud": p.cloud == "SECURE", "costPerHr": p.price.Float()}
	ram, vcpu, id := 0, p.vcpu, ""
	if p.machine != nil {
		ram, vcpu, id = p.machine.RAMPerGPU*p.gpuCount, p.machine.VCPUPerGPU*p.gpuCount, p.machine.id
	} else if p.cpu != "" {
		ram = c.s.cpuMemory(p)
	}
	if g != nil {
		machine["gpuDisplayName"] = g.Name
	}
	if dc := c.s.fleet.dataCenter(p.dataCenter()); dc != nil {
		machine["location"] = dc.Country
	}
	volume, path := 0, ""
	if p.persistent != nil {
		volume, path = p.persistent.Size, p.persistent.Path
	} else if p.network != nil {
		path = p.network.Path
	}
	return fields{
		"id": p.id, "name": p.name, "imageName": p.image, "desiredStatus": p.desired(), "costPerHr": p.price.Float(), "adjustedCostPerHr": p.price.Float(),
		"containerDiskInGb": p.disk, "volumeInGb": volume, "volumeMountPath": orNull(path), "gpuCount": p.gpuCount, "memoryInGb": ram, "vcpuCount": vcpu,
		"ports": strings.Join(p.ports, ","), "port": nil, "lastStatusChange": p.note, "lastStartedAt": stamp(p.started), "createdAt": stamp(p.created),
		"env": env, "dockerArgs": p.args, "dockerId": nil, "machineId": orNull(id), "machine": machine, "podType": podType(p), "uptimeSeconds": p.uptime(c.s.now()),
		"templateId": nil, "networkVolumeId": networkID(p), "runtime": c.runtimeGQL(p), "locked": p.locked, "clusterId": nil,
		"latestTelemetry": fields{"state": telemetry(p), "time": stamp(c.s.now())}, "containerRegistryAuthId": orNull(p.registry),
	}
}

func telemetry(p *pod) string {
	if p.box == nil {
		return "exited"
	}
	return "running"
}

func podType(p *pod) string {
	if p.bid > 0 {
		return "INTERRUPTABLE"
	}
	return "RESERVED"
}

func networkID(p *pod) any {
	if p.network == nil {
		return nil
	}
	return p.network.VolumeID
}

func (c *gqlCall) runtimeGQL(p *pod) any {
	if p.box == nil {
		return nil
	}
	ports := []fields{}
	for _, ps := range p.ports {
		n, proto, _ := portSpec(ps)
		if pp, ok := p.open[n]; ok {
			ports = append(ports, fields{"ip": pp.ip, "isIpPublic": proto == "tcp", "privatePort": n, "publicPort": pp.public, "type": proto})
		}
	}
	gpus := []fields{}
	for i := range p.gpusHeld {
		gpus = append(gpus, fields{"id": fmt.Sprintf("GPU-%s-%d", p.id, i), "gpuUtilPercent": 0, "memoryUtilPercent": 0})
	}
	return fields{"uptimeInSeconds": p.uptime(c.s.now()), "ports": ports, "gpus": gpus, "container": fields{"cpuPercent": 0, "memoryPercent": 0}}
}

// stock is GraphQL's title-case word.
func stock(n int) any {
	w := level(n)
	return w[:1] + strings.ToLower(w[1:])
}

func (c *gqlCall) gpuTypes(args map[string]any) (any, error) {
	only := gqlStr(input(args), "id")
	out := []fields{}
	for i := range c.s.fleet.GPUs {
		g := &c.s.fleet.GPUs[i]
		if only != "" && g.ID != only {
			continue
		}
		maker := "Nvidia"
		if g.Brand == "amd" {
			maker = "AMD"
		}
		out = append(out, fields{
			"id": g.ID, "displayName": g.Name, "memoryInGb": g.MemoryGB, "manufacturer": maker, "cudaCores": 0, "secureCloud": g.Secure > 0,
			"communityCloud": g.Community > 0, "securePrice": g.Secure, "communityPrice": g.Community, "secureSpotPrice": g.Secure / 2,
			"communitySpotPrice": g.Community / 2, "oneMonthPrice": nil, "threeMonthPrice": nil, "sixMonthPrice": nil, "oneWeekPrice": nil,
			"maxGpuCount": max(g.MaxSecure, g.MaxCommunity), "maxGpuCountSecureCloud": g.MaxSecure, "maxGpuCountCommunityCloud": g.MaxCommunity,
			"minPodGpuCount": 1, "lowestPrice": resolver(func(a map[string]any) (any, error) { return c.lowestPrice(g, input(a)), nil }),
		})
	}
	return out, nil
}

func (c *gqlCall) lowestPrice(g *GPUType, in map[string]any) fields {
	d := demand{gpu: g.ID, count: max(gqlInt(in, "gpuCount"), 1), minCUDA: gqlStr(in, "minCudaVersion"), minVCPU: 0}
	if dc := gqlStr(in, "dataCenterId"); dc != "" {
		d.dataCenters = []string{dc}
	}
	if cc := gqlStr(in, "countryCode"); cc != "" {
		d.countries = strings.Split(cc, ",")
	}
	if v, ok := in["secureCloud"].(bool); ok {
		d.cloud = map[bool]string{true: "SECURE", false: "COMMUNITY"}[v]
	}
	free, counts := 0, map[int]bool{}
	var best money.USD
	for _, m := range c.s.machines {
		if !m.fits(c.s.fleet, d) {
			continue
		}
		free += m.free / d.count
		for n := 1; n <= m.free; n++ {
			counts[n] = true
		}
		if p := g.price(m.Cloud); m.free >= d.count && (best == 0 || p < best) {
			best = p
		}
	}
	avail := []int{}
	for n := range counts {
		avail = append(avail, n)
	}
	slices.Sort(avail)
	f := fields{
		"gpuName": g.Name, "gpuTypeId": g.ID, "stockStatus": nil, "uninterruptablePrice": nil, "minimumBidPrice": nil, "minVcpu": 9, "minMemory": 50,
		"availableGpuCounts": avail, "rentalPercentage": 0.5, "rentedCount": 0, "totalCount": free, "maxUnreservedGpuCount": free,
	}
	if free > 0 {
		f["stockStatus"], f["uninterruptablePrice"], f["minimumBidPrice"] = stock(free), best.Float(), best.Float()/2
	}
	return f
}

func (c *gqlCall) dataCenters() []fields {
	out := []fields{}
	for _, d := range c.s.fleet.DataCenters {
		free := map[string]int{}
		for _, m := range c.s.machines {
			if m.DataCenter == d.ID {
				free[m.GPU] += m.free
			}
		}
		rows := []fields{}
		for _, g := range c.s.fleet.GPUs {
			if n, ok := free[g.ID]; ok {
				word := stock(n)
				if n == 0 {
					word = "none" // lower case here, alone of all places
				}
				rows = append(rows, fields{"gpuTypeId": g.ID, "displayName": g.Name, "stockStatus": word, "available": n > 0, "id": g.ID})
			}
		}
		out = append(out, fields{
			"id": d.ID, "name": d.Name, "location": d.Country, "listed": true, "storageSupport": len(d.Volumes) > 0, "gpuAvailability": rows,
			"region": d.Region, "globalNetwork": d.GlobalNetwork, "compliance": d.Compliance,
		})
	}
	return out
}

func (c *gqlCall) ownTemplates() []fields {
	out := []fields{}
	for _, t := range c.s.temps.all() {
		if t.account == c.who.account && t.source == "" {
			out = append(out, templateGQL(t))
		}
	}
	return out
}

func (c *gqlCall) podTemplates(in map[string]any) []fields {
	out := []fields{}
	official, _ := in["isRunpod"].(bool)
	for _, t := range c.s.temps.all() {
		if t.source != "" && (t.source == "official") == official {
			out = append(out, templateGQL(t))
		}
	}
	if in == nil {
		out = append(out, c.ownTemplates()...)
	}
	return out
}

func templateGQL(t *template) fields {
	env := []fields{}
	for _, k := range sortedKeys(t.env) {
		env = append(env, fields{"key": k, "value": t.env[k]})
	}
	volume, path := 0, ""
	if t.persistent != nil {
		volume, path = t.persistent.Size, t.persistent.Path
	}
	return fields{
		"id": t.id, "name": t.name, "imageName": t.image, "dockerArgs": t.args, "containerDiskInGb": t.disk, "volumeInGb": volume,
		"volumeMountPath": path, "ports": strings.Join(t.ports, ","), "portsConfig": []fields{}, "env": env, "isServerless": t.serverless, "isPublic": t.public,
		"isRunpod": t.source == "official", "category": t.category, "readme": t.readme, "containerRegistryAuthId": orNull(t.registry), "startSsh": t.startSSH, "startJupyter": t.startJup,
	}
}
