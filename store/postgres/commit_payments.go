package postgres

import (
	"cmp"
	"hash/fnv"
	"io"
	"maps"
	"slices"

	"github.com/oncepay/oncepay/pay"
)

var (
	changePayments   = paymentsTable.change()
	insertPayments   = paymentsTable.insert()
	upsertOperations = operationsTable.upsert()

	changeReferences = referencesTable.change()
	insertReferences = referencesTable.insert()

	fenceNotices  = noticesTable.fence()
	updateNotices = updateWaiting()
	insertNotices = "INSERT INTO notices (" + noticesTable.columns("") + ", waits_for) SELECT " + noticesTable.columns("r.") + ", " + waitsFor + " FROM " + noticesTable.arrays()
)

// waitsFor is what a notice waits for: the operation that it names, if that is not there;
// nothing that can come, if it names none.
const waitsFor = `CASE WHEN r.matched = 1 THEN NULL
	WHEN r.operation IS NOT NULL AND EXISTS (SELECT 1 FROM operations o WHERE o.tenant = r.tenant AND o.id = r.operation
		AND o.gateway = r.gateway AND (r.payment IS NULL OR o.payment = r.payment)) THEN NULL
	WHEN r.operation IS NULL AND EXISTS (SELECT 1 FROM operations o WHERE o.tenant = r.tenant AND o.gateway_id = r.gateway_id
		AND o.gateway = r.gateway AND (r.payment IS NULL OR o.payment = r.payment)) THEN NULL
	ELSE coalesce(r.operation, r.gateway_id, '') END`

func updateWaiting() string {
	t := noticesTable
	set := ""
	for _, name := range t.names[t.key:] {
		set += name + " = r." + name + ", "
	}
	return "UPDATE notices t SET " + set + "waits_for = " + waitsFor + " FROM " + t.arrays() + " WHERE " + t.match()
}

// wakeNotices tells the notices that wait for an operation that it is there.
const wakeNotices = `UPDATE notices t SET waits_for = NULL FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) r(tenant, waits_for, gateway, payment)
	WHERE t.tenant = r.tenant AND t.waits_for = r.waits_for AND t.gateway = r.gateway AND (t.payment IS NULL OR t.payment = r.payment)`

// Lines are in the order of commits, and within one as they come: their times may be the
// same. A payment's row is locked by now, so the numbers of its commits ascend.
var insertLines = `INSERT INTO payment_lines (batch, ` + linesTable.columns("") + `)
	SELECT (SELECT nextval('commit_numbers')), ` + linesTable.columns("r.") + " FROM " + linesTable.arrays()

// A notice that waits for an operation and that operation may come in two commits at once, and
// neither sees the other's. So they meet: who writes an operation takes its names to be
// shared, who writes a notice takes that which it waits for alone. There are as many locks
// as meetings, since a server has room for some thousands in all; that two names share one costs a wait.
const (
	meetings = 1024
	meet     = `SELECT CASE m & 1 WHEN 1 THEN pg_advisory_xact_lock(1869505381 /* "once" */, (m >> 1)::int)
		ELSE pg_advisory_xact_lock_shared(1869505381, (m >> 1)::int) END FROM unnest($1::bigint[]) m`
)

func meeting(tenant, id string) int64 {
	h := fnv.New32a()
	io.WriteString(h, tenant+"\x00"+id)
	return int64(h.Sum32() % meetings)
}

func (w *writing) meetNotices() {
	c := w.changes.Payments
	if c.Empty() {
		return
	}
	alone := map[int64]bool{}
	for _, p := range c.Payments {
		for _, o := range p.Operations {
			if c.Same(o) {
				continue
			}
			alone[meeting(p.Tenant, o.ID)] = false
			if o.GatewayID != "" {
				alone[meeting(p.Tenant, o.GatewayID)] = false
			}
		}
	}
	for _, n := range c.Notices {
		alone[meeting(n.Tenant, cmp.Or(n.Operation, n.GatewayID))] = true
	}
	var locks []int64
	for _, m := range slices.Sorted(maps.Keys(alone)) {
		lock := m << 1
		if alone[m] {
			lock |= 1
		}
		locks = append(locks, lock)
	}
	if len(locks) > 0 {
		w.batch.Queue(meet, locks)
	}
}

func (w *writing) sortedPayments() (made, changed []*pay.Payment) {
	return sorted(w.changes.Payments.Payments, func(p *pay.Payment) bool { return p.Version == 1 },
		func(a, b *pay.Payment) int {
			return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
		})
}

func (w *writing) sortedReferences() (made, changed []*pay.Reference) {
	return sorted(w.changes.Payments.References, func(f *pay.Reference) bool { return f.Version == 1 },
		func(a, b *pay.Reference) int {
			return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Reference, b.Reference))
		})
}

func (w *writing) sortedNotices() (made, changed []*pay.Notice) {
	return sorted(w.changes.Payments.Notices, func(n *pay.Notice) bool { return n.Version == 1 },
		func(a, b *pay.Notice) int {
			return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.ID, b.ID))
		})
}

