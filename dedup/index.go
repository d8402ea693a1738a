package dedup

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Ack is when an answer is given.
type Ack int

const (
	// Durable answers are on disk before they are given.
	Durable Ack = iota

	// AtOnce tells firsts before they are on disk, where they come as soon as they can: a
	// crash may forget them. A question with a duplicate of one that is not there yet is
	// answered like a durable one.
	AtOnce
)

// Answer is what is known of an id.
type Answer struct {
	// Duplicate says that the id was seen before, in the window. Otherwise it is seen for
	// the first time with this question.
	Duplicate bool

	// At is when it was first seen, in milliseconds rounded down.
	At time.Time
}

// Index is ids in a directory. It is safe for concurrent use; many questions share a
// sync, so who wants much asks much at a time, or from many goroutines. Open makes one.
type Index struct {
	disk   disk
	config Config
	window window
	hash   hasher
	locked io.Closer

	// mu guards what follows: the ids in memory are read by many who look, and
	// changed by one who decides.
	mu      sync.RWMutex
	now     int64         // the last time that was told
	epoch   uint64        // grows whenever ids went where who looked before would not see them
	active  *generation   // takes ids
	frozen  *generation   // is being sealed, or nil
	spare   *generation   // takes over from the active one, or nil
	table   *table        // for a spare, if there is one
	shelf   *shelf        // everything sealed
	queue   []*group      // not on disk, in their order
	writing *group        // of these, the one that is being written
	buffers [][]byte      // for groups
	full    bool          // there was no room for the last group
	starved bool          // there is no room for a spare or for a segment
	changed chan struct{} // closed with the next change of any of these
	closing bool
	err     error // that all questions fail with from now on
	damage  error // found where no question waits for it

	lost error // ids that Close could not write

	syncing  sync.Mutex // of names in the directory
	unsynced error      // what that has failed with

	writes  chan struct{} // wakes write
	sealing chan struct{} // wakes keep
	merging chan struct{} // wakes merge
	ending  chan struct{} // closed when nothing waits for room any more
	written chan struct{} // closed when nothing is written any more
	stop    chan struct{} // closed when the rest is to end
	workers sync.WaitGroup
}

// Seen says of each id whether it was seen before in the window, appended to answers in
// their order, and records those that were not. An id that is in ids twice is a duplicate
// of itself.
//
// If the context ends while Seen waits, the ids may be recorded all the same.
func (x *Index) Seen(ctx context.Context, ack Ack, ids [][]byte, answers []Answer) ([]Answer, error) {
	b, err := x.ask(ids)
	if err != nil {
		return answers, err
	}
	defer questions.Put(b)
	for {
		if err := ctx.Err(); err != nil {
			return answers, err
		}
		if err := x.look(b); err != nil {
			return answers, err
		}
		switch next := x.decide(b, ack); {
		case next.err != nil:
			return answers, next.err
		case next.wait != nil:
			if err := wait(ctx, next.wait); err != nil {
				return answers, err
			}
		case next.done:
			return x.answer(ctx, b, answers)
		}
	}
}

func wait(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer waits until everything that the answers tell of is on disk.
func (x *Index) answer(ctx context.Context, b *question, answers []Answer) ([]Answer, error) {
	if b.group != nil {
		if err := wait(ctx, b.group.done); err != nil {
			return answers, err
		}
		if b.group.err != nil {
			return answers, b.group.err
		}
	}
	for i, at := range b.first {
		answers = append(answers, Answer{Duplicate: b.duplicate[i], At: time.UnixMilli(at)})
	}
	return answers, nil
}

// Close writes what was told at once, and closes the index. Questions that wait for the
// disk are answered.
func (x *Index) Close() error {
	x.mu.Lock()
	if x.closing {
		x.mu.Unlock()
		return ErrClosed
	}
	x.closing = true
	x.change()
	x.mu.Unlock()
	close(x.ending)
	wake(x.writes)
	<-x.written
	x.end()
	x.workers.Wait()
	return errors.Join(x.lost, x.release())
}

// end has all questions fail.
func (x *Index) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil {
		x.err = ErrClosed
		close(x.stop)
	}
}

// release gives everything back to the system.
func (x *Index) release() (err error) {
	for _, g := range []*generation{x.active, x.frozen, x.spare} {
		if g != nil {
			err = errors.Join(err, g.log.Close())
		}
	}
	x.shelf.release()
	return errors.Join(err, x.locked.Close())
}

// Stats is what an index is made of at a moment.
type Stats struct {
	InMemory  int   // ids in tables
	Sealed    int   // ids in segments, also such as have expired and were not dropped yet
	Segments  int   // that a question may have to look into
	TableSize int64 // bytes of memory of the tables
	Filters   int64 // bytes of memory of the filters
	Disk      int64 // bytes of all logs and segments

	// Damage is what was found where no question waits for it. Nothing is merged any more.
	Damage error
}

// Stats says what there is.
func (x *Index) Stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := Stats{Segments: len(x.shelf.segments), Damage: x.damage}
	for _, g := range []*generation{x.active, x.frozen} {
		if g != nil {
			s.InMemory += g.table.ids
			s.TableSize += int64(8 * len(g.table.slots))
			s.Disk += int64(g.synced) * pageSize
		}
	}
	if x.table != nil {
		s.TableSize += int64(8 * len(x.table.slots))
	}
	for _, segment := range x.shelf.segments {
		s.Sealed += segment.ids
		s.Filters += int64(len(segment.filter.heads) + len(segment.filter.rest))
		s.Disk += segment.disk
	}
	return s
}
