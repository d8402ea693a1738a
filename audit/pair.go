package audit

import (
	"fmt"

	"github.com/oncepay/oncepay/ledger"
)

// pair is the two entries of one move.
type pair struct{ debit, credit ledger.Entry }

func (p *pair) tenant() string { return p.debit.Account.Tenant }
func (p *pair) posted() int64  { return -p.debit.Delta.Posted }
func (p *pair) held() int64    { return p.debit.Delta.Outgoing }

// check says whether the two cancel, and do what their kind says.
func (p *pair) check() error {
	if err := ledger.CheckPair(&p.debit, &p.credit); err != nil {
		return err
	}
	posted, held := p.posted(), p.held()
	switch kind := p.debit.Kind; {
	case !p.credit.At.Equal(p.debit.At):
		return fmt.Errorf("entries %d and %d are one move and of two moments", p.debit.Seq, p.credit.Seq)
	case kind == ledger.Move && posted > 0 && held == 0,
		kind == ledger.Hold && posted == 0 && held > 0,
		kind == ledger.Settle && posted > 0 && held < 0 && posted <= -held,
		kind == ledger.Release && posted == 0 && held < 0:
		return nil
	}
	return fmt.Errorf("entry %d of kind %s cannot post %d and hold %d", p.debit.Seq, p.debit.Kind, posted, held)
}

// pairer puts entries together that come one after the other, and finds its
// way back when one of them is missing.
type pairer struct {
	debit   ledger.Entry
	waiting bool // debit waits for its other side
	paired  func(pair)
	alone   func(*ledger.Entry)
}

func (p *pairer) entry(e *ledger.Entry) {
	switch {
	case !p.waiting:
		p.debit, p.waiting = *e, true
	case e.Seq == p.debit.Seq+1 && e.Transfer == p.debit.Transfer:
		p.waiting = false
		p.paired(pair{p.debit, *e})
	default:
		p.alone(&p.debit)
		p.debit = *e
	}
}

func (p *pairer) end() {
	if p.waiting {
		p.alone(&p.debit)
	}
}
