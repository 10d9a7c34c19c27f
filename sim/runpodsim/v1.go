package runpodsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"justright/money"
)

// v1Call is one request to REST v1.
type v1Call struct {
	s    *Server
	r    *http.Request
	who  caller
	id   string
	verb string
	body []byte
}

// v1Error is v1's envelope, {"error","status"}.
type v1Error struct {
	status int
	text   string
}

// fromV2 turns a refusal of v2 into one of v1, which calls a lack of stock a 500 of its own.
func fromV2(prefix string, e *apiError) *v1Error {
	if e == nil {
		return nil
	}
	status := e.status
	if e.detail == noCapacity || e.detail == noCardToWake || status == http.StatusUnprocessableEntity {
		status = http.StatusInternalServerError
	}
	return &v1Error{status, prefix + e.detail}
}

// v1Handler does one operation under the lock; a nil answer is 204.
type v1Handler func(c *v1Call) (status int, v any, e *v1Error)

// v1Route finds the operation for a method and path.
func v1Route(method string, segs []string) (op string, h v1Handler) {
	kind, n := segs[0], len(segs)
	key := method + " " + kind + "/" + itoa(n)
	if n == 3 {
		if kind != "pods" || method != http.MethodPost {
			return "", nil
		}
		switch segs[2] {
		case "start", "stop", "restart", "reset":
			return segs[2] + "Pod", (*v1Call).action
		case "update":
			return "updatePod", (*v1Call).updatePod
		}
		return "", nil
	}
	switch key {
	case "GET pods/1":
		return "listPods", (*v1Call).listPods
	case "POST pods/1":
		return "createPod", (*v1Call).createPod
	case "GET pods/2":
		return "getPod", (*v1Call).getPod
	case "PATCH pods/2":
		return "updatePod", (*v1Call).updatePod
	case "DELETE pods/2":
		return "deletePod", (*v1Call).deletePod
	case "GET networkvolumes/1":
		return "listNetworkVolumes", (*v1Call).listVolumes
	case "POST networkvolumes/1":
		return "createNetworkVolume", (*v1Call).createVolume
	case "GET networkvolumes/2", "PATCH networkvolumes/2", "DELETE networkvolumes/2":
		return "networkVolume", (*v1Call).volume
	case "GET containerregistryauth/1":
		return "listRegistries", (*v1Call).listRegistries
	case "POST containerregistryauth/1":
		return "createRegistry", (*v1Call).createRegistry
	case "GET containerregistryauth/2", "DELETE containerregistryauth/2":
		return "registry", (*v1Call).registry
	case "GET templates/1":
		return "listTemplates", (*v1Call).listTemplates
	case "POST templates/1":
		return "createTemplate", (*v1Call).createTemplate
	case "GET templates/2", "PATCH templates/2", "DELETE templates/2":
		return "template", (*v1Call).template
	case "GET endpoints/1":
		return "listEndpoints", func(*v1Call) (int, any, *v1Error) { return http.StatusOK, []any{}, nil }
	case "GET billing/2":
		return "billing", (*v1Call).billing
	}
	return "", nil
}

// serveV1 answers REST v1 as far as runpodctl needs it.
func (s *Server) serveV1(w http.ResponseWriter, r *http.Request) {
	if s.agentRefused(w, r) {
		return
	}
	segs := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/v1"), "/"), "/")
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		writeV1(w, &v1Error{http.StatusBadRequest, "request body could not be read"})
		return
	}
	op, h := v1Route(r.Method, segs)
	c := &v1Call{s: s, r: r, body: body}
	if len(segs) > 1 {
		c.id = segs[1]
	}
	if len(segs) > 2 {
		c.verb = segs[2]
	}
	status, v, e, lost := c.perform(op, h)
	switch {
	case lost:
		abort()
	case e != nil:
		writeV1(w, e)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, status, v)
	}
}

func writeV1(w http.ResponseWriter, e *v1Error) {
	writeJSON(w, e.status, map[string]any{"error": e.text, "status": e.status})
}

