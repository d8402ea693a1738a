package pay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// Without confirm nothing moves: the payment has its id, and nobody is asked
// anything.
func TestCreateMovesNothing(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t, reference("order-1"))
	if !strings.HasPrefix(p.ID, "pay_") || p.Status != pay.RequiresConfirmation || len(p.Operations) != 0 {
		t.Errorf("it is %+v", p)
	}
	if len(w.orders) != 0 || len(w.entries) != 0 {
		t.Errorf("%d orders, %d entries", len(w.orders), len(w.entries))
	}
	if diff := cmp.Diff([]string{"payment.created"}, w.eventTypes(0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"request created"}, w.timeline(p)); diff != "" {
		t.Error(diff)
	}
}

// What is sent was written down: the order names the operation that was committed
// with it, whose id is the gateway's key for ever.
func TestWhatIsSentWasWrittenDownBefore(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	o := w.last(p)
	if len(w.orders) != 1 || w.orders[0].Operation != o.ID || w.orders[0].Attempt != 1 {
		t.Fatalf("the orders are %+v", w.orders)
	}
	want := pay.Operation{
		ID: o.ID, Kind: pay.Charge, Amount: 100, Last: true, Attempt: 1, Owner: "p1", FirstSentAt: noon, SentAt: noon,
		LeaseUntil: noon.Add(8 * time.Second), ResendUntil: noon.Add(24*time.Hour - 4*time.Second - 5*time.Minute),
		LookupLag: 4 * time.Second, InFlight: 4 * time.Second,
		DueAt: noon.Add(8 * time.Second), Asked: pay.ToConfirm, RequestID: "req_1", CreatedAt: noon, UpdatedAt: noon,
	}
	if diff := cmp.Diff(want, *o); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(o.ID, "att_") {
		t.Errorf("its id is %s", o.ID)
	}
	if diff := cmp.Diff([]string{"payment.created", "payment.processing"}, w.eventTypes(0)); diff != "" {
		t.Error(diff)
	}
}

// However often it is sent, its id is the same.
func TestEverySendHasTheSameID(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t)
	for range 5 {
		w.answer(t, p, unsent)
		w.now = w.last(p).DueAt
		w.look(t, p)
	}
	for i, order := range w.orders {
		if order.Operation != w.orders[0].Operation || order.Attempt != int64(i)+1 {
			t.Errorf("send %d is of %s, attempt %d", i, order.Operation, order.Attempt)
		}
	}
	if len(w.orders) != 6 || len(w.at(p).Operations) != 1 {
		t.Errorf("%d sends of %d operations", len(w.orders), len(w.at(p).Operations))
	}
}

func TestCreateAndConfirmAtOnceHasOneLine(t *testing.T) {
	w := newWorld(prompt)
	p := w.do(t, pay.CreatePayment{Ask: w.ask("k"), Payment: order4711(), Confirm: true}).Payment
	if diff := cmp.Diff([]string{"request created and confirmed", "send "}, w.timeline(p)); diff != "" {
		t.Error(diff)
	}
	if line := w.lines[0]; line.Key != "k" || line.Operation != w.last(p).ID {
		t.Errorf("the line of the request is %+v", line)
	}
}

func TestCreateThatIsRefused(t *testing.T) {
	for _, row := range []struct {
		sentence string
		change   func(*pay.CreatePayment)
		code     ledger.Code
		field    string
	}{
		{"a gateway that is not there", func(c *pay.CreatePayment) { c.Payment.Gateway = "h" }, ledger.Invalid, "/gateway"},
		{"an amount of nothing", func(c *pay.CreatePayment) { c.Payment.Amount = 0 }, ledger.Invalid, "/amount"},
		{"an amount of more than there is", func(c *pay.CreatePayment) { c.Payment.Amount = pay.MaxAmount + 1 }, ledger.Invalid, "/amount"},
		{"a gateway that takes nothing just now", func(c *pay.CreatePayment) { c.Confirm = true }, ledger.Unavailable, ""},
		{"an order that has a payment of another amount", func(c *pay.CreatePayment) { c.Payment.Reference, c.Payment.Amount = "order-1", 99 }, pay.ReferenceConflict, "/reference"},
		{"an order that has a payment in another currency", func(c *pay.CreatePayment) { c.Payment.Reference, c.Payment.Currency = "order-1", "USD" }, pay.ReferenceConflict, "/reference"},
		{"an order whose payment waits to be confirmed, while the gateway takes nothing", func(c *pay.CreatePayment) { c.Payment.Reference, c.Confirm = "order-1", true }, ledger.Unavailable, ""},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			w.create(t, reference("order-1"))
			w.shut("its breaker is open")
			c := pay.CreatePayment{Ask: w.ask("k"), Payment: order4711()}
			row.change(&c)
			w.refuse(t, c, row.code, row.field)
		})
	}
}

