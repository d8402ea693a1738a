package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// A tampering changes a store that is in order, and says which finding must name
// what. There may be more findings: one lie is often contradicted twice. What it
// changes is the first row that fits, always of tenant acme where tenants matter.
type tampering struct {
	name string
	do   func(s *tables) (audit.Kind, string)
}

var tamperings = slices.Concat(accountTamperings, entryTamperings, transferTamperings, keyTamperings, eventTamperings, paymentTamperings)

func TestTamperingIsFoundAndNamed(t *testing.T) {
	original := healthy(t, 11, 800)
	for _, row := range tamperings {
		t.Run(row.name, func(t *testing.T) {
			s := original.clone()
			kind, id := row.do(s)
			r, err := audit.Run(t.Context(), s, audit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			named := func(f audit.Finding) bool { return f.Kind == kind && f.ID == id }
			if !slices.ContainsFunc(r.Findings, named) {
				t.Errorf("want a finding of kind %q that names %q, got %q", kind, id, r.Findings)
			}
		})
	}
}

// Whichever row is lost, doubled, or has a number changed by one: it is found.
func TestNoRowCanBeChangedUnseen(t *testing.T) {
	original := healthy(t, 12, 60)
	check := func(what string, s *tables) {
		t.Helper()
		if r, err := audit.Run(t.Context(), s, audit.Config{Buckets: 16, MaxFindings: 1}); err != nil || r.OK() {
			t.Errorf("%s: nothing was found (%v)", what, err)
		}
	}
	for i := range original.accounts {
		everyRow(check, original, "account", i, func(s *tables) *[]*ledger.Account { return &s.accounts })
	}
	for i := range original.transfers {
		everyRow(check, original, "transfer", i, func(s *tables) *[]*ledger.Transfer { return &s.transfers })
	}
	for i := range original.entries {
		everyRow(check, original, "entry", i, func(s *tables) *[]ledger.Entry { return &s.entries })
	}
	for i := range original.payments {
		everyRow(check, original, "payment", i, func(s *tables) *[]*pay.Payment { return &s.payments })
	}
	for i := range original.orders {
		everyRow(check, original, "order", i, func(s *tables) *[]pay.Reference { return &s.orders })
	}
	for i, e := range original.events {
		if strings.HasPrefix(e.Type, "payment.") && e.Type != "payment.created" || strings.HasPrefix(e.Type, "refund.") && e.Type != "refund.created" {
			continue // a payment does not keep what it went through
		}
		everyRow(check, original, "event", i, func(s *tables) *[]outbox.Event { return &s.events })
	}
	for i, r := range original.keys {
		if r.Resource != "" && slices.Contains(making, r.Operation) && !ledger.IsReserved(r.Resource) {
			everyRow(check, original, "key", i, func(s *tables) *[]once.Record { return &s.keys })
		}
	}
	numbers(check, original)
	paymentNumbers(check, original)
}

var making = []string{"POST /v1/transfers", "POST /v1/transfers/{id}/reverse", "POST /v1/accounts"}

func everyRow[T any](check func(string, *tables), original *tables, kind string, i int, of func(*tables) *[]T) {
	lost := original.clone()
	rows := of(lost)
	*rows = slices.Delete(*rows, i, i+1)
	check(fmt.Sprintf("%s %d is lost", kind, i), lost)

	doubled := original.clone()
	rows = of(doubled)
	*rows = slices.Insert(*rows, i, (*rows)[i])
	check(fmt.Sprintf("%s %d is there twice", kind, i), doubled)
}

func everyNumber(check func(string, *tables), original *tables, what string, at func(*tables) []*int64) {
	for n := range at(original.clone()) {
		s := original.clone()
		*at(s)[n]++
		check(fmt.Sprintf("number %d of %s is one more", n, what), s)
	}
}

// numbers changes every number that is money, one at a time.
func numbers(check func(string, *tables), original *tables) {
	for i := range original.accounts {
		everyNumber(check, original, fmt.Sprintf("account %d", i), func(s *tables) []*int64 {
			a := s.accounts[i]
			return append(parts(&a.Balance), &a.Entries, &a.LastEntry)
		})
	}
	for i := range original.transfers {
		everyNumber(check, original, fmt.Sprintf("transfer %d", i), func(s *tables) []*int64 {
			return []*int64{&s.transfers[i].Amount, &s.transfers[i].AmountPosted}
		})
	}
	for i := range original.entries {
		everyNumber(check, original, fmt.Sprintf("entry %d", i), func(s *tables) []*int64 {
			e := &s.entries[i]
			return append(append(parts(&e.Delta), parts(&e.After)...), &e.Seq, &e.Ordinal, &e.Prev)
		})
	}
}

func parts(b *ledger.Balance) []*int64 { return []*int64{&b.Posted, &b.Outgoing, &b.Incoming} }
