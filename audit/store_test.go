package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// tables is a store that can be tampered with.
type tables struct {
	accounts  []*ledger.Account
	entries   []ledger.Entry
	transfers []*ledger.Transfer
	keys      []once.Record
	events    []outbox.Event
	payments  []*pay.Payment
	orders    []pay.Reference
	since     time.Time
}

func (s *tables) Accounts(_ context.Context, yield func(*ledger.Account) error) error {
	return each(s.accounts, yield)
}

func (s *tables) Entries(_ context.Context, yield func(ledger.Entry) error) error {
	return each(s.entries, yield)
}

func (s *tables) Transfers(_ context.Context, yield func(*ledger.Transfer) error) error {
	return each(s.transfers, yield)
}

func (s *tables) Keys(_ context.Context, yield func(once.Record) error) error {
	return each(s.keys, yield)
}

func (s *tables) Events(_ context.Context, yield func(outbox.Event) error) error {
	return each(s.events, yield)
}

func (s *tables) Payments(_ context.Context, yield func(*pay.Payment) error) error {
	return each(s.payments, yield)
}

func (s *tables) References(_ context.Context, yield func(pay.Reference, bool, int64) error) error {
	return each(s.orders, func(r pay.Reference) error {
		var held bool
		var n int64
		for _, p := range s.payments {
			if p.Tenant == r.Tenant && p.Reference == r.Reference {
				held = held || p.ID == r.Payment
				n++
			}
		}
		return yield(r, held, n)
	})
}

func (s *tables) Rows(context.Context) (int64, error) {
	rows := len(s.accounts) + len(s.entries) + len(s.transfers) + len(s.keys) + len(s.events) + len(s.payments) + len(s.orders)
	return int64(rows), nil
}

func (s *tables) KeysSince(context.Context) (time.Time, error) { return s.since, nil }

