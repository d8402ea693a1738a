package dedup

// next is what becomes of a question: it is answered, or fails, or is asked again,
// after something has changed.
type next struct {
	done bool
	wait <-chan struct{}
	err  error
}

var again = next{}

// decide tells what is first and what is a duplicate, and takes down the former. Who
// looked before something moved looks again.
func (x *Index) decide(q *question, ack Ack) next {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.err != nil:
		return next{err: x.err}
	case x.closing:
		return next{err: ErrClosed}
	case x.epoch != q.epoch:
		return again
	}
	now := x.tick()
	if turn := x.makePlace(len(q.hashes), now); !turn.done {
		return turn
	}
	if err := x.take(q, ack, now); err != nil {
		return next{err: err}
	}
	return next{done: true}
}

// tick tells the time, which never goes back.
func (x *Index) tick() int64 {
	x.now = max(x.now, x.config.Now().UnixMilli())
	return x.now
}

// maxGroup is how much waits to be written: some 0.3 seconds of what a disk does.
const maxGroup = 16 << 20

// makePlace sees to it that n ids can be taken now.
func (x *Index) makePlace(n int, now int64) next {
	slot := x.window.slot(now)
	if x.active.table.ids == 0 {
		x.active.slot = slot
	}
	switch tail := x.tail(); {
	case tail != nil && len(tail.buf)+n/perPage*pageSize > maxGroup:
		return x.lacking()
	case x.active.slot == slot && x.active.takes(n, x.config.Table, x.queue):
		return next{done: true}
	case x.frozen != nil || x.spare == nil:
		return x.lacking()
	}
	x.turn(slot)
	return again
}

// lacking has a question wait for a place, if there may be one soon.
func (x *Index) lacking() next {
	if x.starved || x.full {
		return next{err: ErrFull}
	}
	return next{wait: x.changed}
}

// turn begins a generation.
func (x *Index) turn(slot int64) {
	if tail := x.tail(); tail != nil {
		x.active.pages = tail.first + tail.pages()
	}
	x.frozen, x.active, x.spare = x.active, x.spare, nil
	x.active.slot, x.active.table, x.table = slot, x.table, nil
	if x.active.table == nil {
		x.active.table = newTable(x.config.Table)
	}
	x.epoch++
	x.change()
	wake(x.sealing)
}

// tail is the group that takes more ids, if there is one.
func (x *Index) tail() *group {
	if len(x.queue) == 0 {
		return nil
	}
	last := x.queue[len(x.queue)-1]
	if last == x.writing || last.of != x.active {
		return nil
	}
	return last
}

// newTail begins a group for ids that are not older than base.
func (x *Index) newTail(base int64) *group {
	g := &group{of: x.active, first: x.active.pages, base: base, done: make(chan struct{})}
	if n := len(x.buffers); n > 0 {
		g.buf, x.buffers = x.buffers[n-1][:0], x.buffers[:n-1]
	}
	x.queue = append(x.queue, g)
	wake(x.writes)
	return g
}

// take answers a question that there is place for. Ids that others have taken since it
// was looked up are found in the active generation.
func (x *Index) take(q *question, ack Ack, now int64) error {
	tail := x.tail()
	begun := 0
	q.touch(x.active.table)
	if tail != nil {
		begun = tail.records
	}
	for i, h := range q.hashes {
		if q.first[i] == never || !x.window.live(q.first[i], now) {
			at, err := x.find(q, x.active, h, q.looked)
			if err != nil {
				return err
			}
			q.first[i] = at
		}
		if q.duplicate[i] = q.first[i] != never && x.window.live(q.first[i], now); q.duplicate[i] {
			continue
		}
		if tail == nil {
			tail = x.newTail(now)
		}
		q.first[i] = now
		x.active.table.add(h, tail.add(record{h, now}))
		x.active.last = now
	}
	if tail != nil && tail.records > begun {
		x.promise(q, ack, tail, begun)
	}
	return nil
}

// promise says when a question is answered whose firsts are the last ones of a group.
func (x *Index) promise(q *question, ack Ack, tail *group, begun int) {
	if ack == AtOnce && q.group == nil {
		tail.kept = append(tail.kept, run{begun, tail.records})
		return
	}
	q.waitFor(tail)
}

// change wakes all who wait for something to change.
func (x *Index) change() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// wake tells a goroutine that there is work, if it does not know yet.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
