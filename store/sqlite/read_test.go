package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

func TestCursorsBelongToTheirList(t *testing.T) {
	s, other := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	for _, s := range []engine.Store{s, other} {
		tl := newTeller(s)
		tl.openAccounts(t, 1000)
		tl.run(t, 100)
	}
	ref := ledger.Ref{Tenant: "acme", ID: accountName(7)}
	l, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{}, engine.Page{Limit: 3})
	if err != nil || l.Next == "" {
		t.Fatal(l, err)
	}
	page := engine.Page{Limit: 3, Cursor: l.Next}
	for name, read := range map[string]func() error{
		"of another tenant": func() error {
			_, err := s.Transfers(t.Context(), "other", engine.TransferFilter{}, page)
			return err
		},
		"of another filter": func() error {
			_, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{Reference: "x"}, page)
			return err
		},
		"of another list": func() error { _, err := s.Accounts(t.Context(), "acme", page); return err },
		"of an account":   func() error { _, err := s.Entries(t.Context(), ref, page); return err },
		"of events":       func() error { _, err := s.Events(t.Context(), "acme", engine.EventFilter{}, page); return err },
		"of another store": func() error {
			_, err := other.Transfers(t.Context(), "acme", engine.TransferFilter{}, page)
			return err
		},
		"with a byte that changed": func() error {
			p := page
			p.Cursor = "A" + p.Cursor[1:]
			if p.Cursor == page.Cursor {
				p.Cursor = "B" + p.Cursor[1:]
			}
			_, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{}, p)
			return err
		},
		"that is no cursor": func() error {
			_, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{}, engine.Page{Limit: 3, Cursor: "12"})
			return err
		},
	} {
		if err := read(); !errors.Is(err, engine.ErrBadCursor) {
			t.Errorf("a cursor %s: %v", name, err)
		}
	}
	if l, err = s.Transfers(t.Context(), "acme", engine.TransferFilter{}, page); err != nil || len(l.Items) != 3 {
		t.Errorf("its own list: %v, %v", l, err)
	}
}

// New rows come in front: pages that are read on neither repeat nor miss one.
func TestPagesAreStableWhileRowsArrive(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 1000)
	tl.run(t, 500)
	seen := map[string]bool{}
	for p := (engine.Page{Limit: 40}); ; {
		l, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range l.Items {
			if seen[x.ID] {
				t.Fatalf("%s is on two pages", x.ID)
			}
			seen[x.ID] = true
		}
		if p.Cursor = l.Next; p.Cursor == "" {
			break
		}
		tl.run(t, 10)
	}
	if len(seen) != 500 {
		t.Errorf("%d of 500 transfers were listed", len(seen))
	}
}

// A time far back is found by marks, not by walking all that came since.
func TestTimesFarBackAreFound(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	tl := newTeller(s)
	tl.openAccounts(t, 2)
	balance := map[time.Time]int64{}
	for i := range 120 {
		var cs []ledger.Command
		for range 10 {
			cs = append(cs, transfer(0, 1, int64(i)))
		}
		if i == 0 {
			cs = nil
		}
		mustCommit(t, s, tl.decide(t, cs...))
		balance[tl.now] = account(t, s, 1).Balance.Posted
	}
	ref := ledger.Ref{Tenant: "acme", ID: accountName(1)}
	for at, want := range balance {
		for _, at := range []time.Time{at, at.Add(time.Microsecond), at.Add(2*time.Millisecond - time.Microsecond)} {
			a, err := s.AccountAt(t.Context(), ref, at)
			if err != nil || a == nil || a.Balance.Posted != want {
				t.Fatalf("at %v: %+v, %v, want %d", at, a, err, want)
			}
		}
	}
}

// The views for people say what the tables do.
func TestViewsForPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.now = time.Date(2026, 11, 21, 10, 20, 30, 123456000, time.UTC)
	tl.openAccounts(t, 2)
	hold := transfer(0, 1, 5)
	hold.Pending = true
	mustCommit(t, s, tl.decide(t, transfer(0, 1, 700), hold))
	shop := shopOn(t, s)
	shop.settle(t, shop.begin(t))
	db := raw(t, path)
	defer db.Close()
	for query, want := range map[string]string{
		"SELECT status || ' ' || in_doubt || ' ' || amount_captured || ' ' || capture_method || ' ' || (updated_at >= created_at) FROM payment_list":                  "succeeded no 1250 automatic 1",
		"SELECT kind || ' ' || outcome || ' ' || moved || ' ' || currency || ' ' || sends || ' ' || (due_at IS NULL) FROM operation_list":                             "charge succeeded 1250 EUR 1 1",
		"SELECT count(*) FROM transfer_list t JOIN operation_list o ON o.id = t.operation AND o.transfer = t.id":                                                      "1",
		"SELECT group_concat(status || ' ' || amount || ' ' || substr(created_at, 1, 19), ', ') FROM transfer_list WHERE operation IS NULL":                           "posted 700 2026-11-21T10:20:30, pending 5 2026-11-21T10:20:30",
		"SELECT id || ' ' || posted || ' ' || pending || ' ' || available || ' ' || status FROM account_list WHERE id LIKE 'customer%' ORDER BY id":                   "customer-000000 -700 -5 -705 open",
		"SELECT group_concat(line || ' ' || type || ' ' || amount || ' ' || held || ' ' || balance_available, ', ') FROM statement WHERE account = 'customer-000001'": "1 move 700 0 700, 2 hold 0 5 700",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", query, got, err, want)
		}
	}
}
