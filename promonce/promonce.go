// Package promonce tells Prometheus what an engine of package once does.
//
//	metrics := promonce.New(promonce.Config{})
//	prometheus.MustRegister(metrics)
//	eng, err := once.New(store, once.Config{Observe: metrics.Observe, …})
//
// # What is promised
//
// There are three metrics:
//
//	once_events_total{operation, event}              each once.Event, by its Happening
//	once_attempt_duration_seconds{operation, event}  attempts, by how they ended: completed, released, unknown
//	once_wait_duration_seconds{operation}            how long duplicates waited for the first one
//
// Labels have no key and no tenant, and at most Config.MaxOperations operations. To
// observe takes no call to anybody, and waits for nothing.
//
// # What is not promised
//
// These are counts of one process since it began, not a ledger: an event of a process
// that died before it was scraped is not there. How many keys are in doubt now is the
// store's to say: see [once.Engine.Unfinished].
package promonce

import (
	"cmp"
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oncepay/oncepay/internal/telemetry"
	"github.com/oncepay/oncepay/once"
)

// Config says what is measured. Its zero value works.
type Config struct {
	// MaxOperations is how many operations are told apart. All that come after are
	// "other": a name can be a path, and those have no end.
	//
	// Defaults to 100.
	MaxOperations int

	// ConstLabels are on every metric, to tell engines of one process apart.
	ConstLabels prometheus.Labels
}

// Metrics are the metrics of an engine, or of several that share them. [New] makes
// them. They are safe for concurrent use.
type Metrics struct {
	operations telemetry.Operations
	events     *prometheus.CounterVec
	attempts   *prometheus.HistogramVec
	waits      *prometheus.HistogramVec
}

var _ prometheus.Collector = (*Metrics)(nil)

// New makes metrics, which are then registered.
func New(c Config) *Metrics {
	return &Metrics{
		operations: telemetry.Operations{Max: cmp.Or(c.MaxOperations, telemetry.MaxOperations)},
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "once_events_total", Help: "What happened to idempotency keys.", ConstLabels: c.ConstLabels,
		}, []string{"operation", "event"}),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "once_attempt_duration_seconds", Help: "How long attempts took, by how they ended.",
			Buckets: telemetry.Buckets, ConstLabels: c.ConstLabels,
		}, []string{"operation", "event"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "once_wait_duration_seconds", Help: "How long duplicates waited for the first answer.",
			Buckets: telemetry.Buckets, ConstLabels: c.ConstLabels,
		}, []string{"operation"}),
	}
}

// Describe is prometheus.Collector's.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	m.events.Describe(to)
	m.attempts.Describe(to)
	m.waits.Describe(to)
}

// Collect is prometheus.Collector's.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.events.Collect(to)
	m.attempts.Collect(to)
	m.waits.Collect(to)
}

// Observe is a [once.Config].Observe.
func (m *Metrics) Observe(_ context.Context, e once.Event) {
	operation, event := m.operations.Name(e.Operation), e.Happening.String()
	m.events.WithLabelValues(operation, event).Inc()
	switch e.Happening {
	case once.HasCompleted, once.HasReleased, once.HasDoubted:
		m.attempts.WithLabelValues(operation, event).Observe(e.Took.Seconds())
	case once.HasWaited:
		m.waits.WithLabelValues(operation).Observe(e.Took.Seconds())
	}
}
