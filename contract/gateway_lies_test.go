package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/pay"
)

// crook is a good connector, but for one habit.
type crook struct {
	pay.Gateway
	habit string
}

func (k crook) Send(ctx context.Context, c pay.Call) pay.Finding {
	switch k.habit {
	case "sends twice":
		k.Gateway.Send(ctx, c)
	case "takes an id of its own":
		c.Operation = "att_" + time.Now().Format("150405.000000000")
	case "ignores its caller":
		ctx = context.WithoutCancel(ctx)
	}
	f := k.Gateway.Send(ctx, c)
	switch unknown := f == (pay.Finding{Detail: f.Detail}); {
	case k.habit == "takes silence for a failure" && unknown:
		f.Outcome = pay.Declined
	case k.habit == "takes silence for nothing" && unknown:
		f.Reach = pay.NeverLeft
	case k.habit == "is never sure" && f.Reach == pay.NeverLeft:
		f.Reach = pay.MayHaveArrived
	case k.habit == "takes a refusal for a decline" && f.Reach == pay.Refused:
		f.Outcome = pay.Declined
	case k.habit == "tries again later" && f.Outcome == pay.Unknown:
		time.AfterFunc(200*time.Millisecond, func() { k.Gateway.Send(context.WithoutCancel(ctx), c) })
	case k.habit == "loses the amount":
		f.Amount = 0
	case k.habit == "loses the gateway's id":
		f.GatewayID = ""
	case k.habit == "quotes what it does not understand" && unknown:
		f.Detail = "not understood: " + secret
	}
	return f
}

func (k crook) Check(ctx context.Context, c pay.Call) pay.Finding {
	switch k.habit {
	case "checks by sending":
		return k.Gateway.Send(ctx, c)
	case "lets a check wait":
		ctx = context.WithoutCancel(ctx)
	}
	f := k.Gateway.Check(ctx, c)
	switch unknown := f == (pay.Finding{Detail: f.Detail}); {
	case k.habit == "takes a silent check for an absence" && unknown:
		f.Absent = true
	case k.habit == "makes up an id for what it finds" && f.GatewayID != "":
		f.GatewayID += "x"
	}
	return f
}

// naive is what one writes on a Friday: http.Client, and an answer that is taken
// as it comes.
type naive struct {
	url    string
	client *http.Client
}

func (n naive) Send(ctx context.Context, c pay.Call) pay.Finding {
	body, _ := json.Marshal(map[string]any{"kind": "charge", "payment": c.Payment, "amount": c.Amount, "currency": c.Currency, "payment_method": c.Method})
	req, _ := http.NewRequestWithContext(ctx, "POST", n.url+"/v1/operations", bytes.NewReader(body))
	req.Header.Set("Idempotency-Key", c.Operation)
	return n.do(req)
}

func (n naive) Check(ctx context.Context, c pay.Call) pay.Finding {
	req, _ := http.NewRequestWithContext(ctx, "GET", n.url+"/v1/operations/"+c.Operation, nil)
	return n.do(req)
}

func (n naive) do(req *http.Request) pay.Finding {
	res, err := n.client.Do(req)
	if err != nil {
		return pay.Finding{Detail: "failed"}
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	type execution struct {
		Status, Currency string
		GatewayID        string `json:"gateway_id"`
		Amount           int64
	}
	var a struct {
		execution
		Executions []execution
	}
	json.Unmarshal(text, &a)
	if len(a.Executions) > 0 {
		a.execution = a.Executions[0]
	}
	switch {
	case a.Status == "succeeded":
		return pay.Finding{Outcome: pay.Done, Amount: a.Amount, GatewayID: a.GatewayID}
	case res.StatusCode == http.StatusNotFound:
		return pay.Finding{Absent: true}
	case res.StatusCode >= 400:
		return pay.Finding{Outcome: pay.Declined}
	default:
		return pay.Finding{Detail: "failed"}
	}
}

// deaf is a test that notes a failure and goes on.
type deaf struct {
	testing.TB
	mu     sync.Mutex
	failed bool
}

func (d *deaf) note() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = true
}
func (d *deaf) Errorf(string, ...any) { d.note() }
func (d *deaf) Error(...any)          { d.note() }
func (d *deaf) Fatalf(string, ...any) { d.note(); runtime.Goexit() }
func (d *deaf) Fatal(...any)          { d.note(); runtime.Goexit() }

