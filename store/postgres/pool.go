package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
)

// pool is connections that read for requests, each read as of its own moment. Its methods
// are safe for concurrent use.
type pool struct {
	db      *pgxpool.Pool
	cursors paging.Cursors
}

// openPool connects. That the store is one this program can read is seen to elsewhere.
func openPool(ctx context.Context, url string) (*pool, error) {
	most := int32(readConns)
	if cfg, err := pgxpool.ParseConfig(url); err == nil && namesPool(url) {
		most = cfg.MaxConns
	}
	db, err := connect(ctx, url, most)
	if err != nil {
		return nil, err
	}
	return &pool{db: db}, nil
}

// recall reads the store's secret, which cursors are made with, too.
func (p *pool) recall(ctx context.Context) (secret []byte, err error) {
	if err := p.db.QueryRow(ctx, "SELECT bytes FROM meta WHERE name = 'secret'").Scan(&secret); err != nil {
		return nil, hide(err)
	}
	if len(secret) != 32 {
		return nil, fmt.Errorf("%w: it has no secret", ErrForeign)
	}
	p.cursors = paging.New(secret)
	return secret, nil
}

// query reads the rows of one query.
func (p *pool) query(ctx context.Context, sql string, args []any, each func(*row)) error {
	var b pgx.Batch
	b.Queue(begin)
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return eachRow(rows, each) })
	err := p.db.SendBatch(ctx, &b).Close()
	if err != nil && err.Error() == "closed pool" {
		return ErrClosed
	}
	return err
}

// queryOne reads the row of a query that has one at most.
func queryOne[T any](ctx context.Context, p *pool, sql string, args []any, read func(*row) T) (item T, found bool, err error) {
	err = p.query(ctx, sql, args, func(r *row) { item, found = read(r), true })
	return item, found, err
}

// found is a row and where the list goes on after it.
type found[T any] struct {
	item  T
	at    time.Time // when it was made
	after string
}

// scanLimit is how many rows a page passes over that its bounds or its filter leave out. It
// ends there then, with a cursor to go on from: a page may be short, or even empty, without
// being the last.
const scanLimit = 5000

// ask is a page of a list that is asked for. match narrows the rows further. read reads up
// to so many rows, newest first, from a place on, "" at first.
type asked[T any] struct {
	list  paging.List
	page  engine.Page
	match func(T) bool
	read  func(ctx context.Context, place string, n int) ([]found[T], error)
}

// readPage reads one page.
func readPage[T any](ctx context.Context, p *pool, a asked[T]) (l engine.List[T], err error) {
	place := ""
	if a.page.Cursor != "" {
		if place, err = p.cursors.Read(a.list, a.page.Cursor); err != nil {
			return l, listError(a.list, err)
		}
	}
	items, next, err := a.collect(ctx, place)
	if err != nil {
		return l, listError(a.list, err)
	}
	l.Items = items
	if next != "" {
		l.Next = p.cursors.Write(a.list, next)
	}
	return l, nil
}

func listError(l paging.List, err error) error {
	return fmt.Errorf("postgres: list %s: %w", l[0], hide(err))
}

// collect takes rows until the page is full, and says where the next one begins, "" if this
// is the last. It reads as many rows as the page has, and more at a time as it passes over some.
func (a asked[T]) collect(ctx context.Context, place string) (items []T, next string, err error) {
	limit, left := min(max(a.page.Limit, 1), 100), scanLimit
	for n := limit + 1; ; n = min(4*n, 1000) {
		rows, err := a.read(ctx, place, n)
		if err != nil {
			return nil, "", err
		}
		for _, r := range rows {
			switch {
			case left == 0, len(items) == limit && a.wants(r):
				return items, place, nil
			case a.wants(r):
				items = append(items, r.item)
			default:
				left--
			}
			place = r.after
		}
		if len(rows) < n {
			return items, "", nil
		}
	}
}

func (a asked[T]) wants(r found[T]) bool {
	p := a.page
	return (p.After.IsZero() || r.at.After(p.After)) && (p.Before.IsZero() || r.at.Before(p.Before)) &&
		(a.match == nil || a.match(r.item))
}

// upTo is a bound of times as it is kept; no bound is the end of time.
func upTo(t time.Time) int64 {
	if t.IsZero() {
		return endOfTime
	}
	return micros(t)
}

var errMissing = errors.New("what a row names is not there; run an audit")
