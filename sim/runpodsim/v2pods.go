package runpodsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"justright/money"
)

func podRoutes(add adder) {
	add("listPods", "GET", "/pods", func(c *call) (answer, *apiError) {
		members := false
		if v := c.r.URL.Query(); v.Has("includeClusterPods") {
			switch v.Get("includeClusterPods") {
			case "true":
				members = true
			case "false":
			default:
				return answer{}, invalid("query.includeClusterPods: got string, want boolean")
			}
		}
		out := []any{}
		for _, p := range c.s.list(c.who, members) {
			out = append(out, c.s.podV2(p))
		}
		return answer{http.StatusOK, map[string]any{"pods": out}}, nil
	})
	add("createPod", "POST", "/pods", (*call).createPod)
	add("getPod", "GET", "/pods/{}", func(c *call) (answer, *apiError) {
		p, e := c.s.find(c.who, c.id)
		if e != nil {
			return answer{}, e
		}
		return answer{http.StatusOK, c.s.podV2(p)}, nil
	})
	add("updatePod", "PATCH", "/pods/{}", (*call).updatePod)
	add("deletePod", "DELETE", "/pods/{}", (*call).deletePod)
	add("podAction", "POST", "/pods/{}/action", (*call).podAction)
	add("getPodLogs", "GET", "/pods/{}/logs", (*call).podLogs)
}

// createBody is the body of createPod.
type createBody struct {
	Name         string            `json:"name"`
	Image        *string           `json:"image"`
	Args         *string           `json:"args"`
	Entrypoint   []string          `json:"entrypoint"`
	Cmd          []string          `json:"cmd"`
	Disk         *int              `json:"disk"`
	Env          map[string]string `json:"env"`
	Ports        []string          `json:"ports"`
	Registry     *string           `json:"registry"`
	Cloud        string            `json:"cloud"`
	GPU          *gpuBody          `json:"gpu"`
	CPU          *cpuBody          `json:"cpu"`
	DataCenters  []string          `json:"dataCenterIds"`
	GlobalNet    bool              `json:"globalNetworking"`
	Mounts       *mountsBody       `json:"mounts"`
	StartSSH     *bool             `json:"startSsh"`
	StartJupyter *bool             `json:"startJupyter"`
	Template     string            `json:"templateId"`
	Locked       bool              `json:"locked"`
}

type gpuBody struct {
	ID      string   `json:"id"`
	Count   *int     `json:"count"`
	Allowed []string `json:"allowedCudaVersions"`
	Min     string   `json:"minCudaVersion"`
	MinRAM  int      `json:"minRamPerGpu"`
	MinVCPU int      `json:"minVcpuCountPerGpu"`
}

type cpuBody struct {
	ID   string `json:"id"`
	VCPU int    `json:"vcpuCount"`
}

type mountsBody struct {
	Persistent *persistentMount `json:"persistent"`
	Network    []networkMount   `json:"network"`
}

// defaultDisk is the container disk of a pod that names none; RunPod's own number is not documented.
const defaultDisk = 20

func decodeLoose(b []byte, out any) bool { return json.Unmarshal(b, out) == nil }

func (s *Server) createShape() *shape {
	if s.opts.RefuseExec {
		return createPodShape
	}
	return createPodShape.with(execFields)
}

// createPod checks in the order of docs/simulator.md and rents. The checks cost nothing; only a 201 does.
func (c *call) createPod() (answer, *apiError) {
	s := c.s
	shape := s.createShape()
	var probe struct {
		Template *string `json:"templateId"`
	}
	if !decodeLoose(c.body, &probe) || probe.Template == nil {
		shape = shape.with(nil, "image")
	}
	var b createBody
	if e := decode(c.body, shape, &b); e != nil {
		return answer{}, e
	}
	p, e := s.plan(c.who, b)
	if e != nil {
		return answer{}, e
	}
	if e := s.rent(p); e != nil {
		return answer{}, e
	}
	c.id = p.id
	return answer{http.StatusCreated, s.podV2(p)}, nil
}

