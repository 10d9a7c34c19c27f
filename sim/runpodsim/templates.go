package runpodsim

import (
	"fmt"
	"net/http"
	"slices"
)

// template is a stored set of container settings.
type template struct {
	account    string // empty and public for RunPod's own
	source     string // "official", "verified" or "community" for public ones
	id         string
	name       string
	image      string
	args       string
	disk       int
	ports      []string
	env        map[string]string
	registry   string
	persistent *persistentMount
	serverless bool
	public     bool
	category   string
	startSSH   bool
	startJup   bool
	allowed    []string
	entrypoint []string
	cmd        []string
	readme     string
}

type templateBody struct {
	Name       *string           `json:"name"`
	Image      *string           `json:"image"`
	Args       *string           `json:"args"`
	Disk       *int              `json:"disk"`
	Ports      []string          `json:"ports"`
	Env        map[string]string `json:"env"`
	Registry   *string           `json:"registry"`
	Mounts     *mountsBody       `json:"mounts"`
	Serverless *bool             `json:"serverless"`
	Public     *bool             `json:"public"`
	Category   *string           `json:"category"`
	StartSSH   *bool             `json:"startSsh"`
	StartJup   *bool             `json:"startJupyter"`
	Allowed    []string          `json:"allowedCudaVersions"`
}

func templateRoutes(add adder) {
	add("listTemplates", "GET", "/templates", func(c *call) (answer, *apiError) {
		out := []any{}
		for _, t := range c.s.temps.all() {
			if t.account == c.who.account && t.source == "" {
				out = append(out, t.v2(true))
			}
		}
		return answer{http.StatusOK, map[string]any{"templates": out}}, nil
	})
	add("createTemplate", "POST", "/templates", func(c *call) (answer, *apiError) {
		var b templateBody
		if e := decode(c.body, createTemplateShape, &b); e != nil {
			return answer{}, e
		}
		t := &template{account: c.who.account, id: c.s.newID(10), disk: defaultDisk, env: map[string]string{}, category: "NVIDIA", startSSH: true, startJup: true}
		if e := c.s.fillTemplate(c.who, t, b); e != nil {
			return answer{}, e
		}
		c.s.temps.put(t.id, t)
		return answer{http.StatusCreated, t.v2(true)}, nil
	})
	add("getTemplate", "GET", "/templates/{}", func(c *call) (answer, *apiError) {
		t, e := c.s.template(c.who, c.id)
		if e != nil {
			return answer{}, e
		}
		return answer{http.StatusOK, t.v2(t.source == "")}, nil
	})
	add("updateTemplate", "PATCH", "/templates/{}", func(c *call) (answer, *apiError) {
		t, e := c.s.template(c.who, c.id)
		if e != nil {
			return answer{}, e
		}
		if t.source != "" {
			return answer{}, refuse(http.StatusForbidden, "access denied")
		}
		var b templateBody
		if e := decode(c.body, templateFields, &b); e != nil {
			return answer{}, e
		}
		next := *t
		if b.Registry == nil && hasKey(c.body, "registry") {
			next.registry = ""
		}
		if e := c.s.fillTemplate(c.who, &next, b); e != nil {
			return answer{}, e
		}
		*t = next
		return answer{http.StatusOK, t.v2(true)}, nil
	})
	add("deleteTemplate", "DELETE", "/templates/{}", func(c *call) (answer, *apiError) {
		t, e := c.s.template(c.who, c.id)
		if e != nil {
			return answer{}, e
		}
		if t.source != "" {
			return answer{}, refuse(http.StatusForbidden, "access denied")
		}
		c.s.temps.drop(t.id)
		return answer{status: http.StatusNoContent}, nil
	})
}

