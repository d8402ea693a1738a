package audit_test

import (
	"slices"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
)

var transferTamperings = []tampering{
	{"a cent is added to a transfer", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.Amount++
		t.AmountPosted++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to what was posted of a hold", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.AmountPosted > 0 && t.AmountPosted < t.Amount })
		t.AmountPosted++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to what is held", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.Amount++
		return audit.Transfer, t.ID
	}},
	{"a cent is added to a hold that was voided", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Amount++
		return audit.Transfer, t.ID
	}},
	{"more is posted than was to be", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.AmountPosted = t.Amount + 1
		return audit.Row, t.ID
	}},
	{"a transfer is lost", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		s.transfers = slices.DeleteFunc(s.transfers, func(x *ledger.Transfer) bool { return x == t })
		return audit.Transfer, t.ID
	}},
	{"a transfer is there twice", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		s.transfers = append(s.transfers, new(*t))
		return audit.Transfer, t.ID
	}},
	{"the accounts of a transfer are swapped", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.From, t.To = t.To, t.From
		return audit.Transfer, t.ID
	}},
	{"a transfer goes to another account", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.To = "elsewhere"
		return audit.Transfer, t.ID
	}},
	{"a transfer belongs to another tenant", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Tenant == "acme" })
		t.Tenant = "globex"
		return audit.Transfer, t.ID
	}},
	{"the amounts of two transfers are swapped", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		other := s.transferWith(func(o *ledger.Transfer) bool { return o.Status == ledger.Pending && o.Amount != t.Amount })
		t.Amount, other.Amount = other.Amount, t.Amount
		return audit.Transfer, other.ID
	}},
	{"a pending transfer is said to be voided", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Pending)
		t.Status = ledger.Voided
		return audit.Transfer, t.ID
	}},
	{"a voided transfer is said to have expired", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Status = ledger.Expired
		return audit.Event, t.ID
	}},
	{"a transfer has a status that does not exist", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Voided)
		t.Status = 99
		return audit.Row, t.ID
	}},
	{"a transfer is of another currency", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.Currency = "USD"
		return audit.Transfer, t.ID
	}},
	{"a transfer is said to be older than its first entry", func(s *tables) (audit.Kind, string) {
		t := s.transfer(ledger.Posted)
		t.CreatedAt = t.CreatedAt.Add(-time.Second)
		return audit.Transfer, t.ID
	}},
	{"a transfer forgets that it was reversed", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		t.ReversedBy = ""
		return audit.Link, t.ID
	}},
	{"a transfer says that it was reversed by another", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		t.ReversedBy = s.transfer(ledger.Voided).ID
		return audit.Link, t.ID
	}},
	{"a transfer says that it was reversed and was not", func(s *tables) (audit.Kind, string) {
		t := s.transferWith(func(t *ledger.Transfer) bool { return t.Status == ledger.Posted && t.ReversedBy == "" })
		t.ReversedBy = "tr_nowhere"
		return audit.Link, t.ID
	}},
	{"a reversal forgets what it reversed", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		s.transferWith(func(u *ledger.Transfer) bool { return u.ID == t.ReversedBy }).Reverses = ""
		return audit.Link, t.ID
	}},
	{"two transfers say that they reverse the same one", func(s *tables) (audit.Kind, string) {
		t := s.reversed()
		s.transferWith(func(u *ledger.Transfer) bool { return u.Status == ledger.Posted && u.Reverses == "" && u != t }).Reverses = t.ID
		return audit.Link, t.ID
	}},
}

func (s *tables) transferWith(fits func(*ledger.Transfer) bool) *ledger.Transfer {
	return s.transfers[slices.IndexFunc(s.transfers, fits)]
}

func (s *tables) transfer(status ledger.Status) *ledger.Transfer {
	return s.transferWith(func(t *ledger.Transfer) bool { return t.Status == status })
}

func (s *tables) reversed() *ledger.Transfer {
	return s.transferWith(func(t *ledger.Transfer) bool { return t.ReversedBy != "" })
}
