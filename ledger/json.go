package ledger

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
)

// The JSON shapes below are those of the API and of events: one resource, one
// shape, wherever it is met. They are written by hand since they are written
// for every transfer.

// TimeFormat is how times are written: RFC 3339, UTC, microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// usualJSON is room for a resource without metadata: most fit at once.
const usualJSON = 384 // bytes

// AppendJSON appends the account as JSON.
func (a *Account) AppendJSON(b []byte) []byte {
	b = jcs.AppendString(append(b, `{"id":`...), a.ID)
	b = append(append(append(b, `,"currency":"`...), a.Currency...), `","min_balance":`...)
	if a.Floor.None {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, a.Floor.Minor, 10)
	}
	b = a.Balance.AppendJSON(append(b, `,"balance":`...))
	b = append(b, `,"status":"open"`...)
	if a.Closed {
		b = append(b[:len(b)-len(`"open"`)], `"closed"`...)
	}
	b = appendMetadata(append(b, `,"metadata":`...), a.Metadata)
	b = appendTime(append(b, `,"created_at":`...), a.CreatedAt)
	return append(b, '}')
}

// AppendJSON appends the balance as JSON.
func (v Balance) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"posted":`...), v.Posted, 10)
	b = strconv.AppendInt(append(b, `,"pending":`...), v.Pending(), 10)
	b = strconv.AppendInt(append(b, `,"available":`...), v.Available(), 10)
	return append(b, '}')
}

// AppendJSON appends the transfer as JSON.
func (t *Transfer) AppendJSON(b []byte) []byte {
	b = append(append(append(b, `{"id":"`...), t.ID...), `","status":"`...)
	b = append(append(b, t.Status.String()...), `","from":`...)
	b = jcs.AppendString(b, t.From)
	b = jcs.AppendString(append(b, `,"to":`...), t.To)
	b = strconv.AppendInt(append(b, `,"amount":`...), t.Amount, 10)
	b = strconv.AppendInt(append(b, `,"amount_posted":`...), t.AmountPosted, 10)
	b = append(append(append(b, `,"currency":"`...), t.Currency...), `","reference":`...)
	b = appendOptional(b, t.Reference)
	b = appendOptional(append(b, `,"reversed_by":`...), t.ReversedBy)
	b = appendOptional(append(b, `,"reverses":`...), t.Reverses)
	b = appendTime(append(b, `,"expires_at":`...), t.ExpiresAt)
	b = appendMetadata(append(b, `,"metadata":`...), t.Metadata)
	b = appendTime(append(b, `,"created_at":`...), t.CreatedAt)
	return append(b, '}')
}

// AppendJSON appends the entry as a line of its account's statement. It has the
// Ordinal, not the Seq: a number that all tenants share would tell each of them
// how much the others do.
func (e Entry) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"ordinal":`...), e.Ordinal, 10)
	b = append(append(append(b, `,"transfer":"`...), e.Transfer...), `","type":"`...)
	b = append(append(b, e.Kind.String()...), `","amount":`...)
	b = strconv.AppendInt(b, e.Delta.Posted, 10)
	b = strconv.AppendInt(append(b, `,"held":`...), e.Delta.Incoming-e.Delta.Outgoing, 10)
	b = append(append(append(b, `,"currency":"`...), e.Currency...), `","balance":`...)
	b = e.After.AppendJSON(b)
	b = appendTime(append(b, `,"created_at":`...), e.At)
	return append(b, '}')
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return jcs.AppendString(b, s)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = t.UTC().AppendFormat(append(b, '"'), TimeFormat)
	return append(b, '"')
}

// appendMetadata sorts the names: the same metadata is always the same bytes.
func appendMetadata(b []byte, m map[string]string) []byte {
	if len(m) == 0 { // nearly always: no need to collect and sort nothing
		return append(b, "{}"...)
	}
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendString(b, name)
		b = jcs.AppendString(append(b, ':'), m[name])
	}
	return append(b, '}')
}
