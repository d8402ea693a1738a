package web

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oncepay/oncepay/engine"
)

// Stat is a number that somebody else counts, as /metrics shows it. All of one
// name have the same names of labels.
type Stat struct {
	Name   string // what follows "oncepay_"; one that ends in "_total" only grows
	Help   string
	Labels map[string]string
	Value  float64
}

// otherStats shows what others count. It does not know beforehand what that will
// be, so it describes nothing.
type otherStats func() []Stat

// Describe is prometheus.Collector's.
func (otherStats) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector's.
func (read otherStats) Collect(out chan<- prometheus.Metric) {
	for _, s := range read() {
		names, values := []string{}, []string{}
		for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
			names, values = append(names, name), append(values, s.Labels[name])
		}
		kind := prometheus.GaugeValue
		if strings.HasSuffix(s.Name, "_total") {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc("oncepay_"+s.Name, s.Help, names, nil)
		out <- prometheus.MustNewConstMetric(desc, kind, s.Value, values...)
	}
}

// countPayment counts what a request about a payment came to. What is only
// repeated does not count.
func (x *exchange) countPayment(o engine.Outcome, what string) {
	if o.Replayed {
		return
	}
	x.api.metrics.payments.WithLabelValues(what, outcomeOf(o)).Inc()
}

// outcomeOf is the status that an answer tells, or the code of a problem: there
// are few of them.
func outcomeOf(o engine.Outcome) string {
	if o.Err != nil {
		return string(findFailure(o.Err).code)
	}
	member := `"status":"`
	if o.Answer.Status >= 400 {
		member = `"code":"`
	}
	// A quote within a text is escaped, so this is found in no text.
	_, rest, _ := bytes.Cut(o.Answer.Body, []byte(member))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
