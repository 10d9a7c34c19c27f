package export

import (
	"strings"

	"justright/catalog"
)

// coreName is a card's name without what tells its builds apart: "A100 SXM 80GB" is A100, "RTX PRO 6000 Blackwell
// Server Edition" is RTXPRO6000.
func coreName(g catalog.GPU, id string) string {
	if g.Name == "" {
		return id
	}
	var kept []string
	for _, w := range strings.Fields(g.Name) {
		switch w {
		case "SXM", "SXM2", "SXM3", "PCIe", "Blackwell", "Server", "Workstation", "Max-Q", "Edition", "OAM":
			continue
		}
		if n, ok := strings.CutSuffix(w, "GB"); ok && strings.Trim(n, "0123456789") == "" {
			continue
		}
		kept = append(kept, w)
	}
	return strings.Join(kept, "")
}

// skyName is SkyPilot's name of a card, as sky show-gpus lists them.
func skyName(g catalog.GPU, id string) string {
	switch n := coreName(g, id); {
	case n == "A100" && g.MarketingGB == 80:
		return "A100-80GB"
	case n == "V100" && g.MarketingGB == 32:
		return "V100-32GB"
	case strings.HasPrefix(n, "RTX") && strings.HasSuffix(n, "Ada"):
		return strings.TrimSuffix(n, "Ada") + "-Ada"
	default:
		return n
	}
}

// dstackName is dstack's name of a card, as its gpuhunt lists them; sizes stand beside it, not in it.
func dstackName(g catalog.GPU, id string) string {
	n := coreName(g, id)
	if rest, ok := strings.CutPrefix(n, "RTXA"); ok {
		return "A" + rest // A4000, A5000, A6000
	}
	return n
}