// perform does everything that needs the lock.
func (c *v1Call) perform(op string, h v1Handler) (status int, v any, e *v1Error, lost bool) {
	s := c.s
	s.lock()
	defer s.unlock()
	who, refused := s.identify(bearer(c.r, false))
	if refused != nil {
		return 0, nil, &v1Error{http.StatusUnauthorized, "Unauthorized"}, false
	}
	c.who = who
	// A pod's own key is turned away here, whatever it asks; a read-only key when it writes.
	if who.pod != "" || who.readOnly && c.r.Method != http.MethodGet {
		return 0, nil, &v1Error{http.StatusForbidden, "Forbidden"}, false
	}
	if h == nil {
		return 0, nil, &v1Error{http.StatusNotFound, "not found"}, false
	}
	s.counts["v1:"+op]++
	p := s.pods[c.id]
	if f := s.strike("v1:"+op, p, ErrorBefore, Throttled); f != nil {
		x := f.error()
		return 0, nil, &v1Error{x.status, x.detail}, false
	}
	status, v, e = h(c)
	if e == nil {
		if s.strike("v1:"+op, p, LostReply) != nil {
			return 0, nil, nil, true
		}
		if f := s.strike("v1:"+op, p, ErrorAfter); f != nil {
			x := f.error()
			return 0, nil, &v1Error{x.status, x.detail}, false
		}
	}
	return status, v, e, false
}

// read decodes a body whose every key must be in the schema; an empty body is an empty object.
func (c *v1Call) read(known []string, out any) *v1Error {
	if len(strings.TrimSpace(string(c.body))) == 0 {
		return nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &m); err != nil {
		return &v1Error{http.StatusBadRequest, "request body is not valid JSON"}
	}
	for _, k := range sortedKeys(m) {
		if !slices.Contains(known, k) {
			return &v1Error{http.StatusBadRequest, fmt.Sprintf("key provided in request body which is not in input schema: '%s'", k)}
		}
	}
	if err := json.Unmarshal(c.body, out); err != nil {
		return &v1Error{http.StatusBadRequest, err.Error()}
	}
	return nil
}

var v1CreateKeys = []string{
	"name", "imageName", "templateId", "dockerEntrypoint", "dockerStartCmd", "env", "ports", "computeType", "gpuTypeIds", "gpuTypePriority",
	"dataCenterPriority", "cpuFlavorPriority", "gpuCount", "allowedCudaVersions", "dataCenterIds", "countryCodes", "cloudType", "interruptible",
	"containerDiskInGb", "volumeInGb", "volumeMountPath", "networkVolumeId", "containerRegistryAuthId", "supportPublicIp", "globalNetworking",
	"locked", "minRAMPerGPU", "minVCPUPerGPU", "minDiskBandwidthMBps", "minDownloadMbps", "minUploadMbps", "cpuFlavorIds", "vcpuCount",
}

type v1CreateBody struct {
	Name       string            `json:"name"`
	Image      string            `json:"imageName"`
	Template   *string           `json:"templateId"`
	Entrypoint []string          `json:"dockerEntrypoint"`
	Cmd        []string          `json:"dockerStartCmd"`
	Env        map[string]string `json:"env"`
	Ports      []string          `json:"ports"`
	Compute    string            `json:"computeType"`
	GPUs       []string          `json:"gpuTypeIds"`
	Count      *int              `json:"gpuCount"`
	Allowed    []string          `json:"allowedCudaVersions"`
	DCs        []string          `json:"dataCenterIds"`
	Countries  []string          `json:"countryCodes"`
	Cloud      string            `json:"cloudType"`
	Spot       bool              `json:"interruptible"`
	Disk       *int              `json:"containerDiskInGb"`
	Volume     *int              `json:"volumeInGb"`
	Path       string            `json:"volumeMountPath"`
	NetVolume  string            `json:"networkVolumeId"`
	Registry   *string           `json:"containerRegistryAuthId"`
	GlobalNet  bool              `json:"globalNetworking"`
	Locked     bool              `json:"locked"`
	MinRAM     int               `json:"minRAMPerGPU"`
	MinVCPU    int               `json:"minVCPUPerGPU"`
	CPUFlavors []string          `json:"cpuFlavorIds"`
	VCPU       int               `json:"vcpuCount"`
}

