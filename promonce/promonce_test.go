package promonce_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/promonce"
)

// observed is a registry to which some events were told.
func observed(t *testing.T, c promonce.Config, events ...once.Event) *prometheus.Registry {
	t.Helper()
	m, registry := promonce.New(c), prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		m.Observe(t.Context(), e)
	}
	return registry
}

func TestEvents(t *testing.T) {
	key := once.Key{Tenant: "anna", ID: "order-42"}
	registry := observed(t, promonce.Config{ConstLabels: prometheus.Labels{"engine": "orders"}},
		once.Event{Happening: once.HasClaimed, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasDoubted, Key: key, Operation: "charge", Took: 40 * time.Millisecond, Err: context.DeadlineExceeded},
		once.Event{Happening: once.HasParked, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasParked, Key: key, Operation: "charge"},
		once.Event{Happening: once.HasFailed}, // a sweep is no operation's
	)
	const want = `
# HELP once_events_total What happened to idempotency keys.
# TYPE once_events_total counter
once_events_total{engine="orders",event="claimed",operation="charge"} 1
once_events_total{engine="orders",event="parked",operation="charge"} 2
once_events_total{engine="orders",event="store_failed",operation=""} 1
once_events_total{engine="orders",event="unknown",operation="charge"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "once_events_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// Attempts by how they ended, and waits, are in seconds; all else has no time.
func TestDurations(t *testing.T) {
	registry := observed(t, promonce.Config{},
		once.Event{Happening: once.HasCompleted, Operation: "charge", Took: 40 * time.Millisecond},
		once.Event{Happening: once.HasReleased, Operation: "charge", Took: 3 * time.Millisecond},
		once.Event{Happening: once.HasWaited, Operation: "charge", Took: 2 * time.Second},
		once.Event{Happening: once.HasFenced, Operation: "charge", Took: time.Second},
		once.Event{Happening: once.HasReplayed, Operation: "charge"},
	)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				sums[f.GetName()+" "+m.GetLabel()[0].GetValue()] = h.GetSampleSum() * float64(h.GetSampleCount())
			}
		}
	}
	if len(sums) != 3 || sums["once_attempt_duration_seconds completed"] != 0.04 || sums["once_attempt_duration_seconds released"] != 0.003 ||
		sums["once_wait_duration_seconds charge"] != 2 {
		t.Errorf("they are %v", sums)
	}
}

// Whoever chooses paths does not choose how many series there are.
func TestSeriesAreBounded(t *testing.T) {
	events := make([]once.Event, 0, 20)
	for i := range 20 {
		events = append(events, once.Event{Happening: once.HasClaimed, Operation: "POST /\xff" + strings.Repeat("x", i)})
	}
	registry := observed(t, promonce.Config{MaxOperations: 3}, events...)
	if n, err := testutil.GatherAndCount(registry, "once_events_total"); err != nil || n != 4 {
		t.Errorf("there are %d series, %v", n, err)
	}
}
