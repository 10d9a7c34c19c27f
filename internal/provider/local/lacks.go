package local

import (
	"context"

	"justright/internal/provider/onhost"
)

// Lacks names the programs that a start on this machine needs and PATH does not hold; nil when all are there. A Python may
// stand elsewhere too, so it is asked for as the start does.
func (p *Provider) Lacks(ctx context.Context) []string {
	var out []string
	for _, name := range onhost.Tools() {
		if p.c.Find(name) == "" {
			out = append(out, name)
		}
	}
	if p.c.Find("python3") == "" && len(p.pythons(ctx)) == 0 {
		out = append(out, "python3")
	}
	return out
}
