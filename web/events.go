package web

import (
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/outbox"
)

// EventReader reads events.
type EventReader interface {
	// Events lists a tenant's events, newest first.
	Events(ctx context.Context, tenant string, f engine.EventFilter, p engine.Page) (engine.List[outbox.Event], error)
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

func appendEvent(b []byte, e outbox.Event) []byte {
	b = jcs.AppendString(append(b, `{"id":`...), e.ID)
	b = jcs.AppendString(append(b, `,"type":`...), e.Type)
	b = jcs.AppendString(append(b, `,"subject":`...), e.Subject)
	b = jcs.AppendTime(append(b, `,"time":`...), e.At)
	return append(append(append(b, `,"data":`...), e.Data...), '}')
}
