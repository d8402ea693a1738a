package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/outbox"
)

var (
	_ outbox.Store = (*Store)(nil)
	_ outbox.Books = (*Store)(nil)
)

const (
	selectEventsAfter = "SELECT seq, data, " + eventColumns + " FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"
	selectEventsSince = "SELECT seq, data, " + eventColumns + ` FROM events WHERE seq > $1 AND seq <= $2 AND tenant = $4
		AND ($5 = '' OR subject = $5) AND ($6 = '' OR type = $6) ORDER BY seq LIMIT $3`

	selectNow = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

	takeSink = `INSERT INTO sinks AS s VALUES ($1, 0, 1, ` + selectNow + `, $2, ` + selectNow + ` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = $2, lease_until = ` + selectNow + ` + $3,
			fence = s.fence + CASE WHEN s.holder IS NOT DISTINCT FROM $2 THEN 0 ELSE 1 END
		WHERE s.holder IS NULL OR s.holder = $2 OR s.lease_until <= ` + selectNow + ` RETURNING position, fence`
	keepSink = `UPDATE sinks SET position = $3, moved_at = ` + selectNow + `, lease_until = ` + selectNow + ` + $4,
			holder = CASE WHEN $4 = 0 THEN NULL ELSE holder END
		WHERE name = $1 AND fence = $2 AND holder IS NOT NULL RETURNING 1`
	moveSink = `UPDATE sinks SET position = $2, fence = fence + 1, moved_at = ` + selectNow + `, holder = NULL WHERE name = $1 RETURNING 1`

	selectSinks = `SELECT s.name, s.position, (SELECT coalesce(max(seq), 0) FROM events),
		(SELECT e.at FROM events e WHERE e.seq > s.position ORDER BY e.seq LIMIT 1), s.holder, s.lease_until FROM sinks s ORDER BY s.name`
	selectPlace   = "SELECT seq FROM events WHERE id = $1"
	selectPlaceAt = "SELECT at FROM events WHERE seq >= $1 ORDER BY seq LIMIT 1"
)

// EventsAfter is [outbox.Store]'s: of what is there it returns what is known to have no gap,
// see horizon.
func (s *Store) EventsAfter(ctx context.Context, after outbox.Position, limit int) (events []outbox.Placed, more bool, err error) {
	safe, more, err := s.horizon.look(ctx, s, int64(after)+int64(limit)+1)
	if err != nil || safe <= int64(after) {
		return nil, more, wrap("events", err)
	}
	err = s.fenced(ctx, selectEventsAfter, []any{int64(after), safe, limit + 1}, func(r *row) {
		events = append(events, r.placed())
	})
	if len(events) > limit {
		events, more = events[:limit], true
	}
	return events, more, wrap("events", err)
}

func (r *row) placed() (e outbox.Placed) {
	seq, data := r.int(), []byte(r.text())
	e.Event, e.Position = r.event(), outbox.Position(seq)
	e.Data = data
	return e
}

// fenced runs a query on the server whose past this process knows: behind a pooler it may be
// another one from one query to the next, and the same numbers be those of other events.
func (s *Store) fenced(ctx context.Context, sql string, args []any, each func(*row)) error {
	return s.together(ctx, func(b *pgx.Batch) { b.Queue(sql, args...).Query(readInto(each)) })
}

// together runs statements as one transaction, on the server whose past this process knows.
func (s *Store) together(ctx context.Context, queue func(*pgx.Batch)) error {
	var b pgx.Batch
	b.Queue(begin)
	b.Queue("SELECT "+fencePast, s.past.args()...)
	queue(&b)
	return s.forgot(s.pool.db.SendBatch(ctx, &b).Close())
}

// TakeSink is [outbox.Store]'s.
func (s *Store) TakeSink(ctx context.Context, sink, holder string, lease time.Duration) (outbox.Cursor, error) {
	c, found := outbox.Cursor{Sink: sink}, false
	err := s.fenced(ctx, takeSink, []any{writeText(sink), holder, lease.Microseconds()}, func(r *row) {
		c.Position, c.Fence, found = outbox.Position(r.int()), r.int(), true
	})
	if err == nil && !found {
		return outbox.Cursor{}, outbox.ErrHeld
	}
	return c, wrap("a sink", err)
}

