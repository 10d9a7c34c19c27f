package runpodsim

import (
	"net/http"
	"strconv"
	"time"

	"justright/money"
)

// window is the resolved time range of a billing query.
type window struct {
	from, to time.Time
	size     string
}

// maxBuckets bounds what one answer lists.
const maxBuckets = 5000

func billingRoutes(add adder) {
	add("listBilling", "GET", "/billing", (*call).listBilling)
	add("listPodBilling", "GET", "/billing/pods", (*call).podBilling)
	add("listServerlessBilling", "GET", "/billing/serverless", func(c *call) (answer, *apiError) {
		return c.noBilling("serverlessId", "uniqueServerlessCount", "gpuAmount", "cpuAmount", "diskAmount", "feeAmount")
	})
	add("listEndpointBilling", "GET", "/billing/endpoints", func(c *call) (answer, *apiError) { return c.noBilling("", "") })
	add("listNetworkVolumeBilling", "GET", "/billing/network-volumes", (*call).volumeBilling)
	add("listClusterBilling", "GET", "/billing/clusters", (*call).clusterBilling)
}

// window reads the query and aligns it to its buckets.
func (c *call) window() (window, *apiError) {
	v := c.r.URL.Query()
	w := window{size: "day"}
	if v.Has("bucketSize") {
		w.size = v.Get("bucketSize")
	}
	switch w.size {
	case "hour", "day", "week", "month", "year":
	default:
		return w, invalid("query.bucketSize: value must be one of 'hour', 'day', 'week', 'month', 'year'")
	}
	now := c.s.now().UTC()
	w.from, w.to = now.AddDate(0, 0, -30), now
	if v.Has("lastN") {
		n, err := strconv.Atoi(v.Get("lastN"))
		if err != nil || n < 1 {
			return w, invalid("query.lastN: must be an integer of at least 1")
		}
		if v.Has("startTime") || v.Has("endTime") {
			return w, badRequest("lastN is mutually exclusive with startTime and endTime")
		}
		w.to = w.next(w.start(now))
		w.from = w.start(now)
		for range min(n-1, maxBuckets) {
			w.from = w.start(w.from.Add(-time.Second))
		}
		return w, nil
	}
	for _, p := range []struct {
		name string
		to   *time.Time
	}{{"startTime", &w.from}, {"endTime", &w.to}} {
		if !v.Has(p.name) {
			continue
		}
		t, err := time.Parse(time.RFC3339, v.Get(p.name))
		if err != nil {
			return w, invalid("query." + p.name + ": '" + v.Get(p.name) + "' is not valid date-time")
		}
		*p.to = t.UTC()
	}
	if w.to.Before(w.from) {
		return w, badRequest("startTime must be before endTime")
	}
	w.from = w.start(w.from)
	if s := w.start(w.to); !s.Equal(w.to) {
		w.to = w.next(s)
	}
	return w, nil
}

