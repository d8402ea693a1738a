package ledger_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/ledger"
)

// model is a ledger as a child would keep one: piles of coins that may be any
// number, and slips of paper for what is held. It has no batches, no entries and
// no 64 bits; it only knows what may happen.
type model struct {
	world *world
	piles map[string]*big.Int
	slips []*slip // every transfer, in the order in which it was made
}

type slip struct {
	ref      ledger.Ref
	from, to string
	amount   int64
	status   ledger.Status
	posted   int64
	expires  time.Time
	reversed bool
}

var names = []string{"a", "b", "c", "d"} // a and b have no floor

func newModel(t fataler) *model {
	m := &model{world: newWorld(), piles: map[string]*big.Int{}}
	for _, name := range names {
		m.piles[name] = new(big.Int)
		m.world.do(t, ledger.OpenAccount{Ref: ref(name), Currency: "EUR", Floor: ledger.Floor{None: name < "c"}})
	}
	return m
}

// held is what is held out of an account, and into it.
func (m *model) held(name string) (out, in *big.Int) {
	out, in = new(big.Int), new(big.Int)
	for _, s := range m.slips {
		if s.status == ledger.Pending && s.from == name {
			out.Add(out, big.NewInt(s.amount))
		}
		if s.status == ledger.Pending && s.to == name {
			in.Add(in, big.NewInt(s.amount))
		}
	}
	return out, in
}

// fits says whether every number of an account, with all its holds posted or
// none, is one of 64 bits, if its pile and holds change by so much.
func (m *model) fits(name string, pile, moreOut, moreIn int64) bool {
	out, in := m.held(name)
	p := new(big.Int).Add(m.piles[name], big.NewInt(pile))
	out.Add(out, big.NewInt(moreOut))
	in.Add(in, big.NewInt(moreIn))
	return p.IsInt64() && out.IsInt64() && in.IsInt64() &&
		new(big.Int).Sub(p, out).IsInt64() && new(big.Int).Add(p, in).IsInt64()
}

// debit says why an account may not be debited: "" if it may.
func (m *model) debit(from, to string, amount int64, held bool) ledger.Code {
	out, _ := m.held(from)
	left := new(big.Int).Sub(m.piles[from], out)
	fits := m.fits(from, -amount, 0, 0) && m.fits(to, amount, 0, 0)
	if held {
		fits = m.fits(from, 0, amount, 0) && m.fits(to, 0, 0, amount)
	}
	switch {
	case !fits:
		return ledger.BalanceOverflow
	case from >= "c" && left.Cmp(big.NewInt(amount)) < 0:
		return ledger.InsufficientFunds
	}
	return ""
}

func (m *model) move(from, to string, amount int64) {
	m.piles[from].Sub(m.piles[from], big.NewInt(amount))
	m.piles[to].Add(m.piles[to], big.NewInt(amount))
}

// anyAmount is small, or at an end of the range.
func anyAmount(t *rapid.T) int64 {
	return rapid.OneOf(
		rapid.Int64Range(1, 20), rapid.Int64Range(math.MaxInt64-20, math.MaxInt64), rapid.Int64Range(1, math.MaxInt64), rapid.Int64Range(-2, 1),
	).Draw(t, "amount")
}

func (m *model) transfer(t *rapid.T) {
	from, to := rapid.SampledFrom(names).Draw(t, "from"), rapid.SampledFrom(names).Draw(t, "to")
	amount, pending := anyAmount(t), rapid.Bool().Draw(t, "pending")
	c := move(from, to, amount)
	c.Pending = pending
	if pending && rapid.Bool().Draw(t, "expires") {
		c.ExpiresAt = m.world.now.Add(time.Hour)
	}
	switch code := m.debit(from, to, amount, pending); {
	case amount <= 0:
		m.world.refuse(t, c, ledger.Invalid, "/amount")
	case from == to:
		m.world.refuse(t, c, ledger.Invalid, "/to")
	case code != "":
		m.world.refuse(t, c, code, "/amount")
	default:
		tr := m.world.do(t, c).Transfer
		s := &slip{ref: tr.Ref, from: from, to: to, amount: amount, status: ledger.Pending, expires: c.ExpiresAt}
		if !pending {
			s.status, s.posted = ledger.Posted, amount
			m.move(from, to, amount)
		}
		m.slips = append(m.slips, s)
	}
}

// slip picks a transfer.
func (m *model) slip(t *rapid.T) *slip {
	if len(m.slips) == 0 {
		t.Skip("there is no transfer")
	}
	return rapid.SampledFrom(m.slips).Draw(t, "transfer")
}

func (m *model) due(s *slip) bool {
	return s.status == ledger.Pending && !s.expires.IsZero() && !m.world.now.Before(s.expires)
}

