package dedup

import (
	"errors"
	"fmt"
)

// keep is the goroutine that has a spare generation ready, and seals the frozen one.
// Questions wait for it when it is slower than they are.
func (x *Index) keep() {
	defer x.workers.Done()
	x.attend(x.sealing, func() error {
		lacking := x.makeSpare()
		if lacking != nil && !noRoom(lacking) {
			return lacking
		}
		if err := x.sealFrozen(); err != nil { // which gives room back
			return err
		}
		return lacking
	})
}

// merge is the goroutine that drops segments that have expired, and merges others.
// Nobody waits for it.
func (x *Index) merge() {
	defer x.workers.Done()
	x.attend(x.merging, func() error {
		if err := x.drop(); err != nil {
			return err
		}
		for {
			if more, err := x.mergeSome(); err != nil || !more {
				return err
			}
		}
	})
}

// attend does some work whenever it is woken, and again after a while if there was no
// room for it, until the index ends.
func (x *Index) attend(woken <-chan struct{}, work func() error) {
	for {
		select {
		case <-x.stop:
			return
		case <-woken:
		}
		for {
			err := work()
			if !noRoom(err) {
				x.judge(err)
				break
			}
			x.pause(roomPause)
			if x.stopped() {
				return
			}
		}
	}
}

// judge says what an error in the background means. What is damaged is left as it is,
// for those who ask for it to be told.
func (x *Index) judge(err error) {
	switch {
	case err == nil || errors.Is(err, errStopped):
	case errors.Is(err, ErrDamaged):
		x.mu.Lock()
		x.damage = err
		x.mu.Unlock()
	default:
		x.fail(err)
	}
}

// makeSpare makes the log of the generation after the active one. Its name is durable
// before anything is written to it.
func (x *Index) makeSpare() error {
	x.mu.RLock()
	number, made := x.active.number+1, x.spare != nil
	x.mu.RUnlock()
	if made {
		return nil
	}
	spare, err := x.newGeneration(number)
	x.starve(noRoom(err))
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.spare = spare
	x.change()
	return nil
}

func (x *Index) newGeneration(number uint32) (*generation, error) {
	log, err := x.disk.create(logName(number))
	if err != nil {
		return nil, err
	}
	if err := x.syncNames(); err != nil {
		log.Close()
		return nil, err
	}
	return &generation{number: number, log: log}, nil
}

// starve says whether there was room for what questions may wait for.
func (x *Index) starve(starved bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.starved != starved {
		x.starved = starved
		x.change()
	}
}

// perMerged is how many records of segments are sorted at a time: few enough for a
// processor's cache. A log is read again for each part, so it has no more than eight; that
// takes half as much memory as its table.
const perMerged = 1 << 17

func perSealed(ids int) int { return max(perMerged, ids/8) }

// sealFrozen makes a segment of the frozen generation, once all its ids are on disk.
func (x *Index) sealFrozen() error {
	frozen, ready := x.toSeal()
	if !ready {
		return nil
	}
	s := span{from: frozen.number, to: frozen.number, slot: frozen.slot, ids: frozen.table.ids, last: frozen.last}
	made, err := x.compile(s, []source{logSource{frozen}}, perSealed(s.ids))
	x.starve(noRoom(err))
	if err != nil {
		return err
	}
	x.sealed(made)
	wake(x.merging)
	wake(x.sealing) // there may be another one that waits for its spare
	return x.discard(frozen)
}

func (x *Index) toSeal() (frozen *generation, ready bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ready = x.frozen != nil
	for _, g := range x.queue {
		ready = ready && g.of != x.frozen
	}
	return x.frozen, ready
}

// sealed puts a segment on the shelf, in place of the frozen generation. Who looked
// before has seen all its ids there.
func (x *Index) sealed(made *segment) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.table = x.frozen.table.reuse(x.config.Table)
	x.frozen = nil
	x.put(append(x.shelf.segments[:len(x.shelf.segments):len(x.shelf.segments)], made))
	x.change()
}

// discard removes a log whose ids are in a segment.
func (x *Index) discard(g *generation) error {
	g.log.Close() // all of it was synced
	return x.remove(logName(g.number))
}

// put has questions look into these segments from now on. The caller holds mu.
func (x *Index) put(segments []*segment) {
	old := x.shelf
	x.shelf = newShelf(segments)
	old.release()
}

// drop removes the segments that have expired, the oldest first, so that there is no
// gap in what a crash leaves.
func (x *Index) drop() error {
	x.mu.Lock()
	gone := x.shelf.segments[:expired(x.shelf.spans(), x.window, x.now)]
	x.put(x.shelf.segments[len(gone):])
	x.mu.Unlock()
	return x.removeAll(gone)
}

func (x *Index) removeAll(segments []*segment) error {
	for _, s := range segments {
		if err := x.remove(s.name()); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) remove(name string) error {
	if err := x.disk.remove(name); err != nil {
		return err
	}
	return x.syncNames()
}

// syncNames makes durable what was created, renamed and removed. Once it has failed it
// fails for everybody: a later sync may succeed without what the first one lost.
func (x *Index) syncNames() error {
	x.syncing.Lock()
	defer x.syncing.Unlock()
	if x.unsynced != nil {
		return x.unsynced
	}
	if err := x.disk.sync(); err != nil {
		x.unsynced = fmt.Errorf("sync the directory: %w", unsynced{err})
	}
	return x.unsynced
}

// mergeSome merges what plan says, if anything.
func (x *Index) mergeSome() (more bool, err error) {
	shelf, from, to := x.toMerge()
	defer shelf.release()
	if from == to {
		return false, nil
	}
	old := shelf.segments[from:to]
	made, err := x.compile(union(old), sources(old), perMerged)
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	segments := append([]*segment{}, x.shelf.segments[:from]...)
	x.put(append(append(segments, made), x.shelf.segments[to:]...))
	x.mu.Unlock()
	return true, x.removeAll(old)
}

// toMerge says what to merge. Sealing adds to the end of the shelf and nobody else takes
// from it, so what is to be merged stays where it is.
func (x *Index) toMerge() (pinned *shelf, from, to int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.damage == nil {
		present := x.active.slot
		if x.frozen != nil {
			present = x.frozen.slot
		}
		from, to = plan(x.shelf.spans(), x.config.Table, present)
	}
	return x.shelf.pin(), from, to
}

func union(segments []*segment) span {
	all := segments[0].span
	for _, s := range segments[1:] {
		all.to, all.ids, all.last = s.to, all.ids+s.ids, s.last
	}
	return all
}

func sources(segments []*segment) (all []source) {
	for _, s := range segments {
		all = append(all, &segmentSource{of: s})
	}
	return all
}
