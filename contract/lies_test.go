package contract

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
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
	return rows, err
}

func (l liar) Commit(ctx context.Context, c *engine.Changes) error {
	if l.lie == "loses an event in a hundred" && len(c.Ledger.Events) > 4 {
		some := *c.Ledger
		some.Events = some.Events[:4]
		c = &engine.Changes{At: c.At, Keys: c.Keys, Ledger: &some}
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
	honest := newHistory(t, Memory(), 1).play(turns)
	for _, lie := range []string{
		"forgets a floor", "loses a header", "loses an event in a hundred", "leaves out the moment itself", "does not know who was paid",
		"lists some events the wrong way round", "counts no replays", "never forgets", "has holds end late",
	} {
		f := Memory()
		f.Open = func(testing.TB) Store { return liar{engine.NewMemory(), lie} }
		if newHistory(quiet{t}, f, 1).play(turns) == honest { // one seed is enough
			t.Errorf("a store that %s is believed", lie)
		}
	}
	f := Memory()
	f.Open = func(testing.TB) Store { return liar{engine.NewMemory(), "tells the truth"} }
	if got := newHistory(t, f, 1).play(turns); got != honest {
		t.Errorf("an honest store is not believed:\n%s", difference(honest, got))
	}
}
