package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// connect makes a connector that knows the contract.
func connect(t testing.TB, cfg sandbox.ConnectorConfig) *sandbox.Connector {
	t.Helper()
	c, err := sandbox.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Known(ctx); err != nil {
		t.Fatal("the contract is not known:", err)
	}
	return c
}

// call is a usual call.
func call(op, method string) pay.Call {
	return pay.Call{Operation: op, Kind: pay.Charge, Payment: "pay_1", Tenant: "dev", Amount: 1250, Currency: "EUR", Last: true, Method: method}
}

// follow is what is asked after a charge was made.
func follow(op string, kind pay.Kind, charge pay.Finding, amount int64) pay.Call {
	c := call(op, "pm_ok")
	c.Kind, c.Target, c.TargetOp, c.Amount = kind, charge.GatewayID, "att_1", amount
	return c
}

// Every kind of operation ends with the amount that was asked for and an id of
// its own, and a check says the same of it.
func TestConnectorCarriesOutEveryKind(t *testing.T) {
	h := open(t, sandbox.Config{})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	authorize := call("att_1", "pm_ok")
	authorize.Kind = pay.Authorize
	authorized := c.Send(t.Context(), authorize)
	part := follow("cap_1", pay.Capture, authorized, 500)
	part.Last = false
	other := call("att_3", "pm_ok")
	other.Kind, other.Payment = pay.Authorize, "pay_2"
	void := follow("att_4", pay.Void, c.Send(t.Context(), other), 0)
	void.Payment = "pay_2"
	ids := map[string]bool{}
	for _, ask := range []pay.Call{
		authorize, part, follow("cap_2", pay.Capture, authorized, 700), follow("re_1", pay.Refund, authorized, 300), void,
	} {
		sent, found := c.Send(t.Context(), ask), c.Check(t.Context(), ask)
		if sent.Outcome != pay.Done || sent.Amount != ask.Amount || sent.Currency != ask.Currency || sent.GatewayID == "" || ids[sent.GatewayID] {
			t.Errorf("%s: sent %+v", ask.Kind, sent)
		}
		if found.Detail = sent.Detail; found != sent {
			t.Errorf("%s: sent %+v, found %+v", ask.Kind, sent, found)
		}
		ids[sent.GatewayID] = true
	}
	if got := h.charges("pay_1"); len(got) != 1 || got[0].AmountCaptured != 1200 || got[0].AmountRefunded != 300 {
		t.Errorf("the books say %+v", got)
	}
	for _, late := range []pay.Call{follow("cap_3", pay.Capture, authorized, 50), follow("re_2", pay.Refund, authorized, 901)} {
		if f := c.Send(t.Context(), late); f.Reach != pay.Refused || f.Outcome != pay.Unknown || f.Failure.DeclineCode == "" || f.Failure.Message == "" {
			t.Errorf("%s that is too much: %+v", late.Kind, f)
		}
	}
}

// What the gateway calls a charge may not be known: a human has found that it was
// made. Then it goes by the operation's id.
func TestConnectorNamesAChargeByItsOperation(t *testing.T) {
	h := open(t, sandbox.Config{})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	authorize := call("att_1", "pm_ok")
	authorize.Kind = pay.Authorize
	c.Send(t.Context(), authorize)
	for _, ask := range []pay.Call{
		follow("cap_1", pay.Capture, pay.Finding{}, 1200), follow("re_1", pay.Refund, pay.Finding{}, 300),
	} {
		sent, found := c.Send(t.Context(), ask), c.Check(t.Context(), ask)
		if found.Detail = sent.Detail; sent.Outcome != pay.Done || sent.Amount != ask.Amount || found != sent {
			t.Errorf("%s: sent %+v, found %+v", ask.Kind, sent, found)
		}
	}
	if got := h.charges("pay_1"); len(got) != 1 || got[0].AmountCaptured != 1200 || got[0].AmountRefunded != 300 {
		t.Errorf("the books say %+v", got)
	}
}

