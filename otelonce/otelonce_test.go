package otelonce_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/otelonce"
)

// measured are the metrics that came of some events: name and attributes, and a count
// or a sum.
func measured(t *testing.T, c otelonce.Config, events ...once.Event) map[string]string {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	c.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	o, err := otelonce.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		o.Observe(t.Context(), e)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				found[name(m, p.Attributes)] = fmt.Sprint(p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				found[name(m, p.Attributes)] = fmt.Sprint(p.Count, " of ", p.Sum, " in ", len(p.Bounds))
			}
		}
	}
	return found
}

func name(m metricdata.Metrics, set attribute.Set) string {
	return m.Name + " " + m.Unit + " " + set.Encoded(attribute.DefaultEncoder())
}

func TestMetrics(t *testing.T) {
	key := once.Key{Tenant: "anna", ID: "order-42"}
	got := measured(t, otelonce.Config{},
		once.Event{Happening: once.HasClaimed, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasCompleted, Key: key, Operation: "charge", Took: 500 * time.Millisecond},
		once.Event{Happening: once.HasReplayed, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasReplayed, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasWaited, Key: key, Operation: "charge", Took: 2 * time.Second},
		once.Event{Happening: once.HasFailed, Err: errors.New("sweep")},
	)
	want := map[string]string{
		"once.events {event} once.event=claimed,once.operation=charge":       "1",
		"once.events {event} once.event=completed,once.operation=charge":     "1",
		"once.events {event} once.event=replayed,once.operation=charge":      "2",
		"once.events {event} once.event=waited,once.operation=charge":        "1",
		"once.events {event} once.event=store_failed,once.operation=":        "1",
		"once.attempt.duration s once.event=completed,once.operation=charge": "1 of 0.5 in 15",
		"once.wait.duration s once.operation=charge":                         "1 of 2 in 15",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("there are %d: %v", len(got), got)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	var events []once.Event
	for i := range 20 {
		events = append(events, once.Event{Happening: once.HasClaimed, Operation: strings.Repeat("x", i)})
	}
	if got := measured(t, otelonce.Config{MaxOperations: 3}, events...); len(got) != 4 {
		t.Errorf("there are %d: %v", len(got), got)
	}
}

// What happens to a request's key is in its span: of the first, of its repeat, and of
// what nobody knows. Keys and errors are not.
func TestSpans(t *testing.T) {
	o, err := otelonce.New(otelonce.Config{})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant, Observe: o.Observe})
	if err != nil {
		t.Fatal(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	for _, order := range []string{"order-42", "order-42", "order-43"} {
		ctx, span := tracer.Start(t.Context(), "request")
		charge.Do(ctx, order, "100", func(context.Context, *once.Attempt) (string, error) {
			if order == "order-43" {
				return "", errors.New("secret")
			}
			return "ch_7", nil
		})
		span.End()
	}
	want := []string{"once.claimed once.completed []", "once.replayed [once.replayed=true]", "once.claimed once.unknown []"}
	for i, s := range spans.Ended() {
		var said strings.Builder
		for _, e := range s.Events() {
			fmt.Fprint(&said, e.Name, " ")
			if set := attribute.NewSet(e.Attributes...); set.Encoded(attribute.DefaultEncoder()) != "once.attempt=1,once.operation=charge" {
				t.Errorf("%s has %v", e.Name, e.Attributes)
			}
		}
		set := attribute.NewSet(s.Attributes()...)
		if fmt.Fprintf(&said, "[%s]", set.Encoded(attribute.DefaultEncoder())); said.String() != want[i] {
			t.Errorf("the span %d says %q, want %q", i, said.String(), want[i])
		}
	}
	if n := len(spans.Ended()); n != 3 {
		t.Errorf("there are %d spans", n)
	}
}
