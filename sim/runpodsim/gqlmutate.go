package runpodsim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"justright/money"
)

// mutations are the roots that clients write through.
func (c *gqlCall) mutations() fields {
	return fields{
		"podFindAndDeployOnDemand": resolver(func(a map[string]any) (any, error) { return c.deploy(input(a), false) }),
		"podRentInterruptable":     resolver(func(a map[string]any) (any, error) { return c.deploy(input(a), true) }),
		"deployCpuPod":             resolver(func(a map[string]any) (any, error) { return c.deploy(input(a), false) }),
		"podStop":                  resolver(func(a map[string]any) (any, error) { return c.action(input(a), "stop") }),
		"podResume":                resolver(func(a map[string]any) (any, error) { return c.action(input(a), "start") }),
		"podBidResume":             resolver(func(a map[string]any) (any, error) { return c.action(input(a), "start") }),
		"podTerminate":             resolver(func(a map[string]any) (any, error) { return c.terminate(input(a)) }),
		"podEditJob":               resolver(func(a map[string]any) (any, error) { return c.edit(input(a)) }),
		"saveTemplate":             resolver(func(a map[string]any) (any, error) { return c.saveTemplate(input(a)) }),
		"saveRegistryAuth":         resolver(func(a map[string]any) (any, error) { return c.saveRegistry(input(a)) }),
		"updateRegistryAuth":       resolver(func(a map[string]any) (any, error) { return c.updateRegistry(input(a)) }),
		"deleteRegistryAuth":       resolver(func(a map[string]any) (any, error) { return c.deleteRegistry(gqlStr(a, "registryAuthId")) }),
		"createNetworkVolume":      resolver(func(a map[string]any) (any, error) { return c.createVolume(input(a)) }),
		"deleteNetworkVolume":      resolver(func(a map[string]any) (any, error) { return c.deleteVolume(gqlStr(input(a), "id")) }),
		"updateUserSettings": resolver(func(a map[string]any) (any, error) {
			if err := c.account(); err != nil {
				return nil, err
			}
			c.s.sshKeys = strings.FieldsFunc(gqlStr(input(a), "pubKey"), func(r rune) bool { return r == '\n' })
			return fields{"id": "user_sim", "pubKey": strings.Join(c.s.sshKeys, "\n")}, nil
		}),
	}
}

// deployFields are the inputs of the deploy mutations; another one is refused as GraphQL refuses it.
var deployFields = []string{
	"cloudType", "containerDiskInGb", "dataCenterId", "countryCode", "env", "gpuCount", "gpuTypeId", "gpuTypeIdList", "imageName", "name", "ports", "startSsh", "startJupyter",
	"supportPublicIp", "templateId", "volumeInGb", "volumeMountPath", "networkVolumeId", "minCudaVersion", "allowedCudaVersions", "dockerArgs",
	"containerRegistryAuthId", "stopAfter", "terminateAfter", "compliance", "minVcpuCount", "minMemoryInGb", "minDownload", "minUpload", "minDisk",
	"deployCost", "bidPerGpu", "instanceId", "globalNetwork", "notebookEnabled", "volumeKey", "port", "clusterId", "aiApiId",
}

func (c *gqlCall) deploy(in map[string]any, spot bool) (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	if c.who.readOnly {
		return nil, &gqlError{"Forbidden", "FORBIDDEN"}
	}
	for _, k := range sortedKeys(in) {
		if !slices.Contains(deployFields, k) {
			return nil, &gqlError{fmt.Sprintf("Field %q is not defined by type \"PodFindAndDeployOnDemandInput\".", k), "GRAPHQL_VALIDATION_FAILED"}
		}
	}
	p, clouds, e := c.planGQL(in)
	if e != nil {
		return nil, fromAPI(e)
	}
	if spot {
		p.bid = money.FromFloat(floatOf(in["bidPerGpu"]))
		p.price = p.bid * money.USD(p.gpuCount)
		if p.bid == 0 {
			return nil, gqlRefuse("bidPerGpu is required")
		}
	}
	base := *p
	for _, cloud := range clouds {
		*p = base
		p.cloud, p.demand.cloud = cloud, cloud
		if !spot && p.gpu != "" {
			p.price = c.s.fleet.gpu(p.gpu).price(cloud) * money.USD(p.gpuCount)
		}
		if e = c.s.rent(p); e == nil {
			c.timers(p, in)
			return c.podGQL(p), nil
		}
	}
	if spot {
		return nil, gqlRefuse("There are no longer any instances available with the request specifications. Please try again later.")
	}
	return nil, fromAPI(e)
}