// plan turns a body into a pod that can be rented, or says why not.
func (s *Server) plan(who caller, b createBody) (*pod, *apiError) {
	if (b.GPU == nil) == (b.CPU == nil) {
		return nil, badRequest("exactly one of 'gpu' or 'cpu' must be set")
	}
	p := &pod{account: who.account, podSpec: podSpec{
		name: b.Name, disk: defaultDisk, cloud: "SECURE", dcs: b.DataCenters, globalNet: b.GlobalNet, locked: b.Locked,
		env: map[string]string{}, ports: b.Ports, entrypoint: b.Entrypoint, cmd: b.Cmd,
	}}
	allowed, minCUDA := []string(nil), ""
	if b.Template != "" {
		t, e := s.useTemplate(who, b.Template, &p.podSpec)
		if e != nil {
			return nil, e
		}
		allowed = t.allowed
		if b.CPU != nil {
			p.persistent = nil
		}
	}
	overlay(&p.podSpec, b)
	if e := mountRules(&p.podSpec, b); e != nil {
		return nil, e
	}
	if b.Cloud != "" {
		p.cloud = b.Cloud
	}
	if g := b.GPU; g != nil {
		if len(g.Allowed) > 0 && g.Min != "" {
			return nil, badRequest("gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive")
		}
		if g.Allowed != nil || g.Min != "" {
			allowed, minCUDA = g.Allowed, g.Min
		}
	}
	if e := s.checkThings(who, p); e != nil {
		return nil, e
	}
	var e *apiError
	if b.GPU != nil {
		e = s.priceGPU(p, b.GPU, allowed, minCUDA)
	} else {
		e = s.priceCPU(p, b.CPU)
	}
	if e != nil {
		return nil, e
	}
	return p, s.afford(p)
}

// overlay puts the body's container settings over a template's. env is merged per key.
func overlay(sp *podSpec, b createBody) {
	if b.Image != nil {
		sp.image = *b.Image
	}
	if b.Args != nil {
		sp.args = *b.Args
	}
	if b.Disk != nil {
		sp.disk = *b.Disk
	}
	for k, v := range b.Env {
		sp.env[k] = v
	}
	if b.Ports != nil {
		sp.ports = b.Ports
	}
	if b.Registry != nil {
		sp.registry = *b.Registry
	}
	if b.StartSSH != nil {
		sp.startSSH = *b.StartSSH
	}
	if b.StartJupyter != nil {
		sp.startJup = *b.StartJupyter
	}
}

func mountRules(sp *podSpec, b createBody) *apiError {
	if m := b.Mounts; m != nil {
		if m.Persistent != nil && len(m.Network) > 0 {
			return badRequest("mounts.persistent and mounts.network are mutually exclusive")
		}
		if m.Persistent != nil {
			sp.persistent = m.Persistent
		}
		if len(m.Network) > 0 {
			sp.network, sp.persistent = &m.Network[0], nil
		}
	}
	if b.CPU != nil && b.Mounts != nil && b.Mounts.Persistent != nil {
		return badRequest("mounts.persistent is not supported on CPU pods")
	}
	return nil
}

// checkThings looks at what the pod names: image, ports, registry, volume, data centers.
func (s *Server) checkThings(who caller, p *pod) *apiError {
	if len(p.env) > 50 {
		return badRequest("a pod may have at most 50 environment variables")
	}
	http := 0
	for _, ps := range p.ports {
		n, proto, ok := portSpec(ps)
		if !ok || proto != "" && proto != "http" && proto != "tcp" || n > 70100 {
			return badRequest(fmt.Sprintf("port %q is not of the form port/protocol", ps))
		}
		if proto == "http" {
			http++
		}
	}
	if http > 10 {
		return badRequest("a pod may have at most 10 http ports")
	}
	if p.registry != "" {
		if r := s.regs.by[p.registry]; r == nil || r.account != who.account {
			return notFound("registry")
		}
	}
	for _, id := range p.dcs {
		if s.fleet.dataCenter(id) == nil {
			return badRequest(fmt.Sprintf("data center %q does not exist; valid data centers: %s", id, strings.Join(s.dcIDs(), ", ")))
		}
	}
	if p.network != nil {
		v, e := s.volume(who, p.network.VolumeID)
		if e != nil {
			return e
		}
		if p.cloud == "COMMUNITY" {
			return badRequest("network volumes are available on Secure Cloud only")
		}
		if len(p.dcs) > 0 && !slices.Contains(p.dcs, v.DataCenter) {
			return badRequest(fmt.Sprintf("network volume %s is in %s, which is not among the requested data centers", v.ID, v.DataCenter))
		}
		p.dcs = []string{v.DataCenter} // a volume pins its pod
	}
	return s.checkImage(p)
}

