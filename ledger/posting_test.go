package ledger_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
)

// charged is a posting of what a gateway took for the merchant.
func charged(amount int64, c money.Currency) ledger.Posting {
	return ledger.Posting{
		Tenant: tenant, From: "gateway:g:clearing", To: "merchant:default", Amount: amount, Currency: c,
		Operation: "att_1", Reference: "pay_1", Metadata: map[string]string{"payment": "pay_1"},
	}
}

// post books postings, together, as a command of the room above does.
func (w *world) post(t fataler, postings ...ledger.Posting) []*ledger.Transfer {
	t.Helper()
	b := ledger.NewBook()
	for _, p := range postings {
		for _, name := range []string{p.From, p.To} {
			for _, r := range ledger.Candidates(ledger.Ref{Tenant: p.Tenant, ID: name}, p.Currency) {
				b.WantAccount(r)
			}
		}
	}
	for _, r := range b.Wanted().Accounts {
		if a, ok := w.accounts[r]; ok {
			b.PutAccount(&a)
		}
	}
	b.Reserve(w.nextSeq)
	var made []*ledger.Transfer
	for _, p := range postings {
		made = append(made, b.Post(ledger.Moment{Now: w.now, IDs: w.ids}, p))
	}
	changes, err := b.Changes()
	if err != nil {
		t.Fatalf("the book does not balance: %v", err)
	}
	w.commit(t, changes)
	return made
}

// What has moved somewhere else is booked: the accounts are opened by need, and no
// floor holds it up.
func TestAPostingOpensItsAccounts(t *testing.T) {
	w := newWorld()
	made := w.post(t, charged(100, "EUR"))[0]
	want := ledger.Transfer{
		Ref: made.Ref, Status: ledger.Posted, From: "gateway:g:clearing", To: "merchant:default", Amount: 100, AmountPosted: 100,
		Currency: "EUR", Operation: "att_1", Reference: "pay_1", Metadata: map[string]string{"payment": "pay_1"}, CreatedAt: w.now, Version: 1,
	}
	if diff := cmp.Diff(want, w.transfers[made.Ref]); diff != "" {
		t.Error(diff)
	}
	wantBalance(t, w, "gateway:g:clearing", ledger.Balance{Posted: -100})
	wantBalance(t, w, "merchant:default", ledger.Balance{Posted: 100})
	if diff := cmp.Diff([]string{"account.opened", "account.opened", "transfer.posted"}, w.eventTypes(0)); diff != "" {
		t.Error(diff)
	}
	if a := w.accounts[ref("merchant:default")]; !a.Floor.None || a.Currency != "EUR" || a.Version != 1 {
		t.Errorf("it was opened as %+v", a)
	}
	w.post(t, charged(50, "EUR"), charged(25, "EUR"))
	wantBalance(t, w, "merchant:default", ledger.Balance{Posted: 175})
	if n := len(w.accounts); n != 2 {
		t.Errorf("%d accounts", n)
	}
	checkChains(t, w)
}

// An account has one currency: the first one takes the plain name, the others have
// theirs behind it.
func TestPostingsInSeveralCurrencies(t *testing.T) {
	w := newWorld()
	w.post(t, charged(100, "EUR"))
	w.post(t, charged(5000, "JPY"), charged(70, "USD"))
	w.post(t, charged(1, "EUR"), charged(1, "JPY"))
	wantBalance(t, w, "merchant:default", ledger.Balance{Posted: 101})
	wantBalance(t, w, "merchant:default:JPY", ledger.Balance{Posted: 5001})
	wantBalance(t, w, "merchant:default:USD", ledger.Balance{Posted: 70})
	wantBalance(t, w, "gateway:g:clearing:USD", ledger.Balance{Posted: -70})
	for id, c := range map[string]money.Currency{"merchant:default": "EUR", "merchant:default:JPY": "JPY", "merchant:default:USD": "USD"} {
		if got := w.accounts[ref(id)].Currency; got != c {
			t.Errorf("%s holds %s", id, got)
		}
	}
	checkChains(t, w)
}

// Two currencies that are first seen in one batch do not take the same name.
func TestTwoNewCurrenciesInABatch(t *testing.T) {
	w := newWorld()
	w.post(t, charged(100, "EUR"), charged(5000, "JPY"), charged(1, "EUR"))
	wantBalance(t, w, "merchant:default", ledger.Balance{Posted: 101})
	wantBalance(t, w, "merchant:default:JPY", ledger.Balance{Posted: 5000})
}

// A tenant may have opened an account of that name, with a floor and in whatever
// currency: it takes what is in its currency, and its floor does not hold up what
// has happened already.
func TestATenantsOwnAccountOfThatName(t *testing.T) {
	for _, row := range []struct {
		sentence string
		own      ledger.OpenAccount
		posting  ledger.Posting
		account  string // that takes it
		balance  int64
	}{
		{"in the currency", ledger.OpenAccount{Ref: ref("merchant:default"), Currency: "EUR"}, charged(100, "EUR"), "merchant:default", 100},
		{"in another", ledger.OpenAccount{Ref: ref("merchant:default"), Currency: "USD"}, charged(100, "EUR"), "merchant:default:EUR", 100},
		{"of the name with the currency behind it", ledger.OpenAccount{Ref: ref("merchant:default:EUR"), Currency: "EUR"}, charged(100, "EUR"), "merchant:default", 100},
		{"with a floor that a refund goes below", ledger.OpenAccount{Ref: ref("merchant:default"), Currency: "EUR", Floor: ledger.Floor{Minor: 10}},
			ledger.Posting{Tenant: tenant, From: "merchant:default", To: "gateway:g:clearing", Amount: 100, Currency: "EUR"}, "merchant:default", -100},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld()
			w.do(t, row.own)
			w.post(t, row.posting)
			wantBalance(t, w, row.account, ledger.Balance{Posted: row.balance})
			checkChains(t, w)
		})
	}
}

