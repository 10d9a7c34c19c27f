package onhost_test

import (
	"testing"

	"justright/internal/provider/onhost"
)

// nvidia-smi warns in the middle of its table, and says nothing of a card that it cannot read.
func TestTakeSMI(t *testing.T) {
	var m onhost.Machine
	m.TakeSMI("WARNING: infoROM is corrupted at gpu 0000:01:00.0\nNVIDIA L4, 23034, 570.86.10, 8.9\nNVIDIA L4, 23034, 570.86.10, 8.9\n", "| NVIDIA-SMI 570.86.10   Driver Version: 570.86.10   CUDA Version: 12.8 |")
	if len(m.GPUs) != 2 || m.GPUs[1].Name != "NVIDIA L4" || m.GPUs[1].MemoryBytes != 23034<<20 || m.Driver.String() != "570.86.10" || m.Capability.String() != "8.9" || m.CUDA.String() != "12.8" {
		t.Errorf("%+v", m)
	}
}
