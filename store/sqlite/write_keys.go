package sqlite

import "github.com/oncepay/oncepay/once"

const updateKey = `UPDATE keys SET fingerprint = ?3, state = ?4, operation = ?5, resource = ?6, attempt = ?7, lease_until = ?8,
	created_at = ?9, expires_at = ?10, replays = ?11, version = ?12
	WHERE key = ?1 AND tenant = ?2 AND version = ?12 - 1 RETURNING num`

// putKey makes a key or brings it to its next version, with the answer if it is
// answered now.
func (w *writer) putKey(r *once.Record) error {
	num, err := w.putKeyRow(r)
	if err != nil || r.State != once.Done {
		return err
	}
	if w.header, err = writeHeader(w.header[:0], r.Answer.Header); err != nil {
		return err
	}
	_, err = w.insertAnswer.int(num).int(int64(r.Answer.Status)).textBytes(w.header).blob(r.Answer.Body).exec()
	if err != nil {
		return err
	}
	return w.shelve(num, r)
}

// putKeyRow writes the row of a key, and returns its number. An answer that the
// version before had is dropped.
func (w *writer) putKeyRow(r *once.Record) (num int64, err error) {
	if r.Version == 1 {
		w.next.key++
		_, err = w.insertKey.int(w.next.key).record(r).exec()
		return w.next.key, err
	}
	if num, err = w.updateKey.record(r).returned(); err != nil {
		return 0, err
	}
	_, err = w.dropAnswer.int(num).exec()
	return num, err
}

// record binds the row of a key, but for its number.
func (s *stmt) record(r *once.Record) *stmt {
	fp := writeFingerprint(r.Fingerprint)
	return s.text(r.Key.ID).text(r.Key.Tenant).blob(fp[:]).
		int(int64(r.State)).text(r.Operation).textOrNull(r.Resource).int(r.Attempt).
		timeOrNull(r.LeaseUntil).time(r.CreatedAt).time(r.ExpiresAt).int(r.Replays).int(r.Version)
}