// No client can open a name that payments in a currency are booked on in another
// one: it would take their place.
func TestAReservedNameHasTheCurrencyThatItSays(t *testing.T) {
	for id, refused := range map[string]bool{
		"merchant:default":       false, // says none
		"merchant:default:EUR":   true,
		"suspense:EUR":           true,
		"gateway:g:clearing:EUR": true,
		"gateway:g:clearing":     false,
		"merchant:default:JPY":   false, // is the one
		"merchant:default:eur":   false, // is no currency, so nothing is booked there
		"merchant:default:XXY":   false,
		"merchant:EUR":           false,
		"shop:EUR":               false,
		"gateway:EUR:clearing":   false,
	} {
		t.Run(id, func(t *testing.T) {
			w := newWorld()
			c := ledger.OpenAccount{Ref: ref(id), Currency: "JPY"}
			if refused {
				w.refuse(t, c, ledger.Invalid, "/currency")
			} else {
				w.do(t, c)
			}
		})
	}
}

// What payments are booked on stays open, also when it is empty.
func TestReservedAccountsCannotBeClosed(t *testing.T) {
	for id, reserved := range map[string]bool{
		"merchant:default": true, "merchant:default:EUR": true, "suspense": true, "suspense:EUR": true,
		"gateway:g:clearing": true, "gateway:g:clearing:EUR": true, "gateway:a:b:clearing": true,
		"merchant": false, "merchant:other": false, "merchant:default:shop": false, "suspense:shop": false,
		"gateway:g": false, "clearing": false, "my:gateway:g:clearing": false, "gateway:g:clearing:shop": false,
	} {
		t.Run(id, func(t *testing.T) {
			if ledger.IsReserved(id) != reserved {
				t.Errorf("it is reserved: %v", !reserved)
			}
			w := newWorld()
			w.do(t, ledger.OpenAccount{Ref: ref(id), Currency: "EUR"})
			if reserved {
				w.refuse(t, ledger.CloseAccount{Ref: ref(id)}, ledger.StateConflict, "")
			} else {
				w.do(t, ledger.CloseAccount{Ref: ref(id)})
			}
		})
	}
}

// What a payment booked is undone by the payment: else the books would say that
// the gateway has its money back.
func TestAPaymentsTransferIsNotReversed(t *testing.T) {
	w := newWorld()
	made := w.post(t, charged(100, "EUR"))[0]
	w.refuse(t, ledger.ReverseTransfer{Ref: made.Ref}, ledger.StateConflict, "")
	w.do(t, ledger.OpenAccount{Ref: ref("payout"), Currency: "EUR"})
	out := w.do(t, move("merchant:default", "payout", 60)).Transfer // but its money is money
	w.do(t, ledger.ReverseTransfer{Ref: out.Ref})
	wantBalance(t, w, "merchant:default", ledger.Balance{Posted: 100})
}

// What cannot be is a defect, and stops: an amount that does not fit, and an
// account that nobody can have closed.
func TestAPostingThatNoAccountTakesIsADefect(t *testing.T) {
	for sentence, damage := range map[string]func(*world){
		"a balance that would overflow": func(w *world) {
			w.post(t, charged(math.MaxInt64, "EUR"))
		},
		"accounts of both names that are closed": func(w *world) {
			for _, id := range []string{"merchant:default", "merchant:default:EUR"} {
				w.accounts[ref(id)] = ledger.Account{Ref: ref(id), Currency: "EUR", Closed: true, Version: 1}
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			damage(w)
			defer func() {
				if recover() == nil {
					t.Error("it was booked")
				}
			}()
			w.post(t, charged(1, "EUR"))
		})
	}
}

// A payment that was captured cannot be refused for want of room in a balance, so
// clients leave it some.
func TestClientsLeavePaymentsRoom(t *testing.T) {
	const room = math.MaxInt64 / 2
	for _, row := range []struct {
		sentence string
		from, to string
		amount   int64
		pending  bool
		refused  bool
	}{
		{"all that is theirs", "world", "merchant:default", room - 100, false, false},
		{"one more into the merchant's account", "world", "merchant:default", room - 99, false, true},
		{"one more that is held", "world", "merchant:default", room - 99, true, true},
		{"one more out of clearing", "gateway:g:clearing", "world", room - 99, false, true},
		{"accounts of their own may be filled", "world", "alice", math.MaxInt64, false, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			w := newWorld()
			w.post(t, charged(100, "EUR"))
			for _, id := range []string{"world", "alice"} {
				w.do(t, ledger.OpenAccount{Ref: ref(id), Currency: "EUR", Floor: ledger.Floor{None: true}})
			}
			c := ledger.CreateTransfer{Tenant: tenant, From: row.from, To: row.to, Amount: row.amount, Currency: "EUR", Pending: row.pending}
			if row.refused {
				w.refuse(t, c, ledger.BalanceOverflow, "/amount")
			} else {
				w.do(t, c)
			}
			w.post(t, charged(math.MaxInt64/4, "EUR")) // there is room for it
		})
	}
}
