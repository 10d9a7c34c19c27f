package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"justright/money"
)

// Dollars is what a model costs.
type Dollars struct {
	Model   string
	Spent   money.USD // by all its launches in the journal
	Today   money.USD // of it since midnight UTC
	PerHour money.USD // now
}

// metrics are the gateway's counters. A model's label is its hub id, or what clients call a directory; one of those the gateway knows:
// what clients write is no label.
type metrics struct {
	g          *Gateway
	handler    http.Handler
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	firstByte  *prometheus.HistogramVec
	waited     *prometheus.HistogramVec
	running    *prometheus.GaugeVec
	queued     *prometheus.GaugeVec
	tokens     *prometheus.CounterVec
	broken     *prometheus.CounterVec
	again      *prometheus.CounterVec
	ejections  *prometheus.CounterVec
	wakes      *prometheus.CounterVec
	wakeTime   *prometheus.HistogramVec
	replicas   *prometheus.Desc
	inFlight   *prometheus.Desc
	spent      *prometheus.Desc
	spentToday *prometheus.Desc
	perHour    *prometheus.Desc
}

func newMetrics(g *Gateway) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "justright_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "justright_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "justright_" + name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: 1.1}, labels)
	}
	answers := []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 50, 100, 300, 600}
	boots := []float64{10, 30, 60, 120, 180, 300, 450, 600, 900, 1800, 3600}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("justright_"+name, help, labels, nil)
	}
	m := &metrics{
		g:          g,
		requests:   counter("requests_total", "Requests that were answered, by model, path and status.", "model", "path", "code"),
		seconds:    histogram("request_seconds", "From a request to the end of its answer.", answers, "model"),
		firstByte:  histogram("first_byte_seconds", "From a request to the first byte of its answer, the wait for a model that woke left out.", answers, "model"),
		waited:     histogram("wake_wait_seconds", "How long requests waited for their model to wake.", boots, "model"),
		running:    gauge("requests_in_flight", "Requests that are being answered or wait.", "model"),
		queued:     gauge("requests_waiting", "Requests that wait for their model to wake.", "model"),
		tokens:     counter("tokens_total", "Tokens by the usage in answers; a stream without include_usage has none.", "model", "kind"),
		broken:     counter("broken_streams_total", "Answers that broke off although the client was still there.", "model"),
		again:      counter("retries_total", "Requests that were sent to a further replica.", "model"),
		ejections:  counter("ejections_total", "Replicas that were taken out for failing.", "model"),
		wakes:      counter("wakes_total", "Wakes, by how they ended: ready, failed.", "model", "outcome"),
		wakeTime:   histogram("wake_seconds", "How long wakes took.", boots, "model", "outcome"),
		replicas:   desc("replicas", "Proven replicas, by state: up, ejected, leaving.", "model", "state"),
		inFlight:   desc("replica_requests", "Requests at a replica now.", "model", "launch"),
		spent:      desc("spent_dollars", "What the model's launches have cost, by the journal.", "model"),
		spentToday: desc("spent_today_dollars", "Of it since midnight UTC: what the daily budget bounds.", "model"),
		perHour:    desc("dollars_per_hour", "What the model costs an hour now.", "model"),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.requests, m.seconds, m.firstByte, m.waited, m.running, m.queued, m.tokens, m.broken, m.again, m.ejections, m.wakes, m.wakeTime, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

// Describe names what is read when it is asked for.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.replicas, m.inFlight, m.spent, m.spentToday, m.perHour} {
		ch <- d
	}
}

// Collect reads the fleet and the journal.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	value := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := map[[2]string]int{}
	for _, mod := range m.g.fleet.Models() {
		count[[2]string{m.g.label(mod.ID), "up"}] = 0
	}
	for _, r := range m.g.fleet.Status() {
		state := "up"
		switch {
		case r.Leaving:
			state = "leaving"
		case r.Ejected:
			state = "ejected"
		}
		model := m.g.label(r.Model)
		count[[2]string{model, state}]++
		value(m.inFlight, float64(r.InFlight), model, r.Launch)
	}
	for k, n := range count {
		value(m.replicas, float64(n), k[0], k[1])
	}
	if m.g.o.Dollars == nil {
		return
	}
	sum := map[string]Dollars{} // two directories may have one name
	for _, d := range m.g.o.Dollars() {
		model := m.g.label(d.Model)
		s := sum[model]
		sum[model] = Dollars{model, s.Spent + d.Spent, s.Today + d.Today, s.PerHour + d.PerHour}
	}
	for _, d := range sum {
		value(m.spent, dollars(d.Spent), d.Model)
		value(m.spentToday, dollars(d.Today), d.Model)
		value(m.perHour, dollars(d.PerHour), d.Model)
	}
}

// label is the model's name in a request's figures.
func (m *metrics) label(j *job) string { return m.g.label(j.meant.model) }

func dollars(u money.USD) float64 { return float64(u) / float64(money.Dollar) }

func (m *metrics) begin(j *job) { m.running.WithLabelValues(m.label(j)).Inc() }

func (m *metrics) end(j *job) { m.running.WithLabelValues(m.label(j)).Dec() }

func (m *metrics) waiting(j *job, n float64) { m.queued.WithLabelValues(m.label(j)).Add(n) }

func (m *metrics) first(j *job, d time.Duration) {
	m.firstByte.WithLabelValues(m.label(j)).Observe(d.Seconds())
}

func (m *metrics) retried(j *job) { m.again.WithLabelValues(m.label(j)).Inc() }

func (m *metrics) ejected(model string) { m.ejections.WithLabelValues(m.g.label(model)).Inc() }

// refused counts a request that did not get in; its path is whatever somebody typed.
func (m *metrics) refused(status int) { m.requests.WithLabelValues("", "", strconv.Itoa(status)).Inc() }

func (m *metrics) served(j *job, status int, took time.Duration) {
	m.requests.WithLabelValues(m.label(j), j.kind.name, strconv.Itoa(status)).Inc()
	if j.meant.model == "" {
		return
	}
	m.seconds.WithLabelValues(m.label(j)).Observe(took.Seconds())
	if j.woke > 0 {
		m.waited.WithLabelValues(m.label(j)).Observe(j.woke.Seconds())
	}
	if j.usage != (usage{}) {
		m.tokens.WithLabelValues(m.label(j), "prompt").Add(float64(j.usage.prompt))
		m.tokens.WithLabelValues(m.label(j), "completion").Add(float64(j.usage.completion))
	}
	if j.cut {
		m.broken.WithLabelValues(m.label(j)).Inc()
	}
}

func (m *metrics) woke(model string, err error, took time.Duration) {
	outcome := "ready"
	if err != nil {
		outcome = "failed"
	}
	m.wakes.WithLabelValues(m.g.label(model), outcome).Inc()
	m.wakeTime.WithLabelValues(m.g.label(model), outcome).Observe(took.Seconds())
}
