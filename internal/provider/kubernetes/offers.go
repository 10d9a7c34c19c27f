package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/catalog"
	"justright/internal/kubeobject"
	"justright/money"
	"justright/version"
)

// Labels that NVIDIA's GPU feature discovery puts on nodes (https://github.com/NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery),
// those of clouds that name the card themselves, and the one by which an hour's price may be told.
const (
	gpuProduct  = "nvidia.com/gpu.product"
	gpuMemory   = "nvidia.com/gpu.memory" // MiB
	gpuReplicas = "nvidia.com/gpu.replicas"
	gpuSharing  = "nvidia.com/gpu.sharing-strategy"
	priceLabel  = "justright/price-per-hour" // dollars of one card, or of one machine without
)

var (
	// driverLabels and cudaLabels: whole, else major, minor and revision, in the new and the old spelling.
	driverLabels = [][]string{{"nvidia.com/cuda.driver-version.full"}, {"nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver-version.minor", "nvidia.com/cuda.driver-version.revision"}, {"nvidia.com/cuda.driver.major", "nvidia.com/cuda.driver.minor", "nvidia.com/cuda.driver.rev"}}
	cudaLabels   = [][]string{{"nvidia.com/cuda.runtime-version.full"}, {"nvidia.com/cuda.runtime-version.major", "nvidia.com/cuda.runtime-version.minor"}, {"nvidia.com/cuda.runtime.major", "nvidia.com/cuda.runtime.minor"}}
	// cardLabels name the card where feature discovery does not.
	cardLabels = []string{gpuProduct, "cloud.google.com/gke-accelerator", "karpenter.k8s.aws/instance-gpu-name", "node.coreweave.cloud/gpu", "gpu.nvidia.com/class"}
)

// node is what counts of a node.
type node struct {
	name     string
	cards    int // allocatable whole cards
	free     int // of them not asked for by anybody
	exact    bool
	select1  string // ProviderID: the labels a pod must ask for
	product  string
	memory   int64
	driver   version.Driver
	cuda     version.CUDA
	zone     string
	price    *money.USD
	cpu, ram int64 // free, in thousandths and bytes
	allRAM   int64
	pods     int64
	dropped  string // why it is not offered
}

// Offers lists the cards of the cluster's nodes by kind, driver and CUDA version, with what is free of each: allocatable less what
// pods have asked for. What nodes do not tell stays unknown. Nodes without a card are offered where there is none with one.
func (p *Provider) Offers(ctx context.Context) ([]catalog.Offer, error) {
	nodes, err := p.nodes(ctx)
	if err != nil {
		return nil, err
	}
	var out []catalog.Offer
	groups := map[string][]node{}
	var order []string
	cards := false
	for _, n := range nodes {
		cards = cards || n.cards > 0
		if n.dropped != "" || n.cards == 0 || n.product == "" {
			continue
		}
		if groups[n.select1] == nil {
			order = append(order, n.select1)
		}
		groups[n.select1] = append(groups[n.select1], n)
	}
	slices.Sort(order)
	for _, key := range order {
		out = append(out, p.offer(groups[key]))
	}
	p.mu.Lock()
	p.cards, p.rooms = cards, roomsOf(nodes)
	p.mu.Unlock()
	if !cards || p.cfg.CPU {
		if o, ok := p.cpuOffer(nodes); ok {
			out = append(out, o)
		}
	}
	return out, nil
}

// roomsOf lists what each node that is offered has free, by the selector of its offer.
func roomsOf(nodes []node) map[string][]int {
	out := map[string][]int{}
	for _, n := range nodes {
		switch {
		case n.dropped != "":
		case n.cards > 0 && n.product != "":
			out[n.select1] = append(out[n.select1], n.free)
		case n.cards == 0:
			out[""] = append(out[""], int(max(0, min(n.cpu/500, n.ram/(4<<30), n.pods))))
		}
	}
	return out
}

