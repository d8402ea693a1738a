package sqlite

import (
	"maps"
	"strings"
	"sync"

	"github.com/oncepay/oncepay/ledger"
)

// hot keeps accounts that were loaded or written not long ago, as of the last
// commit. This process is the only one that writes, so nothing changes behind
// it. Without it half of what a load takes went into reading accounts that the
// batch before had written.
//
// It also says what a commit must know: an account's row number, and whether
// more than the balance has changed. What it does not have is read.
type hot struct {
	mu     sync.Mutex
	commit int64 // the commit that it is as of
	young  map[ledger.Ref]row
	old    map[ledger.Ref]row
}

// row is an account and its number. Its metadata is shared and never written.
type row struct {
	num int64
	a   ledger.Account
}

// Limits of hot: at most twice hotLen accounts, of half a kilobyte each and
// what their metadata takes.
const (
	hotLen      = 1 << 14
	hotMetadata = 512 // bytes; accounts that have more are read each time
)

func newHot(commit int64) *hot {
	return &hot{commit: commit, young: map[ledger.Ref]row{}}
}

// account returns a copy of an account as of the given commit, if it is here
// and hot is as of that commit.
func (h *hot) account(ref ledger.Ref, commit int64) (*ledger.Account, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commit != commit {
		return nil, false
	}
	r, ok := h.get(ref)
	if !ok {
		return nil, false
	}
	r.a.Metadata = maps.Clone(r.a.Metadata)
	return &r.a, true
}

// row returns an account as of the last commit, to be compared with.
func (h *hot) row(ref ledger.Ref) (row, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.get(ref)
}

// loaded keeps an account that was read as of a commit, unless there has been
// another one since: then it may be stale.
func (h *hot) loaded(num int64, a *ledger.Account, commit int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commit == commit {
		h.put(num, a)
	}
}

// committed brings h to the next commit.
func (h *hot) committed(commit int64, accounts []*ledger.Account, nums map[ledger.Ref]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commit = commit
	for _, a := range accounts {
		h.put(nums[a.Ref], a)
	}
}

// forget drops everything: what is here was not what a commit found.
func (h *hot) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.young, h.old = map[ledger.Ref]row{}, nil
}

func (h *hot) get(ref ledger.Ref) (row, bool) {
	if r, ok := h.young[ref]; ok {
		return r, true
	}
	r, ok := h.old[ref]
	if ok {
		h.young[r.a.Ref] = r
	}
	return r, ok
}

func (h *hot) put(num int64, a *ledger.Account) {
	if metadataBytes(a) > hotMetadata {
		delete(h.young, a.Ref)
		delete(h.old, a.Ref)
		return
	}
	r := row{num, *a}
	r.a.Metadata = maps.Clone(a.Metadata)
	if before, ok := h.get(a.Ref); ok {
		r.a.Ref = before.a.Ref
	} else { // the names may be parts of a request's body
		r.a.Ref = ledger.Ref{Tenant: strings.Clone(a.Tenant), ID: strings.Clone(a.ID)}
	}
	h.young[r.a.Ref] = r
	if len(h.young) >= hotLen {
		h.old, h.young = h.young, map[ledger.Ref]row{}
	}
}

func metadataBytes(a *ledger.Account) (n int) {
	for name, value := range a.Metadata {
		n += len(name) + len(value)
	}
	return n
}
