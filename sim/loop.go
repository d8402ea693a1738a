package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"
)

// loop owns time and luck: events happen one at a time, in the order of their
// times, and by lot where two have the same.
type loop struct {
	luck   *rand.Rand
	now    time.Duration // since the history began
	queue  []event       // a heap
	events int64
	digest hash.Hash
	buf    []byte
	trace  io.Writer
}

type event struct {
	at   time.Duration
	lot  uint64
	name string
	run  func()
}

func newLoop(seed uint64, trace io.Writer) *loop {
	return &loop{luck: rand.New(rand.NewPCG(seed, 0x6f6e6365)), digest: sha256.New(), trace: trace}
}

// after has something happen later.
func (l *loop) after(d time.Duration, name string, run func()) {
	l.queue = append(l.queue, event{at: l.now + d, lot: l.luck.Uint64(), name: name, run: run})
	l.up(len(l.queue) - 1)
}

// next lets the next event happen. It reports false if there is none.
func (l *loop) next() bool {
	if len(l.queue) == 0 {
		return false
	}
	e := l.pop()
	l.now = e.at
	l.events++
	l.note(e.name, "")
	e.run()
	return true
}

// note writes something that happened into the trace, and so into its hash.
func (l *loop) note(what, detail string) {
	l.buf = binary.AppendVarint(l.buf, int64(l.now))
	l.buf = append(append(l.buf, what...), 0)
	l.buf = append(append(l.buf, detail...), 0)
	if len(l.buf) > 4096 {
		l.digest.Write(l.buf)
		l.buf = l.buf[:0]
	}
	if l.trace != nil {
		fmt.Fprintf(l.trace, "%6d %16v  %s %s\n", l.events, l.now, what, detail)
	}
}

// hash is the hash of all that was noted.
func (l *loop) hash() []byte {
	l.digest.Write(l.buf)
	l.buf = l.buf[:0]
	return l.digest.Sum(nil)
}

// between draws a duration.
func (l *loop) between(low, high time.Duration) time.Duration {
	return low + time.Duration(l.luck.Int64N(int64(high-low+1)))
}

// pick draws one of some values.
func pick[T any](l *loop, of ...T) T { return of[l.luck.IntN(len(of))] }

func (l *loop) before(i, j int) bool {
	a, b := &l.queue[i], &l.queue[j]
	return a.at < b.at || a.at == b.at && a.lot < b.lot
}

func (l *loop) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !l.before(i, parent) {
			return
		}
		l.queue[i], l.queue[parent] = l.queue[parent], l.queue[i]
		i = parent
	}
}

func (l *loop) pop() event {
	first, last := l.queue[0], len(l.queue)-1
	l.queue[0] = l.queue[last]
	l.queue[last] = event{}
	l.queue = l.queue[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && l.before(child+1, child) {
			child++
		}
		if !l.before(child, i) {
			return first
		}
		l.queue[i], l.queue[child] = l.queue[child], l.queue[i]
		i = child
	}
}
