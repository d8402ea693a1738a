package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oncepay/oncepay/internal/fair"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
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

	queue fair.Queue[*Job]
	live  map[once.Key]*flight // keys of jobs that are queued, loaded or committing

	next    *batch   // is being loaded
	loading bool     // a load is on its way
	stale   bool     // that load was for a batch that is no longer next
	busy    *batch   // is being committed, or looked up after an unknown commit
	last    *Changes // were committed last: newer than a load that began before
	alone   int      // so many jobs are decided each by itself; see isolate

	seq, seqEnd int64 // the next entry's number, and the first that is not ours
	asked       int64 // how many numbers the load on its way reserves

	effects []Effect
}

// flight is a key at work: the job that leads and those that wait for its
// answer. Waiters hold no place in the queue or in a batch.
type flight struct {
	waiters []*Job
	gone    int // waiters that left
}

// Effect is something to be done. Exactly one of its parts is set, but for Pause.
type Effect struct {
	Load    *Need // load it, after a random part of Pause, then call Loaded
	Pause   time.Duration
	Commit  *Changes // commit it, then call Committed
	Resolve *Need    // load it, then call Resolved: a commit's outcome is unknown
	Durable *Durable // carry its orders out; it comes before the answers of its batch
	Answer  *Answered
}

// Durable is a batch with payments that was committed.
type Durable struct {
	Changes *Changes
	Orders  []*pay.Order
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
		queue: fair.New(func(j *Job) string { return j.Tenant }), live: map[once.Key]*flight{}, next: newBatch(),
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
	return s.queue.Len() == 0 && len(s.next.jobs) == 0 && s.busy == nil && !s.loading
}

// Queued returns how many jobs wait to be loaded.
func (s *Step) Queued() int { return s.queue.Len() }

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
	if s.queue.Len() >= s.cfg.MaxQueue || s.queue.Of(j.Tenant) >= s.cfg.MaxTenantQueue {
		s.fail(j, ErrOverloaded)
		return
	}
	if j.keyed() {
		s.live[j.Request.Key] = &flight{}
	}
	s.queue.Push(j)
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
	if i := slices.Index(f.waiters, j); i >= 0 {
		f.leave(i)
		s.fail(j, ErrInProgress)
	}
}

// leave gives a waiter's place up. Places are reclaimed when half are empty, so
// that those who come and go cost those who stay little.
func (f *flight) leave(i int) {
	f.waiters[i] = nil
	if f.gone++; f.gone > len(f.waiters)/2 {
		f.waiters = slices.DeleteFunc(f.waiters, func(w *Job) bool { return w == nil })
		f.gone = 0
	}
}

// Loaded brings the rows that the last Load asked for, or why there are none.
func (s *Step) Loaded(rows Rows, err error, now time.Time) {
	s.tick(now)
	if s.cfg.Shared {
		s.tick(rows.Seen)
	}
	stale := s.stale
	s.loading, s.stale = false, false
	if rows.FirstEntry > 0 {
		s.seq, s.seqEnd = rows.FirstEntry, rows.FirstEntry+s.asked
	}
	switch {
	case stale: // the rows are for a book that was closed
	case err != nil:
		s.failBatch(s.next, fmt.Errorf("%w: %w", ErrUnavailable, err))
		s.next = newBatch()
	default:
		s.tellKnown(s.next.fill(rows))
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
	case b.committed(rows):
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
		need := Wanted(s.next.book)
		need.Entries = s.numbers(!need.empty())
		switch {
		case !need.empty():
			s.loading, s.asked = true, need.Entries
			need.Hold = s.cfg.Shared && s.next.tries >= holdAfter
			s.effects = append(s.effects, Effect{Load: new(need), Pause: s.next.pause()})
		case s.busy == nil && len(s.next.jobs) > 0:
			s.decide()
		default:
			return
		}
	}
}

// numbers is how many numbers of entries are to be reserved for the next batch.
// Entries of an account are numbered in the order in which they are made. Where
// other processes make some, a number must be younger than all that the batch has
// loaded: so it comes with the last of its loads.
func (s *Step) numbers(loads bool) int64 {
	need := int64(len(s.next.jobs)) * ledger.EntriesPerCommand
	switch {
	case s.cfg.Shared && loads:
		return need
	case s.seqEnd-s.seq >= need:
		return 0
	case s.cfg.Shared:
		return need
	default:
		return entryBlock
	}
}

// fillNext takes jobs in. While nothing commits, a batch that was begun takes in
// no more: it would be loaded again and again, and never decided, for as long as
// somebody sends one more.
func (s *Step) fillNext() {
	if len(s.next.jobs) > 0 && s.busy == nil {
		return
	}
	most := s.cfg.MaxBatch
	if s.alone > 0 {
		most = 1
	}
	for s.queue.Len() > 0 && len(s.next.jobs) < most {
		s.next.add(s.queue.Pop())
	}
}
