package dedup

import (
	"fmt"
	"time"
)

// write is the goroutine that has groups written and synced, one after the other. Those
// who ask meanwhile are in the next one.
func (x *Index) write() {
	defer x.workers.Done()
	defer close(x.written)
	for {
		g := x.nextGroup()
		if g == nil {
			return
		}
		err := g.write()
		switch {
		case err == nil:
			x.wrote(g)
		case noRoom(err):
			x.refuse(g.of)
		default:
			x.fail(err)
		}
	}
}

// write has the group on disk when it returns nil. If there is no room for it, it
// may be there in part.
func (g *group) write() error {
	g.seal()
	if _, err := g.of.log.WriteAt(g.buf, int64(g.first)*pageSize); err != nil {
		return fmt.Errorf("write %s: %w", logName(g.of.number), err)
	}
	return g.of.sync()
}

// nextGroup waits for a group, and closes it to further ids. There is none when
// the index ends.
func (x *Index) nextGroup() *group {
	for {
		x.mu.Lock()
		if x.err == nil && len(x.queue) > 0 {
			defer x.mu.Unlock()
			g := x.queue[0]
			x.writing = g
			g.of.pages = max(g.of.pages, g.first+g.pages())
			return g
		}
		ended := x.err != nil || x.closing
		x.mu.Unlock()
		if ended {
			return nil
		}
		<-x.writes
	}
}

// wrote lets those go who have waited for a group.
func (x *Index) wrote(g *group) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return // it has failed meanwhile, and they know
	}
	g.of.synced = g.first + g.pages()
	x.buffers = append(x.buffers, g.buf)
	x.queue, x.writing, x.full = x.queue[1:], nil, false
	close(g.done)
	x.change()
	if x.frozen != nil {
		wake(x.sealing)
	}
}

// roomPause is between two looks for room.
const roomPause = 50 * time.Millisecond

// refuse ends all groups, since there was no room for the first one. The log loses what
// it may have got of it before anybody is told, so that nothing refused is found there
// after a crash. Ids that were told at once go into a new group.
func (x *Index) refuse(g *generation) {
	if err := g.cut(); err != nil {
		x.fail(err)
		return
	}
	x.mu.Lock()
	if x.err == nil {
		kept := x.takeBack()
		if x.closing && len(kept) > 0 {
			x.lost = fmt.Errorf("%w: %d ids that were told at once are lost", ErrFull, len(kept))
		} else if len(kept) > 0 {
			x.keepOn(kept)
		}
		x.full = true
		x.change()
		wake(x.sealing) // the frozen generation may have lost what it waited for
	}
	x.mu.Unlock()
	x.pause(roomPause)
}

// takeBack forgets all groups, the last id first, and returns the ids that were told
// at once.
func (x *Index) takeBack() (kept []record) {
	for n := len(x.queue) - 1; n >= 0; n-- {
		g := x.queue[n]
		for i := g.records - 1; i >= 0; i-- {
			g.of.table.undo(g.record(i).hash, g.first*perPage+uint32(i))
		}
		g.of.pages = g.of.synced
	}
	for _, g := range x.queue {
		for _, run := range g.kept {
			for i := run.from; i < run.to; i++ {
				kept = append(kept, g.record(i))
			}
		}
		g.err = ErrFull
		close(g.done)
	}
	x.queue, x.writing = nil, nil
	x.epoch++
	return kept
}

// keepOn takes ids again that were told at once. They are fewer than what the active
// generation had just now.
func (x *Index) keepOn(kept []record) {
	tail := x.newTail(kept[0].at)
	for _, r := range kept {
		x.active.table.add(r.hash, tail.add(r))
		x.active.last = max(x.active.last, r.at)
	}
	tail.kept = []run{{0, tail.records}}
}

// fail ends the index: it cannot be known what is on disk.
func (x *Index) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return
	}
	x.err = fmt.Errorf("%w, since it cannot be known what is on disk: %w", ErrBroken, err)
	for _, g := range x.queue {
		g.err = x.err
		close(g.done)
	}
	x.queue = nil
	x.change()
	wake(x.writes)
	close(x.stop)
}

func (x *Index) stopped() bool {
	select {
	case <-x.stop:
		return true
	default:
		return false
	}
}

// pause waits, but not when the index ends.
func (x *Index) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.ending:
	}
}
