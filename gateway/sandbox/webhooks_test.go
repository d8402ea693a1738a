package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/webhook"
)

// An event is a webhook that arrived, verified.
type event struct {
	ID, Type, Operation, Payment, Status, Currency, At string
	GatewayID                                          string `json:"gateway_id"`
	Amount                                             int64
}

// A mailbox receives webhooks. It refuses the first ones if it is told to.
type mailbox struct {
	t   *testing.T
	web *httptest.Server

	mu     sync.Mutex
	refuse []int // statuses to answer before it takes any
	tries  int
	events []event
}

func newMailbox(t *testing.T, refuse ...int) *mailbox {
	m := &mailbox{t: t, refuse: refuse}
	m.web = httptest.NewServer(m)
	t.Cleanup(m.web.Close)
	return m
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was closed
	}
	if r.URL.Path != "/hook" {
		m.t.Errorf("a webhook came to %s", r.URL.Path)
	}
	secret, _ := webhook.ParseSecret(secretText)
	msg, err := webhook.Verifier{Secrets: []webhook.Secret{secret}}.Verify(r.Header, body, time.Now())
	if err != nil {
		m.t.Errorf("a webhook that is not signed as it should be: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	if len(m.refuse) > 0 {
		w.Header().Set("Location", m.web.URL+"/elsewhere")
		w.WriteHeader(m.refuse[0])
		m.refuse = m.refuse[1:]
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.ID != msg.ID {
		m.t.Errorf("got %s in a webhook with the id %s: %v", body, msg.ID, err)
	}
	m.events = append(m.events, e)
}

// taken returns the events that were taken, in their order.
func (m *mailbox) taken() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]event(nil), m.events...)
}

// want waits until as many events were taken, and returns them.
func (m *mailbox) want(n int) []event {
	m.t.Helper()
	eventually(m.t, func() bool { return len(m.taken()) >= n })
	return m.taken()
}

// notify returns b with the mailbox as its address for webhooks.
func (m *mailbox) notify(b body) body {
	return b.with("notify", body{"url": m.web.URL + "/hook", "secret": secretText})
}

