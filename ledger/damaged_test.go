package ledger_test

import (
	"testing"

	"github.com/oncepay/oncepay/ledger"
)

// What reads a damaged row has to say what is wrong with it, and so must be
// able to name it.
func TestADamagedStatusIsToldOf(t *testing.T) {
	for _, s := range []ledger.Status{0, ledger.Expired + 1, 255} {
		row := ledger.Transfer{Status: s, From: "a", To: "b", Amount: 1}
		if err := row.Check(); err == nil {
			t.Errorf("a transfer with the status %d passes its check", s)
		}
	}
	if got := ledger.Kind(9).String(); got != "kind(9)" {
		t.Errorf("an unknown kind of entry is called %q", got)
	}
}
