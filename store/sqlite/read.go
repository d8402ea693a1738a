package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
)

// A rows yields the rows of a list, newest first, and false after the last.
type rows[T any] func() (found[T], bool, error)

// found is a row and where the list goes on after it.
type found[T any] struct {
	item  T
	at    time.Time // when it was made
	after string
}

// scanLimit is how many rows a page passes over that its bounds or its filter
// leave out. It ends there then, with a cursor to go on from: a page may be
// short, or even empty, without being the last.
const scanLimit = 5000

// ask is a page of a list that is asked for. match narrows the rows further.
type ask[T any] struct {
	list  paging.List
	page  engine.Page
	match func(T) bool
}

// readPage reads one page. start is told the place to go on from, "" at first.
func readPage[T any](ctx context.Context, p *pool, a ask[T], start func(c *conn, place string) (rows[T], error)) (l engine.List[T], err error) {
	place := ""
	if a.page.Cursor != "" {
		if place, err = p.cursors.Read(a.list, a.page.Cursor); err != nil {
			return l, err
		}
	}
	next := ""
	err = p.read(ctx, func(c *conn) error {
		rows, err := start(c, place)
		if err != nil {
			return err
		}
		l.Items, next, err = a.collect(rows)
		return err
	})
	if err != nil {
		return engine.List[T]{}, fmt.Errorf("sqlite: list %s: %w", a.list[0], err)
	}
	if next != "" {
		l.Next = p.cursors.Write(a.list, next)
	}
	return l, nil
}

// collect takes rows until the page is full, and says where the next one
// begins, "" if this is the last.
func (a ask[T]) collect(next rows[T]) (items []T, place string, err error) {
	limit, left := min(max(a.page.Limit, 1), 100), scanLimit
	for left > 0 {
		row, ok, err := next()
		switch {
		case err != nil || !ok:
			return items, "", err
		case !a.wants(row):
			left--
		case len(items) == limit:
			return items, place, nil
		default:
			items = append(items, row.item)
		}
		place = row.after
	}
	return items, place, nil
}

func (a ask[T]) wants(r found[T]) bool {
	p := a.page
	return (p.After.IsZero() || r.at.After(p.After)) && (p.Before.IsZero() || r.at.Before(p.Before)) &&
		(a.match == nil || a.match(r.item))
}

// Ping says whether the store can be read.
func (p *pool) Ping(ctx context.Context) error {
	return wrap("ping", p.read(ctx, func(c *conn) error {
		_, err := c.snapshotCommit()
		return err
	}))
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlite: read %s: %w", doing, err)
}