// createPod rents with v1's defaults: ports, a volume, 50 GB. Of several GPU types only the first is tried: the documented
// walk was reported not to happen (cozy-creator/runpod-go-sdk).
func (c *v1Call) createPod() (int, any, *v1Error) {
	var b v1CreateBody
	if e := c.read(v1CreateKeys, &b); e != nil {
		return 0, nil, e
	}
	x := createBody{
		Name: b.Name, Env: b.Env, Ports: b.Ports, DataCenters: b.DCs, Cloud: b.Cloud, GlobalNet: b.GlobalNet, Locked: b.Locked, Registry: b.Registry,
		Entrypoint: b.Entrypoint, Cmd: b.Cmd, Disk: b.Disk,
	}
	if x.Name == "" {
		x.Name = "my pod"
	}
	if b.Ports == nil {
		x.Ports = []string{"8888/http", "22/tcp"}
	}
	if b.Disk == nil {
		x.Disk = ptr(50)
	}
	if b.Image != "" {
		x.Image = &b.Image
	}
	if b.Template != nil {
		x.Template = *b.Template
	}
	if x.Image == nil && x.Template == "" {
		return 0, nil, &v1Error{http.StatusInternalServerError, "create pod: imageName or templateId is required"}
	}
	path := b.Path
	if path == "" {
		path = "/workspace"
	}
	if b.Compute == "CPU" {
		flavor := "cpu3c"
		if len(b.CPUFlavors) > 0 {
			flavor = b.CPUFlavors[0]
		}
		x.CPU = &cpuBody{flavor, max(b.VCPU, 2)}
	} else {
		if len(b.GPUs) == 0 {
			return 0, nil, &v1Error{http.StatusInternalServerError, "create pod: " + noCapacity}
		}
		count := 1
		if b.Count != nil {
			count = *b.Count
		}
		x.GPU = &gpuBody{ID: b.GPUs[0], Count: &count, Allowed: b.Allowed, MinRAM: b.MinRAM, MinVCPU: b.MinVCPU}
		if n := 20; b.NetVolume == "" {
			if b.Volume != nil {
				n = *b.Volume
			}
			if n > 0 {
				x.Mounts = &mountsBody{Persistent: &persistentMount{n, path}}
			}
		}
	}
	if b.NetVolume != "" {
		x.Mounts = &mountsBody{Network: []networkMount{{b.NetVolume, path}}}
	}
	p, e := c.s.plan(c.who, x)
	if e == nil {
		p.demand.countries = b.Countries
		if b.Spot {
			p.bid = p.price / 2
			p.price = p.bid
		}
		e = c.s.rent(p)
	}
	if e != nil {
		return 0, nil, fromV2("create pod: ", e)
	}
	return http.StatusCreated, c.s.podV1(p, c.r.URL.Query()), nil
}

func (c *v1Call) listPods() (int, any, *v1Error) {
	q := c.r.URL.Query()
	match := func(key, have string) bool {
		want := words(q, key)
		return len(want) == 0 || slices.Contains(want, have)
	}
	out := []any{}
	for _, p := range c.s.list(c.who, true) {
		compute := "GPU"
		if p.cpu != "" {
			compute = "CPU"
		}
		if match("desiredStatus", p.desired()) && match("name", p.name) && match("id", p.id) && match("imageName", p.image) && match("computeType", compute) &&
			match("gpuTypeId", p.gpu) && match("dataCenterId", p.dataCenter()) {
			out = append(out, c.s.podV1(p, q))
		}
	}
	return http.StatusOK, out, nil
}

func (c *v1Call) find() (*pod, *v1Error) {
	p, e := c.s.find(c.who, c.id)
	return p, fromV2("", e)
}

func (c *v1Call) getPod() (int, any, *v1Error) {
	p, e := c.find()
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, c.s.podV1(p, c.r.URL.Query()), nil
}

var v1UpdateKeys = []string{
	"containerDiskInGb", "containerRegistryAuthId", "dockerEntrypoint", "dockerStartCmd", "env", "globalNetworking", "imageName", "locked", "name",
	"ports", "volumeInGb", "volumeMountPath",
}

// updatePod changes what is named and starts the container anew, even for a new name alone.
func (c *v1Call) updatePod() (int, any, *v1Error) {
	p, e := c.find()
	if e != nil {
		return 0, nil, e
	}
	var b v1CreateBody
	if e := c.read(v1UpdateKeys, &b); e != nil {
		return 0, nil, e
	}
	next := *p
	if b.Name != "" {
		next.name = b.Name
	}
	if b.Image != "" {
		next.image = b.Image
	}
	if b.Entrypoint != nil {
		next.entrypoint = b.Entrypoint
	}
	if b.Cmd != nil {
		next.cmd = b.Cmd
	}
	if b.Env != nil {
		next.env = b.Env
	}
	if b.Ports != nil {
		next.ports = b.Ports
	}
	if b.Disk != nil {
		next.disk = *b.Disk
	}
	if b.Volume != nil && next.persistent != nil {
		m := *next.persistent
		m.Size = *b.Volume
		next.persistent = &m
	}
	if hasKey(c.body, "locked") {
		next.locked = b.Locked
	}
	if e := c.s.checkThings(c.who, &next); e != nil {
		return 0, nil, fromV2("update pod: ", e)
	}
	p.podSpec, p.img = next.podSpec, next.img
	c.s.reprice(p)
	if p.status == running {
		c.s.restart(p)
	}
	return http.StatusOK, c.s.podV1(p, c.r.URL.Query()), nil
}

