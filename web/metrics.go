package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/oncepay/oncepay/engine"
)

// metrics counts what the API does. It has a registry of its own.
type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	payments *prometheus.CounterVec
	astray   *series // requests that found no endpoint
	handler  http.Handler
}

// series is the metrics of one endpoint, looked up once so that counting is an
// addition.
type series struct {
	classes [4]prometheus.Counter // 2xx to 5xx
	latency prometheus.Observer
}

// latencies are the bounds of the histogram, in seconds: a replay from memory
// takes a tenth of a millisecond, a commit a few, a duplicate waits for seconds.
var latencies = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}

func newMetrics(cfg Config) *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oncepay_http_requests_total", Help: "Requests answered, by route and class of status.",
		}, []string{"route", "class"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oncepay_http_request_seconds", Help: "Time from a request's header to its answer.", Buckets: latencies,
		}, []string{"route"}),
		payments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oncepay_payments_total", Help: "Requests about payments answered for the first time, by what was asked and the status or code that was told.",
		}, []string{"operation", "outcome"}),
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "oncepay_build_info", Help: "1, with the program's version.", ConstLabels: prometheus.Labels{"version": cfg.Version},
	})
	build.Set(1)
	registry.MustRegister(m.requests, m.latency, m.payments, build, newExecutorStats(cfg.Executor), otherStats(cfg.Stats),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.astray = m.series("none")
	return m
}

// series makes the metrics of a route.
func (m *metrics) series(route string) *series {
	s := &series{latency: m.latency.WithLabelValues(route)}
	for class := range s.classes {
		s.classes[class] = m.requests.WithLabelValues(route, string('2'+rune(class))+"xx")
	}
	return s
}

// count counts an answered request.
func (m *metrics) count(x *exchange, took time.Duration) {
	s := m.astray
	if x.end != nil {
		s = x.end.series
	}
	s.classes[min(max(x.status/100, 2), 5)-2].Inc()
	s.latency.Observe(took.Seconds())
}

// showMetrics is GET /metrics.
func (x *exchange) showMetrics() { x.api.metrics.handler.ServeHTTP(x, x.r) }

// executorStats shows an executor's counts.
type executorStats struct {
	executor *engine.Executor
	stats    []stat
}

type stat struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(engine.Stats) float64
}

func newExecutorStats(e *engine.Executor) *executorStats {
	counter := func(name, help string, of func(engine.Stats) float64) stat {
		return stat{prometheus.NewDesc("oncepay_engine_"+name+"_total", help, nil, nil), prometheus.CounterValue, of}
	}
	queued := prometheus.NewDesc("oncepay_engine_queued", "Requests that wait to be loaded.", nil, nil)
	return &executorStats{e, []stat{
		counter("executed", "Answers of executions, refusals included.", func(s engine.Stats) float64 { return float64(s.Executed) }),
		counter("replayed", "Answers that were repeated.", func(s engine.Stats) float64 { return float64(s.Replayed) }),
		counter("unfinished", "Told that the work goes on.", func(s engine.Stats) float64 { return float64(s.Unfinished) }),
		counter("mismatched", "Refused: the key was used for another request.", func(s engine.Stats) float64 { return float64(s.Mismatched) }),
		counter("expired", "Refused: the key's window is over.", func(s engine.Stats) float64 { return float64(s.Expired) }),
		counter("in_progress", "Told that the first request is still at work.", func(s engine.Stats) float64 { return float64(s.InProgress) }),
		counter("overloaded", "Refused: the queue was full.", func(s engine.Stats) float64 { return float64(s.Overloaded) }),
		counter("failed", "Told that the store is not available.", func(s engine.Stats) float64 { return float64(s.Failed) }),
		counter("batches", "Commits that ended well.", func(s engine.Stats) float64 { return float64(s.Batches) }),
		counter("store_errors", "Loads and commits that failed.", func(s engine.Stats) float64 { return float64(s.Errors) }),
		counter("commit_seconds", "Time spent in commits.", func(s engine.Stats) float64 { return s.CommitTime.Seconds() }),
		counter("load_seconds", "Time spent in loads.", func(s engine.Stats) float64 { return s.LoadTime.Seconds() }),
		{queued, prometheus.GaugeValue, func(s engine.Stats) float64 { return float64(s.Queued) }},
	}}
}

// Describe is prometheus.Collector's.
func (e *executorStats) Describe(out chan<- *prometheus.Desc) {
	for _, s := range e.stats {
		out <- s.desc
	}
}

// Collect is prometheus.Collector's.
func (e *executorStats) Collect(out chan<- prometheus.Metric) {
	now := e.executor.Stats()
	for _, s := range e.stats {
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.of(now))
	}
}
