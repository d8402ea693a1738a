package web

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/outbox"
)

// EventReader reads events.
type EventReader interface {
	// Events lists a tenant's events, newest first.
	Events(ctx context.Context, tenant string, f engine.EventFilter, p engine.Page) (engine.List[outbox.Event], error)

	// EventsSince returns those that a filter leaves in the order of commits, and where to
	// go on: Next is never empty. An empty cursor is the end of what there is now.
	EventsSince(ctx context.Context, tenant string, f engine.EventFilter, cursor string, limit int) (engine.List[outbox.Event], error)
}

// listEvents is GET /v1/events.
func (x *exchange) listEvents() {
	q := x.query(append([]string{"subject", "type"}, paging...)...)
	page, filter := q.page(), engine.EventFilter{Subject: q.get("subject"), Type: q.get("type")}
	if x.mistaken(q) {
		return
	}
	list, err := x.api.store.Events(x.r.Context(), x.caller.tenant.id, filter, page)
	answerList(x, list, err, appendEvent)
}

const (
	// maxTails is how many requests wait for events at once; others are answered at once
	// with what there is. Each looks into the store again and again.
	maxTails = 64

	// tailGlance is how often.
	tailGlance = 100 * time.Millisecond
)

// tailEvents is GET /v1/events/tail.
func (x *exchange) tailEvents() {
	q := x.query("subject", "type", "limit", "cursor")
	page, filter := q.page(), engine.EventFilter{Subject: q.get("subject"), Type: q.get("type")}
	if x.mistaken(q) {
		return
	}
	list, err := x.nextEvents(filter, page)
	answerList(x, list, err, appendEvent)
}

// nextEvents reads the events after a cursor, and waits for one if there is none.
func (x *exchange) nextEvents(f engine.EventFilter, page engine.Page) (list engine.List[outbox.Event], err error) {
	most := x.keepsTo()
	if x.api.tails.Add(1) > maxTails || page.Cursor == "" { // who begins wants the cursor
		most = 0
	}
	defer x.api.tails.Add(-1)
	p := x.api.wait(x.r.Context(), most)
	defer p.giveBack()
	for {
		list, err = x.api.store.EventsSince(x.r.Context(), x.caller.tenant.id, f, page.Cursor, page.Limit)
		if err != nil || len(list.Items) > 0 || most == 0 || !p.pause(tailGlance, x.api.enough) {
			return list, err
		}
		page.Cursor = list.Next
	}
}

func appendEvent(b []byte, e outbox.Event) []byte {
	b = jcs.AppendString(append(b, `{"id":`...), e.ID)
	b = jcs.AppendString(append(b, `,"type":`...), e.Type)
	b = jcs.AppendString(append(b, `,"subject":`...), e.Subject)
	b = jcs.AppendTime(append(b, `,"time":`...), e.At)
	return append(append(append(b, `,"data":`...), e.Data...), '}')
}
