package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/oncepay/oncepay/ledger"
)

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "dir", "once.db")
	s := open(t, path)
	tl := newTeller(s)
	tl.openAccounts(t, 3)
	if err := s.Commit(context.Background(), tl.decide(t, transfer(0, 1, 5), transfer(1, 2, 3))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	a, err := s.Account(context.Background(), ledger.Ref{Tenant: "acme", ID: accountName(1)})
	if err != nil || a == nil || a.Balance.Posted != 2 {
		t.Fatal(a, err)
	}
}
