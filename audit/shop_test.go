package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// Here the shop takes payments.

var house = pay.House{Process: "p1", Gateways: map[string]pay.Terms{"sandbox": {Contract: pay.Contract{
	Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, PartialCapture: true, ManyCaptures: true,
}}}}

// pay has a client ask for something, or a gateway answer.
func (s *shop) pay(tenant string) {
	switch n := s.luck.IntN(10); {
	case n < 3 || len(s.paid) == 0:
		s.create(tenant)
	case n < 7 && len(s.sent) > 0:
		s.answer()
	default:
		s.change(s.paid[max(0, len(s.paid)-1-s.luck.IntN(8))])
	}
}

func (s *shop) create(tenant string) {
	p := pay.Payment{Amount: 100, Currency: "EUR", Gateway: "sandbox", Manual: s.luck.IntN(2) == 0}
	if p.Tenant = tenant; s.luck.IntN(3) > 0 {
		p.Reference = fmt.Sprint("order ", s.keys/20, s.luck.IntN(3))
	}
	if s.luck.IntN(6) == 0 {
		p.Currency = "JPY"
	}
	sent := s.luck.IntN(5) > 0
	s.asked(tenant, "POST /v1/payments", func(a pay.Ask) pay.Command { return pay.CreatePayment{Ask: a, Payment: p, Confirm: sent} })
}

// change asks for something to be done to a payment.
func (s *shop) change(ref pay.Ref) {
	switch s.luck.IntN(6) {
	case 0, 1:
		s.asked(ref.Tenant, "POST /v1/payments/{id}/capture", func(a pay.Ask) pay.Command {
			return pay.CapturePayment{Ask: a, Ref: ref, Amount: new(int64(40)), More: true}
		})
	case 2:
		s.asked(ref.Tenant, "POST /v1/payments/{id}/cancel", func(a pay.Ask) pay.Command { return pay.CancelPayment{Ask: a, Ref: ref} })
	case 3:
		s.submit("", "", &engine.Job{Tenant: ref.Tenant, Payment: pay.ResolvePayment{
			Ask: pay.Ask{House: house}, Ref: ref, Happened: s.luck.IntN(2) == 0,
		}})
	default:
		s.asked(ref.Tenant, "POST /v1/payments/{id}/refunds", func(a pay.Ask) pay.Command {
			return pay.RefundPayment{Ask: a, Ref: ref, Amount: new(int64(30))}
		})
	}
}

func (s *shop) asked(tenant, operation string, c func(pay.Ask) pay.Command) {
	s.keys++
	key := fmt.Sprintf("key-%d", s.keys)
	s.submit(key, operation, &engine.Job{Tenant: tenant, Payment: c(pay.Ask{Key: once.Key{Tenant: tenant, ID: key}, House: house})})
}

// answer has a gateway answer something that it was sent: most often that it did
// it. Some answers come again, and contradict the first.
func (s *shop) answer() {
	i := s.luck.IntN(len(s.sent))
	o := s.sent[i]
	op := o.Payment.Operation(o.Operation)
	f := &pay.Finding{Outcome: pay.Done, Amount: op.Amount, Currency: o.Payment.Currency, GatewayID: "ch_" + op.ID}
	switch s.luck.IntN(9) {
	case 0:
		f = &pay.Finding{Outcome: pay.Declined}
	case 1:
		f.Outcome = pay.Conflict
	case 2:
		f = &pay.Finding{}
	}
	if s.luck.IntN(8) > 0 {
		s.sent = slices.Delete(s.sent, i, i+1)
	}
	s.said(o, *f)
}

// said is what a gateway said of something that it was sent.
func (s *shop) said(o *pay.Order, f pay.Finding) {
	s.submit("", "", &engine.Job{Tenant: o.Payment.Tenant, Payment: pay.Record{
		Ref: o.Payment.Ref, Operation: o.Operation, House: house, Attempt: o.Attempt, Began: s.now, Finding: &f,
	}})
}

func (s *shop) render(r pay.Reply) once.Answer {
	if r.Refusal == nil && !slices.Contains(s.paid, r.Payment.Ref) {
		s.paid = append(s.paid, r.Payment.Ref)
	}
	return once.Answer{Status: 200}
}

var paidAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Finding rows of payments to tamper with: the first that fits.

func (s *tables) payment(fits func(*pay.Payment) bool) *pay.Payment {
	return s.payments[slices.IndexFunc(s.payments, fits)]
}

func (s *tables) operation(fits func(*pay.Operation) bool) (*pay.Payment, *pay.Operation) {
	p := s.payment(func(p *pay.Payment) bool { return slices.ContainsFunc(p.Operations, fits) })
	return p, p.Operations[slices.IndexFunc(p.Operations, fits)]
}

// certain is a payment that was charged at once, and nothing else was done to it.
func (s *tables) certain() (*pay.Payment, *pay.Operation) {
	p := s.payment(func(p *pay.Payment) bool {
		return p.Status == pay.Succeeded && len(p.Operations) == 1 && p.Charge().Epoch == 0
	})
	return p, p.Charge()
}

func (s *tables) losePayment(p *pay.Payment) {
	s.payments = slices.DeleteFunc(s.payments, func(x *pay.Payment) bool { return x == p })
}

func (s *tables) paymentKey(state once.State) *once.Record {
	i := slices.IndexFunc(s.keys, func(r once.Record) bool {
		return r.State == state && r.Resource != "" && strings.HasPrefix(r.Operation, "POST /v1/payments")
	})
	return &s.keys[i]
}
