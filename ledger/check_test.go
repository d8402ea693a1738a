package ledger_test

import (
	"errors"
	"math"
	"testing"

	"github.com/oncepay/oncepay/ledger"
)

// goodPair is the two entries of a move of 5.
func goodPair() (debit, credit ledger.Entry) {
	debit = ledger.Entry{Seq: 7, Account: ref("a"), Transfer: "tr_1", Kind: ledger.Move, Delta: ledger.Balance{Posted: -5}, Currency: "EUR"}
	credit = ledger.Entry{Seq: 8, Account: ref("b"), Transfer: "tr_1", Kind: ledger.Move, Delta: ledger.Balance{Posted: 5}, Currency: "EUR"}
	return debit, credit
}

func TestCheckPairFindsWhatIsOff(t *testing.T) {
	for sentence, tamper := range map[string]func(debit, credit *ledger.Entry){
		"a cent less debited":                     func(d, _ *ledger.Entry) { d.Delta.Posted++ },
		"a cent more debited":                     func(d, _ *ledger.Entry) { d.Delta.Posted-- },
		"a cent more credited":                    func(_, c *ledger.Entry) { c.Delta.Posted++ },
		"both sides credited":                     func(d, _ *ledger.Entry) { d.Delta.Posted = 5 },
		"a hold on one side only":                 func(d, _ *ledger.Entry) { d.Delta.Outgoing = 1 },
		"a hold on the other side only":           func(_, c *ledger.Entry) { c.Delta.Incoming = 1 },
		"something coming in to who pays":         func(d, _ *ledger.Entry) { d.Delta.Incoming = 1 },
		"something going out from who is paid":    func(_, c *ledger.Entry) { c.Delta.Outgoing = 1 },
		"incoming and outgoing crossed":           func(d, c *ledger.Entry) { d.Delta.Incoming, c.Delta.Outgoing = 1, 1 },
		"one side of another transfer":            func(_, c *ledger.Entry) { c.Transfer = "tr_2" },
		"one side of another kind":                func(_, c *ledger.Entry) { c.Kind = ledger.Settle },
		"one side in another currency":            func(_, c *ledger.Entry) { c.Currency = "JPY" },
		"one side of another tenant":              func(_, c *ledger.Entry) { c.Account.Tenant = "other" },
		"both sides on one account":               func(_, c *ledger.Entry) { c.Account = ref("a") },
		"a gap between their numbers":             func(_, c *ledger.Entry) { c.Seq++ },
		"the credit numbered before the debit":    func(d, c *ledger.Entry) { d.Seq, c.Seq = c.Seq, d.Seq },
		"the one number that is its own opposite": func(d, c *ledger.Entry) { d.Delta.Posted, c.Delta.Posted = math.MinInt64, 5 },
	} {
		t.Run(sentence, func(t *testing.T) {
			debit, credit := goodPair()
			if err := ledger.CheckPair(&debit, &credit); err != nil {
				t.Fatalf("the pair as it should be: %v", err)
			}
			tamper(&debit, &credit)
			if err := ledger.CheckPair(&debit, &credit); !errors.Is(err, ledger.ErrUnbalanced) {
				t.Errorf("got %v, want ErrUnbalanced", err)
			}
		})
	}
}

// goodChanges are those of a batch: a hold, a move, a hold posted in part.
func goodChanges(t *testing.T) *ledger.Changes {
	w := newWorld()
	w.open(t, "a", 1000)
	w.open(t, "b", 0)
	held := w.do(t, hold("a", "b", 50)).Transfer.Ref
	part := int64(20)
	return w.changes(t, hold("a", "b", 100), move("b", "a", 7), ledger.PostTransfer{Ref: held, Amount: &part})
}

func TestChangesAreCheckedOnEverySide(t *testing.T) {
	for sentence, tamper := range map[string]func(*ledger.Changes){
		"an entry is missing":                      func(c *ledger.Changes) { c.Entries = c.Entries[1:] },
		"the last entry is missing":                func(c *ledger.Changes) { c.Entries = c.Entries[:len(c.Entries)-1] },
		"two entries are missing":                  func(c *ledger.Changes) { c.Entries = c.Entries[:len(c.Entries)-2] },
		"a pair that does not cancel":              func(c *ledger.Changes) { c.Entries[2].Delta.Posted++ },
		"a cent more on an account":                func(c *ledger.Changes) { c.Accounts[0].Balance.Posted++ },
		"a cent less on the other account":         func(c *ledger.Changes) { c.Accounts[1].Balance.Posted-- },
		"a hold forgotten on an account":           func(c *ledger.Changes) { c.Accounts[0].Balance.Outgoing-- },
		"money to come forgotten on an account":    func(c *ledger.Changes) { c.Accounts[1].Balance.Incoming-- },
		"a running balance that is off":            func(c *ledger.Changes) { c.Entries[5].After.Posted++ },
		"an account that does not know its latest": func(c *ledger.Changes) { c.Accounts[0].LastEntry-- },
		"an account that counts wrong":             func(c *ledger.Changes) { c.Accounts[0].Entries++ },
		"a transfer of nothing":                    func(c *ledger.Changes) { c.Transfers[0].Amount = 0 },
		"a transfer that posted more than it is":   func(c *ledger.Changes) { c.Transfers[1].AmountPosted = 8 },
	} {
		t.Run(sentence, func(t *testing.T) {
			c := goodChanges(t)
			if err := c.Check(); err != nil {
				t.Fatalf("the changes as they should be: %v", err)
			}
			tamper(c)
			if err := c.Check(); err == nil {
				t.Error("nobody noticed")
			}
		})
	}
}