func (s *Server) checkImage(p *pod) *apiError {
	p.img = DescribeImage(p.image)
	p.img.Private = p.img.Private || slices.Contains(s.opts.Private, p.img.Repo)
	if p.image == "" || strings.ContainsAny(p.image, " \t\n") {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("Container image %q is not a valid image reference.", p.image))
	}
	if p.img.Missing || slices.Contains(s.opts.Missing, p.img.Repo) || s.opts.KnownImages && !p.img.Known {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprintf("Container image %q was not found on the registry.", p.image))
	}
	return nil
}

func (s *Server) dcIDs() []string {
	var out []string
	for _, d := range s.fleet.DataCenters {
		out = append(out, d.ID)
	}
	return out
}

func (s *Server) priceGPU(p *pod, g *gpuBody, allowed []string, minCUDA string) *apiError {
	t := s.fleet.gpu(g.ID)
	if t == nil {
		return badRequest(noCapacity)
	}
	p.gpu, p.gpuCount = g.ID, 1
	if g.Count == nil {
		// The document says 1; live, a create without count matched no machine (runpod-mcp, 2026-08-04).
		return badRequest(noCapacity)
	}
	p.gpuCount = *g.Count
	p.demand = demand{
		gpu: g.ID, count: p.gpuCount, cloud: p.cloud, dataCenters: p.dcs, cudas: allowed, minCUDA: minCUDA,
		minVCPU: g.MinVCPU, minRAM: g.MinRAM,
	}
	if p.globalNet {
		p.demand.dataCenters = s.globalDCs(p.dcs)
		if len(p.demand.dataCenters) == 0 {
			return badRequest("global networking is not available in the requested data centers")
		}
	}
	p.price = t.price(p.cloud) * money.USD(p.gpuCount)
	return nil
}

func (s *Server) globalDCs(among []string) []string {
	var out []string
	for _, d := range s.fleet.DataCenters {
		if d.GlobalNetwork && (len(among) == 0 || slices.Contains(among, d.ID)) {
			out = append(out, d.ID)
		}
	}
	return out
}

func (s *Server) priceCPU(p *pod, b *cpuBody) *apiError {
	t := s.fleet.cpu(b.ID)
	if t == nil {
		return badRequest(fmt.Sprintf("cpu flavor %q does not exist", b.ID))
	}
	if b.VCPU&(b.VCPU-1) != 0 || b.VCPU < t.Min || b.VCPU > t.Max {
		return badRequest(fmt.Sprintf("cpu.vcpuCount must be a power of two from %d to %d", t.Min, t.Max))
	}
	if p.cloud == "COMMUNITY" {
		return badRequest(noCapacity)
	}
	if p.globalNet {
		return badRequest("global networking requires an NVIDIA GPU")
	}
	p.cpu, p.vcpu = b.ID, b.VCPU
	p.price = money.FromFloat(t.Price) * money.USD(b.VCPU)
	return nil
}

// afford asks for an hour's credit and for room under the spend limit, and last for stock.
func (s *Server) afford(p *pod) *apiError {
	if s.opts.Balance != nil && s.balance() < p.price {
		need, have := p.price, s.balance()
		return refuse(http.StatusPaymentRequired, fmt.Sprintf("Insufficient balance to create this pod. You need at least $%s (current: $%s, deficit: $%s).", need.Cents(), have.Cents(), (need-have).Cents()))
	}
	if l := s.opts.SpendLimit; l != nil && s.burn()+p.price > *l {
		return refuse(http.StatusPaymentRequired, fmt.Sprintf("This pod would exceed your spend limit of $%s per hour.", l.Cents()))
	}
	if s.strike("", p, NoStock) != nil {
		return badRequest(noCapacity)
	}
	return nil
}

