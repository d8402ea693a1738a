package engine

import (
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Stats is what an executor has done and has at hand.
type Stats struct {
	Executed   int64 // answers of executions, refusals included
	Replayed   int64
	Unfinished int64 // told that the work goes on
	Mismatched int64 // refused: the key was used for another request
	Expired    int64 // refused: the key's window is over
	InProgress int64 // told that the first request is still at work
	Overloaded int64 // refused: the queue was full
	Failed     int64 // told that the store is not available

	Batches    int64         // commits that ended well
	CommitTime time.Duration // in all
	LoadTime   time.Duration // in all
	Errors     int64         // loads and commits that failed

	Queued int // jobs that wait to be loaded
}

// meter counts. Its methods are safe for concurrent use.
type meter struct {
	executed, replayed, unfinished, mismatched, expired, inProgress, overloaded, failed atomic.Int64

	batches, commitTime, loadTime, errors atomic.Int64

	queued atomic.Int64
}

// Stats returns the counts so far.
func (e *Executor) Stats() Stats {
	m := &e.meter
	return Stats{
		Executed: m.executed.Load(), Replayed: m.replayed.Load(), Unfinished: m.unfinished.Load(), Mismatched: m.mismatched.Load(), Expired: m.expired.Load(),
		InProgress: m.inProgress.Load(), Overloaded: m.overloaded.Load(), Failed: m.failed.Load(),
		Batches: m.batches.Load(), CommitTime: time.Duration(m.commitTime.Load()), LoadTime: time.Duration(m.loadTime.Load()),
		Errors: m.errors.Load(), Queued: int(m.queued.Load()),
	}
}

func (m *meter) observe(s *Step) {
	m.queued.Store(int64(s.Queued()))
}

func (m *meter) loaded(took time.Duration, err error) {
	m.loadTime.Add(int64(took))
	if err != nil {
		m.errors.Add(1)
	}
}

func (m *meter) committed(took time.Duration, err error) {
	m.commitTime.Add(int64(took))
	if err != nil {
		m.errors.Add(1)
		return
	}
	m.batches.Add(1)
}

func (m *meter) count(o Outcome) {
	switch {
	case o.Err == nil && o.Replayed:
		m.replayed.Add(1)
	case o.Err == nil && o.Interim:
		m.unfinished.Add(1)
	case o.Err == nil:
		m.executed.Add(1)
	default:
		m.counter(o.Err).Add(1)
	}
}

func (m *meter) counter(err error) *atomic.Int64 {
	switch err {
	case once.ErrMismatch:
		return &m.mismatched
	case once.ErrExpired:
		return &m.expired
	case ErrInProgress:
		return &m.inProgress
	case ErrOverloaded:
		return &m.overloaded
	default:
		return &m.failed
	}
}
