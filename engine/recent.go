package engine

import (
	"sync"

	"github.com/oncepay/oncepay/once"
)

// recent keeps answers that were committed not long ago, so that a quick retry
// is answered without asking the store. It holds what is final and nothing
// else: what it does not have, it knows nothing of.
type recent struct {
	mu       sync.Mutex
	young    map[once.Key]once.Record
	old      map[once.Key]once.Record
	youngLen int // bytes in young, about
}

// recentBytes is how many bytes each of the two generations holds at most. Two
// of them are what a busy second or two leaves behind.
const recentBytes = 16 << 20

func newRecent() *recent { return &recent{young: map[once.Key]once.Record{}} }

func (r *recent) put(rec once.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young[rec.Key] = rec
	r.youngLen += recordBytes(rec)
	if r.youngLen >= recentBytes {
		r.old, r.young, r.youngLen = r.young, map[once.Key]once.Record{}, 0
	}
}

func (r *recent) get(k once.Key) (once.Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.young[k]
	if !ok {
		rec, ok = r.old[k]
	}
	return rec, ok
}

// recordBytes is about what a record costs in memory, its place in the map
// included.
func recordBytes(r once.Record) int {
	return 512 + len(r.Key.ID) + len(r.Resource) + len(r.Answer.Body)
}