// A breaker that is open refuses before the intent: what does not leave the house
// goes on, and so does what was sent already.
func TestAClosedGatewayRefusesOnlyWhatWouldBeSent(t *testing.T) {
	w := newWorld(prompt)
	sent := w.confirmed(t)
	w.shut("its breaker is open")
	p := w.create(t)
	w.refuse(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}, ledger.Unavailable, "")
	w.do(t, w.cancel(p))
	w.answer(t, sent, done(100))
	w.do(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: sent.Ref})
	w.want(t, sent, view{Status: pay.Succeeded, Captured: 100}, books{Merchant: 100})
}

// A gateway that is no longer configured is sent nothing, and nothing is decided
// about what it may have done.
func TestAGatewayThatIsNotConfiguredAnyMore(t *testing.T) {
	w := newWorld(prompt)
	sent, p := w.confirmed(t), w.create(t)
	w.house.Gateways = nil
	w.refuse(t, pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}, ledger.Unavailable, "")
	w.answer(t, sent, unsent)
	w.now = noon.Add(48 * time.Hour)
	w.look(t, sent)
	if o := w.last(sent); len(w.orders) != 1 || o.Outcome != pay.Unknown || o.Parked != "" || o.DueAt.IsZero() {
		t.Errorf("%d orders, and %+v", len(w.orders), o)
	}
}

// The present holder of an order's reference is the answer to whoever creates the
// order again, whatever became of the first client's memory.
func TestCreateAgainForAnOrderGetsItsPayment(t *testing.T) {
	for _, row := range []struct {
		sentence string
		way      func(fataler, *world) *pay.Payment
		confirm  bool
		status   pay.Status
		interim  bool
		orders   int
	}{
		{"one that waits to be confirmed", ways["requires_confirmation"], false, pay.RequiresConfirmation, false, 0},
		{"one that waits to be confirmed, which it is", ways["requires_confirmation"], true, pay.Processing, true, 1},
		{"one at work", ways["processing"], true, pay.Processing, true, 1},
		{"one that succeeded", ways["succeeded"], true, pay.Succeeded, false, 1},
		{"one that waits for its customer", ways["requires_action"], true, pay.RequiresAction, false, 1},
		{"one that needs a review", ways["needs_review"], true, pay.NeedsReview, false, 1},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld(prompt)
			w.defaults = []func(*pay.Payment){reference("order-1")}
			p := row.way(t, w)
			again := order4711()
			again.Reference, again.Method = "order-1", "pm_another"
			r := w.do(t, pay.CreatePayment{Ask: w.ask("k2"), Payment: again, Confirm: row.confirm})
			if r.Payment.ID != p.ID || r.Verb != pay.ToAdopt || r.Payment.Status != row.status || r.Interim != row.interim {
				t.Errorf("it is told of %s, %s, interim %v, verb %d", r.Payment.ID, r.Payment.Status, r.Interim, r.Verb)
			}
			if len(w.payments) != 1 || len(w.orders) != row.orders || len(w.at(p).Operations) != row.orders {
				t.Errorf("%d payments, %d orders", len(w.payments), len(w.orders))
			}
		})
	}
}

// A payment that certainly did not charge anybody gives its order back.
func TestAFailedOrCanceledPaymentGivesItsOrderBack(t *testing.T) {
	for _, way := range []string{"failed", "canceled", "canceled, authorized before"} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(prompt)
			w.defaults = []func(*pay.Payment){reference("order-1")}
			former := ways[way](t, w)
			p := w.create(t)
			if p.ID == former.ID {
				t.Fatal("it is the former holder")
			}
			held := w.references[pay.ReferenceID{Tenant: tenant, Reference: "order-1"}]
			if held.Payment != p.ID || held.Version != 2 {
				t.Errorf("the order is held by %+v", held)
			}
			if again := w.create(t); again.ID != p.ID {
				t.Errorf("a third is %s", again.ID)
			}
		})
	}
}

// A former holder that turns out to have been charged needs a review, and its
// money is in suspense; the present holder is as it was.
func TestALateChargeOfAFormerHolder(t *testing.T) {
	w := newWorld(prompt)
	w.defaults = []func(*pay.Payment){reference("order-1")}
	former := ways["failed"](t, w)
	present := w.answered1(t, w.confirmed(t), done(100))
	w.check(t, former, "", done(100))
	w.want(t, former, view{Status: pay.NeedsReview, InDoubt: true, Captured: 100}, books{Merchant: 100, Suspense: 100})
	if diff := cmp.Diff(present, w.at(present)); diff != "" {
		t.Errorf("the present holder has changed:\n%s", diff)
	}
	if held := w.references[pay.ReferenceID{Tenant: tenant, Reference: "order-1"}]; held.Payment != present.ID {
		t.Errorf("the order is held by %s", held.Payment)
	}
	w.do(t, w.resolve(former, false)) // its money was given back at the gateway
	w.want(t, former, view{Status: pay.Failed}, books{Merchant: 100})
}

func TestReferencesAreATenantsOwn(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t, reference("order-1"))
	other := w.create(t, reference("order-1"), func(p *pay.Payment) { p.Tenant = "other" })
	none := []*pay.Payment{w.create(t), w.create(t)}
	if p.ID == other.ID || none[0].ID == none[1].ID || len(w.references) != 2 {
		t.Errorf("%d payments with %d references", len(w.payments), len(w.references))
	}
}

