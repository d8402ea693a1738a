package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/outbox"
)

var (
	_ outbox.Store = (*Store)(nil)
	_ outbox.Books = (*Store)(nil)
)

// holders are who relays to which sink. One process owns the file, so they are all in it:
// one that is gone has left nothing behind.
type holders struct {
	mu   sync.Mutex
	held map[string]holding // by sink
}

type holding struct {
	holder string
	fence  int64
	until  time.Time
}

const (
	selectEventsAfter = "SELECT " + eventColumns + " FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
	selectSink        = "SELECT position, fence FROM sinks WHERE name = ?"
	selectSinks       = `SELECT s.name, s.position, (SELECT coalesce(max(seq), 0) FROM events),
		(SELECT e.at FROM events e WHERE e.seq > s.position ORDER BY e.seq LIMIT 1) FROM sinks s ORDER BY s.name`
	upsertSink = `INSERT INTO sinks VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (name) DO UPDATE SET position = ?2, fence = ?3, moved_at = ?4`
	selectPlace = "SELECT seq FROM events WHERE id = ?"
)

// EventsAfter is [outbox.Store]'s. There is one writer, which numbers events as it commits.
func (p *pool) EventsAfter(ctx context.Context, after outbox.Position, limit int) (events []outbox.Placed, more bool, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectEventsAfter)
		if err != nil {
			return err
		}
		q.int(int64(after)).int(int64(limit) + 1)
		for q.next(&err) {
			if len(events) == limit {
				more = true
				q.reset()
				break
			}
			e := q.columnEvent()
			e.Data = q.columnBytes(6)
			events = append(events, outbox.Placed{Event: e, Position: outbox.Position(q.columnInt(0))})
		}
		return err
	})
	return events, more, wrap("events", err)
}

// TakeSink is [outbox.Store]'s.
func (s *Store) TakeSink(ctx context.Context, sink, holder string, lease time.Duration) (outbox.Cursor, error) {
	s.holders.mu.Lock()
	defer s.holders.mu.Unlock()
	c, _, err := s.sink(ctx, sink)
	if err != nil {
		return c, err
	}
	now := time.Now()
	switch h, held := s.holders.held[sink]; {
	case held && h.holder == holder && h.fence == c.Fence:
	case held && now.Before(h.until):
		return outbox.Cursor{}, outbox.ErrHeld
	default:
		c.Fence++
		if err := s.writeSink(c); err != nil {
			return outbox.Cursor{}, err
		}
	}
	s.holders.held[sink] = holding{holder, c.Fence, now.Add(lease)}
	return c, nil
}

// KeepSink is [outbox.Store]'s.
func (s *Store) KeepSink(_ context.Context, c outbox.Cursor, lease time.Duration) error {
	s.holders.mu.Lock()
	defer s.holders.mu.Unlock()
	h, held := s.holders.held[c.Sink]
	if !held || h.fence != c.Fence {
		return outbox.ErrLost
	}
	if err := s.writeSink(c); err != nil {
		return err
	}
	if h.until = time.Now().Add(lease); lease == 0 {
		delete(s.holders.held, c.Sink)
		return nil
	}
	s.holders.held[c.Sink] = h
	return nil
}

// MoveSink is [outbox.Books]'.
func (s *Store) MoveSink(ctx context.Context, sink string, to outbox.Position) error {
	s.holders.mu.Lock()
	defer s.holders.mu.Unlock()
	c, found, err := s.sink(ctx, sink)
	switch {
	case err != nil:
		return err
	case !found:
		return outbox.ErrNoSink
	}
	c.Position = to
	c.Fence++
	delete(s.holders.held, sink)
	return s.writeSink(c)
}

// sink reads a cursor: what was written last, since nobody else writes it.
func (s *Store) sink(ctx context.Context, sink string) (c outbox.Cursor, found bool, err error) {
	c.Sink = sink
	err = s.read(ctx, func(r *conn) error {
		q, err := r.stmt(selectSink)
		if err != nil {
			return err
		}
		for q.text(sink); q.next(&err); {
			c.Position, c.Fence, found = outbox.Position(q.columnInt(0)), q.columnInt(1), true
		}
		return err
	})
	return c, found, wrap("a sink", err)
}

// writeSink writes a cursor in a commit of its own. s.holders.mu is held.
func (s *Store) writeSink(c outbox.Cursor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(func(w *writer) error {
		q, err := w.c.stmt(upsertSink)
		if err != nil {
			return err
		}
		_, err = q.text(c.Sink).int(int64(c.Position)).int(c.Fence).time(time.Now()).exec()
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: write how far a sink has come: %w", err)
	}
	return nil
}

// Sinks is [outbox.Books]'. Who relays to them is known to the owner alone.
func (p *pool) Sinks(ctx context.Context) (all []outbox.State, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectSinks)
		if err != nil {
			return err
		}
		for q.next(&err) {
			s := outbox.State{Sink: q.columnText(0), Position: outbox.Position(q.columnInt(1)), OldestAt: q.columnTime(3)}
			s.Lag = max(0, q.columnInt(2)-int64(s.Position))
			all = append(all, s)
		}
		return err
	})
	return all, wrap("sinks", err)
}

// PlaceOf is [outbox.Books]'.
func (p *pool) PlaceOf(ctx context.Context, id string) (at outbox.Position, found bool, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectPlace)
		if err != nil {
			return err
		}
		for q.text(id); q.next(&err); {
			at, found = outbox.Position(q.columnInt(0)), true
		}
		return err
	})
	return at, found, wrap("the place of an event", err)
}

// PlaceAt is [outbox.Books]'.
func (p *pool) PlaceAt(ctx context.Context, t time.Time) (at outbox.Position, err error) {
	err = p.read(ctx, func(c *conn) error {
		below, err := c.eventsBefore(t)
		at = outbox.Position(max(0, below-1))
		return err
	})
	return at, wrap("the place of a time", err)
}

// EventsSince returns the events of a tenant that a filter leaves, in the order of commits,
// and where to go on. An empty cursor is the end of what there is now. It fails with
// ErrBadCursor.
func (p *pool) EventsSince(ctx context.Context, tenant string, f engine.EventFilter, cursor string, limit int) (l engine.List[outbox.Event], err error) {
	name := paging.List{"events since", tenant, f.Subject, f.Type}
	err = p.read(ctx, func(c *conn) error {
		last, err := c.integer("SELECT max(seq) FROM events")
		if err != nil {
			return err
		}
		if cursor != "" {
			place, err := p.cursors.Read(name, cursor)
			if err != nil {
				return err
			}
			if last, err = paging.ReadNumber(place); err != nil {
				return err
			}
			if l.Items, last, err = c.eventsSince(tenant, f, last, limit); err != nil {
				return err
			}
		}
		l.Next = p.cursors.Write(name, paging.Number(last))
		return nil
	})
	return l, wrap("what happened since", err)
}

// eventsSince passes over the events of others, scanLimit of all at most. It says how far
// it has come.
func (c *conn) eventsSince(tenant string, f engine.EventFilter, last int64, limit int) (found []outbox.Event, _ int64, err error) {
	q, err := c.stmt(selectEventsAfter)
	if err != nil {
		return nil, 0, err
	}
	for q.int(last).int(scanLimit); q.next(&err); {
		if len(found) == limit {
			q.reset()
			break
		}
		last = q.columnInt(0)
		if e := q.columnEvent(); e.Tenant == tenant && f.Match(e) {
			e.Data = q.columnBytes(6)
			found = append(found, e)
		}
	}
	return found, last, err
}