func TestAWebhookTellsWhatWasExecuted(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Truncate(time.Microsecond)
	h, m := open(t, sandbox.Config{Now: func() time.Time { return at }}), newMailbox(t)
	a := h.send("att_1", m.notify(charge("pm_ok")))
	got := m.want(1)[0]
	want := event{
		ID: got.ID, Type: "operation.succeeded", Operation: "att_1", Payment: "pay_1", Status: "succeeded", Currency: "EUR",
		At: at.Format("2006-01-02T15:04:05.000000Z"), GatewayID: a.GatewayID, Amount: 1250,
	}
	if got != want || !strings.HasPrefix(got.ID, "sevt_") {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEachKindOfWebhook(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"pm_ok": "operation.succeeded", "pm_declined": "operation.declined", "pm_requires_action": "operation.requires_action",
		"pm_timeout_after_charge": "operation.succeeded", "pm_late": "operation.succeeded",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			h, m := open(t, sandbox.Config{}), newMailbox(t)
			send := h.send
			if method == "pm_late" || method == "pm_timeout_after_charge" {
				send = h.sendAndLeave
			}
			send("att_1", m.notify(charge(method)))
			if got := m.want(1)[0]; got.Type != want || "operation."+got.Status != want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestFaultsOfWebhooks(t *testing.T) {
	for _, row := range []struct {
		sentence, method string
		fault            sandbox.Webhooks
		want             string // the types in their order; a second one of an id is marked
	}{
		{"once", "pm_ok", sandbox.Webhooks{}, "succeeded"},
		{"several times", "pm_ok", sandbox.Webhooks{Copies: 3}, "succeeded succeeded(again) succeeded(again)"},
		{"an earlier state follows", "pm_ok", sandbox.Webhooks{Stale: true}, "succeeded requires_action succeeded(again)"},
		{"against the truth", "pm_ok", sandbox.Webhooks{Say: "declined"}, "declined"},
		{"later", "pm_ok", sandbox.Webhooks{Delay: 20 * time.Millisecond}, "succeeded"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h, m := open(t, sandbox.Config{Script: always(sandbox.Fault{Webhooks: row.fault})}), newMailbox(t)
			h.send("att_1", m.notify(charge(row.method)))
			events := m.want(len(strings.Fields(row.want)))
			if got := inWords(events); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func inWords(events []event) string {
	var words []string
	seen := map[string]bool{}
	for _, e := range events {
		word := strings.TrimPrefix(e.Type, "operation.")
		if seen[e.ID] {
			word += "(again)"
		}
		seen[e.ID] = true
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// pm_duplicate_webhooks sends each of its webhooks several times, and an older
// one after a newer one.
func TestDuplicateWebhooks(t *testing.T) {
	t.Parallel()
	h, m := open(t, sandbox.Config{}), newMailbox(t)
	h.send("att_1", m.notify(charge("pm_duplicate_webhooks")))
	times, older := map[string]int{}, false
	for i, e := range m.want(6) {
		times[e.Type]++
		older = older || i > 0 && e.At < m.taken()[i-1].At
	}
	if times["operation.succeeded"] != 3 || times["operation.requires_action"] != 3 || !older {
		t.Errorf("got %v, an older one after a newer one: %v", times, older)
	}
	h.wantCharges(1)
}

// The webhook of a later charge is the judge of that one before it sent none.
func TestAWebhookThatNeverComes(t *testing.T) {
	t.Parallel()
	script := sandbox.NewScript(sandbox.Rule{Operation: "att_1", Fault: sandbox.Fault{Webhooks: sandbox.Webhooks{None: true}}})
	h, m := open(t, sandbox.Config{Script: script}), newMailbox(t)
	h.send("att_1", m.notify(charge("pm_ok")))
	h.send("att_2", m.notify(charge("pm_ok")))
	for _, e := range m.want(1) {
		if e.Operation != "att_2" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestAHostileGatewayTellsEveryExecution(t *testing.T) {
	t.Parallel()
	h, m := open(t, sandbox.Config{Hostile: true}), newMailbox(t)
	h.send("att_1", m.notify(charge("pm_ok")))
	h.send("att_1", m.notify(charge("pm_ok")))
	if e := m.want(2); e[0].ID == e[1].ID || e[0].GatewayID == e[1].GatewayID {
		t.Errorf("got %+v", e)
	}
}

func TestAWebhookIsTriedAgain(t *testing.T) {
	for _, row := range []struct {
		sentence string
		refuse   int
		again    bool
	}{
		{"after a server's error", 500, true},
		{"after a refusal", 404, true},
		{"after a redirect, which is not followed", 307, true},
		{"not when it is no longer wanted", 410, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			h, m := open(t, sandbox.Config{}), newMailbox(t, row.refuse)
			h.send("att_1", m.notify(charge("pm_ok")))
			if row.again {
				m.want(1)
				return
			}
			eventually(t, func() bool { return strings.Contains(h.deliveries(), "attempts 1, due never, HTTP 410") })
			if n := len(m.taken()); n != 0 {
				t.Errorf("%d webhooks were taken", n)
			}
		})
	}
}

// A name is no address: where it leads is looked at when it is dialled.
func TestWebhooksGoToLoopbackOnly(t *testing.T) {
	for sentence, address := range map[string]string{
		"another machine":           "http://192.0.2.1:9/hook",
		"another machine, IPv6":     "http://[2001:db8::1]:9/hook",
		"all addresses of this one": "http://0.0.0.0:9/hook",
		"the cloud's metadata":      "http://169.254.169.254/latest/meta-data/",
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			h := open(t, sandbox.Config{})
			if a := h.send("att_1", charge("pm_ok").with("notify", body{"url": address, "secret": secretText})); a.status != 200 {
				t.Fatalf("got %d %s", a.status, a.text)
			}
			eventually(t, func() bool { return strings.Contains(h.deliveries(), "attempts 1, due never") })
			if got := h.deliveries(); !strings.Contains(got, "loopback") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Every attempt is signed for its own time: a receiver with a tolerance takes a
// late one too. What was not delivered is still due after a restart.
func TestWebhooksSurviveARestart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // nobody is there
	path := filepath.Join(t.TempDir(), "sandbox.db")
	h := open(t, sandbox.Config{Books: path})
	h.send("att_1", charge("pm_ok").with("notify", body{"url": "http://" + address + "/hook", "secret": secretText}))
	eventually(t, func() bool { return !strings.Contains(h.deliveries(), "attempts 0") })
	h.Close()

	m := &mailbox{t: t}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	m.web = &httptest.Server{Listener: l, Config: &http.Server{Handler: m}}
	m.web.Start()
	t.Cleanup(m.web.Close)
	open(t, sandbox.Config{Books: path})
	if got := m.want(1)[0]; got.Operation != "att_1" {
		t.Errorf("got %+v", got)
	}
}

// The webhooks for a receiver that is gone do not hold up the others.
func TestAReceiverThatIsGoneHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h, m := open(t, sandbox.Config{}), newMailbox(t)
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			b := m.notify(charge("pm_ok"))
			if n%2 == 0 {
				b = b.with("notify", body{"url": "http://127.0.0.1:1/hook", "secret": secretText})
			}
			h.send(fmt.Sprintf("att_%d", n), b)
		})
	}
	wg.Wait()
	m.want(100)
}
