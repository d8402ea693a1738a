package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// entryBlock is how many sequence numbers are reserved at once: at least what
// the largest batch can use, so that most batches reserve nothing.
const entryBlock = 8192

// Step is the executor without its goroutines: told what happened, it says what
// to do. It reads no clock and no chance; the same inputs give the same effects.
// It is not safe for concurrent use.
//
// At most one load and one commit are on their way at a time. While a batch
// commits, the next one is loaded; it is decided when that commit is over.
type Step struct {
	cfg   Config
	clock time.Time
	ids   *id.Source

	queue fairQueue
	live  map[once.Key]*flight // keys of jobs that are queued, loaded or committing

	next    *batch // is being loaded
	loading bool   // a load is on its way
	stale   bool   // that load was for a batch that is no longer next
	busy    *batch // is being committed, or looked up after an unknown commit
	last    *batch // was committed last: newer than a load that began before it

	seq, seqEnd int64 // the next entry's number, and the first that is not ours

	effects []Effect
}

// flight is a key at work: the job that leads and those that wait for its
// answer. Waiters hold no place in the queue or in a batch.
type flight struct {
	waiters []*Job
	gone    int // waiters that left
}

// Effect is something to be done. Exactly one of its parts is set.
type Effect struct {
	Load    *Need    // load it, then call Loaded
	Commit  *Changes // commit it, then call Committed
	Resolve *Need    // load it, then call Resolved: a commit's outcome is unknown
	Answer  *Answered
}

// Answered is a job and its outcome.
type Answered struct {
	Job     *Job
	Outcome Outcome
	Record  once.Record // the record as committed, if the outcome is Stored
}

// NewStep makes a Step that has seen nothing.
func NewStep(cfg Config) *Step {
	cfg = cfg.withDefaults()
	return &Step{
		cfg: cfg, clock: cfg.Since, ids: id.NewSource(cfg.Seed),
		queue: newFairQueue(), live: map[once.Key]*flight{}, next: newBatch(),
	}
}

// Effects returns what is to be done, given all that it was told since the last
// call: jobs that came together are loaded together.
func (s *Step) Effects() []Effect {
	s.pump()
	e := s.effects
	s.effects = nil
	return e
}

// Idle says whether nothing is queued, loading or committing.
func (s *Step) Idle() bool {
	return s.queue.size == 0 && len(s.next.jobs) == 0 && s.busy == nil && !s.loading
}

// Queued returns how many jobs wait to be loaded.
func (s *Step) Queued() int { return s.queue.size }

// InProgress says whether a request with the key is at work.
func (s *Step) InProgress(k once.Key) bool { return s.live[k] != nil }

// Submit brings a job. A duplicate of a job at work waits for its answer.
func (s *Step) Submit(j *Job, now time.Time) {
	s.tick(now)
	if j.keyed() {
		if f := s.live[j.Request.Key]; f != nil {
			s.wait(f, j)
			return
		}
	}
	if s.queue.size >= s.cfg.MaxQueue || s.queue.of(j.Tenant) >= s.cfg.MaxTenantQueue {
		s.fail(j, ErrOverloaded)
		return
	}
	if j.keyed() {
		s.live[j.Request.Key] = &flight{}
	}
	s.queue.push(j)
}

func (s *Step) wait(f *flight, j *Job) {
	if j.NoWait || len(f.waiters)-f.gone >= s.cfg.MaxWaiters {
		s.fail(j, ErrInProgress)
		return
	}
	f.waiters = append(f.waiters, j)
}

// Leave has a waiting duplicate answered with ErrInProgress. A job that is not
// waiting for another is left alone: it goes on whether somebody waits or not.
func (s *Step) Leave(j *Job) {
	f := s.live[j.Request.Key]
	if f == nil {
		return
	}
	for i, w := range f.waiters {
		if w == j {
			f.waiters[i] = nil
			f.gone++
			s.fail(j, ErrInProgress)
			break
		}
	}
}

// Loaded brings the rows that the last Load asked for, or why there are none.
func (s *Step) Loaded(rows Rows, err error, now time.Time) {
	s.tick(now)
	stale := s.stale
	s.loading, s.stale = false, false
	if rows.FirstEntry > 0 {
		s.seq, s.seqEnd = rows.FirstEntry, rows.FirstEntry+entryBlock
	}
	switch {
	case stale: // the rows are for a book that was closed
	case err != nil:
		s.failBatch(s.next, ErrUnavailable)
		s.next = newBatch()
	default:
		s.next.fill(rows)
	}
}

// Committed tells how the last Commit ended.
func (s *Step) Committed(err error, now time.Time) {
	s.tick(now)
	switch b := s.busy; {
	case err == nil:
		s.finish(b)
	case errors.Is(err, ErrNotCommitted):
		s.again(b, err)
	default:
		s.effects = append(s.effects, Effect{Resolve: b.witnesses()})
	}
}

// Resolved brings the keys of a commit whose outcome was unknown: by them it is
// told whether it was made. An error asks again; the driver decides how often.
func (s *Step) Resolved(rows Rows, err error, now time.Time) {
	s.tick(now)
	switch b := s.busy; {
	case err != nil:
		s.effects = append(s.effects, Effect{Resolve: b.witnesses()})
	case b.committed(rows.Keys):
		s.finish(b)
	default:
		s.again(b, ErrConflict)
	}
}

