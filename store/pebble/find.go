package pebble

import (
	"errors"
	"fmt"

	lib "github.com/cockroachdb/pebble/v2"

	"github.com/oncepay/oncepay/once"
)

// found is what is under a key, and the rows that it is in. Their values are not
// there.
type found struct {
	record once.Record
	rows   rows
}

// find looks for a record: among those that are unfinished, and on every shelf, the
// last one first, since most are asked for soon. The caller holds the key, so it
// stays where it is, unless it is over and is dropped.
func (s *Store) find(k once.Key) (f found, err error) {
	l, err := s.look()
	if err != nil {
		return found{}, err
	}
	if f, err = l.record(k, s.shelves.all()); err == nil && f.record.State == once.Done {
		err = l.answer(&f, s.swept.Load())
	}
	if closed := l.it.Close(); err == nil {
		err = closed
	}
	return f, damage(err)
}

// look is one look into the store, as it is at one time.
type look struct{ it *lib.Iterator }

func (s *Store) look() (look, error) {
	// Without its filters the last level, where most keys are, is read from for each
	// key that is not there.
	it, err := s.db.NewIter(&lib.IterOptions{UseL6Filters: true})
	return look{it}, damage(err)
}

// record finds a key's record.
func (l look) record(k once.Key, shelves []int64) (f found, err error) {
	f.rows.record.name = name(atWork, k)
	there, err := l.at(f.rows.record.name, &f.record)
	row := placed(shelved, 0, k)
	for _, shelf := range shelves {
		if there || err != nil {
			break
		}
		appendPlace(row[:1], shelf)
		f.rows.record.name = row
		there, err = l.at(row, &f.record)
	}
	switch {
	case err != nil:
		return found{}, err
	case !there:
		return found{record: once.Record{Key: k}}, nil
	case f.record.Key != k:
		return found{}, fmt.Errorf("%w: there is another key's record", ErrDamaged)
	}
	return f, nil
}

// answer adds the answer to a record that is Done. If that was swept the record is what
// it has become by that.
func (l look) answer(f *found, swept int64) error {
	r := &f.record
	name := placed(answers, micros(r.ExpiresAt), r.Key)
	var kept once.Record
	switch there, err := l.at(name, &kept); {
	case err != nil:
		return err
	case there && kept.Version == r.Version:
		r.Answer, f.rows.answer.name = kept.Answer, name
	case !there && micros(r.ExpiresAt) <= swept:
		*r = r.Bury(r.ExpiresAt)
	default:
		return fmt.Errorf("%w: the answer of a key is not there", ErrDamaged)
	}
	return nil
}

// at reads the record in a row, and says whether there is one.
func (l look) at(name []byte, r *once.Record) (there bool, err error) {
	if !l.it.SeekPrefixGE(name) {
		return false, l.it.Error()
	}
	*r, err = readRecord(l.it)
	return err == nil, err
}

// readRecord reads the record in the row that an iterator is at.
func readRecord(it *lib.Iterator) (r once.Record, err error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return once.Record{}, err
	}
	if err := r.UnmarshalBinary(value); err != nil {
		return once.Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// damage is an error of Pebble's, as one of ours if it tells of damage.
func damage(err error) error {
	if lib.IsCorruptionError(err) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
