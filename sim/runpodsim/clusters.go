package runpodsim

import (
	"fmt"
	"net/http"
	"time"

	"justright/money"
)

// membership is a pod's place in a cluster.
type membership struct {
	cluster *cluster
	rank    int
}

func (m *membership) v2() map[string]any {
	return map[string]any{"id": m.cluster.id, "rank": m.rank, "ip": fmt.Sprintf("10.65.0.%d", m.rank%250+2)}
}

// cluster is a set of equal pods in one data center.
type cluster struct {
	account string
	id      string
	name    string
	kind    string
	compute computeBody
	pods    []*pod
	created time.Time
	gone    bool // deleted; its bill stays
}

type computeBody struct {
	GPU  string `json:"gpuTypeId"`
	GPUs int    `json:"gpuCountPerPod"`
	Pods int    `json:"podCount"`
}

var createClusterShape = closed(map[string]*shape{
	"args": str(), "disk": integer(1, inf), "env": mapOf(str()), "image": str(), "ports": list(str()),
	"name": name(), "type": oneOf("APPLICATION", "TRAINING", "SLURM", "RAY"),
	"compute": closed(map[string]*shape{
		"gpuTypeId": name(), "gpuCountPerPod": integer(1, inf), "podCount": integer(2, 250),
	}, "gpuTypeId", "gpuCountPerPod", "podCount"),
	"dataCenterIds": list(str()), "mounts": mountsShape, "startJupyter": boolean(), "startSsh": boolean(),
}, "name", "type", "compute").loud()

func clusterRoutes(add adder) {
	add("listClusters", "GET", "/clusters", func(c *call) (answer, *apiError) {
		out := []any{}
		for _, k := range c.s.clusters.all() {
			if k.account == c.who.account && !k.gone {
				out = append(out, c.s.clusterV2(k))
			}
		}
		return answer{http.StatusOK, map[string]any{"clusters": out}}, nil
	})
	add("createCluster", "POST", "/clusters", (*call).createCluster)
	add("getCluster", "GET", "/clusters/{}", func(c *call) (answer, *apiError) {
		k, e := c.cluster()
		if e != nil {
			return answer{}, e
		}
		return answer{http.StatusOK, c.s.clusterV2(k)}, nil
	})
	add("updateCluster", "PATCH", "/clusters/{}", func(c *call) (answer, *apiError) {
		k, e := c.cluster()
		if e != nil {
			return answer{}, e
		}
		var b struct{ Name string }
		if e := decode(c.body, updateClusterShape, &b); e != nil {
			return answer{}, e
		}
		k.name = b.Name
		return answer{http.StatusOK, c.s.clusterV2(k)}, nil
	})
	add("deleteCluster", "DELETE", "/clusters/{}", func(c *call) (answer, *apiError) {
		k, e := c.cluster()
		if e != nil {
			return answer{}, e
		}
		for _, p := range k.pods {
			if p.status != terminated {
				c.s.terminate(p, "Terminated by User")
			}
		}
		k.gone = true
		return answer{status: http.StatusNoContent}, nil
	})
	add("listClusterPods", "GET", "/clusters/{}/pods", func(c *call) (answer, *apiError) {
		k, e := c.cluster()
		if e != nil {
			return answer{}, e
		}
		out := []any{}
		for _, p := range k.pods {
			if c.s.visible(p) {
				out = append(out, c.s.podV2(p))
			}
		}
		return answer{http.StatusOK, map[string]any{"pods": out}}, nil
	})
}

func (c *call) cluster() (*cluster, *apiError) {
	k := c.s.clusters.by[c.id]
	if k == nil || k.gone || k.account != c.who.account {
		return nil, notFound("cluster")
	}
	return k, nil
}