// Two clients, one order, one commit.
func TestTheSameOrderTwiceInABatchIsOnePayment(t *testing.T) {
	w := newWorld(prompt)
	p := order4711()
	p.Reference = "order-1"
	c := pay.CreatePayment{Ask: w.ask(""), Payment: p, Confirm: true}
	made := w.batch(t, c, c, pay.CreatePayment{Ask: w.ask(""), Payment: p})
	if made[0].Payment.ID != made[1].Payment.ID || made[1].Payment.ID != made[2].Payment.ID || len(w.orders) != 1 {
		t.Errorf("%d payments and %d orders", len(w.payments), len(w.orders))
	}
}

// What a client keeps hold of is no part of the payment.
func TestCreateKeepsNothingOfItsCaller(t *testing.T) {
	w := newWorld(prompt)
	mine := map[string]string{"a": "1"}
	p := w.create(t, func(p *pay.Payment) { p.Metadata, p.Options = mine, mine })
	mine["a"] = "2"
	if now := w.at(p); now.Metadata["a"] != "1" || now.Options["a"] != "1" {
		t.Errorf("it has %v and %v", now.Metadata, now.Options)
	}
	copied := w.at(p)
	copied.Metadata["a"], copied.Currency = "3", "USD"
	if now := w.at(p); now.Metadata["a"] != "1" || now.Currency != "EUR" {
		t.Error("a copy shares something")
	}
}

// Confirm is idempotent by the payment's id: any number of calls is one execution.
func TestConfirmAnyNumberOfTimesIsOneExecution(t *testing.T) {
	w := newWorld(prompt)
	p := w.create(t)
	confirm := pay.ConfirmPayment{Ask: w.ask(""), Ref: p.Ref}
	w.batch(t, confirm, confirm)
	w.do(t, confirm)
	w.answer(t, p, done(100))
	before := w.commits
	if r := w.do(t, confirm); r.Interim || r.Payment.Status != pay.Succeeded || r.Operation == nil {
		t.Errorf("it is told %+v", r)
	}
	if len(w.orders) != 1 || len(w.at(p).Operations) != 1 || w.commits != before {
		t.Errorf("%d orders, %d operations", len(w.orders), len(w.at(p).Operations))
	}
}

// What a gateway is asked has the operation's id as its key, and the payment's in
// everything.
func TestCalls(t *testing.T) {
	w := newWorld(prompt)
	p := w.confirmed(t, manual, reference("order-1"), func(p *pay.Payment) {
		p.Customer, p.Description, p.StatementDescriptor, p.ReturnURL = "cus_1", "shoes", "SHOP", "https://shop.example"
		p.Options = map[string]string{"a": "b"}
	})
	same := pay.Call{
		Payment: p.ID, Tenant: tenant, Currency: "EUR", Method: "pm_ok", Reference: "order-1", Customer: "cus_1",
		Description: "shoes", StatementDescriptor: "SHOP", ReturnURL: "https://shop.example", Options: map[string]string{"a": "b"},
	}
	charge := same
	charge.Operation, charge.Kind, charge.Amount = w.last(p).ID, pay.Authorize, 100
	void := same
	void.Kind, void.TargetOp = pay.Void, w.last(p).ID
	if diff := cmp.Diff(charge, w.at(p).Call(w.last(p))); diff != "" {
		t.Errorf("an authorization:\n%s", diff)
	}
	w.answer(t, p, pay.Finding{Outcome: pay.ActionRequired, Amount: 100, Currency: "EUR"})
	w.do(t, w.cancel(p))
	void.Operation = w.last(p).ID
	if diff := cmp.Diff(void, w.at(p).Call(w.last(p))); diff != "" {
		t.Errorf("a void of what has no id at the gateway yet:\n%s", diff)
	}
	w.answer(t, p, declined)
	w.check(t, p, charge.Operation, done(100))
	w.do(t, w.capture(p, 60, false))
	capture := same
	capture.Operation, capture.Kind, capture.Amount, capture.Last = w.last(p).ID, pay.Capture, 60, true
	capture.Target, capture.TargetOp = "ch_1", charge.Operation
	if diff := cmp.Diff(capture, w.at(p).Call(w.last(p))); diff != "" {
		t.Errorf("a capture:\n%s", diff)
	}
}

func TestOperationsSayInTheirIDsWhatTheyAre(t *testing.T) {
	w := newWorld(prompt)
	p := w.authorized(t)
	w.do(t, w.cancel(p))
	w.answer(t, p, declined)
	w.do(t, w.capture(p, 60, false))
	w.answer(t, p, done(60))
	w.do(t, w.refund(p, 10))
	var prefixes []string
	for _, o := range w.at(p).Operations {
		prefix, _, _ := strings.Cut(o.ID, "_")
		prefixes = append(prefixes, o.Kind.String()+" "+prefix)
	}
	if want := []string{"authorize att", "void att", "capture cap", "refund re"}; !slices.Equal(prefixes, want) {
		t.Errorf("they are %v, want %v", prefixes, want)
	}
}
