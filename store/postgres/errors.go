package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/oncepay/oncepay/engine"
)

// ServerError is what a server said, without what it was asked: its messages can have
// values of rows in them.
type ServerError struct {
	Code    string // SQLSTATE
	Fatal   bool   // the session has ended
	Message string // where it cannot have values
}

func (e *ServerError) Error() string {
	if e.Message == "" {
		return "the server refused with SQLSTATE " + e.Code
	}
	return fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code)
}

// SQLSTATEs that mean something here.
const (
	codeFence     = "OP001" // of our function fence
	codeEpoch     = "OP002" // of fence_epoch
	codePast      = "OP003" // of fence_past
	codeLost      = "OP004" // of fence_epoch
	codeUnique    = "23505"
	codeSerialize = "40001" // a row has moved to the table of another day
	codeDeadlock  = "40P01"
	codeLock      = "55P03" // another has a lock for longer than is waited

	codeDenied     = "42501"
	codeNoFunction = "42883"
)

// hide leaves of an error what may be shown: no SQL, no values, no password.
func hide(err error) error {
	var p *pgconn.PgError
	var c *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return &ServerError{Code: p.Code, Fatal: p.SeverityUnlocalized != "ERROR", Message: harmless(p)}
	case errors.As(err, &c):
		return &connectError{host: fmt.Sprintf("%s:%d", c.Config.Host, c.Config.Port), err: err}
	}
	return err
}

// harmless is a message of the classes that tell of the server, not of rows.
func harmless(p *pgconn.PgError) string {
	switch p.Code[:min(2, len(p.Code))] {
	case "08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX":
		return p.Message
	case "42":
		return "the schema is not as it should be, or may not be used"
	}
	return ""
}

// connectError is a server that could not be reached.
type connectError struct {
	host string
	err  error
}

func (e *connectError) Error() string {
	if errors.Is(e.err, pgconn.ErrReadOnlyConnection) {
		return "the server " + e.host + " takes no writes: it is a standby, or default_transaction_read_only is on for this user or database"
	}
	return "the server " + e.host + " cannot be reached" + e.why()
}

func (e *connectError) why() string {
	var p *pgconn.PgError
	switch {
	case errors.As(e.err, &p):
		return ": " + p.Message
	case errors.Is(e.err, context.DeadlineExceeded):
		return " in time"
	}
	return ""
}

func (e *connectError) Unwrap() error { return e.err }

func hasCode(err error, codes ...string) bool {
	var s *ServerError
	if !errors.As(err, &s) {
		return false
	}
	for _, c := range codes {
		if s.Code == c {
			return true
		}
	}
	return false
}

// judge says what became of a commit that ended with err. An ERROR ends its transaction
// before it was made; whatever else came instead of an answer says nothing of it.
func judge(err error) (judged error, unknown bool) {
	if err == nil {
		return nil, false
	}
	hidden := hide(err)
	var s *ServerError
	var c *connectError
	switch {
	case errors.Is(err, engine.ErrNotCommitted): // found out already
		return err, false
	case hasCode(hidden, codeFence, codeEpoch, codeUnique, codeSerialize, codeDeadlock):
		return engine.ErrConflict, false
	case errors.As(hidden, &c), pgconn.SafeToRetry(err): // nothing was sent
		return fmt.Errorf("%w: postgres: %w", engine.ErrNotCommitted, hidden), false
	case errors.As(hidden, &s) && !s.Fatal:
		return fmt.Errorf("%w: postgres: %w", engine.ErrNotCommitted, hidden), false
	}
	return fmt.Errorf("postgres: the outcome of a commit is not known: %w", hidden), true
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("postgres: read %s: %w", doing, hide(err))
}
