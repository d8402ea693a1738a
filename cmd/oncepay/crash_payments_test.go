//go:build integration

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/store/sqlite"
)

const (
	paymentCrashes = 100
	paymentRounds  = 100 // cycles between two looks at everything
)

// A server that is killed while payments are at the gateway charges nobody twice
// and forgets nobody. The gateway is a process of its own that is not idempotent:
// every send that reaches it is one more charge, and its books are the judge
// (claim A). When the faults stop, every payment becomes final (claim E), every
// answer that was ever given is given again (claim B), and the ledger has what
// the gateway's books have (claim C).
func TestKilledServerChargesOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	program := buildForCrashes(t)
	gw := startSandbox(t, program, "--hostile", "--timeout=1s", "--in-flight=3s") // so that the test need not wait as long; pm_slow takes 2 s
	w := &till{
		crashWorld: crashWorld{program: program, dir: t.TempDir(), args: []string{"--sandbox=" + gw.url}},
		sandbox:    gw.url, luck: rand.New(rand.NewPCG(seed, 1)), seed: seed,
	}
	hits, inFlight := 0, 0
	s := w.start(t)
	for cycle := range paymentCrashes {
		w.trade(t, s, cycle, time.Duration(50+w.luck.IntN(350))*time.Millisecond)
		s.killed(t)
		if n := w.intents(t); n > 0 {
			hits++
			inFlight += n
		}
		s = w.start(t)
		if (cycle+1)%paymentRounds == 0 {
			w.settle(t, s)
			w.judge(t, s)
			w.audit(t)
		}
		if t.Failed() {
			t.Fatalf("cycle %d of seed %d\n%s", cycle, seed, &s.stderr)
		}
	}
	s.stop(t)
	t.Logf("%d kills, %d of them with operations between their intent and their record (%d operations); %d orders, %d of them charged",
		paymentCrashes, hits, inFlight, len(w.orders), w.charged)
	if hits < 20 {
		t.Errorf("only %d of %d kills came between an intent and its record: the test does not test what it is for", hits, paymentCrashes)
	}
}

// gateway is the sandbox as a process.
type sandboxProcess struct {
	cmd *exec.Cmd
	url string
}

func startSandbox(t *testing.T, program string, args ...string) *sandboxProcess {
	t.Helper()
	args = append([]string{"sandbox", "--addr=127.0.0.1:0", "--books=" + filepath.Join(t.TempDir(), "sandbox.db")}, args...)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TEST_AS_PROGRAM=yes")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, found := strings.Cut(ready, "http://")
	if err != nil || !found {
		t.Fatalf("the sandbox did not get ready: %q %v", ready, err)
	}
	return &sandboxProcess{cmd, "http://" + strings.Fields(rest)[0]}
}

// till is a store under payments, and what its clients remember.
type till struct {
	crashWorld
	sandbox string
	seed    uint64
	luck    *rand.Rand

	mu      sync.Mutex
	orders  []*paidOrder
	charged int // orders that the gateway's books have money of
}

// paidOrder is one order: what its client wants done, and what it knows of it.
type paidOrder struct {
	crashOp         // creates the payment and confirms it
	wants   string  // "charge", "capture", "cancel" or "refund"
	method  string  // how the gateway behaves when it is charged
	amount  int64   // of the payment
	part    int64   // that is given back
	id      string  // of the payment, once it was told
	then    crashOp // what follows when it is paid: a capture, a cancel, a refund
}

// orderMethods is a bad day: most of it is between an intent and its record.
var orderMethods = []string{
	"pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_declined", "pm_timeout_after_charge", "pm_500_after_charge", "pm_500_after_charge",
	"pm_timeout_before_charge", "pm_slow", "pm_duplicate_webhooks", "pm_late",
}

func (w *till) order(cycle, client, n int, luck *rand.Rand) *paidOrder {
	o := &paidOrder{
		amount: 2 + luck.Int64N(10000), method: orderMethods[luck.IntN(len(orderMethods))],
		wants: [...]string{"charge", "charge", "capture", "cancel", "refund"}[luck.IntN(5)],
	}
	manual, later := "automatic", orderMethods[luck.IntN(len(orderMethods))]
	if o.wants == "capture" || o.wants == "cancel" {
		manual = "manual"
	}
	if later == "pm_declined" { // what follows is carried out in the end
		later = "pm_ok"
	}
	o.key, o.path = fmt.Sprintf("o-%d-%d-%d-%d", w.seed, cycle, client, n), "/v1/payments"
	o.body = fmt.Sprintf(`{"amount":%d,"currency":"EUR","payment_method":%q,"reference":%q,"confirm":true,"capture_method":%q,`+
		`"gateway_options":{"capture":%[5]q,"void":%[5]q,"refund":%[5]q}}`, o.amount, o.method, o.key, manual, later)
	o.part = 1 + luck.Int64N(o.amount)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, o)
	return o
}

