package once

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// format numbers the way a record is written as bytes. It is the first byte, so
// that a later version can still read an old record.
const format = 1

// ErrFormat means that bytes are no record, or one of a later version.
var ErrFormat = errors.New("once: no record that can be read")

// AppendBinary appends the record as bytes, for stores that keep it as such: all of
// it, times to the microsecond. The error is always nil.
func (r *Record) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, format, byte(r.State), byte(r.Fingerprint.Scheme))
	b = append(b, r.Fingerprint.Sum[:]...)
	for _, n := range [...]int64{r.Version, r.Attempt, r.Replays, micros(r.LeaseUntil), micros(r.CreatedAt), micros(r.ExpiresAt), micros(r.ForgetAt)} {
		b = binary.AppendVarint(b, n)
	}
	for _, s := range [...]string{r.Key.Tenant, r.Key.ID, r.Operation, r.Resource, r.Owner, r.Note, r.Answer.Seal} {
		b = appendText(b, s)
	}
	b = appendText(b, string(r.Progress))
	b = binary.AppendVarint(b, int64(r.Answer.Status))
	b = append(b, flag(r.Answer.Dropped))
	b = binary.AppendUvarint(b, uint64(len(r.Answer.Header)))
	for _, f := range r.Answer.Header {
		b = appendText(appendText(b, f.Name), f.Value)
	}
	return appendText(b, string(r.Answer.Body)), nil
}

// UnmarshalBinary reads what AppendBinary wrote. It fails with an ErrFormat. The
// record keeps none of b.
func (r *Record) UnmarshalBinary(b []byte) error {
	d := decoder{rest: b}
	*r = Record{}
	if v := d.byte(); v != format {
		return fmt.Errorf("%w: its format is %d", ErrFormat, v)
	}
	r.State, r.Fingerprint.Scheme = State(d.byte()), Scheme(d.byte())
	copy(r.Fingerprint.Sum[:], d.take(uint64(len(r.Fingerprint.Sum))))
	r.Version, r.Attempt, r.Replays = d.int(), d.int(), d.int()
	r.LeaseUntil, r.CreatedAt, r.ExpiresAt, r.ForgetAt = fromMicros(d.int()), fromMicros(d.int()), fromMicros(d.int()), fromMicros(d.int())
	for _, s := range [...]*string{&r.Key.Tenant, &r.Key.ID, &r.Operation, &r.Resource, &r.Owner, &r.Note, &r.Answer.Seal} {
		*s = string(d.text())
	}
	r.Progress = d.bytes()
	r.Answer.Status, r.Answer.Dropped = int(d.int()), d.byte() == 1
	for range d.count() {
		r.Answer.Header = append(r.Answer.Header, Field{Name: string(d.text()), Value: string(d.text())})
	}
	r.Answer.Body = d.bytes()
	if d.broken || len(d.rest) > 0 {
		*r = Record{}
		return fmt.Errorf("%w: it is cut off, or has bytes behind it", ErrFormat)
	}
	return nil
}

// fieldJSON is a Field as JSON, which has no other texts than UTF-8: any other value is
// Bytes there.
type fieldJSON struct {
	Name, Value string
	Bytes       []byte `json:",omitempty"`
}

// MarshalJSON is json.Marshaler's.
func (f Field) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(f.Value) {
		return json.Marshal(fieldJSON{Name: f.Name, Value: f.Value})
	}
	return json.Marshal(fieldJSON{Name: f.Name, Bytes: []byte(f.Value)})
}

// UnmarshalJSON is json.Unmarshaler's.
func (f *Field) UnmarshalJSON(text []byte) error {
	var kept fieldJSON
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	f.Name, f.Value = kept.Name, cmp.Or(string(kept.Bytes), kept.Value)
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// micros is a time in microseconds since 1970; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// decoder reads bytes until one is missing: then it is broken, and all else is zero.
type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) take(n uint64) []byte {
	if d.broken || n > uint64(len(d.rest)) {
		d.broken, d.rest = true, nil
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	d.take(uint64(max(n, 0)))
	d.broken = d.broken || n <= 0
	return v
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.take(uint64(max(n, 0)))
	d.broken = d.broken || n <= 0
	return v
}

func (d *decoder) text() []byte { return d.take(d.uint()) }

// bytes is a text of its own; nil if it is empty.
func (d *decoder) bytes() []byte {
	return append([]byte(nil), d.text()...)
}

// count is how many fields follow: each takes two bytes at least.
func (d *decoder) count() uint64 {
	n := d.uint()
	d.broken = d.broken || n > uint64(len(d.rest))
	if d.broken {
		return 0
	}
	return n
}
