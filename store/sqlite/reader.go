package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Reader reads a store. Make one with [OpenReader], or have it in a [Store]. It
// is safe for concurrent use.
type Reader struct {
	path   string
	name   string // what its connections open
	cache  int    // bytes of each connection
	secret []byte

	idle   chan *conn // nil: not opened yet
	closed chan struct{}
	once   sync.Once
}

// readers is how many reads run at the same time.
const readers = 3

func newReader(name string, cacheBytes int, secret []byte) (*Reader, error) {
	r := &Reader{
		name: name, cache: cacheBytes / readers, secret: secret,
		idle: make(chan *conn, readers), closed: make(chan struct{}),
	}
	for range readers {
		r.idle <- nil
	}
	return r, nil
}

// read runs fn in a read transaction of its own.
func (r *Reader) read(ctx context.Context, fn func(*conn) error) error {
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer func() { r.idle <- c }()
	return inSnapshot(c, fn)
}

// take waits for a connection.
func (r *Reader) take(ctx context.Context) (c *conn, err error) {
	select {
	case <-r.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case c = <-r.idle:
	case <-r.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c == nil {
		if c, err = openBeside(r.name, r.cache); err != nil {
			r.idle <- nil
		}
	}
	return c, err
}

// Close waits for reads to end. Reads that come later fail with ErrClosed.
func (r *Reader) Close() error {
	var errs []error
	r.once.Do(func() {
		close(r.closed)
		for range readers {
			if c := <-r.idle; c != nil {
				errs = append(errs, c.close())
			}
		}
	})
	return errors.Join(errs...)
}

// Ping says whether the store can be read.
func (r *Reader) Ping(ctx context.Context) error {
	err := r.read(ctx, func(c *conn) error {
		q, err := c.stmt("SELECT value FROM meta WHERE name = 'schema_version'")
		if err != nil {
			return err
		}
		_, err = q.exec()
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: ping: %w", err)
	}
	return nil
}

// Account returns an account, nil if there is none.
func (r *Reader) Account(ctx context.Context, ref ledger.Ref) (a *ledger.Account, err error) {
	err = r.read(ctx, func(c *conn) error {
		_, a, err = readAccount(c, ref)
		return err
	})
	return a, wrap("account", err)
}

// Transfer returns a transfer, nil if there is none.
func (r *Reader) Transfer(ctx context.Context, ref ledger.Ref) (t *ledger.Transfer, err error) {
	err = r.read(ctx, func(c *conn) error {
		t, err = loadTransfer(c, ref)
		return err
	})
	return t, wrap("transfer", err)
}

const selectKeyOnly = "SELECT " + keyColumns + `, EXISTS (SELECT 1 FROM answers WHERE key = k.num)
	FROM keys k WHERE k.key = ? AND k.tenant = ?`

// Key returns what is known of a key, without its answer; the zero Record if
// nothing is.
func (r *Reader) Key(ctx context.Context, k once.Key) (rec once.Record, err error) {
	err = r.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectKeyOnly)
		if err != nil {
			return err
		}
		q.text(k.ID).text(k.Tenant)
		if !q.next(&err) {
			return err
		}
		defer q.reset()
		rec, err = q.columnRecord(q.columnInt(11) != 0)
		return err
	})
	return rec, wrap("key", err)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlite: read %s: %w", doing, err)
}
