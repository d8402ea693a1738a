package web

import (
	"strings"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// RenderPayment renders the answer to a request about a payment: it is what
// engine.Config.Render must be. It is pure; what it returns is final, and kept
// under the request's key, unless the reply is Interim.
func RenderPayment(r pay.Reply) once.Answer {
	switch {
	case r.Refusal == notStored:
		return once.Answer{} // the request has its answer itself; see payOutcome
	case r.Refusal != nil:
		return refusalAnswer(r.Refusal, r.RequestID)
	case r.Interim:
		return resourceAnswer(202, r)
	case r.Verb == pay.ToCancel && r.Operation != nil && r.Operation.Outcome == pay.Declined:
		return refusedToCancel(r)
	case failed(r):
		return failureAnswer(r)
	case r.Verb == pay.ToCreate, r.Verb == pay.ToRefund:
		return resourceAnswer(201, r)
	default:
		return resourceAnswer(200, r)
	}
}

// failed says whether what was asked certainly did not happen. A refund that
// failed is not among these: it is a resource that says so itself.
func failed(r pay.Reply) bool {
	switch r.Verb {
	case pay.ToCreate, pay.ToAdopt, pay.ToConfirm:
		return r.Payment.Status == pay.Failed
	case pay.ToCapture:
		return r.Operation.Outcome == pay.Declined
	}
	return false
}

// resourceAnswer shows what a request is about: a refund to who asked for one,
// and else the payment.
func resourceAnswer(status int, r pay.Reply) once.Answer {
	a := once.Answer{Status: status, Header: jsonHeader}
	place := paymentPath + "/"
	if r.Verb == pay.ToRefund {
		place = refundPath + "/"
		a.Body = r.Payment.AppendRefund(make([]byte, 0, usualRefund), r.Operation)
	} else {
		a.Body = r.Payment.AppendJSON(make([]byte, 0, usualPayment))
	}
	made := r.Verb == pay.ToCreate || r.Verb == pay.ToAdopt || r.Verb == pay.ToRefund
	if made || status == 202 {
		a.Header = []once.Field{jsonHeader[0], {Name: "Location", Value: place + r.ResourceID()}}
	}
	if status == 202 {
		a.Header = append(a.Header, once.Field{Name: "Retry-After", Value: soon})
	}
	return a
}

// Room for most answers, in bytes.
const (
	usualRefund  = 320
	usualPayment = 640
)

// soon is in how many seconds a client should ask again: most gateways answer
// within that.
const soon = "1"

// failureAnswer is a problem that has the payment with it, and why it failed. Its
// request_id is that of the request that began what failed, so that all who ask
// get the same bytes.
func failureAnswer(r pay.Reply) once.Answer {
	failure, p := r.Operation.Failure, paymentFailed.find()
	if failure.Code == string(cardDeclined) {
		p = cardDeclined.find()
	}
	body := p.appendJSON(make([]byte, 0, 2*usualPayment), r.Operation.RequestID, reason(failure, p.Title), nil)
	body = failure.AppendJSON(append(body[:len(body)-1], `,"failure":`...))
	body = r.Payment.AppendJSON(append(body, `,"payment":`...))
	return once.Answer{Status: p.Status, Header: problemHeader, Body: append(body, '}')}
}

// refusedToCancel is the answer where the gateway would not give a payment up.
func refusedToCancel(r pay.Reply) once.Answer {
	detail := "The gateway did not cancel the payment. " + reason(r.Operation.Failure, "it gave no reason")
	return stateConflict.find().answer(r.Operation.RequestID, detail, nil)
}

// reason is why something failed, in a sentence.
func reason(f pay.Failure, otherwise string) string {
	switch {
	case f.Message != "":
		return sentence(strings.TrimRight(f.Message, ". "))
	case f.DeclineCode != "":
		return sentence(strings.ReplaceAll(f.DeclineCode, "_", " "))
	default:
		return sentence(otherwise)
	}
}

// appendKnown appends a member that is left out if it is empty.
func appendKnown(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return jcs.AppendString(b, value)
}
