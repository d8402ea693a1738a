package contract

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// TestSharedStore holds a store that several processes share to what engine.Store
// promises of one: open returns what so many processes have of the same store, which
// is empty.
func TestSharedStore(t *testing.T, open func(t testing.TB, processes int) []engine.Store) {
	t.Run("numbers of entries and times grow with an account, whoever writes", func(t *testing.T) {
		const each = 25
		stores := open(t, 3)
		openShared(t, stores[0])
		var wg sync.WaitGroup
		for n, s := range stores {
			wg.Go(func() {
				p := &process{TB: t, Store: s, ids: id.NewSource([32]byte{1, byte(n)}), at: opening.Add(time.Duration(n) * time.Hour)}
				for range each {
					p.move()
				}
			})
		}
		wg.Wait()
		rows, err := stores[0].Load(t.Context(), sharedNeed)
		if err != nil || len(rows.Accounts) != 2 || rows.Accounts[0].Entries != int64(each*len(stores)) {
			t.Errorf("in the end there is %+v, %v", rows, err)
		}
	})
}

var sharedNeed = engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a"), ref("b")}}, Entries: ledger.EntriesPerCommand}

func openShared(t testing.TB, s engine.Store) {
	t.Helper()
	book := pay.NewBook()
	for _, name := range []string{"a", "b"} {
		c := ledger.OpenAccount{Ref: ref(name), Currency: "EUR", Floor: ledger.Floor{None: true}}
		c.Needs(book.Book)
		if _, err := c.Decide(book.Book, ledger.Moment{Now: opening, IDs: id.NewSource([32]byte{1, 99})}); err != nil {
			t.Fatal(err)
		}
	}
	written, err := book.Changes()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(context.Background(), &engine.Changes{At: opening, Ledger: written}); err != nil {
		t.Fatal(err)
	}
}

// process is one of those that share a store. Its clock is its own.
type process struct {
	testing.TB
	engine.Store
	ids *id.Source
	at  time.Time
}

// move moves money, as often as it takes: whoever loses a race loads again.
func (p *process) move() {
	for {
		need := sharedNeed
		need.Hold = true
		rows, err := p.Load(context.Background(), need)
		if err != nil || len(rows.Accounts) != 2 {
			p.Errorf("loaded %+v, %v", rows, err)
			return
		}
		for _, a := range rows.Accounts {
			if rows.FirstEntry <= a.LastEntry {
				p.Errorf("the account shows entry %d, and number %d is handed out with it", a.LastEntry, rows.FirstEntry)
				return
			}
		}
		if rows.Seen.After(p.at) {
			p.at = rows.Seen
		}
		switch err := p.Commit(context.Background(), p.decide(&rows)); {
		case err == nil:
			p.seen()
			return
		case !errors.Is(err, engine.ErrConflict):
			p.Errorf("commit: %v", err)
			return
		}
	}
}

func (p *process) decide(rows *engine.Rows) *engine.Changes {
	book := pay.NewBook()
	c := ledger.CreateTransfer{Tenant: tenant, From: "a", To: "b", Amount: 1, Currency: "EUR"}
	c.Needs(book.Book)
	rows.PutInto(book)
	book.Reserve(rows.FirstEntry)
	if _, err := c.Decide(book.Book, ledger.Moment{Now: p.at, IDs: p.ids}); err != nil {
		p.Errorf("decide: %v", err)
	}
	written, err := book.Changes()
	if err != nil {
		p.Errorf("decide: %v", err)
	}
	return &engine.Changes{At: p.at, Ledger: written}
}

// seen holds that what was just written is seen with its time.
func (p *process) seen() {
	rows, err := p.Load(context.Background(), sharedNeed)
	if err != nil || rows.Seen.Before(p.at) {
		p.Errorf("what was written at %v is seen as of %v: %v", p.at, rows.Seen, err)
	}
}
