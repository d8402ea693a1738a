package sandbox

import (
	"cmp"
	"net/http"
	"time"
)

// An outcome is what came of a send: an execution, a refusal, or neither.
type outcome struct {
	fault     Fault
	scripted  bool // a Script asked for the fault
	execution *execution
	refusal   *refusal
}

// arrive counts a send and chooses what goes wrong with it.
func (s *Server) arrive(t *tx, in *instruction, o *outcome) error {
	op, err := t.countSend(in.operation)
	if err != nil {
		return err
	}
	options, err := t.optionsOf(in)
	if err != nil {
		return err
	}
	name := chosen(in, options)
	o.fault, o.scripted = s.cfg.Script.pick(arrival{Send, in.kind, name, in.operation, in.payment, op.sends})
	if !o.scripted {
		o.fault = behaviours[name].at(op.sends)
	}
	return nil
}

// execute does what a send asks: nothing if it is lost, nothing more if it is a
// repeat, or else what the rules allow.
func (s *Server) execute(t *tx, in *instruction, o *outcome) error {
	if o.fault.Skip {
		return nil
	}
	now := s.cfg.Now()
	op, err := t.recall(in.operation)
	if err != nil {
		return err
	}
	if op.remembers(now, s.cfg.Window) {
		if !op.matches(in) {
			o.refusal = refused(http.StatusConflict, "idempotency_key_reused", "the id was used for another body")
			return nil
		}
		o.execution, err = t.execution(op.execution)
		return err
	}
	if in.isLate(now) && !o.scripted {
		o.refusal = tooLate(in.notAfter)
		return nil
	}
	e := in.execution(o.fault, now)
	if o.refusal, err = s.perform(t, in, e); err != nil || o.refusal != nil {
		return err
	}
	if err := t.record(in, e, o.fault.Webhooks); err != nil {
		return err
	}
	o.execution = e
	return nil
}

// isLate says whether an instruction may not be executed any more.
func (in *instruction) isLate(now time.Time) bool {
	return !in.notAfter.IsZero() && now.After(in.notAfter)
}

// execution is what an instruction becomes, if nothing is against it.
func (in *instruction) execution(f Fault, now time.Time) *execution {
	e := &execution{
		operation: in.operation, kind: in.kind, payment: in.payment, target: in.target,
		amount: cmp.Or(f.Amount, in.amount), currency: cmp.Or(f.Currency, in.currency), status: statusSucceeded,
		asked: asked{
			in.paymentMethod, in.options, in.returnURL, in.reference, in.customer,
			in.description, in.statementDescriptor, in.notifyURL, in.notifySecret,
		},
		at: now, visibleAt: now.Add(f.Lag),
	}
	switch {
	case f.Decline != "":
		e.status, e.declineCode = statusDeclined, f.Decline
	case f.Action && e.isCharge():
		e.status = statusRequiresAction
	case in.kind == kindCharge:
		e.captured, e.closed = e.amount, true
	}
	return e
}

// record writes an execution and all that follows from it.
func (t *tx) record(in *instruction, e *execution, w Webhooks) error {
	if err := t.insert(e); err != nil {
		return err
	}
	if err := t.remember(in, e); err != nil {
		return err
	}
	if e.status == statusRequiresAction {
		if err := t.exec(`INSERT INTO actions (gateway_id, outcome) VALUES (?, '')`, e.gatewayID); err != nil {
			return err
		}
	}
	return t.announce(e, w)
}