// start is the beginning of the bucket that t lies in.
func (w window) start(t time.Time) time.Time {
	y, m, d := t.Date()
	switch w.size {
	case "hour":
		return t.Truncate(time.Hour)
	case "week":
		day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	case "month":
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case "year":
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
}

func (w window) next(start time.Time) time.Time {
	switch w.size {
	case "hour":
		return start.Add(time.Hour)
	case "week":
		return start.AddDate(0, 0, 7)
	case "month":
		return start.AddDate(0, 1, 0)
	case "year":
		return start.AddDate(1, 0, 0)
	default:
		return start.AddDate(0, 0, 1)
	}
}

// each calls f for every bucket, oldest first. now cuts the last one: nothing is billed ahead of time.
func (w window) each(now time.Time, f func(from, to, until time.Time)) {
	n := 0
	for at := w.from; at.Before(w.to) && n < maxBuckets; n++ {
		end := w.next(at)
		until := end
		if now.Before(until) {
			until = now
		}
		f(at, end, until)
		at = end
	}
}

func (w window) query() map[string]any {
	return map[string]any{"startTime": w.from.Format(time.RFC3339), "endTime": w.to.Format(time.RFC3339), "bucketSize": w.size}
}

// amounts is a row of money under the API's names, with its total.
type amounts map[string]money.USD

func (a amounts) row(names []string) map[string]any {
	out := map[string]any{}
	var total money.USD
	for _, n := range names {
		out[n] = a[n].Float()
		total += a[n]
	}
	out["totalAmount"] = total.Float()
	return out
}

func (a amounts) add(b amounts) {
	for k, v := range b {
		a[k] += v
	}
}

// records is the answer of a billing route: one row for each bucket and thing that cost something.
type records struct {
	rows  []any
	total amounts
	seen  map[string]bool
	names []string
	id    string
}

func (r *records) put(from, to time.Time, id string, a amounts) {
	if r.id != "" {
		sum := money.USD(0)
		for _, v := range a {
			sum += v
		}
		if sum == 0 {
			return
		}
	}
	row := a.row(r.names)
	row["startTime"], row["endTime"] = from.Format(time.RFC3339), to.Format(time.RFC3339)
	if r.id != "" {
		row[r.id] = id
	}
	r.rows = append(r.rows, row)
	r.total.add(a)
	r.seen[id] = true
}

func newRecords(id string, names ...string) *records {
	return &records{rows: []any{}, total: amounts{}, seen: map[string]bool{}, names: names, id: id}
}

func (r *records) answer(w window, filter any, unique string) answer {
	q := w.query()
	if r.id != "" {
		q[r.id] = filter
	}
	meta := map[string]any{"query": q, "recordCount": len(r.rows), "totals": r.total.row(r.names)}
	if unique != "" {
		meta[unique] = len(r.seen)
	}
	return answer{http.StatusOK, map[string]any{"records": r.rows, "metadata": meta}}
}

func (c *call) filter(name string) any {
	if v := c.r.URL.Query(); v.Has(name) {
		return v.Get(name)
	}
	return nil
}

var allAmounts = []string{
	"podGpuAmount", "podCpuAmount", "podDiskAmount", "serverlessGpuAmount", "serverlessCpuAmount", "serverlessDiskAmount", "serverlessFeeAmount",
	"storageStandardAmount", "storageHighPerformanceAmount", "endpointAmount", "clusterGpuAmount", "clusterDiskAmount", "clusterNetworkingAmount",
}

func (c *call) listBilling() (answer, *apiError) {
	w, e := c.window()
	if e != nil {
		return answer{}, e
	}
	rec := newRecords("", allAmounts...)
	w.each(c.s.now(), func(from, to, until time.Time) {
		a := amounts{}
		for _, id := range c.s.order {
			p := c.s.pods[id]
			if p.account != c.who.account {
				continue
			}
			r := p.meter.between(from, until)
			if p.member != nil {
				a.add(amounts{"clusterGpuAmount": r.gpu, "clusterDiskAmount": r.disk})
			} else {
				a.add(amounts{"podGpuAmount": r.gpu, "podCpuAmount": r.cpu, "podDiskAmount": r.disk})
			}
		}
		for _, v := range c.s.volumes.all() {
			if v.account == c.who.account {
				a[map[bool]string{true: "storageHighPerformanceAmount", false: "storageStandardAmount"}[v.Type == "HIGH_PERFORMANCE"]] += v.meter.between(from, until).disk
			}
		}
		rec.put(from, to, "", a)
	})
	return rec.answer(w, nil, ""), nil
}

func (c *call) podBilling() (answer, *apiError) {
	w, e := c.window()
	if e != nil {
		return answer{}, e
	}
	only := c.filter("podId")
	rec := newRecords("podId", "gpuAmount", "cpuAmount", "diskAmount")
	w.each(c.s.now(), func(from, to, until time.Time) {
		for _, id := range c.s.order {
			p := c.s.pods[id]
			if p.account != c.who.account || p.member != nil || only != nil && only != id {
				continue
			}
			r := p.meter.between(from, until)
			rec.put(from, to, id, amounts{"gpuAmount": r.gpu, "cpuAmount": r.cpu, "diskAmount": r.disk})
		}
	})
	return rec.answer(w, only, "uniquePodCount"), nil
}

func (c *call) volumeBilling() (answer, *apiError) {
	w, e := c.window()
	if e != nil {
		return answer{}, e
	}
	only := c.filter("networkVolumeId")
	rec := newRecords("networkVolumeId", "standardAmount", "highPerformanceAmount")
	w.each(c.s.now(), func(from, to, until time.Time) {
		for _, v := range c.s.volumes.all() {
			if v.account != c.who.account || only != nil && only != v.ID {
				continue
			}
			kind := "standardAmount"
			if v.Type == "HIGH_PERFORMANCE" {
				kind = "highPerformanceAmount"
			}
			rec.put(from, to, v.ID, amounts{kind: v.meter.between(from, until).disk})
		}
	})
	return rec.answer(w, only, "uniqueNetworkVolumeCount"), nil
}

func (c *call) clusterBilling() (answer, *apiError) {
	w, e := c.window()
	if e != nil {
		return answer{}, e
	}
	only := c.filter("clusterId")
	rec := newRecords("clusterId", "gpuAmount", "diskAmount", "networkingAmount")
	w.each(c.s.now(), func(from, to, until time.Time) {
		for _, k := range c.s.clusters.all() {
			if k.account != c.who.account || only != nil && only != k.id {
				continue
			}
			gpu, disk := k.spent(from, until)
			rec.put(from, to, k.id, amounts{"gpuAmount": gpu, "diskAmount": disk})
		}
	})
	return rec.answer(w, only, "uniqueClusterCount"), nil
}

// noBilling answers for what the simulator never bills.
func (c *call) noBilling(id, unique string, names ...string) (answer, *apiError) {
	w, e := c.window()
	if e != nil {
		return answer{}, e
	}
	var only any
	if id != "" {
		only = c.filter(id)
	}
	return newRecords(id, names...).answer(w, only, unique), nil
}