// fillTemplate puts a body's settings into t.
func (s *Server) fillTemplate(who caller, t *template, b templateBody) *apiError {
	set(&t.name, b.Name)
	set(&t.image, b.Image)
	set(&t.args, b.Args)
	set(&t.disk, b.Disk)
	set(&t.registry, b.Registry)
	set(&t.serverless, b.Serverless)
	set(&t.public, b.Public)
	set(&t.category, b.Category)
	set(&t.startSSH, b.StartSSH)
	set(&t.startJup, b.StartJup)
	if b.Ports != nil {
		t.ports = b.Ports
	}
	if b.Env != nil {
		t.env = b.Env
	}
	if b.Allowed != nil {
		t.allowed = b.Allowed
	}
	if b.Mounts != nil {
		t.persistent = b.Mounts.Persistent
	}
	for _, ps := range t.ports {
		if _, _, ok := portSpec(ps); !ok {
			return badRequest(fmt.Sprintf("port %q is not of the form port/protocol", ps))
		}
	}
	if t.registry != "" {
		if r := s.regs.by[t.registry]; r == nil || r.account != who.account {
			return badRequest("registry credential not found")
		}
	}
	for _, o := range s.temps.all() {
		if o != t && o.id != t.id && o.account == who.account && o.source == "" && o.name == t.name {
			return badRequest(fmt.Sprintf("a template named %q already exists", t.name))
		}
	}
	return nil
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// template finds one of the caller's templates or a public one.
func (s *Server) template(who caller, id string) (*template, *apiError) {
	t := s.temps.by[id]
	if t == nil || t.source == "" && t.account != who.account && !t.public {
		return nil, notFound("template")
	}
	return t, nil
}

// useTemplate writes a template's settings into a pod to be.
func (s *Server) useTemplate(who caller, id string, sp *podSpec) (*template, *apiError) {
	t, e := s.template(who, id)
	if e != nil {
		return nil, e
	}
	if t.serverless {
		return nil, refuse(http.StatusUnprocessableEntity, "template is a serverless template and cannot be used for a pod")
	}
	sp.image, sp.args, sp.disk, sp.registry = t.image, t.args, t.disk, t.registry
	sp.ports = slices.Clone(t.ports)
	for k, v := range t.env {
		sp.env[k] = v
	}
	sp.persistent, sp.startSSH, sp.startJup = t.persistent, t.startSSH, t.startJup
	if sp.entrypoint == nil && sp.cmd == nil {
		sp.entrypoint, sp.cmd = t.entrypoint, t.cmd
	}
	return t, nil
}

func (t *template) v2(owned bool) map[string]any {
	var reg any
	if owned {
		reg = orNull(t.registry)
	}
	m := map[string]any{}
	if t.persistent != nil {
		m["persistent"] = t.persistent
	}
	return map[string]any{
		"id": t.id, "name": t.name, "image": t.image, "args": t.args, "disk": t.disk, "mounts": m, "ports": orEmpty(t.ports), "env": t.env,
		"registry": reg, "serverless": t.serverless, "public": t.public, "category": t.category, "startSsh": t.startSSH,
		"startJupyter": t.startJup, "allowedCudaVersions": orEmpty(t.allowed),
	}
}

// addPublicTemplates stocks the public catalog with a few of the well-known kind.
func (s *Server) addPublicTemplates() {
	for _, t := range []template{
		{source: "official", id: "runpod-torch-v280", name: "Runpod Pytorch 2.8.0", image: "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", ports: []string{"8888/http", "22/tcp"}, category: "NVIDIA"},
		{source: "official", id: "runpod-torch-v21", name: "Runpod Pytorch 2.1", image: "runpod/pytorch:2.1.0-py3.10-cuda11.8.0-devel-ubuntu22.04", ports: []string{"8888/http", "22/tcp"}, category: "NVIDIA"},
		{source: "official", id: "runpod-ubuntu", name: "Runpod Ubuntu", image: "runpod/base:1.0.2-ubuntu2404", ports: []string{"22/tcp"}, category: "CPU"},
		{source: "verified", id: "vllm-latest", name: "vLLM Latest", image: "vllm/vllm-openai:latest", ports: []string{"8000/http"}, category: "NVIDIA"},
		{source: "official", id: "runpod-worker-vllm", name: "Worker vLLM", image: "runpod/worker-v1-vllm:stable", serverless: true, category: "NVIDIA"},
	} {
		t.public, t.startSSH, t.startJup, t.disk, t.env = true, true, true, 50, map[string]string{}
		t.readme = "# " + t.name + "\n\n" + t.image + "\n"
		s.temps.put(t.id, &t)
	}
}

func (c *call) publicTemplates() (answer, *apiError) {
	source := "official"
	if v := c.r.URL.Query(); v.Has("source") {
		source = v.Get("source")
		if !slices.Contains([]string{"official", "verified", "community"}, source) {
			return answer{}, invalid("query.source: value must be one of 'official', 'verified', 'community'")
		}
	}
	out := []any{}
	for _, t := range c.s.temps.all() {
		if t.source == source || source == "community" && t.source == "" && t.public {
			out = append(out, t.v2(false))
		}
	}
	return answer{http.StatusOK, map[string]any{"templates": out}}, nil
}