// tick moves the store's clock, which never runs backwards.
func (s *Step) tick(now time.Time) {
	if now = now.UTC().Truncate(time.Microsecond); now.After(s.clock) {
		s.clock = now
	}
}

// pump starts what can be started: a load, or a decision and its commit, and
// then the load of the next batch.
func (s *Step) pump() {
	for !s.loading {
		s.fillNext()
		need := s.next.need()
		if s.seqEnd-s.seq < int64(len(s.next.jobs))*ledger.EntriesPerCommand {
			need.Entries = entryBlock
		}
		switch {
		case !need.empty():
			s.loading = true
			s.effects = append(s.effects, Effect{Load: &need})
		case s.busy == nil && len(s.next.jobs) > 0:
			s.decide()
		default:
			return
		}
	}
}

// fillNext takes jobs in. While nothing commits, a batch that was begun takes in
// no more: it would be loaded again and again, and never decided, for as long as
// somebody sends one more.
func (s *Step) fillNext() {
	if len(s.next.jobs) > 0 && s.busy == nil {
		return
	}
	for s.queue.size > 0 && len(s.next.jobs) < s.cfg.MaxBatch {
		s.next.add(s.queue.pop())
	}
}

// decide decides the loaded batch, and has it committed if it wrote anything.
func (s *Step) decide() {
	b := s.next
	s.next = newBatch()
	if s.last != nil {
		b.book.CatchUp(s.last.changes.Ledger)
	}
	b.book.Reserve(s.seq)
	for _, j := range b.jobs {
		b.outcomes = append(b.outcomes, s.decideJob(b, j))
	}
	s.seq = b.book.NextEntry()
	written, err := b.book.Changes()
	if err != nil {
		panic(err) // a defect: money would be lost or made
	}
	changes := &Changes{At: s.clock, Keys: b.written, Ledger: written}
	if changes.empty() {
		s.answer(b)
		return
	}
	s.busy, b.changes = b, changes
	s.effects = append(s.effects, Effect{Commit: changes})
}

func (s *Step) decideJob(b *batch, j *Job) Outcome {
	if !j.keyed() {
		answer, _, _ := s.run(b, j)
		return Outcome{Answer: answer}
	}
	rules := s.cfg.Rules(j.Request.Key.Tenant)
	v := once.Decide(b.keys[j.Request.Key], j.Request, s.clock, rules)
	if v.Action != once.Execute {
		return told(v)
	}
	answer, resource, final := s.run(b, j)
	o := Outcome{Answer: answer, Stored: final, ExpiresAt: v.Record.ExpiresAt}
	if final {
		b.complete(v.Record, resource, answer)
	}
	return o
}

// run lets the command decide and renders its answer. It reports whether the
// answer is final: an execution, or a refusal by the ledger's state.
func (s *Step) run(b *batch, j *Job) (a once.Answer, resource string, final bool) {
	result, err := j.Command.Decide(b.book, ledger.Moment{Now: s.clock, IDs: s.ids})
	if err == nil {
		return j.Reply(result, nil), result.ID(), true
	}
	var refusal *ledger.Refusal
	if !errors.As(err, &refusal) {
		panic(err) // a command returns refusals and nothing else
	}
	return j.Reply(ledger.Result{}, refusal), "", refusal.Code.Final()
}

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

// finish answers a batch that is durable.
func (s *Step) finish(b *batch) {
	s.busy, s.last = nil, b
	s.answer(b)
}

func (s *Step) answer(b *batch) {
	for i, j := range b.jobs {
		a := &Answered{Job: j, Outcome: b.outcomes[i]}
		if a.Outcome.Stored {
			a.Record = b.keys[j.Request.Key]
		}
		s.effects = append(s.effects, Effect{Answer: a})
		if j.keyed() {
			s.land(j, b.keys[j.Request.Key])
		}
	}
}

// land ends a flight: its waiters get the answer that is now under the key. If
// nothing was stored, the first of them leads the others on.
func (s *Step) land(j *Job, rec once.Record) {
	key := j.Request.Key
	f := s.live[key]
	delete(s.live, key)
	for i, w := range f.waiters {
		if w == nil {
			f.gone--
			continue
		}
		v := once.Decide(rec, w.Request, s.clock, s.cfg.Rules(key.Tenant))
		if v.Action == once.Execute {
			s.live[key] = &flight{waiters: f.waiters[i+1:], gone: f.gone}
			s.queue.push(w) // over the bound, if need be: it was accepted before
			return
		}
		s.effects = append(s.effects, Effect{Answer: &Answered{Job: w, Outcome: told(v)}})
	}
}

// again decides a batch again that was certainly not committed, in front of
// what came later, so that order is kept. Its tries are bounded.
func (s *Step) again(b *batch, err error) {
	s.busy = nil
	if b.tries++; b.tries >= s.cfg.MaxTries || !errors.Is(err, ErrConflict) {
		s.failBatch(b, ErrUnavailable)
		return
	}
	fresh := newBatch()
	fresh.tries = b.tries
	for _, j := range b.jobs {
		fresh.add(j)
	}
	for _, j := range slices.Backward(s.next.jobs) {
		s.queue.putBack(j) // a batch stays in its bounds, and fails for itself only
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
