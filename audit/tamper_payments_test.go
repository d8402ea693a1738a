package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Of payments, with their operations, transfers, orders and keys.
var paymentTamperings = []tampering{
	{"a payment says that it succeeded and did not", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return p.Status == pay.Failed })
		p.Status = pay.Succeeded
		return audit.Row, p.ID
	}},
	{"a cent is added to what was captured", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return p.Captured > 0 })
		p.Captured++
		return audit.Row, p.ID
	}},
	{"a payment forgets that it is in doubt", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return p.InDoubt })
		p.InDoubt = false
		return audit.Row, p.ID
	}},
	{"a payment is about more than was sent for it", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return p.Charge() != nil })
		p.Amount++
		return audit.Payment, p.ID
	}},
	{"a payment is lost", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return p.Charge() == nil && p.Reference == "" })
		s.losePayment(p)
		return audit.Event, p.ID
	}},
	{"a payment that has moved money is lost", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		s.losePayment(p)
		return audit.Payment, o.ID
	}},
	{"a payment is there twice", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return true })
		s.payments = append(s.payments, p.Clone())
		return audit.Event, p.ID
	}},
	{"a payment belongs to another tenant", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		p.Tenant = map[string]string{"acme": "globex", "globex": "acme"}[p.Tenant]
		return audit.Payment, o.ID
	}},
	{"a payment is of another moment", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return true })
		p.CreatedAt = p.CreatedAt.Add(1000)
		return audit.Event, p.ID
	}},
	{"more was captured than the payment is about, and nobody is called", func(s *tables) (audit.Kind, string) {
		p, o := s.certain()
		p.Amount, o.Amount = 1, 1
		return audit.Row, p.ID
	}},
	{"more was given back than was captured, and nobody is called", func(s *tables) (audit.Kind, string) {
		p, _ := s.certain()
		for range 4 {
			p.Operations = append(p.Operations, &pay.Operation{ID: fmt.Sprint("re_", len(p.Operations)), Kind: pay.Refund, Amount: 30, Outcome: pay.Done, Moved: 30, Booked: 30})
		}
		p.Refunded = 120
		return audit.Payment, p.ID
	}},

	// operations
	{"a cent is added to what an operation has booked", func(s *tables) (audit.Kind, string) {
		_, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		o.Booked++
		return audit.Payment, o.ID
	}},
	{"a cent is added to all that an operation says", func(s *tables) (audit.Kind, string) {
		p, o := s.certain()
		o.Booked, o.Moved, o.Amount, p.Amount, p.Captured = o.Booked+1, o.Moved+1, o.Amount+1, p.Amount+1, p.Captured+1
		return audit.Payment, o.ID
	}},
	{"what is in suspense is said to be the merchant's", func(s *tables) (audit.Kind, string) {
		_, o := s.operation(func(o *pay.Operation) bool { return o.Suspended > 0 })
		o.Booked, o.Suspended = o.Suspended, 0
		return audit.Payment, o.ID
	}},
	{"what contradicts itself is said to be the merchant's", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Suspended > 0 && o.Outcome == pay.Conflict })
		o.Booked, o.Suspended = o.Suspended, 0
		return audit.Payment, p.ID
	}},
	{"an operation forgets what it has moved", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Refund && o.Booked > 0 })
		o.Moved = 0
		return audit.Payment, p.ID
	}},
	{"an operation that failed says that it moved money", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Outcome == pay.Declined })
		o.Moved = 1
		return audit.Payment, p.ID
	}},
	{"an operation is lost", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Capture && o.Booked > 0 })
		p.Operations = slices.DeleteFunc(p.Operations, func(x *pay.Operation) bool { return x == o })
		return audit.Payment, o.ID
	}},
	{"a refund is lost that has moved nothing", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Refund && o.Booked+o.Suspended == 0 })
		p.Operations = slices.DeleteFunc(p.Operations, func(x *pay.Operation) bool { return x == o })
		return audit.Event, o.ID
	}},
	{"an operation is there twice", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Capture && o.Moved == 0 || o.Kind == pay.Void })
		p.Operations = append(p.Operations, new(*o))
		return audit.Row, p.ID
	}},
	{"operations are in another order", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool { return len(p.Operations) > 1 })
		slices.Reverse(p.Operations)
		return audit.Row, p.ID
	}},
	{"an operation is another payment's", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Refund && o.Booked > 0 })
		other := s.payment(func(q *pay.Payment) bool { return q.Tenant != p.Tenant && q.Charge() != nil })
		p.Operations = slices.DeleteFunc(p.Operations, func(x *pay.Operation) bool { return x == o })
		other.Operations = append(other.Operations, o)
		return audit.Payment, o.ID
	}},
	{"a refund is said to be a capture", func(s *tables) (audit.Kind, string) {
		_, o := s.operation(func(o *pay.Operation) bool { return o.Kind == pay.Refund && o.Booked > 0 })
		o.Kind = pay.Capture
		return audit.Payment, o.ID
	}},
	{"a payment went through another gateway", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		p.Gateway = "other"
		return audit.Payment, o.ID
	}},
	{"a payment is of another currency", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		p.Currency = "USD"
		return audit.Payment, o.ID
	}},

	// their transfers
	{"the transfer of an operation is lost", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Operation != "" })
		s.transfers = slices.DeleteFunc(s.transfers, func(x *ledger.Transfer) bool { return x == t })
		return audit.Payment, t.Operation
	}},
	{"a transfer names another operation", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Operation != "" })
		was := t.Operation
		t.Operation = "att_nowhere"
		return audit.Payment, was
	}},
	{"a transfer forgets the operation that it books", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Operation != "" })
		t.Operation = ""
		return audit.Key, t.ID
	}},
	{"a client's transfer says that it books an operation", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool {
			return t.Operation == "" && t.Status == ledger.Posted && t.Reverses == ""
		})
		_, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
		t.Operation = o.ID
		return audit.Payment, o.ID
	}},

	// orders
	{"an order is lost", func(s *tables) (audit.Kind, string) {
		lost := s.orders[0]
		s.orders = s.orders[1:]
		return audit.Reference, lost.Reference
	}},
	{"an order is there twice", func(s *tables) (audit.Kind, string) {
		s.orders = append(s.orders, s.orders[0])
		return audit.Reference, s.orders[0].Reference
	}},
	{"an order names a payment that is not there", func(s *tables) (audit.Kind, string) {
		s.orders[0].Payment = "pay_nowhere"
		return audit.Reference, s.orders[0].Reference
	}},
	{"an order names the payment of another", func(s *tables) (audit.Kind, string) {
		p := s.payment(func(p *pay.Payment) bool {
			return p.Tenant == s.orders[0].Tenant && p.Reference != s.orders[0].Reference
		})
		s.orders[0].Payment = p.ID
		return audit.Reference, s.orders[0].Reference
	}},
	{"an order of nobody is added", func(s *tables) (audit.Kind, string) {
		s.orders = append(s.orders, pay.Reference{Tenant: "acme", Reference: "mine", Payment: s.payments[0].ID})
		return audit.Reference, "mine"
	}},
	{"a payment is of an order that is not there", func(s *tables) (audit.Kind, string) {
		s.payment(func(p *pay.Payment) bool { return p.Reference == "" }).Reference = "mine"
		return audit.Reference, "mine"
	}},

	// keys
	{"a key at work names a payment that is not there", func(s *tables) (audit.Kind, string) {
		r := s.paymentKey(once.Claimed)
		r.Resource = "pay_nowhere"
		return audit.Key, r.Key.ID
	}},
	{"a key whose work is unknown names nothing", func(s *tables) (audit.Kind, string) {
		r := *s.paymentKey(once.Claimed)
		r.Key.ID, r.State, r.Resource = "another", once.Unknown, ""
		s.keys = append(s.keys, r)
		return audit.Key, r.Key.ID
	}},
	{"a key that was answered names a refund that is not there", func(s *tables) (audit.Kind, string) {
		r := s.paymentKey(once.Done)
		r.Resource = "re_nowhere"
		return audit.Key, r.Key.ID
	}},
	{"a key that an operation is to answer is lost", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Key != "" })
		key := once.Key{Tenant: p.Tenant, ID: o.Key}
		s.keys = slices.DeleteFunc(s.keys, func(r once.Record) bool { return r.Key == key })
		return audit.Key, o.Key
	}},
	{"a key waits for a payment that nothing of it is to answer", func(s *tables) (audit.Kind, string) {
		r := *s.paymentKey(once.Claimed)
		r.Key.ID = "another"
		s.keys = append(s.keys, r)
		return audit.Key, r.Key.ID
	}},
	{"a follower's key that an operation is to answer is lost", func(s *tables) (audit.Kind, string) {
		_, o := s.operation(func(o *pay.Operation) bool { return o.Key != "" })
		o.Followers = "another"
		return audit.Key, o.Followers
	}},
	{"a key that an operation is to answer has an answer already", func(s *tables) (audit.Kind, string) {
		p, o := s.operation(func(o *pay.Operation) bool { return o.Key != "" })
		i := slices.IndexFunc(s.keys, func(r once.Record) bool { return r.Key == once.Key{Tenant: p.Tenant, ID: o.Key} })
		s.keys[i].State = once.Done
		return audit.Key, o.Key
	}},
	{"a key says that it opened an account for payments that is not there", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/accounts")
		r.Resource = "merchant:default:CHF"
		return audit.Key, "merchant:default:CHF"
	}},
	{"two keys say that they opened an account for payments", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/accounts")
		again := *r
		again.Key.ID = "another"
		r.Resource, again.Resource = "merchant:default", "merchant:default"
		s.keys = append(s.keys, again)
		return audit.Key, "merchant:default"
	}},
}

