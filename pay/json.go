package pay

import (
	"strconv"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
)

// The JSON shapes below are those of the API and of events: one resource, one
// shape, wherever it is met.

// usualJSON is room for a payment without metadata: most fit at once.
const usualJSON = 640 // bytes

// AppendJSON appends the payment as JSON.
func (p *Payment) AppendJSON(b []byte) []byte {
	b = append(append(append(b, `{"id":"`...), p.ID...), `","status":"`...)
	b = append(append(b, p.Status.String()...), `","in_doubt":`...)
	b = strconv.AppendBool(b, p.InDoubt)
	b = strconv.AppendInt(append(b, `,"amount":`...), p.Amount, 10)
	b = strconv.AppendInt(append(b, `,"amount_captured":`...), p.Captured, 10)
	b = strconv.AppendInt(append(b, `,"amount_refunded":`...), p.Refunded, 10)
	b = append(append(append(b, `,"currency":"`...), p.Currency...), `","reference":`...)
	b = jcs.AppendOptional(b, p.Reference)
	b = jcs.AppendString(append(b, `,"gateway":`...), p.Gateway)
	b = append(b, `,"capture_method":"`...)
	if p.Manual {
		b = append(b, `manual"`...)
	} else {
		b = append(b, `automatic"`...)
	}
	b = jcs.AppendString(append(b, `,"payment_method":`...), p.Method)
	b = jcs.AppendOptional(append(b, `,"customer":`...), p.Customer)
	b = jcs.AppendOptional(append(b, `,"description":`...), p.Description)
	b = jcs.AppendOptional(append(b, `,"statement_descriptor":`...), p.StatementDescriptor)
	b = jcs.AppendOptional(append(b, `,"return_url":`...), p.ReturnURL)
	b = p.appendAction(append(b, `,"next_action":`...))
	b = p.appendFailure(append(b, `,"failure":`...))
	b = jcs.AppendPairs(append(b, `,"metadata":`...), p.Metadata)
	b = jcs.AppendTime(append(b, `,"created_at":`...), p.CreatedAt)
	b = jcs.AppendTime(append(b, `,"updated_at":`...), p.UpdatedAt)
	return append(b, '}')
}

func (p *Payment) appendAction(b []byte) []byte {
	if p.Status != RequiresAction {
		return append(b, "null"...)
	}
	b = jcs.AppendString(append(b, `{"type":"redirect","url":`...), p.Charge().ActionURL)
	return append(b, '}')
}

func (p *Payment) appendFailure(b []byte) []byte {
	if p.Status != Failed {
		return append(b, "null"...)
	}
	return p.Charge().Failure.AppendJSON(b)
}

// AppendJSON appends the failure as JSON.
func (f Failure) AppendJSON(b []byte) []byte {
	b = jcs.AppendString(append(b, `{"code":`...), f.Code)
	b = jcs.AppendOptional(append(b, `,"decline_code":`...), f.DeclineCode)
	b = jcs.AppendOptional(append(b, `,"message":`...), f.Message)
	return append(b, '}')
}

// AppendRefund appends a refund of the payment as JSON.
func (p *Payment) AppendRefund(b []byte, o *Operation) []byte {
	b = append(append(append(b, `{"id":"`...), o.ID...), `","payment":"`...)
	b = append(append(b, p.ID...), `","amount":`...)
	b = strconv.AppendInt(b, o.Amount, 10)
	b = append(append(append(b, `,"currency":"`...), p.Currency...), `","status":"`...)
	b = append(append(b, o.RefundStatus()...), `","in_doubt":`...)
	b = strconv.AppendBool(b, o.doubtful())
	b = append(b, `,"failure":`...)
	if o.Outcome == Declined {
		b = o.Failure.AppendJSON(b)
	} else {
		b = append(b, "null"...)
	}
	b = jcs.AppendTime(append(b, `,"created_at":`...), o.CreatedAt)
	return append(b, '}')
}

// emitRefund writes the event of a refund's new status.
func (b *Book) emitRefund(p *Payment, o *Operation, m ledger.Moment, what string) {
	b.Emit(m, p.Tenant, "refund."+what, o.ID, p.AppendRefund(make([]byte, 0, usualJSON), o))
}
