package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// How long rows are held; see [engine.Need].
const (
	// holdTime is from when they are locked to the commit: a load, a decision.
	holdTime = 250 * time.Millisecond

	// holdWait is the longest that rows are waited for that others hold: four of them, as
	// long as they may. Then they are not held.
	holdWait = 4 * holdTime

	// holdLost is after how long the server ends a transaction whose process is gone.
	holdLost = 2 * holdTime
)

// held is a transaction that has locked rows, until this process commits: in that very
// transaction, since it would wait for its own locks in any other.
type held struct {
	conn  *pgxpool.Conn
	ended *time.Timer
}

// holder has what is held, if anything is.
type holder struct {
	mu  sync.Mutex
	now *held
}

// take returns what is held, to be committed in or let go.
func (h *holder) take() *held {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.now
	h.now = nil
	if x != nil {
		x.ended.Stop()
	}
	return x
}

// put holds a transaction for holdTime.
func (h *holder) put(x *held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = x
	x.ended = time.AfterFunc(holdTime, func() {
		h.mu.Lock()
		mine := h.now == x
		if mine {
			h.now = nil
		}
		h.mu.Unlock()
		if mine {
			x.letGo()
		}
	})
}

// letGo ends the transaction, unless a commit has, and gives its connection back. It may
// be none.
func (x *held) letGo() {
	if x == nil {
		return
	}
	defer x.conn.Release()
	if x.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	x.conn.Exec(ctx, "ROLLBACK") // or the pool closes the connection, which does the same
}

// holding is what a transaction begins with that is to hold rows, and haste what it ends
// with: a commit then waits for what it has not locked yet, out of the order in which others wait. It
// gives up before the server looks for a deadlock, and has lost a race.
var (
	holding = fmt.Sprintf("SELECT set_config('lock_timeout', '%d', true), set_config('idle_in_transaction_session_timeout', '%d', true)",
		holdWait.Milliseconds(), holdLost.Milliseconds())
	haste = fmt.Sprintf("SELECT set_config('lock_timeout', '%d', true)", holdTime.Milliseconds())
)

// hold locks the rows of a need, in the order in which commits do. That it could not is
// no error: every commit is fenced all the same.
func (s *Store) hold(ctx context.Context, need *engine.Need) {
	s.held.take().letGo() // fewer rows
	conn, err := s.desk.Acquire(ctx)
	if err != nil {
		return
	}
	var b pgx.Batch
	b.Queue("BEGIN")
	b.Queue(begin)
	b.Queue(holding)
	holdRows(&b, need)
	x := &held{conn: conn}
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		x.letGo()
		return
	}
	s.held.put(x)
}

// Balances are locked in the order of their numbers, which is that of commits, and not that
// of the names that are given.
var holdBalances = "SELECT 1 FROM " + lookup("(SELECT t.num FROM "+lookup(idArrays, "a.num", "accounts a", "a.tenant = r.tenant AND a.id = r.id")+" ORDER BY t.num) r",
	"1", "balances b", "b.account = r.num FOR NO KEY UPDATE")

var (
	holdTransfers  = transfersTable.hold()
	holdPayments   = paymentsTable.lock(wantedPayments)
	holdReferences = referencesTable.hold()
	holdNotices    = noticesTable.hold()
	holdKeys       = keysTable.hold()
)

// holdRows queues what locks rows, table by table as [writing.prepare] does.
func holdRows(b *pgx.Batch, need *engine.Need) {
	put := func(sql string, rows int, args []any) {
		if rows > 0 {
			b.Queue(sql, args...)
		}
	}
	p := &need.Payments
	payments, references := names(p.Payments, paymentNames), names(p.References, referenceNames)
	put(holdBalances, len(need.Rows.Accounts), names(need.Rows.Accounts, ledgerNames))
	put(holdTransfers, len(need.Rows.Transfers), names(need.Rows.Transfers, ledgerNames))
	put(holdPayments, len(p.Payments)+len(p.References), append(payments, references...))
	put(holdReferences, len(p.References), references)
	put(holdNotices, len(p.Notices), noticeNames(p.Notices))
	put(holdKeys, len(need.Keys), names(need.Keys, keyNames))
}

// noticeNames are the three names of each notice.
func noticeNames(notices []pay.NoticeID) []any {
	gateways := make([]string, len(notices))
	for i, n := range notices {
		gateways[i] = writeText(n.Gateway)
	}
	of := names(notices, func(n pay.NoticeID) (string, string) { return n.Tenant, n.ID })
	return []any{of[0], gateways, of[1]}
}

// hold locks the rows with these keys.
func (t table) hold() string {
	var arrays []string
	for i, typ := range t.types[:t.key] {
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, typ))
	}
	return t.lock(fmt.Sprintf("unnest(%s) r(%s)", strings.Join(arrays, ", "), strings.Join(t.names[:t.key], ", ")))
}

// lock locks the rows whose keys are given, all of them texts, in their order.
func (t table) lock(given string) string {
	order := "r." + strings.Join(t.names[:t.key], ` COLLATE "C", r.`) + ` COLLATE "C"`
	return "SELECT 1 FROM " + lookup("(SELECT * FROM "+given+" ORDER BY "+order+") r", "1", t.name+" t", t.match()+" FOR NO KEY UPDATE")
}
