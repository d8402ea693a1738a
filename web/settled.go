package web

import (
	"errors"
	"strings"
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
	if s := b.Key(h.key).State; h.Command != nil && (s == once.Claimed || s == once.Unknown) {
		return h.Command.Decide(b, m)
	}
	return pay.Result{}, notStored
}

// payOutcome puts the answer in that a request gets which began nothing.
func (x *exchange) payOutcome(o *order, came engine.Outcome) engine.Outcome {
	if came.Err == nil && came.Answer.Status == 0 {
		came.Answer = o.instead
	}
	if r, ok := o.Payment.(*pay.Resolution); ok && came.Err == nil && r.Decided != "" {
		LogResolved(x.api.log, r)
	}
	x.countPayment(came, o.op.verb)
	return came
}

// settled waits until a payment is no longer at work, as long as p lasts, and
// returns what has become of the job by then. Whatever changes the payment closes
// Changed; who cannot ask again after that is out of date: see asItIs.
func (x *exchange) settled(p *patience, j *engine.Job, o engine.Outcome) engine.Outcome {
	crowded := firstCrowd
	for o.Interim && p.sees(o.Changed, x.api.enough) {
		switch next := x.api.executor.Do(p, j); {
		case next.Err == nil:
			o, crowded = next, firstCrowd
		case isCrowd(next.Err) && p.pause(crowded, x.api.enough):
			crowded = min(2*crowded, lastCrowd)
		default: // what began goes on, whatever keeps us from seeing it
			return o
		}
	}
	return o
}

// isCrowd says whether there was no place for a request that was woken with others:
// in the queue, or among those who may wait for one key.
func isCrowd(err error) bool {
	return errors.Is(err, engine.ErrOverloaded) || errors.Is(err, engine.ErrInProgress)
}

// How long a request lets others go first that were woken with it: all who wait for
// one payment wake at once. The longer there is no place, the longer, since each
// look costs the others some of their time.
const (
	firstCrowd = 25 * time.Millisecond
	lastCrowd  = 250 * time.Millisecond
)

// asItIs returns an outcome that is the final one, or shows the payment as it is
// now: it may have changed since the job was told, and there is no patience left,
// or none was asked for. Who repeats the request gets the final answer.
func (x *exchange) asItIs(o engine.Outcome) engine.Outcome {
	if !o.Interim || !isClosed(o.Changed) {
		return o
	}
	p, err := x.api.store.Payment(x.r.Context(), o.Resource)
	if err != nil || p == nil { // what it was told is still true of a moment ago
		return o
	}
	o.Answer.Body = p.AppendJSON(nil)
	for _, f := range o.Answer.Header {
		if id, refund := strings.CutPrefix(f.Value, refundPath+"/"); refund {
			o.Answer.Body = p.AppendRefund(nil, p.Operation(id))
		}
	}
	return o
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// sees waits until c is closed, and reports whether it is. It waits until enough
// is closed at most.
func (p *patience) sees(c, enough <-chan struct{}) bool {
	if isClosed(c) {
		return true
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

// pause lets time pass, and reports whether there is patience left. There is none
// once enough is closed.
func (p *patience) pause(d time.Duration, enough <-chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-enough:
		return false
	case <-p.done:
		return false
	}
}