func (c *call) updatePod() (answer, *apiError) {
	s := c.s
	p, e := s.find(c.who, c.id)
	if e != nil {
		return answer{}, e
	}
	if p.member != nil {
		return answer{}, refuse(http.StatusConflict, "pod belongs to a cluster and cannot be modified via the pod endpoints")
	}
	shape := updatePodShape
	if !s.opts.RefuseExec {
		shape = shape.with(execFields)
	}
	var b struct {
		createBody
		Name      *string `json:"name"`
		Locked    *bool   `json:"locked"`
		GlobalNet *bool   `json:"globalNetworking"`
	}
	if e := decode(c.body, shape, &b); e != nil {
		return answer{}, e
	}
	next := *p
	next.podSpec.env = p.env
	if b.Template != "" {
		next.podSpec.env = map[string]string{}
		if _, e := s.useTemplate(c.who, b.Template, &next.podSpec); e != nil {
			return answer{}, e
		}
		next.persistent = p.persistent
	} else if b.Env != nil {
		next.podSpec.env = map[string]string{}
	}
	if e := mountPatch(&next.podSpec, b.Mounts); e != nil {
		return answer{}, e
	}
	b.Mounts = nil
	overlay(&next.podSpec, b.createBody)
	if b.Registry == nil && hasKey(c.body, "registry") {
		next.registry = ""
	}
	if b.Entrypoint != nil {
		next.entrypoint = b.Entrypoint
	}
	if b.Cmd != nil {
		next.cmd = b.Cmd
	}
	if b.Name != nil {
		next.name = *b.Name
	}
	if b.Locked != nil {
		next.locked = *b.Locked
	}
	if b.GlobalNet != nil {
		if *b.GlobalNet && (p.cpu != "" || len(s.globalDCs([]string{p.dataCenter()})) == 0) {
			return answer{}, badRequest("global networking is not available for this pod")
		}
		next.globalNet = *b.GlobalNet
	}
	if e := s.checkThings(c.who, &next); e != nil {
		return answer{}, e
	}
	p.podSpec, p.img = next.podSpec, next.img
	s.reprice(p)
	return answer{http.StatusOK, s.podV2(p)}, nil
}

// mountPatch allows what a PATCH may change about mounts: sizes up, paths; never the kind, never the volume.
func mountPatch(sp *podSpec, m *mountsBody) *apiError {
	switch {
	case m == nil || m.Persistent == nil && m.Network == nil:
		return nil
	case m.Persistent != nil && m.Network != nil:
		return badRequest("mounts.persistent and mounts.network are mutually exclusive")
	case m.Network != nil && len(m.Network) == 0:
		return badRequest("a network volume cannot be detached")
	case m.Persistent != nil && sp.persistent == nil, m.Network != nil && sp.network == nil:
		return badRequest("the kind of a pod's mount is fixed at create")
	case m.Persistent != nil && m.Persistent.Size < sp.persistent.Size:
		return badRequest("mounts.persistent.size cannot be reduced")
	case m.Network != nil && m.Network[0].VolumeID != sp.network.VolumeID:
		return badRequest("mounts.network volumeId is immutable")
	}
	if m.Persistent != nil {
		sp.persistent = m.Persistent
	} else {
		sp.network = &m.Network[0]
	}
	return nil
}

func hasKey(body []byte, key string) bool {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(body, &m)
	_, ok := m[key]
	return ok
}

func (c *call) deletePod() (answer, *apiError) {
	p, e := c.s.find(c.who, c.id)
	if e != nil {
		return answer{}, e
	}
	if p.member != nil {
		return answer{}, refuse(http.StatusConflict, "pod belongs to a cluster and cannot be terminated via the pod endpoints")
	}
	if p.status != terminated && c.s.strike(c.op, p, Ignored) == nil {
		c.s.terminate(p, "Terminated by User")
	}
	return answer{status: http.StatusNoContent}, nil
}

func (c *call) podAction() (answer, *apiError) {
	s := c.s
	var b struct {
		Action string `json:"action"`
	}
	p, e := s.find(c.who, c.id)
	if e != nil {
		return answer{}, e
	}
	if e := decode(c.body, actionShape, &b); e != nil {
		return answer{}, e
	}
	if p.member != nil {
		return answer{}, refuse(http.StatusConflict, "pod belongs to a cluster")
	}
	if s.strike(c.op, p, Ignored) == nil {
		if e := s.act(p, b.Action); e != nil {
			return answer{}, e
		}
	}
	if b.Action == "terminate" {
		return answer{status: http.StatusNoContent}, nil
	}
	return answer{http.StatusOK, s.podV2(p)}, nil
}

func (c *call) podLogs() (answer, *apiError) {
	p, e := c.s.find(c.who, c.id)
	if e != nil {
		return answer{}, e
	}
	if p.status == terminated {
		return answer{}, notFound("pod")
	}
	q, e := parseLogQuery(c.r)
	if e != nil {
		return answer{}, e
	}
	c.streaming(p, q)
	return answer{}, nil
}