// A suite that a bad connector passes would be worth nothing. That a good one
// passes is tested where it is.
func TestGatewayFindsCrooks(t *testing.T) {
	promises := slices.Concat(sending, failing(), checking)
	for _, row := range []struct{ habit, breaks string }{
		{"sends twice", "what was carried out is done, with amount, currency and the gateway's id"},
		{"sends twice", "many at once are as many requests"},
		{"takes an id of its own", "the same again is the same body, with the operation's id and the payment's"},
		{"takes an id of its own", "a check finds what was done and never answered"},
		{"takes silence for a failure", "a send that is unanswered is unknown, and was one request"},
		{"takes silence for nothing", "a send that is dropped is unknown, and was one request"},
		{"takes silence for nothing", "a send that is answered rightly, but with 503 is unknown, and was one request"},
		{"is never sure", "a send to nobody never left"},
		{"takes a refusal for a decline", "a refusal is no decline: nothing was done, and it says why"},
		{"tries again later", "what never left is not kept to be sent later"},
		{"tries again later", "an accident is not made good later"},
		{"ignores its caller", "a caller who leaves is let go at once, and the send is unknown"},
		{"ignores its caller", "a send whose caller has left already never left"},
		{"loses the amount", "what was carried out is done, with amount, currency and the gateway's id"},
		{"loses the gateway's id", "a check finds what a send did, and says the same of it"},
		{"quotes what it does not understand", "a send that is answered by a web page is unknown, and was one request"},
		{"checks by sending", "a check of what never came is absent, and moves nothing"},
		{"lets a check wait", "a caller of a check who leaves is let go at once"},
		{"takes a silent check for an absence", "a check that is answered 404 by a page tells nothing, and is not absent"},
		{"makes up an id for what it finds", "a check finds what a send did, and says the same of it"},
		{"naive", "a redirect with 307 is not followed"},
		{"naive", "a used connection that is dropped is not tried again"},
		{"naive", "a send that is answered rightly, but with 500 is unknown, and was one request"},
		{"naive", "a send that is answered 402 by a page is unknown, and was one request"},
		{"naive", "a check that is answered 404 by a page tells nothing, and is not absent"},
		{"naive", "an answer about another operation is none"},
	} {
		t.Run(row.habit+", and breaks: "+row.breaks, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(promises, func(p gatewayPromise) bool { return p.name == row.breaks })
			if i < 0 {
				t.Fatal("there is no such promise")
			}
			if !broken(t, promises[i], row.habit) {
				t.Error("it is not noticed")
			}
		})
	}
}

// broken says whether a connector with a habit breaks a promise.
func broken(t *testing.T, p gatewayPromise, habit string) bool {
	d := &deaf{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.keep(newVisit(d, crooks(habit), p))
	}()
	<-done
	return d.failed
}

// crooks is the fixture of connectors with a habit.
func crooks(habit string) GatewayFixture {
	call := func(method string) func(string) pay.Call {
		return func(op string) pay.Call {
			return pay.Call{Operation: op, Kind: pay.Charge, Payment: "pay_1", Tenant: "dev", Amount: 1250, Currency: "EUR", Method: method}
		}
	}
	return GatewayFixture{
		Far: func(t testing.TB, timeout time.Duration) http.Handler {
			s, err := sandbox.Open(sandbox.Config{Books: filepath.Join(t.TempDir(), "sandbox.db"), Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		Connect: func(t testing.TB, url string, timeout time.Duration) pay.Gateway {
			if habit == "naive" {
				transport := &http.Transport{}
				t.Cleanup(transport.CloseIdleConnections)
				return naive{url, &http.Client{Transport: transport, Timeout: timeout}}
			}
			c, err := sandbox.Connect(sandbox.ConnectorConfig{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			if err := c.Known(t.Context()); err != nil {
				t.Fatal(err)
			}
			return crook{c, habit}
		},
		Reads: func(r *http.Request) (string, bool) {
			id, checks := strings.CutPrefix(r.URL.Path, "/v1/operations/")
			if checks {
				return id, false
			}
			return r.Header.Get("Idempotency-Key"), true
		},
		Fine: call("pm_ok"), Declined: call("pm_declined"), Refused: call("pm_there_is_none"),
	}
}