func (c *v1Call) deletePod() (int, any, *v1Error) {
	p, e := c.find()
	if e != nil {
		return 0, nil, e
	}
	if p.status != terminated {
		c.s.terminate(p, "Terminated by User")
	}
	return http.StatusNoContent, nil, nil
}

// action does start, stop, restart and reset. The body is empty, whatever its type says.
func (c *v1Call) action() (int, any, *v1Error) {
	p, e := c.find()
	if e != nil {
		return 0, nil, e
	}
	verb := c.verb
	if verb == "reset" {
		verb = "restart"
	}
	if e := c.s.act(p, verb); e != nil {
		return 0, nil, fromV2(c.verb+" pod: ", e)
	}
	return http.StatusOK, c.s.podV1(p, c.r.URL.Query()), nil
}

// podV1 is the pod as v1 shows it.
func (s *Server) podV1(p *pod, q url.Values) map[string]any {
	volume, path := 0, ""
	if p.persistent != nil {
		volume, path = p.persistent.Size, p.persistent.Path
	} else if p.network != nil {
		path = p.network.Path
	}
	d := map[string]any{
		"id": p.id, "name": p.name, "imageName": p.image, "image": p.image, "desiredStatus": p.desired(), "lastStatusChange": p.note,
		"lastStartedAt": v1Time(p.started), "createdAt": v1Time(p.created), "costPerHr": p.price.Float(), "adjustedCostPerHr": p.price.Float(), "interruptible": p.bid > 0,
		"locked": p.locked, "containerDiskInGb": p.disk, "volumeInGb": volume, "volumeMountPath": path, "volumeEncrypted": false, "env": p.env,
		"ports": orEmpty(p.ports), "portMappings": nil, "publicIp": nil, "dockerEntrypoint": orEmpty(p.entrypoint), "dockerStartCmd": orEmpty(p.cmd),
		"containerRegistryAuthId": orNull(p.registry), "machineId": nil, "machine": map[string]any{}, "templateId": nil, "gpuCount": p.gpuCount,
	}
	if p.machine != nil {
		d["machineId"], d["memoryInGb"], d["vcpuCount"] = p.machine.id, p.machine.RAMPerGPU*p.gpuCount, p.machine.VCPUPerGPU*p.gpuCount
	} else {
		d["vcpuCount"], d["cpuFlavorId"] = p.vcpu, p.cpu
	}
	if g := s.fleet.gpu(p.gpu); g != nil {
		d["gpu"] = map[string]any{"id": g.ID, "count": p.gpuCount, "displayName": g.Name, "securePrice": g.Secure, "communityPrice": g.Community}
		if q.Get("includeMachine") == "true" && p.box != nil {
			loc := ""
			if dc := s.fleet.dataCenter(p.dataCenter()); dc != nil {
				loc = dc.Country
			}
			d["machine"] = map[string]any{
				"gpuTypeId": g.ID, "gpuDisplayName": g.Name, "location": loc, "dataCenterId": p.dataCenter(), "secureCloud": p.cloud == "SECURE",
				"supportPublicIp": true, "cpuCount": p.machine.VCPUPerGPU * p.machine.Cards, "costPerHr": p.price.Float(),
			}
		}
	}
	if q.Get("includeNetworkVolume") == "true" && p.network != nil {
		if v := s.volumes.by[p.network.VolumeID]; v != nil {
			d["networkVolume"] = volumeV1(v)
		}
	}
	if p.box != nil {
		m := map[string]any{}
		for n, pp := range p.open {
			if p.declares(n, "tcp") {
				m[itoa(n)] = pp.public
				d["publicIp"] = pp.ip
			}
		}
		if len(m) > 0 {
			d["portMappings"] = m
		}
	}
	return d
}

// v1Time is Go's own form of a time, as v1 lets it out.
func v1Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Millisecond).Format("2006-01-02 15:04:05.999 -0700 MST")
}

func volumeV1(v *volume) map[string]any {
	return map[string]any{"id": v.ID, "name": v.Name, "size": v.Size, "dataCenterId": v.DataCenter}
}

