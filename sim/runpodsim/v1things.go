package runpodsim

import (
	"net/http"
	"time"

	"justright/money"
)

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