// paymentNumbers changes every number of payments that is money and that
// something tells of, one at a time.
func paymentNumbers(check func(string, *tables), original *tables) {
	for i, p := range original.payments {
		everyNumber(check, original, fmt.Sprintf("payment %d", i), func(s *tables) []*int64 {
			p := s.payments[i]
			if p.Charge() == nil { // what it is about is nowhere else
				return []*int64{&p.Captured, &p.Refunded}
			}
			return []*int64{&p.Captured, &p.Refunded, &p.Amount, &p.Charge().Amount}
		})
		for j, o := range p.Operations {
			everyNumber(check, original, fmt.Sprintf("operation %d of payment %d", j, i), func(s *tables) []*int64 {
				moved := s.payments[i].Operations[j]
				if o.Outcome == pay.Done && (o.Kind == pay.Authorize || o.Kind == pay.Void) { // no money has moved
					return []*int64{&moved.Booked, &moved.Suspended}
				}
				return []*int64{&moved.Booked, &moved.Suspended, &moved.Moved}
			})
		}
	}
	for i := range original.orders {
		s := original.clone()
		s.orders[i].Payment += "x"
		check(fmt.Sprintf("the payment of order %d is changed", i), s)
	}
}

// A client can say of his transfers what he likes: they are his all the same.
func TestATransferThatPretendsToBookAPaymentIsAClients(t *testing.T) {
	s := newShop(t, 3)
	for range 200 {
		s.random()
	}
	paid := read(t, s.store.Snapshot())
	p, o := paid.operation(func(o *pay.Operation) bool { return o.Booked > 0 })
	s.keyed(p.Tenant, "POST /v1/transfers", ledger.CreateTransfer{
		Tenant: p.Tenant, From: "gateway:sandbox:clearing", To: "merchant:default", Amount: o.Booked, Currency: p.Currency,
		Reference: p.ID, Metadata: map[string]string{"payment": p.ID, "operation": o.ID},
	})
	r, err := audit.Run(t.Context(), s.store.Snapshot(), audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
}

// Who decides that a refund happened after all, when another was made in its place,
// has said so: it is in the books, and nobody has to be told again.
func TestWhatAHumanHasDecidedIsInOrder(t *testing.T) {
	s := newShop(t, 5)
	s.asked("acme", "POST /v1/payments", func(a pay.Ask) pay.Command {
		return pay.CreatePayment{Ask: a, Confirm: true, Payment: pay.Payment{Ref: pay.Ref{Tenant: "acme"}, Amount: 100, Currency: "EUR", Gateway: "sandbox"}}
	})
	ref, charge := s.paid[0], s.sent[0]
	s.said(charge, pay.Finding{Outcome: pay.Done, Amount: 100})
	for _, outcome := range []pay.Outcome{pay.Declined, pay.Done} {
		s.asked("acme", "POST /v1/payments/{id}/refunds", func(a pay.Ask) pay.Command { return pay.RefundPayment{Ask: a, Ref: ref} })
		s.said(s.sent[len(s.sent)-1], pay.Finding{Outcome: outcome, Amount: 100})
	}
	s.said(s.sent[1], pay.Finding{Outcome: pay.Done, Amount: 100})
	s.submit("", "", &engine.Job{Tenant: "acme", Payment: pay.ResolvePayment{Ask: pay.Ask{House: house}, Ref: ref, Happened: true}})
	if p, err := s.store.Payment(t.Context(), ref); err != nil || p.Captured != 100 || p.Refunded != 200 {
		t.Fatalf("%v; the payment is %s, %d captured, %d given back", err, p.Status, p.Captured, p.Refunded)
	}
	r, err := audit.Run(t.Context(), s.store.Snapshot(), audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
}

// A finding about money says how much, and where.
func TestAFindingAboutMoneySaysHowMuch(t *testing.T) {
	for want, change := range map[string]int64{
		"its transfers left less than it says: 7 EUR on merchant:default": 7,
		"its transfers left more than it says: 7 EUR on merchant:default": -7,
	} {
		s := healthy(t, 11, 300)
		p, o := s.operation(func(o *pay.Operation) bool { return o.Booked > 7 && o.Kind != pay.Refund })
		p.Currency = "EUR"
		o.Booked += change
		r, err := audit.Run(t.Context(), s, audit.Config{})
		says := func(f audit.Finding) bool { return f.ID == o.ID && strings.Contains(f.Detail, want) }
		if err != nil || !slices.ContainsFunc(r.Findings, says) {
			t.Errorf("%v; want a finding that says %q, got %q", err, want, r.Findings)
		}
	}
}

// An account that payments are booked on may have been opened by a client before
// they needed it.
func TestAnAccountForPaymentsMayHaveBeenOpenedByAClient(t *testing.T) {
	s := newShop(t, 4)
	s.open("acme", "merchant:default", ledger.Floor{None: true})
	for range 200 {
		s.random()
	}
	r, err := audit.Run(t.Context(), s.store.Snapshot(), audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
}

// Of more keys than are held some are looked at, and none is found for nothing.
func TestManyKeysOfPaymentsAreSampled(t *testing.T) {
	s := &tables{}
	const n = 60_000
	for i := range n {
		p := &pay.Payment{Ref: pay.Ref{Tenant: "acme", ID: fmt.Sprint("pay_", i)}, Amount: 1, Currency: "EUR", Status: pay.Processing, CreatedAt: paidAt}
		p.Operations = []*pay.Operation{{ID: fmt.Sprint("att_", i), Kind: pay.Charge, Amount: 1, Key: fmt.Sprint(i, "-1")}}
		s.payments = append(s.payments, p)
		s.events = append(s.events, outbox.Event{Tenant: "acme", Type: "payment.created", Subject: p.ID, At: paidAt})
		for j, state := range []once.State{once.Done, once.Claimed} {
			s.keys = append(s.keys, once.Record{
				Key: once.Key{Tenant: "acme", ID: fmt.Sprint(i, "-", j)}, State: state, Operation: "POST /v1/payments", Resource: p.ID, Attempt: 1, ExpiresAt: paidAt,
			})
		}
	}
	r, err := audit.Run(t.Context(), s, audit.Config{})
	if err != nil || !r.OK() {
		t.Fatal(err, r.Findings)
	}
	for i := range s.keys {
		s.keys[i].Resource += "x"
	}
	r, err = audit.Run(t.Context(), s, audit.Config{})
	if found := int64(len(r.Findings)) + r.More; err != nil || found < 60_000 || found > 120_000 {
		t.Fatalf("%v; %d findings for %d keys that name nothing", err, found, 2*n)
	}
}