// streaming hands the connection to the log stream once the lock is free.
func (c *call) streaming(p *pod, q logQuery) {
	c.s.todo = append(c.s.todo, func() {
		if c.mute || c.after != nil {
			return
		}
		c.s.streamLogs(c.w, c.r, p, q)
	})
}

// podV2 is the pod document.
func (s *Server) podV2(p *pod) map[string]any {
	d := map[string]any{
		"id": p.id, "name": p.name, "status": string(p.status), "actions": p.actions(), "image": p.image, "args": p.args,
		"disk": p.disk, "mounts": mountsV2(&p.podSpec), "ports": orEmpty(p.ports), "env": p.env, "registry": orNull(p.registry),
		"cloud": p.cloud, "dataCenterId": orNull(p.dataCenter()), "cudaVersion": nil, "template": nil, "locked": p.locked,
		"ssh": s.sshV2(p), "runtime": s.runtimeV2(p), "createdAt": stamp(p.created), "startedAt": nil, "cost": 0.0,
		"globalNetworking": map[string]any{"enabled": p.globalNet},
	}
	if p.globalNet {
		d["globalNetworking"] = map[string]any{"enabled": true, "ip": "10.1.0.2", "internalDns": p.id + ".runpod.internal"}
	}
	if p.entrypoint != nil {
		d["entrypoint"] = p.entrypoint
	}
	if p.cmd != nil {
		d["cmd"] = p.cmd
	}
	if p.machine != nil && p.machine.CUDA != "" {
		d["cudaVersion"] = p.machine.CUDA
	}
	if !p.started.IsZero() {
		d["startedAt"] = stamp(p.started)
	}
	if p.status != exited && p.status != terminated {
		d["cost"] = p.price.Float()
	}
	if p.cpu != "" {
		d["cpu"] = map[string]any{"id": p.cpu, "vcpuCount": p.vcpu, "memory": s.cpuMemory(p)}
	} else {
		d["gpu"] = map[string]any{"id": p.gpu, "count": p.gpuCount}
	}
	if p.member != nil {
		d["cluster"] = p.member.v2()
	}
	return d
}

func (s *Server) cpuMemory(p *pod) int {
	return max(int(s.fleet.cpu(p.cpu).RAMPerVCPU*float64(p.vcpu)), 1)
}

func mountsV2(p *podSpec) map[string]any {
	m := map[string]any{}
	if p.persistent != nil {
		m["persistent"] = p.persistent
	}
	if p.network != nil {
		m["network"] = []*networkMount{p.network}
	}
	return m
}

func (s *Server) sshV2(p *pod) map[string]any {
	d := map[string]any{"proxy": nil, "direct": nil}
	if p.status == terminated {
		return d
	}
	user := p.id + "-" + p.sshSuffix
	d["proxy"] = map[string]any{"host": "ssh.runpod.io", "port": 22, "username": user, "command": "ssh " + user + "@ssh.runpod.io"}
	if pp, ok := p.open[22]; ok && p.declares(22, "tcp") && p.box != nil {
		d["direct"] = map[string]any{"host": pp.ip, "port": pp.public, "username": "root", "command": fmt.Sprintf("ssh root@%s -p %d", pp.ip, pp.public)}
	}
	return d
}

// runtimeV2 is null until the container is up, and the old one for a while after stop and start.
func (s *Server) runtimeV2(p *pod) any {
	open, uptime := p.open, p.uptime(s.now())
	if p.box == nil {
		if p.stale == nil || p.status == exited || p.status == terminated || !s.now().Before(p.stale.until) {
			return nil
		}
		open, uptime = p.stale.ports, p.stale.uptime
	}
	ports := []any{}
	for _, ps := range p.ports {
		n, proto, _ := portSpec(ps)
		if pp, ok := open[n]; ok {
			ports = append(ports, map[string]any{"private": n, "public": pp.public, "type": proto, "ip": pp.ip})
		}
	}
	gpus := []any{}
	for range p.gpusHeld {
		gpus = append(gpus, map[string]any{"util": 0, "memoryUtil": 0})
	}
	return map[string]any{
		"uptime": uptime, "gpus": gpus, "cpu": map[string]any{"util": 0}, "memory": map[string]any{"util": 0}, "ports": ports,
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
