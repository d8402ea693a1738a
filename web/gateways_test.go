package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

// gateways is Payments with gateways that are only there.
type gateways struct {
	house pay.House
	err   error // what a check and a notice fail with
}

func (g gateways) House() pay.House                     { return g.house }
func (g gateways) Check(context.Context, pay.Ref) error { return g.err }
func (g gateways) Notice(context.Context, string, string, http.Header, []byte) error {
	return g.err
}

func having(names ...string) pay.House {
	h := pay.House{Gateways: map[string]pay.Terms{}}
	for _, name := range names {
		h.Gateways[name] = pay.Terms{}
	}
	return h
}

// Which gateway a payment is for, and what is said where there is none.
func TestTheUsualGateway(t *testing.T) {
	for name, row := range map[string]struct {
		payments Payments
		usual    string
		body     string
		want     string // the gateway, or what the refusal says
	}{
		"no payments at all":                    {nil, "", paymentBody("", ""), "This server has no gateway"},
		"no gateway":                            {gateways{}, "", paymentBody("", ""), "This server has no gateway"},
		"no gateway, and one is named":          {gateways{}, "", paymentBody("gateway", `"a"`), "This server has no gateway"},
		"one gateway":                           {gateways{house: having("a")}, "", paymentBody("", ""), `"gateway":"a"`},
		"several, and none is the usual one":    {gateways{house: having("a", "b")}, "", paymentBody("", ""), "name the gateway"},
		"several, and one is the usual one":     {gateways{house: having("a", "b")}, "b", paymentBody("", ""), `"gateway":"b"`},
		"several, and one is named":             {gateways{house: having("a", "b")}, "b", paymentBody("gateway", `"a"`), `"gateway":"a"`},
		"several, and a number is named":        {gateways{house: having("a", "b")}, "", paymentBody("gateway", "7"), `"errors":[{"pointer":"/gateway","detail":"This is a string, not a number; leave it out if there is none."}]`},
		"the usual one is not there any more":   {gateways{house: having("a")}, "b", paymentBody("", ""), "There is no such gateway"},
		"a missing gateway is told with others": {gateways{}, "", paymentBody("amount", "0"), "2 things are wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseOn(t, engine.NewMemory(), func(c *Config) { c.Payments, c.DefaultGateway = row.payments, row.usual })
			if a := h.post("k", "/v1/payments", row.body); !strings.Contains(a.body, row.want) {
				t.Errorf("got %d %s, want %s", a.status, a.body, row.want)
			}
		})
	}
}

// A gateway that was taken away keeps its payments, and takes nothing new.
func TestAGatewayThatWasTakenAway(t *testing.T) {
	h := newHouse(t, nil)
	id := h.makePayment("k", paymentBody("", ""))
	h.payments = gateways{house: having("another"), err: errNoGateway}
	if a := h.post("", "/v1/payments/"+id+"/confirm", ""); a.code() != "gateway_unavailable" {
		t.Errorf("confirm: %v", a)
	}
	if a := h.do("GET", "/v1/payments/"+id, ""); a.status != 200 {
		t.Errorf("read: %v", a)
	}
}

// What a check came to, where it did not come to an answer.
func TestChecksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		target := "/v1/payments/" + h.do("POST", "/v1/payments", confirmed("pm_lost"), "Idempotency-Key", "k", "Prefer", "wait=4").id() + "/check"
		lookup := pay.House{Gateways: map[string]pay.Terms{"sandbox": {Contract: pay.Contract{Lookup: true}}}}
		for name, row := range map[string]struct {
			payments Payments
			status   int
			code     string
		}{
			"the gateway cannot be asked":    {gateways{house: having("sandbox")}, 409, "state_conflict"},
			"the gateway is not there":       {gateways{err: errNoGateway}, 503, "gateway_unavailable"},
			"nothing was heard":              {gateways{house: lookup, err: context.DeadlineExceeded}, 503, "gateway_unavailable"},
			"the store fails":                {gateways{house: lookup, err: fmt.Errorf("record: %w", engine.ErrUnavailable)}, 503, "store_unavailable"},
			"the server is shutting down":    {gateways{house: lookup, err: engine.ErrClosed}, 503, "overloaded"},
			"the answer took too long":       {gateways{house: lookup, err: engine.ErrInProgress}, 503, "gateway_unavailable"},
			"the answer is not written down": {gateways{house: lookup, err: fmt.Errorf("%w: a stack", engine.ErrInternal)}, 500, "internal"},
			"afterwards it may be repeated":  {h.till, 200, ""},
		} {
			h.payments = row.payments
			if a := h.post("c"+fmt.Sprint(row.status, row.code), target, ""); a.status != row.status || a.code() != row.code || strings.Contains(a.body, "Nothing has changed") || strings.Contains(a.body, "stack") {
				t.Errorf("%s: got %v, want %d %s", name, a, row.status, row.code)
			}
		}
	})
}

