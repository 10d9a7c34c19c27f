package catalog

import (
	"fmt"

	"justright/version"
)

// What a driver offers and what a build needs. NVIDIA: "CUDA Compatibility", minor version compatibility
// (https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html): within a major version a
// program runs on every driver of that major, except that the driver compiles no PTX from a toolkit newer than itself.
const (
	driverSource = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
	driverDate   = "2026-11-23"
	ptxSource    = "https://github.com/vllm-project/flash-attention/pull/196, https://github.com/vllm-project/vllm/issues/47397"
	ptxDate      = "2026-11-25"
)

// driverBranch is a driver branch and the CUDA version it shipped with.
type driverBranch struct {
	branch int
	cuda   version.CUDA
}

// driverBranches is the table of the CUDA toolkit release notes, ascending.
func driverBranches() []driverBranch {
	return []driverBranch{
		{418, version.CUDA{Major: 10, Minor: 1}}, {440, version.CUDA{Major: 10, Minor: 2}}, {450, version.CUDA{Major: 11}},
		{455, version.CUDA{Major: 11, Minor: 1}}, {460, version.CUDA{Major: 11, Minor: 2}},
		{465, version.CUDA{Major: 11, Minor: 3}}, {470, version.CUDA{Major: 11, Minor: 4}},
		{495, version.CUDA{Major: 11, Minor: 5}}, {510, version.CUDA{Major: 11, Minor: 6}},
		{515, version.CUDA{Major: 11, Minor: 7}}, {520, version.CUDA{Major: 11, Minor: 8}},
		{525, version.CUDA{Major: 12}}, {530, version.CUDA{Major: 12, Minor: 1}},
		{535, version.CUDA{Major: 12, Minor: 2}}, {545, version.CUDA{Major: 12, Minor: 3}},
		{550, version.CUDA{Major: 12, Minor: 4}}, {555, version.CUDA{Major: 12, Minor: 5}},
		{560, version.CUDA{Major: 12, Minor: 6}}, {565, version.CUDA{Major: 12, Minor: 7}},
		{570, version.CUDA{Major: 12, Minor: 8}}, {575, version.CUDA{Major: 12, Minor: 9}},
		{580, version.CUDA{Major: 13}}, {590, version.CUDA{Major: 13, Minor: 1}},
		{595, version.CUDA{Major: 13, Minor: 2}},
	}
}

// MaxCUDA is the highest CUDA version a driver offers (what nvidia-smi prints). ok is false for a driver older than
// the table. For a branch newer than the table it is the newest known: the driver offers at least that.
func MaxCUDA(d version.Driver) (c version.CUDA, ok bool) {
	for _, b := range driverBranches() {
		if d.Branch >= b.branch {
			c, ok = b.cuda, true
		}
	}
	return c, ok
}

// OffersLess reports whether drivers of d's branch surely offer less than CUDA c: the two stated of one host contradict
// each other. Of a branch newer than the table it is not known.
func OffersLess(d version.Driver, c version.CUDA) bool {
	branches := driverBranches()
	most, ok := MaxCUDA(d)
	return ok && c.Compare(most) > 0 && d.Branch <= branches[len(branches)-1].branch
}

// DriverOf is the oldest driver branch that offers a CUDA version; ok is false when the table has none.
func DriverOf(c version.CUDA) (d version.Driver, ok bool) {
	for _, b := range driverBranches() {
		if b.cuda.Compare(c) >= 0 {
			return version.Driver{Branch: b.branch}, true
		}
	}
	return version.Driver{}, false
}

// MinDriver is the oldest driver on which a build for CUDA c runs at all, by the compatibility within a major
// version. ok is false when the major version is not known.
func MinDriver(c version.CUDA) (d version.Driver, ok bool) {
	switch c.Major {
	case 11:
		return version.Driver{Branch: 450, Minor: 80, Patch: 2}, true
	case 12:
		return version.Driver{Branch: 525, Minor: 60, Patch: 13}, true
	case 13:
		return version.Driver{Branch: 580}, true
	}
	return version.Driver{}, false
}

// RunsOn reports whether a host whose driver offers CUDA host runs a build for CUDA build.
func RunsOn(build, host version.CUDA) bool { return host.Major >= build.Major }

// MinDriverFact states the rule MinDriver and RunsOn follow, for one build.
func MinDriverFact(build version.CUDA) Fact {
	d, ok := MinDriver(build)
	st := fmt.Sprintf("which driver a CUDA %d build needs is not known", build.Major)
	if ok {
		st = fmt.Sprintf("a CUDA %d.x build runs on driver %s or newer, whatever its minor version", build.Major, d)
	}
	return Fact{ID: FactID(fmt.Sprintf("nvidia/driver/cuda-%d", build.Major)), Statement: st, Source: driverSource,
		Date: driverDate, Standing: Reported}
}

// MaxCUDAFact states what a driver offers.
func MaxCUDAFact(d version.Driver) Fact {
	st := fmt.Sprintf("which CUDA version driver %s offers is not known", d)
	if c, ok := MaxCUDA(d); ok {
		st = fmt.Sprintf("driver %s offers CUDA %s", d, c)
	}
	return Fact{ID: FactID("nvidia/driver/" + d.String()), Statement: st,
		Source: "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/", Date: driverDate, Standing: Reported}
}

// PTXFloor is the CUDA version the host must offer because part of a vLLM wheel is compiled by the driver at run time
// on a device of capability c: the bundled FlashAttention-2 holds code for 8.0 only, so compute capability 12.x
// always compiles it, and a driver compiles no PTX from a toolkit newer than itself. ok is false where no such
// rule holds. `--attention-backend FLASHINFER` avoids it.
func PTXFloor(c version.Capability, wheel version.CUDA) (floor version.CUDA, f Fact, ok bool) {
	if c.Major != 12 || wheel.IsZero() {
		return version.CUDA{}, Fact{}, false
	}
	return wheel, Fact{ID: "vllm/ptx/sm_12x", Standing: Derived, Source: ptxSource, Date: ptxDate,
		Statement: fmt.Sprintf("on compute capability %s the driver compiles the PTX of vLLM's FlashAttention-2 itself, so it must offer at least the wheel's CUDA %s", c, wheel)}, true
}
