package sqlkeys

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/oncepay/oncepay/once"
)

// columns are those of once_keys, in the order of values and scan.
var columns = []string{
	"tenant", "id", "version", "state", "operation", "resource", "attempt", "owner", "lease_until", "created_at", "expires_at", "forget_at",
	"scheme", "fingerprint", "progress", "note", "replays", "status", "header", "body", "dropped", "seal",
}

var (
	all    = strings.Join(columns, ", ")
	insert = "INSERT INTO once_keys (" + all + ") VALUES (" + numbered(len(columns)) + ") ON CONFLICT (tenant, id) DO NOTHING"
	update = "UPDATE once_keys SET " + assigned() + fmt.Sprintf(" WHERE tenant = ?1 AND id = ?2 AND version = ?%d", len(columns)+1)

	selectOne        = "SELECT " + all + " FROM once_keys WHERE tenant = ? AND id = ?"
	selectUnfinished = "SELECT " + all + ` FROM once_keys
		WHERE state IN (1, 4) AND (tenant > ? OR tenant = ? AND id > ? OR NOT ?) ORDER BY tenant, id LIMIT ?`
)

const (
	bury = `UPDATE once_keys SET state = 5, header = NULL, body = NULL WHERE rowid IN
		(SELECT rowid FROM once_keys WHERE state = 2 AND expires_at <= ? ORDER BY expires_at LIMIT ?)`
	forget = `DELETE FROM once_keys WHERE rowid IN
		(SELECT rowid FROM once_keys WHERE state IN (2, 3, 5) AND forget_at <= ? AND coalesce(expires_at, 0) <= ? ORDER BY forget_at LIMIT ?)`
)

// numbered is "?1, ?2, …".
func numbered(n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = fmt.Sprintf("?%d", i+1)
	}
	return strings.Join(marks, ", ")
}

// assigned is "version = ?3, …": all columns but the key.
func assigned() string {
	var sets []string
	for i, c := range columns[2:] {
		sets = append(sets, fmt.Sprintf("%s = ?%d", c, i+3))
	}
	return strings.Join(sets, ", ")
}

// values are a record's, in the order of columns.
func values(r *once.Record, header string) []any {
	return []any{
		r.Key.Tenant, r.Key.ID, r.Version, int64(r.State), r.Operation, r.Resource, r.Attempt, r.Owner,
		micros(r.LeaseUntil), micros(r.CreatedAt), micros(r.ExpiresAt), micros(r.ForgetAt),
		int64(r.Fingerprint.Scheme), r.Fingerprint.Sum[:], r.Progress, r.Note, r.Replays,
		int64(r.Answer.Status), header, r.Answer.Body, r.Answer.Dropped, r.Answer.Seal,
	}
}

// scan reads a row.
func scan(row interface{ Scan(...any) error }) (r once.Record, err error) {
	var (
		state, scheme, status           int64
		lease, created, expires, forget sql.NullInt64
		sum                             []byte
		header                          sql.NullString
	)
	if err := row.Scan(
		&r.Key.Tenant, &r.Key.ID, &r.Version, &state, &r.Operation, &r.Resource, &r.Attempt, &r.Owner, &lease, &created, &expires, &forget,
		&scheme, &sum, &r.Progress, &r.Note, &r.Replays, &status, &header, &r.Answer.Body, &r.Answer.Dropped, &r.Answer.Seal,
	); err != nil {
		return once.Record{}, err
	}
	if header.Valid {
		if err := json.Unmarshal([]byte(header.String), &r.Answer.Header); err != nil {
			return once.Record{}, fmt.Errorf("the header lines of %s: %w", r.Key.ID, err)
		}
	}
	if n := copy(r.Fingerprint.Sum[:], sum); n != len(r.Fingerprint.Sum) || len(sum) != n {
		return once.Record{}, fmt.Errorf("the fingerprint of %s has %d bytes", r.Key.ID, len(sum))
	}
	r.State, r.Fingerprint.Scheme, r.Answer.Status = once.State(state), once.Scheme(scheme), int(status)
	r.LeaseUntil, r.CreatedAt, r.ExpiresAt, r.ForgetAt = at(lease), at(created), at(expires), at(forget)
	return r, nil
}

func micros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func at(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}
