package web

import (
	"errors"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// payOrder makes the job of a request about a payment. One that is over the
// tenant's rate, or whose body is wrong, begins nothing; but a repeat of one that
// is at work is told how far that is.
func (x *exchange) payOrder(o *order, key string, body jcs.Value) {
	within := x.caller.tenant.take()
	o.RequestID = x.id
	if o.form.object(body) {
		o.Payment = o.op.pay(&o.form, x.ask(key), body)
	}
	switch issues := o.form.issues; {
	case len(issues) > 0:
		o.Payment, o.instead = held{key: o.Request.Key}, invalid.find().answer(x.id, summary(issues), issues)
	case !within:
		o.Payment, o.instead = held{o.Payment, o.Request.Key}, x.overRate()
	}
}

// held is a command that begins nothing: it is decided only for a request that
// began before, under the key.
type held struct {
	pay.Command // nil: it cannot be decided at all
	key         once.Key
}

// Needs names what the command needs, if there is one.
func (h held) Needs(b *pay.Book) {
	if h.Command != nil {
		h.Command.Needs(b)
	}
}

// Decide refuses with notStored what did not begin.
func (h held) Decide(b *pay.Book, m ledger.Moment) (pay.Result, error) {
	if s := b.Keys[h.key].State; h.Command != nil && (s == once.Claimed || s == once.Unknown) {
		return h.Command.Decide(b, m)
	}
	return pay.Result{}, notStored
}

// payOutcome puts the answer in that a request gets which began nothing.
func (x *exchange) payOutcome(o *order, came engine.Outcome) engine.Outcome {
	if came.Err == nil && came.Answer.Status == 0 {
		came.Answer = o.instead
	}
	x.countPayment(came, o.op.verb)
	return came
}

// settled waits until a payment is no longer at work, as long as p lasts, and
// returns what has become of the job by then. What it was told last is how things
// are now: whatever changes the payment closes Changed.
func (x *exchange) settled(p *patience, j *engine.Job, o engine.Outcome) engine.Outcome {
	for o.Interim && p.sees(o.Changed, x.api.enough) {
		switch next := x.api.executor.Do(p, j); {
		case next.Err == nil:
			o = next
		case errors.Is(next.Err, engine.ErrOverloaded) && p.pause(crowd):
		default: // what began goes on, whatever keeps us from seeing it
			return o
		}
	}
	return o
}

// crowd is how long a request lets others go first that were woken with it: all
// who wait for one payment wake at once.
const crowd = 25 * time.Millisecond

// sees waits until c is closed, and reports whether it is. It waits until enough
// is closed at most.
func (p *patience) sees(c, enough <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-enough:
		return false
	case <-p.done:
		return false
	}
}

// pause lets time pass, and reports whether there is patience left.
func (p *patience) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.done:
		return false
	}
}
