package runpodsim

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

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