// Unoffered says, for people, which nodes are not offered and why.
func (p *Provider) Unoffered(ctx context.Context) ([]string, error) {
	nodes, err := p.nodes(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range nodes {
		switch {
		case n.dropped != "":
			out = append(out, n.name+": "+n.dropped)
		case n.cards > 0 && n.product == "":
			out = append(out, n.name+": no label says which card it has; GPU feature discovery sets "+gpuProduct)
		case n.cards > 0 && n.free == 0:
			out = append(out, fmt.Sprintf("%s: all %d cards are taken", n.name, n.cards))
		}
	}
	return out, nil
}

// offer sums up nodes of one kind.
func (p *Provider) offer(group []node) catalog.Offer {
	n := group[0]
	o := p.head()
	o.ProviderID, o.GPU, o.Driver = n.select1, n.product, n.driver
	if p.cfg.GPU != nil {
		if id := p.cfg.GPU(n.product); id != "" && p.sameMemory(id, n.memory) {
			o.GPU = id
		}
	}
	if !n.cuda.IsZero() {
		o.HostCUDA = []version.CUDA{n.cuda}
	}
	o.PricePerHour = p.cfg.Price
	exact, free := true, 0
	for _, m := range group {
		exact = exact && m.exact
		free += m.free
		o.MaxCount = max(o.MaxCount, m.free)
		if m.zone != "" {
			o.DataCenters = append(o.DataCenters, m.zone)
		}
		if p.cfg.Price == nil && m.price != nil && (o.PricePerHour == nil || *m.price > *o.PricePerHour) {
			o.PricePerHour = m.price // any of them may be the one
		}
	}
	slices.Sort(o.DataCenters)
	o.DataCenters = slices.Compact(o.DataCenters)
	switch {
	case free == 0:
		o.Stock = "NONE"
	case !exact: // others' pods cannot be seen
	case free == 1:
		o.Stock = "LOW"
	default:
		o.Stock = "HIGH"
	}
	return o
}

func (p *Provider) head() catalog.Offer {
	return catalog.Offer{Provider: Name, DataCenters: []string{}, HostCUDA: []version.CUDA{}, Source: p.c.base + coreV1 + "/nodes",
		Date: p.cfg.Now().UTC().Format(time.DateOnly)}
}

// sameMemory compares what the node says of its card's memory with the catalog's: a name may be two cards.
func (p *Provider) sameMemory(id string, bytes int64) bool {
	if p.cfg.Memory == nil || bytes == 0 {
		return true
	}
	want := p.cfg.Memory(id)
	return want == 0 || bytes > want-want/8 && bytes < want+want/8
}

// cpuOffer is a machine without a card.
func (p *Provider) cpuOffer(nodes []node) (catalog.Offer, bool) {
	o := p.head()
	o.PricePerHour = p.cfg.Price
	least := [2]int64{}
	for _, n := range nodes {
		if n.dropped != "" || n.cards > 0 || n.cpu < 500 || n.ram < 4<<30 || n.pods < 1 {
			continue
		}
		o.MaxCount, o.Stock = 1, "HIGH"
		for i, bytes := range []int64{n.allRAM, n.ram} {
			if least[i] == 0 || bytes < least[i] {
				least[i] = bytes // the scheduler may take any of them
			}
		}
		if p.cfg.Price == nil && n.price != nil && (o.PricePerHour == nil || *n.price > *o.PricePerHour) {
			o.PricePerHour = n.price
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.host = least
	return o, o.Stock != ""
}

// HostMemory is the least memory of the nodes that the last Offers offered for the CPU build, in bytes: all of it, and what pods have not
// asked for. 0 is not known.
func (p *Provider) HostMemory() (total, free int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.host[0], p.host[1]
}

// HasCards reports whether any node of the last Offers has a card, free or not, ready or not.
func (p *Provider) HasCards() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cards
}

// nodes reads the cluster's nodes and what their pods have asked for.
func (p *Provider) nodes(ctx context.Context) ([]node, error) {
	raw, err := all[corev1.Node](ctx, p.c, "offers", coreV1+"/nodes", nil)
	if err != nil {
		return nil, unproven(err)
	}
	// Ended pods hold nothing. Who may not see all namespaces learns what its own has taken.
	q := url.Values{"fieldSelector": {"status.phase!=Succeeded,status.phase!=Failed"}}
	exact := true
	pods, err := all[corev1.Pod](ctx, p.c, "offers", coreV1+"/pods", q)
	if statusOf(err) == http.StatusForbidden {
		exact = false
		pods, err = all[corev1.Pod](ctx, p.c, "offers", p.path(coreV1, "pods"), q)
	}
	if err != nil {
		return nil, unproven(err)
	}
	taken := map[string]corev1.ResourceList{}
	count := map[string]int64{}
	for _, pod := range pods {
		if pod.Spec.NodeName == "" {
			continue
		}
		count[pod.Spec.NodeName]++
		sum := taken[pod.Spec.NodeName]
		if sum == nil {
			sum = corev1.ResourceList{}
			taken[pod.Spec.NodeName] = sum
		}
		for k, v := range requestsOf(pod.Spec) {
			have := sum[k]
			have.Add(v)
			sum[k] = have
		}
	}
	var out []node
	for _, r := range raw {
		n := nodeOf(r)
		n.exact = exact
		t := taken[r.Name]
		has := func(k corev1.ResourceName) int64 {
			q := r.Status.Allocatable[k]
			u := t[k]
			return q.MilliValue() - u.MilliValue()
		}
		n.free = max(0, int(has(kubeobject.GPU)/1000))
		n.cpu, n.ram = has(corev1.ResourceCPU), has(corev1.ResourceMemory)/1000
		n.allRAM = r.Status.Allocatable.Memory().Value()
		n.pods = r.Status.Allocatable.Pods().Value() - count[r.Name]
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b node) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// requestsOf is what the scheduler counts for a pod: its containers together, or the largest of its first ones.
func requestsOf(pod corev1.PodSpec) corev1.ResourceList {
	sum := corev1.ResourceList{}
	add := func(into, r corev1.ResourceList) {
		for k, v := range r {
			have := into[k]
			have.Add(v)
			into[k] = have
		}
	}
	for _, c := range pod.Containers {
		add(sum, c.Resources.Requests)
	}
	beside := corev1.ResourceList{} // init containers that go on
	for _, c := range pod.InitContainers {
		need := corev1.ResourceList{}
		add(need, c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(beside, c.Resources.Requests)
			continue
		}
		add(need, beside)
		for k, v := range need {
			if have := sum[k]; v.Cmp(have) > 0 {
				sum[k] = v
			}
		}
	}
	add(sum, beside)
	add(sum, pod.Overhead)
	return sum
}

// nodeOf reads one node's own words.
func nodeOf(r corev1.Node) node {
	n := node{name: r.Name, zone: r.Labels[corev1.LabelTopologyZone], dropped: unusable(r)}
	if q, ok := r.Status.Allocatable[kubeobject.GPU]; ok {
		n.cards = int(q.Value())
	}
	if v, err := money.Parse(r.Labels[priceLabel]); err == nil && v > 0 {
		n.price = &v
	}
	if n.cards == 0 {
		return n
	}
	if s := r.Labels[gpuSharing]; s != "" && s != "none" || strings.HasSuffix(r.Labels[gpuProduct], "-SHARED") || number(r.Labels[gpuReplicas]) > 1 {
		n.dropped = "its cards are shared: memory is not the pod's own"
	}
	var labels []string
	for _, k := range cardLabels {
		if v := r.Labels[k]; v != "" {
			n.product = cardName(v)
			labels = append(labels, k+"="+v)
			break
		}
	}
	n.memory = int64(number(r.Labels[gpuMemory])) << 20
	if v, used := labelled(r.Labels, driverLabels); v != "" {
		if d, err := version.ParseDriver(v); err == nil {
			n.driver = d
			labels = append(labels, used...)
		}
	}
	if v, used := labelled(r.Labels, cudaLabels); v != "" {
		if c, err := version.ParseCUDA(majorMinor(v)); err == nil {
			n.cuda = c
			labels = append(labels, used...)
		}
	}
	n.select1 = strings.Join(labels, ",")
	return n
}

// labelled joins the first spelling of a version that a node has, and names the labels it is made of.
func labelled(labels map[string]string, spellings [][]string) (v string, used []string) {
	for _, keys := range spellings {
		var parts []string
		used = nil
		for _, k := range keys {
			if x := labels[k]; x != "" {
				parts, used = append(parts, x), append(used, k+"="+x)
			}
		}
		if len(parts) > 0 && labels[keys[0]] != "" {
			return strings.Join(parts, "."), used
		}
	}
	return "", nil
}

func majorMinor(v string) string {
	parts := strings.SplitN(v, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// cardName makes the card's own name of a label's value, which has no blanks: "NVIDIA-L4", "nvidia-tesla-t4".
func cardName(v string) string { return strings.ReplaceAll(v, "-", " ") }

// unusable says why no pod of ours would be put on a node; empty when one may.
func unusable(r corev1.Node) string {
	if r.Spec.Unschedulable {
		return "it takes no new pods (cordoned)"
	}
	ready := false
	for _, c := range r.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = c.Status == corev1.ConditionTrue
		}
	}
	if !ready {
		return "it is not ready"
	}
	for _, t := range r.Spec.Taints {
		if (t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute) && t.Key != kubeobject.GPU {
			return "its taint " + t.Key + " keeps pods away"
		}
	}
	return ""
}