// All that a client said of a payment reaches the gateway.
func TestConnectorPassesOnWhatWasSaid(t *testing.T) {
	var got atomic.Pointer[string]
	h := open(t, sandbox.Config{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			got.Store(new(string(body)))
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		h.ServeHTTP(w, r)
	}))
	defer front.Close()
	c := connect(t, sandbox.ConnectorConfig{
		URL: front.URL, Secret: func(string) string { return secretText },
		NotifyURL: func(tenant string) string { return "http://127.0.0.1:1/hooks/" + tenant },
	})
	ask := call("att_1", "pm_ok")
	ask.Reference, ask.Customer, ask.Description, ask.StatementDescriptor = "order-7", "cus_1", "Ten pears", "PEARS"
	ask.ReturnURL, ask.Options = "https://shop.example/done", map[string]string{"refund": "pm_declined"}
	if f := c.Send(t.Context(), ask); f.Outcome != pay.Done {
		t.Fatalf("%+v", f)
	}
	const want = `{"kind":"charge","payment":"pay_1","amount":1250,"currency":"EUR","payment_method":"pm_ok",` +
		`"return_url":"https://shop.example/done","reference":"order-7","customer":"cus_1","description":"Ten pears","statement_descriptor":"PEARS",` +
		`"options":{"refund":"pm_declined"},"notify":{"url":"http://127.0.0.1:1/hooks/dev","secret":"` + secretText + `"}}`
	if *got.Load() != want {
		t.Errorf("got  %s\nwant %s", *got.Load(), want)
	}
}

// A customer approves or refuses at the gateway; until then nothing is final.
func TestConnectorFollowsAnAction(t *testing.T) {
	for outcome, want := range map[string]pay.Outcome{"approved": pay.Done, "refused": pay.Declined} {
		t.Run(outcome, func(t *testing.T) {
			h := open(t, sandbox.Config{})
			c := connect(t, sandbox.ConnectorConfig{URL: h.url})
			ask := call("att_1", "pm_requires_action")
			f := c.Send(t.Context(), ask)
			if f.Outcome != pay.ActionRequired || f.Amount != 1250 || !strings.HasPrefix(f.ActionURL, h.url) {
				t.Fatalf("%+v", f)
			}
			if g := c.Check(t.Context(), ask); g != f {
				t.Errorf("sent %+v, found %+v", f, g)
			}
			res, err := client.PostForm(f.ActionURL, url.Values{"outcome": {outcome}})
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if g := c.Check(t.Context(), ask); g.Outcome != want || g.GatewayID != f.GatewayID {
				t.Errorf("%s: %+v", outcome, g)
			}
		})
	}
}

// A charge that was never answered can be given up all the same.
func TestConnectorVoidsByOperation(t *testing.T) {
	h := open(t, sandbox.Config{})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	ask := call("att_1", "pm_requires_action")
	c.Send(t.Context(), ask)
	void := follow("att_2", pay.Void, pay.Finding{}, 0)
	if f := c.Send(t.Context(), void); f.Outcome != pay.Done || f.Amount != 0 {
		t.Errorf("%+v", f)
	}
	if f := c.Check(t.Context(), ask); f.Outcome != pay.Declined {
		t.Errorf("what was given up is %+v", f)
	}
}

// A gateway that does everything as often as it is asked is found out.
func TestConnectorFindsWhatRanTwice(t *testing.T) {
	h := open(t, sandbox.Config{Hostile: true})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	if got := c.Terms().Contract; got.Window != 0 || !got.Lookup {
		t.Errorf("its contract is %+v", got)
	}
	ask := call("att_1", "pm_ok")
	first, second := c.Send(t.Context(), ask), c.Send(t.Context(), ask)
	if first.GatewayID == second.GatewayID {
		t.Fatalf("it is not hostile: %+v, %+v", first, second)
	}
	f := c.Check(t.Context(), ask)
	if f.Outcome != pay.Conflict || f.Amount != 2500 || f.GatewayID != first.GatewayID || f.Detail != "it was executed 2 times" {
		t.Errorf("%+v", f)
	}
}

func TestConnectorTellsByHowMuchALookupLags(t *testing.T) {
	h := open(t, sandbox.Config{Timeout: patience, Script: sandbox.NewScript(sandbox.Rule{Fault: sandbox.Fault{Answer: sandbox.Hang, Lag: time.Second}})})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	ask := call("att_1", "pm_ok")
	if f := c.Send(t.Context(), ask); f.Outcome != pay.Unknown || f.Reach != pay.MayHaveArrived || !strings.HasPrefix(f.Detail, "no answer in ") {
		t.Errorf("%+v", f)
	}
	if f := c.Check(t.Context(), ask); !f.Absent || f.Lag != time.Second {
		t.Errorf("%+v", f)
	}
	eventually(t, func() bool { return c.Check(t.Context(), ask).Outcome == pay.Done })
}

