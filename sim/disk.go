package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// disk plays engine.Store. A commit is written, and durable when its sync is
// over; a crash keeps, of what was written and not synced, the first few
// commits or none. It shows only what is durable.
type disk struct {
	*world
	kept      tables
	written   rows // kept, and what is not synced yet
	unsynced  []*engine.Changes
	waiting   []*write // the first of them is at work
	adrift    *write   // its caller was told that nobody knows: settled when somebody looks
	doubt     bool     // in this life somebody was told that nobody knows
	nextEntry int64
	fullUntil time.Duration
	commits   int64
}

// write is a commit on its way.
type write struct {
	changes *engine.Changes
	then    func(error)
}

var (
	errRefused = fmt.Errorf("%w: the disk said no", engine.ErrNotCommitted)
	errFull    = fmt.Errorf("%w: the disk is full", engine.ErrNotCommitted)
	errUnknown = errors.New("sim: the connection broke during the commit")
	errLoad    = errors.New("sim: the disk cannot be read")
)

func newDisk(w *world) *disk {
	return &disk{world: w, kept: tables{rows: newRows()}, written: newRows(), nextEntry: 1}
}

// load finds rows and hands them to then, after a while.
func (d *disk) load(need *engine.Need, then func(engine.Rows, error)) {
	life := d.server.life
	d.after(d.between(0, d.habits.loadTime), "disk: load", func() {
		if d.server.life != life {
			return
		}
		rows, err := d.read(need)
		d.after(d.between(0, d.habits.loadTime), "disk: loaded", func() {
			if d.server.life == life && !d.forgets() {
				then(rows, err)
			}
		})
	})
}

// forgets says whether a completion gets lost: a planted bug.
func (d *disk) forgets() bool {
	return d.bug == CompletionForgotten && d.luck.IntN(50) == 0
}

func (d *disk) read(need *engine.Need) (rows engine.Rows, err error) {
	d.settle()
	if d.chance(d.habits.loadError, "load error") {
		return engine.Rows{}, errLoad
	}
	shown := &d.kept.rows
	if d.bug == SyncIgnored || d.bug == AnswerBeforeCommit { // it takes for durable what is not
		shown = &d.written
	}
	rows = shown.find(need)
	if need.Entries > 0 {
		rows.FirstEntry = d.nextEntry
		d.nextEntry += need.Entries
	}
	return rows, nil
}

// commit writes what a batch changed, after the commits before it.
func (d *disk) commit(c *engine.Changes, then func(error)) {
	d.waiting = append(d.waiting, &write{changes: copyChanges(c), then: then})
	if len(d.waiting) == 1 {
		d.start()
	}
}

func (d *disk) start() {
	w := d.waiting[0]
	if d.crashes(d.habits.cut, "before a write") {
		return
	}
	d.later(d.habits.writeTime, "disk: write", func() { d.write(w) })
}

// write draws what becomes of a commit.
func (d *disk) write(w *write) {
	if d.chance(d.habits.fill, "disk full") {
		d.fullUntil = d.now + d.between(time.Millisecond, 20*time.Second)
	}
	switch {
	case d.now < d.fullUntil:
		d.end(w, errFull)
	case d.chance(d.habits.refuse, "commit refused"):
		d.end(w, errRefused)
	case d.chance(d.habits.conflict, "conflict"):
		d.end(w, engine.ErrConflict)
	case d.chance(d.habits.adrift, "commit unknown"):
		d.adrift, d.doubt = w, true
		d.end(w, errUnknown)
	case !d.written.current(w.changes):
		d.check.raced(w.changes)
		d.end(w, engine.ErrConflict)
	default:
		d.unsynced = append(d.unsynced, d.parts(w.changes)...)
		d.written.put(w.changes)
		if !d.crashes(d.habits.cut, "between write and sync") {
			d.later(d.syncTime(), "disk: sync", func() { d.sync(w) })
		}
	}
}

// parts is what one commit is written as: one part, if nobody planted a bug.
func (d *disk) parts(c *engine.Changes) []*engine.Changes {
	if d.bug != TwoCommits {
		return []*engine.Changes{c}
	}
	effect := &engine.Changes{At: c.At, Ledger: c.Ledger, Payments: c.Payments}
	return []*engine.Changes{effect, {At: c.At, Keys: c.Keys, Ledger: &ledger.Changes{}, Payments: &pay.Changes{}}}
}

func (d *disk) syncTime() time.Duration {
	if d.chance(d.habits.stall, "disk stalls") {
		return d.between(time.Second, 10*time.Second)
	}
	return d.between(0, d.habits.syncTime)
}

func (d *disk) sync(w *write) {
	if d.bug != SyncIgnored || d.luck.IntN(4) == 0 {
		for len(d.unsynced) > 0 {
			d.flush(d.unsynced[0])
			d.unsynced = d.unsynced[1:]
			if d.crashes(d.habits.cut, "between sync and report") {
				return
			}
		}
	}
	if d.chance(d.habits.hide, "answer of a commit lost") {
		d.doubt = true
		d.end(w, errUnknown)
		return
	}
	d.end(w, nil)
}

// end reports how a commit ended, and starts the next.
func (d *disk) end(w *write, err error) {
	d.waiting = d.waiting[1:]
	d.later(d.habits.writeTime, "disk: commit ended", func() { w.then(err) })
	if len(d.waiting) > 0 {
		d.start()
	}
}

// settle decides what became of a commit that was adrift: from the first look at
// the disk on, it is written or it never will be.
func (d *disk) settle() {
	w := d.adrift
	if d.adrift = nil; w == nil || d.luck.IntN(2) == 0 || !d.written.current(w.changes) {
		return
	}
	d.written.put(w.changes)
	for _, c := range d.parts(w.changes) {
		d.flush(c)
	}
}

// flush makes a commit durable.
func (d *disk) flush(c *engine.Changes) {
	d.commits++
	d.check.durable(c)
	d.kept.apply(c)
	d.note("durable", describe(c))
}

// crash keeps what is durable, and of the rest the first few commits or none.
func (d *disk) crash() {
	d.settle()
	for _, c := range d.unsynced[:d.luck.IntN(len(d.unsynced)+1)] {
		d.flush(c)
	}
	d.unsynced, d.waiting, d.doubt = nil, nil, false
	d.rewrite()
	d.nextEntry = d.kept.lastEntry + 1
	if d.bug == SequenceReused {
		d.nextEntry = 1
	}
}

// later has the disk do something, unless it crashes before.
func (d *disk) later(within time.Duration, name string, run func()) {
	life := d.server.life
	d.after(d.between(0, within), name, func() {
		if d.server.life == life {
			run()
		}
	})
}

// sweep drops what is over.
func (d *disk) sweep(now, forget time.Time) {
	d.kept.sweep(now, forget, d.bug == TombstoneForgotten)
	d.rewrite()
}

// rewrite has written be what is durable and what is not synced yet.
func (d *disk) rewrite() {
	d.written = d.kept.rows.clone()
	for _, c := range d.unsynced {
		d.written.put(c)
	}
}
