package sqlite

import (
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
	lib "modernc.org/sqlite/lib"
)

// writer is the connection that writes, with its statements. It numbers the
// rows that are appended.
type writer struct {
	c *conn

	begin, commit, rollback *stmt

	insertAccount, updateAccount, insertBalance, updateBalance *stmt
	insertTransfer, updateTransfer, insertEntry, insertMark    *stmt
	insertKey, updateKey, insertAnswer, dropAnswer             *stmt
	insertEvent, setMeta, putShelf                             *stmt

	insertPayment, updatePayment, upsertOperation, wakeNotices            *stmt
	insertReference, updateReference, insertNotice, updateNotice, putLine *stmt

	last   numbers // of what is committed
	next   numbers // of what is being written
	header []byte  // reused
}

// numbers are the last row numbers of the tables that number for themselves, and
// what else a transaction that fails must not leave behind.
type numbers struct {
	commit, account, key, event int64

	shelves shelves
}

func (w *writer) prepare() error {
	for _, p := range []struct {
		to  **stmt
		sql string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
		{&w.insertAccount, "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.updateAccount, "UPDATE accounts SET min_balance = ?2, closed = ?3, metadata = ?4 WHERE num = ?1"},
		{&w.insertBalance, "INSERT INTO balances VALUES (?, ?, ?, ?, ?, ?, ?)"},
		{&w.updateBalance, `UPDATE balances SET posted = ?2, outgoing = ?3, incoming = ?4, entries = ?5, last_entry = ?6, version = ?7
			WHERE account = ?1 AND version = ?7 - 1`},
		{&w.insertTransfer, "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.updateTransfer, `UPDATE transfers SET status = ?3, amount_posted = ?4, reversed_by = ?5, version = ?6
			WHERE tenant = ?1 AND id = ?2 AND version = ?6 - 1`},
		{&w.insertEntry, "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.insertMark, "INSERT INTO entry_marks VALUES (?, ?, ?)"},
		{&w.insertKey, "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.updateKey, updateKey},
		{&w.insertAnswer, "INSERT INTO answers VALUES (?, ?, ?, ?)"},
		{&w.dropAnswer, "DELETE FROM answers WHERE key = ?"},
		{&w.insertEvent, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"},
		{&w.setMeta, "UPDATE meta SET value = ?2 WHERE name = ?1"},
		{&w.putShelf, upsertShelf},
		{&w.insertPayment, insert("payments", paymentColumns)},
		{&w.updatePayment, update("payments", paymentColumns, 2)},
		{&w.upsertOperation, upsert("operations", operationColumns, 3)},
		{&w.wakeNotices, wakeNotices},
		{&w.insertReference, insert("payment_references", referenceColumns)},
		{&w.updateReference, update("payment_references", referenceColumns, 2)},
		{&w.insertNotice, insert("notices", noticeColumns+", waits_for")},
		{&w.updateNotice, update("notices", noticeColumns+", waits_for", 3)},
		{&w.putLine, insertLine},
	} {
		var err error
		if *p.to, err = w.c.stmt(p.sql); err != nil {
			return err
		}
	}
	return w.count()
}

// count finds the numbers to go on from.
func (w *writer) count() (err error) {
	w.last.shelves = noShelves
	for _, p := range []struct {
		to  *int64
		sql string
	}{
		{&w.last.commit, selectCommit},
		{&w.last.account, "SELECT max(num) FROM accounts"},
		{&w.last.key, "SELECT max(num) FROM keys"},
		{&w.last.event, "SELECT max(seq) FROM events"},
	} {
		if *p.to, err = w.c.integer(p.sql); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs fn in a transaction. After an error nothing of it is there,
// unless the error is a commitError.
func (w *writer) transaction(fn func(*writer) error) error {
	w.next = w.last
	if _, err := w.begin.exec(); err != nil {
		return err
	}
	if err := fn(w); err != nil {
		return w.undo(err)
	}
	if _, err := w.commit.exec(); err != nil {
		return w.undo(&commitError{err})
	}
	w.last = w.next
	return nil
}

func (w *writer) undo(err error) error {
	if !w.c.inTransaction() {
		return err // the library has done it
	}
	if _, undone := w.rollback.exec(); w.c.inTransaction() {
		return &stuckError{err, undone}
	}
	return err // a ROLLBACK that fails may have done what it was for
}

// putClock writes when the commit is, and which one it is.
func (w *writer) putClock(at time.Time) error {
	w.next.commit++
	if _, err := w.setMeta.text("clock").time(at).exec(); err != nil {
		return err
	}
	_, err := w.setMeta.text("commit").int(w.next.commit).exec()
	return err
}

// putUndone counts what was undone on disk. No other transaction writes that, so
// the page differs from any that may be in the log.
func (w *writer) putUndone() error {
	q, err := w.c.stmt("UPDATE meta SET value = value + 1 WHERE name = 'undone'")
	if err != nil {
		return err
	}
	return one(q.exec())
}

// logged is how many pages are in the log. It is not worth an error: what is
// wrong with the log shows at the next write.
func (w *writer) logged() int {
	n, _, _ := w.c.checkpoint(lib.SQLITE_CHECKPOINT_NOOP)
	return n
}

func (w *writer) openAccount(a *ledger.Account) (num int64, err error) {
	w.next.account++
	num = w.next.account
	q := w.insertAccount.int(num).text(a.Tenant).text(a.ID).text(string(a.Currency))
	if _, err = w.floor(q, a.Floor).bool(a.Closed).metadata(a.Metadata).time(a.CreatedAt).exec(); err != nil {
		return 0, err
	}
	_, err = w.insertBalance.int(num).balance(a).exec()
	return num, err
}

func (w *writer) changeAccount(num int64, a *ledger.Account) error {
	return one(w.floor(w.updateAccount.int(num), a.Floor).bool(a.Closed).metadata(a.Metadata).exec())
}

func (*writer) floor(q *stmt, f ledger.Floor) *stmt {
	if f.None {
		return q.null()
	}
	return q.int(f.Minor)
}

func (w *writer) putBalance(num int64, a *ledger.Account) error {
	return one(w.updateBalance.int(num).balance(a).exec())
}

// balance binds the row of a balance, but for the account's number.
func (s *stmt) balance(a *ledger.Account) *stmt {
	b := &a.Balance
	return s.int(b.Posted).int(b.Outgoing).int(b.Incoming).int(a.Entries).int(a.LastEntry).int(a.Version)
}

func (w *writer) putTransfer(t *ledger.Transfer) error {
	if t.Version > 1 {
		return one(w.updateTransfer.text(t.Tenant).text(t.ID).
			int(int64(t.Status)).int(t.AmountPosted).textOrNull(t.ReversedBy).int(t.Version).exec())
	}
	_, err := w.insertTransfer.text(t.Tenant).text(t.ID).int(int64(t.Status)).text(t.From).text(t.To).
		int(t.Amount).int(t.AmountPosted).text(string(t.Currency)).
		textOrNull(t.Reference).textOrNull(t.Reverses).textOrNull(t.ReversedBy).
		timeOrNull(t.ExpiresAt).metadata(t.Metadata).time(t.CreatedAt).int(t.Version).textOrNull(t.Operation).exec()
	return err
}

// markEvery is how many entries of an account lie between two marks.
const markEvery = 256

func (w *writer) putEntry(account int64, e *ledger.Entry) error {
	_, err := w.insertEntry.int(e.Seq).int(account).text(e.Transfer).int(int64(e.Kind)).
		int(e.Delta.Posted).int(e.Delta.Outgoing).int(e.Delta.Incoming).
		int(e.After.Posted).int(e.After.Outgoing).int(e.After.Incoming).
		int(e.Prev).int(e.Ordinal).time(e.At).exec()
	if err != nil || e.Ordinal%markEvery != 0 {
		return err
	}
	_, err = w.insertMark.int(account).time(e.At).int(e.Seq).exec()
	return err
}

func (w *writer) putEvent(e *outbox.Event) error {
	w.next.event++
	_, err := w.insertEvent.int(w.next.event).text(e.Tenant).text(e.ID).text(e.Type).text(e.Subject).
		time(e.At).textBytes(e.Data).exec()
	return err
}
