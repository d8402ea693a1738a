package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
)

// shelf is a row of key_shelves: what is known of the keys with its numbers.
type shelf struct {
	number int64
	due    int64 // when the first answer on it is over
	oldest int64 // when the first key on it was made that has an answer, or had one
}

// shelves are rows of key_shelves as they are, each at the place of its number:
// those that are written to at one time, by keys that are new and by keys that
// were claimed before.
type shelves [4]shelf

// noShelves are none that there are.
var noShelves = shelves{{number: -1}, {number: -1}, {number: -1}, {number: -1}}

// shelfLen is how many keys stand on a shelf.
const shelfLen = 1024

const upsertShelf = `INSERT INTO key_shelves VALUES (?1, ?2, ?3) ON CONFLICT (shelf) DO UPDATE
	SET due = min(coalesce(due, ?2), ?2), oldest = min(coalesce(oldest, ?3), ?3)`

// shelve has the shelf of the key that was just answered know of it. Nearly
// always it does: what comes later is over later.
func (w *writer) shelve(num int64, r *once.Record) error {
	at := shelf{number: num / shelfLen, due: micros(r.ExpiresAt), oldest: micros(r.CreatedAt)}
	known := &w.next.shelves[at.number%int64(len(w.next.shelves))]
	if known.number == at.number {
		at.due, at.oldest = min(at.due, known.due), min(at.oldest, known.oldest)
	}
	if at == *known {
		return nil
	}
	*known = at
	_, err := w.putShelf.int(at.number).int(at.due).int(at.oldest).exec()
	return err
}

// Sweep drops answers that are over, keys that are to be forgotten, and old
// notices; see [engine.Upkeep]. One call drops up to 256 rows.
func (s *Store) Sweep(ctx context.Context, now, forget time.Time) (more bool, err error) {
	err = s.upkeep(ctx, func(w *writer) error {
		if err := w.keepSince(forget); err != nil {
			return err
		}
		w.next.shelves = noShelves // rows may change
		if more, err = w.sweepAnswers(now); err != nil || more {
			return err
		}
		if more, err = w.sweepKeys(forget); err != nil || more {
			return err
		}
		more, err = w.sweepNotices(now)
		return err
	})
	return more && err == nil, err
}

const raiseSince = "UPDATE meta SET value = ?1 WHERE name = 'keys_since' AND value < ?1"

// keepSince writes down from when on all keys are known.
func (w *writer) keepSince(forget time.Time) error {
	q, err := w.c.stmt(raiseSince)
	if err != nil {
		return err
	}
	_, err = q.time(forget).exec()
	return err
}

const (
	shelfDue    = "SELECT shelf FROM key_shelves WHERE due <= ? ORDER BY due LIMIT 1"
	shelfOldest = "SELECT shelf FROM key_shelves WHERE oldest < ? ORDER BY oldest LIMIT 1"

	dropAnswers = `DELETE FROM answers WHERE key IN
		(SELECT a.key FROM answers a JOIN keys k ON k.num = a.key WHERE a.key BETWEEN ?1 AND ?2 AND k.expires_at <= ?3 LIMIT ?4)`
	dropKeys = `DELETE FROM keys WHERE num IN
		(SELECT num FROM keys k WHERE num BETWEEN ?1 AND ?2 AND created_at < ?3 AND state IN (2 /* done */, 5 /* tombstone */)
		AND NOT EXISTS (SELECT 1 FROM answers WHERE key = k.num) LIMIT ?4)`

	// What is left on a shelf. Keys that are older than what was to be forgotten
	// and are still there have an answer, or unfinished work: due has the first
	// come back, and the others stay.
	updateShelf = `UPDATE key_shelves SET
		due = (SELECT min(k.expires_at) FROM answers a JOIN keys k ON k.num = a.key WHERE a.key BETWEEN ?1 AND ?2),
		oldest = (SELECT min(created_at) FROM keys WHERE num BETWEEN ?1 AND ?2 AND created_at >= ?4 AND state IN (2 /* done */, 5 /* tombstone */))
		WHERE shelf = ?3`
	dropShelf = "DELETE FROM key_shelves WHERE shelf = ? AND due IS NULL AND oldest IS NULL"
)

func (w *writer) sweepAnswers(now time.Time) (more bool, err error) {
	// Keys without an answer are to be forgotten one day, however old they are.
	return w.sweepShelf(shelfDue, dropAnswers, now, time.Time{})
}

func (w *writer) sweepKeys(forget time.Time) (more bool, err error) {
	return w.sweepShelf(shelfOldest, dropKeys, forget, forget)
}

const dropNotices = `DELETE FROM notices WHERE (tenant, gateway, id) IN
	(SELECT tenant, gateway, id FROM notices WHERE at < ?1 ORDER BY at LIMIT ?2)`

func (w *writer) sweepNotices(now time.Time) (more bool, err error) {
	q, err := w.c.stmt(dropNotices)
	if err != nil {
		return false, err
	}
	dropped, err := q.time(now.Add(-engine.NoticesKept)).int(chunk).exec()
	return dropped == chunk, err
}

// sweepShelf drops rows of the first shelf that a time concerns, and writes what
// is left on it. It says whether there was such a shelf.
func (w *writer) sweepShelf(find, drop string, at, kept time.Time) (found bool, err error) {
	number, found, err := w.findShelf(find, at)
	if err != nil || !found {
		return false, err
	}
	first, last := number*shelfLen, number*shelfLen+shelfLen-1
	q, err := w.c.stmt(drop)
	if err != nil {
		return false, err
	}
	dropped, err := q.int(first).int(last).time(at).int(chunk).exec()
	if err != nil {
		return false, err
	}
	if dropped == chunk { // there may be more: the shelf is found again
		return true, nil
	}
	return true, w.setShelf(number, first, last, kept)
}

func (w *writer) findShelf(sql string, at time.Time) (number int64, found bool, err error) {
	q, err := w.c.stmt(sql)
	if err != nil {
		return 0, false, err
	}
	q.time(at)
	if !q.next(&err) {
		return 0, false, err
	}
	defer q.reset()
	return q.columnInt(0), true, nil
}

func (w *writer) setShelf(number, first, last int64, kept time.Time) error {
	q, err := w.c.stmt(updateShelf)
	if err != nil {
		return err
	}
	if _, err := q.int(first).int(last).int(number).time(kept).exec(); err != nil {
		return err
	}
	if q, err = w.c.stmt(dropShelf); err != nil {
		return err
	}
	_, err = q.int(number).exec()
	return err
}
