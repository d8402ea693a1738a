package audit

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
)

// Source is a store that is read from end to end, as of one moment. Each
// method calls yield for every row in the order that it says, and ends with the
// first error that yield returns. Rows are yielded as they are, wrong ones
// included: finding them is the point.
type Source interface {
	Accounts(ctx context.Context, yield func(*ledger.Account) error) error   // in any order
	Entries(ctx context.Context, yield func(ledger.Entry) error) error       // by Seq, ascending
	Transfers(ctx context.Context, yield func(*ledger.Transfer) error) error // in any order
	Keys(ctx context.Context, yield func(once.Record) error) error           // in any order, without answers
	Events(ctx context.Context, yield func(outbox.Event) error) error        // in any order, without data

	// Rows says about how many rows all of it has, for progress.
	Rows(ctx context.Context) (int64, error)

	// OldestKey is when the oldest key that is still known was made: what was
	// made before has no key any more. Zero if there is no key.
	OldestKey(ctx context.Context) (time.Time, error)
}
