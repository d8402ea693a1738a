package sqlite

import (
	"cmp"

	"github.com/oncepay/oncepay/pay"
)

// putPayments writes what commands wrote of payments. Operations come before the
// notices that may wait for them.
func (w *writer) putPayments(c *pay.Changes) error {
	for _, p := range c.Payments {
		if err := w.putPayment(c, p); err != nil {
			return err
		}
	}
	for _, f := range c.References {
		if err := w.putReference(f); err != nil {
			return err
		}
	}
	for _, n := range c.Notices {
		if err := w.putNotice(n); err != nil {
			return err
		}
	}
	for i := range c.Lines {
		if err := w.putTimeline(int64(i), &c.Lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// putPayment makes a payment or brings it to its next version, with those of its
// operations that are new or have changed.
func (w *writer) putPayment(c *pay.Changes, p *pay.Payment) error {
	if err := w.putPaymentRow(p); err != nil {
		return err
	}
	for i, o := range p.Operations {
		if c.Same(o) {
			continue
		}
		if err := w.putOperation(p, int64(i), o); err != nil {
			return err
		}
		if err := w.wake(p, o); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) putPaymentRow(p *pay.Payment) error {
	q := w.insertPayment
	if p.Version != 1 {
		q = w.updatePayment
	}
	return one(q.text(p.Tenant).text(p.ID).int(int64(p.Status)).bool(p.InDoubt).
		int(p.Amount).int(p.Captured).int(p.Refunded).text(string(p.Currency)).
		textOrNull(p.Reference).text(p.Gateway).textOrNull(p.Method).bool(p.Manual).bool(p.Canceled).
		textOrNull(p.Customer).textOrNull(p.Description).textOrNull(p.StatementDescriptor).textOrNull(p.ReturnURL).
		metadata(p.Options).metadata(p.Metadata).time(p.CreatedAt).time(p.UpdatedAt).int(p.Version).exec())
}

// putOperation makes an operation, or writes all of it anew. One that would take
// another's place is a conflict.
func (w *writer) putOperation(p *pay.Payment, place int64, o *pay.Operation) error {
	return one(w.upsertOperation.text(p.Tenant).text(p.ID).int(place).text(o.ID).
		int(int64(o.Kind)).int(o.Amount).bool(o.Last).int(int64(o.Outcome)).int(o.Moved).
		textOrNull(o.GatewayID).textOrNull(o.ActionURL).
		textOrNull(o.Failure.Code).textOrNull(o.Failure.DeclineCode).textOrNull(o.Failure.Message).
		textOrNull(o.Parked).int(o.Epoch).int(o.Attempt).bool(o.Exposed).textOrNull(o.Owner).
		timeOrNull(o.FirstSentAt).timeOrNull(o.SentAt).timeOrNull(o.LeaseUntil).timeOrNull(o.StoppedAt).timeOrNull(o.ResendUntil).
		int(o.Adrift).int(o.LookupLag.Microseconds()).int(o.InFlight.Microseconds()).int(o.Checks).int(o.Blanks).timeOrNull(o.CheckedAt).timeOrNull(o.AbsentAt).int(o.Lag.Microseconds()).bool(o.Hinted).
		timeOrNull(o.DueAt).textOrNull(o.Key).textOrNull(o.Followers).int(int64(o.Asked)).textOrNull(o.RequestID).
		int(o.Booked).int(o.Suspended).textOrNull(o.Transfer).time(o.CreatedAt).time(o.UpdatedAt).text(p.Gateway).exec())
}

func (w *writer) putReference(f *pay.Reference) error {
	q := w.insertReference
	if f.Version != 1 {
		q = w.updateReference
	}
	return one(q.text(f.Tenant).text(f.Reference).text(f.Payment).int(f.Version).exec())
}

const insertLine = "INSERT INTO payment_lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

// putTimeline writes a line of a timeline. Lines are in the order of commits, and
// within one as they come: their times may be the same.
func (w *writer) putTimeline(n int64, l *pay.Line) error {
	_, err := w.putLine.text(l.Tenant).text(l.Payment).int(w.next.commit + 1).int(n).time(l.At).text(l.Type).
		textOrNull(l.Operation).textOrNull(l.Key).textOrNull(l.Detail).textOrNull(l.Actor).exec()
	return err
}

func (w *writer) putNotice(n *pay.Notice) error {
	waits, err := w.waits(n)
	if err != nil {
		return err
	}
	q := w.insertNotice
	if n.Version != 1 {
		q = w.updateNotice
	}
	q.text(n.Tenant).text(n.Gateway).text(n.ID).textOrNull(n.Payment).textOrNull(n.Operation).textOrNull(n.GatewayID).
		text(n.Type).bool(n.Matched).int(int64(n.Outcome)).int(n.Amount).textOrNull(string(n.Currency)).
		textOrNull(n.Failure.Code).textOrNull(n.Failure.DeclineCode).textOrNull(n.Failure.Message).time(n.At).int(n.Version)
	if waits {
		q.text(cmp.Or(n.Operation, n.GatewayID)) // or for nothing that can come: ""
	} else {
		q.null()
	}
	return one(q.exec())
}

// waits says whether a notice waits for an operation that is not there.
func (w *writer) waits(n *pay.Notice) (bool, error) {
	if n.Matched {
		return false, nil
	}
	about := *n
	found, err := findOperation(w.c, &about)
	return !found, err
}

// The index is named: by the key alone all notices of the gateway would be read.
const wakeNotices = `UPDATE notices INDEXED BY notices_waiting SET waits_for = NULL
	WHERE tenant = ?1 AND waits_for IN (?2, ?3) AND gateway = ?4 AND (payment IS NULL OR payment = ?5)`

// wake tells the notices that wait for an operation that it is there.
func (w *writer) wake(p *pay.Payment, o *pay.Operation) error {
	_, err := w.wakeNotices.text(p.Tenant).text(o.ID).text(cmp.Or(o.GatewayID, o.ID)).text(p.Gateway).text(p.ID).exec()
	return err
}
