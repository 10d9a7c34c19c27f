package runpod

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"justright/internal/httpclient"
	"justright/internal/provider"
	"justright/launch"
	"justright/money"
)

// Balance is what the account has and burns.
type Balance struct {
	Credit       money.USD  // may be negative
	SpendPerHour *money.USD // all pods of the account; nil when not told
}

// Balance asks the GraphQL side door: REST v2 has no such call. That API goes away in early 2027; callers say so
// in a word and go on without.
func (p *Provider) Balance(ctx context.Context) (Balance, error) {
	body := []byte(`{"query":"query { myself { clientBalance currentSpendPerHr } }"}`)
	res, err := p.c.http.Do(ctx, httpclient.Request{Method: http.MethodPost, URL: p.c.base + "/graphql", Bearer: p.c.key, Body: body})
	if err != nil {
		return Balance{}, fail("balance", err)
	}
	var doc struct {
		Data *struct {
			Myself *struct {
				Balance *json.Number `json:"clientBalance"`
				Spend   *json.Number `json:"currentSpendPerHr"`
			} `json:"myself"`
		} `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(res.Body, &doc); err != nil {
		return Balance{}, &provider.Error{Op: "balance", Kind: launch.FailUnknown, Status: res.Status, Detail: "the answer is no GraphQL document", Err: err}
	}
	if doc.Data == nil || doc.Data.Myself == nil || doc.Data.Myself.Balance == nil {
		detail := "the answer has no balance"
		if len(doc.Errors) > 0 {
			detail = httpclient.OneLine(p.c.key.Scrub(doc.Errors[0].Message), 200)
		}
		return Balance{}, &provider.Error{Op: "balance", Kind: launch.FailUnknown, Status: res.Status, Detail: detail}
	}
	b := Balance{SpendPerHour: usd(doc.Data.Myself.Spend)}
	if v := usd(doc.Data.Myself.Balance); v != nil {
		b.Credit = *v
	}
	return b, nil
}

// Volume is a network volume: it bills until it is deleted, and it pins a pod to its data center.
type Volume struct {
	ID, Name, DataCenter, Type string
	SizeGB                     int
}

// MonthlyCost is the list price: $0.07 per GB and month up to 1 TB, $0.05 beyond
// (https://docs.runpod.io/pods/pricing); the high-performance tier is dearer and its price not published.
func (v Volume) MonthlyCost() money.USD {
	const cent = money.Dollar / 100
	first := min(v.SizeGB, 1000)
	return money.USD(first)*7*cent + money.USD(v.SizeGB-first)*5*cent
}

// Volumes lists the account's network volumes.
func (p *Provider) Volumes(ctx context.Context) ([]Volume, error) {
	var doc struct {
		Volumes *[]volumeWire `json:"networkVolumes"`
	}
	if err := p.c.do(ctx, call{op: "list volumes", path: "/network-volumes"}, &doc); err != nil {
		return nil, unproven(err)
	}
	if doc.Volumes == nil {
		return nil, notA("list volumes", "list of volumes")
	}
	out := make([]Volume, 0, len(*doc.Volumes))
	for _, w := range *doc.Volumes {
		out = append(out, w.volume())
	}
	return out, nil
}

func (w volumeWire) volume() Volume {
	return Volume{ID: w.ID, Name: w.Name, DataCenter: w.DataCenter, Type: w.Type, SizeGB: w.Size}
}

// CreateVolume makes a network volume; like a pod it is asked for once.
func (p *Provider) CreateVolume(ctx context.Context, name string, sizeGB int, dataCenter string) (Volume, error) {
	var w volumeWire
	in := map[string]any{"name": name, "size": sizeGB, "dataCenter": dataCenter}
	if err := p.c.do(ctx, call{op: "create volume", method: http.MethodPost, path: "/network-volumes", in: in, paid: true}, &w); err != nil {
		return Volume{}, err
	}
	if w.ID == "" {
		return Volume{}, &provider.Error{Op: "create volume", Kind: launch.FailTemporary, Detail: "the answer names no volume"}
	}
	return w.volume(), nil
}

// DeleteVolume removes a network volume and what is on it; deleting what is gone is no error.
func (p *Provider) DeleteVolume(ctx context.Context, id string) error {
	err := p.c.do(ctx, call{op: "delete volume", method: http.MethodDelete, path: "/network-volumes/" + url.PathEscape(id)}, nil)
	if err == nil || denied(err) {
		return nil
	}
	return unproven(err)
}

// DataCenter is a place pods and volumes can be in.
type DataCenter struct {
	ID, Name    string
	VolumeTypes []string // empty: no network volumes there
}

// DataCenters lists them in the API's order.
func (p *Provider) DataCenters(ctx context.Context) ([]DataCenter, error) {
	var doc struct {
		DataCenters *[]dataCenterWire `json:"dataCenters"`
	}
	if err := p.c.do(ctx, call{op: "list data centers", path: "/catalog/datacenters"}, &doc); err != nil {
		return nil, unproven(err)
	}
	if doc.DataCenters == nil {
		return nil, notA("list data centers", "list of data centers")
	}
	out := make([]DataCenter, 0, len(*doc.DataCenters))
	for _, w := range *doc.DataCenters {
		out = append(out, DataCenter{ID: w.ID, Name: w.Name, VolumeTypes: w.VolumeTypes})
	}
	return out, nil
}

// Registry is a stored credential for private images.
type Registry struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Registries lists the account's registry credentials.
func (p *Provider) Registries(ctx context.Context) ([]Registry, error) {
	var doc struct {
		Registries *[]Registry `json:"registries"`
	}
	if err := p.c.do(ctx, call{op: "list registries", path: "/registries"}, &doc); err != nil {
		return nil, unproven(err)
	}
	if doc.Registries == nil {
		return nil, notA("list registries", "list of registries")
	}
	return *doc.Registries, nil
}

// Bill is what the provider says a pod has cost.
type Bill struct {
	PodID            string
	Total, GPU, Disk money.USD
	From, To         time.Time
}

// Billed asks what pods have cost since a time, summed per pod over hourly buckets. An empty id asks for all. A pod
// that is not in the answer has not been billed yet: deduction runs every five minutes
// (https://docs.runpod.io/accounts-billing/billing).
func (p *Provider) Billed(ctx context.Context, podID string, since time.Time) ([]Bill, error) {
	q := url.Values{"bucketSize": {"hour"}, "startTime": {since.UTC().Truncate(time.Hour).Format(time.RFC3339)}}
	if podID != "" {
		q.Set("podId", podID)
	}
	var doc billingWire
	if err := p.c.do(ctx, call{op: "billing", path: "/billing/pods", query: q}, &doc); err != nil {
		return nil, unproven(err)
	}
	var out []Bill
	at := map[string]int{}
	for _, r := range doc.Records {
		i, ok := at[r.PodID]
		if !ok {
			i = len(out)
			at[r.PodID] = i
			out = append(out, Bill{PodID: r.PodID, From: when(r.Start)})
		}
		for dst, n := range map[*money.USD]json.Number{&out[i].Total: r.Total, &out[i].GPU: r.GPU, &out[i].Disk: r.Disk} {
			if v := usd(&n); v != nil {
				*dst += *v
			}
		}
		if t := when(r.End); t.After(out[i].To) {
			out[i].To = t
		}
		if t := when(r.Start); t.Before(out[i].From) {
			out[i].From = t
		}
	}
	return out, nil
}

// Whoami reports whether the key is accepted at all, by the cheapest authenticated read, and the server's clock.
func (p *Provider) Whoami(ctx context.Context) (serverClock time.Time, err error) {
	res, err := p.c.http.Do(ctx, httpclient.Request{URL: p.c.base + "/v2/registries", Bearer: p.c.key})
	if err != nil {
		return time.Time{}, unproven(fail("authenticate", err))
	}
	if !strings.Contains(res.Header.Get("Content-Type"), "json") {
		return res.Date, &provider.Error{Op: "authenticate", Kind: launch.FailUnknown, Status: res.Status, URL: res.URL,
			Detail: "the address answers, but not as RunPod's API"}
	}
	return res.Date, nil
}
