package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oncepay/oncepay/once"
)

// finish answers a batch that is durable.
func (s *Step) finish(b *batch) {
	s.busy, s.last = nil, b.changes
	if !b.changes.Payments.Empty() {
		s.effects = append(s.effects, Effect{Durable: &Durable{Changes: b.changes, Orders: b.orders}})
	}
	s.answer(b)
}

func (s *Step) answer(b *batch) {
	for i, j := range b.jobs {
		o := b.outcomes[i]
		o.Outdated = o.Interim && b.book.Writes(o.Resource) > o.writes
		a := &Answered{Job: j, Outcome: o}
		if o.Stored {
			a.Record = b.key(j)
		}
		s.effects = append(s.effects, Effect{Answer: a})
		if j.keyed() {
			s.land(j, b.key(j), o)
		}
	}
}

// land ends a flight: its waiters get the answer that is now under the key, or
// learn with the job that led them how far the work has come. If there is
// neither, the first of them leads the others on.
func (s *Step) land(j *Job, rec once.Record, o Outcome) {
	key := j.Request.Key
	f := s.live[key]
	delete(s.live, key)
	for i, w := range f.waiters {
		if w == nil {
			f.gone--
			continue
		}
		v := s.verdict(rec, w)
		atWork := w.Payment != nil && (v.Action == once.Wait || v.Action == once.Recover)
		if v.Action == once.Execute || atWork && !o.Interim {
			s.live[key] = &flight{waiters: f.waiters[i+1:], gone: f.gone}
			s.queue.Push(w) // over the bound, if need be: it was accepted before
			return
		}
		same := told(v)
		if atWork {
			same = o
			same.Began = false
		}
		s.effects = append(s.effects, Effect{Answer: &Answered{Job: w, Outcome: same}})
	}
}

// again decides a batch again that was certainly not committed, in front of
// what came later, so that order is kept. Its tries are bounded.
func (s *Step) again(b *batch, err error) {
	s.busy = nil
	if b.tries++; b.tries >= s.cfg.MaxTries || !errors.Is(err, ErrConflict) {
		s.failBatch(b, fmt.Errorf("%w: %w", ErrUnavailable, err))
		return
	}
	s.reload(b)
}

// reload has a batch decided again, on rows that are loaded anew.
func (s *Step) reload(b *batch) {
	s.last = nil // fresh loads come after it; and who won may have had the store forget it
	fresh := newBatch()
	fresh.tries, fresh.wrong = b.tries, b.wrong
	for _, j := range b.jobs {
		fresh.add(j)
	}
	for _, j := range slices.Backward(s.next.jobs) {
		s.queue.PutBack(j) // a batch stays in its bounds, and fails for itself only
	}
	s.next, s.stale = fresh, s.loading
}

// failBatch answers all jobs of a batch, and those that wait for them, with err:
// nothing began.
func (s *Step) failBatch(b *batch, err error) {
	for _, j := range b.jobs {
		s.fail(j, err)
		if !j.keyed() {
			continue
		}
		f := s.live[j.Request.Key]
		delete(s.live, j.Request.Key)
		for _, w := range f.waiters {
			if w != nil {
				s.fail(w, err)
			}
		}
	}
}

func (s *Step) fail(j *Job, err error) {
	s.effects = append(s.effects, Effect{Answer: &Answered{Job: j, Outcome: s.cfg.failed(j, err, s.clock)}})
}

// failed is the outcome of a job that was not begun.
func (c *Config) failed(j *Job, err error, now time.Time) Outcome {
	o := Outcome{Err: err}
	if j.keyed() {
		o.ExpiresAt = now.Add(c.Rules(j.Request.Key.Tenant).Window)
	}
	return o
}
