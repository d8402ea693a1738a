package pgrows

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oncepay/oncepay/once"
)

// Query is a statement and what it is given. It shows one row: see [Scan].
type Query struct {
	SQL  string
	Args []any
}

// Write writes a record if what is under its key is at the version before it.
func (t *Tables) Write(next once.Record) (Query, error) {
	forms := &t.update
	if next.Version == 1 {
		forms = &t.insert
	}
	return t.write(forms, next)
}

// Complete writes a record over a version that only the transaction itself can have
// changed, and fails if it does not win: so that a COMMIT may be sent along behind it.
func (t *Tables) Complete(next once.Record, over int64) (Query, error) {
	q, err := t.write(&t.complete, next)
	if err == nil {
		q.Args[len(q.Args)-1] = over
	}
	return q, err
}

func (t *Tables) write(forms *writes, next once.Record) (q Query, err error) {
	if size := len(next.Answer.Body) + len(next.Progress); size > MaxRecord {
		return q, fmt.Errorf("%w: it has %d bytes, and may have %d", once.ErrTooLarge, size, MaxRecord)
	}
	answered := next.Answer.Body != nil || next.Answer.Header != nil
	slot, form := (*int16)(nil), Slots
	if answered {
		slot = new(slotOf(next.ExpiresAt))
		form = int(*slot)
	}
	q.SQL, q.Args = forms[form], values(&next, slot)
	if answered {
		header, err := json.Marshal(next.Answer.Header)
		if err != nil {
			return q, err
		}
		q.Args = append(q.Args, string(header), next.Answer.Body)
	}
	if forms != &t.insert {
		q.Args = append(q.Args, next.Version-1)
	}
	return q, nil
}

// values are a record's, in the order of columns.
func values(r *once.Record, slot *int16) []any {
	return []any{
		escape(r.Key.Tenant), r.Key.ID, r.Version, int16(r.State), escape(r.Operation), escape(r.Resource), r.Attempt, escape(r.Owner),
		orNull(r.LeaseUntil), orNull(r.CreatedAt), orNull(r.ExpiresAt), orNull(r.ForgetAt),
		int16(r.Fingerprint.Scheme), r.Fingerprint.Sum[:], r.Progress, escape(r.Note), r.Replays,
		int16(r.Answer.Status), r.Answer.Dropped, escape(r.Answer.Seal), slot,
	}
}

// ByKey is what statements about a key are given.
func ByKey(k once.Key) []any { return []any{escape(k.Tenant), k.ID} }

// Seen is what a statement shows.
type Seen struct {
	once.Seen
	slot *int16 // the table of its answer, if it has one
}

// Scan reads the row of a statement, of whatever driver.
func Scan(row Row) (s Seen, err error) {
	var (
		r                                    = &s.Record
		tenant, id, op, res, own, note, seal *string
		version, attempt, replays            *int64
		state, scheme, status                *int16
		lease, created, expires, forget      *time.Time
		dropped                              *bool
		sum                                  []byte
	)
	if err := row.Scan(&s.At, &s.Won, &tenant, &id, &version, &state, &op, &res, &attempt, &own, &lease, &created, &expires, &forget,
		&scheme, &sum, &r.Progress, &note, &replays, &status, &dropped, &seal, &s.slot); err != nil {
		return s, err
	}
	s.At = s.At.UTC()
	if version == nil {
		return s, nil // nothing to be shown
	}
	if n := copy(r.Fingerprint.Sum[:], sum); n != len(r.Fingerprint.Sum) || len(sum) != n {
		return s, fmt.Errorf("the fingerprint of %s has %d bytes", *id, len(sum))
	}
	r.Key = once.Key{Tenant: unescape(*tenant), ID: *id}
	r.Version, r.Attempt, r.Replays = *version, *attempt, *replays
	r.State, r.Fingerprint.Scheme = once.State(*state), once.Scheme(*scheme)
	r.Operation, r.Resource, r.Owner, r.Note = unescape(*op), unescape(*res), unescape(*own), unescape(*note)
	r.LeaseUntil, r.CreatedAt, r.ExpiresAt, r.ForgetAt = orZero(lease), orZero(created), orZero(expires), orZero(forget)
	r.Answer = once.Answer{Status: int(*status), Dropped: *dropped, Seal: unescape(*seal)}
	return s, nil
}

// Stale says that a write has lost to something that it does not show: what it waited
// for was committed after it had begun.
func (s Seen) Stale(next once.Record) bool { return !s.Won && s.Record.Version == next.Version-1 }

// Answer is the query for the answer of what is seen, if it has one elsewhere.
func (t *Tables) Answer(s Seen) (q Query, elsewhere bool) {
	if s.Won || s.slot == nil || *s.slot < 0 || *s.slot >= Slots {
		return q, false
	}
	return Query{t.answers[*s.slot].Find, append(ByKey(s.Record.Key), s.Record.Version)}, true
}

// Answers are the tables of answers.
func (t *Tables) Answers() []Answers { return t.answers[:] }

// Put puts an answer that was found to what is seen.
func (s *Seen) Put(row Row) error {
	var header []byte
	if err := row.Scan(&header, &s.Record.Answer.Body); err != nil {
		return err
	}
	return json.Unmarshal(header, &s.Record.Answer.Header)
}

// Over is what is seen, its answer being gone: that is dropped when the window is over.
// Where it was lost it is over as well: it is refused, and never runs again.
func (s *Seen) Over() { s.Record.State, s.Record.Answer = once.Tombstone, once.Answer{} }

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// escape makes a text one that PostgreSQL takes: it has no zero bytes, and none that are
// no UTF-8. What has none of these, nor a backslash, stays as it is.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\\") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == '\\' || r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\%02x`, s[i])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// unescape is the inverse of escape.
func unescape(s string) string {
	first := strings.IndexByte(s, '\\')
	if first < 0 {
		return s
	}
	b := []byte(s[:first])
	for i := first; i < len(s); i++ {
		var c byte
		if s[i] != '\\' {
			b = append(b, s[i])
		} else if _, err := fmt.Sscanf(s[i+1:min(i+3, len(s))], "%02x", &c); err == nil {
			b, i = append(b, c), i+2
		}
	}
	return string(b)
}
