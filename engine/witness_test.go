package engine

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// Two that decide in the same microsecond come to the same refusal: it tells
// nothing of whose commit it was. What names a resource does.
func TestACommitWasMadeIfAllOfItIsThere(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	refusal := once.Record{Key: once.Key{Tenant: "t", ID: "refused"}, Attempt: 1, CreatedAt: at, Version: 1}
	transfer := once.Record{Key: once.Key{Tenant: "t", ID: "made"}, Attempt: 1, CreatedAt: at, Resource: "tr_ours", Version: 1}
	theirs := transfer
	theirs.Resource = "tr_theirs"
	b := newBatch()
	b.changes = &Changes{Keys: []once.Record{refusal, transfer}, Payments: &pay.Changes{}}
	for _, r := range b.changes.Keys {
		b.book.WantKey(r.Key)
		b.book.PutKey(r)
	}
	for name, row := range map[string]struct {
		found []once.Record
		want  bool
	}{
		"all of it is there":                       {[]once.Record{refusal, transfer}, true},
		"nothing is there":                         {nil, false},
		"only a refusal is there":                  {[]once.Record{refusal}, false},
		"the transfer is somebody else's":          {[]once.Record{refusal, theirs}, false},
		"somebody else's transfer is all there is": {[]once.Record{theirs}, false},
	} {
		if got := b.committed(Rows{Keys: row.found}); got != row.want {
			t.Errorf("%s: committed is %v", name, got)
		}
	}
	empty := newBatch()
	empty.changes = &Changes{Payments: &pay.Changes{}}
	if empty.committed(Rows{}) {
		t.Error("a batch without keys is taken for committed")
	}
}