// Until the gateway has said what it promises nothing is begun and nothing is
// decided by a guess. After that its word holds until it says something else.
func TestConnectorLearnsTheContract(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, err := sandbox.Connect(sandbox.ConnectorConfig{URL: "http://" + addr, Refresh: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Terms(); !got.Untold || got.Contract != (pay.Contract{}) || !strings.Contains(got.Closed, "has not said yet what it promises") {
		t.Errorf("before: %+v", got)
	}
	var contract atomic.Pointer[string]
	say := func(s string) { contract.Store(&s) }
	const promise = `"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"one","partial_capture":true}`
	say(`{"window_ms":1000,` + promise)
	l, err = net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(500)
		}
		io.WriteString(w, *contract.Load())
	})}
	go s.Serve(l)
	defer s.Close()
	window := func() time.Duration { return c.Terms().Contract.Window }
	eventually(t, func() bool { return window() == time.Second })
	if got := c.Terms(); got.Closed != "" || got.Untold || got.Contract.ManyCaptures {
		t.Errorf("then: %+v", got)
	}
	broken.Store(true)
	say(`{"window_ms":5000,` + promise)
	time.Sleep(60 * time.Millisecond)
	if window() != time.Second {
		t.Error("an error was taken for a contract")
	}
	broken.Store(false)
	eventually(t, func() bool { return window() == 5*time.Second })
	say(`{"window_ms":0,` + promise)
	eventually(t, func() bool { return window() == 0 })
}