func (m *model) post(t *rapid.T) {
	s := m.slip(t)
	c, amount := ledger.PostTransfer{Ref: s.ref}, s.amount
	if rapid.Bool().Draw(t, "in part") {
		amount = rapid.OneOf(rapid.Int64Range(0, 20), rapid.Just(s.amount)).Draw(t, "part")
		c.Amount = &amount
	}
	switch {
	case s.status != ledger.Pending || m.due(s):
		m.world.refuse(t, c, ledger.StateConflict, "")
	case amount <= 0:
		m.world.refuse(t, c, ledger.Invalid, "/amount")
	case amount > s.amount:
		m.world.refuse(t, c, ledger.ExceedsHold, "/amount")
	default: // never for lack of funds or range: that was seen to when it was held
		m.world.do(t, c)
		s.status, s.posted = ledger.Posted, amount
		m.move(s.from, s.to, amount)
	}
}

func (m *model) void(t *rapid.T) {
	s := m.slip(t)
	if s.status != ledger.Pending || m.due(s) {
		m.world.refuse(t, ledger.VoidTransfer{Ref: s.ref}, ledger.StateConflict, "")
		return
	}
	m.world.do(t, ledger.VoidTransfer{Ref: s.ref})
	s.status = ledger.Voided
}

func (m *model) expire(t *rapid.T) {
	s := m.slip(t)
	m.world.do(t, ledger.ExpireTransfer{Ref: s.ref})
	if m.due(s) {
		s.status = ledger.Expired
	}
}

func (m *model) reverse(t *rapid.T) {
	s := m.slip(t)
	c := ledger.ReverseTransfer{Ref: s.ref}
	if s.status != ledger.Posted || s.reversed {
		m.world.refuse(t, c, ledger.StateConflict, "")
		return
	}
	if code := m.debit(s.to, s.from, s.posted, false); code != "" {
		m.world.refuse(t, c, code, "")
		return
	}
	undo := m.world.do(t, c).Transfer
	s.reversed = true
	m.move(s.to, s.from, s.posted)
	m.slips = append(m.slips, &slip{ref: undo.Ref, from: s.to, to: s.from, amount: s.posted, status: ledger.Posted, posted: s.posted})
}

// check compares the world with the model, and holds what must always hold.
func (m *model) check(t *rapid.T) {
	posted, held := new(big.Int), new(big.Int)
	for _, name := range names {
		b := m.world.balance(name)
		out, in := m.held(name)
		if m.piles[name].Cmp(big.NewInt(b.Posted)) != 0 || out.Cmp(big.NewInt(b.Outgoing)) != 0 || in.Cmp(big.NewInt(b.Incoming)) != 0 {
			t.Fatalf("%s stands at %+v, want %v with %v out and %v in", name, b, m.piles[name], out, in)
		}
		posted.Add(posted, big.NewInt(b.Posted))
		held.Add(held, big.NewInt(b.Pending()))
	}
	if posted.Sign() != 0 || held.Sign() != 0 {
		t.Fatalf("all accounts together have %v, and %v pending", posted, held)
	}
	for _, s := range m.slips {
		tr := m.world.transfers[s.ref]
		if tr.Status != s.status || tr.AmountPosted != s.posted || tr.Amount != s.amount || (tr.ReversedBy != "") != s.reversed {
			t.Fatalf("transfer %+v, want %+v", tr, s)
		}
	}
	checkChains(t, m.world)
}

func TestTheLedgerDoesWhatANaiveModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"transfer":    m.transfer,
			"transfer ":   m.transfer, // twice as often
			"post":        m.post,
			"void":        m.void,
			"expire":      m.expire,
			"reverse":     m.reverse,
			"time passes": func(*rapid.T) { m.world.now = m.world.now.Add(20 * time.Minute) },
			"":            m.check,
		})
	})
}

// A batch is its commands, one after the other: how they are cut into commits
// must not show, but for the versions.
func TestHowCommandsAreBatchedDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, many := newModel(t).world, newModel(t).world
		commands := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ledger.Command {
			c := move(rapid.SampledFrom(names).Draw(t, "from"), rapid.SampledFrom(names).Draw(t, "to"), anyAmount(t))
			c.Pending = rapid.Bool().Draw(t, "pending")
			return c
		}), 1, 20).Draw(t, "commands")
		together := one.batch(t, commands...)
		for i, c := range commands {
			if alone := many.batch(t, c)[0]; codeOf(alone) != codeOf(together[i]) {
				t.Fatalf("command %d is %q alone and %q in a batch", i, codeOf(alone), codeOf(together[i]))
			}
		}
		for _, name := range names {
			if one.balance(name) != many.balance(name) {
				t.Fatalf("%s stands at %+v and %+v", name, one.balance(name), many.balance(name))
			}
		}
		checkChains(t, one)
	})
}
