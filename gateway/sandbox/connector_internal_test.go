package sandbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
	"github.com/oncepay/oncepay/pay"
)

const done = `"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"EUR"`

var (
	oneCall = pay.Call{Operation: "att_1", Kind: pay.Charge, Payment: "pay_1", Amount: 1250, Currency: "EUR"}
	wasDone = pay.Finding{Outcome: pay.Done, Amount: 1250, Currency: "EUR", GatewayID: "ch_1"}
	unread  = pay.Finding{}
)

// of is the call for another kind of operation.
func of(kind pay.Kind) pay.Call {
	c := oneCall
	c.Kind = kind
	return c
}

// said is what a reader reads, or nothing.
func said(read gateway.Reader, a gateway.Answer) pay.Finding {
	if f, ok := read(a); ok {
		return f
	}
	return unread
}

// What an answer to a send means: what it says in each point, or nothing.
func TestAnswerToSend(t *testing.T) {
	for _, row := range []struct {
		name   string
		call   pay.Call
		status int
		body   string
		want   pay.Finding
	}{
		{"a charge that was carried out", oneCall, 200, `{` + done + `}`, wasDone},
		{"one with members that are new", oneCall, 200, `{` + done + `,"colour":"red"}`, wasDone},
		{"one of another amount is told as it is", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1249,"currency":"USD"}`,
			pay.Finding{Outcome: pay.Done, Amount: 1249, Currency: "USD", GatewayID: "ch_1"}},
		{"an authorization", of(pay.Authorize), 200, `{"operation":"att_1","kind":"authorize","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, wasDone},
		{"a capture", of(pay.Capture), 200, `{"operation":"att_1","kind":"capture","status":"succeeded","gateway_id":"cp_1","amount":1250,"currency":"EUR"}`,
			pay.Finding{Outcome: pay.Done, Amount: 1250, Currency: "EUR", GatewayID: "cp_1"}},
		{"a refund", of(pay.Refund), 200, `{"operation":"att_1","kind":"refund","status":"succeeded","gateway_id":"rf_1","amount":1250,"currency":"EUR"}`,
			pay.Finding{Outcome: pay.Done, Amount: 1250, Currency: "EUR", GatewayID: "rf_1"}},
		{"a void moves nothing, whatever it gave up", of(pay.Void), 200, `{"operation":"att_1","kind":"void","status":"succeeded","gateway_id":"vo_1","amount":1250,"currency":"EUR"}`,
			pay.Finding{Outcome: pay.Done, Currency: "EUR", GatewayID: "vo_1"}},
		{"a customer must act", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"requires_action","gateway_id":"ch_1","amount":1250,"currency":"EUR","action_url":"http://127.0.0.1/a"}`,
			pay.Finding{Outcome: pay.ActionRequired, Amount: 1250, Currency: "EUR", GatewayID: "ch_1", ActionURL: "http://127.0.0.1/a"}},
		{"a decline", oneCall, 402, `{"operation":"att_1","kind":"charge","status":"declined","gateway_id":"ch_1","amount":1250,"currency":"EUR","decline_code":"insufficient_funds","message":"No."}`,
			pay.Finding{Outcome: pay.Declined, GatewayID: "ch_1", Failure: pay.Failure{Code: "card_declined", DeclineCode: "insufficient_funds", Message: "No."}}},
		{"a refusal", oneCall, 422, `{"operation":"att_1","error":{"code":"no_such_charge","message":"There is none."}}`,
			pay.Finding{Reach: pay.Refused, Failure: pay.Failure{Code: "gateway_rejected", DeclineCode: "no_such_charge", Message: "There is none."}}},
		{"one that came too late", oneCall, 412, `{"operation":"att_1","error":{"code":"too_late","message":"It could be executed until noon."}}`, pay.Finding{Reach: pay.TooLate}},

		{"a decline that is a success", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"declined","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"a success that is a decline", oneCall, 402, `{` + done + `}`, unread},
		{"a success that is a refusal", oneCall, 422, `{` + done + `}`, unread},
		{"a success that is merely accepted", oneCall, 202, `{` + done + `}`, unread},
		{"a refusal of another operation", oneCall, 422, `{"operation":"att_2","error":{"code":"no_such_charge","message":"There is none."}}`, unread},
		{"one of another operation that came too late", oneCall, 412, `{"operation":"att_2","error":{"code":"too_late","message":"It could be executed until noon."}}`, unread},
		{"a refusal of nothing in particular", oneCall, 429, `{"error":{"code":"overloaded","message":"Too much."}}`, unread},
		{"a refusal that was on its way before the request was", oneCall, 400, `{"error":{"code":"bad_request","message":"No request came in time."}}`, unread},
		{"a refusal without a code", oneCall, 422, `{"operation":"att_1","error":{"message":"no"}}`, unread},
		{"a refusal without words", oneCall, 422, `{"operation":"att_1","error":{"code":"no"}}`, unread},
		{"a refusal of another shape", oneCall, 404, `{"message":"not found"}`, unread},
		{"another operation's answer", oneCall, 200, `{"operation":"att_2","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"another kind", oneCall, 200, `{"operation":"att_1","kind":"authorize","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"a status nobody knows", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"pending","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"no gateway id", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","amount":1250,"currency":"EUR"}`, unread},
		{"a gateway id that is none", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch 1\n","amount":1250,"currency":"EUR"}`, unread},
		{"an amount with a point", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1250.0,"currency":"EUR"}`, unread},
		{"an amount with an exponent", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1.25e3,"currency":"EUR"}`, unread},
		{"an amount that is a string", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":"1250","currency":"EUR"}`, unread},
		{"an amount below zero", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":-1250,"currency":"EUR"}`, unread},
		{"an amount above every payment", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1000000000000,"currency":"EUR"}`, unread},
		{"no amount", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","currency":"EUR"}`, unread},
		{"a currency that is none", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"eur"}`, unread},
		{"an action without a page", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"requires_action","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"an action that is a script", oneCall, 200, `{"operation":"att_1","kind":"charge","status":"requires_action","gateway_id":"ch_1","amount":1250,"currency":"EUR","action_url":"javascript:alert(1)"}`, unread},
		{"an action for a refund", of(pay.Refund), 200, `{"operation":"att_1","kind":"refund","status":"requires_action","gateway_id":"rf_1","amount":1250,"currency":"EUR","action_url":"http://127.0.0.1/a"}`, unread},
		{"a member twice", oneCall, 200, `{` + done + `,"status":"succeeded"}`, unread},
		{"names in capitals", oneCall, 200, `{"Operation":"att_1","KIND":"charge","Status":"succeeded","Gateway_ID":"ch_1","Amount":1250,"Currency":"EUR"}`, unread},
		{"something behind it", oneCall, 200, `{` + done + `}{}`, unread},
		{"half of it", oneCall, 200, `{` + done, unread},
		{"a list", oneCall, 200, `[{` + done + `}]`, unread},
		{"nothing", oneCall, 200, ``, unread},
		{"null", oneCall, 200, `null`, unread},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := said(reader{call: &row.call}.sent, gateway.Answer{Left: true, Status: row.status, Body: []byte(row.body)})
			if got.Detail = ""; got != row.want {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

// execution is one of an operation of a kind.
func executed(kind, status, id string, amount int64, currency string) string {
	return fmt.Sprintf(`{"operation":"att_1","kind":%q,"status":%q,"gateway_id":%q,"amount":%d,"currency":%q,"action_url":"http://127.0.0.1/a","decline_code":"x","message":"No."}`,
		kind, status, id, amount, currency)
}

func TestAnswerToCheck(t *testing.T) {
	why := pay.Failure{Code: "card_declined", DeclineCode: "x", Message: "No."}
	one := executed("charge", "succeeded", "ch_1", 1250, "EUR")
	two := executed("charge", "succeeded", "ch_2", 1250, "EUR")
	acts := executed("charge", "requires_action", "ch_3", 1250, "EUR")
	acting := pay.Finding{Outcome: pay.ActionRequired, Amount: 1250, Currency: "EUR", GatewayID: "ch_3", ActionURL: "http://127.0.0.1/a"}
	no := executed("charge", "declined", "ch_0", 1250, "EUR")
	for _, row := range []struct {
		name string
		call pay.Call
		list string
		want pay.Finding
	}{
		{"one that was carried out", oneCall, one, wasDone},
		{"one that waits for its customer", oneCall, acts, acting},
		{"one that was declined", oneCall, no, pay.Finding{Outcome: pay.Declined, GatewayID: "ch_0", Failure: why}},
		{"two that moved money", oneCall, one + "," + two, pay.Finding{Outcome: pay.Conflict, Amount: 2500, Currency: "EUR", GatewayID: "ch_1"}},
		{"two that moved money, of which one is in another currency", oneCall, one + "," + executed("charge", "succeeded", "ch_2", 900, "USD"),
			pay.Finding{Outcome: pay.Conflict, Amount: 1250, Currency: "EUR", GatewayID: "ch_1"}},
		{"two refunds", of(pay.Refund), executed("refund", "succeeded", "rf_1", 100, "EUR") + "," + executed("refund", "succeeded", "rf_2", 100, "EUR"),
			pay.Finding{Outcome: pay.Conflict, Amount: 200, Currency: "EUR", GatewayID: "rf_1"}},
		{"two that gave up the same", of(pay.Void), executed("void", "succeeded", "vo_1", 1250, "EUR") + "," + executed("void", "succeeded", "vo_2", 1250, "EUR"),
			pay.Finding{Outcome: pay.Done, Currency: "EUR", GatewayID: "vo_1"}},
		{"one that was declined, and one that was not", oneCall, no + "," + one, wasDone},
		{"one that moved money, and one that may yet", oneCall, acts + "," + one, wasDone},
		{"one that was declined, and one that may yet move money", oneCall, no + "," + acts, acting},
		{"two that were declined", oneCall, no + "," + executed("charge", "declined", "ch_9", 1250, "EUR"), pay.Finding{Outcome: pay.Declined, GatewayID: "ch_0", Failure: why}},
		{"one that cannot be read, beside one that can", oneCall, one + `,{"operation":"att_1"}`, unread},
		{"one of another operation", oneCall, one + `,{"operation":"att_2","kind":"charge","status":"succeeded","gateway_id":"ch_1","amount":1250,"currency":"EUR"}`, unread},
		{"none", oneCall, "", unread},
	} {
		t.Run(row.name, func(t *testing.T) {
			body := `{"operation":"att_1","executions":[` + row.list + `],"lag_ms":0}`
			got := said(reader{call: &row.call}.checked, gateway.Answer{Left: true, Status: 200, Body: []byte(body)})
			if got.Detail = ""; got != row.want {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestAbsence(t *testing.T) {
	known := pay.Contract{LagKnown: true}
	for _, row := range []struct {
		name     string
		contract pay.Contract
		status   int
		body     string
		want     pay.Finding
	}{
		{"nothing, and all was seen", known, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":0}`, pay.Finding{Absent: true}},
		{"nothing, and the last seconds were not seen", known, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":3000}`, pay.Finding{Absent: true, Lag: 3 * time.Second}},
		{"nothing, and no word of what was not seen", known, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"}}`, unread},
		{"the same where that is not promised", pay.Contract{}, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"}}`, pay.Finding{Absent: true}},
		{"a lag below zero", known, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":-1}`, unread},
		{"a lag of ages", known, 404, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":9223372036854775807}`, unread},
		{"nothing of another operation", known, 404, `{"operation":"att_2","error":{"code":"not_found","message":"x"},"lag_ms":0}`, unread},
		{"nothing in particular", known, 404, `{"error":{"code":"not_found","message":"x"},"lag_ms":0}`, unread},
		{"another error", known, 404, `{"operation":"att_1","error":{"code":"no_such_route","message":"x"},"lag_ms":0}`, unread},
		{"a page", known, 404, `<html>`, unread},
		{"nothing, with another status", known, 400, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":0}`, unread},
		{"nothing, and a good status", known, 200, `{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":0}`, unread},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := said(reader{&oneCall, row.contract}.checked, gateway.Answer{Left: true, Status: row.status, Body: []byte(row.body)})
			if got.Detail = ""; got != row.want {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestContractIsWholeOrNone(t *testing.T) {
	whole := `"window_ms":86400000,"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true`
	want := pay.Contract{
		Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second,
		Timeout: 3 * time.Second, LagKnown: true, ManyCaptures: true, PartialCapture: true,
	}
	for _, row := range []struct {
		name   string
		status int
		body   string
		ok     bool
	}{
		{"all of it", 200, `{` + whole + `}`, true},
		{"with an error", 500, `{` + whole + `}`, false},
		{"without a window", 200, `{"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`, false},
		{"without its captures", 200, `{"window_ms":86400000,"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"partial_capture":true}`, false},
		{"with a window below zero", 200, `{"window_ms":-1,"lookup":true,"lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`, false},
		{"with a lookup that is a word", 200, `{"window_ms":86400000,"lookup":"yes","lookup_lag_ms":4000,"in_flight_ms":4000,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`, false},
		{"with a member twice", 200, `{` + whole + `,"window_ms":0}`, false},
		{"that is a page", 200, `<html>`, false},
	} {
		got, ok := readContract(gateway.Answer{Left: true, Status: row.status, Body: []byte(row.body)})
		if ok != row.ok || ok && got != want {
			t.Errorf("a contract %s: %v, %+v", row.name, ok, got)
		}
	}
}

// What is declared to take no time holds: it is not what a gateway stands for that
// declares nothing.
func TestNoTimeIsDeclaredToo(t *testing.T) {
	body := `{"window_ms":0,"lookup":true,"lookup_lag_ms":0,"in_flight_ms":0,"timeout_ms":3000,"lag_known":true,"captures":"many","partial_capture":true}`
	c, ok := readContract(gateway.Answer{Left: true, Status: 200, Body: []byte(body)})
	if !ok || c.Window != 0 || c.LookupLag <= 0 || c.LookupLag > time.Millisecond || c.InFlight <= 0 || c.InFlight > time.Millisecond {
		t.Errorf("%v, %+v", ok, c)
	}
}

// Whatever comes: nothing panics, nothing is done by an answer that does not name
// the operation, and nothing is more than a payment.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{`+done+`}`), false)
	f.Add(402, []byte(executed("charge", "declined", "ch_1", 1, "EUR")), false)
	f.Add(404, []byte(`{"operation":"att_1","error":{"code":"not_found","message":"x"},"lag_ms":0}`), true)
	f.Add(200, []byte(`{"operation":"att_1","executions":[{`+done+`},{`+done+`}]}`), true)
	f.Fuzz(func(t *testing.T, status int, body []byte, check bool) {
		a := gateway.Answer{Left: true, Status: status, Body: body}
		r := reader{&oneCall, pay.Contract{LagKnown: true}}
		got := said(r.sent, a)
		if check {
			got = said(r.checked, a)
		}
		switch {
		case got.Reach == pay.NeverLeft, got.Lag < 0, got.Amount < 0, got.Amount > pay.MaxAmount && got.Outcome != pay.Conflict:
			t.Errorf("%+v", got)
		case got.Outcome == pay.Done && (got.GatewayID == "" || got.Currency == ""):
			t.Errorf("%+v", got)
		case len(got.Detail) > 100 || len(got.Failure.Message) > 4*maxMessage:
			t.Errorf("%+v", got)
		}
	})
}