func (c *v1Call) listVolumes() (int, any, *v1Error) {
	out := []any{}
	for _, v := range c.s.volumes.all() {
		if v.account == c.who.account && !v.gone {
			out = append(out, volumeV1(v))
		}
	}
	return http.StatusOK, out, nil
}

func (c *v1Call) createVolume() (int, any, *v1Error) {
	var b struct {
		Name string `json:"name"`
		Size int    `json:"size"`
		DC   string `json:"dataCenterId"`
	}
	if e := c.read([]string{"name", "size", "dataCenterId"}, &b); e != nil {
		return 0, nil, e
	}
	if b.Size < 1 || b.Size > 4000 || b.Name == "" {
		return 0, nil, &v1Error{http.StatusBadRequest, "name and a size from 1 to 4000 are required"}
	}
	v, e := c.s.newVolume(c.who.account, volume{Name: b.Name, Size: b.Size, DataCenter: b.DC})
	if e != nil {
		return 0, nil, fromV2("create network volume: ", e)
	}
	return http.StatusCreated, volumeV1(v), nil
}

func (c *v1Call) volume() (int, any, *v1Error) {
	v, e := c.s.volume(c.who, c.id)
	if e != nil {
		return 0, nil, fromV2("", e)
	}
	switch c.r.Method {
	case http.MethodDelete:
		if p := c.s.volumeUser(v.ID); p != nil {
			return 0, nil, &v1Error{http.StatusInternalServerError, "delete network volume: in use by pod " + p.id}
		}
		c.s.dropVolume(v)
		return http.StatusNoContent, nil, nil
	case http.MethodPatch:
		var b struct {
			Name string `json:"name"`
			Size int    `json:"size"`
		}
		if e := c.read([]string{"name", "size"}, &b); e != nil {
			return 0, nil, e
		}
		if b.Size != 0 && b.Size < v.Size {
			return 0, nil, &v1Error{http.StatusInternalServerError, "update network volume: size cannot be reduced"}
		}
		if b.Name != "" {
			v.Name = b.Name
		}
		if b.Size != 0 {
			v.Size = b.Size
			v.meter.set(c.s.now(), rates{disk: volumePrice(v.Size, v.Type)})
		}
	}
	return http.StatusOK, volumeV1(v), nil
}

func (c *v1Call) listRegistries() (int, any, *v1Error) {
	out := []any{}
	for _, r := range c.s.regs.all() {
		if r.account == c.who.account {
			out = append(out, map[string]any{"id": r.ID, "name": r.Name})
		}
	}
	return http.StatusOK, out, nil
}