func floatOf(v any) float64 {
	f, _ := v.(float64)
	return f
}

// planGQL reads the deploy input. The clouds are those to be tried, in order.
func (c *gqlCall) planGQL(in map[string]any) (*pod, []string, *apiError) {
	clouds := []string{"SECURE"}
	switch gqlStr(in, "cloudType") {
	case "COMMUNITY":
		clouds = []string{"COMMUNITY"}
	case "ALL", "":
		clouds = []string{"SECURE", "COMMUNITY"}
	}
	b := createBody{Name: gqlStr(in, "name"), Cloud: clouds[0], Env: map[string]string{}}
	if b.Name == "" {
		b.Name = "my pod"
	}
	b.Template = gqlStr(in, "templateId")
	if v := gqlStr(in, "imageName"); v != "" {
		b.Image = &v
	}
	if v, ok := in["dockerArgs"].(string); ok && v != "" {
		b.Args = &v
	}
	if n := gqlInt(in, "containerDiskInGb"); n > 0 {
		b.Disk = &n
	}
	if v := gqlStr(in, "ports"); v != "" {
		b.Ports = strings.Split(v, ",")
	}
	if v := gqlStr(in, "containerRegistryAuthId"); v != "" {
		b.Registry = &v
	}
	if v, ok := in["startSsh"].(bool); ok {
		b.StartSSH = &v
	}
	if v, ok := in["startJupyter"].(bool); ok {
		b.StartJupyter = &v
	}
	if v := gqlStr(in, "dataCenterId"); v != "" {
		b.DataCenters = []string{v}
	}
	if a, ok := in["env"].([]any); ok {
		for _, kv := range a {
			if m, ok := kv.(map[string]any); ok {
				b.Env[gqlStr(m, "key")] = gqlStr(m, "value")
			}
		}
	}
	path := gqlStr(in, "volumeMountPath")
	if path == "" {
		path = "/workspace"
	}
	if id := gqlStr(in, "networkVolumeId"); id != "" {
		b.Mounts = &mountsBody{Network: []networkMount{{id, path}}}
		clouds = []string{"SECURE"}
	} else if n := gqlInt(in, "volumeInGb"); n > 0 {
		b.Mounts = &mountsBody{Persistent: &persistentMount{n, path}}
	}
	if id := gqlStr(in, "instanceId"); id != "" {
		// "cpu3c-2-4": flavor, vCPUs, memory
		parts := strings.Split(id, "-")
		n := 2
		if len(parts) > 1 {
			_, _ = fmt.Sscanf(parts[1], "%d", &n)
		}
		b.CPU, b.Mounts = &cpuBody{parts[0], n}, nil
		clouds = []string{"SECURE"}
	} else {
		count := max(gqlInt(in, "gpuCount"), 1)
		b.GPU = &gpuBody{ID: gqlStr(in, "gpuTypeId"), Count: &count, Min: gqlStr(in, "minCudaVersion"), Allowed: gqlList(in, "allowedCudaVersions")}
	}
	p, e := c.s.plan(c.who, b)
	if e != nil {
		return nil, nil, e
	}
	if cc := gqlStr(in, "countryCode"); cc != "" {
		p.demand.countries = strings.Split(cc, ",")
	}
	return p, clouds, nil
}

// timers are stopAfter and terminateAfter, which exist only here.
func (c *gqlCall) timers(p *pod, in map[string]any) {
	for _, k := range []string{"stopAfter", "terminateAfter"} {
		t, err := time.Parse(time.RFC3339, gqlStr(in, k))
		if err != nil {
			continue
		}
		c.s.once(t.Sub(c.s.now()), func() {
			switch {
			case k == "stopAfter" && p.status == running:
				c.s.stop(p, "Exited by Runpod")
			case k == "terminateAfter" && p.status != terminated:
				c.s.terminate(p, "Terminated by Runpod")
			}
		})
	}
}

func (c *gqlCall) writable(id string) (*pod, error) {
	if e := c.s.mayTouch(c.who, id, true); e != nil {
		return nil, &gqlError{"Forbidden", "FORBIDDEN"}
	}
	return c.find(id)
}

func (c *gqlCall) action(in map[string]any, action string) (any, error) {
	p, err := c.writable(gqlStr(in, "podId"))
	if err != nil {
		return nil, err
	}
	if e := c.s.act(p, action); e != nil {
		return nil, fromAPI(e)
	}
	return c.podGQL(p), nil
}

