package postgres

import (
	"cmp"

	"github.com/oncepay/oncepay/once"
)

var (
	changeKeys = keysTable.change()
	insertKeys = keysTable.insert()
)

const enterDay = "SELECT enter_day($1)"

// fenceMade ends a transaction that has made keys which were there before, or are over. Of
// those that were made on one day an index sees to that they are there once, so they are
// looked for on the others, which this day's do not pass: none of them is there.
var fenceMade = "SELECT fence((SELECT count(*) FROM " + lookup(keyArrays, "1", "keys k", ofKey+" AND (k.created_at < $3 OR k.created_at >= $4)") + "), $5)," +
	" fence((SELECT count(*) FROM " + lookup(keyArrays, "1", "closed_keys k", ofKey) + "), 0)," +
	" fence((SELECT count(*) FROM " + lookup(keyArrays, "1", "tombstones k", ofKey+" AND "+tombValid) + "), 0)"

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
	if made, _ := w.sortedKeys(); len(made) > 0 {
		w.batch.Queue(enterDay, dayOf(made))
	}
}

// dayOf is the day on which keys are made, nil if there are several.
func dayOf(made []*once.Record) *int64 {
	day := micros(made[0].CreatedAt) / microsPerDay
	for _, r := range made {
		if micros(r.CreatedAt)/microsPerDay != day {
			return nil
		}
	}
	return &day
}

// elsewhere are the bounds of the day on which keys are made, and how many of them are
// found out of those: none, or each where they are of several days, since there are no bounds then.
func elsewhere(made []*once.Record) []any {
	if day := dayOf(made); day != nil {
		return []any{*day * microsPerDay, (*day + 1) * microsPerDay, 0}
	}
	return []any{0, 0, len(made)}
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

func (w *writing) changeKeys() error {
	_, changed := w.sortedKeys()
	c, err := keyRows(changed)
	if err == nil {
		w.put(changeKeys, c, c.rows)
	}
	return err
}

func (w *writing) insertKeys() error {
	made, _ := w.sortedKeys()
	c, err := keyRows(made)
	if err == nil && c.rows > 0 {
		w.put(insertKeys, c)
		w.batch.Queue(fenceMade, append([]any{c.arrays[0], c.arrays[1]}, elsewhere(made)...)...)
	}
	return err
}
