package onhost

import (
	"regexp"
	"strconv"
	"strings"

	"justright/version"
)

// Machine is what a machine has, as far as it could be established.
type Machine struct {
	CPUs        int
	MemoryBytes int64
	DiskBytes   int64 // free where environments and weights are kept
	Pythons     []string
	GPUs        []GPU
	Driver      version.Driver
	CUDA        version.CUDA
	Capability  version.Capability
	Problem     string // why GPUs that seem to be there cannot be used

	// Known of machines that are looked at from outside.
	FreeBytes int64 // memory that programs can still have
	ShmBytes  int64 // free in /dev/shm
	Glibc     version.Glibc
	System    string   // "Linux x86_64"
	Lacks     []string // programs that a start needs and that are not there
}

// GPU is one card as nvidia-smi names it.
type GPU struct {
	Name        string
	MemoryBytes int64
}

// SMIQuery are the arguments of nvidia-smi that TakeSMI reads the answer of.
func SMIQuery() []string {
	return []string{"--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader,nounits"}
}

var smiCUDA = regexp.MustCompile(`CUDA[A-Za-z ]*Version: *([0-9]+\.[0-9]+)`)

// TakeSMI reads nvidia-smi's answer to SMIQuery, and the CUDA version out of what it shows when it is asked nothing.
func (m *Machine) TakeSMI(query, banner string) {
	for l := range strings.SplitSeq(strings.TrimSpace(query), "\n") {
		f := strings.Split(l, ",")
		if len(f) < 4 {
			continue
		}
		mib, _ := strconv.ParseInt(strings.TrimSpace(f[1]), 10, 64)
		m.GPUs = append(m.GPUs, GPU{Name: strings.TrimSpace(f[0]), MemoryBytes: mib << 20})
		m.Driver, _ = version.ParseDriver(f[2])
		m.Capability, _ = version.ParseCapability(f[3])
	}
	if s := smiCUDA.FindStringSubmatch(banner); s != nil {
		m.CUDA, _ = version.ParseCUDA(s[1])
	}
}
