package catalog

import (
	"fmt"

	"justright/version"
)

// cardDriver is the first CUDA version whose drivers and compilers know a compute capability.
type cardDriver struct{ capability, cuda [2]int }

// cardDrivers are from the CUDA toolkit release notes ("New features", added architectures) and the release notes of
// the first drivers for the cards.
func cardDrivers() []cardDriver {
	return []cardDriver{
		{[2]int{7, 0}, [2]int{9, 0}}, {[2]int{7, 2}, [2]int{9, 2}}, {[2]int{7, 5}, [2]int{10, 0}}, {[2]int{8, 0}, [2]int{11, 0}},
		{[2]int{8, 6}, [2]int{11, 1}}, {[2]int{8, 7}, [2]int{11, 4}}, {[2]int{8, 9}, [2]int{11, 8}}, {[2]int{9, 0}, [2]int{11, 8}},
		{[2]int{10, 0}, [2]int{12, 8}}, {[2]int{10, 1}, [2]int{12, 8}}, {[2]int{10, 3}, [2]int{12, 9}}, {[2]int{11, 0}, [2]int{13, 0}},
		{[2]int{12, 0}, [2]int{12, 8}}, {[2]int{12, 1}, [2]int{12, 9}},
	}
}

// CardDriver is the least CUDA version that a driver for a card of capability c offers: drivers from before the card
// was made do not know it. ok is false for a capability that is not in the table.
func CardDriver(c version.Capability) (floor version.CUDA, f Fact, ok bool) {
	for _, d := range cardDrivers() {
		if d.capability == [2]int{c.Major, c.Minor} {
			floor, ok = version.CUDA{Major: d.cuda[0], Minor: d.cuda[1]}, true
		}
	}
	return floor, Fact{ID: FactID("nvidia/card-driver/" + c.String()), Standing: Reported, Date: driverDate,
		Source:    "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/, https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html",
		Statement: fmt.Sprintf("compute capability %s is known to CUDA %s and newer and the drivers that came with them", c, floor)}, ok
}
