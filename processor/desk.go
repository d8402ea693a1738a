package processor

import (
	"context"
	"sync"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// desk is where what is due at a gateway waits, and who is asking it.
type desk struct {
	name  string
	conn  Connector
	slots chan struct{} // one for each check at work

	// The scan's alone.
	open   bool      // it has said what it promises, and what others left there was taken over
	warned bool      // all that is open was looked at since the clock was lost
	looked time.Time // when what waits for a slot was looked at again

	mu      sync.Mutex
	due     dueQueue             // operations that are to be looked at
	asks    dueQueue             // operations that were, and that the gateway is to be asked about: they wait for a slot
	held    map[string]struct{}  // operations that wait in one of them, are being looked at, or are asked about
	asking  map[string]*inquiry  // operations that the gateway is being asked about
	resting map[string]time.Time // operations that are left alone until then

	meter gatewayMeter
}

// inquiry is a check that others may wait for.
type inquiry struct {
	done chan struct{}
	err  error
}

// Limits of a desk.
const (
	maxHeld    = 65_536 // waiting operations of a gateway: some 20 MB; the others wait in the store, whatever there is to do about them
	maxResting = 10_000
)

func newDesk(name string, c Connector, checks int) *desk {
	return &desk{
		name: name, conn: c, slots: make(chan struct{}, checks), due: newDueQueue(), asks: newDueQueue(),
		held: map[string]struct{}{}, asking: map[string]*inquiry{}, resting: map[string]time.Time{},
	}
}

// put has operations looked at, but for those that are already, or rest, or find
// no place: they are found again later.
func (d *desk) put(due ...pay.Due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range due {
		if _, held := d.held[x.Operation]; held || len(d.held) >= maxHeld || d.rests(x.Operation) {
			continue
		}
		d.held[x.Operation] = struct{}{}
		d.due.Push(x)
	}
	d.due.rouse()
}

// wait has operations that are held wait in a queue of the desk.
func (d *desk) wait(q *dueQueue, held ...pay.Due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range held {
		q.Push(x)
	}
	q.rouse()
}

// rests says whether an operation is to be left alone. The caller holds mu.
func (d *desk) rests(operation string) bool {
	until, rests := d.resting[operation]
	if rests && time.Now().After(until) {
		delete(d.resting, operation)
		return false
	}
	return rests
}

func (d *desk) rest(operation string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.resting) >= maxResting {
		clear(d.resting)
	}
	d.resting[operation] = until
}

// lookAgain has all that waits for a slot looked at once more.
func (d *desk) lookAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.asks.Len() > 0 {
		d.due.Push(d.asks.Pop())
	}
	d.due.rouse()
}

// take takes up to n operations out of a queue of the desk, one of each tenant in
// turn.
func (d *desk) take(q *dueQueue, n int) []pay.Due {
	d.mu.Lock()
	defer d.mu.Unlock()
	var taken []pay.Due
	for q.Len() > 0 && len(taken) < n {
		taken = append(taken, q.Pop())
	}
	q.rouse()
	return taken
}

// seize takes a slot if one is free and nobody waits for it.
func (d *desk) seize() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asks.Len() == 0 && d.trySlot()
}

func (d *desk) trySlot() bool {
	select {
	case d.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// reserve takes a slot for each operation that waits for one, n at most: it waits
// for the first, and takes of the others what is free.
func (d *desk) reserve(ctx context.Context, n int) (taken int) {
	if n = min(n, d.inLine()); n == 0 {
		return 0
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for taken = 1; taken < n && d.trySlot(); taken++ {
	}
	return taken
}

// inLine is how many operations wait for a slot.
func (d *desk) inLine() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asks.Len()
}

// free gives n slots back.
func (d *desk) free(n int) {
	for range n {
		<-d.slots
	}
}

// release says that an operation was looked at: it may be put again.
func (d *desk) release(operation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.held, operation)
}

// known is how many operations the store will name again though they are known
// to be due: they wait here, or rest.
func (d *desk) known() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held) + len(d.resting)
}

// ask begins a check of an operation, or returns the one that is at work.
func (d *desk) ask(operation string) (q *inquiry, begun bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.asking[operation]; q != nil {
		return q, false
	}
	q = &inquiry{done: make(chan struct{})}
	d.asking[operation] = q
	return q, true
}

func (d *desk) answered(operation string, q *inquiry, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.asking, operation)
	q.err = err
	close(q.done)
}
