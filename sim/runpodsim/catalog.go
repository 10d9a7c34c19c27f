package runpodsim

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func catalogRoutes(add adder) {
	add("listGpuTypes", "GET", "/catalog/gpus", (*call).listGPUs)
	add("getGpuType", "GET", "/catalog/gpus/{}", (*call).getGPU)
	add("listCpuTypes", "GET", "/catalog/cpus", (*call).listCPUs)
	add("getCpuType", "GET", "/catalog/cpus/{}", (*call).getCPU)
	add("listDataCenters", "GET", "/catalog/datacenters", (*call).listDCs)
	add("getDataCenter", "GET", "/catalog/datacenters/{}", (*call).getDC)
	add("listPublicTemplates", "GET", "/catalog/templates", (*call).publicTemplates)
}

// words splits a comma list; absent and empty are the same.
func words(q url.Values, key string) []string {
	var out []string
	for _, v := range q[key] {
		for _, w := range strings.Split(v, ",") {
			if w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// allOf refuses words that are not among the allowed ones.
func allOf(q url.Values, key string, allowed ...string) ([]string, *apiError) {
	ws := words(q, key)
	for _, w := range ws {
		if !slices.Contains(allowed, w) {
			return nil, invalid("query." + key + ": value must be one of " + quoteList(allowed))
		}
	}
	return ws, nil
}

// availabilityQuery is include=AVAILABILITY with its filters.
type availabilityQuery struct {
	on        bool
	count     int
	cloud     string
	countries []string
	cudas     []string
	minCUDA   string
}

var (
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	cudaExact   = regexp.MustCompile(majorMinor)
	cudaFloor   = regexp.MustCompile(`^\d+(\.\d+)?$`)
)

func (c *call) availability(products ...string) (availabilityQuery, *apiError) {
	v := c.r.URL.Query()
	q := availabilityQuery{count: 1, cloud: "SECURE"}
	include, e := allOf(v, "include", "AVAILABILITY")
	if e != nil {
		return q, e
	}
	product, e := allOf(v, "product", products...)
	if e != nil {
		return q, e
	}
	q.on = len(include) > 0
	if q.on != (len(product) > 0) {
		return q, badRequest("include=AVAILABILITY and product require each other")
	}
	if e := q.filters(v); e != nil {
		return q, e
	}
	for _, k := range []string{"count", "cloud", "countryCodes", "cudaVersions", "minCudaVersion", "vcpuCount"} {
		if v.Has(k) && !q.on {
			return q, badRequest(k + " is valid only with include=AVAILABILITY")
		}
	}
	if len(q.cudas) > 0 && q.minCUDA != "" {
		return q, badRequest("cudaVersions and minCudaVersion are mutually exclusive")
	}
	return q, nil
}

func (q *availabilityQuery) filters(v url.Values) *apiError {
	if v.Has("count") {
		n, err := strconv.Atoi(v.Get("count"))
		if err != nil || n < 1 {
			return invalid("query.count: must be an integer of at least 1")
		}
		q.count = n
	}
	if v.Has("cloud") {
		q.cloud = v.Get("cloud")
		if q.cloud != "SECURE" && q.cloud != "COMMUNITY" {
			return invalid("query.cloud: value must be one of 'SECURE', 'COMMUNITY'")
		}
	}
	q.countries = words(v, "countryCodes")
	for _, w := range q.countries {
		if !countryCode.MatchString(w) {
			return invalid("query.countryCodes: '" + w + "' does not match pattern '^[A-Z]{2}$'")
		}
	}
	q.cudas = words(v, "cudaVersions")
	for _, w := range q.cudas {
		if !cudaExact.MatchString(w) {
			return invalid("query.cudaVersions: '" + w + "' does not match pattern '" + majorMinor + "'")
		}
	}
	q.minCUDA = v.Get("minCudaVersion")
	if v.Has("minCudaVersion") && !cudaFloor.MatchString(q.minCUDA) {
		return invalid("query.minCudaVersion: '" + q.minCUDA + "' does not match pattern '^\\d+(\\.\\d+)?$'")
	}
	return nil
}

func (c *call) listGPUs() (answer, *apiError) {
	q, e := c.availability("POD", "CLUSTER", "SERVERLESS")
	if e != nil {
		return answer{}, e
	}
	out := []any{}
	for i := range c.s.fleet.GPUs {
		g := &c.s.fleet.GPUs[i]
		if len(q.countries) > 0 && !c.s.offeredIn(g.ID, q.countries) {
			continue
		}
		out = append(out, c.s.gpuV2(g, q))
	}
	return answer{http.StatusOK, map[string]any{"gpus": out}}, nil
}

// offeredIn tells whether any machine with the GPU stands in the countries.
func (s *Server) offeredIn(gpu string, countries []string) bool {
	for _, m := range s.machines {
		if dc := s.fleet.dataCenter(m.DataCenter); m.GPU == gpu && dc != nil && slices.Contains(countries, dc.Country) {
			return true
		}
	}
	return false
}

func (c *call) getGPU() (answer, *apiError) {
	q, e := c.availability("POD", "CLUSTER", "SERVERLESS")
	if e != nil {
		return answer{}, e
	}
	g := c.s.fleet.gpu(c.id)
	if g == nil {
		return answer{}, notFound("gpu type")
	}
	return answer{http.StatusOK, c.s.gpuV2(g, q)}, nil
}

func (s *Server) gpuV2(g *GPUType, q availabilityQuery) map[string]any {
	maker := "NVIDIA"
	if g.Brand == "amd" {
		maker = "AMD"
	}
	price := map[string]any{"secure": g.Secure, "community": g.Community}
	if g.Serverless > 0 {
		price["serverless"] = g.Serverless
	}
	d := map[string]any{
		"id": g.ID, "name": g.Name, "pool": g.Pool, "manufacturer": maker, "memory": g.MemoryGB, "secure": g.Secure > 0, "community": g.Community > 0,
		"price": price, "maxCount": map[string]any{"secure": g.MaxSecure, "community": g.MaxCommunity},
	}
	if !q.on {
		return d
	}
	want := demand{gpu: g.ID, count: q.count, cloud: q.cloud, countries: q.countries, cudas: q.cudas, minCUDA: q.minCUDA}
	total, byDC, byCUDA := 0, map[string]int{}, map[string]int{}
	known := map[string]bool{}
	for _, m := range s.machines {
		if !m.fits(s.fleet, want) {
			continue
		}
		n := m.free / q.count
		total += n
		byDC[m.DataCenter] += n
		if m.CUDA != "" {
			byCUDA[m.CUDA] += n
		}
		known[m.DataCenter] = true
	}
	d["availability"] = level(total)
	dcs := []any{}
	for _, dc := range s.fleet.DataCenters {
		if known[dc.ID] {
			dcs = append(dcs, map[string]any{"id": dc.ID, "name": dc.Name, "availability": level(byDC[dc.ID])})
		}
	}
	if total > 0 {
		d["dataCenters"] = dcs
	}
	if len(byCUDA) > 0 {
		vs := sortedKeys(byCUDA)
		slices.SortFunc(vs, compareDotted)
		cudas := []any{}
		for _, v := range vs {
			cudas = append(cudas, map[string]any{"version": v, "available": byCUDA[v] > 0})
		}
		d["cudaVersions"] = cudas
	}
	return d
}

func (c *call) listCPUs() (answer, *apiError) {
	on, e := c.cpuAvailability()
	if e != nil {
		return answer{}, e
	}
	out := []any{}
	for i := range c.s.fleet.CPUs {
		out = append(out, c.s.cpuV2(&c.s.fleet.CPUs[i], on))
	}
	return answer{http.StatusOK, map[string]any{"cpus": out}}, nil
}

func (c *call) getCPU() (answer, *apiError) {
	on, e := c.cpuAvailability()
	if e != nil {
		return answer{}, e
	}
	t := c.s.fleet.cpu(c.id)
	if t == nil {
		return answer{}, notFound("cpu type")
	}
	return answer{http.StatusOK, c.s.cpuV2(t, on)}, nil
}

func (c *call) cpuAvailability() (bool, *apiError) {
	q, e := c.availability("POD", "SERVERLESS")
	if e != nil {
		return false, e
	}
	if v := c.r.URL.Query(); v.Has("vcpuCount") {
		n, err := strconv.Atoi(v.Get("vcpuCount"))
		if err != nil || n < 2 {
			return false, invalid("query.vcpuCount: must be an integer of at least 2")
		}
		if n&(n-1) != 0 {
			return false, badRequest("vcpuCount must be a power of two")
		}
	}
	return q.on, nil
}

func (s *Server) cpuV2(t *CPUType, availability bool) map[string]any {
	d := map[string]any{
		"id": t.ID, "name": t.Name, "group": t.Group, "vcpu": map[string]any{"min": t.Min, "max": t.Max}, "ramGbPerVcpu": t.RAMPerVCPU,
		"price": map[string]any{"securePerVcpu": t.Price, "serverlessPerVcpu": t.Serverless},
	}
	if availability {
		dc := s.fleet.DataCenters[0]
		d["availability"] = "HIGH"
		d["dataCenters"] = []any{map[string]any{"id": dc.ID, "name": dc.Name, "availability": "HIGH"}}
	}
	return d
}

var (
	regions    = []string{"NORTH_AMERICA", "SOUTH_AMERICA", "EUROPE", "ASIA", "MIDDLE_EAST", "AFRICA", "OCEANIA", "ANTARCTICA", "UNKNOWN"}
	compliance = []string{"GDPR", "ISO_IEC_27001", "ISO_14001", "PCI_DSS", "HITRUST", "SOC_1_TYPE_2", "SOC_2_TYPE_2", "SOC_3_TYPE_2", "ITAR", "FISMA_HIGH", "HIPAA", "RENEWABLE"}
	tiers      = []string{"STANDARD", "HIGH_PERFORMANCE"}
)

func (c *call) listDCs() (answer, *apiError) {
	v := c.r.URL.Query()
	include, e := allOf(v, "include", "GPU_AVAILABILITY", "CPU_AVAILABILITY")
	if e != nil {
		return answer{}, e
	}
	rs, e := allOf(v, "regions", regions...)
	if e != nil {
		return answer{}, e
	}
	ts, e := allOf(v, "networkVolumeTypes", tiers...)
	if e != nil {
		return answer{}, e
	}
	cs, e := allOf(v, "compliance", compliance...)
	if e != nil {
		return answer{}, e
	}
	global := v.Get("globalNetwork")
	if v.Has("globalNetwork") && global != "true" && global != "false" {
		return answer{}, invalid("query.globalNetwork: got string, want boolean")
	}
	out := []any{}
	for i := range c.s.fleet.DataCenters {
		d := &c.s.fleet.DataCenters[i]
		if len(rs) > 0 && !slices.Contains(rs, d.Region) || !contains(d.Volumes, ts) || !contains(d.Compliance, cs) ||
			global != "" && (global == "true") != d.GlobalNetwork {
			continue
		}
		out = append(out, c.s.dcV2(d, include))
	}
	return answer{http.StatusOK, map[string]any{"dataCenters": out}}, nil
}

func contains(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

func (c *call) getDC() (answer, *apiError) {
	include, e := allOf(c.r.URL.Query(), "include", "GPU_AVAILABILITY", "CPU_AVAILABILITY")
	if e != nil {
		return answer{}, e
	}
	d := c.s.fleet.dataCenter(c.id)
	if d == nil {
		return answer{}, notFound("data center")
	}
	return answer{http.StatusOK, c.s.dcV2(d, include)}, nil
}

func (s *Server) dcV2(d *DataCenter, include []string) map[string]any {
	out := map[string]any{
		"id": d.ID, "name": d.Name, "region": d.Region, "globalNetwork": d.GlobalNetwork,
		"networkVolumeTypes": orEmpty(d.Volumes), "compliance": orEmpty(d.Compliance),
	}
	if slices.Contains(include, "GPU_AVAILABILITY") {
		free := map[string]int{}
		for _, m := range s.machines {
			if m.DataCenter == d.ID {
				free[m.GPU] += m.free
			}
		}
		rows := []any{}
		for i := range s.fleet.GPUs {
			g := &s.fleet.GPUs[i]
			if n, ok := free[g.ID]; ok {
				rows = append(rows, map[string]any{"id": g.ID, "name": g.Name, "availability": level(n)})
			}
		}
		out["gpuAvailability"] = rows
	}
	if slices.Contains(include, "CPU_AVAILABILITY") {
		rows := []any{}
		for _, t := range s.fleet.CPUs {
			rows = append(rows, map[string]any{"id": t.ID, "name": t.Name, "availability": "HIGH"})
		}
		out["cpuAvailability"] = rows
	}
	return out
}