// A webhook is believed if it is signed for the tenant, as it came, now.
func TestConnectorReadsNotices(t *testing.T) {
	type hook struct {
		header http.Header
		body   []byte
	}
	hooks := make(chan hook, 8)
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		hooks <- hook{r.Header.Clone(), body}
	}))
	defer shop.Close()
	h := open(t, sandbox.Config{})
	const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	c := connect(t, sandbox.ConnectorConfig{
		URL: h.url, NotifyURL: func(string) string { return shop.URL },
		Secret: func(tenant string) string { return map[string]string{"dev": secretText, "other": other}[tenant] },
	})
	sent := c.Send(t.Context(), call("att_1", "pm_ok"))
	got := <-hooks
	now := time.Now()

	n, f, err := c.Notice("dev", got.header, got.body, now)
	if err != nil {
		t.Fatal(err)
	}
	wantID := pay.NoticeID{Tenant: "dev", Gateway: "sandbox", ID: got.header.Get(webhook.HeaderID)}
	if n.NoticeID != wantID || n.Payment != "pay_1" || n.Operation != "att_1" || n.GatewayID != sent.GatewayID || n.Type != "operation.succeeded" {
		t.Errorf("%+v", n)
	}
	if f.Outcome != pay.Done || f.Amount != 1250 || f.Currency != "EUR" || f.GatewayID != sent.GatewayID {
		t.Errorf("%+v", f)
	}
	for i := range got.body {
		for bit := range 8 {
			forged := append([]byte(nil), got.body...)
			forged[i] ^= 1 << bit
			if _, _, err := c.Notice("dev", got.header, forged, now); !errors.Is(err, webhook.ErrSignature) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	for _, row := range []struct {
		name, tenant string
		at           time.Time
		want         error
	}{
		{"for another tenant", "other", now, webhook.ErrSignature},
		{"for a tenant without a secret", "nobody", now, webhook.ErrSignature},
		{"an hour late", "dev", now.Add(time.Hour), webhook.ErrTimestamp},
		{"an hour early", "dev", now.Add(-time.Hour), webhook.ErrTimestamp},
	} {
		if _, _, err := c.Notice(row.tenant, got.header, got.body, row.at); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// What is signed and still says nothing that is known is no notice.
func TestConnectorRefusesOddNotices(t *testing.T) {
	h := open(t, sandbox.Config{})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url, Secret: func(string) string { return secretText }})
	secret, err := webhook.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	const rest = `"operation":"att_1","payment":"pay_1","gateway_id":"ch_1","amount":1250,"currency":"EUR","at":"2026-11-21T00:00:00Z"`
	for _, row := range []struct {
		name, body string
		good       bool
	}{
		{"what it should be", `{"id":"sevt_1","type":"operation.succeeded","status":"succeeded",` + rest + `}`, true},
		{"another id than was signed", `{"id":"sevt_2","type":"operation.succeeded","status":"succeeded",` + rest + `}`, false},
		{"a type that is not its status", `{"id":"sevt_1","type":"operation.declined","status":"succeeded",` + rest + `}`, false},
		{"a status nobody knows", `{"id":"sevt_1","type":"operation.lost","status":"lost",` + rest + `}`, false},
		{"no operation", `{"id":"sevt_1","type":"operation.succeeded","status":"succeeded","payment":"pay_1","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, false},
		{"a member twice", `{"id":"sevt_1","type":"operation.succeeded","status":"succeeded","status":"succeeded",` + rest + `}`, false},
		{"no JSON", `hello`, false},
	} {
		head := http.Header{}
		if err := webhook.Sign(head, webhook.Message{ID: "sevt_1", At: time.Now(), Body: []byte(row.body)}, secret); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.Notice("dev", head, []byte(row.body), time.Now())
		if (err == nil) != row.good || err != nil && !errors.Is(err, sandbox.ErrNotice) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// Many calls at once, of many payments, to a gateway that answers late, never,
// and wrongly: each was one request, and in the end one charge.
func TestConnectorUnderFaults(t *testing.T) {
	t.Parallel()
	const calls = 60
	faults := []sandbox.Fault{
		{}, {Answer: sandbox.Hang}, {Answer: sandbox.ResetBefore}, {Answer: sandbox.ResetWithin}, {Answer: sandbox.Truncated},
		{Answer: sandbox.Broken}, {Status: 500}, {Status: 503, Skip: true}, {Redirect: "http://127.0.0.1:1/"}, {Status: 429, Skip: true},
	}
	script := sandbox.NewScript()
	for i := range calls {
		script.Add(sandbox.Rule{Operation: opName(i), Nth: 1, Fault: faults[i%len(faults)]})
	}
	h := open(t, sandbox.Config{Timeout: 2 * time.Second, Script: script})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			ask := call(opName(i), "pm_ok")
			f := c.Send(t.Context(), ask)
			if good := i%len(faults) == 0; good != (f.Outcome == pay.Done) || f.Reach != pay.MayHaveArrived {
				t.Errorf("fault %+v: %+v", faults[i%len(faults)], f)
			}
		})
	}
	all.Wait()
	if s := c.Stats(); s.Sends != calls || s.SendsInFlight != 0 || s.SendOutcomes.Unknown != calls*9/10 {
		t.Errorf("it counts %+v", s)
	}
	skipped := calls / 5
	h.wantCharges(calls - skipped)
	for i := range calls {
		ask := call(opName(i), "pm_ok")
		if f := c.Check(t.Context(), ask); f.Absent != faults[i%len(faults)].Skip || f.Absent == (f.Outcome == pay.Done) {
			t.Errorf("fault %+v: %+v", faults[i%len(faults)], f)
		}
		c.Send(t.Context(), ask) // the same again is no second charge
	}
	h.wantCharges(calls)
}

func opName(i int) string { return "att_" + string(rune('a'+i/10)) + string(rune('0'+i%10)) }

// What its calls have to tell goes where the connector tells what it has to.
func TestConnectorTellsOfItsBreaker(t *testing.T) {
	h := open(t, sandbox.Config{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer front.Close()
	var log bytes.Buffer
	c := connect(t, sandbox.ConnectorConfig{
		URL: front.URL, Name: "shop", Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: gateway.Config{Breaker: gateway.Breaker{Sends: 1}},
	})
	c.Send(t.Context(), call("att_1", "pm_ok"))
	if got := log.String(); !strings.Contains(got, "has opened") || !strings.Contains(got, "gateway=shop") || !strings.Contains(got, `last_failure="HTTP 500"`) {
		t.Errorf("it says %q", got)
	}
}
