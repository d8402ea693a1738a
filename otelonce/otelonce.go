// Package otelonce tells OpenTelemetry what an engine of package once does.
//
//	telemetry, err := otelonce.New(otelonce.Config{})
//	eng, err := once.New(store, once.Config{Observe: telemetry.Observe, …})
//
// # What is promised
//
// There are three metrics:
//
//	once.events            {event}  each once.Event, by once.operation and once.event
//	once.attempt.duration  s        attempts, by once.operation and how they ended (once.event: completed, released, unknown)
//	once.wait.duration     s        how long duplicates waited for the first one, by once.operation
//
// The span of the context in which something happens, if it is recorded, gets an event
// named once.claimed, once.replayed, and so on, with once.operation and once.attempt; and
// the attribute once.replayed if the answer was given before.
//
// Nothing has a key or a tenant, and metrics have at most Config.MaxOperations
// operations. It compiles OpenTelemetry's API, not an SDK.
//
// # What is not promised
//
// It makes no spans, and sets no status: an operation in doubt is an outcome, and what
// it is to the request is whoever's made its span. Errors are for the log: see
// [once.LogTo]. What is written down after its request is over, while the store was
// away, has no span.
package otelonce

import (
	"cmp"
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oncepay/oncepay/internal/telemetry"
	"github.com/oncepay/oncepay/once"
)

// What attributes are called.
const (
	operationKey = attribute.Key("once.operation")
	eventKey     = attribute.Key("once.event")
	attemptKey   = attribute.Key("once.attempt")
	replayedKey  = attribute.Key("once.replayed")
)

// scope is the name of the meter.
const scope = "github.com/oncepay/oncepay/otelonce"

// Config says who is told. Its zero value works.
type Config struct {
	// MeterProvider is who the metrics are for.
	//
	// Defaults to the global one.
	MeterProvider metric.MeterProvider

	// MaxOperations is how many operations metrics tell apart. All that come after are
	// "other": a name can be a path, and those have no end.
	//
	// Defaults to 100.
	MaxOperations int
}

// Telemetry is what is told of an engine, or of several. [New] makes it. It is safe for
// concurrent use.
type Telemetry struct {
	operations telemetry.Operations
	events     metric.Int64Counter
	attempts   metric.Float64Histogram
	waits      metric.Float64Histogram
}

// New makes what an engine tells. It fails if the provider does not take an instrument.
func New(c Config) (*Telemetry, error) {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	m := c.MeterProvider.Meter(scope)
	t := &Telemetry{operations: telemetry.Operations{Max: cmp.Or(c.MaxOperations, telemetry.MaxOperations)}}
	var err error
	if t.events, err = m.Int64Counter("once.events", metric.WithUnit("{event}"),
		metric.WithDescription("What happened to idempotency keys.")); err != nil {
		return nil, err
	}
	if t.attempts, err = m.Float64Histogram("once.attempt.duration", metric.WithUnit("s"),
		metric.WithDescription("How long attempts took, by how they ended."), metric.WithExplicitBucketBoundaries(telemetry.Buckets...)); err != nil {
		return nil, err
	}
	t.waits, err = m.Float64Histogram("once.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("How long duplicates waited for the first answer."), metric.WithExplicitBucketBoundaries(telemetry.Buckets...))
	return t, err
}

// Observe is a [once.Config].Observe.
func (t *Telemetry) Observe(ctx context.Context, e once.Event) {
	t.measure(ctx, e)
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("once."+e.Happening.String(), trace.WithAttributes(operationKey.String(e.Operation), attemptKey.Int64(e.Attempt)))
	if e.Happening == once.HasReplayed {
		span.SetAttributes(replayedKey.Bool(true))
	}
}

func (t *Telemetry) measure(ctx context.Context, e once.Event) {
	operation := operationKey.String(t.operations.Name(e.Operation))
	event := eventKey.String(e.Happening.String())
	t.events.Add(ctx, 1, metric.WithAttributes(operation, event))
	switch e.Happening {
	case once.HasCompleted, once.HasReleased, once.HasDoubted:
		t.attempts.Record(ctx, e.Took.Seconds(), metric.WithAttributes(operation, event))
	case once.HasWaited:
		t.waits.Record(ctx, e.Took.Seconds(), metric.WithAttributes(operation))
	}
}
