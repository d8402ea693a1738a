package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Payment returns a payment, or nil if there is none.
func (m *Memory) Payment(_ context.Context, r pay.Ref) (*pay.Payment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.payments.payments[r]; p != nil {
		return p.Clone(), nil
	}
	return nil, nil
}

// PaymentOf returns the payment that has the operation with this id, or nil if
// there is none.
func (m *Memory) PaymentOf(_ context.Context, operation pay.Ref) (*pay.Payment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range m.payments.made {
		if p := m.payments.payments[ref]; ref.Tenant == operation.Tenant && p.Operation(operation.ID) != nil {
			return p.Clone(), nil
		}
	}
	return nil, nil
}

// Payments lists the payments of a tenant, newest first. It fails with
// ErrBadCursor.
func (m *Memory) Payments(_ context.Context, tenant string, f PaymentFilter, p Page) (List[*pay.Payment], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inDoubt := "any"
	if f.InDoubt != nil {
		inDoubt = fmt.Sprint(*f.InDoubt)
	}
	list := fmt.Sprintf("payments of %q, %q, %d, %s", tenant, f.Reference, f.Status, inDoubt)
	return m.payments.list(list, func(x *pay.Payment) bool { return x.Tenant == tenant && f.match(x) }, p)
}

func (f PaymentFilter) match(p *pay.Payment) bool {
	return (f.Reference == "" || f.Reference == p.Reference) &&
		(f.Status == 0 || f.Status == p.Status) &&
		(f.InDoubt == nil || *f.InDoubt == p.InDoubt)
}

// Doubtful lists the payments of all tenants that are in doubt, newest first. It
// fails with ErrBadCursor.
func (m *Memory) Doubtful(_ context.Context, p Page) (List[*pay.Payment], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.payments.list("payments in doubt", func(x *pay.Payment) bool { return x.InDoubt }, p)
}

// CountDoubts counts what is in doubt and what needs a review, each up to most.
func (m *Memory) CountDoubts(_ context.Context, most int) (Doubts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var d Doubts
	for _, p := range m.payments.payments {
		if p.InDoubt {
			d.Payments++
		}
		if p.Status == pay.NeedsReview {
			d.Reviews++
		}
		for _, o := range p.Operations {
			if o.Kind == pay.Refund && o.RefundStatus() == "needs_review" {
				d.Refunds++
			}
		}
	}
	return Doubts{min(d.Payments, most), min(d.Reviews, most), min(d.Refunds, most)}, nil
}

func (m *paymentRows) list(name string, keep func(*pay.Payment) bool, p Page) (List[*pay.Payment], error) {
	rows := make([]*pay.Payment, len(m.made))
	for i, ref := range m.made {
		rows[i] = m.payments[ref]
	}
	l, err := page(name, rows, func(x *pay.Payment) time.Time { return x.CreatedAt }, keep, p)
	for i, x := range l.Items {
		l.Items[i] = x.Clone()
	}
	return l, err
}

// Lines returns a payment's timeline, oldest first: of more than MaxLines the
// first and the last half of so many.
func (m *Memory) Lines(_ context.Context, r pay.Ref) ([]pay.Line, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.payments.lines[r]
	if len(lines) <= MaxLines {
		return slices.Clone(lines), nil
	}
	return slices.Concat(lines[:MaxLines/2], lines[len(lines)-MaxLines/2:]), nil
}

// DueOperations returns up to limit operations of a gateway whose DueAt is not
// after now, the longest due first.
func (m *Memory) DueOperations(_ context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []pay.Due
	m.payments.eachDue(now, func(x pay.Due) {
		if x.Gateway == gateway {
			due = append(due, x)
		}
	})
	slices.SortStableFunc(due, func(a, b pay.Due) int { return a.At.Compare(b.At) })
	return due[:min(len(due), limit)], nil
}

// LongestDue returns of each gateway the operation that has been due longest, if
// there is one whose DueAt is not after now, in the order of the gateways' names.
func (m *Memory) LongestDue(_ context.Context, now time.Time) ([]pay.Due, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := map[string]pay.Due{}
	m.payments.eachDue(now, func(x pay.Due) {
		if before, there := first[x.Gateway]; !there || x.At.Before(before.At) {
			first[x.Gateway] = x
		}
	})
	return slices.SortedFunc(maps.Values(first), func(a, b pay.Due) int { return cmp.Compare(a.Gateway, b.Gateway) }), nil
}

// eachDue goes through the operations whose DueAt is not after now.
func (m *paymentRows) eachDue(now time.Time, yield func(pay.Due)) {
	for _, ref := range m.made {
		p := m.payments[ref]
		for _, o := range p.Operations {
			if !o.DueAt.IsZero() && !o.DueAt.After(now) {
				yield(pay.Due{Ref: ref, Operation: o.ID, Gateway: p.Gateway, At: o.DueAt})
			}
		}
	}
}

// Matchable returns up to limit notices of a gateway that were not matched and now
// can be, the oldest first, with the payment and the operation that they are about.
func (m *Memory) Matchable(_ context.Context, gateway string, limit int) ([]pay.Notice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []pay.Notice
	for _, n := range m.payments.notices {
		if n.Gateway == gateway && !n.Matched && m.payments.match(&n) {
			found = append(found, n)
		}
	}
	slices.SortFunc(found, func(a, b pay.Notice) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return found[:min(len(found), limit)], nil
}

// match fills in what a notice is about, and says whether it is there.
func (m *paymentRows) match(n *pay.Notice) bool {
	for _, ref := range m.made {
		p := m.payments[ref]
		if ref.Tenant != n.Tenant || p.Gateway != n.Gateway || n.Payment != "" && n.Payment != ref.ID {
			continue
		}
		for _, o := range p.Operations {
			if o.ID == n.Operation || n.Operation == "" && n.GatewayID != "" && o.GatewayID == n.GatewayID {
				n.Payment, n.Operation = ref.ID, o.ID
				return true
			}
		}
	}
	return false
}

// sweep drops the notices that are too old to come again.
func (m *paymentRows) sweep(now time.Time) {
	for id, n := range m.notices {
		if n.At.Before(now.Add(-NoticesKept)) {
			delete(m.notices, id)
		}
	}
}
