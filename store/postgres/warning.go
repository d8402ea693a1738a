package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// errNotReplicated means that the server made a commit and did not wait for its standby
// to have it: somebody cancelled that, or is shutting the server down. It answers as if all
// were well, and says so in a WARNING only.
var errNotReplicated = errors.New("the server did not wait for its standby")

const warned = "oncepay: warned"

// noteWarning notes that a connection was warned. What a commit does warns of nothing
// else, and the text of the warning is in the server's language: any will do.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warned] = true
	}
}

// forgetWarnings is called before what is to be warned of.
func forgetWarnings(c *pgconn.PgConn) { delete(c.CustomData(), warned) }

// replicated says whether what was committed since then was waited for.
func replicated(c *pgconn.PgConn) error {
	if c.CustomData()[warned] == nil {
		return nil
	}
	return errNotReplicated
}
