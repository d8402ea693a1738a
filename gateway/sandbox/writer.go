package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// Bounds of the writer.
const (
	maxQueue = 1024            // entries that wait for the next transaction
	maxBatch = 512             // entries in one transaction: one sync pays for all of them
	maxWait  = 2 * time.Second // for a place in the queue: less than callers wait for an answer
)

var (
	errClosed  = errors.New("sandbox: the server is closed")
	errStopped = errors.New("sandbox: the books could not be written, and nothing more is; open them again")
)

// A writer writes the books: one goroutine, one connection, and as many entries
// in a transaction as have come in the meantime.
type writer struct {
	conn     *sql.Conn
	tx       *tx
	patience time.Duration // for a place in the queue
	queue    chan entry
	news     chan struct{} // there are webhooks to deliver

	closing  chan struct{}
	finished chan struct{} // closed: nothing is written any more
	once     sync.Once
}

// An entry is a function that is run in some transaction. It has been committed
// when done yields nil.
type entry struct {
	run  func(*tx) error
	done chan error
}

func newWriter(db *sql.DB) (*writer, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	w := &writer{
		conn:     conn,
		tx:       &tx{conn: conn, prepared: map[string]*sql.Stmt{}, ids: id.NewSource(id.Seed())},
		patience: maxWait,
		queue:    make(chan entry, maxQueue), news: make(chan struct{}, 1),
		closing: make(chan struct{}), finished: make(chan struct{}),
	}
	go w.work()
	return w, nil
}

// do runs fn in a transaction with others and returns when that is durable. If
// fn fails, nothing of the transaction is kept. It fails with errOverloaded when
// there is no place in the queue, and then nothing began.
func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	e := entry{fn, make(chan error, 1)}
	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	select {
	case w.queue <- e:
	case <-w.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return errOverloaded
	}
	select {
	case err := <-e.done: // also if ctx is over: what was begun is finished
		return err
	case <-w.finished:
		return w.afterTheEnd(e)
	}
}

// afterTheEnd returns what became of an entry, if the writer got to it before it
// stopped.
func (w *writer) afterTheEnd(e entry) error {
	select {
	case err := <-e.done:
		return err
	default:
		return errClosed
	}
}

func (w *writer) work() {
	defer close(w.finished)
	for {
		select {
		case e := <-w.queue:
			if err := w.commit(w.gather(e)); err != nil {
				return
			}
		case <-w.closing:
			return
		}
	}
}

// gather takes what waits in the queue, up to a batch.
func (w *writer) gather(first entry) []entry {
	batch := []entry{first}
	for len(batch) < maxBatch {
		select {
		case e := <-w.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction and tells all what became of it. It
// returns an error if nothing may be written any more: when a COMMIT fails, what
// the disk has is known only to who opens the file again.
func (w *writer) commit(batch []entry) error {
	failed, err := w.transact(batch)
	if failed && len(batch) > 1 { // each by itself, so that one does not fail the others
		for i := range batch {
			if err := w.commit(batch[i : i+1]); err != nil {
				tell(batch[i+1:], err)
				return err
			}
		}
		return nil
	}
	tell(batch, err)
	if errors.Is(err, errStopped) {
		return err
	}
	w.spread()
	return nil
}

// spread wakes the courier after a transaction that has work for it.
func (w *writer) spread() {
	if !w.tx.news {
		return
	}
	w.tx.news = false
	select {
	case w.news <- struct{}{}:
	default: // it is awake
	}
}

func tell(batch []entry, err error) {
	for _, e := range batch {
		e.done <- err
	}
}

// transact reports whether an entry failed, so that nothing was committed.
func (w *writer) transact(batch []entry) (failed bool, err error) {
	if err := w.tx.exec("BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	for _, e := range batch {
		if err := e.run(w.tx); err != nil {
			return true, errors.Join(err, w.tx.exec("ROLLBACK"))
		}
	}
	if err := w.tx.exec("COMMIT"); err != nil {
		return false, fmt.Errorf("%w: %w", errStopped, err)
	}
	return false, nil
}

// close lets what is being written be finished.
func (w *writer) close() error {
	w.once.Do(func() { close(w.closing) })
	<-w.finished
	return errors.Join(w.tx.close(), w.conn.Close())
}