// next is what the order's client asks next, nil if it has all its answers.
func (o *paidOrder) next() *crashOp {
	switch {
	case o.status == 0:
		return &o.crashOp
	case o.then.key != "" && o.then.status == 0:
		return &o.then
	default:
		return nil
	}
}

// paid notes what follows now that there is a payment.
func (o *paidOrder) paid(id string) {
	if o.id != "" || o.wants == "charge" {
		o.id = id
		return
	}
	o.id, o.then.key, o.then.path = id, o.key+"-"+o.wants, "/v1/payments/"+id+"/"+o.wants
	if o.wants == "refund" {
		o.then.path, o.then.body = "/v1/payments/"+id+"/refunds", fmt.Sprintf(`{"amount":%d}`, o.part)
	}
}

// trade has all clients order until the server is killed under them. Some go on
// with what they have no answer to.
func (w *till) trade(t *testing.T, s *crashServer, cycle int, d time.Duration) {
	t.Helper()
	var stop atomic.Bool
	open := w.open()
	for client := range crashClients {
		luck := rand.New(rand.NewPCG(w.seed, uint64(cycle*crashClients+client)))
		s.clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if len(open) > 0 && luck.IntN(3) == 0 {
					w.goOn(t, s, open[luck.IntN(len(open))], "0")
					continue
				}
				o := w.order(cycle, client, n, luck)
				w.goOn(t, s, o, "1")
				w.goOn(t, s, o, "1")
			}
		})
	}
	time.Sleep(d) // the moment of the kill is the luck of this test
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	s.clients.Wait()
}

// open are the orders without all of their answers.
func (w *till) open() (open []*paidOrder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orders {
		if o.next() != nil {
			open = append(open, o)
		}
	}
	return open
}

// goOn asks for what an order has no answer to.
func (w *till) goOn(t *testing.T, s *crashServer, o *paidOrder, wait string) {
	w.mu.Lock()
	op := o.next()
	w.mu.Unlock()
	if op != nil {
		w.ask(t, s, o, op, wait)
	}
}

