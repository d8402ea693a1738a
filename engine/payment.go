package engine

import (
	"errors"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// decidePayment decides a job about a payment. Where its work leaves the house
// there is no answer yet: the key is claimed, and completed by the command that
// brings the outcome. A repeat meanwhile is decided like the first request; the
// command sees from the claim what that has made.
func (s *Step) decidePayment(b *batch, j *Job) Outcome {
	var rec once.Record
	fresh := false
	if j.keyed() {
		v := s.verdict(b.key(j), j)
		if v.Action == once.Replay || v.Action == once.Refuse {
			return told(v)
		}
		rec, fresh = v.Record, v.Action == once.Execute
	}
	r, refusal := s.pay(b, j)
	o := Outcome{ExpiresAt: rec.ExpiresAt}
	switch {
	case refusal != nil:
		o.Stored = refusal.Code.Final()
	case r.Interim:
		o.Interim, o.Resource, o.Began = true, r.Payment.Ref, fresh
		o.writes, o.version = b.book.Writes(r.Payment.Ref), r.Payment.Version
	default:
		o.Stored = true
	}
	if r.Verb != 0 || refusal != nil {
		o.Answer = s.cfg.Render(pay.Reply{Result: r, Refusal: refusal, RequestID: j.RequestID})
	}
	if o.Stored = o.Stored && j.keyed(); o.Stored {
		b.complete(rec, r.ResourceID(), o.Answer, s.until(rec.Key))
		o.ExpiresAt = b.key(j).ExpiresAt
		o.Replayed = !fresh // a repeat of one that was told to come again
	} else if o.Interim && fresh {
		rec.Resource = r.ResourceID()
		b.book.WriteKey(rec)
	}
	return o
}

// pay lets the command decide, and completes the keys that waited for that.
func (s *Step) pay(b *batch, j *Job) (pay.Result, *ledger.Refusal) {
	r, err := j.Payment.Decide(b.book, s.moment())
	if err != nil {
		var refusal *ledger.Refusal
		if !errors.As(err, &refusal) {
			panic(err) // a command returns refusals and nothing else: decideAll catches it
		}
		return pay.Result{}, refusal
	}
	if r.Order != nil {
		b.orders = append(b.orders, r.Order)
	}
	for _, a := range r.Answers {
		s.answerLate(b, r, a)
	}
	return r, nil
}

// answerLate completes a key whose work has come to an end.
func (s *Step) answerLate(b *batch, r pay.Result, a pay.Answer) {
	rec := b.book.Key(a.Key)
	if rec.State != once.Claimed && rec.State != once.Unknown {
		return
	}
	result := pay.Result{Verb: a.Verb, Payment: r.Payment, Operation: a.Operation}
	answer := s.cfg.Render(pay.Reply{Result: result, RequestID: a.Operation.RequestID})
	b.complete(rec, rec.Resource, answer, s.until(a.Key))
}

// until is when the window of a key that is answered now is over.
func (s *Step) until(k once.Key) time.Time { return s.clock.Add(s.cfg.Rules(k.Tenant).Window) }
