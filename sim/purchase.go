package sim

import (
	"strconv"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// purchase is what a merchant's order says: its payment is made from it, again
// and again if need be.
type purchase struct {
	reference string
	amount    int64
	currency  money.Currency
	gateway   string
	manual    bool
	confirm   bool
}

// buyRequest asks for a payment. Its key is in its metadata, so that the store
// tells how often the key was executed.
func buyRequest(key once.Key, b purchase) *request {
	body := strconv.AppendInt([]byte(`{"amount":`), b.amount, 10)
	body = append(append(append(body, `,"currency":"`...), b.currency...), `","gateway":"`...)
	body = append(append(append(body, b.gateway...), `","reference":"`...), b.reference...)
	body = strconv.AppendBool(append(body, `","manual":`...), b.manual)
	body = append(strconv.AppendBool(append(body, `,"confirm":`...), b.confirm), '}')
	return &request{
		kind: buy, key: key, operation: "POST /v1/payments", path: "/v1/payments", body: string(body), buys: b,
		pays: func(a pay.Ask) pay.Command {
			return pay.CreatePayment{Ask: a, Confirm: b.confirm, Payment: pay.Payment{
				Ref: pay.Ref{Tenant: key.Tenant}, Amount: b.amount, Currency: b.currency, Method: "pm_ok", Reference: b.reference,
				Gateway: b.gateway, Manual: b.manual, Metadata: map[string]string{"key": key.ID},
			}}
		},
	}
}

// aboutPayment asks for something to be done to a payment.
func aboutPayment(k kind, key once.Key, payment, verb, body string, command func(pay.Ask, pay.Ref) pay.Command) *request {
	ref := pay.Ref{Tenant: key.Tenant, ID: payment}
	return &request{
		kind: k, key: key, operation: "POST /v1/payments/{id}/" + verb, path: "/v1/payments/" + payment + "/" + verb, body: body, target: payment,
		pays: func(a pay.Ask) pay.Command { return command(a, ref) },
	}
}

// confirmRequest has no key: it is idempotent by the payment's id.
func confirmRequest(tenant, payment string) *request {
	return aboutPayment(confirm, once.Key{Tenant: tenant}, payment, "confirm", "{}", func(a pay.Ask, ref pay.Ref) pay.Command {
		return pay.ConfirmPayment{Ask: a, Ref: ref}
	})
}

func captureRequest(key once.Key, payment string, amount *int64, more bool) *request {
	body := `{"amount":` + text64(amount) + `,"final":` + strconv.FormatBool(!more) + `}`
	return aboutPayment(capture, key, payment, "capture", body, func(a pay.Ask, ref pay.Ref) pay.Command {
		return pay.CapturePayment{Ask: a, Ref: ref, Amount: amount, More: more}
	})
}

func cancelRequest(key once.Key, payment string) *request {
	return aboutPayment(cancel, key, payment, "cancel", "{}", func(a pay.Ask, ref pay.Ref) pay.Command {
		return pay.CancelPayment{Ask: a, Ref: ref}
	})
}

func refundRequest(key once.Key, payment string, amount *int64) *request {
	return aboutPayment(refund, key, payment, "refunds", `{"amount":`+text64(amount)+`}`, func(a pay.Ask, ref pay.Ref) pay.Command {
		return pay.RefundPayment{Ask: a, Ref: ref, Amount: amount}
	})
}

func text64(n *int64) string {
	if n == nil {
		return "null"
	}
	return strconv.FormatInt(*n, 10)
}

// render renders the answers about payments, as web does. A refusal shows the
// request that it was given to first.
func render(r pay.Reply) once.Answer {
	if r.Refusal != nil {
		a := refused(r.Refusal)
		a.Body = append(a.Body[:len(a.Body)-1], `,"request_id":"`+r.RequestID+`"}`...)
		return a
	}
	a := once.Answer{Status: 200, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}}}
	failed := r.Payment.Status == pay.Failed && (r.Verb == pay.ToCreate || r.Verb == pay.ToAdopt || r.Verb == pay.ToConfirm)
	switch {
	case r.Interim:
		a.Status = 202
	case failed:
		a.Status = 402
	case r.Verb == pay.ToCreate, r.Verb == pay.ToRefund:
		a.Status = 201
	}
	if a.Body = r.Payment.AppendJSON(nil); r.Verb == pay.ToRefund {
		a.Body = r.Payment.AppendRefund(nil, r.Operation)
	}
	return a
}

func refused(r *ledger.Refusal) once.Answer {
	body := jcs.AppendString(append(append([]byte(`{"code":"`), r.Code...), `","detail":`...), r.Detail)
	return once.Answer{Status: status(r.Code), Body: append(body, '}')}
}
