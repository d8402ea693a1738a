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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/store/sqlite"
)

const (
	paymentCrashes = 100
	paymentRounds  = 50 // cycles between two looks at everything
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
	gw := startSandbox(t, program, "--hostile")
	w := &till{
		crashWorld: crashWorld{program: program, dir: t.TempDir(), args: []string{"--sandbox=" + gw.url}},
		sandbox:    gw.url, luck: rand.New(rand.NewPCG(seed, 1)), seed: seed,
	}
	hits, inFlight := 0, 0
	s := w.start(t)
	for cycle := range paymentCrashes {
		w.trade(t, s, cycle, time.Duration(100+w.luck.IntN(400))*time.Millisecond)
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
	charged int // orders that the gateway's books have a charge of
}

// paidOrder is one order, and what its client knows of it.
type paidOrder struct {
	crashOp
	amount int64
	method string
	id     string // of the payment, once it was told
	refund *crashOp
}

// orderMethods is a bad day: most of it is between an intent and its record.
var orderMethods = []string{
	"pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_ok", "pm_declined", "pm_timeout_after_charge", "pm_500_after_charge", "pm_500_after_charge",
	"pm_timeout_before_charge", "pm_slow", "pm_duplicate_webhooks", "pm_late",
}

func (w *till) order(cycle, client, n int, luck *rand.Rand) *paidOrder {
	o := &paidOrder{amount: 1 + luck.Int64N(10000), method: orderMethods[luck.IntN(len(orderMethods))]}
	o.key, o.path = fmt.Sprintf("o-%d-%d-%d-%d", w.seed, cycle, client, n), "/v1/payments"
	o.body = fmt.Sprintf(`{"amount":%d,"currency":"EUR","payment_method":%q,"reference":%q,"confirm":true}`, o.amount, o.method, o.key)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, o)
	return o
}

// trade has all clients order until the server is killed under them. Some ask
// again for what they have no answer to.
func (w *till) trade(t *testing.T, s *crashServer, cycle int, d time.Duration) {
	t.Helper()
	var stop atomic.Bool
	open := w.open()
	for client := range crashClients {
		luck := rand.New(rand.NewPCG(w.seed, uint64(cycle*crashClients+client)))
		s.clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if len(open) > 0 && luck.IntN(3) == 0 {
					w.ask(s, open[luck.IntN(len(open))], "0")
					continue
				}
				w.ask(s, w.order(cycle, client, n, luck), "1")
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

// open are the orders without a final answer.
func (w *till) open() (open []*paidOrder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orders {
		if o.status == 0 {
			open = append(open, o)
		}
	}
	return open
}

// ask sends an order, and keeps a final answer; one that was had must come again.
func (w *till) ask(s *crashServer, o *paidOrder, wait string) error {
	status, header, body, err := s.postWaiting(&o.crashOp, wait)
	if err != nil {
		return err
	}
	if status == http.StatusConflict || status == http.StatusAccepted || status >= 500 {
		return fmt.Errorf("%s: %d %s", o.key, status, body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.status != 0 && (o.status != status || !bytes.Equal(o.answer, body) || header.Get("Idempotency-Replayed") == "") {
		return fmt.Errorf("%s: was answered %d %s, is now %d %s", o.key, o.status, o.answer, status, body)
	}
	o.status, o.answer = status, body
	var p struct {
		ID      string
		Payment struct{ ID string }
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	o.id = p.ID + p.Payment.ID
	return nil
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
	due, err := r.DueOperations(t.Context(), time.Now().Add(time.Hour), 10_000)
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

// settle asks until every order has its final answer.
func (w *till) settle(t *testing.T, s *crashServer) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		open := w.open()
		if len(open) == 0 {
			return
		}
		if time.Now().After(deadline) {
			status, _, body, err := s.postWaiting(&open[0].crashOp, "0")
			t.Fatalf("%d orders have no final answer, the first is %s (%s): %d %s %v", len(open), open[0].key, open[0].method, status, body, err)
		}
		queue := make(chan *paidOrder)
		for range crashClients {
			s.clients.Go(func() {
				for o := range queue {
					w.ask(s, o, "5") // what is not final is asked for again
				}
			})
		}
		for _, o := range open {
			queue <- o
		}
		close(queue)
		s.clients.Wait()
	}
}

// judge compares every order with the gateway's books, and the ledger with both.
func (w *till) judge(t *testing.T, s *crashServer) {
	t.Helper()
	var captured atomic.Int64
	var charged atomic.Int64
	queue := make(chan *paidOrder)
	for range crashClients {
		s.clients.Go(func() {
			for o := range queue {
				n, sum := w.judgeOrder(t, s, o)
				charged.Add(n)
				captured.Add(sum)
			}
		})
	}
	for _, o := range w.orders {
		queue <- o
	}
	close(queue)
	s.clients.Wait()
	w.charged = int(charged.Load())
	var merchant struct{ Balance struct{ Posted int64 } }
	if err := s.get("/v1/accounts/merchant:default", &merchant); err != nil || merchant.Balance.Posted != captured.Load() {
		t.Errorf("the gateway's books have %d, the ledger %d (%v)", captured.Load(), merchant.Balance.Posted, err)
	}
}

// judgeOrder asks for an order's answer again, and looks for its charges.
func (w *till) judgeOrder(t *testing.T, s *crashServer, o *paidOrder) (n, captured int64) {
	if err := w.ask(s, o, "0"); err != nil {
		t.Error(err)
	}
	charges, err := w.charges(o.id)
	want := 1
	if o.method == "pm_declined" {
		want = 0
	}
	if err != nil || len(charges) != want {
		t.Errorf("%s (%s, %s, answered %d %s) has the charges %v %v", o.key, o.method, o.id, o.status, o.answer, charges, err)
		return 0, 0
	}
	for _, c := range charges {
		if captured += c; c != o.amount {
			t.Errorf("%s of %d is charged %d", o.key, o.amount, c)
		}
	}
	return int64(len(charges)), captured
}

// charges are what the gateway captured of a payment, charge by charge.
func (w *till) charges(payment string) (captured []int64, err error) {
	resp, err := http.Get(w.sandbox + "/sandbox/charges?payment=" + payment)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list struct {
		Data []struct {
			Captured int64 `json:"amount_captured"`
		}
	}
	err = json.NewDecoder(resp.Body).Decode(&list)
	for _, c := range list.Data {
		captured = append(captured, c.Captured)
	}
	return captured, err
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
