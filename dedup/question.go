package dedup

import (
	"math"
	"sync"
)

// question is ids on their way to answers.
type question struct {
	hashes    []hash
	first     []int64 // when seen first, or never
	duplicate []bool
	open      []int32 // those to look for in segments
	group     *group  // the last one that answers stand in, if they are not on disk
	epoch     uint64  // when it was looked up
	looked    uint32  // the position up to which the active generation was

	// for those who look
	buf     [pageSize]byte
	some    [atATime]hash
	ranks   [atATime]ranks
	touched uint64
}

const never = math.MinInt64

var questions = sync.Pool{New: func() any { return new(question) }}

// ask makes a question of ids.
func (x *Index) ask(ids [][]byte) (*question, error) {
	if len(ids) > MaxBatch {
		return nil, ErrTooMany
	}
	for _, id := range ids {
		if len(id) == 0 || len(id) > MaxID {
			return nil, ErrBadID
		}
	}
	q := questions.Get().(*question)
	q.hashes = q.hashes[:0]
	for _, id := range ids {
		q.hashes = append(q.hashes, x.hash.of(id))
	}
	q.first = append(q.first[:0], make([]int64, len(ids))...)
	q.duplicate = append(q.duplicate[:0], make([]bool, len(ids))...)
	return q, nil
}

// look finds out when ids were seen before now. What happens from then on is left to
// decide.
func (x *Index) look(q *question) error {
	shelf, err := x.lookInMemory(q)
	if err != nil {
		return err
	}
	defer shelf.release()
	return shelf.look(q)
}

// lookInMemory looks into the tables, the newest first, and returns the segments for
// what is not there.
func (x *Index) lookInMemory(q *question) (*shelf, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.err != nil {
		return nil, x.err
	}
	q.epoch, q.looked = x.epoch, x.active.end(x.queue)
	q.group, q.open = nil, q.open[:0]
	q.touch(x.active.table)
	if x.frozen != nil {
		q.touch(x.frozen.table)
	}
	for i := range q.hashes {
		if err := x.lookFor(q, i); err != nil {
			return nil, err
		}
		if q.first[i] == never {
			q.open = append(q.open, int32(i))
		}
	}
	return x.shelf.pin(), nil
}

func (q *question) touch(t *table) { q.touched += t.touch(q.hashes) }

func (x *Index) lookFor(q *question, i int) (err error) {
	if q.first[i], err = x.find(q, x.active, q.hashes[i], 0); err == nil && q.first[i] == never && x.frozen != nil {
		q.first[i], err = x.find(q, x.frozen, q.hashes[i], 0)
	}
	return err
}

// find returns when an id was seen first, of those that came at a position or after it:
// the last time, if it expired and came again. The question waits for the disk to have
// what was found. The caller holds mu.
func (x *Index) find(q *question, g *generation, h hash, since uint32) (at int64, err error) {
	at = never
	for pos, slot, ok := g.table.next(h, g.table.home(h)); ok; pos, slot, ok = g.table.next(h, slot) {
		if pos < since {
			continue
		}
		r, in, err := x.read(q, g, pos)
		if err != nil {
			return never, err
		}
		if r.hash == h && r.at > at {
			at = r.at
			q.waitFor(in)
		}
	}
	return at, nil
}

// read reads a record from the log, or from a group that is not there yet.
func (x *Index) read(q *question, g *generation, pos uint32) (record, *group, error) {
	if pos/perPage < g.synced {
		r, err := g.read(pos, q.buf[:])
		return r, nil, err
	}
	for _, in := range x.queue {
		if n := pos - in.first*perPage; in.of == g && pos/perPage >= in.first && int(n) < in.records {
			return in.record(int(n)), in, nil
		}
	}
	panic("dedup: a position that is nowhere")
}

// waitFor has the question wait for a group: groups get to the disk in their order.
func (q *question) waitFor(g *group) {
	if g != nil && (q.group == nil || q.group.comesBefore(g)) {
		q.group = g
	}
}

// look looks into the segments for what is open, the newest first.
func (s *shelf) look(q *question) error {
	for n := len(s.segments) - 1; n >= 0 && len(q.open) > 0; n-- {
		if err := s.segments[n].look(q); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) look(q *question) error {
	still := q.open[:0]
	for open := q.open; len(open) > 0; {
		part := open[:min(atATime, len(open))]
		open = open[len(part):]
		q.touched += s.filter.find(q.part(part), &q.ranks)
		for n, i := range part {
			at, found, err := s.find(q.hashes[i], q.ranks[n], q.buf[:])
			if err != nil {
				return err
			}
			if found {
				q.first[i] = at
			} else {
				still = append(still, i)
			}
		}
	}
	q.open = still
	return nil
}

// part is the hashes of some ids.
func (q *question) part(ids []int32) []hash {
	for n, i := range ids {
		q.some[n] = q.hashes[i]
	}
	return q.some[:len(ids)]
}
