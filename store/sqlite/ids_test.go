package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
)

// The time in an id may be ahead of the clock that made it, after the machine's
// clock was set back: a list between two times misses none of them.
func TestIDsAheadOfTheClockAreListed(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Second, 2 * time.Hour, 100 * time.Hour} {
		s := open(t, filepath.Join(t.TempDir(), "once.db"))
		tl := newTeller(s)
		tl.openAccounts(t, 1000)
		tl.ids.New("tr_", tl.now.Add(ahead))
		before := tl.now.Add(time.Microsecond)
		tl.run(t, 30)
		after := tl.now.Add(time.Microsecond)
		tl.run(t, 30)
		l, err := s.Transfers(t.Context(), "acme", engine.TransferFilter{}, engine.Page{Limit: 100, After: before, Before: after})
		if err != nil || len(l.Items) != 30 {
			t.Errorf("with ids %v ahead of the clock %d of 30 are listed, %v", ahead, len(l.Items), err)
		}
	}
}