// changePayments writes what was there before.
func (w *writing) changePayments() {
	if w.changes.Payments.Empty() {
		return
	}
	_, payments := w.sortedPayments()
	_, references := w.sortedReferences()
	_, notices := w.sortedNotices()
	for _, t := range []struct {
		change string
		rows   *columns
	}{
		{changePayments, paymentColumns(payments)},
		{changeReferences, referenceColumns(references)},
		{fenceNotices, noticeColumns(notices)}, // they are written when the operations are
	} {
		w.put(t.change, t.rows, t.rows.rows)
	}
}

// insertPayments writes what is new, operations before the notices that may wait for
// them.
func (w *writing) insertPayments() {
	if w.changes.Payments.Empty() {
		return
	}
	payments, changed := w.sortedPayments()
	references, _ := w.sortedReferences()
	notices, matched := w.sortedNotices()
	w.put(insertPayments, paymentColumns(payments))
	w.putOperations(append(payments, changed...))
	w.put(insertReferences, referenceColumns(references))
	w.put(insertNotices, noticeColumns(notices))
	w.put(updateNotices, noticeColumns(matched))
	w.putLines()
}

// putOperations writes those operations that are new or have changed, and tells the notices
// that wait for them.
func (w *writing) putOperations(payments []*pay.Payment) {
	var c, waking columns
	for _, p := range payments {
		for i, o := range p.Operations {
			if w.changes.Payments.Same(o) {
				continue
			}
			operationColumns(&c, p, int64(i), o)
			for _, name := range []string{o.ID, o.GatewayID} {
				if name != "" {
					waking.next().text(p.Tenant).text(name).text(p.Gateway).text(p.ID)
				}
			}
		}
	}
	w.put(upsertOperations, &c, c.rows)
	w.put(wakeNotices, &waking)
}

func (w *writing) putLines() {
	var c columns
	for i := range w.changes.Payments.Lines {
		l := &w.changes.Payments.Lines[i]
		c.next().text(l.Tenant).text(l.Payment).int(int64(i)).time(l.At).text(l.Type).
			textOrNull(l.Operation).textOrNull(l.Key).textOrNull(l.Detail).textOrNull(l.Actor)
	}
	w.put(insertLines, &c)
}

func paymentColumns(payments []*pay.Payment) *columns {
	var c columns
	for _, p := range payments {
		c.next().text(p.Tenant).text(p.ID).int(int64(p.Status)).bool(p.InDoubt).
			int(p.Amount).int(p.Captured).int(p.Refunded).text(string(p.Currency)).
			textOrNull(p.Reference).text(p.Gateway).textOrNull(p.Method).bool(p.Manual).bool(p.Canceled).
			textOrNull(p.Customer).textOrNull(p.Description).textOrNull(p.StatementDescriptor).textOrNull(p.ReturnURL).
			metadata(p.Options).metadata(p.Metadata).time(p.CreatedAt).time(p.UpdatedAt).int(p.Version)
	}
	return &c
}

func operationColumns(c *columns, p *pay.Payment, place int64, o *pay.Operation) {
	c.next().text(p.Tenant).text(p.ID).int(place).text(o.ID).
		int(int64(o.Kind)).int(o.Amount).bool(o.Last).int(int64(o.Outcome)).int(o.Moved).
		textOrNull(o.GatewayID).textOrNull(o.ActionURL).
		textOrNull(o.Failure.Code).textOrNull(o.Failure.DeclineCode).textOrNull(o.Failure.Message).
		textOrNull(o.Parked).int(o.Epoch).int(o.Attempt).bool(o.Exposed).textOrNull(o.Owner).
		timeOrNull(o.FirstSentAt).timeOrNull(o.SentAt).timeOrNull(o.LeaseUntil).timeOrNull(o.StoppedAt).timeOrNull(o.ResendUntil).
		int(o.Adrift).int(o.LookupLag.Microseconds()).int(o.InFlight.Microseconds()).int(o.Checks).int(o.Blanks).timeOrNull(o.CheckedAt).timeOrNull(o.AbsentAt).
		int(o.Lag.Microseconds()).bool(o.Hinted).timeOrNull(o.DueAt).textOrNull(o.Key).textOrNull(o.Followers).int(int64(o.Asked)).textOrNull(o.RequestID).
		int(o.Booked).int(o.Suspended).textOrNull(o.Transfer).time(o.CreatedAt).time(o.UpdatedAt).text(p.Gateway)
}

func referenceColumns(references []*pay.Reference) *columns {
	var c columns
	for _, f := range references {
		c.next().text(f.Tenant).text(f.Reference).text(f.Payment).int(f.Version)
	}
	return &c
}

func noticeColumns(notices []*pay.Notice) *columns {
	var c columns
	for _, n := range notices {
		c.next().text(n.Tenant).text(n.Gateway).text(n.ID).textOrNull(n.Payment).textOrNull(n.Operation).textOrNull(n.GatewayID).
			text(n.Type).bool(n.Matched).int(int64(n.Outcome)).int(n.Amount).textOrNull(string(n.Currency)).
			textOrNull(n.Failure.Code).textOrNull(n.Failure.DeclineCode).textOrNull(n.Failure.Message).time(n.At).int(n.Version)
	}
	return &c
}
