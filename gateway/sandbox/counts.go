package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
)

// Counts is what came on the wire for an operation, and how many times it was
// executed.
type Counts struct {
	Operation  string `json:"operation"`
	Sends      int    `json:"sends"`
	Checks     int    `json:"checks"`
	Executions int    `json:"executions"`
}

// Counts reads what is in the books about an operation, lost and refused sends
// included. Of an id that never came it is zero.
func (s *Server) Counts(ctx context.Context, operation string) (Counts, error) {
	c := Counts{Operation: operation}
	err := s.books.read.QueryRowContext(ctx,
		`SELECT sends, checks, (SELECT count(*) FROM executions WHERE operation = id) FROM operations WHERE id = ?`, operation,
	).Scan(&c.Sends, &c.Checks, &c.Executions)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}

// Sends is how many sends came for an operation; -1 if the books cannot be read,
// which no test expects.
func (s *Server) Sends(operation string) int {
	c, err := s.Counts(context.Background(), operation)
	if err != nil {
		return -1
	}
	return c.Sends
}

// Checks is how many checks came for an operation; -1 as for [Server.Sends].
func (s *Server) Checks(operation string) int {
	c, err := s.Counts(context.Background(), operation)
	if err != nil {
		return -1
	}
	return c.Checks
}

// showCounts is GET /sandbox/operations/{id}.
func (s *Server) showCounts(w http.ResponseWriter, r *http.Request) {
	c, err := s.Counts(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, c)
}
