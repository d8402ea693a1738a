package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/pay"
)

// sendBy sends an operation that may be executed until then.
func (h *house) sendBy(until, id string, b body) answer {
	h.t.Helper()
	text, err := json.Marshal(b.in(h.room))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), waiting)
	defer cancel()
	return h.do(ctx, "POST", "/v1/operations", text, "Idempotency-Key", id+h.room, "Sandbox-Not-After", until)
}

// Nothing is executed later than it may be, as the sandbox's own clock has it when
// it comes to it: whether it lay in a socket, or takes its time here. Only what a
// test asks for is.
func TestNothingIsExecutedTooLate(t *testing.T) {
	now := func() time.Time { return began }
	usual, hostile := open(t, sandbox.Config{Now: now}), open(t, sandbox.Config{Now: now, Hostile: true})
	scripted := open(t, sandbox.Config{Now: now, Script: sandbox.NewScript(sandbox.Rule{})})
	at := func(d time.Duration) string { return began.Add(d).UTC().Format(time.RFC3339Nano) }
	for name, row := range map[string]struct {
		on     *house
		until  string
		method string
		status int
		code   string
	}{
		"in time":                      {usual, at(time.Second), "pm_ok", 200, ""},
		"in the last moment":           {usual, at(0), "pm_ok", 200, ""},
		"later":                        {usual, at(-time.Microsecond), "pm_ok", 412, "too_late"},
		"later, where nobody is asked": {hostile, at(-time.Microsecond), "pm_ok", 412, "too_late"},
		"later, in another zone":       {usual, began.Add(-time.Second).In(time.FixedZone("", 3600)).Format(time.RFC3339), "pm_ok", 412, "too_late"},
		"later, and a decline":         {usual, at(-time.Second), "pm_declined", 412, "too_late"},
		"later, and a Script's":        {scripted, at(-time.Second), "pm_ok", 200, ""},
		"a time that is none":          {usual, "noon", "pm_ok", 400, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			h := row.on.share(t)
			a := h.sendBy(row.until, "att_1", charge(row.method))
			if a.status != row.status || a.Error.Code != row.code || row.code != "" && a.Operation != "att_1"+h.room {
				t.Errorf("got %d %s, want %d %s", a.status, a.text, row.status, row.code)
			}
			want := 0
			if row.status == 200 {
				want = 1
			}
			h.wantCharges(want)
			if h.Sends("att_1") != 1 {
				t.Errorf("%d sends are counted", h.Sends("att_1"))
			}
		})
	}
}

// A payment method that takes its time may take too long; a repeat executes
// nothing, and so it is never late.
func TestWhatTakesTooLongIsNotExecuted(t *testing.T) {
	c := &clock{}
	h := open(t, sandbox.Config{Now: c.now})
	until := func(d time.Duration) string { return began.Add(d).UTC().Format(time.RFC3339Nano) }
	came := make(chan answer, 1)
	go func() { came <- h.sendBy(until(time.Second), "att_1", charge("pm_slow")) }()
	eventually(t, func() bool { return h.Sends("att_1") == 1 })
	c.advance(time.Second + time.Microsecond)
	if a := <-came; a.status != 412 || a.Error.Code != "too_late" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	h.wantCharges(0)
	if a := h.sendBy(until(time.Minute), "att_1", charge("pm_ok")); a.status != 200 {
		t.Errorf("again, in time: %d %s", a.status, a.text)
	}
	c.advance(time.Hour)
	if a := h.sendBy(until(time.Minute), "att_1", charge("pm_ok")); a.status != 200 {
		t.Errorf("a repeat: %d %s", a.status, a.text)
	}
	h.wantCharges(1)
}

// The connector says with each send until when it may be executed, and takes what
// came too late for nothing that was wrong.
func TestConnectorSaysUntilWhen(t *testing.T) {
	const flight = time.Minute
	var until atomic.Pointer[string]
	var ahead atomic.Int64
	h := open(t, sandbox.Config{InFlight: flight, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			until.Store(new(r.Header.Get("Sandbox-Not-After")))
		}
		h.ServeHTTP(w, r)
	}))
	defer front.Close()
	c := connect(t, sandbox.ConnectorConfig{URL: front.URL})

	ahead.Store(int64(2 * flight))
	if f := c.Send(t.Context(), call("att_1", "pm_ok")); f != (pay.Finding{Reach: pay.TooLate, Detail: "HTTP 412"}) {
		t.Errorf("got %+v", f)
	}
	ahead.Store(0)
	before := time.Now().Truncate(time.Microsecond)
	f := c.Send(t.Context(), call("att_1", "pm_ok"))
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", *until.Load())
	if err != nil || at.Before(before.Add(flight)) || at.After(time.Now().Add(flight)) {
		t.Errorf("it may be executed until %s (%v), and was sent after %s", *until.Load(), err, before)
	}
	if f.Outcome != pay.Done {
		t.Errorf("in time: %+v", f)
	}
}
