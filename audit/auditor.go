package audit

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// auditor reads a source once, and what did not add up a second time.
type auditor struct {
	src    Source
	cfg    Config
	facts  facts
	sketch *sketch
	chains chains
	totals map[money.Currency]*total
	claims claims

	openers map[ledger.Ref]int // keys that opened the accounts that payments are booked on

	rows     Rows
	findings []Finding
	more     int64
	progress Progress
}

func newAuditor(src Source, cfg Config) *auditor {
	s := newSketch(cfg.Buckets)
	return &auditor{
		src: src, cfg: cfg, sketch: s, claims: newClaims(s), openers: map[ledger.Ref]int{},
		chains: chains{places: map[ledger.Ref]int32{}}, totals: map[money.Currency]*total{},
	}
}

// begin asks what has to be known before the first row.
func (a *auditor) begin(ctx context.Context) (err error) {
	if a.progress.Rows, err = a.src.Rows(ctx); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	if a.facts.keysSince, err = a.src.KeysSince(ctx); err != nil {
		return fmt.Errorf("ask since when keys are known: %w", err)
	}
	a.facts.to = a.sketch.add
	return nil
}

// stage is one table to be read.
type stage struct {
	name string
	read func(context.Context) error
}

func (a *auditor) run(ctx context.Context, stages []stage) error {
	for _, s := range stages {
		a.progress.Stage = s.name
		a.cfg.Progress(a.progress)
		if err := s.read(ctx); err != nil {
			return fmt.Errorf("audit: read %s: %w", s.name, err)
		}
		a.cfg.Progress(a.progress)
	}
	return nil
}

// progressEvery is how many rows are read between two words of progress: some
// milliseconds of work.
const progressEvery = 4096

// count counts a row, and ends the reading when nobody waits for it any more.
func (a *auditor) count(ctx context.Context, n *int64) error {
	*n++
	if a.progress.Done++; a.progress.Done%progressEvery != 0 {
		return nil
	}
	a.progress.Rows = max(a.progress.Rows, a.progress.Done)
	a.cfg.Progress(a.progress)
	return ctx.Err()
}

func (a *auditor) readAccounts(ctx context.Context) error {
	return a.src.Accounts(ctx, func(acc *ledger.Account) error {
		if err := acc.Check(); err != nil {
			a.found(Row, acc.Tenant, acc.ID, "%v", err)
		}
		if !a.chains.open(acc) {
			a.found(Row, acc.Tenant, acc.ID, "the account is there twice")
		}
		a.total(acc.Currency).account(acc.Balance)
		a.facts.account(acc)
		return a.count(ctx, &a.rows.Accounts)
	})
}

func (a *auditor) readEntries(ctx context.Context) error {
	var last ledger.Entry
	pairs := pairer{paired: a.pair, alone: a.alone}
	err := a.src.Entries(ctx, func(e ledger.Entry) error {
		if e.Seq <= last.Seq {
			a.foundEntry(Chain, &e, "it comes after entry %d", last.Seq)
		}
		last = e
		pairs.entry(&e)
		a.follow(&e)
		a.total(e.Currency).entry(e.Delta.Posted)
		return a.count(ctx, &a.rows.Entries)
	})
	pairs.end()
	return err
}

// follow brings an entry to its account's chain.
func (a *auditor) follow(e *ledger.Entry) {
	broken, before := a.chains.follow(e)
	for _, what := range broken {
		a.foundEntry(Chain, e, "%s", what)
	}
	if e.At.Before(before) {
		a.foundEntry(Time, e, "it is of %s, its account's entry before it of %s", stamp(e.At), stamp(before))
	}
}

func (a *auditor) pair(p pair) {
	if err := p.check(); err != nil {
		a.found(Pair, p.tenant(), p.debit.Transfer, "%v", err)
		return // what it says is not worth comparing
	}
	a.facts.pair(p)
}

func (a *auditor) alone(e *ledger.Entry) {
	a.foundEntry(Pair, e, "it has no other side")
}

func (a *auditor) readTransfers(ctx context.Context) error {
	return a.src.Transfers(ctx, func(t *ledger.Transfer) error {
		if err := t.Check(); err != nil {
			a.found(Row, t.Tenant, t.ID, "%v", err)
		}
		a.facts.transfer(t)
		return a.count(ctx, &a.rows.Transfers)
	})
}

func (a *auditor) readKeys(ctx context.Context) error {
	return a.src.Keys(ctx, func(r once.Record) error {
		if err := checkRecord(&r); err != nil {
			a.found(Row, r.Key.Tenant, r.Key.ID, "%v", err)
		}
		if r.State == once.Tombstone && !a.cfg.Now.IsZero() && r.ExpiresAt.After(a.cfg.Now) {
			a.found(Key, r.Key.Tenant, r.Key.ID, "its answer is gone, and its window lasts until %s", stamp(r.ExpiresAt))
		}
		a.facts.key(&r)
		a.key(&r)
		return a.count(ctx, &a.rows.Keys)
	})
}