func (c *v1Call) createRegistry() (int, any, *v1Error) {
	var b struct {
		Name     string `json:"name"`
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if e := c.read([]string{"name", "username", "password"}, &b); e != nil {
		return 0, nil, e
	}
	for _, r := range c.s.regs.all() {
		if r.account == c.who.account && r.Name == b.Name {
			return 0, nil, &v1Error{http.StatusInternalServerError, "create container registry auth: name is taken"}
		}
	}
	r := &registry{account: c.who.account, ID: c.s.newID(25), Name: b.Name, username: b.Username, password: b.Password}
	c.s.regs.put(r.ID, r)
	return http.StatusOK, map[string]any{"id": r.ID, "name": r.Name}, nil
}

func (c *v1Call) registry() (int, any, *v1Error) {
	r := c.s.regs.by[c.id]
	if r == nil || r.account != c.who.account {
		return 0, nil, &v1Error{http.StatusNotFound, "container registry auth not found"}
	}
	if c.r.Method == http.MethodDelete {
		c.s.regs.drop(r.ID)
		return http.StatusNoContent, nil, nil
	}
	return http.StatusOK, map[string]any{"id": r.ID, "name": r.Name}, nil
}

func templateV1(t *template) map[string]any {
	volume, path := 0, ""
	if t.persistent != nil {
		volume, path = t.persistent.Size, t.persistent.Path
	}
	return map[string]any{
		"id": t.id, "name": t.name, "imageName": t.image, "category": t.category, "containerDiskInGb": t.disk, "volumeInGb": volume, "volumeMountPath": path,
		"ports": orEmpty(t.ports), "env": t.env, "dockerEntrypoint": orEmpty(t.entrypoint), "dockerStartCmd": orEmpty(t.cmd), "isPublic": t.public,
		"isServerless": t.serverless, "isRunpod": t.source == "official", "readme": t.readme, "containerRegistryAuthId": orNull(t.registry),
	}
}

func (c *v1Call) listTemplates() (int, any, *v1Error) {
	out := []any{}
	for _, t := range c.s.temps.all() {
		if t.account == c.who.account && t.source == "" {
			out = append(out, templateV1(t))
		}
	}
	return http.StatusOK, out, nil
}

type v1Template struct {
	Name       *string           `json:"name"`
	Image      *string           `json:"imageName"`
	Category   *string           `json:"category"`
	Disk       *int              `json:"containerDiskInGb"`
	Volume     *int              `json:"volumeInGb"`
	Path       *string           `json:"volumeMountPath"`
	Ports      []string          `json:"ports"`
	Env        map[string]string `json:"env"`
	Entrypoint []string          `json:"dockerEntrypoint"`
	Cmd        []string          `json:"dockerStartCmd"`
	Public     *bool             `json:"isPublic"`
	Serverless *bool             `json:"isServerless"`
	Readme     *string           `json:"readme"`
	Registry   *string           `json:"containerRegistryAuthId"`
}

var v1TemplateKeys = []string{
	"name", "imageName", "category", "containerDiskInGb", "volumeInGb", "volumeMountPath", "ports", "env", "dockerEntrypoint", "dockerStartCmd",
	"isPublic", "isServerless", "readme", "containerRegistryAuthId",
}

func (c *v1Call) fillTemplate(t *template) *v1Error {
	var b v1Template
	if e := c.read(v1TemplateKeys, &b); e != nil {
		return e
	}
	if b.Entrypoint != nil {
		t.entrypoint = b.Entrypoint
	}
	if b.Cmd != nil {
		t.cmd = b.Cmd
	}
	set(&t.readme, b.Readme)
	if b.Volume != nil && *b.Volume > 0 {
		t.persistent = &persistentMount{*b.Volume, "/workspace"}
		set(&t.persistent.Path, b.Path)
	}
	return fromV2("", c.s.fillTemplate(c.who, t, templateBody{
		Name: b.Name, Image: b.Image, Disk: b.Disk, Ports: b.Ports, Env: b.Env, Registry: b.Registry, Serverless: b.Serverless, Public: b.Public, Category: b.Category,
	}))
}

func (c *v1Call) createTemplate() (int, any, *v1Error) {
	t := &template{account: c.who.account, id: c.s.newID(10), disk: 50, env: map[string]string{}, category: "NVIDIA", startSSH: true, startJup: true}
	if e := c.fillTemplate(t); e != nil {
		return 0, nil, e
	}
	if t.name == "" || t.image == "" {
		return 0, nil, &v1Error{http.StatusBadRequest, "name and imageName are required"}
	}
	c.s.temps.put(t.id, t)
	return http.StatusCreated, templateV1(t), nil
}

func (c *v1Call) template() (int, any, *v1Error) {
	t, e := c.s.template(c.who, c.id)
	if e != nil {
		return 0, nil, fromV2("", e)
	}
	switch {
	case c.r.Method == http.MethodGet:
	case t.source != "":
		return 0, nil, &v1Error{http.StatusForbidden, "Forbidden"}
	case c.r.Method == http.MethodDelete:
		c.s.temps.drop(t.id)
		return http.StatusNoContent, nil, nil
	default:
		next := *t
		if e := c.fillTemplate(&next); e != nil {
			return 0, nil, e
		}
		*t = next
	}
	return http.StatusOK, templateV1(t), nil
}

// billing answers v1's list of what each thing cost in each day of the last month.
func (c *v1Call) billing() (int, any, *v1Error) {
	out := []any{}
	now := c.s.now().UTC()
	w := window{from: now.AddDate(0, 0, -30).Truncate(24 * time.Hour), to: now, size: "day"}
	row := func(key, id string, at time.Time, u money.USD) {
		if u > 0 {
			out = append(out, map[string]any{key: id, "time": at.Format("2006-01-02 15:04:05"), "amount": u.Float(), "timeBilledMs": 0, "diskSpaceBilledGB": 0})
		}
	}
	w.each(now, func(from, _, until time.Time) {
		switch c.id {
		case "pods":
			for _, id := range c.s.order {
				if p := c.s.pods[id]; p.account == c.who.account {
					row("podId", id, from, p.meter.between(from, until).total())
				}
			}
		case "networkvolumes":
			for _, v := range c.s.volumes.all() {
				if v.account == c.who.account {
					row("networkVolumeId", v.ID, from, v.meter.between(from, until).total())
				}
			}
		}
	})
	return http.StatusOK, out, nil
}
