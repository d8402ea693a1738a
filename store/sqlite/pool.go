package sqlite

import (
	"context"
	"errors"
	"sync"

	"github.com/oncepay/oncepay/internal/paging"
)

// pool is connections that read, each read as of the last commit before it
// began. Its methods are safe for concurrent use.
type pool struct {
	path    string
	cache   int // bytes of each connection
	cursors paging.Cursors

	idle   chan *conn // nil: not opened yet
	closed chan struct{}
	once   sync.Once
}

// readers is how many reads run at the same time. There is no use in more than
// processors, and each has a cache of its own.
const readers = 3

func newPool(path string, cacheBytes int, secret []byte) *pool {
	r := &pool{
		path: path, cache: cacheBytes / readers, cursors: paging.New(secret),
		idle: make(chan *conn, readers), closed: make(chan struct{}),
	}
	for range readers {
		r.idle <- nil
	}
	return r
}

// read runs fn in a read transaction of its own.
func (r *pool) read(ctx context.Context, fn func(*conn) error) error {
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer func() { r.idle <- unlessStuck(c) }()
	return inSnapshot(c, fn)
}

// unlessStuck closes a connection whose transaction could not be ended: it would
// read that moment for ever. Another one is opened for it.
func unlessStuck(c *conn) *conn {
	if !c.inTransaction() {
		return c
	}
	c.close() // whatever it says, it is not used again
	return nil
}

// take waits for a connection.
func (r *pool) take(ctx context.Context) (c *conn, err error) {
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
		if c, err = openBeside(r.path, r.cache); err != nil {
			r.idle <- nil
		}
	}
	return c, err
}

// close waits for reads to end. Those that come later fail with ErrClosed.
func (r *pool) close() error {
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
