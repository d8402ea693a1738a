//go:build integration

package main

import (
	"encoding/json"
	"testing"
)

// The demo is the claim: nothing wrong through oncepay, and exit 0; money lost
// and found without it, and exit 1.
func TestDemo(t *testing.T) {
	for sentence, row := range map[string]struct {
		args   []string
		status int
	}{
		"through oncepay":          {nil, exitGood},
		"by a client that retries": {[]string{"--naive"}, exitBad},
		"by the textbook's recipe": {[]string{"--naive=redis"}, exitBad},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := oncepay(nil, append([]string{"demo", "--json", "--seed=7", "--payments=200", "--transfers=200"}, row.args...)...)
			var r struct {
				OK          bool
				Silent      int `json:"gateway_silent"`
				Lost        int `json:"answers_lost"`
				MostCharges int `json:"most_charges"`
				Overcharged int64
				Missing     int64 `json:"cents_missing"`
				Findings    int
			}
			if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
				t.Fatalf("%v: %+v", err, got)
			}
			good := row.status == exitGood
			if got.status != row.status || r.OK != good || r.Silent == 0 || r.Lost == 0 {
				t.Errorf("exit %d, want %d: %+v", got.status, row.status, r)
			}
			if exact := r.MostCharges == 1 && r.Overcharged == 0 && r.Missing == 0 && r.Findings == 0; exact != good {
				t.Errorf("everything happened exactly once: %v, want %v: %+v", exact, good, r)
			}
		})
	}
	if got := oncepay(nil, "demo", "--naive=paper"); got.status != exitUsage {
		t.Errorf("a recipe that there is not: %+v", got)
	}
}
