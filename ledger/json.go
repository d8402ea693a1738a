package ledger

import (
	"strconv"

	"github.com/oncepay/oncepay/internal/jcs"
)

// The JSON shapes below are those of the API and of events: one resource, one
// shape, wherever it is met. They are written by hand since they are written
// for every transfer.

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
	b = jcs.AppendPairs(append(b, `,"metadata":`...), a.Metadata)
	b = jcs.AppendTime(append(b, `,"created_at":`...), a.CreatedAt)
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
	b = jcs.AppendOptional(b, t.Reference)
	b = jcs.AppendOptional(append(b, `,"reversed_by":`...), t.ReversedBy)
	b = jcs.AppendOptional(append(b, `,"reverses":`...), t.Reverses)
	b = jcs.AppendTime(append(b, `,"expires_at":`...), t.ExpiresAt)
	b = jcs.AppendPairs(append(b, `,"metadata":`...), t.Metadata)
	b = jcs.AppendTime(append(b, `,"created_at":`...), t.CreatedAt)
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
	b = jcs.AppendTime(append(b, `,"created_at":`...), e.At)
	return append(b, '}')
}
