package web

import (
	"context"
	"strconv"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// KeyReader reads what is known of keys.
type KeyReader interface {
	// Key returns a key's record, of whose answer it may leave out all but the
	// status; or the zero Record if there is none.
	Key(ctx context.Context, k once.Key) (once.Record, error)
}

// showKey is GET /v1/keys?key=: what became of a key.
func (x *exchange) showKey() {
	q := x.query("key")
	id, wrong := parseKey(q.get("key"))
	if wrong != nil && len(q.issues) == 0 {
		q.fail("key", "%s", wrong.detail)
	}
	if x.mistaken(q) {
		return
	}
	rec, working, err := x.api.findKey(x.r.Context(), once.Key{Tenant: x.caller.tenant.id, ID: id})
	switch {
	case err != nil:
		x.failed("read a key", err)
	case !working && !isKnown(rec):
		x.refuse(notFound, "This key is not known: it was never used, or only by requests that were refused before anything began, or longer ago than keys are remembered.")
	default:
		x.json(x.api.appendKey(nil, id, rec, working))
	}
}

// findKey returns a key's record, and whether its first request is at work. It
// may finish between the look at the store and the question to the executor, so
// the store is asked again.
func (a *API) findKey(ctx context.Context, k once.Key) (rec once.Record, working bool, err error) {
	if rec, err = a.store.Key(ctx, k); err != nil || isKnown(rec) {
		return rec, false, err
	}
	if working, err = a.executor.InProgress(ctx, k); err != nil || working {
		return rec, working, err
	}
	rec, err = a.store.Key(ctx, k)
	return rec, false, err
}

func isKnown(r once.Record) bool { return r.State != once.Absent && r.State != once.Released }

// appendKey appends what is known of a key. Of one whose first request is at
// work nothing is known but that.
func (a *API) appendKey(b []byte, id string, r once.Record, working bool) []byte {
	state := "in_progress"
	switch {
	case working:
	case r.Expired(a.now()):
		state = "expired"
	case r.State == once.Done:
		state = "done"
	}
	b = jcs.AppendString(append(b, `{"key":`...), id)
	b = append(append(append(b, `,"state":"`...), state...), `","operation":`...)
	b = jcs.AppendOptional(b, r.Operation)
	b = jcs.AppendTime(append(b, `,"first_seen":`...), r.CreatedAt)
	b = jcs.AppendTime(append(b, `,"expires":`...), r.ExpiresAt)
	b = strconv.AppendInt(append(b, `,"replays":`...), r.Replays, 10)
	b = jcs.AppendOptional(append(b, `,"resource":`...), r.Resource)
	b = append(b, `,"status_code":`...)
	if r.Answer.Status == 0 {
		return append(b, "null}"...)
	}
	return append(strconv.AppendInt(b, int64(r.Answer.Status), 10), '}')
}
