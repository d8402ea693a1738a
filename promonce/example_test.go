package promonce_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/otelonce"
	"github.com/oncepay/oncepay/promonce"
)

// What an engine does is counted.
func Example() {
	metrics := promonce.New(promonce.Config{})
	registry := prometheus.NewRegistry() // or prometheus.MustRegister(metrics)
	registry.MustRegister(metrics)
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant, Observe: metrics.Observe})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	for _, order := range []string{"order-42", "order-42", "order-43"} {
		charge.Do(context.Background(), order, order, func(context.Context, *once.Attempt) (string, error) {
			if order == "order-43" {
				return "", errors.New("timeout")
			}
			return "ch_7", nil
		})
	}
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "once_events_total" {
				fmt.Println(m.GetLabel()[0].GetValue(), m.GetLabel()[1].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	// Output:
	// claimed charge 2
	// completed charge 1
	// replayed charge 1
	// unknown charge 1
}

// Several can be told: metrics, spans, and a log.
func Example_observers() {
	metrics := promonce.New(promonce.Config{})
	telemetry, err := otelonce.New(otelonce.Config{})
	if err != nil {
		panic(err)
	}
	eng, err := once.New(once.NewMemory(), once.Config{
		Scope:   once.SingleTenant,
		Observe: once.ObserveAll(metrics.Observe, telemetry.Observe, once.LogTo(slog.Default())),
	})
	if err != nil {
		panic(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	charge.Do(context.Background(), "order-42", "100 EUR", func(context.Context, *once.Attempt) (string, error) { return "ch_7", nil })
	fmt.Println(testutil.CollectAndCount(metrics, "once_events_total"))
	// Output: 2
}