// KeepSink is [outbox.Store]'s.
func (s *Store) KeepSink(ctx context.Context, c outbox.Cursor, lease time.Duration) error {
	found := false
	err := s.fenced(ctx, keepSink, []any{writeText(c.Sink), c.Fence, int64(c.Position), lease.Microseconds()}, func(*row) { found = true })
	if err == nil && !found {
		return outbox.ErrLost
	}
	return wrap("a sink", err)
}

// MoveSink is [outbox.Books]'.
func (s *Store) MoveSink(ctx context.Context, sink string, to outbox.Position) error {
	found := false
	err := s.fenced(ctx, moveSink, []any{writeText(sink), int64(to)}, func(*row) { found = true })
	if err == nil && !found {
		return outbox.ErrNoSink
	}
	return wrap("a sink", err)
}

// Sinks is [outbox.Books]'.
func (p *pool) Sinks(ctx context.Context) (all []outbox.State, err error) {
	err = p.query(ctx, selectSinks, nil, func(r *row) {
		s := outbox.State{Sink: r.text(), Position: outbox.Position(r.int())}
		s.Lag = max(0, r.int()-int64(s.Position))
		s.OldestAt, s.Holder, s.LeaseUntil = r.time(), r.text(), r.time()
		all = append(all, s)
	})
	return all, wrap("sinks", err)
}

// PlaceOf is [outbox.Books]'.
func (p *pool) PlaceOf(ctx context.Context, id string) (at outbox.Position, found bool, err error) {
	n, found, err := queryOne(ctx, p, selectPlace, []any{writeText(id)}, (*row).int)
	return outbox.Position(n), found, wrap("the place of an event", err)
}

// disorder is how much earlier than one before it an event may have been decided: as long as
// its commit took, and as the clocks of two processes are apart from the store's.
const disorder = commitTimeout + 2*engine.MaxApart

// PlaceAt is [outbox.Books]': it is found by halving.
func (p *pool) PlaceAt(ctx context.Context, t time.Time) (outbox.Position, error) {
	last, _, err := queryOne(ctx, p, "SELECT coalesce(max(seq), 0) FROM events", nil, (*row).int)
	if err != nil {
		return 0, wrap("the place of a time", err)
	}
	low, high := int64(1), last+1
	for until := t.Add(-disorder); low < high; {
		middle := low + (high-low)/2
		at, found, err := queryOne(ctx, p, selectPlaceAt, []any{middle}, (*row).time)
		if err != nil {
			return 0, wrap("the place of a time", err)
		}
		if found && at.Before(until) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return outbox.Position(low - 1), nil
}

// EventsSince returns the events of a tenant that a filter leaves, in the order of commits,
// and where to go on. An empty cursor is the end of what is known now. It fails with
// ErrBadCursor.
func (s *Store) EventsSince(ctx context.Context, tenant string, f engine.EventFilter, cursor string, limit int) (l engine.List[outbox.Event], err error) {
	name, last := paging.List{"events since", tenant, f.Subject, f.Type}, int64(endOfTime)
	if cursor != "" {
		place, err := s.cursors.Read(name, cursor)
		if err == nil {
			last, err = paging.ReadNumber(place)
		}
		if err != nil {
			return l, listError(name, err)
		}
	}
	safe, _, err := s.horizon.look(ctx, s, endOfTime)
	if err != nil {
		return l, listError(name, err)
	}
	last = min(last, safe)
	upTo := min(safe, last+scanLimit) // it passes over the events of others
	next := upTo
	args := []any{last, upTo, limit, writeText(tenant), writeText(f.Subject), writeText(f.Type)}
	err = s.fenced(ctx, selectEventsSince, args, func(r *row) {
		e := r.placed()
		if l.Items = append(l.Items, e.Event); len(l.Items) == limit {
			next = int64(e.Position)
		}
	})
	l.Next = s.cursors.Write(name, paging.Number(next))
	if err != nil {
		return engine.List[outbox.Event]{}, listError(name, err)
	}
	return l, nil
}
