package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
	"github.com/oncepay/oncepay/outbox"
)

// Events lists the events of a tenant, newest first. It fails with ErrBadCursor.
//
// A page of one type passes over the events of others: after 5,000 of them it
// ends early.
func (p *pool) Events(ctx context.Context, tenant string, f engine.EventFilter, page engine.Page) (engine.List[outbox.Event], error) {
	a := ask[outbox.Event]{
		list: paging.List{"events", tenant, f.Subject, f.Type}, page: page,
		match: func(e outbox.Event) bool { return f.Type == "" || e.Type == f.Type },
	}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[outbox.Event], error) {
		below, err := c.eventsBefore(page.Before)
		if err != nil {
			return nil, err
		}
		if place != "" {
			if below, err = paging.ReadNumber(place); err != nil {
				return nil, err
			}
		}
		return c.events(tenant, f.Subject, below, page.After)
	})
}

const (
	listEvents        = "SELECT " + eventColumns + " FROM events WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC"
	listSubjectEvents = "SELECT " + eventColumns + " FROM events WHERE tenant = ?1 AND subject = ?3 AND seq < ?2 ORDER BY seq DESC"
)

// events yields the events of a tenant, those of one subject if one is named.
func (c *conn) events(tenant, subject string, below int64, after time.Time) (rows[outbox.Event], error) {
	sql := listEvents
	if subject != "" {
		sql = listSubjectEvents
	}
	q, err := c.stmt(sql)
	if err != nil {
		return nil, err
	}
	if q.text(tenant).int(below); subject != "" {
		q.text(subject)
	}
	return until(after, func() (r found[outbox.Event], ok bool, err error) {
		if !q.next(&err) {
			return r, false, err
		}
		r.item = q.columnEvent()
		r.item.Data = q.columnBytes(6)
		r.at, r.after = r.item.At, paging.Number(q.columnInt(0))
		return r, true, nil
	}), nil
}

// eventsBefore is a number that events before a time are below: events are
// numbered in the order of the store's clock, so it is found by halving.
func (c *conn) eventsBefore(t time.Time) (int64, error) {
	if t.IsZero() {
		return noLimit, nil
	}
	last, err := c.integer("SELECT max(seq) FROM events")
	if err != nil {
		return 0, err
	}
	low, high := int64(1), last+1 // below low: before t; from high on: not
	for low < high {
		middle := low + (high-low)/2
		at, err := c.eventTime(middle)
		if err != nil {
			return 0, err
		}
		if at.Before(t) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// eventTime is the time of the first event from a number on.
func (c *conn) eventTime(seq int64) (at time.Time, err error) {
	q, err := c.stmt("SELECT at FROM events WHERE seq >= ? ORDER BY seq LIMIT 1")
	if err != nil {
		return at, err
	}
	q.int(seq)
	if q.next(&err) {
		at = q.columnTime(0)
		q.reset()
	}
	return at, err
}
