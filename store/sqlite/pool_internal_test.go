package sqlite

import (
	"context"
	"testing"
)

// A connection whose transaction cannot be ended is replaced: it would read the
// same moment for ever, and keep the log from beginning anew.
func TestConnectionsThatAreStuckAreReplaced(t *testing.T) {
	s, _ := stoppable(t)
	stick := func(c *conn) error {
		for _, end := range []string{"COMMIT", "ROLLBACK"} {
			q, err := c.prepare("SELECT abs(-9223372036854775808)")
			if err != nil {
				return err
			}
			if before := c.all[end]; before != nil {
				before.finalize()
			}
			c.all[end] = q
		}
		_, err := c.snapshotCommit()
		return err
	}
	for name, read := range map[string]func(context.Context, func(*conn) error) error{"reader": s.pool.read, "loader": s.snapshot} {
		for range readers {
			if err := read(t.Context(), stick); err == nil {
				t.Errorf("%s: a transaction that cannot be ended is no error", name)
			}
		}
		for range readers {
			if err := read(t.Context(), func(*conn) error { return nil }); err != nil {
				t.Errorf("%s: the next read: %v", name, err)
			}
		}
	}
}

func TestReadThatPanicsIsEnded(t *testing.T) {
	s, _ := stoppable(t)
	for name, read := range map[string]func(context.Context, func(*conn) error) error{"reader": s.pool.read, "loader": s.snapshot} {
		var used *conn
		func() {
			defer func() { recover() }()
			read(t.Context(), func(c *conn) error { used = c; panic("a defect") })
		}()
		if used.tls == nil || used.inTransaction() {
			t.Errorf("%s: the connection is left in a transaction, or closed", name)
		}
		if err := read(t.Context(), func(*conn) error { return nil }); err != nil {
			t.Errorf("%s: the next read: %v", name, err)
		}
	}
}
