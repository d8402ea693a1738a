package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

// The breaker is in one state of three, and what is asked beside operations is
// shown beside them.
func TestCallStats(t *testing.T) {
	for state, want := range map[string][2]float64{
		"open": {1, 0}, "half_open": {0, 1}, "closed": {0, 0}, "off": {0, 0},
	} {
		got := map[string]float64{}
		for _, s := range callStats("acme", gateway.Stats{Sends: 3, Others: 7, Breaker: state}) {
			got[s.Name] = s.Value
		}
		if got["gateway_breaker_open"] != want[0] || got["gateway_breaker_half_open"] != want[1] {
			t.Errorf("a breaker that is %s is shown as open %v, half-open %v", state, got["gateway_breaker_open"], got["gateway_breaker_half_open"])
		}
		if got["gateway_others_total"] != 7 || got["gateway_sends_total"] != 3 {
			t.Errorf("it shows %v others and %v sends", got["gateway_others_total"], got["gateway_sends_total"])
		}
	}
}

// What is in doubt is counted as it is now. If the store cannot say, no number is
// shown.
func TestDoubtsAreShown(t *testing.T) {
	var logged bytes.Buffer
	d, made := inDoubt(t, slog.New(slog.NewTextHandler(&logged, nil)))
	s := &server{store: d.store, log: d.log}
	want := func(inDoubt, reviews, refunds float64) {
		t.Helper()
		got := map[string]float64{}
		for _, s := range s.doubts() {
			got[s.Name] = s.Value
		}
		if diff := cmp.Diff(map[string]float64{
			"payments_in_doubt": inDoubt, "payments_needs_review": reviews, "refunds_needs_review": refunds,
		}, got); diff != "" {
			t.Errorf("the stats (-want +got):\n%s", diff)
		}
	}
	want(1, 0, 0)
	house := pay.House{Gateways: map[string]pay.Terms{"sandbox": {}}}
	d.executor.Do(t.Context(), &engine.Job{Tenant: made.Tenant, Payment: pay.Record{
		Ref: made.Ref, Operation: made.Charge().ID, House: house, Finding: &pay.Finding{Outcome: pay.Conflict}, Attempt: 1,
	}})
	want(1, 1, 0)
	if err := d.ResolvePayment(t.Context(), made.ID, decision{As: "absent", Evidence: "x", Actor: "me"}); err != nil {
		t.Fatal(err)
	}
	want(0, 0, 0)
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.doubts(); got != nil || !strings.Contains(logged.String(), "could not be counted") {
		t.Errorf("of a store that is closed it shows %v, and logs %q", got, logged.String())
	}
}

// metricName is what the guides call a metric.
var metricName = regexp.MustCompile(`oncepay_[a-z_]+`)

// /metrics of a server has what operators look at, and what the guide says that it
// has.
func TestMetricsOfAServer(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	status, url := serveInside(t, ctx, io.Discard)
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"oncepay_payments_in_doubt 0", "oncepay_payments_needs_review 0", "oncepay_refunds_needs_review 0",
		`oncepay_payments_parked_total{gateway="sandbox"} 0`, `oncepay_gateway_breaker_open{gateway="sandbox"} 0`,
	} {
		if !strings.Contains(string(body), "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, body)
		}
	}
	guide, err := os.ReadFile("../../docs/guides/in-doubt.md")
	if err != nil {
		t.Fatal(err)
	}
	named := metricName.FindAllString(string(guide), -1)
	for _, name := range named {
		if !strings.Contains(string(body), "\n"+name) {
			t.Errorf("the guide names %s, which is not there", name)
		}
	}
	if len(named) < 5 {
		t.Errorf("the guide names %q only", named)
	}
	stop()
	if got := <-status; got != exitGood {
		t.Errorf("exit %d", got)
	}
}
