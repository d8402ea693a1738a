package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/store/sqlite"
)

// shop is an executor on a store, and a gateway that has done what it is asked
// before it is asked.
type shop struct {
	*engine.Executor
	s      *sqlite.Store
	house  pay.House
	orders sync.Map // by payment
	n      atomic.Int64
}

func openShop(tb testing.TB) *shop {
	tb.Helper()
	return shopOn(tb, open(tb, filepath.Join(tb.TempDir(), "once.db")))
}

func shopOn(tb testing.TB, s *sqlite.Store) *shop {
	tb.Helper()
	shop := &shop{s: s, house: pay.House{Process: "p1", Gateways: map[string]pay.Terms{
		"sandbox": {Contract: pay.Contract{Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second}},
	}}}
	shop.Executor = engine.New(shop.s, engine.Config{Since: s.Since(), Seed: id.Seed(), Render: render, Act: func(o *pay.Order) { shop.orders.Store(o.Payment.ID, o) }})
	tb.Cleanup(func() {
		if err := shop.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return shop
}

func render(r pay.Reply) once.Answer {
	a := once.Answer{Status: 201, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}}}
	switch {
	case r.Refusal != nil:
		a.Status, a.Body = 422, []byte(r.Refusal.Detail)
	case r.Interim:
		a.Status, a.Body = 202, r.Payment.AppendJSON(nil)
	default:
		a.Body = r.Payment.AppendJSON(nil)
	}
	return a
}

// begin creates and confirms a payment: its intent is written down, and it is
// about to be sent.
func (s *shop) begin(tb testing.TB) *pay.Order {
	n := s.n.Add(1)
	key := once.Key{Tenant: "acme", ID: fmt.Sprintf("%016x-7%016x", time.Now().UnixNano(), n)}
	o := s.Do(context.Background(), &engine.Job{
		Tenant: "acme", Request: once.Request{Key: key, Operation: "POST /v1/payments"}, RequestID: "req_1",
		Payment: pay.CreatePayment{
			Ask: pay.Ask{Key: key, RequestID: "req_1", House: s.house}, Confirm: true,
			Payment: pay.Payment{
				Ref: pay.Ref{Tenant: "acme"}, Amount: 1250, Currency: "EUR", Gateway: "sandbox", Method: "pm_ok",
				Reference: fmt.Sprint("order-", n), Customer: "cus_4711", Metadata: map[string]string{"cart": "812"},
			},
		},
	})
	if o.Err != nil || !o.Interim {
		tb.Errorf("create: %+v %s", o, o.Answer.Body)
		return nil
	}
	order, _ := s.orders.LoadAndDelete(o.Resource.ID)
	return order.(*pay.Order)
}

// settle writes down that the gateway has done what it was asked.
func (s *shop) settle(tb testing.TB, o *pay.Order) {
	s.record(tb, pay.Record{
		Ref: o.Payment.Ref, Operation: o.Operation, House: s.house, Attempt: o.Attempt,
		Finding: &pay.Finding{Outcome: pay.Done, Amount: o.Payment.Amount, Currency: o.Payment.Currency, GatewayID: "ch_" + o.Operation[4:]},
	})
}

func (s *shop) record(tb testing.TB, r pay.Record) {
	if o := s.Do(context.Background(), &engine.Job{Tenant: r.Tenant, Payment: r}); o.Err != nil {
		tb.Errorf("record: %v", o.Err)
	}
}
