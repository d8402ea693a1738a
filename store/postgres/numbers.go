package postgres

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/ledger"
)

// Numbers come from sequences in blocks as long as these, which the sequences' steps are.
const (
	entryBlock   = 8192 // the most that an executor reserves at once
	accountBlock = 1024
)

// entryNumbers are the numbers of entries. Every load takes a block of its own, though it
// needs fewer: an entry's number is greater than that of any entry which its load has
// seen, from whatever process. There are blocks for a thousand loads a second until the sun goes
// out.
type entryNumbers struct {
	mu  sync.Mutex
	top int64 // all that were ever handed out here are below
}

const selectTop = "SELECT CASE WHEN is_called THEN last_value + 8192 ELSE last_value END FROM entry_numbers"

// recall learns up to where numbers were handed out before.
func (n *entryNumbers) recall(ctx context.Context, db *pgxpool.Pool) error {
	return hide(db.QueryRow(ctx, selectTop).Scan(&n.top))
}

// handOut notes that a block is handed out.
func (n *entryNumbers) handOut(first int64) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.top = max(n.top, first+entryBlock)
	return first
}

// check says whether a number was ever handed out.
func (n *entryNumbers) check(seq int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seq <= 0 || seq >= n.top {
		return fmt.Errorf("postgres: entry %d was never reserved", seq)
	}
	return nil
}

// block is a range of numbers that nobody else has.
type block struct{ next, end int64 }

// accountNumbers are the numbers of accounts that are not opened yet.
type accountNumbers struct {
	mu   sync.Mutex
	left block
}

// take returns so many numbers, ascending.
func (n *accountNumbers) take(ctx context.Context, db *pgxpool.Pool, want int) (nums []int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(nums) < want {
		if n.left.next == n.left.end {
			var first int64
			if err := db.QueryRow(ctx, "SELECT nextval('account_numbers')").Scan(&first); err != nil {
				return nil, err
			}
			n.left = block{first, first + accountBlock}
		}
		nums = append(nums, n.left.next)
		n.left.next++
	}
	return nums, nil
}

// known keeps what does not change of accounts that were loaded or written not long ago:
// their numbers; and of what seldom does how it was at a version, so that a commit writes
// only the balance where no more has changed.
type known struct {
	mu         sync.Mutex
	young, old map[ledger.Ref]account
}

// account is what is known of one. Its metadata is shared and never written.
type account struct {
	num      int64
	version  int64
	floor    ledger.Floor
	closed   bool
	metadata map[string]string
}

// Limits of known: at most twice knownLen accounts, of a quarter of a kilobyte each and
// what their metadata takes.
const (
	knownLen      = 1 << 15
	knownMetadata = 512 // bytes; of accounts that have more only the number is kept
)

func newKnown() *known { return &known{young: map[ledger.Ref]account{}} }

func (k *known) get(ref ledger.Ref) (account, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(ref)
}

func (k *known) find(ref ledger.Ref) (account, bool) {
	if a, ok := k.young[ref]; ok {
		return a, true
	}
	a, ok := k.old[ref]
	return a, ok
}

// put keeps an account as it is at its version.
func (k *known) put(num int64, a *ledger.Account) {
	k.mu.Lock()
	defer k.mu.Unlock()
	is := account{num: num, version: a.Version, floor: a.Floor, closed: a.Closed}
	before, ok := k.find(a.Ref)
	switch {
	case metadataBytes(a) > knownMetadata:
		is.version = 0
	case ok && maps.Equal(before.metadata, a.Metadata):
		is.metadata = before.metadata
	default:
		is.metadata = maps.Clone(a.Metadata)
	}
	ref := a.Ref
	if _, young := k.young[ref]; !young { // the names may be parts of a request's body
		ref = ledger.Ref{Tenant: strings.Clone(ref.Tenant), ID: strings.Clone(ref.ID)}
	}
	k.young[ref] = is
	if len(k.young) >= knownLen {
		k.old, k.young = k.young, map[ledger.Ref]account{}
	}
}

// same says whether an account differs from how it was at the version before in its
// balance only, as far as is known.
func (is account) same(a *ledger.Account) bool {
	return is.version == a.Version-1 && is.floor == a.Floor && is.closed == a.Closed && maps.Equal(is.metadata, a.Metadata)
}

func metadataBytes(a *ledger.Account) (n int) {
	for name, value := range a.Metadata {
		n += len(name) + len(value)
	}
	return n
}
