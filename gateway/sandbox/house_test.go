package sandbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

// A house is a sandbox on loopback and somebody who calls it.
type house struct {
	*sandbox.Server
	t    *testing.T
	url  string
	path string

	rooms *atomic.Int64
	room  string // is added to all names
}

// open opens a sandbox with books of its own.
func open(t *testing.T, cfg sandbox.Config) *house {
	t.Helper()
	if cfg.Books == "" {
		cfg.Books = filepath.Join(t.TempDir(), "sandbox.db")
	}
	s, err := sandbox.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close() // first, so that what hangs lets go
		web.CloseClientConnections()
		web.Close()
	})
	return &house{Server: s, t: t, url: web.URL, path: cfg.Books, rooms: &atomic.Int64{}}
}

// share is a part of the house for one test, in which every payment and
// operation has a name of its own: to open books takes a while.
func (h *house) share(t *testing.T) *house {
	part := *h
	part.t, part.room = t, fmt.Sprintf("_room%d", h.rooms.Add(1))
	return &part
}

// Sends and Checks are of this room.
func (h *house) Sends(id string) int  { return h.Server.Sends(id + h.room) }
func (h *house) Checks(id string) int { return h.Server.Checks(id + h.room) }

// in returns b with the names of the room.
func (b body) in(room string) body {
	for _, name := range []string{"payment", "target_operation"} {
		if text, ok := b[name].(string); ok && room != "" {
			b = b.with(name, text+room)
		}
	}
	return b
}

type body map[string]any

// charge is a usual body.
func charge(method string) body {
	return body{"kind": "charge", "payment": "pay_1", "amount": 1250, "currency": "EUR", "payment_method": method}
}

// with returns a copy of b with some members more or other.
func (b body) with(pairs ...any) body {
	c := body{}
	for k, v := range b {
		c[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i].(string)] = pairs[i+1]
	}
	return c
}

// An answer is what came back, if anything did.
type answer struct {
	err    error
	status int
	text   string
	header http.Header

	Operation   string
	Kind        string
	Status      string
	GatewayID   string `json:"gateway_id"`
	Amount      int64
	Currency    string
	ActionURL   string `json:"action_url"`
	DeclineCode string `json:"decline_code"`
	Executions  []answer
	LagMillis   int64 `json:"lag_ms"`
	Error       struct{ Code, Message string }
}

// A clock goes when it is told to.
type clock struct{ ahead atomic.Int64 }

var began = time.Now().Truncate(time.Microsecond) // as the books have it

func (c *clock) now() time.Time          { return began.Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// waiting is how long a caller waits for an answer that is to come. For one that
// is not, it leaves patience after the sandbox has counted what it sent.
const (
	waiting  = 10 * time.Second
	patience = 80 * time.Millisecond
)

// send sends an operation and waits for the answer.
func (h *house) send(id string, b body) answer {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waiting)
	defer cancel()
	return h.post(ctx, id, b)
}

// sendAndLeave sends an operation that will not be answered.
func (h *house) sendAndLeave(id string, b body) answer {
	h.t.Helper()
	before := h.Sends(id)
	return h.leave(func() bool { return h.Sends(id) > before }, func(ctx context.Context) answer { return h.post(ctx, id, b) })
}

// try sends an operation that is answered with a status, or 0 if it is not.
func (h *house) try(status int, id string, b body) answer {
	h.t.Helper()
	if status == 0 {
		return h.sendAndLeave(id, b)
	}
	return h.send(id, b)
}

// leave makes a call and leaves, some time after it is known to have arrived.
func (h *house) leave(arrived func() bool, call func(context.Context) answer) answer {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	came := make(chan answer, 1)
	go func() { came <- call(ctx) }()
	eventually(h.t, arrived)
	select {
	case a := <-came:
		return a
	case <-time.After(patience):
		cancel()
		return <-came
	}
}

func (h *house) post(ctx context.Context, id string, b body) answer {
	text, err := json.Marshal(b.in(h.room))
	if err != nil {
		return answer{err: err}
	}
	return h.do(ctx, "POST", "/v1/operations", text, "Idempotency-Key", id+h.room)
}

// check asks about an operation.
func (h *house) check(id string) answer { return h.get("/v1/operations/" + id + h.room) }

// checkAndLeave asks for the first time, and will not be answered.
func (h *house) checkAndLeave(id string) answer {
	h.t.Helper()
	return h.leave(func() bool { return h.Checks(id) == 1 }, func(ctx context.Context) answer {
		return h.do(ctx, "GET", "/v1/operations/"+id+h.room, nil)
	})
}

func (h *house) get(path string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), waiting)
	defer cancel()
	return h.do(ctx, "GET", path, nil)
}

// client makes one request for each call: no redirects, no old connections.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (h *house) do(ctx context.Context, method, path string, text []byte, headers ...string) (a answer) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(text))
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && len(raw) > 0 && raw[0] == '{' {
		err = json.Unmarshal(raw, &a)
	}
	a.err, a.status, a.text, a.header = err, res.StatusCode, string(raw), res.Header
	return a
}

// unanswered says that no answer had come when its caller left.
func (a answer) unanswered() bool { return errors.Is(a.err, context.Canceled) }

// charges returns the truth about a payment.
func (h *house) charges(payment string) []sandbox.Charge {
	h.t.Helper()
	if payment != "" {
		payment += h.room
	}
	all, err := h.Charges(context.Background(), payment)
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// wantCharges fails the test if the books have another number of charges.
func (h *house) wantCharges(n int) {
	h.t.Helper()
	if got := h.charges("pay_1"); len(got) != n {
		h.t.Errorf("the books have %d charges, want %d: %+v", len(got), n, got)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, good func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waiting); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

// secretText is a secret for webhooks.
const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// query reads one value from the books, as a stranger does.
func (h *house) query(text string, to any) {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.path+"?mode=ro")
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(text).Scan(to); err != nil {
		h.t.Fatal(err)
	}
}

// deliveries says how the deliveries of webhooks stand.
func (h *house) deliveries() (all string) {
	h.t.Helper()
	h.query(`SELECT group_concat('attempts ' || attempts || ', due ' || coalesce(due, 'never') || ', ' || result, '; ') FROM deliveries`, &all)
	return all
}
