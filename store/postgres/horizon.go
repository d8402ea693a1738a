package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// horizon is up to which number all events are known: those that are there will be there, and
// there will be no others. Transactions take numbers in one order and are committed in
// another, so an event that is there may follow one that is not there yet.
//
// A transaction that inserts events has its id before it takes numbers for them, since
// it writes its fence first (see [writing.prepare]). So: look at the last number that was
// taken, and only then at which transactions are at work. When all that had begun by then
// have ended, whoever has that number or a smaller one has. Numbers, and not ids of
// transactions, are the order of events, since they are taken when the rows that the events tell of
// are locked: a transaction that has waited for another one has a greater number, but it may
// have a smaller id.
//
// Nothing is written for this, and no commit waits for it.
type horizon struct {
	mu    sync.Mutex
	safe  int64
	taken int64  // the last number that was seen
	pins  []pin  // in their order; not safe yet
	watch *watch // of a pin that takes too long
}

// pin is a number that was taken, and the id before which transactions may have it.
type pin struct {
	seq, before int64
	at          time.Time
}

// watch is a number that was taken, and the transactions that were writing events when
// somebody looked after that: it is safe when they have ended, whatever others do.
type watch struct {
	seq     int64
	writers map[string]bool
	looked  time.Time
}

const (
	// maxPins bounds them: while nothing ends there is no use in more.
	maxPins = 64

	// impatience is how long a pin waits for all transactions of the server. One that writes
	// something else, in whatever database, holds them up for as long as it takes; then
	// those that write events are looked for by their locks, which costs more.
	impatience = 100 * time.Millisecond
	watchPause = 20 * time.Millisecond
)

const (
	selectTaken    = "SELECT " + fencePast + ", coalesce(pg_sequence_last_value('event_numbers'::regclass), 0)"
	selectSnapshot = "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint, age('3'::xid) FROM pg_current_snapshot() s"
	selectWriters  = `SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
		AND relation = 'events'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

	// beginApart has each statement see what was committed before it, whatever the
	// database's default is: that the second one looks later is the point.
	beginApart = "BEGIN ISOLATION LEVEL READ COMMITTED"
)

// look returns up to which number events are known, and whether others were taken. It asks
// the server, unless enough of them are known anyway.
func (h *horizon) look(ctx context.Context, s *Store, enough int64) (safe int64, more bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.safe >= enough {
		return h.safe, true, nil
	}
	if err := h.ask(ctx, s); err != nil {
		return 0, false, s.forgot(err)
	}
	if len(h.pins) > 0 && time.Since(h.pins[0].at) > impatience {
		if err := h.watchWriters(ctx, s); err != nil {
			return 0, false, s.forgot(err)
		}
	}
	return h.safe, h.taken > h.safe, nil
}

// ask sets a pin, and takes away those that are over.
func (h *horizon) ask(ctx context.Context, s *Store) error {
	p := pin{at: time.Now()}
	var oldest int64
	var b pgx.Batch
	b.Queue(beginApart)
	b.Queue(begin)
	b.Queue(selectTaken, s.past.args()...).Query(readInto(func(r *row) { r.at++; p.seq = r.int() }))
	b.Queue(selectSnapshot).Query(readInto(func(r *row) { oldest = r.int(); p.before = nextID(r.int(), r.int()) }))
	b.Queue("COMMIT")
	if err := s.pool.db.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	h.taken = max(h.taken, p.seq)
	if last := h.last(); p.seq > last && len(h.pins) < maxPins {
		h.pins = append(h.pins, p)
	}
	for len(h.pins) > 0 && h.pins[0].before <= oldest {
		h.reach(h.pins[0].seq)
	}
	return nil
}

// nextID is the id that the next transaction gets: those at work have smaller ones. No
// function tells it as a whole. A snapshot has the id after the last one that has ended, and
// transactions at work may have greater ones; an age is counted from the next one, in 32 bits.
func nextID(afterEnded, ageOf3 int64) int64 {
	const bits = 1<<32 - 1
	return afterEnded + (ageOf3+3-afterEnded)&bits
}

// last is the greatest number that there is a pin for, or that needs none.
func (h *horizon) last() int64 {
	if n := len(h.pins); n > 0 {
		return h.pins[n-1].seq
	}
	return h.safe
}

// reach has all events up to a number known.
func (h *horizon) reach(seq int64) {
	h.safe = max(h.safe, seq)
	for len(h.pins) > 0 && h.pins[0].seq <= h.safe {
		h.pins = h.pins[1:]
	}
	if h.watch != nil && h.watch.seq <= h.safe {
		h.watch = nil
	}
}

// watchWriters looks whether those have ended that were writing events.
func (h *horizon) watchWriters(ctx context.Context, s *Store) error {
	if h.watch != nil && time.Since(h.watch.looked) < watchPause {
		return nil
	}
	now := watch{writers: map[string]bool{}, looked: time.Now()}
	var b pgx.Batch
	b.Queue(beginApart)
	b.Queue(begin)
	b.Queue(selectTaken, s.past.args()...).Query(readInto(func(r *row) { r.at++; now.seq = r.int() }))
	b.Queue(selectWriters).Query(readInto(func(r *row) { now.writers[r.text()] = true }))
	b.Queue("COMMIT")
	if err := s.pool.db.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	if h.watch == nil {
		h.watch = &now
	}
	h.watch.looked = now.looked
	for w := range h.watch.writers {
		if now.writers[w] && h.watch != &now {
			return nil
		}
	}
	if h.watch == &now && len(now.writers) > 0 {
		return nil
	}
	h.reach(h.watch.seq)
	return nil
}

func readInto(each func(*row)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error { return eachRow(rows, each) }
}
