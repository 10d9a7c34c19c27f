package runpodsim

import (
	"fmt"
	"slices"
	"strings"

	"justright/money"
)

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
