package web

import (
	"cmp"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// operation is something that a keyed request can have done.
type operation struct {
	name   string // what it is called in a key's record
	status int    // of the answer when it was done
	place  string // Location of what was made is this and its id; "": nothing was made

	// read makes the command. What is wrong with the body goes to the form.
	read func(f *form, tenant, id string, body jcs.Value) ledger.Command

	// pay is read for a payment, whose answer is rendered by RenderPayment; verb is
	// what the metrics call it.
	pay  func(f *form, a asked, body jcs.Value) pay.Command
	verb string
}

// order is one request as a job for the executor, and how it is answered.
type order struct {
	engine.Job
	form      form
	op        *operation
	requestID string
	instead   once.Answer // given if the key is not known: the request is refused
}

// execute answers a keyed request. The order of what is checked is the
// contract's: the key is looked up before the body is validated by meaning and
// before any load is shed.
func (x *exchange) execute(op *operation) {
	o := x.readOrder(op)
	if o == nil {
		return
	}
	most := x.keepsTo()
	o.NoWait = most == 0
	came := x.do(&o.Job, most)
	if op.pay != nil {
		came = x.payOutcome(o, came)
	}
	x.answer(came)
}

// readOrder makes a job of the request. If there is none to make, it has
// answered. What it borrows is given back before anybody waits.
func (x *exchange) readOrder(op *operation) *order {
	key, wrong := readKey(x.r.Header)
	if wrong != nil {
		x.refuse(wrong.code, wrong.detail)
		return nil
	}
	if x.hasQuery() {
		return nil
	}
	s := x.api.borrow()
	defer x.api.giveBack(s)
	body, bad := x.readBody(s, oneBody)
	if bad != nil {
		x.refuseBody(bad)
		return nil
	}
	s.out = body.AppendCanonical(s.out[:0])
	return x.order(op, key, x.caller.tenant.fingerprint(x.r.Method, x.r.URL.Path, s.out), body)
}

// order makes a job of a request. A body that is wrong, and a request over the
// tenant's rate, become a command that is always refused: its key is looked up
// first all the same.
func (x *exchange) order(op *operation, key string, fp once.Fingerprint, body jcs.Value) *order {
	t := x.caller.tenant
	o := &order{op: op, requestID: x.id}
	o.Tenant = t.id
	o.Request = once.Request{Key: once.Key{Tenant: t.id, ID: key}, Fingerprint: fp, Operation: op.name}
	if op.pay != nil {
		x.payOrder(o, key, body)
		return o
	}
	o.Reply = o.reply
	if !t.take() {
		o.refuse(x.overRate())
	} else if o.form.object(body) {
		o.Command = op.read(&o.form, t.id, x.r.PathValue("id"), body)
	}
	if issues := o.form.issues; len(issues) > 0 {
		o.refuse(invalid.find().answer(x.id, summary(issues), issues))
	}
	return o
}

// refuse has o answered like this, unless its key is known.
func (o *order) refuse(a once.Answer) {
	o.instead, o.Command = a, ledger.Refused(notStored)
}

// notStored is a refusal that is not kept under the key.
var notStored = &ledger.Refusal{Code: ledger.Invalid}

// reply renders the answer.
func (o *order) reply(done ledger.Result, refused *ledger.Refusal) once.Answer {
	switch {
	case refused == notStored:
		return o.instead
	case refused != nil:
		return refusalAnswer(refused, o.requestID)
	default:
		return o.op.answer(done)
	}
}

func (op *operation) answer(done ledger.Result) once.Answer {
	a := once.Answer{Status: op.status, Header: jsonHeader, Body: appendResult(make([]byte, 0, 384), done)}
	if op.place != "" {
		a.Header = []once.Field{jsonHeader[0], {Name: "Location", Value: op.place + done.ID()}}
	}
	return a
}

func appendResult(b []byte, r ledger.Result) []byte {
	if r.Account != nil {
		return r.Account.AppendJSON(b)
	}
	return r.Transfer.AppendJSON(b)
}

// refusalAnswer is a refusal of the ledger as a problem.
func refusalAnswer(r *ledger.Refusal, requestID string) once.Answer {
	var issues []issue
	if r.Field != "" {
		issues = []issue{{pointer: r.Field, detail: sentence(r.Detail)}}
	}
	return code(r.Code).find().answer(requestID, sentence(r.Detail), issues)
}

// do has a job done, and waits for it. A request that does not want to wait for
// others (Job.NoWait) still waits for its own execution, a commit's time.
func (x *exchange) do(j *engine.Job, most time.Duration) engine.Outcome {
	p := x.api.wait(x.r.Context(), cmp.Or(most, DefaultWait))
	defer p.giveBack()
	o := x.api.executor.Do(p, j)
	if o.Interim && most > 0 {
		o = x.settled(p, j, o)
	}
	return x.asItIs(o)
}

// answer sends what became of a job.
func (x *exchange) answer(o engine.Outcome) {
	if o.Err != nil {
		o.Answer = x.failedAnswer(o.Err)
	}
	x.expires(x.expiry(o))
	if o.Replayed {
		x.set("Idempotency-Replayed", "true")
	}
	x.send(o.Answer)
}

// expiry is until when a key is kept. Where the executor did not come to look,
// it would be kept from now on.
func (x *exchange) expiry(o engine.Outcome) time.Time {
	if o.ExpiresAt.IsZero() {
		return x.api.now().Add(x.api.rules(x.caller.tenant.id).Window)
	}
	return o.ExpiresAt
}

// failedAnswer is the answer to a job that has none.
func (x *exchange) failedAnswer(err error) once.Answer {
	c, detail := x.refusal(err)
	return c.find().answer(x.id, detail, nil)
}
