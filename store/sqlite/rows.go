package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// Times are kept as microseconds since 1970; the zero time as 0.

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

func (s *stmt) time(t time.Time) *stmt { return s.int(micros(t)) }

func (s *stmt) timeOrNull(t time.Time) *stmt {
	if t.IsZero() {
		return s.null()
	}
	return s.int(micros(t))
}

func (s *stmt) columnTime(i int32) time.Time { return fromMicros(s.columnInt(i)) }

// metadata binds names and values as JSON, none as null.
func (s *stmt) metadata(m map[string]string) *stmt {
	if m == nil {
		return s.null()
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings can always be written
	}
	return s.textBytes(b)
}

func (s *stmt) columnMetadata(i int32) (m map[string]string, err error) {
	if s.columnNull(i) {
		return nil, nil
	}
	err = json.Unmarshal(s.view(i), &m)
	return m, err
}

// The columns of an account, in the order in which columnAccount reads them.
const accountColumns = `a.num, a.tenant, a.id, a.currency, a.min_balance, a.closed, a.metadata, a.created_at,
	b.posted, b.outgoing, b.incoming, b.entries, b.last_entry, b.version`

const accountTables = ` FROM accounts a JOIN balances b ON b.account = a.num `

// columnAccount reads the row as it is.
func (s *stmt) columnAccount() (num int64, a *ledger.Account, err error) {
	a = &ledger.Account{
		Ref:       ledger.Ref{Tenant: s.columnText(1), ID: s.columnText(2)},
		Currency:  money.Currency(s.columnText(3)),
		Floor:     ledger.Floor{Minor: s.columnInt(4), None: s.columnNull(4)},
		Closed:    s.columnInt(5) != 0,
		CreatedAt: s.columnTime(7),
		Balance:   ledger.Balance{Posted: s.columnInt(8), Outgoing: s.columnInt(9), Incoming: s.columnInt(10)},
		Entries:   s.columnInt(11), LastEntry: s.columnInt(12), Version: s.columnInt(13),
	}
	a.Metadata, err = s.columnMetadata(6)
	return s.columnInt(0), a, err
}

// account reads the row, and says what is wrong with it.
func (s *stmt) account() (num int64, a *ledger.Account, err error) {
	if num, a, err = s.columnAccount(); err != nil {
		return 0, nil, err
	}
	return num, a, a.Check()
}

const transferColumns = `tenant, id, status, from_account, to_account, amount, amount_posted, currency,
	reference, reverses, reversed_by, expires_at, metadata, created_at, version, operation`

// columnTransfer reads the row as it is.
func (s *stmt) columnTransfer() (t *ledger.Transfer, err error) {
	t = &ledger.Transfer{
		Ref:    ledger.Ref{Tenant: s.columnText(0), ID: s.columnText(1)},
		Status: ledger.Status(s.columnInt(2)),
		From:   s.columnText(3), To: s.columnText(4),
		Amount: s.columnInt(5), AmountPosted: s.columnInt(6), Currency: money.Currency(s.columnText(7)),
		Reference: s.columnText(8), Reverses: s.columnText(9), ReversedBy: s.columnText(10),
		ExpiresAt: s.columnTime(11), CreatedAt: s.columnTime(13), Version: s.columnInt(14), Operation: s.columnText(15),
	}
	t.Metadata, err = s.columnMetadata(12)
	return t, err
}

// transfer reads the row, and says what is wrong with it.
func (s *stmt) transfer() (*ledger.Transfer, error) {
	t, err := s.columnTransfer()
	if err != nil {
		return nil, err
	}
	return t, t.Check()
}

const keyColumns = `k.tenant, k.key, k.fingerprint, k.state, k.operation, k.resource, k.attempt, k.lease_until,
	k.created_at, k.expires_at, k.replays, k.version`

// columnRecord reads the row of a key, without the answer. hasAnswer says
// whether there is one: where it was swept, the key is a tombstone.
func (s *stmt) columnRecord(hasAnswer bool) (r once.Record, err error) {
	r = once.Record{
		Key:       once.Key{Tenant: s.columnText(0), ID: s.columnText(1)},
		State:     once.State(s.columnInt(3)),
		Operation: s.columnText(4), Resource: s.columnText(5), Attempt: s.columnInt(6),
		LeaseUntil: s.columnTime(7), CreatedAt: s.columnTime(8), ExpiresAt: s.columnTime(9), Replays: s.columnInt(10),
		Version: s.columnInt(11),
	}
	if r.State == once.Done && !hasAnswer {
		r.State = once.Tombstone
	}
	r.Fingerprint, err = readFingerprint(s.view(2))
	return r, err
}

// A fingerprint is kept as its scheme and its sum.

func writeFingerprint(f once.Fingerprint) [33]byte {
	var b [33]byte
	b[0] = byte(f.Scheme)
	copy(b[1:], f.Sum[:])
	return b
}

func readFingerprint(b []byte) (f once.Fingerprint, err error) {
	if len(b) != 33 {
		return f, fmt.Errorf("sqlite: a fingerprint has %d bytes, not 33", len(b))
	}
	f.Scheme = once.Scheme(b[0])
	copy(f.Sum[:], b[1:])
	return f, nil
}

// A header is kept as lines of "Name: value".

func writeHeader(b []byte, fields []once.Field) ([]byte, error) {
	for i, f := range fields {
		if strings.Contains(f.Name, ": ") || strings.Contains(f.Name, "\n") || strings.Contains(f.Value, "\n") {
			return nil, fmt.Errorf("sqlite: the header field %q has a character that ends it", f.Name)
		}
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(append(append(b, f.Name...), ": "...), f.Value...)
	}
	return b, nil
}

func readHeader(lines string) (fields []once.Field) {
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			fields = append(fields, once.Field{Name: name, Value: value})
		}
	}
	return fields
}

const entryColumns = `e.seq, e.account, e.transfer, e.kind, e.posted, e.outgoing, e.incoming,
	e.posted_after, e.outgoing_after, e.incoming_after, e.prev, e.ordinal, e.at`

// columnEntry reads the row as it is: account is the number of its account,
// whose name and currency the row does not have.
func (s *stmt) columnEntry() (account int64, e ledger.Entry) {
	return s.columnInt(1), ledger.Entry{
		Seq: s.columnInt(0), Transfer: s.columnText(2), Kind: ledger.Kind(s.columnInt(3)),
		Delta: ledger.Balance{Posted: s.columnInt(4), Outgoing: s.columnInt(5), Incoming: s.columnInt(6)},
		After: ledger.Balance{Posted: s.columnInt(7), Outgoing: s.columnInt(8), Incoming: s.columnInt(9)},
		Prev:  s.columnInt(10), Ordinal: s.columnInt(11), At: s.columnTime(12),
	}
}

const eventColumns = "seq, tenant, id, type, subject, at, data"

// columnEvent reads the row as it is, without data.
func (s *stmt) columnEvent() outbox.Event {
	return outbox.Event{
		Tenant: s.columnText(1), ID: s.columnText(2), Type: s.columnText(3), Subject: s.columnText(4), At: s.columnTime(5),
	}
}