func TestAccountCheck(t *testing.T) {
	for _, row := range []struct {
		sentence string
		account  ledger.Account
		ok       bool
	}{
		{"a new account", ledger.Account{}, true},
		{"an account with everything", ledger.Account{Balance: ledger.Balance{Posted: -5, Outgoing: 1, Incoming: 2}, Entries: 3}, true},
		{"a closed account that is empty", ledger.Account{Closed: true, Entries: 4}, true},
		{"both ends of the range", ledger.Account{Balance: ledger.Balance{Posted: math.MinInt64, Incoming: math.MaxInt64}, Entries: 1}, true},
		{"a closed account with money", ledger.Account{Closed: true, Balance: ledger.Balance{Posted: 1}, Entries: 1}, false},
		{"a closed account with a hold", ledger.Account{Closed: true, Balance: ledger.Balance{Incoming: 1}, Entries: 1}, false},
		{"less than nothing held out", ledger.Account{Balance: ledger.Balance{Outgoing: -1}, Entries: 1}, false},
		{"less than nothing held in", ledger.Account{Balance: ledger.Balance{Incoming: -1}, Entries: 1}, false},
		{"money from nowhere", ledger.Account{Balance: ledger.Balance{Posted: 1}}, false},
		{"available beyond 64 bits", ledger.Account{Balance: ledger.Balance{Posted: math.MinInt64, Outgoing: 1}, Entries: 1}, false},
		{"more to come than 64 bits count", ledger.Account{Balance: ledger.Balance{Posted: math.MaxInt64, Incoming: 1}, Entries: 1}, false},
	} {
		if err := row.account.Check(); (err == nil) != row.ok {
			t.Errorf("%s: got %v, want ok: %v", row.sentence, err, row.ok)
		}
	}
}

func TestTransferCheck(t *testing.T) {
	good := ledger.Transfer{Ref: ref("tr_1"), Status: ledger.Posted, From: "a", To: "b", Amount: 5, AmountPosted: 5}
	for _, row := range []struct {
		sentence string
		tamper   func(*ledger.Transfer)
		ok       bool
	}{
		{"posted in full", func(*ledger.Transfer) {}, true},
		{"posted in part", func(t *ledger.Transfer) { t.AmountPosted = 1 }, true},
		{"pending", func(t *ledger.Transfer) { t.Status, t.AmountPosted = ledger.Pending, 0 }, true},
		{"voided", func(t *ledger.Transfer) { t.Status, t.AmountPosted = ledger.Voided, 0 }, true},
		{"expired", func(t *ledger.Transfer) { t.Status, t.AmountPosted = ledger.Expired, 0 }, true},
		{"posted, and nothing moved", func(t *ledger.Transfer) { t.AmountPosted = 0 }, false},
		{"pending, and something moved", func(t *ledger.Transfer) { t.Status = ledger.Pending }, false},
		{"voided, and something moved", func(t *ledger.Transfer) { t.Status = ledger.Voided }, false},
		{"more moved than was asked", func(t *ledger.Transfer) { t.AmountPosted = 6 }, false},
		{"moved backwards", func(t *ledger.Transfer) { t.AmountPosted = -1 }, false},
		{"an amount of nothing", func(t *ledger.Transfer) { t.Status, t.Amount, t.AmountPosted = ledger.Pending, 0, 0 }, false},
		{"a negative amount", func(t *ledger.Transfer) { t.Amount, t.AmountPosted = -5, -5 }, false},
		{"to itself", func(t *ledger.Transfer) { t.To = "a" }, false},
		{"in no status", func(t *ledger.Transfer) { t.Status, t.AmountPosted = 0, 0 }, false},
		{"in a status that nobody knows", func(t *ledger.Transfer) { t.Status, t.AmountPosted = 9, 0 }, false},
	} {
		tr := good
		row.tamper(&tr)
		if err := tr.Check(); (err == nil) != row.ok {
			t.Errorf("%s: got %v, want ok: %v", row.sentence, err, row.ok)
		}
	}
}
