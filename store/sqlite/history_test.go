package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/store/sqlite"
)

// twin is a store and the plain one in memory: what one is told the other is
// told, and what they answer must be the same.
type twin struct {
	t     *testing.T
	plain *engine.Memory
	s     *sqlite.Store
}

func newTwin(t *testing.T) *twin {
	return &twin{t, engine.NewMemory(), open(t, filepath.Join(t.TempDir(), "once.db"))}
}

func (w *twin) Load(ctx context.Context, need engine.Need) (engine.Rows, error) {
	want, err1 := w.plain.Load(ctx, need)
	got, err2 := w.s.Load(ctx, need)
	want.Seen = got.Seen // the store has one owner, who knows it
	same(w.t, "load", got, want, err2, err1)
	return want, err1
}

func (w *twin) Commit(ctx context.Context, c *engine.Changes) error {
	want := w.plain.Commit(ctx, c)
	got := w.s.Commit(ctx, c)
	if errors.Is(got, engine.ErrNotCommitted) != errors.Is(want, engine.ErrNotCommitted) || (got == engine.ErrConflict) != (want == engine.ErrConflict) {
		w.t.Fatalf("commit: %v, in memory %v", got, want)
	}
	return got
}

func same(t *testing.T, what string, got, want any, gotErr, wantErr error) {
	t.Helper()
	if (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("%s: %v, in memory %v", what, gotErr, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s is not as in memory (-):\n%s", what, diff)
	}
}

// Every read of a store says what the plain one says, after any history of
// commands, whatever is asked for and in whatever pages.
func TestReadsLikeMemory(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(newTwin(t), seed)
			for range 30 {
				h.batch(t)
			}
			h.compare(t)
		})
	}
}

// history is luck, and what came of it.
type history struct {
	*twin
	*teller
	r     *rand.Rand
	began time.Time
	holds []ledger.Ref
	made  []ledger.Ref
	keys  []once.Key
}

const historyAccounts = 3

func newHistory(w *twin, seed uint64) *history {
	h := &history{twin: w, teller: newTeller(w), r: rand.New(rand.NewPCG(seed, 1))}
	h.began, h.lenient = h.now, true
	h.teller.openAccounts(w.t, historyAccounts)
	return h
}

// batch commits up to 40 commands.
func (h *history) batch(t *testing.T) {
	var commands []ledger.Command
	for range 1 + h.r.IntN(40) {
		commands = append(commands, h.command())
	}
	c, err := h.try(commands...)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.twin.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	h.note(c)
	h.now = h.now.Add(time.Duration(h.r.IntN(5)) * time.Millisecond) // or not at all
}

func (h *history) command() ledger.Command {
	from := h.r.IntN(historyAccounts)
	to := (from + 1 + h.r.IntN(historyAccounts-1)) % historyAccounts
	c := transfer(from, to, 1+h.r.Int64N(100))
	switch h.r.IntN(8) {
	case 0:
		c.Pending = true
		c.ExpiresAt = h.now.Add(time.Duration(1+h.r.IntN(100)) * time.Millisecond)
	case 1:
		c.Reference, c.Metadata = fmt.Sprint("order ", h.r.IntN(3)), map[string]string{"a": "1", "<ü>": "\u2028"}
	case 2:
		return ledger.UpdateAccount{Ref: ledger.Ref{Tenant: "acme", ID: accountName(from)}, Floor: h.floor(), Metadata: map[string]string{"n": fmt.Sprint(h.r.IntN(3))}}
	case 3, 4:
		if len(h.holds) > 0 {
			return h.settle(h.holds[h.r.IntN(len(h.holds))])
		}
	case 5:
		if len(h.made) > 0 {
			return ledger.ReverseTransfer{Ref: h.made[h.r.IntN(len(h.made))]}
		}
	}
	return c
}

// floor is one of a few, so that an update often changes nothing.
func (h *history) floor() *ledger.Floor {
	if h.r.IntN(2) == 0 {
		return &ledger.Floor{None: true}
	}
	return &ledger.Floor{Minor: -1_000_000 * h.r.Int64N(3)}
}

func (h *history) settle(ref ledger.Ref) ledger.Command {
	switch h.r.IntN(3) {
	case 0:
		return ledger.VoidTransfer{Ref: ref}
	case 1:
		return ledger.ExpireTransfer{Ref: ref}
	}
	return ledger.PostTransfer{Ref: ref, Amount: new(int64(1))}
}

func (h *history) note(c *engine.Changes) {
	for _, t := range c.Ledger.Transfers {
		h.made = append(h.made, t.Ref)
		if t.Status == ledger.Pending {
			h.holds = append(h.holds, t.Ref)
		}
	}
	for _, r := range c.Keys {
		h.keys = append(h.keys, r.Key)
	}
}

