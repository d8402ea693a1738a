package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/store/sqlite"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)

// charged is a payment whose charge the gateway has done, as the first commit of
// it writes it.
func charged(id string) *pay.Payment {
	o := &pay.Operation{
		ID: "att_" + id, Kind: pay.Charge, Amount: 100, Last: true, Outcome: pay.Done, Moved: 100, GatewayID: "ch_" + id,
		Attempt: 1, FirstSentAt: noon, SentAt: noon, CreatedAt: noon, UpdatedAt: noon,
	}
	return &pay.Payment{
		Ref: pay.Ref{Tenant: "acme", ID: id}, Amount: 100, Currency: "EUR", Gateway: "sandbox", Operations: []*pay.Operation{o},
		Status: pay.Succeeded, Captured: 100, CreatedAt: noon, UpdatedAt: noon, Version: 1,
	}
}

// with adds a refund.
func with(p *pay.Payment, id string) *pay.Payment {
	p = p.Clone()
	p.Version++
	p.Operations = append(p.Operations, &pay.Operation{ID: id, Kind: pay.Refund, Amount: 10, CreatedAt: noon, UpdatedAt: noon})
	return p
}

func written(c pay.Changes) *engine.Changes {
	return &engine.Changes{At: noon, Ledger: &ledger.Changes{}, Payments: &c}
}

func wantPayment(t *testing.T, s *sqlite.Store, want *pay.Payment) {
	t.Helper()
	got, err := s.Payment(t.Context(), want.Ref)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("%v; the payment (-want +got):\n%s", err, diff)
	}
}

// What was asked of a gateway may have moved money: no commit makes a store
// forget it.
func TestAnOperationIsNeverReplaced(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	p := charged("pay_1")
	mustCommit(t, s, written(pay.Changes{Payments: []*pay.Payment{p}}))
	next := p.Clone()
	next.Version++
	next.Operations[0].ID = "att_2"
	if err := s.Commit(t.Context(), written(pay.Changes{Payments: []*pay.Payment{next}})); err != engine.ErrConflict {
		t.Errorf("another operation in its place: %v", err)
	}
	wantPayment(t, s, p)
	taken := charged("pay_2")
	taken.Operations[0].ID = p.Operations[0].ID
	if err := s.Commit(t.Context(), written(pay.Changes{Payments: []*pay.Payment{taken}})); err != engine.ErrConflict {
		t.Errorf("another payment with its id: %v", err)
	}
}

// A payment that contradicts its operations is not written, and one on the disk
// is not believed.
func TestAPaymentThatContradictsItselfIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	p := charged("pay_1")
	mustCommit(t, s, written(pay.Changes{Payments: []*pay.Payment{p}}))
	wrong := charged("pay_2")
	wrong.Captured = 99
	if err := s.Commit(t.Context(), written(pay.Changes{Payments: []*pay.Payment{wrong}})); err == nil || err == engine.ErrConflict {
		t.Errorf("it was written, or is a conflict: %v", err)
	}
	mustClose(t, s)
	script(t, path, "DELETE FROM operations")
	s = open(t, path)
	if got, err := s.Payment(t.Context(), p.Ref); err == nil {
		t.Errorf("a payment whose operation was lost was read as %+v", got)
	}
	if rows, err := s.Load(t.Context(), engine.Need{Payments: pay.Rows{Payments: []pay.Ref{p.Ref}}}); err == nil {
		t.Errorf("a payment whose operation was lost was loaded as %+v", rows.Payments[0])
	}
}

// An operation without its payment, or at another gateway, is one that nobody asks
// about any more. The audit says so.
func TestAnOperationThatNobodyAsksAboutIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	mustCommit(t, s, written(pay.Changes{Payments: []*pay.Payment{charged("pay_1"), charged("pay_2"), charged("pay_3")}}))
	mustClose(t, s)
	script(t, path, "DELETE FROM payments WHERE id = 'pay_2'; UPDATE operations SET gateway = 'gone' WHERE payment = 'pay_3'")
	r, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var found []string
	if err := r.Structure(t.Context(), func(what string) error { found = append(found, what); return nil }); err != nil {
		t.Fatal(err)
	}
	same(t, "found", found, []string{
		"the operation att_pay_2 of tenant acme is one of the payment pay_2, which is not there",
		"the operation att_pay_3 of tenant acme is one of the payment pay_3, which is at the gateway sandbox, not gone",
	}, nil, nil)
	var payments []string
	err = audit.Payments(r).Payments(t.Context(), func(p *pay.Payment) error {
		payments = append(payments, fmt.Sprint(p.ID, " ", p.Operations[0].ID))
		return nil
	})
	same(t, "the others", payments, []string{"pay_1 att_pay_1", "pay_3 att_pay_3"}, err, nil)
}

// A gateway that works for others too sends notices that nobody here waits for.
// They are not looked through again and again.
func TestNoticesOfStrangersAreNotLookedThrough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	notice := func(id, gatewayID string) *pay.Notice {
		return &pay.Notice{NoticeID: pay.NoticeID{Tenant: "acme", Gateway: "sandbox", ID: id}, GatewayID: gatewayID, Type: "x", At: noon, Version: 1}
	}
	early, late, none := notice("early", "ch_pay_1"), notice("late", "ch_pay_1"), notice("none", "")
	mustCommit(t, s, written(pay.Changes{Notices: []*pay.Notice{early, none, notice("a", "ch_a"), notice("b", "ch_b")}}))
	mustCommit(t, s, written(pay.Changes{Payments: []*pay.Payment{charged("pay_1")}}))
	mustCommit(t, s, written(pay.Changes{Notices: []*pay.Notice{late}}))
	got, err := s.Matchable(t.Context(), "sandbox", 10)
	var ids []string
	for _, n := range got {
		ids = append(ids, n.ID+" "+n.Operation)
	}
	same(t, "matchable", ids, []string{"early att_pay_1", "late att_pay_1"}, err, nil)
	db := raw(t, path)
	defer db.Close()
	waiting := strs(t, db, "SELECT id || ' ' || waits_for FROM notices WHERE waits_for IS NOT NULL ORDER BY id")
	same(t, "waiting", waiting, []string{"a ch_a", "b ch_b", "none "}, nil, nil)
}

// What is in doubt is read along its own index: others do not make it slower, nor
// a page shorter.
func TestDoubtIsFoundAmongMany(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	var want []string
	c := pay.Changes{}
	for i := range scanned + 2 {
		p := charged(fmt.Sprintf("pay_%06d", i))
		if i == 0 || i == scanned+1 {
			p = with(p, "re_"+p.ID)
			p.Operations[1].Exposed, p.InDoubt, p.Version = true, true, 1
			want = append([]string{p.ID}, want...)
		}
		c.Payments = append(c.Payments, p)
	}
	mustCommit(t, s, written(c))
	for name, list := range map[string]func(engine.Page) (engine.List[*pay.Payment], error){
		"of the tenant": func(p engine.Page) (engine.List[*pay.Payment], error) {
			return s.Payments(t.Context(), "acme", engine.PaymentFilter{InDoubt: new(true)}, p)
		},
		"of all": func(p engine.Page) (engine.List[*pay.Payment], error) { return s.Doubtful(t.Context(), p) },
	} {
		l, err := list(engine.Page{Limit: 10})
		var got []string
		for _, p := range l.Items {
			got = append(got, p.ID)
		}
		same(t, name, got, want, err, nil)
		if l.Next != "" {
			t.Errorf("%s: there is a next page", name)
		}
	}
}

// scanned is how many rows a page passes over at most.
const scanned = 5000
