package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
)

// What another tenant has makes a page neither shorter nor slower, even if it
// has the same names.
func TestEventsOfAnotherTenantAreNotPassedOver(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "once.db"))
	at := time.UnixMicro(1e15).UTC()
	c := &engine.Changes{At: at, Ledger: &ledger.Changes{}}
	event := func(tenant string, n int) outbox.Event {
		return outbox.Event{ID: fmt.Sprint("evt_", n), Tenant: tenant, Type: "x.y", Subject: "world", At: at, Data: []byte(`{}`)}
	}
	mine := []outbox.Event{event("small", 1)}
	c.Ledger.Events = append(c.Ledger.Events, mine...)
	for n := range 5001 {
		c.Ledger.Events = append(c.Ledger.Events, event("large", 2+n))
	}
	mustCommit(t, s, c)
	for name, f := range map[string]engine.EventFilter{"a subject": {Subject: "world"}, "a subject and a type": {Subject: "world", Type: "x.y"}, "all": {}} {
		l, err := s.Events(t.Context(), "small", f, engine.Page{Limit: 10})
		same(t, name, l.Items, mine, err, nil)
		if l.Next != "" {
			t.Errorf("%s: there is a next page", name)
		}
	}
}