func each[T any](rows []T, yield func(T) error) error {
	for _, r := range rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// clone copies so deep that tampering with the copy leaves the original alone.
func (s *tables) clone() *tables {
	c := &tables{
		entries: slices.Clone(s.entries), keys: slices.Clone(s.keys), events: slices.Clone(s.events), orders: slices.Clone(s.orders), since: s.since,
	}
	for _, p := range s.payments {
		c.payments = append(c.payments, p.Clone())
	}
	for _, a := range s.accounts {
		c.accounts = append(c.accounts, new(*a))
	}
	for _, t := range s.transfers {
		c.transfers = append(c.transfers, new(*t))
	}
	return c
}

// read copies what a source holds.
func read(t testing.TB, snapshot *engine.Snapshot) *tables {
	t.Helper()
	s, ctx := &tables{}, t.Context()
	errs := []error{
		snapshot.Accounts(ctx, func(a *ledger.Account) error { s.accounts = append(s.accounts, a); return nil }),
		snapshot.Entries(ctx, func(e ledger.Entry) error { s.entries = append(s.entries, e); return nil }),
		snapshot.Transfers(ctx, func(t *ledger.Transfer) error { s.transfers = append(s.transfers, t); return nil }),
		snapshot.Keys(ctx, func(r once.Record) error { s.keys = append(s.keys, r); return nil }),
		snapshot.Events(ctx, func(e outbox.Event) error { s.events = append(s.events, e); return nil }),
		snapshot.Payments(ctx, func(p *pay.Payment) error { s.payments = append(s.payments, p); return nil }),
		snapshot.References(ctx, func(r pay.Reference, _ bool, _ int64) error { s.orders = append(s.orders, r); return nil }),
	}
	var err error
	s.since, err = snapshot.KeysSince(ctx)
	for _, err := range append(errs, err) {
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(s.keys, func(a, b once.Record) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return s
}

// shop fills a store by random commands of two tenants, one after the other.
type shop struct {
	t     testing.TB
	luck  *rand.Rand
	store *engine.Memory
	step  *engine.Step
	now   time.Time
	keys  int
	made  []ledger.Ref // transfers
	paid  []pay.Ref
	sent  []*pay.Order // to gateways, and not answered
}

var tenants = []string{"acme", "globex"}

func newShop(t testing.TB, seed uint64) *shop {
	s := &shop{
		t: t, luck: rand.New(rand.NewPCG(seed, 0)), store: engine.NewMemory(),
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	s.step = engine.NewStep(engine.Config{Since: s.now, Seed: [32]byte{byte(seed)}, Render: s.render})
	for _, tenant := range tenants {
		s.open(tenant, "world", ledger.Floor{None: true})
		for i := range 4 {
			s.open(tenant, fmt.Sprintf("a%d", i), ledger.Floor{})
		}
		s.open(tenant, "empty", ledger.Floor{})
		s.open(tenant, "closed", ledger.Floor{})
		s.keyed(tenant, "POST /v1/accounts/{id}/close", ledger.CloseAccount{Ref: ledger.Ref{Tenant: tenant, ID: "closed"}})
	}
	return s
}

func (s *shop) open(tenant, id string, floor ledger.Floor) {
	s.keyed(tenant, "POST /v1/accounts", ledger.OpenAccount{
		Ref: ledger.Ref{Tenant: tenant, ID: id}, Currency: "EUR", Floor: floor,
	})
}

func (s *shop) account() string {
	return []string{"world", "a0", "a1", "a2", "a3"}[s.luck.IntN(5)]
}

// random does one command.
func (s *shop) random() {
	tenant := tenants[s.luck.IntN(2)]
	s.now = s.now.Add(time.Duration(s.luck.IntN(3)) * time.Second)
	if s.luck.IntN(4) == 0 {
		s.pay(tenant)
		return
	}
	if s.luck.IntN(2) == 0 || len(s.made) == 0 {
		s.transfer(tenant)
		return
	}
	ref := s.made[max(0, len(s.made)-1-s.luck.IntN(8))] // a young one: it can still change
	switch s.luck.IntN(5) {
	case 0:
		s.keyed(ref.Tenant, "POST /v1/transfers/{id}/post", ledger.PostTransfer{Ref: ref})
	case 1:
		s.keyed(ref.Tenant, "POST /v1/transfers/{id}/post", ledger.PostTransfer{Ref: ref, Amount: new(int64(1 + s.luck.IntN(9)))})
	case 2:
		s.keyed(ref.Tenant, "POST /v1/transfers/{id}/void", ledger.VoidTransfer{Ref: ref})
	case 3:
		s.keyed(ref.Tenant, "POST /v1/transfers/{id}/reverse", ledger.ReverseTransfer{Ref: ref})
	case 4:
		s.do("", tenant, "", ledger.ExpireTransfer{Ref: ref})
	}
}

func (s *shop) transfer(tenant string) {
	c := ledger.CreateTransfer{
		Tenant: tenant, From: s.account(), To: s.account(), Amount: 1 + s.luck.Int64N(50), Currency: "EUR",
		Pending: s.luck.IntN(2) == 0,
	}
	if c.Pending && s.luck.IntN(2) == 0 {
		c.ExpiresAt = s.now.Add(10 * time.Second)
	}
	s.keyed(tenant, "POST /v1/transfers", c)
}

func (s *shop) keyed(tenant, operation string, c ledger.Command) {
	s.keys++
	s.do(fmt.Sprintf("key-%d", s.keys), tenant, operation, c)
}

func (s *shop) do(key, tenant, operation string, c ledger.Command) {
	s.submit(key, operation, &engine.Job{Tenant: tenant, Command: c, Reply: s.reply})
}

func (s *shop) submit(key, operation string, j *engine.Job) {
	if key != "" {
		j.Request = once.Request{Key: once.Key{Tenant: j.Tenant, ID: key}, Operation: operation}
	}
	s.step.Submit(j, s.now)
	for {
		effects := s.step.Effects()
		if len(effects) == 0 {
			return
		}
		for _, e := range effects {
			s.act(e)
		}
	}
}

func (s *shop) act(e engine.Effect) {
	switch {
	case e.Load != nil:
		rows, err := s.store.Load(s.t.Context(), *e.Load)
		s.step.Loaded(rows, err, s.now)
	case e.Commit != nil:
		s.step.Committed(s.store.Commit(s.t.Context(), e.Commit), s.now)
	case e.Durable != nil:
		s.sent = append(s.sent, e.Durable.Orders...)
	case e.Answer != nil && e.Answer.Outcome.Err != nil:
		s.t.Fatal(e.Answer.Outcome.Err)
	}
}

func (s *shop) reply(r ledger.Result, refusal *ledger.Refusal) once.Answer {
	if refusal == nil && r.Transfer != nil {
		s.made = append(s.made, r.Transfer.Ref)
	}
	return once.Answer{Status: 200}
}

// healthy is a store that is in order, with something of everything in it.
func healthy(t testing.TB, seed uint64, commands int) *tables {
	t.Helper()
	s := newShop(t, seed)
	for range commands {
		s.random()
	}
	return read(t, s.store.Snapshot())
}
