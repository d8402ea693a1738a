package postgres

import (
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// The columns of an account, in the order in which it is read.
const accountColumns = `a.num, a.tenant, a.id, a.currency, a.min_balance, a.closed, a.metadata, a.created_at,
	b.posted, b.outgoing, b.incoming, b.entries, b.last_entry, b.version`

// account reads the row as it is.
func (r *row) account() (num int64, a *ledger.Account) {
	num = r.int()
	a = &ledger.Account{Ref: ledger.Ref{Tenant: r.text(), ID: r.text()}, Currency: money.Currency(r.text())}
	a.Floor.None = r.null()
	a.Floor.Minor = r.int()
	a.Closed, a.Metadata, a.CreatedAt = r.bool(), r.metadata(), r.time()
	a.Balance = ledger.Balance{Posted: r.int(), Outgoing: r.int(), Incoming: r.int()}
	a.Entries, a.LastEntry, a.Version = r.int(), r.int(), r.int()
	return num, a
}

// transfer reads the row as it is.
func (r *row) transfer() *ledger.Transfer {
	return &ledger.Transfer{
		Ref: ledger.Ref{Tenant: r.text(), ID: r.text()}, Status: ledger.Status(r.int()), From: r.text(), To: r.text(),
		Amount: r.int(), AmountPosted: r.int(), Currency: money.Currency(r.text()),
		Reference: r.text(), Reverses: r.text(), ReversedBy: r.text(),
		ExpiresAt: r.time(), Metadata: r.metadata(), CreatedAt: r.time(), Version: r.int(), Operation: r.text(),
	}
}

const keyColumns = `k.tenant, k.key, k.fingerprint, k.state, k.operation, k.resource, k.attempt, k.lease_until,
	k.created_at, k.expires_at, k.replays, k.version, k.status, k.header, k.body`

// record reads the row of a key. swept is up to when windows are over: what was answered
// with one that ended by then is a tombstone, though its answer goes later.
func (r *row) record(swept int64) once.Record {
	rec := once.Record{
		Key: once.Key{Tenant: r.text(), ID: r.text()}, Fingerprint: r.fingerprint(), State: once.State(r.int()),
		Operation: r.text(), Resource: r.text(), Attempt: r.int(), LeaseUntil: r.time(),
		CreatedAt: r.time(), ExpiresAt: r.time(), Replays: r.int(), Version: r.int(),
	}
	answered := !r.null()
	answer := once.Answer{Status: int(r.int()), Header: readHeader(r.text()), Body: r.bytes()}
	switch {
	case rec.State != once.Done:
	case !answered || micros(rec.ExpiresAt) <= swept:
		rec.State = once.Tombstone
	default:
		rec.Answer = answer
	}
	return rec
}

// A fingerprint is kept as its scheme and its sum.

func writeFingerprint(f once.Fingerprint) []byte { return append([]byte{byte(f.Scheme)}, f.Sum[:]...) }

func (r *row) fingerprint() (f once.Fingerprint) {
	b := r.bytes()
	if len(b) != 33 {
		r.fail("a fingerprint has %d bytes, not 33", len(b))
		return f
	}
	f.Scheme = once.Scheme(b[0])
	copy(f.Sum[:], b[1:])
	return f
}

// A header is kept as lines of "Name: value".

func writeHeader(fields []once.Field) (string, error) {
	var b strings.Builder
	for i, f := range fields {
		if strings.Contains(f.Name, ": ") || strings.Contains(f.Name, "\n") || strings.Contains(f.Value, "\n") {
			return "", fmt.Errorf("postgres: the header field %q has a character that ends it", f.Name)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(f.Value)
	}
	return b.String(), nil
}

func readHeader(lines string) (fields []once.Field) {
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			fields = append(fields, once.Field{Name: name, Value: value})
		}
	}
	return fields
}

const entryColumns = `e.seq, e.transfer, e.kind, e.posted, e.outgoing, e.incoming,
	e.posted_after, e.outgoing_after, e.incoming_after, e.prev, e.ordinal, e.at`

// entry reads the row as it is, without its account.
func (r *row) entry() ledger.Entry {
	return ledger.Entry{
		Seq: r.int(), Transfer: r.text(), Kind: ledger.Kind(r.int()),
		Delta: ledger.Balance{Posted: r.int(), Outgoing: r.int(), Incoming: r.int()},
		After: ledger.Balance{Posted: r.int(), Outgoing: r.int(), Incoming: r.int()},
		Prev:  r.int(), Ordinal: r.int(), At: r.time(),
	}
}

const eventColumns = "tenant, id, type, subject, at"

// event reads the row as it is, without data.
func (r *row) event() outbox.Event {
	return outbox.Event{Tenant: r.text(), ID: r.text(), Type: r.text(), Subject: r.text(), At: r.time()}
}