func (a *auditor) readStructure(ctx context.Context) error {
	src, ok := a.src.(Structured)
	if !ok {
		return nil
	}
	return src.Structure(ctx, func(detail string) error {
		a.found(Structure, "", "store", "%s", detail)
		return nil
	})
}

func (a *auditor) readEvents(ctx context.Context) error {
	return a.src.Events(ctx, func(e outbox.Event) error {
		a.facts.event(&e)
		return a.count(ctx, &a.rows.Events)
	})
}

// checkRecord says what is wrong with a key's record by itself.
func checkRecord(r *once.Record) error {
	switch {
	case r.State == once.Absent || r.State > once.Tombstone:
		return fmt.Errorf("the key is there and its state is %s", r.State)
	case r.Attempt < 1:
		return fmt.Errorf("the key is at attempt %d", r.Attempt)
	case r.State != once.Released && !r.ExpiresAt.After(r.CreatedAt):
		return fmt.Errorf("the key's window is over at %s, before it was made at %s", stamp(r.ExpiresAt), stamp(r.CreatedAt))
	}
	return nil
}

func (a *auditor) compareBalances() {
	for _, c := range a.chains.all {
		if wrong := c.compare(); wrong != "" {
			a.found(Balance, c.ref.Tenant, c.ref.ID, "%s", wrong)
		}
	}
}

func (a *auditor) compareTotals() {
	for _, c := range slices.Sorted(maps.Keys(a.totals)) {
		t := a.totals[c]
		if t.debits != t.credits {
			a.found(Currency, "", string(c), "debits are %d and credits are %d", t.debits.big(), t.credits.big())
		}
		if (t.posted != wide{}) {
			a.found(Currency, "", string(c), "all balances together are %d, not 0", t.posted.big())
		}
	}
}

func (a *auditor) found(k Kind, tenant, id, format string, args ...any) {
	if len(a.findings) >= a.cfg.MaxFindings {
		a.more++
		return
	}
	a.findings = append(a.findings, Finding{Kind: k, Tenant: tenant, ID: id, Detail: fmt.Sprintf(format, args...)})
}

// foundEntry is a finding that an entry is named in.
func (a *auditor) foundEntry(k Kind, e *ledger.Entry, format string, args ...any) {
	a.found(k, e.Account.Tenant, strconv.FormatInt(e.Seq, 10), "entry %d of account %s: "+format,
		append([]any{e.Seq, e.Account.ID}, args...)...)
}

func (a *auditor) report() Report {
	r := Report{Rows: a.rows, Totals: []Total{}, Findings: a.findings, More: a.more}
	if r.Findings == nil {
		r.Findings = []Finding{} // a list in JSON, also when it is empty
	}
	for _, c := range slices.Sorted(maps.Keys(a.totals)) {
		t := a.totals[c]
		r.Totals = append(r.Totals, Total{Currency: c, Accounts: t.accounts, Debits: t.debits.big(), Credits: t.credits.big()})
	}
	return r
}

func (a *auditor) total(c money.Currency) *total {
	t, ok := a.totals[c]
	if !ok {
		t = &total{}
		a.totals[c] = t
	}
	return t
}

// total sums up a currency.
type total struct {
	accounts        int64
	posted          wide // of all accounts
	debits, credits wide // of all entries
}

func (t *total) account(b ledger.Balance) {
	t.accounts++
	t.posted.add(b.Posted)
}

func (t *total) entry(posted int64) {
	if posted > 0 {
		t.credits.add(posted)
	} else {
		t.debits.sub(posted)
	}
}

// wide is a sum of 128 bits: all entries of a store may pass 64.
type wide struct {
	hi int64
	lo uint64
}

func (w *wide) add(v int64) { *w = w.plus(v>>63, uint64(v)) }

// sub subtracts, also the one int64 that has no opposite.
func (w *wide) sub(v int64) {
	if v == -1<<63 {
		*w = w.plus(0, 1<<63)
		return
	}
	w.add(-v)
}

func (w wide) plus(hi int64, lo uint64) wide {
	sum := wide{hi: w.hi + hi, lo: w.lo + lo}
	if sum.lo < lo {
		sum.hi++
	}
	return sum
}

func (w wide) big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(w.hi), 64)
	return n.Add(n, new(big.Int).SetUint64(w.lo))
}

func stamp(t time.Time) string { return t.UTC().Format(jcs.TimeFormat) }
