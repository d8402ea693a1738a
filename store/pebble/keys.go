package pebble

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/oncepay/oncepay/once"
)

// The kinds of rows. A row's name is its kind, a place in time if it has one, and
// the record's key.
const (
	atWork  = 'u' // KEY: a record that is unfinished. It has no place in time: nothing drops it
	shelved = 'k' // SHELF KEY: any other record, but for a Done one's answer
	answers = 'a' // EXPIRY KEY: the answer of a record that is Done
	ofStore = 's' // what the store knows of itself, see state
)

// placeLen is the length of a place in time.
const placeLen = 8

// name is the name of a row that has no place in time.
func name(kind byte, k once.Key) []byte { return appendKey([]byte{kind}, k) }

// placed is the name of a row that has one.
func placed(kind byte, at int64, k once.Key) []byte {
	b := make([]byte, 0, 1+placeLen+binary.MaxVarintLen64+len(k.Tenant)+len(k.ID))
	return appendKey(appendPlace(append(b, kind), at), k)
}

// from is where the rows of a kind begin that have a place from at on.
func from(kind byte, at int64) []byte { return appendPlace([]byte{kind}, at) }

// appendPlace appends a number so that rows are in its order, also if it is negative.
func appendPlace(b []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

// place reads what appendPlace wrote behind a row's kind.
func place(row []byte) int64 { return int64(binary.BigEndian.Uint64(row[1:]) ^ 1<<63) }

// appendKey appends a key so that no two are the same.
func appendKey(b []byte, k once.Key) []byte {
	b = binary.AppendUvarint(b, uint64(len(k.Tenant)))
	return append(append(b, k.Tenant...), k.ID...)
}

// micros is a time as the codec of records keeps it: 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// A shelf is all records that are to be forgotten by one time, in seconds since
// 1970. It is dropped as a whole.
//
// A record can be found only by looking on every shelf, so there must be few of them;
// and it is kept for longer than it has to be, so they must be short. A shelf is
// between an 8th and a 16th as long as what is on it is kept for: there are 9 to 18
// of them for each length of that, and a record stays for an 8th longer at most.

// forGood is the shelf of what is never forgotten: it comes first.
const forGood = 1<<63 - 1

// shortest bounds the shelves of records that are not kept for long, in seconds.
const shortest = 64

// shelfOf is the shelf for a record that is not unfinished: never 0.
func shelfOf(r *once.Record, now int64) int64 {
	if r.ForgetAt.IsZero() {
		return forGood
	}
	until := r.ForgetAt
	if r.ExpiresAt.After(until) { // its answer came late
		until = r.ExpiresAt
	}
	due := ceil(micros(until), int64(time.Second/time.Microsecond))
	length := int64(shortest)
	if kept := due - now/int64(time.Second/time.Microsecond); kept > 16*shortest {
		length = 1 << bits.Len64(uint64(kept-1)/16)
	}
	return max(ceil(due, length)*length, shortest)
}

// ceil is n in units, rounded up.
func ceil(n, unit int64) int64 {
	whole := n / unit
	if n > whole*unit {
		whole++
	}
	return whole
}
