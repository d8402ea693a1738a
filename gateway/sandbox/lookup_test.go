package sandbox_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestALookupTellsWhatWasAnswered(t *testing.T) {
	for _, method := range []string{"pm_ok", "pm_declined", "pm_requires_action"} {
		t.Run(method, func(t *testing.T) {
			h := open(t, sandbox.Config{})
			sent := h.send("att_1", charge(method))
			seen := h.check("att_1")
			if seen.status != 200 || len(seen.Executions) != 1 || seen.LagMillis != 0 {
				t.Fatalf("got %d %s", seen.status, seen.text)
			}
			got := seen.Executions[0]
			if got.Operation != "att_1" || got.Kind != "charge" || got.Status != sent.Status || got.GatewayID != sent.GatewayID ||
				got.Amount != 1250 || got.Currency != "EUR" || got.ActionURL != sent.ActionURL || got.DeclineCode != sent.DeclineCode {
				t.Errorf("a check says %+v, the answer was %+v", got, sent)
			}
		})
	}
}

func TestALookupOfWhatNeverCame(t *testing.T) {
	h := open(t, sandbox.Config{})
	for n := 1; n <= 2; n++ {
		a := h.check("att_1")
		if a.status != 404 || a.Error.Code != "not_found" || a.Operation != "att_1" || a.LagMillis != 0 {
			t.Errorf("got %d %s", a.status, a.text)
		}
		if got := h.Checks("att_1"); got != n {
			t.Errorf("%d checks were counted, want %d", got, n)
		}
	}
	if got := h.Sends("att_1"); got != 0 {
		t.Errorf("%d sends were counted", got)
	}
}

// pm_late is charged at once, and found three seconds later.
func TestALateChargeIsNotFoundForThreeSeconds(t *testing.T) {
	var c clock
	h := open(t, sandbox.Config{Now: c.now})
	h.sendAndLeave("att_1", charge("pm_late"))
	h.wantCharges(1)
	for _, step := range []struct {
		after  time.Duration
		status int
		lag    int64
	}{
		{0, 404, 3000},
		{3*time.Second - time.Microsecond, 404, 3000},
		{time.Microsecond, 200, 0},
	} {
		c.advance(step.after)
		if a := h.check("att_1"); a.status != step.status || a.LagMillis != step.lag {
			t.Errorf("%v later: got %d with lag %d, want %d with lag %d", step.after, a.status, a.LagMillis, step.status, step.lag)
		}
	}
}

// Who says by how much its lookups lag says it also when it breaks its contract.
func TestALagBeyondTheDeclaredOneIsTold(t *testing.T) {
	var c clock
	script := sandbox.NewScript(sandbox.Rule{Fault: sandbox.Fault{Lag: time.Hour}})
	h := open(t, sandbox.Config{Now: c.now, Script: script})
	h.send("att_1", charge("pm_ok"))
	c.advance(time.Hour - time.Second)
	if a := h.check("att_1"); a.status != 404 || a.LagMillis != time.Hour.Milliseconds() {
		t.Errorf("got %d with lag %d, want 404 with an hour", a.status, a.LagMillis)
	}
	c.advance(time.Second)
	if a := h.check("att_1"); a.status != 200 {
		t.Errorf("after the lag: got %d", a.status)
	}
}

func TestWhatIsDeclared(t *testing.T) {
	for _, row := range []struct {
		sentence, want string
		cfg            sandbox.Config
	}{
		{"the usual", `{"window_ms":86400000,"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`, sandbox.Config{}},
		{"a hostile one has no window", `{"window_ms":0,"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`, sandbox.Config{Hostile: true, Window: time.Hour}},
		{
			"everything otherwise", `{"window_ms":1000,"lookup":false,"lookup_lag_ms":2000,"in_flight_ms":3000,"timeout_ms":500,"lag_known":false,"captures":"one","partial_capture":false}`,
			sandbox.Config{Window: time.Second, LookupLag: 2 * time.Second, InFlight: 3 * time.Second, Timeout: 500 * time.Millisecond, NoLookup: true, LagUntold: true, OneCapture: true, WholeCapture: true},
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			if a := open(t, row.cfg).get("/v1/contract"); a.status != 200 || a.text != row.want+"\n" {
				t.Errorf("got %d %s, want %s", a.status, a.text, row.want)
			}
		})
	}
}

func TestAGatewayWithoutLookup(t *testing.T) {
	h := open(t, sandbox.Config{NoLookup: true})
	h.send("att_1", charge("pm_ok"))
	if a := h.check("att_1"); a.status != 501 {
		t.Errorf("got %d", a.status)
	}
}

func TestALagThatIsNotTold(t *testing.T) {
	h := open(t, sandbox.Config{LagUntold: true})
	h.sendAndLeave("att_1", charge("pm_late"))
	if a := h.check("att_1"); a.status != 404 || a.LagMillis != 0 {
		t.Errorf("got %d with lag %d", a.status, a.LagMillis)
	}
}
