package runpodsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
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
