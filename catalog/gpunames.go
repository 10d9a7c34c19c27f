package catalog

import (
	"slices"
	"strings"

	"justright/version"
)

// Card is what a GPU's name alone says, for any card somebody may name, rented by a provider or not. Capabilities are
// from NVIDIA's list (developer.nvidia.com/cuda-gpus), memory from the data sheets.
type Card struct {
	Name       string
	Capability version.Capability
	MemoryGiB  int  // marketing size of the only or most common variant; 0 when variants differ
	Consumer   bool // GeForce or TITAN: no forward compatibility, no NVIDIA_REQUIRE_CUDA brand clause
	ARM        bool // sits beside an aarch64 CPU
	Unified    bool // shares memory with the CPU
}

// CardSource is where Card figures come from.
const CardSource = "https://developer.nvidia.com/cuda-gpus"

func sm(major, minor int) version.Capability { return version.Capability{Major: major, Minor: minor} }

// cards, most specific name first: a name matches when all its words stand in the text as whole words.
var cards = []Card{
	{"gb300", sm(10, 3), 288, false, true, false}, {"b300", sm(10, 3), 288, false, false, false},
	{"gb200", sm(10, 0), 192, false, true, false}, {"b200", sm(10, 0), 192, false, false, false}, {"b100", sm(10, 0), 192, false, false, false},
	{"gb10", sm(12, 1), 128, false, true, true}, {"dgx spark", sm(12, 1), 128, false, true, true},
	{"jetson thor", sm(11, 0), 128, false, true, true}, {"agx thor", sm(11, 0), 128, false, true, true}, {"thor", sm(11, 0), 128, false, true, true},
	{"jetson orin", sm(8, 7), 0, false, true, true}, {"agx orin", sm(8, 7), 64, false, true, true}, {"orin", sm(8, 7), 0, false, true, true},
	{"xavier", sm(7, 2), 32, false, true, true},
	{"gh200", sm(9, 0), 96, false, true, false}, {"h200", sm(9, 0), 141, false, false, false}, {"h20e", sm(9, 0), 141, false, false, false},
	{"h20", sm(9, 0), 96, false, false, false}, {"h100 nvl", sm(9, 0), 94, false, false, false}, {"h100", sm(9, 0), 80, false, false, false},
	{"h800", sm(9, 0), 80, false, false, false},
	{"a800", sm(8, 0), 80, false, false, false}, {"a100 40gb", sm(8, 0), 40, false, false, false}, {"a100", sm(8, 0), 80, false, false, false}, {"a30", sm(8, 0), 24, false, false, false},
	{"l40s", sm(8, 9), 48, false, false, false}, {"l40", sm(8, 9), 48, false, false, false}, {"l20", sm(8, 9), 48, false, false, false},
	{"l4", sm(8, 9), 24, false, false, false}, {"l2", sm(8, 9), 24, false, false, false},
	{"a10g", sm(8, 6), 24, false, false, false}, {"a10", sm(8, 6), 24, false, false, false}, {"a16", sm(8, 6), 16, false, false, false},
	{"a40", sm(8, 6), 48, false, false, false}, {"a2", sm(8, 6), 16, false, false, false},
	{"t4", sm(7, 5), 16, false, false, false}, {"t4g", sm(7, 5), 16, false, true, false}, {"v100", sm(7, 0), 32, false, false, false}, {"v100s", sm(7, 0), 32, false, false, false},
	{"p100", sm(6, 0), 16, false, false, false}, {"p40", sm(6, 1), 24, false, false, false}, {"p4", sm(6, 1), 8, false, false, false},
	{"m40", sm(5, 2), 24, false, false, false}, {"m60", sm(5, 2), 8, false, false, false}, {"k80", sm(3, 7), 12, false, false, false}, {"k40", sm(3, 5), 12, false, false, false},

	{"rtx pro 6000", sm(12, 0), 96, false, false, false}, {"rtx pro 5000", sm(12, 0), 48, false, false, false}, {"rtx pro 4500", sm(12, 0), 32, false, false, false},
	{"rtx pro 4000", sm(12, 0), 24, false, false, false}, {"rtx pro 2000", sm(12, 0), 16, false, false, false}, {"rtx 6000 blackwell", sm(12, 0), 96, false, false, false},
	{"rtx 6000 ada", sm(8, 9), 48, false, false, false}, {"6000 ada", sm(8, 9), 48, false, false, false}, {"rtx 5000 ada", sm(8, 9), 32, false, false, false},
	{"rtx 4500 ada", sm(8, 9), 24, false, false, false}, {"rtx 4000 ada", sm(8, 9), 20, false, false, false}, {"4000 sff", sm(8, 9), 20, false, false, false},
	{"rtx 2000 ada", sm(8, 9), 16, false, false, false},
	{"rtx a6000", sm(8, 6), 48, false, false, false}, {"a6000", sm(8, 6), 48, false, false, false}, {"rtx a5500", sm(8, 6), 24, false, false, false},
	{"rtx a5000", sm(8, 6), 24, false, false, false}, {"a5000", sm(8, 6), 24, false, false, false}, {"rtx a4500", sm(8, 6), 20, false, false, false}, {"a4500", sm(8, 6), 20, false, false, false},
	{"rtx a4000", sm(8, 6), 16, false, false, false}, {"a4000", sm(8, 6), 16, false, false, false}, {"rtx a2000", sm(8, 6), 12, false, false, false},
	{"quadro rtx 8000", sm(7, 5), 48, false, false, false}, {"quadro rtx 6000", sm(7, 5), 24, false, false, false}, {"quadro rtx 5000", sm(7, 5), 16, false, false, false},
	{"rtx 8000", sm(7, 5), 48, false, false, false}, {"quadro gv100", sm(7, 0), 32, false, false, false}, {"quadro p6000", sm(6, 1), 24, false, false, false},
	{"titan v", sm(7, 0), 12, true, false, false}, {"titan rtx", sm(7, 5), 24, true, false, false}, {"titan xp", sm(6, 1), 12, true, false, false}, {"titan x", sm(6, 1), 12, true, false, false},

	{"5090", sm(12, 0), 32, true, false, false}, {"5090d", sm(12, 0), 32, true, false, false}, {"5080", sm(12, 0), 16, true, false, false},
	{"5070 ti", sm(12, 0), 16, true, false, false}, {"5070ti", sm(12, 0), 16, true, false, false}, {"5070", sm(12, 0), 12, true, false, false},
	{"5060 ti", sm(12, 0), 16, true, false, false}, {"5060ti", sm(12, 0), 16, true, false, false}, {"5060", sm(12, 0), 8, true, false, false}, {"5050", sm(12, 0), 8, true, false, false},
	{"4090", sm(8, 9), 24, true, false, false}, {"4090d", sm(8, 9), 24, true, false, false}, {"4080", sm(8, 9), 16, true, false, false},
	{"4070 ti super", sm(8, 9), 16, true, false, false}, {"4070", sm(8, 9), 12, true, false, false}, {"4060 ti", sm(8, 9), 0, true, false, false}, {"4060", sm(8, 9), 8, true, false, false},
	{"3090", sm(8, 6), 24, true, false, false}, {"3080 ti", sm(8, 6), 12, true, false, false}, {"3080", sm(8, 6), 12, true, false, false},
	{"3070", sm(8, 6), 8, true, false, false}, {"3060 ti", sm(8, 6), 8, true, false, false}, {"3060", sm(8, 6), 12, true, false, false}, {"3050", sm(8, 6), 8, true, false, false},
	{"2080 ti", sm(7, 5), 11, true, false, false}, {"2080ti", sm(7, 5), 11, true, false, false}, {"2080", sm(7, 5), 8, true, false, false}, {"2070", sm(7, 5), 8, true, false, false},
	{"2060", sm(7, 5), 6, true, false, false}, {"1660", sm(7, 5), 6, true, false, false}, {"1650", sm(7, 5), 4, true, false, false},
	{"1080 ti", sm(6, 1), 11, true, false, false}, {"1080ti", sm(6, 1), 11, true, false, false}, {"1080", sm(6, 1), 8, true, false, false}, {"1070", sm(6, 1), 8, true, false, false}, {"1060", sm(6, 1), 6, true, false, false},
	{"980", sm(5, 2), 4, true, false, false}, {"970", sm(5, 2), 4, true, false, false},
}