// What a gateway is told about its webhook says whether to send it again.
func TestWebhooksThatAreNotTaken(t *testing.T) {
	for name, row := range map[string]struct {
		err    error
		untold bool // the gateway has not said what it promises
		status int
	}{
		"a header is missing":                    {webhook.ErrMissing, false, 401},
		"a header that cannot be read":           {webhook.ErrMalformed, false, 401},
		"too old":                                {&webhook.TimestampError{}, false, 401},
		"another signature":                      {fmt.Errorf("sandbox: %w", webhook.ErrSignature), false, 401},
		"the store fails":                        {engine.ErrUnavailable, false, 503},
		"the queue is full":                      {engine.ErrOverloaded, false, 503},
		"the server is shutting down":            {engine.ErrClosed, false, 503},
		"it is signed and means nothing":         {errors.New("sandbox: secret words"), false, 400},
		"it is taken":                            {nil, false, 200},
		"the store takes too long":               {engine.ErrInProgress, false, 503},
		"nothing is known of the gateway yet":    {errors.New("processor: untold"), true, 503},
		"nor is a signature's worth less for it": {webhook.ErrSignature, true, 401},
	} {
		t.Run(name, func(t *testing.T) {
			house := having("sandbox")
			if row.untold {
				house.Gateways["sandbox"] = pay.Terms{Untold: true}
			}
			h := newHouseOn(t, engine.NewMemory(), func(c *Config) { c.Payments = gateways{house: house, err: row.err} })
			a := h.do("POST", "/v1/gateways/sandbox/webhooks/acme", "{}", "Authorization", "")
			if a.status != row.status || (a.header.Get("Retry-After") != "") != (row.status == 503) || strings.Contains(a.body, "secret") {
				t.Errorf("got %v, want %d", a, row.status)
			}
		})
	}
}

// A webhook that the store takes too long for is not waited for for ever.
func TestWebhooksThatTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.store.set(true, false)
		fields, body := http.Header{}, `{"id":"e","type":"x"}`
		if err := webhook.Sign(fields, webhook.Message{ID: "e", At: time.Now(), Body: []byte(body)}, secretOf("acme")); err != nil {
			t.Fatal(err)
		}
		r := request("POST", "/v1/gateways/sandbox/webhooks/acme", body)
		maps.Copy(r.Header, fields)
		if a := h.send(r); a.code() != "store_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("got %v", a)
		}
		h.store.set(false, false)
	})
}

// The same answer, whether there is such a tenant or not: nobody learns who our
// clients are.
func TestWebhooksDoNotTellTenants(t *testing.T) {
	h := newHouse(t, nil)
	bodies := map[string]bool{}
	for _, endpoint := range []string{"acme", "nobody", "%2e%2e%2f", "a%20b", strings.Repeat("x", 300)} {
		fields := http.Header{}
		body := `{"id":"e","type":"x"}`
		if err := webhook.Sign(fields, webhook.Message{ID: "e", At: time.Now(), Body: []byte(body)}, secretOf("somebody else")); err != nil {
			t.Fatal(err)
		}
		r := request("POST", "/v1/gateways/sandbox/webhooks/"+endpoint, body, "Authorization", "")
		for name := range fields {
			r.Header.Set(name, fields.Get(name))
		}
		a := h.send(r)
		bodies[fmt.Sprint(a.status, strip(a.body))] = true
	}
	if len(bodies) != 1 {
		t.Errorf("%d different answers: %v", len(bodies), bodies)
	}
}

