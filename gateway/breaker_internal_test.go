package gateway

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Whoever runs the server is told when a gateway is taken for broken and when no
// more, each time once, and why.
func TestChangesOfTheBreakerAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := testDoor(func(c *Config) { c.Breaker.Trials, c.Log = 3, slog.New(slog.NewJSONHandler(&log, nil)) })
		d.reports(100, good)
		d.reports(100, no)
		if log.Len() > 0 {
			t.Errorf("while all is well it says %s", &log)
		}
		d.reports(300, bad)
		halfOpens := func() {
			t.Helper()
			time.Sleep(5 * time.Second)
			for range 3 {
				wantClosed(t, d, "")
			}
		}
		halfOpens()
		d.reports(5, dead)
		halfOpens()
		d.reports(5, good)
		const (
			broke   = "50% or more of at least 20 sends in 30s had no usable answer"
			trying  = "it was open for 5s or longer; 3 sends a second show how the gateway is"
			failed  = "fewer than 2 of 3 trials had a usable answer"
			stopped = "2 of 3 trials had a usable answer"
		)
		half := map[string]string{"level": "INFO", "msg": "the circuit breaker of a gateway is half-open", "gateway": "acme", "why": trying}
		want := []map[string]string{
			{"level": "WARN", "msg": "the circuit breaker of a gateway has opened: nothing new is taken", "gateway": "acme", "why": broke, "last_failure": "HTTP 500"},
			half,
			{"level": "WARN", "msg": "the circuit breaker of a gateway has opened again", "gateway": "acme", "why": failed, "last_failure": "the connection was refused"},
			half,
			{"level": "INFO", "msg": "the circuit breaker of a gateway has closed", "gateway": "acme", "why": stopped},
		}
		var got []map[string]string
		for line := range bytes.Lines(log.Bytes()) {
			var m map[string]string
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			delete(m, "time")
			got = append(got, m)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
	})
}
