package pebble

import (
	"context"
	"fmt"
	"sync"
	"time"

	lib "github.com/cockroachdb/pebble/v2"
)

// committer writes what the store is asked to, one group after the other: what comes
// while a group is synced makes the next. So a sync is shared by all who wait for it,
// and a group is only written when the one before it is on disk, which is how damage
// is told from what a crash has cut off (see checkFiles).
type committer struct {
	s    *Store
	wake chan struct{} // has an element if there is something to do
	done chan struct{} // closed when run has ended

	mu     sync.Mutex
	queue  []*write
	closed bool
}

// write is what one caller wants to be written.
type write struct {
	batch *lib.Batch
	hold  *hold         // given back when it is durable; nil: none
	done  chan struct{} // closed when it is
}

// Limits of the committer.
const (
	maxQueue = 10_000  // writes that wait: each has a caller, or had one
	maxGroup = 1 << 20 // bytes in a group, but for the last write of it: no caller waits for much more than his own
)

func newCommitter(s *Store) *committer {
	return &committer{s: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// add puts a write in the queue, or fails if that is full or closed.
func (c *committer) add(w *write) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case c.s.gate.room.lacking():
		return ErrDiskFull
	case len(c.queue) >= maxQueue:
		return ErrOverloaded
	}
	c.queue = append(c.queue, w)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// run writes until the committer is closed and the queue is empty.
func (c *committer) run() {
	defer close(c.done)
	for {
		group, more := c.next()
		switch {
		case len(group) > 0:
			c.write(group)
		case more:
			<-c.wake
		default:
			return
		}
	}
}

// next takes what makes a group from the queue.
func (c *committer) next() (group []*write, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && bytes < maxGroup {
		bytes += c.queue[n].batch.Len()
		n++
	}
	group, c.queue = c.queue[:n:n], c.queue[n:]
	return group, !c.closed || len(c.queue) > 0
}

// write writes a group, and what the store knows of itself. It does not return if
// the disk cannot be written to, see gate.
func (c *committer) write(group []*write) {
	all := group[0].batch
	for _, w := range group[1:] {
		must(all.Apply(w.batch, nil))
	}
	until := c.s.clock.next()
	c.apply(all, until)
	c.s.clock.may(until)
	for _, w := range group {
		if w.hold != nil {
			c.s.give(w.hold)
		}
		close(w.done)
		must(w.batch.Close())
	}
}

func (c *committer) apply(b *lib.Batch, until time.Time) {
	must(b.Set([]byte{ofStore}, state{until.UnixMicro(), c.s.swept.Load()}.append(nil), nil))
	if err := c.s.db.Apply(b, lib.Sync); err != nil {
		c.s.gate.fail(err)
	}
}

// close writes what is in the queue, and the time at which the store ends.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.done
	c.apply(c.s.db.NewBatch(), c.s.clock.last())
}

// must is for what Pebble's signatures allow to fail and what never does: building a
// batch in memory.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("pebble: a batch cannot be built: %v", err))
	}
}

// commit writes a batch, and returns when it is durable.
func (s *Store) commit(ctx context.Context, b *lib.Batch) error {
	w := &write{batch: b, done: make(chan struct{})}
	if err := s.commits.add(w); err != nil {
		return err
	}
	return s.wait(ctx, w.done)
}

// wait waits for something to happen in the store.
func (s *Store) wait(ctx context.Context, happens <-chan struct{}) error {
	select {
	case <-happens:
		return nil
	default:
	}
	select {
	case <-happens:
		return nil
	case <-s.gate.broken:
		return &brokenError{s.gate.cause}
	case <-s.gate.room.out():
		return ErrDiskFull
	case <-ctx.Done():
		return ctx.Err()
	}
}
