package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
)

// answerLimits are those of an answer: a hundred executions fit.
var answerLimits = jcs.Limits{Depth: 8, Nodes: 4096}

// reader reads the answers to one call. It believes nothing that is not, in each
// point, what the sandbox says of just this operation.
type reader struct {
	call     *pay.Call
	contract pay.Contract
}

// sent reads the answer to a send.
func (r reader) sent(a gateway.Answer) (pay.Finding, bool) {
	v, err := jcs.Parse(a.Body, answerLimits)
	if err != nil {
		return pay.Finding{}, false
	}
	switch a.Status {
	case http.StatusOK:
		f, ok := r.execution(v)
		return f, ok && f.Outcome != pay.Declined // a decline is 402
	case http.StatusPaymentRequired:
		f, ok := r.execution(v)
		return f, ok && f.Outcome == pay.Declined
	default:
		f, ok := refusalOf(v)
		return f, ok && a.Status >= 400 && r.isOurs(v)
	}
}

// isOurs says whether an error is about the operation that was asked for. One
// that is not may have been meant for somebody who had the connection before, or
// be about the connection itself: it was written without the request being read.
func (r reader) isOurs(v jcs.Value) bool { return text(v, "operation") == r.call.Operation }

// refusalOf reads an error: the send did nothing. One that came too late was not
// wrong by itself.
func refusalOf(v jcs.Value) (pay.Finding, bool) {
	e, _ := v.Member("error")
	code, message := text(e, "code"), text(e, "message")
	if code == codeTooLate {
		return pay.Finding{Reach: pay.TooLate}, true
	}
	return pay.Finding{Reach: pay.Refused, Failure: pay.Failure{
		Code: "gateway_rejected", DeclineCode: gateway.Clean(code, maxCode), Message: gateway.Clean(message, maxMessage),
	}}, isName(code) && message != ""
}

// checked reads the answer to a check.
func (r reader) checked(a gateway.Answer) (pay.Finding, bool) {
	v, err := jcs.Parse(a.Body, answerLimits)
	if err != nil {
		return pay.Finding{}, false
	}
	switch a.Status {
	case http.StatusOK:
		return r.executions(v)
	case http.StatusNotFound:
		return r.absent(v)
	default:
		return pay.Finding{}, false
	}
}

// absent reads that there is no such operation. A gateway that tells its lag has
// to tell it here, or nothing is proven.
func (r reader) absent(v jcs.Value) (pay.Finding, bool) {
	e, _ := v.Member("error")
	lag, told := integer(v, "lag_ms", int64(maxPeriod/time.Millisecond))
	return pay.Finding{Absent: true, Lag: time.Duration(lag) * time.Millisecond},
		text(e, "code") == "not_found" && r.isOurs(v) && (told || !r.contract.LagKnown)
}

// executions reads what became of the operation, which can have been executed
// more than once.
func (r reader) executions(v jcs.Value) (pay.Finding, bool) {
	list, _ := v.Member("executions")
	if text(v, "operation") != r.call.Operation || list.Len() == 0 {
		return pay.Finding{}, false
	}
	var all []pay.Finding
	for _, e := range list.Elements() {
		f, ok := r.execution(e)
		if !ok {
			return pay.Finding{}, false
		}
		all = append(all, f)
	}
	return r.together(all), true
}

// together is what several executions come to. One that moved money counts before
// one that may yet, and that before one which was declined. Two that moved money
// are one too many.
func (r reader) together(all []pay.Finding) pay.Finding {
	best, moved := all[0], int64(0)
	times := 0
	for _, f := range all {
		if weight[f.Outcome] > weight[best.Outcome] {
			best = f
		}
		if f.Outcome == pay.Done {
			times++
			if f.Currency == r.call.Currency {
				moved += f.Amount
			}
		}
	}
	if times > 1 && r.call.Kind != pay.Void { // to give up twice moves nothing
		best.Outcome, best.Amount, best.Currency = pay.Conflict, moved, r.call.Currency
		best.Detail = fmt.Sprintf("it was executed %d times", times)
	}
	return best
}

