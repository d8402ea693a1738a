package main

import (
	"testing"

	"github.com/oncepay/oncepay/gateway"
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
