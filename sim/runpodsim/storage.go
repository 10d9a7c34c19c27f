package runpodsim

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// volume is a network volume. It bills whether or not a pod uses it.
type volume struct {
	account    string
	ID         string `json:"id"`
	Name       string `json:"name"`
	Size       int    `json:"size"`
	DataCenter string `json:"dataCenter"`
	Type       string `json:"type"`
	meter      meter
	gone       bool // deleted; its bill stays
}

type registry struct {
	account            string
	ID                 string `json:"id"`
	Name               string `json:"name"`
	username, password string
}

type delegation struct {
	account   string
	ID        string  `json:"id"`
	Name      *string `json:"name"`
	Delegator string  `json:"delegatorUserId"`
	AWSUser   string  `json:"awsUser"`
	Repo      string  `json:"repository"`
	Tag       string  `json:"tag"`
	Region    string  `json:"awsRegion"`
	URI       string  `json:"dockerRegistryUri"`
	Created   string  `json:"createdAt"`
}

func storageRoutes(add adder) {
	add("listNetworkVolumes", "GET", "/network-volumes", func(c *call) (answer, *apiError) {
		out := []volume{}
		for _, v := range c.s.volumes.all() {
			if v.account == c.who.account && !v.gone {
				out = append(out, *v)
			}
		}
		return answer{http.StatusOK, map[string]any{"networkVolumes": out}}, nil
	})
	add("createNetworkVolume", "POST", "/network-volumes", (*call).createVolume)
	add("getNetworkVolume", "GET", "/network-volumes/{}", func(c *call) (answer, *apiError) {
		v, e := c.volume()
		if e != nil {
			return answer{}, e
		}
		return answer{http.StatusOK, *v}, nil
	})
	add("updateNetworkVolume", "PATCH", "/network-volumes/{}", (*call).updateVolume)
	add("deleteNetworkVolume", "DELETE", "/network-volumes/{}", (*call).deleteVolume)

	add("listRegistries", "GET", "/registries", func(c *call) (answer, *apiError) {
		out := []registry{}
		for _, r := range c.s.regs.all() {
			if r.account == c.who.account {
				out = append(out, *r)
			}
		}
		return answer{http.StatusOK, map[string]any{"registries": out}}, nil
	})
	add("createRegistry", "POST", "/registries", (*call).createRegistry)
	add("getRegistry", "GET", "/registries/{}", func(c *call) (answer, *apiError) {
		r, e := c.registry()
		if e != nil {
			return answer{}, e
		}
		return answer{http.StatusOK, *r}, nil
	})
	add("deleteRegistry", "DELETE", "/registries/{}", (*call).deleteRegistry)
	add("listDelegations", "GET", "/registries/delegations", func(c *call) (answer, *apiError) {
		out := []delegation{}
		for _, d := range c.s.delegs.all() {
			if d.account == c.who.account {
				out = append(out, *d)
			}
		}
		return answer{http.StatusOK, map[string]any{"delegations": out}}, nil
	})
	add("createDelegation", "POST", "/registries/delegations", (*call).createDelegation)
	add("revokeDelegation", "DELETE", "/registries/delegations/{}", func(c *call) (answer, *apiError) {
		if d := c.s.delegs.by[c.id]; d == nil || d.account != c.who.account {
			return answer{}, notFound("delegation")
		}
		c.s.delegs.drop(c.id)
		return answer{status: http.StatusNoContent}, nil
	})

	add("getSshKeys", "GET", "/account/ssh-keys", func(c *call) (answer, *apiError) {
		return answer{http.StatusOK, map[string]any{"keys": orEmpty(c.s.sshKeys)}}, nil
	})
	add("updateSshKeys", "PUT", "/account/ssh-keys", func(c *call) (answer, *apiError) {
		var b struct {
			Keys []string `json:"keys"`
		}
		if e := decode(c.body, sshKeysShape, &b); e != nil {
			return answer{}, e
		}
		c.s.sshKeys = b.Keys
		return answer{http.StatusOK, map[string]any{"keys": orEmpty(b.Keys)}}, nil
	})
}

func (c *call) volume() (*volume, *apiError) { return c.s.volume(c.who, c.id) }

// volume finds one of the caller's network volumes.
func (s *Server) volume(who caller, id string) (*volume, *apiError) {
	v := s.volumes.by[id]
	if v == nil || v.gone || v.account != who.account {
		return nil, notFound("network volume")
	}
	return v, nil
}

func (c *call) createVolume() (answer, *apiError) {
	var b volume
	if e := decode(c.body, createVolumeShape, &b); e != nil {
		return answer{}, e
	}
	v, e := c.s.newVolume(c.who.account, b)
	if e != nil {
		return answer{}, e
	}
	return answer{http.StatusCreated, *v}, nil
}

