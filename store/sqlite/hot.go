package sqlite

import (
	"maps"
	"sync"

	"github.com/oncepay/oncepay/ledger"
)

// hot remembers what accounts were like when they were read or written last:
// their row number, which never changes, and what only a command on the account
// itself changes, so that a commit knows whether it has to write that. It is
// bounded, and what it has forgotten is read again.
type hot struct {
	mu    sync.Mutex
	young map[ledger.Ref]known
	old   map[ledger.Ref]known
}

// known is what is known of an account.
type known struct {
	num      int64
	version  int64
	floor    ledger.Floor
	closed   bool
	metadata map[string]string // shared, never written
}

// hotLen is how many accounts each of the two generations has at most.
const hotLen = 1 << 15

func newHot() *hot { return &hot{young: map[ledger.Ref]known{}} }

func (h *hot) put(num int64, a *ledger.Account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k, ok := h.young[a.Ref]; ok && k.version > a.Version {
		return
	}
	h.young[a.Ref] = known{num, a.Version, a.Floor, a.Closed, maps.Clone(a.Metadata)}
	if len(h.young) >= hotLen {
		h.old, h.young = h.young, make(map[ledger.Ref]known, hotLen)
	}
}

func (h *hot) get(r ledger.Ref) (known, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.young[r]
	if !ok {
		k, ok = h.old[r]
	}
	return k, ok
}
