package audit_test

import (
	"slices"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
)

var accountTamperings = []tampering{
	{"a cent is added to a balance", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Balance.Posted++
		return audit.Balance, a.ID
	}},
	{"a cent is added to a balance, and taken from another", func(s *tables) (audit.Kind, string) {
		a, b := s.account("a1"), s.account("a2")
		a.Balance.Posted++
		b.Balance.Posted--
		return audit.Balance, b.ID
	}},
	{"a cent is added to the sum of all balances", func(s *tables) (audit.Kind, string) {
		s.account("a1").Balance.Posted++
		return audit.Currency, "EUR"
	}},
	{"what is held is forgotten", func(s *tables) (audit.Kind, string) {
		a := s.accountWith(func(a *ledger.Account) bool { return a.Balance.Outgoing > 0 })
		a.Balance.Outgoing = 0
		return audit.Balance, a.ID
	}},
	{"a hold is negative", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Balance.Incoming = -1
		return audit.Row, a.ID
	}},
	{"an account says that it has one entry more", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Entries++
		return audit.Balance, a.ID
	}},
	{"an account names another last entry", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.LastEntry--
		return audit.Balance, a.ID
	}},
	{"an account's currency is changed", func(s *tables) (audit.Kind, string) {
		a := s.account("a1")
		a.Currency = "USD"
		return audit.Chain, s.firstEntry("a1")
	}},
	{"an account is lost", func(s *tables) (audit.Kind, string) {
		first := s.firstEntry("a1")
		s.accounts = slices.DeleteFunc(s.accounts, func(a *ledger.Account) bool { return a.ID == "a1" && a.Tenant == "acme" })
		return audit.Chain, first
	}},
	{"an account is there twice", func(s *tables) (audit.Kind, string) {
		s.accounts = append(s.accounts, new(*s.account("a1")))
		return audit.Row, "a1"
	}},
	{"the balances of two accounts are swapped", func(s *tables) (audit.Kind, string) {
		a, b := s.account("a1"), s.account("world")
		a.Balance, b.Balance = b.Balance, a.Balance
		return audit.Balance, "a1"
	}},
	{"an account of nobody is added", func(s *tables) (audit.Kind, string) {
		s.accounts = append(s.accounts, &ledger.Account{Ref: ledger.Ref{Tenant: "acme", ID: "mine"}, Currency: "EUR", CreatedAt: s.end()})
		return audit.Key, "mine"
	}},
	{"an account is closed behind the ledger's back", func(s *tables) (audit.Kind, string) {
		s.account("empty").Closed = true
		return audit.Event, "empty"
	}},
	{"a closed account is opened again", func(s *tables) (audit.Kind, string) {
		s.account("closed").Closed = false
		return audit.Event, "closed"
	}},
	{"an account with money in it is closed", func(s *tables) (audit.Kind, string) {
		s.account("world").Closed = true
		return audit.Row, "world"
	}},
}

func (s *tables) account(id string) *ledger.Account {
	return s.ref(ledger.Ref{Tenant: "acme", ID: id})
}

func (s *tables) ref(r ledger.Ref) *ledger.Account {
	return s.accountWith(func(a *ledger.Account) bool { return a.Ref == r })
}

func (s *tables) accountWith(fits func(*ledger.Account) bool) *ledger.Account {
	return s.accounts[slices.IndexFunc(s.accounts, fits)]
}
