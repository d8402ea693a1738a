package pebble

import (
	"bytes"
	"fmt"

	lib "github.com/cockroachdb/pebble/v2"

	"github.com/oncepay/oncepay/once"
)

// rows are how a record is kept: as one row, and if it is Done its answer as another,
// which goes before it.
type rows struct {
	record, answer row
	shelf          int64 // of record; 0: it is on none
}

// row is a name and what is under it. The zero row is none.
type row struct{ name, value []byte }

// rowsOf are the rows for a record. It fails with a [once.ErrTooLarge].
func rowsOf(r once.Record, now int64) (rs rows, err error) {
	if r.State == once.Done {
		rs.answer = row{placed(answers, micros(r.ExpiresAt), r.Key), encode(once.Record{State: r.State, Version: r.Version, Answer: r.Answer})}
		r.Answer = once.Answer{}
	}
	rs.record.value = encode(r)
	if unfinished(&r) {
		rs.record.name = name(atWork, r.Key)
	} else {
		rs.shelf = shelfOf(&r, now)
		rs.record.name = placed(shelved, rs.shelf, r.Key)
	}
	if size := rs.record.size() + rs.answer.size(); size > MaxRecord {
		return rows{}, fmt.Errorf("%w: it has %d bytes, at most %d are kept", once.ErrTooLarge, size, MaxRecord)
	}
	return rs, nil
}

func unfinished(r *once.Record) bool { return r.State == once.Claimed || r.State == once.Unknown }

func encode(r once.Record) []byte {
	b, err := r.AppendBinary(nil)
	must(err)
	return b
}

func (r row) size() int { return len(r.name) + len(r.value) }

// write has a batch put the rows in the place of what was there before.
func (rs rows) write(b *lib.Batch, before rows) {
	for _, move := range [...]struct{ from, to row }{{before.record, rs.record}, {before.answer, rs.answer}} {
		if move.from.name != nil && !bytes.Equal(move.from.name, move.to.name) {
			must(b.Delete(move.from.name, nil))
		}
		if move.to.name != nil {
			must(b.Set(move.to.name, move.to.value, nil))
		}
	}
}
