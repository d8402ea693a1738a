package audit

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
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

	// KeysSince says from when on every key is still known: keys that were made
	// before it may have been forgotten, since they were swept (see engine.Upkeep;
	// it is the latest forget that a Sweep was called with). Zero if none ever was.
	// It is kept, not computed from the keys that are there: a key that was lost
	// must not make the audit look away.
	KeysSince(ctx context.Context) (time.Time, error)
}

// Payments is a Source that holds payments. Of one that does not have these
// methods none is read, and transfers that say that they book one are found to
// book nothing.
type Payments interface {
	// Payments yields every payment with its operations, which are in the order in
	// which they were made. Payments are in any order.
	Payments(ctx context.Context, yield func(*pay.Payment) error) error

	// References yields every reference, in any order, and what is found under it:
	// whether the payment that it names is there and has this reference, and how
	// many payments of the tenant have it.
	References(ctx context.Context, yield func(r pay.Reference, held bool, payments int64) error) error
}

// Structured is a Source that has more than its rows to be damaged: pages, and
// indexes by which rows are found.
type Structured interface {
	// Structure calls yield with a sentence for everything that is wrong below
	// the rows.
	Structure(ctx context.Context, yield func(detail string) error) error
}
