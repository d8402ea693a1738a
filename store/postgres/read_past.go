package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

var selectKeyOnly = "SELECT " + selectSwept + ", t.* FROM " + lookup(keyArrays, `k.tenant, k.key, k.fingerprint, k.state, k.operation, k.resource,
	k.attempt, k.lease_until, k.created_at, k.expires_at, k.replays, k.version, k.status, NULL::text, NULL::bytea`, "keys k", ofKey)

// Key returns what is known of a key, and of its answer the status alone; the zero Record if
// nothing is.
func (p *pool) Key(ctx context.Context, k once.Key) (rec once.Record, err error) {
	args := names([]once.Key{k}, keyNames)
	var b pgx.Batch
	b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	b.Queue(begin)
	b.Queue(selectKeyOnly, args...).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(r *row) { swept := r.int(); rec = r.record(swept) })
	})
	b.Queue(selectOver, args...).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(r *row) { rec = r.record(endOfTime) })
	})
	b.Queue("COMMIT")
	return rec, wrap("key", p.db.SendBatch(ctx, &b).Close())
}

const (
	listEvents = "SELECT seq, data, " + eventColumns + ` FROM events WHERE tenant = $1 AND (at, seq) < ($2, $3) AND at > $4
		ORDER BY at DESC, seq DESC LIMIT $5`
	listSubjectEvents = "SELECT seq, data, " + eventColumns + ` FROM events WHERE tenant = $1 AND (at, seq) < ($2, $3) AND at > $4 AND subject = $6
		ORDER BY at DESC, seq DESC LIMIT $5`
)

// Events lists the events of a tenant, newest first. It fails with ErrBadCursor.
//
// A page of one type passes over the events of others: after 5,000 of them it ends early.
func (p *pool) Events(ctx context.Context, tenant string, f engine.EventFilter, page engine.Page) (engine.List[outbox.Event], error) {
	a := asked[outbox.Event]{
		list: paging.List{"events", tenant, f.Subject, f.Type}, page: page,
		match: func(e outbox.Event) bool { return f.Type == "" || e.Type == f.Type },
	}
	a.read = func(ctx context.Context, place string, n int) (rows []found[outbox.Event], err error) {
		at, seq := upTo(page.Before), int64(0) // none is at the bound itself
		if page.Before.IsZero() {
			seq = endOfTime
		}
		if place != "" {
			if at, seq, err = paging.ReadNumbers(place); err != nil {
				return nil, err
			}
		}
		after := int64(-1)
		if !page.After.IsZero() {
			after = micros(page.After)
		}
		sql, args := listEvents, []any{writeText(tenant), at, seq, after, n}
		if f.Subject != "" {
			sql, args = listSubjectEvents, append(args, writeText(f.Subject))
		}
		err = p.query(ctx, sql, args, func(r *row) {
			seq, data := r.int(), []byte(r.text())
			e := r.event()
			e.Data = data
			rows = append(rows, found[outbox.Event]{e, e.At, paging.Number(micros(e.At)) + paging.Number(seq)})
		})
		return rows, err
	}
	return readPage(ctx, p, a)
}

const (
	firstLines = "SELECT " + lineColumns + ` FROM payment_lines WHERE tenant = $1 AND payment = $2 ORDER BY batch, line LIMIT $3`
	lastLines  = "SELECT " + lineColumns + ` FROM payment_lines WHERE tenant = $1 AND payment = $2 ORDER BY batch DESC, line DESC LIMIT $3`
)

// Lines returns a payment's timeline, oldest first: of more than engine.MaxLines the first
// and the last half of so many.
func (p *pool) Lines(ctx context.Context, ref pay.Ref) (lines []pay.Line, err error) {
	of := []any{writeText(ref.Tenant), writeText(ref.ID)}
	err = p.query(ctx, firstLines, append(of, engine.MaxLines+1), func(r *row) { lines = append(lines, r.line()) })
	if err != nil || len(lines) <= engine.MaxLines {
		return lines, wrap("timeline", err)
	}
	var last []pay.Line
	err = p.query(ctx, lastLines, append(of, engine.MaxLines/2), func(r *row) { last = append(last, r.line()) })
	slices.Reverse(last)
	return append(lines[:engine.MaxLines/2], last...), wrap("timeline", err)
}
