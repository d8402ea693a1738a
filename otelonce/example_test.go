package otelonce_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/otelonce"
)

// The span of a request says that its answer was given before.
func Example() {
	telemetry, err := otelonce.New(otelonce.Config{}) // metrics go to the global MeterProvider
	if err != nil {
		panic(err)
	}
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant, Observe: telemetry.Observe})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("shop")
	for range 2 {
		ctx, span := tracer.Start(context.Background(), "POST /charges")
		charge.Do(ctx, "order-42", "100 EUR", func(context.Context, *once.Attempt) (string, error) { return "ch_7", nil })
		span.End()
	}
	for _, s := range spans.Ended() {
		for _, e := range s.Events() {
			fmt.Println(s.Name(), e.Name)
		}
	}
	// Output:
	// POST /charges once.claimed
	// POST /charges once.completed
	// POST /charges once.replayed
}