func (c *gqlCall) terminate(in map[string]any) (any, error) {
	p, err := c.writable(gqlStr(in, "podId"))
	if err != nil || p.status == terminated {
		return nil, gqlRefuse("pod not found to terminate")
	}
	c.s.terminate(p, "Terminated by User")
	return nil, nil
}

func (c *gqlCall) edit(in map[string]any) (any, error) {
	p, err := c.writable(gqlStr(in, "podId"))
	if err != nil {
		return nil, err
	}
	if v := gqlStr(in, "imageName"); v != "" {
		p.image, p.img = v, c.s.describe(v)
	}
	if v, ok := in["dockerArgs"].(string); ok {
		p.args, p.entrypoint, p.cmd = v, nil, nil
	}
	if p.status == running {
		c.s.restart(p)
	}
	return c.podGQL(p), nil
}

func (c *gqlCall) saveTemplate(in map[string]any) (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	t := &template{
		account: c.who.account, id: c.s.newID(10), name: gqlStr(in, "name"), image: gqlStr(in, "imageName"), args: gqlStr(in, "dockerArgs"),
		disk: max(gqlInt(in, "containerDiskInGb"), 1), env: map[string]string{}, category: "NVIDIA", startSSH: true, startJup: true, readme: gqlStr(in, "readme"),
	}
	t.serverless, _ = in["isServerless"].(bool)
	t.public, _ = in["isPublic"].(bool)
	if v := gqlStr(in, "ports"); v != "" {
		t.ports = strings.Split(v, ",")
	}
	if n := gqlInt(in, "volumeInGb"); n > 0 {
		t.persistent = &persistentMount{n, gqlStr(in, "volumeMountPath")}
	}
	if a, ok := in["env"].([]any); ok {
		for _, kv := range a {
			if m, ok := kv.(map[string]any); ok {
				t.env[gqlStr(m, "key")] = gqlStr(m, "value")
			}
		}
	}
	if id := gqlStr(in, "id"); id != "" {
		old, e := c.s.template(c.who, id)
		if e != nil || old.source != "" {
			return nil, gqlRefuse("template not found")
		}
		t.id = id
	}
	if e := c.s.fillTemplate(c.who, t, templateBody{}); e != nil {
		return nil, fromAPI(e)
	}
	c.s.temps.put(t.id, t)
	return templateGQL(t), nil
}

func (c *gqlCall) saveRegistry(in map[string]any) (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	for _, r := range c.s.regs.all() {
		if r.account == c.who.account && r.Name == gqlStr(in, "name") {
			return nil, gqlRefuse("Container registry auth name already exists")
		}
	}
	r := &registry{account: c.who.account, ID: c.s.newID(25), Name: gqlStr(in, "name"), username: gqlStr(in, "username"), password: gqlStr(in, "password")}
	c.s.regs.put(r.ID, r)
	return fields{"id": r.ID, "name": r.Name}, nil
}

func (c *gqlCall) registry(id string) (*registry, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	r := c.s.regs.by[id]
	if r == nil || r.account != c.who.account {
		return nil, gqlRefuse("Container registry auth not found")
	}
	return r, nil
}

func (c *gqlCall) updateRegistry(in map[string]any) (any, error) {
	r, err := c.registry(gqlStr(in, "id"))
	if err != nil {
		return nil, err
	}
	r.username, r.password = gqlStr(in, "username"), gqlStr(in, "password")
	return fields{"id": r.ID, "name": r.Name}, nil
}

func (c *gqlCall) deleteRegistry(id string) (any, error) {
	if _, err := c.registry(id); err != nil {
		return nil, err
	}
	c.s.regs.drop(id)
	return nil, nil
}

func (c *gqlCall) createVolume(in map[string]any) (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	v, e := c.s.newVolume(c.who.account, volume{Name: gqlStr(in, "name"), Size: gqlInt(in, "size"), DataCenter: gqlStr(in, "dataCenterId")})
	if e != nil {
		return nil, fromAPI(e)
	}
	return volumeGQL(v), nil
}

func (c *gqlCall) deleteVolume(id string) (any, error) {
	if err := c.account(); err != nil {
		return nil, err
	}
	v, e := c.s.volume(c.who, id)
	if e != nil {
		return nil, gqlRefuse("Tried to delete nonexistent network volume")
	}
	if p := c.s.volumeUser(id); p != nil {
		return nil, gqlRefuse("network volume is in use by pod %s", p.id)
	}
	c.s.dropVolume(v)
	return nil, nil
}
