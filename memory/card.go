package memory

import (
	"strconv"
	"strings"

	"justright/catalog"
)

// visible is what the driver reports of a card's marketing size, in GiB: error correction and the driver keep some.
// Published log lines and nvidia-smi outputs; the rest follow their size.
var visible = []struct {
	name string
	gib  float64
}{
	{"gb10", 121.6}, {"dgx spark", 121.6}, {"h100 nvl", 93.0}, {"h200", 139.8}, {"h20", 95.6}, {"gh200", 94.5}, {"b200", 178.3}, {"gb200", 184.0},
	{"b300", 267.7}, {"gb300", 277.0}, {"l40s", 44.4}, {"l40", 44.4}, {"a40", 44.4}, {"l20", 44.5}, {"l4", 22.0}, {"a10g", 22.0}, {"a10", 22.5}, {"t4", 14.6}, {"a100 40gb", 39.4},
	{"rtx pro 6000", 94.97}, {"rtx 6000 blackwell", 94.97}, {"5090", 31.36}, {"5080", 15.47}, {"4090", 23.52}, {"3090", 23.56}, {"v100", 31.74},
}

var visibleBySize = map[int]float64{8: 7.7, 11: 10.7, 12: 11.7, 16: 15.6, 20: 19.6, 24: 23.6, 32: 31.4, 40: 39.4, 48: 47.4, 64: 61.3, 80: 79.2, 90: 83.8, 94: 93.0, 96: 94.97, 128: 121.6, 141: 139.8, 180: 178.3, 192: 178.3, 288: 267.7}

// instances are cards by the machine types that clouds rent them in; a part of the type's name.
// Sources: https://aws.amazon.com/ec2/instance-types, https://learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated,
// https://cloud.google.com/compute/docs/gpus.
var instances = []struct{ part, card string }{
	{"g4dn.", "T4"}, {"g5.", "A10G"}, {"g6e.", "L40S"}, {"g6.", "L4"}, {"p3.", "V100 16GB"}, {"p3dn.", "V100 32GB"}, {"p4d.", "A100 40GB"}, {"p4de.", "A100 80GB"},
	{"p5.", "H100 80GB"}, {"p5e.", "H200"}, {"p5en.", "H200"}, {"p6-b200", "B200"},
	{"a100_v4", "A100 80GB"}, {"nd96asr", "A100 40GB"}, {"nd96amsr", "A100 80GB"}, {"ads_h100", "H100 NVL"}, {"adis_h100", "H100 NVL"}, {"h100_v5", "H100 80GB"}, {"h200_v5", "H200"},
	{"nc4as_t4", "T4"}, {"ads_a10_v5", "A10"},
	{"a2-highgpu", "A100 40GB"}, {"a2-megagpu", "A100 40GB"}, {"a2-ultragpu", "A100 80GB"}, {"a3-highgpu", "H100 80GB"}, {"a3-megagpu", "H100 80GB"}, {"a3-ultragpu", "H200"}, {"g2-standard", "L4"},
}

// cardOfInstance is the card of a machine type, and whatever else text says as it is.
func cardOfInstance(text string) string {
	lower := strings.ToLower(text)
	for _, in := range instances {
		at := strings.Index(lower, in.part)
		if at == 0 || at > 0 && (lower[at-1] < 'a' || lower[at-1] > 'z') {
			return in.card
		}
	}
	return text
}

// CardOf reads a card's name as people write it, or a bare size ("24 GB GPU"), into what the driver will report.
// ok is false when the text tells no memory size.
func CardOf(text string) (g GPU, ok bool) {
	text = cardOfInstance(text)
	g.Name = text
	size := 0
	c, known := catalog.FindCard(text)
	if known {
		g.Capability, g.Unified, size = c.Capability, c.Unified, c.MemoryGiB
	}
	if stated := sizeIn(text); stated > 0 {
		size = stated
	}
	gib := 0.0
	if known {
		for _, v := range visible {
			if v.name == c.Name {
				gib = v.gib
			}
		}
		// A size in the name that is not the card's usual one is another variant.
		if gib > 0 && size > 0 && (float64(size) > gib*1.25 || float64(size) < gib*0.9) {
			gib = 0
		}
	}
	if gib == 0 && size > 0 {
		if gib, ok = visibleBySize[size]; !ok {
			gib = float64(size) * 0.98
		}
	}
	g.TotalBytes = int64(gib * GiB)
	return g, gib > 0
}

// sizeIn finds "24 GB", "24GiB" or "24G" in text.
func sizeIn(text string) int {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
	for i, w := range words {
		for _, unit := range []string{"gib", "gb"} {
			n, cut := strings.CutSuffix(w, unit)
			if !cut {
				continue
			}
			if n == "" && i > 0 {
				n = words[i-1]
			}
			if v, err := strconv.Atoi(n); err == nil && v >= 4 && v <= 1024 {
				return v
			}
		}
	}
	return 0
}
