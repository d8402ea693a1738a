package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// tellKnown answers jobs of the next batch whose key settles it: what is under
// it is durable, so there is nothing to wait for, and a commit that fails does
// not concern them.
func (s *Step) tellKnown(loaded []*Job) {
	var settled []*Job
	for _, j := range loaded {
		if !j.keyed() {
			continue
		}
		rec := s.next.key(j)
		if v := s.verdict(rec, j); v.Action == once.Replay || v.Action == once.Refuse {
			s.effects = append(s.effects, Effect{Answer: &Answered{Job: j, Outcome: told(v)}})
			s.land(j, rec, Outcome{})
			settled = append(settled, j)
		}
	}
	s.next.drop(settled)
	if len(s.next.jobs) == 0 {
		s.next = newBatch() // or what replays asked for would pile up, and grow old
	}
}

func (s *Step) verdict(rec once.Record, j *Job) once.Verdict {
	return once.Decide(rec, j.Request, s.clock, s.cfg.Rules(j.Request.Key.Tenant))
}

// decide decides the loaded batch, and has it committed if it wrote anything.
func (s *Step) decide() {
	b := s.next
	s.next = newBatch()
	if s.last != nil {
		b.book.CatchUp(s.last.Ledger)
		b.book.CatchUpPayments(s.last.Payments, s.last.Keys)
	}
	b.book.Reserve(s.seq)
	changes, err := s.decideAll(b)
	s.seq = b.book.NextEntry()
	s.alone = max(0, s.alone-1)
	if err != nil {
		s.isolate(b, err)
		return
	}
	if changes.empty() {
		s.answer(b)
		return
	}
	s.busy, b.changes = b, changes
	s.effects = append(s.effects, Effect{Commit: changes})
}

// decideAll decides the jobs of a batch. An error is a defect: a command that
// failed, or one that would lose or make money. Then nothing of the book may be
// written.
func (s *Step) decideAll(b *batch) (c *Changes, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrInternal, cause, debug.Stack())
		}
	}()
	for _, j := range b.jobs {
		b.outcomes = append(b.outcomes, s.decideJob(b, j))
	}
	c = &Changes{At: s.clock, Keys: b.book.WrittenKeys()}
	var wrong [2]error
	c.Ledger, wrong[0] = b.book.Changes()
	c.Payments, wrong[1] = b.book.PaymentChanges()
	if err = errors.Join(wrong[:]...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInternal, err)
	}
	return c, nil
}

// isolate keeps a request that has a defect from failing those that came with
// it: each job of the batch is decided again by itself, and the one that fails
// alone is told so. Where processes share the store, what one of them did between
// two loads looks like a defect, and is gone on rows that are loaded anew.
func (s *Step) isolate(b *batch, err error) {
	if len(b.jobs) == 1 {
		if b.wrong++; s.cfg.Shared && b.wrong < defectTries {
			s.alone++
			s.reload(b)
			return
		}
		s.failBatch(b, err)
		return
	}
	for _, j := range slices.Backward(b.jobs) {
		s.queue.PutBack(j)
	}
	s.alone += len(b.jobs)
}

// defectTries is how often a job is decided before its defect is believed. A job's
// rows change a few times in their lives, so a third of such races in a row is none.
const defectTries = 3

func (s *Step) decideJob(b *batch, j *Job) Outcome {
	if j.Payment != nil {
		return s.decidePayment(b, j)
	}
	if !j.keyed() {
		answer, _, _ := s.run(b, j)
		return Outcome{Answer: answer}
	}
	v := s.verdict(b.key(j), j)
	if v.Action != once.Execute {
		return told(v)
	}
	answer, resource, final := s.run(b, j)
	o := Outcome{Answer: answer, Stored: final, ExpiresAt: v.Record.ExpiresAt}
	if final {
		b.complete(v.Record, resource, answer, v.Record.ExpiresAt)
	}
	return o
}

// run lets the command decide and renders its answer. It reports whether the
// answer is final: an execution, or a refusal by the ledger's state.
func (s *Step) run(b *batch, j *Job) (a once.Answer, resource string, final bool) {
	result, err := j.Command.Decide(b.book.Book, s.moment())
	if err == nil {
		return j.Reply(result, nil), result.ID(), true
	}
	var refusal *ledger.Refusal
	if !errors.As(err, &refusal) {
		panic(err) // a command returns refusals and nothing else: decideAll catches it
	}
	return j.Reply(ledger.Result{}, refusal), "", refusal.Code.Final()
}

func (s *Step) moment() ledger.Moment { return ledger.Moment{Now: s.clock, IDs: s.ids} }

// told turns a verdict that runs nothing into an outcome.
func told(v once.Verdict) Outcome {
	switch o := (Outcome{ExpiresAt: v.Record.ExpiresAt}); v.Action {
	case once.Replay:
		o.Answer, o.Replayed = v.Record.Answer, true
		return o
	case once.Refuse:
		o.Err = v.Err
		return o
	default: // somebody else holds it, or must recover it
		o.Err = ErrInProgress
		return o
	}
}
