package audit_test

import (
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
)

var entryTamperings = []tampering{
	{"a cent is added to an entry", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Delta.Posted++
		return audit.Pair, e.Transfer
	}},
	{"a cent is added to both sides of a move", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Delta.Posted--
		credit.Delta.Posted++
		return audit.Transfer, debit.Transfer
	}},
	{"a cent is added to both sides, to what they lead to, and to both balances", func(s *tables) (audit.Kind, string) {
		debit, credit := s.lastPair()
		debit.Delta.Posted--
		credit.Delta.Posted++
		debit.After.Posted--
		credit.After.Posted++
		s.ref(debit.Account).Balance.Posted--
		s.ref(credit.Account).Balance.Posted++
		return audit.Transfer, debit.Transfer
	}},
	{"a cent is added to what an entry leads to", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.After.Posted++
		return audit.Chain, seq(e)
	}},
	{"an entry is lost", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		other := seq(debit)
		s.loseEntry(credit.Seq)
		return audit.Pair, other
	}},
	{"a move is lost", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		transfer, numbers := debit.Transfer, []int64{debit.Seq, credit.Seq}
		s.loseEntry(numbers...)
		return audit.Transfer, transfer
	}},
	{"the last move is lost, and both accounts follow", func(s *tables) (audit.Kind, string) {
		transfer := s.undoLastPair()
		return audit.Transfer, transfer
	}},
	{"an entry is there twice", func(s *tables) (audit.Kind, string) {
		i := s.index(ledger.Move)
		s.entries = slices.Insert(s.entries, i, s.entries[i])
		return audit.Chain, seq(&s.entries[i])
	}},
	{"the accounts of a move are swapped", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Hold)
		debit.Account, credit.Account = credit.Account, debit.Account
		return audit.Transfer, debit.Transfer
	}},
	{"an entry is moved to another account", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.ID = s.otherAccount(e)
		return audit.Chain, seq(e)
	}},
	{"an entry is moved to another tenant", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.Tenant = "globex"
		return audit.Pair, e.Transfer
	}},
	{"an entry is moved to an account that does not exist", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Account.ID = "nowhere"
		return audit.Chain, seq(e)
	}},
	{"an entry forgets the one before it", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.Prev = 0
		return audit.Chain, seq(e)
	}},
	{"an entry is counted wrong", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Settle)
		e.Ordinal++
		return audit.Chain, seq(e)
	}},
	{"two moves are renumbered into each other's place", func(s *tables) (audit.Kind, string) {
		s.entries[0].Seq, s.entries[2].Seq = s.entries[2].Seq, s.entries[0].Seq
		return audit.Chain, seq(&s.entries[2])
	}},
	{"an entry is of another currency", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.Currency = "USD"
		return audit.Currency, "USD"
	}},
	{"an entry says that it is younger than the next", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.At, credit.At = s.end().Add(time.Hour), s.end().Add(time.Hour)
		next := slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Prev == debit.Seq })
		return audit.Time, seq(&s.entries[next])
	}},
	{"the two sides of a move are of different moments", func(s *tables) (audit.Kind, string) {
		e := s.entry(ledger.Move)
		e.At = e.At.Add(-time.Microsecond)
		return audit.Pair, e.Transfer
	}},
	{"a move is said to be a hold", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Kind, credit.Kind = ledger.Hold, ledger.Hold
		return audit.Pair, debit.Transfer
	}},
	{"an entry is of a kind that does not exist", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Kind, credit.Kind = 77, 77
		return audit.Pair, debit.Transfer
	}},
	{"a move is laid to another transfer's account", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		from := debit.Transfer
		debit.Transfer, credit.Transfer = s.transfer(ledger.Voided).ID, s.transfer(ledger.Voided).ID
		return audit.Transfer, from
	}},
	{"a move is made for a transfer that does not exist", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Move)
		debit.Transfer, credit.Transfer = "tr_nowhere", "tr_nowhere"
		return audit.Transfer, "tr_nowhere"
	}},
	{"a hold's end is laid to another hold of the same amount", func(s *tables) (audit.Kind, string) {
		debit, credit := s.pair(ledger.Release)
		from := debit.Transfer
		debit.Transfer, credit.Transfer = "tr_other", "tr_other"
		return audit.Transfer, from
	}},
}

func (s *tables) index(kind ledger.Kind) int {
	return slices.IndexFunc(s.entries, func(e ledger.Entry) bool {
		return e.Kind == kind && e.Account.Tenant == "acme" && e.Ordinal > 2
	})
}

func (s *tables) entry(kind ledger.Kind) *ledger.Entry { return &s.entries[s.index(kind)] }

func (s *tables) pair(kind ledger.Kind) (debit, credit *ledger.Entry) {
	i := s.index(kind)
	if i > 0 && s.entries[i-1].Transfer == s.entries[i].Transfer {
		i--
	}
	return &s.entries[i], &s.entries[i+1]
}

func (s *tables) lastPair() (debit, credit *ledger.Entry) {
	n := len(s.entries)
	return &s.entries[n-2], &s.entries[n-1]
}

// undoLastPair drops the last move and puts both accounts where they were.
func (s *tables) undoLastPair() (transfer string) {
	for n := len(s.entries); n > len(s.entries)-2; n-- {
		e := s.entries[n-1]
		a := s.ref(e.Account)
		a.Balance.Posted -= e.Delta.Posted
		a.Balance.Outgoing -= e.Delta.Outgoing
		a.Balance.Incoming -= e.Delta.Incoming
		a.Entries, a.LastEntry, transfer = e.Ordinal-1, e.Prev, e.Transfer
	}
	s.entries = s.entries[:len(s.entries)-2]
	return transfer
}

func (s *tables) loseEntry(numbers ...int64) {
	s.entries = slices.DeleteFunc(s.entries, func(e ledger.Entry) bool { return slices.Contains(numbers, e.Seq) })
}

func (s *tables) firstEntry(account string) string {
	i := slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Account == ledger.Ref{Tenant: "acme", ID: account} })
	return seq(&s.entries[i])
}

func (s *tables) otherAccount(e *ledger.Entry) string {
	if e.Account.ID == "a1" {
		return "a2"
	}
	return "a1"
}

func (s *tables) end() time.Time { return s.entries[len(s.entries)-1].At }

func seq(e *ledger.Entry) string { return strconv.FormatInt(e.Seq, 10) }