// Webhooks are bounded, each and all, and take no room from clients.
func TestWebhooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Payments = gateways{house: having("sandbox")} })
		const target = "/v1/gateways/sandbox/webhooks/acme"
		if a := h.do("POST", target, strings.Repeat("x", MaxNotice)); a.status != 200 {
			t.Errorf("the largest: %v", a)
		}
		if a := h.do("POST", target, strings.Repeat("x", MaxNotice+1)); a.status != 413 {
			t.Errorf("one byte more: %v", a)
		}
		chunked := request("POST", target, strings.Repeat("x", MaxNotice+1))
		chunked.ContentLength = -1
		if a := h.send(chunked); a.status != 413 {
			t.Errorf("chunked: %v", a)
		}
		stop, answers := make(chan struct{}), make(chan *httptest.ResponseRecorder, 3*MaxNotices/MaxNotice)
		for range cap(answers) {
			go func() {
				w, r := httptest.NewRecorder(), request("POST", target, "-")
				r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", MaxNotice-1)), &slow{stop: stop})), MaxNotice
				h.ServeHTTP(w, r)
				answers <- w
			}()
		}
		synctest.Wait()
		if n := cap(answers) - len(answers); n < MaxNotices/MaxNotice || n > 3*MaxNotices/MaxNotice/2 {
			t.Errorf("%d are let in, want %d or a few more", n, MaxNotices/MaxNotice)
		}
		for range len(answers) {
			if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
		used := h.notices.used.Swap(MaxNotices) // to the last byte
		if a := h.do("POST", target, strings.Repeat("x", FreeNotice)); a.status != 200 {
			t.Errorf("a small one: %v", a)
		}
		if a := h.post("k", "/v1/accounts", `{"currency":"EUR"}`); a.status != 201 {
			t.Errorf("a client: %v", a)
		}
		h.notices.used.Store(used)
		close(stop)
		synctest.Wait()
		if left := h.notices.used.Load() + h.bodies.used.Load(); left != 0 {
			t.Errorf("%d bytes of room were not given back", left)
		}
	})
}

// Who says that much will come, and sends nothing, takes no room.
func TestWebhooksThatDoNotComeTakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Payments = gateways{house: having("sandbox")} })
		stop := make(chan struct{})
		for range 10 * MaxNotices / MaxNotice {
			go func() {
				r := request("POST", "/v1/gateways/sandbox/webhooks/acme", "-")
				r.Body, r.ContentLength = io.NopCloser(&slow{"x", 1, stop}), MaxNotice
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
		}
		synctest.Wait()
		if used := h.notices.used.Load(); used != 0 {
			t.Errorf("%d bytes are taken", used)
		}
		close(stop)
	})
}

// patientGateways takes a while for a webhook, longer than its body had.
type patientGateways struct{ gateways }

func (g patientGateways) Notice(ctx context.Context, _, _ string, _ http.Header, _ []byte) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(noticeTime + time.Second):
		return nil
	}
}

// A webhook that comes too slowly is cut off, and its place is free again. How long
// one is worked on that came in time is another matter.
func TestSlowWebhooksAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Payments = patientGateways{gateways{house: having("sandbox")}} })
		street := newPipes(t, h.API)
		for name, row := range map[string]struct {
			length, sent int
			status       int
			after        time.Duration
		}{
			"all but a byte of it":       {MaxNotice, MaxNotice - 1, 408, noticeTime},
			"nothing of it":              {10, 0, 408, noticeTime},
			"all of it":                  {10, 10, 200, noticeTime + time.Second},
			"all of it, and it is large": {MaxNotice, MaxNotice, 200, noticeTime + time.Second},
		} {
			conn, began := street.dial(t), time.Now()
			fmt.Fprintf(conn, "POST /v1/gateways/sandbox/webhooks/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", row.length, strings.Repeat("x", row.sent))
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if took := time.Since(began); res.StatusCode != row.status || took != row.after || res.Close != (row.status == 408) {
				t.Errorf("%s: %d after %v, the connection is closed: %v", name, res.StatusCode, took, res.Close)
			}
			conn.Close()
		}
		synctest.Wait()
		if left := h.notices.used.Load(); left != 0 {
			t.Errorf("%d bytes of room were not given back", left)
		}
	})
}

// pipes are a listener whose connections are in memory, where time can be a
// test's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes(t *testing.T, h http.Handler) *pipes {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	s := NewServer(h, slog.New(slog.DiscardHandler))
	go s.Serve(p)
	t.Cleanup(func() { s.Close() })
	return p
}

func (p *pipes) dial(t *testing.T) net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	t.Cleanup(func() { near.Close() })
	return near
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