// moment is some time about when the history was.
func (h *history) moment() time.Time {
	return h.began.Add(time.Duration(h.r.Int64N(int64(h.now.Sub(h.began))+2e6) - 1e6)).Truncate(time.Microsecond)
}

func (h *history) compare(t *testing.T) {
	ctx := t.Context()
	for i := range historyAccounts + 1 { // one that is not there, too
		ref := ledger.Ref{Tenant: "acme", ID: accountName(i)}
		want, err1 := h.plain.Account(ctx, ref)
		got, err2 := h.twin.s.Account(ctx, ref)
		same(t, "account", got, want, err2, err1)
		for range 20 {
			at := h.moment()
			want, err1 = h.plain.AccountAt(ctx, ref, at)
			got, err2 = h.twin.s.AccountAt(ctx, ref, at)
			same(t, fmt.Sprint("account at ", at), got, want, err2, err1)
		}
		pages(t, h, "entries",
			func(p engine.Page) (engine.List[ledger.Entry], error) { return h.twin.s.Entries(ctx, ref, p) },
			func(p engine.Page) (engine.List[ledger.Entry], error) { return h.plain.Entries(ctx, ref, p) })
		for _, reference := range []string{"", "order 1"} {
			f := engine.TransferFilter{Account: ref.ID, Reference: reference}
			h.compareTransfers(t, f)
			h.compareTransfers(t, engine.TransferFilter{Reference: reference})
		}
	}
	for _, tenant := range []string{"acme", "other"} {
		pages(t, h, "accounts",
			func(p engine.Page) (engine.List[*ledger.Account], error) { return h.twin.s.Accounts(ctx, tenant, p) },
			func(p engine.Page) (engine.List[*ledger.Account], error) { return h.plain.Accounts(ctx, tenant, p) })
	}
	for _, f := range []engine.EventFilter{
		{}, {Type: "transfer.pending"}, {Subject: h.made[0].ID}, {Subject: h.made[0].ID, Type: "transfer.posted"}, {Subject: accountName(1)}, {Subject: "no"},
	} {
		pages(t, h, fmt.Sprint("events ", f),
			func(p engine.Page) (engine.List[outbox.Event], error) { return h.twin.s.Events(ctx, "acme", f, p) },
			func(p engine.Page) (engine.List[outbox.Event], error) { return h.plain.Events(ctx, "acme", f, p) })
	}
	for _, ref := range h.made {
		want, err1 := h.plain.Transfer(ctx, ref)
		got, err2 := h.twin.s.Transfer(ctx, ref)
		same(t, "transfer", got, want, err2, err1)
	}
	h.compareKeys(t)
	for range 10 {
		now := h.moment()
		want, err1 := h.plain.DueHolds(ctx, now, 5)
		got, err2 := h.twin.s.DueHolds(ctx, now, 5)
		if len(want) != len(got) || (err1 == nil) != (err2 == nil) { // the order of those due at once is free
			t.Fatalf("due holds: %v %v, in memory %v %v", got, err2, want, err1)
		}
	}
}

func (h *history) compareTransfers(t *testing.T, f engine.TransferFilter) {
	pages(t, h, fmt.Sprint("transfers ", f),
		func(p engine.Page) (engine.List[*ledger.Transfer], error) {
			return h.twin.s.Transfers(t.Context(), "acme", f, p)
		},
		func(p engine.Page) (engine.List[*ledger.Transfer], error) {
			return h.plain.Transfers(t.Context(), "acme", f, p)
		})
}

func (h *history) compareKeys(t *testing.T) {
	t.Helper()
	for _, k := range append(h.keys, once.Key{Tenant: "other", ID: h.keys[0].ID}) {
		want, err1 := h.plain.Key(t.Context(), k)
		got, err2 := h.twin.s.Key(t.Context(), k)
		same(t, "key", got, want, err2, err1)
	}
}

// reads is how a list is read.
type reads[T any] func(engine.Page) (engine.List[T], error)

// pages reads a list from end to end in pages of different sizes and bounds.
func pages[T any](t *testing.T, h *history, what string, got, want reads[T]) {
	t.Helper()
	for range 4 {
		p := engine.Page{Limit: 1 + h.r.IntN(100)}
		if h.r.IntN(2) == 0 {
			p.After = h.moment()
		}
		if h.r.IntN(2) == 0 {
			p.Before = h.moment()
		}
		for q := p; ; {
			a, err := got(p)
			b, err2 := want(q)
			same(t, fmt.Sprintf("%s, page %+v", what, p), a.Items, b.Items, err, err2)
			if (a.Next == "") != (b.Next == "") {
				t.Fatalf("%s: page %+v goes on at %q, in memory at %q", what, p, a.Next, b.Next)
			}
			if p.Cursor, q.Cursor = a.Next, b.Next; a.Next == "" {
				break
			}
		}
	}
}
