package runpodsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"justright/money"
)

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
	p.img = s.describe(p.image)
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