// createCluster places all pods in one data center, or none.
func (c *call) createCluster() (answer, *apiError) {
	s := c.s
	var b struct {
		createBody
		Type    string      `json:"type"`
		Compute computeBody `json:"compute"`
	}
	if e := decode(c.body, createClusterShape, &b); e != nil {
		return answer{}, e
	}
	t := s.fleet.gpu(b.Compute.GPU)
	if t == nil || b.Compute.GPUs > t.maxCount("SECURE") {
		return answer{}, badRequest(noCapacity)
	}
	if b.Image == nil {
		return answer{}, badRequest("image is required")
	}
	k := &cluster{account: c.who.account, id: s.newID(12), name: b.Name, kind: b.Type, compute: b.Compute, created: s.now()}
	one := b.createBody
	one.GPU = &gpuBody{ID: b.Compute.GPU, Count: &b.Compute.GPUs}
	dcs := b.DataCenters
	if len(dcs) == 0 {
		dcs = s.dcIDs()
	}
	last := badRequest(noCapacity)
	for _, dc := range dcs {
		if s.roomFor(dc, b.Compute) < b.Compute.Pods {
			continue
		}
		one.DataCenters = []string{dc}
		for rank := range b.Compute.Pods {
			one.Name = fmt.Sprintf("%s-%d", b.Name, rank)
			p, e := s.plan(c.who, one)
			if e == nil {
				p.member = &membership{k, rank}
				clusterEnv(p, k, rank)
				e = s.rent(p)
			}
			if e != nil {
				last = e
				for _, q := range k.pods {
					s.terminate(q, "Terminated by Runpod")
				}
				return answer{}, last
			}
			k.pods = append(k.pods, p)
		}
		s.clusters.put(k.id, k)
		return answer{http.StatusCreated, s.clusterV2(k)}, nil
	}
	if e := s.checkMembers(c.who, one); e != nil {
		last = e
	}
	return answer{}, last
}

// checkMembers finds a fault of the request itself, when no data center had room.
func (s *Server) checkMembers(who caller, b createBody) *apiError {
	_, e := s.plan(who, b)
	return e
}

// roomFor counts the pods of a shape that a data center could take now.
func (s *Server) roomFor(dc string, shape computeBody) int {
	n := 0
	for _, m := range s.machines {
		if m.fits(s.fleet, demand{gpu: shape.GPU, count: shape.GPUs, cloud: "SECURE", dataCenters: []string{dc}}) {
			n += m.free / shape.GPUs
		}
	}
	return n
}

// clusterEnv sets what RunPod tells the nodes of a cluster.
func clusterEnv(p *pod, k *cluster, rank int) {
	set := map[string]string{
		"NODE_RANK": itoa(rank), "NUM_NODES": itoa(k.compute.Pods), "NUM_TRAINERS": itoa(k.compute.GPUs),
		"WORLD_SIZE": itoa(k.compute.Pods * k.compute.GPUs), "PRIMARY_ADDR": "10.65.0.2", "MASTER_ADDR": "10.65.0.2",
		"PRIMARY_PORT": "29400", "MASTER_PORT": "29400", "NODE_ADDR": fmt.Sprintf("10.65.0.%d", rank+2), "HOST_NODE_ADDR": "10.65.0.2:29400",
	}
	for key, v := range set {
		if _, ok := p.env[key]; !ok {
			p.env[key] = v
		}
	}
}

func (s *Server) clusterV2(k *cluster) map[string]any {
	by := map[string]int{}
	for _, p := range k.pods {
		by[string(p.status)]++
	}
	d := map[string]any{
		"id": k.id, "name": k.name, "type": k.kind,
		"compute": map[string]any{"gpuTypeId": k.compute.GPU, "gpuCountPerPod": k.compute.GPUs, "podCount": k.compute.Pods},
		"pods":    map[string]any{"total": len(k.pods), "byStatus": by}, "createdAt": stamp(k.created),
		"network": map[string]any{"cidr": "10.65.0.0/16"},
	}
	if len(k.pods) > 0 {
		d["dataCenterId"] = k.pods[0].dataCenter()
		d["primary"] = map[string]any{"podId": k.pods[0].id, "status": string(k.pods[0].status)}
	}
	return d
}

// spent is a cluster's bill in a time.
func (k *cluster) spent(from, to time.Time) (gpu, disk money.USD) {
	for _, p := range k.pods {
		r := p.meter.between(from, to)
		gpu += r.gpu + r.cpu
		disk += r.disk
	}
	return gpu, disk
}
