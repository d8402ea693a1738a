package sqlite

import (
	"context"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/pay"
)

var _ audit.Payments = (*Reader)(nil)

// Payments yields every payment with its operations, by tenant and id. An
// operation of a payment that is not there is found by [Reader.Structure].
func (r *Reader) Payments(ctx context.Context, yield func(*pay.Payment) error) error {
	operations, err := r.operations()
	if err != nil {
		return err
	}
	defer operations.close()
	return each(ctx, r, "payments", "SELECT "+paymentColumns+" FROM payments ORDER BY tenant, id", func(q *stmt) error {
		p, err := q.columnPayment()
		if err != nil {
			return err
		}
		if p.Operations, err = operations.of(p.Ref); err != nil {
			return wrap("operations", err)
		}
		return yield(p)
	})
}

// operations reads all operations, in the order of payments: to ask for those of
// each payment would take most of an audit.
type operations struct {
	q    *stmt
	ref  pay.Ref // whose the next one is
	next *pay.Operation
}

func (r *Reader) operations() (*operations, error) {
	q, err := r.c.prepare("SELECT " + operationColumns + " FROM operations ORDER BY tenant, payment, place")
	if err != nil {
		return nil, wrap("operations", err)
	}
	s := &operations{q: q}
	if err := s.move(); err != nil {
		q.finalize()
		return nil, wrap("operations", err)
	}
	return s, nil
}

func (s *operations) move() (err error) {
	if s.next = nil; s.q.next(&err) {
		s.ref, s.next = s.q.columnOperation()
	}
	return err
}

// of returns the operations of a payment, and passes over those of payments
// before it.
func (s *operations) of(p pay.Ref) (found []*pay.Operation, err error) {
	for err == nil && s.next != nil && before(s.ref, p) {
		err = s.move()
	}
	for err == nil && s.next != nil && s.ref == p {
		found = append(found, s.next)
		err = s.move()
	}
	return found, err
}

func before(a, b pay.Ref) bool { return a.Tenant < b.Tenant || a.Tenant == b.Tenant && a.ID < b.ID }

func (s *operations) close() { s.q.finalize() }

// References yields every reference with what is found under it, by tenant and
// name.
func (r *Reader) References(ctx context.Context, yield func(f pay.Reference, held bool, payments int64) error) error {
	const all = "SELECT " + referenceColumns + `,
		EXISTS (SELECT 1 FROM payments p WHERE p.tenant = f.tenant AND p.id = f.payment AND p.reference = f.reference),
		(SELECT count(*) FROM payments p WHERE p.tenant = f.tenant AND p.reference = f.reference)
		FROM payment_references f ORDER BY tenant, reference`
	return each(ctx, r, "references", all, func(q *stmt) error {
		c := columns{stmt: q}
		return yield(c.reference(), c.bool(), c.int())
	})
}
