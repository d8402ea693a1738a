package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Limits of the second reading: what is held of resources that share a bucket
// with one that is off.
const (
	maxSuspects = 20_000 // some 20 MB
	maxFacts    = 16     // of one resource and family
	maxNamed    = 4      // keys of one resource
)

// name reads what did not add up a second time, and finds out what it is.
func (a *auditor) name(ctx context.Context) error {
	bad := a.sketch.bad()
	if len(bad) == 0 {
		return nil
	}
	c := newCloser(a, bad)
	a.facts.to = c.take
	a.progress.Rows = max(a.progress.Rows, a.progress.Done) + a.progress.Done
	err := a.run(ctx, []stage{
		{"accounts again", c.readAccounts}, {"entries again", c.readEntries}, {"transfers again", c.readTransfers},
		{"keys again", c.readKeys}, {"events again", c.readEvents}, {"payments again", c.readPayments}, {"references again", c.readReferences},
	})
	if err != nil {
		return err
	}
	c.tell()
	return nil
}

// closer looks closer at the buckets that do not add up: it sums up every
// resource in them by itself.
type closer struct {
	*auditor
	left     map[int]bool // the buckets it looks into: true until something in it was named
	unread   int          // bad buckets that are too many to look into
	suspects map[subject]*dossier
	again    int64 // rows read again
}

// dossier is what is left over of a resource when all that agrees is taken away.
type dossier struct {
	rows   int
	status ledger.Status
	keys   []string // that say they made it
	left   [families][]leftover
}

// leftover is a fact that is told more often on one side than on the other.
type leftover struct {
	fact fact
	n    int64
}

func newCloser(a *auditor, bad []int) *closer {
	resources := a.rows.Transfers + a.rows.Accounts + 2*a.rows.Payments + a.rows.References // a payment, and its charge
	perBucket := 1 + int(resources)/len(a.sketch.buckets)
	look := min(len(bad), max(1, maxSuspects/2/perBucket))
	c := &closer{auditor: a, left: map[int]bool{}, unread: len(bad) - look, suspects: map[subject]*dossier{}}
	for _, b := range bad[:look] {
		c.left[b] = true
	}
	return c
}