// ask sends a request, and keeps a final answer; one that was had must come again.
// It says whether there was one.
func (w *till) ask(t *testing.T, s *crashServer, o *paidOrder, op *crashOp, wait string) bool {
	status, header, body, err := s.postWaiting(op, wait)
	if err != nil || status == http.StatusAccepted || status == http.StatusConflict || status >= 500 {
		return false // the server is gone, or it is not known yet
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.status != 0 && (op.status != status || !bytes.Equal(op.answer, body) || header.Get("Idempotency-Replayed") == "") {
		t.Errorf("%s: was answered %d %s, is now %d %s", op.key, op.status, op.answer, status, body)
	}
	op.status, op.answer = status, body
	var p struct {
		ID      string
		Payment json.RawMessage
	}
	if err := json.Unmarshal(body, &p); err != nil {
		t.Errorf("%s: %v", op.key, err)
	}
	if op == &o.crashOp && status == http.StatusCreated {
		o.paid(p.ID)
	}
	return true
}

// intents counts the operations of a store whose server was killed that were
// written down and not recorded.
func (w *till) intents(t *testing.T) (n int) {
	t.Helper()
	r, err := sqlite.OpenView(t.Context(), w.path())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	due, err := r.DueOperations(t.Context(), "sandbox", time.Now().Add(time.Hour), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		p, err := r.Payment(t.Context(), d.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if o := p.Operation(d.Operation); !o.LeaseUntil.IsZero() {
			n++
		}
	}
	return n
}

// settle asks until every order has all of its answers. All are asked for before
// any is waited for: how many there are must not decide how long the last one has.
func (w *till) settle(t *testing.T, s *crashServer) {
	t.Helper()
	moved := time.Now()
	for open := w.open(); len(open) > 0; {
		w.each(s, open, func(o *paidOrder) { w.goOn(t, s, o, "0") }) // what is not final is asked for again
		left := w.open()
		if len(left) < len(open) {
			moved = time.Now()
		}
		if time.Since(moved) > settleTime {
			t.Fatalf("%d orders are not settled, the first is %s", len(left), w.story(s, left[0]))
		}
		open = left
		time.Sleep(200 * time.Millisecond) // they are not waited for, so that they can all be at work
	}
}

// settleTime is how long nothing may move while orders are open: a resend is
// proven H + L = 7 s after a send, and its time is spaced out.
const settleTime = 60 * time.Second

// story is all that is known of an order that is not settled.
func (w *till) story(s *crashServer, o *paidOrder) string {
	op := o.next()
	status, _, body, err := s.postWaiting(op, "0")
	var timeline json.RawMessage
	id := o.id
	if named := regexp.MustCompile(`pay_[0-9a-z]+`).Find(body); named != nil {
		id = string(named)
	}
	told := s.get("/v1/payments/"+id+"/timeline", &timeline)
	return fmt.Sprintf("%s (%s): %d %s %v\n%s %v", op.key, o.body, status, body, err, timeline, told)
}

// each has all clients do something for orders.
func (w *till) each(s *crashServer, orders []*paidOrder, do func(*paidOrder)) {
	queue := make(chan *paidOrder)
	for range crashClients {
		s.clients.Go(func() {
			for o := range queue {
				do(o)
			}
		})
	}
	for _, o := range orders {
		queue <- o
	}
	close(queue)
	s.clients.Wait()
}

// judge compares every order with the gateway's books, and the ledger with both.
func (w *till) judge(t *testing.T, s *crashServer) {
	t.Helper()
	var kept, charged atomic.Int64
	w.each(s, w.orders, func(o *paidOrder) {
		if sum := w.judgeOrder(t, s, o); sum > 0 {
			charged.Add(1)
			kept.Add(sum)
		}
	})
	w.charged = int(charged.Load())
	var merchant struct{ Balance struct{ Posted int64 } }
	if err := s.get("/v1/accounts/merchant:default", &merchant); err != nil || merchant.Balance.Posted != kept.Load() {
		t.Errorf("the gateway's books have %d, the ledger %d (%v)", kept.Load(), merchant.Balance.Posted, err)
	}
}

// judgeOrder asks for an order's answers again, and looks for its charges. It
// returns what the merchant has of it.
func (w *till) judgeOrder(t *testing.T, s *crashServer, o *paidOrder) (kept int64) {
	for _, op := range []*crashOp{&o.crashOp, &o.then} {
		if op.status != 0 && !w.ask(t, s, o, op, "0") {
			t.Errorf("%s was answered %d %s and has no answer now", op.key, op.status, op.answer)
		}
	}
	charges, err := w.charges(o)
	var want []gatewayCharge
	if o.status == http.StatusCreated {
		want = []gatewayCharge{{Amount: o.amount, Captured: o.amount}}
		switch o.wants {
		case "cancel":
			want[0].Captured = 0
		case "refund":
			want[0].Refunded = o.part
		}
	}
	if err != nil || !slices.Equal(charges, want) {
		t.Errorf("%s (%s, %s) has the charges %+v, want %+v: %d %s, then %d %s %v",
			o.key, o.wants, o.body, charges, want, o.status, o.answer, o.then.status, o.then.answer, err)
	}
	for _, c := range charges {
		kept += c.Captured - c.Refunded
	}
	return kept
}

// gatewayCharge is a charge or an authorization in the gateway's books.
type gatewayCharge struct {
	Amount   int64
	Captured int64 `json:"amount_captured"`
	Refunded int64 `json:"amount_refunded"`
}

// charges are what the gateway has of an order.
func (w *till) charges(o *paidOrder) ([]gatewayCharge, error) {
	if o.id == "" { // declined: its payment is in the answer, and has no charges
		return nil, nil
	}
	return readBooks[gatewayCharge](w.sandbox, o.id)
}

// readBooks reads what a sandbox has of a payment.
func readBooks[Charge any](sandbox, payment string) ([]Charge, error) {
	resp, err := http.Get(sandbox + "/sandbox/charges?payment=" + payment)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list struct{ Data []Charge }
	err = json.NewDecoder(resp.Body).Decode(&list)
	return list.Data, err
}

// postWaiting is post that waits for a final answer as long as it is told.
func (s *crashServer) postWaiting(op *crashOp, wait string) (int, http.Header, []byte, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+op.path, strings.NewReader(op.body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.GetBody = nil // Go would send a keyed POST again by itself
	req.Header.Set("Idempotency-Key", op.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait="+wait)
	return s.do(req)
}
