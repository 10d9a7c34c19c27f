package runpod

import (
	"context"
	"net/url"
	"sort"
	"strings"

	"justright/catalog"
	"justright/version"
)

// Offers lists the GPU types of the live catalog with prices, stock, data centers and host CUDA versions, one
// offer for each cloud of Config.Clouds. Stock is a snapshot: only a create reserves.
func (p *Provider) Offers(ctx context.Context) ([]catalog.Offer, error) {
	var out []catalog.Offer
	for _, cloud := range p.cfg.Clouds {
		q := url.Values{"include": {"AVAILABILITY"}, "product": {"POD"}, "cloud": {cloud}}
		var doc struct {
			GPUs *[]gpuTypeWire `json:"gpus"`
		}
		if err := p.c.do(ctx, call{op: "offers", path: "/catalog/gpus", query: q}, &doc); err != nil {
			return nil, unproven(err)
		}
		if doc.GPUs == nil {
			return nil, notA("offers", "list of GPUs")
		}
		date := p.cfg.Now().UTC().Format("2006-01-02")
		for _, g := range *doc.GPUs {
			if o, ok := p.offer(g, cloud); ok {
				o.Source, o.Date = p.cfg.BaseURL+"/v2/catalog/gpus", date
				out = append(out, o)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].ProviderID != out[j].ProviderID {
			return out[i].ProviderID < out[j].ProviderID
		}
		return out[i].Cloud < out[j].Cloud
	})
	return out, nil
}

// offer maps one GPU type; false when it is not offered in that cloud at all.
func (p *Provider) offer(g gpuTypeWire, cloud string) (catalog.Offer, bool) {
	key := strings.ToLower(cloud)
	if g.ID == "" || (key == "secure" && !g.Secure) || (key == "community" && !g.Commun) {
		return catalog.Offer{}, false
	}
	o := catalog.Offer{
		Provider: "runpod", GPU: g.ID, ProviderID: g.ID, Cloud: cloud, MaxCount: g.Max[key], Stock: g.Stock,
		DataCenters: []string{}, HostCUDA: []version.CUDA{},
	}
	if p.cfg.GPU != nil {
		if id := p.cfg.GPU(g.ID); id != "" {
			o.GPU = id
		}
	}
	if price := usd(g.Price[key]); price != nil && *price > 0 {
		o.PricePerHour = price
	}
	for _, d := range g.DCs {
		if d.ID != "" && d.Stock != "NONE" {
			o.DataCenters = append(o.DataCenters, d.ID)
		}
	}
	sort.Strings(o.DataCenters)
	for _, v := range g.CUDA {
		c, err := version.ParseCUDA(v.Version)
		if err == nil && v.Available {
			o.HostCUDA = append(o.HostCUDA, c)
		}
	}
	sort.Slice(o.HostCUDA, func(i, j int) bool { return o.HostCUDA[i].Compare(o.HostCUDA[j]) < 0 })
	return o, true
}
