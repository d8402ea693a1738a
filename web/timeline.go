package web

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Limits of a timeline. What is over them is cut, oldest first, and the answer
// says so. A payment in good health has a dozen items.
const (
	maxTimelineRows = 500 // transfers, and events of each subject
	maxTimelineKeys = 200 // whose replays are looked up
)

// timeline is everything that happened to a payment, as it is put together.
type timeline struct {
	items []moment
	cut   bool

	payment *pay.Payment
	store   Store
	ctx     context.Context // of the one request that it is made for
	err     error           // the first one; then nothing more is read
}

// moment is an item of a timeline: its members behind "at".
type moment struct {
	at   time.Time
	rest []byte
}

// showTimeline is GET /v1/payments/{id}/timeline.
func (x *exchange) showTimeline() {
	p := x.readPayment()
	if p == nil {
		return
	}
	t := &timeline{payment: p, store: x.api.store, ctx: x.r.Context()}
	t.addLines()
	t.addTransfers()
	t.addEvents(p.ID)
	for _, o := range p.Operations {
		if o.Kind == pay.Refund {
			t.addEvents(o.ID)
		}
	}
	if t.err != nil {
		x.failed("read a timeline", t.err)
		return
	}
	x.json(t.appendJSON(nil))
}

// appendJSON appends the items in the order of their times. Those of one time
// stay as they were added, which is how they follow from each other.
func (t *timeline) appendJSON(b []byte) []byte {
	slices.SortStableFunc(t.items, func(a, b moment) int { return a.at.Compare(b.at) })
	b = append(b, `{"data":[`...)
	for i, m := range t.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendTime(append(b, `{"at":`...), m.at)
		b = append(append(b, m.rest...), '}')
	}
	b = strconv.AppendBool(append(b, `],"truncated":`...), t.cut)
	return append(b, '}')
}

func (t *timeline) add(at time.Time, rest []byte) { t.items = append(t.items, moment{at, rest}) }

// addLines adds what was noted, each operation behind the request that began it.
func (t *timeline) addLines() {
	lines, err := t.store.Lines(t.ctx, t.payment.Ref)
	if err != nil {
		t.err = err
		return
	}
	keys := t.readKeys(lines)
	told := map[string]bool{}
	for i, l := range lines {
		if i == engine.MaxLines/2 && len(lines) == engine.MaxLines {
			t.cut = true
			t.add(l.At, aGap)
		}
		t.add(l.At, appendLine(nil, l, keys[l.Key]))
		if o := t.payment.Operation(l.Operation); o != nil && l.Type == "request" && !told[o.ID] {
			told[o.ID] = true
			t.add(o.CreatedAt, appendOperation(nil, o))
		}
	}
	for _, o := range t.payment.Operations {
		if !told[o.ID] { // its request is in the gap
			t.add(o.CreatedAt, appendOperation(nil, o))
		}
	}
}

var aGap = []byte(`,"type":"gap","detail":"There are more lines between the one before and the one behind this than are shown here."`)

// readKeys reads what became of the keys of requests.
func (t *timeline) readKeys(lines []pay.Line) map[string]once.Record {
	keys := map[string]once.Record{}
	for _, l := range lines {
		if _, known := keys[l.Key]; known || l.Key == "" || t.err != nil {
			continue
		}
		if len(keys) == maxTimelineKeys {
			t.cut = true
			break
		}
		keys[l.Key], t.err = t.store.Key(t.ctx, once.Key{Tenant: t.payment.Tenant, ID: l.Key})
	}
	return keys
}

// appendLine appends a line, with what is known of its key if it is a request's.
func appendLine(b []byte, l pay.Line, key once.Record) []byte {
	b = jcs.AppendString(append(b, `,"type":`...), l.Type)
	b = appendKnown(b, "operation", l.Operation)
	b = appendKnown(b, "detail", l.Detail)
	b = appendKnown(b, "actor", l.Actor)
	b = appendKnown(b, "key", l.Key)
	if key.Operation != "" {
		b = appendKnown(b, "request", key.Operation)
		b = strconv.AppendInt(append(b, `,"replays":`...), key.Replays, 10)
	}
	return b
}

// appendOperation appends how an operation stands now: the checks that told
// nothing new have no line, and are only counted.
func appendOperation(b []byte, o *pay.Operation) []byte {
	b = appendKnown(append(b, `,"type":"operation"`...), "operation", o.ID)
	b = appendKnown(b, "kind", o.Kind.String())
	b = strconv.AppendInt(append(b, `,"amount":`...), o.Amount, 10)
	b = appendKnown(b, "outcome", o.Outcome.String())
	b = strconv.AppendInt(append(b, `,"sends":`...), o.Attempt, 10)
	b = strconv.AppendInt(append(b, `,"checks":`...), o.Checks, 10)
	b = appendKnown(b, "gateway_id", o.GatewayID)
	return appendKnown(b, "parked", o.Parked)
}

// addTransfers adds what the ledger booked for the payment's operations. A client
// may give other transfers the payment's id and whatever metadata: only the
// ledger says that an operation moved something.
func (t *timeline) addTransfers() {
	filter := engine.TransferFilter{Reference: t.payment.ID}
	rows := readAll(t, func(p engine.Page) (engine.List[*ledger.Transfer], error) {
		return t.store.Transfers(t.ctx, t.payment.Tenant, filter, p)
	})
	for _, r := range rows {
		if o := t.payment.Operation(r.Operation); r.Operation != "" && o != nil {
			t.add(r.CreatedAt, appendBooking(nil, o, r))
		}
	}
}

// appendBooking appends a transfer and its two entries: those of a transfer that
// is posted at once are the same amount, out of one account and into the other.
func appendBooking(b []byte, o *pay.Operation, r *ledger.Transfer) []byte {
	b = appendKnown(append(b, `,"type":"transfer"`...), "operation", o.ID)
	b = appendKnown(b, "transfer", r.ID)
	b = jcs.AppendString(append(b, `,"entries":[{"account":`...), r.From)
	b = strconv.AppendInt(append(b, `,"amount":`...), -r.AmountPosted, 10)
	b = jcs.AppendString(append(b, `},{"account":`...), r.To)
	b = strconv.AppendInt(append(b, `,"amount":`...), r.AmountPosted, 10)
	return append(b, `}]`...)
}

// addEvents adds the events of the payment, or of a refund.
func (t *timeline) addEvents(subject string) {
	rows := readAll(t, func(p engine.Page) (engine.List[outbox.Event], error) {
		return t.store.Events(t.ctx, t.payment.Tenant, engine.EventFilter{Subject: subject}, p)
	})
	for _, e := range rows {
		b := appendKnown([]byte(`,"type":"event"`), "event", e.ID)
		t.add(e.At, appendKnown(appendKnown(b, "name", e.Type), "subject", e.Subject))
	}
}

// readAll reads a list to its end, or as far as a timeline goes, and returns it
// oldest first.
func readAll[T any](t *timeline, read func(engine.Page) (engine.List[T], error)) (rows []T) {
	page := engine.Page{Limit: MaxLimit}
	for t.err == nil {
		var l engine.List[T]
		l, t.err = read(page)
		rows = append(rows, l.Items...)
		if page.Cursor = l.Next; page.Cursor == "" {
			break
		}
		if len(rows) >= maxTimelineRows {
			t.cut = true
			break
		}
	}
	slices.Reverse(rows)
	return rows
}