func (c *closer) readAccounts(ctx context.Context) error {
	return c.src.Accounts(ctx, func(acc *ledger.Account) error {
		c.facts.account(acc)
		c.row("account", acc.Ref)
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readEntries(ctx context.Context) error {
	pairs := pairer{alone: func(*ledger.Entry) {}, paired: func(p pair) {
		if p.check() == nil {
			c.facts.pair(p)
		}
	}}
	return c.src.Entries(ctx, func(e ledger.Entry) error {
		pairs.entry(&e)
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readTransfers(ctx context.Context) error {
	return c.src.Transfers(ctx, func(t *ledger.Transfer) error {
		c.facts.transfer(t)
		if d := c.suspects[subject{"transfer", t.Ref}]; d != nil {
			d.rows++
			d.status = t.Status
		}
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readKeys(ctx context.Context) error {
	return c.src.Keys(ctx, func(r once.Record) error {
		made := c.facts.to
		c.facts.to = func(t *term) {
			if d := c.suspect(t.about); d != nil && len(d.keys) < maxNamed {
				d.keys = append(d.keys, r.Key.ID)
			}
			made(t)
		}
		c.facts.key(&r)
		c.facts.to = made
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readEvents(ctx context.Context) error {
	return c.src.Events(ctx, func(e outbox.Event) error {
		c.facts.event(&e)
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readPayments(ctx context.Context) error {
	return c.payments().Payments(ctx, func(p *pay.Payment) error {
		c.facts.payment(p)
		c.row("payment", p.Ref)
		for _, o := range p.Operations {
			ref := ledger.Ref{Tenant: p.Tenant, ID: o.ID}
			c.row("operation", ref)
			c.row("refund", ref)
		}
		return c.count(ctx, &c.again)
	})
}

func (c *closer) readReferences(ctx context.Context) error {
	return c.payments().References(ctx, func(r pay.Reference, _ bool, payments int64) error {
		c.facts.reference(&r, payments)
		c.row("order", ledger.Ref{Tenant: r.Tenant, ID: r.Reference})
		return c.count(ctx, &c.again)
	})
}

// row counts the rows of a resource that does not add up.
func (c *closer) row(kind string, r ledger.Ref) {
	if d := c.suspects[subject{kind, r}]; d != nil {
		d.rows++
	}
}

// take sums up a term: facts of both signs take each other away.
func (c *closer) take(t *term) {
	d := c.suspect(t.about)
	if d == nil {
		return
	}
	d.take(t)
}

func (d *dossier) take(t *term) {
	left := &d.left[t.family]
	i := slices.IndexFunc(*left, func(l leftover) bool { return l.fact == t.fact })
	switch {
	case i >= 0 && (*left)[i].n+t.n == 0:
		*left = slices.Delete(*left, i, i+1)
	case i >= 0:
		(*left)[i].n += t.n
	case len(*left) < maxFacts:
		*left = append(*left, leftover{t.fact, t.n})
	}
}

// suspect returns the dossier of a resource, or nil if it is in another bucket,
// or one too many.
func (c *closer) suspect(about subject) *dossier {
	if d := c.suspects[about]; d != nil {
		return d
	}
	if _, looking := c.left[c.sketch.place(&about)]; !looking || len(c.suspects) >= maxSuspects {
		return nil
	}
	d := &dossier{}
	c.suspects[about] = d
	return d
}

// tell makes findings of what is left over.
func (c *closer) tell() {
	for _, about := range slices.SortedFunc(maps.Keys(c.suspects), compareSubjects) {
		d := c.suspects[about]
		for family, left := range d.left {
			if len(left) > 0 {
				c.left[c.sketch.place(&about)] = false
				c.found(kinds[family], about.Tenant, about.ID, "%s", d.explain(about.kind, family))
			}
		}
	}
	c.more += int64(c.unread)
	for _, unnamed := range c.left {
		if unnamed {
			c.more++
		}
	}
}

func compareSubjects(a, b subject) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
}

var kinds = [families]Kind{moves: Transfer, undos: Link, makers: Key, told: Event, booked: Payment, orders: Reference}

// explain says in a sentence what does not agree.
func (d *dossier) explain(kind string, family int) string {
	ours, others := d.sides(family)
	var s []string
	switch {
	case d.rows == 0:
		s = append(s, "there is no such "+kind)
	case d.rows > 1:
		s = append(s, fmt.Sprintf("the %s is there %d times", kind, d.rows))
	}
	if len(ours) > 0 {
		s = append(s, fmt.Sprintf(sayOurs[family], list(ours)))
	}
	if len(others) > 0 {
		s = append(s, fmt.Sprintf(sayOthers[family], list(others)))
	}
	if kinds[family] == Key && len(d.keys) > 0 {
		s = append(s, fmt.Sprintf("keys that say they made it: %q", d.keys))
	}
	return strings.Join(s, "; ")
}

var sayOurs = [families]string{
	moves: "no entry shows what its row says: %s", undos: "it says, and nothing confirms: %s",
	makers: "no key tells of: %s", told: "missing: %s", booked: "its transfers left less than it says: %s", orders: "it knows of too few: %s",
}

var sayOthers = [families]string{
	moves: "its entries say, and the row does not: %s", undos: "it does not say: %s",
	makers: "keys tell of what did not happen: %s", told: "one too many: %s", booked: "its transfers left more than it says: %s",
	orders: "it knows of too many: %s",
}

// sides parts what is left over into what the resource itself says and what
// others say of it.
func (d *dossier) sides(family int) (ours, others []string) {
	for _, l := range d.left[family] {
		f, n := l.fact, l.n
		if f.what == "standing" || f.what == "order" { // of these n is how many
			f.numbers[0] = max(n, -n)
		}
		switch {
		case f.what == "held" && n > 0 && d.status != ledger.Pending:
			others = append(others, fmt.Sprintf("the end of a hold of %d that none of them made", f.numbers[0]))
		case n > 0:
			ours = append(ours, f.String())
		default:
			others = append(others, f.String())
		}
	}
	slices.Sort(ours)
	slices.Sort(others)
	return ours, others
}

func list(s []string) string { return strings.Join(s, ", ") }

// String says a fact in words.
func (f fact) String() string {
	w, n := f.words, f.numbers
	switch f.what {
	case "held", "released":
		return fmt.Sprintf("%s: %d %s from %s to %s", f.what, n[0], w[2], w[0], w[1])
	case "posted":
		return fmt.Sprintf("posted: %d of %d %s from %s to %s", n[1], n[0], w[2], w[0], w[1])
	case "undo":
		return fmt.Sprintf("reversed by %s: %d back from %s to %s", w[0], n[0], w[2], w[1])
	case "making":
		return fmt.Sprintf("%q at %s", w[0], stamp(time.UnixMicro(n[0])))
	case "first entry":
		return "made at " + stamp(time.UnixMicro(n[0]))
	case "happening":
		return w[0] + " at " + stamp(time.UnixMicro(n[0]))
	case "status":
		return w[0]
	case "standing":
		return fmt.Sprintf("%d %s on %s", n[0], w[1], w[0])
	case "order":
		return fmt.Sprintf("%d payments", n[0])
	}
	return fmt.Sprintf("a status that does not exist (%d of %d)", n[1], n[0])
}