var weight = [...]int{pay.Unknown: 0, pay.Declined: 1, pay.ActionRequired: 2, pay.Done: 3, pay.Conflict: 4}

// execution reads one execution of the operation.
func (r reader) execution(v jcs.Value) (pay.Finding, bool) {
	amount, ok := integer(v, "amount", pay.MaxAmount)
	currency, err := money.ParseCurrency(text(v, "currency"))
	id := text(v, "gateway_id")
	if !ok || err != nil || !isName(id) || text(v, "operation") != r.call.Operation || text(v, "kind") != r.call.Kind.String() {
		return pay.Finding{}, false
	}
	f := pay.Finding{GatewayID: id}
	charges := r.call.Kind == pay.Charge || r.call.Kind == pay.Authorize
	switch text(v, "status") {
	case statusSucceeded:
		f.Outcome, f.Amount, f.Currency = pay.Done, amount, currency
	case statusRequiresAction:
		f.Outcome, f.Amount, f.Currency, f.ActionURL = pay.ActionRequired, amount, currency, text(v, "action_url")
		return f, charges && isWebURL(f.ActionURL) && len(f.ActionURL) <= maxText
	case statusDeclined:
		f.Outcome, f.Failure = pay.Declined, declined(text(v, "decline_code"), text(v, "message"))
	default:
		return pay.Finding{}, false
	}
	if r.call.Kind == pay.Void {
		f.Amount = 0 // what was given up was never taken
	}
	return f, true
}

// declined is why a bank said no.
func declined(code, message string) pay.Failure {
	return pay.Failure{Code: "card_declined", DeclineCode: gateway.Clean(code, maxCode), Message: gateway.Clean(message, maxMessage)}
}

// Bounds of what is kept of a gateway's words, in characters.
const (
	maxCode    = 64
	maxMessage = 500
)

// text is a member that is a string, or "".
func text(v jcs.Value, name string) string {
	m, _ := v.Member(name)
	s, _ := m.Text()
	return s
}

// integer is a member that is a whole number from 0 to most.
func integer(v jcs.Value, name string, most int64) (int64, bool) {
	m, _ := v.Member(name)
	n, err := strconv.ParseInt(string(m.Raw()), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, false
	}
	return n, true
}

// maxPeriod bounds the periods of a contract: longer than anybody keeps an id.
const maxPeriod = 10 * 365 * 24 * time.Hour

// atOnce is what a declared lag or flight of no time at all is read as: to
// pay.Contract a zero is one that was not declared, and means 15 minutes.
const atOnce = time.Nanosecond

// readContract reads what the sandbox declares. Each member must be there: what
// was left out by mistake must not become a promise, nor a default.
func readContract(a gateway.Answer) (pay.Contract, bool) {
	v, err := jcs.Parse(a.Body, answerLimits)
	if err != nil || a.Status != http.StatusOK {
		return pay.Contract{}, false
	}
	good := true
	period := func(name string) time.Duration {
		ms, ok := integer(v, name, int64(maxPeriod/time.Millisecond))
		good = good && ok
		return time.Duration(ms) * time.Millisecond
	}
	bound := func(name string) time.Duration { return max(period(name), atOnce) }
	flag := func(name string) bool {
		m, _ := v.Member(name)
		good = good && m.Kind() == jcs.Bool
		return string(m.Raw()) == "true"
	}
	captures := text(v, "captures")
	c := pay.Contract{
		Window: period("window_ms"), LookupLag: bound("lookup_lag_ms"), InFlight: bound("in_flight_ms"), Timeout: period("timeout_ms"),
		Lookup: flag("lookup"), LagKnown: flag("lag_known"), PartialCapture: flag("partial_capture"), ManyCaptures: captures == "many",
	}
	return c, good && (captures == "many" || captures == "one")
}
