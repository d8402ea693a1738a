package sandbox

import (
	"context"
	"database/sql"
	"errors"

	"github.com/oncepay/oncepay/internal/id"
)

// A tx reads and writes the books within the writer's transaction. Its
// statements are prepared once. Only the writer's goroutine uses it.
type tx struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	ids      *id.Source
	news     bool // this transaction has webhooks to deliver
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s, ok := t.prepared[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.prepared[query] = s
	}
	return s, err
}

func (t *tx) exec(query string, args ...any) error {
	s, err := t.stmt(query)
	if err == nil {
		_, err = s.ExecContext(context.Background(), args...)
	}
	return err
}

// row reads one row. It fails with sql.ErrNoRows if there is none.
func (t *tx) row(query string, args []any, to ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(to...)
}

func (t *tx) close() error {
	var errs []error
	for _, s := range t.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
