package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/once"
)

// names are the names of a store's keys, which begin with its prefix.
type names struct{ prefix string }

// record is the name of the key that holds the record under k. No two have the same:
// the tenant's length says where its name ends. It is all hash tag, so that the answer's
// key is in the same slot whatever the id is; the tag is never empty, since it begins with
// a digit.
func (n names) record(k once.Key) string {
	b := make([]byte, 0, len(n.prefix)+len(k.Tenant)+len(k.ID)+8)
	b = append(append(b, n.prefix...), '{')
	b = append(strconv.AppendInt(b, int64(len(k.Tenant)), 10), ':')
	b = append(append(b, k.Tenant...), ':')
	return string(append(append(b, k.ID...), '}'))
}

// answer is the name of the key that holds the answer, if it has one of its own.
func (n names) answer(record string) string { return record + "a" }

// key is what a record's name was made of.
func (n names) key(record string) (once.Key, bool) {
	rest, ours := strings.CutPrefix(record, n.prefix+"{")
	rest, whole := strings.CutSuffix(rest, "}")
	digits, rest, told := strings.Cut(rest, ":")
	size, err := strconv.Atoi(digits)
	if !ours || !whole || !told || err != nil || size < 0 || size >= len(rest) || rest[size] != ':' {
		return once.Key{}, false
	}
	k := once.Key{Tenant: rest[:size], ID: rest[size+1:]}
	return k, n.record(k) == record
}

// pattern matches the names of records, and none of answers.
func (n names) pattern() string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(n.prefix) + "{*}"
}

// ErrForeign means that under a key's name there is something that this package did not
// write. It is left as it is: find out whose it is, or use another Config.Prefix.
var ErrForeign = errors.New("redis: what is under the key is no record")

// mark is what the value of a record at some version begins with. A script compares it,
// and needs to read nothing else. No mark is the beginning of another; that of an absent
// key is empty.
func mark(version int64) string {
	if version == 0 {
		return ""
	}
	return "v" + strconv.FormatInt(version, 10) + " "
}

// value is a record as it is kept: its mark, its state as a digit, and its bytes, without
// its key, which the name has.
func value(r once.Record) []byte {
	r.Key = once.Key{}
	b := make([]byte, 0, 160+len(r.Operation)+len(r.Resource)+len(r.Owner)+len(r.Note)+len(r.Progress)+len(r.Answer.Body))
	b = append(append(b, mark(r.Version)...), '0'+byte(r.State))
	b, _ = r.AppendBinary(b) // which never fails
	return b
}

// headLen is how much of a value has its mark and its state.
const headLen = len("v9223372036854775807 0")

// stateOf reads the state from the beginning of a value.
func stateOf(head string) (once.State, bool) {
	_, rest, marked := strings.Cut(head, " ")
	if !marked || rest == "" || rest[0] < '0' || rest[0] > '0'+byte(once.Tombstone) {
		return 0, false
	}
	return once.State(rest[0] - '0'), true
}

// parse reads the value of a key; the empty one is that of an absent key. It fails with
// an ErrForeign.
func parse(k once.Key, v string) (once.Record, error) {
	r := once.Record{Key: k}
	if v == "" {
		return r, nil
	}
	state, marked := stateOf(v[:min(len(v), headLen)])
	if !marked {
		return once.Record{}, fmt.Errorf("%w: it has %d bytes and no mark", ErrForeign, len(v))
	}
	at := strings.IndexByte(v, ' ') + 2
	if err := r.UnmarshalBinary([]byte(v[at:])); err != nil {
		return once.Record{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if mark(r.Version) != v[:at-1] || r.State != state {
		return once.Record{}, fmt.Errorf("%w: it is marked %.20q and holds version %d, %s", ErrForeign, v[:at], r.Version, r.State)
	}
	r.Key = k
	return r, nil
}

// form is a record as it is written.
type form struct {
	record []byte
	until  int64  // when the record expires, in milliseconds since 1970; 0: never
	answer []byte // the record with its answer, if that is apart; record is its tombstone then
	fades  int64  // when the answer expires
}

// formOf says what is written of a record, and for how long. What is unfinished stays for
// good. An answer stays until its window is over, and the rest until it may be forgotten;
// if that comes no later, one key holds both.
func formOf(r once.Record) form {
	switch {
	case r.State == once.Claimed, r.State == once.Unknown:
		return form{record: value(r)}
	case r.State != once.Done:
		return form{record: value(r), until: expiry(r.ForgetAt)}
	case !r.ForgetAt.IsZero() && !r.ForgetAt.After(r.ExpiresAt):
		return form{record: value(r), until: expiry(r.ExpiresAt)}
	}
	return form{record: value(tombstone(r)), until: expiry(r.ForgetAt), answer: value(r), fades: expiry(r.ExpiresAt)}
}

// tombstone is what is known of a record without its answer: also not who gave it.
func tombstone(r once.Record) once.Record {
	r.State, r.Answer, r.Owner = once.Tombstone, once.Answer{}, ""
	return r
}

// expiry is when something expires that is kept until t, in milliseconds since 1970: not
// before t; 0 for never. Redis takes no time before 1970.
func expiry(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.Add(time.Millisecond-1).UnixMilli())
}

// size is how many bytes are written.
func (f *form) size() int { return len(f.record) + len(f.answer) }