// newVolume makes a volume where its data center can hold one.
func (s *Server) newVolume(account string, b volume) (*volume, *apiError) {
	dc := s.fleet.dataCenter(b.DataCenter)
	if dc == nil || len(dc.Volumes) == 0 || b.Type != "" && !slices.Contains(dc.Volumes, b.Type) {
		var good []string
		for _, d := range s.fleet.DataCenters {
			if len(d.Volumes) > 0 && (b.Type == "" || slices.Contains(d.Volumes, b.Type)) {
				good = append(good, d.ID)
			}
		}
		return nil, badRequest(fmt.Sprintf("data center %q does not support this network volume; valid data centers: %s", b.DataCenter, strings.Join(good, ", ")))
	}
	if b.Type == "" {
		b.Type = dc.Volumes[0]
	}
	b.ID, b.account = s.newID(10), account
	b.meter.set(s.now(), rates{disk: volumePrice(b.Size, b.Type)})
	s.volumes.put(b.ID, &b)
	return &b, nil
}

func (c *call) updateVolume() (answer, *apiError) {
	v, e := c.volume()
	if e != nil {
		return answer{}, e
	}
	var b struct {
		Name *string `json:"name"`
		Size *int    `json:"size"`
	}
	if e := decode(c.body, updateVolumeShape, &b); e != nil {
		return answer{}, e
	}
	if b.Size != nil && *b.Size < v.Size {
		return answer{}, badRequest("network volume size cannot be reduced")
	}
	if b.Name != nil {
		v.Name = *b.Name
	}
	if b.Size != nil {
		v.Size = *b.Size
		v.meter.set(c.s.now(), rates{disk: volumePrice(v.Size, v.Type)})
	}
	return answer{http.StatusOK, *v}, nil
}

func (c *call) deleteVolume() (answer, *apiError) {
	v, e := c.volume()
	if e != nil {
		return answer{}, e
	}
	if p := c.s.volumeUser(v.ID); p != nil {
		return answer{}, badRequest(fmt.Sprintf("network volume is in use by pod %s", p.id))
	}
	c.s.dropVolume(v)
	return answer{status: http.StatusNoContent}, nil
}

// volumeUser is a pod the volume is attached to.
func (s *Server) volumeUser(id string) *pod {
	for _, pid := range s.order {
		if p := s.pods[pid]; p.status != terminated && p.network != nil && p.network.VolumeID == id {
			return p
		}
	}
	return nil
}

// dropVolume ends a volume's bill and hides it; what it cost stays on the account.
func (s *Server) dropVolume(v *volume) {
	v.meter.set(s.now(), rates{})
	v.gone = true
}

func (c *call) createRegistry() (answer, *apiError) {
	var b struct {
		Name     string `json:"name"`
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if e := decode(c.body, createRegistryShape, &b); e != nil {
		return answer{}, e
	}
	for _, r := range c.s.regs.all() {
		if r.account == c.who.account && r.Name == b.Name {
			return answer{}, badRequest(fmt.Sprintf("a registry credential named %q already exists", b.Name))
		}
	}
	r := &registry{account: c.who.account, ID: c.s.newID(25), Name: b.Name, username: b.Username, password: b.Password}
	c.s.regs.put(r.ID, r)
	return answer{http.StatusCreated, *r}, nil
}

func (c *call) registry() (*registry, *apiError) {
	r := c.s.regs.by[c.id]
	if r == nil || r.account != c.who.account {
		return nil, notFound("registry")
	}
	return r, nil
}

func (c *call) deleteRegistry() (answer, *apiError) {
	r, e := c.registry()
	if e != nil {
		return answer{}, e
	}
	for _, id := range c.s.order {
		if p := c.s.pods[id]; p.status != terminated && p.registry == r.ID {
			return answer{}, badRequest("registry credential is in use")
		}
	}
	for _, t := range c.s.temps.all() {
		if t.registry == r.ID {
			return answer{}, badRequest("registry credential is in use")
		}
	}
	c.s.regs.drop(r.ID)
	return answer{status: http.StatusNoContent}, nil
}

var ecrARN = regexp.MustCompile(`^arn:aws:ecr:([a-z0-9-]+):(\d{12}):repository/([^:]+?)(?::(.+))?$`)

func (c *call) createDelegation() (answer, *apiError) {
	var b struct {
		Resource string  `json:"resource"`
		Name     *string `json:"name"`
	}
	if e := decode(c.body, createDelegationShape, &b); e != nil {
		return answer{}, e
	}
	m := ecrARN.FindStringSubmatch(b.Resource)
	if m == nil {
		return answer{}, badRequest("resource is not an ECR repository ARN")
	}
	tag := m[4]
	if tag == "" {
		tag = "latest"
	}
	d := &delegation{
		account: c.who.account, ID: c.s.newID(12), Name: b.Name, Delegator: "user_sim", AWSUser: m[2], Repo: m[3], Tag: tag, Region: m[1],
		URI: m[2] + ".dkr.ecr." + m[1] + ".amazonaws.com/" + m[3], Created: c.s.now().UTC().Format(time.RFC3339),
	}
	c.s.delegs.put(d.ID, d)
	return answer{http.StatusCreated, *d}, nil
}