// NamesCard reports whether a text names a card and nothing else: beside the name only what makers and data sheets write around it.
func NamesCard(text string) bool {
	c, ok := FindCard(text)
	if !ok || strings.Contains(text, "/") {
		return false
	}
	around := append(strings.Fields("nvidia geforce quadro tesla titan jetson agx rtx gtx gpu card laptop mobile max q workstation server edition "+
		"blackwell ada generation super ti d pcie pcie4 pcie5 sxm sxm2 sxm3 sxm4 sxm5 sxm6 nvl hbm2 hbm2e hbm3 hbm3e gb gib tensor core memory vram"), strings.Fields(c.Name)...)
	for _, w := range words(text) {
		number := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(w, "rtx"), "gtx"), "gib"), "gb"), "g")
		if !slices.Contains(around, w) && !slices.Contains(around, number) && strings.Trim(number, "0123456789") != "" {
			return false
		}
	}
	return true
}

func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	})
}

// FindCard reads a GPU's name as people and tools write it: "NVIDIA GeForce RTX 5090", "Tesla V100-SXM2-32GB",
// "A100-PCIE-40GB", "B300/GB300", "Quadro RTX 6000". A size in the name wins over the table's. ok is false for a name
// that says nothing, and for one that fits different capabilities ("RTX 6000").
func FindCard(text string) (Card, bool) {
	words := words(text)
	spaced := " " + strings.Join(words, " ") + " "
	for _, prefix := range []string{"rtx", "gtx"} { // "rtx4090"
		spaced = strings.ReplaceAll(spaced, " "+prefix+" ", " "+prefix+" ")
		for _, w := range words {
			if rest, ok := strings.CutPrefix(w, prefix); ok && rest != "" {
				spaced = strings.ReplaceAll(spaced, " "+w+" ", " "+prefix+" "+rest+" ")
			}
		}
	}
	best := -1
	for i, c := range cards {
		if strings.Contains(spaced, " "+c.Name+" ") && (best < 0 || len(c.Name) > len(cards[best].Name)) {
			best = i
		}
	}
	if best < 0 {
		return Card{}, false
	}
	c := cards[best]
	for _, w := range words {
		if n, ok := strings.CutSuffix(w, "gb"); ok {
			size := 0
			for _, d := range n {
				if d < '0' || d > '9' {
					size = -1
					break
				}
				size = size*10 + int(d-'0')
			}
			if size >= 4 && size <= 1000 {
				c.MemoryGiB = size
			}
		}
	}
	return c, true
}
