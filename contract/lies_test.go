package contract

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// liar is the store in memory, but for one small lie.
type liar struct {
	*engine.Memory
	lie string
}

func (l liar) Load(ctx context.Context, n engine.Need) (engine.Rows, error) {
	rows, err := l.Memory.Load(ctx, n)
	for _, a := range rows.Accounts {
		if l.lie == "forgets a floor" {
			a.Floor = ledger.Floor{None: true}
		}
	}
	for i := range rows.Keys {
		if l.lie == "loses a header" && len(rows.Keys[i].Answer.Header) > 1 {
			rows.Keys[i].Answer.Header = rows.Keys[i].Answer.Header[:1]
		}
	}
	for _, f := range rows.References {
		if l.lie == "loads an order without its payment" {
			rows.Payments = slices.DeleteFunc(rows.Payments, func(p *pay.Payment) bool { return p.ID == f.Payment })
		}
	}
	for _, n := range rows.Notices {
		if l.lie == "forgets that a notice was matched" {
			n.Matched = false
		}
	}
	for _, p := range rows.Payments {
		for _, o := range p.Operations {
			if l.lie == "forgets when a sender stopped" {
				o.StoppedAt = time.Time{}
			}
		}
	}
	return rows, err
}

func (l liar) Commit(ctx context.Context, c *engine.Changes) error {
	if l.lie == "loses an event in a hundred" && len(c.Ledger.Events) > 4 {
		all, some := *c, *c.Ledger
		some.Events = some.Events[:4]
		all.Ledger = &some
		c = &all
	}
	if l.lie == "loses a line in a hundred" && !c.Payments.Empty() && len(c.Payments.Lines) > 4 {
		all, some := *c, *c.Payments
		some.Lines = some.Lines[:4]
		all.Payments = &some
		c = &all
	}
	return l.Memory.Commit(ctx, c)
}

func (l liar) AccountAt(ctx context.Context, ref ledger.Ref, at time.Time) (*ledger.Account, error) {
	if l.lie == "leaves out the moment itself" {
		at = at.Add(-time.Microsecond)
	}
	return l.Memory.AccountAt(ctx, ref, at)
}

func (l liar) Transfers(ctx context.Context, tenant string, f engine.TransferFilter, p engine.Page) (engine.List[*ledger.Transfer], error) {
	if l.lie == "does not know who was paid" && f.Account != "" {
		list, err := l.Memory.Transfers(ctx, tenant, f, p)
		list.Items = slices.DeleteFunc(list.Items, func(t *ledger.Transfer) bool { return t.To == f.Account })
		return list, err
	}
	return l.Memory.Transfers(ctx, tenant, f, p)
}

func (l liar) Events(ctx context.Context, tenant string, f engine.EventFilter, p engine.Page) (engine.List[outbox.Event], error) {
	list, err := l.Memory.Events(ctx, tenant, f, p)
	if l.lie == "lists some events the wrong way round" && len(list.Items) > 1 {
		list.Items[0], list.Items[1] = list.Items[1], list.Items[0]
	}
	return list, err
}

func (l liar) Payments(ctx context.Context, tenant string, f engine.PaymentFilter, p engine.Page) (engine.List[*pay.Payment], error) {
	if l.lie == "does not know what is in doubt" && f.InDoubt != nil {
		f.InDoubt = nil
	}
	return l.Memory.Payments(ctx, tenant, f, p)
}

func (l liar) PaymentOf(ctx context.Context, operation pay.Ref) (*pay.Payment, error) {
	if l.lie == "does not find a payment by its refund" && strings.HasPrefix(operation.ID, "re_") {
		return nil, nil
	}
	return l.Memory.PaymentOf(ctx, operation)
}

func (l liar) Key(ctx context.Context, k once.Key) (once.Record, error) {
	rec, err := l.Memory.Key(ctx, k)
	if l.lie == "forgets what was answered" {
		rec.Answer = once.Answer{}
	}
	return rec, err
}

func (l liar) CountDoubts(ctx context.Context, most int) (engine.Doubts, error) {
	d, err := l.Memory.CountDoubts(ctx, most)
	if l.lie == "counts refunds among payments" {
		d.Reviews = min(d.Reviews+d.Refunds, most)
	}
	return d, err
}

func (l liar) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error) {
	due, err := l.Memory.DueOperations(ctx, gateway, now, limit)
	if l.lie == "does not see a second operation due" {
		seen := map[pay.Ref]bool{}
		due = slices.DeleteFunc(due, func(d pay.Due) bool {
			again := seen[d.Ref]
			seen[d.Ref] = true
			return again
		})
	}
	return due, err
}

func (l liar) LongestDue(ctx context.Context, now time.Time) ([]pay.Due, error) {
	longest, err := l.Memory.LongestDue(ctx, now)
	if l.lie == "knows of one gateway that something is due at" {
		longest = longest[:min(len(longest), 1)]
	}
	return longest, err
}

func (l liar) Matchable(ctx context.Context, gateway string, limit int) ([]pay.Notice, error) {
	found, err := l.Memory.Matchable(ctx, gateway, limit)
	if l.lie == "matches no notice by the gateway's id" {
		found = slices.DeleteFunc(found, func(n pay.Notice) bool { return n.GatewayID != "" })
	}
	return found, err
}

func (l liar) CountReplays(ctx context.Context, counts map[once.Key]int64) error {
	if l.lie == "counts no replays" {
		return nil
	}
	return l.Memory.CountReplays(ctx, counts)
}

func (l liar) Sweep(ctx context.Context, now, forget time.Time) (bool, error) {
	if l.lie == "never forgets" {
		forget = time.Time{}
	}
	return l.Memory.Sweep(ctx, now, forget)
}

func (l liar) DueHolds(ctx context.Context, now time.Time, limit int) ([]ledger.Ref, error) {
	if l.lie == "has holds end late" {
		now = now.Add(-time.Second)
	}
	return l.Memory.DueHolds(ctx, now, limit)
}

// quiet is a test that does not fail: a lie is found by its transcript, or
// before.
type quiet struct{ testing.TB }

func (quiet) Errorf(string, ...any) {}

// Histories that let a lie pass would be worth nothing.
func TestHistoriesFindLies(t *testing.T) {
	honest := map[uint64]string{}
	for _, seed := range fixedSeeds {
		honest[seed] = newHistory(t, Memory(), seed).play(turns)
	}
	for _, lie := range []string{
		"forgets a floor", "loses a header", "loses an event in a hundred", "leaves out the moment itself", "does not know who was paid",
		"lists some events the wrong way round", "counts no replays", "never forgets", "has holds end late",
		"loads an order without its payment", "forgets that a notice was matched", "forgets when a sender stopped", "loses a line in a hundred",
		"does not know what is in doubt", "does not find a payment by its refund", "does not see a second operation due",
		"knows of one gateway that something is due at", "matches no notice by the gateway's id", "counts refunds among payments",
		"forgets what was answered",
	} {
		if believed(t, lie, honest) {
			t.Errorf("a store that %s is believed", lie)
		}
	}
	if !believed(t, "tells the truth", honest) {
		t.Error("an honest store is not believed")
	}
}

// believed says whether a store that lies has the honest transcripts of all seeds
// that are always run.
func believed(t *testing.T, lie string, honest map[uint64]string) bool {
	f := Memory()
	f.Open = func(testing.TB) Store { return liar{engine.NewMemory(), lie} }
	for _, seed := range fixedSeeds {
		if newHistory(quiet{t}, f, seed).play(turns) != honest[seed] {
			return false
		}
	}
	return true
}
