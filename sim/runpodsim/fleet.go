package runpodsim

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"justright/money"
)

//go:embed data/fleet.json
var fleetJSON []byte

// GPUType is one row of the GPU catalog. Prices are USD per hour for one card; a price of 0 means not offered there.
type GPUType struct {
	ID           string  `json:"id"`
	Name         string  `json:"name"`
	MemoryGB     int     `json:"memory_gb"`
	Pool         *string `json:"pool"`
	Brand        string  `json:"brand"` // as nvidia-container-cli calls it
	Capability   string  `json:"capability"`
	Secure       float64 `json:"secure"`
	Community    float64 `json:"community"`
	Serverless   float64 `json:"serverless,omitempty"`
	MaxSecure    int     `json:"max_secure"`
	MaxCommunity int     `json:"max_community"`
}

// DataCenter is one row of the data-center catalog.
type DataCenter struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Region        string   `json:"region"`
	Country       string   `json:"country"`
	GlobalNetwork bool     `json:"global_network"`
	Volumes       []string `json:"volumes"`
	Compliance    []string `json:"compliance"`
}

// CPUType is one row of the CPU catalog. Prices are USD per hour and vCPU.
type CPUType struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Group      string  `json:"group"`
	Min        int     `json:"min"`
	Max        int     `json:"max"`
	RAMPerVCPU float64 `json:"ram_per_vcpu"`
	Price      float64 `json:"price"`
	Serverless float64 `json:"serverless"`
}

// MachineKind is a number of equal hosts.
type MachineKind struct {
	GPU        string `json:"gpu"`
	DataCenter string `json:"data_center"`
	Cloud      string `json:"cloud"`
	CUDA       string `json:"cuda"`   // what its driver reports; empty for none
	Driver     string `json:"driver"` // never shown by the API
	Cards      int    `json:"cards"`
	Count      int    `json:"count"`
	Mbps       int    `json:"mbps"`              // image download speed in MB/s
	NoGate     bool   `json:"no_gate,omitempty"` // a CDI host: NVIDIA_REQUIRE_CUDA is not checked
	Dead       bool   `json:"dead,omitempty"`    // accepts pods, never starts a container
	Limited    bool   `json:"limited,omitempty"` // Docker Hub answers its address with toomanyrequests
	VCPUPerGPU int    `json:"vcpu_per_gpu,omitempty"`
	RAMPerGPU  int    `json:"ram_per_gpu,omitempty"` // GB
}

// Fleet is everything that can be rented.
type Fleet struct {
	Note        string        `json:"note,omitempty"`
	GPUs        []GPUType     `json:"gpus"`
	DataCenters []DataCenter  `json:"data_centers"`
	CPUs        []CPUType     `json:"cpus"`
	Machines    []MachineKind `json:"machines"`
}

var defaultFleet = sync.OnceValue(func() *Fleet {
	var f Fleet
	if err := json.Unmarshal(fleetJSON, &f); err != nil {
		panic(fmt.Sprintf("embedded fleet: %v", err))
	}
	return &f
})

// DefaultFleet is a copy of the built-in world, to change and hand to New.
func DefaultFleet() *Fleet {
	f := *defaultFleet()
	f.Machines = slices.Clone(f.Machines)
	f.GPUs = slices.Clone(f.GPUs)
	return &f
}

// machine is one host.
type machine struct {
	MachineKind
	id     string
	free   int             // cards
	cached map[string]bool // images already pulled
}

// gpu finds a GPU type by id.
func (f *Fleet) gpu(id string) *GPUType {
	for i := range f.GPUs {
		if f.GPUs[i].ID == id {
			return &f.GPUs[i]
		}
	}
	return nil
}

func (f *Fleet) dataCenter(id string) *DataCenter {
	for i := range f.DataCenters {
		if f.DataCenters[i].ID == id {
			return &f.DataCenters[i]
		}
	}
	return nil
}

func (f *Fleet) cpu(id string) *CPUType {
	for i := range f.CPUs {
		if f.CPUs[i].ID == id {
			return &f.CPUs[i]
		}
	}
	return nil
}

// price is USD per hour for one card of g in a cloud.
func (g *GPUType) price(cloud string) money.USD {
	if cloud == "COMMUNITY" {
		return money.FromFloat(g.Community)
	}
	return money.FromFloat(g.Secure)
}

func (g *GPUType) maxCount(cloud string) int {
	if cloud == "COMMUNITY" {
		return g.MaxCommunity
	}
	return g.MaxSecure
}

// demand is what a scheduler looks for.
type demand struct {
	gpu         string
	count       int
	cloud       string // empty: any
	dataCenters []string
	countries   []string
	minCUDA     string
	cudas       []string // exact versions; empty: any
	minVCPU     int      // per GPU
	minRAM      int      // GB per GPU
}

// fits tells whether m could ever carry d, stock aside.
func (m *machine) fits(f *Fleet, d demand) bool {
	if m.GPU != d.gpu || d.cloud != "" && m.Cloud != d.cloud || d.count > m.Cards {
		return false
	}
	if len(d.dataCenters) > 0 && !slices.Contains(d.dataCenters, m.DataCenter) {
		return false
	}
	if len(d.countries) > 0 {
		dc := f.dataCenter(m.DataCenter)
		if dc == nil || !slices.Contains(d.countries, dc.Country) {
			return false
		}
	}
	if (d.minCUDA != "" || len(d.cudas) > 0) && m.CUDA == "" {
		return false
	}
	if d.minCUDA != "" && compareDotted(m.CUDA, d.minCUDA) < 0 {
		return false
	}
	if len(d.cudas) > 0 && !slices.Contains(d.cudas, m.CUDA) {
		return false
	}
	return d.minVCPU <= m.VCPUPerGPU && d.minRAM <= m.RAMPerGPU
}

// buildMachines spreads the kinds out into hosts with ids that do not depend on anything but the order.
func buildMachines(f *Fleet) []*machine {
	var all []*machine
	for _, k := range f.Machines {
		if k.VCPUPerGPU == 0 {
			k.VCPUPerGPU = 9
		}
		if k.RAMPerGPU == 0 {
			k.RAMPerGPU = 50
			if g := f.gpu(k.GPU); g != nil && g.MemoryGB >= 80 {
				k.RAMPerGPU = 125
			}
		}
		if k.Mbps <= 0 {
			k.Mbps = 100
		}
		for range max(k.Count, 1) {
			all = append(all, &machine{MachineKind: k, id: fmt.Sprintf("m%09x", 0x9e3779b*(len(all)+1)), free: k.Cards, cached: map[string]bool{}})
		}
	}
	return all
}

// level is the catalog's word for n free places.
func level(n int) string {
	switch {
	case n <= 0:
		return "NONE"
	case n <= 2:
		return "LOW"
	case n <= 8:
		return "MEDIUM"
	default:
		return "HIGH"
	}
}
