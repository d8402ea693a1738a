package postgres

import (
	"cmp"

	"github.com/oncepay/oncepay/once"
)

var (
	fenceKeys  = keysTable.fence()
	updateKeys = keysTable.update()
	insertKeys = keysTable.insert()
)

const (
	enterDay = "SELECT enter_day($1)"

	// Each key that was made is there once, whatever day it is of, and none of them was
	// there before and is over.
	fenceMade = `SELECT fence((SELECT count(*) FROM unnest($1::text[], $2::text[]) r(tenant, key)
			JOIN keys k ON k.tenant = r.tenant AND k.key = r.key), $3),
		fence((SELECT count(*) FROM unnest($1::text[], $2::text[]) r(tenant, key)
			JOIN closed_keys k ON k.tenant = r.tenant AND k.key = r.key), 0),
		fence((SELECT count(*) FROM unnest($1::text[], $2::text[]) r(tenant, key)
			JOIN tombstones k ON k.tenant = r.tenant AND k.key = r.key WHERE ` + tombValid + `), 0)`
)

func (w *writing) sortedKeys() (made, changed []*once.Record) {
	all := make([]*once.Record, len(w.changes.Keys))
	for i := range w.changes.Keys {
		all[i] = &w.changes.Keys[i]
	}
	return sorted(all, func(r *once.Record) bool { return r.Version == 1 }, func(a, b *once.Record) int {
		return cmp.Or(cmp.Compare(a.Key.Tenant, b.Key.Tenant), cmp.Compare(a.Key.ID, b.Key.ID))
	})
}

const microsPerDay int64 = 24 * 60 * 60 * 1e6

// enterDay keeps others from making the same keys on another day meanwhile: on this one
// an index does. Keys of several days, which an executor never makes at once, are made alone.
func (w *writing) enterDay() {
	made, _ := w.sortedKeys()
	if len(made) == 0 {
		return
	}
	day := new(micros(made[0].CreatedAt) / microsPerDay)
	for _, r := range made {
		if day != nil && micros(r.CreatedAt)/microsPerDay != *day {
			day = nil
		}
	}
	w.batch.Queue(enterDay, day)
}

func keyRows(records []*once.Record) (*columns, error) {
	var c columns
	for _, r := range records {
		c.next().text(r.Key.Tenant).text(r.Key.ID).bytes(writeFingerprint(r.Fingerprint)).int(int64(r.State)).text(r.Operation).textOrNull(r.Resource).
			int(r.Attempt).timeOrNull(r.LeaseUntil).time(r.CreatedAt).time(r.ExpiresAt).int(r.Replays).int(r.Version)
		if r.State != once.Done {
			c.intOrNull(0, true).textOrNull("").bytes(nil)
			continue
		}
		header, err := writeHeader(r.Answer.Header)
		if err != nil {
			return nil, err
		}
		c.intOrNull(int64(r.Answer.Status), false).textOrNull(header).bytes(r.Answer.Body)
	}
	return &c, nil
}

// fenceKeys locks the keys that change. That their answers can be written is seen to
// later.
func (w *writing) fenceKeys() {
	_, changed := w.sortedKeys()
	if c, err := keyRows(changed); err == nil {
		w.put(fenceKeys, c, c.rows)
	}
}

func (w *writing) writeKeys() error {
	made, changed := w.sortedKeys()
	c, err := keyRows(changed)
	if err != nil {
		return err
	}
	w.put(updateKeys, c)
	if c, err = keyRows(made); err != nil {
		return err
	}
	if c.rows > 0 {
		w.put(insertKeys, c)
		w.batch.Queue(fenceMade, c.arrays[0], c.arrays[1], c.rows)
	}
	return nil
}
