package sandbox

import (
	"bytes"
	"database/sql"
	"time"
)

// An operation is what the gateway remembers of an id.
type operation struct {
	id            string
	sends, checks int
	fingerprint   []byte
	execution     int64 // that a repeat is answered with; 0: none
	remembered    int64 // since when, in microseconds
}

// countSend counts a send on the wire, and returns what is known of its
// operation.
func (t *tx) countSend(id string) (*operation, error) {
	return t.count(id, `INSERT INTO operations (id, sends, checks) VALUES (?, 1, 0) ON CONFLICT DO UPDATE SET sends = sends + 1`)
}

// countCheck counts a check on the wire.
func (t *tx) countCheck(id string) (*operation, error) {
	return t.count(id, `INSERT INTO operations (id, sends, checks) VALUES (?, 0, 1) ON CONFLICT DO UPDATE SET checks = checks + 1`)
}

func (t *tx) count(id, upsert string) (*operation, error) {
	o := &operation{id: id}
	var execution, remembered sql.NullInt64
	err := t.row(upsert+` RETURNING sends, checks, fingerprint, execution, remembered`, []any{id},
		&o.sends, &o.checks, &o.fingerprint, &execution, &remembered)
	o.execution, o.remembered = execution.Int64, remembered.Int64
	return o, err
}

// recall reads what is known of an operation that was counted before.
func (t *tx) recall(id string) (*operation, error) {
	o := &operation{id: id}
	var execution, remembered sql.NullInt64
	err := t.row(`SELECT sends, checks, fingerprint, execution, remembered FROM operations WHERE id = ?`, []any{id},
		&o.sends, &o.checks, &o.fingerprint, &execution, &remembered)
	o.execution, o.remembered = execution.Int64, remembered.Int64
	return o, err
}

// remember keeps which execution a repeat is answered with, from now on for the
// window.
func (t *tx) remember(in *instruction, e *execution) error {
	return t.exec(`UPDATE operations SET fingerprint = ?, execution = ?, remembered = ? WHERE id = ?`,
		in.fingerprint[:], e.num, e.at.UnixMicro(), in.operation)
}

// remembers says whether a send at now is a repeat. After the window it is not:
// that is what the window means. Without a window it never is, whatever the
// clock does.
func (o *operation) remembers(now time.Time, window time.Duration) bool {
	return o.execution != 0 && window > 0 && now.Sub(time.UnixMicro(o.remembered)) < window
}

// matches says whether a send is the same as the one that is remembered.
func (o *operation) matches(in *instruction) bool {
	return bytes.Equal(o.fingerprint, in.fingerprint[:])
}

// optionsOf returns the options that the charge of an instruction was made with.
func (t *tx) optionsOf(in *instruction) (map[string]string, error) {
	if in.target == "" && in.targetOperation == "" {
		return nil, nil
	}
	all, r, err := t.chargesOf(in)
	if err != nil || r != nil { // what is against it is said when it is executed
		return nil, err
	}
	return all[0].asked.Options, nil
}
