package contract

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// read reads something, and writes it down.
func (h *history) read() {
	tenant := tenants[h.luck.IntN(len(tenants))]
	p := engine.Page{Limit: 1 + h.luck.IntN(20)}
	if h.one(2) {
		p.After = h.moment()
	}
	if h.one(2) {
		p.Before = h.moment()
	}
	h.write("read of %s from %s to %s", tenant, stamp(p.After), stamp(p.Before))
	switch h.luck.IntN(10) {
	case 0:
		h.readAccount(h.account(tenant))
	case 1:
		h.readAccounts(tenant, p)
	case 2:
		h.readEntries(h.account(tenant), p)
	case 3:
		h.readTransfers(tenant, engine.TransferFilter{Account: h.account(tenant).ID}, p)
	case 4:
		h.readTransfers(tenant, engine.TransferFilter{Reference: "order ü"}, p)
	case 5:
		h.readEvents(tenant, engine.EventFilter{Subject: h.account(tenant).ID}, p)
	case 6:
		h.readKeys(10)
	default:
		h.readPayments(tenant, p)
	}
}

// moment is some time since the opening, most often one at which something was
// decided, or a microsecond beside it.
func (h *history) moment() time.Time {
	if len(h.moments) == 0 || h.one(4) {
		return opening.Add(time.Duration(h.luck.Int64N(int64(h.now.Sub(opening)) + 1))).Truncate(time.Microsecond)
	}
	return h.moments[h.luck.IntN(len(h.moments))].Add(time.Duration(h.luck.IntN(3)-1) * time.Microsecond)
}

func (h *history) readAccount(ref ledger.Ref) {
	a, err := h.store.Account(context.Background(), ref)
	h.writeAccount(a, err)
	for range 3 {
		a, err := h.store.AccountAt(context.Background(), ref, h.moment())
		h.writeAccount(a, err)
	}
}

func (h *history) writeAccount(a *ledger.Account, err error) {
	h.must(err)
	if a == nil {
		h.write("  no account")
		return
	}
	h.write("  %s %s version %d, %d entries to %d", a.Tenant, a.AppendJSON(nil), a.Version, a.Entries, a.LastEntry)
}

// list reads a list to its end: where its pages end is a store's own affair.
func readList[T any](h *history, read list[T], p engine.Page, write func(T)) {
	for {
		l, err := read(p)
		h.must(err)
		for _, item := range l.Items {
			write(item)
		}
		if p.Cursor = l.Next; p.Cursor == "" {
			return
		}
	}
}

func (h *history) readAccounts(tenant string, p engine.Page) {
	readList(h, func(p engine.Page) (engine.List[*ledger.Account], error) {
		return h.store.Accounts(context.Background(), tenant, p)
	}, p, func(a *ledger.Account) { h.writeAccount(a, nil) })
}

func (h *history) readEntries(ref ledger.Ref, p engine.Page) {
	readList(h, func(p engine.Page) (engine.List[ledger.Entry], error) {
		return h.store.Entries(context.Background(), ref, p)
	}, p, func(e ledger.Entry) {
		h.write("  %s #%d after %d: %s", e.Account, e.Ordinal, e.Prev, e.AppendJSON(nil))
	})
}

func (h *history) readTransfers(tenant string, f engine.TransferFilter, p engine.Page) {
	readList(h, func(p engine.Page) (engine.List[*ledger.Transfer], error) {
		return h.store.Transfers(context.Background(), tenant, f, p)
	}, p, h.writeTransfer)
}

func (h *history) writeTransfer(t *ledger.Transfer) {
	h.write("  %s %s version %d", t.Tenant, t.AppendJSON(nil), t.Version)
}

func (h *history) readEvents(tenant string, f engine.EventFilter, p engine.Page) {
	readList(h, func(p engine.Page) (engine.List[outbox.Event], error) {
		return h.store.Events(context.Background(), tenant, f, p)
	}, p, func(e outbox.Event) {
		h.write("  %s %s %s %s %s %s", e.Tenant, e.ID, e.Type, e.Subject, stamp(e.At), e.Data)
	})
}

// readKeys reads the keys of the last n requests.
func (h *history) readKeys(n int) {
	for _, r := range h.requests[max(0, len(h.requests)-n):] {
		if r.key == "" {
			continue
		}
		rec, err := h.store.Key(context.Background(), once.Key{Tenant: r.tenant, ID: r.key})
		h.must(err)
		h.write("  %s", describe(rec))
	}
}

func describe(r once.Record) string {
	return fmt.Sprintf("%s %q is %s, answered %d, %q made %q at attempt %d, lease %s, from %s to %s, replayed %d times, %x",
		r.Key.Tenant, r.Key.ID, r.State, r.Answer.Status, r.Operation, r.Resource, r.Attempt, stamp(r.LeaseUntil), stamp(r.CreatedAt), stamp(r.ExpiresAt),
		r.Replays, r.Fingerprint.Sum[:4])
}

// readAll reads everything, one tenant after the other.
func (h *history) readAll() {
	p := engine.Page{Limit: 100}
	for _, tenant := range tenants {
		h.write("all of %s", tenant)
		h.readAccounts(tenant, p)
		for i := range accountNames {
			h.readEntries(ledger.Ref{Tenant: tenant, ID: fmt.Sprintf("account-%d", i)}, p)
		}
		h.readTransfers(tenant, engine.TransferFilter{}, p)
		h.readEvents(tenant, engine.EventFilter{}, p)
		h.readPaymentList(tenant, engine.PaymentFilter{}, p)
	}
	h.readAllPayments()
	for _, ref := range h.made {
		t, err := h.store.Transfer(context.Background(), ref)
		h.must(err)
		if t == nil { // it was decided, and not committed
			h.write("  no transfer %s", ref.ID)
			continue
		}
		h.writeTransfer(t)
	}
	h.readKeys(len(h.requests))
}
